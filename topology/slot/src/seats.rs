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

use tributary_flow::rows::{DRIVER, Life, Lives};
use tributary_flow::{Changes, Store};

use crate::changelog::Along;

/// First byte of a seat's key in a changelog; no state row begins so. Seats come before all rows, in an epoch's order of keys.
pub(crate) const SEAT: u8 = b'S';

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
    pub fn give(&self, store: &dyn Store, changes: &Changes, lives: Lives) -> Seating {
        let mut seating = Seating::default();
        let (mut left, mut come) = (Vec::new(), Vec::new());
        for (key, value) in changes.iter().filter(|(key, _)| lives.of(key) == Life::Passing) {
            let seat = store.get(&seat_of(key)).map(|bytes| number(&bytes));
            match (seat, value) {
                (Some(seat), Some(_)) => drop(seating.records.insert(seat, Some(key.to_vec()))),
                (Some(seat), None) => {
                    seating.records.insert(seat, None);
                    seating.gone.push(key.to_vec());
                    left.push(seat);
                }
                (None, Some(_)) if store.get(key).is_none() => come.push(key.to_vec()),
                (None, _) => drop(seating.unseated.insert(key.to_vec())),
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
    /// Who has each seat from now on.
    records: BTreeMap<u32, Option<Vec<u8>>>,
    /// Rows that have a seat no more.
    gone: Vec<Vec<u8>>,
    /// Rows that lie under their own keys.
    unseated: BTreeSet<Vec<u8>>,
}

impl Seating {
    /// The records of seats, in order of key.
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
                record.extend_from_slice(changes.get(row).flatten().unwrap_or_default());
            }
            write(&key, row.is_some().then_some(&record))?;
        }
        Ok(())
    }

    /// Whether a row that passes lies under its own key.
    pub fn is_unseated(&self, key: &[u8]) -> bool {
        self.unseated.contains(key)
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

/// A seat's record: the row that has it, and its value.
pub(crate) fn parted(record: &[u8]) -> (&[u8], &[u8]) {
    let (length, rest) = record.split_first_chunk().expect("invariant: the record of a seat names its row");
    rest.split_at(u32::from_be_bytes(*length) as usize)
}

/// Takes in the record of a seat; its key without the first byte.
pub(crate) fn take_seat(rows: &mut impl Along, seat: &[u8], value: Option<&[u8]>) {
    let seat = number(seat);
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
