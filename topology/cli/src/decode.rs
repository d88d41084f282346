//! Any record of any topic of the graph, decoded: for tools that read the log as a person or an auditor would.

use std::sync::Arc;

use anyhow::{Result, bail};
use serde_json::{Value, json};
use tributary_flow::framing::unframe;
use tributary_flow::log::Logged;
use tributary_flow::{Body, Header, Registry, TopicRef};
use tributary_graph as graph;
use tributary_schemas::{accounts, ledger, risk, transactions};

/// Reads records by topic.
#[derive(Clone)]
pub struct Decoder(Arc<dyn Registry>);

impl Decoder {
    /// A decoder with the schemas of `registry`.
    pub fn new(registry: Arc<dyn Registry>) -> Self {
        Decoder(registry)
    }

    /// The datum of a record as our own schema writes it.
    pub fn datum<'a>(&self, topic: TopicRef, record: &'a Logged) -> Result<std::borrow::Cow<'a, [u8]>> {
        let Some(value) = &record.value else { bail!("null_value: the record has no value") };
        let (id, datum) = unframe(value).map_err(|error| anyhow::anyhow!("bad_magic: {error}"))?;
        if id == self.0.id(topic.schema) {
            return Ok(datum.into());
        }
        match self.0.translate(topic.schema, id, datum) {
            Ok(datum) => Ok(datum.into()),
            Err(error) => bail!("schema {id}: {error:?}"),
        }
    }

    /// A record's header and body, typed.
    pub fn body<B: Body>(&self, topic: TopicRef, record: &Logged) -> Result<(Header, B)> {
        Ok(B::decode(&self.datum(topic, record)?)?)
    }

    /// A record's header, the id its body is about, and its body as JSON.
    pub fn json(&self, topic: TopicRef, record: &Logged) -> Result<(Header, String, Value)> {
        let datum = self.datum(topic, record)?;
        macro_rules! by_schema {
            ($($body:ty),*) => {$(
                if topic.schema == <$body as Body>::SCHEMA {
                    let (header, body) = <$body as Body>::decode(&datum)?;
                    return Ok((header, body.key().to_owned(), serde_json::to_value(&body)?));
                }
            )*};
        }
        by_schema!(
            accounts::AccountCommand,
            accounts::AccountEvent,
            accounts::Vote,
            transactions::TransactionCommand,
            transactions::TransactionEvent,
            transactions::LegEvent,
            risk::RiskCommand,
            risk::PartyEvent,
            risk::RiskEvent,
            ledger::Entry,
            ledger::Journal,
            ledger::LedgerEvent
        );
        bail!("no type for the schema {}", topic.schema)
    }
}

/// A header as JSON.
pub fn header_json(header: &Header) -> Value {
    match header {
        Header::Command(command) => json!({
            "id": command.id,
            "time": command.time,
            "actor": command.actor,
            "traceparent": command.traceparent,
            "forwarded_from": command.origin.as_ref().map(|origin| format!("{}[{}]@{}", origin.topic, origin.partition, origin.offset)),
        }),
        Header::Fact(fact) => json!({
            "id": fact.id.to_string(),
            "time": fact.time,
            "causation": fact.causation.to_string(),
            "correlation": fact.correlation,
            "answers": fact.answers,
            "actor": fact.actor,
            "traceparent": fact.traceparent,
        }),
    }
}

/// The topic of this name, or an error that lists what there is.
pub fn topic(name: &str) -> Result<TopicRef> {
    match graph::topic(name) {
        Some(topic) => Ok(topic),
        None => {
            let names: Vec<_> = graph::TOPICS.iter().map(|topic| topic.name).collect();
            bail!("no topic {name}; there are {}", names.join(", "))
        }
    }
}

/// The node of this name, or an error that lists what there is.
pub fn node(name: &str) -> Result<&'static tributary_flow::Node> {
    match graph::node(name) {
        Some(node) => Ok(node),
        None => {
            let names: Vec<_> = graph::NODES.iter().map(|node| node.name).collect();
            bail!("no node {name}; there are {}", names.join(", "))
        }
    }
}
