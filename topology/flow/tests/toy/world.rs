//! What a driver has, in memory.

use std::collections::BTreeMap;
use std::ops::Range;

use tributary_flow::{
    Commit, Engine, Epoch, Input, Log, LogError, Logged, MemoryStore, Node, Reader, Store, Stores, Timestamp, TopicRef,
    partition_of,
};

use super::counter;

/// A world in memory: a log and the stores, committed one epoch at a time.
#[derive(Clone, Default)]
pub struct World {
    /// Of every topic.
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
        Ok(0..self.log.get(&(topic.to_owned(), partition)).map_or(0, |records| records.len() as u64))
    }
    fn read(&self, topic: &str, partition: u32, from: u64, limit: usize) -> Result<Vec<Logged>, LogError> {
        let records = self.log.get(&(topic.to_owned(), partition)).map_or(&[][..], Vec::as_slice);
        Ok(records.iter().skip(from as usize).take(limit).cloned().collect())
    }
}

impl World {
    /// An empty one.
    pub fn new(partitions: u32) -> Self {
        World { partitions, ..Default::default() }
    }

    /// Writes a record.
    pub fn append(
        &mut self,
        topic: &str,
        partition: u32,
        key: Option<Vec<u8>>,
        value: Option<Vec<u8>>,
        headers: Vec<(String, Vec<u8>)>,
    ) {
        let records = self.log.entry((topic.to_owned(), partition)).or_default();
        records.push(Logged { offset: records.len() as u64, key, value, headers });
    }

    /// Takes in what an epoch made.
    pub fn commit(&mut self, commit: &Commit) {
        for record in &commit.records {
            let headers = record.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
            self.append(record.target.name(), record.partition, record.key.clone(), record.value.clone(), headers);
        }
        for task in &commit.tasks {
            self.append(&task.node.journal(), task.partition, None, Some(task.journal.encode()), Vec::new());
            self.stores.entry((task.node.name, task.partition)).or_default().apply(&task.changes);
        }
    }

    /// Writes the inputs and runs one epoch over them.
    pub fn epoch(&mut self, engine: &mut Engine, now: i64, inputs: Vec<Input>, fused: bool) -> Commit {
        for input in &inputs {
            self.append(input.topic.name, input.partition, input.key.clone(), input.value.clone(), Vec::new());
        }
        let ends = |topic: TopicRef, partition| {
            let end = self.range(topic.name, partition).expect("in memory").end;
            Some(end..end)
        };
        let epoch = Epoch { now: Timestamp(now), timers: 100, ends: fused.then_some(&ends) };
        let commit = engine.epoch(self, epoch, &inputs).expect("an epoch");
        self.commit(&commit);
        commit
    }

    /// What the counter keeps of a key.
    pub fn sum(&self, key: &str) -> Option<i64> {
        Reader::new(self.store(&counter::NODE, partition_of(key.as_bytes(), self.partitions))).head(key)
    }
}
