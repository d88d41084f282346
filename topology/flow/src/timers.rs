//! Timers: named per key, in the store, in order of (deadline, key, name). A name has at most one deadline; beside the
//! row that orders it lies one that finds it. Neither is written before the epoch ends: most timers are cleared in the epoch
//! that sets them.

use std::fmt::Debug;
use std::ops::ControlFlow;

use serde::de::DeserializeOwned;

use crate::Timestamp;
use crate::cause::Cause;
use crate::changes::Gathered;
use crate::rows::{self, Ordered, tag};
use crate::scratch::Scratch;
use crate::store::Store;

/// A timer that is due.
#[derive(Clone)]
pub(crate) struct Due {
    pub deadline: Timestamp,
    pub key: String,
    pub name: Vec<u8>,
    /// Its [`Cause`], as it lies in the store.
    pub set_by: Vec<u8>,
}

impl Due {
    /// In words, for people; `T` is how the node names its timers.
    pub fn told<T: DeserializeOwned + Debug>(&self) -> String {
        let name = rows::read::<T>(&self.name);
        let name = name.map_or_else(|_| format!("{:02x?}", self.name), |name| format!("{name:?}"));
        format!("the timer {name} of the key {:?}, due {}", self.key, self.deadline)
    }
}

/// A timer that the epoch has touched.
struct Timer {
    name: Vec<u8>,
    /// When it is due as it is committed.
    committed: Option<Timestamp>,
    /// When it is due by now, and the bytes of what has set it so.
    set: Option<(Timestamp, Vec<u8>)>,
}

/// Those timers of a key that the epoch has touched.
#[derive(Default)]
pub(crate) struct Timers(Vec<Timer>);

impl Timers {
    /// Sets, moves or clears the timer `name` of `key`.
    pub fn set(&mut self, store: &dyn Store, key: &str, name: &[u8], to: Option<(Timestamp, Vec<u8>)>) {
        if let Some(timer) = self.touched(name) {
            timer.set = to;
            return;
        }
        let committed = store.get(&of_key(key, name)).map(|bytes| rows::from_bytes(&bytes));
        self.0.push(Timer { name: name.to_vec(), committed, set: to });
    }

    /// Takes a due timer out; false where one that fired just before has cleared or moved it.
    pub fn take(&mut self, due: &Due) -> bool {
        if let Some(timer) = self.touched(&due.name) {
            let there = timer.set.as_ref().is_some_and(|(deadline, _)| *deadline == due.deadline);
            timer.set.take_if(|_| there);
            return there;
        }
        self.0.push(Timer { name: due.name.clone(), committed: Some(due.deadline), set: None });
        true
    }

    fn touched(&mut self, name: &[u8]) -> Option<&mut Timer> {
        self.0.iter_mut().find(|timer| timer.name == name)
    }

    /// Gathers what is to be committed of the rows that find timers, and of those that order them.
    pub fn finish(self, key: &str, scratch: &Scratch, gathered: &mut Gathered) {
        for Timer { name, committed, set } in self.0 {
            let deadline = set.as_ref().map(|(deadline, _)| *deadline);
            match deadline {
                Some(deadline) => {
                    scratch.with(&deadline, |bytes| gathered.push(&of_key(key, &name), Some(bytes)));
                }
                None if committed.is_some() => gathered.push(&of_key(key, &name), None),
                None => {}
            }
            if let Some(before) = committed.filter(|before| deadline != Some(*before)) {
                gathered.push(&in_order(before, key, &name), None);
            }
            if let Some((deadline, cause)) = set {
                gathered.push(&in_order(deadline, key, &name), Some(&cause));
            }
        }
    }
}

/// What has set a timer, as it lies in the store.
pub(crate) fn set_by(cause: Cause<'_>, scratch: &Scratch) -> Vec<u8> {
    scratch.bytes(&cause)
}

/// The first `limit` timers due at `now`, of those that are committed: one that is set fires in a later epoch.
pub(crate) fn due(store: &dyn Store, now: Timestamp, limit: u32) -> Vec<Due> {
    let mut found = Vec::new();
    store.scan(&[tag::TIMER], &rows::join(vec![tag::TIMER], &now.plus(1)), false, &mut |at, cause| {
        let mut rest = &at[1..];
        let (Some(deadline), Some(key)) = (Timestamp::read(&mut rest), String::read(&mut rest)) else {
            panic!("a timer's key cannot be read");
        };
        found.push(Due { deadline, key, name: rest.to_vec(), set_by: cause.to_vec() });
        if found.len() < limit as usize { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    found
}

fn in_order(deadline: Timestamp, key: &str, name: &[u8]) -> Vec<u8> {
    let mut at = vec![tag::TIMER];
    deadline.write(&mut at);
    rows::write_text(key, &mut at);
    at.extend_from_slice(name);
    at
}

fn of_key(key: &str, name: &[u8]) -> Vec<u8> {
    let mut at = rows::keyed(tag::TIMER_OF_KEY, key);
    at.extend_from_slice(name);
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryStore;

    const KEY: &str = "key";

    /// The store after an epoch that sets a timer to these deadlines, one after the other.
    fn after(store: &MemoryStore, deadlines: &[Option<i64>]) -> (MemoryStore, usize) {
        let mut timers = Timers::default();
        for deadline in deadlines {
            let to = deadline.map(|deadline| (Timestamp(deadline), vec![deadline as u8]));
            timers.set(store, KEY, b"name", to);
        }
        let mut gathered = Gathered::default();
        timers.finish(KEY, &Scratch::default(), &mut gathered);
        let changes = gathered.finish();
        let mut store = store.clone();
        store.apply(&changes);
        (store, changes.len())
    }

    fn deadlines(store: &MemoryStore) -> Vec<i64> {
        let due = due(store, Timestamp(1_000), 10);
        let rows = due.iter().map(|due| due.deadline.0).collect();
        assert_eq!(store.pairs.len(), 2 * due.len(), "each timer has two rows");
        rows
    }

    #[test]
    fn a_timer_that_comes_and_goes_leaves_nothing_and_one_that_moves_is_due_once() {
        let empty = MemoryStore::default();
        assert_eq!(after(&empty, &[None]).1, 0);
        assert_eq!(after(&empty, &[Some(5), Some(9), None]).1, 0);
        let (set, _) = after(&empty, &[Some(5), None, Some(7)]);
        assert_eq!(deadlines(&set), [7]);
        for (to, left) in [(vec![Some(9)], vec![9]), (vec![None, Some(7)], vec![7]), (vec![Some(9), None], vec![])] {
            assert_eq!(deadlines(&after(&set, &to).0), left, "{to:?}");
        }
    }

    #[test]
    fn a_timer_that_was_moved_or_cleared_does_not_fire() {
        let (store, _) = after(&MemoryStore::default(), &[Some(5)]);
        let due = due(&store, Timestamp(5), 1).remove(0);
        assert_eq!((due.key.as_str(), due.set_by.as_slice()), (KEY, &[5][..]));
        let mut timers = Timers::default();
        assert!(timers.take(&due));
        assert!(!timers.take(&due), "it has fired");
        timers.set(&store, KEY, b"name", Some((Timestamp(6), Vec::new())));
        assert!(!timers.take(&due), "it was set again");
    }
}
