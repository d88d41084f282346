//! The log as audits read it: `verify`, `replay` and `topic tail` work on any driver through this.

use std::ops::Range;

use thiserror::Error;

/// A record as it lies in a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Logged {
    /// Offset.
    pub offset: u64,
    /// Key.
    pub key: Option<Vec<u8>>,
    /// Value, framed.
    pub value: Option<Vec<u8>>,
    /// Headers: dead letters only.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// The log cannot be read.
#[derive(Clone, Debug, Error)]
#[error("{0}")]
pub struct LogError(pub String);

/// Committed records by topic, partition and offset.
pub trait Log: Send + Sync {
    /// How many partitions the topics have.
    fn partitions(&self) -> u32;

    /// First offset kept, and the offset after the last committed record.
    ///
    /// # Errors
    /// The log cannot be read.
    fn range(&self, topic: &str, partition: u32) -> Result<Range<u64>, LogError>;

    /// The offset after the last record written, committed or not. What a transaction has written lies below this before
    /// any of it can be read, so a log that is read up to here holds all of every transaction of which some was read.
    /// Where a commit is one write, this is the committed end.
    ///
    /// # Errors
    /// The log cannot be read.
    fn written(&self, topic: &str, partition: u32) -> Result<u64, LogError> {
        Ok(self.range(topic, partition)?.end)
    }

    /// Records in order from the first at or above `from`; at least one where there is one below the end, and about
    /// `limit` at most. Offsets may have gaps. `next` is where to read on.
    ///
    /// # Errors
    /// The log cannot be read.
    fn read(&self, topic: &str, partition: u32, from: u64, limit: usize) -> Result<Vec<Logged>, LogError>;
}

/// Visits every committed record of a partition as of now, in order.
///
/// # Errors
/// The log cannot be read, or `visit` fails.
pub fn visit<E: From<LogError>>(
    log: &dyn Log,
    topic: &str,
    partition: u32,
    visit: impl FnMut(Logged) -> Result<(), E>,
) -> Result<(), E> {
    visit_range(log, topic, partition, log.range(topic, partition)?, visit)
}

/// Visits every committed record of a range of offsets, in order.
///
/// # Errors
/// The log cannot be read, or `visit` fails.
pub fn visit_range<E: From<LogError>>(
    log: &dyn Log,
    topic: &str,
    partition: u32,
    Range { start, end }: Range<u64>,
    mut visit: impl FnMut(Logged) -> Result<(), E>,
) -> Result<(), E> {
    let mut next = start;
    while next < end {
        let records = log.read(topic, partition, next, 2_000)?;
        let Some(last) = records.last() else { return Ok(()) };
        next = last.offset + 1;
        for record in records.into_iter().take_while(|record| record.offset < end) {
            visit(record)?;
        }
    }
    Ok(())
}
