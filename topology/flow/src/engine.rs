//! The engine: all tasks of a process, and one epoch over them. An epoch is a set of inputs and everything that follows
//! from them, collected as one [`Commit`] that a driver makes durable in one transaction, or drops.
//!
//! Where the driver knows which offset a record will get, hops are fused: the record is handed to its readers in the epoch
//! that writes it, so a whole saga ends in one commit. A reader takes it only if it has applied everything before it, and
//! its position then says so; one that lags, or is halted, reads it from the log later. So fusion closes and opens by
//! itself, and nothing but the position tells whether a record came by hand or out of the log.
//!
//! A task that panics is halted, loudly and alone: it says at which record or timer, and keeps its position, so that a mended
//! build goes on from there. Over a record that came by hand a task is not halted yet: it takes no more by hand in this
//! epoch, reads the record from the log in a later one, and if it panics again the place is where everybody finds it. Usually it
//! does not: a process that has lost a partition and has not heard so repeated what its successor had committed, and a task
//! whose partition it kept had read that already. That epoch is fenced.
//!
//! Deliberately absent: threads, I/O, and any decision about when an epoch begins.

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use thiserror::Error;

use crate::partitions::ByPartition;
use crate::run::{Handed, Run};
use crate::store::{Store, StoreFailure};
use crate::task::{Input, Produced, Stop, Task, TaskCommit};
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
    /// Takes nothing by hand in this epoch: it could not take something that came so.
    apart: bool,
}

/// What a task is about when it stops.
#[derive(Clone, Copy)]
enum At<'a> {
    /// The beginning of an epoch, and the timers that are due.
    Timers,
    /// A record that was read from the log.
    Read(&'a Input),
    /// A record that was handed over. Its offset is a guess as long as the epoch may still be run again.
    Handed,
}

/// All tasks of a process.
#[derive(Default)]
pub struct Engine {
    slots: Vec<Slot>,
    /// The wall clock of the last epoch, once there was one.
    now: Option<Timestamp>,
    /// Tasks and ports that read a partition.
    readers: ByPartition<Vec<(usize, usize)>>,
}

impl Engine {
    /// An engine over `tasks`.
    #[must_use]
    pub fn new(tasks: Vec<Box<dyn Task>>) -> Self {
        let mut engine = Engine::default();
        for task in tasks {
            engine.insert(Slot { task, halted: None, apart: false });
        }
        engine
    }

    fn insert(&mut self, slot: Slot) {
        let (index, task) = (self.slots.len(), &slot.task);
        for (port, topic) in task.node().inputs.iter().enumerate() {
            self.readers.at(topic, task.partition()).get_or_insert_default().push((index, port));
        }
        self.slots.push(slot);
    }

    /// An engine for each task, between two epochs: for tasks that hand nothing over to each other.
    #[must_use]
    pub fn split(self) -> Vec<Engine> {
        let alone = |slot| {
            let mut engine = Engine { now: self.now, ..Engine::default() };
            engine.insert(slot);
            engine
        };
        self.slots.into_iter().map(alone).collect()
    }

    /// Has the tasks of another engine run here, between two epochs of both.
    pub fn absorb(&mut self, other: Engine) {
        for slot in other.slots {
            self.insert(slot);
        }
    }

    /// The tasks, each with the reason for which it is halted.
    pub fn tasks(&self) -> impl Iterator<Item = (&dyn Task, Option<&str>)> {
        self.slots.iter().map(|slot| (slot.task.as_ref(), slot.halted.as_deref()))
    }

    /// The first offset of each input partition that some running task has not applied.
    pub fn positions(&mut self, stores: &dyn Stores) -> Vec<(TopicPartition, u64)> {
        let mut lowest: BTreeMap<(&'static str, u32), (TopicPartition, u64)> = BTreeMap::new();
        for slot in &mut self.slots {
            let (node, partition) = (slot.task.node(), slot.task.partition());
            for (port, topic) in node.inputs.iter().enumerate() {
                let position = slot.ask(stores, self.now, |task, store| task.position(store, port));
                let Some(position) = position else { continue };
                let entry = (TopicPartition { topic, partition }, position);
                let least = lowest.entry((topic.name, partition)).or_insert(entry);
                least.1 = least.1.min(position);
            }
        }
        lowest.into_values().collect()
    }

    /// Behind the last record of an input partition that any task has applied; a halted one counts for what it had.
    pub fn furthest(&mut self, stores: &dyn Stores, topic: &str, partition: u32) -> u64 {
        let readers = self.readers.topic(topic).and_then(|topic| self.readers.get(topic, partition));
        let readers = readers.map_or(&[][..], Vec::as_slice);
        let position = |(index, port): &(usize, usize)| {
            let slot = &mut self.slots[*index];
            slot.look(slot.store(stores), |task, store| task.position(store, *port)).ok()
        };
        readers.iter().filter_map(position).max().unwrap_or(0)
    }

    /// When the next timer of any running task may be due.
    pub fn next_timer(&mut self, stores: &dyn Stores) -> Option<Timestamp> {
        let now = self.now;
        let next = |slot: &mut Slot| slot.ask(stores, now, |task, store| task.next_timer(store)).flatten();
        self.slots.iter_mut().filter_map(next).min()
    }

    /// Runs an epoch over `inputs`. A task that panics is halted, and the epoch runs again without it.
    ///
    /// Facts come before commands, and all of them before anything is handed over: a reader that has to read on before it
    /// can take part in fused hops then does so with what it reads here, however busy the doors are.
    ///
    /// # Errors
    /// A store or the registry failed. Nothing has changed.
    pub fn epoch(&mut self, stores: &dyn Stores, epoch: Epoch<'_>, inputs: &[Input]) -> Result<Commit, EpochFailed> {
        self.now = Some(epoch.now);
        self.slots.iter_mut().for_each(|slot| slot.apart = false);
        loop {
            let (index, at, stop) = match self.attempt(stores, epoch, inputs) {
                Ok(commit) => return Ok(commit),
                Err(stopped) => stopped,
            };
            let slot = &mut self.slots[index];
            match (stop, at) {
                (Stop::Retry(reason), _) => {
                    self.abort();
                    return Err(EpochFailed(reason));
                }
                (Stop::Halt(reason), At::Handed) => slot.keep_apart(&reason),
                (Stop::Halt(reason), At::Timers) => slot.halt(self.now, slot.task.firing().as_deref(), &reason),
                (Stop::Halt(reason), At::Read(input)) => slot.halt(self.now, Some(&place(input)), &reason),
            }
            self.abort();
        }
    }

    /// Drops what the last epoch changed in the tasks: its commit did not happen.
    pub fn abort(&mut self) {
        self.slots.iter_mut().for_each(|slot| slot.task.abort());
    }

    fn attempt<'a>(
        &mut self,
        stores: &dyn Stores,
        epoch: Epoch<'_>,
        inputs: &'a [Input],
    ) -> Result<Commit, Stopped<'a>> {
        let mut run = Run::new(epoch.ends);
        let found: Vec<_> =
            self.slots.iter().map(|slot| stores.store(slot.task.node(), slot.task.partition())).collect();
        let stores = found.as_slice();
        for index in 0..self.slots.len() {
            guarded(
                &mut self.slots,
                stores,
                (index, At::Timers),
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

    fn apply<'a>(&mut self, stores: &[&dyn Store], input: &'a Input, run: &mut Run<'_>) -> Result<(), Stopped<'a>> {
        let Some(readers) = self.readers.get(input.topic, input.partition) else { return Ok(()) };
        for &(index, port) in readers {
            let at = (index, At::Read(input));
            guarded(&mut self.slots, stores, at, |task, store, out| task.apply(store, port, input, None, out), run)?;
        }
        Ok(())
    }

    /// Hands records over until nothing follows any more: a cascade always ends within its epoch.
    fn drain(&mut self, stores: &[&dyn Store], run: &mut Run<'_>) -> Result<(), Stopped<'static>> {
        while let Some(Handed { number, offset, nothing_since, memory }) = run.queue.pop_front() {
            let input = run.lend(number, offset);
            for &(index, port) in self.readers.get(input.topic, input.partition).map_or(&[][..], Vec::as_slice) {
                if self.slots[index].apart {
                    continue;
                }
                guarded(
                    &mut self.slots,
                    stores,
                    (index, At::Handed),
                    |task, store, out| {
                        if (nothing_since..=input.offset).contains(&task.position(store, port)) {
                            task.apply(store, port, &input, memory.as_ref(), out)
                        } else {
                            Ok(())
                        }
                    },
                    run,
                )?;
            }
            run.take_back(number, input);
        }
        Ok(())
    }
}

/// Runs a task unless it is halted, and takes up what it produced. A panic is a broken invariant.
fn guarded<'a>(
    slots: &mut [Slot],
    stores: &[&dyn Store],
    (index, at): (usize, At<'a>),
    work: impl FnOnce(&mut dyn Task, &dyn Store, &mut Vec<Produced>) -> Result<(), Stop>,
    run: &mut Run<'_>,
) -> Result<(), Stopped<'a>> {
    let slot = &mut slots[index];
    if slot.halted.is_some() {
        return Ok(());
    }
    let from = run.records.len();
    let done = slot.look(stores[index], |task, store| work(task, store, &mut run.records));
    done.and_then(|done| done).map_err(|stop| (index, at, stop))?;
    run.take_up(from);
    Ok(())
}

/// A task, what it was about, and why it cannot go on.
type Stopped<'a> = (usize, At<'a>, Stop);

impl Slot {
    /// Has the task look at its store. A panic is a broken invariant, unless it is the store that fails.
    fn look<T>(&mut self, store: &dyn Store, look: impl FnOnce(&mut dyn Task, &dyn Store) -> T) -> Result<T, Stop> {
        let task = self.task.as_mut();
        let looked = catch_unwind(AssertUnwindSafe(|| look(task, store)));
        looked.map_err(|panic| match panic.downcast::<StoreFailure>() {
            Ok(failure) => Stop::Retry(format!("the store of {} cannot be read: {}", self.task.node().name, failure.0)),
            Err(panic) => Stop::Halt(panic_message(panic.as_ref())),
        })
    }

    /// Its store.
    fn store<'a>(&self, stores: &'a dyn Stores) -> &'a dyn Store {
        stores.store(self.task.node(), self.task.partition())
    }

    /// The same outside of an epoch, of a running task: one that cannot read what it stands on is halted, and a store that
    /// fails is the driver's to know.
    fn ask<T>(
        &mut self,
        stores: &dyn Stores,
        now: Option<Timestamp>,
        ask: impl FnOnce(&mut dyn Task, &dyn Store) -> T,
    ) -> Option<T> {
        if self.halted.is_some() {
            return None;
        }
        match self.look(self.store(stores), ask) {
            Ok(answer) => Some(answer),
            Err(Stop::Retry(reason)) => StoreFailure::raise(reason),
            Err(Stop::Halt(reason)) => {
                self.halt(now, None, &reason);
                None
            }
        }
    }

    /// Hands the task nothing more in this epoch.
    fn keep_apart(&mut self, reason: &str) {
        let (node, partition) = (self.task.node().name, self.task.partition());
        tracing::warn!(
            node,
            partition,
            reason,
            "a record that was handed over was not taken, and is to be read from the log, where a broken invariant halts the \
             task; or another process has a partition of ours by now, and this epoch is fenced"
        );
        self.apart = true;
    }

    /// Stops the task for good: a build that knows better goes on from its position.
    fn halt(&mut self, now: Option<Timestamp>, place: Option<&str>, reason: &str) {
        let (node, partition) = (self.task.node().name, self.task.partition());
        let place = place.unwrap_or("its own state");
        tracing::error!(node, partition, place, reason, "task halted");
        let since = now.map_or_else(|| "the start".to_owned(), |now| now.to_string());
        self.halted = Some(format!("since {since}, at {place}: {reason}"));
    }
}

/// Where a record lies, and what it is about.
fn place(Input { topic, partition, offset, key, .. }: &Input) -> String {
    let key = key.as_deref().map_or("none".into(), String::from_utf8_lossy);
    format!("{}[{partition}]@{offset} with the key {key:?}", topic.name)
}

/// What a panic said.
pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().map(str::to_owned);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without words".to_owned())
}
