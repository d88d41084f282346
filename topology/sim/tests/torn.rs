//! A broker tears a transaction. What a process can notice of that, it must; and nothing else may look like it.

mod storm;

use std::collections::BTreeMap;

use storm::torn::{Outcome, play};

/// `SEEDS` asks for more of them.
fn seeds() -> u64 {
    std::env::var("SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(400)
}

#[test]
fn a_torn_transaction_stops_whoever_has_a_changelog_that_its_journal_does_not_fit() {
    let mut ends = BTreeMap::<Outcome, u64>::new();
    for seed in 0..seeds() {
        let outcome = play(seed).unwrap_or_else(|broken| panic!("seed {seed}: {broken}"));
        *ends.entry(outcome).or_default() += 1;
    }
    let count = |outcome| ends.get(&outcome).copied().unwrap_or_default();
    let unnoticed = [Outcome::BetweenTasks, Outcome::BesideTasks, Outcome::FirstEpoch].map(count);
    assert!(unnoticed.iter().all(|count| *count > 0), "not every kind was met: {ends:?}");
    assert!(count(Outcome::Refused) > 2 * unnoticed.iter().sum::<u64>(), "most are noticed: {ends:?}");
}
