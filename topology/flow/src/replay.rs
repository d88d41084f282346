//! Replay: runs a task again from its journal and compares. The order of inputs and the clock come from the journal, the
//! inputs from their topics, and everything else follows; what does not follow was not decided by this code on this
//! input, which is what an audit wants to know. A view needs no journal: whatever the order, it comes to the same.

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::engine::panic_message;
use crate::journal::{JournalEntry, Run};
use crate::log::{self, Log, LogError, Logged};
use crate::store::{MemoryStore, Store};
use crate::task::{Input, Produced, Stop, Task};
use crate::{Node, Reader, TopicRef};

/// Records read at once.
const AT_ONCE: usize = 2_000;

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

/// Replays one task from its whole journal, whichever build decided; a view from all of its inputs.
///
/// # Errors
/// See [`ReplayError`].
pub fn replay(
    task: &mut dyn Task,
    log: &dyn Log,
    made: &mut dyn FnMut(&JournalEntry, Vec<Produced>),
) -> Result<MemoryStore, ReplayError> {
    let at = (task.node(), task.partition());
    if at.0.is_view() {
        let mut rebuilt = Rebuilt::default();
        return rebuilt.advance(task, log, &vec![u64::MAX; at.0.inputs.len()]).map(|()| rebuilt.store);
    }
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

/// A view that is made again. Its inputs are given to it one topic after the other, which is as far as can be from how they were
/// written.
#[derive(Default)]
pub struct Rebuilt {
    /// What it is by now.
    pub store: MemoryStore,
    /// How far it has read each input, by port; nothing before it has read at all.
    read: Vec<u64>,
}

/// How far the store of a task says that each of its inputs is read, by port.
#[must_use]
pub fn read_of(store: &dyn Store, node: &Node) -> Vec<u64> {
    node.inputs.iter().map(|topic| Reader::new(store).told_position(topic.name)).collect()
}

impl Rebuilt {
    /// A view that has read as much as one whose store this is.
    ///
    /// # Errors
    /// See [`Rebuilt::advance`].
    pub fn like(store: &dyn Store, view: &mut dyn Task, log: &dyn Log) -> Result<Self, ReplayError> {
        let mut rebuilt = Rebuilt::default();
        let read = read_of(store, view.node());
        rebuilt.advance(view, log, &read)?;
        Ok(rebuilt)
    }

    /// Whether it has read more of some input.
    #[must_use]
    pub fn is_ahead_of(&self, read: &[u64]) -> bool {
        self.read.iter().zip(read).any(|(own, other)| own > other)
    }

    /// Reads on up to these offsets, by port, each of them excluded; `view` is the task that has read so far.
    ///
    /// # Errors
    /// See [`ReplayError`]; what it calls an epoch is a step of reading.
    pub fn advance(&mut self, view: &mut dyn Task, log: &dyn Log, up_to: &[u64]) -> Result<(), ReplayError> {
        let partition = view.partition();
        self.read.resize(up_to.len(), 0);
        let mut entry = JournalEntry::default();
        for (port, (topic, end)) in view.node().inputs.iter().zip(up_to.iter().copied()).enumerate() {
            let mut at = self.read[port];
            while at < end {
                let records = log.read(topic.name, partition, at, AT_ONCE)?;
                let runs = records.iter().filter(|record| record.offset < end);
                let Some(last) = runs.clone().next_back() else { break };
                (at, entry.epoch) = (last.offset + 1, entry.epoch + 1);
                entry.runs = runs.map(|record| Run { port: port as u8, first: record.offset, count: 1 }).collect();
                let mut inputs = Inputs { log, partition, read: BTreeMap::from([(topic.name, records.into())]) };
                guarded(&entry, || epoch(view, &mut self.store, &mut inputs, &entry))?;
            }
            self.read[port] = at;
        }
        Ok(())
    }
}

/// Runs one epoch over the store, with inputs as the journal names them.
type RunEpoch<'a> =
    dyn FnMut(&mut MemoryStore, &mut Inputs<'_>, &JournalEntry) -> Result<Vec<Produced>, ReplayError> + 'a;

fn each(
    log: &dyn Log,
    (node, partition): (&'static Node, u32),
    run: &mut RunEpoch<'_>,
    made: &mut dyn FnMut(&JournalEntry, Vec<Produced>),
) -> Result<MemoryStore, ReplayError> {
    let mut store = MemoryStore::default();
    let mut inputs = Inputs { log, partition, read: BTreeMap::new() };
    log::visit(log, &node.journal(), partition, |record| {
        let entry = record.value.as_deref().and_then(|value| JournalEntry::decode(value, node));
        let entry = entry.ok_or(ReplayError::Journal(record.offset))?;
        let produced = guarded(&entry, || run(&mut store, &mut inputs, &entry))?;
        made(&entry, produced);
        Ok::<_, ReplayError>(())
    })?;
    Ok(store)
}

/// A panic is an answer too.
fn guarded<T>(entry: &JournalEntry, run: impl FnOnce() -> Result<T, ReplayError>) -> Result<T, ReplayError> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let reason = panic_message(panic.as_ref());
        Err(ReplayError::Stopped { epoch: entry.epoch, reason })
    })
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
                ahead.extend(self.log.read(topic.name, self.partition, offset, AT_ONCE)?);
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
