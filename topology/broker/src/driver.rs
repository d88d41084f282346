//! The engine's thread: reads, runs epochs, commits, and begins again from the log whenever something is not as it was.

use std::any::Any;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::admin::AdminClient;
use tributary_flow::platform::TaskStatus;
use tributary_flow::store::StoreFailure;
use tributary_flow::{Commit, Engine, Epoch, Input, Node, Timestamp, TopicRef};

use crate::ends::{At, Ends};
use crate::epoch::{self, Own, Transaction};
use crate::membership::{self, Partitions};
use crate::native::{Consumer, Fault, Group, Met, NativeError, Producer, Rebalance};
use crate::restore::{Restore, TaskAt, Trouble};
use crate::shared::{Failure, Shared};
use crate::store::{Batches, NodeStores, Row};
use crate::submit::Context;
use crate::{MakeTasks, Options, admin};

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
    failures: u32,
}

/// What runs between two assignments.
struct Owned {
    engine: Engine,
    rows: BTreeMap<TaskAt, Row>,
    /// Lineages that the changelog does not hold yet.
    lineages: BTreeMap<TaskAt, [u8; 16]>,
    /// How far each input has been read.
    read: BTreeMap<(&'static str, u32), u64>,
    /// Up to where each input must be read before timers fire.
    targets: BTreeMap<(&'static str, u32), u64>,
    /// Offsets of the group, as last committed.
    sent: BTreeMap<(&'static str, u32), u64>,
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
        let admin = admin::connect(&options.brokers, &options.client).map_err(|error| NativeError { text: error.to_string(), fault: Fault::Other })?;
        Ok(Driver { options, nodes, make, inputs, topics, stores, ends, shared, consumer, reader, producer, admin, assigned, owned, wait_until, failures: 0 })
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
        let (inputs, failed) = self.consume();
        if self.consumer.is_fenced() {
            return Err(Trouble::Stop(Failure::Fenced(self.options.slot.clone())));
        }
        if self.rebalanced() {
            return Err(Trouble::Rebalanced); // What was read is read again from the positions.
        }
        if let Some(error) = failed {
            match error.fault {
                Fault::OffsetLost => return Err(Trouble::Stop(Failure::Log(error.text))),
                _ => tracing::warn!("reading: {error}"),
            }
        }
        if self.owned.is_none() {
            return if Instant::now() >= self.wait_until { self.assume() } else { Ok(()) };
        }
        self.epoch(&inputs)?;
        self.report();
        Ok(())
    }

    /// Reads what there is, or waits until something comes, a timer is due, or a moment has passed.
    fn consume(&mut self) -> (Vec<Input>, Option<NativeError>) {
        let mut inputs = Vec::new();
        let mut failed = None;
        let now = (self.options.clock)();
        let due = self.owned.as_mut().and_then(|owned| owned.is_caught_up().then(|| owned.engine.next_timer(&*self.stores))?);
        let until = |due: Timestamp| Duration::from_micros(due.0.saturating_sub(now.0).max(0).cast_unsigned());
        let wait = due.map_or(IDLE, |due| until(due).min(IDLE));
        let (topics, mut owned) = (&self.inputs, self.owned.as_mut());
        self.consumer.consume(wait, self.options.max_batch, &mut |met| match met {
            Met::Record(record) => {
                let Some(topic) = topics.get(record.topic) else { return };
                if let Some(owned) = &mut owned {
                    owned.read.insert((topic.name, record.partition), record.offset + 1);
                }
                let (key, value) = (record.key.map(<[u8]>::to_vec), record.value.map(<[u8]>::to_vec));
                inputs.push(Input { topic, partition: record.partition, offset: record.offset, key, value });
            }
            Met::End { topic, partition, offset } => {
                if let (Some(topic), Some(owned)) = (topics.get(topic), &mut owned) {
                    owned.read.insert((topic.name, partition), offset);
                }
            }
            Met::Failed(error) => failed = Some(error),
        });
        (inputs, failed)
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
            tracing::info!(partitions = self.assigned.as_ref().map_or(0, |(partitions, _)| partitions.len()), "assignment");
        }
        any
    }

    /// Stops running tasks; stores stay open.
    fn let_go(&mut self) {
        self.shared.own(Default::default());
        self.shared.report(Vec::new());
        self.owned = None;
    }

    /// After an assignment or a failure: joined we are; initialise, restore, and read from the positions.
    fn assume(&mut self) -> Result<(), Trouble> {
        if self.assigned.is_none() {
            return Ok(());
        }
        self.confirm()?;
        if self.producer.is_none() {
            self.shared.beat("initialising transactions");
            let producer = Producer::new(&self.options.producer())?;
            producer.init(INIT)?;
            self.producer = Some(producer);
        }
        // A task runs only where all its inputs are ours; every topic has the same partitions, so all tasks of one do.
        let Some((assigned, _)) = &self.assigned else { return Ok(()) };
        let complete = |partition: &u32| self.inputs.keys().all(|topic| assigned.contains(&((*topic).to_owned(), *partition)));
        let partitions: Vec<u32> = (0..self.options.partitions).filter(complete).collect();
        let tasks: Vec<_> = self.nodes.iter().flat_map(|node| partitions.iter().map(|partition| (*node, *partition))).collect();
        self.shared.beat("asking for ends");
        let asked: Vec<At> = self.inputs.keys().flat_map(|topic| partitions.iter().map(|partition| ((*topic).to_owned(), *partition))).collect();
        let bounds = self.ends.ask(&asked)?;
        let rows = self.restore(&tasks)?;
        let mut engine = Engine::new(partitions.iter().flat_map(|partition| (self.make)(*partition)).collect());
        let mut read = BTreeMap::new();
        for (at, position) in engine.positions(&*self.stores) {
            let bound = bounds.get(&(at.topic.name.to_owned(), at.partition)).cloned().unwrap_or(0..0);
            if position < bound.start || position > bound.end {
                let said = format!("the next record of {at:?} is {position} and the log holds {} to {}", bound.start, bound.end);
                return Err(Trouble::Stop(Failure::Log(said)));
            }
            read.insert((at.topic.name, at.partition), position);
        }
        self.consumer.assign(read.iter().map(|((topic, partition), position)| (*topic, *partition, *position)))?;
        let targets = read.keys().map(|at| (*at, bounds.get(&(at.0.to_owned(), at.1)).map_or(0, |bound| bound.end))).collect();
        let lineages = new_lineages(&rows)?;
        self.shared.own(tasks.iter().map(|(node, partition)| (node.name, *partition)).collect());
        let owned = Owned { engine, rows, lineages, read, targets, sent: BTreeMap::new(), reported: Instant::now() - REPORT };
        self.owned = Some(owned);
        tracing::info!(?partitions, slot = self.options.slot, "running");
        Ok(())
    }

    /// That the assignment and our membership belong together.
    fn confirm(&self) -> Result<(), Trouble> {
        self.shared.beat("confirming the assignment");
        let Some((assigned, group)) = &self.assigned else { return Ok(()) };
        let confirmed = membership::is_confirmed(&self.admin, &self.options.group(), group.member(), assigned);
        if confirmed.map_err(|error| Trouble::Again(error.to_string()))? && self.is_same_generation() {
            Ok(())
        } else {
            Err(Trouble::Again("the group has not settled".into()))
        }
    }

    fn is_same_generation(&self) -> bool {
        self.assigned.as_ref().is_some_and(|(_, group)| self.consumer.group().as_ref() == Some(group))
    }

    fn restore(&self, tasks: &[(&'static Node, u32)]) -> Result<BTreeMap<TaskAt, Row>, Trouble> {
        let alive = || {
            self.shared.beat("restoring");
            // Nothing is assigned, so nothing is read: this hears of rebalances, and tells the group that we live.
            self.consumer.consume(Duration::ZERO, 1, &mut |_| {});
            let stop = self.consumer.has_rebalanced() || self.consumer.is_fenced() || self.shared.is_stopping();
            if stop { Err(Trouble::Rebalanced) } else { Ok(()) }
        };
        let (reader, ends, stores) = (&self.reader, &*self.ends, &*self.stores);
        let restore = Restore { reader, ends, stores, partitions: self.options.partitions, now: (self.options.clock)(), alive: &alive };
        restore.run(tasks)
    }

    /// Runs an epoch over these inputs and the timers that are due, if there is anything to do.
    fn epoch(&mut self, inputs: &[Input]) -> Result<(), Trouble> {
        let now = (self.options.clock)();
        let Some(owned) = &mut self.owned else { return Ok(()) };
        let timers = if owned.is_caught_up() { TIMERS } else { 0 };
        if inputs.is_empty() && (timers == 0 || owned.engine.next_timer(&*self.stores).is_none_or(|due| due > now)) {
            return Ok(());
        }
        self.shared.beat("computing an epoch");
        let commit = owned.engine.epoch(&*self.stores, Epoch { now, timers, ends: None }, inputs).map_err(|error| Trouble::Again(error.0))?;
        if commit.is_empty() {
            return Ok(()); // Skipped records alone are not worth a transaction.
        }
        if !self.is_same_generation() {
            return Err(Trouble::Again("the group has another generation".into()));
        }
        let begun = Instant::now();
        if let Err(error) = self.commit(&commit) {
            return Err(self.uncommitted(error));
        }
        self.follow(&commit, begun)
    }

    fn commit(&mut self, commit: &Commit) -> Result<(), NativeError> {
        let (Some(owned), Some(producer), Some((_, group))) = (&mut self.owned, &self.producer, &self.assigned) else {
            return Err(NativeError { text: "no producer".into(), fault: Fault::Other });
        };
        let positions = owned.engine.positions(&*self.stores);
        let all = positions.iter().map(|(at, position)| (at.topic.name, at.partition, *position));
        let mut offsets: Vec<_> = all.clone().filter(|(topic, partition, at)| owned.sent.get(&(*topic, *partition)) != Some(at)).collect();
        if offsets.is_empty() {
            offsets.extend(all.take(1)); // An epoch of timers alone is fenced too.
        }
        let transaction = Transaction { producer, group, topics: &self.topics, shared: &self.shared };
        transaction.run(commit, &owned.lineages, &offsets)?;
        owned.sent.extend(offsets.into_iter().map(|(topic, partition, at)| ((topic, partition), at)));
        Ok(())
    }

    /// What a failed transaction leads to. Only one that is certainly not committed is aborted; all else is as after a crash.
    fn uncommitted(&mut self, error: NativeError) -> Trouble {
        self.shared.beat("aborting");
        let kept = error.fault == Fault::Abort && self.producer.as_ref().is_some_and(|producer| producer.abort(INIT).is_ok());
        if !kept {
            self.producer = None;
        }
        match error.fault {
            Fault::SlotFenced => Trouble::Stop(Failure::Fenced(self.options.slot.clone())),
            Fault::TooLarge => Trouble::Stop(Failure::TooLarge(error.text)),
            Fault::ProducerFenced => {
                self.wait_until = Instant::now() + CONFIRM;
                Trouble::Again(error.text)
            }
            _ => Trouble::Again(error.text),
        }
    }

    /// The stores follow what is committed.
    fn follow(&mut self, commit: &Commit, begun: Instant) -> Result<(), Trouble> {
        let took = begun.elapsed();
        let Some(owned) = &mut self.owned else { return Ok(()) };
        let now = (self.options.clock)();
        for task in &commit.tasks {
            let at = (task.node.name, task.partition);
            let row = owned.rows.get_mut(&at).expect("invariant: every running task was restored");
            row.advanced = now;
            if let Some(known) = self.ends.known(&self.topics[task.node.name].changelog, task.partition) {
                row.changelog = row.changelog.max(known.end);
            }
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
    fn rest(&mut self) {
        let Some(owned) = &mut self.owned else { return };
        let asked: Vec<At> = owned.rows.keys().map(|(node, partition)| (self.topics[node].changelog.clone(), *partition)).collect();
        let Ok(bounds) = self.ends.ask(&asked) else { return };
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

fn panicked(panic: &(dyn Any + Send)) -> Failure {
    if let Some(StoreFailure(reason)) = panic.downcast_ref() {
        return Failure::Store(reason.clone());
    }
    let said = panic.downcast_ref::<&str>().map(|said| (*said).to_owned()).or_else(|| panic.downcast_ref().cloned());
    Failure::Broken(said.unwrap_or_else(|| "a panic without words".to_owned()))
}

/// A lineage for every store that has none. Chance is allowed here: no decision depends on it.
fn new_lineages(rows: &BTreeMap<TaskAt, Row>) -> Result<BTreeMap<TaskAt, [u8; 16]>, Trouble> {
    let new = rows.iter().filter(|(_, row)| row.lineage == [0; 16]).map(|(at, _)| {
        let mut lineage = [0; 16];
        let drawn = File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut lineage));
        drawn.map(|()| (*at, lineage)).map_err(|error| Trouble::Stop(Failure::Broken(format!("/dev/urandom: {error}"))))
    });
    new.collect()
}
