//! The reasons that `transaction` itself gives: a stable code, the field at fault, and the values that decided.

use std::fmt::Display;

use tributary_flow::{Refusal, Timestamp};
use tributary_schemas::{AccountId, Reason};

/// A reason with its values.
pub(crate) fn reason<const N: usize>(code: &str, values: [(&str, &dyn Display); N]) -> Reason {
    let values = values.into_iter().map(|(name, value)| (name.to_owned(), value.to_string())).collect();
    Reason { values, ..Reason::new(code, "transaction") }
}

/// A reason that lies in a field of the command.
pub(crate) fn fault<const N: usize>(code: &str, field: impl Into<String>, values: [(&str, &dyn Display); N]) -> Reason {
    Reason { field: Some(field.into()), ..reason(code, values) }
}

/// The client's own word for why, where there is one.
pub(crate) fn asked(code: &str, source: &str, actor: Option<&str>, word: &str) -> Reason {
    let mut asked = Reason::new(code, source);
    for (name, value) in [("actor", actor.unwrap_or_default()), ("reason", word)] {
        if !value.is_empty() {
            asked.values.insert(name.to_owned(), value.to_owned());
        }
    }
    asked
}

/// The reasons of an objection; a plain one where it came without any.
pub(crate) fn given(reasons: &[Reason], code: &str, source: &str, subject: &AccountId) -> Vec<Reason> {
    if reasons.is_empty() {
        return vec![Reason { subject: Some(subject.as_str().to_owned()), ..Reason::new(code, source) }];
    }
    reasons.to_vec()
}

/// No such transaction.
pub(crate) fn not_found(transaction: &str) -> Reason {
    fault("not_found", "transaction_id", [("transaction_id", &transaction)])
}

/// The command is not legal where the transaction stands.
pub(crate) fn wrong_status(status: &str, legal: &[&str]) -> Reason {
    reason("wrong_status", [("status", &status), ("legal_in", &legal.join(", "))])
}

/// The command came through an ordinary door.
pub(crate) fn privileged(command: &str) -> Reason {
    let topic = tributary_graph::TRANSACTIONS_ADMIN_COMMANDS.name;
    reason("privileged_command", [("command", &command), ("topic", &topic)])
}

/// What the core refuses before a step.
pub(crate) fn of_the_door(refusal: &Refusal) -> Reason {
    let micros = |time: &Timestamp| time.0;
    match refusal {
        Refusal::Conflict { first_seen } => reason("conflict", [("first_seen", &micros(first_seen))]),
        Refusal::Stale { time, oldest } => {
            fault("stale_command", "time", [("time", &micros(time)), ("oldest", &micros(oldest))])
        }
    }
}
