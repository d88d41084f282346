//! The database: three column families, opened for one writer or, beside it, for readers.
//!
//! Memory is bounded: one block cache for everything, one budget for write buffers, and a cap on the write-ahead log, which
//! is also what a restart after a crash has to read. Where the filters, ten bits a row, are more than the cache, they are the bound.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, BlockBasedTablePinningTier, Cache, ColumnFamily, ColumnFamilyDescriptor,
    DB, DBCompressionType, DBRecoveryMode, ErrorKind, WriteBatch, WriteOptions,
};
use thiserror::Error;

use crate::ahead::{self, Acknowledged};
use crate::shared::locked;

const LOG: &str = "log";
const STATE: &str = "state";
const META: &str = "meta";

/// Row of `meta`: how the bytes lie. Raised when an older build could misread them.
const FORMAT: &[u8] = b"format";
const FORMAT_NOW: u32 = 1;
/// Row of `meta`: how many partitions every topic has.
const PARTITIONS: &[u8] = b"partitions";

/// Why a database could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process, or this one, has it open.
    #[error("{} is in use by another process: stop that one, or name another folder", .0.display())]
    Locked(PathBuf),
    /// There is no database in the folder.
    #[error(
        "{} holds no log: give --data with the folder that `tributary up` was given, or --brokers for a Kafka cluster",
        .0.display()
    )]
    Absent(PathBuf),
    /// The partition count was fixed by the first start.
    #[error("{} was made with {stored} partitions and {asked} are asked for: start with {stored}, or with another folder", .dir.display())]
    Partitions {
        /// The folder.
        dir: PathBuf,
        /// What the first start fixed.
        stored: u32,
        /// What this start asks for.
        asked: u32,
    },
    /// No partitions make no topics.
    #[error("a topic has at least one partition: set the number of partitions to 1 or more")]
    NoPartitions,
    /// Written by a build that lays its bytes out otherwise.
    #[error("{} has format {found} and this build reads {FORMAT_NOW}: use the build that wrote it", .dir.display())]
    Format {
        /// The folder.
        dir: PathBuf,
        /// What it says it is.
        found: u32,
    },
    /// Only a view can be rebuilt from the log: what others have read of a node's outputs cannot be taken back.
    #[error("{0} is not a view of this process: only a view can be cleared and filled again")]
    NotAView(String),
    /// A file does not hold what was written. Nothing was dropped to get round it.
    #[error("{}: {reason}; nothing was changed: stop whatever runs on the folder, and put back a copy of the whole", .dir.display())]
    Corrupt {
        /// The folder.
        dir: PathBuf,
        /// What the database says.
        reason: String,
    },
    /// Anything else: no permission, no space.
    #[error("{}: {reason}", .dir.display())]
    Io {
        /// The folder.
        dir: PathBuf,
        /// What the system says.
        reason: String,
    },
}

impl OpenError {
    pub(crate) fn io(dir: &Path, reason: impl ToString) -> Self {
        OpenError::Io { dir: dir.to_owned(), reason: reason.to_string() }
    }

    fn of(dir: &Path, error: &rocksdb::Error) -> Self {
        let (dir, reason) = (dir.to_owned(), error.to_string());
        match error.kind() {
            ErrorKind::Corruption => OpenError::Corrupt { dir, reason },
            ErrorKind::IOError if reason.contains("/LOCK") => OpenError::Locked(dir),
            _ => OpenError::Io { dir, reason },
        }
    }
}

/// The database.
pub(crate) struct Base {
    pub db: DB,
    pub partitions: u32,
    /// Of one that may be written.
    acknowledged: Option<Mutex<Acknowledged>>,
}

impl Base {
    /// Opens it to write, or makes it.
    pub fn open(dir: &Path, partitions: u32, cache_bytes: usize) -> Result<Self, OpenError> {
        if partitions == 0 {
            return Err(OpenError::NoPartitions);
        }
        let io = |error: io::Error| OpenError::io(dir, error);
        if dir.exists() && !dir.is_dir() {
            return Err(OpenError::io(dir, "it is a file: name a folder, or one that is not there yet"));
        }
        std::fs::create_dir_all(dir).map_err(io)?;
        ahead::check(dir)?;
        let cache = Cache::new_lru_cache(cache_bytes);
        let db = DB::open_cf_descriptors(
            &database(cache_bytes),
            dir,
            families(&cache, cache_bytes, BlockBasedTablePinningTier::All),
        )
        .map_err(|error| OpenError::of(dir, &error))?;
        let acknowledged = Some(Mutex::new(Acknowledged::open(dir).map_err(io)?));
        let mut base = Base { db, partitions, acknowledged };
        match base.number(dir, PARTITIONS)? {
            Some(stored) => base.check(dir, stored)?,
            None => base.found(dir)?,
        }
        Ok(base)
    }

    /// Opens it to read, as it is now, beside whoever writes. Files may vanish under the opening, which is then tried again.
    pub fn open_to_read(dir: &Path) -> Result<Self, OpenError> {
        ahead::check(dir)?;
        if !dir.join(ahead::CURRENT).exists() {
            return Err(OpenError::Absent(dir.to_owned()));
        }
        let cache = Cache::new_lru_cache(READER);
        let open = || {
            DB::open_cf_descriptors_read_only(
                &database(READER),
                dir,
                families(&cache, READER, BlockBasedTablePinningTier::None),
                false,
            )
        };
        let mut opened = open();
        for _ in 0..5 {
            if opened.is_ok() {
                break;
            }
            opened = open();
        }
        let db = opened.map_err(|error| match error.to_string() {
            // A first start that was broken off.
            said if said.contains("Column family not found") => OpenError::Absent(dir.to_owned()),
            _ => OpenError::of(dir, &error),
        })?;
        let mut base = Base { db, partitions: 0, acknowledged: None };
        let Some(stored) = base.number(dir, PARTITIONS)? else { return Err(OpenError::Absent(dir.to_owned())) };
        base.partitions = stored;
        base.check(dir, stored)?;
        Ok(base)
    }

    fn check(&self, dir: &Path, stored: u32) -> Result<(), OpenError> {
        let found = self.number(dir, FORMAT)?.unwrap_or(0);
        if found != FORMAT_NOW {
            return Err(OpenError::Format { dir: dir.to_owned(), found });
        }
        if stored != self.partitions {
            return Err(OpenError::Partitions { dir: dir.to_owned(), stored, asked: self.partitions });
        }
        Ok(())
    }

    /// The first start: what it decides is decided for good.
    fn found(&mut self, dir: &Path) -> Result<(), OpenError> {
        let mut batch = WriteBatch::default();
        batch.put_cf(self.family(META), FORMAT, FORMAT_NOW.to_be_bytes());
        batch.put_cf(self.family(META), PARTITIONS, self.partitions.to_be_bytes());
        self.write(batch).map_err(|error| OpenError::io(dir, error))
    }

    fn number(&self, dir: &Path, row: &[u8]) -> Result<Option<u32>, OpenError> {
        let bytes = self.db.get_cf(self.family(META), row).map_err(|error| OpenError::of(dir, &error))?;
        Ok(bytes.map(|bytes| <[u8; 4]>::try_from(bytes.as_slice()).map_or(0, u32::from_be_bytes)))
    }

    /// Records.
    pub fn log(&self) -> &ColumnFamily {
        self.family(LOG)
    }

    /// Rows of tasks, positions included.
    pub fn state(&self) -> &ColumnFamily {
        self.family(STATE)
    }

    fn family(&self, name: &str) -> &ColumnFamily {
        self.db.cf_handle(name).expect("invariant: opened with its column families")
    }

    /// All of `batch` or nothing, and on the disk when this returns.
    pub fn write(&self, batch: WriteBatch) -> io::Result<()> {
        let mut options = WriteOptions::default();
        options.set_sync(true);
        self.db.write_opt(batch, &options).map_err(io::Error::other)?;
        let acknowledged = self.acknowledged.as_ref().expect("invariant: what is opened to be read is not written");
        locked(acknowledged).advance()
    }
}

/// The cache of whoever only reads, in bytes.
const READER: usize = 64 << 20;

fn database(cache_bytes: usize) -> rocksdb::Options {
    let mut options = rocksdb::Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    // A tail that was cut while it was written is no acknowledged epoch, and `ahead` has seen that it is one. A record in front of
    // it that does not check out is an error, behind which the default mode would silently drop every epoch.
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    // Without this a file of it that is missing, or shorter than it was, is passed over, and the log and the state lose
    // different things. The newest is not told of, for nothing in it knows where it ends: that is what `ahead` keeps.
    options.set_track_and_verify_wals_in_manifest(true);
    options.set_paranoid_checks(true);
    options.set_db_write_buffer_size(cache_bytes / 4);
    options.set_max_total_wal_size(128 << 20);
    options.set_max_background_jobs(2);
    options.set_keep_log_file_num(4);
    options.set_max_log_file_size(4 << 20);
    options
}

/// The column families; who opens them to look up a few rows does not read every filter first.
fn families(cache: &Cache, cache_bytes: usize, filters: BlockBasedTablePinningTier) -> Vec<ColumnFamilyDescriptor> {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    blocks.set_bloom_filter(10.0, false);
    // Most rows that are looked up are new, and each file's filter is asked for each: it stays in the cache as long as the file is
    // open, and is not looked for there. That takes ten bits a row of what the cache has.
    blocks.set_unpartitioned_pinning_tier(filters);
    // An index is asked for rows that are there. In parts, for a whole one has megabytes, which is more than a shard of the cache
    // has room for, and would be read from the file each time.
    blocks.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
    blocks.set_top_level_index_pinning_tier(BlockBasedTablePinningTier::All);

    let mut log = rocksdb::Options::default();
    log.set_block_based_table_factory(&blocks);
    log.set_compression_type(DBCompressionType::Lz4);
    // An epoch's records are never rewritten, so compaction has only their keys to sort.
    log.set_enable_blob_files(true);
    log.set_min_blob_size(1 << 10);
    log.set_blob_compression_type(DBCompressionType::Lz4);
    log.set_blob_cache(cache);

    let mut state = rocksdb::Options::default();
    state.set_block_based_table_factory(&blocks);
    state.set_compression_type(DBCompressionType::Lz4);
    // Most rows that are looked up are new, and so in no table: the one in memory is asked for each.
    state.set_write_buffer_size(cache_bytes / 4);
    state.set_memtable_prefix_bloom_ratio(0.05);
    state.set_memtable_whole_key_filtering(true);
    // Timers are set and cleared all the time; a scan for the next one must not wade through the cleared.
    state.add_compact_on_deletion_collector_factory(1_024, 512, 0.5);

    let meta = rocksdb::Options::default();
    [(LOG, log), (STATE, state), (META, meta.clone()), (rocksdb::DEFAULT_COLUMN_FAMILY_NAME, meta)]
        .into_iter()
        .map(|(name, options)| ColumnFamilyDescriptor::new(name, options))
        .collect()
}
