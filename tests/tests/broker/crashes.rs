//! Processes, the broker and the disk fail; every command still counts once.

use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use super::*;

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
    let wanted = Arc::new(AtomicU64::new(u64::MAX));
    let following = std::thread::spawn({
        let (bootstrap, wanted) = (bootstrap.clone(), wanted.clone());
        move || follow(&self::client(&bootstrap), &wanted)
    });
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
        kafka.kill9();
        kafka.restart().unwrap();
        asking.join().unwrap();
    });
    all_counted(&client, 12_000);
    assert_eq!(two.failure(), None);
    std::thread::sleep(Duration::from_millis(800));
    replays(&two);
    let mut there = Vec::new();
    for partition in 0..PARTITIONS {
        log::visit(&client, ENTRIES, partition, |record| {
            there.push((partition, record));
            Ok::<_, LogError>(())
        })
        .unwrap();
    }
    wanted.store(there.len() as u64, Ordering::Release);
    let mut followed = following.join().unwrap();
    followed.sort_by_key(|(partition, _)| *partition);
    assert!(followed == there, "{} followed of {}, or not each once and in order", followed.len(), there.len());
}

/// What somebody is given who follows the entries, until that is as much as is `wanted`.
fn follow(log: &dyn Log, wanted: &AtomicU64) -> Vec<(u32, Logged)> {
    let mut reader = log.follow(ENTRIES, vec![0; PARTITIONS as usize]).unwrap();
    let mut followed = Vec::new();
    eventually("all followed", 180, || {
        // While the broker is away there is nothing to be had.
        followed.extend(reader.next(Duration::from_millis(50)).unwrap_or_default());
        followed.len() as u64 >= wanted.load(Ordering::Acquire)
    });
    followed
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
    let done = counted(&client).unwrap().0.len();
    let broker = start(&kafka.bootstrap, &state, "slot-0");
    all_counted(&client, 8_000);
    println!("stopped after {done} of 8000 counts, all there after the restart");
    std::thread::sleep(Duration::from_millis(800));
    replays(&broker);
}

/// Flips a bit of the largest batch in the second half of a partition's only segment; the offset of its first record. librdkafka 2.12
/// then reads on where nothing begins, and aborts where it finds zeros there (docs/guarantees.md).
fn damage(folder: &Path, topic: &str, partition: u32) -> u64 {
    let segment = folder.join(format!("kafka/log/{topic}-{partition}/00000000000000000000.log"));
    let mut bytes = std::fs::read(&segment).unwrap();
    // https://kafka.apache.org/documentation/#recordbatch: the offset of the first record, then the length of what follows.
    let number = |at: usize| u64::from(u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()));
    let size = |at: usize| 12 + number(at + 8) as usize;
    let next = |at: &usize| Some(at + size(*at)).filter(|at| *at < bytes.len());
    let batches: Vec<usize> = std::iter::successors(Some(0), next).collect();
    let chosen = batches[batches.len() / 2..].iter().copied().max_by_key(|at| size(*at)).unwrap();
    let (offset, end) = (number(chosen + 4), chosen + size(chosen));
    bytes[end - 1] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    offset
}

#[test]
fn a_batch_that_is_not_as_it_was_written_stops_who_reads_it_and_is_not_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let mut kafka = cluster(folder.path());
    let client = client(&kafka.bootstrap);
    ask(&client, 0, 600, 600);
    // In good order: after a crash the broker would look at its last segment itself, and cut it there.
    kafka.stop();
    let bad = damage(folder.path(), toy::ASKS.name, 1);
    kafka.restart().unwrap();
    let state = folder.path().join("state");
    for _ in 0..2 {
        // Apart from this process, for librdkafka may end the one that it runs in.
        let words = folder.path().join("words");
        let to = std::fs::File::create(&words).unwrap();
        let mut child = orders(&kafka.bootstrap, &state, "slot-0").stdout(Stdio::null()).stderr(to).spawn().unwrap();
        eventually("it stops", 60, || child.try_wait().unwrap().is_some());
        let (ended, said) = (child.wait().unwrap(), std::fs::read_to_string(&words).unwrap());
        let named = said.contains(&format!("{}[1]@{bad}", toy::ASKS.name)) && said.contains("CRC32C");
        let aborted = ended.signal() == Some(6) && said.contains("rd_slice_narrow_copy");
        println!("named: {named}, aborted: {aborted}");
        assert!(!ended.success() && (named || aborted), "{ended}: {said}");
        assert!(counted(&client).unwrap().0.len() < 600);
    }
    kafka.stop();
    assert_eq!(damage(folder.path(), toy::ASKS.name, 1), bad);
    kafka.restart().unwrap();
    let broker = start(&kafka.bootstrap, &state, "slot-0");
    all_counted(&client, 600);
    assert_eq!(broker.failure(), None);
}
