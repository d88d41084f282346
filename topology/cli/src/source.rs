//! The log and the state that tools read, wherever they lie: a folder of the embedded driver, or a Kafka cluster with this
//! machine's stores.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, anyhow, bail};
use tributary_embedded::EmbeddedReader;
use tributary_flow::store::StoreFailure;
use tributary_flow::{Log, Node, Registry, Store};

use crate::config::Config;
use crate::verify::States;
use crate::wiring::Schemas;

/// What tools read.
pub struct Source {
    /// The log.
    pub log: Arc<dyn Log>,
    /// Committed state, where it is on this machine.
    pub states: Box<dyn States>,
    /// The schemas the log was written with.
    pub registry: Arc<dyn Registry>,
}

impl Source {
    /// Opens what the settings name.
    pub fn open(config: &Config) -> Result<Self> {
        match &config.brokers {
            Some(_) => crate::kafka::source(config),
            None => {
                if kafka_keeps(&config.data) && !embedded_keeps(&config.data) {
                    bail!(
                        "{} holds the data of `up --kafka`: start it, and give --brokers with the address that it prints",
                        config.data.display()
                    );
                }
                let reader = Arc::new(EmbeddedReader::open(&config.data)?);
                Ok(Source { log: reader.clone(), states: Box::new(reader), registry: Arc::new(Schemas::compiled()) })
            }
        }
    }
}

/// Whether `up --kafka` or a node on Kafka keeps data in this folder.
pub fn kafka_keeps(folder: &Path) -> bool {
    ["kafka", "state"].iter().any(|name| folder.join(name).is_dir())
}

/// Whether the embedded driver keeps its data in this folder: `CURRENT` is where RocksDB names what it reads first.
pub fn embedded_keeps(folder: &Path) -> bool {
    folder.join("CURRENT").is_file()
}

/// The schemas that the settings name.
pub fn registry(config: &Config) -> Result<Arc<dyn Registry>> {
    Ok(match &config.schema_registry {
        Some(url) => Arc::new(Schemas::registered(url)?),
        None => Arc::new(Schemas::compiled()),
    })
}

impl States for Arc<EmbeddedReader> {
    fn with_state(&self, node: &'static Node, partition: u32, read: &mut dyn FnMut(&dyn Store)) -> Result<bool> {
        let damaged = |failure: StoreFailure| {
            let (node, reason) = (node.name, failure.0);
            anyhow!("the state of {node}[{partition}] cannot be read: {reason}; bring its folder back from a copy")
        };
        EmbeddedReader::with_state(self, node.name, partition, read).map_err(damaged)?;
        Ok(true)
    }
}
