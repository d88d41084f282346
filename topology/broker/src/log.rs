//! The log as audits read it: committed records, by topic, partition and offset. Needs no running engine.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tributary_flow::log::Follow;
use tributary_flow::{Log, LogError, Logged};
use tributary_slot::Fault;

use crate::asked::Asked;
use crate::native::{Consumer, Met, Record};
use crate::settings::Settings;
use crate::{ends, settings};

/// How many partitions are read at once without beginning anew at each question.
const CURSORS: usize = 8;

/// How long a partition may give nothing below its end.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a client may give nothing to whoever follows a topic. One that met the brokers at a bad time may never give anything
/// (librdkafka 2.12), and looks like one that has nothing to give.
const SILENCE: Duration = Duration::from_secs(10);

/// Most records that are handed to whoever follows a topic at once.
const AT_ONCE: usize = 10_000;

/// Reads a cluster.
pub struct KafkaLog {
    brokers: String,
    client: BTreeMap<String, String>,
    partitions: u32,
    /// Asks for committed ends.
    bounds: Asked,
    /// Asks for the ends of what is written, committed or not.
    written: Asked,
    cursors: Mutex<Vec<Cursor>>,
}

/// A reader that stands somewhere.
struct Cursor {
    consumer: Consumer,
    topic: String,
    partition: u32,
    next: u64,
    /// Everything committed below this has been read: the end is told once, perhaps beside records.
    ended: u64,
    /// Read ahead and not yet asked for.
    ahead: std::collections::VecDeque<Logged>,
}

impl KafkaLog {
    /// A reader of a cluster whose topics have this many partitions.
    ///
    /// # Errors
    /// A setting is not accepted.
    pub fn connect(brokers: &str, client: &BTreeMap<String, String>, partitions: u32) -> Result<Self, LogError> {
        let asking = |isolation| Asked::new(settings::reader(brokers, client, isolation));
        let (bounds, written) = (asking("read_committed")?, asking("read_uncommitted")?);
        Ok(KafkaLog {
            brokers: brokers.to_owned(),
            client: client.clone(),
            partitions,
            bounds,
            written,
            cursors: Mutex::default(),
        })
    }

    /// A cursor that stands there, or a new one; the longest unused gives way. A client that was put elsewhere instead would
    /// first sit out the question that it has open at the broker.
    fn cursor(&self, topic: &str, partition: u32, from: u64) -> Result<Cursor, LogError> {
        let mut cursors = self.cursors.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |cursor: &Cursor| cursor.topic == topic && cursor.partition == partition;
        if let Some(index) = cursors.iter().position(|cursor| same(cursor) && cursor.next == from) {
            return Ok(cursors.remove(index));
        }
        let index = cursors.iter().position(same).or_else(|| (cursors.len() >= CURSORS).then_some(0));
        let unused = index.map(|index| cursors.remove(index));
        drop(cursors);
        drop(unused);
        let consumer = Consumer::new(&settings::auditor(&self.brokers, &self.client))?;
        consumer.assign([(topic, partition, from)])?;
        Ok(Cursor { consumer, topic: topic.to_owned(), partition, next: from, ended: 0, ahead: Default::default() })
    }
}

/// Where a partition begins and ends, as the client's isolation sees it.
fn ask(client: &Asked, topic: &str, partition: u32) -> Result<Range<u64>, LogError> {
    let at = (topic.to_owned(), partition);
    let mut found = client.ask(|client| ends::ranges(client, std::slice::from_ref(&at)))?;
    found.remove(&at).ok_or_else(|| LogError(format!("{topic}[{partition}]: no such partition")))
}

impl Log for KafkaLog {
    fn partitions(&self) -> u32 {
        self.partitions
    }

    fn range(&self, topic: &str, partition: u32) -> Result<Range<u64>, LogError> {
        ask(&self.bounds, topic, partition)
    }

    fn written(&self, topic: &str, partition: u32) -> Result<u64, LogError> {
        Ok(ask(&self.written, topic, partition)?.end)
    }

    fn read(&self, topic: &str, partition: u32, from: u64, limit: usize) -> Result<Vec<Logged>, LogError> {
        let Range { start, end } = self.range(topic, partition)?;
        let from = from.max(start);
        if from >= end || limit == 0 {
            return Ok(Vec::new());
        }
        let mut cursor = self.cursor(topic, partition, from)?;
        cursor.fill(from, end, limit)?;
        let count = cursor.ahead.len().min(limit);
        let records: Vec<Logged> = cursor.ahead.drain(..count).collect();
        // Where there were markers only, it stands where the next question will ask from.
        cursor.next = records.last().map_or(from, |last| last.offset + 1);
        self.cursors.lock().unwrap_or_else(PoisonError::into_inner).push(cursor);
        Ok(records)
    }

    fn follow<'a>(&'a self, topic: &'a str, from: Vec<u64>) -> Result<Box<dyn Follow + 'a>, LogError> {
        let settings = settings::reader(&self.brokers, &self.client, "read_committed");
        Ok(Box::new(Follower { settings, topic, next: from, consumer: None, heard: Instant::now() }))
    }
}

/// Follows a topic with a client of its own, to which the broker tells what comes. Where it has lost its place, or has given
/// nothing for long, another goes on.
struct Follower<'a> {
    settings: Settings,
    topic: &'a str,
    next: Vec<u64>,
    consumer: Option<Consumer>,
    /// When it last gave something, or began to.
    heard: Instant,
}

impl Follow for Follower<'_> {
    fn next(&mut self, wait: Duration) -> Result<Vec<(u32, Logged)>, LogError> {
        let Follower { settings, topic, next, consumer, heard } = self;
        let client = match consumer.take().filter(|_| heard.elapsed() < SILENCE) {
            Some(client) => client,
            None => {
                *heard = Instant::now();
                let client = Consumer::new(settings)?;
                client.assign((0..).zip(next.iter()).map(|(partition, at)| (*topic, partition, *at)))?;
                client
            }
        };
        let (mut found, mut failed, mut lost) = (Vec::new(), None, false);
        client.consume(wait, AT_ONCE, &mut |met| match met {
            Met::Record(record) => {
                if let Some(next) = next.get_mut(record.partition as usize).filter(|next| record.offset >= **next) {
                    *next = record.offset + 1;
                    found.push((record.partition, logged(&record)));
                }
            }
            Met::End { .. } => {}
            Met::Cut { error, .. } => (failed, lost) = (Some(error), true),
            Met::Failed(error) => (lost, failed) = (lost || error.fault == Fault::OffsetLost, Some(error)),
        });
        if !found.is_empty() {
            *heard = Instant::now();
        }
        // While a broker is away its client tries by itself, and not too often.
        *consumer = Some(client).filter(|_| !lost);
        match failed {
            Some(error) if found.is_empty() => Err(error.into()),
            _ => Ok(found),
        }
    }
}

/// A record of which one keeps all.
fn logged(record: &Record<'_>) -> Logged {
    let (key, value) = (record.key.map(<[u8]>::to_vec), record.value.map(<[u8]>::to_vec));
    Logged { offset: record.offset, key, value, headers: record.headers() }
}

impl Cursor {
    /// Reads until there is something at or above `from`, or nothing up to `end`.
    fn fill(&mut self, from: u64, end: u64, limit: usize) -> Result<(), LogError> {
        let since = Instant::now();
        let mut failed = None;
        while self.ahead.is_empty() && self.ended < end {
            let (topic, partition) = (self.topic.as_str(), self.partition);
            let (ahead, ended) = (&mut self.ahead, &mut self.ended);
            self.consumer.consume(Duration::from_millis(100), limit.min(10_000), &mut |met| match met {
                Met::Record(record)
                    if record.topic == topic && record.partition == partition && record.offset >= from =>
                {
                    ahead.push_back(logged(&record));
                }
                Met::End { topic: of, partition: at, offset } if of == topic && at == partition => {
                    *ended = offset.max(*ended)
                }
                Met::Cut { error, .. } | Met::Failed(error) => failed = Some(error),
                Met::Record(_) | Met::End { .. } => {}
            });
            if let Some(error) = failed.take()
                && (since.elapsed() > PATIENCE || error.fault == Fault::OffsetLost)
            {
                return Err(error.into());
            }
            if since.elapsed() > PATIENCE {
                return Err(LogError(format!(
                    "{topic}[{partition}]: nothing read from {from} within {} s",
                    PATIENCE.as_secs()
                )));
            }
        }
        Ok(())
    }
}
