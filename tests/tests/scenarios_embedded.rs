//! Every scenario on the embedded engine. `SCENARIO=part-of-a-name` plays those files only.

use anyhow::{Result, ensure};
use tributary_tests::scenario::live::Live;
use tributary_tests::scenario::{Order, Outcome, Scenario, play};

fn embedded(scenario: &Scenario, partitions: u32, order: Order) -> Result<Outcome> {
    let folder = tempfile::tempdir()?;
    play(scenario, &mut Live::embedded(folder.path(), partitions, &scenario.without)?, order)
}

/// Plays every file, and tells of all that fail, not of the first alone.
fn each(mut with: impl FnMut(&Scenario) -> Result<()>) -> Result<()> {
    let mut failed = Vec::new();
    for scenario in Scenario::all()? {
        if let Err(error) = with(&scenario) {
            failed.push(format!("{error:#}"));
        }
    }
    ensure!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
    Ok(())
}

#[test]
fn every_scenario_ends_as_it_says_on_one_and_on_three_partitions() -> Result<()> {
    each(|scenario| {
        let one = embedded(scenario, 1, Order::Determined)?;
        let three = embedded(scenario, 3, Order::Determined)?;
        ensure!(
            one.ledger == three.ledger,
            "{}: another ledger on 3 partitions than on 1:\n{:?}\n{:?}",
            scenario.file(),
            one.ledger,
            three.ledger
        );
        Ok(())
    })
}

#[test]
fn what_is_sent_at_once_ends_in_the_same_canonical_ledger() -> Result<()> {
    each(|scenario| {
        if !scenario.concurrent {
            return Ok(());
        }
        let determined = embedded(scenario, 1, Order::Determined)?.ledger.canonical();
        for partitions in [1, 3] {
            let at_once = embedded(scenario, partitions, Order::AtOnce)?.ledger.canonical();
            ensure!(
                determined == at_once,
                "{}: another ledger at once, {partitions} partitions:\n{determined:?}\n{at_once:?}",
                scenario.file()
            );
        }
        Ok(())
    })
}

#[test]
fn a_story_told_twice_is_the_same_to_the_last_byte() -> Result<()> {
    each(|scenario| {
        let [first, second] = [embedded(scenario, 3, Order::Determined)?, embedded(scenario, 3, Order::Determined)?];
        first.entries.same_as(&second.entries, tributary_tests::scenario::Exactness::Bytes)
    })
}
