//! Topics of a cluster: what is there, what should be, and making what is missing. Counts of partitions are never altered
//! here: they are the modulus by which keys were placed.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::error::KafkaError;
use tributary_flow::{CLOCK, DEAD_LETTERS, Node};
use tributary_slot::MAX_AGE;

use crate::submit::Context as Logging;
use crate::{StartError, settings};

/// How long a cluster may take to answer, each time that it is asked, in seconds. A broker that dies is told of as if it lived until
/// it has been silent for nine, and may be the one that a client is sent to: who asks last is not.
const BOUNDS: [u64; 4] = [2, 4, LONGEST, LONGEST];
const LONGEST: u64 = 8;

/// A topic as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicPlan {
    /// Name.
    pub name: String,
    /// Partitions.
    pub partitions: u32,
    /// Replicas of each.
    pub replication: u32,
    /// Configuration, as Kafka names it.
    pub configs: BTreeMap<String, String>,
}

/// A topic as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicState {
    /// Partitions.
    pub partitions: u32,
    /// Replicas of the first.
    pub replication: u32,
    /// Configuration in force, the broker's defaults included.
    pub configs: BTreeMap<String, String>,
}

/// A cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    /// Its id, which it was given once and for all; empty where its brokers tell none.
    pub id: String,
    /// How many brokers answer.
    pub brokers: usize,
    /// Its topics by name, Kafka's own left out.
    pub topics: BTreeMap<String, TopicState>,
}

/// How a changelog is kept, beside that it is compacted. Payments wait for its restore, which reads the active segment whole, for
/// that is never compacted: so segments are small, and the log is compacted sooner than by the broker's default, which waits until
/// half of it is new.
const CHANGELOG: &[(&str, &str)] = &[("segment.bytes", "4194304"), ("min.cleanable.dirty.ratio", "0.2")];

/// Whether a setting of a topic that is not what we would set is wrong, and not only slower. A store that is no older than [`MAX_AGE`]
/// is rolled forward, and must find every tombstone since; twice that leaves room for whoever works on it.
fn is_wrong(topic: &str, key: &str, is: &str) -> bool {
    match key {
        "segment.bytes" | "min.cleanable.dirty.ratio" => false,
        "retention.ms" => topic != CLOCK,
        "delete.retention.ms" => is.parse().is_ok_and(|kept: i64| kept < 2 * MAX_AGE / 1_000),
        _ => true,
    }
}

/// What the nodes need: their topics and dead letters kept for ever, changelogs compacted with tombstones kept for a week,
/// and a small one to compare clocks by.
#[must_use]
pub fn plan(nodes: &[&'static Node], partitions: u32, replication: u32) -> Vec<TopicPlan> {
    let topic = |name: &str, partitions: u32, configs: &[(&str, &str)]| TopicPlan {
        name: name.to_owned(),
        partitions,
        replication,
        configs: configs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
    };
    let kept: &[_] = &[("cleanup.policy", "delete"), ("retention.ms", "-1"), ("retention.bytes", "-1")];
    let compacted: &[_] = &[("cleanup.policy", "compact"), ("delete.retention.ms", "604800000")];
    let clock: &[_] = &[("message.timestamp.type", "LogAppendTime"), ("retention.ms", "3600000")];
    let mut plan = BTreeMap::new();
    let domain = nodes.iter().flat_map(|node| node.inputs.iter().chain(node.outputs)).map(|topic| topic.name);
    for name in domain.chain([DEAD_LETTERS]) {
        plan.insert(name.to_owned(), topic(name, partitions, kept));
    }
    for node in nodes.iter().filter(|node| !node.is_view()) {
        plan.insert(node.journal(), topic(&node.journal(), partitions, kept));
        plan.insert(node.changelog(), topic(&node.changelog(), partitions, &[compacted, CHANGELOG].concat()));
    }
    plan.insert(CLOCK.to_owned(), topic(CLOCK, 1, clock));
    plan.into_values().collect()
}

/// What is not as these nodes need it and `plan` has it, in words. More replicas than planned are right.
pub fn check(cluster: &Cluster, nodes: &[&'static Node], plan: &[TopicPlan]) -> Vec<String> {
    let mut wrong = Vec::new();
    let own = nodes.iter().flat_map(|node| node.own());
    let inputs = nodes.iter().flat_map(|node| node.inputs).map(|topic| topic.name.to_owned());
    let vital: BTreeSet<String> = own.chain(inputs).chain([CLOCK.to_owned()]).collect();
    for TopicPlan { name, partitions, replication, configs } in plan {
        match cluster.topics.get(name) {
            None => wrong.push(format!("{name} is missing")),
            Some(state) if state.partitions != *partitions => {
                wrong.push(format!("{name} has {} partitions and not {partitions}", state.partitions));
            }
            Some(state) => {
                if state.replication < *replication {
                    let is = state.replication;
                    wrong.push(format!(
                        "{name} has {is} replicas and not {replication} (kafka-reassign-partitions adds them)"
                    ));
                }
                // A replay needs every input, and a restore every row: what the broker may throw away is checked.
                if !vital.contains(name) {
                    continue;
                }
                let differs = |(key, want): (&String, &String)| {
                    let is = state.configs.get(key).filter(|is| *is != want && is_wrong(name, key, is))?;
                    Some((key.clone(), is.clone(), want.clone()))
                };
                let found = configs.iter().filter_map(differs);
                wrong.extend(found.map(|(key, is, want)| {
                    format!("{name} has {key}={is} and not {want} (kafka-configs --alter sets it)")
                }));
            }
        }
    }
    wrong
}

/// Asks a cluster for its topics.
///
/// # Errors
/// It cannot be reached, though asked several times, or a setting is not accepted.
pub fn cluster(brokers: &str, client: &BTreeMap<String, String>) -> Result<Cluster, StartError> {
    patiently(brokers, client, look)
}

fn look(admin: &AdminClient<Logging>, bound: Duration) -> Result<Cluster, KafkaError> {
    let metadata = admin.inner().fetch_metadata(None, bound)?;
    let mut topics = BTreeMap::new();
    for topic in metadata.topics().iter().filter(|topic| !topic.name().starts_with("__")) {
        let replication = topic.partitions().first().map_or(0, |partition| partition.replicas().len());
        let state = TopicState {
            partitions: topic.partitions().len() as u32,
            replication: replication as u32,
            configs: BTreeMap::new(),
        };
        topics.insert(topic.name().to_owned(), state);
    }
    let names: Vec<String> = topics.keys().cloned().collect();
    let asked: Vec<_> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
    if !asked.is_empty() {
        for described in wait(admin.describe_configs(&asked, &bounded(bound)))? {
            let Ok(described) = described else { continue };
            if let rdkafka::admin::OwnedResourceSpecifier::Topic(name) = &described.specifier
                && let Some(state) = topics.get_mut(name)
            {
                let set = described.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?)));
                state.configs = set.collect();
            }
        }
    }
    let id = admin.inner().fetch_cluster_id(bound).unwrap_or_default();
    Ok(Cluster { id, brokers: metadata.brokers().len(), topics })
}

/// Creates topics, and says for each that could not be created why. One that exists is left alone. Where all are there, waits a
/// while until a broker that is asked knows them.
///
/// # Errors
/// The cluster cannot be reached.
pub fn create_topics(
    brokers: &str,
    client: &BTreeMap<String, String>,
    plan: &[TopicPlan],
) -> Result<Vec<(String, String)>, StartError> {
    let topics: Vec<NewTopic<'_>> = plan
        .iter()
        .map(|topic| {
            let replication = TopicReplication::Fixed(topic.replication.cast_signed());
            let new = NewTopic::new(&topic.name, topic.partitions.cast_signed(), replication);
            topic.configs.iter().fold(new, |new, (key, value)| new.set(key, value))
        })
        .collect();
    if topics.is_empty() {
        return Ok(Vec::new());
    }
    let results = patiently(brokers, client, |admin, bound| wait(admin.create_topics(&topics, &bounded(bound))))?;
    let failed = results.into_iter().filter_map(|result| {
        result
            .err()
            .filter(|(_, code)| *code != rdkafka::types::RDKafkaErrorCode::TopicAlreadyExists)
            .map(|(name, code)| (name, code.to_string()))
    });
    let failed: Vec<_> = failed.collect();
    // The controller answers, and brokers learn of it a moment later.
    let known = |admin: &AdminClient<Logging>, bound| -> Result<bool, KafkaError> {
        let metadata = admin.inner().fetch_metadata(None, bound)?;
        let led: BTreeSet<&str> = metadata
            .topics()
            .iter()
            .filter(|topic| !topic.partitions().is_empty())
            .filter(|topic| topic.partitions().iter().all(|partition| partition.leader() >= 0))
            .map(|topic| topic.name())
            .collect();
        Ok(plan.iter().all(|topic| led.contains(topic.name.as_str())))
    };
    let since = Instant::now();
    if failed.is_empty() {
        patiently(brokers, client, |admin, bound| {
            while !known(admin, bound)? && since.elapsed() < Duration::from_secs(LONGEST) {
                std::thread::sleep(Duration::from_millis(50));
            }
            Ok(())
        })?;
    }
    Ok(failed)
}

/// Asks again where there was no answer, each time as a new client, with more time: the one before may have turned to a
/// broker that had just died, and a request that was sent to it waits for its answer as long as it may.
fn patiently<T>(
    brokers: &str,
    client: &BTreeMap<String, String>,
    ask: impl Fn(&AdminClient<Logging>, Duration) -> Result<T, KafkaError>,
) -> Result<T, StartError> {
    let mut reason = String::new();
    for bound in BOUNDS.map(Duration::from_secs) {
        match ask(&connect(brokers, client)?, bound) {
            Ok(answer) => return Ok(answer),
            Err(error) => reason = error.to_string(),
        }
        tracing::debug!("asked in vain: {reason}");
    }
    Err(StartError::Unreachable { brokers: brokers.to_owned(), reason })
}

fn connect(brokers: &str, client: &BTreeMap<String, String>) -> Result<AdminClient<Logging>, StartError> {
    let settings: ClientConfig = settings::client(brokers, client, []).into_iter().collect();
    settings.create_with_context(Logging).map_err(|error| StartError::Setting(error.to_string()))
}

fn bounded(bound: Duration) -> AdminOptions {
    // What the broker is given to do its work in, after which it says that it did not.
    AdminOptions::new().request_timeout(Some(bound)).operation_timeout(Some(Duration::from_secs(LONGEST)))
}

/// Waits for a future on this thread: the one place where the library gives nothing else.
fn wait<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}
