//! What a driver has, in memory: a log and the stores of every task, committed one epoch at a time. For tests and benchmarks
//! that want nothing of a transaction but what it says.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::engine::{Commit, Engine, Epoch, EpochFailed, Stores};
use crate::log::{Log, LogError, Logged};
use crate::record::Input;
use crate::store::{MemoryStore, Store};
use crate::{Node, Timestamp, TopicRef};

/// A world in memory.
#[derive(Clone, Default)]
pub struct World {
    /// Partitions of every topic.
    pub partitions: u32,
    /// Records by topic and partition.
    pub log: BTreeMap<(String, u32), Vec<Logged>>,
    /// State by node and partition.
    pub stores: BTreeMap<(&'static str, u32), MemoryStore>,
    empty: MemoryStore,
}

impl Stores for World {
    fn store(&self, node: &'static Node, partition: u32) -> &dyn Store {
        self.stores.get(&(node.name, partition)).unwrap_or(&self.empty)
    }
}

impl Log for World {
    fn partitions(&self) -> u32 {
        self.partitions
    }

    fn range(&self, topic: &str, partition: u32) -> Result<Range<u64>, LogError> {
        Ok(0..self.end(topic, partition))
    }

    fn read(&self, topic: &str, partition: u32, from: u64, limit: usize) -> Result<Vec<Logged>, LogError> {
        let records = self.log.get(&(topic.to_owned(), partition)).map_or(&[][..], Vec::as_slice);
        Ok(records.iter().skip(usize::try_from(from).unwrap_or(usize::MAX)).take(limit).cloned().collect())
    }
}

impl World {
    /// An empty one.
    #[must_use]
    pub fn new(partitions: u32) -> Self {
        World { partitions, ..World::default() }
    }

    fn end(&self, topic: &str, partition: u32) -> u64 {
        self.log.get(&(topic.to_owned(), partition)).map_or(0, |records| records.len() as u64)
    }

    /// Writes a record at the end; where that was.
    pub fn append(&mut self, topic: &str, partition: u32, record: Logged) -> u64 {
        let records = self.log.entry((topic.to_owned(), partition)).or_default();
        let offset = records.len() as u64;
        records.push(Logged { offset, ..record });
        offset
    }

    /// Writes a record as anyone who may could.
    pub fn write(&mut self, topic: TopicRef, partition: u32, key: Option<Vec<u8>>, value: Option<Vec<u8>>) -> Input {
        let record = Logged { key: key.clone(), value: value.clone(), ..Logged::default() };
        let offset = self.append(topic.name, partition, record);
        Input { topic, partition, offset, key, value }
    }

    /// Runs an epoch over inputs that are written, and leaves it at that.
    ///
    /// # Errors
    /// The epoch failed.
    pub fn run(
        &self,
        engine: &mut Engine,
        now: Timestamp,
        timers: u32,
        fused: bool,
        inputs: &[Input],
    ) -> Result<Commit, EpochFailed> {
        let ends = |topic: TopicRef, partition| {
            let end = self.end(topic.name, partition);
            Some(end..end)
        };
        engine.epoch(self, Epoch { now, timers, ends: fused.then_some(&ends) }, inputs)
    }

    /// Takes in what an epoch made.
    pub fn commit(&mut self, commit: &Commit) {
        for record in &commit.records {
            let headers = record.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
            let (key, value) = (record.key.clone(), record.value.clone());
            self.append(record.target.name(), record.partition, Logged { offset: 0, key, value, headers });
        }
        for task in &commit.tasks {
            if let Some(journal) = &task.journal {
                let entry = Logged { value: Some(journal.encode()), ..Logged::default() };
                self.append(&task.node.journal(), task.partition, entry);
            }
            self.stores.entry((task.node.name, task.partition)).or_default().apply(&task.changes);
        }
    }
}
