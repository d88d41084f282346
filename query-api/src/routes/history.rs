//! The history of a transaction as JSON. Facts are kept as their Avro envelopes; here each becomes its record again, and
//! amounts get the digits of the currency that the transaction's own legs give them.

use serde::Serialize;
use serde_json::Value;
use tributary_flow::{Body, Place, Reader, TopicRef, reader};
use tributary_graph as graph;
use tributary_schemas::accounts::Vote;
use tributary_schemas::ledger::{Journal, LedgerEvent};
use tributary_schemas::risk::RiskEvent;
use tributary_schemas::transactions::{Leg, TransactionEvent};
use tributary_schemas::{Amount, Currency};

use crate::answer::{FactAnswer, PlaceAnswer};
use crate::json::instant;
use crate::views::transaction::{HISTORY, Source, Told, Transaction};

/// Every fact about the transaction, in order of time.
pub(super) fn of(reader: Reader<'_>, transaction: &Transaction, key: &str) -> Vec<FactAnswer> {
    let told = reader.rows(key, &HISTORY, reader::Page::all());
    told.iter().filter_map(|(_, told)| fact(told, transaction.legs())).collect()
}

fn fact(told: &Told, legs: &[Leg]) -> Option<FactAnswer> {
    match told.source {
        Source::Event => answer::<TransactionEvent>(told, &graph::TRANSACTIONS_EVENTS, legs),
        Source::Vote => answer::<Vote>(told, &graph::ACCOUNTS_VOTES, legs),
        Source::Risk => answer::<RiskEvent>(told, &graph::RISK_EVENTS, legs),
        Source::Journal => answer::<Journal>(told, &graph::LEDGER_JOURNAL, legs),
        Source::Alarm => answer::<LedgerEvent>(told, &graph::LEDGER_EVENTS, legs),
    }
}

fn answer<B: Body + Serialize>(told: &Told, topic: TopicRef, legs: &[Leg]) -> Option<FactAnswer> {
    let (fact, body) = told.read::<B>()?;
    let mut body = serde_json::to_value(&body).ok()?;
    dress(&mut body, legs, None);
    Some(FactAnswer {
        id: fact.id.to_string(),
        causation: fact.causation.to_string(),
        correlation: fact.correlation,
        answers: fact.answers,
        actor: fact.actor,
        time: instant(fact.time),
        place: PlaceAnswer::from(&Place {
            topic: topic.name.to_owned(),
            partition: told.partition,
            offset: told.offset,
        }),
        body,
    })
}

/// Gives every amount the digits of its currency: its own where it is money, else that of the leg that the record is
/// about, by account or by line.
fn dress(value: &mut Value, legs: &[Leg], outer: Option<Currency>) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| dress(item, legs, outer)),
        Value::Object(fields) => {
            let text = |name: &str| fields.get(name).and_then(Value::as_str);
            let own = text("currency").and_then(|code| code.parse().ok());
            let account = text("account_id").and_then(|id| legs.iter().find(|leg| leg.account_id.as_str() == id));
            let line = fields.get("line").and_then(Value::as_u64).and_then(|line| legs.get(line as usize));
            let currency = own.or(account.or(line).map(|leg| leg.amount.currency)).or(outer);
            for (name, field) in fields {
                match (field.as_str(), currency) {
                    (Some(text), Some(currency)) if AMOUNTS.contains(&name.as_str()) => {
                        if let Ok(amount) = text.parse::<Amount>() {
                            *field = Value::String(amount.to_string_in(currency));
                        }
                    }
                    _ => dress(field, legs, currency),
                }
            }
        }
        _ => {}
    }
}

/// Fields that hold amounts, in any record of a history.
const AMOUNTS: [&str; 4] = ["amount", "held", "reserved", "released"];
