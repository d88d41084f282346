//! What a task holds of the keys that it meets. A saga comes back to its keys a dozen times before it commits: of each, the
//! head and the timers are found once a step, its rows one by one, and all become changes once, at the end.
//!
//! Keys come back in later epochs too, an account with every payment. So heads are kept as they were committed, and not read
//! again; a bounded number of them, in two generations: a head that is not met while a generation fills is forgotten with
//! the one before. Where heads come and go with what their keys name, one that is gone is not kept.
//!
//! Deliberately absent: rows of earlier epochs. A step reads few of them again, and a store has a cache.

use std::cell::RefCell;

use serde::{Serialize, de::DeserializeOwned};

use crate::by_text::ByText;
use crate::changes::Gathered;
use crate::overlay::{Order, Overlaid, Writes};
use crate::processor::State;
use crate::rows::{self, Family, tag};
use crate::scratch::Scratch;
use crate::store::{Changes, Store};
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

    /// Gathers what has become of it, where that is not what is committed; which it is from now on.
    fn finish(&mut self, key: &str, scratch: &Scratch, gathered: &mut Gathered) {
        let Head { head, committed } = self;
        match head {
            Some(head) => scratch.with(head, |bytes| {
                if committed.as_deref() != Some(bytes) {
                    gathered.push(&rows::keyed(tag::HEAD, key), Some(bytes));
                    let committed = committed.get_or_insert_default();
                    committed.clear();
                    committed.extend_from_slice(bytes);
                }
            }),
            None if committed.take().is_some() => gathered.push(&rows::keyed(tag::HEAD, key), None),
            None => {}
        }
    }
}

/// A key that the epoch has met.
struct Met<H> {
    /// Nothing before a step needs it.
    head: Option<Box<Head<H>>>,
    rows: RefCell<Order>,
    timers: Timers,
}

/// What is held of keys.
pub(crate) struct Keys<H> {
    /// Since the last commit.
    met: ByText<Met<H>>,
    /// As they are committed.
    younger: ByText<Box<Head<H>>>,
    older: ByText<Box<Head<H>>>,
    /// Their rows, and those across keys.
    writes: RefCell<Writes>,
    /// Rows across keys.
    indexed: RefCell<Order>,
    scratch: Scratch,
}

impl<H> Default for Keys<H> {
    fn default() -> Self {
        Keys {
            met: ByText::default(),
            younger: ByText::default(),
            older: ByText::default(),
            writes: RefCell::default(),
            indexed: RefCell::default(),
            scratch: Scratch::default(),
        }
    }
}

impl<H: Serialize + DeserializeOwned> Keys<H> {
    /// Runs a step over the state of a key.
    pub fn step<T>(&mut self, store: &dyn Store, key: &str, step: impl FnOnce(&mut State<'_, H>) -> T) -> T {
        let Keys { met, younger, older, writes, indexed, scratch } = self;
        let met = meet(met, younger, older, key);
        let head = met.head.get_or_insert_with(|| Box::new(Head::read(store, key)));
        let mut state = State {
            head: head.head.take(),
            key,
            rows: Overlaid { base: store, writes, order: &met.rows },
            indexed: Overlaid { base: store, writes, order: indexed },
            scratch,
        };
        let done = step(&mut state);
        head.head = state.head;
        done
    }

    /// The rows of a key, and where values become bytes.
    pub fn rows<'a>(&'a mut self, store: &'a dyn Store, key: &str) -> (Overlaid<'a>, &'a Scratch) {
        let Keys { met, younger, older, writes, scratch, .. } = self;
        (Overlaid { base: store, writes, order: &meet(met, younger, older, key).rows }, scratch)
    }

    /// The timers of a key, and where values become bytes.
    pub fn timers(&mut self, key: &str) -> (&mut Timers, &Scratch) {
        let Keys { met, younger, older, scratch, .. } = self;
        (&mut meet(met, younger, older, key).timers, scratch)
    }

    /// What is to be committed, with what the task has `gathered` beside the rows of keys. `passing` are the rows that come and
    /// go.
    pub fn finish(&mut self, passing: &[Family], mut gathered: Gathered) -> Changes {
        let keep_none = !passing.contains(&Family::Heads);
        let writes = self.writes.get_mut();
        // Each kind of row comes in order, for the keys do.
        for (key, met) in self.met.take() {
            met.timers.finish(&key, &self.scratch, &mut gathered);
            writes.take(&mut met.rows.into_inner(), &self.scratch, &mut gathered);
            let Some(mut head) = met.head else { continue };
            head.finish(&key, &self.scratch, &mut gathered);
            if keep_none || head.head.is_some() {
                self.younger.insert(key, head);
            }
        }
        if self.younger.len() >= GENERATION {
            self.older = std::mem::take(&mut self.younger);
        }
        writes.take(self.indexed.get_mut(), &self.scratch, &mut gathered);
        writes.clear();
        gathered.finish()
    }

    /// Forgets everything: what is committed may be something else than what was met.
    pub fn abort(&mut self) {
        self.younger.clear();
        self.older.clear();
        self.writes.get_mut().clear();
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
            let changes = keys.finish(&[], Gathered::default());
            assert_eq!(changes.len(), 1);
            counted.store.apply(&changes);
        }
        assert_eq!(counted.asked.get(), 1);
        for _ in 0..2 {
            assert_eq!(add(&mut keys, &counted, "a"), 4);
            keys.abort();
        }
        assert_eq!(add(&mut keys, &counted, "a"), 4);
        keys.finish(&[], Gathered::default());
        keys.abort();
        assert_eq!(add(&mut keys, &counted, "a"), 4, "what an epoch has changed that was not committed after all");
    }

    #[test]
    fn as_many_heads_are_kept_as_two_generations_hold() {
        let (mut keys, counted) = (Keys::default(), Counted::default());
        let key = |number: usize| number.to_string();
        for number in 0..3 * GENERATION {
            add(&mut keys, &counted, &key(number));
            keys.finish(&[], Gathered::default());
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
                assert_eq!(keys.finish(passing, Gathered::default()), Changes::default());
            }
            assert_eq!(counted.asked.get(), asked);
        }
    }
}
