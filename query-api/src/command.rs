//! Commands at the edge: JSON for a topic becomes a typed body, a key and a framed envelope. The one place that knows
//! which records a command topic takes; HTTP and the command line both come through here.
//!
//! The edge sends no digest along: today's commands hold nothing that it hashes or encrypts, so the canonical body says
//! it all, and the same request under the same id is the same whether it came over HTTP or straight to Kafka.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::StatusCode;
use serde_json::{Map, Value};
use tributary_flow::{Body, CommandHeader, EventId, Header, Kind, Node, TopicRef, framing, task::Registry};
use tributary_graph as graph;
use tributary_schemas::accounts::{
    AccountCommand, CloseAccount, FreezeAccount, OpenAccount, UnfreezeAccount, UpdateAccount,
};
use tributary_schemas::risk::{BlockParty, RiskCommand, UnblockParty};
use tributary_schemas::transactions::{
    CancelTransaction, CreateTransaction, PostTransaction, ReviewTransaction, TransactionCommand, VoidTransaction,
};

use crate::json;
use crate::problem::Problem;

/// The body of any command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandBody {
    /// To an account.
    Account(AccountCommand),
    /// To a transaction.
    Transaction(TransactionCommand),
    /// To risk.
    Risk(RiskCommand),
}

macro_rules! each {
    ($body:expr, $bound:ident => $do:expr) => {
        match $body {
            CommandBody::Account($bound) => $do,
            CommandBody::Transaction($bound) => $do,
            CommandBody::Risk($bound) => $do,
        }
    };
}

macro_rules! records {
    ($named:expr, $fields:expr, $($record:ident),+) => {
        match $named {
            $(stringify!($record) => json::record::<$record>($fields)?.into(),)+
            _ => return Err(Problem::bad_request(
                "unknown_type",
                "type",
                format!("{:?} is none of {}", $named, [$(stringify!($record)),+].join(", ")),
            )),
        }
    };
}

impl CommandBody {
    /// Reads the record `named` from its fields, as a body of `topic`.
    ///
    /// # Errors
    /// Names the field at fault.
    pub fn read(topic: TopicRef, named: &str, fields: Value) -> Result<Self, Problem> {
        Ok(if topic.schema == AccountCommand::SCHEMA {
            CommandBody::Account(records!(
                named,
                fields,
                OpenAccount,
                UpdateAccount,
                FreezeAccount,
                UnfreezeAccount,
                CloseAccount
            ))
        } else if topic.schema == TransactionCommand::SCHEMA {
            CommandBody::Transaction(records!(
                named,
                fields,
                CreateTransaction,
                CancelTransaction,
                PostTransaction,
                VoidTransaction,
                ReviewTransaction
            ))
        } else if topic.schema == RiskCommand::SCHEMA {
            CommandBody::Risk(records!(named, fields, BlockParty, UnblockParty))
        } else {
            return Err(unknown_topic(topic.name));
        })
    }

    /// The id of what the command is about.
    #[must_use]
    pub fn key(&self) -> &str {
        each!(self, body => body.key())
    }

    /// The record's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        each!(self, body => body.name())
    }
}

/// A command, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The door it goes through.
    pub topic: TopicRef,
    /// Its id, unique per key.
    pub id: String,
    /// What it asks.
    pub body: CommandBody,
}

impl Command {
    /// Reads `{"id"?, "key"?, "body": {"type", ...}}`; without an id it gets a random one.
    ///
    /// # Errors
    /// Names the field at fault.
    pub fn read(topic: &str, json: Value) -> Result<Self, Problem> {
        let topic = door(topic)?;
        let mut fields = object(json)?;
        let id = string(&mut fields, "id")?;
        let key = string(&mut fields, "key")?;
        let body = fields.remove("body").ok_or_else(|| json::fault("", "missing field `body`"))?;
        if let Some(field) = fields.keys().next() {
            return Err(json::fault("", &format!("unknown field `{field}`, expected one of `id`, `key`, `body`")));
        }
        let body = object(body).and_then(|mut body| {
            let named = string(&mut body, "type")?.ok_or_else(|| json::fault("", "missing field `type`"))?;
            CommandBody::read(topic, &named, Value::Object(body))
        });
        let body = body.map_err(|problem| problem.within("body"))?;
        if let Some(key) = key
            && key != body.key()
        {
            let detail = format!("the key is {key:?} and the body is about {:?}: they must be equal", body.key());
            return Err(Problem::bad_request("key_mismatch", "key", detail));
        }
        Self::new(topic, id.unwrap_or_else(random_id), body)
    }

    /// A command with this id.
    ///
    /// # Errors
    /// The id is empty or too long.
    pub fn new(topic: TopicRef, id: String, body: CommandBody) -> Result<Self, Problem> {
        if id.is_empty() || id.len() > 128 || id.contains('\0') {
            return Err(Problem::bad_request(
                "bad_id",
                "id",
                "a command's id must have 1 to 128 bytes, none of them zero",
            ));
        }
        Ok(Command { topic, id, body })
    }

    /// The record's value: the frame, and the envelope with `header` under this command's id.
    #[must_use]
    pub fn encode(&self, registry: &dyn Registry, header: CommandHeader) -> Vec<u8> {
        let header = Header::Command(CommandHeader { id: self.id.clone(), ..header });
        let mut value = framing::frame(registry.id(self.topic.schema));
        each!(&self.body, body => body.encode(&header, &mut value));
        value
    }

    /// The identity that the door derives for it: the cause of whatever answers it at once.
    #[must_use]
    pub fn cause(&self) -> EventId {
        EventId::of_command(self.topic.name, self.body.key(), &self.id, &self.digest())
    }

    /// What makes it the same request as another: the digest that the door takes of it.
    #[must_use]
    pub fn digest(&self) -> [u8; 16] {
        let mut bytes = self.body.name().as_bytes().to_vec();
        each!(&self.body, body => body.encode_body(&mut bytes));
        let mut digest = [0; 16];
        digest.copy_from_slice(&blake3::hash(&bytes).as_bytes()[..16]);
        digest
    }

    /// The node that decides it.
    #[must_use]
    pub fn guard(&self) -> &'static Node {
        let guard = graph::NODES.iter().find(|node| node.inputs.contains(&self.topic));
        guard.expect("invariant: every command topic has its reader")
    }

    /// The topic on which it is answered.
    #[must_use]
    pub fn answered_on(&self) -> TopicRef {
        let guard = self.guard();
        let own = guard.outputs.iter().find(|topic| topic.kind == Kind::Events && topic.key == guard.key);
        own.expect("invariant: a node with a door tells what becomes of its own key")
    }
}

/// Encodes `{"id"?, "key"?, "body": {"type", ...}}` for a command topic: the record's key and value.
///
/// # Errors
/// Names the field at fault.
pub fn encode_command(
    topic: &str,
    json: Value,
    header: CommandHeader,
    registry: &dyn Registry,
) -> Result<(String, Vec<u8>), Problem> {
    let command = Command::read(topic, json)?;
    Ok((command.body.key().to_owned(), command.encode(registry, header)))
}

/// The command topic of this name.
///
/// # Errors
/// There is none; names those there are.
pub fn door(name: &str) -> Result<TopicRef, Problem> {
    graph::topic(name).filter(|topic| topic.kind.is_door()).ok_or_else(|| unknown_topic(name))
}

fn unknown_topic(name: &str) -> Problem {
    let doors: Vec<&str> = graph::TOPICS.iter().filter(|topic| topic.kind.is_door()).map(|topic| topic.name).collect();
    let detail = format!("{name:?} is no command topic: there are {}", doors.join(", "));
    Problem::new(StatusCode::NOT_FOUND, "unknown_topic", detail).at("topic")
}

/// The fields of a JSON object.
pub(crate) fn object(json: Value) -> Result<Map<String, Value>, Problem> {
    match json {
        Value::Object(fields) => Ok(fields),
        other => {
            Err(Problem::bad_request("invalid_field", "", format!("expected an object, not {}", json::kind(&other))))
        }
    }
}

fn string(fields: &mut Map<String, Value>, name: &str) -> Result<Option<String>, Problem> {
    match fields.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => {
            Err(Problem::bad_request("invalid_field", name, format!("expected a string, not {}", json::kind(&other))))
        }
    }
}

/// The id of a command that came with an idempotency key: the same for the same principal, route and key.
#[must_use]
pub fn keyed_id(principal: &str, route: &str, key: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in [principal, route, key] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hex::encode(&hasher.finalize().as_bytes()[..16])
}

/// An id that nobody else has: chance from the system, once per process, and a counter.
#[must_use]
pub fn random_id() -> String {
    static SEED: OnceLock<[u8; 32]> = OnceLock::new();
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let seed = SEED.get_or_init(|| {
        use std::hash::{BuildHasher, RandomState};
        let mut hasher = blake3::Hasher::new();
        for n in 0..4_u64 {
            hasher.update(&RandomState::new().hash_one(n).to_le_bytes());
        }
        hasher.update(&json::now().0.to_le_bytes());
        hasher.update(&std::process::id().to_le_bytes());
        *hasher.finalize().as_bytes()
    });
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    hex::encode(&blake3::keyed_hash(seed, &count.to_le_bytes()).as_bytes()[..16])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_record_of_every_command_topic_has_its_reader() {
        let mut read = 0;
        for (schema, records) in [
            (AccountCommand::SCHEMA, AccountCommand::RECORDS.as_slice()),
            (TransactionCommand::SCHEMA, &TransactionCommand::RECORDS),
            (RiskCommand::SCHEMA, &RiskCommand::RECORDS),
        ] {
            for topic in graph::TOPICS.iter().filter(|topic| topic.kind.is_door() && topic.schema == schema) {
                for record in records {
                    let problem = CommandBody::read(topic, record, json!({})).expect_err("no record is empty");
                    assert_eq!(problem.document().code, "missing_field", "{} {record}", topic.name);
                    read += 1;
                }
            }
        }
        assert_eq!(read, 22);
        assert!(graph::TOPICS.iter().filter(|topic| topic.kind.is_door()).count() == 5);
    }

    #[test]
    fn what_a_command_must_be_is_said_with_the_field() {
        let body = json!({"type": "FreezeAccount", "account_id": "a"});
        for (topic, json, code, field) in [
            ("accounts.events.v1", json!({"body": body}), "unknown_topic", "topic"),
            ("accounts.commands.v1", json!([]), "invalid_field", ""),
            ("accounts.commands.v1", json!({"body": body, "when": 1}), "unknown_field", "when"),
            ("accounts.commands.v1", json!({"id": 7, "body": body}), "invalid_field", "id"),
            ("accounts.commands.v1", json!({"id": "", "body": body}), "bad_id", "id"),
            ("accounts.commands.v1", json!({"key": "b", "body": body}), "key_mismatch", "key"),
            ("accounts.commands.v1", json!({}), "missing_field", "body"),
            ("accounts.commands.v1", json!({"body": {}}), "missing_field", "body.type"),
            ("accounts.commands.v1", json!({"body": {"type": "BlockParty"}}), "unknown_type", "body.type"),
            ("accounts.commands.v1", json!({"body": {"type": "FreezeAccount"}}), "missing_field", "body.account_id"),
        ] {
            let problem = Command::read(topic, json.clone()).expect_err(code);
            let document = problem.document();
            assert_eq!(
                (document.code.as_str(), document.field.as_deref().unwrap_or_default()),
                (code, field),
                "{json}"
            );
        }
    }

    #[test]
    fn ids_are_the_same_for_the_same_key_and_never_else() {
        assert_eq!(keyed_id("p", "/r", "k"), keyed_id("p", "/r", "k"));
        assert_ne!(keyed_id("p", "/r", "k"), keyed_id("p", "/rk", ""));
        assert_ne!(random_id(), random_id());
    }
}
