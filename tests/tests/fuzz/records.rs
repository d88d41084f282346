//! Records on every topic. What a client may write is answered, sent on, dropped as a double, or a dead letter, and no task
//! halts, whatever lies there. What only nodes may write (the ACLs see to it) can besides break an invariant of the task
//! that reads it, which then halts and says so: a bug halts its task loudly. It never does anything else.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;
use tributary_cli::decode::Decoder;
use tributary_flow::task::Counters;
use tributary_flow::{
    Body, Commit, Engine, FactHeader, Header, Input, Log, Logged, Produced, Stores, Target, Task, TopicRef, framing,
    partition_of, reader,
    replay::{self, Rebuilt},
};
use tributary_graph::TRANSACTIONS_EVENTS;
use tributary_schemas::transactions::TransactionEvent;

use crate::bytes::{Edit, Seed, commands, edited, edits, facts};
use crate::cases;
use tributary_tests::memory::{NOW, PARTITIONS, World, beginning, epoch, halted, setup, tasks};

/// A record that somebody writes.
#[derive(Clone, Debug)]
pub struct Written {
    seed: &'static Seed,
    datum: Vec<Edit>,
    frame: Vec<Edit>,
    key: Key,
    partition: Option<u32>,
    later: i64,
}

#[derive(Clone, Debug)]
enum Key {
    /// The id that the body is about.
    Own,
    Absent,
    Any(Vec<u8>),
}

fn written(seeds: &'static [Seed]) -> impl Strategy<Value = Written> {
    let key = prop_oneof![
        12 => Just(Key::Own),
        1 => Just(Key::Absent),
        1 => vec(any::<u8>(), 0..140).prop_map(Key::Any),
    ];
    let frame = prop_oneof![9 => Just(Vec::new()), 1 => edits()];
    let partition = prop_oneof![5 => Just(None), 1 => (0..PARTITIONS).prop_map(Some)];
    let later = prop_oneof![4 => 0..1_000_000_i64, 1 => any::<i64>()];
    (0..seeds.len(), edits(), frame, key, partition, later).prop_map(|(seed, datum, frame, key, partition, later)| {
        Written { seed: &seeds[seed], datum, frame, key, partition, later }
    })
}

impl Written {
    pub fn write(&self, world: &mut World) -> Input {
        let seed = self.seed;
        let frame = framing::frame(setup().registry.id(seed.topic.schema));
        let value = [edited(&frame, &self.frame), edited(&seed.datum, &self.datum)].concat();
        let record = Logged { value: Some(value), ..Logged::default() };
        let key = match &self.key {
            Key::Own => Some(said(seed.topic, &record).map_or(b"somebody".to_vec(), |(_, key, _)| key.into_bytes())),
            Key::Absent => None,
            Key::Any(bytes) => Some(bytes.clone()),
        };
        let own = partition_of(key.as_deref().unwrap_or_default(), PARTITIONS);
        world.write(seed.topic, self.partition.unwrap_or(own), key, record.value)
    }
}

fn said(topic: TopicRef, record: &Logged) -> Option<(Header, String, Value)> {
    Decoder::new(setup().registry).json(topic, record).ok()
}

/// What became of a record: letters, forwards, doubles, and facts that answer it.
fn outcomes(engine: &Engine, before: Counters, input: &Input, commit: &Commit) -> [u64; 4] {
    let record = |value: &Option<Vec<u8>>| Logged { value: value.clone(), ..Logged::default() };
    let id = match said(input.topic, &record(&input.value)) {
        Some((Header::Command(command), ..)) => Some(command.id),
        _ => None,
    };
    let answers = |produced: &&Produced| {
        let Target::Topic(topic) = produced.target else { return false };
        match said(topic, &record(&produced.value)) {
            Some((Header::Fact(fact), ..)) => fact.answers.is_some() && fact.answers == id,
            _ => false,
        }
    };
    let after = counted(engine, input);
    [
        after.dead_letters - before.dead_letters,
        after.forwards - before.forwards,
        after.duplicates - before.duplicates,
        commit.records.iter().filter(answers).count() as u64,
    ]
}

/// The counters of the task that guards the record's topic.
fn counted(engine: &Engine, input: &Input) -> Counters {
    let guards = |task: &dyn Task| {
        task.partition() == input.partition && !task.node().is_view() && task.node().inputs.contains(&input.topic)
    };
    let found = engine.tasks().find(|(task, _)| guards(*task));
    found.map_or(Counters::default(), |(task, _)| task.counters())
}

/// Applies records one by one, each with all that follows, the timers that come due in between, and what was sent on; and
/// counts what became of them.
fn run(written: &[Written]) -> Result<(World, [u64; 4]), TestCaseError> {
    let ((mut world, mut engine), mut now) = (beginning(), NOW);
    let (mut all, mut was_halted) = ([0; 4], Vec::<String>::new());
    for written in written {
        now = now.plus(written.later);
        epoch(&mut world, &mut engine, now, &[]).map_err(TestCaseError::fail)?;
        let mut next = Some(written.write(&mut world));
        while let Some(input) = next.take() {
            let before = counted(&engine, &input);
            let commit =
                epoch(&mut world, &mut engine, now, std::slice::from_ref(&input)).map_err(TestCaseError::fail)?;
            let shown = || {
                let record = Logged { value: input.value.clone(), ..Logged::default() };
                format!("{}[{}]@{} {:?}", input.topic.name, input.partition, input.offset, said(input.topic, &record))
            };
            let now_halted = halted(&engine);
            for said in now_halted.iter().filter(|said| !was_halted.contains(said)) {
                let loudly = !input.topic.kind.is_door() && said.contains("invariant: ");
                prop_assert!(loudly, "{said}, {}", shown());
            }
            was_halted = now_halted;
            let outcomes = outcomes(&engine, before, &input, &commit);
            if input.topic.kind.is_door() && was_halted.is_empty() {
                prop_assert_eq!(outcomes.iter().sum::<u64>(), 1, "{:?}: {}", outcomes, shown());
            }
            (0..4).for_each(|kind| all[kind] += outcomes[kind]);
            let sent_on = commit.records.iter().find(|record| record.target == Target::Topic(input.topic));
            if let (Some(record), 1) = (sent_on, outcomes[1]) {
                let offset = Log::range(&world, input.topic.name, record.partition).expect("in memory").end - 1;
                let Produced { partition, key, value, .. } = record.clone();
                next = Some(Input { topic: input.topic, partition, offset, key, value });
            }
        }
    }
    Ok((world, all))
}

/// Every task, run again from its journal, ends where the live one did; and every view, made again of what it has read.
fn replays(world: &World) -> Result<(), TestCaseError> {
    for mut task in tasks() {
        let at = (task.node().name, task.partition());
        let live = Stores::store(world, task.node(), task.partition());
        let replayed = if task.node().is_view() {
            Rebuilt::like(live, task.as_mut(), world).map(|rebuilt| rebuilt.store)
        } else {
            replay::replay(task.as_mut(), world, &mut |_, _| {})
        };
        let store = replayed.map_err(|error| TestCaseError::fail(format!("{at:?}: {error}")))?;
        prop_assert_eq!(reader::digest(&store), reader::digest(live), "{:?}: a replay ends elsewhere", at);
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases(1_500))]

    #[test]
    fn what_a_client_writes_is_answered_sent_on_doubled_or_a_dead_letter(written in vec(written(commands()), 1..16)) {
        replays(&run(&written)?.0)?;
    }

    #[test]
    fn what_only_nodes_may_write_is_taken_a_dead_letter_or_a_broken_invariant(
        written in vec(prop_oneof![3 => written(facts()), 1 => written(commands())], 1..16),
    ) {
        replays(&run(&written)?.0)?;
    }
}

/// A record as it should be, under its own key in its own partition.
pub fn untouched(seed: &'static Seed) -> Written {
    Written { seed, datum: Vec::new(), frame: Vec::new(), key: Key::Own, partition: None, later: 1 }
}

/// Without this the properties above could hold of nothing.
#[test]
fn the_seeds_come_to_every_end_there_is() {
    let mut written: Vec<Written> = commands().iter().map(untouched).collect();
    written.extend(commands().iter().map(untouched));
    let last = commands().last().expect("a command");
    written.push(Written { key: Key::Absent, ..untouched(last) });
    written.extend((0..PARTITIONS).map(|at| Written { partition: Some(at), ..untouched(last) }));
    let (world, ends) = run(&written).expect("no task halts");
    assert!(ends.iter().all(|end| *end > 0), "letters, forwards, doubles, answers: {ends:?}");
    assert!(ends[3] > 20, "{ends:?}");
    let entries =
        (0..PARTITIONS).map(|partition| Log::range(&world, "ledger.entries.v1", partition).expect("in memory").end);
    assert!(entries.sum::<u64>() > 6, "payments are made");
}

/// It was a key of a view's row, and halted the view.
#[test]
fn a_fact_that_answers_an_id_with_a_zero_byte_is_a_dead_letter() {
    let seed = facts().iter().find(|seed| seed.topic == &TRANSACTIONS_EVENTS).expect("a fact");
    let (header, body) = TransactionEvent::decode(&seed.datum).expect("it decodes");
    let Header::Fact(fact) = header else { panic!("a fact") };
    for (answers, correlation, letters) in
        [(Some("a"), "c", 0), (Some("a\0b"), "c", 1), (Some("a"), "c\0", 1), (Some(&*"a".repeat(129)), "c", 1)]
    {
        let (answers, correlation) = (answers.map(str::to_owned), correlation.to_owned());
        let mut value = framing::frame(setup().registry.id(seed.topic.schema));
        body.encode(&Header::Fact(FactHeader { answers, correlation, ..fact.clone() }), &mut value);
        let (mut world, mut engine) = beginning();
        let key = body.key().as_bytes();
        let input = world.write(seed.topic, partition_of(key, PARTITIONS), Some(key.to_vec()), Some(value));
        let commit = epoch(&mut world, &mut engine, NOW, &[input]).expect("an epoch");
        assert_eq!(halted(&engine), Vec::<String>::new());
        let found = commit.records.iter().filter(|record| record.target == Target::DeadLetters).count();
        assert_eq!(found, letters, "{commit:?}");
    }
}
