//! The stores as audits read them: beside a running process or without one, never written.

use std::path::PathBuf;
use std::sync::Arc;

use rocksdb::{DB, Options};
use tributary_flow::store::StoreFailure;
use tributary_flow::{Node, Store};

use crate::StartError;
use crate::store::TaskStore;

/// Reads the stores in a folder as they were when each was first asked for.
pub struct StateReader {
    folder: PathBuf,
}

impl StateReader {
    /// The stores in the folder that [`crate::Options::state_dir`] names.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        StateReader { folder: folder.into() }
    }

    /// Runs `read` over the state of a task; false where this machine has no store of the node.
    ///
    /// # Errors
    /// The store is there and cannot be opened or read.
    pub fn with_state(
        &self,
        node: &Node,
        partition: u32,
        read: &mut dyn FnMut(&dyn Store),
    ) -> Result<bool, StartError> {
        let folder = self.folder.join(node.name);
        if !folder.join("CURRENT").is_file() {
            return Ok(false);
        }
        let unread = |reason| StartError::Store { folder: folder.clone(), reason };
        let db = DB::open_for_read_only(&Options::default(), &folder, false);
        let db = db.map_err(|error| unread(error.to_string()))?;
        let store = TaskStore::new(Arc::new(db), partition);
        let held = store.row().ok().flatten().is_some();
        if held {
            StoreFailure::caught(|| read(&store)).map_err(|failure| unread(failure.0))?;
        }
        Ok(held)
    }
}
