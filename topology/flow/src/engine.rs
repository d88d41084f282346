//! The engine: all tasks of a process, and one epoch over them. An epoch is a set of inputs and everything that follows
//! from them, collected as one [`Commit`] that a driver makes durable in one transaction, or drops.
//!
//! Where the driver alone writes the log (embedded, the simulator), hops are fused: a record is handed to its readers
//! in the epoch that writes it, so a whole saga ends in one commit. A reader takes it only if it has applied everything
//! before it; one that lags, or is halted, reads it from the log later. So fusion closes and opens by itself.
//!
//! Deliberately absent: threads, I/O, and any decision about when an epoch begins.

use std::collections::{BTreeMap, VecDeque};
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

/// Where the log ends: what the next record of a partition will have as its offset. Given by a driver that alone writes.
pub type Ends<'a> = dyn Fn(TopicRef, u32) -> u64 + 'a;

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

    /// When the next timer of any running task may be due.
    pub fn next_timer(&mut self, stores: &dyn Stores) -> Option<Timestamp> {
        let running = self.slots.iter_mut().filter(|slot| slot.halted.is_none());
        running.filter_map(|Slot { task, .. }| task.next_timer(stores.store(task.node(), task.partition()))).min()
    }

    /// Runs an epoch over `inputs`. A task that panics is halted, loudly, and the epoch runs again without it.
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
        self.drain(stores, &mut run)?;
        for input in inputs {
            for (index, port) in self.readers_of(input) {
                self.guarded(stores, index, |task, store, out| task.apply(store, port, input, out), &mut run)?;
            }
            self.drain(stores, &mut run)?;
        }
        let tasks =
            self.slots.iter_mut().filter(|slot| slot.halted.is_none()).filter_map(|slot| slot.task.finish()).collect();
        Ok(Commit { records: run.records, tasks })
    }

    fn readers_of(&self, input: &Input) -> Vec<(usize, usize)> {
        self.readers.get(&(input.topic.name, input.partition)).cloned().unwrap_or_default()
    }

    /// Hands records over until nothing follows any more: a cascade always ends within its epoch.
    fn drain(&mut self, stores: &dyn Stores, run: &mut Run<'_>) -> Result<(), (usize, Stop)> {
        while let Some(input) = run.queue.pop_front() {
            for (index, port) in self.readers_of(&input) {
                self.guarded(
                    stores,
                    index,
                    |task, store, out| {
                        if task.position(store, port) == input.offset {
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
    /// Records appended in this epoch so far, by partition.
    appended: BTreeMap<(&'static str, u32), u64>,
    queue: VecDeque<Input>,
    ends: Option<&'a Ends<'a>>,
}

impl Run<'_> {
    /// Queues for hand-over the records from index `from` on. Command topics are never fused: their readers must see
    /// them as any client's.
    fn take_up(&mut self, from: usize) {
        let Some(ends) = self.ends else { return };
        for record in &self.records[from..] {
            let Target::Topic(topic) = record.target else { continue };
            let appended = self.appended.entry((topic.name, record.partition)).or_default();
            let offset = ends(topic, record.partition) + *appended;
            *appended += 1;
            if !topic.kind.is_door() {
                let (key, value) = (record.key.clone(), record.value.clone());
                self.queue.push_back(Input { topic, partition: record.partition, offset, key, value });
            }
        }
    }
}
