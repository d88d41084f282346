//! Driver 3: the same decisions over a cluster in memory, a virtual clock and a scheduler that draws from one seed. What
//! production does in years of bad luck happens here in seconds, and a seed repeats it byte for byte.
//!
//! A simulation has processes, in groups that run the same nodes. Hops may be [`Hops::Apart`] or [`Hops::Foreseen`]: each process is
//! a `tributary_slot::Slot`, the very one that runs in production, over a log with transactions and coordinators that
//! fence; or [`Hops::Owned`]: one process owns log and state and commits in one write, as the embedded driver does. Wherever
//! a process stands still, others go first, and it may die, freeze, be cut off or replaced there; calls are lost on
//! their way or on their way back; stores lose their tails, go stale, or are gone; processes are upgraded and rolled back one
//! by one, so that two builds are at work at the same time ([`Fault`]). In what they differ, whoever makes their tasks decides.
//!
//! Deliberately absent: several brokers and their elections (what an election does to a client is here: calls without an answer,
//! coordinators that are away, a log that is taken for cut); logs that really lose what they acknowledged (one that commits
//! a transaction in part is here, for whoever asks for it); and
//! processes of one application whose placements differ at the same time, which nothing fences yet.

mod calls;
mod cluster;
mod disk;
mod faults;
mod group;
mod local;
mod log;
mod options;
mod owner;
mod process;
mod random;
mod reading;
mod schedule;
mod storm;
mod watch;
mod world;

use std::collections::BTreeMap;
use std::rc::Rc;

use thiserror::Error;
use tributary_flow::log::Logged;
use tributary_flow::platform::TaskStatus;
use tributary_flow::{Node, Place, Task, Timestamp, TopicRef, partition_of};

pub use disk::TaskStore;
pub use faults::{Count, Fault};
pub use log::{MemoryLog, Torn};
pub use options::{Crash, Hops, SimOptions};
pub use process::{LOG, Version};
pub use tributary_slot::TaskAt;

use cluster::Cluster;
use faults::Faults;
use group::Life;
use local::{Held, Wish};
use process::{Make, Process, Running};
use random::Random;

/// A simulation cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SimError {
    /// A process stopped for good, and not for a fault that was injected.
    #[error("seed {seed}: {slot} stopped: {reason}")]
    Stopped {
        /// The seed.
        seed: u64,
        /// Which process.
        slot: String,
        /// Why.
        reason: String,
    },
    /// Records that cause records for ever, or a process that never gets through.
    #[error("seed {seed}: not quiet after {turns} turns: {why}")]
    Restless {
        /// The seed.
        seed: u64,
        /// How long it was watched.
        turns: u64,
        /// What every process was at.
        why: String,
    },
}

/// Most turns until a simulation must be quiet.
const MOST_TURNS: u64 = 2_000_000;

/// A simulation under way.
pub struct Simulation {
    options: SimOptions,
    make: Make,
    nodes: Vec<&'static Node>,
    /// In our hands between two turns.
    cluster: Option<Box<Cluster>>,
    held: Rc<Held>,
    processes: Vec<Process>,
    /// Processes whose slot another has.
    zombies: Vec<Running>,
    /// Duplicates that are still on their way.
    late: Vec<(TopicRef, u32, Logged)>,
    lives: Life,
    /// How often the nodes were spread anew.
    groupings: u64,
    boundaries: u64,
    crashes: u64,
}

impl Simulation {
    /// A simulation of the nodes whose tasks `make` gives for each partition, as a process of either version has them.
    ///
    /// # Panics
    /// Where one process is to own the log and there is more than one.
    #[must_use]
    pub fn new(options: SimOptions, make: impl Fn(Version, u32) -> Vec<Box<dyn Task>> + 'static) -> Self {
        let single = options.placements.len() == 1 && options.processes == 1;
        assert!(options.hops != Hops::Owned || single, "only one process can own the log");
        let nodes = make(Version::Older, 0).iter().map(|task| task.node()).collect();
        let (random, faults) = (Random::new(options.seed), Faults::new(options.faults.clone()));
        let mut cluster = Cluster::new(options.partitions, options.placements.len(), random, faults, options.start);
        (cluster.ticking, cluster.largest) = (options.ticking, options.largest);
        let mut simulation = Simulation {
            make: Rc::new(make),
            nodes,
            cluster: Some(Box::new(cluster)),
            held: Rc::default(),
            processes: Vec::new(),
            zombies: Vec::new(),
            late: Vec::new(),
            lives: 0,
            groupings: 0,
            boundaries: 0,
            crashes: 0,
            options,
        };
        simulation.populate(simulation.options.placements.clone());
        simulation
    }

    /// A client sends a command, with the faults of clients that the options ask for.
    pub fn submit(&mut self, topic: TopicRef, key: &str, value: Vec<u8>) -> Place {
        let record = Logged { key: Some(key.as_bytes().to_vec()), value: Some(value), ..Default::default() };
        let own = partition_of(key.as_bytes(), self.options.partitions);
        let partition = self.route(own);
        if self.options.duplicate_commands {
            let copy = (topic, self.route(own), record.clone());
            self.late.push(copy);
        }
        let place = self.append(topic, partition, record);
        self.deliver_late();
        place
    }

    /// Writes a record as it is, to any partition: for what no well-behaved client sends.
    pub fn produce(&mut self, topic: TopicRef, partition: u32, key: Option<Vec<u8>>, value: Option<Vec<u8>>) -> Place {
        self.append(topic, partition, Logged { key, value, ..Default::default() })
    }

    fn append(&mut self, topic: TopicRef, partition: u32, record: Logged) -> Place {
        let cluster = self.cluster_mut();
        let wall = cluster.wall();
        let offset = cluster.log.append(None, topic.name, partition, record, wall);
        Place { topic: topic.name.to_owned(), partition, offset }
    }

    /// Runs until no process has anything to do at this time, and all are up.
    ///
    /// # Errors
    /// See [`SimError`].
    pub fn run_until_quiet(&mut self) -> Result<(), SimError> {
        for _ in 0..MOST_TURNS {
            if !self.turn()? {
                return Ok(());
            }
        }
        Err(SimError::Restless { seed: self.options.seed, turns: MOST_TURNS, why: self.why() })
    }

    /// Moves the wall clock; timers that are due then fire in the next run. Over a day, compacted topics are compacted.
    pub fn advance(&mut self, micros: i64) {
        let changelogs: Vec<String> = self.nodes.iter().map(|node| node.changelog()).collect();
        let cluster = self.cluster_mut();
        cluster.start = cluster.start.plus(micros);
        let now = cluster.elapsed;
        if micros >= tributary_flow::time::DAY {
            let wall = cluster.wall();
            changelogs.iter().for_each(|topic| cluster.log.compact(topic, wall));
        }
        // Whoever waits for a timer looks at the clock again.
        for running in self.processes.iter().filter_map(|process| process.running.as_ref()) {
            if let Wish::Read(_) = running.local.wish.get() {
                running.local.wish.set(Wish::Read(now));
            }
        }
    }

    /// Kills the processes that run `node`; the next run starts them again.
    pub fn kill(&mut self, node: &str) {
        for index in 0..self.processes.len() {
            if self.processes[index].nodes.iter().any(|runs| runs.name == node) {
                self.die(index);
            }
        }
    }

    /// The next process to come to so many boundaries from now dies there.
    pub fn crash_at(&mut self, boundary: u64) {
        self.options.crash = Crash::At(self.boundaries + boundary);
    }

    /// Whether a process is up.
    #[must_use]
    pub fn is_up(&self, number: usize) -> bool {
        self.processes[number].running.is_some()
    }

    /// Kills a process of the beginning; it is started again after so many seconds.
    pub fn keep_down(&mut self, number: usize, seconds: u64) {
        self.die(number);
        self.processes[number].down = self.cluster().elapsed + seconds * cluster::SECOND;
    }

    /// Somebody deletes a topic and makes it anew, while nothing is under way.
    pub fn forget(&mut self, topic: &str) {
        self.cluster_mut().log.forget(topic);
    }

    /// Ends every process and spreads the nodes over others, which take over the stores; a node that is in none does not run.
    pub fn place(&mut self, placements: Vec<Vec<&'static str>>) {
        self.populate(placements);
    }

    /// From now on there are no faults, and what is under way of them comes to its end.
    pub fn calm(&mut self) {
        let cluster = self.cluster_mut();
        cluster.faults.calm = true;
        (cluster.coordinators, cluster.markers) = (0, 0);
        cluster.slow.clear();
        self.options.crash = Crash::Never;
        for running in self.processes.iter_mut().filter_map(|process| process.running.as_mut()).chain(&mut self.zombies)
        {
            running.frozen = 0;
            running.local.cut.set(0);
        }
        // Whoever has a slot by right that nobody else will take ends here; all others must hear that theirs is taken.
        let taken = |slot: &str| self.processes.iter().any(|process| process.slot == slot && !process.leaves);
        let alone = self.zombies.iter().filter(|zombie| !taken(&zombie.local.slot));
        alone.for_each(|zombie| zombie.local.stopping.set(true));
    }

    /// What decides everything.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.options.seed
    }

    /// The clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.cluster().wall()
    }

    /// The log as readers see it.
    #[must_use]
    pub fn log(&self) -> &MemoryLog {
        &self.cluster().log
    }

    /// A digest of every committed record: the same seed and the same commands give the same.
    #[must_use]
    pub fn log_hash(&self) -> [u8; 32] {
        self.log().hash()
    }

    /// The state of a node in a partition, as a query would meet it; `None` while no process owns it.
    #[must_use]
    pub fn store(&self, node: &str, partition: u32) -> Option<&TaskStore> {
        let (process, _, at) = self.owner(node, partition)?;
        process.disks.get(at)
    }

    /// How far the task of that state has come in an input where its position does not tell, as its process told last.
    #[must_use]
    pub fn reached(&self, node: &str, partition: u32, topic: &str) -> u64 {
        let Some((_, running, _)) = self.owner(node, partition) else { return 0 };
        TaskStatus::reached_by(&running.local.status.borrow(), node, partition, topic)
    }

    /// The process that queries about a task would ask.
    fn owner(&self, node: &str, partition: u32) -> Option<(&Process, &Running, TaskAt)> {
        self.processes.iter().find_map(|process| {
            let running = process.running.as_ref()?;
            let owned = running.local.owned.borrow();
            let at = owned.iter().find(|(name, number)| *name == node && *number == partition)?;
            Some((process, running, *at))
        })
    }

    /// The state of a node in a partition, as every process has it that runs the node, whether it owns the partition or not.
    pub fn copies(&self, node: &str, partition: u32) -> impl Iterator<Item = &TaskStore> {
        self.processes.iter().filter_map(move |process| {
            let node = process.nodes.iter().find(|runs| runs.name == node)?;
            process.disks.get((node.name, partition))
        })
    }

    /// Tasks that are halted, each with its partition and the reason.
    #[must_use]
    pub fn halted(&self) -> Vec<(&'static str, u32, String)> {
        let halted = |status: &TaskStatus| Some((status.node, status.partition, status.halted.clone()?));
        let running = self.processes.iter().filter_map(|process| process.running.as_ref());
        running
            .flat_map(|running| running.local.status.borrow().iter().filter_map(halted).collect::<Vec<_>>())
            .collect()
    }

    /// Boundaries met so far: what [`Crash::At`] counts.
    #[must_use]
    pub fn boundaries(&self) -> u64 {
        self.boundaries
    }

    /// Crashes so far.
    #[must_use]
    pub fn crashes(&self) -> u64 {
        self.crashes
    }

    /// Commits so far that went through to the stores.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.cluster().commits
    }

    /// Whether no transaction is open, and every marker is written.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.cluster().is_still()
    }

    /// Epochs so far that were run again because a record went elsewhere than foreseen.
    #[must_use]
    pub fn surprises(&self) -> u64 {
        self.cluster().surprises
    }

    /// How often each fault struck.
    #[must_use]
    pub fn faults(&self) -> &BTreeMap<&'static str, Count> {
        &self.cluster().faults.counts
    }

    fn cluster(&self) -> &Cluster {
        self.cluster.as_deref().expect("invariant: the cluster is in our hands between two turns")
    }

    fn cluster_mut(&mut self) -> &mut Cluster {
        self.cluster.as_deref_mut().expect("invariant: the cluster is in our hands between two turns")
    }

    fn route(&mut self, own: u32) -> u32 {
        let (misroutes, partitions) = (self.options.misroute_commands, self.options.partitions);
        let random = &mut self.cluster_mut().random;
        if misroutes && random.chance(1, 3) { random.below(partitions as usize) as u32 } else { own }
    }
}
