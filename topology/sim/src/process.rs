//! A process of a simulation: the nodes of one placement, their stores on its own disk, and an engine that dies with it.

use std::collections::BTreeMap;

use tributary_flow::engine::Stores;
use tributary_flow::log::Logged;
use tributary_flow::store::{Changes, Store};
use tributary_flow::{Commit, Engine, Foresight, Log, MemoryStore, Node, Task, Timestamp, TopicPartition};

use crate::log::{MemoryLog, TransactionId};
use crate::random::Random;

/// Makes the tasks of all nodes for a partition.
pub(crate) type Make = Box<dyn Fn(u32) -> Vec<Box<dyn Task>>>;

/// A task's store on disk.
#[derive(Debug, Default)]
struct Disk {
    rows: MemoryStore,
    /// Where in the changelog to roll forward from: a lower bound of what the rows hold.
    applied: u64,
}

#[derive(Default)]
pub(crate) struct Disks(BTreeMap<(&'static str, u32), Disk>);

impl Stores for Disks {
    fn store(&self, node: &'static Node, partition: u32) -> &dyn Store {
        self.rows(node.name, partition).expect("invariant: a store for every task of the engine")
    }
}

impl Disks {
    pub fn rows(&self, node: &str, partition: u32) -> Option<&MemoryStore> {
        let found = self.0.iter().find(|((name, number), _)| *name == node && *number == partition);
        found.map(|(_, disk)| &disk.rows)
    }

    fn disk(&mut self, node: &'static str, partition: u32) -> &mut Disk {
        self.0.entry((node, partition)).or_default()
    }
}

/// A process that is up.
pub(crate) struct Running {
    pub engine: Engine,
    pub foresight: Foresight,
    /// What must be read before timers fire.
    unread: Vec<(TopicPartition, u64)>,
}

pub(crate) struct Process {
    nodes: Vec<&'static str>,
    pub disks: Disks,
    /// `None` while it is down.
    pub running: Option<Running>,
    /// The transaction it has open, or left open when it died.
    pub transaction: Option<TransactionId>,
    /// Commits begun over all its lives.
    pub attempts: u64,
}

impl Process {
    /// A process that was never started.
    pub fn new(nodes: Vec<&'static str>) -> Self {
        Process { nodes, disks: Disks::default(), running: None, transaction: None, attempts: 0 }
    }

    /// Starts it: the last life's transaction is aborted, the stores roll forward, and the tasks begin anew. With
    /// `changelog`, a disk may have been lost in between.
    pub fn start(&mut self, make: &Make, log: &mut MemoryLog, changelog: bool, random: &mut Random) {
        if let Some(left_open) = self.transaction.take() {
            log.end(left_open, false);
        }
        let tasks: Vec<_> =
            (0..log.partitions()).flat_map(make).filter(|task| self.nodes.contains(&task.node().name)).collect();
        let mut unread = Vec::new();
        for task in &tasks {
            let (node, partition) = (task.node(), task.partition());
            let disk = self.disks.disk(node.name, partition);
            if changelog {
                if random.chance(1, 3) {
                    *disk = Disk::default();
                }
                roll_forward(disk, node, partition, log);
            }
            unread.extend(
                node.inputs
                    .iter()
                    .map(|topic| (TopicPartition { topic, partition }, log.uncommitted_end(topic.name, partition))),
            );
        }
        self.running = Some(Running { engine: Engine::new(tasks), foresight: Foresight::default(), unread });
    }

    /// Takes a commit into the stores.
    pub fn apply(&mut self, commit: &Commit, log: &MemoryLog, random: &mut Random) {
        for task in &commit.tasks {
            let disk = self.disks.disk(task.node.name, task.partition);
            disk.rows.apply(&task.changes);
            // The end is asked for now and then only, so a restart re-applies some of what the store holds.
            if random.chance(1, 4) {
                disk.applied = log.uncommitted_end(&task.node.changelog(), task.partition);
            }
        }
    }

    /// What it has while it is up.
    pub fn up(&mut self) -> &mut Running {
        self.running.as_mut().expect("invariant: only a process that is up commits")
    }

    /// Whether it runs `node`, when it is up.
    pub fn runs(&self, node: &str) -> bool {
        self.nodes.contains(&node)
    }

    /// Whether it still reads what was there when it started, so that its timers must wait.
    pub fn reads_on(&self) -> bool {
        self.running.as_ref().is_none_or(|running| !running.unread.is_empty())
    }

    /// The partitions with something to read, and whether a timer is due.
    pub fn work(&mut self, log: &MemoryLog, now: Timestamp) -> (Vec<(TopicPartition, u64)>, bool) {
        let Some(Running { engine, unread, .. }) = &mut self.running else { return (Vec::new(), false) };
        let positions = engine.positions(&self.disks);
        unread.retain(|(at, end)| {
            let position = positions.iter().find(|(read, _)| read == at).map_or(*end, |(_, position)| *position);
            position < *end && log.holds(at.topic.name, at.partition, position..*end)
        });
        let due = unread.is_empty() && engine.next_timer(&self.disks).is_some_and(|next| next <= now);
        let readable = |(at, position): &(TopicPartition, u64)| {
            log.committed(at.topic.name, at.partition, *position).next().is_some()
        };
        (positions.into_iter().filter(readable).collect(), due)
    }
}

/// Applies the committed changelog from the lower bound on: changes name values, so that applying one twice is applying it
/// once, and applying all in order ends where the last ones say.
fn roll_forward(disk: &mut Disk, node: &Node, partition: u32, log: &MemoryLog) {
    let topic = node.changelog();
    for Logged { key, value, .. } in log.committed(&topic, partition, disk.applied) {
        let key = key.clone().expect("invariant: a change has a key");
        disk.rows.apply(&Changes::from([(key, value.clone())]));
    }
    disk.applied = log.uncommitted_end(&topic, partition);
}
