//! The state of tasks in the database: each task's rows under its node's name and its partition.

use std::ops::ControlFlow;

use rocksdb::{ReadOptions, Snapshot, WriteBatch};
use tributary_flow::engine::Stores;
use tributary_flow::store::{Store, StoreFailure, Visit};
use tributary_flow::task::TaskCommit;
use tributary_flow::{Node, Task};

use crate::base::Base;

/// The prefix of a node's rows.
pub(crate) fn of_node(node: &str) -> Vec<u8> {
    let mut prefix = Vec::with_capacity(node.len() + 5);
    prefix.extend_from_slice(node.as_bytes());
    prefix.push(0);
    prefix
}

fn of_task(node: &str, partition: u32) -> Vec<u8> {
    let mut prefix = of_node(node);
    prefix.extend_from_slice(&partition.to_be_bytes());
    prefix
}

/// One task's committed rows: the newest, or as of a snapshot.
pub(crate) struct TaskStore<'a> {
    base: &'a Base,
    snapshot: Option<&'a Snapshot<'a>>,
    gets: ReadOptions,
    prefix: Vec<u8>,
}

impl<'a> TaskStore<'a> {
    pub fn new(base: &'a Base, snapshot: Option<&'a Snapshot<'a>>, node: &str, partition: u32) -> Self {
        let mut gets = ReadOptions::default();
        if let Some(snapshot) = snapshot {
            gets.set_snapshot(snapshot);
        }
        TaskStore { base, snapshot, gets, prefix: of_task(node, partition) }
    }

    fn at(&self, key: &[u8]) -> Vec<u8> {
        let mut at = Vec::with_capacity(self.prefix.len() + key.len());
        at.extend_from_slice(&self.prefix);
        at.extend_from_slice(key);
        at
    }
}

impl Store for TaskStore<'_> {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        match self.base.db.get_pinned_cf_opt(self.base.state(), self.at(key), &self.gets) {
            Ok(value) => value.map(|value| value.to_vec()),
            Err(error) => StoreFailure::raise(error.to_string()),
        }
    }

    fn scan(&self, from: &[u8], to: &[u8], reverse: bool, visit: &mut Visit<'_>) {
        if from >= to {
            return;
        }
        let mut options = ReadOptions::default();
        options.set_iterate_range(self.at(from)..self.at(to));
        if let Some(snapshot) = self.snapshot {
            options.set_snapshot(snapshot);
        }
        let mut rows = self.base.db.raw_iterator_cf_opt(self.base.state(), options);
        if reverse {
            rows.seek_to_last()
        } else {
            rows.seek_to_first()
        }
        while let Some((key, value)) = rows.item() {
            if let ControlFlow::Break(()) = visit(&key[self.prefix.len()..], value) {
                return;
            }
            if reverse { rows.prev() } else { rows.next() }
        }
        if let Err(error) = rows.status() {
            StoreFailure::raise(error.to_string());
        }
    }
}

/// The stores of the engine's tasks. One thread writes and reads them, so no snapshot is needed.
pub(crate) struct TaskStores<'a> {
    stores: Vec<((&'static str, u32), TaskStore<'a>)>,
}

impl<'a> TaskStores<'a> {
    pub fn new<'t>(base: &'a Base, tasks: impl Iterator<Item = &'t dyn Task>) -> Self {
        let mut stores: Vec<_> = tasks
            .map(|task| {
                ((task.node().name, task.partition()), TaskStore::new(base, None, task.node().name, task.partition()))
            })
            .collect();
        stores.sort_by_key(|(task, _)| *task);
        TaskStores { stores }
    }
}

impl Stores for TaskStores<'_> {
    fn store(&self, node: &'static Node, partition: u32) -> &dyn Store {
        let found = self.stores.binary_search_by_key(&(node.name, partition), |(task, _)| *task);
        &self.stores[found.expect("invariant: a store for every task of the engine")].1
    }
}

/// Puts what a task changed into `batch`.
pub(crate) fn put(base: &Base, commit: &TaskCommit, batch: &mut WriteBatch) {
    let mut at = of_task(commit.node.name, commit.partition);
    let prefix = at.len();
    for (key, value) in commit.changes.iter() {
        at.truncate(prefix);
        at.extend_from_slice(key);
        match value {
            Some(value) => batch.put_cf(base.state(), &at, value),
            None => batch.delete_cf(base.state(), &at),
        }
    }
}
