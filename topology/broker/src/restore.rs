//! Rolling stores forward out of their changelogs, after every assignment and after every failed epoch, before anything
//! runs. The target is the read-uncommitted end as of now: whatever a dead or slow predecessor still had open is
//! committed or aborted before its last stable offset gets there.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use tributary_flow::{Node, Timestamp, time};

use crate::ends::{At, Ends};
use crate::native::{Consumer, Met, NativeError, Record};
use crate::shared::Failure;
use crate::store::{Batches, NodeStores, Row};

/// The changelog's key for the lineage; no state row begins so.
pub(crate) const LINEAGE: &[u8] = b"L";

/// A store that last advanced longer ago may have missed tombstones: a fired timer or a released hold would come back.
const MAX_AGE: i64 = 3 * time::DAY;

/// Records written to the stores at once.
const BATCH: usize = 2_000;

/// How long a changelog may give nothing: longer than any transaction can be open.
const PATIENCE: Duration = Duration::from_secs(60);

/// What keeps the engine from going on.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// As after a crash: begin again from the log.
    Again(String),
    /// Partitions came or went.
    Rebalanced,
    /// Stop.
    Stop(Failure),
}

impl From<NativeError> for Trouble {
    fn from(error: NativeError) -> Self {
        Trouble::Again(error.text)
    }
}

impl From<rocksdb::Error> for Trouble {
    fn from(error: rocksdb::Error) -> Self {
        Trouble::Stop(Failure::Store(error.to_string()))
    }
}

/// A task by node and partition.
pub(crate) type TaskAt = (&'static str, u32);

/// What rolling forward takes.
pub(crate) struct Restore<'a> {
    pub reader: &'a Consumer,
    pub ends: &'a Ends,
    pub stores: &'a NodeStores,
    pub partitions: u32,
    pub now: Timestamp,
    /// Called now and then; fails where there is no use in going on.
    pub alive: &'a dyn Fn() -> Result<(), Trouble>,
}

/// A changelog that is being read.
struct Open {
    row: Row,
    end: u64,
}

impl Restore<'_> {
    /// Brings the stores of `tasks` to the end of their changelogs.
    pub fn run(&self, tasks: &[(&'static Node, u32)]) -> Result<BTreeMap<TaskAt, Row>, Trouble> {
        let changelogs: BTreeMap<String, &'static str> =
            tasks.iter().map(|(node, _)| (node.changelog(), node.name)).collect();
        let asked: Vec<At> = tasks
            .iter()
            .flat_map(|(node, partition)| [(node.changelog(), *partition), (node.journal(), *partition)])
            .collect();
        let mut condemned: Vec<TaskAt> = Vec::new();
        loop {
            let bounds = self.ends.ask(&asked)?;
            let range = |topic: String, partition| bounds.get(&(topic, partition)).cloned().unwrap_or(0..0);
            let mut open = BTreeMap::new();
            for (node, partition) in tasks {
                let (changelog, journal) = (range(node.changelog(), *partition), range(node.journal(), *partition));
                let row =
                    self.start(node, *partition, &changelog, &journal, condemned.contains(&(node.name, *partition)))?;
                open.insert((node.name, *partition), Open { row, end: changelog.end });
            }
            let read = self.read(&changelogs, &mut open);
            self.reader.assign([])?;
            match read? {
                None => return Ok(open.into_iter().map(|(at, open)| (at, open.row)).collect()),
                Some(foreign) => condemned.push(foreign),
            }
        }
    }

    /// From where to read; what cannot be rolled forward is forgotten and read from the beginning.
    fn start(
        &self,
        node: &'static Node,
        partition: u32,
        changelog: &Range<u64>,
        journal: &Range<u64>,
        condemned: bool,
    ) -> Result<Row, Trouble> {
        let lost = |said: String| Err(Trouble::Stop(Failure::Log(said)));
        if changelog.end == 0 && journal.end > 0 {
            return lost(format!(
                "{}[{partition}] is empty and {}[{partition}] is not",
                node.changelog(),
                node.journal()
            ));
        }
        let store = self.stores.get(node.name, partition).expect("invariant: every task of the process has a store");
        if let Some(row) = store.row()? {
            if row.partitions != self.partitions {
                let (was, now) = (row.partitions, self.partitions);
                return lost(format!("the store of {} was made with {was} partitions and there are {now}", node.name));
            }
            if row.changelog > changelog.end {
                let (at, end) = (row.changelog, changelog.end);
                return lost(format!(
                    "{}[{partition}] ends at {end} and the store has read up to {at}",
                    node.changelog()
                ));
            }
            let age = self.now.0.saturating_sub(row.advanced.0);
            if !condemned && age <= MAX_AGE && row.changelog >= changelog.start {
                return Ok(row);
            }
            tracing::warn!(
                node = node.name,
                partition,
                age_s = age / time::SECOND,
                condemned,
                "the store is rebuilt from its changelog"
            );
        }
        let mut batches = Batches::default();
        batches.wipe(node.name, partition);
        self.stores.write(batches)?;
        Ok(Row { partitions: self.partitions, changelog: changelog.start, advanced: self.now, lineage: [0; 16] })
    }

    /// Reads every changelog to its end; stops early at one whose lineage is not the store's, and names it.
    fn read(
        &self,
        changelogs: &BTreeMap<String, &'static str>,
        open: &mut BTreeMap<TaskAt, Open>,
    ) -> Result<Option<TaskAt>, Trouble> {
        let mut behind: Vec<TaskAt> =
            open.iter().filter(|(_, open)| open.row.changelog < open.end).map(|(at, _)| *at).collect();
        let names: BTreeMap<&'static str, &str> =
            changelogs.iter().map(|(topic, node)| (*node, topic.as_str())).collect();
        self.reader.assign(
            behind.iter().map(|(node, partition)| (names[node], *partition, open[&(*node, *partition)].row.changelog)),
        )?;
        let (mut last, mut told, mut records) = (Instant::now(), Instant::now(), 0_u64);
        while !behind.is_empty() {
            (self.alive)()?;
            let mut batches = Batches::default();
            let mut foreign = None;
            let mut failed = None;
            let met = self.reader.consume(Duration::from_millis(100), BATCH, &mut |met| match met {
                Met::Record(record) => {
                    let Some(node) = changelogs.get(record.topic) else { return };
                    let Some(task) = open.get_mut(&(*node, record.partition)) else { return };
                    records += 1;
                    if !apply(&mut batches, node, &record, task) {
                        foreign = Some((*node, record.partition));
                    }
                }
                Met::End { topic, partition, offset } => {
                    let Some(task) = changelogs.get(topic).and_then(|node| open.get_mut(&(*node, partition))) else {
                        return;
                    };
                    task.row.changelog = task.row.changelog.max(offset.min(task.end));
                }
                Met::Cut { error, .. } | Met::Failed(error) => failed = Some(error),
            });
            if foreign.is_some() {
                return Ok(foreign);
            }
            for (node, partition) in &behind {
                let row = &mut open.get_mut(&(*node, *partition)).expect("invariant: what is behind is open").row;
                row.advanced = self.now;
                batches.row(node, *partition, row);
            }
            self.stores.write(batches)?;
            behind.retain(|at| open[at].row.changelog < open[at].end);
            if let Some(error) = failed {
                tracing::warn!("reading changelogs: {error}");
            }
            if met > 0 {
                last = Instant::now();
            } else if last.elapsed() > PATIENCE {
                let (node, partition) = behind[0];
                let Open { row, end } = &open[&(node, partition)];
                return Err(Trouble::Again(format!(
                    "{}[{partition}] gives nothing from {} on and ends at {end}: a transaction is open there; where it stays \
                     so, `kafka-transactions.sh find-hanging` names it",
                    names[node], row.changelog
                )));
            }
            if told.elapsed() > Duration::from_secs(5) {
                told = Instant::now();
                let left: u64 = behind.iter().map(|at| open[at].end - open[at].row.changelog).sum();
                tracing::info!(records, left, "restoring");
            }
        }
        tracing::info!(records, tasks = open.len(), "stores are at the end of their changelogs");
        Ok(None)
    }
}

/// Takes a changelog record into the store; false where it is of another lineage.
fn apply(batches: &mut Batches, node: &'static str, record: &Record<'_>, task: &mut Open) -> bool {
    let Some(key) = record.key else { return true };
    if key == LINEAGE {
        let lineage = record.value.and_then(|value| value.try_into().ok()).unwrap_or([0; 16]);
        if task.row.lineage != [0; 16] && task.row.lineage != lineage {
            return false;
        }
        task.row.lineage = lineage;
    } else {
        batches.put(node, record.partition, key, record.value);
    }
    task.row.changelog = task.row.changelog.max(record.offset + 1);
    true
}
