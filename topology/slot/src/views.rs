//! Views. What a view is follows from its inputs alone, whatever the order in which they met, and these are kept for ever; so its
//! store has no changelog and no journal, and says by its positions how far it has come. Taking a view over is reading on from
//! there: from where it was when this process had it last, or came to as a standby, or from the beginning.
//!
//! A view that is far behind does not read with the others, for they would have to go back to where it is. It runs apart: a
//! reader of its own, in epochs of its own, which are written to its store and nowhere else, until it is nearly where the log
//! ends; then the slot's one reader goes back by that little, and all run together. Until then nobody may ask it anything. The views of
//! others, for whom a process stands by, are kept ready in the same way.
//!
//! Deliberately absent: a transaction for what only views have read. It would write nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use tributary_flow::engine::EpochFailed;
use tributary_flow::task::TaskCommit;
use tributary_flow::{Commit, Engine, Epoch, Input, Node, Reader, TopicRef};

use crate::assume::positions;
use crate::slot::{Options, Owned, input};
use crate::standby::Standby;
use crate::world::{Batch, Rows, World};
use crate::{Bounds, Failure, InputAt, Row, Slot, TaskAt, Trouble};

/// By how many records they may be behind to run with the others.
const NEARLY: u64 = 1_000;

/// An offset, a key, a value.
type Record<'a> = (u64, Option<&'a [u8]>, Option<&'a [u8]>);

/// Views that run apart.
#[derive(Default)]
pub(crate) struct Apart {
    /// One for each task: they have nothing to tell each other, and two run at the same time.
    engines: Vec<Engine>,
    /// How far each input has been read for them.
    pub read: BTreeMap<InputAt, u64>,
    /// What was read and not applied yet.
    inputs: Vec<Input>,
}

impl Apart {
    /// Takes note of an input that was read for them up to `read`, with the record before that, if one was met.
    pub fn meet(&mut self, topic: TopicRef, partition: u32, record: Option<Record<'_>>, read: u64) {
        self.read.insert((topic.name, partition), read);
        self.inputs.extend(record.map(|(offset, key, value)| input(topic, partition, offset, key, value)));
    }

    /// Where to read on.
    pub fn places(&self) -> impl Iterator<Item = (&str, u32, u64)> {
        self.read.iter().map(|((topic, partition), at)| (*topic, *partition, *at))
    }

    /// The tasks, each with the reason for which it is halted.
    pub fn tasks(&self) -> impl Iterator<Item = (&dyn tributary_flow::Task, Option<&str>)> {
        self.engines.iter().flat_map(Engine::tasks)
    }

    /// What is still to be read of all inputs, where these are the ends; nothing where one is not known.
    pub fn lag(&self, end: impl Fn(&InputAt) -> Option<u64>) -> Option<u64> {
        self.read.iter().map(|(at, read)| Some(end(at)?.saturating_sub(*read))).sum()
    }
}

impl<W: World> Slot<W> {
    /// What the stores of views know of themselves. One that is of another log, or of a build that kept views otherwise, is
    /// emptied.
    pub(crate) async fn view_rows(&self, views: &[(&'static Node, u32)]) -> Result<BTreeMap<TaskAt, Row>, Trouble> {
        for (node, partition) in views {
            let at = (node.name, *partition);
            let known = self.world.state().row(at).map_err(|reason| Trouble::Stop(Failure::Store(reason)))?;
            if let Some(row) = known {
                self.same_partitions(node, &row)?;
                if row.lineage == self.options.log {
                    continue;
                }
                tracing::warn!(node = node.name, partition, "the store is of another log, and is made again");
            }
            let mut batch = self.world.batch();
            batch.wipe(at);
            self.write(batch).await?;
        }
        Ok(views.iter().map(|(node, partition)| ((node.name, *partition), self.view_row())).collect())
    }

    /// What the store of a view knows of itself: of which log it is.
    pub(crate) fn view_row(&self) -> Row {
        let Options { partitions, log, .. } = &self.options;
        Row { partitions: *partitions, changelog: 0, advanced: self.world.wall(), lineage: *log }
    }

    /// The views among these whose stores are far behind their inputs.
    pub(crate) fn far(&self, views: &[(&'static Node, u32)], bounds: &Bounds) -> BTreeSet<TaskAt> {
        let behind = |(node, partition): &&(&'static Node, u32)| {
            let reader = Reader::new(self.store((node.name, *partition)));
            let left = |topic: &TopicRef| {
                let end = bounds.get(&(topic.name.to_owned(), *partition)).map_or(0, |bounds| bounds.end);
                end.saturating_sub(reader.told_position(topic.name))
            };
            node.inputs.iter().map(left).sum::<u64>() > self.options.views_wait
        };
        views.iter().filter(behind).map(|(node, partition)| (node.name, *partition)).collect()
    }

    /// Has these views read on from where their stores are.
    pub(crate) async fn apart(&self, views: &BTreeMap<TaskAt, Row>) -> Result<Apart, Trouble> {
        if views.is_empty() {
            return Ok(Apart::default());
        }
        let bounds = self.input_ends(views).await?;
        let mut engine = self.engine(views);
        let read = positions(&mut engine, self.world.state(), &bounds)?;
        Ok(Apart { engines: engine.split(), read, inputs: Vec::new() })
    }

    /// Applies what was read for views that run apart, as changes of their stores.
    pub(crate) async fn apply_apart(&self, apart: &mut Apart, batch: &mut W::Batch) -> Result<(), Trouble> {
        let inputs = std::mem::take(&mut apart.inputs);
        if inputs.is_empty() {
            return Ok(());
        }
        let (state, now, row) = (self.world.state(), self.world.wall(), self.view_row());
        let engines = Mutex::new(apart.engines.iter_mut());
        let next = || engines.lock().unwrap_or_else(PoisonError::into_inner).next();
        let run = || -> Result<Vec<Commit>, EpochFailed> {
            let epoch = Epoch { now, timers: 0, ends: None };
            std::iter::from_fn(next).map(|engine| engine.epoch(state, epoch, &inputs)).collect()
        };
        let (beside, here) = self.world.beside(run, async { run() }).await;
        for commits in [beside, here] {
            let commits = commits.map_err(|error| Trouble::Again(error.0))?;
            commits.iter().flat_map(|commit| &commit.tasks).for_each(|task| put(batch, task, &row));
        }
        Ok(())
    }

    /// Has the views of ours that ran apart run with the others, where they are nearly where the log ends.
    pub(crate) async fn rejoin(&mut self) -> Result<(), Trouble> {
        let end = |(topic, partition): &InputAt| self.world.known_end(topic, *partition);
        let nearly = self.options.views_wait.min(NEARLY);
        let near = |standby: &Standby| standby.views.lag(end).is_some_and(|lag| lag <= nearly);
        let is_far = self.owned.as_ref().is_some_and(|owned| !owned.far.is_empty());
        if !is_far || !self.standby.as_ref().is_some_and(near) {
            return Ok(());
        }
        if let Some(before) = self.owned.as_mut().and_then(|owned| owned.ahead.take()) {
            self.conclude(before).await?;
        }
        let (Some(Owned { mut engine, mut rows, far, .. }), Some(standby)) = (self.owned.take(), self.standby.take())
        else {
            return Ok(());
        };
        self.open(&[]).await?;
        standby.views.engines.into_iter().for_each(|views| engine.absorb(views));
        rows.extend(far.into_iter().map(|at| (at, self.view_row())));
        tracing::info!(tasks = rows.len(), "views are where the others are");
        self.run_from_stores(engine, rows, BTreeSet::new()).await
    }
}

/// What a task changed, and what its store knows of its past with it.
pub(crate) fn put(batch: &mut impl Batch, task: &TaskCommit, row: &Row) {
    let at = (task.node.name, task.partition);
    for (key, value) in task.changes.iter() {
        batch.put(at, key, value);
    }
    batch.row(at, row);
}
