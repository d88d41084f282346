//! What a processor is: one synchronous step from an event and a key's state to effects as plain data.

use std::any::Any;
use std::fmt::Debug;

use serde::{Serialize, de::DeserializeOwned};

use crate::overlay::Overlaid;
use crate::reader::{Page, Reader};
use crate::rows::{Collection, Family, Index, Ordered};
use crate::scratch::Scratch;
use crate::{CommandHeader, DecodeError, EventId, FactHeader, Header, InMemory, Node, Timestamp, TopicRef};

/// What a node may read and write, expanded from the graph's declaration by [`crate::node!`]: closed enums, so that
/// emitting to a topic that the graph does not give the node does not compile.
pub trait Ports: 'static {
    /// One of the bodies the node reads, lent: the same body goes to all its readers.
    type In<'a>: Copy;
    /// One of the bodies the node writes.
    type Out;
    /// The node.
    const NODE: &'static Node;

    /// Reads a datum of input `port`.
    ///
    /// # Errors
    /// Names the field that could not be read.
    fn decode(port: usize, datum: &[u8]) -> Result<InMemory, DecodeError>;
    /// The envelope of a record of input `port`; nothing where its body is not of the type that the port has.
    fn read(port: usize, record: &InMemory) -> Option<(&Header, Self::In<'_>)>;
    /// The id the body is about: what the record's key must be.
    fn key<'a>(input: Self::In<'a>) -> &'a str;
    /// Writes a command envelope: for forwarding.
    fn encode_in(input: Self::In<'_>, header: &Header, out: &mut Vec<u8>);
    /// Writes the body alone, canonically: for digests.
    fn encode_in_body(input: Self::In<'_>, out: &mut Vec<u8>);
    /// Index in the node's outputs of the topic that `out` goes to.
    fn port(out: &Self::Out) -> usize;
    /// The record's key.
    fn out_key(out: &Self::Out) -> &str;
    /// Writes an envelope.
    fn encode(out: &Self::Out, header: &Header, bytes: &mut Vec<u8>);
    /// Keeps an envelope that is written, for those who read it at once.
    fn keep(out: Self::Out, header: Header) -> InMemory;
}

/// What a processor is given besides the event: the only time there is, and where the event came from.
#[derive(Debug)]
pub struct Cx<'a> {
    /// The task's clock: the same in a replay.
    pub now: Timestamp,
    /// The identity of the event.
    pub id: EventId,
    /// The command at the root of the cascade.
    pub correlation: &'a str,
    /// Who asked.
    pub actor: Option<&'a str>,
    /// The command, where the event is one.
    pub command: Option<&'a CommandHeader>,
    /// The envelope of the fact, where the event is one: views tell causes and answers by it.
    pub fact: Option<&'a FactHeader>,
    /// The bytes of that envelope, where it is known that writing it would give the same: of a fact that came by hand.
    pub envelope: Option<&'a [u8]>,
    /// Where the record lies: topic, partition, offset; nothing for a timer. No output may derive from it.
    pub place: Option<(TopicRef, u32, u64)>,
    /// Whether the command came through a privileged door.
    pub privileged: bool,
    /// How many partitions every topic of the domain has.
    pub partitions: u32,
}

/// What a step is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<In, T> {
    /// A record.
    Input(In),
    /// A timer that this key set and that is due.
    Timer(T),
}

/// What the core refuses on a processor's behalf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The id was used before for another request.
    Conflict {
        /// When the first request was decided.
        first_seen: Timestamp,
    },
    /// Older than the memory of command ids: it could be a duplicate that is no longer remembered.
    Stale {
        /// The command's own time.
        time: Timestamp,
        /// The oldest that would have been accepted.
        oldest: Timestamp,
    },
}

/// How long, and by what, the core remembers a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// By its own id, for 30 days, and for each door by itself.
    Command,
    /// By its key, for ever: a command that creates what the key names.
    Key,
}

/// One output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output<Out> {
    /// The body.
    pub body: Out,
    /// The id of the command that this fact answers.
    pub answers: Option<String>,
}

/// What a step wants done: plain data, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effects<Out, T> {
    /// Records to write.
    pub outputs: Vec<Output<Out>>,
    /// Timers to set (a deadline) or clear (`None`); a name set again is moved.
    pub timers: Vec<(T, Option<Timestamp>)>,
}

impl<Out, T> Default for Effects<Out, T> {
    fn default() -> Self {
        Effects { outputs: Vec::new(), timers: Vec::new() }
    }
}

impl<Out, T> Effects<Out, T> {
    /// No effect.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Writes a fact.
    pub fn emit(&mut self, body: impl Into<Out>) {
        self.outputs.push(Output { body: body.into(), answers: None });
    }

    /// Writes the fact that answers the command `id`.
    pub fn answer(&mut self, id: impl Into<String>, body: impl Into<Out>) {
        self.outputs.push(Output { body: body.into(), answers: Some(id.into()) });
    }

    /// Sets or moves a timer of this key.
    pub fn set_timer(&mut self, timer: T, deadline: Timestamp) {
        self.timers.push((timer, Some(deadline)));
    }

    /// Clears a timer of this key, set or not.
    pub fn clear_timer(&mut self, timer: T) {
        self.timers.push((timer, None));
    }
}

/// The state of one key: a small head, and rows that are read and written one by one.
pub struct State<'a, H> {
    /// The head; `None` where the key is new. What a step leaves here is kept.
    pub head: Option<H>,
    pub(crate) key: &'a str,
    pub(crate) rows: Overlaid<'a>,
    /// Rows across keys.
    pub(crate) indexed: Overlaid<'a>,
    pub(crate) scratch: &'a Scratch,
}

impl<H: Serialize + DeserializeOwned> State<'_, H> {
    /// One row.
    #[must_use]
    pub fn get<K: Ordered, V: DeserializeOwned + Clone + Any>(
        &self,
        collection: &Collection<K, V>,
        at: &K,
    ) -> Option<V> {
        self.scratch.row(self.key, collection, at, |row| self.rows.read(row))
    }

    /// Rows in order.
    #[must_use]
    pub fn rows<K: Ordered, V: DeserializeOwned>(
        &self,
        collection: &Collection<K, V>,
        page: Page<'_, K>,
    ) -> Vec<(K, V)> {
        Reader::new(&self.rows).rows(self.key, collection, page)
    }

    /// Writes a row.
    pub fn put<K: Ordered, V: Serialize>(&mut self, collection: &Collection<K, V>, at: &K, value: &V) {
        let row = |bytes: &[u8]| self.scratch.row(self.key, collection, at, |row| self.rows.put(row, bytes));
        self.scratch.with(value, row);
    }

    /// Writes a row that the next steps of the key are likely to read again, or to delete: as long as the epoch lasts it is
    /// kept as it is, and only then becomes bytes.
    pub fn keep<K: Ordered, V: Serialize + Any + Send>(&mut self, collection: &Collection<K, V>, at: &K, value: V) {
        self.scratch.row(self.key, collection, at, |row| self.rows.keep(row, value));
    }

    /// Deletes a row, there or not.
    pub fn delete<K: Ordered, V>(&mut self, collection: &Collection<K, V>, at: &K) {
        self.scratch.row(self.key, collection, at, |row| self.rows.delete(row));
    }

    /// Writes a row of an index.
    pub fn index<K: Ordered, V: Serialize>(&mut self, index: &Index<K, V>, at: &K, value: &V) {
        self.scratch.with(value, |bytes| self.scratch.index(index, at, |row| self.indexed.put(row, bytes)));
    }

    /// Deletes a row of an index, there or not.
    pub fn unindex<K: Ordered, V>(&mut self, index: &Index<K, V>, at: &K) {
        self.scratch.index(index, at, |row| self.indexed.delete(row));
    }
}

/// The bodies a processor reads.
pub type In<'a, P> = <<P as Processor>::Ports as Ports>::In<'a>;
/// The bodies a processor writes.
pub type Out<P> = <<P as Processor>::Ports as Ports>::Out;

/// A node's logic. Pure: the same state, event and [`Cx`] give the same effects, which is what makes a replay an audit.
pub trait Processor: Send + Sync + 'static {
    /// What the graph gives the node.
    type Ports: Ports;
    /// The head of a key's state.
    type Head: Serialize + DeserializeOwned + Send;
    /// The names of a key's timers.
    type Timer: Serialize + DeserializeOwned + Clone + Debug;
    /// What of its state comes and soon goes beside the timers, mostly for good. A changelog has no more of such rows than there
    /// were at once. What is here once stays here: rows that have a seat in a changelog would come back if they lost it.
    const PASSING: &'static [Family] = &[];
    /// What of its state hardly ever changes once it is written. A changelog has such rows in packs, many to a record, and every
    /// version of one for good. What is here once stays here: a deletion outside a pack would be forgotten before the pack.
    const LASTING: &'static [Family] = &[];

    /// One event of one key.
    fn step(
        &self,
        cx: &Cx<'_>,
        key: &str,
        state: &mut State<'_, Self::Head>,
        event: Event<In<'_, Self>, Self::Timer>,
    ) -> Effects<Out<Self>, Self::Timer>
    where
        Self: Sized;

    /// The refusal event for a command that the core refuses. A node with a door has one for every command.
    fn refuse(&self, command: In<'_, Self>, refusal: &Refusal) -> Option<Out<Self>>
    where
        Self: Sized,
    {
        let _ = (command, refusal);
        None
    }

    /// By what the core remembers a command.
    fn identity(&self, command: In<'_, Self>) -> Identity
    where
        Self: Sized,
    {
        let _ = command;
        Identity::Command
    }

    /// Digest of the rules file that the node decides by; zeros where it has none.
    fn rules(&self) -> [u8; 32] {
        [0; 32]
    }
}
