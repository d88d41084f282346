//! A task: one node in one partition. It turns raw records into decisions and collects what they change, and it alone
//! knows ids, order and idempotence, so that no processor can get them wrong. All drivers call the same task; what the
//! simulator proves of it is what production runs.
//!
//! Deliberately absent: where records come from, where they go, and when an epoch ends. That is the driver's.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::cause::{Arrived, Cause};
use crate::changes::Gathered;
pub use crate::counters::Counters;
use crate::door::{Letter, check_header};
use crate::framing;
use crate::journal::JournalEntry;
use crate::keys::Keys;
use crate::processor::{Cx, Effects, Event, In, Out, Output, Ports, Processor};
use crate::reader::Reader;
pub use crate::record::{Input, Produced, Target};
pub use crate::registry::{Registry, TranslateError};
use crate::rows::{self, Lives, tag};
use crate::store::{Changes, Store};
use crate::timers;
use crate::{EventId, FactHeader, Header, InMemory, Node, Origin, Timestamp, TopicRef, partition_of};

/// What every task of a process shares.
#[derive(Clone)]
pub struct Setup {
    /// Name of the application: one installation of the graph.
    pub application: String,
    /// Partitions of every domain topic, fixed at first start: the only modulus.
    pub partitions: u32,
    /// Identifies the build, for the journal.
    pub build: String,
    /// Largest key and value a record may have, in bytes.
    pub max_record: usize,
    /// The schemas.
    pub registry: Arc<dyn Registry>,
}

/// What one task contributes to an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskCommit {
    /// Node.
    pub node: &'static Node,
    /// Partition.
    pub partition: u32,
    /// Changes of the task's store, positions included.
    pub changes: Changes,
    /// How long the rows stay as they are.
    pub lives: Lives,
    /// The epoch's journal entry; a view has none.
    pub journal: Option<JournalEntry>,
}

/// Why an epoch cannot be finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// A bug or a broken invariant: this task must not go on.
    Halt(String),
    /// The world outside failed: the epoch may be tried again.
    Retry(String),
}

/// A task, whatever its node.
pub trait Task: Send {
    /// Its node.
    fn node(&self) -> &'static Node;
    /// Its partition.
    fn partition(&self) -> u32;
    /// Counted so far; includes aborted epochs.
    fn counters(&self) -> Counters;
    /// Begins an epoch at `wall` or the task's last clock, whichever is later.
    fn begin(&mut self, store: &dyn Store, wall: Timestamp);
    /// The first offset of input `port` not yet applied.
    fn position(&mut self, store: &dyn Store, port: usize) -> u64;
    /// When the next timer may be due; never later than it is.
    fn next_timer(&mut self, store: &dyn Store) -> Option<Timestamp>;
    /// Fires the due timers, at most `limit`, oldest first.
    ///
    /// # Errors
    /// The epoch cannot be finished.
    fn fire(&mut self, store: &dyn Store, limit: u32, out: &mut Vec<Produced>) -> Result<(), Stop>;
    /// The timer in which the task stopped, in words.
    fn firing(&self) -> Option<String> {
        None
    }
    /// Applies a record; one below the position is dropped. `memory` is its envelope, where it comes by hand and its writer
    /// has kept that.
    ///
    /// # Errors
    /// The epoch cannot be finished.
    fn apply(
        &mut self,
        store: &dyn Store,
        port: usize,
        input: &Input,
        memory: Option<&InMemory>,
        out: &mut Vec<Produced>,
    ) -> Result<(), Stop>;
    /// Ends the epoch: what it changed, or nothing.
    fn finish(&mut self) -> Option<TaskCommit>;
    /// Drops everything since `begin`.
    fn abort(&mut self);
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Meta {
    pub epoch: u64,
    now: Timestamp,
}

/// The task of a processor.
pub struct ProcessorTask<P: Processor> {
    pub(crate) processor: Arc<P>,
    pub(crate) setup: Setup,
    pub(crate) keys: Keys<P::Head>,
    /// The ids of our own schemas: by which each input is read, and under which each output is written.
    pub(crate) reads: Vec<u32>,
    writes_as: Vec<u32>,
    pub(crate) counters: Counters,
    partition: u32,
    meta: Option<Meta>,
    positions: Vec<Option<u64>>,
    next_timer: Option<Option<Timestamp>>,
    firing: Option<timers::Due>,
    journal: JournalEntry,
}

impl<P: Processor> ProcessorTask<P> {
    /// The task of `processor` in `partition`.
    #[must_use]
    pub fn new(processor: Arc<P>, partition: u32, setup: Setup) -> Self {
        let journal = JournalEntry {
            epoch: 0,
            now: Timestamp::default(),
            build: setup.build.clone(),
            rules: processor.rules(),
            timers: 0,
            runs: Vec::new(),
        };
        let ids = |topics: &[TopicRef]| topics.iter().map(|topic| setup.registry.id(topic.schema)).collect();
        ProcessorTask {
            processor,
            reads: ids(P::Ports::NODE.inputs),
            writes_as: ids(P::Ports::NODE.outputs),
            setup,
            keys: Keys::default(),
            counters: Counters::default(),
            partition,
            meta: None,
            positions: vec![None; P::Ports::NODE.inputs.len()],
            next_timer: None,
            firing: None,
            journal,
        }
    }

    /// The epoch's clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.journal.now
    }

    /// Runs one step and writes what it wants done.
    pub(crate) fn step(
        &mut self,
        store: &dyn Store,
        cause: Cause<'_>,
        record: Option<Arrived<'_>>,
        key: &str,
        event: Event<In<'_, P>, P::Timer>,
        out: &mut Vec<Produced>,
    ) -> Result<(), Stop> {
        let (command, fact) = match record {
            Some(Arrived { header: Header::Command(command), .. }) => (Some(command), None),
            Some(Arrived { header: Header::Fact(fact), .. }) => (None, Some(fact)),
            None => (None, None),
        };
        let cx = Cx {
            now: self.journal.now,
            id: cause.id,
            correlation: cause.correlation,
            actor: cause.actor,
            command,
            fact,
            envelope: record.and_then(|record| record.envelope),
            place: record.map(|Arrived { input, .. }| (input.topic, input.partition, input.offset)),
            privileged: record.is_some_and(|record| record.input.topic.kind == crate::Kind::AdminCommands),
            partitions: self.setup.partitions,
        };
        let effects = self.keys.step(store, key, |state| self.processor.step(&cx, key, state, event));
        self.perform(store, cause, key, effects, out)
    }

    pub(crate) fn perform(
        &mut self,
        store: &dyn Store,
        cause: Cause<'_>,
        key: &str,
        effects: Effects<Out<P>, P::Timer>,
        out: &mut Vec<Produced>,
    ) -> Result<(), Stop> {
        for (ordinal, Output { body, answers }) in effects.outputs.into_iter().enumerate() {
            let header = Header::Fact(FactHeader {
                id: cause.id.output(P::Ports::NODE.name, ordinal as u32),
                time: self.journal.now,
                causation: cause.id,
                correlation: cause.correlation.to_owned(),
                answers,
                actor: cause.actor.map(str::to_owned),
                traceparent: cause.traceparent.map(str::to_owned),
                applied: Vec::new(),
            });
            let port = P::Ports::port(&body);
            let mut value = framing::frame(self.writes_as[port]);
            P::Ports::encode(&body, &header, &mut value);
            let key = P::Ports::out_key(&body).as_bytes().to_vec();
            let memory = check_header(&header).is_ok().then(|| P::Ports::keep(body, header));
            self.produce(out, P::Ports::NODE.outputs[port], key, value, memory)?;
        }
        for (timer, deadline) in effects.timers {
            self.set_timer(store, cause, key, &timer, deadline);
        }
        Ok(())
    }

    pub(crate) fn produce(
        &mut self,
        out: &mut Vec<Produced>,
        topic: TopicRef,
        key: Vec<u8>,
        value: Vec<u8>,
        memory: Option<InMemory>,
    ) -> Result<(), Stop> {
        let size = key.len() + value.len();
        if size > self.setup.max_record {
            return Err(Stop::Halt(format!(
                "a record of {size} bytes for {} is over the limit of {} bytes",
                topic.name, self.setup.max_record
            )));
        }
        self.counters.outputs += 1;
        out.push(Produced {
            target: Target::Topic(topic),
            partition: partition_of(&key, self.setup.partitions),
            key: Some(key),
            value: Some(value),
            headers: Vec::new(),
            memory,
        });
        Ok(())
    }

    pub(crate) fn dead_letter(&mut self, input: &Input, letter: &Letter, out: &mut Vec<Produced>) {
        self.counters.dead_letters += 1;
        // A view writes nothing; the node that guards the topic has written the letter.
        if !P::Ports::NODE.is_view() {
            let origin =
                Origin { topic: input.topic.name.to_owned(), partition: input.partition, offset: input.offset };
            out.push(letter.record(&origin, P::Ports::NODE.name, input, self.setup.max_record));
        }
    }

    fn set_timer(
        &mut self,
        store: &dyn Store,
        cause: Cause<'_>,
        key: &str,
        timer: &P::Timer,
        deadline: Option<Timestamp>,
    ) {
        let (timers, scratch) = self.keys.timers(key);
        let to = deadline.map(|deadline| (deadline, timers::set_by(cause, scratch)));
        timers.set(store, key, &scratch.bytes(timer), to);
        if let (Some(next), Some(deadline)) = (&mut self.next_timer, deadline) {
            *next = Some(next.map_or(deadline, |next| next.min(deadline)));
        }
    }
}

impl<P: Processor> Task for ProcessorTask<P> {
    fn node(&self) -> &'static Node {
        P::Ports::NODE
    }

    fn partition(&self) -> u32 {
        self.partition
    }

    fn counters(&self) -> Counters {
        self.counters
    }

    fn begin(&mut self, store: &dyn Store, wall: Timestamp) {
        let meta = self.meta.get_or_insert_with(|| {
            store.get(&[tag::META]).map_or_else(Meta::default, |bytes| rows::from_bytes(&bytes))
        });
        self.journal.epoch = meta.epoch + 1;
        self.journal.now = meta.now.max(wall);
    }

    fn position(&mut self, store: &dyn Store, port: usize) -> u64 {
        *self.positions[port].get_or_insert_with(|| Reader::new(store).position(P::Ports::NODE.inputs[port].name))
    }

    fn next_timer(&mut self, store: &dyn Store) -> Option<Timestamp> {
        *self
            .next_timer
            .get_or_insert_with(|| timers::due(store, Timestamp(i64::MAX - 1), 1).first().map(|due| due.deadline))
    }

    fn fire(&mut self, store: &dyn Store, limit: u32, out: &mut Vec<Produced>) -> Result<(), Stop> {
        if limit == 0 || self.next_timer(store).is_none_or(|next| next > self.journal.now) {
            return Ok(());
        }
        let timers = timers::due(store, self.journal.now, limit);
        self.journal.timers = timers.len() as u32;
        self.next_timer = None;
        for due in timers {
            if !self.keys.timers(&due.key).0.take(&due) {
                continue;
            }
            self.counters.timers += 1;
            let timers::Due { deadline, key, name, set_by } = self.firing.insert(due).clone();
            let set_by: Cause<'_> = rows::from_bytes(&set_by);
            let id = EventId::of_timer(P::Ports::NODE.name, &key, &name, deadline, set_by.id);
            self.step(store, Cause { id, ..set_by }, None, &key, Event::Timer(rows::from_bytes(&name)), out)?;
            self.firing = None;
        }
        Ok(())
    }

    fn firing(&self) -> Option<String> {
        self.firing.as_ref().map(timers::Due::told::<P::Timer>)
    }

    fn apply(
        &mut self,
        store: &dyn Store,
        port: usize,
        input: &Input,
        memory: Option<&InMemory>,
        out: &mut Vec<Produced>,
    ) -> Result<(), Stop> {
        if input.offset < self.position(store, port) {
            return Ok(());
        }
        self.positions[port] = Some(input.offset + 1);
        self.journal.push(port as u8, input.offset);
        self.counters.inputs += 1;
        self.admit(store, port, input, memory, out)
    }

    fn finish(&mut self) -> Option<TaskCommit> {
        if self.journal.runs.is_empty() && self.journal.timers == 0 {
            return None;
        }
        let mut own = Gathered::default();
        let is_view = P::Ports::NODE.is_view();
        // What a view is must follow from its inputs alone, and not from how many epochs it took to read them.
        if !is_view {
            let meta = Meta { epoch: self.journal.epoch, now: self.journal.now };
            own.push(&[tag::META], Some(&rows::to_bytes(&meta)));
            self.meta = Some(meta);
        }
        let moved: BTreeSet<u8> = self.journal.runs.iter().map(|run| run.port).collect();
        for port in moved.into_iter().map(usize::from) {
            let position = self.positions[port].expect("invariant: what was applied has moved the position");
            own.push(&rows::position(P::Ports::NODE.inputs[port].name), Some(&rows::to_bytes(&position)));
        }
        let (runs, timers) = (std::mem::take(&mut self.journal.runs), std::mem::take(&mut self.journal.timers));
        Some(TaskCommit {
            node: P::Ports::NODE,
            partition: self.partition,
            changes: self.keys.finish(P::PASSING, own),
            lives: Lives { passing: P::PASSING, lasting: P::LASTING },
            journal: (!is_view).then(|| JournalEntry { runs, timers, ..self.journal.clone() }),
        })
    }

    fn abort(&mut self) {
        self.keys.abort();
        self.journal.timers = 0;
        self.journal.runs.clear();
        self.meta = None;
        self.positions.fill(None);
        self.next_timer = None;
        self.firing = None;
    }
}
