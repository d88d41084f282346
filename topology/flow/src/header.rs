//! The envelope's fields, as the core needs them. Bodies belong to the schemas; what surrounds them belongs here,
//! because ids, causation and idempotence are the core's business.

use thiserror::Error;

use crate::{EventId, Timestamp};

/// The envelope of a command, written by a client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandHeader {
    /// Chosen by the client, unique per key.
    pub id: String,
    /// The client's own time.
    pub time: Timestamp,
    /// Who asks.
    pub actor: Option<String>,
    /// W3C trace context.
    pub traceparent: Option<String>,
    /// The edge's digest of the request; computed from the body where absent.
    pub digest: Option<Vec<u8>>,
    /// Where a forwarded record first arrived.
    pub origin: Option<Origin>,
}

/// The place of a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: u32,
    /// Offset.
    pub offset: u64,
}

/// The envelope of a fact, written by a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FactHeader {
    /// Derived from the causation.
    pub id: EventId,
    /// The clock of the task when it decided.
    pub time: Timestamp,
    /// The record or timer that caused this one.
    pub causation: EventId,
    /// The command at the root of the cascade.
    pub correlation: String,
    /// The command that this fact answers.
    pub answers: Option<String>,
    /// Who asked.
    pub actor: Option<String>,
    /// W3C trace context.
    pub traceparent: Option<String>,
    /// The nodes that have applied this record in the transaction that wrote it.
    pub applied: Vec<Applied>,
}

/// A mark that `node` of `application`, whose store has this lineage, has applied the record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Application name.
    pub application: String,
    /// Node name.
    pub node: String,
    /// Lineage of the store.
    pub lineage: [u8; 16],
}

/// The header of any record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Header {
    /// A client's.
    Command(CommandHeader),
    /// A node's.
    Fact(FactHeader),
}

/// Why bytes could not be read. `path` names the field, as `body.legs.amount`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{path}: {reason}")]
pub struct DecodeError {
    /// The field.
    pub path: String,
    /// What is wrong with it, and what would be right.
    pub reason: String,
}

impl DecodeError {
    /// An error at the field `path`.
    pub fn new(path: impl Into<String>, reason: impl Into<String>) -> Self {
        DecodeError { path: path.into(), reason: reason.into() }
    }

    /// The same error, seen from the record that holds the field.
    #[must_use]
    pub fn within(mut self, field: &str) -> Self {
        self.path = if self.path.is_empty() { field.to_owned() } else { format!("{field}.{}", self.path) };
        self
    }
}

/// The body of a topic's envelope: a union of records, in Avro's binary encoding, without registry framing. What is read is
/// what was written, for within an epoch the one stands for the other: see [`crate::InMemory`].
pub trait Body: Sized + Send + Sync + 'static {
    /// Full name of the envelope record.
    const SCHEMA: &'static str;

    /// Reads an envelope.
    ///
    /// # Errors
    /// Names the field that could not be read.
    fn decode(datum: &[u8]) -> Result<(Header, Self), DecodeError>;

    /// Writes the envelope with this body after whatever `out` holds. A command body takes a command header, a fact's
    /// body a fact header; the other is a broken invariant.
    fn encode(&self, header: &Header, out: &mut Vec<u8>);

    /// Writes the body alone, canonically (map keys sorted): what a digest is taken over.
    fn encode_body(&self, out: &mut Vec<u8>);

    /// The record's key on the wire: the id of the entity the body is about.
    fn key(&self) -> &str;

    /// The body's record name, as `OpenAccount`.
    fn name(&self) -> &'static str;
}
