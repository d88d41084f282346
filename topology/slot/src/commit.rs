//! Making epochs durable: outputs, changelog and journal, deliveries compared with what was foreseen, offsets, commit. The stores
//! follow only then.

use std::collections::BTreeMap;
use std::time::Duration;

use tributary_flow::task::TaskCommit;
use tributary_flow::{Commit, Guess, Stores as _, TopicPartition};

use crate::changelog;
use crate::restore::LINEAGE;
use crate::seats::{Seating, Seats};
use crate::views::put;
use crate::world::{Batch, Failed, Fault, Outgoing, World};
use crate::{At, Failure, Membership, Slot, TaskAt, Trouble};

/// A step of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// A transaction begins.
    Begin,
    /// The outputs are written.
    Records,
    /// What the tasks changed is written to their changelogs, positions included.
    Changelog,
    /// The tasks' journal entries are written.
    Journal,
    /// All of it is acknowledged, and where the outputs went is compared with what was foreseen.
    Deliveries,
    /// The positions are sent, which the group takes only from its member.
    Offsets,
    /// The transaction is committed: from here on it happened.
    Commit,
    /// The stores take in what the changelog holds.
    Stores,
}

/// The commit, step by step. A process can die before, between and after any two; whoever tests that walks this list.
pub const PROTOCOL: &[Step] = &[
    Step::Begin,
    Step::Records,
    Step::Changelog,
    Step::Journal,
    Step::Deliveries,
    Step::Offsets,
    Step::Commit,
    Step::Stores,
];

/// What is to be made durable.
#[derive(Clone, Copy)]
pub(crate) struct Made<'a> {
    pub commit: &'a Commit,
    /// Where the records go, where that was foreseen.
    pub guess: &'a Guess,
    /// Up to where each input is applied by then.
    pub positions: &'a [(TopicPartition, u64)],
}

/// A commit under way.
struct Attempt<'a> {
    made: Made<'a>,
    /// Where the changelogs ended before it began.
    ends: BTreeMap<TaskAt, u64>,
    /// Where the changelogs have the rows that come and go.
    seatings: BTreeMap<TaskAt, Seating>,
    /// Positions to send: at least one, for without any the broker would not be asked who we are.
    offsets: Vec<((&'static str, u32), u64)>,
    /// Where the records went.
    went: Vec<Option<u64>>,
    begun: Duration,
    /// How long the transaction took, once it is committed.
    took: Option<Duration>,
}

/// How a step ended.
#[derive(PartialEq, Eq)]
pub(crate) enum Done {
    Well,
    /// A record went elsewhere than foreseen: nothing is committed, and the transaction is still open.
    Elsewhere,
}

impl<W: World> Slot<W> {
    pub(crate) async fn make_durable(&mut self, made: Made<'_>) -> Result<Done, Trouble> {
        let begun = self.world.elapsed();
        // The ends as of before the transaction: the coordinator then still took us for the owner, so what lies below is ours,
        // or was restored. Later it may be another's, and the stores would be taken to hold it.
        let (ends, offsets) = (self.changelog_ends(made.commit), self.offsets(made.positions));
        let (seatings, went, took) = (BTreeMap::new(), Vec::new(), None);
        let mut attempt = Attempt { made, ends, seatings, offsets, went, begun, took };
        // What only views have read is written nowhere but to their stores.
        let writes = attempt.made.commit.tasks.iter().any(|task| !task.node.is_view());
        let steps = if writes { PROTOCOL } else { &[Step::Stores] };
        for step in steps {
            self.world.at(*step).await;
            if self.perform(*step, &mut attempt).await? == Done::Elsewhere {
                return Ok(Done::Elsewhere);
            }
        }
        let (records, tasks) = (attempt.made.commit.records.len(), attempt.made.commit.tasks.len());
        tracing::debug!(records, tasks, took = ?attempt.took, "epoch");
        self.failures = 0;
        self.doubts.set(0);
        self.world.committed(attempt.took);
        Ok(Done::Well)
    }

    async fn perform(&mut self, step: Step, attempt: &mut Attempt<'_>) -> Result<Done, Trouble> {
        let done = match step {
            Step::Begin => self.world.begin().await,
            Step::Records => self.write_records(attempt.made.commit),
            Step::Changelog => self.write_changelogs(attempt),
            Step::Journal => self.write_journals(attempt.made.commit),
            Step::Deliveries => match self.world.deliveries().await {
                Ok(went) => {
                    attempt.went = went;
                    let Some(owned) = &mut self.owned else { return Ok(Done::Well) };
                    if !owned.foresight.is_right(attempt.made.guess, &attempt.made.commit.records, &attempt.went) {
                        return Ok(Done::Elsewhere);
                    }
                    Ok(())
                }
                Err(failed) => Err(failed),
            },
            Step::Offsets => self.world.send_offsets(&attempt.offsets, self.membership()).await,
            Step::Commit => match self.world.commit().await {
                Ok(()) => {
                    attempt.took = Some(self.world.elapsed() - attempt.begun);
                    let Some(owned) = &mut self.owned else { return Ok(Done::Well) };
                    owned.foresight.committed(&attempt.made.commit.records, &attempt.went);
                    owned.sent.extend(attempt.offsets.iter().copied());
                    Ok(())
                }
                Err(failed) => Err(failed),
            },
            Step::Stores => return self.follow(attempt).await.map(|()| Done::Well),
        };
        match done {
            Ok(()) => Ok(Done::Well),
            Err(failed) => Err(self.uncommitted(failed).await),
        }
    }

    fn write_records(&self, commit: &Commit) -> Result<(), Failed> {
        for (number, record) in commit.records.iter().enumerate() {
            self.world.produce(&Outgoing {
                topic: record.target.name(),
                partition: record.partition,
                key: record.key.as_deref(),
                value: record.value.as_deref(),
                headers: &record.headers,
                number: Some(number),
            })?;
        }
        Ok(())
    }

    fn write_changelogs(&mut self, attempt: &mut Attempt<'_>) -> Result<(), Failed> {
        for task in &attempt.made.commit.tasks {
            let Some(journal) = &task.journal else { continue };
            let (at, store) = ((task.node.name, task.partition), self.world.state().store(task.node, task.partition));
            let Some(owned) = &mut self.owned else { return Ok(()) };
            let seating =
                owned.seats.entry(at).or_insert_with(|| Seats::of(store)).give(store, &task.changes, task.lives);
            let lineage = owned.lineages.get(&at).copied();
            let topic = &self.topics[task.node.name].changelog;
            if let Some(lineage) = lineage {
                self.write_own(topic, task.partition, Some(LINEAGE), Some(&lineage))?;
            }
            changelog::write(journal.epoch, &task.changes, task.lives, &seating, |key, value| {
                self.write_own(topic, task.partition, Some(key), value)
            })?;
            attempt.seatings.insert(at, seating);
        }
        Ok(())
    }

    fn write_journals(&self, commit: &Commit) -> Result<(), Failed> {
        for task in &commit.tasks {
            if let Some(journal) = &task.journal {
                let topic = &self.topics[task.node.name].journal;
                self.write_own(topic, task.partition, None, Some(&journal.encode()))?;
            }
        }
        Ok(())
    }

    fn write_own(&self, topic: &str, partition: u32, key: Option<&[u8]>, value: Option<&[u8]>) -> Result<(), Failed> {
        self.world.produce(&Outgoing { topic, partition, key, value, headers: &[], number: None })
    }

    fn membership(&self) -> &Membership {
        let (_, membership) = self.assigned.as_ref().expect("invariant: an epoch runs under an assignment");
        membership
    }

    /// The positions that have moved since they were last sent; one of them where none has, for an epoch of timers alone is
    /// fenced too.
    fn offsets(&self, positions: &[(TopicPartition, u64)]) -> Vec<((&'static str, u32), u64)> {
        let Some(owned) = &self.owned else { return Vec::new() };
        let all = positions.iter().map(|(at, position)| ((at.topic.name, at.partition), *position));
        let mut moved: Vec<_> = all.clone().filter(|(at, position)| owned.sent.get(at) != Some(position)).collect();
        if moved.is_empty() {
            moved.extend(all.take(1));
        }
        moved
    }

    /// What a failed transaction leads to. Only one that is certainly not committed is aborted; all else is as after a crash.
    pub(crate) async fn uncommitted(&mut self, failed: Failed) -> Trouble {
        self.world.doing("aborting");
        let kept = failed.fault == Fault::Abort && self.world.abort().await.is_ok();
        if !kept {
            self.world.forget_producer();
            self.initialised = false;
        }
        match failed.fault {
            Fault::SlotFenced => self.fenced().await,
            Fault::TooLarge => Trouble::Stop(Failure::TooLarge(failed.text)),
            _ => Trouble::Again(failed.text),
        }
    }

    /// Where the changelogs of an epoch's tasks end, as last asked.
    fn changelog_ends(&self, commit: &Commit) -> BTreeMap<TaskAt, u64> {
        let end = |task: &TaskCommit| {
            let known = self.world.known_end(&self.topics[task.node.name].changelog, task.partition)?;
            Some(((task.node.name, task.partition), known))
        };
        commit.tasks.iter().filter(|task| !task.node.is_view()).filter_map(end).collect()
    }

    /// The stores follow what is committed.
    async fn follow(&mut self, attempt: &Attempt<'_>) -> Result<(), Trouble> {
        let view_row = self.view_row();
        let Some(owned) = &mut self.owned else { return Ok(()) };
        let mut batch = self.world.batch();
        for task in &attempt.made.commit.tasks {
            let at = (task.node.name, task.partition);
            if task.node.is_view() {
                put(&mut batch, task, &view_row);
                continue;
            }
            let row = owned.rows.get_mut(&at).expect("invariant: every running task was restored");
            row.advanced = self.world.wall();
            row.changelog = row.changelog.max(attempt.ends.get(&at).copied().unwrap_or(0));
            if let Some(lineage) = owned.lineages.remove(&at) {
                row.lineage = lineage;
            }
            put(&mut batch, task, row);
            if let (Some(seating), Some(seats)) = (attempt.seatings.get(&at), owned.seats.get_mut(&at)) {
                seating.follow(|key, value| batch.put(at, key, value));
                seats.committed(seating);
            }
        }
        self.world.store(batch).await.map_err(|reason| Trouble::Stop(Failure::Store(reason)))
    }

    /// A clean stop: everything committed is in the stores, so their bounds are the ends.
    pub(crate) async fn rest(&mut self) {
        let Some(owned) = &self.owned else { return };
        let changelog = |(node, partition): &TaskAt| (self.topics[node].changelog.clone(), *partition);
        let writers: Vec<TaskAt> = owned.rows.keys().filter(|at| !self.node(at.0).is_view()).copied().collect();
        let Ok(bounds) = self.world.ends(&writers.iter().map(changelog).collect::<Vec<At>>()).await else { return };
        // Asked after the ends: if we were frozen meanwhile, another may have written up to there.
        if self.confirm().await.is_err() {
            return self.let_go();
        }
        let Some(owned) = &mut self.owned else { return };
        let mut batch = self.world.batch();
        for ((node, partition), row) in owned.rows.iter_mut().filter(|(at, _)| writers.contains(at)) {
            let end = bounds.get(&(self.topics[node].changelog.clone(), *partition)).map_or(0, |bound| bound.end);
            (row.changelog, row.advanced) = (row.changelog.max(end), self.world.wall());
            batch.row((*node, *partition), row);
        }
        if let Err(reason) = self.world.store(batch).await {
            tracing::warn!("the stores' bounds are not written: {reason}");
        }
        self.let_go();
    }
}
