//! A simulation with a workload: what clients do and what the system makes of it, without anybody who judges.

use std::sync::Arc;

use anyhow::Result;
use tributary_flow::time::SECOND;
use tributary_flow::{Node, Registry, Store, Task};
use tributary_sim::{SimError, SimOptions, Simulation, Version};

use super::checkers::Seen;
use super::versions;
use super::workload::{Act, LONGEST, Workload};
use crate::verify::States;

/// Turns in which the calm must come to rest, for each record that was sent: mostly it takes a few for each.
const PATIENCE: u64 = 40;

/// The times that go by in the calm. First none, in which all that was sent is decided; then every deadline passes, and
/// whatever waited for one ends.
pub const CALM: [i64; 4] = [0, 30 * SECOND, LONGEST, LONGEST];

/// Makes the tasks of every node in a partition, as a version has them.
pub trait Make: Fn(Version, u32) -> Vec<Box<dyn Task>> + 'static {}

impl<F: Fn(Version, u32) -> Vec<Box<dyn Task>> + 'static> Make for F {}

/// A world under way.
pub struct World {
    simulation: Simulation,
    workload: Workload,
    registry: Arc<dyn Registry>,
    turns: u64,
    /// Turns until the calm.
    storm: Option<u64>,
}

impl World {
    /// At its beginning. The options' seed is the workload's too.
    #[must_use]
    pub fn new(options: SimOptions, make: impl Make) -> Self {
        let registry: Arc<dyn Registry> = Arc::new(versions::schemas());
        let workload = Workload::new(options.seed, options.partitions, registry.clone());
        World { simulation: Simulation::new(options, make), workload, registry, turns: 0, storm: None }
    }

    /// The simulation.
    #[must_use]
    pub fn simulation(&self) -> &Simulation {
        &self.simulation
    }

    /// What was sent.
    #[must_use]
    pub fn workload(&self) -> &Workload {
        &self.workload
    }

    /// Turns so far.
    #[must_use]
    pub fn turns(&self) -> u64 {
        self.turns
    }

    /// Turns that the calm has taken.
    #[must_use]
    pub fn calm_turns(&self) -> u64 {
        self.turns - self.storm.unwrap_or(self.turns)
    }

    /// What can be seen of it from outside.
    #[must_use]
    pub fn seen(&self) -> Seen<'_> {
        Seen {
            log: self.simulation.log(),
            states: &self.simulation,
            sent: self.workload.sent(),
            registry: &self.registry,
        }
    }

    /// The next act of the workload.
    ///
    /// # Errors
    /// The simulation cannot go on.
    pub fn act(&mut self) -> Result<(), SimError> {
        let act = self.workload.act(self.simulation.now());
        match &act {
            Act::Send { topic, key, value } => {
                let place = self.simulation.submit(topic, key, value.clone());
                self.workload.written(&act, place);
            }
            Act::Write { topic, partition, record: (key, value), .. } => {
                let place = self.simulation.produce(topic, *partition, key.clone(), value.clone());
                self.workload.written(&act, place);
            }
            Act::Pass(micros) => self.simulation.advance(*micros),
            Act::Run(turns) => drop(self.run(u64::from(*turns))?),
        }
        Ok(())
    }

    /// So many turns, fewer where nothing is left to do; whether nothing is.
    fn run(&mut self, most: u64) -> Result<bool, SimError> {
        for _ in 0..most {
            self.turns += 1;
            if !self.simulation.turn()? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Faults stop.
    pub fn calm(&mut self) {
        self.storm.get_or_insert(self.turns);
        self.simulation.calm();
    }

    /// So much time goes by, and what it brings about is done. False where there is no end to it.
    ///
    /// # Errors
    /// The simulation cannot go on.
    pub fn settle(&mut self, passing: i64) -> Result<bool, SimError> {
        self.simulation.advance(passing);
        let most = 10_000 + PATIENCE * self.workload.sent().records;
        self.run(most)
    }
}

impl States for Simulation {
    fn with_state(&self, node: &'static Node, partition: u32, read: &mut dyn FnMut(&dyn Store)) -> Result<bool> {
        let store = self.store(node.name, partition);
        if let Some(store) = store {
            read(store);
        }
        Ok(store.is_some())
    }

    fn reached(&self, node: &'static Node, partition: u32, topic: &str) -> u64 {
        Simulation::reached(self, node.name, partition, topic)
    }
}
