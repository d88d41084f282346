//! Processes that are killed, disks that are full, files that are cut: each in a child process, for only a process that
//! really ends shows what it leaves behind.

mod toy;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

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
    let kept = orders(&EmbeddedReader::open(dir.path()).unwrap());
    (dir, log, kept)
}

/// How many commands a log has.
fn orders(log: &dyn Log) -> u64 {
    (0..PARTITIONS).map(|partition| log.range(ORDERS.name, partition).unwrap().end).sum()
}

#[test]
fn a_torn_tail_costs_only_the_epoch_that_was_never_acknowledged() {
    let (dir, log, kept) = killed();
    let mut bytes = fs::read(&log).unwrap();
    let first = records(&bytes).remove(0);
    bytes.extend_from_within(first.start..first.end - 20);
    fs::write(&log, bytes).unwrap();
    check(dir.path(), &BTreeSet::new());
    assert_eq!(orders(&open(dir.path()).unwrap()), kept);
}

#[test]
fn whatever_is_changed_in_what_was_acknowledged_is_refused_and_nothing_is_dropped() {
    let (dir, log, kept) = killed();
    let current = dir.path().join("CURRENT");
    let manifest = dir.path().join(fs::read_to_string(&current).unwrap().trim_end());
    let mark = dir.path().join("ACKNOWLEDGED");
    let told = fs::read(&mark).unwrap();
    let length = |at: usize| u64::from_be_bytes(told[at..at + 8].try_into().unwrap()) as usize;
    for (path, acknowledged) in [(&log, length(8)), (&manifest, length(24))] {
        for (what, bytes) in changes(&fs::read(path).unwrap(), acknowledged) {
            is_refused(dir.path(), path, &what, Some(bytes));
        }
        is_refused(dir.path(), path, "gone", None);
    }
    is_refused(dir.path(), &current, "gone", None);
    is_refused(dir.path(), &current, "empty", Some(Vec::new()));
    for bit in (0..told.len() * 8).step_by(31) {
        is_refused(dir.path(), &mark, &format!("bit {bit}"), Some(flipped(&told, bit)));
    }
    assert_eq!(orders(&open(dir.path()).unwrap()), kept);
}

#[test]
fn a_start_that_ends_while_it_makes_its_mark_leaves_a_folder_that_starts() {
    let (dir, _, kept) = killed();
    for mark in [None, Some(fs::read(dir.path().join("ACKNOWLEDGED")).unwrap())] {
        fs::write(dir.path().join("ACKNOWLEDGED.new"), "").unwrap();
        match mark {
            Some(mark) => fs::write(dir.path().join("ACKNOWLEDGED"), mark).unwrap(),
            None => fs::remove_file(dir.path().join("ACKNOWLEDGED")).unwrap(),
        }
        assert_eq!(orders(&EmbeddedReader::open(dir.path()).unwrap()), kept);
    }
    drop(open(dir.path()).unwrap());
    assert!(!dir.path().join("ACKNOWLEDGED.new").exists());
    drop(open(dir.path()).unwrap());
}

/// A file with this in it is refused, whoever opens the folder, and the folder stays as it is. Then the file is as it was.
fn is_refused(dir: &Path, path: &Path, what: &str, bytes: Option<Vec<u8>>) {
    let whole = fs::read(path).unwrap();
    match bytes {
        Some(bytes) => fs::write(path, bytes).unwrap(),
        None => fs::remove_file(path).unwrap(),
    }
    let before = contents(dir);
    for refused in [EmbeddedReader::open(dir).err(), open(dir).err()] {
        let refused = refused.unwrap_or_else(|| panic!("{}: {what}: taken", path.display()));
        assert!(matches!(refused, OpenError::Corrupt { .. }), "{}: {what}: {refused}", path.display());
        assert!(contents(dir) == before, "{}: {what}: the folder is not as it was", path.display());
    }
    fs::write(path, whole).unwrap();
}

/// Every bit of the head, and one of the data, of a file's first record, one in the middle, and the last that was acknowledged; a
/// byte too many or too few in them; and the file without them.
fn changes(whole: &[u8], acknowledged: usize) -> Vec<(String, Vec<u8>)> {
    let records = records(&whole[..acknowledged]);
    let mut changes = Vec::new();
    for Range { start, end } in [&records[0], &records[records.len() / 2], &records[records.len() - 1]] {
        let mut change = |what: &str, bytes| changes.push((format!("{what} of the record at {start}"), bytes));
        for bit in (0..HEAD * 8).chain([HEAD * 8 + 9]) {
            change(&format!("bit {bit}"), flipped(whole, start * 8 + bit));
        }
        for at in [start + 3, start + HEAD + 1] {
            change("a byte too many", [&whole[..at], &[7], &whole[at..]].concat());
            change("a byte too few", [&whole[..at], &whole[at + 1..]].concat());
        }
        change("without the last byte", whole[..end - 1].to_vec());
        change("without what is behind the begin", whole[..*start].to_vec());
        change("zeros instead", [&whole[..*start], &vec![0; whole.len() - start]].concat());
    }
    changes
}

fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}

/// The head of a record of the write-ahead log: sum, length, type.
const HEAD: usize = 7;
const BLOCK: usize = 32 << 10;

/// Where a file's whole records lie.
fn records(bytes: &[u8]) -> Vec<Range<usize>> {
    let (mut records, mut at) = (Vec::new(), 0);
    while at + HEAD <= bytes.len() {
        if BLOCK - at % BLOCK < HEAD {
            at = at.next_multiple_of(BLOCK);
            continue;
        }
        let end = at + HEAD + usize::from(u16::from_le_bytes([bytes[at + 4], bytes[at + 5]]));
        if end > bytes.len() {
            break;
        }
        records.push(at..end);
        at = end;
    }
    records
}

/// What the files of a folder hold, but for those in which RocksDB notes what it does.
fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let files = files.filter(|file| !file.file_name().to_string_lossy().starts_with("LO"));
    files.map(|file| (file.path(), fs::read(file.path()).unwrap())).collect()
}
