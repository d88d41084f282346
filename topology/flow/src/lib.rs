//! The core: how a record becomes a decision, without Kafka, without RocksDB, without async, clock, chance or I/O.
//!
//! Data flows so: a driver reads records and gives them to an [`Engine`] as [`Input`]s; the engine hands each to the
//! [`Task`]s that read its partition; a task takes it through the door ([`door`]: framing, schema, key, routing,
//! idempotence), runs one [`Processor`] step over the key's [`State`], and turns the [`Effects`] into records with derived
//! ids. All that an epoch made comes back as one [`Commit`]: records, state changes with positions, and the journal that
//! makes a replay exact. The driver makes it durable in one transaction, or drops it.
//!
//! Everything here is a function of its arguments. That is what lets the simulator prove it and a replay audit it.

mod around;
mod by_text;
mod cause;
mod changes;
mod counters;
pub mod door;
pub mod engine;
pub mod foresight;
pub mod framing;
pub mod header;
pub mod id;
mod in_flight;
pub mod journal;
mod keys;
pub mod log;
mod memory;
mod overlay;
mod partitions;
pub mod platform;
pub mod ports;
pub mod processor;
pub mod reader;
pub mod record;
pub mod registry;
pub mod replay;
pub mod rows;
mod run;
mod scratch;
pub mod store;
pub mod task;
pub mod testing;
pub mod time;
mod timers;
pub mod topic;

pub use around::Around;
pub use engine::{Commit, Engine, Epoch, Stores};
pub use foresight::{Foresight, Guess};
pub use header::{Applied, Body, CommandHeader, DecodeError, FactHeader, Header, Origin};
pub use id::EventId;
pub use in_flight::InFlight;
pub use journal::JournalEntry;
pub use log::{Log, LogError, Logged};
pub use memory::InMemory;
pub use platform::{Place, Platform};
pub use processor::{Cx, Effects, Event, Identity, Ports, Processor, Refusal, State};
pub use reader::{Page, Reader};
pub use rows::{Collection, Index};
pub use store::{Changes, MemoryStore, Store};
pub use task::{Input, ProcessorTask, Produced, Registry, Setup, Target, Task};
pub use time::{Date, Timestamp};
pub use topic::{CLOCK, DEAD_LETTERS, Kind, Node, Topic, TopicPartition, TopicRef, partition_of};
