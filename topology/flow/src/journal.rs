//! The journal: what a replay could not know. A task that reads several topics is a function of its inputs, of the order
//! in which they met and of the clock it saw; each epoch writes the last two down in its own transaction.

use serde::{Deserialize, Serialize};

use crate::{Node, Timestamp};

/// One epoch of one task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// Counts the task's epochs from 1.
    pub epoch: u64,
    /// The clock of every step.
    pub now: Timestamp,
    /// The build that decided: replay compares spans of its own build and names the rest.
    pub build: String,
    /// Digest of the node's rules file.
    pub rules: [u8; 32],
    /// How many due timers fired, before any input, in order of (deadline, key, name).
    pub timers: u32,
    /// The inputs in the order of their application.
    pub runs: Vec<Run>,
}

/// Consecutive offsets of one input topic, in the task's own partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Index in the node's inputs.
    pub port: u8,
    /// First offset.
    pub first: u64,
    /// How many.
    pub count: u32,
}

impl JournalEntry {
    /// Notes an input.
    pub(crate) fn push(&mut self, port: u8, offset: u64) {
        if let Some(run) = self.runs.last_mut()
            && run.port == port
            && run.first + u64::from(run.count) == offset
        {
            run.count += 1;
            return;
        }
        self.runs.push(Run { port, first: offset, count: 1 });
    }

    /// As a record's value.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        crate::rows::to_bytes(self)
    }

    /// From a record's value; `None` where it is not one that a task of `node` wrote: cut off, with bytes behind its end, with
    /// an input that the node does not have, or with offsets that there cannot be.
    #[must_use]
    pub fn decode(bytes: &[u8], node: &Node) -> Option<Self> {
        let entry: Self = postcard::from_bytes(bytes).ok()?;
        let fits = |run: &Run| {
            usize::from(run.port) < node.inputs.len() && run.first.checked_add(u64::from(run.count)).is_some()
        };
        (entry.runs.iter().all(fits) && entry.encode() == bytes).then_some(entry)
    }
}
