//! A log at rest, read once: the audits and replays of a run visit every topic many times, and over a network each visit
//! costs.

use std::collections::BTreeMap;
use std::ops::Range;

use tributary_flow::{DEAD_LETTERS, Log, LogError, Logged, Node, log};
use tributary_graph::{TOPICS, writers};

/// Every record of the graph's topics, of the dead letters and of the journals.
pub struct Snapshot {
    partitions: u32,
    kept: BTreeMap<(String, u32), (Range<u64>, Vec<Logged>)>,
}

impl Snapshot {
    /// Reads a log.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of(source: &dyn Log) -> Result<Self, LogError> {
        let topics = TOPICS.iter().map(|topic| topic.name.to_owned());
        let journals = writers().map(Node::journal);
        let mut kept = BTreeMap::new();
        for topic in topics.chain(journals).chain([DEAD_LETTERS.to_owned()]) {
            for partition in 0..source.partitions() {
                let mut records = Vec::new();
                log::visit(source, &topic, partition, |record| {
                    records.push(record);
                    Ok::<_, LogError>(())
                })?;
                let range = source.range(&topic, partition)?;
                kept.insert((topic.clone(), partition), (range, records));
            }
        }
        Ok(Snapshot { partitions: source.partitions(), kept })
    }

    fn partition(&self, topic: &str, partition: u32) -> Result<&(Range<u64>, Vec<Logged>), LogError> {
        let found = self.kept.get(&(topic.to_owned(), partition));
        found.ok_or_else(|| LogError(format!("{topic}[{partition}] is not in the snapshot")))
    }
}

impl Log for Snapshot {
    fn partitions(&self) -> u32 {
        self.partitions
    }

    fn range(&self, topic: &str, partition: u32) -> Result<Range<u64>, LogError> {
        Ok(self.partition(topic, partition)?.0.clone())
    }

    fn read(&self, topic: &str, partition: u32, from: u64, limit: usize) -> Result<Vec<Logged>, LogError> {
        let (_, records) = self.partition(topic, partition)?;
        let first = records.partition_point(|record| record.offset < from);
        Ok(records[first..].iter().take(limit).cloned().collect())
    }
}
