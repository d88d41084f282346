//! The simulator as a driver of scenarios. A node that is not to run stands behind a closed gate: whatever waits for it
//! waits in the log, and it catches up once the gate is opened.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, bail};
use tributary_cli::verify::States;
use tributary_cli::wiring::{self, Schemas};
use tributary_flow::task::{Counters, Input, Produced, Stop, TaskCommit};
use tributary_flow::{Log, Node, Store, Task, Timestamp, TopicRef};
use tributary_graph::NODES;
use tributary_sim::{SimOptions, Simulation};

use super::{Driver, Scenario};

/// A simulation under a scripted clock.
pub struct Simulated {
    name: String,
    simulation: Simulation,
    gates: Vec<(&'static str, Arc<AtomicBool>)>,
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
        let gates: Vec<_> = NODES.iter().map(|node| (node.name, Arc::new(AtomicBool::new(false)))).collect();
        let setup = wiring::setup(options.partitions, Arc::new(Schemas::compiled()));
        let closed = gates.clone();
        let make = move |partition| -> Vec<Box<dyn Task>> {
            let gated = wiring::tasks(partition, &setup, &|_| true).into_iter().map(|task| {
                let gate = closed.iter().find(|(name, _)| *name == task.node().name).map(|(_, gate)| gate.clone());
                Box::new(Gated { task, closed: gate.unwrap_or_default() }) as Box<dyn Task>
            });
            gated.collect()
        };
        let mut simulated = Simulated { name, simulation: Simulation::new(options, make), gates };
        simulated.close(&scenario.without);
        simulated
    }

    /// The simulation.
    #[must_use]
    pub fn simulation(&self) -> &Simulation {
        &self.simulation
    }

    fn close(&mut self, without: &[String]) {
        for (name, closed) in &self.gates {
            closed.store(without.iter().any(|wanted| wanted == name), Ordering::SeqCst);
        }
    }
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
        self.close(without);
        Ok(())
    }

    fn log(&self) -> &dyn Log {
        self.simulation.log()
    }

    fn states(&self) -> &dyn States {
        self
    }
}

impl States for Simulated {
    fn with_state(&self, node: &'static Node, partition: u32, read: &mut dyn FnMut(&dyn Store)) -> Result<bool> {
        let store = self.simulation.store(node.name, partition);
        if let Some(store) = store {
            read(store);
        }
        Ok(store.is_some())
    }
}

/// A task that does nothing while its gate is closed.
struct Gated {
    task: Box<dyn Task>,
    closed: Arc<AtomicBool>,
}

impl Gated {
    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }
}

impl Task for Gated {
    fn node(&self) -> &'static Node {
        self.task.node()
    }

    fn partition(&self) -> u32 {
        self.task.partition()
    }

    fn counters(&self) -> Counters {
        self.task.counters()
    }

    fn begin(&mut self, store: &dyn Store, wall: Timestamp) {
        self.task.begin(store, wall);
    }

    fn position(&mut self, store: &dyn Store, port: usize) -> u64 {
        // Behind a closed gate there is nothing to read.
        if self.is_closed() { u64::MAX } else { self.task.position(store, port) }
    }

    fn next_timer(&mut self, store: &dyn Store) -> Option<Timestamp> {
        if self.is_closed() { None } else { self.task.next_timer(store) }
    }

    fn fire(&mut self, store: &dyn Store, limit: u32, out: &mut Vec<Produced>) -> Result<(), Stop> {
        if self.is_closed() { Ok(()) } else { self.task.fire(store, limit, out) }
    }

    fn apply(&mut self, store: &dyn Store, port: usize, input: &Input, out: &mut Vec<Produced>) -> Result<(), Stop> {
        if self.is_closed() { Ok(()) } else { self.task.apply(store, port, input, out) }
    }

    fn finish(&mut self) -> Option<TaskCommit> {
        self.task.finish()
    }

    fn abort(&mut self) {
        self.task.abort();
    }
}
