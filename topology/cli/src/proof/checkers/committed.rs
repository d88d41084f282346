//! No reader ever sees uncommitted state: a store that queries could read is, row by row, what its task's committed
//! changelog said at the very epoch that the store says it is at. A store may be ahead of what this reader sees of the
//! changelog, since the end of a transaction is seen partition by partition; then its digest is kept until the changelog
//! has come as far.
//!
//! Where a commit is one write and there is no changelog, nothing is compared here; of views, which have none, `views` says
//! what they may be.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::ControlFlow;

use anyhow::Result;
use tributary_flow::{Log, Logged, MemoryStore, Node, Reader, Store, reader};
use tributary_graph::writers;
use tributary_slot::{LINEAGE, row_of, take_in};

use super::{Checker, Found, Seen};
use crate::load::plan::Draw;

/// A task.
type Task = (&'static Node, u32);

/// A task's state as the committed changelog tells it.
#[derive(Default)]
struct Shadow {
    rows: MemoryStore,
    /// The last whole epoch in the rows.
    epoch: u64,
    /// The last change, where its epoch may not be whole.
    last: Option<Vec<u8>>,
    /// Where to read on.
    next: u64,
    /// What is read ahead.
    read: VecDeque<Logged>,
    /// Digests of stores that were ahead, by their epoch.
    ahead: BTreeMap<u64, [u8; 32]>,
}

/// The shadows.
#[derive(Default)]
pub struct Committed(HashMap<(&'static str, u32), Shadow>);

impl Shadow {
    /// Reads on to an epoch, or to the last whole one that is committed.
    fn advance(&mut self, log: &dyn Log, at: (&str, u32), epoch: u64, found: &mut Found) -> Result<()> {
        while self.epoch < epoch {
            if self.read.is_empty() {
                self.read_ahead(log, at)?;
            }
            match self.read.front() {
                // An epoch's changes are written in order of key: where a key does not rise, the next one begins.
                Some(record) if self.last.is_none() || record.key > self.last => self.take(),
                Some(_) => self.close(at, found),
                None if self.last.is_none() => break,
                // All of an epoch is there once the end of its transaction is.
                None if log.range(at.0, at.1)?.end > self.next => self.close(at, found),
                None => break,
            }
        }
        Ok(())
    }

    /// Takes in what is committed by now: later it may be thinned out.
    fn read_ahead(&mut self, log: &dyn Log, (topic, partition): (&str, u32)) -> Result<()> {
        let next = self.read.back().map_or(self.next, |last| last.offset + 1);
        self.read.extend(log.read(topic, partition, next, usize::MAX)?);
        Ok(())
    }

    fn take(&mut self) {
        let Some(Logged { offset, key, value, .. }) = self.read.pop_front() else { return };
        let row = key.clone().unwrap_or_default();
        // The lineage says which history this is, and is no row.
        if row != LINEAGE {
            take_in(&mut self.rows, &row, value.as_deref());
        }
        (self.last, self.next) = (key, offset + 1);
    }

    /// An epoch is whole.
    fn close(&mut self, (topic, partition): (&str, u32), found: &mut Found) {
        self.last = None;
        self.epoch = Reader::new(&self.rows).epoch();
        if let Some(digest) = self.ahead.remove(&self.epoch)
            && digest != reader::digest(&self.rows)
        {
            let epoch = self.epoch;
            found.wrong(format!("{topic}[{partition}]: a store was at epoch {epoch} and not what was committed"));
        }
    }
}

/// How many rows a look compares, from a row on that changed at a time that chance picks.
const ROWS: usize = 500;

/// Which rows to compare.
struct Window {
    from: Vec<u8>,
    most: usize,
}

impl Committed {
    fn compare(&mut self, seen: &Seen<'_>, task: Task, draw: Option<&mut Draw>, found: &mut Found) -> Result<()> {
        let (node, partition) = task;
        let (topic, log) = (node.changelog(), seen.log);
        let end = log.range(&topic, partition)?.end;
        if end == 0 {
            return Ok(());
        }
        let window = match draw {
            Some(draw) => {
                let record = log.read(&topic, partition, draw.below(end), 1)?.into_iter().next();
                let row = record.and_then(|Logged { key, value, .. }| Some(row_of(&key?, value.as_deref())?.to_vec()));
                Window { from: row.unwrap_or_default(), most: ROWS }
            }
            None => Window { from: Vec::new(), most: usize::MAX },
        };
        let shadow = self.0.entry((node.name, partition)).or_default();
        let mut read = Ok(());
        seen.states.with_state(node, partition, &mut |store| {
            read = shadow.catch_up(log, (&topic, partition), store, found).map(|same| {
                if same {
                    shadow.compare(store, &window, &format!("{}[{partition}]", node.name), found);
                }
            });
        })?;
        read
    }
}

impl Shadow {
    /// Comes to the store's epoch; false where the changelog has not, as far as it is seen.
    fn catch_up(&mut self, log: &dyn Log, at: (&str, u32), store: &dyn Store, found: &mut Found) -> Result<bool> {
        let epoch = Reader::new(store).epoch();
        if epoch < self.epoch || (epoch == self.epoch && self.last.is_some()) {
            // Whoever owned the task before may still be read, and is behind: all that was committed is read again.
            *self = Shadow { ahead: std::mem::take(&mut self.ahead), ..Shadow::default() };
        }
        self.advance(log, at, epoch, found)?;
        if self.epoch < epoch {
            self.ahead.insert(epoch, reader::digest(store));
        }
        Ok(self.epoch == epoch)
    }

    fn compare(&self, store: &dyn Store, window: &Window, task: &str, found: &mut Found) {
        let mut committed = self.rows.pairs.range(window.from.clone()..);
        let mut left = window.most;
        let mut differs = None;
        store.scan(&window.from, &[u8::MAX], false, &mut |key, value| {
            if left == 0 {
                return ControlFlow::Break(());
            }
            left -= 1;
            match committed.next() {
                Some((known, same)) if known == key && same == value => ControlFlow::Continue(()),
                known => {
                    differs = Some((text(key), known.map(|(known, _)| text(known))));
                    ControlFlow::Break(())
                }
            }
        });
        if left > 0 && differs.is_none() {
            differs = committed.next().map(|(known, _)| ("nothing".to_owned(), Some(text(known))));
        }
        if let Some((row, known)) = differs {
            let (epoch, known) = (self.epoch, known.unwrap_or_else(|| "nothing".to_owned()));
            found.wrong(format!(
                "the store of {task} at epoch {epoch} has {row} where {known} was committed by then, or another value of it"
            ));
        }
    }
}

fn text(key: &[u8]) -> String {
    format!("the row {:?}", String::from_utf8_lossy(key))
}

impl Checker for Committed {
    fn name(&self) -> &'static str {
        "committed"
    }

    fn look(&mut self, seen: &Seen<'_>, draw: &mut Draw, found: &mut Found) -> Result<()> {
        for node in writers() {
            for partition in 0..seen.log.partitions() {
                let shadow = self.0.entry((node.name, partition)).or_default();
                shadow.read_ahead(seen.log, (&node.changelog(), partition))?;
            }
        }
        let nodes: Vec<_> = writers().collect();
        let node = nodes[draw.below(nodes.len() as u64) as usize];
        let partition = draw.below(u64::from(seen.log.partitions())) as u32;
        self.compare(seen, (node, partition), Some(draw), found)
    }

    fn rest(&mut self, seen: &Seen<'_>, found: &mut Found) -> Result<()> {
        for node in writers() {
            for partition in 0..seen.log.partitions() {
                self.compare(seen, (node, partition), None, found)?;
            }
        }
        for ((node, partition), shadow) in self.0.iter().filter(|(_, shadow)| !shadow.ahead.is_empty()) {
            let epochs: Vec<_> = shadow.ahead.keys().collect();
            found.wrong(format!("{node}[{partition}] could be read at epochs {epochs:?}, which were never committed"));
        }
        Ok(())
    }
}
