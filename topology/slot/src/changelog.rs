//! How a task's changes lie in its changelog, and how a store takes them in again. A row has its own key there, of which a
//! compacted topic keeps the last record; or, where it comes and goes, it has a [seat](crate::seats); or, where it lasts, it lies
//! in a [pack](crate::packs).
//!
//! What a row is must not depend on how much of a changelog is there still, or from where on it is read: a test reads
//! random ones in every way there is.

use tributary_flow::rows::{Life, Lives};
use tributary_flow::{Changes, MemoryStore, Store};

use crate::packs::{PACK, pack, unpack};
use crate::seats::{SEAT, Seating, parted, take_seat};

/// A task's rows, and what the driver keeps beside them, as they are brought along a changelog.
pub trait Along {
    /// What lies at a key by now.
    fn get(&self, key: &[u8]) -> Option<Vec<u8>>;
    /// Changes it.
    fn put(&mut self, key: &[u8], value: Option<&[u8]>);
}

impl Along for MemoryStore {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        Store::get(self, key)
    }

    fn put(&mut self, key: &[u8], value: Option<&[u8]>) {
        match value {
            Some(value) => drop(self.pairs.insert(key.to_vec(), value.to_vec())),
            None => drop(self.pairs.remove(key)),
        }
    }
}

/// What an epoch of this number writes to the changelog, in order of key.
pub(crate) fn write<E>(
    epoch: u64,
    changes: &Changes,
    lives: Lives,
    seating: &Seating,
    mut write: impl FnMut(&[u8], Option<&[u8]>) -> Result<(), E>,
) -> Result<(), E> {
    let rows: Vec<_> = changes.iter().map(|(key, value)| (lives.of(key), key, value)).collect();
    let lasting = rows.iter().filter(|(life, ..)| *life == Life::Lasting).map(|(_, key, value)| (*key, *value));
    pack(epoch, lasting, |key, pack| write(key, Some(pack)))?;
    seating.write(changes, &mut write)?;
    let own = |(life, key, _): &&(Life, &[u8], Option<&[u8]>)| match life {
        Life::Changing => true,
        Life::Passing => seating.is_unseated(key),
        Life::Lasting => false,
    };
    rows.iter().filter(own).try_for_each(|(_, key, value)| write(key, *value))
}

/// A row that a record of a changelog is about; nothing where it says that a seat is left.
#[must_use]
pub fn row_of<'a>(key: &'a [u8], value: Option<&'a [u8]>) -> Option<&'a [u8]> {
    match key.first() {
        Some(&SEAT) => value.map(|record| parted(record).0),
        Some(&PACK) => value.and_then(|pack| unpack(pack).next()).map(|(row, _)| row),
        _ => Some(key),
    }
}

/// Takes in a record of a changelog that is not the lineage's. Taking in again what was taken in before, up to the same end, changes
/// nothing.
pub fn take_in(rows: &mut impl Along, key: &[u8], value: Option<&[u8]>) {
    match key {
        [SEAT, seat @ ..] => take_seat(rows, seat, value),
        [PACK, ..] => value.into_iter().flat_map(unpack).for_each(|(row, value)| rows.put(row, value)),
        _ => rows.put(key, value),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::ops::Range;

    use tributary_flow::rows::DRIVER;

    use super::*;
    use crate::seats::Seats;

    fn written(epoch: u64, changes: &Changes, seating: &Seating) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        let mut written = Vec::new();
        let Ok(()) = write::<std::convert::Infallible>(epoch, changes, Lives::default(), seating, |key, value| {
            written.push((key.to_vec(), value.map(<[u8]>::to_vec)));
            Ok(())
        });
        assert!(written.is_sorted_by(|a, b| a.0 < b.0), "in order of key");
        written
    }

    /// A task's store with its changelog, and its rows as they should be.
    struct Life {
        random: u64,
        rows: BTreeMap<Vec<u8>, Vec<u8>>,
        store: MemoryStore,
        seats: Seats,
        changelog: Vec<(Vec<u8>, Option<Vec<u8>>)>,
        /// The store as it was, and where the changelog ended then.
        past: Vec<(MemoryStore, usize)>,
        most: usize,
    }

    impl Life {
        fn new(seed: u64) -> Self {
            let (store, rows) = (MemoryStore::default(), BTreeMap::new());
            let seats = Seats::of(&store);
            let mut life = Life { random: seed, rows, store, seats, changelog: Vec::new(), past: Vec::new(), most: 0 };
            // An older build left some under their own keys.
            for old in 0..life.below(4) {
                let (key, value) = (format!("n{}", 3 * old).into_bytes(), b"old".to_vec());
                take_in(&mut life.store, &key, Some(&value));
                life.changelog.push((key.clone(), Some(value.clone())));
                life.rows.insert(key, value);
            }
            life
        }

        fn below(&mut self, n: usize) -> usize {
            self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.random >> 33) as usize % n
        }

        /// Few keys, so that some come back: of timers, of rows that change, and of rows that last.
        fn epoch(&mut self) {
            let mut changes = BTreeMap::new();
            for _ in 0..=self.below(5) {
                let key = format!("{}{}", ["n", "n", "h", "s"][self.below(4)], self.below(12)).into_bytes();
                let value = vec![b'v'; self.below(4)];
                if self.below(2) == 0 {
                    changes.insert(key, Some(value));
                } else if self.rows.contains_key(&key) {
                    changes.insert(key, None);
                }
            }
            let changes: Changes = changes.into_iter().collect();
            let seating = self.seats.give(&self.store, &changes, Lives::default());
            self.changelog.extend(written(self.past.len() as u64, &changes, &seating));
            for (key, value) in changes.iter() {
                self.store.put(key, value);
                match value {
                    Some(value) => drop(self.rows.insert(key.to_vec(), value.to_vec())),
                    None => drop(self.rows.remove(key)),
                }
            }
            seating.follow(|key, value| self.store.put(key, value));
            self.seats.committed(&seating);
            self.most = self.most.max(self.rows.keys().filter(|key| key[0] == b'n').count());
            self.past.push((self.store.clone(), self.changelog.len()));
        }

        fn restored(&self, mut store: MemoryStore, read: Range<usize>) -> MemoryStore {
            self.changelog[read].iter().for_each(|(key, value)| take_in(&mut store, key, value.as_deref()));
            store
        }

        fn check(&mut self) {
            let state: BTreeMap<_, _> = self.store.pairs.range(..vec![DRIVER]).collect();
            assert!(state.into_iter().eq(self.rows.iter()));
            assert_eq!(self.restored(MemoryStore::default(), 0..self.changelog.len()), self.store, "from nothing");
            let at = self.below(self.past.len());
            let earlier = self.below(at + 1);
            let (store, from) = (self.past[at].0.clone(), self.past[earlier].1);
            let read = from..self.changelog.len();
            assert_eq!(self.restored(store, read), self.store, "from {at} on, and again what came since {earlier}");
            // As a compacted topic has it, tombstones and all, from an old store on or from nothing.
            let whole = self.changelog.clone();
            let last: BTreeMap<_, _> = whole.iter().enumerate().map(|(at, (key, _))| (key, at)).collect();
            let kept = |from: usize| {
                let kept = whole.iter().enumerate().filter(|(at, (key, _))| *at >= from && last[key] == *at);
                kept.map(|(_, record)| record.clone()).collect::<Vec<_>>()
            };
            let old = &self.past[at].0;
            // Whoever begins at the beginning needs no tombstone: they go in time.
            let alive: Vec<_> = kept(0).into_iter().filter(|(_, value)| value.is_some()).collect();
            let nothing = MemoryStore::default;
            for (store, kept) in [(nothing(), kept(0)), (nothing(), alive), (old.clone(), kept(from))] {
                self.changelog = kept;
                let end = self.changelog.len();
                // Read at once, or cut off and read on from a lower bound of what was taken in.
                let cut = self.below(end + 1);
                let again = self.below(cut + 1);
                for (first, then) in [(0..0, 0..end), (0..cut, again..end)] {
                    let rows = self.restored(self.restored(store.clone(), first.clone()), then.clone());
                    assert_eq!(rows.pairs, self.store.pairs, "compacted, by {first:?} and {then:?}");
                }
            }
            let seats = last.keys().filter(|key| key[0] == SEAT).count();
            self.changelog = whole;
            assert!(seats <= self.most, "{seats} seats for {} rows at once", self.most);
        }
    }

    #[test]
    fn however_a_changelog_is_read_the_rows_are_the_same() {
        for seed in 0..200 {
            let mut life = Life::new(seed);
            for epoch in 0..40 {
                life.epoch();
                life.check();
                if epoch % 7 == 0 {
                    life.seats = Seats::of(&life.store); // Another process takes over.
                }
            }
        }
    }

    #[test]
    fn a_row_under_its_own_key_keeps_it_until_it_goes() {
        let mut store = MemoryStore::default();
        take_in(&mut store, b"nold", Some(b"1"));
        let seats = Seats::of(&store);
        for value in [Some(b"2".to_vec()), None] {
            let changes = Changes::from_iter([(b"nold", value.as_ref())]);
            let seating = seats.give(&store, &changes, Lives::default());
            assert_eq!(written(1, &changes, &seating), [(b"nold".to_vec(), value)]);
        }
    }
}
