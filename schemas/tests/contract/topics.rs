//! All topics' bodies behind one face, for tests that hold for each.

use serde_json::{Value, json};
use tributary_flow::{Body, DecodeError, Header};
use tributary_schemas::{accounts, ledger, risk, transactions};

/// A header, and a body as Rust shows it.
type Meant = Result<(Header, String), DecodeError>;

/// What a test asks of a topic's body type.
pub struct Topic {
    pub schema: &'static str,
    pub records: &'static [&'static str],
    /// Decodes and encodes again.
    pub again: fn(&[u8]) -> Result<Vec<u8>, DecodeError>,
    /// Decodes; header and body as JSON.
    pub says: fn(&[u8]) -> Result<Value, DecodeError>,
    /// Decodes; the body as JSON.
    pub body: fn(&[u8]) -> Result<Value, DecodeError>,
    /// Decodes; the canonical body.
    pub canonical: fn(&[u8]) -> Result<Vec<u8>, DecodeError>,
    /// Decodes; the record's key.
    pub key: fn(&[u8]) -> Result<String, DecodeError>,
    /// The header of a datum with a body from JSON, encoded.
    pub from_json: fn(&[u8], &Value) -> Result<Vec<u8>, String>,
    /// Decodes; the header, and the body as Rust shows it.
    pub means: fn(&[u8]) -> Meant,
    /// Decodes and drops.
    pub decode: fn(&[u8]) -> bool,
}

macro_rules! topic {
    ($body:ty) => {
        Topic {
            schema: <$body>::SCHEMA,
            records: &<$body>::RECORDS,
            again: |datum| {
                let (header, body) = <$body>::decode(datum)?;
                let mut out = Vec::new();
                body.encode(&header, &mut out);
                Ok(out)
            },
            says: |datum| {
                let (header, body) = <$body>::decode(datum)?;
                Ok(json!({"header": describe(&header), "body": serde_json::to_value(body).expect("a body is JSON")}))
            },
            body: |datum| Ok(serde_json::to_value(<$body>::decode(datum)?.1).expect("a body is JSON")),
            canonical: |datum| {
                let mut out = Vec::new();
                <$body>::decode(datum)?.1.encode_body(&mut out);
                Ok(out)
            },
            key: |datum| Ok(<$body>::decode(datum)?.1.key().to_owned()),
            from_json: |datum, json| {
                let (header, _) = <$body>::decode(datum).map_err(|error| error.to_string())?;
                let body: $body = serde_json::from_value(json.clone()).map_err(|error| error.to_string())?;
                let mut out = Vec::new();
                body.encode(&header, &mut out);
                Ok(out)
            },
            means: |datum| <$body>::decode(datum).map(|(header, body)| (header, format!("{body:?}"))),
            decode: |datum| <$body>::decode(datum).is_ok(),
        }
    };
}

pub static TOPICS: [Topic; 12] = [
    topic!(accounts::AccountCommand),
    topic!(accounts::AccountEvent),
    topic!(accounts::Vote),
    topic!(ledger::Entry),
    topic!(ledger::Journal),
    topic!(ledger::LedgerEvent),
    topic!(risk::PartyEvent),
    topic!(risk::RiskCommand),
    topic!(risk::RiskEvent),
    topic!(transactions::LegEvent),
    topic!(transactions::TransactionCommand),
    topic!(transactions::TransactionEvent),
];

/// A header as the golden data has it.
fn describe(header: &Header) -> Value {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let time = |time: tributary_flow::Timestamp| {
        let time = jiff::Timestamp::from_microsecond(time.0).expect("golden times are in the calendar");
        format!("{time:.6}")
    };
    match header {
        Header::Command(header) => json!({
            "id": header.id,
            "time": time(header.time),
            "actor": header.actor,
            "traceparent": header.traceparent,
            "digest": header.digest.as_deref().map(hex),
            "origin": header.origin.as_ref().map(|origin| json!({
                "topic": origin.topic, "partition": origin.partition, "offset": origin.offset,
            })),
        }),
        Header::Fact(header) => json!({
            "id": header.id.to_string(),
            "time": time(header.time),
            "causation": header.causation.to_string(),
            "correlation": header.correlation,
            "answers": header.answers,
            "actor": header.actor,
            "traceparent": header.traceparent,
            "applied": header.applied.iter().map(|applied| json!({
                "application": applied.application, "node": applied.node, "lineage": hex(&applied.lineage),
            })).collect::<Vec<_>>(),
        }),
    }
}

/// The topic whose envelope has this last name.
pub fn topic(short: &str) -> &'static Topic {
    TOPICS.iter().find(|topic| topic.schema.ends_with(&format!(".{short}"))).expect("a topic")
}
