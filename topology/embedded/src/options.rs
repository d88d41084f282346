//! What an embedded platform is opened with.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tributary_flow::Timestamp;

/// A wall clock. A driver has one; the core never does.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// How to open an embedded platform.
#[derive(Clone)]
pub struct Options {
    /// The folder of the database; made where absent.
    pub dir: PathBuf,
    /// Partitions of every topic: fixed at first start, since it is the only modulus.
    pub partitions: u32,
    /// The wall clock.
    pub clock: Clock,
    /// Most roots (commands, records caught up with) and most due timers of a task in one epoch.
    pub max_batch: usize,
    /// Most commands that wait for an epoch; one more is refused.
    pub max_queue: usize,
    /// Largest key and value of a record together, in bytes.
    pub max_record: usize,
    /// The block cache, in bytes, filters included, which stay in it (ten bits a row); write buffers take a quarter of it besides.
    pub cache_bytes: usize,
    /// Views to clear and to fill again from the log, by name.
    pub rebuild: Vec<String>,
}

impl Options {
    /// The defaults, for a database in `dir`.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>, partitions: u32) -> Self {
        Options {
            dir: dir.into(),
            partitions,
            clock: Arc::new(system_clock),
            max_batch: 2_000,
            max_queue: 16_384,
            max_record: 1_000_000,
            cache_bytes: 256 << 20,
            rebuild: Vec::new(),
        }
    }
}

fn system_clock() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
