//! A client that comes while a partition has no leader. librdkafka keeps what it then hears for a quarter of an hour.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tributary_broker::KafkaLog;
use tributary_cli::config::Config;
use tributary_cli::kafka::apply;
use tributary_cli::managed::kafka::Lifetime;
use tributary_flow::Log;
use tributary_graph::TOPICS;

use crate::brokers::Brokers;
use crate::{PARTITIONS, machine};

/// How long the broker is down: until it is declared dead, and a while.
const DOWN: Duration = Duration::from_secs(15);
/// How soon the client must know of the leader.
const SOON: Duration = Duration::from_secs(10);

#[test]
fn a_reader_that_came_while_a_partition_had_no_leader_reads_once_it_has_one() -> Result<()> {
    let _machine = machine();
    let folder = tempfile::tempdir()?;
    let mut brokers = Brokers::start(3, folder.path(), Lifetime::Minutes)?;
    let bootstrap = brokers.bootstrap.clone();
    let config = Config { brokers: Some(bootstrap.clone()), partitions: PARTITIONS, ..Config::default() };
    apply(&config, 1)?; // One replica, so that a partition's only leader can be missing.
    let places = || TOPICS.iter().flat_map(|topic| (0..PARTITIONS).map(|partition| (topic.name, partition)));
    let bounds = |log: &KafkaLog| places().try_for_each(|(topic, partition)| log.range(topic, partition).map(drop));

    brokers.kill9(2, DOWN);
    let since = Instant::now();
    let early = loop {
        ensure!(since.elapsed() < DOWN, "every partition always had a leader");
        let log = KafkaLog::connect(&bootstrap, &BTreeMap::new(), PARTITIONS)?;
        if bounds(&log).is_err_and(|error| error.0.contains("Unknown partition")) {
            break log;
        }
    };
    while !brokers.are_up() {
        brokers.tend()?;
        std::thread::sleep(Duration::from_millis(50));
    }
    let since = Instant::now();
    while let Err(error) = bounds(&early) {
        ensure!(since.elapsed() < SOON, "still, after {SOON:?}: {error}");
    }
    eprintln!("the client knew of the leaders {:.1?} after the broker was back", since.elapsed());
    Ok(())
}
