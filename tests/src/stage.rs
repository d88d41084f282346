//! What figures are measured on.

use std::path::Path;

use anyhow::Result;
use tributary_cli::config::Config;
use tributary_cli::kafka::apply;
use tributary_cli::managed::kafka::{Kafka, Options};

/// A broker of its own with the graph's topics, its data in this folder, and the settings of a client.
///
/// # Errors
/// It does not start, or takes no topics.
pub fn broker(folder: &Path, partitions: u32) -> Result<(Kafka, Config)> {
    let kafka = Kafka::start(Options::new(folder.join("kafka"))?)?;
    let brokers = Some(kafka.bootstrap.clone());
    let config = Config { brokers, partitions, data: folder.join("client"), ..Config::default() };
    apply(&config, 1)?;
    Ok((kafka, config))
}
