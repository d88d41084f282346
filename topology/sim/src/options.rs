//! What a simulation is made of: processes, how records get from one to the next, and which faults there are.

use tributary_flow::Timestamp;

use crate::commit::Crash;

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

/// What a simulation is made of.
#[derive(Clone, Debug)]
pub struct SimOptions {
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// Partitions of every topic.
    pub partitions: u32,
    /// The nodes of each process; none of them twice. A node that is not here does not run.
    pub placements: Vec<Vec<&'static str>>,
    /// How records get from node to node.
    pub hops: Hops,
    /// Somebody else writes to the topics of facts now and then, in transactions that come to nothing: no offset is certain.
    pub strangers: bool,
    /// Sends every command twice, the second at once or later.
    pub duplicate_commands: bool,
    /// Sends some commands to a partition that is not their key's, as a client with another partitioner does.
    pub misroute_commands: bool,
    /// When processes die.
    pub crash: Crash,
    /// Most records per partition and most timers per task in one epoch.
    pub most: usize,
    /// The clock at the beginning.
    pub start: Timestamp,
}

impl SimOptions {
    /// One unfused process per placement, without faults.
    #[must_use]
    pub fn new(seed: u64, partitions: u32, placements: Vec<Vec<&'static str>>) -> Self {
        SimOptions {
            seed,
            partitions,
            placements,
            hops: Hops::Apart,
            strangers: false,
            duplicate_commands: false,
            misroute_commands: false,
            crash: Crash::Never,
            most: 8,
            start: Timestamp(tributary_flow::time::DAY),
        }
    }
}
