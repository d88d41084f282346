//! What every test here is made of: real brokers, three processes, and a reader who is there all the time.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tributary_cli::config::Config;
use tributary_cli::kafka::apply;
use tributary_cli::managed::kafka::Lifetime;
use tributary_cli::managed::process::{Process, Program};

use crate::brokers::Brokers;
use crate::fleet::Fleet;
use crate::watch::Watch;
use crate::{ACCOUNTS, PARTITIONS, SETUP};

const PROGRAM: &str = env!("CARGO_BIN_EXE_tributary-under-test");

/// A cluster and who watches it; its processes are not yet started.
pub struct Cluster {
    pub folder: PathBuf,
    pub program: PathBuf,
    // Processes end before the brokers do.
    pub fleet: Fleet,
    pub watch: Watch,
    pub brokers: Brokers,
}

impl Cluster {
    /// Starts so many brokers, with all topics.
    pub fn start(folder: &Path, brokers: usize, lifetime: Lifetime) -> Result<Self> {
        let program = wrapped(folder)?;
        let replicas = u32::try_from(brokers)?;
        let brokers = Brokers::start(brokers, folder, lifetime)?;
        let config = Config { brokers: Some(brokers.bootstrap.clone()), partitions: PARTITIONS, ..Config::default() };
        apply(&config, replicas)?;
        let fleet = Fleet::new(&program, folder, &brokers)?;
        let watch = Watch::start(&brokers.bootstrap, PARTITIONS)?;
        Ok(Cluster { folder: folder.to_owned(), program, fleet, watch, brokers })
    }

    /// A client that pays at a steady rate, in a process of its own, and waits out what is done to the cluster: once its first
    /// payments are sent, of which [`sent`] tells.
    pub fn client(&self, payments: u64, rate: u64) -> Result<Process> {
        let (payments, rate, accounts) = (payments.to_string(), rate.to_string(), ACCOUNTS.to_string());
        let own = ["load", "--brokers", &self.brokers.bootstrap, "--patience", "90", "--run", "steady"];
        let wanted = ["--payments", &payments, "--rate", &rate, "--accounts", &accounts, "--sent"];
        let client = Process::start(Program {
            name: "tributary load",
            path: self.program.clone(),
            arguments: own.iter().chain(&wanted).map(Into::into).chain([record(&self.folder).into()]).collect(),
            log: self.folder.join("load.log"),
            pid_file: self.folder.join("load.pid"),
        })?;
        let begun = || sent(&self.folder).is_ok_and(|ids| ids.len() > ACCOUNTS as usize + 10);
        client.wait_until(SETUP, begun)?;
        Ok(client)
    }
}

/// Where a client writes down what was acknowledged.
fn record(folder: &Path) -> PathBuf {
    folder.join("sent")
}

/// The transactions that the client sent and the broker acknowledged.
pub fn sent(folder: &Path) -> Result<BTreeSet<String>> {
    let record = std::fs::read_to_string(record(folder))?;
    let sent = record.lines().filter_map(|line| line.strip_prefix("transactions.commands.v1 "));
    Ok(sent.map(str::to_owned).collect())
}

/// Gives it a folder, which is kept if it fails.
pub fn in_folder(test: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("tributary-chaos-").tempdir()?;
    test(folder.path()).map_err(|error| {
        let kept = folder.keep();
        error.context(format!("logs and the brokers' data are kept in {}", kept.display()))
    })
}

/// The binary under test, in a wrapping that keeps this test's own settings from it and lets it meet the end of a limited
/// file as an error, where its disk is only such a limit.
fn wrapped(folder: &Path) -> Result<PathBuf> {
    let program = folder.join("tributary");
    let unset = "unset TRIBUTARY_CHAOS_SECONDS TRIBUTARY_CHAOS_SEED TRIBUTARY_CHAOS_RATE TRIBUTARY_CHAOS_STATE_MB";
    std::fs::write(&program, format!("#!/bin/sh\n{unset}\ntrap '' XFSZ\nexec '{PROGRAM}' \"$@\"\n"))?;
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).context("cannot be made executable")?;
    Ok(program)
}
