//! What a simulation is made of: processes, how records get from one to the next, and which faults there are.

use std::collections::BTreeMap;

use tributary_flow::Timestamp;

use crate::faults::Fault;

/// Whether and how a record is handed over within the epoch that writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hops {
    /// It is not: every hop is an epoch, and its reader finds it in the log.
    Apart,
    /// Where it will lie is foreseen and then compared with where it went.
    Foreseen,
    /// The one process owns the log, and knows.
    Owned,
}

/// When processes die, beside [`Fault::Crash`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// Never.
    Never,
    /// At one boundary of a commit, counted from 0 over the whole run: a test enumerates them.
    At(u64),
    /// At a boundary further on with each attempt of a process, and at none in every last: a run meets them all, again and
    /// again, and still ends.
    Round,
    /// At so many boundaries of ten thousand, by chance.
    Chance(u32),
}

/// What a simulation is made of.
#[derive(Clone, Debug)]
pub struct SimOptions {
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// Partitions of every topic.
    pub partitions: u32,
    /// The nodes of each placement; none of them twice. A node that is not here does not run.
    pub placements: Vec<Vec<&'static str>>,
    /// Processes of each placement at the beginning.
    pub processes: u32,
    /// How records get from node to node.
    pub hops: Hops,
    /// Sends every command twice, the second at once or later.
    pub duplicate_commands: bool,
    /// Sends some commands to a partition that is not their key's, as a client with another partitioner does.
    pub misroute_commands: bool,
    /// When processes die at a boundary of a commit.
    pub crash: Crash,
    /// How often each fault strikes, in parts of a million of the chances that it has.
    pub faults: BTreeMap<Fault, u32>,
    /// Other placements that [`Fault::Regroup`] may choose.
    pub groupings: Vec<Vec<Vec<&'static str>>>,
    /// Whether a process keeps the stores of tasks that others own ready.
    pub standby: bool,
    /// By how many records of its inputs a view may be behind to read with the others.
    pub views_wait: u64,
    /// Most records and most timers per task in one epoch.
    pub most: usize,
    /// From how many inputs on an epoch is made durable while the next one is computed.
    pub overlap_from: usize,
    /// The largest record that the log takes, in bytes: key, value and headers.
    pub largest: usize,
    /// The clock at the beginning.
    pub start: Timestamp,
    /// Whether the wall clock goes on by itself; where it does not, only [`crate::Simulation::advance`] moves it.
    pub ticking: bool,
}

impl SimOptions {
    /// One unfused process per placement, without faults.
    #[must_use]
    pub fn new(seed: u64, partitions: u32, placements: Vec<Vec<&'static str>>) -> Self {
        SimOptions {
            seed,
            partitions,
            placements,
            processes: 1,
            hops: Hops::Apart,
            duplicate_commands: false,
            misroute_commands: false,
            crash: Crash::Never,
            faults: BTreeMap::new(),
            groupings: Vec::new(),
            standby: false,
            views_wait: u64::MAX,
            most: 32,
            overlap_from: usize::MAX,
            largest: usize::MAX,
            start: Timestamp(tributary_flow::time::DAY),
            ticking: false,
        }
    }

    /// Two processes per placement, which in every other seed stand by for each other, a clock that goes, and every fault.
    #[must_use]
    pub fn stormy(seed: u64, partitions: u32, placements: Vec<Vec<&'static str>>) -> Self {
        SimOptions {
            processes: 2,
            hops: Hops::Foreseen,
            duplicate_commands: true,
            misroute_commands: true,
            faults: Fault::STORM.iter().copied().collect(),
            standby: seed.is_multiple_of(2),
            views_wait: [0, 100, u64::MAX][seed as usize % 3],
            most: 200,
            overlap_from: [1, 5, usize::MAX][(seed / 6) as usize % 3],
            ticking: true,
            ..SimOptions::new(seed, partitions, placements)
        }
    }
}
