//! Something for each partition of some topics, found by the topic itself: a graph has few of them, and there is one value of
//! each, so to look through them costs less than to compare names.
//!
//! Deliberately absent: an order. Whoever goes through all of them sorts.

use crate::TopicRef;

/// Values by topic and partition.
#[derive(Clone, Debug)]
pub(crate) struct ByPartition<T>(Vec<(TopicRef, Vec<Option<T>>)>);

impl<T> Default for ByPartition<T> {
    fn default() -> Self {
        ByPartition(Vec::new())
    }
}

impl<T> ByPartition<T> {
    /// What there is of a partition.
    pub fn get(&self, topic: TopicRef, partition: u32) -> Option<&T> {
        let (_, partitions) = self.0.iter().find(|(known, _)| std::ptr::eq(*known, topic))?;
        partitions.get(partition as usize)?.as_ref()
    }

    /// The place of a partition, to fill or to empty.
    pub fn at(&mut self, topic: TopicRef, partition: u32) -> &mut Option<T> {
        let known = self.0.iter().position(|(known, _)| std::ptr::eq(*known, topic));
        let index = known.unwrap_or_else(|| {
            self.0.push((topic, Vec::new()));
            self.0.len() - 1
        });
        let (partitions, partition) = (&mut self.0[index].1, partition as usize);
        if partitions.len() <= partition {
            partitions.resize_with(partition + 1, || None);
        }
        &mut partitions[partition]
    }

    /// The topic of this name, if there is something of any of its partitions.
    pub fn topic(&self, name: &str) -> Option<TopicRef> {
        self.0.iter().map(|(topic, _)| *topic).find(|topic| topic.name == name)
    }
}
