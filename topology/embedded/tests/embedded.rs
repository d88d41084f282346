//! The embedded driver with a toy graph: what it keeps, what it refuses, and what a restart makes of it.

mod toy;

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use toy::{CREDITS, ORDERS, PAID, ahead, tally, wallet};
use tributary_embedded::{Embedded, EmbeddedReader, OpenError, Options};
use tributary_flow::log::{Log, visit};
use tributary_flow::platform::SubmitError;
use tributary_flow::{Place, Platform, Store, Timestamp, partition_of, reader, replay};

fn options(dir: &Path, partitions: u32) -> Options {
    Options { cache_bytes: 32 << 20, ..Options::new(dir, partitions) }
}

/// With the wallet's bug mended.
fn open_fixed(options: &Options) -> Embedded {
    let partitions = options.partitions;
    let make =
        move |partition| vec![toy::wallet_task(partition, partitions, true), toy::tally_task(partition, partitions)];
    Embedded::open(options, &make).unwrap()
}

fn open(options: &Options) -> Embedded {
    let partitions = options.partitions;
    Embedded::open(options, &move |partition| toy::tasks(partition, partitions)).unwrap()
}

/// Submits and waits for the answer.
fn submit(platform: &Embedded, key: &str, value: Vec<u8>) -> Result<Place, SubmitError> {
    let (sender, receiver) = mpsc::channel();
    platform.submit(&ORDERS, key, value, Box::new(move |result| sender.send(result).unwrap()));
    receiver.recv_timeout(Duration::from_secs(20)).unwrap()
}

fn pay(platform: &Embedded, numbers: Range<u32>) {
    let (sender, receiver) = mpsc::channel();
    for n in numbers.clone() {
        let (from, to, sender) = (format!("w{}", n % 7), format!("w{}", n % 5), sender.clone());
        platform.submit(
            &ORDERS,
            &from,
            toy::order(&format!("c{n}"), "pay", &from, &to, 1),
            Box::new(move |result| sender.send(result).unwrap()),
        );
    }
    for _ in numbers {
        receiver.recv_timeout(Duration::from_secs(20)).unwrap().unwrap();
    }
}

fn balance(platform: &Embedded) -> i64 {
    let mut sum = 0;
    for partition in 0..Platform::partitions(platform) {
        assert!(Platform::read(platform, &wallet::NODE, partition, &mut |store| sum +=
            toy::balances(store).iter().map(|(_, amount)| amount).sum::<i64>()));
    }
    sum
}

fn tallied(platform: &Embedded) -> u64 {
    let mut sum = 0;
    for partition in 0..Platform::partitions(platform) {
        assert!(Platform::read(platform, &tally::NODE, partition, &mut |store| sum += toy::counted(store)));
    }
    sum
}

fn records(log: &dyn Log, topic: &str) -> u64 {
    (0..log.partitions()).map(|partition| log.range(topic, partition).unwrap().end).sum()
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what} did not happen");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Every task, run again from its journal, makes the records and the state that the log and the stores hold.
fn replays(dir: &Path) {
    let log = EmbeddedReader::open(dir).unwrap();
    let partitions = log.partitions();
    for mut task in (0..partitions).flat_map(|partition| toy::tasks(partition, partitions)) {
        let replayed = replay::replay(task.as_mut(), &log, &mut |_, _| {}).unwrap();
        let mut compare = |store: &dyn Store| {
            assert_eq!(reader::digest(store), reader::digest(&replayed), "{}[{}]", task.node().name, task.partition());
        };
        log.with_state(task.node().name, task.partition(), &mut compare).unwrap();
    }
}

#[test]
fn a_command_is_durable_with_all_that_follows_when_it_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let platform = open(&options(dir.path(), 3));
    let place = submit(&platform, "ann", toy::order("1", "pay", "ann", "bob", 5)).unwrap();
    assert_eq!(place, Place { topic: ORDERS.name.into(), partition: partition_of(b"ann", 3), offset: 0 });
    for (who, expected) in [("ann", -5), ("bob", 5)] {
        Platform::read(&platform, &wallet::NODE, partition_of(who.as_bytes(), 3), &mut |store| {
            assert!(toy::balances(store).contains(&(who.to_owned(), expected)));
        });
    }
    assert_eq!((records(&platform, CREDITS.name), records(&platform, PAID.name), tallied(&platform)), (1, 1, 1));
    let duplicate = submit(&platform, "ann", toy::order("1", "pay", "ann", "bob", 5)).unwrap();
    assert_eq!(duplicate.offset, 1);
    assert_eq!((records(&platform, PAID.name), tallied(&platform), balance(&platform)), (1, 1, 0));
    assert!(platform.tasks().iter().all(|task| task.lag == 0 && task.halted.is_none()));
    drop(platform);
    replays(dir.path());
}

#[test]
fn a_restart_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    for run in 0..3_u64 {
        let platform = open(&options(dir.path(), 2));
        assert_eq!(tallied(&platform), 500 * run.min(1));
        pay(&platform, 0..500);
        assert_eq!(
            (tallied(&platform), balance(&platform), records(&platform, ORDERS.name)),
            (500, 0, 500 * (run + 1))
        );
        platform.close();
        assert!(matches!(
            submit(&platform, "w0", toy::order("x", "pay", "w0", "w1", 1)),
            Err(SubmitError::Unavailable(_))
        ));
    }
    replays(dir.path());
}

#[test]
fn a_command_on_the_wrong_partition_is_forwarded_and_a_bad_one_becomes_a_dead_letter() {
    let dir = tempfile::tempdir().unwrap();
    let platform = open(&options(dir.path(), 2));
    let wrong = 1 - partition_of(b"ann", 2);
    let (sender, receiver) = mpsc::channel();
    let done = |sender: &mpsc::Sender<_>| {
        let sender = sender.clone();
        Box::new(move |result| sender.send(result).unwrap())
    };
    platform.produce(
        &ORDERS,
        Some(wrong),
        Some(b"ann".to_vec()),
        Some(toy::order("1", "pay", "ann", "bob", 5)),
        done(&sender),
    );
    platform.produce(&ORDERS, Some(0), None, Some(vec![9]), done(&sender));
    for _ in 0..2 {
        receiver.recv().unwrap().unwrap();
    }
    until("the forwarded payment", || tallied(&platform) == 1);
    let letters = Log::read(&platform, tributary_flow::DEAD_LETTERS, 0, 0, 10).unwrap();
    assert_eq!((letters.len(), letters[0].value.as_deref()), (1, Some([9].as_slice())));
    assert!(letters[0].headers.contains(&("code".to_owned(), b"null_key".to_vec())));
    let limit = Options::new(".", 1).max_record;
    assert_eq!(submit(&platform, "ann", vec![0; limit]), Err(SubmitError::TooLarge { size: limit + 3, limit }));
}

#[test]
fn a_timer_fires_when_the_clock_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let now = Arc::new(AtomicI64::new(1_000));
    let clock = Arc::clone(&now);
    let mut options = options(dir.path(), 1);
    options.clock = Arc::new(move || Timestamp(clock.load(Ordering::SeqCst)));
    let platform = open(&options);
    submit(&platform, "ann", toy::order("1", "later", "ann", "bob", 10_000_000)).unwrap();
    std::thread::sleep(Duration::from_millis(150));
    assert_eq!(tallied(&platform), 0);
    platform.close();
    drop(platform);
    now.store(10_002_000, Ordering::SeqCst);
    let platform = open(&options);
    until("the timer", || tallied(&platform) == 1);
    drop(platform);
    replays(dir.path());
}

#[test]
fn a_view_that_is_new_reads_the_log_from_its_beginning() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(dir.path(), 2);
    options.max_batch = 50;
    let platform = Embedded::open(&options, &|partition| vec![toy::wallet_task(partition, 2, false)]).unwrap();
    pay(&platform, 0..700);
    assert!(!Platform::read(&platform, &tally::NODE, 0, &mut |_| {}));
    drop(platform);
    let platform = open(&options);
    pay(&platform, 0..800); // The first 700 are known; the others meet a view that still lags.
    until("catching up", || tallied(&platform) == 800);
    drop(platform);
    replays(dir.path());
    options.rebuild = vec!["tally".to_owned()];
    let platform = open(&options);
    until("the rebuild", || tallied(&platform) == 800);
    drop(platform);
    replays(dir.path());
    options.rebuild = vec!["wallet".to_owned()];
    assert!(
        matches!(Embedded::open(&options, &|partition| toy::tasks(partition, 2)), Err(OpenError::NotAView(name)) if name == "wallet")
    );
}

#[test]
fn a_file_of_the_write_ahead_log_that_is_gone_or_cut_is_missed() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { cache_bytes: 1 << 20, ..options(dir.path(), 1) };
    let platform = open(&options);
    let mut paid = 0;
    while ahead(dir.path()).len() < 2 {
        assert!(paid < 200_000, "the log is never switched");
        pay(&platform, paid..paid + 500);
        paid += 500;
    }
    pay(&platform, paid..paid + 1); // What is written next makes the older one's end known.
    drop(platform);
    let oldest = ahead(dir.path()).remove(0);
    let whole = std::fs::read(&oldest).unwrap();
    for left in [None, Some(0), Some(whole.len() / 2)] {
        std::fs::remove_file(&oldest).unwrap();
        if let Some(left) = left {
            std::fs::write(&oldest, &whole[..left]).unwrap();
        }
        for error in [Embedded::open(&options, &|_| Vec::new()).err(), EmbeddedReader::open(dir.path()).err()] {
            let error = error.expect("refused");
            assert!(matches!(error, OpenError::Corrupt { .. }), "{left:?}: {error}");
        }
        std::fs::write(&oldest, &whole).unwrap();
    }
    drop(open(&options));
    replays(dir.path());
}

#[test]
fn a_halted_task_does_not_stop_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let platform = open(&options(dir.path(), 2));
    let other =
        (0..9).map(|n| format!("o{n}")).find(|key| partition_of(key.as_bytes(), 2) != partition_of(b"ann", 2)).unwrap();
    submit(&platform, "ann", toy::order("1", "panic", "ann", "", 0)).unwrap();
    submit(&platform, "ann", toy::order("2", "pay", "ann", &other, 1)).unwrap();
    submit(&platform, &other, toy::order("3", "pay", &other, "ann", 2)).unwrap();
    assert_eq!(tallied(&platform), 1);
    let halted: Vec<_> = platform.tasks().into_iter().filter(|task| task.halted.is_some()).collect();
    assert_eq!((halted.len(), halted[0].node, halted[0].lag), (1, "wallet", 3));
}

#[test]
fn commands_wait_behind_what_their_reader_lags_with() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(dir.path(), 1);
    let platform = open(&options);
    submit(&platform, "ann", toy::order("p", "panic", "ann", "", 0)).unwrap();
    pay(&platform, 0..300);
    assert_eq!(tallied(&platform), 0);
    drop(platform);
    options.max_batch = 10;
    let platform = open_fixed(&options);
    pay(&platform, 300..400);
    until("reading on", || tallied(&platform) == 400);
    assert_eq!(balance(&platform), 0);
}

#[test]
fn after_a_restart_timers_wait_until_the_log_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let now = Arc::new(AtomicI64::new(1_000));
    let clock = Arc::clone(&now);
    let mut options = options(dir.path(), 1);
    options.clock = Arc::new(move || Timestamp(clock.load(Ordering::SeqCst)));
    let platform = open(&options);
    submit(&platform, "ann", toy::order("1", "later", "ann", "bob", 1_000_000)).unwrap();
    submit(&platform, "ann", toy::order("2", "panic", "ann", "", 0)).unwrap();
    submit(&platform, "ann", toy::order("3", "cancel", "ann", "bob", 0)).unwrap();
    drop(platform);
    now.store(5_000_000, Ordering::SeqCst);
    let platform = open_fixed(&options);
    submit(&platform, "ann", toy::order("4", "pay", "ann", "bob", 1)).unwrap();
    until("reading on", || platform.tasks().iter().all(|task| task.lag == 0));
    assert_eq!(tallied(&platform), 1, "the payment alone: the log had cancelled the other");
}

#[test]
fn what_is_opened_wrongly_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let absent = EmbeddedReader::open(&dir.path().join("none")).err().unwrap();
    assert!(matches!(absent, OpenError::Absent(_)), "{absent}");
    let platform = open(&options(dir.path(), 2));
    pay(&platform, 0..10);
    let locked = Embedded::open(&options(dir.path(), 2), &|partition| toy::tasks(partition, 2)).err().unwrap();
    assert!(matches!(locked, OpenError::Locked(_)), "{locked}");
    let beside = EmbeddedReader::open(dir.path()).unwrap();
    assert_eq!((beside.partitions(), records(&beside, ORDERS.name)), (2, 10));
    let mut seen = 0;
    visit::<tributary_flow::LogError>(&beside, ORDERS.name, 0, |_| {
        seen += 1;
        Ok(())
    })
    .unwrap();
    assert_eq!(seen, beside.range(ORDERS.name, 0).unwrap().end);
    drop(platform);
    let partitions = Embedded::open(&options(dir.path(), 3), &|partition| toy::tasks(partition, 3)).err().unwrap();
    assert!(matches!(partitions, OpenError::Partitions { stored: 2, asked: 3, .. }), "{partitions}");
    assert!(partitions.to_string().contains("start with 2"));
}
