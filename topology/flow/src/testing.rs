//! Given / when / expect for processors: one key's steps over a state in memory, without envelopes, topics or a driver. And
//! for whole engines a [`World`] in memory.

mod world;

use crate::changes::Gathered;
use crate::keys::Keys;
use crate::processor::{Cx, Effects, Event, In, Out, Ports, Processor};
use crate::reader::Reader;
use crate::store::MemoryStore;
use crate::{CommandHeader, EventId, FactHeader, Header, Timestamp};

pub use world::World;

/// Keeps a body for as long as the tests run, for whoever makes what a processor is lent.
#[must_use]
pub fn kept<B>(body: impl Into<B>) -> &'static B {
    Box::leak(Box::new(body.into()))
}

/// A processor with a state, a clock that the test sets, and one way to step.
pub struct Bench<P: Processor> {
    /// The processor.
    pub processor: P,
    /// The clock of the next step.
    pub now: Timestamp,
    /// Whether commands come through a privileged door.
    pub privileged: bool,
    /// Who asks.
    pub actor: Option<String>,
    /// Partitions of the domain.
    pub partitions: u32,
    store: MemoryStore,
    steps: u64,
    touched: usize,
}

impl<P: Processor> Bench<P> {
    /// A bench at the epoch plus one day, with an empty state.
    pub fn new(processor: P) -> Self {
        Bench {
            processor,
            now: Timestamp(crate::time::DAY),
            privileged: false,
            actor: None,
            partitions: 1,
            store: MemoryStore::default(),
            steps: 0,
            touched: 0,
        }
    }

    /// A command with this id meets `key`.
    pub fn command(&mut self, key: &str, id: &str, input: In<'_, P>) -> Effects<Out<P>, P::Timer> {
        let command =
            CommandHeader { id: id.to_owned(), time: self.now, actor: self.actor.clone(), ..Default::default() };
        self.step(key, Some(Header::Command(command)), Event::Input(input))
    }

    /// A fact meets `key`.
    pub fn fact(&mut self, key: &str, input: In<'_, P>) -> Effects<Out<P>, P::Timer> {
        self.step(key, Some(Header::Fact(FactHeader::default())), Event::Input(input))
    }

    /// A fact that answers the command `id` meets `key`.
    pub fn answer(&mut self, key: &str, id: &str, input: In<'_, P>) -> Effects<Out<P>, P::Timer> {
        let fact = FactHeader { answers: Some(id.to_owned()), correlation: id.to_owned(), ..Default::default() };
        self.step(key, Some(Header::Fact(fact)), Event::Input(input))
    }

    /// A timer of `key` fires.
    pub fn timer(&mut self, key: &str, timer: P::Timer) -> Effects<Out<P>, P::Timer> {
        self.step(key, None, Event::Timer(timer))
    }

    /// The state as a query would read it.
    pub fn reader(&self) -> Reader<'_> {
        Reader::new(&self.store)
    }

    /// Bytes that the last step changed, keys and values: what it would cost in a changelog.
    pub fn touched(&self) -> usize {
        self.touched
    }

    fn step(
        &mut self,
        key: &str,
        mut header: Option<Header>,
        event: Event<In<'_, P>, P::Timer>,
    ) -> Effects<Out<P>, P::Timer> {
        self.steps += 1;
        let id = EventId::of_command("bench", key, &self.steps.to_string(), &[]);
        if let Some(Header::Fact(fact)) = &mut header {
            fact.id = id;
            fact.time = self.now;
            fact.actor = self.actor.clone();
        }
        let (command, fact) = match &header {
            Some(Header::Command(command)) => (Some(command), None),
            Some(Header::Fact(fact)) => (None, Some(fact)),
            None => (None, None),
        };
        let cx = Cx {
            now: self.now,
            id,
            correlation: command.map_or("bench", |command| &command.id),
            actor: self.actor.as_deref(),
            command,
            fact,
            envelope: None,
            place: header.as_ref().map(|_| (P::Ports::NODE.inputs[0], 0, self.steps)),
            privileged: self.privileged,
            partitions: self.partitions,
        };
        let mut keys = Keys::default();
        let effects = keys.step(&self.store, key, |state| self.processor.step(&cx, key, state, event));
        let changes = keys.finish(P::PASSING, Gathered::default());
        self.touched = changes.iter().map(|(key, value)| key.len() + value.map_or(0, <[u8]>::len)).sum();
        self.store.apply(&changes);
        effects
    }
}
