//! What tests see of a simulation's stores.

use tributary_slot::TaskAt;

use crate::Simulation;
use crate::disk::TaskStore;

impl Simulation {
    /// Every store of every process, up or down, whether it owns the task or not.
    pub fn stores(&self) -> impl Iterator<Item = (TaskAt, &TaskStore)> {
        self.processes.iter().flat_map(|process| process.disks.iter())
    }

    /// The stores that queries may read now: those of tasks that run.
    pub fn readable(&self) -> impl Iterator<Item = (TaskAt, &TaskStore)> {
        self.processes.iter().flat_map(|process| {
            let owned = process.running.as_ref().map(|running| running.local.owned.borrow().clone());
            let owned = owned.unwrap_or_default();
            process.disks.iter().filter(move |(at, _)| owned.contains(at))
        })
    }
}
