//! Every scenario on a real Apache Kafka, compared with the embedded engine. `SCENARIO=part-of-a-name` plays those only.

mod cluster;

use anyhow::{Context, Result, ensure};
use cluster::Cluster;
use tributary_tests::scenario::live::Live;
use tributary_tests::scenario::{Exactness, Order, Outcome, Scenario, play};

fn embedded(scenario: &Scenario, partitions: u32) -> Result<Outcome> {
    let folder = tempfile::tempdir()?;
    play(scenario, &mut Live::embedded(folder.path(), partitions, &scenario.without)?, Order::Determined)
}

/// How the graph is spread: partitions, and whether hops are fused.
type Spread = (u32, bool);

fn kafka(cluster: &Cluster, scenario: &Scenario, spread: Spread, order: Order) -> Result<Outcome> {
    cluster.clear()?;
    let (folder, ends) = (tempfile::tempdir()?, cluster.ends(spread.0)?);
    let mut live = Live::kafka(cluster.brokers(), ends, folder.path(), spread, &scenario.without)?;
    play(scenario, &mut live, order)
}

/// Fused in one partition and in three, and every hop apart in one: what the votes race for is then who causes the posting.
fn compare(cluster: &Cluster, scenario: &Scenario) -> Result<()> {
    for spread in [(1, true), (3, true), (1, false)] {
        let told = || format!("{} partitions, fused: {}", spread.0, spread.1);
        let exactness = if spread.1 { Exactness::Bytes } else { Exactness::ButCauses };
        let expected = embedded(scenario, spread.0)?;
        let found = kafka(cluster, scenario, spread, Order::Determined)?;
        expected.entries.same_as(&found.entries, exactness).with_context(told)?;
        let same = expected.ledger == found.ledger;
        ensure!(same, "{}: another ledger:\n{:?}\n{:?}", told(), expected.ledger, found.ledger);
        if scenario.concurrent {
            let found = kafka(cluster, scenario, spread, Order::AtOnce)?.ledger.canonical();
            let expected = expected.ledger.canonical();
            ensure!(expected == found, "{}, at once: another ledger:\n{expected:?}\n{found:?}", told());
        }
    }
    Ok(())
}

/// One test, for the clock that the engine is given is one per process.
#[test]
fn every_scenario_ends_on_kafka_as_on_the_embedded_engine() -> Result<()> {
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    drop(tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init());
    let cluster = Cluster::start()?;
    let mut failed = Vec::new();
    for scenario in Scenario::all()? {
        let since = std::time::Instant::now();
        let outcome = compare(&cluster, &scenario).with_context(|| scenario.file());
        eprintln!("{} after {:.1?}: {outcome:?}", scenario.file(), since.elapsed());
        failed.extend(outcome.err().map(|error| format!("{error:#}")));
    }
    ensure!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
    Ok(())
}
