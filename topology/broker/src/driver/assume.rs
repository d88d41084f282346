//! Taking up an assignment, and beginning again after a failure: confirm that it is ours, initialise transactions, restore,
//! and read on from the positions.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::ops::Range;
use std::time::{Duration, Instant};

use tributary_flow::{Engine, Foresight, Node};

use super::{Driver, INIT, InputAt, Owned, REPORT};
use crate::ends::At;
use crate::membership;
use crate::native::Producer;
use crate::restore::{Restore, TaskAt, Trouble};
use crate::shared::Failure;
use crate::store::Row;

impl Driver {
    /// After an assignment or a failure: joined we are; initialise, restore, and read from the positions.
    pub(super) fn assume(&mut self) -> Result<(), Trouble> {
        let Some((assigned, _)) = &self.assigned else { return Ok(()) };
        // A task runs only where all its inputs are ours; every topic has the same partitions, so all tasks of one do.
        let ours = |topic: &str, partition| assigned.contains(&(topic.to_owned(), partition));
        let complete = |partition: &u32| self.inputs.keys().all(|topic| ours(topic, *partition));
        let partitions: Vec<u32> = (0..self.options.partitions).filter(complete).collect();
        self.confirm()?;
        self.initialise()?;
        self.shared.beat("asking for ends");
        let place = |topic: &&str, partition: u32| ((*topic).to_owned(), partition);
        let asked: Vec<At> = self
            .inputs
            .keys()
            .flat_map(|topic| partitions.iter().map(move |partition| place(topic, *partition)))
            .collect();
        let bounds = self.ends.ask(&asked)?;
        let tasks: Vec<_> =
            self.nodes.iter().flat_map(|node| partitions.iter().map(|partition| (*node, *partition))).collect();
        let rows = self.restore(&tasks)?;
        let lineages = new_lineages(&rows)?;
        let mut engine = Engine::new(partitions.iter().flat_map(|partition| (self.make)(*partition)).collect());
        let read = self.positions(&mut engine, &bounds)?;
        self.consumer.assign(read.iter().map(|((topic, partition), position)| (*topic, *partition, *position)))?;
        let end = |(topic, partition): &(&str, u32)| bounds.get(&place(topic, *partition)).map_or(0, |bound| bound.end);
        let targets = read.keys().map(|at| (*at, end(at))).collect();
        self.shared.own(tasks.iter().map(|(node, partition)| (node.name, *partition)).collect());
        let (sent, reported, foresight) = (BTreeMap::new(), Instant::now() - REPORT, Foresight::default());
        self.owned =
            Some(Owned { engine, foresight, rows, lineages, records: read.clone(), read, targets, sent, reported });
        tracing::info!(?partitions, slot = self.options.slot, "running");
        Ok(())
    }

    fn initialise(&mut self) -> Result<(), Trouble> {
        if self.producer.is_none() {
            self.shared.beat("initialising transactions");
            let producer = Producer::new(&self.options.producer())?;
            producer.init(INIT)?;
            self.producer = Some(producer);
        }
        Ok(())
    }

    /// From where to read each input. A log that does not hold what comes next is not the one the stores were made from.
    fn positions(
        &self,
        engine: &mut Engine,
        bounds: &BTreeMap<At, Range<u64>>,
    ) -> Result<BTreeMap<InputAt, u64>, Trouble> {
        let mut read = BTreeMap::new();
        for (at, position) in engine.positions(&*self.stores) {
            let Range { start, end } = bounds.get(&(at.topic.name.to_owned(), at.partition)).cloned().unwrap_or(0..0);
            if position < start || position > end {
                let said = format!("the next record of {at:?} is {position} and the log holds {start} to {end}");
                return Err(Trouble::Stop(Failure::Log(said)));
            }
            read.insert((at.topic.name, at.partition), position);
        }
        Ok(read)
    }

    /// That the assignment and our membership belong together.
    pub(super) fn confirm(&self) -> Result<(), Trouble> {
        self.shared.beat("confirming the assignment");
        let Some((assigned, group)) = &self.assigned else { return Ok(()) };
        let confirmed = membership::is_confirmed(&self.admin, &self.options.group(), group.member(), assigned);
        if confirmed.map_err(|error| Trouble::Again(error.to_string()))? && self.is_same_generation() {
            Ok(())
        } else {
            Err(Trouble::Again("the group has not settled".into()))
        }
    }

    pub(super) fn is_same_generation(&self) -> bool {
        self.assigned.as_ref().is_some_and(|(_, group)| self.consumer.group().as_ref() == Some(group))
    }

    fn restore(&self, tasks: &[(&'static Node, u32)]) -> Result<BTreeMap<TaskAt, Row>, Trouble> {
        let alive = || {
            self.shared.beat("restoring");
            // Nothing is assigned, so nothing is read: this hears of rebalances, and tells the group that we live.
            self.consumer.consume(Duration::ZERO, 1, &mut |_| {});
            let stop = self.consumer.has_rebalanced() || self.consumer.is_fenced() || self.shared.is_stopping();
            if stop { Err(Trouble::Rebalanced) } else { Ok(()) }
        };
        let (reader, ends, stores) = (&self.reader, &*self.ends, &*self.stores);
        let restore = Restore {
            reader,
            ends,
            stores,
            partitions: self.options.partitions,
            now: (self.options.clock)(),
            alive: &alive,
        };
        restore.run(tasks)
    }
}

/// A lineage for every store that has none. Chance is allowed here: no decision depends on it.
fn new_lineages(rows: &BTreeMap<TaskAt, Row>) -> Result<BTreeMap<TaskAt, [u8; 16]>, Trouble> {
    let new = rows.iter().filter(|(_, row)| row.lineage == [0; 16]).map(|(at, _)| {
        let mut lineage = [0; 16];
        let drawn = File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut lineage));
        drawn.map(|()| (*at, lineage)).map_err(|error| Trouble::Stop(Failure::Broken(format!("/dev/urandom: {error}"))))
    });
    new.collect()
}
