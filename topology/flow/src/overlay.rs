//! What a task has written since its last commit, laid over what its store holds. Rows lie in a list, found by a hash of their keys,
//! and their bytes one behind the other in a piece of memory that is used again in the next epoch: a payment writes some thirty,
//! and none of them is worth a place of its own. Their order is made where somebody asks for it: who scans the rows of a key, which a
//! step seldom does, and who commits.

use core::hash::BuildHasher as _;
use std::any::Any;
use std::borrow::Cow;
use std::cell::RefCell;
use std::ops::Range;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use serde::{Serialize, de::DeserializeOwned};

use crate::changes::Gathered;
use crate::rows;
use crate::scratch::Scratch;
use crate::store::{Store, Visit, merge};

/// How much memory of an epoch each task keeps for the next ones, in bytes of keys and values.
const SPARE: usize = 16 << 20;

/// Up to so many rows are put in their places one by one.
const FEW: usize = 16;

/// What a row is by now.
enum Value {
    /// Deleted, or looked for in vain.
    None,
    /// Where its bytes lie.
    Bytes(Range<usize>),
    /// A value that becomes bytes when the epoch ends, unless it has gone by then.
    Kept(Box<dyn Kept>),
}

/// A value of a row, whatever its type.
trait Kept: Any + Send {
    fn bytes(&self, scratch: &Scratch, then: &mut dyn FnMut(&[u8]));
}

impl<V: Serialize + Any + Send> Kept for V {
    fn bytes(&self, scratch: &Scratch, then: &mut dyn FnMut(&[u8])) {
        scratch.with(self, then);
    }
}

/// A row as a task has written it since its last commit.
struct Written {
    hash: u64,
    key: Range<usize>,
    value: Value,
    /// Whether the store is known to have no such row.
    new: bool,
}

/// What a task has written since its last commit, and looked for in vain.
#[derive(Default)]
pub(crate) struct Writes {
    rows: Vec<Written>,
    /// Numbers of rows.
    found: HashTable<u32>,
    hasher: FixedState,
    /// Keys and values.
    bytes: Vec<u8>,
}

impl Writes {
    fn key(&self, number: u32) -> &[u8] {
        &self.bytes[self.rows[number as usize].key.clone()]
    }

    /// The number of the row at a key, and the key's hash.
    fn find(&self, key: &[u8]) -> (Option<u32>, u64) {
        let hash = self.hasher.hash_one(key);
        (self.found.find(hash, |number| self.key(*number) == key).copied(), hash)
    }

    fn append(&mut self, bytes: &[u8]) -> Range<usize> {
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        begin..self.bytes.len()
    }

    /// A row that was not met before; its number.
    fn insert(&mut self, hash: u64, key: &[u8], value: Value, new: bool) -> u32 {
        let number = u32::try_from(self.rows.len()).expect("invariant: an epoch has less than 2^32 rows");
        let key = self.append(key);
        self.rows.push(Written { hash, key, value, new });
        self.found.insert_unique(hash, number, |number| self.rows[*number as usize].hash);
        number
    }

    fn bytes(&self, number: u32) -> Option<Cow<'_, [u8]>> {
        match &self.rows[number as usize].value {
            Value::None => None,
            Value::Bytes(at) => Some(Cow::Borrowed(&self.bytes[at.clone()])),
            Value::Kept(value) => {
                let mut bytes = Vec::new();
                value.bytes(&Scratch::default(), &mut |its| bytes.extend_from_slice(its));
                Some(Cow::Owned(bytes))
            }
        }
    }

    /// Gathers what is to be committed of some rows, in order of key: a row that came and went is no change.
    pub fn take(&self, order: &mut Order, scratch: &Scratch, gathered: &mut Gathered) {
        order.sort(self);
        for number in order.numbers.drain(..) {
            let (key, row) = (self.key(number), &self.rows[number as usize]);
            match &row.value {
                Value::None if row.new => {}
                Value::None => gathered.push(key, None),
                Value::Bytes(at) => gathered.push(key, Some(&self.bytes[at.clone()])),
                Value::Kept(value) => value.bytes(scratch, &mut |bytes| gathered.push(key, Some(bytes))),
            }
        }
        order.sorted = 0;
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        if self.bytes.capacity() > SPARE {
            *self = Writes::default();
        }
        self.rows.clear();
        self.found.clear();
        self.bytes.clear();
    }
}

/// Some of the rows that are written: those of a key, or those across keys.
#[derive(Default)]
pub(crate) struct Order {
    numbers: Vec<u32>,
    /// So many of them, from the first on, are in order of key.
    sorted: usize,
}

impl Order {
    /// Forgets them.
    pub fn clear(&mut self) {
        *self = Order::default();
    }

    /// Brings all in order. A few that came since the last time are put where they belong: a step may scan, write, and scan again.
    fn sort(&mut self, writes: &Writes) {
        let Order { numbers, sorted } = self;
        if numbers.len() - *sorted > FEW {
            // Finds what is in order already.
            numbers.sort_by(|a, b| writes.key(*a).cmp(writes.key(*b)));
            *sorted = numbers.len();
        }
        while *sorted < numbers.len() {
            let key = writes.key(numbers[*sorted]);
            let place = numbers[..*sorted].partition_point(|before| writes.key(*before) < key);
            numbers[place..=*sorted].rotate_right(1);
            *sorted += 1;
        }
    }

    /// Those with `from <= key < to`, in order.
    fn range(&mut self, writes: &Writes, from: &[u8], to: &[u8]) -> &[u32] {
        self.sort(writes);
        let at = |key: &[u8]| self.numbers.partition_point(|number| writes.key(*number) < key);
        &self.numbers[at(from)..at(to)]
    }
}

/// A store seen through a task's own uncommitted writes. What it is asked for it asks the store for once.
#[derive(Clone, Copy)]
pub(crate) struct Overlaid<'a> {
    pub base: &'a dyn Store,
    pub writes: &'a RefCell<Writes>,
    /// The rows that are seen so.
    pub order: &'a RefCell<Order>,
}

impl Overlaid<'_> {
    /// Writes a value; over the one before, where that has room for it, for a row may be written a thousand times.
    pub fn put(&self, key: &[u8], value: &[u8]) {
        let mut writes = self.writes.borrow_mut();
        let (found, hash) = writes.find(key);
        let before = found.and_then(|number| match &writes.rows[number as usize].value {
            Value::Bytes(at) if at.len() >= value.len() => Some(at.start),
            _ => None,
        });
        let at = match before {
            Some(begin) => {
                writes.bytes[begin..begin + value.len()].copy_from_slice(value);
                begin..begin + value.len()
            }
            None => writes.append(value),
        };
        self.write(&mut writes, (found, hash), key, Value::Bytes(at));
    }

    /// Writes a value that is likely to be read again, or deleted, before the epoch ends.
    pub fn keep<V: Serialize + Any + Send>(&self, key: &[u8], value: V) {
        let mut writes = self.writes.borrow_mut();
        let found = writes.find(key);
        self.write(&mut writes, found, key, Value::Kept(Box::new(value)));
    }

    fn write(&self, writes: &mut Writes, (found, hash): (Option<u32>, u64), key: &[u8], value: Value) {
        match found {
            Some(number) => writes.rows[number as usize].value = value,
            None => self.insert(writes, hash, key, value, false),
        }
    }

    fn insert(&self, writes: &mut Writes, hash: u64, key: &[u8], value: Value, new: bool) {
        let number = writes.insert(hash, key, value, new);
        self.order.borrow_mut().numbers.push(number);
    }

    /// The value at `key`, read.
    pub fn read<V: DeserializeOwned + Clone + Any>(&self, key: &[u8]) -> Option<V> {
        let writes = self.writes.borrow();
        let (found, hash) = writes.find(key);
        let Some(number) = found else {
            drop(writes);
            return self.look_up(hash, key).as_deref().map(rows::from_bytes);
        };
        if let Value::Kept(value) = &writes.rows[number as usize].value
            && let Some(value) = (value.as_ref() as &dyn Any).downcast_ref::<V>()
        {
            return Some(value.clone());
        }
        writes.bytes(number).map(|bytes| rows::from_bytes(&bytes))
    }

    /// What the store has at a key that was not written, and not looked for before.
    fn look_up(&self, hash: u64, key: &[u8]) -> Option<Vec<u8>> {
        let value = self.base.get(key);
        if value.is_none() {
            self.insert(&mut self.writes.borrow_mut(), hash, key, Value::None, true);
        }
        value
    }

    /// A row that is not committed is only taken back: what comes and goes within an epoch, as most holds and timers do
    /// where hops are fused, leaves nothing in the changelog.
    pub fn delete(&self, key: &[u8]) {
        let mut writes = self.writes.borrow_mut();
        let (found, hash) = writes.find(key);
        match found {
            Some(number) => {
                let row = &mut writes.rows[number as usize];
                (row.value, row.new) = (Value::None, row.new || self.base.get(key).is_none());
            }
            None => self.insert(&mut writes, hash, key, Value::None, self.base.get(key).is_none()),
        }
    }
}

impl Store for Overlaid<'_> {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let (found, hash) = self.writes.borrow().find(key);
        match found {
            Some(number) => self.writes.borrow().bytes(number).map(Cow::into_owned),
            None => self.look_up(hash, key),
        }
    }

    fn scan(&self, from: &[u8], to: &[u8], reverse: bool, visit: &mut Visit<'_>) {
        if from >= to {
            return;
        }
        let (writes, mut order) = (self.writes.borrow(), self.order.borrow_mut());
        let written = order.range(&writes, from, to).iter();
        let written = written.map(|number| (writes.key(*number), writes.bytes(*number)));
        merge(self.base, written, (from, to), reverse, visit);
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;
    use crate::{Changes, MemoryStore};

    #[derive(Default)]
    struct Laid(RefCell<Writes>, RefCell<Order>);

    impl Laid {
        fn over<'a>(&'a self, base: &'a dyn Store) -> Overlaid<'a> {
            Overlaid { base, writes: &self.0, order: &self.1 }
        }

        fn changes(&self) -> Changes {
            let mut gathered = Gathered::default();
            self.0.borrow().take(&mut self.1.borrow_mut(), &Scratch::default(), &mut gathered);
            gathered.finish()
        }
    }

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
        let laid = Laid::default();
        let overlaid = laid.over(&base);
        for longer in ["b", "c"] {
            overlaid.put(longer.as_bytes(), b"33");
        }
        let changes = [("b", Some("2")), ("c", Some("2")), ("e", None), ("f", None), ("h", Some("2"))];
        let changes = changes.map(|(key, value)| (key.as_bytes().to_vec(), value.map(|v| v.as_bytes().to_vec())));
        for (key, value) in changes.clone() {
            match value {
                Some(value) => overlaid.put(&key, &value),
                None => overlaid.delete(&key),
            }
        }
        assert_eq!(overlaid.get(b"d"), None);
        let mut applied = base.clone();
        applied.apply(&changes.into_iter().collect());
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
        let laid = Laid::default();
        let rows = laid.over(&base);
        for key in [b"there".as_slice(), b"new", b"sought"] {
            assert_eq!(rows.get(key).is_some(), key == b"there");
            for _ in 0..2 {
                rows.put(key, b"2");
                rows.delete(key);
                assert_eq!(rows.get(key), None);
            }
        }
        rows.put(b"unsought", b"2");
        rows.delete(b"unsought");
        rows.delete(b"never");
        assert!(laid.changes().iter().eq([(&b"there"[..], None)]), "only what is committed has to be deleted");
    }

    #[test]
    fn a_value_that_is_kept_is_read_as_its_bytes_are() {
        let (base, laid) = (MemoryStore::default(), Laid::default());
        let rows = laid.over(&base);
        let bytes = rows::to_bytes(&(7_u64, "seven".to_owned()));
        rows.keep(b"b", (7_u64, "seven".to_owned()));
        rows.keep(b"gone", 1_u8);
        rows.delete(b"gone");
        assert_eq!(rows.read(b"b"), Some((7_u64, "seven".to_owned())));
        assert_eq!(rows.read(b"b"), Some((7_u32, "seven".to_owned())), "of another type, by its bytes");
        assert_eq!(rows.get(b"b"), Some(bytes.clone()));
        assert_eq!(scan(&rows, "a", "c", false, 9), format!("b{}", String::from_utf8_lossy(&bytes)));
        assert!(laid.changes().iter().eq([(&b"b"[..], Some(&bytes[..]))]));
    }

    #[test]
    fn rows_are_scanned_in_order_however_they_came() {
        let (laid, base) = (Laid::default(), MemoryStore::default());
        let (rows, mut random, mut there) = (laid.over(&base), 7_u64, MemoryStore::default());
        for step in 0..500 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let key = format!("{:03}", (random >> 40) % 600);
            rows.put(key.as_bytes(), b"v");
            there.pairs.insert(key.into_bytes(), b"v".to_vec());
            // Now and then, and at last after each.
            if step % 37 == 0 || step > 400 {
                for reverse in [false, true] {
                    assert_eq!(scan(&rows, "1", "5", reverse, 999), scan(&there, "1", "5", reverse, 999));
                }
            }
        }
        let mut applied = base.clone();
        applied.apply(&laid.changes());
        assert_eq!(applied, there);
    }
}
