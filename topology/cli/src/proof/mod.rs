//! The proof: no fault we can think of loses, doubles or unbalances a payment. A [`workload`] of everything that clients
//! do is played over a simulation in a storm of faults, and [`checkers`] watch the log and the stores as it goes and judge
//! them once all has come to rest. Its processes are of two [`versions`] at the same time, and so are its clients. All of it
//! follows from one seed.
//!
//! Two modes, one after the other. In *safety* faults go on, and nothing wrong may ever be seen. In *liveness* they stop,
//! and every command must reach its outcome within a bound.
//!
//! Deliberately absent: any knowledge of how the simulation works. It is given records and turns, and is asked for its log
//! and its stores.

pub mod checkers;
mod run;
pub mod versions;
pub mod workload;
mod world;

use tributary_sim::Simulation;

pub use run::{Run, Scenario, run, run_with};
pub use world::{CALM, World};

/// Something wrong was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The checker that saw it.
    pub checker: &'static str,
    /// What it saw.
    pub detail: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.checker, self.detail)
    }
}

/// Tasks that have stopped, which none ever should: bad input is a dead letter, and all else is a bug.
fn halted(simulation: &Simulation) -> impl Iterator<Item = Violation> {
    let halted = simulation.halted().into_iter();
    halted.map(|(node, partition, reason)| Violation {
        checker: "halted",
        detail: format!("{node}[{partition}]: {reason}"),
    })
}
