//! The toy graph in a storm, and the laws it must keep: what a seed plays, and who judges it.

#![allow(dead_code, reason = "each test uses its part")]

#[path = "../../../embedded/tests/toy/mod.rs"]
pub mod toy;

pub mod audit;
pub mod laws;
mod scenes;
pub mod torn;
mod workload;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use toy::PAID;
use tributary_flow::Log;
use tributary_flow::log::{LogError, visit};
use tributary_sim::{SimError, Simulation, TaskAt};

use laws::LAWS;

/// A law was broken.
#[derive(Clone, Debug)]
pub struct Broken {
    pub law: &'static str,
    pub detail: String,
}

impl From<SimError> for Broken {
    fn from(error: SimError) -> Self {
        let law = match error {
            SimError::Stopped { .. } => "nothing stops",
            SimError::Restless { .. } => "nothing is stuck",
        };
        Broken { law, detail: error.to_string() }
    }
}

/// A store as queries met it.
pub struct Met {
    pub at: TaskAt,
    /// Its epoch; a view has none.
    pub epoch: u64,
    /// How far a view had read its inputs.
    pub read: Vec<u64>,
    /// Of all of it.
    pub digest: [u8; 32],
}

/// A storm that is over.
pub struct Played {
    pub simulation: Simulation,
    /// Stores as queries met them under way.
    pub met: Vec<Met>,
    /// Whether the changelogs were compacted, and do not tell what stores once were.
    pub compacted: bool,
}

/// Balances, how often each command was answered, and how many answers were counted.
pub type End = (BTreeMap<String, i64>, BTreeMap<String, u64>, u64);

/// What a simulation has come to.
pub fn end(simulation: &Simulation) -> End {
    let (mut balances, mut answers, mut counted) = (BTreeMap::new(), BTreeMap::new(), 0);
    for partition in 0..simulation.log().partitions() {
        balances.extend(toy::balances(simulation.store("wallet", partition).unwrap()));
        counted += toy::counted(simulation.store("tally", partition).unwrap());
        visit::<LogError>(simulation.log(), PAID.name, partition, |record| {
            *answers.entry(toy::answered(&record.value.unwrap())).or_default() += 1;
            Ok(())
        })
        .unwrap();
    }
    (balances, answers, counted)
}

/// Plays a seed and judges it by every law.
pub fn judge(seed: u64) -> Result<Played, Broken> {
    let judged = catch_unwind(AssertUnwindSafe(|| {
        let played = workload::play(seed)?;
        for (law, holds) in LAWS {
            holds(&played).map_err(|detail| Broken { law, detail })?;
        }
        Ok(played)
    }));
    judged.unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        Err(Broken { law: "nothing panics", detail: words.unwrap_or("no words").to_owned() })
    })
}
