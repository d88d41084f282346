//! What a task reads: ordered bytes. A driver offers committed state; a task lays its own writes over it and hands
//! them back as one list of changes. Nothing here writes to a store.
//!
//! A store that fails does not make a processor's `step` fallible: the failure unwinds as [`StoreFailure`], the engine
//! catches it and the epoch is an error, as if the process had crashed.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

pub use crate::changes::{Change, Changes};

/// Called with each pair of a scan.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// Ordered bytes of one task: a node's state in one partition.
pub trait Store {
    /// The value at `key`.
    fn get(&self, key: &[u8]) -> Option<Vec<u8>>;

    /// Visits the pairs with `from <= key < to`, upwards, or downwards where `reverse`, until `visit` breaks.
    fn scan(&self, from: &[u8], to: &[u8], reverse: bool, visit: &mut Visit<'_>);
}

/// What a store unwinds with when it cannot read.
#[derive(Debug)]
pub struct StoreFailure(pub String);

impl StoreFailure {
    /// Unwinds, without the panic hook's noise: the engine reports it.
    pub fn raise(reason: impl Into<String>) -> ! {
        resume_unwind(Box::new(StoreFailure(reason.into())))
    }

    /// Runs `read`, for whoever reads a store without an engine.
    ///
    /// # Errors
    /// The store could not be read. Any other panic goes on.
    pub fn caught<T>(read: impl FnOnce() -> T) -> Result<T, StoreFailure> {
        catch_unwind(AssertUnwindSafe(read)).map_err(|panic| match panic.downcast::<StoreFailure>() {
            Ok(failure) => *failure,
            Err(panic) => resume_unwind(panic),
        })
    }
}

/// A store in memory: for tests, the simulator and replay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryStore {
    /// The pairs.
    pub pairs: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl MemoryStore {
    /// Takes in what a task changed.
    pub fn apply(&mut self, changes: &Changes) {
        for (key, value) in changes.iter() {
            match value {
                Some(value) => drop(self.pairs.insert(key.to_vec(), value.to_vec())),
                None => drop(self.pairs.remove(key)),
            }
        }
    }
}

impl Store for MemoryStore {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.pairs.get(key).cloned()
    }

    fn scan(&self, from: &[u8], to: &[u8], reverse: bool, visit: &mut Visit<'_>) {
        if from >= to {
            return;
        }
        let mut range = self.pairs.range(from.to_vec()..to.to_vec());
        while let Some((key, value)) = if reverse { range.next_back() } else { range.next() } {
            if visit(key, value).is_break() {
                return;
            }
        }
    }
}

/// Visits what lies in a store between two keys, with what is `written` there above it: two ordered sequences; where both hold a
/// key, what was written wins.
pub(crate) fn merge<'a>(
    base: &dyn Store,
    mut written: impl DoubleEndedIterator<Item = (&'a [u8], Option<Cow<'a, [u8]>>)>,
    (from, to): (&[u8], &[u8]),
    reverse: bool,
    visit: &mut Visit<'_>,
) {
    let mut next = || if reverse { written.next_back() } else { written.next() };
    let mut pending = next();
    let mut stopped = false;
    base.scan(from, to, reverse, &mut |key, value| {
        while let Some((changed, change)) = &pending {
            let order = if reverse { key.cmp(changed) } else { (*changed).cmp(key) };
            if order.is_gt() {
                break;
            }
            if let Some(value) = change
                && visit(changed, value).is_break()
            {
                stopped = true;
                return ControlFlow::Break(());
            }
            pending = next();
            if order.is_eq() {
                return ControlFlow::Continue(());
            }
        }
        let flow = visit(key, value);
        stopped = flow.is_break();
        flow
    });
    while !stopped && let Some((changed, change)) = pending {
        pending = next();
        stopped = change.is_some_and(|value| visit(changed, &value).is_break());
    }
}

/// The smallest key above every key that starts with `prefix`.
#[must_use]
pub fn prefix_end(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    vec![u8::MAX; prefix.len() + 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_where_the_next_begins() {
        assert_eq!(prefix_end(b"ab"), b"ac");
        assert_eq!(prefix_end(&[1, 255]), [2]);
    }
}
