//! Answers about accounts.

use std::collections::BTreeMap;

use serde::Serialize;
use tributary_schemas::ledger::EntryPosted;
use tributary_schemas::{Currency, Side};
use utoipa::ToSchema;

use super::MoneyAnswer;
use crate::json::{amount, day, instant};
use crate::views::account::{Account, Leg, Sides, Status};

/// An account, as last told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AccountAnswer {
    /// The account.
    pub account_id: String,
    /// `ASSET`, `LIABILITY`, `EQUITY`, `INCOME` or `EXPENSE`.
    pub kind: &'static str,
    /// The one currency of the account.
    pub currency: String,
    /// Whether it is a system account, or one shard of it.
    pub system: bool,
    /// `open`, `frozen` or `closed`.
    pub status: &'static str,
    /// Whether risk declines it.
    pub blocked: bool,
    /// For people.
    pub name: String,
    /// How far the available balance may go below zero.
    pub floor: String,
    /// Most that may leave in a UTC day.
    pub daily_limit: Option<String>,
    /// Most that may leave in a UTC month.
    pub monthly_limit: Option<String>,
    /// The client's own.
    pub metadata: BTreeMap<String, String>,
    /// Booked, on the kind's normal side.
    pub posted: String,
    /// What pending transactions will take away.
    pub held: String,
    /// What pending transactions will bring.
    pub reserved: String,
    /// Posted less held.
    pub available: String,
    /// Sequence of the last entry; zero where there is none.
    pub sequence: u64,
    /// Hash of the last entry.
    pub hash: String,
    /// When it was opened.
    pub opened_at: String,
}

impl AccountAnswer {
    /// The account, where it was opened.
    #[must_use]
    pub fn of(account: &Account) -> Option<Self> {
        let terms = account.terms.as_ref()?;
        let money = |units: i128| amount(units, terms.currency);
        let held = account.held(terms.kind).0;
        Some(AccountAnswer {
            account_id: terms.account_id.to_string(),
            kind: terms.kind.symbol(),
            currency: terms.currency.to_string(),
            system: terms.system,
            status: match account.status {
                Status::Open => "open",
                Status::Frozen => "frozen",
                Status::Closed => "closed",
            },
            blocked: account.blocked,
            name: terms.name.clone(),
            floor: money(terms.floor.0),
            daily_limit: terms.daily_limit.map(|limit| money(limit.0)),
            monthly_limit: terms.monthly_limit.map(|limit| money(limit.0)),
            metadata: terms.metadata.clone(),
            posted: money(account.posted.0),
            held: money(held),
            reserved: money(account.reserved(terms.kind).0),
            available: money(account.posted.0 - held),
            sequence: account.sequence,
            hash: account.hash.to_string(),
            opened_at: instant(account.opened_at),
        })
    }
}

/// A ledger entry of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct EntryAnswer {
    /// From 1, without gaps.
    pub sequence: u64,
    /// The transaction.
    pub transaction_id: String,
    /// Ordinal of the posting in the transaction.
    pub posting: i32,
    /// Index of the leg in the transaction.
    pub line: i32,
    /// `DEBIT` or `CREDIT`.
    pub side: &'static str,
    /// What was booked.
    pub amount: MoneyAnswer,
    /// Posted balance after, on the kind's normal side.
    pub balance: String,
    /// Posted less held, after.
    pub available: String,
    /// When it was decided.
    pub booked_at: String,
    /// From when it counts.
    pub value_date: String,
    /// Hash of the entry before.
    pub previous_hash: String,
    /// Hash of this entry.
    pub hash: String,
}

impl From<&EntryPosted> for EntryAnswer {
    fn from(entry: &EntryPosted) -> Self {
        let currency = entry.amount.currency;
        EntryAnswer {
            sequence: entry.sequence.cast_unsigned(),
            transaction_id: entry.transaction_id.to_string(),
            posting: entry.posting,
            line: entry.line,
            side: entry.side.symbol(),
            amount: (&entry.amount).into(),
            balance: amount(entry.balance.0, currency),
            available: amount(entry.available.0, currency),
            booked_at: instant(entry.booked_at),
            value_date: day(entry.value_date),
            previous_hash: entry.previous_hash.to_string(),
            hash: entry.hash.to_string(),
        }
    }
}

/// A balance at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct BalanceAnswer {
    /// The account.
    pub account_id: String,
    /// The time asked for; by value date, its day.
    pub at: String,
    /// `booked` or `value`.
    pub by: &'static str,
    /// The balance, on the kind's normal side.
    pub balance: MoneyAnswer,
    /// Whether nothing can change it any more: the time is over by a minute, nothing of the account is in transit and no
    /// record waits for the account or its view. By value date never, since a value date may be set back.
    pub r#final: bool,
}

/// A transaction, as one of its accounts meets it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AccountTransactionAnswer {
    /// The transaction.
    pub transaction_id: String,
    /// When the account first met it.
    pub at: String,
    /// `pending`, `posted` or `released`.
    pub status: &'static str,
    /// The side that it changes the account on, net of all its lines: `DEBIT` or `CREDIT`.
    pub side: &'static str,
    /// How much was asked for.
    pub requested: MoneyAnswer,
    /// How much is booked.
    pub booked: MoneyAnswer,
    /// The accounts on the other side.
    pub counterparties: Vec<String>,
}

impl AccountTransactionAnswer {
    /// The transaction `id`, as an account in `currency` meets it.
    #[must_use]
    pub fn of(id: String, leg: &Leg, currency: Currency) -> Self {
        // System accounts are asked only to book.
        let requested = if leg.requested == Sides::default() { leg.confirmed } else { leg.requested };
        let side = if requested.debit >= requested.credit { Side::Debit } else { Side::Credit };
        let net = |sides: Sides| match side {
            Side::Debit => sides.debit - sides.credit,
            Side::Credit => sides.credit - sides.debit,
        };
        let nothing = Sides::default();
        AccountTransactionAnswer {
            transaction_id: id,
            at: instant(leg.first),
            status: match (leg.ended, leg.confirmed == nothing && leg.booked == nothing) {
                (true, true) => "released",
                (true, false) => "posted",
                (false, _) => "pending",
            },
            side: side.symbol(),
            requested: MoneyAnswer::new(net(requested), currency),
            booked: MoneyAnswer::new(net(leg.booked), currency),
            counterparties: leg.counterparties.iter().map(ToString::to_string).collect(),
        }
    }
}
