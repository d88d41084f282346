//! The core with a toy graph: the door, ids, order, timers, fusion, replay.

mod toy;

use std::collections::BTreeMap;
use std::time::Duration;

use toy::world::{Play as _, World};
use toy::{COMMANDS, EVENTS, MIRRORED, command, engine, input};
use tributary_flow::log::Follow;
use tributary_flow::time::{DAY, SECOND};
use tributary_flow::{
    Commit, DEAD_LETTERS, Epoch, Header, Input, Log, Logged, Stores, Target, Timestamp, partition_of, reader,
};

fn told(commit: &Commit) -> Vec<i64> {
    let facts = commit.records.iter().filter(|record| record.target == Target::Topic(&EVENTS));
    facts.map(|record| number(record.value.as_deref().expect("a value"))).collect()
}

fn number(value: &[u8]) -> i64 {
    String::from_utf8_lossy(value).rsplit('|').next().expect("a last part").parse().expect("a number")
}

#[test]
fn what_cannot_be_taken_is_a_dead_letter_and_the_partition_goes_on() {
    let with_id = |id: u32| [&[0][..], &id.to_be_bytes(), b"c|x|0|0|k|1"].concat();
    let cases = [
        ("null_key", None, Some(command("a", "k", 1))),
        ("bad_key", Some(""), Some(command("a", "k", 1))),
        ("null_value", Some("k"), None),
        ("bad_magic", Some("k"), Some(b"\x07hello".to_vec())),
        ("bad_magic", Some("k"), Some(vec![0, 0])),
        ("unknown_schema", Some("k"), Some(with_id(9))),
        ("undecodable", Some("k"), Some(with_id(3))),
        ("undecodable", Some("k"), Some(b"\0\0\0\0\x01gibberish".to_vec())),
        ("key_mismatch", Some("k"), Some(command("a", "other", 1))),
        ("bad_header", Some("k"), Some(command("", "k", 1))),
    ];
    for (code, key, value) in cases {
        let (mut world, mut engine) = (World::new(1), engine(1));
        let good = input(&COMMANDS, 0, 1, Some("k"), Some(command("b", "k", 5)));
        let commit = world.epoch(&mut engine, 0, vec![input(&COMMANDS, 0, 0, key, value.clone()), good], false);
        let letter = &commit.records[0];
        let header = |name| letter.headers.iter().find(|(header, _)| *header == name).map(|(_, value)| value.clone());
        assert_eq!((letter.target, header("code")), (Target::DeadLetters, Some(code.as_bytes().to_vec())));
        assert_eq!((header("topic"), header("offset")), (Some(COMMANDS.name.into()), Some(b"0".to_vec())), "{code}");
        assert_eq!(letter.value, value, "the raw bytes are kept");
        assert_eq!(told(&commit), [5], "{code}: the next record is taken");
    }
}

#[test]
fn a_schema_that_cannot_be_asked_for_fails_the_epoch_and_loses_nothing() {
    let (world, mut engine) = (World::new(1), engine(1));
    let value = [&[0, 0, 0, 0, 4][..], b"c|x|0|0|k|1"].concat();
    let epoch = Epoch { now: Timestamp(0), timers: 0, ends: None };
    let failed = engine.epoch(&world, epoch, &[input(&COMMANDS, 0, 0, Some("k"), Some(value))]);
    assert_eq!(failed.expect_err("failed").to_string(), "no answer");
    assert_eq!(engine.positions(&world)[0].1, 0);
}

#[test]
fn an_oversize_dead_letter_is_cut_and_says_so() {
    let (mut world, mut engine) = (World::new(1), engine(1));
    let commit = world.epoch(&mut engine, 0, vec![input(&COMMANDS, 0, 0, Some("k"), Some(vec![9; 9_000]))], false);
    let letter = &commit.records[0];
    assert!(letter.value.as_ref().expect("a value").len() <= 4_000);
    assert!(letter.headers.iter().any(|(name, value)| *name == "value-length" && value == b"9000"));
}

#[test]
fn a_reason_that_quotes_what_a_client_wrote_does_not_make_the_letter_too_large() {
    let (mut world, mut engine) = (World::new(1), engine(1));
    let value = [&[0, 0, 0, 0, 3][..], "é".repeat(1_400).as_bytes()].concat();
    let commit = world.epoch(&mut engine, 0, vec![input(&COMMANDS, 0, 0, Some("k"), Some(value))], false);
    let letter = &commit.records[0];
    let headers: usize = letter.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    assert!(headers < 1_024, "{headers} bytes of headers");
    assert!(headers + letter.value.as_ref().map_or(0, Vec::len) <= 4_000);
}

#[test]
fn a_command_too_large_to_be_forwarded_is_a_dead_letter_and_halts_nobody() {
    let (mut world, mut engine) = (World::new(4), engine(4));
    let wrong = (partition_of(b"k", 4) + 1) % 4;
    let long = command(&"i".repeat(3_500), "k", 1);
    let commit = world.epoch(&mut engine, 0, vec![input(&COMMANDS, wrong, 0, Some("k"), Some(long))], false);
    assert!(matches!(commit.records[..], [ref letter] if letter.target == Target::DeadLetters));
    assert!(engine.tasks().all(|(_, halted)| halted.is_none()));
}

#[test]
fn a_command_is_answered_once_and_its_id_for_another_request_is_a_conflict_once() {
    let (mut world, mut engine) = (World::new(1), engine(1));
    let asked = [("a", 1), ("a", 1), ("a", 2), ("a", 2), ("b", 1), ("a", 3), ("a", 1)];
    let inputs = asked
        .iter()
        .enumerate()
        .map(|(offset, (id, number))| input(&COMMANDS, 0, offset as u64, Some("k"), Some(command(id, "k", *number))));
    let commit = world.epoch(&mut engine, 0, inputs.collect(), false);
    assert_eq!(told(&commit), [1, -409, 2, -409]);
    assert_eq!(world.sum("k"), Some(2));
}

#[test]
fn a_command_older_than_memory_is_refused_and_never_executed() {
    let (mut world, mut engine) = (World::new(1), engine(1));
    let commit =
        world.epoch(&mut engine, 31 * DAY, vec![input(&COMMANDS, 0, 0, Some("k"), Some(command("a", "k", 1)))], false);
    assert_eq!((told(&commit), world.sum("k")), (vec![-410], None));
}

#[test]
fn a_misrouted_command_is_forwarded_once_with_its_origin_and_executed_once() {
    let (mut world, mut engine) = (World::new(4), engine(4));
    let home = partition_of(b"k", 4);
    let wrong = (home + 1) % 4;
    let both = vec![
        input(&COMMANDS, wrong, 0, Some("k"), Some(command("a", "k", 7))),
        input(&COMMANDS, home, 0, Some("k"), Some(command("a", "k", 7))),
    ];
    let commit = world.epoch(&mut engine, 0, both, false);
    assert_eq!(told(&commit), [7]);
    let forward = commit.records.iter().find(|record| record.target == Target::Topic(&COMMANDS)).expect("forwarded");
    assert_eq!(forward.partition, home);
    let again = input(&COMMANDS, wrong, 1, Some("k"), forward.value.clone());
    let home_again = input(&COMMANDS, home, 1, Some("k"), forward.value.clone());
    world.log.get_mut(&(COMMANDS.name.to_owned(), home)).expect("the topic").pop();
    let commit = world.epoch(&mut engine, 0, vec![home_again, again], false);
    assert_eq!(told(&commit), [0_i64; 0], "the copy changes nothing");
    assert!(
        matches!(commit.records[..], [ref letter] if letter.target == Target::DeadLetters),
        "a second misroute is a letter"
    );
}

#[test]
fn timers_fire_by_deadline_before_inputs_and_move_when_set_again() {
    let (mut world, mut engine) = (World::new(1), engine(1));
    world.epoch(&mut engine, 0, vec![input(&COMMANDS, 0, 0, Some("a"), Some(command("1", "a", 1)))], false);
    world.epoch(&mut engine, SECOND, vec![input(&COMMANDS, 0, 1, Some("b"), Some(command("1", "b", 1)))], false);
    world.epoch(&mut engine, 30 * SECOND, vec![input(&COMMANDS, 0, 2, Some("a"), Some(command("2", "a", 1)))], false);
    assert_eq!(engine.next_timer(&world), Some(Timestamp(60 * SECOND)), "never later than due");
    let commit = world.epoch(&mut engine, 60 * SECOND, Vec::new(), false);
    assert!(commit.is_empty(), "the first timer was moved");
    let commit = world.epoch(
        &mut engine,
        200 * SECOND,
        vec![input(&COMMANDS, 0, 3, Some("c"), Some(command("1", "c", 9)))],
        false,
    );
    assert_eq!(told(&commit), [-1, -1, 9]);
    assert!(world.epoch(&mut engine, 201 * SECOND, Vec::new(), false).is_empty(), "each fires once");
}

#[test]
fn a_clock_that_goes_back_stands_still() {
    let (mut world, mut engine) = (World::new(1), engine(1));
    world.epoch(&mut engine, 50 * SECOND, vec![input(&COMMANDS, 0, 0, Some("a"), Some(command("1", "a", 1)))], false);
    let commit = world.epoch(
        &mut engine,
        10 * SECOND,
        vec![input(&COMMANDS, 0, 1, Some("a"), Some(command("2", "a", 1)))],
        false,
    );
    assert_eq!(commit.tasks[0].journal.as_ref().expect("no view").now, Timestamp(50 * SECOND));
}

#[test]
fn fused_or_not_the_same_records_follow() {
    let inputs =
        |n: u64| (0..n).map(|i| input(&COMMANDS, 0, i, Some("k"), Some(command(&i.to_string(), "k", 1)))).collect();
    let (mut fused, mut fused_engine) = (World::new(1), engine(1));
    let commit = fused.epoch(&mut fused_engine, 0, inputs(3), true);
    assert_eq!(commit.records.len(), 6, "the mirror is in the same epoch");
    let (mut split, mut split_engine) = (World::new(1), engine(1));
    split.epoch(&mut split_engine, 0, inputs(3), false);
    let hop: Vec<_> = split
        .read(EVENTS.name, 0, 0, 10)
        .expect("read")
        .into_iter()
        .map(|r| Input { topic: &EVENTS, partition: 0, offset: r.offset, key: r.key, value: r.value })
        .collect();
    let commit =
        split_engine.epoch(&split, Epoch { now: Timestamp(0), timers: 0, ends: None }, &hop).expect("an epoch");
    split.commit(&commit);
    for topic in [EVENTS.name, MIRRORED.name] {
        assert_eq!(fused.log[&(topic.to_owned(), 0)], split.log[&(topic.to_owned(), 0)], "{topic}");
    }
}

#[test]
fn a_reader_that_lags_is_not_handed_what_it_is_not_ready_for() {
    let (mut world, mut engine) = (World::new(1), engine(1));
    world.epoch(&mut engine, 0, vec![input(&COMMANDS, 0, 0, Some("k"), Some(command("0", "k", 1)))], false);
    let commit = world.epoch(&mut engine, 0, vec![input(&COMMANDS, 0, 1, Some("k"), Some(command("1", "k", 1)))], true);
    assert_eq!(commit.records.len(), 1, "the mirror has not seen the first event");
    let missed = world.read(EVENTS.name, 0, 0, 10).expect("read");
    let inputs: Vec<_> = missed
        .into_iter()
        .map(|r| Input { topic: &EVENTS, partition: 0, offset: r.offset, key: r.key, value: r.value })
        .collect();
    let commit = engine.epoch(&world, Epoch { now: Timestamp(0), timers: 0, ends: None }, &inputs).expect("an epoch");
    assert_eq!(commit.records.len(), 2);
    world.commit(&commit);
    let commit = world.epoch(&mut engine, 0, vec![input(&COMMANDS, 0, 2, Some("k"), Some(command("2", "k", 1)))], true);
    assert_eq!(commit.records.len(), 2, "and fusion is open again");
}

#[test]
fn a_replay_gives_the_same_bytes_and_the_same_state() {
    let (mut world, mut engine) = (World::new(2), engine(2));
    for step in 0..200_u64 {
        let key = format!("k{}", step % 17);
        // Every tenth goes to the wrong door, and every seventh repeats an id.
        let home = partition_of(key.as_bytes(), 2);
        let partition = if step % 10 == 0 { 1 - home } else { home };
        let id = (step - step % 7).to_string();
        let at = world.range(COMMANDS.name, partition).expect("in memory").end;
        let inputs = vec![input(&COMMANDS, partition, at, Some(&key), Some(command(&id, &key, (step % 5) as i64)))];
        world.epoch(&mut engine, step as i64 * 5 * SECOND, inputs, step % 3 != 0);
        let lagging: Vec<_> = engine
            .positions(&world)
            .into_iter()
            .flat_map(|(at, from)| {
                let records = world.read(at.topic.name, at.partition, from, 100).expect("in memory");
                records.into_iter().map(move |r| Input {
                    topic: at.topic,
                    partition: at.partition,
                    offset: r.offset,
                    key: r.key,
                    value: r.value,
                })
            })
            .collect();
        let commit =
            engine.epoch(&world, Epoch { now: Timestamp(0), timers: 0, ends: None }, &lagging).expect("an epoch");
        world.commit(&commit);
    }
    let mut recomputed: BTreeMap<(String, u32), Vec<_>> = BTreeMap::new();
    for mut task in toy::tasks(2) {
        let state = tributary_flow::replay::replay(task.as_mut(), &world, &mut |_, produced| {
            for record in produced {
                recomputed
                    .entry((record.target.name().to_owned(), record.partition))
                    .or_default()
                    .push((record.key, record.value));
            }
        });
        let state = state.expect("replayed");
        assert_eq!(
            reader::digest(&state),
            reader::digest(world.store(task.node(), task.partition())),
            "{}",
            task.node().name
        );
    }
    for topic in [EVENTS.name, MIRRORED.name, DEAD_LETTERS] {
        for partition in 0..2 {
            let logged = world.read(topic, partition, 0, usize::MAX).expect("in memory");
            let mut logged: Vec<_> = logged.into_iter().map(|record| (record.key, record.value)).collect();
            let mut again = recomputed.remove(&(topic.to_owned(), partition)).unwrap_or_default();
            logged.sort();
            again.sort();
            assert_eq!(logged, again, "{topic}[{partition}]");
        }
    }
}

#[test]
fn headers_say_what_caused_and_what_is_answered() {
    let (mut world, mut engine) = (World::new(1), engine(1));
    let commit = world.epoch(&mut engine, 0, vec![input(&COMMANDS, 0, 0, Some("k"), Some(command("a", "k", 1)))], true);
    let fact = |index: usize| {
        let value = commit.records[index].value.as_deref().expect("a value");
        match <toy::Told as tributary_flow::Body>::decode(&value[5..]).expect("decoded").0 {
            Header::Fact(fact) => fact,
            Header::Command(_) => panic!("a fact"),
        }
    };
    assert_eq!((fact(0).answers.as_deref(), fact(0).correlation.as_str()), (Some("a"), "a"));
    assert_eq!((fact(1).answers, fact(1).correlation.as_str()), (None, "a"));
    assert_eq!(fact(1).id, fact(0).id.output("mirror", 0));
}

#[test]
fn whoever_follows_a_topic_is_given_what_has_come_and_that_once() {
    let mut world = World::new(2);
    for (partition, value) in [(0, "a"), (1, "b"), (0, "c")] {
        world.append("t", partition, Logged { value: Some(value.as_bytes().to_vec()), ..Logged::default() });
    }
    let mut reader = world.follow("t", vec![1, 0]).unwrap();
    let given = |reader: &mut dyn Follow| -> Vec<(u32, u64)> {
        let records = reader.next(Duration::ZERO).unwrap();
        records.iter().map(|(partition, record)| (*partition, record.offset)).collect()
    };
    assert_eq!(given(reader.as_mut()), [(0, 1), (1, 0)]);
    assert_eq!(given(reader.as_mut()), []);
}
