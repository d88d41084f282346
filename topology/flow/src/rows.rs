//! How a task's state lies in its store: one head and any number of rows per key, timers, seen commands, positions.
//! A step costs only the rows it touches, and no changelog record outgrows a message.
//!
//! Keys are ordered bytes: text ends in a zero (ids hold none), numbers are big-endian, so that a prefix is a scan.
//! Values are postcard: compact and fast; a change of shape is a new collection number, never a new meaning.

use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use crate::scratch::Scratch;
use crate::{Date, EventId, Timestamp};

/// What a row's first byte says it is.
pub(crate) mod tag {
    pub const HEAD: u8 = b'h';
    pub const ROW: u8 = b'r';
    pub const INDEX: u8 = b'i';
    pub const TIMER: u8 = b't';
    pub const TIMER_OF_KEY: u8 = b'n';
    pub const SEEN: u8 = b's';
    pub const SEEN_PRIVILEGED: u8 = b'a';
    pub const POSITION: u8 = b'p';
    pub const META: u8 = b'm';
}

/// First byte of what a driver keeps beside a task's rows: above all of theirs, and no part of the state.
pub const DRIVER: u8 = b'z';

/// Rows of one kind, told by their keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// The heads of keys.
    Heads,
    /// The rows of the collection with this number.
    Rows(u8),
    /// The rows of the index with this number.
    Index(u8),
}

/// How long a row stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It comes and soon goes, and its key mostly does not come back.
    Passing,
    /// Once it is written it is hardly ever written again, or deleted.
    Lasting,
    /// Neither.
    Changing,
}

/// How long the rows of a node stay as they are, which decides how a changelog has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lives {
    /// Those that come and go; timers always do.
    pub passing: &'static [Family],
    /// Those that stay as they are; remembered commands always do.
    pub lasting: &'static [Family],
}

impl Lives {
    /// The life of the row at `key`.
    #[must_use]
    pub fn of(&self, key: &[u8]) -> Life {
        let Some((tag, rest)) = key.split_first() else { return Life::Changing };
        let number = || rest.iter().position(|byte| *byte == 0).and_then(|end| rest.get(end + 1));
        let family = match *tag {
            tag::TIMER | tag::TIMER_OF_KEY => return Life::Passing,
            tag::SEEN | tag::SEEN_PRIVILEGED => return Life::Lasting,
            tag::HEAD => Some(Family::Heads),
            tag::ROW => number().map(|number| Family::Rows(*number)),
            tag::INDEX => rest.first().map(|number| Family::Index(*number)),
            _ => None,
        };
        let is_in = |families: &[Family]| family.is_some_and(|family| families.contains(&family));
        match () {
            () if is_in(self.passing) => Life::Passing,
            () if is_in(self.lasting) => Life::Lasting,
            () => Life::Changing,
        }
    }
}

/// Bytes whose order is the value's order.
pub trait Ordered: Sized {
    /// Appends the value.
    fn write(&self, out: &mut Vec<u8>);
    /// Takes the value off the front; `None` where the bytes are not one.
    fn read(bytes: &mut &[u8]) -> Option<Self>;
}

macro_rules! ordered_unsigned {
    ($($t:ty),*) => {$(
        impl Ordered for $t {
            fn write(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_be_bytes());
            }
            fn read(bytes: &mut &[u8]) -> Option<Self> {
                let (head, rest) = bytes.split_first_chunk()?;
                *bytes = rest;
                Some(<$t>::from_be_bytes(*head))
            }
        }
    )*};
}
ordered_unsigned!(u8, u32, u64);

impl Ordered for i64 {
    fn write(&self, out: &mut Vec<u8>) {
        (self.cast_unsigned() ^ (1 << 63)).write(out);
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        Some((u64::read(bytes)? ^ (1 << 63)).cast_signed())
    }
}

impl Ordered for Timestamp {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        i64::read(bytes).map(Timestamp)
    }
}

impl Ordered for Date {
    fn write(&self, out: &mut Vec<u8>) {
        i64::from(self.0).write(out);
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        i64::read(bytes).and_then(|days| i32::try_from(days).ok()).map(Date)
    }
}

impl Ordered for EventId {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk()?;
        *bytes = rest;
        Some(EventId(*head))
    }
}

impl Ordered for String {
    fn write(&self, out: &mut Vec<u8>) {
        write_text(self, out);
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let end = bytes.iter().position(|byte| *byte == 0)?;
        let text = std::str::from_utf8(&bytes[..end]).ok()?.to_owned();
        *bytes = &bytes[end + 1..];
        Some(text)
    }
}

impl Ordered for () {
    fn write(&self, _: &mut Vec<u8>) {}
    fn read(_: &mut &[u8]) -> Option<Self> {
        Some(())
    }
}

impl<A: Ordered, B: Ordered> Ordered for (A, B) {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
        self.1.write(out);
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        Some((A::read(bytes)?, B::read(bytes)?))
    }
}

impl<A: Ordered, B: Ordered, C: Ordered> Ordered for (A, B, C) {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
        self.1.write(out);
        self.2.write(out);
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        Some((A::read(bytes)?, B::read(bytes)?, C::read(bytes)?))
    }
}

/// Appends text and the zero that ends it.
pub(crate) fn write_text(text: &str, out: &mut Vec<u8>) {
    assert!(!text.as_bytes().contains(&0), "invariant: a key holds no zero byte");
    out.extend_from_slice(text.as_bytes());
    out.push(0);
}

/// A declared collection of rows under each key, or, as [`Index`], across the keys of a partition.
#[derive(Debug)]
pub struct Collection<K, V> {
    pub(crate) number: u8,
    types: PhantomData<fn(K) -> V>,
}

impl<K, V> Collection<K, V> {
    /// The collection with this number, unique in its node and never reused.
    #[must_use]
    pub const fn new(number: u8) -> Self {
        Collection { number, types: PhantomData }
    }

    /// Its rows.
    #[must_use]
    pub const fn family(&self) -> Family {
        Family::Rows(self.number)
    }
}

/// Rows across all keys of a partition: a secondary index. Steps write it and never read it, since what they would read
/// depends on which keys share the partition; queries read it.
#[derive(Debug)]
pub struct Index<K, V>(pub(crate) Collection<K, V>);

impl<K, V> Index<K, V> {
    /// The index with this number, unique in its node and never reused.
    #[must_use]
    pub const fn new(number: u8) -> Self {
        Index(Collection::new(number))
    }

    /// Its rows.
    #[must_use]
    pub const fn family(&self) -> Family {
        Family::Index(self.0.number)
    }

    /// The key prefix of all its rows.
    pub(crate) fn prefix(&self) -> Vec<u8> {
        vec![tag::INDEX, self.0.number]
    }
}

/// `prefix` followed by `key`.
pub(crate) fn join<K: Ordered>(mut prefix: Vec<u8>, key: &K) -> Vec<u8> {
    key.write(&mut prefix);
    prefix
}

/// A tag followed by a key's text.
pub(crate) fn keyed(tag: u8, key: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(key.len() + 24);
    write_keyed(tag, key, &mut out);
    out
}

pub(crate) fn write_keyed(tag: u8, key: &str, out: &mut Vec<u8>) {
    out.push(tag);
    write_text(key, out);
}

/// The key prefix of a key's rows in a collection.
pub(crate) fn collection<K, V>(key: &str, collection: &Collection<K, V>) -> Vec<u8> {
    let mut out = keyed(tag::ROW, key);
    out.push(collection.number);
    out
}

/// The key of the position row of an input topic.
pub(crate) fn position(topic: &str) -> Vec<u8> {
    let mut out = vec![tag::POSITION];
    out.extend_from_slice(topic.as_bytes());
    out
}

/// A value's bytes.
pub(crate) fn to_bytes<T: Serialize>(value: &T) -> Vec<u8> {
    Scratch::default().bytes(value)
}

/// A value from its bytes, all of them.
///
/// # Errors
/// Says why they are none.
pub(crate) fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, String> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(format!("{} bytes follow after its end", rest.len())),
        Err(error) => Err(error.to_string()),
    }
}

/// A value from its bytes. A row that this build cannot read is a broken invariant: it halts the task.
pub(crate) fn from_bytes<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> T {
    read(bytes).unwrap_or_else(|why| panic!("a state row cannot be read as {}: {why}", std::any::type_name::<T>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_life_of_a_row_is_told_by_its_key() {
        let row = |number| join(collection("key", &Collection::<String, ()>::new(number)), &"at".to_owned());
        let index = |number| join(Index::<u64, ()>::new(number).prefix(), &7_u64);
        let lives = Lives { passing: &[Family::Rows(7)], lasting: &[Family::Heads, Family::Rows(8), Family::Index(7)] };
        for (key, life) in [
            (vec![tag::TIMER, 1], Life::Passing),
            (keyed(tag::TIMER_OF_KEY, "key"), Life::Passing),
            (row(7), Life::Passing),
            (row(8), Life::Lasting),
            (row(9), Life::Changing),
            (keyed(tag::HEAD, "key"), Life::Lasting),
            (keyed(tag::SEEN, "key"), Life::Lasting),
            (keyed(tag::SEEN_PRIVILEGED, "key"), Life::Lasting),
            (index(7), Life::Lasting),
            (index(8), Life::Changing),
            (position("topic"), Life::Changing),
            (vec![tag::META], Life::Changing),
            (Vec::new(), Life::Changing),
        ] {
            assert_eq!(lives.of(&key), life, "{key:?}");
        }
        assert_eq!(Lives::default().of(&row(7)), Life::Changing);
    }

    #[test]
    fn order_of_bytes_is_order_of_values() {
        fn bytes<T: Ordered>(value: &T) -> Vec<u8> {
            let mut out = Vec::new();
            value.write(&mut out);
            out
        }
        let times = [i64::MIN, -5, -1, 0, 1, 300, i64::MAX].map(Timestamp);
        assert!(times.windows(2).all(|pair| bytes(&pair[0]) < bytes(&pair[1])));
        let pairs = [("a", 9_u64), ("a", 10), ("ab", 0), ("b", 0)].map(|(text, n)| (text.to_owned(), n));
        assert!(pairs.windows(2).all(|pair| bytes(&pair[0]) < bytes(&pair[1])));
        for pair in pairs {
            assert_eq!(<(String, u64)>::read(&mut bytes(&pair).as_slice()), Some(pair));
        }
    }
}
