//! Answers about transactions.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{MoneyAnswer, PlaceAnswer};
use crate::json::{amount, day, instant};
use crate::problem::ReasonAnswer;
use crate::views::transaction::{self, Transaction};

/// A transaction, as last told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TransactionAnswer {
    /// The transaction.
    pub transaction_id: String,
    /// `initiated`, `held`, `on_hold`, `completed`, `failed`, `cancelled` or `expired`.
    pub status: &'static str,
    /// When it got there.
    pub since: String,
    /// When it was initiated.
    pub created_at: String,
    /// Who asked for it.
    pub actor: Option<String>,
    /// Hold now, post or void later.
    pub two_phase: bool,
    /// For people.
    pub description: String,
    /// The client's own.
    pub metadata: BTreeMap<String, String>,
    /// Its legs, system accounts with their shard.
    pub legs: Vec<LegAnswer>,
    /// Every reason given.
    pub reasons: Vec<ReasonAnswer>,
    /// Until when it waits, or waited.
    pub expires_at: Option<String>,
    /// How many postings were decided.
    pub postings: u32,
    /// Time of the last posting.
    pub booked_at: Option<String>,
    /// Value date of the last posting.
    pub value_date: Option<String>,
    /// Everything that was told of it, in order of time; only where one transaction is asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<FactAnswer>,
}

/// One leg of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct LegAnswer {
    /// Index.
    pub line: i32,
    /// Account.
    pub account_id: String,
    /// `DEBIT` or `CREDIT`.
    pub side: &'static str,
    /// As asked for.
    pub amount: MoneyAnswer,
    /// What postings took of it.
    pub posted: String,
}

impl TransactionAnswer {
    /// The transaction, where it was initiated.
    #[must_use]
    pub fn of(transaction: &Transaction) -> Option<Self> {
        let initiated = transaction.initiated.as_ref()?;
        let leg = |(line, leg): (i32, &tributary_schemas::transactions::Leg)| LegAnswer {
            line,
            account_id: leg.account_id.to_string(),
            side: leg.side.symbol(),
            amount: (&leg.amount).into(),
            posted: amount(transaction.posted.get(&line).map_or(0, |posted| posted.0), leg.amount.currency),
        };
        Some(TransactionAnswer {
            transaction_id: initiated.transaction_id.to_string(),
            status: status(transaction.status),
            since: instant(transaction.since),
            created_at: instant(transaction.created_at),
            actor: transaction.actor.clone(),
            two_phase: initiated.two_phase,
            description: initiated.description.clone(),
            metadata: initiated.metadata.clone(),
            legs: (0..).zip(&initiated.legs).map(leg).collect(),
            reasons: transaction.reasons.iter().map(ReasonAnswer::from).collect(),
            expires_at: transaction.expires_at.map(instant),
            postings: transaction.postings,
            booked_at: transaction.booked_at.map(instant),
            value_date: transaction.value_date.map(day),
            history: Vec::new(),
        })
    }
}

/// A status in words.
#[must_use]
pub fn status(status: transaction::Status) -> &'static str {
    match status {
        transaction::Status::Initiated => "initiated",
        transaction::Status::Held => "held",
        transaction::Status::OnHold => "on_hold",
        transaction::Status::Completed => "completed",
        transaction::Status::Failed => "failed",
        transaction::Status::Cancelled => "cancelled",
        transaction::Status::Expired => "expired",
    }
}

/// A fact with its cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FactAnswer {
    /// Its identity.
    pub id: String,
    /// The identity of the record or timer that caused it.
    pub causation: String,
    /// The command at the root of the cascade.
    pub correlation: String,
    /// The command that it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answers: Option<String>,
    /// Who asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// When it was decided.
    pub time: String,
    /// Where it lies.
    pub place: PlaceAnswer,
    /// The record, with its `type`.
    #[schema(value_type = Object)]
    pub body: Value,
}
