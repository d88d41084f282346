//! A play of its own in which a transaction is torn, which no storm has: it breaks laws that nothing above a log can keep. What
//! can be kept is that whoever takes a task over whose changelog has the epoch and whose journal has not, or the other way
//! round, stops and says so; and nobody else does.

use tributary_flow::{JournalEntry, Log as _, Node};
use tributary_sim::{Fault, SimError, SimOptions, Simulation, Torn};

use super::Played;
use super::toy::{self, ORDERS};
use super::workload::{NODES, draw, tasks};

/// Of a million commits so many would be torn, were there more than one.
const RATE: u32 = 40_000;
/// Orders, and turns between two of them.
const ORDERED: u64 = 14;
const TURNS: u32 = 120;

/// How a play ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// No transaction was torn, and all came to its end.
    Whole,
    /// A changelog and its journal do not fit, and a process has stopped over it.
    Refused,
    /// Of each task both were committed or neither: tasks do not fit each other.
    BetweenTasks,
    /// The epochs of all tasks were committed, or of none: what they wrote to other topics does not fit them.
    BesideTasks,
    /// Of a task's first epoch the changelog was committed alone: its journal has no entry, and may be a new one.
    FirstEpoch,
}

/// Law: as [`play`] has it, for some seeds.
pub fn a_torn_transaction_is_noticed(played: &Played) -> Result<(), String> {
    let seed = played.simulation.seed();
    if seed % 8 == 6 { play(seed).map(drop) } else { Ok(()) }
}

/// Plays a seed in which a transaction may be torn.
pub fn play(seed: u64) -> Result<Outcome, String> {
    let placements = if draw(seed, 3).is_multiple_of(4) {
        NODES.iter().map(|node| vec![*node]).collect()
    } else {
        vec![NODES.to_vec()]
    };
    let stormy = SimOptions::stormy(seed, 3, placements);
    let faults = stormy.faults.clone().into_iter().chain([(Fault::TornCommit, RATE)]).collect();
    let mut simulation = Simulation::new(SimOptions { faults, ..stormy }, |_, partition| tasks(partition, 3, true));
    let ended = run(&mut simulation);
    let Some(torn) = simulation.log().torn() else {
        return ended.map(|()| Outcome::Whole).map_err(|error| error.to_string());
    };
    let all: Vec<Half> = halves(torn).collect();
    let (apart, alike): (Vec<&Half>, Vec<&Half>) = all.iter().partition(|half| half.changelog != half.journal);
    let same = all.iter().all(|half| half.changelog == all[0].changelog);
    match ended {
        Err(SimError::Stopped { reason, .. }) if apart.iter().any(|half| half.is_named(&reason)) => {
            Ok(Outcome::Refused)
        }
        Ok(()) if apart.is_empty() => Ok(if same { Outcome::BesideTasks } else { Outcome::BetweenTasks }),
        Ok(()) if apart.iter().all(|half| half.is_first(&simulation)) => Ok(Outcome::FirstEpoch),
        ended => Err(format!("{ended:?}, and torn were {apart:?} beside {alike:?}")),
    }
}

fn run(simulation: &mut Simulation) -> Result<(), SimError> {
    for n in 0..ORDERED {
        let (from, to) = (format!("w{}", n % 5), format!("w{}", n % 7));
        let verb = if n % 4 == 3 { "later" } else { "pay" };
        simulation.submit(&ORDERS, &from, toy::order(&format!("c{n}"), verb, &from, &to, n + 1));
        for _ in 0..TURNS {
            simulation.turn()?;
        }
    }
    simulation.calm();
    simulation.run_until_quiet()
}

/// A task of a torn transaction, and which of its two topics have its epoch.
#[derive(Debug)]
struct Half {
    node: &'static Node,
    partition: u32,
    changelog: bool,
    journal: bool,
}

fn halves(torn: &Torn) -> impl Iterator<Item = Half> {
    let nodes = tasks(0, 3, true).into_iter().map(|task| task.node()).filter(|node| !node.is_view());
    let nodes: Vec<&'static Node> = nodes.collect();
    let all = nodes.into_iter().flat_map(|node| (0..3).map(move |partition| (node, partition)));
    all.filter_map(|(node, partition)| {
        let (changelog, journal) = ((node.changelog(), partition), (node.journal(), partition));
        let wrote = torn.committed.contains(&changelog) || torn.left.contains(&changelog);
        let committed = |at| torn.committed.contains(at);
        wrote.then(|| Half { node, partition, changelog: committed(&changelog), journal: committed(&journal) })
    })
}

impl Half {
    /// Whether a process has stopped for this task, and says what an operator has to know.
    fn is_named(&self, reason: &str) -> bool {
        let topics = [self.node.changelog(), self.node.journal()].map(|topic| format!("{topic}[{}]", self.partition));
        let told = ["committed in one of them and not in the other", "`tributary verify`", "docs/guarantees.md"];
        topics.iter().map(String::as_str).chain(told).all(|words| reason.contains(words))
    }

    /// Whether its journal lacks the task's first epoch.
    fn is_first(&self, simulation: &Simulation) -> bool {
        let first = simulation.log().read(&self.node.journal(), self.partition, 0, 1).unwrap().pop();
        let entry = first.and_then(|record| JournalEntry::decode(&record.value?, self.node));
        self.changelog && entry.is_none_or(|entry| entry.epoch > 1)
    }
}
