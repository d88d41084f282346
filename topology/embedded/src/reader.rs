//! Reads a database beside the process that writes it, as of the opening: for `verify`, `replay` and `topic tail`.

use std::ops::Range;
use std::path::Path;

use tributary_flow::log::{Log, LogError, Logged};
use tributary_flow::store::{Store, StoreFailure};

use crate::base::{Base, OpenError};
use crate::state::TaskStore;

/// An embedded platform's log and state as they were when this was opened. It holds no lock and sees no later commit.
pub struct EmbeddedReader {
    base: Base,
}

impl EmbeddedReader {
    /// Opens the database in `dir`, in use or not.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        Ok(EmbeddedReader { base: Base::open_to_read(dir)? })
    }

    /// Runs `read` over the state of `node` in `partition`: empty where the node never ran there.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn with_state(&self, node: &str, partition: u32, read: &mut dyn FnMut(&dyn Store)) -> Result<(), StoreFailure> {
        StoreFailure::caught(|| read(&TaskStore::new(&self.base, None, node, partition)))
    }
}

impl Log for EmbeddedReader {
    fn partitions(&self) -> u32 {
        self.base.partitions
    }

    fn range(&self, topic: &str, partition: u32) -> Result<Range<u64>, LogError> {
        self.base.range(topic, partition)
    }

    fn read(&self, topic: &str, partition: u32, from: u64, limit: usize) -> Result<Vec<Logged>, LogError> {
        self.base.read(topic, partition, from, limit)
    }
}
