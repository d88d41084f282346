//! The trial balance at any time, exact and quick.
//!
//! Per partition a cache keeps the totals of each hour. It is brought up to date by reading the journal records that
//! arrived since, in order of arrival, so a record that is booked late lands in the hour it belongs to. A question at T adds
//! the whole hours before, and reads the rows of T's own hour from the index by booked time; all in one snapshot. Where
//! nothing is booked after T, as mostly, the sums alone answer.
//!
//! Cost: the first question after a start reads every journal record once (about a microsecond each); any other the
//! records that are new, and at most one hour's rows. Memory: some hundred bytes per hour that has postings.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tributary_flow::reader::Page;
use tributary_flow::{Reader, Timestamp};
use tributary_graph::LEDGER_JOURNAL;

use crate::views::transaction::{ARRIVED, BOOKED, Totals};

const HOUR: i64 = 3_600 * 1_000_000;
/// Rows read at once.
const BATCH: usize = 10_000;

/// The caches of all partitions.
pub(crate) struct TrialBalances(Vec<Mutex<Hours>>);

#[derive(Default)]
struct Hours {
    /// First offset of the journal that is not in the sums.
    next: u64,
    totals: BTreeMap<i64, Totals>,
    /// The latest booked time in the sums.
    latest: Option<Timestamp>,
}

impl TrialBalances {
    pub fn new(partitions: u32) -> Self {
        TrialBalances((0..partitions).map(|_| Mutex::default()).collect())
    }

    /// Totals of everything in `partition` that is booked at `at` or before.
    pub fn at(&self, partition: u32, reader: Reader<'_>, at: Timestamp) -> Totals {
        let cache = &self.0[partition as usize];
        let mut hours = cache.lock().unwrap_or_else(PoisonError::into_inner);
        hours.catch_up(reader);
        let hour = at.0.div_euclid(HOUR);
        let mut totals = Totals::default();
        if hours.latest.is_none_or(|latest| latest <= at) {
            hours.totals.values().for_each(|whole| totals.merge(whole));
            return totals;
        }
        hours.totals.range(..hour).for_each(|(_, whole)| totals.merge(whole));
        drop(hours);
        each(reader, (Timestamp(hour * HOUR), 0), (at.plus(1), 0), |row| totals.merge(row));
        totals
    }
}

impl Hours {
    /// A reader whose snapshot is older than the sums changes nothing: each record is balanced and lies in one hour.
    fn catch_up(&mut self, reader: Reader<'_>) {
        let end = reader.position(LEDGER_JOURNAL.name);
        while self.next < end {
            let page = Page { from: Some(&self.next), to: Some(&end), reverse: false, limit: BATCH };
            let rows = reader.index(&ARRIVED, page);
            self.next = if rows.len() < BATCH { end } else { rows.last().map_or(end, |(offset, _)| offset + 1) };
            for (_, (booked_at, totals)) in rows {
                self.latest = self.latest.max(Some(booked_at));
                self.totals.entry(booked_at.0.div_euclid(HOUR)).or_default().merge(&totals);
            }
        }
    }
}

fn each(reader: Reader<'_>, mut from: (Timestamp, u64), to: (Timestamp, u64), mut visit: impl FnMut(&Totals)) {
    loop {
        let rows = reader.index(&BOOKED, Page { from: Some(&from), to: Some(&to), reverse: false, limit: BATCH });
        rows.iter().for_each(|(_, totals)| visit(totals));
        match rows.last() {
            Some(((at, offset), _)) if rows.len() == BATCH => from = (*at, offset + 1),
            _ => return,
        }
    }
}
