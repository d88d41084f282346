//! The lines of a posting. Three tell of them: the transaction that decided them, the accounts that booked them and the
//! ledger. They agree where line, account, side, amount and currency are the same.

use std::fmt;

use tributary_schemas::{AccountId, Amount, Currency, Hash, Money, Side};

/// A line of a posting, whoever tells of it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Line {
    pub line: i32,
    /// None where the posting names a line that was never declared.
    pub booking: Option<Booking>,
    pub amount: Amount,
}

/// What a line does to whom.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Booking {
    pub account: AccountId,
    pub side: Side,
    pub currency: Currency,
}

impl Line {
    /// A line of this account.
    pub(super) fn new(line: i32, account: &AccountId, side: Side, amount: &Money) -> Self {
        let booking = Booking { account: account.clone(), side, currency: amount.currency };
        Line { line, booking: Some(booking), amount: amount.amount }
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.booking {
            Some(Booking { account, side, currency }) => {
                write!(f, "{}: {account} {side:?} {} {currency}", self.line, self.amount)
            }
            None => write!(f, "{}: of no leg, {}", self.line, self.amount),
        }
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
