//! Exactly once on a real Apache Kafka: processes are killed, frozen, doubled and robbed of their stores, and every
//! command still counts once.

mod brokerless;
mod crashes;
mod edges;
mod secured;
mod toy;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use tributary_broker::{Broker, Failure, Options, StartError, admin};
use tributary_flow::{Header, Log, LogError, Logged, Platform, Task, log, reader, replay};

use tributary_cli::managed::kafka::{Kafka, Lifetime, Options as KafkaOptions};

const PARTITIONS: u32 = 3;
const ENTRIES: &str = "toy.entries.v1";

fn options(bootstrap: &str, state: &Path, slot: &str) -> Options {
    let mut options = Options::new(bootstrap, state, toy::clock);
    options.application = "toy".into();
    options.slot = slot.into();
    options.partitions = PARTITIONS;
    options.max_record = 100_000;
    options.cache_bytes = 32 << 20;
    options
}

fn start(bootstrap: &str, state: &Path, slot: &str) -> Broker {
    let make = Arc::new(|partition| toy::tasks(partition, PARTITIONS));
    Broker::start(options(bootstrap, state, slot), toy::NODES, make).unwrap()
}

fn client(bootstrap: &str) -> Broker {
    Broker::client(&options(bootstrap, Path::new("unused"), "client"), toy::NODES).unwrap()
}

fn kafka(folder: &Path) -> Kafka {
    let mut options = KafkaOptions::new(folder.join("kafka")).unwrap();
    options.lifetime = Lifetime::Minutes;
    Kafka::start(options).unwrap()
}

/// A cluster of one with the toy's topics.
fn cluster(folder: &Path) -> Kafka {
    let _ = tracing_subscriber::fmt()
        .with_env_filter(std::env::var("RUST_LOG").unwrap_or("warn".into()))
        .with_test_writer()
        .try_init();
    let kafka = kafka(folder);
    let plan = admin::plan(toy::NODES, PARTITIONS, 1);
    assert_eq!(admin::create_topics(&kafka.bootstrap, &BTreeMap::new(), &plan).unwrap(), []);
    kafka
}

/// Sends commands `from..to`, spread over `rate` a second, and waits until all are acknowledged.
fn ask(client: &Broker, from: u64, to: u64, rate: u64) {
    let (tell, told) = mpsc::channel();
    let since = Instant::now();
    for number in from..to {
        let due = Duration::from_micros((number - from) * 1_000_000 / rate);
        std::thread::sleep(due.saturating_sub(since.elapsed()));
        let (who, about) = (format!("who-{}", number % 101), format!("about-{}", number % 37));
        let value = toy::command(&format!("command-{number}"), &who, &about);
        let tell = tell.clone();
        client.submit(&toy::ASKS, &who, value, Box::new(move |place| tell.send(place).unwrap()));
    }
    drop(tell);
    for place in told {
        place.unwrap();
    }
}

/// What the entries say: commands counted, and timers fired; numbers have no gap and no double.
fn counted(log: &dyn Log) -> Result<(BTreeSet<String>, u64), LogError> {
    let (mut commands, mut timers) = (BTreeSet::new(), 0);
    let mut next: BTreeMap<(String, bool), u64> = BTreeMap::new();
    for partition in 0..PARTITIONS {
        log::visit(log, ENTRIES, partition, |record| {
            let value = record.value.unwrap();
            let (_, counted) = <toy::Counted as tributary_flow::Body>::decode(&value[5..]).unwrap();
            let is_timer = counted.command.is_empty();
            let next = next.entry((counted.about.clone(), is_timer)).or_default();
            assert_eq!(counted.number, *next, "{counted:?} at {partition}@{}", record.offset);
            *next += 1;
            if is_timer {
                timers += 1;
            } else {
                assert!(commands.insert(counted.command.clone()), "{} counted twice", counted.command);
            }
            Ok::<_, LogError>(())
        })?;
    }
    Ok((commands, timers))
}

fn eventually(what: &str, bound: u64, mut holds: impl FnMut() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < Duration::from_secs(bound), "not within {bound} s: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Waits until the log holds `total` counts, each once. A broker that has just come back may not answer yet.
fn all_counted(log: &dyn Log, total: u64) -> u64 {
    let there = || counted(log).is_ok_and(|(commands, _)| commands.len() as u64 >= total);
    eventually(&format!("{total} commands counted"), 90, there);
    let (commands, timers) = counted(log).unwrap();
    assert_eq!(commands, (0..total).map(|number| format!("command-{number}")).collect());
    timers
}

fn digests(broker: &Broker) -> BTreeMap<(&'static str, u32), [u8; 32]> {
    let tasks = toy::NODES.iter().flat_map(|node| (0..PARTITIONS).map(move |partition| (*node, partition)));
    let digest = |node, partition| {
        let mut digest = None;
        assert!(Platform::read(broker, node, partition, &mut |store| digest = Some(reader::digest(store))));
        digest.unwrap()
    };
    tasks.map(|(node, partition)| ((node.name, partition), digest(node, partition))).collect()
}

fn owns_all(broker: &Broker) -> bool {
    toy::NODES.iter().all(|node| (0..PARTITIONS).all(|partition| Platform::read(broker, node, partition, &mut |_| {})))
}

type KeyAndValue = (Option<Vec<u8>>, Option<Vec<u8>>);

/// Every task, replayed from its journal, ends in the state that the live one has, and wrote what the log holds.
fn replays(broker: &Broker) {
    let live = digests(broker);
    let mut made: BTreeMap<(&'static str, u32), Vec<KeyAndValue>> = BTreeMap::new();
    for partition in 0..PARTITIONS {
        for mut task in toy::tasks(partition, PARTITIONS) {
            let at = (task.node().name, partition);
            let store = replay::replay(task.as_mut() as &mut dyn Task, broker, &mut |_, produced| {
                for record in produced {
                    made.entry((record.target.name(), record.partition)).or_default().push((record.key, record.value));
                }
            })
            .unwrap();
            assert_eq!(reader::digest(&store), live[&at], "{at:?}");
        }
    }
    for ((topic, partition), mut made) in made {
        let mut found = Vec::new();
        log::visit(broker, topic, partition, |record| {
            found.push((record.key, record.value));
            Ok::<_, LogError>(())
        })
        .unwrap();
        found.sort();
        made.sort();
        assert!(found == made, "{topic}[{partition}] is not what a replay makes");
    }
}

/// The process that the tests kill: this binary again, with its orders in the environment.
#[test]
fn child() {
    let Ok(orders) = std::env::var("TOY_CHILD") else { return };
    let _ = tracing_subscriber::fmt().with_env_filter("warn").with_writer(std::io::stderr).try_init();
    let orders: Vec<&str> = orders.split('|').collect();
    let broker = start(orders[0], Path::new(orders[1]), orders[2]);
    match broker.wait_failure(Duration::from_secs(600)) {
        Some(Failure::Fenced(_)) => std::process::exit(3),
        Some(Failure::Store(_)) => std::process::exit(4),
        failure => panic!("{failure:?}"),
    }
}

fn orders(bootstrap: &str, state: &Path, slot: &str) -> Command {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "child", "--nocapture"]);
    child.env("TOY_CHILD", format!("{bootstrap}|{}|{slot}", state.display()));
    child
}

fn spawn(bootstrap: &str, state: &Path, slot: &str) -> Child {
    orders(bootstrap, state, slot).spawn().unwrap()
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}
