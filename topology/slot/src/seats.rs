//! Where rows that come and go lie in a changelog. Under its own key such a row would leave a tombstone behind each time, for
//! a key that nobody uses again: most of what a restore reads would be of holds and timers that are long gone. So it is
//! written under the number of a *seat*, with its own key beside its value, and when it goes the next one takes its seat. A
//! compacted changelog then holds no more of them than there ever were at once.
//!
//! A store keeps beside such a row who has which seat, both ways, in rows of the driver's own. A record of a seat tells by
//! whom it was left too: by whoever the store says had it, and has no other since.
//!
//! A row that a changelog has under its own key (an older build wrote it) keeps that, until it goes.
//!
//! Deliberately absent: a smaller number of seats once there were many. What is free is a tombstone each, and they go with time.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use tributary_flow::rows::{self, DRIVER, Passing};
use tributary_flow::{Changes, MemoryStore, Store};

/// First byte of a seat's key in a changelog; no state row begins so. Seats come before all rows, in an epoch's order of keys.
const SEAT: u8 = b'S';

/// In the store: who has a seat.
fn holder(seat: u32) -> Vec<u8> {
    [&[DRIVER, b'h'][..], &seat.to_be_bytes()].concat()
}

/// In the store: which seat a row has.
fn seat_of(row: &[u8]) -> Vec<u8> {
    [&[DRIVER, b's'][..], row].concat()
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes.try_into().expect("invariant: a seat's number has four bytes"))
}

/// The seats of a task that nobody has.
pub(crate) struct Seats {
    /// Those below `next`.
    free: BTreeSet<u32>,
    /// From here on nobody has one.
    next: u32,
}

impl Seats {
    /// As a store has them.
    pub fn of(store: &dyn Store) -> Self {
        let mut seats = Seats { free: BTreeSet::new(), next: 0 };
        store.scan(&[DRIVER, b'h'], &[DRIVER, b'h' + 1], false, &mut |key, _| {
            let taken = number(&key[2..]);
            seats.free.extend(seats.next..taken);
            seats.next = taken + 1;
            ControlFlow::Continue(())
        });
        seats
    }

    /// Gives those rows of an epoch a seat that come and go. Whoever comes takes one that is left in this very epoch before any
    /// other, which saves a record.
    pub fn give(&self, store: &dyn Store, changes: &Changes, passing: &'static [Passing]) -> Seating {
        let mut seating = Seating { passing, ..Seating::default() };
        let (mut left, mut come) = (Vec::new(), Vec::new());
        for (key, value) in changes.iter().filter(|(key, _)| rows::passes(key, passing)) {
            let seat = store.get(&seat_of(key)).map(|bytes| number(&bytes));
            match (seat, value) {
                (Some(seat), Some(_)) => drop(seating.records.insert(seat, Some(key.clone()))),
                (Some(seat), None) => {
                    seating.records.insert(seat, None);
                    seating.gone.push(key.clone());
                    left.push(seat);
                }
                (None, Some(_)) if store.get(key).is_none() => come.push(key.clone()),
                (None, _) => drop(seating.unseated.insert(key.clone())),
            }
        }
        let free = left.into_iter().chain(self.free.iter().copied()).chain(self.next..);
        seating.records.extend(free.zip(come.into_iter().map(Some)));
        seating
    }

    /// An epoch's seating is committed.
    pub fn committed(&mut self, seating: &Seating) {
        for (seat, row) in &seating.records {
            self.next = self.next.max(seat + 1);
            match row {
                Some(_) => drop(self.free.remove(seat)),
                None => drop(self.free.insert(*seat)),
            }
        }
    }
}

/// Where the rows of an epoch that come and go are written.
#[derive(Default)]
pub(crate) struct Seating {
    passing: &'static [Passing],
    /// Who has each seat from now on.
    records: BTreeMap<u32, Option<Vec<u8>>>,
    /// Rows that have a seat no more.
    gone: Vec<Vec<u8>>,
    /// Rows that lie under their own keys.
    unseated: BTreeSet<Vec<u8>>,
}

impl Seating {
    /// What an epoch writes to the changelog, in order of key.
    pub fn write<E>(
        &self,
        changes: &Changes,
        mut write: impl FnMut(&[u8], Option<&[u8]>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut record = Vec::new();
        for (seat, row) in &self.records {
            let key = [&[SEAT][..], &seat.to_be_bytes()].concat();
            record.clear();
            if let Some(row) = row {
                record.extend_from_slice(&(row.len() as u32).to_be_bytes());
                record.extend_from_slice(row);
                record.extend_from_slice(changes[row].as_deref().unwrap_or_default());
            }
            write(&key, row.is_some().then_some(&record))?;
        }
        let seated = |key: &Vec<u8>| rows::passes(key, self.passing) && !self.unseated.contains(key);
        changes.iter().filter(|(key, _)| !seated(key)).try_for_each(|(key, value)| write(key, value.as_deref()))
    }

    /// What the store has to know of seats once the epoch is committed.
    pub fn follow(&self, mut put: impl FnMut(&[u8], Option<&[u8]>)) {
        self.gone.iter().for_each(|row| put(&seat_of(row), None));
        for (seat, row) in &self.records {
            put(&holder(*seat), row.as_deref());
            if let Some(row) = row {
                put(&seat_of(row), Some(&seat.to_be_bytes()));
            }
        }
    }
}

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

/// The row that a record of a changelog is about; nothing where it says that a seat is left.
#[must_use]
pub fn row_of<'a>(key: &'a [u8], value: Option<&'a [u8]>) -> Option<&'a [u8]> {
    if key.first() == Some(&SEAT) { value.map(|record| parted(record).0) } else { Some(key) }
}

/// A seat's record: the row that has it, and its value.
fn parted(record: &[u8]) -> (&[u8], &[u8]) {
    let (length, rest) = record.split_first_chunk().expect("invariant: the record of a seat names its row");
    rest.split_at(u32::from_be_bytes(*length) as usize)
}

/// Takes in a record of a changelog that is not the lineage's. Taking in again what was taken in before, up to the same end, changes
/// nothing.
pub fn take_in(rows: &mut impl Along, key: &[u8], value: Option<&[u8]>) {
    let seat = match key {
        [SEAT, seat @ ..] => number(seat),
        _ => return rows.put(key, value),
    };
    let taken = value.map(parted);
    let before = rows.get(&holder(seat)).filter(|before| taken.is_none_or(|(row, _)| row != before));
    if let Some(before) = before {
        let of_before = seat_of(&before);
        // Or it has gone and come back, to another seat.
        if rows.get(&of_before).is_some_and(|its| number(&its) == seat) {
            rows.put(&before, None);
            rows.put(&of_before, None);
        }
    }
    rows.put(&holder(seat), taken.map(|(row, _)| row));
    if let Some((row, value)) = taken {
        rows.put(row, Some(value));
        rows.put(&seat_of(row), Some(&seat.to_be_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::*;

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

        /// Few keys, so that some come back: of timers and of rows that stay.
        fn epoch(&mut self) {
            let mut changes = Changes::new();
            for _ in 0..=self.below(5) {
                let key = format!("{}{}", ["n", "n", "h"][self.below(3)], self.below(12)).into_bytes();
                let value = vec![b'v'; self.below(4)];
                if self.below(2) == 0 {
                    changes.insert(key, Some(value));
                } else if self.rows.contains_key(&key) {
                    changes.insert(key, None);
                }
            }
            let seating = self.seats.give(&self.store, &changes, &[]);
            let from = self.changelog.len();
            let Ok(()) = seating.write::<std::convert::Infallible>(&changes, |key, value| {
                self.changelog.push((key.to_vec(), value.map(<[u8]>::to_vec)));
                Ok(())
            });
            assert!(self.changelog[from..].is_sorted_by(|a, b| a.0 < b.0), "in order of key");
            for (key, value) in &changes {
                self.store.put(key, value.as_deref());
                match value {
                    Some(value) => drop(self.rows.insert(key.clone(), value.clone())),
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
            let lasting: Vec<_> = kept(0).into_iter().filter(|(_, value)| value.is_some()).collect();
            let nothing = MemoryStore::default;
            for (store, kept) in [(nothing(), kept(0)), (nothing(), lasting), (old.clone(), kept(from))] {
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
            let changes = Changes::from([(b"nold".to_vec(), value.clone())]);
            let mut written = Vec::new();
            let seating = seats.give(&store, &changes, &[]);
            let Ok(()) = seating.write::<std::convert::Infallible>(&changes, |key, value| {
                written.push((key.to_vec(), value.map(<[u8]>::to_vec)));
                Ok(())
            });
            assert_eq!(written, [(b"nold".to_vec(), value)]);
        }
    }
}
