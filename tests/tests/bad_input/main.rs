//! Bad input, and what it gets: one table, on the embedded engine and on a real Apache Kafka. What cannot be taken is a
//! dead letter and the partition goes on; what can be read and not be granted is a refusal with a stable code, and over
//! HTTP a problem document with the same code and field.

#[path = "../cluster/mod.rs"]
mod cluster;
mod http;
mod letters;
mod refusals;

use anyhow::{Context, Result};
use cluster::Cluster;
use tributary_cli::wiring::wall_clock;
use tributary_flow::platform::SubmitError;
use tributary_flow::{Place, TopicRef};
use tributary_tests::scenario::Driver;
use tributary_tests::scenario::live::Live;

const PARTITIONS: u32 = 3;

/// Writes any bytes to any partition.
type Write<'a> = dyn FnMut(TopicRef, u32, Option<Vec<u8>>, Option<Vec<u8>>) -> Result<Place, SubmitError> + 'a;

/// The whole table on one engine.
fn table(live: &mut Live, write: &mut Write<'_>) -> Result<()> {
    live.set_clock(wall_clock());
    letters::check(live, write).context("dead letters")?;
    refusals::check(live).context("refusals")?;
    http::check(live).context("over HTTP")
}

#[test]
fn bad_input_on_the_embedded_engine() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut live = Live::embedded(folder.path(), PARTITIONS, &[])?;
    let platform = live.engine().produce.clone().context("the embedded engine writes anything")?;
    table(&mut live, &mut |topic, partition, key, value| {
        let (told, outcome) = std::sync::mpsc::channel();
        platform(topic, partition, key, value, Box::new(move |done| drop(told.send(done))));
        outcome.recv().unwrap_or_else(|error| Err(SubmitError::Unavailable(error.to_string())))
    })
}

#[test]
fn bad_input_on_kafka() -> Result<()> {
    let cluster = Cluster::start()?;
    let folder = tempfile::tempdir()?;
    let mut live = Live::kafka(cluster.brokers(), cluster.ends(PARTITIONS)?, folder.path(), (PARTITIONS, true), &[])?;
    table(&mut live, &mut |topic, partition, key, value| {
        cluster
            .produce(topic.name, partition, key.as_deref(), value.as_deref())
            .map(|offset| Place { topic: topic.name.to_owned(), partition, offset })
            .map_err(|error| SubmitError::Unavailable(error.to_string()))
    })
}
