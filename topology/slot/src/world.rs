//! Everything that a slot asks of what is around it. Each call is one thing that happens or does not: what cannot be told
//! (a lost answer, a timeout) is a failure like any other, and the slot takes it for the worse.

use std::collections::BTreeSet;
use std::time::Duration;

use thiserror::Error;
use tributary_flow::platform::TaskStatus;
use tributary_flow::{LogError, Stores, Timestamp};

use crate::{At, Bounds, InputAt, Partitions, Row, Step, TaskAt};

/// A call failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{text}")]
pub struct Failed {
    /// What was done, and why it failed.
    pub text: String,
    /// What that means.
    pub fault: Fault,
}

impl From<Failed> for LogError {
    fn from(failed: Failed) -> Self {
        LogError(failed.text)
    }
}

/// What a failure means for whoever called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The transaction is certainly not committed, and may be aborted.
    Abort,
    /// Another producer has our transactional id, or the coordinator ended our transaction.
    ProducerFenced,
    /// Another consumer has our slot.
    SlotFenced,
    /// A record is larger than the producer or the topic takes.
    TooLarge,
    /// A position that the log does not hold, or not so that it can be read.
    OffsetLost,
    /// The group takes no member with our session timeout.
    Session,
    /// Anything else: the outcome may be unknown.
    Other,
}

/// Who we are in the group: what every epoch is fenced by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The generation of the group, 0 or more.
    pub generation: i32,
    /// Our member id.
    pub member: String,
}

/// What the group decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rebalance {
    /// Partitions, and our membership as it was when we heard of them.
    Assigned(Partitions, Option<Membership>),
    /// None any more.
    Revoked,
}

/// What a read brings beside records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// What the group decided since the last read, in order.
    pub rebalances: Vec<Rebalance>,
    /// The coordinator says that another has our slot.
    pub fenced: bool,
}

impl News {
    /// Whether there is anything.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.fenced || !self.rebalances.is_empty()
    }
}

/// How to join the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// As who we are.
    Again,
    /// With a new client: one that was fenced is of no use any more.
    Anew,
}

/// What a reader meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Met<'a> {
    /// A committed record.
    Record {
        /// Topic.
        topic: &'a str,
        /// Partition.
        partition: u32,
        /// Offset.
        offset: u64,
        /// Key.
        key: Option<&'a [u8]>,
        /// Value.
        value: Option<&'a [u8]>,
    },
    /// The end of a partition: its last stable offset.
    End {
        /// Topic.
        topic: &'a str,
        /// Partition.
        partition: u32,
        /// Where.
        offset: u64,
    },
    /// The client believes that the log was cut at `end`, below where it reads, and reads this partition no more. It may err;
    /// what was applied below `end` is certain all the same.
    Cut {
        /// Topic.
        topic: &'a str,
        /// Partition.
        partition: u32,
        /// Where the log is said to end.
        end: u64,
        /// The client's own words.
        error: Failed,
    },
    /// Reading failed, somewhere.
    Failed(Failed),
}

/// A record to write.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// Topic.
    pub topic: &'a str,
    /// Partition.
    pub partition: u32,
    /// Key.
    pub key: Option<&'a [u8]>,
    /// Value.
    pub value: Option<&'a [u8]>,
    /// Headers.
    pub headers: &'a [(&'static str, Vec<u8>)],
    /// Where among the offsets of the transaction its own is wanted, if it is.
    pub number: Option<usize>,
}

impl Outgoing<'_> {
    /// Bytes of key, value and headers.
    #[must_use]
    pub fn size(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.key.map_or(0, <[u8]>::len) + self.value.map_or(0, <[u8]>::len) + headers
    }
}

/// Changes to stores, which are taken in one per node.
pub trait Batch {
    /// A row of a task's state; without a value it is deleted.
    fn put(&mut self, at: TaskAt, key: &[u8], value: Option<&[u8]>);
    /// What the store knows of its past.
    fn row(&mut self, at: TaskAt, row: &Row);
    /// Everything of a task is deleted, the row too, before anything of it is put.
    fn wipe(&mut self, at: TaskAt);
}

/// Committed state, and what it knows of its past.
pub trait Rows: Stores {
    /// The row of a task's store; nothing where it is new.
    ///
    /// # Errors
    /// The store cannot be read.
    fn row(&self, at: TaskAt) -> Result<Option<Row>, String>;
}

/// What is around a slot. Everything asynchronous may stand still, fail, or have happened and fail all the same.
#[expect(async_fn_in_trait, reason = "a coroutine on one thread: nobody needs to send it")]
pub trait World {
    /// The stores of every task that the slot may own.
    type State: Rows + Sync;
    /// Changes to them.
    type Batch: Batch;

    /// The stores.
    fn state(&self) -> &Self::State;
    /// The wall clock.
    fn wall(&self) -> Timestamp;
    /// The time since some beginning; never goes back.
    fn elapsed(&self) -> Duration;
    /// Whether to come to an end.
    fn is_stopping(&self) -> bool;
    /// A name that no other store has.
    ///
    /// # Errors
    /// There is no chance to be had.
    fn lineage(&self) -> Result<[u8; 16], String>;
    /// Hears what the slot is about to do.
    fn doing(&self, what: &'static str);
    /// Lets time go by.
    async fn pause(&self, time: Duration);

    /// Joins the group, for these topics.
    async fn join(&self, how: Join, topics: &[&'static str]) -> Result<(), Failed>;
    /// Our membership as of now.
    fn membership(&self) -> Option<Membership>;
    /// The slots that the group has, ours too, if the coordinator gives this member exactly these partitions.
    async fn confirm(
        &self,
        membership: &Membership,
        partitions: &Partitions,
    ) -> Result<Option<BTreeSet<String>>, Failed>;
    /// Whether the coordinator has any member in our slot.
    async fn is_held(&self) -> Result<bool, Failed>;
    /// Reads these partitions from these offsets, and no others.
    async fn assign(&self, positions: &[(InputAt, u64)]) -> Result<(), Failed>;
    /// Waits at most `wait` for something to come, then takes what is there, `most` at most. A rebalance is answered with an
    /// assignment of nothing, and told.
    async fn read(&self, wait: Duration, most: usize, meet: &mut dyn FnMut(Met<'_>)) -> News;

    /// First offsets and read-uncommitted ends, asked now.
    async fn ends(&self, partitions: &[At]) -> Result<Bounds, Failed>;
    /// A read-uncommitted end as it was at some time before now.
    fn known_end(&self, topic: &str, partition: u32) -> Option<u64>;
    /// Reads these changelogs from these offsets, and no others, with a client that has read nothing before.
    async fn open(&self, changelogs: &[(&str, u32, u64)]) -> Result<(), Failed>;
    /// As [`World::read`], of changelogs; how much it met.
    async fn read_changelogs(&self, wait: Duration, most: usize, meet: &mut dyn FnMut(Met<'_>)) -> usize;

    /// Initialises transactions, which ends what any other producer of our slot had open and fences it.
    async fn initialise(&self) -> Result<(), Failed>;
    /// Has what the producer of another slot has open ended, and the producer fenced; nobody waits for it, and it may not come about.
    fn end_for(&self, slot: &str);
    /// A step of the commit is about to be done.
    async fn at(&self, step: Step);
    /// Begins a transaction.
    async fn begin(&self) -> Result<(), Failed>;
    /// Queues a record; it is copied.
    ///
    /// # Errors
    /// It is not queued.
    fn produce(&self, record: &Outgoing<'_>) -> Result<(), Failed>;
    /// Waits until every record is acknowledged; where the numbered ones went, absent where the log did not say.
    async fn deliveries(&self) -> Result<Vec<Option<u64>>, Failed>;
    /// Sends positions, which the group takes only from a member of its generation.
    async fn send_offsets(&self, offsets: &[(InputAt, u64)], membership: &Membership) -> Result<(), Failed>;
    /// Commits.
    async fn commit(&self) -> Result<(), Failed>;
    /// Aborts.
    async fn abort(&self) -> Result<(), Failed>;
    /// Has `work` done at the same time as what is done `here`, which may write: what came of both.
    async fn beside<T: Send, C>(&self, work: impl FnOnce() -> T + Send, here: impl Future<Output = C>) -> (T, C);
    /// Has no producer any more; what it had open stays open until another is initialised, or the coordinator ends it.
    fn forget_producer(&self);

    /// No changes yet.
    fn batch(&self) -> Self::Batch;
    /// Writes to the stores: all of a node's changes or none of them.
    async fn store(&self, batch: Self::Batch) -> Result<(), String>;

    /// Hears which tasks run here, whose state queries may read.
    fn own(&self, tasks: BTreeSet<TaskAt>);
    /// Hears how they are.
    fn report(&self, status: Vec<TaskStatus>, standby_lag: Option<u64>);
    /// Hears that an epoch is in the log and in the stores, and how long its transaction took; one of views alone has none.
    fn committed(&self, took: Option<Duration>);
}
