//! Count and sum over sliding windows, in few rows. A window is a total, an open bucket that the clock is in, and closed
//! buckets, each a row. A payment touches one row (all totals and open buckets of its currency); a bucket's row is
//! written when time closes it and deleted when it has left the window, both with the next payment.
//!
//! Sums saturate: who spends more than an `i128` holds is suspicious enough. Windows live as long as the rules name them;
//! one that a new rules file drops goes with the account's next payment, one that it adds begins empty.
//!
//! Deliberately absent: a timer that sweeps. An account that falls silent keeps at most one window's buckets.

use serde::{Deserialize, Serialize};
use tributary_flow::{Page, Timestamp};
use tributary_schemas::{Amount, Currency};

use crate::rules::Window;
use crate::state::{BUCKETS, Spent, State, VELOCITY};

/// Payments, counted and summed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// How much.
    pub sum: Amount,
}

impl Tally {
    fn add(&mut self, other: Tally) {
        self.count = self.count.saturating_add(other.count);
        self.sum = Amount(self.sum.0.saturating_add(other.sum.0).min(Amount::MAX.0));
    }

    fn take(&mut self, other: Tally) {
        self.count = self.count.saturating_sub(other.count);
        self.sum = Amount(self.sum.0.saturating_sub(other.sum.0).max(0));
    }

    fn is_zero(self) -> bool {
        self == Tally::default()
    }
}

/// A window of one account and currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rolling {
    /// Which window.
    pub seconds: u32,
    /// All buckets together.
    pub total: Tally,
    /// The open bucket.
    pub open: Tally,
    /// When it began.
    pub open_at: Timestamp,
    /// When the oldest closed bucket began.
    pub oldest: Option<Timestamp>,
}

impl Rolling {
    /// Moves the window to `now`.
    fn advance(&mut self, window: &Window, state: &mut State<'_>, currency: &str, now: Timestamp) {
        let at = |begin| (window.seconds, currency.to_owned(), begin);
        let begin = window.bucket_of(now);
        if begin > self.open_at {
            if !self.open.is_zero() {
                state.put(&BUCKETS, &at(self.open_at), &self.open);
                self.oldest.get_or_insert(self.open_at);
            }
            (self.open_at, self.open) = (begin, Tally::default());
        }
        let horizon = window.horizon(now);
        let Some(oldest) = self.oldest.filter(|oldest| *oldest < horizon) else { return };
        let (oldest, horizon, open) = (at(oldest), at(horizon), at(self.open_at));
        for (bucket, gone) in state.rows(&BUCKETS, Page { from: Some(&oldest), to: Some(&horizon), ..Page::all() }) {
            self.total.take(gone);
            state.delete(&BUCKETS, &bucket);
        }
        let left = state.rows(&BUCKETS, Page { from: Some(&horizon), to: Some(&open), limit: 1, ..Page::all() });
        self.oldest = left.first().map(|((_, _, begin), _)| *begin);
    }
}

/// Counts a payment. Returns what remembers it, and the totals of each window with it.
pub(crate) fn spend(
    windows: &[Window],
    state: &mut State<'_>,
    currency: Currency,
    amount: Amount,
    now: Timestamp,
) -> (Spent, Vec<Tally>) {
    let key = currency.to_string();
    let mut before = state.get(&VELOCITY, &key).unwrap_or_default();
    if windows.is_empty() && !before.is_empty() {
        state.delete(&VELOCITY, &key);
    }
    let mut rolled = Vec::with_capacity(windows.len());
    for window in windows {
        let mut rolling = match before.iter().position(|rolling| rolling.seconds == window.seconds) {
            Some(found) => before.swap_remove(found),
            None => Rolling {
                seconds: window.seconds,
                total: Tally::default(),
                open: Tally::default(),
                open_at: window.bucket_of(now),
                oldest: None,
            },
        };
        rolling.advance(window, state, &key, now);
        let payment = Tally { count: 1, sum: amount };
        rolling.open.add(payment);
        rolling.total.add(payment);
        rolled.push(rolling);
    }
    for dropped in before {
        drop_buckets(state, dropped.seconds, &key);
    }
    let buckets = rolled.iter().map(|rolling| (rolling.seconds, rolling.open_at)).collect();
    let totals = rolled.iter().map(|rolling| rolling.total).collect();
    if !rolled.is_empty() {
        state.keep(&VELOCITY, &key, rolled);
    }
    (Spent { currency, amount, posted: Amount::ZERO, buckets }, totals)
}

/// Deletes every bucket of a window that the rules no longer name.
fn drop_buckets(state: &mut State<'_>, seconds: u32, currency: &str) {
    let ends = [Timestamp(i64::MIN), Timestamp(i64::MAX)].map(|begin| (seconds, currency.to_owned(), begin));
    for (bucket, _) in state.rows(&BUCKETS, Page { from: Some(&ends[0]), to: Some(&ends[1]), ..Page::all() }) {
        state.delete(&BUCKETS, &bucket);
    }
}

/// Gives back what was counted and came to nothing: all of the payment, or, where some was posted, the rest of its sum.
pub(crate) fn give_back(state: &mut State<'_>, spent: &Spent) {
    let nothing = spent.posted.is_zero();
    let back = Tally { count: u64::from(nothing), sum: Amount(spent.amount.0.saturating_sub(spent.posted.0).max(0)) };
    let key = spent.currency.to_string();
    let Some(mut rolled) = state.get(&VELOCITY, &key).filter(|_| !back.is_zero()) else { return };
    for (seconds, begin) in &spent.buckets {
        let Some(rolling) = rolled.iter_mut().find(|rolling| rolling.seconds == *seconds) else { continue };
        if rolling.open_at == *begin {
            rolling.open.take(back);
        } else {
            let at = (*seconds, key.clone(), *begin);
            // A bucket that has left the window took its payments out of the total.
            let Some(mut bucket) = state.get(&BUCKETS, &at) else { continue };
            bucket.take(back);
            if bucket.is_zero() {
                state.delete(&BUCKETS, &at);
            } else {
                state.put(&BUCKETS, &at, &bucket);
            }
        }
        rolling.total.take(back);
    }
    state.keep(&VELOCITY, &key, rolled);
}
