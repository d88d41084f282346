//! Topics and nodes as values: what the graph declares and every driver reads.

use std::fmt;

/// What a topic is for. The kind decides who may write it and how it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A door: ordinary commands of clients.
    Commands,
    /// A door: privileged commands.
    AdminCommands,
    /// Facts that others may rely on.
    Events,
    /// A transaction cut per account.
    Legs,
    /// The accounts' answers.
    Votes,
    /// Ledger entries.
    Entries,
    /// The general ledger's journal.
    Journal,
}

impl Kind {
    /// Whether clients write here: commands are deduplicated, checked and, where misrouted, forwarded.
    #[must_use]
    pub fn is_door(self) -> bool {
        matches!(self, Kind::Commands | Kind::AdminCommands)
    }
}

/// A topic of the domain, named `<domain>.<kind>.v<major>`.
#[derive(Debug, PartialEq, Eq)]
pub struct Topic {
    /// Name on the wire.
    pub name: &'static str,
    /// What it is for.
    pub kind: Kind,
    /// What its records are keyed by: `account`, `transaction`.
    pub key: &'static str,
    /// Full name of the envelope record in its one subject, `<name>-value`.
    pub schema: &'static str,
    /// One line for people.
    pub doc: &'static str,
}

/// A topic of the graph; there is one value per topic, so names identify it.
pub type TopicRef = &'static Topic;

/// Where undecodable and misrouted records go, as they came.
pub static DEAD_LETTERS: &str = "tributary.dlq.v1";

/// One partition, whose records bear the time of the log that took them: by it a process compares its clock with the log's.
pub static CLOCK: &str = "tributary.clock.v1";

/// A node: a processor's place in the graph.
#[derive(Debug, PartialEq, Eq)]
pub struct Node {
    /// Name, in lower case.
    pub name: &'static str,
    /// What its state is keyed by.
    pub key: &'static str,
    /// Topics it reads; an input's port is its index here.
    pub inputs: &'static [TopicRef],
    /// Topics it writes; none for a view.
    pub outputs: &'static [TopicRef],
    /// One line for people.
    pub doc: &'static str,
}

impl Node {
    /// Whether the node writes nothing: its state is all it makes.
    #[must_use]
    pub fn is_view(&self) -> bool {
        self.outputs.is_empty()
    }

    /// The topics that are the node's alone: its changelog and its journal. A view has neither: its inputs are kept for ever and
    /// make it again, whatever the order in which it meets them.
    #[must_use]
    pub fn own(&self) -> Vec<String> {
        if self.is_view() { Vec::new() } else { vec![self.changelog(), self.journal()] }
    }

    /// The compacted topic that carries the state of a node that writes.
    #[must_use]
    pub fn changelog(&self) -> String {
        format!("node-{}.changelog.v1", self.name)
    }

    /// The topic that carries the journal of epochs of a node that writes.
    #[must_use]
    pub fn journal(&self) -> String {
        format!("node-{}.journal.v1", self.name)
    }
}

/// One partition of a topic.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TopicPartition {
    /// The topic.
    pub topic: TopicRef,
    /// The partition, from 0.
    pub partition: u32,
}

impl fmt::Debug for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.topic.name, self.partition)
    }
}

/// The partition of `key` among `partitions`: murmur2 as the Java client computes it, so that every stock tool agrees.
#[must_use]
pub fn partition_of(key: &[u8], partitions: u32) -> u32 {
    (murmur2(key) & 0x7fff_ffff) % partitions
}

/// MurmurHash2, 32 bit, seed 0x9747b28c. Source: `org.apache.kafka.common.utils.Utils.murmur2`.
fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ data.len() as u32;
    let chunks = data.chunks_exact(4);
    let rest = chunks.remainder();
    for chunk in chunks {
        let mut k = u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !rest.is_empty() {
        for (i, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * i);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Figures of Kafka's own `UtilsTest.testMurmur2`.
    #[test]
    fn murmur2_agrees_with_the_java_client() {
        for (key, expected) in [
            ("21", -973_932_308_i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()) as i32, expected, "{key}");
        }
    }
}
