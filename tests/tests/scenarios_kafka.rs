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

fn kafka(cluster: &Cluster, scenario: &Scenario, partitions: u32, order: Order) -> Result<Outcome> {
    cluster.clear()?;
    let folder = tempfile::tempdir()?;
    play(
        scenario,
        &mut Live::kafka(cluster.brokers(), cluster.ends(partitions)?, folder.path(), partitions, &scenario.without)?,
        order,
    )
}

fn compare(cluster: &Cluster, scenario: &Scenario) -> Result<()> {
    for partitions in [1, 3] {
        let expected = embedded(scenario, partitions)?;
        let found = kafka(cluster, scenario, partitions, Order::Determined)?;
        expected
            .entries
            .same_as(&found.entries, Exactness::Bytes)
            .with_context(|| format!("{partitions} partitions"))?;
        ensure!(
            expected.ledger == found.ledger,
            "{partitions} partitions: another ledger:\n{:?}\n{:?}",
            expected.ledger,
            found.ledger
        );
        if scenario.concurrent {
            let (expected, found) =
                (expected.ledger.canonical(), kafka(cluster, scenario, partitions, Order::AtOnce)?.ledger.canonical());
            ensure!(expected == found, "{partitions} partitions, at once: another ledger:\n{expected:?}\n{found:?}");
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
