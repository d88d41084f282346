//! What an audit found: laws broken, each with its place; what was counted; and what could not be compared, with the
//! reason, so that nothing is passed over in silence.

use std::collections::BTreeMap;
use std::fmt;

/// Every law that is checked, by the name that a violation gives it.
pub const LAWS: &[&str] = &[
    "alarm",
    "answered once",
    "bad input is a dead letter",
    "balance",
    "booked",
    "booked once",
    "books what was decided",
    "chained",
    "debits equal credits",
    "decodable",
    "ends once",
    "every unit held ends once",
    "floor",
    "gapless",
    "immutable",
    "initiated once",
    "journal",
    "keyed",
    "nothing booked",
    "opened before",
    "opened once",
    "posts what it held",
    "state",
    "trial balance",
    "view",
    "votes once",
];

/// A law broken, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which law.
    pub law: &'static str,
    /// Topic, partition and offset, or the store.
    pub place: String,
    /// The account or transaction.
    pub subject: String,
    /// What was found, and what should have been.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}: {}", self.law, self.place, self.subject, self.detail)
    }
}

/// Why nothing is asked of a record that lies between the two ends of the log.
pub(super) const ACROSS: &str = "they were being written when the audit began";

/// What an audit found.
#[derive(Debug, Default)]
pub struct Report {
    /// Laws broken.
    pub violations: Vec<Violation>,
    /// Counted, by what.
    pub counts: BTreeMap<&'static str, u64>,
    /// What is neither kept nor broken as far as this audit can tell: how many, by what and why.
    pub uncompared: BTreeMap<(&'static str, &'static str), u64>,
    /// Sum of debits less credits in the journal, by currency: zero, all of them.
    pub trial_balance: BTreeMap<String, (i128, i128)>,
    /// Digest of each node's state, by node and partition.
    pub digests: Vec<(String, u32, [u8; 32])>,
}

impl Report {
    pub(super) fn count(&mut self, what: &'static str, many: u64) {
        *self.counts.entry(what).or_default() += many;
    }

    /// One of `what` is not compared.
    pub(super) fn uncompared(&mut self, what: &'static str, why: &'static str) {
        *self.uncompared.entry((what, why)).or_default() += 1;
    }

    pub(super) fn violation(
        &mut self,
        law: &'static str,
        place: impl fmt::Display,
        subject: impl fmt::Display,
        detail: impl fmt::Display,
    ) {
        debug_assert!(LAWS.contains(&law), "invariant: {law} is listed");
        self.violations.push(Violation {
            law,
            place: place.to_string(),
            subject: subject.to_string(),
            detail: detail.to_string(),
        });
    }
}
