//! The heads of the keys that an epoch meets. A saga comes back to its keys a dozen times before it commits: a head is read
//! once, handed from step to step as it is, and written once.
//!
//! Deliberately absent: heads of earlier epochs. What is not committed yet may be dropped, and most keys do not come back.

use std::collections::BTreeMap;

use serde::{Serialize, de::DeserializeOwned};

use crate::processor::State;
use crate::rows::{self, tag};
use crate::store::{Overlaid, Writes};

/// A head, and its bytes as they are committed.
struct Met<H> {
    head: Option<H>,
    committed: Option<Vec<u8>>,
}

impl<H> Met<H> {
    fn step<T>(&mut self, key: &str, rows: Overlaid<'_>, step: impl FnOnce(&mut State<'_, H>) -> T) -> T {
        let mut state = State { head: self.head.take(), key, rows };
        let done = step(&mut state);
        self.head = state.head;
        done
    }
}

/// Heads by key, since the last commit.
pub(crate) struct Heads<H>(BTreeMap<String, Met<H>>);

impl<H> Default for Heads<H> {
    fn default() -> Self {
        Heads(BTreeMap::new())
    }
}

impl<H: Serialize + DeserializeOwned> Heads<H> {
    /// Runs a step over the state of a key.
    pub fn step<T>(&mut self, key: &str, rows: Overlaid<'_>, step: impl FnOnce(&mut State<'_, H>) -> T) -> T {
        if let Some(met) = self.0.get_mut(key) {
            return met.step(key, rows, step);
        }
        let committed = rows.base.get(&rows::keyed(tag::HEAD, key));
        let mut met = Met { head: committed.as_deref().map(rows::from_bytes), committed };
        let done = met.step(key, rows, step);
        self.0.insert(key.to_owned(), met);
        done
    }

    /// Writes those that are not as they were committed.
    pub fn finish(&mut self, writes: &mut Writes) {
        for (key, Met { head, committed }) in std::mem::take(&mut self.0) {
            let head = head.as_ref().map(rows::to_bytes);
            if head != committed {
                writes.put(rows::keyed(tag::HEAD, &key), head);
            }
        }
    }

    /// Forgets everything since the last commit.
    pub fn abort(&mut self) {
        self.0.clear();
    }
}
