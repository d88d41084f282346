//! Processes that are killed, disks that are full, files that are cut: each in a child process, for only a process that
//! really ends shows what it leaves behind.

mod toy;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use toy::{ORDERS, PAID, ahead, tally, wallet};
use tributary_embedded::{Embedded, EmbeddedReader, OpenError, Options};
use tributary_flow::log::{Log, LogError, visit};
use tributary_flow::platform::SubmitError;
use tributary_flow::{Body, Platform};

const DIR: &str = "TOY_DIR";
const PARTITIONS: u32 = 3;

fn open(dir: &Path) -> Result<Embedded, OpenError> {
    let options = Options { cache_bytes: 16 << 20, max_batch: 100, ..Options::new(dir, PARTITIONS) };
    Embedded::open(&options, &|partition| toy::tasks(partition, PARTITIONS))
}

/// The child: pays without end and prints the id of every command that is acknowledged.
#[test]
fn child_that_pays() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let platform = open(Path::new(&dir)).unwrap();
    let run = std::process::id();
    let (sender, receiver) = mpsc::sync_channel::<Result<String, SubmitError>>(500);
    for n in 0.. {
        let (from, to, id) = (format!("w{}", n % 11), format!("w{}", n % 13), format!("{run}-{n}"));
        let value = toy::order(&id, "pay", &from, &to, 1);
        let sender = sender.clone();
        // The channel is as deep as the load: a `done` never waits.
        platform.submit(&ORDERS, &from, value, Box::new(move |result| sender.send(result.map(|_| id)).unwrap()));
        if n < 400 {
            continue;
        }
        match receiver.recv().unwrap() {
            Ok(id) => writeln!(std::io::stdout(), "ack {id}").unwrap(),
            Err(error) => {
                let failure = platform.failure();
                writeln!(std::io::stdout(), "stopped {error} | {failure:?}").unwrap();
                return;
            }
        }
    }
}

fn spawn(dir: &Path, limit_blocks: Option<u32>) -> Child {
    let test = std::env::current_exe().unwrap();
    let limit = limit_blocks.map_or(String::new(), |blocks| format!("trap '' XFSZ; ulimit -f {blocks};"));
    Command::new("sh")
        .arg("-c")
        .arg(format!("{limit} exec {} --exact child_that_pays --nocapture", test.display()))
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Every acknowledged command is in the log, each command was decided exactly once, and the state is what a recount gives.
fn check(dir: &Path, acknowledged: &BTreeSet<String>) {
    let platform = open(dir).unwrap();
    let mut balances: BTreeMap<String, i64> = BTreeMap::new();
    let (mut ordered, mut paid) = (BTreeSet::new(), BTreeSet::new());
    for partition in 0..PARTITIONS {
        visit::<LogError>(&platform, ORDERS.name, partition, |record| {
            let (header, order) = toy::Order::decode(&record.value.unwrap()[5..]).unwrap();
            let tributary_flow::Header::Command(command) = header else { panic!("a command") };
            *balances.entry(order.from).or_default() -= 1;
            *balances.entry(order.to).or_default() += 1;
            assert!(ordered.insert(command.id), "each command was sent once");
            Ok(())
        })
        .unwrap();
        visit::<LogError>(&platform, PAID.name, partition, |record| {
            assert!(paid.insert(toy::answered(&record.value.unwrap())), "answered twice");
            Ok(())
        })
        .unwrap();
    }
    assert!(acknowledged.is_subset(&ordered), "an acknowledged command is lost");
    assert_eq!(ordered, paid, "each command is answered exactly once");
    let (mut state, mut counted) = (BTreeMap::new(), 0);
    for partition in 0..PARTITIONS {
        Platform::read(&platform, &wallet::NODE, partition, &mut |store| state.extend(toy::balances(store)));
        Platform::read(&platform, &tally::NODE, partition, &mut |store| counted += toy::counted(store));
    }
    assert_eq!(state, balances);
    assert_eq!(counted, paid.len() as u64);
}

#[test]
fn kill_nine_in_mid_load_loses_nothing_and_doubles_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeSet::new();
    for run in 0..10 {
        let mut child = spawn(dir.path(), None);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let before = acknowledged.len();
        for line in lines {
            if let Some((_, id)) = line.split_once("ack ") {
                acknowledged.insert(id.trim().to_owned());
                if acknowledged.len() == before + 300 + 170 * run {
                    child.kill().unwrap(); // `sh` has become the child by exec.
                }
            }
        }
        child.wait().unwrap();
        assert!(acknowledged.len() > before);
        check(dir.path(), &acknowledged);
    }
}

#[test]
fn a_full_disk_stops_the_platform_and_a_restart_rolls_forward() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = spawn(dir.path(), Some(2_000));
    let mut acknowledged = BTreeSet::new();
    let mut stopped = String::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
        if let Some((_, id)) = line.split_once("ack ") {
            acknowledged.insert(id.trim().to_owned());
        } else if let Some((_, words)) = line.split_once("stopped ") {
            words.clone_into(&mut stopped);
        }
    }
    child.wait().unwrap();
    assert!(!acknowledged.is_empty());
    assert!(stopped.contains("cannot be written") && stopped.contains("Some("), "{stopped}");
    check(dir.path(), &acknowledged);
}

/// A database that was killed with its epochs in the write-ahead log, and that log.
fn killed() -> (tempfile::TempDir, PathBuf, u64) {
    let dir = tempfile::tempdir().unwrap();
    let mut child = spawn(dir.path(), None);
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let acknowledged = lines.filter(|line| line.contains("ack ")).take(2_000).count();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(acknowledged, 2_000);
    let log = ahead(dir.path()).pop().unwrap();
    let records = |log: &dyn Log| (0..PARTITIONS).map(|partition| log.range(ORDERS.name, partition).unwrap().end).sum();
    let kept = records(&EmbeddedReader::open(dir.path()).unwrap());
    (dir, log, kept)
}

#[test]
fn a_torn_tail_costs_only_the_epoch_that_was_never_acknowledged() {
    let (dir, log, kept) = killed();
    // The last bytes of the log that are not the zeros of preallocated space.
    let mut bytes = fs::read(&log).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes.truncate(end - 20);
    fs::write(&log, bytes).unwrap();
    check(dir.path(), &BTreeSet::new());
    let platform = open(dir.path()).unwrap();
    let left: u64 = (0..PARTITIONS).map(|partition| Log::range(&platform, ORDERS.name, partition).unwrap().end).sum();
    assert!(left < kept && left + 100 >= kept, "{left} of {kept}");
}

#[test]
fn a_flipped_bit_in_the_write_ahead_log_is_refused_and_not_skipped() {
    let (dir, log, _) = killed();
    let mut bytes = fs::read(&log).unwrap();
    let middle = bytes.len() / 3;
    bytes[middle] ^= 0x10;
    fs::write(&log, bytes).unwrap();
    std::thread::sleep(Duration::from_millis(10));
    let refused = open(dir.path()).err().unwrap();
    assert!(matches!(refused, OpenError::Corrupt { .. }), "{refused}");
}
