//! What is remembered of a transaction until all of it is in the journal.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tributary_flow::{Date, Timestamp};
use tributary_schemas::ledger::JournalLine;
use tributary_schemas::transactions::{Leg, PostLine};

/// The state of a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The legs as declared, each with what of it is not in the journal yet; none before the transaction was seen.
    pub legs: Option<Vec<Leg>>,
    /// The highest posting declared. They are declared in order, so one below it that is not open is closed.
    pub declared: i32,
    /// Postings that are not closed, by ordinal.
    pub open: BTreeMap<i32, Posting>,
    /// Whether the transaction has ended: no posting will follow.
    pub ended: bool,
}

/// A posting that is not closed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posting {
    /// What was declared; none where entries came first.
    pub declaration: Option<Declaration>,
    /// What was booked, in order of arrival.
    pub entries: Vec<JournalLine>,
}

/// What a posting is to book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declaration {
    /// Amounts by line.
    pub lines: Vec<PostLine>,
    /// Time of booking.
    pub booked_at: Timestamp,
    /// Value date.
    pub value_date: Date,
}

/// The timers of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Timer {
    /// This posting should have been complete.
    Incomplete(i32),
}

impl Head {
    /// Whether this posting was closed before.
    pub(crate) fn is_closed(&self, posting: i32) -> bool {
        posting <= self.declared && !self.open.contains_key(&posting)
    }

    /// Whether nothing more will come.
    pub(crate) fn is_finished(&self) -> bool {
        self.ended && self.open.is_empty()
    }
}

impl Posting {
    /// The declared lines that are not booked yet; none where nothing was declared.
    pub(crate) fn missing(&self) -> Option<Vec<i32>> {
        let lines = self.declaration.as_ref()?.lines.iter().map(|declared| declared.line);
        Some(lines.filter(|line| self.entries.iter().all(|entry| entry.line != *line)).collect())
    }
}
