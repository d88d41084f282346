//! The door of a task: what a record must be before a processor sees it. Bytes that cannot be taken become dead letters
//! and the partition goes on; a command that was answered is dropped; one whose id was used for something else, or that
//! is too old to know, is refused by the processor's own event.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::cause::{Arrived, Cause};
use crate::framing::{frame, unframe};
use crate::processor::{Effects, Event, Identity, In, Ports, Processor, Refusal};
use crate::rows::{self, tag};
use crate::store::Store;
use crate::task::{Input, ProcessorTask, Produced, Stop, Target, TranslateError};
use crate::time::DAY;
use crate::{CommandHeader, EventId, Header, InMemory, Kind, Origin, Timestamp, partition_of};

/// How long the ids of commands are remembered.
pub const COMMAND_MEMORY: i64 = 30 * DAY;

/// Longest reason of a dead letter, in bytes: it may quote what a client wrote.
const LONGEST_REASON: usize = 512;

/// What a dead letter's headers, and a forwarded command's origin, may add to a record, in bytes: a command may have so
/// much less than the largest record.
pub const MARGIN: usize = 1_024;

/// A record that cannot be taken: a stable code, and words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Stable: `null_key`, `bad_key`, `null_value`, `bad_magic`, `unknown_schema`, `undecodable`, `key_mismatch`,
    /// `misrouted`, `bad_header`, `too_large`.
    pub code: &'static str,
    /// What was found, and what would be right.
    pub reason: String,
}

impl Letter {
    fn new(code: &'static str, reason: impl Into<String>) -> Self {
        let mut reason = reason.into();
        let mut end = reason.len().min(LONGEST_REASON);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        reason.truncate(end);
        Letter { code, reason }
    }

    /// The dead letter: key and value as they came, origin and reason as headers. A value that would not fit is cut, with
    /// its length and BLAKE3 hash in its place, for otherwise one record would abort every epoch for ever.
    pub(crate) fn record(&self, origin: &Origin, node: &'static str, input: &Input, max: usize) -> Produced {
        let mut headers = vec![
            ("code", self.code.as_bytes().to_vec()),
            ("reason", self.reason.as_bytes().to_vec()),
            ("node", node.as_bytes().to_vec()),
            ("topic", origin.topic.as_bytes().to_vec()),
            ("partition", origin.partition.to_string().into_bytes()),
            ("offset", origin.offset.to_string().into_bytes()),
        ];
        let room = max.saturating_sub(MARGIN);
        let mut cut = |name: &'static str, hash: &'static str, bytes: &Option<Vec<u8>>, room: usize| {
            bytes.as_ref().map(|bytes| {
                if bytes.len() > room {
                    headers.push((name, bytes.len().to_string().into_bytes()));
                    headers.push((hash, blake3::hash(bytes).to_hex().as_bytes().to_vec()));
                }
                bytes[..bytes.len().min(room)].to_vec()
            })
        };
        let key = cut("key-length", "key-blake3", &input.key, room / 4);
        let value = cut("value-length", "value-blake3", &input.value, room / 4 * 3);
        Produced { target: Target::DeadLetters, partition: input.partition, key, value, headers, memory: None }
    }
}

/// What is remembered of a command.
#[derive(Clone, Serialize, Deserialize)]
struct Seen {
    digest: [u8; 16],
    at: Timestamp,
}

/// What makes two requests the same: the edge's digest, or the canonical body.
#[must_use]
pub fn request_digest<P: Ports>(command: &CommandHeader, body: P::In<'_>) -> [u8; 16] {
    let hash = match &command.digest {
        Some(digest) => blake3::hash(digest),
        None => {
            let mut bytes = Vec::with_capacity(256);
            P::encode_in_body(body, &mut bytes);
            blake3::hash(&bytes)
        }
    };
    let mut digest = [0; 16];
    digest.copy_from_slice(&hash.as_bytes()[..16]);
    digest
}

impl<P: Processor> ProcessorTask<P> {
    /// Takes a record through the door and, if it comes out, through one step.
    pub(crate) fn admit(
        &mut self,
        store: &dyn Store,
        port: usize,
        input: &Input,
        memory: Option<&InMemory>,
        out: &mut Vec<Produced>,
    ) -> Result<(), Stop> {
        let (key, record) = match self.open(port, input, memory) {
            Ok(opened) => opened,
            Err(Refused::Letter(letter)) => {
                self.dead_letter(input, &letter, out);
                return Ok(());
            }
            Err(Refused::Retry(reason)) => return Err(Stop::Retry(reason)),
        };
        let (header, body) = P::Ports::read(port, &record).expect("invariant: an opened record has its port's body");
        let found = partition_of(key.as_bytes(), self.setup.partitions);
        if found != input.partition {
            return self.forward(input, key, header, body, out);
        }
        if P::Ports::key(body) != key {
            let letter = Letter::new(
                "key_mismatch",
                format!("the key is {key:?} and the body is about {:?}: they must be equal", P::Ports::key(body)),
            );
            self.dead_letter(input, &letter, out);
            return Ok(());
        }
        let cause = match header {
            Header::Fact(fact) => Cause {
                id: fact.id,
                correlation: &fact.correlation,
                actor: fact.actor.as_deref(),
                traceparent: fact.traceparent.as_deref(),
            },
            Header::Command(command) => {
                let digest = request_digest::<P::Ports>(command, body);
                let cause = Cause {
                    id: EventId::of_command(input.topic.name, key, &command.id, &digest),
                    correlation: &command.id,
                    actor: command.actor.as_deref(),
                    traceparent: command.traceparent.as_deref(),
                };
                match self.recognise(store, input, key, command, body, digest) {
                    Known::New => {}
                    Known::Answered => {
                        self.counters.duplicates += 1;
                        return Ok(());
                    }
                    Known::Refused(refusal) => {
                        let refused = self.processor.refuse(body, &refusal).ok_or_else(|| {
                            Stop::Halt(format!("{} has a door and no event for {refusal:?}", P::Ports::NODE.name))
                        })?;
                        let mut effects = Effects::none();
                        effects.answer(command.id.clone(), refused);
                        return self.perform(store, cause, key, effects, out);
                    }
                }
                cause
            }
        };
        let datum = input.value.as_deref().and_then(|value| unframe(value).ok()).map(|(_, datum)| datum);
        let envelope = datum.filter(|_| matches!(record, Cow::Borrowed(_)));
        self.step(store, cause, Some(Arrived { header, input, envelope }), key, Event::Input(body), out)
    }

    /// What a record holds, and its key.
    fn open<'a>(
        &self,
        port: usize,
        input: &'a Input,
        memory: Option<&'a InMemory>,
    ) -> Result<(&'a str, Cow<'a, InMemory>), Refused> {
        let key = input
            .key
            .as_deref()
            .ok_or_else(|| Letter::new("null_key", "the key must be the id of what the record is about"))?;
        let key = std::str::from_utf8(key).map_err(|_| Letter::new("bad_key", "the key must be UTF-8 text"))?;
        if key.is_empty() || key.len() > 128 || key.contains('\0') {
            return Err(Letter::new("bad_key", "the key must have 1 to 128 bytes, none of them zero").into());
        }
        let value = input.value.as_deref().ok_or_else(|| Letter::new("null_value", "the value must be an envelope"))?;
        // A client may write more than we may: such a command could be neither forwarded nor answered in full.
        let (size, limit) = (key.len() + value.len(), self.setup.max_record.saturating_sub(MARGIN));
        if input.topic.kind.is_door() && size > limit {
            return Err(Letter::new(
                "too_large",
                format!("the record has {size} bytes, and a command at most {limit}"),
            )
            .into());
        }
        let (id, datum) = unframe(value).map_err(|error| Letter::new("bad_magic", error.to_string()))?;
        let schema = input.topic.schema;
        let decoded = if id == self.reads[port] {
            // Its envelope in memory is what would be read, if it is of our type; and who kept it has checked its header.
            if let Some(memory) = memory.filter(|memory| P::Ports::read(port, memory).is_some()) {
                return Ok((key, Cow::Borrowed(memory)));
            }
            P::Ports::decode(port, datum)
        } else {
            let datum = self.setup.registry.translate(schema, id, datum).map_err(|error| match error {
                TranslateError::Unknown => {
                    Refused::from(Letter::new("unknown_schema", format!("the registry knows no schema {id}")))
                }
                TranslateError::Unreadable(reason) => Letter::new("undecodable", reason).into(),
                TranslateError::Unavailable(reason) => Refused::Retry(reason),
            })?;
            P::Ports::decode(port, &datum)
        };
        let record = decoded.map_err(|error| Letter::new("undecodable", error.to_string()))?;
        if let Some((header, _)) = P::Ports::read(port, &record) {
            check_header(header)?;
        }
        Ok((key, Cow::Owned(record)))
    }

    /// A command topic is a door, and clients knock with any partitioner: one that came in at the wrong partition is sent
    /// on, once, in the same transaction.
    fn forward(
        &mut self,
        input: &Input,
        key: &str,
        header: &Header,
        body: In<'_, P>,
        out: &mut Vec<Produced>,
    ) -> Result<(), Stop> {
        let header = match header {
            Header::Command(command) if command.origin.is_none() => Header::Command(CommandHeader {
                origin: Some(Origin {
                    topic: input.topic.name.to_owned(),
                    partition: input.partition,
                    offset: input.offset,
                }),
                ..command.clone()
            }),
            _ => {
                let reason = format!(
                    "partition {} does not hold the key {key:?}, and it was forwarded before or is no command",
                    input.partition
                );
                self.dead_letter(input, &Letter::new("misrouted", reason), out);
                return Ok(());
            }
        };
        self.counters.forwards += 1;
        let mut value = frame(self.setup.registry.id(input.topic.schema));
        P::Ports::encode_in(body, &header, &mut value);
        self.produce(out, input.topic, key.as_bytes().to_vec(), value, None)
    }

    fn recognise(
        &mut self,
        store: &dyn Store,
        input: &Input,
        key: &str,
        command: &CommandHeader,
        body: In<'_, P>,
        digest: [u8; 16],
    ) -> Known {
        let identity = self.processor.identity(body);
        let now = self.now();
        // Whoever may write to the public door must not use up an id of the privileged one.
        let privileged = identity == Identity::Command && input.topic.kind == Kind::AdminCommands;
        let mut at = rows::keyed(if privileged { tag::SEEN_PRIVILEGED } else { tag::SEEN }, key);
        if identity == Identity::Command {
            rows::write_text(&command.id, &mut at);
        }
        let (rows, scratch) = self.keys.rows(store, key);
        let seen: Option<Seen> = rows.read(&at);
        let remember = |at: &[u8]| scratch.with(&Seen { digest, at: now }, |bytes| rows.put(at, bytes));
        match seen {
            Some(seen) if seen.digest == digest => Known::Answered,
            Some(seen) => {
                // The conflict is answered once too: a copy of it must not be.
                rows::write_text(&command.id, &mut at);
                at.extend_from_slice(&digest);
                if rows.read::<Seen>(&at).is_some() {
                    return Known::Answered;
                }
                remember(&at);
                self.counters.conflicts += 1;
                Known::Refused(Refusal::Conflict { first_seen: seen.at })
            }
            None => {
                remember(&at);
                let oldest = now.plus(-COMMAND_MEMORY);
                if identity == Identity::Command && command.time < oldest {
                    return Known::Refused(Refusal::Stale { time: command.time, oldest });
                }
                Known::New
            }
        }
    }
}

/// Refuses texts that could not be carried on: they are copied into every fact that follows, where an unbounded one could
/// make a record too large to write, and into rows, whose keys hold no zero byte. What a fact leaves empty stays so.
pub(crate) fn check_header(header: &Header) -> Result<(), Letter> {
    let ((named, first), answers, actor, traceparent, least) = match header {
        Header::Command(command) => {
            if command.digest.as_ref().is_some_and(|digest| digest.len() > 64)
                || command.origin.as_ref().is_some_and(|origin| origin.topic.len() > 256)
            {
                return Err(Letter::new("bad_header", "digest and origin.topic: at most 64 and 256 bytes"));
            }
            (("id", &command.id), None, &command.actor, &command.traceparent, 1)
        }
        Header::Fact(fact) => {
            (("correlation", &fact.correlation), fact.answers.as_ref(), &fact.actor, &fact.traceparent, 0)
        }
    };
    for (field, text, most) in [
        (named, Some(first), 128),
        ("answers", answers, 128),
        ("actor", actor.as_ref(), 256),
        ("traceparent", traceparent.as_ref(), 128),
    ] {
        if text.is_some_and(|text| !(least..=most).contains(&text.len()) || text.contains('\0')) {
            let reason = format!("{field}: it must have {least} to {most} bytes, none of them zero");
            return Err(Letter::new("bad_header", reason));
        }
    }
    Ok(())
}

enum Known {
    New,
    Answered,
    Refused(Refusal),
}

enum Refused {
    Letter(Letter),
    Retry(String),
}

impl From<Letter> for Refused {
    fn from(letter: Letter) -> Self {
        Refused::Letter(letter)
    }
}
