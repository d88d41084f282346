//! A log that is written while it is read, at a pace that the test sets: to show what an audit of a live log says. A
//! scenario is played on the simulator once, commit by commit, and each commit is a [`Moment`]; [`Moving`] plays them again
//! under the eyes of a reader, one at so many questions.
//!
//! The commands come while those before them are still at work, so that a moment has something of everything under way.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use tributary_cli::verify::States;
use tributary_cli::wiring::{self, Schemas};
use tributary_flow::time::DAY;
use tributary_flow::{DEAD_LETTERS, Log, LogError, Logged, MemoryStore, Node, Store, Timestamp};
use tributary_graph::{NODES, TOPICS, writers};
use tributary_sim::{SimOptions, Simulation};

use crate::scenario::Scenario;
use crate::scenario::file::{Command, instant};
use crate::scenario::snapshot::Snapshot;

/// What was committed at one time.
struct Moment {
    ends: BTreeMap<(String, u32), u64>,
    stores: BTreeMap<(&'static str, u32), MemoryStore>,
}

/// A scenario, commit by commit.
pub struct History {
    log: Snapshot,
    moments: Vec<Moment>,
}

impl History {
    /// Plays a scenario and keeps every moment of it; `patience` is how many commits there are between two commands.
    ///
    /// # Errors
    /// The scenario cannot be read or played.
    pub fn record(scenario: &Scenario, options: SimOptions, patience: u64) -> Result<Self> {
        let setup = wiring::setup(options.partitions, Arc::new(Schemas::compiled()));
        let mut simulation = Simulation::new(options, move |_, partition| wiring::tasks(partition, &setup, &|_| true));
        let mut moments = vec![Moment::of(&simulation)?];
        let start = instant(&scenario.start, Timestamp::default())?;
        simulation.advance((start.0 - simulation.now().0).max(0));
        for (number, step) in scenario.given()?.iter().enumerate() {
            submit(&mut simulation, step.command(number, start)?);
            run(&mut simulation, u64::MAX, &mut moments)?;
        }
        for (number, step) in scenario.steps.iter().enumerate() {
            let now = simulation.now();
            submit(&mut simulation, step.command(number + 1, now)?);
            run(&mut simulation, patience, &mut moments)?;
        }
        run(&mut simulation, u64::MAX, &mut moments)?;
        // What is held runs out.
        simulation.advance(400 * DAY);
        run(&mut simulation, u64::MAX, &mut moments)?;
        Ok(History { log: Snapshot::of(simulation.log())?, moments })
    }

    /// How many moments there are.
    #[must_use]
    pub fn moments(&self) -> usize {
        self.moments.len()
    }

    /// The log and the stores as they were at a moment.
    #[must_use]
    pub fn at(&self, moment: usize) -> Moving<'_> {
        self.moving(moment, usize::MAX, 0)
    }

    /// The log from a moment on, with a commit at each `every`th question. The end of a commit is seen in some partitions
    /// up to `late` commits after it is seen in others, as a transaction's markers are.
    #[must_use]
    pub fn moving(&self, moment: usize, every: usize, late: usize) -> Moving<'_> {
        Moving { history: self, from: moment, every, late, questions: AtomicUsize::new(0), asked: Mutex::default() }
    }

    fn moment(&self, number: usize) -> &Moment {
        &self.moments[number.min(self.moments.len() - 1)]
    }
}

fn submit(simulation: &mut Simulation, command: Option<Command>) {
    if let Some(command) = command {
        simulation.submit(command.topic, &command.key, command.value);
    }
}

/// Runs so many commits, or until all is quiet.
fn run(simulation: &mut Simulation, commits: u64, moments: &mut Vec<Moment>) -> Result<()> {
    let begun = simulation.commits();
    let mut last = begun;
    while simulation.turn()? {
        // Between two transactions: time stands still at a moment, and an open one would stay open.
        if simulation.commits() > last && simulation.is_settled() {
            last = simulation.commits();
            moments.push(Moment::of(simulation)?);
            if last - begun >= commits {
                return Ok(());
            }
        }
    }
    moments.push(Moment::of(simulation)?);
    Ok(())
}

impl Moment {
    fn of(simulation: &Simulation) -> Result<Self, LogError> {
        let log = simulation.log();
        let topics = TOPICS.iter().map(|topic| topic.name.to_owned()).chain([DEAD_LETTERS.to_owned()]);
        let topics = topics.chain(writers().map(Node::journal));
        let places = topics.flat_map(|topic| (0..log.partitions()).map(move |partition| (topic.clone(), partition)));
        let ends = places.map(|(topic, partition)| Ok(((topic.clone(), partition), log.range(&topic, partition)?.end)));
        let ends = ends.collect::<Result<_, LogError>>()?;
        let tasks = NODES.iter().flat_map(|node| (0..log.partitions()).map(|partition| (node.name, partition)));
        let store = |(node, partition)| Some(((node, partition), simulation.store(node, partition)?.rows()));
        Ok(Moment { ends, stores: tasks.filter_map(store).collect() })
    }
}

/// A history under the eyes of a reader.
pub struct Moving<'a> {
    history: &'a History,
    from: usize,
    every: usize,
    late: usize,
    questions: AtomicUsize,
    /// The last question.
    asked: Mutex<(String, u32)>,
}

impl Moving<'_> {
    /// Time goes by with every question. Who asks the same again waits for something: then a commit comes.
    fn ask(&self, topic: &str, partition: u32) {
        let question = (topic.to_owned(), partition);
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = *asked == question && self.every < usize::MAX;
        self.questions.fetch_add(if waits { self.every } else { 1 }, Ordering::SeqCst);
        *asked = question;
    }

    fn now(&self) -> usize {
        self.from + self.questions.load(Ordering::SeqCst) / self.every
    }

    fn end(&self, topic: &str, partition: u32, at: usize) -> Result<u64, LogError> {
        let end = self.history.moment(at).ends.get(&(topic.to_owned(), partition)).copied();
        end.ok_or_else(|| LogError(format!("{topic}[{partition}] is not in the history")))
    }

    /// The moment of which a partition tells.
    fn seen(&self, topic: &str, partition: u32) -> usize {
        let late = (topic.bytes().map(usize::from).sum::<usize>() + partition as usize) % (self.late + 1);
        self.now().saturating_sub(late)
    }
}

impl Log for Moving<'_> {
    fn partitions(&self) -> u32 {
        self.history.log.partitions()
    }

    fn range(&self, topic: &str, partition: u32) -> Result<Range<u64>, LogError> {
        self.ask(topic, partition);
        Ok(0..self.end(topic, partition, self.seen(topic, partition))?)
    }

    fn written(&self, topic: &str, partition: u32) -> Result<u64, LogError> {
        self.ask(topic, partition);
        self.end(topic, partition, self.now())
    }

    fn read(&self, topic: &str, partition: u32, from: u64, limit: usize) -> Result<Vec<Logged>, LogError> {
        let end = self.end(topic, partition, self.seen(topic, partition))?;
        let mut records = self.history.log.read(topic, partition, from, limit)?;
        records.retain(|record| record.offset < end);
        Ok(records)
    }
}

impl States for Moving<'_> {
    fn with_state(&self, node: &'static Node, partition: u32, read: &mut dyn FnMut(&dyn Store)) -> Result<bool> {
        let store = self.history.moment(self.now()).stores.get(&(node.name, partition));
        if let Some(store) = store {
            read(store);
        }
        Ok(store.is_some())
    }
}
