//! The proof as a whole: the workload asks for everything, a seed repeats itself, a shorter workload is a prefix of a
//! longer one, and a build that is broken on purpose is caught, by a checker that says what is wrong.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Result, ensure};
use tributary_cli::proof::versions::{self, Builds};
use tributary_cli::proof::workload::{Act, Workload};
use tributary_cli::proof::{Run, Scenario, run, run_with};
use tributary_cli::wiring::Schemas;
use tributary_flow::task::{Input, Produced, Stop, TaskCommit};
use tributary_flow::{Around, InMemory, Store, Task, Timestamp};

fn scenario(seed: u64, payments: u32) -> Scenario {
    Scenario { seed, payments, partitions: None }
}

/// What must have become of something in a few thousand payments.
const KINDS: [&str; 26] = [
    "conflict",
    "dead letter",
    "other command accepted",
    "other command refused: not_found",
    "other command refused: privileged_command",
    "other command refused: stale_command",
    "other command refused: wrong_status",
    "part of a payment posted",
    "payment cancelled: cancelled",
    "payment cancelled: voided",
    "payment completed",
    "payment expired: hold_expired",
    "payment expired: review_expired",
    "payment failed: account_frozen",
    "payment failed: daily_limit",
    "payment failed: insufficient_funds",
    "payment failed: party_blocked",
    "payment failed: review_declined",
    "payment failed: unknown_account",
    "payment failed: voting_deadline",
    "payment failed: wrong_currency",
    "payment refused: same_account_both_sides",
    "payment refused: too_few_legs",
    "payment refused: unbalanced",
    "payment refused: unknown_system_account",
    "payment refused: zero_or_negative_amount",
];

#[test]
fn every_placement_stands_the_storm_and_everything_happens() -> Result<()> {
    let (mut outcomes, mut payments) = (BTreeMap::new(), 0);
    for seed in 1..=4 {
        let run = run(&scenario(seed, 700));
        ensure!(run.violations.is_empty(), "seed {seed}: {:?}", run.violations);
        ensure!(!run.faults.is_empty() && run.faults.values().all(|count| count.injected > 0), "{:?}", run.faults);
        payments += run.payments;
        for (kind, many) in run.outcomes {
            *outcomes.entry(kind).or_insert(0) += many;
        }
    }
    let missing: Vec<_> = KINDS.into_iter().filter(|kind| !outcomes.contains_key(*kind)).collect();
    ensure!(missing.is_empty(), "{missing:?} of {outcomes:#?}");
    let of_payments = outcomes.iter().filter(|(kind, _)| kind.starts_with("payment "));
    let ended: u64 = of_payments.map(|(_, many)| many).sum();
    ensure!(ended == u64::from(payments), "{ended} ends of {payments} payments");
    // Of the others many are late, for a system that is down for seconds lets the votes' deadline pass.
    ensure!(outcomes["payment completed"] * 3 > u64::from(payments), "{outcomes:#?}");
    Ok(())
}

#[test]
fn the_same_seed_gives_the_same_log_and_another_seed_another() {
    let hashes = [7, 7, 8].map(|seed| run(&scenario(seed, 120)).hash);
    assert_eq!(hashes[0], hashes[1]);
    assert_ne!(hashes[0], hashes[2]);
}

#[test]
fn a_shorter_workload_is_a_prefix_of_a_longer_one() {
    let acts = |payments| {
        let mut workload = Workload::new(3, 2, Arc::new(Schemas::compiled()));
        let mut acts: Vec<String> = Vec::new();
        while !workload.has_sent(payments) {
            let act: Act = workload.act(Timestamp(acts.len() as i64));
            acts.push(format!("{act:?}"));
        }
        acts
    };
    let (short, long) = (acts(60), acts(200));
    assert!(short.len() < long.len());
    assert_eq!(short[..], long[..short.len()]);
}

#[test]
fn what_a_prefix_counts_as_sent_was_sent() {
    // Each of the first payments funds an account that the same step opens.
    for payments in 1..=4 {
        let run = run(&scenario(113, payments));
        assert!(run.violations.is_empty(), "{payments} payments: {:?}", run.violations);
    }
}

/// What is wrong with a build.
#[derive(Clone, Copy, Debug)]
enum Flaw {
    /// Now and then the last record of a step is never written.
    Loses,
    /// Now and then a record is written twice.
    Doubles,
    /// Now and then what it decides is written, and what it remembers of it is not.
    Forgets,
    /// It decides by another clock than the one it was given.
    Clock,
    /// It stops where it should refuse.
    Panics,
    /// It reads nothing.
    Sleeps,
    /// It says that it has something to do, for ever.
    Spins,
}

/// A task of a broken build.
struct Broken {
    task: Box<dyn Task>,
    flaw: Flaw,
    epochs: u64,
}

impl Around for Broken {
    fn inner(&self) -> &dyn Task {
        self.task.as_ref()
    }

    fn inner_mut(&mut self) -> &mut dyn Task {
        self.task.as_mut()
    }

    fn begin(&mut self, store: &dyn Store, wall: Timestamp) {
        self.task.begin(store, if matches!(self.flaw, Flaw::Clock) { wall.plus(1) } else { wall });
    }

    fn next_timer(&mut self, store: &dyn Store) -> Option<Timestamp> {
        if matches!(self.flaw, Flaw::Spins) { Some(Timestamp(0)) } else { self.task.next_timer(store) }
    }

    fn apply(
        &mut self,
        store: &dyn Store,
        port: usize,
        input: &Input,
        memory: Option<&InMemory>,
        out: &mut Vec<Produced>,
    ) -> Result<(), Stop> {
        if matches!(self.flaw, Flaw::Sleeps) {
            return Ok(());
        }
        let before = out.len();
        self.task.apply(store, port, input, memory, out)?;
        // By the record, so that it goes wrong again each time that it is applied again.
        if input.offset % 40 == 13 && out.len() > before {
            match self.flaw {
                Flaw::Loses => drop(out.pop()),
                Flaw::Doubles => out.extend(out.last().cloned()),
                Flaw::Panics => panic!("it was written so"),
                _ => {}
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Option<TaskCommit> {
        let mut commit = self.task.finish()?;
        self.epochs += 1;
        if matches!(self.flaw, Flaw::Forgets) && self.epochs % 7 == 3 {
            // Rows of heads begin with an `h`.
            commit.changes.retain(|(key, _)| key.first() != Some(&b'h'));
        }
        Some(commit)
    }
}

/// The checkers that catch a flaw in a node.
fn caught(node: &'static str, flaw: Flaw) -> Vec<&'static str> {
    let scenario = scenario(6, 400);
    let builds = Builds::new(scenario.partitions(), Arc::new(versions::schemas()));
    let Run { violations, payments, .. } = run_with(&scenario, move |version, partition| {
        let tasks = builds.tasks(version, partition).into_iter();
        let broken = |task: Box<dyn Task>| -> Box<dyn Task> {
            if task.node().name == node { Box::new(Broken { task, flaw, epochs: 0 }) } else { task }
        };
        tasks.map(broken).collect()
    });
    let told: Vec<_> = violations.iter().take(3).map(ToString::to_string).collect();
    eprintln!("{node} {flaw:?}, after {payments} payments: {}", told.join("\n  "));
    violations.iter().map(|violation| violation.checker).collect()
}

#[test]
fn a_broken_build_is_caught_by_a_checker_that_says_why() -> Result<()> {
    let cases: &[(&str, Flaw, &[&str])] = &[
        ("account", Flaw::Loses, &["chain", "conservation", "outcomes", "holds"]),
        ("account", Flaw::Doubles, &["chain", "conservation", "outcomes", "holds"]),
        ("account", Flaw::Forgets, &["chain", "floors", "holds", "halted"]),
        ("account", Flaw::Panics, &["halted"]),
        ("account-view", Flaw::Forgets, &["views", "recount", "read your writes", "halted"]),
        ("transaction", Flaw::Loses, &["outcomes", "holds", "conservation"]),
        ("transaction", Flaw::Doubles, &["outcomes", "conservation", "halted", "chain"]),
        ("transaction", Flaw::Sleeps, &["outcomes", "progress"]),
        ("transaction", Flaw::Spins, &["progress"]),
        ("ledger", Flaw::Loses, &["laws", "recount", "replay"]),
        ("risk", Flaw::Loses, &["outcomes", "replay"]),
    ];
    let mut wrong = Vec::new();
    for (node, flaw, by) in cases {
        let found = caught(node, *flaw);
        if !found.iter().any(|checker| by.contains(checker)) {
            wrong.push(format!("{node} {flaw:?} is caught by {found:?} and not by one of {by:?}"));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn a_clock_of_its_own_does_not_matter_for_the_journal_tells_it() {
    assert!(caught("transaction", Flaw::Clock).is_empty());
}
