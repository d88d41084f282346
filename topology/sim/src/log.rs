//! The log in memory, with transactions as Kafka has them: records of an open transaction take their offsets at once and
//! hold back every reader behind them; its end writes a marker, which takes an offset too; records of an aborted
//! transaction stay where they are and are never seen.

use std::collections::BTreeMap;
use std::ops::Range;

use tributary_flow::log::{Log, LogError, Logged};

/// Names a transaction of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TransactionId(u64);

#[derive(Debug)]
enum Entry {
    Record { transaction: Option<TransactionId>, record: Logged },
    Marker,
}

#[derive(Debug, Default)]
struct Partition {
    entries: Vec<Entry>,
    /// Where each open transaction begins here.
    open: BTreeMap<TransactionId, u64>,
}

impl Partition {
    /// Readers see nothing at or above this.
    fn stable_end(&self) -> u64 {
        self.open.values().copied().min().unwrap_or(self.entries.len() as u64)
    }
}

/// Every topic of a simulation; a topic is there once it is written or read.
#[derive(Debug)]
pub struct MemoryLog {
    count: u32,
    partitions: BTreeMap<(String, u32), Partition>,
    /// Whether each transaction was committed.
    ended: BTreeMap<TransactionId, bool>,
    begun: u64,
}

impl MemoryLog {
    pub(crate) fn new(partitions: u32) -> Self {
        MemoryLog { count: partitions, partitions: BTreeMap::new(), ended: BTreeMap::new(), begun: 0 }
    }

    pub(crate) fn begin(&mut self) -> TransactionId {
        self.begun += 1;
        TransactionId(self.begun)
    }

    /// Appends a record, committed at once where there is no transaction; its offset.
    pub(crate) fn append(
        &mut self,
        transaction: Option<TransactionId>,
        topic: &str,
        partition: u32,
        mut record: Logged,
    ) -> u64 {
        assert!(partition < self.count, "invariant: {topic} has {} partitions and no number {partition}", self.count);
        let partition = self.partitions.entry((topic.to_owned(), partition)).or_default();
        let offset = partition.entries.len() as u64;
        record.offset = offset;
        if let Some(transaction) = transaction {
            partition.open.entry(transaction).or_insert(offset);
        }
        partition.entries.push(Entry::Record { transaction, record });
        offset
    }

    /// Ends a transaction: a marker in every partition that it wrote to.
    pub(crate) fn end(&mut self, transaction: TransactionId, commit: bool) {
        let was = self.ended.insert(transaction, commit);
        assert!(was.is_none(), "invariant: a transaction ends once");
        for partition in self.partitions.values_mut() {
            if partition.open.remove(&transaction).is_some() {
                partition.entries.push(Entry::Marker);
            }
        }
    }

    /// Where a reader of committed records comes to the end.
    pub(crate) fn stable_end(&self, topic: &str, partition: u32) -> u64 {
        self.partition(topic, partition).map_or(0, Partition::stable_end)
    }

    /// The offset after the last entry of any kind.
    pub(crate) fn uncommitted_end(&self, topic: &str, partition: u32) -> u64 {
        self.partition(topic, partition).map_or(0, |partition| partition.entries.len() as u64)
    }

    /// Whether a record in `range` is committed, or may yet be.
    pub(crate) fn holds(&self, topic: &str, partition: u32, range: Range<u64>) -> bool {
        self.partition(topic, partition).is_some_and(|partition| {
            let entries = partition.entries.get(range.start as usize..range.end as usize).unwrap_or_default();
            entries.iter().any(|entry| match entry {
                Entry::Record { transaction: Some(transaction), .. } => self.ended.get(transaction) != Some(&false),
                Entry::Record { transaction: None, .. } => true,
                Entry::Marker => false,
            })
        })
    }

    fn partition(&self, topic: &str, partition: u32) -> Option<&Partition> {
        self.partitions.get(&(topic.to_owned(), partition))
    }

    /// Committed records from `from` on.
    pub(crate) fn committed(&self, topic: &str, partition: u32, from: u64) -> impl Iterator<Item = &Logged> {
        self.partition(topic, partition).into_iter().flat_map(move |partition| {
            let end = partition.stable_end() as usize;
            let entries = partition.entries.get(from as usize..end).unwrap_or_default();
            entries.iter().filter_map(|entry| match entry {
                Entry::Record { transaction, record } => {
                    transaction.is_none_or(|transaction| self.ended.get(&transaction) == Some(&true)).then_some(record)
                }
                Entry::Marker => None,
            })
        })
    }

    /// A digest of every committed record, in order of topic, partition and offset: equal digests, equal runs.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        let mut write = |bytes: Option<&[u8]>| {
            hasher.update(&bytes.map_or(u64::MAX, |bytes| bytes.len() as u64).to_le_bytes());
            hasher.update(bytes.unwrap_or_default());
        };
        for (topic, partition) in self.partitions.keys() {
            for record in self.committed(topic, *partition, 0) {
                write(Some(topic.as_bytes()));
                write(Some(&partition.to_le_bytes()));
                write(Some(&record.offset.to_le_bytes()));
                write(record.key.as_deref());
                write(record.value.as_deref());
                write(Some(&(record.headers.len() as u64).to_le_bytes()));
                for (name, value) in &record.headers {
                    write(Some(name.as_bytes()));
                    write(Some(value));
                }
            }
        }
        *hasher.finalize().as_bytes()
    }
}

impl Log for MemoryLog {
    fn partitions(&self) -> u32 {
        self.count
    }

    fn range(&self, topic: &str, partition: u32) -> Result<Range<u64>, LogError> {
        Ok(0..self.stable_end(topic, partition))
    }

    fn read(&self, topic: &str, partition: u32, from: u64, limit: usize) -> Result<Vec<Logged>, LogError> {
        Ok(self.committed(topic, partition, from).take(limit).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_transaction_holds_readers_back_and_an_aborted_one_is_never_seen() {
        let mut log = MemoryLog::new(1);
        let offsets =
            |log: &MemoryLog| log.read("t", 0, 0, 99).unwrap().iter().map(|record| record.offset).collect::<Vec<_>>();
        let (one, two) = (log.begin(), log.begin());
        for transaction in [None, Some(one), Some(two), None] {
            log.append(transaction, "t", 0, Logged::default());
        }
        assert_eq!((offsets(&log), log.range("t", 0).unwrap()), (vec![0], 0..1));
        log.end(one, false);
        assert_eq!((offsets(&log), log.range("t", 0).unwrap()), (vec![0], 0..2));
        assert!(log.holds("t", 0, 1..3) && !log.holds("t", 0, 1..2));
        log.end(two, true);
        assert_eq!((offsets(&log), log.range("t", 0).unwrap()), (vec![0, 2, 3], 0..6));
    }
}
