//! The slot's world as it is in production: librdkafka to read, our producer to write, the coordinators behind both, RocksDB, and
//! the clocks of this machine. Every call answers at once or after a bounded wait, so that the slot's coroutine never stands still
//! here: it runs on a thread of its own, from one end to the other. Deliberately absent: decisions.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fs::File;
use std::future::Future;
use std::io::Read as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as Polled, Poll, Waker};
use std::time::{Duration, Instant};

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};
use tributary_flow::platform::TaskStatus;
use tributary_flow::store::StoreFailure;
use tributary_flow::{Node, Timestamp};
use tributary_slot::{
    At, Bounds, Failed, Failure, Fault, InputAt, Join, Membership, Met, News, Outgoing, Partitions, Slot, Step, TaskAt,
    World,
};

use crate::ends::Ends;
use crate::membership::Coordinator;
use crate::native::{self, Consumer};
use crate::shared::Shared;
use crate::store::{Batches, NodeStores};
use crate::wire::{Positions, Producer};
use crate::{MakeTasks, Options, settings};

/// From how many inputs on an epoch is made durable while the next one is computed: some ten milliseconds of work.
const OVERLAP_FROM: usize = 200;
/// Most timers that a task fires in an epoch.
const TIMERS: u32 = 1_000;
/// How far a view may be behind to read with the others, in records: less than a second of passing over what they have applied.
const VIEWS_WAIT: u64 = 50_000;
/// How long to wait for the coordinator of transactions.
const INIT: Duration = Duration::from_secs(15);
/// How long acknowledgements, offsets and the commit may each take: the coordinator ends the transaction sooner.
const BOUND: Duration = Duration::from_secs(12);

/// A slot's clients, stores and clocks.
pub(crate) struct Shell {
    options: Options,
    /// Names the log.
    log: [u8; 16],
    stores: Arc<NodeStores>,
    ends: Arc<Ends>,
    shared: Arc<Shared>,
    consumer: RefCell<Consumer>,
    /// Of changelogs, as long as any are read.
    reader: RefCell<Option<Consumer>>,
    producer: RefCell<Option<Producer>>,
    /// Changes to stores that are written, for their memory.
    spare: RefCell<Batches>,
    /// Where an epoch is computed while the one before it is made durable: a thread that stays, for what one epoch has allocated
    /// is given to the next.
    ahead: ThreadPool,
    coordinator: Coordinator,
    begun: Instant,
    /// What takes long enough to be worth telling.
    step: Cell<Option<(Step, Instant)>>,
}

impl Shell {
    pub fn new(
        options: Options,
        log: [u8; 16],
        stores: Arc<NodeStores>,
        ends: Arc<Ends>,
        shared: Arc<Shared>,
    ) -> Result<Self, Failed> {
        let consumer = RefCell::new(Consumer::new(&options.consumer())?);
        let coordinator = Coordinator::new(&options)?;
        let (reader, producer, step) = (RefCell::default(), RefCell::default(), Cell::default());
        let ahead = ThreadPoolBuilder::new().num_threads(1).thread_name(|_| "tributary-ahead".into()).build();
        let none = |error: ThreadPoolBuildError| Failed { text: format!("no thread: {error}"), fault: Fault::Other };
        let (spare, ahead) = (RefCell::default(), ahead.map_err(none)?);
        Ok(Shell {
            options,
            log,
            stores,
            ends,
            shared,
            consumer,
            reader,
            producer,
            spare,
            ahead,
            coordinator,
            begun: Instant::now(),
            step,
        })
    }

    /// Runs the slot until it is asked to stop, or must.
    pub fn run(self, nodes: Vec<&'static Node>, make: MakeTasks) {
        let shared = self.shared.clone();
        let options = tributary_slot::Options {
            slot: self.options.slot.clone(),
            partitions: self.options.partitions,
            fused: self.options.fused,
            most: self.options.max_batch,
            overlap_from: if self.options.overlap { OVERLAP_FROM } else { usize::MAX },
            timers: TIMERS,
            standby: self.options.standby,
            views_wait: VIEWS_WAIT,
            log: self.log,
            session: self.options.session,
        };
        let slot = Slot::new(options, self, nodes, Box::new(move |partition| make(partition)));
        let failure = match catch_unwind(AssertUnwindSafe(|| at_once(slot.run()))) {
            Ok(Ok(())) => None,
            Ok(Err(failure)) => Some(failure),
            Err(panic) => Some(panicked(panic.as_ref())),
        };
        if let Some(failure) = failure {
            shared.own(BTreeSet::new());
            shared.report(Vec::new(), None);
            shared.fail(failure);
        }
        shared.end();
    }

    fn with_producer<T>(&self, act: impl FnOnce(&mut Producer) -> Result<T, Failed>) -> Result<T, Failed> {
        match &mut *self.producer.borrow_mut() {
            Some(producer) => act(producer),
            None => Err(Failed { text: "there is no producer".into(), fault: Fault::Other }),
        }
    }
}

impl Drop for Shell {
    /// Leaves the group in good order; the producer first, whose open transaction would hold back whoever comes next.
    fn drop(&mut self) {
        self.forget_producer();
        self.consumer.borrow().close();
    }
}

/// The outcome of what never stands still.
fn at_once<T>(work: impl Future<Output = T>) -> T {
    match pin!(work).poll(&mut Polled::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => unreachable!("invariant: this world answers at once"),
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Failure {
    if let Some(StoreFailure(reason)) = panic.downcast_ref() {
        return Failure::Store(reason.clone());
    }
    let said = panic.downcast_ref::<&str>().map(|said| (*said).to_owned()).or_else(|| panic.downcast_ref().cloned());
    Failure::Broken(said.unwrap_or_else(|| "a panic without words".to_owned()))
}

fn seen(met: native::Met<'_>) -> Met<'_> {
    match met {
        native::Met::Record(record) => Met::Record {
            topic: record.topic,
            partition: record.partition,
            offset: record.offset,
            key: record.key,
            value: record.value,
        },
        native::Met::End { topic, partition, offset } => Met::End { topic, partition, offset },
        native::Met::Cut { topic, partition, end, error } => Met::Cut { topic, partition, end, error },
        native::Met::Failed(error) => Met::Failed(error),
    }
}

impl World for Shell {
    type State = NodeStores;
    type Batch = Batches;

    fn state(&self) -> &NodeStores {
        &self.stores
    }

    fn wall(&self) -> Timestamp {
        (self.options.clock)()
    }

    fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    fn is_stopping(&self) -> bool {
        self.shared.is_stopping()
    }

    fn lineage(&self) -> Result<[u8; 16], String> {
        let mut lineage = [0; 16];
        let drawn = File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut lineage));
        drawn.map(|()| lineage).map_err(|error| format!("/dev/urandom: {error}"))
    }

    fn doing(&self, what: &'static str) {
        self.shared.beat(what);
    }

    async fn pause(&self, time: Duration) {
        std::thread::sleep(time);
    }

    async fn join(&self, how: Join, topics: &[&'static str]) -> Result<(), Failed> {
        if how == Join::Anew {
            *self.consumer.borrow_mut() = Consumer::new(&self.options.consumer())?;
        }
        self.consumer.borrow().subscribe(topics.iter().copied())
    }

    fn membership(&self) -> Option<Membership> {
        self.consumer.borrow().membership()
    }

    async fn confirm(
        &self,
        membership: &Membership,
        partitions: &Partitions,
    ) -> Result<Option<BTreeSet<String>>, Failed> {
        self.coordinator.confirm(&membership.member, partitions)
    }

    async fn is_held(&self) -> Result<bool, Failed> {
        self.coordinator.is_held()
    }

    async fn assign(&self, positions: &[(InputAt, u64)]) -> Result<(), Failed> {
        let positions = positions.iter().map(|((topic, partition), position)| (*topic, *partition, *position));
        self.consumer.borrow().assign(positions)
    }

    async fn read(&self, wait: Duration, most: usize, meet: &mut dyn FnMut(Met<'_>)) -> News {
        let consumer = self.consumer.borrow();
        consumer.consume(wait, most, &mut |met| meet(seen(met)));
        News { rebalances: consumer.rebalances(), fenced: consumer.is_fenced() }
    }

    async fn ends(&self, partitions: &[At]) -> Result<Bounds, Failed> {
        self.ends.ask(partitions)
    }

    fn known_end(&self, topic: &str, partition: u32) -> Option<u64> {
        self.ends.known(topic, partition)
    }

    async fn open(&self, changelogs: &[(&str, u32, u64)]) -> Result<(), Failed> {
        self.reader.take();
        if changelogs.is_empty() {
            return Ok(());
        }
        let reader = Consumer::new(&settings::reader(&self.options.brokers, &self.options.client, "read_committed"))?;
        reader.assign(changelogs.iter().copied())?;
        *self.reader.borrow_mut() = Some(reader);
        Ok(())
    }

    async fn read_changelogs(&self, wait: Duration, most: usize, meet: &mut dyn FnMut(Met<'_>)) -> usize {
        self.reader.borrow().as_ref().map_or(0, |reader| reader.consume(wait, most, &mut |met| meet(seen(met))))
    }

    async fn initialise(&self) -> Result<(), Failed> {
        let mut producer = Producer::new(&self.options.producer(&self.options.transactional_id()))?;
        producer.init(INIT)?;
        *self.producer.borrow_mut() = Some(producer);
        Ok(())
    }

    fn end_for(&self, slot: &str) {
        let (settings, lost) = (self.options.producer(slot), slot.to_owned());
        let end = move || match Producer::new(&settings).and_then(|mut producer| producer.init(BOUND)) {
            Ok(()) => tracing::info!(slot = lost, "the transaction of a lost slot is ended"),
            Err(error) => tracing::warn!(slot = lost, "the transaction of a lost slot is left to its timeout: {error}"),
        };
        // Where something was open, the coordinator bids it wait until that is ended everywhere.
        if let Err(error) = std::thread::Builder::new().name("tributary-lost".into()).spawn(end) {
            tracing::warn!(
                slot,
                "the transaction of a lost slot is left to its timeout, for want of a thread: {error}"
            );
        }
    }

    async fn at(&self, step: Step) {
        let now = Instant::now();
        if let Some((last, since)) = self.step.replace(Some((step, now))).filter(|_| step != Step::Begin) {
            tracing::debug!(step = ?last, took = ?(now - since), "step");
        }
        self.shared.beat(doing(step));
    }

    async fn begin(&self) -> Result<(), Failed> {
        self.with_producer(|producer| {
            producer.begin();
            Ok(())
        })
    }

    fn produce(&self, record: &Outgoing<'_>) -> Result<(), Failed> {
        self.with_producer(|producer| producer.produce(record))
    }

    async fn deliveries(&self) -> Result<Vec<Option<u64>>, Failed> {
        self.with_producer(|producer| producer.deliver(BOUND))
    }

    async fn send_offsets(&self, offsets: &[(InputAt, u64)], membership: &Membership) -> Result<(), Failed> {
        let (group, instance) = (self.options.group(), self.options.transactional_id());
        let positions = Positions { group: &group, instance: &instance, membership, offsets };
        self.with_producer(|producer| producer.send_offsets(positions, BOUND))
    }

    async fn commit(&self) -> Result<(), Failed> {
        self.with_producer(|producer| producer.commit(BOUND))
    }

    async fn abort(&self) -> Result<(), Failed> {
        self.with_producer(|producer| producer.abort(INIT))
    }

    async fn beside<T: Send, C>(&self, work: impl FnOnce() -> T + Send, commit: impl Future<Output = C>) -> (T, C) {
        let mut worked = None;
        let committed = self.ahead.in_place_scope(|scope| {
            scope.spawn(|_| worked = Some(work()));
            at_once(commit)
        });
        (worked.expect("invariant: a scope ends with what it has spawned"), committed)
    }

    fn forget_producer(&self) {
        self.producer.take();
    }

    fn batch(&self) -> Batches {
        self.spare.take()
    }

    async fn store(&self, mut batch: Batches) -> Result<(), String> {
        let written = self.stores.write(&mut batch);
        self.spare.replace(batch);
        written.map_err(|error| error.to_string())
    }

    fn own(&self, tasks: BTreeSet<TaskAt>) {
        self.shared.own(tasks);
    }

    fn report(&self, status: Vec<TaskStatus>, standby_lag: Option<u64>) {
        self.shared.report(status, standby_lag);
    }

    fn committed(&self, took: Option<Duration>) {
        self.shared.committed(took);
    }
}

/// A step in the words of the watchdog.
fn doing(step: Step) -> &'static str {
    match step {
        Step::Begin | Step::Records | Step::Changelog | Step::Journal | Step::Deliveries => "writing an epoch",
        Step::Offsets => "sending offsets",
        Step::Commit => "committing",
        Step::Stores => "writing stores",
    }
}
