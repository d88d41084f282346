//! What is measured: a broker of its own, one process of ours with its API, and a client.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tributary_cli::config::Config;
use tributary_cli::kafka::client;
use tributary_cli::load::{self, Figures, Plan};
use tributary_cli::managed::kafka::Kafka;
use tributary_cli::up::{self, Running};
use tributary_tests::cpu;
use tributary_tests::recovery::Node;
use tributary_tests::stage::{broker, size};

const PROGRAM: &str = env!("CARGO_BIN_EXE_tributary-under-test");
pub const PARTITIONS: u32 = 4;
const PATIENCE: u32 = 180;
/// How long a start may take that makes everything anew.
const READY: Duration = Duration::from_secs(600);

/// A broker, and a process that writes to it.
pub struct Stage {
    pub kafka: Kafka,
    pub node: Option<Node>,
    folder: PathBuf,
    client: Option<Running>,
    flags: Vec<String>,
    runs: u32,
}

impl Stage {
    /// Starts both, with these flags of ours, and pays so often that nothing is new any more.
    pub fn start(folder: &Path, flags: &[&str], warm: u32) -> Result<Self> {
        let (kafka, config) = broker(folder, PARTITIONS)?;
        let client = Some(client(&config)?);
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let mut stage = Stage { kafka, node: None, folder: folder.to_owned(), client, flags, runs: 0 };
        stage.up()?;
        stage.pay(Plan { payments: warm, ..Plan::default() })?;
        Ok(stage)
    }

    /// Starts our process on what is there: how long until it answers every query.
    pub fn up(&mut self) -> Result<Duration> {
        let (data, partitions) = (self.data().display().to_string(), PARTITIONS.to_string());
        let own = ["--brokers", &self.kafka.bootstrap, "--partitions", &partitions, "--data", &data];
        let arguments: Vec<&str> = own.into_iter().chain(self.flags.iter().map(String::as_str)).collect();
        let since = Instant::now();
        let node = Node::spawn(Path::new(PROGRAM), &self.folder, "node", &arguments)?;
        // Answered by a process that runs every task, and whose views have read nearly to the ends of their inputs.
        let answers = |path: &&str| ureq::get(&format!("{}{path}", node.url)).call().is_ok();
        while !["/readiness", "/accounts", "/transactions", "/ledger/trial-balance"].iter().all(answers) {
            ensure!(node.ended().is_none(), "it has ended: {}", node.last_words());
            ensure!(since.elapsed() < READY, "it is not ready: {:?}", node.health());
            std::thread::sleep(Duration::from_millis(10));
        }
        self.node = Some(node);
        Ok(since.elapsed())
    }

    pub fn node(&self) -> Result<&Node> {
        self.node.as_ref().context("it runs")
    }

    /// The folder of the stores.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Pays, under ids that were not used before.
    pub fn pay(&mut self, plan: Plan) -> Result<Figures> {
        self.runs += 1;
        let plan = Plan { run: format!("run{}", self.runs), patience: PATIENCE, ..plan };
        let Running { platform, log, registry, .. } = self.client.as_ref().context("a client")?;
        let figures = load::run(platform.as_ref(), log.as_ref(), registry, &plan, true)?;
        ensure!(self.node()?.ended().is_none(), "it has ended");
        Ok(figures)
    }

    /// Time of the processor that the broker and our process have used.
    pub fn used(&self) -> Result<[Duration; 2]> {
        Ok([cpu::time(self.kafka.id())?, cpu::time(self.node()?.id())?])
    }

    /// Bytes in the log by topic, or by what it is for.
    pub fn bytes(&self) -> Result<BTreeMap<String, u64>> {
        let mut bytes = BTreeMap::new();
        for entry in std::fs::read_dir(self.folder.join("kafka/log"))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Some((topic, _)) = name.rsplit_once('-')
                && entry.path().is_dir()
            {
                *bytes.entry(topic.to_owned()).or_default() += size(&entry.path(), Some("log"));
            }
        }
        Ok(bytes)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            (client.stop)();
        }
        self.node = None;
    }
}

/// Pays on the embedded driver, in a folder of its own.
pub fn embedded(plan: Plan) -> Result<Figures> {
    let folder = tempfile::tempdir()?;
    let config = Config { data: folder.path().join("data"), partitions: PARTITIONS, ..Config::default() };
    let Running { platform, log, registry, stop, .. } = up::embedded(&config)?;
    let figures = load::run(platform.as_ref(), log.as_ref(), &registry, &plan, true);
    stop();
    figures
}

/// Memory of a process, in mebibytes. Source: proc(5), `VmRSS` of `/proc/<pid>/status`.
pub fn memory(process: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? / 1_024)
}
