//! A toy graph: a counter per key that is told numbers, tells a second node what it has, and forgets after a while.

#![allow(dead_code, reason = "each test uses its part")]

pub mod world;

use std::sync::Arc;

use tributary_flow::processor::{Cx, Effects, Event, Processor, Refusal, State};
use tributary_flow::task::TranslateError;
use tributary_flow::time::SECOND;
use tributary_flow::{
    Body, CommandHeader, DecodeError, Engine, EventId, FactHeader, Header, Input, ProcessorTask, Registry, Setup, Task,
    Timestamp, TopicRef, framing, node, topics,
};

/// A body: a key and a number. Its datum is text, `kind|id|origin|key|number`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number {
    pub key: String,
    pub number: i64,
}

macro_rules! toy_body {
    ($name:ident, $schema:literal) => {
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name(pub Number);
        impl Body for $name {
            const SCHEMA: &'static str = $schema;
            fn decode(datum: &[u8]) -> Result<(Header, Self), DecodeError> {
                let (header, number) = read(datum).ok_or_else(|| DecodeError::new("body", "not a toy"))?;
                Ok((header, $name(number)))
            }
            fn encode(&self, header: &Header, out: &mut Vec<u8>) {
                out.extend(write(header, &self.0).into_bytes());
            }
            fn encode_body(&self, out: &mut Vec<u8>) {
                out.extend(self.0.number.to_be_bytes());
            }
            fn key(&self) -> &str {
                &self.0.key
            }
            fn name(&self) -> &'static str {
                stringify!($name)
            }
        }
    };
}
toy_body!(Tell, "toy.Tell");
toy_body!(Told, "toy.Told");
toy_body!(Mirrored, "toy.Mirrored");

fn write(header: &Header, body: &Number) -> String {
    match header {
        Header::Command(command) => {
            let origin = command.origin.as_ref().map_or(0, |origin| origin.offset + 1);
            format!("c|{}|{origin}|{}|{}|{}", command.id, command.time.0, body.key, body.number)
        }
        Header::Fact(fact) => {
            let id = u128::from_be_bytes(fact.id.0);
            format!(
                "f|{id}|{}|{}|{}|{}",
                fact.answers.as_deref().unwrap_or("-"),
                fact.correlation,
                body.key,
                body.number
            )
        }
    }
}

fn read(datum: &[u8]) -> Option<(Header, Number)> {
    let text = std::str::from_utf8(datum).ok()?;
    let parts: Vec<_> = text.split('|').collect();
    let [kind, id, third, fourth, key, number] = parts[..] else { return None };
    let body = Number { key: key.to_owned(), number: number.parse().ok()? };
    let header = if kind == "c" {
        let offset: u64 = third.parse().ok()?;
        let origin = (offset > 0).then(|| tributary_flow::Origin { offset: offset - 1, ..Default::default() });
        Header::Command(CommandHeader {
            id: id.to_owned(),
            time: Timestamp(fourth.parse().ok()?),
            origin,
            ..Default::default()
        })
    } else {
        Header::Fact(FactHeader {
            id: EventId(id.parse::<u128>().ok()?.to_be_bytes()),
            answers: (third != "-").then(|| third.to_owned()),
            correlation: fourth.to_owned(),
            ..Default::default()
        })
    };
    Some((header, body))
}

topics! {
    /// Numbers to add.
    COMMANDS = "toy.commands.v1", Commands, "toy", Tell;
    /// Sums.
    EVENTS = "toy.events.v1", Events, "toy", Told;
    /// Sums, seen by the mirror.
    MIRRORED = "mirror.events.v1", Events, "toy", Mirrored;
}

node! {
    /// Adds.
    counter: "counter", "toy",
    in { Tell(Tell) <- [COMMANDS] }
    out { Told(Told) -> EVENTS }
}

node! {
    /// Repeats what the counter says.
    mirror: "mirror", "toy",
    in { Told(Told) <- [EVENTS] }
    out { Mirrored(Mirrored) -> MIRRORED }
}

/// Sums numbers by key; a minute after the last, tells -1. Until it is mended, panics at 13, and at a timer over a sum of 99;
/// asks for too much at 1414.
pub struct Counter {
    /// Whether it does not panic.
    pub mended: bool,
}

impl Processor for Counter {
    type Ports = counter::Ports;
    type Head = i64;
    type Timer = u8;

    fn step(
        &self,
        cx: &Cx<'_>,
        key: &str,
        state: &mut State<'_, i64>,
        event: Event<counter::In<'_>, u8>,
    ) -> Effects<counter::Out, u8> {
        let mut effects = Effects::none();
        let number = match event {
            Event::Timer(_) => {
                assert!(self.mended || state.head != Some(99), "ninety-nine");
                -1
            }
            Event::Input(counter::In::Tell(Tell(told))) => {
                assert!(self.mended || told.number != 13, "thirteen");
                effects.set_timer(0, cx.now.plus(60 * SECOND));
                let sum = state.head.unwrap_or_default() + told.number;
                state.head = Some(sum);
                sum
            }
        };
        let key = if number == 1414 { "k".repeat(5_000) } else { key.to_owned() };
        let told = Told(Number { key, number });
        match cx.command {
            Some(command) => effects.answer(command.id.clone(), told),
            None => effects.emit(told),
        }
        effects
    }

    fn refuse(&self, command: counter::In<'_>, refusal: &Refusal) -> Option<counter::Out> {
        let counter::In::Tell(Tell(told)) = command;
        let number = if matches!(refusal, Refusal::Conflict { .. }) { -409 } else { -410 };
        Some(Told(Number { key: told.key.clone(), number }).into())
    }
}

/// Repeats; until it is mended, panics over a sum of 1300.
pub struct Mirror {
    /// Whether it does not panic.
    pub mended: bool,
}

impl Processor for Mirror {
    type Ports = mirror::Ports;
    type Head = i64;
    type Timer = ();

    fn step(
        &self,
        _: &Cx<'_>,
        _: &str,
        state: &mut State<'_, i64>,
        event: Event<mirror::In<'_>, ()>,
    ) -> Effects<mirror::Out, ()> {
        let mut effects = Effects::none();
        if let Event::Input(mirror::In::Told(Told(told))) = event {
            assert!(self.mended || told.number != 1300, "thirteen hundred");
            state.head = Some(told.number);
            effects.emit(Mirrored(told.clone()));
        }
        effects
    }
}

/// Schema 1 is everybody's; 2 is foreign and reads as ours; 3 is foreign and unreadable; 4 cannot be asked for now.
pub struct Schemas;

impl Registry for Schemas {
    fn id(&self, _: &str) -> u32 {
        1
    }
    fn translate(&self, _: &str, id: u32, datum: &[u8]) -> Result<Vec<u8>, TranslateError> {
        match id {
            2 => Ok(datum.to_vec()),
            3 => Err(TranslateError::Unreadable(format!("another shape: {}", String::from_utf8_lossy(datum)))),
            4 => Err(TranslateError::Unavailable("no answer".into())),
            _ => Err(TranslateError::Unknown),
        }
    }
}

/// Both nodes in every partition.
pub fn tasks(partitions: u32) -> Vec<Box<dyn Task>> {
    made(partitions, false)
}

fn made(partitions: u32, mended: bool) -> Vec<Box<dyn Task>> {
    let setup = Setup {
        application: "toy".into(),
        partitions,
        build: "test".into(),
        max_record: 4_000,
        registry: Arc::new(Schemas),
    };
    let mut tasks: Vec<Box<dyn Task>> = Vec::new();
    for partition in 0..partitions {
        tasks.push(Box::new(ProcessorTask::new(Arc::new(Counter { mended }), partition, setup.clone())));
        tasks.push(Box::new(ProcessorTask::new(Arc::new(Mirror { mended }), partition, setup.clone())));
    }
    tasks
}

/// An engine over them.
pub fn engine(partitions: u32) -> Engine {
    Engine::new(tasks(partitions))
}

/// An engine over them without their bugs.
pub fn mended(partitions: u32) -> Engine {
    Engine::new(made(partitions, true))
}

/// A framed command.
pub fn command(id: &str, key: &str, number: i64) -> Vec<u8> {
    let mut value = framing::frame(1);
    let header = CommandHeader { id: id.to_owned(), time: Timestamp(0), ..Default::default() };
    Tell(Number { key: key.to_owned(), number }).encode(&Header::Command(header), &mut value);
    value
}

/// A record as a driver reads it.
pub fn input(topic: TopicRef, partition: u32, offset: u64, key: Option<&str>, value: Option<Vec<u8>>) -> Input {
    Input { topic, partition, offset, key: key.map(|key| key.as_bytes().to_vec()), value }
}
