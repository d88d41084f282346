//! What is kept of an account: a head of fixed size, a row per open leg, and a row for people.
//!
//! Limits' use is part of the head, for the running day and month only: a task's clock never goes back, so a window that
//! is over decides nothing again, and what is given back to it needs no place.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tributary_flow::{Collection, Date};
use tributary_schemas::{AccountKind, Amount, Currency, Hash, Side};

/// What is held and reserved for each transaction, by its id; gone when nothing is left to post.
pub const OPEN_LEGS: Collection<String, OpenLeg> = Collection::new(1);
/// What an account says of itself to people. Legs never read it, so it does not weigh on them.
pub const PROFILE: Collection<(), Profile> = Collection::new(2);

/// Whether legs are granted. New variants go last: the number is in the stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// Legs are granted.
    Open,
    /// None is, until it is unfrozen; what was granted is honoured.
    Frozen,
    /// None is, ever again.
    Closed,
}

/// A change of status that someone asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Freeze,
    Unfreeze,
    Close,
}

impl Status {
    /// The status after a change, or the code of its refusal. A frozen account cannot be closed, for it could never be
    /// unfrozen again: who froze it lifts the freeze first.
    pub(crate) fn after(self, change: Change) -> Result<Status, &'static str> {
        match (self, change) {
            (Status::Open, Change::Freeze) => Ok(Status::Frozen),
            (Status::Frozen, Change::Unfreeze) => Ok(Status::Open),
            (Status::Open, Change::Close) => Ok(Status::Closed),
            (Status::Open, Change::Unfreeze) => Err("not_frozen"),
            (Status::Frozen, Change::Freeze) => Err("already_frozen"),
            (Status::Frozen, Change::Close) => Err("account_frozen"),
            (Status::Closed, _) => Err("account_closed"),
        }
    }
}

/// The head. Balance, floor, held and reserved are on the kind's normal side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Status.
    pub status: Status,
    /// A system account: never asked, only told.
    pub system: bool,
    /// Kind.
    pub kind: AccountKind,
    /// Currency.
    pub currency: Currency,
    /// How far available may go below zero.
    pub floor: Amount,
    /// Most that may be held in a UTC day.
    pub daily_limit: Option<Amount>,
    /// Most that may be held in a UTC month.
    pub monthly_limit: Option<Amount>,
    /// What the limits are compared with.
    pub used: Used,
    /// Posted balance.
    pub balance: Amount,
    /// What open legs will lower it by, at most.
    pub held: Amount,
    /// What open legs will raise it by, at most.
    pub reserved: Amount,
    /// Rows in [`OPEN_LEGS`].
    pub open_legs: u64,
    /// Sequence of the last entry; 0 before the first.
    pub sequence: i64,
    /// Hash of the last entry; zeros before the first.
    pub last_hash: Hash,
}

/// What was held in the running windows and neither voided nor released.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// The day of the last grant; its month is the running month.
    pub day: Date,
    /// In that day.
    pub in_day: Amount,
    /// In its month.
    pub in_month: Amount,
}

impl Used {
    /// As it stands on `day`. A day before the last one counts as the last.
    pub(crate) fn on(self, day: Date) -> Used {
        if day <= self.day {
            return self;
        }
        let same_month = day.year_month() == self.day.year_month();
        Used { day, in_day: Amount::ZERO, in_month: if same_month { self.in_month } else { Amount::ZERO } }
    }

    fn give_back(&mut self, day: Date, amount: Amount) {
        if day == self.day {
            self.in_day = less(self.in_day, amount);
        }
        if day.year_month() == self.day.year_month() {
            self.in_month = less(self.in_month, amount);
        }
    }
}

impl Account {
    /// A new account, open and empty.
    pub(crate) fn new(kind: AccountKind, currency: Currency, system: bool) -> Self {
        Account {
            status: Status::Open,
            system,
            kind,
            currency,
            floor: Amount::ZERO,
            daily_limit: None,
            monthly_limit: None,
            used: Used::default(),
            balance: Amount::ZERO,
            held: Amount::ZERO,
            reserved: Amount::ZERO,
            open_legs: 0,
            sequence: 0,
            last_hash: Hash::ZERO,
        }
    }

    /// Posted less held.
    #[must_use]
    pub fn available(&self) -> Amount {
        less(self.balance, self.held)
    }

    /// Whether a line on this side lowers the balance.
    #[must_use]
    pub fn lowers(&self, side: Side) -> bool {
        side != self.kind.normal_side()
    }

    /// The account after one more leg that lowers and raises by so much at most; none where some figure could outgrow 38
    /// digits, now or once everything open is posted.
    pub(crate) fn granted(&self, day: Date, lowers: Amount, raises: Amount) -> Option<Account> {
        let used = self.used.on(day);
        let reserved = self.reserved.checked_add(raises)?;
        self.balance.checked_add(reserved)?;
        let held = self.held.checked_add(lowers)?;
        self.balance.checked_sub(held)?;
        let used =
            Used { in_day: used.in_day.checked_add(lowers)?, in_month: used.in_month.checked_add(lowers)?, ..used };
        Some(Account { used, held, reserved, open_legs: self.open_legs + 1, ..*self })
    }

    /// Books what was granted. A system account was never asked, so nothing of it is held or reserved.
    pub(crate) fn post(&mut self, side: Side, amount: Amount) {
        if self.lowers(side) {
            self.balance = less(self.balance, amount);
            self.held = if self.system { self.held } else { less(self.held, amount) };
        } else {
            self.balance = more(self.balance, amount);
            self.reserved = if self.system { self.reserved } else { less(self.reserved, amount) };
        }
    }

    /// Lets go of what is left in a leg, and answers how much of it had been held.
    pub(crate) fn release(&mut self, leg: &OpenLeg) -> Amount {
        let (held, reserved) = (leg.left(|side| self.lowers(side)), leg.left(|side| !self.lowers(side)));
        self.held = less(self.held, held);
        self.reserved = less(self.reserved, reserved);
        self.used.give_back(leg.day, held);
        held
    }
}

/// What was granted to a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenLeg {
    /// The UTC day whose limit, and whose month's, it consumed.
    pub day: Date,
    /// Its lines.
    pub lines: Vec<OpenLine>,
}

/// A line of an open leg.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenLine {
    /// Index in the transaction.
    pub line: i32,
    /// Side: it says whether the amount is held or reserved.
    pub side: Side,
    /// What was promised.
    pub granted: Amount,
    /// What of it is neither posted nor released.
    pub remaining: Amount,
}

impl OpenLeg {
    /// The sum of what is left on the sides that are asked for.
    pub fn left(&self, of: impl Fn(Side) -> bool) -> Amount {
        let lines = self.lines.iter().filter(|line| of(line.side));
        lines.map(|line| line.remaining).fold(Amount::ZERO, more)
    }

    /// Whether anything is left to post.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.lines.iter().all(|line| line.remaining.is_zero())
    }

    /// Takes a post out of its line.
    pub(crate) fn take(&mut self, number: i32, side: Side, amount: Amount) {
        let line = self.lines.iter_mut().find(|line| line.line == number && line.side == side);
        let line = line.expect("invariant: a posted line was granted, on the same side");
        assert!(
            amount.is_positive() && amount <= line.remaining,
            "invariant: a post is within what remains of its line"
        );
        line.remaining = less(line.remaining, amount);
    }
}

/// What is kept for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Name.
    pub name: String,
    /// The client's own.
    pub metadata: BTreeMap<String, String>,
}

fn more(a: Amount, b: Amount) -> Amount {
    a.checked_add(b).expect("invariant: a grant leaves room for every figure it can lead to")
}

fn less(a: Amount, b: Amount) -> Amount {
    a.checked_sub(b).expect("invariant: a grant leaves room for every figure it can lead to")
}
