//! `tributary up` as a process of its own, to be killed.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;
use tributary_cli::managed::free_port;
use tributary_cli::managed::process::{Process, Program};
use tributary_cli::wiring::wall_clock;
use tributary_flow::Timestamp;

/// Longest wait for `/readiness`.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest wait for `/health`.
const HEALTH: Duration = Duration::from_millis(500);

/// A running node with its API, stopped on drop.
pub struct Node {
    /// Where its API listens.
    pub url: String,
    /// When its process was started.
    pub started_at: Timestamp,
    /// From the start of the process to the first good answer of `/readiness`.
    pub ready_after: Duration,
    log: PathBuf,
    process: Process,
}

impl Node {
    /// Starts `tributary up` with these arguments, its log and its pid file in `folder`, and waits until it is ready.
    ///
    /// # Errors
    /// It ends, or is not ready in time; with the end of its log.
    pub fn start(program: &Path, folder: &Path, arguments: &[&str]) -> Result<Self> {
        let started = Instant::now();
        let mut node = Self::spawn(program, folder, "node", arguments)?;
        let readiness = format!("{}/readiness", node.url);
        node.process
            .wait_until(PATIENCE, || ureq::get(&readiness).call().is_ok())
            .with_context(|| format!("its health is {:?}", node.health()))?;
        node.ready_after = started.elapsed();
        Ok(node)
    }

    /// Starts `tributary up` as `start` does, its files under this name, and waits for nothing.
    ///
    /// # Errors
    /// There is no such program, or no port.
    pub fn spawn(program: &Path, folder: &Path, name: &str, arguments: &[&str]) -> Result<Self> {
        let address = format!("127.0.0.1:{}", free_port()?);
        let own = ["up", "--http", &address];
        let log = folder.join(format!("{name}.log"));
        let program = Program {
            name: "tributary up",
            path: PathBuf::from(program),
            arguments: own.iter().chain(arguments).map(Into::into).collect(),
            log: log.clone(),
            pid_file: folder.join(format!("{name}.pid")),
        };
        let (url, started_at) = (format!("http://{address}"), wall_clock());
        Ok(Node { url, started_at, ready_after: Duration::ZERO, log, process: Process::start(program)? })
    }

    /// What `/health` says, whatever its status.
    ///
    /// # Errors
    /// It does not answer.
    pub fn health(&self) -> Result<Value> {
        let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(HEALTH)).build();
        let agent: ureq::Agent = config.into();
        Ok(agent.get(&format!("{}/health", self.url)).call()?.body_mut().read_json()?)
    }

    /// How it ended, if it has.
    #[must_use]
    pub fn ended(&self) -> Option<ExitStatus> {
        self.process.ended()
    }

    /// The last line that it wrote.
    #[must_use]
    pub fn last_words(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        log.lines().last().unwrap_or_default().to_owned()
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Ends it without giving it a chance to tidy up.
    pub fn kill9(&self) {
        self.process.kill9();
    }

    /// Stops its threads where they are.
    pub fn freeze(&self) {
        self.process.freeze();
    }

    /// Lets its threads go on.
    pub fn thaw(&self) {
        self.process.thaw();
    }

    /// Ends it in good order.
    pub fn stop(self) {
        self.process.stop();
    }
}
