//! What figures are measured on, and by which settings of the environment.

use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, Result};
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

/// The setting of this name, in the environment.
///
/// # Errors
/// It cannot be read.
pub fn setting<T: FromStr<Err: std::error::Error + Send + Sync + 'static>>(name: &str, default: T) -> Result<T> {
    std::env::var(name).map_or(Ok(default), |value| value.parse().with_context(|| format!("{name}={value}")))
}

/// Payments per second to hold, one rate after the other: `RATES`, with commas between them.
///
/// # Errors
/// One of them cannot be read.
pub fn rates(default: &str) -> Result<Vec<u32>> {
    let rates = setting("RATES", default.to_owned())?;
    rates.split(',').map(|rate| rate.parse().with_context(|| format!("RATES: {rate}"))).collect()
}

/// Bytes of all files below a folder; of those with this ending, where one is given.
#[must_use]
pub fn size(folder: &Path, ending: Option<&str>) -> u64 {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = files.map(|file| match (file.metadata(), file.path()) {
        (Ok(found), path) if found.is_dir() => size(&path, ending),
        (Ok(found), path) if ending.is_none_or(|ending| path.extension().is_some_and(|its| its == ending)) => {
            found.len()
        }
        _ => 0, // Of another kind, or the store has just deleted it.
    });
    sizes.sum()
}
