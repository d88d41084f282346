//! Every checker of the proof, shown something wrong: a checker that nobody has seen fail is no checker.

mod cases;

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Result, ensure};
use tributary_cli::proof::checkers::{self, Panel, Seen};
use tributary_cli::proof::versions::{self, Builds};
use tributary_cli::proof::workload::Sent;
use tributary_cli::proof::{CALM, Violation, World};
use tributary_graph::{NODES, account, transaction, transaction_view};
use tributary_sim::SimOptions;
use tributary_tests::altered::Altered;
use tributary_tests::scenario::simulated::together;
use tributary_tests::tampered::Tampered;

use cases::{CASES, LAWS, ORDINARY, WORLD, copy, forget};

const PARTITIONS: u32 = 2;

/// A world after so many payments, in the middle of everything.
fn storm(payments: u32) -> Result<World> {
    let builds = Builds::new(PARTITIONS, Arc::new(versions::schemas()));
    let options = SimOptions::stormy(3, PARTITIONS, together());
    let mut world = World::new(options, move |version, partition| builds.tasks(version, partition));
    while world.workload().sent().payments < payments {
        world.act()?;
    }
    Ok(world)
}

/// The same, with everything decided that was sent, and every deadline still to come.
fn lull() -> Result<World> {
    let mut world = storm(1_000)?;
    world.calm();
    ensure!(world.settle(0)?, "it comes to rest");
    Ok(world)
}

/// The same, come to rest.
fn rest() -> Result<World> {
    let mut world = lull()?;
    for passing in CALM {
        ensure!(world.settle(passing)?, "it comes to rest");
    }
    Ok(world)
}

/// What the checkers of this name find at rest.
fn judge(name: Option<&str>, seen: &Seen<'_>) -> Vec<Violation> {
    panel(name, seen, 1).rest(seen)
}

fn panel(name: Option<&str>, seen: &Seen<'_>, seed: u64) -> Panel {
    let mut wanted = checkers::all(PARTITIONS);
    wanted.retain(|checker| name.is_none_or(|name| name == checker.name()));
    Panel::new(wanted, seed, PARTITIONS, seen.registry)
}

#[test]
fn every_checker_is_seen_to_fail() -> Result<()> {
    let world = rest()?;
    let clean = judge(None, &world.seen());
    ensure!(clean.is_empty(), "{clean:?}");
    let (mut seen, mut unseen) = (BTreeSet::new(), Vec::new());
    let cases = CASES.iter().map(|(checker, tamper)| (*checker, "", *tamper)).chain(LAWS.iter().copied());
    for (number, (checker, words, tamper)) in cases.enumerate() {
        let (mut log, mut states) = (Tampered::new(world.seen().log), Altered::new(world.seen().states));
        tamper(&mut log, &mut states);
        let found = judge(Some(checker), &Seen { log: &log, states: &states, ..world.seen() });
        let wanted = |violation: &&Violation| violation.checker == checker && violation.detail.contains(words);
        match found.iter().find(wanted) {
            Some(violation) => {
                eprintln!("{violation}");
                seen.insert(checker);
            }
            None => unseen.push(format!("case {number}: {checker} finds nothing, but {found:?}")),
        }
    }
    ensure!(unseen.is_empty(), "{}", unseen.join("\n"));
    let all = checkers::all(PARTITIONS);
    let never: Vec<_> = all.iter().map(|checker| checker.name()).filter(|name| !seen.contains(name)).collect();
    ensure!(never.is_empty(), "checkers that no case shows anything: {never:?}");
    Ok(())
}

/// What a checker finds before the end, at one of a hundred looks.
fn looked(world: &World, checker: &str, tamper: impl Fn(&mut Altered<'_>)) -> Vec<Violation> {
    let mut states = Altered::new(world.seen().states);
    tamper(&mut states);
    let seen = Seen { states: &states, ..world.seen() };
    let mut panel = panel(Some(checker), &seen, 1);
    (0..100).flat_map(|_| panel.look(&seen)).collect()
}

#[test]
fn what_is_wrong_in_a_store_is_seen_before_the_end() -> Result<()> {
    let world = lull()?;
    type Alter<'a> = &'a dyn Fn(&mut Altered<'_>);
    let cases: [(&str, Alter<'_>); 5] = [
        // Timers of keys begin with an `n`.
        ("waits", &|states| {
            (0..PARTITIONS).for_each(|at| states.rows(&transaction::NODE, at).retain(|key, _| key[0] != b'n'));
        }),
        ("floors", &|states| copy(states, &account::NODE, WORLD, ORDINARY)),
        // Open legs are the rows in collection 1.
        ("holds", &|states| forget(states, &account::NODE, b"\0\x01t-")),
        ("read your writes", &|states| forget(states, &transaction_view::NODE, b"c-9\0")),
        ("committed", &|states| {
            for node in NODES {
                // What tells the epoch is left as it is, for by it the state is compared.
                let rows = states.rows(node, 0).iter_mut().filter(|(key, _)| !key.starts_with(b"m"));
                rows.for_each(|(_, value)| value.push(0));
            }
        }),
    ];
    for (checker, tamper) in cases {
        let clean = looked(&world, checker, |_| {});
        ensure!(clean.is_empty(), "{clean:?}");
        let found = looked(&world, checker, tamper);
        ensure!(!found.is_empty(), "{checker} finds nothing");
        eprintln!("{}", found[0]);
    }
    Ok(())
}

#[test]
fn what_nobody_sent_is_nobodys_outcome() -> Result<()> {
    let world = rest()?;
    let nothing = Sent::default();
    let found = judge(Some("outcomes"), &Seen { sent: &nothing, ..world.seen() });
    ensure!(found.iter().any(|violation| violation.detail.contains("which nobody sent")), "{found:?}");
    Ok(())
}

#[test]
fn what_is_still_open_is_told_at_rest() -> Result<()> {
    let world = lull()?;
    let found = judge(Some("holds"), &world.seen());
    for words in ["after every deadline", "never ended"] {
        ensure!(found.iter().any(|violation| violation.detail.contains(words)), "{words}: {found:?}");
    }
    let storm = storm(250)?;
    let found = judge(Some("outcomes"), &storm.seen());
    ensure!(found.iter().any(|violation| violation.detail.contains("was never decided")), "{found:?}");
    Ok(())
}
