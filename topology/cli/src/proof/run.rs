//! One seed from beginning to end: the workload in the storm, the calm after it, and the judgement.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tributary_flow::Node;
use tributary_flow::time::DAY;
use tributary_graph::NODES;
use tributary_sim::{Count, SimError, SimOptions};

use super::checkers::{self, Panel, Seen};
use super::versions::{self, Builds};
use super::world::{CALM, Make, World};
use super::{Violation, halted};
use crate::load::plan::Draw;

/// What is run: it and the build decide everything that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// The seed of the workload, of the faults and of what is looked at.
    pub seed: u64,
    /// Payments until the calm.
    pub payments: u32,
    /// Partitions of every topic; where absent the seed decides, 1 to 4.
    pub partitions: Option<u32>,
}

impl Scenario {
    /// Partitions of every topic.
    #[must_use]
    pub fn partitions(&self) -> u32 {
        // The lowest bits decide about placements.
        self.partitions.unwrap_or(1 + (self.seed / 4 % 4) as u32)
    }
}

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// Payments sent.
    pub payments: u32,
    /// Commands sent, copies not counted.
    pub commands: u64,
    /// Turns of the simulation.
    pub turns: u64,
    /// Turns of them that the calm took.
    pub calm: u64,
    /// Faults, by kind.
    pub faults: BTreeMap<&'static str, Count>,
    /// What became of commands and transactions, by kind.
    pub outcomes: BTreeMap<String, u64>,
    /// Digest of the whole committed log.
    pub hash: [u8; 32],
    /// What was wrong; nothing more was done once it was seen.
    pub violations: Vec<Violation>,
    /// Time of the processor that the simulation took.
    pub simulating: Duration,
    /// Time of the processor that the checkers took.
    pub checking: Duration,
}

/// The panel looks at the stores once in so many acts.
const LOOK: u64 = 48;

/// Runs a scenario over the graph as this build has it, and a newer one.
#[must_use]
pub fn run(scenario: &Scenario) -> Run {
    let builds = Builds::new(scenario.partitions(), Arc::new(versions::schemas()));
    run_with(scenario, move |version, partition| builds.tasks(version, partition))
}

/// Runs a scenario over tasks of the caller's own: a build that is broken on purpose must be caught.
#[must_use]
pub fn run_with(scenario: &Scenario, make: impl Make) -> Run {
    let mut storm = Storm::new(scenario, make);
    // A panic outside of a task is one of the simulation or of a checker: it is told with the seed like any other.
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| storm.weather())) {
        let words = panic.downcast_ref::<String>().map(String::as_str);
        let words = words.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no words");
        storm.run.violations.push(Violation { checker: "panic", detail: words.to_owned() });
    }
    storm.finish()
}

/// Which nodes share a process: all of them, none, the guards apart from the views, or by what they are keyed.
fn placements() -> [Vec<Vec<&'static str>>; 4] {
    let names = |wanted: &dyn Fn(&Node) -> bool| {
        NODES.iter().filter(|node| wanted(node)).map(|node| node.name).collect::<Vec<_>>()
    };
    let halves = |one: &dyn Fn(&Node) -> bool| vec![names(one), names(&|node| !one(node))];
    let alone = NODES.iter().map(|node| vec![node.name]).collect();
    [vec![names(&|_| true)], alone, halves(&Node::is_view), halves(&|node| node.key == "account")]
}

/// Every fault there is. The seed decides how the nodes are placed at first; the storm may place them anew. It also decides the
/// hour and the day of a month, so that a night or the end of the month is near in some seeds.
fn options(scenario: &Scenario) -> SimOptions {
    let groupings = placements();
    let first = groupings[(scenario.seed % 4) as usize].clone();
    let stormy = SimOptions::stormy(scenario.seed, scenario.partitions(), first);
    let since = Draw::new(scenario.seed ^ 0x6d6f_6e74_6873).below(31 * DAY as u64) as i64;
    SimOptions { groupings: groupings.to_vec(), start: stormy.start.plus(since), ..stormy }
}

/// Time of the processor that this thread has taken: what a seed costs, whoever else is at work.
fn clock() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// A run under way.
struct Storm {
    payments: u32,
    world: World,
    panel: Panel,
    /// When the panel looks.
    draw: Draw,
    run: Run,
}

impl Storm {
    fn new(scenario: &Scenario, make: impl Make) -> Self {
        let Scenario { seed, payments, .. } = *scenario;
        let partitions = scenario.partitions();
        let world = World::new(options(scenario), make);
        let panel = Panel::new(checkers::all(partitions), seed, partitions, world.seen().registry);
        Storm { payments, world, panel, draw: Draw::new(seed ^ 0x6c6f_6f6b), run: Run::default() }
    }

    fn weather(&mut self) {
        while self.run.violations.is_empty() && !self.world.workload().has_sent(self.payments) {
            self.simulate(World::act);
            if self.draw.below(LOOK) == 0 {
                self.judge(Panel::look);
            }
        }
        self.world.calm();
        for passing in CALM {
            if !self.run.violations.is_empty() {
                return;
            }
            if self.simulate(|world| world.settle(passing)) == Some(false) {
                let detail = "without a fault, it goes on and on and never comes to rest".to_owned();
                self.run.violations.push(Violation { checker: "progress", detail });
            }
            // Before more time goes by and old changes of state are thinned out.
            self.judge(Panel::look);
        }
        if self.run.violations.is_empty() {
            self.judge(Panel::rest);
        }
    }

    fn simulate<T>(&mut self, how: impl FnOnce(&mut World) -> Result<T, SimError>) -> Option<T> {
        let since = clock();
        let done = how(&mut self.world);
        self.run.simulating += clock().saturating_sub(since);
        match done {
            Ok(done) => Some(done),
            Err(error) => {
                self.run.violations.push(Violation { checker: "simulation", detail: error.to_string() });
                None
            }
        }
    }

    fn judge(&mut self, how: impl FnOnce(&mut Panel, &Seen<'_>) -> Vec<Violation>) {
        let since = clock();
        self.run.violations.extend(halted(self.world.simulation()));
        self.run.violations.extend(how(&mut self.panel, &self.world.seen()));
        self.run.checking += clock().saturating_sub(since);
    }

    fn finish(self) -> Run {
        let (simulation, sent) = (self.world.simulation(), self.world.workload().sent());
        Run {
            payments: sent.payments,
            commands: sent.commands() as u64,
            turns: self.world.turns(),
            calm: self.world.calm_turns(),
            faults: simulation.faults().clone(),
            outcomes: self.panel.outcomes().clone(),
            hash: simulation.log_hash(),
            ..self.run
        }
    }
}
