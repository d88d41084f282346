//! The graph on Kafka: a process of the cluster that runs nodes, a client of it that runs none, and the local cluster that
//! `up --kafka` manages.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use tributary_broker::{Broker, KafkaLog, Options, StateReader, admin};
use tributary_flow::{Node, Store};
use tributary_graph as graph;

use crate::config::Config;
use crate::managed::kafka::{Kafka, Options as KafkaOptions};
use crate::managed::registry::{Registry, compiled};
use crate::out::say;
use crate::source::{Source, registry};
use crate::up::{Running, serve};
use crate::verify::States;
use crate::{decode, wiring};

fn options(config: &Config) -> Result<Options> {
    let mut options = Options::new(config.brokers()?, config.data.join("state"), wiring::wall_clock);
    options.application = wiring::APPLICATION.into();
    options.slot.clone_from(&config.slot);
    options.partitions = config.partitions;
    options.fused = config.fuse;
    options.overlap = config.overlap;
    options.standby = config.standby;
    options.session = Duration::from_millis(config.session_timeout_ms);
    options.client.clone_from(&config.kafka);
    options.max_record = wiring::MAX_RECORD;
    Ok(options)
}

/// Runs the nodes that `wanted` names as one process of the cluster.
pub fn run(config: &Config, wanted: &dyn Fn(&Node) -> bool) -> Result<Running> {
    let mut options = options(config)?;
    let registry = registry(config)?;
    let nodes: Vec<_> = graph::NODES.iter().copied().filter(|node| wanted(node)).collect();
    let names: Vec<_> = nodes.iter().map(|node| node.name).collect();
    if nodes.len() < graph::NODES.len() {
        options.placement = names.join("-");
    }
    let setup = wiring::setup(config.partitions, registry.clone());
    let make = Arc::new(move |partition| wiring::tasks(partition, &setup, &|node| names.contains(&node.name)));
    let broker = Arc::new(Broker::start(options, &nodes, make)?);
    Ok(running(broker, registry))
}

/// A client of the cluster: it sends and reads, and runs nothing. Like the most of them it gathers for a moment what it sends.
pub fn client(config: &Config) -> Result<Running> {
    let mut options = options(config)?;
    options.linger = Duration::from_millis(5);
    Ok(running(Arc::new(Broker::client(&options, graph::NODES)?), registry(config)?))
}

fn running(broker: Arc<Broker>, registry: Arc<dyn tributary_flow::Registry>) -> Running {
    let (stop, failing) = (broker.clone(), broker.clone());
    Running {
        platform: broker.clone(),
        log: broker,
        registry,
        failure: Box::new(move || failing.failure().map(|failure| failure.to_string())),
        stop: Box::new(move || stop.stop()),
    }
}

/// Runs some nodes until told to stop, with the API for health, metrics and what their views can answer.
pub fn run_nodes(config: &Config, names: &[String]) -> Result<()> {
    let nodes = names.iter().map(|name| decode::node(name)).collect::<Result<Vec<_>>>()?;
    let start = || run(config, &|node| nodes.iter().any(|wanted| wanted.name == node.name));
    serve(config, start, |_, url| {
        say!("Running {} as {}: {url}", names.join(", "), config.slot);
        Ok(true)
    })
}

/// The log of a cluster, and this machine's stores.
pub fn source(config: &Config) -> Result<Source> {
    let brokers = config.brokers()?;
    // Asked first, for it is bounded and says what to change; and it knows how many partitions there really are.
    let cluster = admin::cluster(brokers, &config.kafka)?;
    let partitions =
        cluster.topics.get(graph::ACCOUNTS_COMMANDS.name).map_or(config.partitions, |topic| topic.partitions);
    let log = KafkaLog::connect(brokers, &config.kafka, partitions)?;
    let states = StateReader::new(config.data.join("state"));
    Ok(Source { log: Arc::new(log), states: Box::new(states), registry: registry(config)? })
}

impl States for StateReader {
    fn with_state(&self, node: &'static Node, partition: u32, read: &mut dyn FnMut(&dyn Store)) -> Result<bool> {
        Ok(StateReader::with_state(self, node, partition, read)?)
    }
}

/// Creates the topics that are missing; names what failed.
pub fn apply(config: &Config, replication: u32) -> Result<usize> {
    let brokers = config.brokers()?;
    let cluster = admin::cluster(brokers, &config.kafka)?;
    let mut plan = admin::plan(graph::NODES, config.partitions, replication);
    plan.retain(|topic| !cluster.topics.contains_key(&topic.name));
    let failed = admin::create_topics(brokers, &config.kafka, &plan)?;
    if let Some((topic, reason)) = failed.first() {
        bail!("{} topics could not be created, the first {topic}: {reason}", failed.len());
    }
    Ok(plan.len())
}

/// A local Kafka and the compiled schemas' registry, both stopped on drop.
pub struct Managed {
    /// The settings, with these servers in place.
    pub config: Config,
    /// What to tell a client.
    pub summary: String,
    _registry: Option<Registry>,
    _kafka: Kafka,
}

impl Managed {
    /// Starts what the settings do not name, on data in the settings' folder.
    pub fn start(config: &Config, port: Option<u16>, registry_port: Option<u16>) -> Result<Self> {
        let mut options = KafkaOptions::new(config.data.join("kafka"))?;
        options.port = port;
        let kafka = Kafka::start(options)?;
        let mut config = config.clone();
        config.brokers = Some(kafka.bootstrap.clone());
        let registry = match &config.schema_registry {
            Some(_) => None,
            None => Some(Registry::start(registry_port, compiled()?)?),
        };
        let url = registry.as_ref().map(|registry| registry.url.clone()).or_else(|| config.schema_registry.clone());
        apply(&config, 1)?;
        let summary = format!("Kafka {}, schema registry {}", kafka.bootstrap, url.unwrap_or_default());
        Ok(Managed { config, summary, _registry: registry, _kafka: kafka })
    }
}
