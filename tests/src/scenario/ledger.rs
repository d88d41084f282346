//! The canonical ledger: what must be the same whatever the order, the number of partitions and the driver. Shards of
//! system accounts are summed, for which shard is chosen is a question of partitions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Result;
use serde_json::Value;
use tributary_cli::decode::Decoder;
use tributary_cli::verify::States;
use tributary_cli::wiring::Schemas;
use tributary_flow::{Header, Log, TopicRef, log};
use tributary_graph as graph;

use super::Driver;
use super::expect::{accounts, unsharded};

/// What came of everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Transactions by id.
    pub transactions: BTreeMap<String, Told>,
    /// Sums booked, by transaction, line, account and side.
    pub legs: BTreeMap<(String, i64, String, String), i128>,
    /// Balance and what is held, by account.
    pub balances: BTreeMap<String, (i128, i128)>,
    /// The events that answered each command, by key and id, in the order of the log.
    pub answers: BTreeMap<(String, String), Vec<Answer>>,
    /// Codes of the general ledger's alarms.
    pub alarms: Vec<String>,
}

/// What is told of a transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Where it stands.
    pub status: String,
    /// Codes of the reasons for its end, sorted.
    pub reasons: Vec<String>,
    /// Postings that were decided.
    pub postings: usize,
    /// What the reasons give as values.
    pub values: BTreeSet<(String, String)>,
}

/// An event that answered a command.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Answer {
    /// Its name.
    pub event: String,
    /// The code, where it refuses.
    pub code: Option<String>,
    /// The field that the refusal names.
    pub field: Option<String>,
    /// The values that it gives.
    pub values: BTreeMap<String, String>,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn values(reason: &Value) -> BTreeMap<String, String> {
    let values = reason["values"].as_object().into_iter().flatten();
    values.map(|(name, value)| (name.clone(), text(value))).collect()
}

impl Ledger {
    /// Reads it off a driver at rest.
    ///
    /// # Errors
    /// Log or state cannot be read.
    pub fn read(driver: &dyn Driver) -> Result<Self> {
        Ledger::of(driver.log(), driver.states())
    }

    /// Reads it off a log at rest, and the state that belongs to it.
    ///
    /// # Errors
    /// Log or state cannot be read.
    pub fn of(log: &dyn Log, states: &dyn States) -> Result<Self> {
        let mut ledger = Ledger::default();
        let decoder = Decoder::new(Arc::new(Schemas::compiled()));
        let topics: [TopicRef; 5] = [
            &graph::ACCOUNTS_EVENTS,
            &graph::TRANSACTIONS_EVENTS,
            &graph::PARTIES_EVENTS,
            &graph::LEDGER_ENTRIES,
            &graph::LEDGER_EVENTS,
        ];
        for topic in topics {
            visit(log, topic, &decoder, |header, key, body| ledger.note(topic, &header, key, &body))?;
        }
        ledger.alarms.sort();
        for (id, account) in accounts(states, log.partitions())? {
            ledger.balances.insert(id, (account.balance.0, account.held.0));
        }
        Ok(ledger)
    }

    fn note(&mut self, topic: TopicRef, header: &Header, key: String, body: &Value) {
        let event = text(&body["type"]);
        if topic == &graph::LEDGER_ENTRIES {
            let leg = (
                text(&body["transaction_id"]),
                body["line"].as_i64().unwrap_or(-1),
                unsharded(&key),
                text(&body["side"]),
            );
            let amount =
                text(&body["amount"]["amount"]).parse::<tributary_schemas::Amount>().map_or(0, |amount| amount.0);
            *self.legs.entry(leg).or_default() += amount;
            return;
        }
        if topic == &graph::LEDGER_EVENTS {
            return self.alarms.push(text(&body["code"]));
        }
        if let Header::Fact(fact) = header
            && let Some(id) = &fact.answers
        {
            let refused = event.ends_with("Refused");
            let reason = &body["reason"];
            let answer = Answer {
                event: event.clone(),
                code: refused.then(|| text(&reason["code"])),
                field: reason["field"].as_str().filter(|_| refused).map(str::to_owned),
                values: values(reason),
            };
            self.answers.entry((key.clone(), id.clone())).or_default().push(answer);
        }
        if topic == &graph::TRANSACTIONS_EVENTS && event != "TransactionRefused" {
            self.transactions.entry(key).or_default().event(&event, body);
        }
    }

    /// The same without what depends on the order of commands that were sent at once: the values of refusals.
    #[must_use]
    pub fn canonical(mut self) -> Self {
        for told in self.transactions.values_mut() {
            told.values.clear();
        }
        for answers in self.answers.values_mut() {
            answers.iter_mut().for_each(|answer| answer.values.clear());
            answers.sort();
        }
        self
    }
}

impl Told {
    fn event(&mut self, event: &str, body: &Value) {
        self.status = match event {
            "TransactionPosted" | "TransactionHeld" => "held".to_owned(),
            "TransactionOnHold" => "on_hold".to_owned(),
            other => other.trim_start_matches("Transaction").to_lowercase(),
        };
        self.postings += usize::from(event == "TransactionPosting");
        for reason in body["reasons"].as_array().into_iter().flatten().filter(|_| event != "TransactionOnHold") {
            self.reasons.push(text(&reason["code"]));
            self.values.extend(values(reason));
        }
        self.reasons.sort();
    }
}

/// Visits every record of a topic of facts.
fn visit(log: &dyn Log, topic: TopicRef, decoder: &Decoder, mut with: impl FnMut(Header, String, Value)) -> Result<()> {
    for partition in 0..log.partitions() {
        log::visit(log, topic.name, partition, |record| {
            let (header, key, body) = decoder.json(topic, &record)?;
            with(header, key, body);
            Ok::<_, anyhow::Error>(())
        })?;
    }
    Ok(())
}
