//! A slot: one process of a placement on a log that it shares with others. What it decides, without doing any of it: when to
//! take up an assignment and when to doubt it, how far to restore, what an epoch reads, in which order it becomes durable,
//! and what to do when a step of that fails. Everything it does it asks of a [`World`]: Kafka and RocksDB in production, a
//! cluster in memory in the simulator, which so tries the very decisions that production runs.
//!
//! A slot is one consumer of the placement's group, one transactional producer, one epoch at a time. An epoch's outputs,
//! changelog, journal and offsets are one transaction ([`PROTOCOL`]); only once it is committed do the stores follow, so
//! a store is never ahead of the log and at worst a little behind, from where it is rolled forward out of its changelog
//! before anything runs. The position rows in the store are the authority on what has been read; the group's offsets are
//! there to be fenced by. A view is made of its inputs alone: its store has no changelog, and whatever brings it records, by hand or out
//! of the log, is all that it is rolled forward by.
//!
//! Whatever goes wrong (a timeout, a fence, an unknown outcome, a broker that is gone) ends on the one path that a crash
//! takes too: the producer is dropped, another initialised, the stores rolled forward, the inputs read from the positions
//! again. A slot that another has taken, or whose store cannot be written, ends with a [`Failure`].
//!
//! [`Slot::run`] is a coroutine: it stands still wherever it has asked the world for something. Production answers
//! at once, on a thread of its own; the simulator lets others go first, answers wrongly, or never. Dropped where it stands, it
//! has died there.
//!
//! Deliberately absent: threads, I/O, clocks, any client of a log or a store; and regrouping of placements.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use thiserror::Error;

mod assume;
mod changelog;
mod commit;
mod epoch;
mod journals;
mod packs;
mod restore;
mod row;
mod seats;
mod silence;
mod slot;
mod standby;
mod status;
mod views;
mod world;

pub use changelog::{Along, row_of, take_in};
pub use commit::{PROTOCOL, Step};
pub use restore::{LINEAGE, MAX_AGE};
pub use row::Row;
pub use slot::{Options, Slot};
pub use world::{Batch, Failed, Fault, Join, Membership, Met, News, Outgoing, Rebalance, Rows, World};

/// A partition by topic name.
pub type At = (String, u32);

/// First offsets kept and ends, by partition.
pub type Bounds = BTreeMap<At, Range<u64>>;

/// Partitions by topic name, as a group gives them.
pub type Partitions = BTreeSet<At>;

/// A task by node and partition.
pub type TaskAt = (&'static str, u32);

/// An input partition, by topic name.
pub type InputAt = (&'static str, u32);

/// Why a slot stopped for good. Nothing is lost: what is committed is in the log, and a restart rolls forward from it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Failure {
    /// Another process runs in our slot.
    #[error(
        "slot {0} is taken: another process of this application runs with the same --slot, and this one has stopped; give every process one of its own"
    )]
    Fenced(String),
    /// A store cannot be written or read; a full disk, most often.
    #[error(
        "the state cannot be written or read: {0}; free the disk, or delete a state that is damaged, which is made again from its changelog, and start again: nothing is lost"
    )]
    Store(String),
    /// The group takes no member with our session timeout.
    #[error(
        "{0}: the brokers do not allow this --session-timeout-ms; give one that is not below their group.min.session.timeout.ms, or lower that"
    )]
    Session(String),
    /// The log does not hold what the stores rest on.
    #[error("the log does not fit the state: {0}")]
    Log(String),
    /// A record is larger than the log takes.
    #[error("a record is too large to be written: {0}; raise max.message.bytes of its topic")]
    TooLarge(String),
    /// A broken invariant.
    #[error("the engine broke: {0}")]
    Broken(String),
}

/// What keeps a slot from going on.
#[derive(Debug)]
enum Trouble {
    /// As after a crash: begin again from the log.
    Again(String),
    /// Partitions came or went.
    Rebalanced,
    /// Stop.
    Stop(Failure),
}

impl From<Failed> for Trouble {
    fn from(failed: Failed) -> Self {
        Trouble::Again(failed.text)
    }
}
