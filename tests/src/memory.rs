//! A log and the stores of every task in memory, with the whole graph over them: the engine that every driver runs, without
//! a driver. For tests and benchmarks that want nothing of a transaction but what it says.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use tributary_cli::wiring::{self, Schemas};
use tributary_flow::{
    Commit, Engine, Epoch, Input, Log, LogError, Logged, MemoryStore, Node, Setup, Store, Stores, Task, Timestamp,
    TopicRef,
};

/// Partitions of every topic.
pub const PARTITIONS: u32 = 2;

/// A day in 2026, when the golden data were not stale yet.
pub const NOW: Timestamp = Timestamp(1_790_000_000_000_000);

/// What was committed.
#[derive(Clone, Default)]
pub struct World {
    /// Records by topic and partition.
    pub log: BTreeMap<(String, u32), Vec<Logged>>,
    /// Rows by node and partition.
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
        PARTITIONS
    }

    fn range(&self, topic: &str, partition: u32) -> Result<Range<u64>, LogError> {
        Ok(0..self.log.get(&(topic.to_owned(), partition)).map_or(0, |records| records.len() as u64))
    }

    fn read(&self, topic: &str, partition: u32, from: u64, limit: usize) -> Result<Vec<Logged>, LogError> {
        let records = self.log.get(&(topic.to_owned(), partition)).map_or(&[][..], Vec::as_slice);
        Ok(records.iter().skip(usize::try_from(from).unwrap_or(usize::MAX)).take(limit).cloned().collect())
    }
}

/// What the tasks share.
#[must_use]
pub fn setup() -> Setup {
    wiring::setup(PARTITIONS, Arc::new(Schemas::compiled()))
}

/// The tasks of every node.
#[must_use]
pub fn tasks() -> Vec<Box<dyn Task>> {
    let setup = setup();
    (0..PARTITIONS).flat_map(|partition| wiring::tasks(partition, &setup, &|_| true)).collect()
}

impl World {
    fn append(&mut self, topic: &str, partition: u32, mut record: Logged) -> u64 {
        let records = self.log.entry((topic.to_owned(), partition)).or_default();
        record.offset = records.len() as u64;
        records.push(record);
        records.len() as u64 - 1
    }

    /// Writes a record as anyone who may could.
    pub fn write(&mut self, topic: TopicRef, partition: u32, key: Option<Vec<u8>>, value: Option<Vec<u8>>) -> Input {
        let record = Logged { key: key.clone(), value: value.clone(), ..Logged::default() };
        let offset = self.append(topic.name, partition, record);
        Input { topic, partition, offset, key, value }
    }

    /// Runs an epoch of these inputs, or of the timers that are due where there are none, and commits it.
    ///
    /// # Errors
    /// The epoch failed.
    pub fn epoch(&mut self, engine: &mut Engine, now: Timestamp, inputs: &[Input]) -> Result<Commit, String> {
        let commit = self.run(engine, now, inputs)?;
        self.take(&commit);
        Ok(commit)
    }

    /// Runs an epoch of these inputs, or of the timers that are due where there are none, and leaves it at that.
    ///
    /// # Errors
    /// The epoch failed.
    pub fn run(&self, engine: &mut Engine, now: Timestamp, inputs: &[Input]) -> Result<Commit, String> {
        let timers = if inputs.is_empty() { 1_000 } else { 0 };
        let ends = |topic: TopicRef, partition| {
            let end = self.log.get(&(topic.name.to_owned(), partition)).map_or(0, |records| records.len() as u64);
            Some(end..end)
        };
        let epoch = Epoch { now, timers, ends: Some(&ends) };
        engine.epoch(self, epoch, inputs).map_err(|failed| failed.0)
    }

    /// Takes in what an epoch made.
    pub fn take(&mut self, commit: &Commit) {
        for record in &commit.records {
            let headers = record.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
            let (key, value) = (record.key.clone(), record.value.clone());
            self.append(record.target.name(), record.partition, Logged { offset: 0, key, value, headers });
        }
        for task in &commit.tasks {
            let entry = Logged { value: Some(task.journal.encode()), ..Logged::default() };
            self.append(&task.node.journal(), task.partition, entry);
            self.stores.entry((task.node.name, task.partition)).or_default().apply(&task.changes);
        }
    }
}

/// The tasks that are halted, and why.
#[must_use]
pub fn halted(engine: &Engine) -> Vec<String> {
    let said = |(task, halted): (&dyn Task, Option<&str>)| {
        halted.map(|reason| format!("{}[{}]: {reason}", task.node().name, task.partition()))
    };
    engine.tasks().filter_map(said).collect()
}
