//! What the edges need of a running driver: a way in for commands, a way to read committed state, and news of commits.
//! The query API and the load generator work on any driver through this.

use crate::store::Store;
use crate::{Node, Task, TopicRef};

/// Where a record lies: the token of read-your-writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: u32,
    /// Offset.
    pub offset: u64,
}

/// Called once, when a command is durable or certainly refused; on any thread.
pub type Done = Box<dyn FnOnce(Result<Place, SubmitError>) + Send>;

/// Called once with ends, or with nothing where the log did not tell them in time; on any thread.
pub type Told = Box<dyn FnOnce(Option<Vec<u64>>) + Send>;

/// Why a command was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// Over the size limit: refused at the edge.
    #[error("the record has {size} bytes and the limit is {limit}")]
    TooLarge {
        /// Key and value, in bytes.
        size: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The platform is shutting down, full, or cut off; whether the command was written may be unknown: send it again
    /// with the same id.
    #[error("{0}")]
    Unavailable(String),
}

/// The state of one task, for health and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskStatus {
    /// Node.
    pub node: &'static str,
    /// Partition.
    pub partition: u32,
    /// Since when it does not run, at which record or timer, and why; if it does not.
    pub halted: Option<String>,
    /// Whether nobody may ask it yet: a view that is still far from the ends of its inputs.
    pub restoring: bool,
    /// Records between its positions and the ends of its inputs, as last seen.
    pub lag: u64,
    /// How far it has come in its inputs where its positions do not tell: everything below is in its state, or holds no record.
    pub reached: Vec<(&'static str, u64)>,
    /// What it has counted.
    pub counters: crate::task::Counters,
}

impl TaskStatus {
    /// Of a task in an engine.
    #[must_use]
    pub fn of(task: &dyn Task, halted: Option<&str>, lag: u64) -> Self {
        TaskStatus {
            node: task.node().name,
            partition: task.partition(),
            halted: halted.map(str::to_owned),
            restoring: false,
            lag,
            reached: Vec::new(),
            counters: task.counters(),
        }
    }

    /// How far a task has come in an input, by what is told of all tasks; 0 where nothing is.
    #[must_use]
    pub fn reached_by(all: &[TaskStatus], node: &str, partition: u32, topic: &str) -> u64 {
        let task = all.iter().find(|task| task.node == node && task.partition == partition);
        let reached = task.and_then(|task| task.reached.iter().find(|(name, _)| *name == topic));
        reached.map_or(0, |(_, offset)| *offset)
    }
}

/// A running driver as the edges see it.
pub trait Platform: Send + Sync {
    /// The driver in one word: `embedded`, `kafka`.
    fn driver(&self) -> &'static str;

    /// How many partitions the domain topics have.
    fn partitions(&self) -> u32;

    /// Writes a framed command under `key` and calls `done` when it is durable.
    fn submit(&self, topic: TopicRef, key: &str, value: Vec<u8>, done: Done);

    /// Runs `read` over the committed state of `node` in `partition`, all of it as of one commit. False where this
    /// process does not own the task.
    fn read(&self, node: &'static Node, partition: u32, read: &mut dyn FnMut(&dyn Store)) -> bool;

    /// Calls `news` after every commit, and where a task has come further without one, on a thread of the driver: it must
    /// be quick.
    fn on_commit(&self, news: Box<dyn Fn() + Send + Sync>);

    /// Every task of this process.
    fn tasks(&self) -> Vec<TaskStatus>;

    /// How many records of their changelogs, and of the inputs of views, the stores that are kept ready for the tasks of other
    /// processes have not taken in; nothing where none are kept, or not yet.
    fn standby_lag(&self) -> Option<u64> {
        None
    }

    /// Asks for the ends of these topics in a partition, behind everything that was written before the call.
    fn ends(&self, topics: &[&str], partition: u32, told: Told);

    /// How far a task has come in an input where its position does not tell, as [`TaskStatus::reached`]: a log may end in
    /// offsets that hold no record, which no position passes. 0 where that cannot be.
    fn reached(&self, _node: &'static Node, _partition: u32, _topic: &str) -> u64 {
        0
    }
}
