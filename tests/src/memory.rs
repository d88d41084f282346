//! The whole graph over a world in memory: the engine that every driver runs, without a driver.

use std::sync::Arc;

use tributary_cli::wiring::{self, Schemas};
pub use tributary_flow::testing::World;
use tributary_flow::{Commit, Engine, Input, Setup, Task, Timestamp};

/// Partitions of every topic.
pub const PARTITIONS: u32 = 2;

/// A day in 2026, when the golden data were not stale yet.
pub const NOW: Timestamp = Timestamp(1_790_000_000_000_000);

/// What the tasks share.
#[must_use]
pub fn setup() -> Setup {
    wiring::setup(PARTITIONS, Arc::new(Schemas::compiled()))
}

/// The tasks of every node.
#[must_use]
pub fn tasks() -> Vec<Box<dyn Task>> {
    let setup = setup();
    (0..PARTITIONS).flat_map(|partition| wiring::tasks(partition, &setup, &|_| true)).collect()
}

/// An empty world, and an engine that runs every node in it.
#[must_use]
pub fn beginning() -> (World, Engine) {
    (World::new(PARTITIONS), Engine::new(tasks()))
}

/// Runs an epoch of these inputs, or of the timers that are due where there are none, and leaves it at that.
///
/// # Errors
/// The epoch failed.
pub fn run(world: &World, engine: &mut Engine, now: Timestamp, inputs: &[Input]) -> Result<Commit, String> {
    let timers = if inputs.is_empty() { 1_000 } else { 0 };
    world.run(engine, now, timers, true, inputs).map_err(|failed| failed.0)
}

/// The same, and commits it.
///
/// # Errors
/// The epoch failed.
pub fn epoch(world: &mut World, engine: &mut Engine, now: Timestamp, inputs: &[Input]) -> Result<Commit, String> {
    let commit = run(world, engine, now, inputs)?;
    world.commit(&commit);
    Ok(commit)
}

/// The tasks that are halted, and why.
#[must_use]
pub fn halted(engine: &Engine) -> Vec<String> {
    let said = |(task, halted): (&dyn Task, Option<&str>)| {
        halted.map(|reason| format!("{}[{}]: {reason}", task.node().name, task.partition()))
    };
    engine.tasks().filter_map(said).collect()
}
