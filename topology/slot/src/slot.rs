//! The slot's life: reads, runs epochs, commits, and begins again from the log whenever something is not as it was.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use tributary_flow::{Engine, Foresight, Input, Node, Task, Timestamp, TopicRef};

use crate::epoch::Computed;
use crate::seats::Seats;
use crate::silence::Silence;
use crate::standby::Standby;
use crate::world::{Failed, Fault, Join, Membership, Met, News, Rebalance, World};
use crate::{Failure, InputAt, Partitions, Row, TaskAt, Trouble};

/// Longest wait for something to read: how soon a stop is noticed.
const IDLE: Duration = Duration::from_millis(100);
/// For how many sessions nothing may run before the group is joined again, and how often by a member that has nothing.
const IDLE_SESSIONS: u32 = 2;
const REJOINS: u32 = 10;
/// After how many sessions, and a second, a member without a heartbeat is certainly gone.
const GONE_SESSIONS: u32 = 2;

/// What a slot is.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its name, for whoever reads of it.
    pub slot: String,
    /// Partitions of every topic.
    pub partitions: u32,
    /// Whether a record is handed to its readers in this process within the epoch that writes it.
    pub fused: bool,
    /// Most inputs of an epoch.
    pub most: usize,
    /// From how many inputs on an epoch is made durable while the next one is computed; little is quicker alone.
    pub overlap_from: usize,
    /// Most timers that a task fires in an epoch.
    pub timers: u32,
    /// Whether the stores of tasks that others own are kept ready.
    pub standby: bool,
    /// By how many records of its inputs a view may be behind to read with the others.
    pub views_wait: u64,
    /// Names the log: the store of a view says of which one it is. No zeros.
    pub log: [u8; 16],
    /// How long a member of the group may be silent.
    pub session: Duration,
}

/// One process of a placement.
pub struct Slot<W: World> {
    pub(crate) options: Options,
    pub(crate) world: Rc<W>,
    pub(crate) nodes: Vec<&'static Node>,
    pub(crate) make: Box<dyn Fn(u32) -> Vec<Box<dyn Task>>>,
    pub(crate) inputs: BTreeMap<&'static str, TopicRef>,
    pub(crate) topics: BTreeMap<&'static str, Own>,
    /// Whether there is a producer.
    pub(crate) initialised: bool,
    /// What the group gave us, and our membership then: under it every epoch is fenced.
    pub(crate) assigned: Option<(Partitions, Membership)>,
    /// The slots of the group, as of the last assignment that was confirmed.
    pub(crate) slots: BTreeSet<String>,
    /// What the group said and was not taken up yet.
    pub(crate) news: News,
    /// The epochs with which the journals of our tasks ended when we took these up, where that can be told.
    pub(crate) journals: BTreeMap<TaskAt, u64>,
    pub(crate) owned: Option<Owned>,
    pub(crate) standby: Option<Standby>,
    /// Whether there is more to do beside the tasks that run.
    pub(crate) busy: bool,
    /// Nobody is stood by for before.
    pub(crate) standby_after: Duration,
    /// Not before: our membership is to be confirmed.
    pub(crate) wait_until: Duration,
    /// Not before: the next epoch.
    pub(crate) next: Duration,
    /// Since when nothing has run, and how often we have joined again for that.
    idle: (Duration, u32),
    /// Of the reader of inputs, and of the one of changelogs.
    pub(crate) inputs_silence: Silence,
    pub(crate) changelogs_silence: Silence,
    pub(crate) failures: u32,
    /// How often ends that did not fit were asked for again.
    pub(crate) doubts: Cell<u32>,
}

/// The topics of a node that the graph does not name.
pub(crate) struct Own {
    pub changelog: String,
    pub journal: String,
}

/// What runs between two assignments.
pub(crate) struct Owned {
    pub engine: Engine,
    /// What is computed and not written yet.
    pub ahead: Option<Computed>,
    /// Where our next records go: a guess, and checked.
    pub foresight: Foresight,
    /// The running tasks.
    pub rows: BTreeMap<TaskAt, Row>,
    /// Views of ours that are far behind, and run apart.
    pub far: BTreeSet<TaskAt>,
    /// The seats of running tasks that have written, for rows that come and go.
    pub seats: BTreeMap<TaskAt, Seats>,
    /// Lineages that the changelog does not hold yet.
    pub lineages: BTreeMap<TaskAt, [u8; 16]>,
    /// How far each input has been read.
    pub read: BTreeMap<InputAt, u64>,
    /// The first offset of each input that some task has not applied, behind the last epoch that was committed. One that is only
    /// computed does not count: it may have gone elsewhere, and then what others wrote lies below where it seemed to have come.
    pub positions: BTreeMap<InputAt, u64>,
    /// How far each input has been read by whatever is applied and committed.
    pub applied: BTreeMap<InputAt, u64>,
    /// Behind the last record that was read of each input, or where reading began.
    pub records: BTreeMap<InputAt, u64>,
    /// Up to where each input must be read before timers fire.
    pub targets: BTreeMap<InputAt, u64>,
    /// Offsets of the group, as last committed.
    pub sent: BTreeMap<InputAt, u64>,
    pub reported: Duration,
    /// Whether an end was met, further on than before, and it was not told since.
    pub further: bool,
}

impl<W: World> Slot<W> {
    /// A slot that runs `nodes`, whose tasks `make` gives for each partition.
    #[must_use]
    pub fn new(
        options: Options,
        world: W,
        nodes: Vec<&'static Node>,
        make: Box<dyn Fn(u32) -> Vec<Box<dyn Task>>>,
    ) -> Self {
        let inputs = nodes.iter().flat_map(|node| node.inputs).map(|topic| (topic.name, *topic)).collect();
        let own = |node: &&'static Node| (node.name, Own { changelog: node.changelog(), journal: node.journal() });
        let topics = nodes.iter().map(own).collect();
        let since = world.elapsed();
        Slot {
            options,
            world: Rc::new(world),
            nodes,
            make,
            inputs,
            topics,
            initialised: false,
            assigned: None,
            slots: BTreeSet::new(),
            news: News::default(),
            journals: BTreeMap::new(),
            owned: None,
            standby: None,
            busy: false,
            standby_after: since,
            wait_until: since,
            next: since,
            idle: (since, 0),
            inputs_silence: Silence::default(),
            changelogs_silence: Silence::default(),
            failures: 0,
            doubts: Cell::new(0),
        }
    }

    /// Runs until asked to stop, or until it must.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn run(mut self) -> Result<(), Failure> {
        let worked = self.work().await;
        match worked {
            Ok(()) => self.rest().await,
            Err(_) => self.let_go(),
        }
        self.world.doing("leaving");
        worked
    }

    async fn work(&mut self) -> Result<(), Failure> {
        self.join(Join::Again).await.map_err(|failed| Failure::Broken(failed.text))?;
        while !self.world.is_stopping() {
            match self.turn().await {
                Ok(()) | Err(Trouble::Rebalanced) => {}
                Err(Trouble::Again(reason)) => {
                    self.let_go();
                    if let Err(error) = self.world.assign(&[]).await {
                        tracing::warn!("assigning nothing: {error}");
                    }
                    self.failures += 1;
                    let pause = Duration::from_millis(50 << self.failures.min(6));
                    self.wait_until = self.wait_until.max(self.world.elapsed() + pause);
                    tracing::warn!(%reason, attempt = self.failures, "beginning again from the log");
                }
                Err(Trouble::Stop(failure)) => return Err(failure),
            }
        }
        Ok(())
    }

    async fn turn(&mut self) -> Result<(), Trouble> {
        self.world.doing("reading");
        // Asked before reading: what this turn reads is applied only after its timers.
        let caught_up = self.owned.as_mut().is_some_and(Owned::is_caught_up);
        self.wait_for_more().await;
        let (inputs, failed, again) = self.read().await;
        if self.news.fenced {
            return Err(self.fenced().await);
        }
        if self.rebalanced() {
            return Err(Trouble::Rebalanced); // What was read is read again from the positions.
        }
        if let Some(error) = failed {
            match error.fault {
                Fault::OffsetLost => return Err(Trouble::Stop(Failure::Log(error.text))),
                Fault::Session => return Err(Trouble::Stop(Failure::Session(error.text))),
                _ if again => return Err(Trouble::Again(error.text)),
                _ => tracing::warn!("reading: {error}"),
            }
        }
        if self.owned.is_none() {
            // What was read before an assignment is never applied: it is read again from the positions.
            if self.world.elapsed() >= self.wait_until {
                self.assume().await?;
            }
            return self.join_again_if_idle().await;
        }
        self.join_again_if_idle().await?;
        self.join_anew_if_deaf().await?;
        let (begun, idle) = (self.world.elapsed(), inputs.is_empty());
        self.epoch(inputs, caught_up).await?;
        let worked = (!idle).then(|| self.world.elapsed() - begun);
        self.stand_by(worked).await?;
        // Whoever waits for a view to be at an end need not wait longer, where there is nothing else to do.
        if idle && self.owned.as_mut().is_some_and(|owned| std::mem::take(&mut owned.further)) {
            self.tell();
        }
        self.report();
        Ok(())
    }

    /// Reads what there is, or waits until something comes, a timer is due, or a moment has passed.
    async fn read(&mut self) -> (Vec<Input>, Option<Failed>, bool) {
        let mut inputs = Vec::new();
        let (mut failed, mut again, mut ended) = (None, false, false);
        let (now, state) = (self.world.wall(), self.world.state());
        let ahead = self.is_ahead();
        let mut asked = self.owned.as_mut().filter(|_| !ahead);
        let due = asked.as_mut().and_then(|owned| owned.is_caught_up().then(|| owned.engine.next_timer(state))?);
        let until = |due: Timestamp| Duration::from_micros(due.0.saturating_sub(now.0).max(0).cast_unsigned());
        let pressed = ahead || self.busy || self.owned.as_ref().is_some_and(|owned| owned.further);
        let idle = if pressed { Duration::ZERO } else { IDLE };
        let wait = due.map_or(idle, |due| until(due).min(idle));
        let (topics, mut owned) = (&self.inputs, self.owned.as_mut());
        // What was too much for one transaction is tried in smaller ones.
        let most = (self.options.most >> self.failures.min(10)).max(1);
        let mut meet = |met: Met<'_>| match met {
            Met::Record { topic, partition, offset, key, value } => {
                let Some(topic) = topics.get(topic) else { return };
                if let Some(owned) = &mut owned {
                    owned.read.insert((topic.name, partition), offset + 1);
                    owned.records.insert((topic.name, partition), offset + 1);
                    // What every task has applied by hand is not even copied: mostly that is nearly all.
                    if owned.positions.get(&(topic.name, partition)).is_some_and(|position| offset < *position) {
                        return;
                    }
                }
                inputs.push(input(topic, partition, offset, key, value));
            }
            Met::End { topic, partition, offset } => {
                ended = true;
                if let (Some(topic), Some(owned)) = (topics.get(topic), &mut owned) {
                    let at = (topic.name, partition);
                    owned.further |= owned.read.insert(at, offset) != Some(offset);
                    let last = owned.records.get(&at).copied().unwrap_or(offset);
                    owned.foresight.met_end(topic, partition, last.min(offset)..offset);
                }
            }
            Met::Cut { topic, partition, end, error } => {
                // Only what was applied counts: what was read and not applied is read again, and so is what was not committed.
                let applied = owned.as_mut().map_or(0, |owned| owned.engine.furthest(state, topic, partition));
                let uncertain = ahead || applied <= end;
                again |= uncertain;
                keep(&mut failed, if uncertain { Failed { fault: Fault::Other, ..error } } else { error });
            }
            Met::Failed(error) => keep(&mut failed, error),
        };
        let news = self.world.read(wait, most, &mut meet).await;
        self.hear(news);
        if ended || !inputs.is_empty() {
            self.inputs_silence.heard(self.world.elapsed());
        }
        (inputs, failed, again)
    }

    /// Keeps what the group says until it is taken up.
    pub(crate) fn hear(&mut self, news: News) {
        self.news.rebalances.extend(news.rebalances);
        self.news.fenced |= news.fenced;
    }

    /// Takes up what the group decided.
    fn rebalanced(&mut self) -> bool {
        let rebalances = std::mem::take(&mut self.news.rebalances);
        let any = !rebalances.is_empty();
        for rebalance in rebalances {
            self.let_go();
            self.assigned = match rebalance {
                Rebalance::Assigned(partitions, membership) => membership.map(|membership| (partitions, membership)),
                Rebalance::Revoked => None,
            };
            let partitions = self.assigned.as_ref().map_or(0, |(partitions, _)| partitions.len());
            tracing::info!(partitions, "assignment");
        }
        any
    }

    /// What to do where the coordinator calls us fenced: stop if another process holds our slot, and join anew if nobody does any
    /// more. A member id of our own that we never heard of has no heartbeat and is gone by then; another process has one.
    pub(crate) async fn fenced(&mut self) -> Trouble {
        self.let_go();
        let (since, left) = (self.world.elapsed(), self.options.session * GONE_SESSIONS + Duration::from_secs(1));
        while self.world.elapsed() - since < left && !self.world.is_stopping() {
            self.world.doing("waiting to learn who holds the slot");
            self.world.pause(IDLE).await;
        }
        match self.world.is_held().await {
            Ok(true) => Trouble::Stop(Failure::Fenced(self.options.slot.clone())),
            Ok(false) => match self.join(Join::Anew).await {
                Ok(()) => Trouble::Again("the coordinator took us for another: joining anew".into()),
                Err(error) => Trouble::Again(error.text),
            },
            Err(error) => Trouble::Again(format!("who holds our slot is not known: {error}")),
        }
    }

    pub(crate) async fn join(&mut self, how: Join) -> Result<(), Failed> {
        if how == Join::Anew {
            (self.assigned, self.news) = (None, News::default());
        }
        let topics: Vec<&'static str> = self.inputs.keys().copied().collect();
        self.world.join(how, &topics).await
    }

    /// Joins the group again where nothing runs for long: a coordinator or a client that has just come up may have known
    /// only some of the topics, or have given a restarted member what its predecessor had, and neither is told again. A
    /// bounded number of times, for a member more than there are partitions rightly runs nothing. Whoever is no member
    /// joins until it is one, from the second time on with another client: one whose joining was cut short by a coordinator
    /// that stood still may never come to the end of it (librdkafka 2.12).
    async fn join_again_if_idle(&mut self) -> Result<(), Trouble> {
        let now = self.world.elapsed();
        if self.owned.as_ref().is_some_and(|owned| owned.engine.tasks().next().is_some() || !owned.far.is_empty()) {
            self.idle = (now, 0);
        } else if now - self.idle.0 > self.options.session * IDLE_SESSIONS
            && (self.assigned.is_none() || self.idle.1 < REJOINS)
        {
            let how = if self.assigned.is_none() && self.idle.1 > 0 { Join::Anew } else { Join::Again };
            self.idle = (now, self.idle.1.saturating_add(1));
            let assigned = self.assigned.as_ref().map(|(partitions, _)| partitions.len());
            tracing::warn!(?assigned, ?how, attempt = self.idle.1, "nothing runs: joining the group again");
            self.let_go();
            self.join(how).await?;
        }
        Ok(())
    }

    /// Stops running tasks; stores stay open.
    pub(crate) fn let_go(&mut self) {
        self.world.own(Default::default());
        self.world.report(Vec::new(), None);
        (self.standby, self.busy) = (None, false);
        if self.owned.take().is_some() {
            self.idle.0 = self.world.elapsed(); // Until now something ran, however long the last call took.
        }
    }
}

impl Owned {
    /// Whether every input has been read up to the end seen at the assignment: before, a timer could fail what the log
    /// has answered.
    fn is_caught_up(&mut self) -> bool {
        self.targets.retain(|at, target| self.read.get(at).is_none_or(|read| read < target));
        self.targets.is_empty()
    }
}

/// What was read, to be kept.
pub(crate) fn input(topic: TopicRef, partition: u32, offset: u64, key: Option<&[u8]>, value: Option<&[u8]>) -> Input {
    Input { topic, partition, offset, key: key.map(<[u8]>::to_vec), value: value.map(<[u8]>::to_vec) }
}

/// Keeps what must stop the slot over what need not.
pub(crate) fn keep(failed: &mut Option<Failed>, error: Failed) {
    if failed.as_ref().is_none_or(|failed| !matches!(failed.fault, Fault::OffsetLost | Fault::Session)) {
        *failed = Some(error);
    }
}
