//! What is remembered of a transaction, and which statuses a command meets.

use serde::{Deserialize, Serialize};
use tributary_flow::{Collection, Date, Reader, Timestamp};
use tributary_schemas::transactions::{Leg, LegLine, TransactionCommand};
use tributary_schemas::{AccountId, Amount, Money, Reason, Side};

/// How a transaction has ended: all that is kept of it, and for good.
pub const ENDED: Collection<(), End> = Collection::new(1);

/// Where a transaction stands; nothing where there is none.
#[must_use]
pub fn status(state: Reader<'_>, id: &str) -> Option<Status> {
    let ended = || state.row(id, &ENDED, &()).map(Status::Ended);
    state.head(id).map(|open: Open| open.status).or_else(ended)
}

/// The head of a key's state: a transaction that has not ended. With two legs about 70 bytes, with 64 about 1,500.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// Where it stands.
    pub status: Status,
    /// Its lines, in the order of the command's legs.
    pub lines: Vec<Line>,
    /// Its accounts, in the order in which the legs first name them.
    pub parties: Vec<Party>,
    /// Whether it is posted by a command of its own.
    pub two_phase: bool,
    /// How long a hold lasts, in microseconds.
    pub hold: i64,
    /// The client's value date.
    pub value_date: Option<Date>,
    /// Who created it: never its reviewer.
    pub initiator: Option<String>,
    /// When the wait of this status ends by itself; while posting, when the hold will.
    pub deadline: Timestamp,
    /// The command that the end of what is under way will answer.
    pub pending: Option<String>,
    /// How many postings there were.
    pub postings: i32,
    /// When the last posting was decided.
    pub booked_at: Timestamp,
    /// What risk wants a person to look at.
    pub review: Review,
    /// Why it will not go through, in order of arrival.
    pub reasons: Vec<Reason>,
}

/// What risk wants a person to look at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// Whether any answer asked for it.
    pub wanted: bool,
    /// The highest score of all answers.
    pub score: i32,
    /// The reasons of those that asked.
    pub reasons: Vec<Reason>,
}

/// A line of the transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Index of its account among the parties.
    pub party: usize,
    /// Side.
    pub side: Side,
    /// What of it was not posted yet.
    pub left: Money,
}

/// An account of the transaction, and what is known of its part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// The account.
    pub account: AccountId,
    /// Whether it is asked at all: system accounts are not.
    pub ordinary: bool,
    /// Whether it granted or refused.
    pub voted: bool,
    /// Whether risk answered for it.
    pub assessed: bool,
    /// Whether it has to say yet that it did what it was last told.
    pub awaited: bool,
    /// Whether it was told its last: a final confirmation or a cancellation.
    pub closed: bool,
}

impl Party {
    fn new(account: AccountId) -> Self {
        let ordinary = account.system().is_none();
        Party { account, ordinary, voted: false, assessed: false, awaited: false, closed: false }
    }
}

/// Where a transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// The votes are being collected.
    Initiated,
    /// Waits for a reviewer.
    OnHold,
    /// Waits to be posted or voided.
    Held,
    /// Waits for the accounts to book.
    Posting {
        /// Whether this is the last posting.
        last: bool,
    },
    /// Waits for the accounts to release, and then ends so.
    Cancelling(End),
    /// Over.
    Ended(End),
}

/// How a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// Booked.
    Completed,
    /// Refused, declined or not answered in time.
    Failed,
    /// Withdrawn or voided.
    Cancelled,
    /// Its hold or review ran out.
    Expired,
}

/// The timers of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Timer {
    /// The votes are due.
    Voting,
    /// The hold runs out.
    Hold,
    /// The review runs out.
    Review,
}

impl Status {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Status::Initiated => "initiated",
            Status::OnHold => "on_hold",
            Status::Held => "held",
            Status::Posting { .. } => "posting",
            Status::Cancelling(_) => "cancelling",
            Status::Ended(End::Completed) => "completed",
            Status::Ended(End::Failed) => "failed",
            Status::Ended(End::Cancelled) => "cancelled",
            Status::Ended(End::Expired) => "expired",
        }
    }

    /// The timer that runs while it lasts.
    #[must_use]
    pub fn timer(self) -> Option<Timer> {
        match self {
            Status::Initiated => Some(Timer::Voting),
            Status::OnHold => Some(Timer::Review),
            Status::Held => Some(Timer::Hold),
            Status::Posting { .. } | Status::Cancelling(_) | Status::Ended(_) => None,
        }
    }
}

/// The statuses in which a command is legal.
pub(crate) fn legal_in(command: &TransactionCommand) -> &'static [&'static str] {
    match command {
        TransactionCommand::CreateTransaction(_) => &[],
        TransactionCommand::CancelTransaction(_) => &["initiated", "on_hold", "held"],
        TransactionCommand::PostTransaction(_) | TransactionCommand::VoidTransaction(_) => &["held"],
        TransactionCommand::ReviewTransaction(_) => &["on_hold"],
    }
}

impl Open {
    /// Lines and parties of resolved legs.
    pub(crate) fn cut(legs: &[Leg]) -> (Vec<Line>, Vec<Party>) {
        let mut parties: Vec<Party> = Vec::new();
        let mut lines = Vec::with_capacity(legs.len());
        for leg in legs {
            let known = parties.iter().position(|party| party.account == leg.account_id);
            let party = known.unwrap_or_else(|| {
                parties.push(Party::new(leg.account_id.clone()));
                parties.len() - 1
            });
            lines.push(Line { party, side: leg.side, left: leg.amount.clone() });
        }
        (lines, parties)
    }

    /// The lines of a party as its account sees them.
    pub(crate) fn lines_of(&self, party: usize) -> Vec<LegLine> {
        let own = self.lines.iter().enumerate().filter(|(_, line)| line.party == party);
        own.map(|(at, line)| LegLine { line: at as i32, side: line.side, amount: line.left.clone() }).collect()
    }

    /// The accounts across from a party: those with a line on a side opposite to one of its own.
    pub(crate) fn counterparties(&self, party: usize) -> Vec<AccountId> {
        let on = |party: usize, side: Side| self.lines.iter().any(|line| line.party == party && line.side == side);
        let across = |other: usize| Side::ALL.into_iter().any(|side| on(party, side) && on(other, side.opposite()));
        let others = (0..self.parties.len()).filter(|other| *other != party && across(*other));
        others.map(|other| self.parties[other].account.clone()).collect()
    }

    /// Whether anything of a party's lines was not posted yet.
    pub(crate) fn has_left(&self, party: usize) -> bool {
        self.lines.iter().any(|line| line.party == party && line.left.amount.is_positive())
    }

    /// All that was not posted yet, by line.
    pub(crate) fn all_left(&self) -> Vec<(usize, Amount)> {
        let lines = self.lines.iter().enumerate().map(|(at, line)| (at, line.left.amount));
        lines.filter(|(_, left)| left.is_positive()).collect()
    }

    /// The party of an account that was asked: nobody else's word counts.
    pub(crate) fn party(&mut self, account: &AccountId) -> Option<&mut Party> {
        self.parties.iter_mut().find(|party| party.account == *account)
    }

    /// The ordinary accounts of which `missing` holds.
    pub(crate) fn names(&self, missing: impl Fn(&Party) -> bool) -> String {
        let names = self.parties.iter().filter(|party| party.ordinary && missing(party));
        names.map(|party| party.account.as_str()).collect::<Vec<_>>().join(", ")
    }
}
