//! A running engine, as the edges and audits see it.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tributary_flow::log::Follow;
use tributary_flow::platform::{Done, TaskStatus, Told};
use tributary_flow::{CLOCK, DEAD_LETTERS, Log, LogError, Logged, Node, Platform, Reader, Store, Task, TopicRef};
use tributary_slot::{At, Failed, Failure};

use crate::ends::Ends;
use crate::log::KafkaLog;
use crate::shared::{Commits, Shared};
use crate::shell::Shell;
use crate::store::NodeStores;
use crate::submit::Submitter;
use crate::wire::Producer;
use crate::{Options, StartError, admin};

/// Makes the tasks of one partition: one of each node that this process runs.
pub type MakeTasks = Arc<dyn Fn(u32) -> Vec<Box<dyn Task>> + Send + Sync>;

/// How long the engine may be in one call of its clients. Every call is bounded well below: one that takes longer hangs,
/// cannot be cancelled, and would hold back every reader of what it wrote.
const HUNG: Duration = Duration::from_secs(30);

/// Exit status of a process whose engine hangs.
const EXIT_HUNG: i32 = 70;

/// How long to leave the cluster alone that did not tell its ends.
const PAUSE: Duration = Duration::from_millis(100);

/// How often the watchdog looks.
const WATCH: Duration = Duration::from_secs(1);

/// A running engine. Dropping it stops it.
pub struct Broker {
    /// The cluster's id.
    cluster: String,
    partitions: u32,
    nodes: Vec<&'static Node>,
    shared: Arc<Shared>,
    stores: Arc<NodeStores>,
    ends: Arc<Ends>,
    submitter: Submitter,
    log: KafkaLog,
    engine: Mutex<Option<JoinHandle<()>>>,
}

impl Broker {
    /// Checks the cluster, opens the stores and starts the engine, which joins its group, restores and runs; see
    /// [`Broker::tasks`] for how far it is.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(options: Options, nodes: &[&'static Node], make: MakeTasks) -> Result<Self, StartError> {
        // Before anything else, for it would be heard of only when the first partitions are there.
        Producer::new(&options.producer(&options.transactional_id())).map_err(setting)?;
        let stores = NodeStores::open(&options.state_dir, nodes, options.partitions, options.cache_bytes)?;
        let mut broker = Self::connect(&options, nodes, Arc::new(stores))?;
        let (stores, ends, shared) = (broker.stores.clone(), broker.ends.clone(), broker.shared.clone());
        let log_name = name_of(&[&broker.cluster, &options.application]);
        let shell = Shell::new(options, log_name, stores, ends, shared).map_err(setting)?;
        let nodes = nodes.to_vec();
        broker.engine = Mutex::new(Some(spawn("tributary-engine", move || shell.run(nodes, make))?));
        broker.guard()?;
        Ok(broker)
    }

    /// A client of the cluster that these nodes run on elsewhere: submits, reads the log, owns no task.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn client(options: &Options, nodes: &[&'static Node]) -> Result<Self, StartError> {
        Self::connect(options, nodes, Arc::new(NodeStores::default()))
    }

    fn connect(options: &Options, nodes: &[&'static Node], stores: Arc<NodeStores>) -> Result<Self, StartError> {
        let cluster = admin::cluster(&options.brokers, &options.client)?;
        let mut plan = admin::plan(nodes, options.partitions, 1);
        let has_clock = cluster.topics.contains_key(CLOCK);
        plan.retain(|topic| topic.name != CLOCK || has_clock);
        let wrong = admin::check(&cluster, nodes, &plan);
        if !wrong.is_empty() {
            return Err(StartError::Topics(wrong));
        }
        let submitter = Submitter::new(options).map_err(|error| StartError::Setting(error.to_string()))?;
        if has_clock {
            submitter.check_clock(options.clock)?;
        } else {
            tracing::warn!("there is no topic {CLOCK}: clocks are not compared");
        }
        let ends = Ends::new(&options.brokers, &options.client, watched(nodes, options.partitions)).map_err(setting)?;
        let log = KafkaLog::connect(&options.brokers, &options.client, options.partitions);
        let log = log.map_err(|error| StartError::Setting(error.0))?;
        let (shared, ends) = (Arc::new(Shared::new()), Arc::new(ends));
        let (alive, asked) = (shared.clone(), ends.clone());
        spawn("tributary-ends", move || {
            while !alive.is_over() {
                if let Err(error) = asked.serve() {
                    tracing::debug!("asking for ends: {error}");
                    std::thread::sleep(PAUSE);
                }
            }
        })?;
        let (partitions, nodes) = (options.partitions, nodes.to_vec());
        let cluster = cluster.id;
        Ok(Broker { cluster, partitions, nodes, shared, stores, ends, submitter, log, engine: Mutex::default() })
    }

    /// How much lies between a task's positions and the ends of its inputs, markers of transactions included.
    fn lag(&self, task: &TaskStatus) -> Option<u64> {
        let node = self.nodes.iter().find(|node| node.name == task.node)?;
        let store = self.stores.get(task.node, task.partition)?;
        let view = store.view();
        let behind = |topic: &TopicRef| {
            let end = self.ends.known(topic.name, task.partition).unwrap_or(0);
            end.saturating_sub(Reader::new(&view).told_position(topic.name))
        };
        Some(node.inputs.iter().map(behind).sum())
    }

    /// Ends the process if the engine hangs.
    fn guard(&self) -> Result<(), StartError> {
        let shared = self.shared.clone();
        spawn("tributary-watchdog", move || {
            while !shared.is_over() {
                let (busy, doing) = shared.busy();
                if busy > HUNG {
                    tracing::error!(
                        seconds = busy.as_secs(),
                        "the engine hangs while {doing}: ending the process, a restart rolls forward"
                    );
                    std::process::exit(EXIT_HUNG);
                }
                std::thread::sleep(WATCH);
            }
        })?;
        Ok(())
    }

    /// Stops in good order: the epoch under way is finished, what was submitted is acknowledged. The stores stay open until
    /// the value is dropped.
    pub fn stop(&self) {
        self.submitter.close();
        self.shared.stop();
        let engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(engine) = engine
            && engine.join().is_err()
        {
            tracing::error!("the engine's thread panicked while it stopped");
        }
        self.shared.end();
    }

    /// Why the engine stopped for good, if it has: the process should say so and end.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        self.shared.failure()
    }

    /// Waits at most `bound` for the engine to fail.
    #[must_use]
    pub fn wait_failure(&self, bound: Duration) -> Option<Failure> {
        self.shared.wait_failure(bound)
    }

    /// How long commits take.
    #[must_use]
    pub fn commits(&self) -> Commits {
        self.shared.commits()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Names the log of an application on a cluster.
fn name_of(parts: &[&str]) -> [u8; 16] {
    let mut name = [0; 16];
    name.copy_from_slice(&blake3::hash(parts.join("\0").as_bytes()).as_bytes()[..16]);
    name
}

/// Every partition that the nodes read or write.
fn watched(nodes: &[&'static Node], partitions: u32) -> BTreeSet<At> {
    let own = nodes.iter().flat_map(|node| node.own());
    let declared =
        nodes.iter().flat_map(|node| node.inputs.iter().chain(node.outputs)).map(|topic| topic.name.to_owned());
    let topics: BTreeSet<String> = own.chain(declared).chain([DEAD_LETTERS.to_owned()]).collect();
    topics.into_iter().flat_map(|topic| (0..partitions).map(move |partition| (topic.clone(), partition))).collect()
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StartError> {
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    spawned.map_err(|error| StartError::Setting(format!("no thread for {name}: {error}")))
}

fn setting(error: Failed) -> StartError {
    StartError::Setting(error.text)
}

impl Platform for Broker {
    fn driver(&self) -> &'static str {
        "kafka"
    }

    fn partitions(&self) -> u32 {
        self.partitions
    }

    fn submit(&self, topic: TopicRef, key: &str, value: Vec<u8>, done: Done) {
        self.submitter.submit(topic, key, &value, done);
    }

    fn read(&self, node: &'static Node, partition: u32, read: &mut dyn FnMut(&dyn Store)) -> bool {
        let Some(store) = self.stores.get(node.name, partition).filter(|_| self.shared.owns(node.name, partition))
        else {
            return false;
        };
        read(&store.view());
        true
    }

    fn on_commit(&self, news: Box<dyn Fn() + Send + Sync>) {
        self.shared.listen(news);
    }

    fn tasks(&self) -> Vec<TaskStatus> {
        let mut tasks = self.shared.status();
        // What the process has read on for others, a halted task has still to apply.
        for task in tasks.iter_mut().filter(|task| task.halted.is_some()) {
            task.lag = self.lag(task).unwrap_or(task.lag);
        }
        tasks
    }

    fn standby_lag(&self) -> Option<u64> {
        self.shared.standby_lag()
    }

    fn ends(&self, topics: &[&str], partition: u32, told: Told) {
        self.ends.now(topics, partition, told);
    }

    fn reached(&self, node: &'static Node, partition: u32, topic: &str) -> u64 {
        self.shared.reached(node.name, partition, topic)
    }
}

impl Log for Broker {
    fn partitions(&self) -> u32 {
        self.partitions
    }

    fn range(&self, topic: &str, partition: u32) -> Result<Range<u64>, LogError> {
        Log::range(&self.log, topic, partition)
    }

    fn written(&self, topic: &str, partition: u32) -> Result<u64, LogError> {
        Log::written(&self.log, topic, partition)
    }

    fn read(&self, topic: &str, partition: u32, from: u64, limit: usize) -> Result<Vec<Logged>, LogError> {
        Log::read(&self.log, topic, partition, from, limit)
    }

    fn follow<'a>(&'a self, topic: &'a str, from: Vec<u64>) -> Result<Box<dyn Follow + 'a>, LogError> {
        self.log.follow(topic, from)
    }
}
