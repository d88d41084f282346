//! The engine's thread: reads, runs epochs, commits, and begins again from the log whenever something is not as it was.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::admin::AdminClient;
use tributary_flow::platform::TaskStatus;
use tributary_flow::store::StoreFailure;
use tributary_flow::{Engine, Foresight, Input, Node, Timestamp, TopicRef};

use crate::ends::Ends;
use crate::epoch::{self, Own};
use crate::membership::{self, Partitions};
use crate::native::{Consumer, Fault, Group, Met, NativeError, Producer, Rebalance};
use crate::restore::{TaskAt, Trouble};
use crate::shared::{Failure, Shared};
use crate::store::{NodeStores, Row};
use crate::submit::Context;
use crate::{MakeTasks, Options, admin};

mod assume;
mod commit;

/// Longest wait for something to read: how soon a stop is noticed.
const IDLE: Duration = Duration::from_millis(100);
/// Most timers that a task fires in an epoch.
const TIMERS: u32 = 1_000;
/// How long to wait for the coordinator of transactions.
const INIT: Duration = Duration::from_secs(15);
/// After our producer was fenced: time for two heartbeats to tell whether our slot was taken.
const CONFIRM: Duration = Duration::from_secs(4);
/// How often the tasks' state is told.
const REPORT: Duration = Duration::from_millis(200);

/// Everything the thread has.
pub(crate) struct Driver {
    options: Options,
    nodes: Vec<&'static Node>,
    make: MakeTasks,
    inputs: BTreeMap<&'static str, TopicRef>,
    topics: BTreeMap<&'static str, Own>,
    stores: Arc<NodeStores>,
    ends: Arc<Ends>,
    shared: Arc<Shared>,
    consumer: Consumer,
    reader: Consumer,
    producer: Option<Producer>,
    admin: AdminClient<Context>,
    /// What the group gave us, and our membership then: under it every epoch is fenced.
    assigned: Option<(Partitions, Group)>,
    owned: Option<Owned>,
    /// Not before: our membership is to be confirmed.
    wait_until: Instant,
    /// Since when nothing has run, and how often we have joined again for that.
    idle: (Instant, u32),
    failures: u32,
}

/// How long nothing may run before the group is joined again, and how often.
const IDLE_BOUND: Duration = Duration::from_secs(12);
const REJOINS: u32 = 10;

/// How long until a member without a heartbeat is certainly gone: twice the session's timeout.
const LEFT: Duration = Duration::from_secs(13);

/// An input partition, by topic name.
type InputAt = (&'static str, u32);

/// What runs between two assignments.
struct Owned {
    engine: Engine,
    /// Where our next records go: a guess, and checked.
    foresight: Foresight,
    rows: BTreeMap<TaskAt, Row>,
    /// Lineages that the changelog does not hold yet.
    lineages: BTreeMap<TaskAt, [u8; 16]>,
    /// How far each input has been read.
    read: BTreeMap<InputAt, u64>,
    /// Behind the last record that was read of each input, or where reading began.
    records: BTreeMap<InputAt, u64>,
    /// Up to where each input must be read before timers fire.
    targets: BTreeMap<InputAt, u64>,
    /// Offsets of the group, as last committed.
    sent: BTreeMap<InputAt, u64>,
    reported: Instant,
}

impl Driver {
    pub fn new(
        options: Options,
        nodes: Vec<&'static Node>,
        make: MakeTasks,
        stores: Arc<NodeStores>,
        ends: Arc<Ends>,
        shared: Arc<Shared>,
    ) -> Result<Self, NativeError> {
        let consumer = Consumer::new(&options.consumer())?;
        let reader = Consumer::new(&crate::settings::reader(&options.brokers, &options.client, "read_committed"))?;
        let inputs = nodes.iter().flat_map(|node| node.inputs).map(|topic| (topic.name, *topic)).collect();
        let topics = epoch::own_topics(&nodes);
        let (producer, assigned, owned) = (None, None, None);
        let wait_until = Instant::now();
        let admin = admin::connect(&options.brokers, &options.client)
            .map_err(|error| NativeError { text: error.to_string(), fault: Fault::Other })?;
        Ok(Driver {
            options,
            nodes,
            make,
            inputs,
            topics,
            stores,
            ends,
            shared,
            consumer,
            reader,
            producer,
            admin,
            assigned,
            owned,
            wait_until,
            idle: (Instant::now(), 0),
            failures: 0,
        })
    }

    /// Runs until asked to stop, or until it must.
    pub fn run(mut self) {
        let failure = match catch_unwind(AssertUnwindSafe(|| self.work())) {
            Ok(Ok(())) => None,
            Ok(Err(failure)) => Some(failure),
            Err(panic) => Some(panicked(panic.as_ref())),
        };
        match failure {
            None => self.rest(),
            Some(failure) => {
                self.let_go();
                self.shared.fail(failure);
            }
        }
        self.shared.beat("leaving");
        self.producer = None;
        self.consumer.close();
        self.shared.end();
    }

    fn work(&mut self) -> Result<(), Failure> {
        if let Err(error) = self.consumer.subscribe(self.inputs.keys().copied()) {
            return Err(Failure::Broken(error.text));
        }
        while !self.shared.is_stopping() {
            match self.turn() {
                Ok(()) | Err(Trouble::Rebalanced) => {}
                Err(Trouble::Again(reason)) => {
                    self.let_go();
                    if let Err(error) = self.consumer.assign([]) {
                        tracing::warn!("assigning nothing: {error}");
                    }
                    self.failures += 1;
                    let pause = Duration::from_millis(50 << self.failures.min(6));
                    self.wait_until = self.wait_until.max(Instant::now() + pause);
                    tracing::warn!(%reason, attempt = self.failures, "beginning again from the log");
                }
                Err(Trouble::Stop(failure)) => return Err(failure),
            }
        }
        Ok(())
    }

    fn turn(&mut self) -> Result<(), Trouble> {
        self.shared.beat("reading");
        // Asked before reading: what this turn reads is applied only after its timers.
        let caught_up = self.owned.as_mut().is_some_and(|owned| owned.is_caught_up());
        let (inputs, failed, again) = self.consume();
        if self.consumer.is_fenced() {
            return Err(self.fenced());
        }
        if self.rebalanced() {
            return Err(Trouble::Rebalanced); // What was read is read again from the positions.
        }
        if let Some(error) = failed {
            match error.fault {
                Fault::OffsetLost => return Err(Trouble::Stop(Failure::Log(error.text))),
                _ if again => return Err(Trouble::Again(error.text)),
                _ => tracing::warn!("reading: {error}"),
            }
        }
        if self.owned.is_none() {
            // What was read before an assignment is never applied: it is read again from the positions.
            if Instant::now() >= self.wait_until {
                self.assume()?;
            }
            return self.join_again_if_idle();
        }
        self.join_again_if_idle()?;
        self.epoch(&inputs, caught_up)?;
        self.report();
        Ok(())
    }

    /// Reads what there is, or waits until something comes, a timer is due, or a moment has passed.
    fn consume(&mut self) -> (Vec<Input>, Option<NativeError>, bool) {
        let mut inputs = Vec::new();
        let (mut failed, mut again) = (None, false);
        let now = (self.options.clock)();
        let due = self
            .owned
            .as_mut()
            .and_then(|owned| owned.is_caught_up().then(|| owned.engine.next_timer(&*self.stores))?);
        let until = |due: Timestamp| Duration::from_micros(due.0.saturating_sub(now.0).max(0).cast_unsigned());
        let wait = due.map_or(IDLE, |due| until(due).min(IDLE));
        let (topics, stores, mut owned) = (&self.inputs, &self.stores, self.owned.as_mut());
        // What was too much for one transaction is tried in smaller ones.
        let most = (self.options.max_batch >> self.failures.min(10)).max(1);
        self.consumer.consume(wait, most, &mut |met| match met {
            Met::Record(record) => {
                let Some(topic) = topics.get(record.topic) else { return };
                if let Some(owned) = &mut owned {
                    let at = (topic.name, record.partition);
                    owned.read.insert(at, record.offset + 1);
                    owned.records.insert(at, record.offset + 1);
                }
                let (key, value) = (record.key.map(<[u8]>::to_vec), record.value.map(<[u8]>::to_vec));
                inputs.push(Input { topic, partition: record.partition, offset: record.offset, key, value });
            }
            Met::End { topic, partition, offset } => {
                if let (Some(topic), Some(owned)) = (topics.get(topic), &mut owned) {
                    let at = (topic.name, partition);
                    owned.read.insert(at, offset);
                    let last = owned.records.get(&at).copied().unwrap_or(offset);
                    owned.foresight.met_end(topic, partition, last.min(offset)..offset);
                }
            }
            Met::Cut { topic, partition, end, error } => {
                // Only what was applied counts: what was read and not applied is read again.
                let applied = owned.as_mut().map_or(0, |owned| owned.engine.furthest(&**stores, topic, partition));
                again |= applied <= end;
                keep(&mut failed, if applied <= end { NativeError { fault: Fault::Other, ..error } } else { error });
            }
            Met::Failed(error) => keep(&mut failed, error),
        });
        (inputs, failed, again)
    }

    /// Takes up what the group decided.
    fn rebalanced(&mut self) -> bool {
        let rebalances = self.consumer.rebalances();
        let any = !rebalances.is_empty();
        for rebalance in rebalances {
            self.let_go();
            self.assigned = match rebalance {
                Rebalance::Assigned(partitions, group) => group.map(|group| (partitions, group)),
                Rebalance::Revoked => None,
            };
            tracing::info!(
                partitions = self.assigned.as_ref().map_or(0, |(partitions, _)| partitions.len()),
                "assignment"
            );
        }
        any
    }

    /// What to do where the coordinator calls us fenced: stop if another process holds our slot, and join anew if nobody does any
    /// more. A member id of our own that we never heard of has no heartbeat and is gone by then; another process has one.
    fn fenced(&mut self) -> Trouble {
        self.let_go();
        self.shared.beat("waiting to learn who holds the slot");
        let since = Instant::now();
        while since.elapsed() < LEFT && !self.shared.is_stopping() {
            std::thread::sleep(IDLE);
        }
        match membership::is_held(&self.admin, &self.options.group(), &self.options.transactional_id()) {
            Ok(true) => Trouble::Stop(Failure::Fenced(self.options.slot.clone())),
            Ok(false) => match self.join_anew() {
                Ok(()) => Trouble::Again("the coordinator took us for another: joining anew".into()),
                Err(error) => Trouble::Again(error.text),
            },
            Err(error) => Trouble::Again(format!("who holds our slot is not known: {error}")),
        }
    }

    /// A client that was fenced is of no use any more.
    fn join_anew(&mut self) -> Result<(), NativeError> {
        self.assigned = None;
        self.consumer = Consumer::new(&self.options.consumer())?;
        self.consumer.subscribe(self.inputs.keys().copied())
    }

    /// Joins the group again where nothing runs for long: a coordinator or a client that has just come up may have known
    /// only some of the topics, or have given a restarted member what its predecessor had, and neither is told again. A
    /// bounded number of times, for a member more than there are partitions rightly runs nothing.
    fn join_again_if_idle(&mut self) -> Result<(), Trouble> {
        if self.owned.as_ref().is_some_and(|owned| owned.engine.tasks().next().is_some()) {
            self.idle = (Instant::now(), 0);
        } else if self.idle.0.elapsed() > IDLE_BOUND && self.idle.1 < REJOINS {
            self.idle = (Instant::now(), self.idle.1 + 1);
            let assigned = self.assigned.as_ref().map(|(partitions, _)| partitions.len());
            tracing::warn!(?assigned, attempt = self.idle.1, "nothing runs: joining the group again");
            self.let_go();
            self.consumer.subscribe(self.inputs.keys().copied())?;
        }
        Ok(())
    }

    /// Stops running tasks; stores stay open.
    fn let_go(&mut self) {
        self.shared.own(Default::default());
        self.shared.report(Vec::new());
        if self.owned.take().is_some() {
            self.idle.0 = Instant::now(); // Until now something ran, however long the last call took.
        }
    }

    fn report(&mut self) {
        let Some(owned) = &mut self.owned else { return };
        if owned.reported.elapsed() < REPORT {
            return;
        }
        owned.reported = Instant::now();
        let (ends, read) = (&self.ends, &owned.read);
        let lag = |node: &Node, partition| {
            let behind = node.inputs.iter().map(|topic| {
                let end = ends.known(topic.name, partition).map_or(0, |known| known.end);
                end.saturating_sub(read.get(&(topic.name, partition)).copied().unwrap_or(0))
            });
            behind.sum()
        };
        let status = owned.engine.tasks().map(|(task, halted)| TaskStatus {
            node: task.node().name,
            partition: task.partition(),
            halted: halted.map(str::to_owned),
            lag: lag(task.node(), task.partition()),
            counters: task.counters(),
        });
        self.shared.report(status.collect());
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

/// Keeps what must stop the engine over what need not.
fn keep(failed: &mut Option<NativeError>, error: NativeError) {
    if failed.as_ref().is_none_or(|failed| failed.fault != Fault::OffsetLost) {
        *failed = Some(error);
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Failure {
    if let Some(StoreFailure(reason)) = panic.downcast_ref() {
        return Failure::Store(reason.clone());
    }
    let said = panic.downcast_ref::<&str>().map(|said| (*said).to_owned()).or_else(|| panic.downcast_ref().cloned());
    Failure::Broken(said.unwrap_or_else(|| "a panic without words".to_owned()))
}
