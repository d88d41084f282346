//! `tributary up` as a process of its own, to be killed.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tributary_cli::managed::free_port;
use tributary_cli::managed::process::{Process, Program};
use tributary_cli::wiring::wall_clock;
use tributary_flow::Timestamp;

/// Longest wait for `/readiness`.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running node with its API, stopped on drop.
pub struct Node {
    /// Where its API listens.
    pub url: String,
    /// When its process was started.
    pub started_at: Timestamp,
    /// From the start of the process to the first good answer of `/readiness`.
    pub ready_after: Duration,
    process: Process,
}

impl Node {
    /// Starts `tributary up` with these arguments, its log and its pid file in `folder`, and waits until it is ready.
    ///
    /// # Errors
    /// It ends, or is not ready in time; with the end of its log.
    pub fn start(program: &Path, folder: &Path, arguments: &[&str]) -> Result<Self> {
        let address = format!("127.0.0.1:{}", free_port()?);
        let own = ["up", "--http", &address];
        let program = Program {
            name: "tributary up",
            path: PathBuf::from(program),
            arguments: own.iter().chain(arguments).map(Into::into).collect(),
            log: folder.join("node.log"),
            pid_file: folder.join("node.pid"),
        };
        let url = format!("http://{address}");
        let (started, started_at) = (Instant::now(), wall_clock());
        let process = Process::start(program)?;
        let readiness = format!("{url}/readiness");
        process.wait_until(PATIENCE, || ureq::get(&readiness).call().is_ok()).with_context(|| {
            let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
            let health =
                agent.get(&format!("{url}/health")).call().and_then(|mut answer| answer.body_mut().read_to_string());
            format!("its health is {health:?}")
        })?;
        Ok(Node { url, started_at, ready_after: started.elapsed(), process })
    }

    /// Ends it without giving it a chance to tidy up.
    pub fn kill9(&self) {
        self.process.kill9();
    }

    /// Ends it in good order.
    pub fn stop(self) {
        self.process.stop();
    }
}
