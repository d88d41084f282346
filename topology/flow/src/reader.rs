//! Reads a task's state: what a step sees of its own key, and what queries and audits see of a whole partition.

use std::ops::ControlFlow;

use serde::{Serialize, de::DeserializeOwned};

use crate::Timestamp;
use crate::rows::{self, Collection, Index, Ordered, tag};
use crate::store::{Store, prefix_end};
use crate::task::Meta;

/// Which rows of an ordered collection to read.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a, K> {
    /// First key, itself included; the collection's begin where absent.
    pub from: Option<&'a K>,
    /// Where to stop, itself excluded; the collection's end where absent.
    pub to: Option<&'a K>,
    /// Downwards from `to` instead of upwards from `from`.
    pub reverse: bool,
    /// Most rows to return.
    pub limit: usize,
}

impl<K> Page<'_, K> {
    /// Every row, upwards.
    #[must_use]
    pub const fn all() -> Self {
        Page { from: None, to: None, reverse: false, limit: usize::MAX }
    }
}

/// A task's state, read by key.
#[derive(Clone, Copy)]
pub struct Reader<'a>(&'a dyn Store);

impl<'a> Reader<'a> {
    /// Reads `store`.
    #[must_use]
    pub fn new(store: &'a dyn Store) -> Self {
        Reader(store)
    }

    /// The head of a key.
    #[must_use]
    pub fn head<H: DeserializeOwned>(&self, key: &str) -> Option<H> {
        self.0.get(&rows::keyed(tag::HEAD, key)).map(|bytes| rows::from_bytes(&bytes))
    }

    /// The heads of the partition in order of key, from `from` (included) on.
    #[must_use]
    pub fn heads<H: DeserializeOwned>(&self, page: Page<'_, String>) -> Vec<(String, H)> {
        self.page(vec![tag::HEAD], page)
    }

    /// One row of a key.
    #[must_use]
    pub fn row<K: Ordered, V: DeserializeOwned>(&self, key: &str, collection: &Collection<K, V>, at: &K) -> Option<V> {
        self.0.get(&rows::join(rows::collection(key, collection), at)).map(|bytes| rows::from_bytes(&bytes))
    }

    /// Rows of a key in order.
    #[must_use]
    pub fn rows<K: Ordered, V: DeserializeOwned>(
        &self,
        key: &str,
        collection: &Collection<K, V>,
        page: Page<'_, K>,
    ) -> Vec<(K, V)> {
        self.page(rows::collection(key, collection), page)
    }

    /// Rows of an index in order.
    #[must_use]
    pub fn index<K: Ordered, V: DeserializeOwned>(&self, index: &Index<K, V>, page: Page<'_, K>) -> Vec<(K, V)> {
        self.page(index.prefix(), page)
    }

    /// Every timer of the partition, in order of key: whose it is, its name, and when it is due. `T` is how the node names its
    /// timers.
    #[must_use]
    pub fn timers<T: DeserializeOwned>(&self) -> Vec<(String, T, Timestamp)> {
        let mut found = Vec::new();
        self.0.scan(&[tag::TIMER_OF_KEY], &[tag::TIMER_OF_KEY + 1], false, &mut |at, deadline| {
            let mut name = &at[1..];
            let Some(key) = String::read(&mut name) else { panic!("a timer's key cannot be read") };
            found.push((key, rows::from_bytes(name), rows::from_bytes(deadline)));
            ControlFlow::Continue(())
        });
        found
    }

    /// The offset of `topic` from which this task reads on: everything below is in the state.
    #[must_use]
    pub fn position(&self, topic: &str) -> u64 {
        self.0.get(&rows::position(topic)).map_or(0, |bytes| rows::from_bytes(&bytes))
    }

    /// The same for whoever tells how far tasks are, and must not stop at a row that halts one: the beginning where it cannot
    /// be read.
    #[must_use]
    pub fn told_position(&self, topic: &str) -> u64 {
        self.0.get(&rows::position(topic)).map_or(0, |bytes| rows::read(&bytes).unwrap_or(0))
    }

    /// The last epoch that is in the state, 0 where there is none: what an audit needs to compare a store with a log.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.0.get(&[tag::META]).map_or(0, |bytes| rows::from_bytes::<Meta>(&bytes).epoch)
    }

    /// The same for whoever compares it with what others tell, and must not stop at a row that halts the task: nothing where it
    /// cannot be read.
    #[must_use]
    pub fn told_epoch(&self) -> Option<u64> {
        self.0.get(&[tag::META]).map_or(Some(0), |bytes| Some(rows::read::<Meta>(&bytes).ok()?.epoch))
    }

    fn page<K: Ordered, V: DeserializeOwned>(&self, prefix: Vec<u8>, page: Page<'_, K>) -> Vec<(K, V)> {
        let from = page.from.map_or_else(|| prefix.clone(), |key| rows::join(prefix.clone(), key));
        let to = page.to.map_or_else(|| prefix_end(&prefix), |key| rows::join(prefix.clone(), key));
        let mut found = Vec::new();
        if page.limit == 0 {
            return found;
        }
        self.0.scan(&from, &to, page.reverse, &mut |key, value| {
            let Some(key) = K::read(&mut &key[prefix.len()..]) else {
                panic!("a state key cannot be read as {}", std::any::type_name::<K>());
            };
            found.push((key, rows::from_bytes(value)));
            if found.len() < page.limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        found
    }
}

/// A digest of all state in a store: equal digests, equal state.
#[must_use]
pub fn digest(store: &dyn Store) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    store.scan(&[], &[rows::DRIVER], false, &mut |key, value| {
        for part in [key, value] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        ControlFlow::Continue(())
    });
    *hasher.finalize().as_bytes()
}

/// A value as state keeps it: for tests that measure what a row costs.
#[must_use]
pub fn encoded_len<T: Serialize>(value: &T) -> usize {
    rows::to_bytes(value).len()
}
