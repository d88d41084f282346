//! A record on its way in and on its way out, as drivers and tasks hand it to each other.

use crate::TopicRef;

/// A record to apply.
#[derive(Clone, Debug)]
pub struct Input {
    /// Topic.
    pub topic: TopicRef,
    /// Partition.
    pub partition: u32,
    /// Offset.
    pub offset: u64,
    /// Key.
    pub key: Option<Vec<u8>>,
    /// Value, framed.
    pub value: Option<Vec<u8>>,
}

/// Where a record is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A topic of the graph.
    Topic(TopicRef),
    /// The dead letters.
    DeadLetters,
}

impl Target {
    /// Name of the topic.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Target::Topic(topic) => topic.name,
            Target::DeadLetters => crate::topic::DEAD_LETTERS,
        }
    }
}

/// A record to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Produced {
    /// Where to.
    pub target: Target,
    /// Partition.
    pub partition: u32,
    /// Key.
    pub key: Option<Vec<u8>>,
    /// Value, framed.
    pub value: Option<Vec<u8>>,
    /// Headers: dead letters only, for a header costs a third of the throughput.
    pub headers: Vec<(&'static str, Vec<u8>)>,
}
