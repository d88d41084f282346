//! The engine: all tasks of a process, and one epoch over them. An epoch is a set of inputs and everything that follows
//! from them, collected as one [`Commit`] that a driver makes durable in one transaction, or drops.
//!
//! Where the driver knows which offset a record will get, hops are fused: the record is handed to its readers in the epoch
//! that writes it, so a whole saga ends in one commit. A reader takes it only if it has applied everything before it, and
//! its position then says so; one that lags, or is halted, reads it from the log later. So fusion closes and opens by
//! itself, and nothing but the position tells whether a record came by hand or out of the log.
//!
//! Deliberately absent: threads, I/O, and any decision about when an epoch begins.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use thiserror::Error;

use crate::store::{Store, StoreFailure};
use crate::task::{Input, Produced, Stop, Target, Task, TaskCommit};
use crate::{Node, Timestamp, TopicPartition, TopicRef};

/// Committed state, by task.
pub trait Stores {
    /// The store of `node` in `partition`.
    fn store(&self, node: &'static Node, partition: u32) -> &dyn Store;
}

/// Where a partition ends, if that is known: its next record will have the offset at which the range ends, and between
/// its begin and there lies no record (though perhaps the marker of a transaction).
pub type Ends<'a> = dyn Fn(TopicRef, u32) -> Option<Range<u64>> + 'a;

/// What an epoch made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// Records to append, in order.
    pub records: Vec<Produced>,
    /// What each task that did anything changed.
    pub tasks: Vec<TaskCommit>,
}

impl Commit {
    /// Whether there is nothing to commit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }
}

/// The epoch failed and changed nothing; it may be tried again.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct EpochFailed(pub String);

/// How to run an epoch.
#[derive(Clone, Copy)]
pub struct Epoch<'a> {
    /// The wall clock.
    pub now: Timestamp,
    /// Most timers to fire per task; zero until the inputs have been read up to the end seen at start, so that an outage
    /// does not fail what the log has answered already.
    pub timers: u32,
    /// Present where hops are fused.
    pub ends: Option<&'a Ends<'a>>,
}

struct Slot {
    task: Box<dyn Task>,
    halted: Option<String>,
}

/// All tasks of a process.
#[derive(Default)]
pub struct Engine {
    slots: Vec<Slot>,
    /// Tasks and ports that read a partition, by topic name.
    readers: BTreeMap<(&'static str, u32), Vec<(usize, usize)>>,
}

impl Engine {
    /// An engine over `tasks`.
    #[must_use]
    pub fn new(tasks: Vec<Box<dyn Task>>) -> Self {
        let mut engine = Engine::default();
        for task in tasks {
            let index = engine.slots.len();
            for (port, topic) in task.node().inputs.iter().enumerate() {
                engine.readers.entry((topic.name, task.partition())).or_default().push((index, port));
            }
            engine.slots.push(Slot { task, halted: None });
        }
        engine
    }

    /// The tasks, each with the reason for which it is halted.
    pub fn tasks(&self) -> impl Iterator<Item = (&dyn Task, Option<&str>)> {
        self.slots.iter().map(|slot| (slot.task.as_ref(), slot.halted.as_deref()))
    }

    /// The first offset of each input partition that some running task has not applied.
    pub fn positions(&mut self, stores: &dyn Stores) -> Vec<(TopicPartition, u64)> {
        let mut lowest: BTreeMap<(&'static str, u32), (TopicPartition, u64)> = BTreeMap::new();
        for Slot { task, .. } in self.slots.iter_mut().filter(|slot| slot.halted.is_none()) {
            let (node, partition) = (task.node(), task.partition());
            for (port, topic) in node.inputs.iter().enumerate() {
                let position = task.position(stores.store(node, partition), port);
                let entry = (TopicPartition { topic, partition }, position);
                let least = lowest.entry((topic.name, partition)).or_insert(entry);
                least.1 = least.1.min(position);
            }
        }
        lowest.into_values().collect()
    }

    /// Behind the last record of an input partition that any task has applied.
    pub fn furthest(&mut self, stores: &dyn Stores, topic: &str, partition: u32) -> u64 {
        let readers = self.readers.iter().find(|((name, at), _)| *name == topic && *at == partition);
        let readers = readers.map_or(&[][..], |(_, readers)| readers);
        let position = |(index, port): &(usize, usize)| {
            let task = &mut self.slots[*index].task;
            task.position(stores.store(task.node(), partition), *port)
        };
        readers.iter().map(position).max().unwrap_or(0)
    }

    /// When the next timer of any running task may be due.
    pub fn next_timer(&mut self, stores: &dyn Stores) -> Option<Timestamp> {
        let running = self.slots.iter_mut().filter(|slot| slot.halted.is_none());
        running.filter_map(|Slot { task, .. }| task.next_timer(stores.store(task.node(), task.partition()))).min()
    }

    /// Runs an epoch over `inputs`. A task that panics is halted, loudly, and the epoch runs again without it.
    ///
    /// Facts come before commands, and all of them before anything is handed over: a reader that has to read on before it
    /// can take part in fused hops then does so with what it reads here, however busy the doors are.
    ///
    /// # Errors
    /// A store or the registry failed. Nothing has changed.
    pub fn epoch(&mut self, stores: &dyn Stores, epoch: Epoch<'_>, inputs: &[Input]) -> Result<Commit, EpochFailed> {
        loop {
            match self.attempt(stores, epoch, inputs) {
                Ok(commit) => return Ok(commit),
                Err((index, stop)) => {
                    self.abort();
                    match stop {
                        Stop::Retry(reason) => return Err(EpochFailed(reason)),
                        Stop::Halt(reason) => {
                            let slot = &mut self.slots[index];
                            tracing::error!(node = slot.task.node().name, partition = slot.task.partition(), %reason, "task halted");
                            slot.halted = Some(reason);
                        }
                    }
                }
            }
        }
    }

    /// Drops what the last epoch changed in the tasks: its commit did not happen.
    pub fn abort(&mut self) {
        self.slots.iter_mut().for_each(|slot| slot.task.abort());
    }

    fn attempt(&mut self, stores: &dyn Stores, epoch: Epoch<'_>, inputs: &[Input]) -> Result<Commit, (usize, Stop)> {
        let mut run = Run { records: Vec::new(), appended: BTreeMap::new(), queue: VecDeque::new(), ends: epoch.ends };
        for index in 0..self.slots.len() {
            self.guarded(
                stores,
                index,
                |task, store, out| {
                    task.begin(store, epoch.now);
                    task.fire(store, epoch.timers, out)
                },
                &mut run,
            )?;
        }
        for input in inputs.iter().filter(|input| !input.topic.kind.is_door()) {
            self.apply(stores, input, &mut run)?;
        }
        self.drain(stores, &mut run)?;
        for input in inputs.iter().filter(|input| input.topic.kind.is_door()) {
            self.apply(stores, input, &mut run)?;
            self.drain(stores, &mut run)?;
        }
        let tasks =
            self.slots.iter_mut().filter(|slot| slot.halted.is_none()).filter_map(|slot| slot.task.finish()).collect();
        Ok(Commit { records: run.records, tasks })
    }

    fn readers_of(&self, input: &Input) -> Vec<(usize, usize)> {
        self.readers.get(&(input.topic.name, input.partition)).cloned().unwrap_or_default()
    }

    fn apply(&mut self, stores: &dyn Stores, input: &Input, run: &mut Run<'_>) -> Result<(), (usize, Stop)> {
        for (index, port) in self.readers_of(input) {
            self.guarded(stores, index, |task, store, out| task.apply(store, port, input, out), run)?;
        }
        Ok(())
    }

    /// Hands records over until nothing follows any more: a cascade always ends within its epoch.
    fn drain(&mut self, stores: &dyn Stores, run: &mut Run<'_>) -> Result<(), (usize, Stop)> {
        while let Some((input, nothing_since)) = run.queue.pop_front() {
            for (index, port) in self.readers_of(&input) {
                self.guarded(
                    stores,
                    index,
                    |task, store, out| {
                        if (nothing_since..=input.offset).contains(&task.position(store, port)) {
                            task.apply(store, port, &input, out)
                        } else {
                            Ok(())
                        }
                    },
                    run,
                )?;
            }
        }
        Ok(())
    }

    /// Runs a task unless it is halted, and takes up what it produced. A panic is a broken invariant and halts the task.
    fn guarded(
        &mut self,
        stores: &dyn Stores,
        index: usize,
        work: impl FnOnce(&mut dyn Task, &dyn Store, &mut Vec<Produced>) -> Result<(), Stop>,
        run: &mut Run<'_>,
    ) -> Result<(), (usize, Stop)> {
        let Slot { task, halted: None } = &mut self.slots[index] else { return Ok(()) };
        let from = run.records.len();
        let store = stores.store(task.node(), task.partition());
        let done = catch_unwind(AssertUnwindSafe(|| work(task.as_mut(), store, &mut run.records)));
        match done {
            Ok(Ok(())) => {}
            Ok(Err(stop)) => return Err((index, stop)),
            Err(panic) => {
                let stop = match panic.downcast::<StoreFailure>() {
                    Ok(failure) => {
                        Stop::Retry(format!("the store of {} cannot be read: {}", task.node().name, failure.0))
                    }
                    Err(panic) => Stop::Halt(panic_message(panic.as_ref())),
                };
                return Err((index, stop));
            }
        }
        run.take_up(from);
        Ok(())
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().map(str::to_owned);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without words".to_owned())
}

/// An epoch under way.
struct Run<'a> {
    records: Vec<Produced>,
    /// Where each partition ends with what this epoch has appended so far, if that is known.
    appended: BTreeMap<(&'static str, u32), Option<Range<u64>>>,
    /// Records to hand over, each with the offset from which on there is none before it.
    queue: VecDeque<(Input, u64)>,
    ends: Option<&'a Ends<'a>>,
}

impl Run<'_> {
    /// Queues for hand-over the records from index `from` on. Command topics are never fused: their readers must see
    /// them as any client's.
    fn take_up(&mut self, from: usize) {
        let Some(ends) = self.ends else { return };
        for record in &self.records[from..] {
            let Target::Topic(topic) = record.target else { continue };
            if topic.kind.is_door() {
                continue;
            }
            let partition = record.partition;
            let end = self.appended.entry((topic.name, partition)).or_insert_with(|| ends(topic, partition));
            let Some(Range { start, end: offset }) = end.clone() else { continue };
            *end = Some(offset + 1..offset + 1);
            let (key, value) = (record.key.clone(), record.value.clone());
            self.queue.push_back((Input { topic, partition, offset, key, value }, start));
        }
    }
}
