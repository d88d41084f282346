//! What a task reads: ordered bytes. A driver offers committed state; a task lays its own writes over it and hands
//! them back as one list of changes. Nothing here writes to a store.
//!
//! A store that fails does not make a processor's `step` fallible: the failure unwinds as [`StoreFailure`], the engine
//! catches it and the epoch is an error, as if the process had crashed.

use std::any::Any;
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use serde::{Serialize, de::DeserializeOwned};

pub use crate::changes::{Change, Changes};
use crate::rows;
use crate::scratch::Scratch;

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
        for (key, value) in changes {
            match value {
                Some(value) => drop(self.pairs.insert(key.clone(), value.clone())),
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

/// What a row is by now.
enum Value {
    Bytes(Vec<u8>),
    /// A value that becomes bytes when the epoch ends, unless it has gone by then.
    Kept(Box<dyn Kept>),
}

/// A value of a row, whatever its type.
trait Kept: Any + Send {
    fn bytes(&self, scratch: &Scratch) -> Vec<u8>;
}

impl<V: Serialize + Any + Send> Kept for V {
    fn bytes(&self, scratch: &Scratch) -> Vec<u8> {
        scratch.bytes(self)
    }
}

impl Value {
    fn bytes(&self) -> Cow<'_, [u8]> {
        match self {
            Value::Bytes(bytes) => Cow::Borrowed(bytes),
            Value::Kept(value) => Cow::Owned(value.bytes(&Scratch::default())),
        }
    }

    fn into_bytes(self, scratch: &Scratch) -> Vec<u8> {
        match self {
            Value::Bytes(bytes) => bytes,
            Value::Kept(value) => value.bytes(scratch),
        }
    }

    fn read<V: DeserializeOwned + Clone + Any>(&self) -> V {
        if let Value::Kept(value) = self
            && let Some(value) = (value.as_ref() as &dyn Any).downcast_ref::<V>()
        {
            return value.clone();
        }
        rows::from_bytes(&self.bytes())
    }
}

/// A row as a task has written it since its last commit.
struct Written {
    /// Nothing where it is deleted.
    value: Option<Value>,
    /// Whether the store is known to have no such row.
    new: bool,
}

/// What a task has written of a key since its last commit, and looked for in vain.
#[derive(Default)]
pub(crate) struct Writes(BTreeMap<Vec<u8>, Written>);

impl Writes {
    /// What is to be committed, in order: a row that came and went is no change.
    pub fn take(&mut self, scratch: &Scratch) -> impl Iterator<Item = Change> {
        let rows = std::mem::take(&mut self.0).into_iter();
        let rows = rows.filter(|(_, row)| row.value.is_some() || !row.new);
        rows.map(|(key, row)| (key, row.value.map(|value| value.into_bytes(scratch))))
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// A store seen through a task's own uncommitted writes. What it is asked for it asks the store for once.
#[derive(Clone, Copy)]
pub(crate) struct Overlaid<'a> {
    pub base: &'a dyn Store,
    pub writes: &'a RefCell<Writes>,
}

impl Overlaid<'_> {
    pub fn put(&self, key: &[u8], value: Vec<u8>) {
        self.write(key, Value::Bytes(value));
    }

    /// Writes a value that is likely to be read again, or deleted, before the epoch ends.
    pub fn keep<V: Serialize + Any + Send>(&self, key: &[u8], value: V) {
        self.write(key, Value::Kept(Box::new(value)));
    }

    fn write(&self, key: &[u8], value: Value) {
        let mut writes = self.writes.borrow_mut();
        match writes.0.get_mut(key) {
            Some(row) => row.value = Some(value),
            None => drop(writes.0.insert(key.to_vec(), Written { value: Some(value), new: false })),
        }
    }

    /// The value at `key`, read.
    pub fn read<V: DeserializeOwned + Clone + Any>(&self, key: &[u8]) -> Option<V> {
        if let Some(written) = self.writes.borrow().0.get(key) {
            return written.value.as_ref().map(Value::read);
        }
        self.look_up(key).as_deref().map(rows::from_bytes)
    }

    /// What the store has at a key that was not written, and not looked for before.
    fn look_up(&self, key: &[u8]) -> Option<Vec<u8>> {
        let value = self.base.get(key);
        if value.is_none() {
            self.writes.borrow_mut().0.insert(key.to_vec(), Written { value: None, new: true });
        }
        value
    }

    /// A row that is not committed is only taken back: what comes and goes within an epoch, as most holds and timers do
    /// where hops are fused, leaves nothing in the changelog.
    pub fn delete(&self, key: &[u8]) {
        let mut writes = self.writes.borrow_mut();
        let row = writes.0.get_mut(key);
        let new = row.as_ref().is_some_and(|row| row.new) || self.base.get(key).is_none();
        match row {
            Some(row) => *row = Written { value: None, new },
            None => drop(writes.0.insert(key.to_vec(), Written { value: None, new })),
        }
    }
}

impl Store for Overlaid<'_> {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        if let Some(written) = self.writes.borrow().0.get(key) {
            return written.value.as_ref().map(|value| value.bytes().into_owned());
        }
        self.look_up(key)
    }

    fn scan(&self, from: &[u8], to: &[u8], reverse: bool, visit: &mut Visit<'_>) {
        if from >= to {
            return;
        }
        let writes = self.writes.borrow();
        let written = writes.0.range(from.to_vec()..to.to_vec());
        let written = written.map(|(key, row)| (key.as_slice(), row.value.as_ref().map(Value::bytes)));
        merge(self.base, written, (from, to), reverse, visit);
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

    fn scan(store: &dyn Store, from: &str, to: &str, reverse: bool, limit: usize) -> String {
        let mut seen = Vec::new();
        store.scan(from.as_bytes(), to.as_bytes(), reverse, &mut |key, value| {
            seen.push(format!("{}{}", String::from_utf8_lossy(key), String::from_utf8_lossy(value)));
            if seen.len() == limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        seen.join(" ")
    }

    #[test]
    fn an_overlay_reads_as_if_it_were_written() {
        let pairs = [("a", "1"), ("c", "1"), ("e", "1"), ("g", "1")];
        let mut base = MemoryStore::default();
        base.pairs.extend(pairs.map(|(k, v)| (k.as_bytes().to_vec(), v.as_bytes().to_vec())));
        let writes = RefCell::default();
        let overlaid = Overlaid { base: &base, writes: &writes };
        let changes = [("b", Some("2")), ("c", Some("2")), ("e", None), ("f", None), ("h", Some("2"))];
        let changes = changes.map(|(key, value)| (key.as_bytes().to_vec(), value.map(|v| v.as_bytes().to_vec())));
        for (key, value) in changes.clone() {
            match value {
                Some(value) => overlaid.put(&key, value),
                None => overlaid.delete(&key),
            }
        }
        assert_eq!(overlaid.get(b"d"), None);
        let mut applied = base.clone();
        applied.apply(&Changes::from(changes));
        for (from, to) in [("", "z"), ("a", "a"), ("b", "e"), ("c", "h"), ("h", "z"), ("z", "a")] {
            for reverse in [false, true] {
                for limit in 1..=6 {
                    assert_eq!(
                        scan(&overlaid, from, to, reverse, limit),
                        scan(&applied, from, to, reverse, limit),
                        "{from}..{to} reverse={reverse} limit={limit}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_comes_and_goes_within_an_epoch_is_no_change() {
        let mut base = MemoryStore::default();
        base.pairs.insert(b"there".to_vec(), b"1".to_vec());
        let writes = RefCell::default();
        let rows = Overlaid { base: &base, writes: &writes };
        for key in [b"there".as_slice(), b"new", b"sought"] {
            assert_eq!(rows.get(key).is_some(), key == b"there");
            for _ in 0..2 {
                rows.put(key, b"2".to_vec());
                rows.delete(key);
                assert_eq!(rows.get(key), None);
            }
        }
        rows.put(b"unsought", b"2".to_vec());
        rows.delete(b"unsought");
        rows.delete(b"never");
        let changes: Vec<_> = writes.borrow_mut().take(&Scratch::default()).collect();
        assert_eq!(changes, [(b"there".to_vec(), None)], "only what is committed has to be deleted");
    }

    #[test]
    fn a_value_that_is_kept_is_read_as_its_bytes_are() {
        let (base, writes) = (MemoryStore::default(), RefCell::default());
        let rows = Overlaid { base: &base, writes: &writes };
        let bytes = rows::to_bytes(&(7_u64, "seven".to_owned()));
        rows.keep(b"b", (7_u64, "seven".to_owned()));
        rows.keep(b"gone", 1_u8);
        rows.delete(b"gone");
        assert_eq!(rows.read(b"b"), Some((7_u64, "seven".to_owned())));
        assert_eq!(rows.read(b"b"), Some((7_u32, "seven".to_owned())), "of another type, by its bytes");
        assert_eq!(rows.get(b"b"), Some(bytes.clone()));
        assert_eq!(scan(&rows, "a", "c", false, 9), format!("b{}", String::from_utf8_lossy(&bytes)));
        let changes: Vec<_> = writes.borrow_mut().take(&Scratch::default()).collect();
        assert_eq!(changes, [(b"b".to_vec(), Some(bytes))]);
    }

    #[test]
    fn a_prefix_ends_where_the_next_begins() {
        assert_eq!(prefix_end(b"ab"), b"ac");
        assert_eq!(prefix_end(&[1, 255]), [2]);
    }
}
