//! What a task holds of the keys that it meets. A saga comes back to its keys a dozen times before it commits: of each, what
//! the epoch has read and written lies in one place, found once a step, and becomes changes once, at the end.
//!
//! Keys come back in later epochs too, an account with every payment. So heads are kept as they were committed, and not read
//! again; a bounded number of them, in two generations: a head that is not met while a generation fills is forgotten with
//! the one before. Where heads come and go with what their keys name, one that is gone is not kept.
//!
//! Deliberately absent: rows of earlier epochs. A step reads few of them again, and a store has a cache.

use std::cell::RefCell;

use serde::{Serialize, de::DeserializeOwned};

use crate::by_text::ByText;
use crate::processor::State;
use crate::rows::{self, Family, tag};
use crate::scratch::Scratch;
use crate::store::{Change, Changes, Overlaid, Store, Writes};
use crate::timers::Timers;

/// Heads of a generation.
const GENERATION: usize = 4_096;

/// A head, and its bytes as they are committed.
struct Head<H> {
    head: Option<H>,
    committed: Option<Vec<u8>>,
}

impl<H: Serialize + DeserializeOwned> Head<H> {
    fn read(store: &dyn Store, key: &str) -> Self {
        let committed = store.get(&rows::keyed(tag::HEAD, key));
        Head { head: committed.as_deref().map(rows::from_bytes), committed }
    }

    /// What has become of it, where that is not what is committed; which it is from now on.
    fn change(&mut self, scratch: &Scratch) -> Option<Option<Vec<u8>>> {
        let same = match (&self.head, &self.committed) {
            (Some(head), Some(committed)) => scratch.is(head, committed),
            (head, committed) => head.is_none() && committed.is_none(),
        };
        if same {
            return None;
        }
        self.committed = self.head.as_ref().map(|head| scratch.bytes(head));
        Some(self.committed.clone())
    }
}

/// A key that the epoch has met.
struct Met<H> {
    /// Nothing before a step needs it.
    head: Option<Box<Head<H>>>,
    rows: RefCell<Writes>,
    timers: Timers,
}

/// What is held of keys.
pub(crate) struct Keys<H> {
    /// Since the last commit.
    met: ByText<Met<H>>,
    /// As they are committed.
    younger: ByText<Box<Head<H>>>,
    older: ByText<Box<Head<H>>>,
    /// Rows across keys.
    indexed: RefCell<Writes>,
    scratch: Scratch,
}

impl<H> Default for Keys<H> {
    fn default() -> Self {
        Keys {
            met: ByText::default(),
            younger: ByText::default(),
            older: ByText::default(),
            indexed: RefCell::default(),
            scratch: Scratch::default(),
        }
    }
}

impl<H: Serialize + DeserializeOwned> Keys<H> {
    /// Runs a step over the state of a key.
    pub fn step<T>(&mut self, store: &dyn Store, key: &str, step: impl FnOnce(&mut State<'_, H>) -> T) -> T {
        let Keys { met, younger, older, indexed, scratch } = self;
        let met = meet(met, younger, older, key);
        let head = met.head.get_or_insert_with(|| Box::new(Head::read(store, key)));
        let mut state = State {
            head: head.head.take(),
            key,
            rows: Overlaid { base: store, writes: &met.rows },
            indexed: Overlaid { base: store, writes: indexed },
            scratch,
        };
        let done = step(&mut state);
        head.head = state.head;
        done
    }

    /// The rows of a key, and where values become bytes.
    pub fn rows<'a>(&'a mut self, store: &'a dyn Store, key: &str) -> (Overlaid<'a>, &'a Scratch) {
        let Keys { met, younger, older, scratch, .. } = self;
        (Overlaid { base: store, writes: &meet(met, younger, older, key).rows }, scratch)
    }

    /// The timers of a key, and where values become bytes.
    pub fn timers(&mut self, key: &str) -> (&mut Timers, &Scratch) {
        let Keys { met, younger, older, scratch, .. } = self;
        (&mut meet(met, younger, older, key).timers, scratch)
    }

    /// What is to be committed, with the rows that the task has beside those of keys. `passing` are the rows that come and go.
    pub fn finish(&mut self, passing: &[Family], own: impl IntoIterator<Item = Change>) -> Changes {
        let keep_none = !passing.contains(&Family::Heads);
        // Each kind by itself is in order of key, for the keys are.
        let (mut heads, mut timers, mut in_order) = (Vec::new(), Vec::new(), Vec::new());
        let (mut rows, mut seen) = (Vec::new(), Vec::new());
        for (key, met) in self.met.take() {
            met.timers.finish(&key, &self.scratch, &mut timers, &mut in_order);
            for change in met.rows.into_inner().take(&self.scratch) {
                if change.0[0] == tag::ROW { rows.push(change) } else { seen.push(change) }
            }
            let Some(mut head) = met.head else { continue };
            if let Some(change) = head.change(&self.scratch) {
                heads.push((rows::keyed(tag::HEAD, &key), change));
            }
            if keep_none || head.head.is_some() {
                self.younger.insert(key, head);
            }
        }
        if self.younger.len() >= GENERATION {
            self.older = std::mem::take(&mut self.younger);
        }
        let mut all = heads;
        all.extend(self.indexed.get_mut().take(&self.scratch));
        let (mut meta, mut positions): (Vec<_>, _) = own.into_iter().partition(|(at, _)| at[0] == tag::META);
        positions.sort_unstable();
        for more in [&mut meta, &mut timers, &mut positions, &mut rows, &mut seen, &mut in_order] {
            all.append(more);
        }
        all.into_iter().collect()
    }

    /// Forgets everything: what is committed may be something else than what was met.
    pub fn abort(&mut self) {
        self.younger.clear();
        self.older.clear();
        self.indexed.get_mut().clear();
        self.met.clear();
    }
}

/// What the epoch has of a key, with the head that an earlier one has left.
fn meet<'a, H>(
    met: &'a mut ByText<Met<H>>,
    younger: &mut ByText<Box<Head<H>>>,
    older: &mut ByText<Box<Head<H>>>,
    key: &str,
) -> &'a mut Met<H> {
    met.get_or_insert_with(key, || {
        let head = younger.remove(key).or_else(|| older.remove(key));
        Met { head, rows: RefCell::default(), timers: Timers::default() }
    })
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::MemoryStore;
    use crate::store::Visit;

    /// A store that counts how often it is asked.
    #[derive(Default)]
    struct Counted {
        store: MemoryStore,
        asked: Cell<usize>,
    }

    impl Store for Counted {
        fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
            self.asked.set(self.asked.get() + 1);
            self.store.get(key)
        }

        fn scan(&self, from: &[u8], to: &[u8], reverse: bool, visit: &mut Visit<'_>) {
            self.store.scan(from, to, reverse, visit);
        }
    }

    fn add(keys: &mut Keys<u64>, store: &Counted, key: &str) -> u64 {
        keys.step(store, key, |state| {
            let sum = state.head.unwrap_or(0) + 1;
            state.head = Some(sum);
            sum
        })
    }

    #[test]
    fn a_head_is_read_once_and_an_epoch_that_is_not_committed_is_forgotten() {
        let (mut keys, mut counted) = (Keys::default(), Counted::default());
        for sum in 1..=3 {
            assert_eq!(add(&mut keys, &counted, "a"), sum);
            let changes = keys.finish(&[], []);
            assert_eq!(changes.iter().count(), 1);
            counted.store.apply(&changes);
        }
        assert_eq!(counted.asked.get(), 1);
        for _ in 0..2 {
            assert_eq!(add(&mut keys, &counted, "a"), 4);
            keys.abort();
        }
        assert_eq!(add(&mut keys, &counted, "a"), 4);
        keys.finish(&[], []);
        keys.abort();
        assert_eq!(add(&mut keys, &counted, "a"), 4, "what an epoch has changed that was not committed after all");
    }

    #[test]
    fn as_many_heads_are_kept_as_two_generations_hold() {
        let (mut keys, counted) = (Keys::default(), Counted::default());
        let key = |number: usize| number.to_string();
        for number in 0..3 * GENERATION {
            add(&mut keys, &counted, &key(number));
            keys.finish(&[], []);
        }
        let asked = counted.asked.get();
        assert_eq!(add(&mut keys, &counted, &key(3 * GENERATION - 1)), 2);
        assert_eq!(counted.asked.get(), asked);
        assert_eq!(add(&mut keys, &counted, &key(0)), 1);
        assert_eq!(counted.asked.get(), asked + 1);
        assert!(keys.younger.len() + keys.older.len() <= 2 * GENERATION);
    }

    #[test]
    fn a_head_that_came_and_went_is_kept_only_where_they_do_not() {
        for (passing, asked) in [(&[][..], 1), (&[Family::Heads][..], 2)] {
            let (mut keys, counted) = (Keys::default(), Counted::default());
            for _ in 0..2 {
                keys.step(&counted, "a", |state| state.head = Some(1_u64));
                keys.step(&counted, "a", |state| state.head = None);
                assert_eq!(keys.finish(passing, []), Changes::default());
            }
            assert_eq!(counted.asked.get(), asked);
        }
    }
}
