//! The lines of a posting. Three tell of them: the transaction that decided them, the accounts that booked them and the
//! ledger.

use tributary_schemas::{Amount, Hash, Money};

/// A line of a posting, whoever tells of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Line {
    pub line: i32,
    pub amount: Amount,
}

impl Line {
    /// A line that was booked.
    pub(super) fn new(line: i32, amount: &Money) -> Self {
        Line { line, amount: amount.amount }
    }
}

/// Lines with the hashes of their entries.
pub(super) type Booked = Vec<(Line, Hash)>;

/// Lines in their order.
pub(super) fn sorted(lines: Option<&Booked>) -> Booked {
    let mut lines = lines.cloned().unwrap_or_default();
    lines.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    lines
}
