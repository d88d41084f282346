//! The processes under test, and who starts them again: `tributary up` three times, each with a slot and a data folder of its
//! own, the third behind the proxies where there are any.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use serde_json::Value;
use tributary_tests::recovery::Node;

use crate::brokers::Brokers;
use crate::plan::{PROCESSES, PROXIED};

/// How long it takes until a process that ended by itself is started again.
const PAUSE: Duration = Duration::from_secs(1);

struct Member {
    slot: String,
    /// Where its state is.
    data: PathBuf,
    brokers: String,
    node: Option<Node>,
    /// When it is started, if it does not run.
    due: Instant,
    starts: u32,
}

/// All processes.
pub struct Fleet {
    program: PathBuf,
    folder: PathBuf,
    members: Vec<Member>,
    /// Why processes ended that nobody killed, and how often.
    pub ended: BTreeMap<String, u32>,
    /// What every process is started with beside its own.
    pub arguments: Vec<String>,
}

impl Fleet {
    /// The processes of a cluster, not yet started.
    pub fn new(program: &Path, folder: &Path, brokers: &Brokers) -> Result<Self> {
        std::fs::write(folder.join("node.toml"), "log = \"info\"\n")?;
        let member = |number: usize| Member {
            slot: format!("slot-{number}"),
            data: folder.join(format!("data-{number}")),
            brokers: if number == PROXIED { brokers.proxied.clone() } else { brokers.bootstrap.clone() },
            node: None,
            due: Instant::now(),
            starts: 0,
        };
        let members = (0..PROCESSES).map(member).collect();
        let (program, folder) = (program.to_owned(), folder.to_owned());
        Ok(Fleet { program, folder, members, ended: BTreeMap::new(), arguments: Vec::new() })
    }

    /// The folders of state.
    pub fn folders(&self) -> impl Iterator<Item = &Path> {
        self.members.iter().map(|member| member.data.as_path())
    }

    /// The folder of a process's state.
    pub fn folder(&self, process: usize) -> &Path {
        &self.members[process].data
    }

    /// The process's id, if it runs.
    pub fn id(&self, process: usize) -> Option<u32> {
        self.members[process].node.as_ref().map(Node::id)
    }

    /// The partitions that a process runs, by its own account.
    pub fn owned(&self, process: usize) -> BTreeSet<u32> {
        let health = self.members[process].node.as_ref().and_then(|node| node.health().ok()).unwrap_or_default();
        let tasks = health["tasks"].as_array().cloned().unwrap_or_default();
        tasks.iter().filter_map(|task| u32::try_from(task["partition"].as_u64()?).ok()).collect()
    }

    /// Kills a process, to be started again after a pause; false where it does not run.
    pub fn kill9(&mut self, process: usize, pause: Duration) -> bool {
        let member = &mut self.members[process];
        member.due = Instant::now() + pause;
        member.node.take().is_some_and(|node| {
            let runs = node.ended().is_none();
            node.kill9();
            runs
        })
    }

    /// Starts a process that is down, now.
    pub fn start(&mut self, process: usize) -> Result<()> {
        self.members[process].due = Instant::now();
        self.tend()
    }

    /// Freezes a process; false where it does not run.
    pub fn freeze(&self, process: usize) -> bool {
        let node = self.members[process].node.as_ref().filter(|node| node.ended().is_none());
        node.map(Node::freeze).is_some()
    }

    /// Lets a process go on.
    pub fn thaw(&self, process: usize) {
        self.members[process].node.iter().for_each(Node::thaw);
    }

    /// Notes which have ended by themselves, and starts what is due to be started again.
    pub fn tend(&mut self) -> Result<()> {
        for member in &mut self.members {
            if let Some(status) = member.node.as_ref().and_then(Node::ended) {
                let said = member.node.take().map_or_else(String::new, |node| node.last_words());
                eprintln!("  {} ended by itself ({status}): {said}", member.slot);
                *self.ended.entry(reason(&said)).or_default() += 1;
                member.due = Instant::now() + PAUSE;
            }
            if member.node.is_none() && Instant::now() >= member.due {
                member.starts += 1;
                member.node = Some(member.start(&self.program, &self.folder, &self.arguments)?);
            }
        }
        Ok(())
    }

    /// Waits until every process runs, one that ended by itself started again, every partition is run by someone, nothing is left
    /// to do, and no task is halted.
    pub fn rest(&mut self, partitions: usize, bound: Duration) -> Result<()> {
        self.wait(bound, |health| {
            health.len() == PROCESSES && are_there(health, partitions, |task| runs(task) && near(&task["lag"], 0))
        })
    }

    /// Waits until every task runs somewhere, none is halted, and none is further behind than so many records.
    pub fn settle(&mut self, partitions: usize, lag: u64, bound: Duration) -> Result<()> {
        self.wait(bound, |health| are_there(health, partitions, |task| runs(task) && near(&task["lag"], lag)))
    }

    /// Waits until every task runs somewhere and none is further behind, views apart whose stores are restored while others pay.
    pub fn pay(&mut self, partitions: usize, lag: u64, bound: Duration) -> Result<()> {
        self.wait(bound, |health| are_there(health, partitions, |task| !runs(task) || near(&task["lag"], lag)))
    }

    /// Waits until every process keeps what others run ready, but for so many records.
    pub fn stand_by(&mut self, lag: u64, bound: Duration) -> Result<()> {
        self.wait(bound, |health| {
            health.len() == PROCESSES && health.iter().all(|health| near(&health["standby_lag"], lag))
        })
    }

    /// Waits until what those that run say of themselves is as wanted.
    fn wait(&mut self, bound: Duration, wanted: impl Fn(&[Value]) -> bool) -> Result<()> {
        let since = Instant::now();
        loop {
            self.tend()?;
            let health = self.members.iter().filter_map(|member| member.node.as_ref()?.health().ok());
            let health: Vec<_> = health.collect();
            if wanted(&health) {
                return Ok(());
            }
            ensure!(since.elapsed() < bound, "not at rest after {bound:?}: {health:?}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Ends all of them in good order.
    pub fn stop(&mut self) -> Result<()> {
        for member in &mut self.members {
            match member.node.take() {
                Some(node) => node.stop(),
                None => bail!("{} does not run", member.slot),
            }
        }
        Ok(())
    }
}

impl Member {
    fn start(&self, program: &Path, folder: &Path, arguments: &[String]) -> Result<Node> {
        let (settings, data) = (folder.join("node.toml"), self.data.display().to_string());
        let settings = settings.display().to_string();
        let slot = ["--slot", &self.slot, "--data", &data, "--brokers", &self.brokers, "--config", &settings];
        let arguments: Vec<&str> = slot.into_iter().chain(arguments.iter().map(String::as_str)).collect();
        Node::spawn(program, folder, &format!("{}-{:03}", self.slot, self.starts), &arguments)
    }
}

/// Whether each task is told of by some process, none is halted, and all are as wanted.
fn are_there(health: &[Value], partitions: usize, wanted: impl Fn(&Value) -> bool) -> bool {
    let tasks: Vec<_> = health.iter().filter_map(|health| health["tasks"].as_array()).flatten().collect();
    let all = tasks.len() == partitions * tributary_graph::NODES.len();
    all && tasks.iter().all(|task| task["halted"].is_null() && wanted(task))
}

/// Whether a task's store is whole, so that it can run.
fn runs(task: &Value) -> bool {
    task["restoring"] == false
}

fn near(lag: &Value, most: u64) -> bool {
    lag.as_u64().is_some_and(|lag| lag <= most)
}

/// The kind of a last line: what comes before the particulars.
fn reason(said: &str) -> String {
    said.split([':', ';']).take(2).collect::<Vec<_>>().join(":")
}
