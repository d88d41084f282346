//! Stores seen otherwise than they are: to show that a checker finds what it claims to find. The stores themselves are
//! never written.

use std::collections::BTreeMap;

use anyhow::Result;
use tributary_cli::verify::States;
use tributary_flow::{MemoryStore, Node, Store};

/// States with changes.
pub struct Altered<'a> {
    states: &'a dyn States,
    stores: BTreeMap<(&'static str, u32), MemoryStore>,
}

impl<'a> Altered<'a> {
    /// Nothing is changed yet.
    pub fn new(states: &'a dyn States) -> Self {
        Altered { states, stores: BTreeMap::new() }
    }

    /// The rows of a task, to be changed at will.
    ///
    /// # Panics
    /// The task has no store.
    pub fn rows(&mut self, node: &'static Node, partition: u32) -> &mut BTreeMap<Vec<u8>, Vec<u8>> {
        let states = self.states;
        let copy = || {
            let mut copy = MemoryStore::default();
            let here = states.with_state(node, partition, &mut |store| {
                store.scan(&[], &[u8::MAX], false, &mut |key, value| {
                    copy.pairs.insert(key.to_vec(), value.to_vec());
                    std::ops::ControlFlow::Continue(())
                });
            });
            assert!(here.expect("a store that can be read"), "{}[{partition}] has no store", node.name);
            copy
        };
        &mut self.stores.entry((node.name, partition)).or_insert_with(copy).pairs
    }

    /// Takes out the rows whose keys hold these bytes; how many there were.
    pub fn remove(&mut self, node: &'static Node, partition: u32, holds: &[u8]) -> usize {
        let rows = self.rows(node, partition);
        let before = rows.len();
        rows.retain(|key, _| !key.windows(holds.len()).any(|window| window == holds));
        before - rows.len()
    }
}

impl States for Altered<'_> {
    fn with_state(&self, node: &'static Node, partition: u32, read: &mut dyn FnMut(&dyn Store)) -> Result<bool> {
        match self.stores.get(&(node.name, partition)) {
            Some(store) => {
                read(store);
                Ok(true)
            }
            None => self.states.with_state(node, partition, read),
        }
    }
}
