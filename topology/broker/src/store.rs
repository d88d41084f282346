//! The stores: one RocksDB per node, whose keys begin with the partition, so that a node's folder can be thrown away
//! alone. A node's changes of an epoch are one batch, with a row per task that says up to where the changelog is in it.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, BlockBasedTablePinningTier, Cache, DB, DBRawIterator, ReadOptions,
    Snapshot, WriteBatch, WriteBufferManager,
};
use tributary_flow::store::{StoreFailure, Visit};
use tributary_flow::{Node, Store, Stores};
use tributary_slot::{Batch, Row, Rows, TaskAt};

use crate::StartError;

/// No partition has this number: rows of the driver.
const DRIVER: u32 = u32::MAX;
/// What a row has in a batch beside its key and value, in bytes: a tag and two lengths.
const FRAMING: usize = 5;
/// How much memory of a node's changes is kept for the next ones, in bytes.
const SPARE: usize = 32 << 20;

/// The stores of every task that this process may own.
#[derive(Default)]
pub(crate) struct NodeStores(BTreeMap<(&'static str, u32), TaskStore>);

impl NodeStores {
    /// Opens the store of every node; one cache and one budget of write buffers serve all.
    pub fn open(
        folder: &Path,
        nodes: &[&'static Node],
        partitions: u32,
        cache_bytes: usize,
    ) -> Result<Self, StartError> {
        let cache = Cache::new_lru_cache(cache_bytes);
        let buffers = WriteBufferManager::new_write_buffer_manager_with_cache(cache_bytes / 2, false, cache.clone());
        let mut stores = BTreeMap::new();
        for node in nodes {
            let folder = folder.join(node.name);
            let open = || -> Result<DB, String> {
                std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
                DB::open(&options(&cache, &buffers), &folder).map_err(|error| match error.to_string() {
                    said if said.contains("/LOCK") => {
                        "another process uses it: give each a --data of its own".to_owned()
                    }
                    said => said,
                })
            };
            let db = Arc::new(open().map_err(|reason| StartError::Store { folder: folder.clone(), reason })?);
            for partition in 0..partitions {
                stores.insert((node.name, partition), TaskStore { db: db.clone(), partition });
            }
        }
        Ok(NodeStores(stores))
    }

    /// The store of a task.
    pub fn get(&self, node: &'static str, partition: u32) -> Option<&TaskStore> {
        self.0.get(&(node, partition))
    }

    /// Writes batches, one per node, and empties them: the largest beside the others, where these are much.
    pub fn write(&self, batches: &mut Batches) -> Result<(), rocksdb::Error> {
        let write =
            |(node, changes): &mut OfNode| self.0.get(&(*node, 0)).map_or(Ok(()), |store| changes.write(&store.db));
        let Some((largest, others)) = batches.largest_last() else { return Ok(()) };
        if others.iter().map(|(_, changes)| changes.bytes.len()).sum::<usize>() < MUCH {
            return others.iter_mut().try_for_each(write).and_then(|()| write(largest));
        }
        std::thread::scope(|scope| {
            let beside = scope.spawn(|| write(largest));
            let here = others.iter_mut().try_for_each(write);
            beside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)).and(here)
        })
    }
}

impl Stores for NodeStores {
    fn store(&self, node: &'static Node, partition: u32) -> &dyn Store {
        self.0.get(&(node.name, partition)).expect("invariant: every task of the process has a store")
    }
}

impl Rows for NodeStores {
    fn row(&self, (node, partition): TaskAt) -> Result<Option<Row>, String> {
        let store = self.get(node, partition).expect("invariant: every task of the process has a store");
        store.row().map_err(|error| error.to_string())
    }
}

fn options(cache: &Cache, buffers: &WriteBufferManager) -> rocksdb::Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_bloom_filter(10.0, false);
    table.set_cache_index_and_filter_blocks(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    // Most rows that are looked up are new, and each file's filter is asked for each: it stays in the cache as long as the file is
    // open, and is not looked for there. That takes ten bits a row of what the cache has.
    table.set_unpartitioned_pinning_tier(BlockBasedTablePinningTier::All);
    // An index is asked for rows that are there. In parts, for a whole one has megabytes, which is more than a shard of the cache
    // has room for, and would be read from the file each time.
    table.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
    table.set_top_level_index_pinning_tier(BlockBasedTablePinningTier::All);
    let mut options = rocksdb::Options::default();
    options.create_if_missing(true);
    options.set_block_based_table_factory(&table);
    options.set_write_buffer_manager(buffers);
    // Most rows that are looked up are new, and so in no table: the one in memory is asked for each.
    options.set_memtable_prefix_bloom_ratio(0.05);
    options.set_memtable_whole_key_filtering(true);
    options.set_compression_type(rocksdb::DBCompressionType::Lz4);
    options.set_max_open_files(256);
    options.set_keep_log_file_num(2);
    options
}

/// From how many bytes on changes are written beside others: some milliseconds of work.
const MUCH: usize = 1 << 20;

/// A node, and what is to change of it.
type OfNode = (&'static str, NodeChanges);

/// Changes to several stores, by node. Their memory is used again: an epoch's are megabytes, and each page of them that is new
/// must be asked of the system.
#[derive(Default)]
pub(crate) struct Batches {
    nodes: Vec<OfNode>,
    /// Where among them the last change went: they come in runs of one node.
    last: usize,
}

impl Batches {
    fn of(&mut self, node: &'static str) -> &mut NodeChanges {
        if self.nodes.get(self.last).is_none_or(|(name, _)| *name != node) {
            let known = self.nodes.iter().position(|(name, _)| *name == node);
            self.last = known.unwrap_or(self.nodes.len());
            if known.is_none() {
                self.nodes.push((node, NodeChanges::default()));
            }
        }
        &mut self.nodes[self.last].1
    }

    /// The node with the most changes, behind all others.
    fn largest_last(&mut self) -> Option<(&mut OfNode, &mut [OfNode])> {
        let largest = (0..self.nodes.len()).max_by_key(|at| self.nodes[*at].1.bytes.len())?;
        let last = self.nodes.len() - 1;
        self.nodes.swap(largest, last);
        self.last = last;
        self.nodes.split_last_mut()
    }
}

impl Batch for Batches {
    fn put(&mut self, (node, partition): TaskAt, key: &[u8], value: Option<&[u8]>) {
        self.of(node).put(partition, key, value);
    }

    fn row(&mut self, (node, partition): TaskAt, row: &Row) {
        self.put((node, DRIVER), &partition.to_be_bytes(), Some(&row.encode()));
    }

    fn wipe(&mut self, (node, partition): TaskAt) {
        self.put((node, DRIVER), &partition.to_be_bytes(), None);
        self.of(node).wiped.push(partition);
    }
}

/// Changes to one store. What is wiped is wiped first.
#[derive(Default)]
struct NodeChanges {
    wiped: Vec<u32>,
    /// Keys and values, one behind the other.
    bytes: Vec<u8>,
    /// Where each key begins, where its value does, and where that ends; no value deletes.
    rows: Vec<(usize, usize, Option<usize>)>,
}

impl NodeChanges {
    fn put(&mut self, partition: u32, key: &[u8], value: Option<&[u8]>) {
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(&partition.to_be_bytes());
        self.bytes.extend_from_slice(key);
        let middle = self.bytes.len();
        self.bytes.extend_from_slice(value.unwrap_or_default());
        self.rows.push((begin, middle, value.map(|_| self.bytes.len())));
    }

    /// In order of key, and of each the last: the table in memory finds the place of a row that lies behind the one before in a
    /// fraction of the steps, and a restore comes in the order of a log.
    fn write(&mut self, db: &DB) -> Result<(), rocksdb::Error> {
        let NodeChanges { wiped, bytes, rows } = self;
        if wiped.is_empty() && rows.is_empty() {
            return Ok(());
        }
        let key = |(begin, middle, _): &(usize, usize, Option<usize>)| &bytes[*begin..*middle];
        rows.sort_by(|a, b| key(a).cmp(key(b)));
        let mut batch = WriteBatch::with_capacity_bytes(bytes.len() + rows.len() * FRAMING);
        for partition in wiped.iter() {
            batch.delete_range(prefixed(*partition, &[]), prefixed(*partition + 1, &[]));
        }
        for (row, next) in rows.iter().zip(rows.iter().skip(1).map(Some).chain([None])) {
            if next.is_some_and(|next| key(next) == key(row)) {
                continue;
            }
            match row.2 {
                Some(end) => batch.put(key(row), &bytes[row.1..end]),
                None => batch.delete(key(row)),
            }
        }
        let written = db.write(batch);
        wiped.clear();
        bytes.clear();
        rows.clear();
        if bytes.capacity() > SPARE {
            *self = NodeChanges::default();
        }
        written
    }
}

fn prefixed(partition: u32, key: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(4 + key.len());
    out.extend_from_slice(&partition.to_be_bytes());
    out.extend_from_slice(key);
    out
}

/// The state of one task: the committed one.
#[derive(Clone)]
pub(crate) struct TaskStore {
    db: Arc<DB>,
    partition: u32,
}

impl TaskStore {
    pub fn new(db: Arc<DB>, partition: u32) -> Self {
        TaskStore { db, partition }
    }

    /// What the store knows of its past; nothing where it is new or cannot be read.
    pub fn row(&self) -> Result<Option<Row>, rocksdb::Error> {
        let row = self.db.get_pinned(prefixed(DRIVER, &self.partition.to_be_bytes()))?;
        Ok(row.and_then(|bytes| Row::decode(&bytes)))
    }

    /// The state as of one commit, however long one looks.
    pub fn view(&self) -> View<'_> {
        View { snapshot: self.db.snapshot(), partition: self.partition }
    }
}

/// The state as of one commit.
pub(crate) struct View<'a> {
    snapshot: Snapshot<'a>,
    partition: u32,
}

fn or_raise<T, E: Display>(read: Result<T, E>) -> T {
    read.unwrap_or_else(|error| StoreFailure::raise(error.to_string()))
}

impl Store for TaskStore {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        or_raise(self.db.get_pinned(prefixed(self.partition, key))).map(|value| value.to_vec())
    }

    fn scan(&self, from: &[u8], to: &[u8], reverse: bool, visit: &mut Visit<'_>) {
        let bounds = bounds(self.partition, from, to);
        walk(self.db.raw_iterator_opt(bounds), reverse, visit);
    }
}

impl Store for View<'_> {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        or_raise(self.snapshot.get_pinned(prefixed(self.partition, key))).map(|value| value.to_vec())
    }

    fn scan(&self, from: &[u8], to: &[u8], reverse: bool, visit: &mut Visit<'_>) {
        let bounds = bounds(self.partition, from, to);
        walk(self.snapshot.raw_iterator_opt(bounds), reverse, visit);
    }
}

fn bounds(partition: u32, from: &[u8], to: &[u8]) -> ReadOptions {
    let mut options = ReadOptions::default();
    options.set_iterate_lower_bound(prefixed(partition, from));
    // An iterator whose bounds are the wrong way round is asked for nothing.
    options.set_iterate_upper_bound(prefixed(partition, to.max(from)));
    options
}

fn walk(mut rows: DBRawIterator<'_>, reverse: bool, visit: &mut Visit<'_>) {
    if reverse {
        rows.seek_to_last()
    } else {
        rows.seek_to_first()
    }
    while let Some((key, value)) = rows.item() {
        if visit(&key[4..], value) == ControlFlow::Break(()) {
            return;
        }
        if reverse { rows.prev() } else { rows.next() }
    }
    or_raise(rows.status());
}
