//! Driver 3: the same tasks under a log in memory, a virtual clock and a scheduler that draws from one seed. What the
//! production drivers do in years of bad luck happens here in seconds, and a seed repeats it byte for byte.
//!
//! A simulation has processes, one per placement. Hops may be [`Hops::Apart`] or [`Hops::Foreseen`]: each process reads
//! committed records of the shared log and commits by the [`TRANSACTION`] protocol, as over Kafka; or [`Hops::Owned`]: one
//! process owns log and state and commits by [`BATCH`], as the embedded driver does. A crash may fall at any boundary of a
//! commit; the process is then down for a while, its transaction holds back the readers of what it wrote, its disk may be
//! lost, and it comes back by rolling forward.
//!
//! Deliberately absent, so far: zombies, markers that come late, skewed clocks, and faults of the log itself.

mod commit;
mod log;
mod options;
mod process;
mod random;

use std::collections::VecDeque;

use thiserror::Error;
use tributary_flow::log::Logged;
use tributary_flow::{Commit, Input, MemoryStore, Place, Task, Timestamp, TopicPartition, TopicRef, partition_of};

pub use commit::{BATCH, Crash, Step, TRANSACTION};
pub use log::MemoryLog;
pub use options::{Hops, SimOptions};

use process::{Make, Process};
use random::Random;

/// A simulation cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SimError {
    /// A store or the registry failed.
    #[error("seed {seed}: an epoch failed: {reason}")]
    Epoch {
        /// The seed.
        seed: u64,
        /// Why.
        reason: String,
    },
    /// Records that cause records for ever, or a process that never gets through.
    #[error("seed {seed}: not quiet after {turns} turns")]
    Restless {
        /// The seed.
        seed: u64,
        /// How long it was watched.
        turns: u64,
    },
}

/// Most turns until a simulation must be quiet.
const MOST_TURNS: u64 = 1_000_000;

/// A simulation under way.
pub struct Simulation {
    options: SimOptions,
    make: Make,
    random: Random,
    now: Timestamp,
    log: MemoryLog,
    processes: Vec<Process>,
    /// Duplicates that are still on their way.
    late: Vec<(TopicRef, u32, Logged)>,
    boundaries: u64,
    crashes: u64,
    surprises: u64,
}

/// A commit under way.
#[derive(Default)]
struct Attempt {
    inputs: Vec<Input>,
    commit: Commit,
    /// Where the records went.
    offsets: Vec<Option<u64>>,
}

impl Simulation {
    /// A simulation of the nodes whose tasks `make` gives for each partition.
    ///
    /// # Panics
    /// Where one process is to own the log and there is more than one.
    #[must_use]
    pub fn new(options: SimOptions, make: impl Fn(u32) -> Vec<Box<dyn Task>> + 'static) -> Self {
        assert!(options.hops != Hops::Owned || options.placements.len() == 1, "only one process can own the log");
        let mut simulation = Simulation {
            make: Box::new(make),
            random: Random::new(options.seed),
            now: options.start,
            log: MemoryLog::new(options.partitions),
            processes: options.placements.iter().cloned().map(Process::new).collect(),
            late: Vec::new(),
            boundaries: 0,
            crashes: 0,
            surprises: 0,
            options,
        };
        for index in 0..simulation.processes.len() {
            simulation.start(index);
        }
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
        let offset = self.log.append(None, topic.name, partition, record);
        self.deliver_late();
        Place { topic: topic.name.to_owned(), partition, offset }
    }

    /// Writes a record as it is, to any partition: for what no well-behaved client sends.
    pub fn produce(&mut self, topic: TopicRef, partition: u32, key: Option<Vec<u8>>, value: Option<Vec<u8>>) -> Place {
        let offset = self.log.append(None, topic.name, partition, Logged { key, value, ..Default::default() });
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
        Err(SimError::Restless { seed: self.options.seed, turns: MOST_TURNS })
    }

    /// Moves the clock; timers that are due then fire in the next run.
    pub fn advance(&mut self, micros: i64) {
        self.now = self.now.plus(micros);
    }

    /// Kills the process that runs `node`, between two commits; the next run starts it again.
    pub fn kill(&mut self, node: &str) {
        for process in self.processes.iter_mut().filter(|process| process.runs(node)) {
            process.running = None;
            self.crashes += 1;
        }
    }

    /// The clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The log as readers see it.
    #[must_use]
    pub fn log(&self) -> &MemoryLog {
        &self.log
    }

    /// A digest of every committed record: the same seed and the same commands give the same.
    #[must_use]
    pub fn log_hash(&self) -> [u8; 32] {
        self.log.hash()
    }

    /// The state of a node in a partition; `None` where no process runs it.
    #[must_use]
    pub fn store(&self, node: &str, partition: u32) -> Option<&MemoryStore> {
        self.processes.iter().find_map(|process| process.disks.rows(node, partition))
    }

    /// Tasks that are halted, each with its partition and the reason.
    #[must_use]
    pub fn halted(&self) -> Vec<(&'static str, u32, String)> {
        let running = self.processes.iter().filter_map(|process| process.running.as_ref());
        let tasks = running.flat_map(|running| running.engine.tasks());
        tasks.filter_map(|(task, halted)| Some((task.node().name, task.partition(), halted?.to_owned()))).collect()
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

    /// Epochs so far that were run again because a record went elsewhere than foreseen.
    #[must_use]
    pub fn surprises(&self) -> u64 {
        self.surprises
    }

    fn route(&mut self, own: u32) -> u32 {
        if self.options.misroute_commands && self.random.chance(1, 3) {
            self.random.below(self.options.partitions as usize) as u32
        } else {
            own
        }
    }

    /// One of the duplicates that are on their way may arrive.
    fn deliver_late(&mut self) {
        if !self.late.is_empty() && self.random.chance(1, 2) {
            let (topic, partition, record) = self.late.swap_remove(self.random.below(self.late.len()));
            self.log.append(None, topic.name, partition, record);
        }
    }

    /// One thing happens, drawn from all that could; false where nothing can.
    fn turn(&mut self) -> Result<bool, SimError> {
        self.deliver_late();
        let mut able = Vec::new();
        for (index, process) in self.processes.iter_mut().enumerate() {
            let (readable, due) = process.work(&self.log, self.now);
            if process.running.is_none() || due || !readable.is_empty() {
                able.push((index, readable));
            }
        }
        if able.is_empty() {
            return Ok(!self.late.is_empty());
        }
        let (index, readable) = able.swap_remove(self.random.below(able.len()));
        if self.processes[index].running.is_some() {
            self.commit(index, &readable)?;
        } else if self.random.chance(1, 3) {
            self.start(index);
        }
        Ok(true)
    }

    fn start(&mut self, index: usize) {
        self.processes[index].start(&self.make, &mut self.log, self.options.hops != Hops::Owned, &mut self.random);
    }

    /// Walks the commit protocol, or dies on the way.
    fn commit(&mut self, index: usize, readable: &[(TopicPartition, u64)]) -> Result<(), SimError> {
        let steps = if self.options.hops == Hops::Owned { BATCH } else { TRANSACTION };
        self.processes[index].attempts += 1;
        let mut attempt = Attempt { inputs: self.draw(readable), ..Attempt::default() };
        for (number, step) in steps.iter().enumerate() {
            if self.dies(index, number, steps.len()) {
                return Ok(());
            }
            self.perform(index, *step, &mut attempt)?;
            if attempt.commit.is_empty() {
                return Ok(());
            }
        }
        self.dies(index, steps.len(), steps.len());
        Ok(())
    }

    /// Whether the process dies at this boundary, which it then has.
    fn dies(&mut self, index: usize, boundary: usize, steps: usize) -> bool {
        let process = &mut self.processes[index];
        let dies = match self.options.crash {
            Crash::Never => false,
            Crash::At(chosen) => chosen == self.boundaries,
            Crash::Round => process.attempts % (steps as u64 + 2) == boundary as u64,
            Crash::Chance(parts) => self.random.chance(parts as usize, 10_000),
        };
        self.boundaries += 1;
        if dies {
            process.running = None;
            self.crashes += 1;
        }
        dies
    }

    /// Inputs of an epoch: of each partition a few, in an order of partitions that chance decides.
    fn draw(&mut self, readable: &[(TopicPartition, u64)]) -> Vec<Input> {
        let mut queues: Vec<VecDeque<Input>> = Vec::new();
        for (TopicPartition { topic, partition }, position) in readable {
            let count = 1 + self.random.below(self.options.most);
            let records = self.log.committed(topic.name, *partition, *position).take(count).cloned();
            let input = |record: Logged| Input {
                topic,
                partition: *partition,
                offset: record.offset,
                key: record.key,
                value: record.value,
            };
            queues.push(records.map(input).collect());
        }
        // Some partitions are slow to answer.
        queues.retain(|_| self.random.chance(2, 3));
        let mut inputs = Vec::new();
        while !queues.is_empty() {
            let queue = self.random.below(queues.len());
            match queues[queue].pop_front() {
                Some(input) => inputs.push(input),
                None => drop(queues.swap_remove(queue)),
            }
        }
        inputs
    }
}
