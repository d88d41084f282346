//! The commit protocols as lists of steps. The simulator walks them, and a crash may fall between any two: a driver that
//! gains a step gains it here, and every test that enumerates boundaries meets it.

use tributary_flow::engine::Ends;
use tributary_flow::log::Logged;
use tributary_flow::{Commit, Epoch, Input, Produced, TopicPartition, TopicRef};

use crate::process::{Process, Running};
use crate::{Attempt, Hops, SimError, Simulation};

/// One step of a commit: each happens wholly or not at all, and what is between two steps is where a process can die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Inputs are taken and the epoch is computed, in memory.
    Compute,
    /// The outputs are written, in a transaction that this begins.
    Records,
    /// What the tasks changed is written to their changelogs, positions included.
    Changelog,
    /// The tasks' journal entries are written.
    Journal,
    /// The transaction is committed: from here on it happened.
    Marker,
    /// The stores take in what the changelog holds.
    Apply,
    /// Outputs, state, positions and journal are written as one.
    Batch,
}

/// The commit of a process that shares the log with others: one transaction of the log, then the stores.
pub const TRANSACTION: &[Step] =
    &[Step::Compute, Step::Records, Step::Changelog, Step::Journal, Step::Marker, Step::Apply];

/// The commit of a process that owns log and state.
pub const BATCH: &[Step] = &[Step::Compute, Step::Batch];

/// When processes die. A boundary is a place before, between or after the steps of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// Never.
    Never,
    /// At one boundary, counted from 0 over the whole run: a test enumerates them.
    At(u64),
    /// At a boundary further on with each attempt of a process, and at none in every last: a run meets them all, again and
    /// again, and still ends.
    Round,
    /// At so many boundaries of ten thousand, by chance.
    Chance(u32),
}

impl Simulation {
    pub(crate) fn perform(&mut self, index: usize, step: Step, attempt: &mut Attempt) -> Result<(), SimError> {
        match step {
            Step::Compute => return self.compute(index, attempt),
            Step::Records => {
                self.disturb(&attempt.commit);
                let transaction = self.log.begin();
                self.processes[index].transaction = Some(transaction);
                attempt.offsets = self.append_records(index, &attempt.commit);
                let running = self.processes[index].up();
                if !running.foresight.is_right(&attempt.commit.records, &attempt.offsets) {
                    running.engine.abort();
                    self.processes[index].transaction = None;
                    self.log.end(transaction, false);
                    attempt.commit = Commit::default();
                    self.surprises += 1;
                }
            }
            Step::Changelog => self.append_changelog(index, &attempt.commit),
            Step::Journal => self.append_journal(index, &attempt.commit),
            Step::Marker => {
                let transaction =
                    self.processes[index].transaction.take().expect("invariant: records come before the marker");
                self.log.end(transaction, true);
                self.processes[index].up().foresight.committed(&attempt.commit.records, &attempt.offsets);
            }
            Step::Apply => self.processes[index].apply(&attempt.commit, &self.log, &mut self.random),
            Step::Batch => {
                attempt.offsets = self.append_records(index, &attempt.commit);
                self.append_journal(index, &attempt.commit);
                self.processes[index].apply(&attempt.commit, &self.log, &mut self.random);
            }
        }
        Ok(())
    }

    fn compute(&mut self, index: usize, attempt: &mut Attempt) -> Result<(), SimError> {
        let timers = if self.processes[index].reads_on() { 0 } else { 1 + self.random.below(self.options.most) as u32 };
        let Simulation { log, processes, options, now, .. } = self;
        let Process { running, disks, .. } = &mut processes[index];
        let Running { engine, foresight, .. } = running.as_mut().expect("invariant: a process that is up");
        for (TopicPartition { topic, partition }, position) in engine.positions(disks) {
            let here = |input: &&Input| input.topic == topic && input.partition == partition;
            let read = attempt.inputs.iter().filter(here).map(|input| input.offset + 1).max().unwrap_or(position);
            if log.committed(topic.name, partition, read).next().is_none() {
                foresight.met_end(topic, partition, read..log.stable_end(topic.name, partition).max(read));
            }
        }
        let owned = |topic: TopicRef, partition: u32| {
            let end = log.uncommitted_end(topic.name, partition);
            Some(end..end)
        };
        let foreseen = |topic: TopicRef, partition: u32| foresight.end(topic, partition);
        let ends: Option<&Ends<'_>> = match options.hops {
            Hops::Apart => None,
            Hops::Foreseen => Some(&foreseen),
            Hops::Owned => Some(&owned),
        };
        let commit = engine.epoch(disks, Epoch { now: *now, timers, ends }, &attempt.inputs);
        attempt.commit = commit.map_err(|error| SimError::Epoch { seed: options.seed, reason: error.0 })?;
        Ok(())
    }

    /// Another's transaction in a partition that the epoch is about to write to, which then comes to nothing.
    fn disturb(&mut self, commit: &Commit) {
        if !self.options.strangers || commit.records.is_empty() || !self.random.chance(1, 6) {
            return;
        }
        let record = &commit.records[self.random.below(commit.records.len())];
        let transaction = self.log.begin();
        self.log.append(Some(transaction), record.target.name(), record.partition, Logged::default());
        self.log.end(transaction, false);
    }

    fn append_records(&mut self, index: usize, commit: &Commit) -> Vec<Option<u64>> {
        let transaction = self.processes[index].transaction;
        let append = |record: &Produced| {
            let headers = record.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
            let logged = Logged { offset: 0, key: record.key.clone(), value: record.value.clone(), headers };
            Some(self.log.append(transaction, record.target.name(), record.partition, logged))
        };
        commit.records.iter().map(append).collect()
    }

    fn append_changelog(&mut self, index: usize, commit: &Commit) {
        for task in &commit.tasks {
            for (key, value) in &task.changes {
                let logged = Logged { key: Some(key.clone()), value: value.clone(), ..Default::default() };
                self.log.append(self.processes[index].transaction, &task.node.changelog(), task.partition, logged);
            }
        }
    }

    fn append_journal(&mut self, index: usize, commit: &Commit) {
        for task in &commit.tasks {
            let logged = Logged { value: Some(task.journal.encode()), ..Default::default() };
            self.log.append(self.processes[index].transaction, &task.node.journal(), task.partition, logged);
        }
    }
}
