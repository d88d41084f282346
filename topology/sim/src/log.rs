//! The log in memory, with transactions as Kafka has them: records of an open transaction take their offsets at once and
//! hold back every reader behind them; its end is decided in one place and then told to each partition by a marker, which
//! takes an offset too and may come late; records of an aborted transaction stay where they are and are never seen.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use tributary_flow::log::{Log, LogError, Logged};
use tributary_flow::{Timestamp, time};

use crate::random::Random;

/// Names a transaction of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TransactionId(u64);

/// The two parts of a transaction that was torn, each by topic and partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Torn {
    /// Here it was committed.
    pub committed: BTreeSet<(String, u32)>,
    /// Here it was not, and is aborted.
    pub left: BTreeSet<(String, u32)>,
}

/// How long a compacted topic keeps what deletes a key.
const KEEPS_TOMBSTONES: i64 = 7 * time::DAY;

#[derive(Debug)]
enum Entry {
    Record {
        transaction: Option<TransactionId>,
        record: Logged,
        written: Timestamp,
    },
    Marker,
    /// Another record of its key came later, and the topic was compacted since.
    Gone,
}

#[derive(Debug, Default)]
struct Partition {
    entries: Vec<Entry>,
    /// Where each transaction begins here whose marker is not written yet.
    open: BTreeMap<TransactionId, u64>,
}

impl Partition {
    /// Readers see nothing at or above this.
    fn stable_end(&self) -> u64 {
        self.open.values().copied().min().unwrap_or(self.entries.len() as u64)
    }

    /// What a transaction has open here is another's from now on.
    fn give(&mut self, from: TransactionId, to: TransactionId) {
        let begin = self.open.remove(&from);
        self.open.extend(begin.map(|begin| (to, begin)));
        for entry in &mut self.entries {
            if let Entry::Record { transaction, .. } = entry
                && *transaction == Some(from)
            {
                *transaction = Some(to);
            }
        }
    }
}

/// Every topic of a simulation; a topic is there once it is written.
#[derive(Debug)]
pub struct MemoryLog {
    count: u32,
    topics: BTreeMap<String, Vec<Partition>>,
    /// Whether each transaction was committed, once that is decided.
    decided: BTreeMap<TransactionId, bool>,
    /// Decided, and not yet told to these partitions.
    untold: Vec<(TransactionId, String, u32)>,
    begun: u64,
    torn: Option<Torn>,
    /// Goes up whenever readers may see more.
    version: u64,
}

impl MemoryLog {
    pub(crate) fn new(partitions: u32) -> Self {
        MemoryLog {
            count: partitions,
            topics: BTreeMap::new(),
            decided: BTreeMap::new(),
            untold: Vec::new(),
            begun: 0,
            torn: None,
            version: 0,
        }
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
        written: Timestamp,
    ) -> u64 {
        assert!(partition < self.count, "invariant: {topic} has {} partitions and no number {partition}", self.count);
        if !self.topics.contains_key(topic) {
            let partitions = (0..self.count).map(|_| Partition::default()).collect();
            self.topics.insert(topic.to_owned(), partitions);
        }
        let partitions = self.topics.get_mut(topic).expect("invariant: it was made above");
        let partition = &mut partitions[partition as usize];
        let offset = partition.entries.len() as u64;
        record.offset = offset;
        if let Some(transaction) = transaction {
            partition.open.entry(transaction).or_insert(offset);
        } else {
            self.version += 1;
        }
        partition.entries.push(Entry::Record { transaction, record, written });
        offset
    }

    /// Decides how a transaction ends; its readers learn of it with the markers.
    pub(crate) fn decide(&mut self, transaction: TransactionId, commit: bool) {
        let was = self.decided.insert(transaction, commit);
        assert!(was.is_none(), "invariant: a transaction ends once");
        for (topic, partitions) in &self.topics {
            let open = (0..).zip(partitions).filter(|(_, partition)| partition.open.contains_key(&transaction));
            self.untold.extend(open.map(|(partition, _)| (transaction, topic.clone(), partition)));
        }
    }

    /// Tears an open transaction: what it wrote to some of its partitions, and not to all, is another's from now on, which is told.
    pub(crate) fn tear(&mut self, transaction: TransactionId, random: &mut Random) -> TransactionId {
        let part = self.begin();
        let (mut torn, mut written) = (Torn::default(), Vec::new());
        for (topic, partitions) in &mut self.topics {
            let open = (0..).zip(partitions).filter(|(_, partition)| partition.open.contains_key(&transaction));
            written.extend(open.map(|(number, partition)| ((topic.clone(), number), partition)));
        }
        for _ in 0..=random.below(written.len() - 1) {
            let (at, partition) = written.swap_remove(random.below(written.len()));
            partition.give(transaction, part);
            torn.committed.insert(at);
        }
        torn.left = written.into_iter().map(|(at, _)| at).collect();
        self.torn = Some(torn);
        part
    }

    /// The transaction that was torn, if one was.
    #[must_use]
    pub fn torn(&self) -> Option<&Torn> {
        self.torn.as_ref()
    }

    /// How many markers are still to be written.
    pub(crate) fn untold(&self) -> usize {
        self.untold.len()
    }

    /// Whether every partition of a transaction that is decided has its marker.
    pub(crate) fn is_told(&self, transaction: TransactionId) -> bool {
        self.untold.iter().all(|(of, _, _)| *of != transaction)
    }

    /// Writes one of the markers.
    pub(crate) fn tell(&mut self, index: usize) {
        let (transaction, topic, partition) = self.untold.swap_remove(index);
        let partitions = self.topics.get_mut(&topic).expect("invariant: a marker is for a topic that was written");
        let partition = &mut partitions[partition as usize];
        partition.open.remove(&transaction);
        partition.entries.push(Entry::Marker);
        self.version += 1;
    }

    /// Goes up whenever readers may see more.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// Where a reader of committed records comes to the end.
    pub(crate) fn stable_end(&self, topic: &str, partition: u32) -> u64 {
        self.partition(topic, partition).map_or(0, Partition::stable_end)
    }

    /// The offset after the last entry of any kind.
    pub(crate) fn uncommitted_end(&self, topic: &str, partition: u32) -> u64 {
        self.partition(topic, partition).map_or(0, |partition| partition.entries.len() as u64)
    }

    fn partition(&self, topic: &str, partition: u32) -> Option<&Partition> {
        self.topics.get(topic)?.get(partition as usize)
    }

    /// Committed records from `from` on.
    pub(crate) fn committed(&self, topic: &str, partition: u32, from: u64) -> impl Iterator<Item = &Logged> {
        self.partition(topic, partition).into_iter().flat_map(move |partition| {
            let end = partition.stable_end() as usize;
            let entries = partition.entries.get(from as usize..end).unwrap_or_default();
            entries.iter().filter_map(|entry| match entry {
                Entry::Record { transaction, record, .. } => self.is_seen(*transaction).then_some(record),
                Entry::Marker | Entry::Gone => None,
            })
        })
    }

    fn is_seen(&self, transaction: Option<TransactionId>) -> bool {
        transaction.is_none_or(|transaction| self.decided.get(&transaction) == Some(&true))
    }

    /// A topic is made anew, empty. Nothing of it may be under way.
    pub(crate) fn forget(&mut self, topic: &str) {
        self.topics.remove(topic);
        self.version += 1;
    }

    /// Compacts a topic: of each key the last committed record stays, and what deletes a key only for a while.
    pub(crate) fn compact(&mut self, topic: &str, now: Timestamp) {
        let Some(partitions) = self.topics.get_mut(topic) else { return };
        let decided = &self.decided;
        for partition in partitions {
            let end = partition.stable_end() as usize;
            let mut later = BTreeSet::new();
            for entry in partition.entries[..end].iter_mut().rev() {
                let Entry::Record { transaction, record, written } = entry else { continue };
                let seen = transaction.is_none_or(|transaction| decided.get(&transaction) == Some(&true));
                let old = record.value.is_none() && now.0 - written.0 > KEEPS_TOMBSTONES;
                if !seen || !later.insert(record.key.clone()) || old {
                    *entry = Entry::Gone;
                }
            }
        }
    }

    /// A digest of every committed record, in order of topic, partition and offset: equal digests, equal runs.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        let mut write = |bytes: Option<&[u8]>| {
            hasher.update(&bytes.map_or(u64::MAX, |bytes| bytes.len() as u64).to_le_bytes());
            hasher.update(bytes.unwrap_or_default());
        };
        let places =
            self.topics.iter().flat_map(|(topic, partitions)| (0..partitions.len() as u32).map(move |at| (topic, at)));
        for (topic, partition) in places {
            for record in self.committed(topic, partition, 0) {
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

    fn written(&self, topic: &str, partition: u32) -> Result<u64, LogError> {
        Ok(self.uncommitted_end(topic, partition))
    }

    fn read(&self, topic: &str, partition: u32, from: u64, limit: usize) -> Result<Vec<Logged>, LogError> {
        Ok(self.committed(topic, partition, from).take(limit).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(log: &mut MemoryLog, transaction: Option<TransactionId>, key: &str, value: Option<&str>, at: i64) -> u64 {
        let record = Logged {
            key: Some(key.as_bytes().to_vec()),
            value: value.map(|value| value.as_bytes().to_vec()),
            ..Default::default()
        };
        log.append(transaction, "t", 0, record, Timestamp(at))
    }

    fn offsets(log: &MemoryLog) -> Vec<u64> {
        log.read("t", 0, 0, 99).unwrap().iter().map(|record| record.offset).collect()
    }

    fn end(log: &mut MemoryLog, transaction: TransactionId, commit: bool) {
        log.decide(transaction, commit);
        while log.untold() > 0 {
            log.tell(0);
        }
    }

    #[test]
    fn an_open_transaction_holds_readers_back_and_an_aborted_one_is_never_seen() {
        let mut log = MemoryLog::new(1);
        let (one, two) = (log.begin(), log.begin());
        for transaction in [None, Some(one), Some(two), None] {
            write(&mut log, transaction, "k", None, 0);
        }
        assert_eq!((offsets(&log), log.range("t", 0).unwrap()), (vec![0], 0..1));
        end(&mut log, one, false);
        assert_eq!((offsets(&log), log.range("t", 0).unwrap()), (vec![0], 0..2));
        log.decide(two, true);
        assert_eq!((offsets(&log), log.is_told(two)), (vec![0], false), "it is committed, and its marker is late");
        log.tell(0);
        assert_eq!((offsets(&log), log.range("t", 0).unwrap(), log.is_told(two)), (vec![0, 2, 3], 0..6, true));
    }

    #[test]
    fn a_torn_transaction_is_seen_in_a_part_of_its_partitions_and_the_rest_is_still_open() {
        for seed in 0..20 {
            let mut log = MemoryLog::new(3);
            let whole = log.begin();
            for partition in [0, 1, 2, 1] {
                log.append(Some(whole), "t", partition, Logged::default(), Timestamp(0));
            }
            let part = log.tear(whole, &mut Random::new(seed));
            end(&mut log, part, true);
            let Torn { committed, left } = log.torn().unwrap().clone();
            assert!(!committed.is_empty() && !left.is_empty() && committed.len() + left.len() == 3);
            let seen = |log: &MemoryLog| (0..3).map(|at| log.read("t", at, 0, 9).unwrap().len()).collect::<Vec<_>>();
            let expected = |at: u32| if committed.contains(&("t".to_owned(), at)) { [1, 2, 1][at as usize] } else { 0 };
            let expected: Vec<usize> = (0..3).map(expected).collect();
            assert_eq!((seen(&log), log.is_told(part)), (expected.clone(), true));
            assert!(left.iter().all(|(topic, at)| log.stable_end(topic, *at) == 0), "it is open there");
            end(&mut log, whole, false);
            assert_eq!(seen(&log), expected);
        }
    }

    #[test]
    fn compaction_keeps_the_last_of_each_key_and_a_deletion_for_a_while() {
        let mut log = MemoryLog::new(1);
        for (key, value, at) in [("a", Some("1"), 0), ("b", Some("1"), 0), ("a", Some("2"), 1), ("b", None, 1)] {
            write(&mut log, None, key, value, at);
        }
        let open = log.begin();
        write(&mut log, Some(open), "a", None, 2);
        log.compact("t", Timestamp(KEEPS_TOMBSTONES));
        assert_eq!(offsets(&log), [2, 3]);
        log.compact("t", Timestamp(KEEPS_TOMBSTONES + 2));
        assert_eq!(offsets(&log), [2], "what deleted b is forgotten, and what is not committed deletes nothing");
        end(&mut log, open, false);
    }
}
