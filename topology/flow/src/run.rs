//! An epoch under way: what it has written so far, and what of that is still to be handed over. A record is lent to its
//! readers and taken back, never copied.

use std::collections::VecDeque;
use std::ops::Range;

use crate::InMemory;
use crate::engine::Ends;
use crate::partitions::ByPartition;
use crate::record::{Input, Produced, Target};

/// An epoch under way.
pub(crate) struct Run<'a> {
    pub records: Vec<Produced>,
    /// Where each partition ends with what this epoch has appended so far, if that is known.
    appended: ByPartition<Option<Range<u64>>>,
    pub queue: VecDeque<Handed>,
    ends: Option<&'a Ends<'a>>,
}

/// A record to hand over.
pub(crate) struct Handed {
    /// Which of the epoch's.
    pub number: usize,
    /// Where it will lie, and from where on there is none before it.
    pub offset: u64,
    pub nothing_since: u64,
    pub memory: Option<InMemory>,
}

impl<'a> Run<'a> {
    pub fn new(ends: Option<&'a Ends<'a>>) -> Self {
        Run { records: Vec::new(), appended: ByPartition::default(), queue: VecDeque::new(), ends }
    }

    /// Queues for hand-over the records from index `from` on. Command topics are never fused: their readers must see
    /// them as any client's.
    pub fn take_up(&mut self, from: usize) {
        for number in from..self.records.len() {
            let record = &mut self.records[number];
            let (partition, memory) = (record.partition, record.memory.take());
            let (Some(ends), Target::Topic(topic)) = (self.ends, record.target) else { continue };
            if topic.kind.is_door() {
                continue;
            }
            let end = self.appended.at(topic, partition).get_or_insert_with(|| ends(topic, partition));
            let Some(Range { start: nothing_since, end: offset }) = end.clone() else { continue };
            *end = Some(offset + 1..offset + 1);
            self.queue.push_back(Handed { number, offset, nothing_since, memory });
        }
    }

    /// A record as its readers get it. What the epoch holds of it is gone until it is taken back.
    pub fn lend(&mut self, number: usize, offset: u64) -> Input {
        let Produced { target, partition, key, value, .. } = &mut self.records[number];
        let Target::Topic(topic) = *target else { unreachable!("invariant: dead letters are not handed over") };
        Input { topic, partition: *partition, offset, key: key.take(), value: value.take() }
    }

    pub fn take_back(&mut self, number: usize, Input { key, value, .. }: Input) {
        let record = &mut self.records[number];
        (record.key, record.value) = (key, value);
    }
}
