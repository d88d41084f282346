//! Running epochs and making them durable.

use std::collections::BTreeMap;
use std::time::Instant;

use tributary_flow::engine::Ends;
use tributary_flow::task::TaskCommit;
use tributary_flow::{Commit, Epoch, Input, TopicRef};

use super::{CONFIRM, Driver, INIT, Owned, TIMERS};
use crate::ends::At;
use crate::epoch::{self, Transaction, Written};
use crate::native::{Fault, NativeError};
use crate::restore::{TaskAt, Trouble};
use crate::shared::Failure;
use crate::store::Batches;

impl Driver {
    /// Runs an epoch over these inputs and, where everything up to the end seen at start has been applied, the timers
    /// that are due; if there is anything to do.
    pub(super) fn epoch(&mut self, inputs: &[Input], caught_up: bool) -> Result<(), Trouble> {
        let now = (self.options.clock)();
        let Some(owned) = &mut self.owned else { return Ok(()) };
        let timers = if caught_up { TIMERS } else { 0 };
        if inputs.is_empty() && (timers == 0 || owned.engine.next_timer(&*self.stores).is_none_or(|due| due > now)) {
            return Ok(());
        }
        loop {
            let Some(owned) = &mut self.owned else { return Ok(()) };
            self.shared.beat("computing an epoch");
            let Owned { engine, foresight, .. } = owned;
            let foreseen = |topic: TopicRef, partition: u32| foresight.end(topic, partition);
            let ends: Option<&Ends<'_>> = if self.options.fused { Some(&foreseen) } else { None };
            let computed = engine.epoch(&*self.stores, Epoch { now, timers, ends }, inputs);
            let commit = computed.map_err(|error| Trouble::Again(error.0))?;
            if commit.is_empty() {
                return Ok(()); // Skipped records alone are not worth a transaction.
            }
            if !self.is_same_generation() {
                return Err(Trouble::Again("the group has another generation".into()));
            }
            // As of before the transaction: the coordinator then still took us for the owner, so what lies below is ours, or
            // was restored. Later it may be another's, and the stores would be taken to hold it.
            let ends = self.changelog_ends(&commit);
            let begun = Instant::now();
            match self.commit(&commit) {
                Ok(Written::Committed) => return self.follow(&commit, &ends, begun),
                Ok(Written::Elsewhere) => self.undo()?,
                Err(error) => return Err(self.uncommitted(error)),
            }
        }
    }

    /// Aborts an epoch that went elsewhere than foreseen, to run it again: there is one guess less each time.
    fn undo(&mut self) -> Result<(), Trouble> {
        self.shared.beat("aborting");
        tracing::debug!("others write to a topic of ours as well: the epoch is run again");
        if let Some(owned) = &mut self.owned {
            owned.engine.abort();
        }
        let Some(producer) = &self.producer else { return Ok(()) };
        producer.abort(INIT).map_err(|error| self.uncommitted(error))
    }

    fn commit(&mut self, commit: &Commit) -> Result<Written, NativeError> {
        let (Some(owned), Some(producer), Some((_, group))) = (&mut self.owned, &self.producer, &self.assigned) else {
            return Err(NativeError { text: "no producer".into(), fault: Fault::Other });
        };
        let positions = owned.engine.positions(&*self.stores);
        let all = positions.iter().map(|(at, position)| (at.topic.name, at.partition, *position));
        let mut offsets: Vec<_> =
            all.clone().filter(|(topic, partition, at)| owned.sent.get(&(*topic, *partition)) != Some(at)).collect();
        if offsets.is_empty() {
            offsets.extend(all.take(1)); // An epoch of timers alone is fenced too.
        }
        let transaction = Transaction { producer, group, topics: &self.topics, shared: &self.shared };
        let written = transaction.run(commit, &owned.lineages, &offsets, &mut owned.foresight)?;
        if matches!(written, Written::Committed) {
            owned.sent.extend(offsets.into_iter().map(|(topic, partition, at)| ((topic, partition), at)));
        }
        Ok(written)
    }

    /// What a failed transaction leads to. Only one that is certainly not committed is aborted; all else is as after a crash.
    fn uncommitted(&mut self, error: NativeError) -> Trouble {
        self.shared.beat("aborting");
        let kept =
            error.fault == Fault::Abort && self.producer.as_ref().is_some_and(|producer| producer.abort(INIT).is_ok());
        if !kept {
            self.producer = None;
        }
        match error.fault {
            Fault::SlotFenced => self.fenced(),
            Fault::TooLarge => Trouble::Stop(Failure::TooLarge(error.text)),
            Fault::ProducerFenced => {
                self.wait_until = Instant::now() + CONFIRM;
                Trouble::Again(error.text)
            }
            _ => Trouble::Again(error.text),
        }
    }

    /// Where the changelogs of an epoch's tasks end, as last asked.
    fn changelog_ends(&self, commit: &Commit) -> BTreeMap<TaskAt, u64> {
        let end = |task: &TaskCommit| {
            let known = self.ends.known(&self.topics[task.node.name].changelog, task.partition)?;
            Some(((task.node.name, task.partition), known.end))
        };
        commit.tasks.iter().filter_map(end).collect()
    }

    /// The stores follow what is committed.
    fn follow(&mut self, commit: &Commit, ends: &BTreeMap<TaskAt, u64>, begun: Instant) -> Result<(), Trouble> {
        let took = begun.elapsed();
        let Some(owned) = &mut self.owned else { return Ok(()) };
        let now = (self.options.clock)();
        for task in &commit.tasks {
            let at = (task.node.name, task.partition);
            let row = owned.rows.get_mut(&at).expect("invariant: every running task was restored");
            row.advanced = now;
            row.changelog = row.changelog.max(ends.get(&at).copied().unwrap_or(0));
            if let Some(lineage) = owned.lineages.remove(&at) {
                row.lineage = lineage;
            }
        }
        self.shared.beat("writing stores");
        self.stores.write(epoch::batches(commit, &owned.rows))?;
        self.failures = 0;
        self.shared.committed(took);
        Ok(())
    }

    /// A clean stop: everything committed is in the stores, so their bounds are the ends.
    pub(super) fn rest(&mut self) {
        let Some(owned) = &self.owned else { return };
        let asked: Vec<At> =
            owned.rows.keys().map(|(node, partition)| (self.topics[node].changelog.clone(), *partition)).collect();
        let Ok(bounds) = self.ends.ask(&asked) else { return };
        // Asked after the ends: if we were frozen meanwhile, another may have written up to there.
        if self.confirm().is_err() {
            return self.let_go();
        }
        let Some(owned) = &mut self.owned else { return };
        let mut batches = Batches::default();
        for ((node, partition), row) in &mut owned.rows {
            let end = bounds.get(&(self.topics[node].changelog.clone(), *partition)).map_or(0, |bound| bound.end);
            (row.changelog, row.advanced) = (row.changelog.max(end), (self.options.clock)());
            batches.row(node, *partition, row);
        }
        if let Err(error) = self.stores.write(batches) {
            tracing::warn!("the stores' bounds are not written: {error}");
        }
        self.let_go();
    }
}
