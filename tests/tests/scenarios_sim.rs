//! Every scenario on the simulator: fused and apart, with every record twice, on strange partitions, and with a crash at
//! every boundary of a commit. A failure prints the options with their seed; `SEED` and `SCENARIO` choose.

use anyhow::{Context, Result, ensure};
use tributary_sim::{Crash, Fault, Hops, SimOptions};
use tributary_tests::scenario::live::Live;
use tributary_tests::scenario::simulated::{Simulated, apart, together};
use tributary_tests::scenario::{Exactness, Order, Outcome, Scenario, play};

fn seed() -> u64 {
    std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1)
}

/// One process that owns log and state, as the embedded engine is.
fn fused(partitions: u32) -> SimOptions {
    SimOptions { hops: Hops::Owned, ..SimOptions::new(seed(), partitions, together()) }
}

/// One process that shares the log with others, as on Kafka.
fn foreseen(partitions: u32) -> SimOptions {
    SimOptions { hops: Hops::Foreseen, ..fused(partitions) }
}

/// The same, where others write too.
fn disturbed(partitions: u32) -> SimOptions {
    SimOptions { faults: [(Fault::Stranger, 20_000)].into(), ..foreseen(partitions) }
}

/// A process per node, as far from one another as can be.
fn unfused(partitions: u32) -> SimOptions {
    SimOptions::new(seed(), partitions, apart())
}

fn simulate(scenario: &Scenario, options: SimOptions, order: Order) -> Result<Outcome> {
    let crashes = options.crash == Crash::Round;
    let mut simulated = Simulated::new(options, scenario);
    let outcome = play(scenario, &mut simulated, order)?;
    ensure!(!crashes || simulated.simulation().crashes() > 0, "no process died");
    Ok(outcome)
}

/// What all others are compared with.
fn embedded(scenario: &Scenario, partitions: u32) -> Result<Outcome> {
    let folder = tempfile::tempdir()?;
    play(scenario, &mut Live::embedded(folder.path(), partitions, &scenario.without)?, Order::Determined)
}

/// Plays every file, and tells of all that fail, not of the first alone.
fn each(mut with: impl FnMut(&Scenario) -> Result<()>) -> Result<()> {
    let mut failed = Vec::new();
    for scenario in Scenario::all()? {
        if let Err(error) = with(&scenario).with_context(|| scenario.file()) {
            failed.push(format!("{error:#}"));
        }
    }
    ensure!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
    Ok(())
}

/// The same entries as on the embedded engine, under each of these options.
fn same_entries(vary: impl Fn(SimOptions) -> SimOptions) -> Result<()> {
    each(|scenario| {
        for partitions in [1, 3] {
            let expected = embedded(scenario, partitions)?;
            for (options, exactness) in [
                (fused(partitions), Exactness::Bytes),
                (foreseen(partitions), Exactness::Bytes),
                (disturbed(partitions), Exactness::ButCauses),
                (unfused(partitions), Exactness::ButCauses),
            ] {
                let options = vary(options);
                // After a crash hops are apart until the ends of the log are known again.
                let alike = options.hops != Hops::Foreseen || options.crash == Crash::Never;
                let exactness = if alike { exactness } else { Exactness::ButCauses };
                let told = format!("{options:?}");
                let found = simulate(scenario, options, Order::Determined)?;
                expected.entries.same_as(&found.entries, exactness).context(told.clone())?;
                ensure!(
                    expected.ledger == found.ledger,
                    "{told}: another ledger:\n{:?}\n{:?}",
                    expected.ledger,
                    found.ledger
                );
            }
        }
        Ok(())
    })
}

#[test]
fn every_scenario_ends_in_the_entries_of_the_embedded_engine() -> Result<()> {
    same_entries(|options| options)
}

#[test]
fn every_command_twice_changes_nothing() -> Result<()> {
    same_entries(|options| SimOptions { duplicate_commands: true, ..options })
}

#[test]
fn commands_at_any_partition_are_forwarded_and_change_nothing() -> Result<()> {
    same_entries(|options| SimOptions { misroute_commands: true, ..options })
}

#[test]
fn a_crash_at_every_boundary_in_turn_changes_nothing() -> Result<()> {
    same_entries(|options| SimOptions { crash: Crash::Round, ..options })
}

#[test]
fn crashes_by_chance_with_everything_twice_change_nothing() -> Result<()> {
    same_entries(|options| SimOptions {
        crash: Crash::Chance(500),
        duplicate_commands: true,
        misroute_commands: true,
        ..options
    })
}

#[test]
fn one_crash_at_each_single_boundary_changes_nothing() -> Result<()> {
    each(|scenario| {
        if !["simple-transfer.json", "two-phase.json"].contains(&scenario.file().as_str()) {
            return Ok(());
        }
        for (options, exactness) in
            [(fused(1), Exactness::Bytes), (disturbed(1), Exactness::ButCauses), (unfused(1), Exactness::ButCauses)]
        {
            let mut whole = Simulated::new(options.clone(), scenario);
            let expected = play(scenario, &mut whole, Order::Determined)?;
            for boundary in 0..whole.simulation().boundaries() {
                let options = SimOptions { crash: Crash::At(boundary), ..options.clone() };
                let found = simulate(scenario, options.clone(), Order::Determined)?;
                expected.entries.same_as(&found.entries, exactness).with_context(|| format!("{options:?}"))?;
                ensure!(expected.ledger == found.ledger, "{options:?}: another ledger");
            }
        }
        Ok(())
    })
}

#[test]
fn what_is_sent_at_once_ends_in_the_same_canonical_ledger() -> Result<()> {
    each(|scenario| {
        if !scenario.concurrent {
            return Ok(());
        }
        let expected = simulate(scenario, fused(1), Order::Determined)?.ledger.canonical();
        for partitions in [1, 3] {
            for seed in seed()..seed() + 5 {
                for options in [fused(partitions), disturbed(partitions), unfused(partitions)] {
                    let options = SimOptions { seed, crash: Crash::Chance(200), duplicate_commands: true, ..options };
                    let told = format!("{options:?}");
                    let found = simulate(scenario, options, Order::AtOnce)?.ledger.canonical();
                    ensure!(expected == found, "{told}: another ledger:\n{expected:?}\n{found:?}");
                }
            }
        }
        Ok(())
    })
}
