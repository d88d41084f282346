//! Where partitions begin and end, asked once a second for all of them at once: for the changelog's lower bounds, for
//! lag, for whoever asks `range`.
//!
//! An end asked while an epoch is under way counts that epoch's records. That is right all the same: the engine writes
//! a bound only together with an epoch that is committed, and asks for none in between.

use std::ops::Range;
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::Duration;

use tributary_slot::{At, Bounds, Failed};

use crate::native::Consumer;
use crate::settings::{self, Settings};

/// How long to wait for an answer.
const BOUND: Duration = Duration::from_secs(5);

/// Knows the read-uncommitted ends.
pub(crate) struct Ends {
    client: Mutex<Consumer>,
    watched: Vec<At>,
    known: RwLock<Bounds>,
}

impl Ends {
    pub fn new(brokers: &str, passed: &Settings, watched: Vec<At>) -> Result<Self, Failed> {
        let client = Mutex::new(Consumer::new(&settings::reader(brokers, passed, "read_uncommitted"))?);
        Ok(Ends { client, watched, known: RwLock::default() })
    }

    /// Asks for everything watched.
    pub fn refresh(&self) -> Result<(), Failed> {
        let found = self.ask(&self.watched)?;
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = found;
        Ok(())
    }

    /// Asks now.
    pub fn ask(&self, partitions: &[At]) -> Result<Bounds, Failed> {
        ranges(&self.client.lock().unwrap_or_else(PoisonError::into_inner), partitions)
    }

    /// As last asked.
    pub fn known(&self, topic: &str, partition: u32) -> Option<Range<u64>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(&(topic.to_owned(), partition)).cloned()
    }
}

/// First offsets kept, and ends as the client's isolation sees them.
pub(crate) fn ranges(client: &Consumer, partitions: &[At]) -> Result<Bounds, Failed> {
    let list = || partitions.iter().map(|(topic, partition)| (topic.as_str(), *partition));
    let mut found: Bounds = Bounds::new();
    for (topic, partition, start) in client.offsets(list(), -2, BOUND)? {
        found.insert((topic, partition), start..start);
    }
    for (topic, partition, end) in client.offsets(list(), -1, BOUND)? {
        if let Some(range) = found.get_mut(&(topic, partition)) {
            range.end = end.max(range.start);
        }
    }
    Ok(found)
}
