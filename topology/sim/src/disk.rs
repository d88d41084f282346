//! The stores of one machine: a database per node. What was written last can be lost with the machine, a database at a
//! time, and never the middle without what came after.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tributary_flow::store::Visit;
use tributary_flow::{MemoryStore, Node, Store, Stores};
use tributary_slot::{Batch, Row, Rows, TaskAt};

use crate::random::Random;

/// A change of a database.
#[derive(Clone, Debug)]
enum Change {
    Put(TaskAt, Vec<u8>, Option<Vec<u8>>),
    Row(TaskAt, Row),
    Wipe(TaskAt),
}

impl Change {
    fn at(&self) -> TaskAt {
        match self {
            Change::Put(at, ..) | Change::Row(at, _) | Change::Wipe(at) => *at,
        }
    }
}

/// Changes to several databases.
#[derive(Debug, Default)]
pub(crate) struct Changes(BTreeMap<&'static str, Vec<Change>>);

impl Changes {
    fn push(&mut self, change: Change) {
        self.0.entry(change.at().0).or_default().push(change);
    }

    pub fn by_node(self) -> impl Iterator<Item = (&'static str, Written)> {
        self.0.into_iter().map(|(node, changes)| (node, Written(changes)))
    }
}

/// What one database takes in at once.
#[derive(Clone, Debug)]
pub(crate) struct Written(Vec<Change>);

impl Batch for Changes {
    fn put(&mut self, at: TaskAt, key: &[u8], value: Option<&[u8]>) {
        self.push(Change::Put(at, key.to_vec(), value.map(<[u8]>::to_vec)));
    }

    fn row(&mut self, at: TaskAt, row: &Row) {
        self.push(Change::Row(at, *row));
    }

    fn wipe(&mut self, at: TaskAt) {
        self.push(Change::Wipe(at));
    }
}

/// The store of a task.
#[derive(Clone, Debug, Default)]
struct Content {
    rows: MemoryStore,
    row: Option<Row>,
}

/// The store of a task, as one reads it.
#[derive(Debug, Default)]
pub struct TaskStore(RwLock<Content>);

impl TaskStore {
    /// A copy of the rows.
    #[must_use]
    pub fn rows(&self) -> MemoryStore {
        read(&self.0).rows.clone()
    }

    /// Where in the changelog it is, if it knows.
    #[must_use]
    pub fn row(&self) -> Option<Row> {
        read(&self.0).row
    }
}

impl Store for TaskStore {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        read(&self.0).rows.get(key)
    }

    fn scan(&self, from: &[u8], to: &[u8], reverse: bool, visit: &mut Visit<'_>) {
        read(&self.0).rows.scan(from, to, reverse, visit);
    }
}

/// What would be left of a database at worst.
#[derive(Debug, Default)]
struct Synced {
    contents: BTreeMap<TaskAt, Content>,
    /// Written since.
    tail: Vec<Written>,
}

/// The first byte of the keys of positions.
const POSITION: u8 = b'p';
/// An offset that no log here comes to, and as a row has it: seven bits in a byte, the lowest first.
const FAR: u64 = 1 << 40;
const FAR_AS_ROW: &[u8] = &[0x80, 0x80, 0x80, 0x80, 0x80, 0x20];

/// How much is written between two syncs.
const TAIL: usize = 64;

/// The stores of one machine.
#[derive(Debug, Default)]
pub(crate) struct Disks {
    stores: BTreeMap<TaskAt, TaskStore>,
    synced: RwLock<BTreeMap<&'static str, Synced>>,
    /// Of each node its changelog, if it has one, then its inputs.
    topics: BTreeMap<&'static str, Vec<String>>,
    /// Databases that do not fit the log.
    spoiled: RwLock<BTreeSet<&'static str>>,
    /// Whether the tails are worth keeping.
    fragile: bool,
}

impl Disks {
    /// Empty stores of these nodes.
    pub fn new(nodes: &[&'static Node], partitions: u32, fragile: bool) -> Self {
        let tasks = nodes.iter().flat_map(|node| (0..partitions).map(move |partition| (node.name, partition)));
        let stores = tasks.map(|at| (at, TaskStore::default())).collect();
        let inputs = |node: &&'static Node| node.inputs.iter().map(|topic| topic.name.to_owned());
        let changelog = |node: &&'static Node| (!node.is_view()).then(|| node.changelog());
        let topics = nodes.iter().map(|node| (node.name, changelog(node).into_iter().chain(inputs(node)).collect()));
        let topics = topics.collect();
        Disks { stores, synced: RwLock::default(), topics, spoiled: RwLock::default(), fragile }
    }

    pub fn get(&self, at: TaskAt) -> Option<&TaskStore> {
        self.stores.get(&at)
    }

    pub fn iter(&self) -> impl Iterator<Item = (TaskAt, &TaskStore)> {
        self.stores.iter().map(|(at, store)| (*at, store))
    }

    pub fn nodes(&self) -> impl Iterator<Item = &'static str> {
        self.topics.keys().copied()
    }

    /// The changelog of a node, and its inputs.
    pub fn topics(&self, node: &'static str) -> &[String] {
        &self.topics[node]
    }

    /// Whether some database does not fit the log.
    pub fn is_spoiled(&self) -> bool {
        !read(&self.spoiled).is_empty()
    }

    /// Takes over what another machine has of our nodes.
    pub fn copy(&self, other: &Disks) {
        write(&self.spoiled).extend(read(&other.spoiled).iter());
        for (at, store) in &self.stores {
            if let Some(found) = other.stores.get(at) {
                let content = read(&found.0).clone();
                let mut synced = write(&self.synced);
                synced.entry(at.0).or_default().contents.insert(*at, content.clone());
                *write(&store.0) = content;
            }
        }
    }

    /// Writes to the database of a node.
    pub fn write(&self, node: &'static str, written: Written) {
        for change in &written.0 {
            change_content(&mut write(&self.stores[&change.at()].0), change);
        }
        if !self.fragile {
            return;
        }
        let mut synced = write(&self.synced);
        let Synced { contents, tail } = synced.entry(node).or_default();
        tail.push(written);
        if tail.len() > TAIL {
            for written in tail.drain(..) {
                written.0.iter().for_each(|change| change_content(contents.entry(change.at()).or_default(), change));
            }
        }
    }

    /// The machine dies: of what was written last, the end is lost.
    pub fn lose_tail(&self, node: &'static str, random: &mut Random) {
        let kept = {
            let synced = read(&self.synced);
            let length = synced.get(node).map_or(0, |synced| synced.tail.len());
            length - random.below(length + 1).min(length)
        };
        self.go_back(node, kept);
    }

    /// An old copy is put in the place of a database.
    pub fn go_stale(&self, node: &'static str) {
        self.go_back(node, 0);
    }

    fn go_back(&self, node: &'static str, kept: usize) {
        let mut synced = write(&self.synced);
        let Synced { contents, tail } = synced.entry(node).or_default();
        tail.truncate(kept);
        for (at, store) in self.stores.iter().filter(|(at, _)| at.0 == node) {
            *write(&store.0) = contents.get(at).cloned().unwrap_or_default();
        }
        for change in tail.iter().flat_map(|written| &written.0) {
            change_content(&mut write(&self.stores[&change.at()].0), change);
        }
    }

    /// A database is gone.
    pub fn lose(&self, node: &'static str) {
        write(&self.synced).remove(node);
        write(&self.spoiled).remove(node);
        for (_, store) in self.stores.iter().filter(|(at, _)| at.0 == node) {
            *write(&store.0) = Content::default();
        }
    }

    /// The database of another installation is in the place of one: of another history, or made with other partitions.
    pub fn go_foreign(&self, node: &'static str, other: Option<Row>) {
        write(&self.spoiled).insert(node);
        for (_, store) in self.stores.iter().filter(|(at, _)| at.0 == node) {
            let mut content = write(&store.0);
            content.rows.pairs.insert(b"foreign".to_vec(), Vec::new());
            content.row = other.or(content.row.map(|row| Row { partitions: row.partitions + 1, ..row }));
        }
    }

    /// A database claims to hold what the changelog does not, or to have read what the inputs do not hold.
    pub fn go_ahead(&self, node: &'static str) {
        write(&self.spoiled).insert(node);
        for (_, store) in self.stores.iter().filter(|(at, _)| at.0 == node) {
            let Content { rows, row } = &mut *write(&store.0);
            if let Some(row) = row {
                row.changelog += FAR;
            }
            let positions = rows.pairs.iter_mut().filter(|(key, _)| key.first() == Some(&POSITION));
            positions.for_each(|(_, position)| *position = FAR_AS_ROW.to_vec());
        }
    }
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

fn change_content(content: &mut Content, change: &Change) {
    match change {
        Change::Put(_, key, Some(value)) => drop(content.rows.pairs.insert(key.clone(), value.clone())),
        Change::Put(_, key, None) => drop(content.rows.pairs.remove(key)),
        Change::Row(_, row) => content.row = Some(*row),
        Change::Wipe(_) => *content = Content::default(),
    }
}

impl Stores for Disks {
    fn store(&self, node: &'static Node, partition: u32) -> &dyn Store {
        self.get((node.name, partition)).expect("invariant: a store for every task of the process")
    }
}

impl Rows for Disks {
    fn row(&self, at: TaskAt) -> Result<Option<Row>, String> {
        Ok(self.get(at).expect("invariant: a store for every task of the process").row())
    }
}
