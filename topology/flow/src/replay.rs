//! Replay: runs a task again from its journal and compares. The order of inputs and the clock come from the journal, the
//! inputs from their topics, and everything else follows; what does not follow was not decided by this code on this
//! input, which is what an audit wants to know.

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::engine::panic_message;
use crate::journal::JournalEntry;
use crate::log::{self, Log, LogError, Logged};
use crate::store::MemoryStore;
use crate::task::{Input, Produced, Stop, Task};
use crate::{Node, TopicRef};

/// A replay cannot go on.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReplayError {
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The journal names an input that the log does not hold.
    #[error("{topic}[{partition}]@{offset}: named by the journal and not in the log")]
    Missing {
        /// Topic.
        topic: &'static str,
        /// Partition.
        partition: u32,
        /// Offset.
        offset: u64,
    },
    /// The task stopped where it had not stopped before.
    #[error("epoch {epoch}: {reason}")]
    Stopped {
        /// The task's epoch.
        epoch: u64,
        /// Why.
        reason: String,
    },
    /// A journal record is not one.
    #[error("journal offset {0}: not a journal entry")]
    Journal(u64),
}

/// Replays one task from its whole journal, whichever build decided.
///
/// # Errors
/// See [`ReplayError`].
pub fn replay(
    task: &mut dyn Task,
    log: &dyn Log,
    made: &mut dyn FnMut(&JournalEntry, Vec<Produced>),
) -> Result<MemoryStore, ReplayError> {
    let at = (task.node(), task.partition());
    each(log, at, &mut |store, inputs, entry| epoch(task, store, inputs, entry), made)
}

/// Replays the task of `node` in `partition` where several builds have run it, each epoch with the task that `make` gives for
/// the build that decided it.
///
/// # Errors
/// See [`ReplayError`].
pub fn replay_builds(
    (node, partition): (&'static Node, u32),
    make: &dyn Fn(&str) -> Box<dyn Task>,
    log: &dyn Log,
    made: &mut dyn FnMut(&JournalEntry, Vec<Produced>),
) -> Result<MemoryStore, ReplayError> {
    let mut running: Option<(String, Box<dyn Task>)> = None;
    each(
        log,
        (node, partition),
        &mut |store, inputs, entry| {
            // A task remembers what it read of the store: one that others have gone on from is not asked again.
            let chosen = match running.take() {
                Some(same) if same.0 == entry.build => same,
                _ => (entry.build.clone(), make(&entry.build)),
            };
            let (_, task) = running.insert(chosen);
            epoch(task.as_mut(), store, inputs, entry)
        },
        made,
    )
}

/// Runs one epoch over the store, with inputs as the journal names them.
type Run<'a> = dyn FnMut(&mut MemoryStore, &mut Inputs<'_>, &JournalEntry) -> Result<Vec<Produced>, ReplayError> + 'a;

fn each(
    log: &dyn Log,
    (node, partition): (&'static Node, u32),
    run: &mut Run<'_>,
    made: &mut dyn FnMut(&JournalEntry, Vec<Produced>),
) -> Result<MemoryStore, ReplayError> {
    let mut store = MemoryStore::default();
    let mut inputs = Inputs { log, partition, read: BTreeMap::new() };
    log::visit(log, &node.journal(), partition, |record| {
        let entry = record.value.as_deref().and_then(|value| JournalEntry::decode(value, node));
        let entry = entry.ok_or(ReplayError::Journal(record.offset))?;
        let done = catch_unwind(AssertUnwindSafe(|| run(&mut store, &mut inputs, &entry)));
        let produced = done.unwrap_or_else(|panic| {
            let reason = panic_message(panic.as_ref());
            Err(ReplayError::Stopped { epoch: entry.epoch, reason })
        })?;
        made(&entry, produced);
        Ok::<_, ReplayError>(())
    })?;
    Ok(store)
}

fn epoch(
    task: &mut dyn Task,
    store: &mut MemoryStore,
    inputs: &mut Inputs<'_>,
    entry: &JournalEntry,
) -> Result<Vec<Produced>, ReplayError> {
    let stopped = |stop| ReplayError::Stopped {
        epoch: entry.epoch,
        reason: match stop {
            Stop::Halt(reason) | Stop::Retry(reason) => reason,
        },
    };
    let mut out = Vec::new();
    task.begin(store, entry.now);
    task.fire(store, entry.timers, &mut out).map_err(stopped)?;
    for run in &entry.runs {
        let topic = task.node().inputs[usize::from(run.port)];
        for offset in run.first..run.first + u64::from(run.count) {
            let input = inputs.take(topic, offset)?;
            task.apply(store, usize::from(run.port), &input, None, &mut out).map_err(stopped)?;
        }
    }
    if let Some(commit) = task.finish() {
        store.apply(&commit.changes);
    }
    Ok(out)
}

/// Reads inputs ahead, topic by topic; a task reads each in order of offset.
struct Inputs<'a> {
    log: &'a dyn Log,
    partition: u32,
    read: BTreeMap<&'static str, std::collections::VecDeque<Logged>>,
}

impl Inputs<'_> {
    fn take(&mut self, topic: TopicRef, offset: u64) -> Result<Input, ReplayError> {
        let missing = ReplayError::Missing { topic: topic.name, partition: self.partition, offset };
        let ahead = self.read.entry(topic.name).or_default();
        while ahead.front().is_some_and(|record| record.offset < offset) {
            ahead.pop_front();
        }
        if ahead.is_empty() {
            let Range { start, end } = self.log.range(topic.name, self.partition)?;
            if (start..end).contains(&offset) {
                ahead.extend(self.log.read(topic.name, self.partition, offset, 2_000)?);
            }
        }
        match ahead.pop_front() {
            Some(Logged { offset: found, key, value, .. }) if found == offset => {
                Ok(Input { topic, partition: self.partition, offset, key, value })
            }
            _ => Err(missing),
        }
    }
}
