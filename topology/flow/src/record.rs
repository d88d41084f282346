//! A record on its way in and on its way out, as drivers and tasks hand it to each other.

use crate::{InMemory, TopicRef};

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
#[derive(Clone, Debug)]
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
    /// The envelope that the value holds, until it is handed over. Whoever changes the value without its frame drops it.
    pub memory: Option<InMemory>,
}

/// What is written is compared; an envelope in memory says the same once more.
impl PartialEq for Produced {
    fn eq(&self, other: &Self) -> bool {
        let told = |record: &Self| (record.target, record.partition);
        told(self) == told(other)
            && (&self.key, &self.value, &self.headers) == (&other.key, &other.value, &other.headers)
    }
}

impl Eq for Produced {}
