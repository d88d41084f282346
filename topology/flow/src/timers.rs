//! Timers: named per key, in the store, in order of (deadline, key, name). A name has at most one deadline; beside the
//! row that orders it lies one that finds it.

use std::fmt::Debug;
use std::ops::ControlFlow;

use serde::de::DeserializeOwned;

use crate::Timestamp;
use crate::rows::{self, Ordered, tag};
use crate::store::{Overlaid, Store};
use crate::task::Cause;

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

/// Sets, moves or clears the timer `name` of `key`.
pub(crate) fn set(rows: Overlaid<'_>, cause: Cause<'_>, key: &str, name: &[u8], deadline: Option<Timestamp>) {
    let of_key = of_key(key, name);
    if let Some(bytes) = rows.get(&of_key) {
        rows.delete(in_order(rows::from_bytes(&bytes), key, name));
    }
    match deadline {
        None => rows.delete(of_key),
        Some(deadline) => {
            rows.put(of_key, rows::to_bytes(&deadline));
            // Whatever a store has of the name lies at the one deadline that it has, and that was written just now.
            rows.put_new(in_order(deadline, key, name), rows::to_bytes(&cause));
        }
    }
}

/// Takes a due timer out; false where one that fired just before has cleared or moved it.
pub(crate) fn take(rows: Overlaid<'_>, due: &Due) -> bool {
    let at = in_order(due.deadline, &due.key, &due.name);
    let there = rows.get(&at).is_some();
    if there {
        rows.delete(at);
        rows.delete(of_key(&due.key, &due.name));
    }
    there
}

/// The first `limit` timers due at `now`.
pub(crate) fn due(rows: &dyn Store, now: Timestamp, limit: u32) -> Vec<Due> {
    let mut found = Vec::new();
    rows.scan(&[tag::TIMER], &rows::join(vec![tag::TIMER], &now.plus(1)), false, &mut |at, cause| {
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
