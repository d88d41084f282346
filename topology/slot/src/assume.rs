//! Taking up an assignment, and beginning again after a failure: confirm that it is ours, initialise transactions, restore,
//! and read on from the positions.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use tributary_flow::{Engine, Foresight};

use crate::seats::Seats;
use crate::slot::Owned;
use crate::status::REPORT;
use crate::{At, Bounds, Failure, InputAt, Row, Slot, TaskAt, Trouble, World};

/// How long views that are far behind wait beyond that, in a group of several: whoever has more to restore of what writes has the
/// brokers to itself.
const AFTER_OTHERS: Duration = Duration::from_secs(5);

impl<W: World> Slot<W> {
    /// After an assignment or a failure: joined we are; initialise, restore, and read from the positions.
    pub(crate) async fn assume(&mut self) -> Result<(), Trouble> {
        let Some((assigned, _)) = &self.assigned else { return Ok(()) };
        // A task runs only where all its inputs are ours; every topic has the same partitions, so all tasks of one do.
        let ours = |topic: &str, partition| assigned.contains(&(topic.to_owned(), partition));
        let complete = |partition: &u32| self.inputs.keys().all(|topic| ours(topic, *partition));
        let partitions: Vec<u32> = (0..self.options.partitions).filter(complete).collect();
        let slots = self.confirm().await?;
        self.end_for_lost(slots);
        self.initialise().await?;
        let tasks: Vec<_> =
            self.nodes.iter().flat_map(|node| partitions.iter().map(|partition| (*node, *partition))).collect();
        let (views, writers): (Vec<_>, Vec<_>) = tasks.into_iter().partition(|(node, _)| node.is_view());
        let mut rows = self.restore(&writers).await?;
        self.read_journals(&writers, &rows).await?;
        if let Some(said) = self.disagreement(&rows).await? {
            return Err(self.doubted(said));
        }
        rows.extend(self.view_rows(&views).await?);
        let bounds = self.input_ends(&rows).await?;
        let far = self.far(&views, &bounds);
        let (apart, rows): (BTreeMap<_, _>, _) = rows.into_iter().partition(|(at, _)| far.contains(at));
        // What runs apart waits where it does not fit the log: that is told of now, as it is of the others.
        positions(&mut self.engine(&apart), self.world.state(), &bounds)?;
        if !far.is_empty() && self.slots.len() > 1 {
            self.standby_after = self.standby_after.max(self.world.elapsed() + AFTER_OTHERS);
        }
        self.run_from_stores(self.engine(&rows), rows, far).await
    }

    /// Has the tasks of `engine` run: writers, whose stores are at the ends of their changelogs, and views, but the `far` ones.
    pub(crate) async fn run_from_stores(
        &mut self,
        mut engine: Engine,
        rows: BTreeMap<TaskAt, Row>,
        far: BTreeSet<TaskAt>,
    ) -> Result<(), Trouble> {
        // If we stood still meanwhile, another may own the tasks and have written behind the end that we read up to: of its last
        // epoch the stores may hold a part, which nobody must see and no task can stand on. For the same reason ends are asked
        // for only now.
        self.confirm().await?;
        let bounds = self.input_ends(&rows).await?;
        let lineages = self.new_lineages(&rows)?;
        let read = positions(&mut engine, self.world.state(), &bounds)?;
        self.world.assign(&read.iter().map(|(at, position)| (*at, *position)).collect::<Vec<_>>()).await?;
        self.inputs_silence.begin(self.world.elapsed());
        let end = |(topic, partition): &InputAt| bounds.get(&((*topic).to_owned(), *partition)).map_or(0, |at| at.end);
        let targets = read.keys().map(|at| (*at, end(at))).collect();
        self.world.own(rows.keys().copied().collect());
        let reported = self.world.elapsed().saturating_sub(REPORT);
        // Now, for they are looked through one by one, and a transaction has little time.
        let seats = rows.keys().map(|at| (*at, Seats::of(self.store(*at)))).collect();
        let (sent, foresight, records, applied) = (BTreeMap::new(), Foresight::default(), read.clone(), read.clone());
        tracing::info!(tasks = rows.len(), far = far.len(), slot = self.options.slot, "running");
        let (ahead, further) = (None, false);
        self.owned = Some(Owned {
            engine,
            ahead,
            foresight,
            rows,
            far,
            seats,
            lineages,
            records,
            applied,
            positions: read.clone(),
            read,
            targets,
            sent,
            reported,
            further,
        });
        self.report();
        Ok(())
    }

    /// An engine over the tasks of these stores.
    pub(crate) fn engine(&self, rows: &BTreeMap<TaskAt, Row>) -> Engine {
        let made = partitions(rows).into_iter().flat_map(|partition| (self.make)(partition));
        Engine::new(made.filter(|task| rows.contains_key(&(task.node().name, task.partition()))).collect())
    }

    /// Where the inputs of these tasks' partitions begin and end, asked now.
    pub(crate) async fn input_ends(&self, rows: &BTreeMap<TaskAt, Row>) -> Result<Bounds, Trouble> {
        self.world.doing("asking for ends");
        let partitions = partitions(rows);
        let asked = self.inputs.keys().flat_map(|topic| partitions.iter().map(|at| ((*topic).to_owned(), *at)));
        Ok(self.world.ends(&asked.collect::<Vec<At>>()).await?)
    }

    async fn initialise(&mut self) -> Result<(), Trouble> {
        if !self.initialised {
            self.world.doing("initialising transactions");
            self.world.initialise().await?;
            self.initialised = true;
        }
        Ok(())
    }

    /// That the assignment and our membership belong together; and the slots of the group.
    pub(crate) async fn confirm(&self) -> Result<BTreeSet<String>, Trouble> {
        self.world.doing("confirming the assignment");
        let Some((assigned, membership)) = &self.assigned else { return Err(Trouble::Rebalanced) };
        let confirmed = self.world.confirm(membership, assigned).await?;
        confirmed
            .filter(|_| self.is_same_generation())
            .ok_or_else(|| Trouble::Again("the group has not settled".into()))
    }

    /// Ends the transactions of slots that the group has lost: until the coordinator does, they hold back every reader of
    /// what they wrote, and the restore of what was theirs. One that lives all the same, or is back, is fenced once and begins
    /// again. Nobody waits for it but where the records stay away.
    fn end_for_lost(&mut self, slots: BTreeSet<String>) {
        for lost in self.slots.difference(&slots) {
            tracing::info!(slot = lost, "the group has lost a slot: its transaction is to end");
            self.world.end_for(lost);
        }
        self.slots = slots;
    }

    /// Whether our membership is still the one of the assignment.
    pub(crate) fn is_same_generation(&self) -> bool {
        self.assigned.as_ref().is_some_and(|(_, membership)| self.world.membership().as_ref() == Some(membership))
    }

    /// Tells the group that we live while nothing is read, and hears whether there is no use in going on.
    pub(crate) async fn live(&mut self) -> Result<(), Trouble> {
        self.world.doing("restoring");
        let news = self.world.read(Duration::ZERO, 1, &mut |_| {}).await;
        self.hear(news);
        if self.news.is_any() || self.world.is_stopping() { Err(Trouble::Rebalanced) } else { Ok(()) }
    }

    /// A lineage for every store that has none.
    pub(crate) fn new_lineages(&self, rows: &BTreeMap<TaskAt, Row>) -> Result<BTreeMap<TaskAt, [u8; 16]>, Trouble> {
        let new = rows.iter().filter(|(_, row)| row.lineage == [0; 16]);
        let drawn = new.map(|(at, _)| self.world.lineage().map(|lineage| (*at, lineage)));
        drawn.collect::<Result<_, _>>().map_err(|reason| Trouble::Stop(Failure::Broken(reason)))
    }
}

fn partitions(rows: &BTreeMap<TaskAt, Row>) -> BTreeSet<u32> {
    rows.keys().map(|(_, partition)| *partition).collect()
}

/// From where to read each input. A log that does not hold what comes next is not the one the stores were made from.
pub(crate) fn positions(
    engine: &mut Engine,
    state: &impl tributary_flow::Stores,
    bounds: &Bounds,
) -> Result<BTreeMap<InputAt, u64>, Trouble> {
    let mut read = BTreeMap::new();
    for (at, position) in engine.positions(state) {
        let Range { start, end } = bounds.get(&(at.topic.name.to_owned(), at.partition)).cloned().unwrap_or(0..0);
        // The lowest and the highest of all who read it.
        let furthest = engine.furthest(state, at.topic.name, at.partition);
        if position < start || furthest > end {
            let said =
                format!("what is read next of {at:?} is {position} to {furthest} and the log holds {start} to {end}");
            return Err(Trouble::Stop(Failure::Log(said)));
        }
        read.insert((at.topic.name, at.partition), position);
    }
    Ok(read)
}
