//! Tasks that panic: alone, with their place, and from there on once they are mended.

mod toy;

use toy::world::{Play as _, World};
use toy::{COMMANDS, EVENTS, MIRRORED, command, engine, input, mended};
use tributary_flow::time::SECOND;
use tributary_flow::{Engine, Input, Log, Reader, Stores, partition_of};

fn halted(engine: &Engine) -> Vec<(&'static str, u32, String)> {
    let halted =
        engine.tasks().filter_map(|(task, halted)| Some((task.node().name, task.partition(), halted?.to_owned())));
    halted.collect()
}

fn key_in(partition: u32) -> String {
    (0..).map(|i| format!("k{i}")).find(|key| partition_of(key.as_bytes(), 2) == partition).expect("a key")
}

fn ask(offset: u64, key: &str, number: i64) -> Input {
    let partition = partition_of(key.as_bytes(), 2);
    input(&COMMANDS, partition, offset, Some(key), Some(command(&offset.to_string(), key, number)))
}

/// What lies in a partition from an offset on, as a driver reads it.
fn read(world: &World, topic: tributary_flow::TopicRef, partition: u32, from: u64) -> Vec<Input> {
    let records = world.read(topic.name, partition, from, 100).expect("in memory");
    let read = |record: tributary_flow::Logged| Input {
        topic,
        partition,
        offset: record.offset,
        key: record.key,
        value: record.value,
    };
    records.into_iter().map(read).collect()
}

/// Runs an epoch over what lies in the log already.
fn again(world: &mut World, engine: &mut Engine, now: i64, inputs: &[Input]) -> tributary_flow::Commit {
    let epoch = tributary_flow::Epoch { now: tributary_flow::Timestamp(now), timers: 100, ends: None };
    let commit = engine.epoch(world, epoch, inputs).expect("an epoch");
    world.commit(&commit);
    commit
}

fn mirrored(world: &World, partition: u32) -> u64 {
    world.range(MIRRORED.name, partition).expect("in memory").end
}

#[test]
fn a_record_that_is_read_is_named_and_no_other_task_stops() {
    let (mut world, mut engine) = (World::new(2), engine(2));
    let (bad, good) = (key_in(0), key_in(1));
    world.epoch(&mut engine, 5, vec![ask(0, &bad, 1)], true);
    world.epoch(&mut engine, 7, vec![ask(1, &bad, 13), ask(0, &good, 4)], true);
    let said = format!("since 1970-01-01T00:00:00.000007Z, at toy.commands.v1[0]@1 with the key {bad:?}: thirteen");
    assert_eq!(halted(&engine), [("counter", 0, said.clone())]);
    assert_eq!((world.sum(&bad), world.sum(&good)), (Some(1), Some(4)), "nothing of the step is kept");

    world.epoch(&mut engine, 8, vec![ask(2, &bad, 1), ask(1, &good, 4)], true);
    assert_eq!((world.sum(&bad), world.sum(&good)), (Some(1), Some(8)));
    assert_eq!(mirrored(&world, 1), 2);

    // The same build again: the same place. Its position has stayed before it.
    let mut engine = toy::engine(2);
    let inputs = read(&world, &COMMANDS, 0, 0);
    assert!(again(&mut world, &mut engine, 9, &inputs).is_empty());
    assert_eq!(halted(&engine)[0].2, said.replace("000007Z", "000009Z"));

    let mut engine = mended(2);
    let inputs = read(&world, &COMMANDS, 0, 0);
    again(&mut world, &mut engine, 10, &inputs);
    assert_eq!((world.sum(&bad), halted(&engine).len()), (Some(15), 0), "each of the three once");
}

#[test]
fn a_record_that_came_by_hand_is_named_where_it_lies() {
    let (mut world, mut engine) = (World::new(2), engine(2));
    let (bad, good) = (key_in(0), key_in(1));
    world.epoch(&mut engine, 5, vec![ask(0, &bad, 1), ask(1, &bad, 1_299), ask(2, &bad, 1), ask(0, &good, 4)], true);
    assert_eq!(halted(&engine), [], "it has still to read it");
    assert_eq!(world.sum(&bad), Some(1_301), "who handed it over goes on");
    assert_eq!((mirrored(&world, 0), mirrored(&world, 1)), (0, 1));

    let inputs = read(&world, &EVENTS, 0, 0);
    again(&mut world, &mut engine, 6, &inputs);
    let said =
        format!("since 1970-01-01T00:00:00.000006Z, at toy.events.v1[0]@1 with the key {bad:?}: thirteen hundred");
    assert_eq!(halted(&engine), [("mirror", 0, said)]);

    let mut engine = mended(2);
    let inputs = read(&world, &EVENTS, 0, 0);
    again(&mut world, &mut engine, 7, &inputs);
    assert_eq!((mirrored(&world, 0), halted(&engine).len()), (3, 0));
}

#[test]
fn what_comes_by_hand_is_read_on_where_it_was_only_the_epoch_that_failed() {
    let (mut world, mut engine) = (World::new(2), engine(2));
    let key = key_in(0);
    world.epoch(&mut engine, 5, vec![ask(0, &key, 1_300)], true);
    assert_eq!((mirrored(&world, 0), halted(&engine).len()), (0, 0));
    // Behind what it has not read, it is handed nothing.
    world.epoch(&mut engine, 6, vec![ask(1, &key, 1)], true);
    assert_eq!((mirrored(&world, 0), halted(&engine).len()), (0, 0));
    assert_eq!(
        engine
            .positions(&world)
            .iter()
            .filter(|(at, _)| at.topic == &EVENTS && at.partition == 0)
            .map(|(_, p)| *p)
            .next(),
        Some(0)
    );
}

#[test]
fn a_timer_is_named_by_its_name_its_key_and_when_it_was_due() {
    let (mut world, mut engine) = (World::new(2), engine(2));
    let (bad, good) = (key_in(0), key_in(1));
    world.epoch(&mut engine, 0, vec![ask(0, &bad, 99), ask(0, &good, 4)], true);
    let commit = world.epoch(&mut engine, 61 * SECOND, vec![], true);
    assert_eq!(commit.records.len(), 2, "the other's timer fires");
    let place = format!("the timer 0 of the key {bad:?}, due 1970-01-01T00:01:00.000000Z");
    assert_eq!(
        halted(&engine),
        [("counter", 0, format!("since 1970-01-01T00:01:01.000000Z, at {place}: ninety-nine"))]
    );
    assert_eq!(engine.next_timer(&world), None, "a halted task waits for nothing");

    let mut engine = mended(2);
    assert_eq!(world.epoch(&mut engine, 62 * SECOND, vec![], true).records.len(), 2);
    assert_eq!(world.epoch(&mut engine, 63 * SECOND, vec![], true).records.len(), 0, "once");
}

#[test]
fn a_record_over_the_limit_halts_its_task() {
    let (mut world, mut engine) = (World::new(2), engine(2));
    let commit = world.epoch(&mut engine, 0, vec![ask(0, "k", 1414)], true);
    assert!(commit.is_empty());
    assert!(halted(&engine)[0].2.contains("@0 with the key \"k\": a record of "), "{:?}", halted(&engine));
}

/// They stopped the whole process: what a task stands on is asked for outside of epochs too.
#[test]
fn a_position_or_a_timer_that_cannot_be_read_halts_its_task_alone() {
    let (mut world, mut first) = (World::new(2), engine(2));
    let (bad, good) = (key_in(0), key_in(1));
    world.epoch(&mut first, 0, vec![ask(0, &bad, 1), ask(0, &good, 4)], true);
    let whole = world.stores[&("counter", 0)].clone();
    let rows: Vec<Vec<u8>> = whole.pairs.keys().cloned().collect();
    let mut broken = 0;
    for row in &rows {
        for bytes in [vec![], [whole.pairs[row].as_slice(), b"more"].concat()] {
            let store = world.stores.get_mut(&("counter", 0)).expect("a store");
            store.pairs.clone_from(&whole.pairs);
            store.pairs.insert(row.clone(), bytes);
            let mut engine = engine(2);
            let positions = engine.positions(&world);
            assert!(positions.iter().any(|(at, position)| (at.topic, at.partition, *position) == (&COMMANDS, 1, 1)));
            let _ = engine.next_timer(&world);
            assert_eq!(engine.furthest(&world, COMMANDS.name, 1), 1);
            let mut beside = world.clone();
            beside.epoch(&mut engine, 61 * SECOND, vec![ask(1, &bad, 1), ask(1, &good, 4)], true);
            assert_eq!(beside.sum(&good), Some(8), "{row:?}");
            let said = halted(&engine);
            assert!(said.iter().all(|(node, partition, _)| (*node, *partition) == ("counter", 0)), "{said:?}");
            broken += said.iter().filter(|(.., why)| why.contains("cannot be read as")).count();
        }
    }
    assert!(broken >= 8, "{broken} of {} rows", rows.len());
    assert!(Reader::new(world.store(&toy::counter::NODE, 1)).head::<i64>(&good).is_some());
}
