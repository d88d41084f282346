//! A graph of two nodes that only counts: `first` passes every command on under another key, `second` numbers what arrives
//! per key and sets a timer. What is lost or doubled anywhere shows in the numbers.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tributary_flow::rows::Family;
use tributary_flow::task::TranslateError;
use tributary_flow::{
    Body, Collection, CommandHeader, Cx, DecodeError, Effects, Event, EventId, FactHeader, Header, Identity, Processor,
    ProcessorTask, Refusal, Registry, Setup, State, Task, Timestamp, node, topics,
};

/// Asks for one count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// Who asks.
    pub who: String,
    /// What it counts for.
    pub about: String,
}

/// One count, on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// What it counts for.
    pub about: String,
    /// The command.
    pub command: String,
}

/// One count, counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// What it counted for.
    pub about: String,
    /// The command; empty for a timer.
    pub command: String,
    /// The how manieth.
    pub number: u64,
}

macro_rules! body {
    ($body:ident, $schema:literal, $key:ident) => {
        impl Body for $body {
            const SCHEMA: &'static str = $schema;

            fn decode(datum: &[u8]) -> Result<(Header, Self), DecodeError> {
                let (header, body): (Plain, Self) =
                    serde_json::from_slice(datum).map_err(|error| DecodeError::new("", error.to_string()))?;
                Ok((header.into(), body))
            }
            fn encode(&self, header: &Header, out: &mut Vec<u8>) {
                serde_json::to_writer(out, &(Plain::from(header), self)).expect("plain data");
            }
            fn encode_body(&self, out: &mut Vec<u8>) {
                serde_json::to_writer(out, self).expect("plain data");
            }
            fn key(&self) -> &str {
                &self.$key
            }
            fn name(&self) -> &'static str {
                stringify!($body)
            }
        }
    };
}
body!(Ask, "toy.Ask", who);
body!(Asked, "toy.Asked", about);
body!(Counted, "toy.Counted", about);

#[derive(Serialize, Deserialize)]
enum Plain {
    Command(String, i64),
    Fact([u8; 16], i64, [u8; 16], String),
}

impl From<&Header> for Plain {
    fn from(header: &Header) -> Self {
        match header {
            Header::Command(command) => Plain::Command(command.id.clone(), command.time.0),
            Header::Fact(fact) => Plain::Fact(fact.id.0, fact.time.0, fact.causation.0, fact.correlation.clone()),
        }
    }
}

impl From<Plain> for Header {
    fn from(plain: Plain) -> Self {
        match plain {
            Plain::Command(id, time) => {
                Header::Command(CommandHeader { id, time: Timestamp(time), ..Default::default() })
            }
            Plain::Fact(id, time, causation, correlation) => Header::Fact(FactHeader {
                id: EventId(id),
                time: Timestamp(time),
                causation: EventId(causation),
                correlation,
                ..Default::default()
            }),
        }
    }
}

topics! {
    /// Asks.
    ASKS = "toy.commands.v1", Commands, "who", Ask;
    /// What was asked.
    ASKED = "toy.events.v1", Events, "about", Asked;
    /// What was counted.
    COUNTED = "toy.entries.v1", Entries, "about", Counted;
}

node! {
    /// Passes on.
    first: "first", "who",
    in { Ask(Ask) <- [ASKS] }
    out { Asked(Asked) -> ASKED }
}

node! {
    /// Counts.
    second: "second", "about",
    in { Asked(Asked) <- [ASKED] }
    out { Counted(Counted) -> COUNTED }
}

/// Both nodes.
pub static NODES: &[&tributary_flow::Node] = &[&first::NODE, &second::NODE];

struct First;

impl Processor for First {
    type Ports = first::Ports;
    type Head = u64;
    type Timer = ();

    fn step(
        &self,
        cx: &Cx<'_>,
        _: &str,
        state: &mut State<'_, u64>,
        event: Event<first::In<'_>, ()>,
    ) -> Effects<first::Out, ()> {
        let mut effects = Effects::none();
        if let Event::Input(first::In::Ask(ask)) = event {
            state.head = Some(state.head.unwrap_or(0) + 1);
            let command = cx.command.expect("asks are commands").id.clone();
            effects.answer(command.clone(), Asked { about: ask.about.clone(), command });
        }
        effects
    }

    fn refuse(&self, ask: first::In<'_>, _: &Refusal) -> Option<first::Out> {
        let first::In::Ask(ask) = ask;
        Some(Asked { about: ask.about.clone(), command: "refused".into() }.into())
    }

    fn identity(&self, _: first::In<'_>) -> Identity {
        Identity::Command
    }
}

struct Second;

const SEEN: Collection<u64, String> = Collection::new(1);

impl Processor for Second {
    type Ports = second::Ports;
    type Head = (u64, u64);
    type Timer = ();
    const LASTING: &'static [Family] = &[SEEN.family()];

    fn step(
        &self,
        cx: &Cx<'_>,
        key: &str,
        state: &mut State<'_, (u64, u64)>,
        event: Event<second::In<'_>, ()>,
    ) -> Effects<second::Out, ()> {
        let mut effects = Effects::none();
        let (count, fired) = state.head.unwrap_or_default();
        match event {
            Event::Input(second::In::Asked(asked)) => {
                state.head = Some((count + 1, fired));
                state.put(&SEEN, &count, &asked.command);
                if count % 50 == 0 {
                    effects.set_timer((), cx.now.plus(300_000));
                }
                effects.emit(Counted { about: key.to_owned(), command: asked.command.clone(), number: count });
            }
            Event::Timer(()) => {
                state.head = Some((count, fired + 1));
                state.delete(&SEEN, &count.saturating_sub(1));
                effects.emit(Counted { about: key.to_owned(), command: String::new(), number: fired });
            }
        }
        effects
    }
}

struct OneSchema;

impl Registry for OneSchema {
    fn id(&self, _: &str) -> u32 {
        7
    }
    fn translate(&self, _: &str, _: u32, _: &[u8]) -> Result<Vec<u8>, TranslateError> {
        Err(TranslateError::Unknown)
    }
}

/// The tasks of one partition.
pub fn tasks(partition: u32, partitions: u32) -> Vec<Box<dyn Task>> {
    let setup = Setup {
        application: "toy".into(),
        partitions,
        build: "toy".into(),
        max_record: 100_000,
        registry: Arc::new(OneSchema),
    };
    vec![
        Box::new(ProcessorTask::new(Arc::new(First), partition, setup.clone())),
        Box::new(ProcessorTask::new(Arc::new(Second), partition, setup)),
    ]
}

/// A framed command.
pub fn command(id: &str, who: &str, about: &str) -> Vec<u8> {
    let mut value = tributary_flow::framing::frame(7);
    let header = Header::Command(CommandHeader { id: id.to_owned(), time: clock(), ..Default::default() });
    Ask { who: who.to_owned(), about: about.to_owned() }.encode(&header, &mut value);
    value
}

/// The wall clock.
pub fn clock() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(since.as_micros() as i64)
}
