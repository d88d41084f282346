//! The engines that run for real, under a scripted clock: embedded, and Kafka.
//!
//! An engine is at rest when every task has read every input to its end and no timer is due, and no commit came between
//! the first look and the last. That is seen from outside, in committed state and in the log, so it is the same question
//! for every engine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tributary_broker::{Broker, Options as KafkaOptions, admin};
use tributary_cli::verify::States;
use tributary_cli::wiring::{self, Schemas};
use tributary_embedded::{Embedded, Options};
use tributary_flow::platform::{Done, SubmitError};
use tributary_flow::{Log, Node, Place, Platform, Reader, Setup, Store, Task, Timestamp, TopicRef};
use tributary_graph as graph;

use super::Driver;

/// Longest wait for rest.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long to wait between two looks.
const LOOK: Duration = Duration::from_millis(2);

/// What is asked of an engine.
pub struct Engine {
    /// The way in, and committed state.
    pub platform: Arc<dyn Platform>,
    /// The log.
    pub log: Arc<dyn Log>,
    /// Looks at the clock now.
    pub wake: Box<dyn Fn()>,
    /// What keeps it from running.
    pub failure: Box<dyn Fn() -> Option<String>>,
    /// Stops it cleanly.
    pub stop: Box<dyn Fn()>,
    /// Writes a record as any client could; nothing where a client of Kafka's has to.
    pub produce: Option<Produce>,
}

/// Writes any bytes to any partition.
pub type Produce = Arc<dyn Fn(TopicRef, u32, Option<Vec<u8>>, Option<Vec<u8>>, Done)>;

/// The ends of every input of the graph: after what was committed, and after what was written.
pub type Ends = BTreeMap<(String, u32), (u64, u64)>;

/// Asks a cluster for them, all at once.
pub type AskEnds = Box<dyn Fn() -> Result<Ends>>;

type Open = Box<dyn Fn(&[String]) -> Result<Engine>>;

/// An engine under a scripted clock.
pub struct Live {
    partitions: u32,
    /// For a log that holds more than records: markers of transactions, and what is not committed yet.
    ends: Option<AskEnds>,
    clock: Arc<dyn Fn(Option<Timestamp>) -> Timestamp>,
    open: Open,
    engine: Option<Engine>,
    without: Vec<String>,
    commits: Arc<AtomicU64>,
    told: mpsc::Sender<Result<Place, SubmitError>>,
    outcomes: mpsc::Receiver<Result<Place, SubmitError>>,
    waiting: usize,
    /// Where commands lie, as far as they were ours.
    submitted: Vec<Place>,
    setup: Setup,
}

/// The tasks of a partition without some nodes.
fn tasks(partition: u32, setup: &Setup, without: &[String]) -> Vec<Box<dyn Task>> {
    wiring::tasks(partition, setup, &|node| !without.iter().any(|name| name == node.name))
}

fn setup(partitions: u32) -> Setup {
    wiring::setup(partitions, Arc::new(Schemas::compiled()))
}

impl Live {
    /// The embedded engine in a folder, without some nodes.
    ///
    /// # Errors
    /// It does not start.
    pub fn embedded(folder: &Path, partitions: u32, without: &[String]) -> Result<Self> {
        let clock = Arc::new(AtomicI64::new(0));
        let (shared, folder) = (setup(partitions), folder.to_owned());
        let read = clock.clone();
        let open = move |without: &[String]| {
            let read = read.clone();
            let mut options = Options::new(&folder, partitions);
            options.clock = Arc::new(move || Timestamp(read.load(Ordering::SeqCst)));
            options.cache_bytes = 8 << 20;
            let engine = Arc::new(Embedded::open(&options, &|partition| tasks(partition, &shared, without))?);
            let (woken, asked, stopped, written) = (engine.clone(), engine.clone(), engine.clone(), engine.clone());
            Ok(Engine {
                platform: engine.clone(),
                log: engine,
                wake: Box::new(move || woken.wake()),
                failure: Box::new(move || asked.failure()),
                stop: Box::new(move || stopped.close()),
                produce: Some(Arc::new(move |topic, partition, key, value, done| {
                    written.produce(topic, Some(partition), key, value, done);
                })),
            })
        };
        let set = move |now: Option<Timestamp>| {
            now.inspect(|now| clock.store(now.0, Ordering::SeqCst));
            Timestamp(clock.load(Ordering::SeqCst))
        };
        Live::start(partitions, None, Arc::new(set), Box::new(open), without)
    }

    /// The engine on an empty Kafka cluster, its stores in a folder. Its clock is one per process, so only one of them
    /// may run at a time.
    ///
    /// # Errors
    /// It does not start.
    pub fn kafka(
        brokers: &str,
        ends: AskEnds,
        folder: &Path,
        (partitions, fused): (u32, bool),
        without: &[String],
    ) -> Result<Self> {
        static CLOCK: AtomicI64 = AtomicI64::new(0);
        static RUNS: AtomicU64 = AtomicU64::new(0);
        // A run is an application of its own, so that none waits for the group of the one before.
        let application = format!("tributary-{}", RUNS.fetch_add(1, Ordering::SeqCst));
        // Ours is scripted: there must be no topic by which it could be compared with the broker's.
        let mut plan = admin::plan(graph::NODES, partitions, 1);
        plan.retain(|topic| topic.name != tributary_flow::CLOCK);
        let failed = admin::create_topics(brokers, &Default::default(), &plan)?;
        ensure!(failed.is_empty(), "topics could not be created: {failed:?}");
        let (shared, folder, brokers): (_, PathBuf, _) = (setup(partitions), folder.to_owned(), brokers.to_owned());
        let open = move |without: &[String]| {
            let mut options = KafkaOptions::new(&brokers, &folder, || Timestamp(CLOCK.load(Ordering::SeqCst)));
            (options.partitions, options.fused, options.cache_bytes) = (partitions, fused, 8 << 20);
            options.application.clone_from(&application);
            let (shared, missing) = (shared.clone(), without.to_vec());
            let runs = |node: &&'static Node| !without.iter().any(|name| name == node.name);
            let nodes: Vec<&'static Node> = graph::NODES.iter().copied().filter(runs).collect();
            // A placement is a set of nodes: another set is another group, as `node run` has it.
            let names: Vec<&str> = nodes.iter().map(|node| node.name).collect();
            options.placement = names.join("-");
            let make = move |partition| tasks(partition, &shared, &missing);
            let engine = Arc::new(Broker::start(options, &nodes, Arc::new(make))?);
            let (asked, stopped) = (engine.clone(), engine.clone());
            Ok(Engine {
                platform: engine.clone(),
                log: engine,
                wake: Box::new(|| {}),
                failure: Box::new(move || asked.failure().map(|failure| format!("{failure:?}"))),
                stop: Box::new(move || stopped.stop()),
                produce: None,
            })
        };
        let set = |now: Option<Timestamp>| {
            now.inspect(|now| CLOCK.store(now.0, Ordering::SeqCst));
            Timestamp(CLOCK.load(Ordering::SeqCst))
        };
        set(Some(Timestamp(0)));
        Live::start(partitions, Some(ends), Arc::new(set), Box::new(open), without)
    }

    fn start(
        partitions: u32,
        ends: Option<AskEnds>,
        clock: Arc<dyn Fn(Option<Timestamp>) -> Timestamp>,
        open: Open,
        without: &[String],
    ) -> Result<Self> {
        let (told, outcomes) = mpsc::channel();
        let (commits, submitted) = (Arc::default(), Vec::new());
        let (engine, waiting, setup) = (None, 0, setup(partitions));
        let mut live = Live {
            partitions,
            ends,
            clock,
            open,
            engine,
            without: Vec::new(),
            commits,
            told,
            outcomes,
            waiting,
            submitted,
            setup,
        };
        live.restart(without)?;
        Ok(live)
    }

    /// The engine that runs.
    ///
    /// # Panics
    /// It did not start again.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("invariant: an engine runs unless a restart failed")
    }

    /// Where the commands lie that were taken, in the order in which they were acknowledged.
    #[must_use]
    pub fn submitted(&self) -> &[Place] {
        &self.submitted
    }

    /// A client wrote here: rest comes only once it is read.
    pub fn wrote(&mut self, place: Place) {
        self.submitted.push(place);
    }

    /// Waits until every command is durable.
    fn acknowledged(&mut self) -> Result<()> {
        while self.waiting > 0 {
            let outcome = self.outcomes.recv_timeout(PATIENCE).context("a command was not acknowledged")?;
            self.waiting -= 1;
            self.submitted.push(outcome?);
        }
        Ok(())
    }

    /// What is not at rest, if anything.
    fn restless(&self) -> Result<Option<String>> {
        let (engine, now) = (self.engine(), (self.clock)(None));
        let ends = match self.ends.as_ref().map(|ask| ask()).transpose() {
            Ok(ends) => ends,
            // Topics that were just made have no leader yet.
            Err(error) => return Ok(Some(format!("{error:#}"))),
        };
        for partition in 0..self.partitions {
            for mut task in tasks(partition, &self.setup, &self.without) {
                let node = task.node();
                let (mut due, mut positions) = (None, Vec::new());
                let here = engine.platform.read(node, partition, &mut |store: &dyn Store| {
                    due = task.next_timer(store).filter(|due| *due <= now);
                    positions =
                        node.inputs.iter().map(|topic| (*topic, Reader::new(store).position(topic.name))).collect();
                });
                if !here {
                    return Ok(Some(format!("{}[{partition}] does not run yet", node.name)));
                }
                if due.is_some() {
                    return Ok(Some(format!("a timer of {}[{partition}] is due", node.name)));
                }
                for (topic, position) in positions {
                    let Some(end) = self.end(engine, ends.as_ref(), topic, partition)? else {
                        return Ok(Some(format!("a transaction is open in {}[{partition}]", topic.name)));
                    };
                    if position < end {
                        return Ok(Some(format!(
                            "{}[{partition}] has read {} to {position} of {end}",
                            node.name, topic.name
                        )));
                    }
                }
            }
        }
        Ok(None)
    }

    /// The offset to which a partition must be read; nothing where a transaction is open. The last thing in a partition of
    /// facts is a marker; at a door, where clients write without transactions, it is what we wrote, a forward aside.
    fn end(&self, engine: &Engine, ends: Option<&Ends>, topic: TopicRef, partition: u32) -> Result<Option<u64>> {
        let Some(ends) = ends else { return Ok(Some(engine.log.range(topic.name, partition)?.end)) };
        let at = (topic.name.to_owned(), partition);
        let (committed, written) = ends.get(&at).with_context(|| format!("no end of {at:?}"))?;
        if committed != written {
            return Ok(None);
        }
        if topic.kind.is_door() {
            let ours = self.submitted.iter().filter(|place| place.topic == topic.name && place.partition == partition);
            return Ok(Some(ours.map(|place| place.offset + 1).max().unwrap_or(0)));
        }
        Ok(Some(committed.saturating_sub(1)))
    }

    fn check(&self) -> Result<()> {
        let engine = self.engine();
        if let Some(failure) = (engine.failure)() {
            bail!("the engine failed: {failure}");
        }
        for task in engine.platform.tasks() {
            if let Some(reason) = task.halted {
                bail!("{}[{}] halted: {reason}", task.node, task.partition);
            }
        }
        Ok(())
    }
}

impl Driver for Live {
    fn name(&self) -> String {
        format!(
            "{}, {} partitions",
            self.engine.as_ref().map_or("stopped", |engine| engine.platform.driver()),
            self.partitions
        )
    }

    fn set_clock(&mut self, now: Timestamp) {
        (self.clock)(Some(now));
        (self.engine().wake)();
    }

    fn submit(&mut self, topic: TopicRef, key: &str, value: Vec<u8>) -> Result<()> {
        let told = self.told.clone();
        self.waiting += 1;
        self.engine().platform.submit(topic, key, value, Box::new(move |outcome| drop(told.send(outcome))));
        Ok(())
    }

    fn settle(&mut self) -> Result<()> {
        self.acknowledged()?;
        let since = Instant::now();
        loop {
            let before = self.commits.load(Ordering::SeqCst);
            let restless = self.restless()?;
            if restless.is_none() && self.commits.load(Ordering::SeqCst) == before {
                return self.check();
            }
            self.check()?;
            if since.elapsed() > PATIENCE {
                bail!("no rest after {PATIENCE:?}: {}", restless.unwrap_or_default());
            }
            std::thread::sleep(LOOK);
        }
    }

    fn restart(&mut self, without: &[String]) -> Result<()> {
        if let Some(engine) = self.engine.take() {
            (engine.stop)();
        }
        self.without = without.to_vec();
        let engine = (self.open)(without)?;
        let commits = self.commits.clone();
        engine.platform.on_commit(Box::new(move || {
            commits.fetch_add(1, Ordering::SeqCst);
        }));
        self.engine = Some(engine);
        Ok(())
    }

    fn log(&self) -> &dyn Log {
        self.engine().log.as_ref()
    }

    fn states(&self) -> &dyn States {
        self
    }
}

impl States for Live {
    fn with_state(&self, node: &'static Node, partition: u32, read: &mut dyn FnMut(&dyn Store)) -> Result<bool> {
        Ok(self.engine().platform.read(node, partition, read))
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Some(engine) = self.engine.take() {
            (engine.stop)();
        }
    }
}
