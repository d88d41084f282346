//! Exactly once on a real Apache Kafka: processes are killed, frozen, doubled and robbed of their stores, and every
//! command still counts once.

mod kafka;
mod toy;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use tributary_broker::{Broker, Failure, Options, StartError, admin};
use tributary_flow::{Header, Log, Platform, Task, log, reader, replay};

use kafka::Kafka;

const PARTITIONS: u32 = 3;

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

fn cluster(folder: &Path) -> Kafka {
    let _ = tracing_subscriber::fmt()
        .with_env_filter(std::env::var("RUST_LOG").unwrap_or("warn".into()))
        .with_test_writer()
        .try_init();
    let kafka = Kafka::start(folder);
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

/// What `toy.entries.v1` says: commands counted, and timers fired; numbers have no gap and no double.
fn counted(log: &dyn Log) -> (BTreeSet<String>, u64) {
    let (mut commands, mut timers) = (BTreeSet::new(), 0);
    let mut next: BTreeMap<(String, bool), u64> = BTreeMap::new();
    for partition in 0..PARTITIONS {
        log::visit(log, "toy.entries.v1", partition, |record| {
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
            Ok::<_, tributary_flow::LogError>(())
        })
        .unwrap();
    }
    (commands, timers)
}

fn eventually(what: &str, bound: u64, mut holds: impl FnMut() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < Duration::from_secs(bound), "not within {bound} s: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Waits until the log holds `total` counts, each once.
fn all_counted(log: &dyn Log, total: u64) -> u64 {
    eventually(&format!("{total} commands counted"), 90, || counted(log).0.len() as u64 >= total);
    let (commands, timers) = counted(log);
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

/// From a command's own time to the decision of the second node, over the last thousand of each partition.
fn latency(broker: &Broker) -> String {
    let mut asked = BTreeMap::new();
    let mut micros = Vec::new();
    for topic in ["toy.commands.v1", "toy.entries.v1"] {
        for partition in 0..PARTITIONS {
            let end = Log::range(broker, topic, partition).unwrap().end;
            let mut next = end.saturating_sub(1_500);
            while let records = Log::read(broker, topic, partition, next, 2_000).unwrap()
                && let Some(last) = records.last()
            {
                next = last.offset + 1;
                for record in records {
                    let value = record.value.unwrap();
                    match tributary_flow::Body::decode(&value[5..]) {
                        Ok((Header::Command(command), toy::Ask { .. })) => drop(asked.insert(command.id, command.time)),
                        _ => {
                            let (header, counted) =
                                <toy::Counted as tributary_flow::Body>::decode(&value[5..]).unwrap();
                            let (Header::Fact(fact), Some(asked)) = (header, asked.get(&counted.command)) else {
                                continue;
                            };
                            micros.push(fact.time.0 - asked.0);
                        }
                    }
                }
            }
        }
    }
    micros.sort_unstable();
    let at = |hundredths: usize| micros[(micros.len() * hundredths / 100).min(micros.len() - 1)] / 1_000;
    format!("p50 {} ms, p99 {} ms of {}", at(50), at(99), micros.len())
}

/// Every task, replayed from its journal, ends in the state that the live one has, and wrote what the log holds.
fn replays(broker: &Broker) {
    let live = digests(broker);
    let mut made: BTreeMap<(&'static str, u32), Vec<(Option<Vec<u8>>, Option<Vec<u8>>)>> = BTreeMap::new();
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
            Ok::<_, tributary_flow::LogError>(())
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

fn spawn(bootstrap: &str, state: &Path, slot: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env("TOY_CHILD", format!("{bootstrap}|{}|{slot}", state.display()))
        .spawn()
        .unwrap()
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn every_command_counts_once_though_the_process_is_killed_ten_times_and_a_lost_store_comes_back_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let kafka = cluster(folder.path());
    let state = folder.path().join("state");
    let client = client(&kafka.bootstrap);
    let total = 12_000;
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| ask(&client, 0, total, 600));
        for round in 0..10 {
            let mut child = spawn(&kafka.bootstrap, &state, "slot-0");
            std::thread::sleep(Duration::from_millis(1_700 + 90 * round));
            child.kill().unwrap();
            child.wait().unwrap();
        }
        asking.join().unwrap();
    });
    let broker = start(&kafka.bootstrap, &state, "slot-0");
    let timers = all_counted(&client, total);
    println!("{total} commands counted once each after 10 kills, {timers} timers fired");
    std::thread::sleep(Duration::from_millis(800));
    replays(&broker);
    let before = digests(&broker);
    drop(broker);
    std::fs::remove_dir_all(state.join("second")).unwrap();
    let since = Instant::now();
    let broker = start(&kafka.bootstrap, &state, "slot-0");
    eventually("everything restored", 60, || owns_all(&broker));
    println!("restored in {:?}", since.elapsed());
    assert_eq!(digests(&broker), before);
}

#[test]
fn a_frozen_process_wakes_up_fenced_and_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let kafka = cluster(folder.path());
    let client = client(&kafka.bootstrap);
    let mut zombie = spawn(&kafka.bootstrap, &folder.path().join("zombie"), "slot-0");
    ask(&client, 0, 2_000, 1_000);
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| ask(&client, 2_000, 8_000, 1_000));
        std::thread::sleep(Duration::from_millis(500));
        signal(&zombie, "-STOP");
        let heir = start(&kafka.bootstrap, &folder.path().join("heir"), "slot-0");
        std::thread::sleep(Duration::from_secs(3));
        signal(&zombie, "-CONT");
        asking.join().unwrap();
        all_counted(&client, 8_000);
        eventually("the zombie ends itself", 30, || zombie.try_wait().unwrap().is_some());
        assert_eq!(zombie.wait().unwrap().code(), Some(3), "fenced, by its own account");
        assert_eq!(heir.failure(), None);
        replays(&heir);
    });
}

#[test]
fn partitions_move_between_two_slots_and_a_broker_that_dies_comes_back_to_the_same_counts() {
    let folder = tempfile::tempdir().unwrap();
    let mut kafka = cluster(folder.path());
    let bootstrap = kafka.bootstrap.clone();
    let client = client(&bootstrap);
    let one = start(&bootstrap, &folder.path().join("one"), "slot-1");
    ask(&client, 0, 2_000, 1_000);
    let two = start(&bootstrap, &folder.path().join("two"), "slot-2");
    ask(&client, 2_000, 6_000, 1_000);
    let owned =
        |broker: &Broker| (0..PARTITIONS).filter(|at| Platform::read(broker, toy::NODES[0], *at, &mut |_| {})).count();
    eventually("both own something", 30, || owned(&one) > 0 && owned(&two) > 0 && owned(&one) + owned(&two) == 3);
    all_counted(&client, 6_000);
    one.stop();
    eventually("one slot owns everything", 30, || owns_all(&two));
    ask(&client, 6_000, 7_000, 1_000);
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| ask(&client, 7_000, 12_000, 500));
        std::thread::sleep(Duration::from_secs(2));
        kafka.restart();
        asking.join().unwrap();
    });
    all_counted(&client, 12_000);
    assert_eq!(two.failure(), None);
    std::thread::sleep(Duration::from_millis(800));
    replays(&two);
}

#[test]
fn commits_stay_quick_under_a_moderate_load() {
    let folder = tempfile::tempdir().unwrap();
    let kafka = cluster(folder.path());
    let broker = start(&kafka.bootstrap, &folder.path().join("state"), "slot-0");
    eventually("running", 30, || owns_all(&broker));
    let news = Arc::new(AtomicU64::new(0));
    let heard = news.clone();
    broker.on_commit(Box::new(move || {
        heard.fetch_add(1, Ordering::Relaxed);
    }));
    ask(&broker, 0, 2_000, 400);
    all_counted(&broker, 2_000);
    let warm = broker.commits();
    ask(&broker, 2_000, 8_000, 400);
    let commits = broker.commits();
    println!(
        "400 commands/s, 2 hops: {commits:?} (warm-up: {warm:?}); from submission to the second decision: {}",
        latency(&broker)
    );
    // The trap of slices shows in the median; the tail belongs to whatever else the machine does.
    assert!(commits.p50 < Duration::from_millis(100), "{commits:?}");
    assert!(news.load(Ordering::Relaxed) > 0);
    let since = Instant::now();
    ask(&broker, 8_000, 48_000, 1_000_000);
    all_counted(&broker, 48_000);
    println!("40000 commands as fast as they go, through both hops, in {:?}; {:?}", since.elapsed(), broker.commits());
    let status = broker.tasks();
    assert_eq!(status.len(), 6);
    assert!(status.iter().all(|task| task.halted.is_none()));
}

#[test]
fn what_cannot_run_says_so_in_one_line() {
    let make = || Arc::new(|partition| toy::tasks(partition, PARTITIONS));
    let folder = tempfile::tempdir().unwrap();
    let nobody = Broker::start(options("127.0.0.1:1", folder.path(), "slot-0"), toy::NODES, make()).err().unwrap();
    assert!(matches!(nobody, StartError::Unreachable { .. }), "{nobody}");
    println!("{nobody}");
    let data = tempfile::tempdir().unwrap();
    let kafka = Kafka::start(data.path());
    let mut plan = admin::plan(toy::NODES, PARTITIONS, 1);
    plan.iter_mut().for_each(|topic| {
        if topic.name == "toy.events.v1" {
            topic.partitions = 2;
        } else if topic.name == "node-first.journal.v1" {
            topic.configs.insert("retention.ms".into(), "1000".into());
        }
    });
    plan.retain(|topic| topic.name != "toy.entries.v1");
    assert_eq!(admin::create_topics(&kafka.bootstrap, &BTreeMap::new(), &plan).unwrap(), []);
    let wrong = Broker::start(options(&kafka.bootstrap, folder.path(), "slot-0"), toy::NODES, make()).err().unwrap();
    println!("{wrong}");
    let StartError::Topics(wrong) = wrong else { panic!("{wrong}") };
    assert_eq!(wrong.len(), 3);
    let mut strange = options(&kafka.bootstrap, folder.path(), "slot-0");
    strange.client.insert("no.such.setting".into(), "1".into());
    let strange = Broker::start(strange, toy::NODES, make()).err().unwrap();
    println!("{strange}");
    assert!(matches!(strange, StartError::Setting(_)));
}

#[test]
fn bad_bytes_become_dead_letters_and_a_wrong_clock_does_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let kafka = cluster(folder.path());
    let mut late = options(&kafka.bootstrap, &folder.path().join("late"), "slot-0");
    late.clock = || toy::clock().plus(-8_000_000);
    let late = Broker::client(&late, toy::NODES).err().unwrap();
    println!("{late}");
    assert!(matches!(late, StartError::Clock { seconds: -9..=-7, .. }));

    let broker = start(&kafka.bootstrap, &folder.path().join("state"), "slot-0");
    let (tell, told) = mpsc::channel();
    for (key, value) in [
        ("who", b"nonsense".to_vec()),
        ("who", Vec::new()),
        ("who", b"\0\0\0\0\x09{}".to_vec()),
        ("who", vec![0; 100_001]),
    ] {
        let tell = tell.clone();
        broker.submit(&toy::ASKS, key, value, Box::new(move |place| tell.send(place).unwrap()));
    }
    let refused = told.iter().take(4).filter(Result::is_err).count();
    assert_eq!(refused, 1, "what is over the limit is refused at the edge");
    ask(&broker, 0, 10, 1_000);
    all_counted(&broker, 10);
    let mut letters = Vec::new();
    for partition in 0..PARTITIONS {
        log::visit(&broker, tributary_flow::DEAD_LETTERS, partition, |record| {
            let header = |name: &str| {
                record
                    .headers
                    .iter()
                    .find(|(header, _)| header == name)
                    .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
            };
            letters.push((header("code").unwrap(), header("topic").unwrap(), record.value.clone().unwrap()));
            Ok::<_, tributary_flow::LogError>(())
        })
        .unwrap();
    }
    let codes: Vec<&str> = letters.iter().map(|(code, ..)| code.as_str()).collect();
    assert_eq!(codes, ["bad_magic", "bad_magic", "unknown_schema"]);
    assert!(letters.iter().all(|(_, topic, _)| topic == "toy.commands.v1"));
    assert_eq!(letters[0].2, b"nonsense");
    assert_eq!(letters[1].2, b"", "an empty value is not an absent one");
}

#[test]
fn a_full_disk_stops_the_engine_and_a_restart_rolls_forward() {
    let folder = tempfile::tempdir().unwrap();
    let kafka = cluster(folder.path());
    let state = folder.path().join("state");
    let client = client(&kafka.bootstrap);
    // No file of this process grows over 600 blocks: to a store that is as good as a full disk.
    let mut full = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 600; exec \"$0\" --exact child --nocapture"])
        .arg(std::env::current_exe().unwrap())
        .env("TOY_CHILD", format!("{}|{}|slot-0", kafka.bootstrap, state.display()))
        .spawn()
        .unwrap();
    ask(&client, 0, 8_000, 2_000);
    eventually("the full process ends itself", 60, || full.try_wait().unwrap().is_some());
    assert_eq!(full.wait().unwrap().code(), Some(4), "a store that cannot be written, by its own account");
    let done = counted(&client).0.len();
    let broker = start(&kafka.bootstrap, &state, "slot-0");
    all_counted(&client, 8_000);
    println!("stopped after {done} of 8000 counts, all there after the restart");
    std::thread::sleep(Duration::from_millis(800));
    replays(&broker);
}
