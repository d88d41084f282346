//! How far the write-ahead log and the manifest were acknowledged, and whether they are whole up to there.
//!
//! RocksDB takes whatever it cannot read at the end of its log for a write that was cut off, and drops it; a changed length or type
//! makes any record look like that, and some make it read for ever. It cannot know better, for nothing tells it where the log ended.
//! So a file beside it does: which file of the log held the last acknowledged epoch, and how long that file was; and the same of
//! the manifest, whose end says which tables there are. Before the database is opened, everything up to there must be there
//! and have its checksums, or the folder is refused as it is. Behind it lies only what nobody was told of.
//!
//! The mark is written after each epoch is on the disk and before anybody hears of it, and is not synced itself: it may fall
//! behind when the power goes, and then vouches for less, but it is never ahead of the log.
//!
//! Deliberately absent: what the records hold, which is RocksDB's own to read; and files of the log before this one in the
//! manifest that are gone, which RocksDB misses by itself.
//!
//! The format of both: blocks of 32 KiB, in them records of a masked CRC-32C (4 bytes), a length (2), a type (1) and the data; a
//! record does not cross a block, and what is too small for a head is zeros
//! (<https://github.com/facebook/rocksdb/wiki/Write-Ahead-Log-File-Format>).

use std::cmp::Ordering;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::base::OpenError;

/// The mark's file.
const MARK: &str = "ACKNOWLEDGED";
/// The same until it has its bytes.
const MARK_TO_BE: &str = "ACKNOWLEDGED.new";
const MARK_BYTES: usize = 36;
/// The file that names the manifest.
pub(crate) const CURRENT: &str = "CURRENT";

const BLOCK: usize = 32 << 10;
const HEAD: usize = 7;
/// The highest type that a log has which reuses no files: full, first, middle, last.
const LAST_TYPE: u8 = 4;

/// How much of a file was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Extent {
    /// Of the file, from its name.
    number: u64,
    /// Bytes of it, from its begin.
    length: u64,
}

/// How much was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    /// Of the newest file of the log; all of those before.
    log: Extent,
    manifest: Extent,
}

impl Mark {
    fn bytes(self) -> [u8; MARK_BYTES] {
        let mut bytes = [0; MARK_BYTES];
        let numbers = [self.log.number, self.log.length, self.manifest.number, self.manifest.length];
        for (to, number) in bytes.chunks_exact_mut(8).zip(numbers) {
            to.copy_from_slice(&number.to_be_bytes());
        }
        let sum = crc32c::crc32c(&bytes[..32]);
        bytes[32..].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    fn of(bytes: &[u8]) -> Option<Self> {
        let number = |at: usize| Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let extent = |at| Some(Extent { number: number(at)?, length: number(at + 8)? });
        let mark = Mark { log: extent(0)?, manifest: extent(16)? };
        (bytes == mark.bytes()).then_some(mark)
    }

    /// The mark of a folder; `None` where there is none: a new folder, or one of a build that made none.
    fn read(dir: &Path) -> io::Result<Option<Self>> {
        let path = dir.join(MARK);
        // Read while it is written, it may be half of each.
        for _ in 0..100 {
            let bytes = match std::fs::read(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                bytes => bytes?,
            };
            if let Some(mark) = Mark::of(&bytes) {
                return Ok(Some(mark));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Err(io::Error::new(ErrorKind::InvalidData, format!("{} is damaged", path.display())))
    }
}

/// A file, and how much of it was noted.
struct Noted {
    file: File,
    extent: Extent,
}

impl Noted {
    fn of(number: u64, path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Ok(Noted { file, extent: Extent { number, length } })
    }

    /// Notes all that it has now; false where that is no more than before.
    fn grown(&mut self) -> io::Result<bool> {
        let before = std::mem::replace(&mut self.extent.length, self.file.metadata()?.len());
        Ok(self.extent.length > before)
    }
}

/// Keeps the mark of a database that is open to be written.
pub(crate) struct Acknowledged {
    dir: PathBuf,
    mark: File,
    log: Noted,
    manifest: Noted,
}

impl Acknowledged {
    /// Begins, or goes on, to keep the mark of a folder whose database was opened just now.
    ///
    /// # Errors
    /// The mark cannot be written.
    pub fn open(dir: &Path) -> io::Result<Self> {
        let (number, path) = manifest(dir)?;
        let (log, manifest) = (newest(dir)?, Noted::of(number, &path)?);
        // By a name of its own until it is whole: one that ends here must leave a mark that can be read, or none.
        let mark = File::create(dir.join(MARK_TO_BE))?;
        let acknowledged = Acknowledged { dir: dir.to_owned(), mark, log, manifest };
        acknowledged.write()?;
        acknowledged.mark.sync_all()?;
        std::fs::rename(dir.join(MARK_TO_BE), dir.join(MARK))?;
        Ok(acknowledged)
    }

    /// Notes that all that the log has now is on the disk.
    ///
    /// # Errors
    /// The mark cannot be written, or the log is not where it was.
    pub fn advance(&mut self) -> io::Result<()> {
        if !self.log.grown()? {
            // What was written just now lies in the next file.
            self.log = newest(&self.dir)?;
        }
        self.manifest.grown()?;
        self.write()
    }

    fn write(&self) -> io::Result<()> {
        self.mark.write_all_at(&Mark { log: self.log.extent, manifest: self.manifest.extent }.bytes(), 0)
    }
}

/// Looks whether all is there that was acknowledged. Changes nothing, and may look beside whoever writes.
///
/// # Errors
/// [`OpenError::Corrupt`] names the file, and the place in it. [`OpenError::Io`]: it could not be looked at.
pub(crate) fn check(dir: &Path) -> Result<(), OpenError> {
    let io = |error: io::Error| OpenError::io(dir, error);
    let corrupt = |reason: String| OpenError::Corrupt { dir: dir.to_owned(), reason };
    let mark = match Mark::read(dir) {
        Err(error) if error.kind() == ErrorKind::InvalidData => return Err(corrupt(error.to_string())),
        mark => mark.map_err(io)?,
    };
    let files = match files(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        files => files.map_err(io)?,
    };
    // Each with how much of it was acknowledged; all of it where that is not said.
    let mut found = Vec::new();
    if let Some(mark) = mark {
        let named = || {
            let named = manifest(dir);
            named.map_err(|error| {
                corrupt(format!("there was a database here, and its {CURRENT} cannot be read: {error}"))
            })
        };
        let (mut number, mut path) = named()?;
        // Whoever opens it meanwhile names another, and then deletes this one.
        while !path.exists() {
            let gone = path;
            (number, path) = named()?;
            if path == gone {
                return Err(corrupt(format!("{} is gone", path.display())));
            }
        }
        found.push((path, Some(if number == mark.manifest.number { mark.manifest.length } else { 0 })));
        // One that is gone by right was followed by another before.
        if files.last().is_none_or(|(number, _)| *number < mark.log.number) {
            return Err(corrupt(format!("the newest file of its log, {:06}.log, is gone", mark.log.number)));
        }
    }
    for (number, path) in files {
        let sure = mark.map_or(Some(0), |Mark { log, .. }| match number.cmp(&log.number) {
            Ordering::Less => None,
            Ordering::Equal => Some(log.length),
            Ordering::Greater => Some(0),
        });
        found.push((path, sure));
    }
    for (path, sure) in found {
        let file = match File::open(&path) {
            // Whoever writes has no need of it any more.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            file => file.map_err(io)?,
        };
        let sure = sure.map_or_else(|| file.metadata().map(|file| file.len()), Ok).map_err(io)?;
        if let Some(wrong) = wrong(file, sure).map_err(io)? {
            return Err(corrupt(format!("{}: {wrong}", path.display())));
        }
    }
    Ok(())
}

/// The manifest that a folder's database goes by, and its number.
fn manifest(dir: &Path) -> io::Result<(u64, PathBuf)> {
    let name = std::fs::read_to_string(dir.join(CURRENT))?;
    let name = name.trim_end();
    let number = name.strip_prefix("MANIFEST-").and_then(|number| number.parse().ok());
    let number = number.ok_or_else(|| io::Error::other(format!("{name:?} is no manifest's name")))?;
    Ok((number, dir.join(name)))
}

/// The file of a folder's log that is written to.
fn newest(dir: &Path) -> io::Result<Noted> {
    let (number, path) = files(dir)?.pop().ok_or_else(|| io::Error::other("the write-ahead log has no file"))?;
    Noted::of(number, &path)
}

/// The files of a folder's log with their numbers, the oldest first.
fn files(dir: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let number = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
        if let Some(number) = number.filter(|_| path.extension().is_some_and(|end| end == "log")) {
            files.push((number, path));
        }
    }
    files.sort();
    Ok(files)
}

/// What is wrong with a file, of which so many bytes were acknowledged.
fn wrong(mut file: impl Read, sure: u64) -> io::Result<Option<String>> {
    let mut block = Vec::with_capacity(BLOCK);
    let mut begin = 0;
    loop {
        block.clear();
        file.by_ref().take(BLOCK as u64).read_to_end(&mut block)?;
        let (end, strange) = readable(&block);
        let at = begin + end as u64;
        if let Some(kind) = strange {
            return Ok(Some(format!("the record at byte {at} is of the type {kind}, which is never written here")));
        }
        if at < sure && (end < block.len() || block.len() < BLOCK) {
            let what = if end < block.len() { "is damaged" } else { "is gone" };
            return Ok(Some(format!("what was acknowledged {what} from byte {at} of {sure} on")));
        }
        if end < block.len() || block.len() < BLOCK {
            return Ok(None);
        }
        begin += BLOCK as u64;
    }
}

/// How far a block holds what was written, and the type of the record there, if none of ours has such a type.
fn readable(block: &[u8]) -> (usize, Option<u8>) {
    let mut at = 0;
    while let Some(head) = block.get(at..at + HEAD) {
        let (sum, length, kind) = (
            u32::from_le_bytes([head[0], head[1], head[2], head[3]]),
            usize::from(u16::from_le_bytes([head[4], head[5]])),
            head[6],
        );
        if kind > LAST_TYPE {
            return (at, Some(kind));
        }
        // The sum is of the type and the data.
        let summed = block.get(at + HEAD - 1..at + HEAD + length);
        if kind == 0 || summed.is_none_or(|summed| masked(crc32c::crc32c(summed)) != sum) {
            return (at, None);
        }
        at += HEAD + length;
    }
    let padding = block.len() == BLOCK && block[at..].iter().all(|byte| *byte == 0);
    (if padding { BLOCK } else { at }, None)
}

/// A sum as the log has it, so that a sum over sums still says something.
fn masked(sum: u32) -> u32 {
    sum.rotate_right(15).wrapping_add(0xa282_ead8)
}
