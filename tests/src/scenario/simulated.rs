//! The simulator as a driver of scenarios. A node that is not to run is in no process: whatever waits for it waits in the
//! log, and it catches up once it is in one.

use std::sync::Arc;

use anyhow::{Result, bail};
use tributary_cli::verify::States;
use tributary_cli::wiring::{self, Schemas};
use tributary_flow::{Log, Timestamp, TopicRef};
use tributary_graph::NODES;
use tributary_sim::{SimOptions, Simulation};

use super::{Driver, Scenario};

/// A simulation under a scripted clock.
pub struct Simulated {
    name: String,
    simulation: Simulation,
    placements: Vec<Vec<&'static str>>,
}

/// Every node in one process, as the embedded driver runs them.
#[must_use]
pub fn together() -> Vec<Vec<&'static str>> {
    vec![NODES.iter().map(|node| node.name).collect()]
}

/// Every node in a process of its own.
#[must_use]
pub fn apart() -> Vec<Vec<&'static str>> {
    NODES.iter().map(|node| vec![node.name]).collect()
}

impl Simulated {
    /// A simulation of the whole graph, for a scenario.
    #[must_use]
    pub fn new(options: SimOptions, scenario: &Scenario) -> Self {
        let name = format!("{options:?}");
        let setup = wiring::setup(options.partitions, Arc::new(Schemas::compiled()));
        let make = move |_, partition| wiring::tasks(partition, &setup, &|_| true);
        let placements = options.placements.clone();
        let options = SimOptions { placements: less(&placements, &scenario.without), ..options };
        Simulated { name, simulation: Simulation::new(options, make), placements }
    }

    /// The simulation.
    #[must_use]
    pub fn simulation(&self) -> &Simulation {
        &self.simulation
    }
}

/// The placements without some nodes.
fn less(placements: &[Vec<&'static str>], without: &[String]) -> Vec<Vec<&'static str>> {
    let runs = |node: &&'static str| !without.iter().any(|name| name == node);
    let placements = placements.iter().map(|nodes| nodes.iter().copied().filter(runs).collect::<Vec<_>>());
    placements.filter(|nodes| !nodes.is_empty()).collect()
}

impl Driver for Simulated {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn set_clock(&mut self, now: Timestamp) {
        self.simulation.advance((now.0 - self.simulation.now().0).max(0));
    }

    fn submit(&mut self, topic: TopicRef, key: &str, value: Vec<u8>) -> Result<()> {
        self.simulation.submit(topic, key, value);
        Ok(())
    }

    fn settle(&mut self) -> Result<()> {
        self.simulation.run_until_quiet()?;
        match self.simulation.halted().first() {
            Some((node, partition, reason)) => bail!("{node}[{partition}] halted: {reason}"),
            None => Ok(()),
        }
    }

    fn restart(&mut self, without: &[String]) -> Result<()> {
        self.simulation.place(less(&self.placements, without));
        Ok(())
    }

    fn log(&self) -> &dyn Log {
        self.simulation.log()
    }

    fn states(&self) -> &dyn States {
        &self.simulation
    }
}
