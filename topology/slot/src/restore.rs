//! Rolling stores forward out of their changelogs, after every assignment and after every failed epoch, before anything
//! runs. The target is the read-uncommitted end as of now: whatever a dead or slow predecessor still had open is
//! committed or aborted before its last stable offset gets there.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::time::Duration;

use tributary_flow::rows::DRIVER;
use tributary_flow::store::StoreFailure;
use tributary_flow::{Node, Store, Stores as _, time};

use crate::changelog::{Along, take_in};
use crate::views::Apart;
use crate::world::{Batch, Fault, Met, Rows, World};
use crate::{At, Failure, Row, Slot, TaskAt, Trouble};

/// The changelog's key for the lineage; no state row begins so.
pub const LINEAGE: &[u8] = b"L";

/// In microseconds. A store that was at its changelog's end longer ago may have missed tombstones: a fired timer or a
/// released hold would come back.
pub const MAX_AGE: i64 = 3 * time::DAY;
/// Records written to the stores at once.
const BATCH: usize = 20_000;
/// How long to wait for something of a changelog.
const WAIT: Duration = Duration::from_millis(100);
/// How long a changelog may give nothing: longer than any transaction can be open.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// How often two ends that do not fit are asked for again: two brokers tell them, one after the other.
const DOUBTS: u32 = 3;
/// How often progress is told.
const TELL: Duration = Duration::from_secs(5);

/// A changelog that is being read.
pub(crate) struct Open {
    pub row: Row,
    /// Where it ended when reading began.
    pub end: u64,
    /// It is read from its beginning, which must tell the lineage that the store has.
    unnamed: bool,
    /// Whether anything was read that the store does not know of.
    met: bool,
}

impl Open {
    /// Offsets that are still to be read.
    pub fn left(&self) -> u64 {
        self.end.saturating_sub(self.row.changelog)
    }
}

/// What a step of reading came to.
pub(crate) enum Reached {
    /// So many records and ends were met.
    Some(usize),
    /// There is nothing at this time.
    Nothing,
    /// This changelog's lineage is not the store's.
    Foreign(TaskAt),
}

impl<W: World> Slot<W> {
    /// Brings the stores of `tasks` to the end of their changelogs.
    pub(crate) async fn restore(&mut self, tasks: &[(&'static Node, u32)]) -> Result<BTreeMap<TaskAt, Row>, Trouble> {
        let mut condemned: Vec<TaskAt> = Vec::new();
        loop {
            let mut open = self.prepare(tasks, &condemned).await?;
            let read = self.roll_forward(&mut open).await;
            self.open(&[]).await?;
            match read? {
                None => return Ok(open.into_iter().map(|(at, open)| (at, open.row)).collect()),
                Some(foreign) => condemned.push(foreign),
            }
        }
    }

    /// Where the changelogs end and up to where the stores of `tasks` hold them; a condemned one holds nothing any more.
    pub(crate) async fn prepare(
        &self,
        tasks: &[(&'static Node, u32)],
        condemned: &[TaskAt],
    ) -> Result<BTreeMap<TaskAt, Open>, Trouble> {
        let own =
            |(node, partition): &(&'static Node, u32)| [(node.changelog(), *partition), (node.journal(), *partition)];
        let bounds = self.world.ends(&tasks.iter().flat_map(own).collect::<Vec<At>>()).await?;
        let range = |at: At| bounds.get(&at).cloned().unwrap_or(0..0);
        let mut open = BTreeMap::new();
        for task in tasks {
            let [changelog, journal] = own(task).map(range);
            let at = (task.0.name, task.1);
            let row = self.start(task, &changelog, &journal, condemned.contains(&at)).await?;
            let unnamed = row.lineage != [0; 16] && row.changelog <= changelog.start;
            open.insert(at, Open { row, end: changelog.end, unnamed, met: false });
        }
        Ok(open)
    }

    /// From where a changelog is read on.
    pub(crate) fn place<'a>(&'a self, (at, open): (&TaskAt, &Open)) -> (&'a str, u32, u64) {
        (self.topics[at.0].changelog.as_str(), at.1, open.row.changelog)
    }

    /// From where to read; what cannot be rolled forward is forgotten and read from the beginning.
    async fn start(
        &self,
        (node, partition): &(&'static Node, u32),
        changelog: &Range<u64>,
        journal: &Range<u64>,
        condemned: bool,
    ) -> Result<Row, Trouble> {
        let at = (node.name, *partition);
        if let Some(row) = self.world.state().row(at).map_err(|reason| Trouble::Stop(Failure::Store(reason)))? {
            self.fits(node, *partition, &row, changelog, journal)?;
            let age = self.world.wall().0.saturating_sub(row.advanced.0);
            if !condemned && age <= MAX_AGE && row.changelog >= changelog.start {
                return Ok(row);
            }
            let age_s = age / time::SECOND;
            tracing::warn!(node = node.name, partition, age_s, condemned, "the store is rebuilt from its changelog");
        } else {
            self.fits(node, *partition, &self.empty(changelog), changelog, journal)?;
        }
        if changelog.start > 0 {
            let (topic, start) = (node.changelog(), changelog.start);
            return Err(Trouble::Stop(Failure::Log(format!(
                "{topic}[{partition}] begins at {start}: its first records were deleted, so no store can be made of it; take \
                 the one of a process that had the task, or bring the topic back"
            ))));
        }
        let mut batch = self.world.batch();
        batch.wipe(at);
        self.write(batch).await?;
        Ok(self.empty(changelog))
    }

    /// A store of which nothing is known.
    fn empty(&self, changelog: &Range<u64>) -> Row {
        let (partitions, advanced) = (self.options.partitions, self.world.wall());
        Row { partitions, changelog: changelog.start, advanced, lineage: [0; 16] }
    }

    /// That the log is the one that the store was made from.
    fn fits(
        &self,
        node: &Node,
        partition: u32,
        row: &Row,
        changelog: &Range<u64>,
        journal: &Range<u64>,
    ) -> Result<(), Trouble> {
        let said = if changelog.end == 0 && journal.end > 0 {
            let (changelog, journal) = (node.changelog(), node.journal());
            return Err(self.doubted(format!("{changelog}[{partition}] is empty and {journal}[{partition}] is not")));
        } else if row.changelog > changelog.end {
            let (at, end) = (row.changelog, changelog.end);
            format!("{}[{partition}] ends at {end} and the store has read up to {at}", node.changelog())
        } else {
            return self.same_partitions(node, row);
        };
        Err(Trouble::Stop(Failure::Log(said)))
    }

    /// That a store was made with as many partitions as there are.
    pub(crate) fn same_partitions(&self, node: &Node, row: &Row) -> Result<(), Trouble> {
        let (was, now) = (row.partitions, self.options.partitions);
        if was == now {
            return Ok(());
        }
        let said = format!("the store of {} was made with {was} partitions and there are {now}", node.name);
        Err(Trouble::Stop(Failure::Log(said)))
    }

    /// What becomes of two topics that do not fit: they are asked for again before they are believed.
    pub(crate) fn doubted(&self, said: String) -> Trouble {
        if self.doubts.get() < DOUBTS {
            self.doubts.set(self.doubts.get() + 1);
            return Trouble::Again(said);
        }
        Trouble::Stop(Failure::Log(said))
    }

    /// Reads every changelog to its end; stops early at one whose lineage is not the store's, and names it.
    async fn roll_forward(&mut self, open: &mut BTreeMap<TaskAt, Open>) -> Result<Option<TaskAt>, Trouble> {
        let mut behind: Vec<TaskAt> = open.iter().filter(|(_, open)| open.left() > 0).map(|(at, _)| *at).collect();
        self.open(&behind.iter().map(|at| self.place((at, &open[at]))).collect::<Vec<_>>()).await?;
        let (mut last, mut told, mut records) = (self.world.elapsed(), self.world.elapsed(), 0);
        while !behind.is_empty() {
            self.live().await?;
            match self.take(open, &mut Apart::default(), WAIT, BATCH).await? {
                Reached::Foreign(at) => return Ok(Some(at)),
                Reached::Some(met) => (last, records) = (self.world.elapsed(), records + met),
                Reached::Nothing => {}
            }
            behind.retain(|at| open[at].left() > 0);
            let now = self.world.elapsed();
            if let Some(at) = behind.first().filter(|_| now - last > PATIENCE) {
                return Err(Trouble::Again(self.stuck(at, &open[at])));
            }
            if now - told > TELL {
                told = now;
                let left: u64 = behind.iter().map(|at| open[at].left()).sum();
                tracing::info!(records, left, "restoring");
            }
        }
        tracing::info!(records, tasks = open.len(), "stores are at the end of their changelogs");
        Ok(open.iter().find(|(_, open)| open.unnamed).map(|(at, _)| *at))
    }

    /// Takes what there is of the changelogs, and of the inputs of views, into the stores. What is cut is not read on by itself,
    /// and is opened anew.
    pub(crate) async fn take(
        &self,
        open: &mut BTreeMap<TaskAt, Open>,
        views: &mut Apart,
        wait: Duration,
        most: usize,
    ) -> Result<Reached, Trouble> {
        let (mut foreign, mut cut, mut failed, mut broken) = (None, None, None, None);
        let named = open.iter_mut().map(|(at, open)| (self.topics[at.0].changelog.as_str(), *at, open));
        let mut changelogs = Changelogs { all: named.collect(), last: 0 };
        let (mut batch, mut seats) = (self.world.batch(), HashMap::new());
        let mut meet = |met: Met<'_>| match met {
            Met::Record { topic, partition, offset, key, value } => {
                let Some((at, task)) = changelogs.find(topic, partition) else {
                    let Some(topic) = self.inputs.get(topic) else { return };
                    return views.meet(topic, partition, Some((offset, key, value)), offset + 1);
                };
                match apply(task, offset, key, value) {
                    Applied::Row(key) => {
                        let (store, batch, seats) = (self.store(at), &mut batch, seats.entry(at).or_default());
                        // Nothing may unwind through the client: what a store cannot read is told when the read is over.
                        let taken =
                            StoreFailure::caught(|| take_in(&mut Taken { at, store, batch, seats }, key, value));
                        broken = broken.take().or(taken.err());
                    }
                    Applied::Nothing => {}
                    Applied::Foreign => foreign = Some(at),
                }
            }
            Met::End { topic, partition, offset } => {
                let Some((at, task)) = changelogs.find(topic, partition) else {
                    let Some(topic) = self.inputs.get(topic) else { return };
                    return views.meet(topic, partition, None, offset);
                };
                if task.unnamed {
                    foreign = foreign.or((offset >= task.end).then_some(at));
                } else {
                    task.met = true;
                    task.row.changelog = task.row.changelog.max(offset);
                }
            }
            Met::Cut { error, .. } => cut = Some(error),
            Met::Failed(error) if error.fault == Fault::OffsetLost => cut = Some(error),
            Met::Failed(error) => failed = Some(error),
        };
        let met = self.world.read_changelogs(wait, most, &mut meet).await;
        if let Some(failure) = broken {
            return Err(Trouble::Stop(Failure::Store(failure.0)));
        }
        if let Some(at) = foreign {
            return Ok(Reached::Foreign(at));
        }
        if let Some(error) = cut {
            return Err(Trouble::Again(format!("reading changelogs, and inputs of views: {error}")));
        }
        if let Some(error) = failed {
            tracing::warn!("reading changelogs, and inputs of views: {error}");
        }
        self.listen(met, open.iter().map(|open| self.place(open)).chain(views.places())).await?;
        if met == 0 {
            return Ok(Reached::Nothing);
        }
        for (at, open) in open.iter_mut().filter(|(_, open)| open.met) {
            // Short of the end it has as old a past as before: what deletes its rows may still be to come, and may go.
            if open.left() == 0 {
                open.row.advanced = self.world.wall();
            }
            open.met = false;
            batch.row(*at, &open.row);
        }
        self.apply_apart(views, &mut batch).await?;
        self.write(batch).await?;
        Ok(Reached::Some(met))
    }

    /// Why a changelog gives nothing.
    fn stuck(&self, at: &TaskAt, Open { row, end, .. }: &Open) -> String {
        hanging(&self.topics[at.0].changelog, at.1, row.changelog, *end)
    }

    pub(crate) fn store(&self, (node, partition): TaskAt) -> &dyn Store {
        self.world.state().store(self.node(node), partition)
    }

    pub(crate) fn node(&self, name: &str) -> &'static Node {
        self.nodes.iter().find(|known| known.name == name).expect("invariant: a task is of a node of ours")
    }

    pub(crate) async fn write(&self, batch: W::Batch) -> Result<(), Trouble> {
        self.world.store(batch).await.map_err(|reason| Trouble::Stop(Failure::Store(reason)))
    }
}

/// Why a partition gives nothing.
pub(crate) fn hanging(topic: &str, partition: u32, from: u64, end: u64) -> String {
    format!(
        "{topic}[{partition}] gives nothing from {from} on and ends at {end}: a transaction is open there; where it stays so, \
         `kafka-transactions.sh find-hanging` names it"
    )
}

/// The changelogs that are being read. Records come in runs of one of them.
struct Changelogs<'a> {
    all: Vec<(&'a str, TaskAt, &'a mut Open)>,
    last: usize,
}

impl Changelogs<'_> {
    fn find(&mut self, topic: &str, partition: u32) -> Option<(TaskAt, &mut Open)> {
        let is = |(own, at, _): &(&str, TaskAt, &mut Open)| at.1 == partition && *own == topic;
        if !self.all.get(self.last).is_some_and(is) {
            self.last = self.all.iter().position(is)?;
        }
        let (_, at, open) = &mut self.all[self.last];
        Some((*at, open))
    }
}

/// A store with what is taken in and not written yet.
struct Taken<'a, B> {
    at: TaskAt,
    store: &'a dyn Store,
    batch: &'a mut B,
    /// What was put of the driver's own: nothing else is looked at again.
    seats: &'a mut HashMap<Vec<u8>, Option<Vec<u8>>>,
}

impl<B: Batch> Along for Taken<'_, B> {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.seats.get(key).cloned().unwrap_or_else(|| self.store.get(key))
    }

    fn put(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.batch.put(self.at, key, value);
        if key.first() == Some(&DRIVER) {
            self.seats.insert(key.to_vec(), value.map(<[u8]>::to_vec));
        }
    }
}

/// What a changelog record is to the store.
enum Applied<'a> {
    /// A row has this key, and the record's value or none.
    Row(&'a [u8]),
    Nothing,
    /// It is of another lineage.
    Foreign,
}

fn apply<'a>(task: &mut Open, offset: u64, key: Option<&'a [u8]>, value: Option<&[u8]>) -> Applied<'a> {
    let Some(key) = key else { return Applied::Nothing };
    let applied = if key == LINEAGE {
        let lineage = value.and_then(|value| value.try_into().ok()).unwrap_or([0; 16]);
        if task.row.lineage != [0; 16] && task.row.lineage != lineage {
            return Applied::Foreign;
        }
        (task.row.lineage, task.unnamed) = (lineage, false);
        Applied::Nothing
    } else if task.unnamed {
        return Applied::Foreign;
    } else {
        Applied::Row(key)
    };
    task.row.changelog = task.row.changelog.max(offset + 1);
    task.met = true;
    applied
}
