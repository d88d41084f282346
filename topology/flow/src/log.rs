//! The log as audits read it: `verify`, `replay` and `topic tail` work on any driver through this.

use core::time::Duration;
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

    /// Follows a topic, each partition from its offset in `from` on: for whoever waits for what is to come, and would
    /// otherwise ask where the end is by the hundred a second.
    ///
    /// # Errors
    /// The log cannot be read.
    fn follow<'a>(&'a self, topic: &'a str, from: Vec<u64>) -> Result<Box<dyn Follow + 'a>, LogError> {
        Ok(Box::new(Turns { log: self, topic, next: from }))
    }
}

/// A reader that follows a topic.
pub trait Follow {
    /// The next committed records, each with its partition; none where none have come. Those of a partition are in order and
    /// each is given once. A reader that is told what comes waits for it, at most so long; any other answers at once.
    ///
    /// # Errors
    /// The log cannot be read. Nothing is lost by that: the next question goes on where this one stood.
    fn next(&mut self, wait: Duration) -> Result<Vec<(u32, Logged)>, LogError>;
}

/// Follows by reading one partition after the other, where that costs next to nothing.
struct Turns<'a, L: ?Sized> {
    log: &'a L,
    topic: &'a str,
    next: Vec<u64>,
}

/// Most records of a partition that are read at once.
const RECORDS: usize = 2_000;

impl<L: Log + ?Sized> Follow for Turns<'_, L> {
    fn next(&mut self, _wait: Duration) -> Result<Vec<(u32, Logged)>, LogError> {
        let mut found = Vec::new();
        for (partition, next) in (0..).zip(&mut self.next) {
            let records = self.log.read(self.topic, partition, *next, RECORDS)?;
            *next = records.last().map_or(*next, |last| last.offset + 1);
            found.extend(records.into_iter().map(|record| (partition, record)));
        }
        Ok(found)
    }
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
        let records = log.read(topic, partition, next, RECORDS)?;
        let Some(last) = records.last() else { return Ok(()) };
        next = last.offset + 1;
        for record in records.into_iter().take_while(|record| record.offset < end) {
            visit(record)?;
        }
    }
    Ok(())
}
