//! What an audit takes of a log that is being written: two cuts, fixed once at its beginning, one inside the other.
//!
//! One transaction writes many topics, its end is seen partition by partition, and the topics form circles, so no order of
//! asking gives ends that hold every cause beside its effects. Therefore they are asked for twice:
//!
//! - Below the first ends a record is *judged*: it must have its causes, and whatever its own transaction wrote besides.
//!   A task must have written what follows from each input that a judged record of its journal says it has applied.
//! - Up to the second ends records are *read*: there to be found by what is judged, and owing nothing themselves.
//!
//! The second ends are those of what is written, committed or not, and the audit waits until everything below them is
//! decided. All that a judged record may ask for was written before it was committed, and lies below them therefore. For the
//! laws the journals are asked for last: one that has not grown since the first ends belongs to a task that wrote nothing in
//! between, so what is read of it is exactly what it had written at its last epoch. For a replay they are asked for
//! before the others: what an epoch of them had read, and what it wrote, was there by then.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::thread::sleep;
use std::time::{Duration, Instant};

use tributary_flow::{DEAD_LETTERS, Log, LogError, Logged, Node};
use tributary_graph::{TOPICS, writers};

/// How long a transaction may stay open: longer than a broker lets it.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long to wait before asking again whether a transaction has ended.
const PAUSE: Duration = Duration::from_millis(5);

/// A log seen up to the second ends.
pub(crate) struct Cut<'a> {
    log: &'a dyn Log,
    bounds: HashMap<String, Vec<Bounds>>,
}

/// Where a partition is cut.
struct Bounds {
    judged: u64,
    read: Range<u64>,
}

impl<'a> Cut<'a> {
    /// Cuts the log as it is now, to hold it against the laws.
    pub(crate) fn for_laws(log: &'a dyn Log) -> Result<Self, LogError> {
        let topics = TOPICS.iter().map(|topic| topic.name).chain([DEAD_LETTERS]).map(str::to_owned);
        let journals = writers().map(Node::journal);
        Self::at(log, [topics.collect(), journals.collect()])
    }

    /// Cuts what a node reads and writes as it is now, to compute it again from its journal.
    pub(crate) fn for_replay(log: &'a dyn Log, node: &Node) -> Result<Self, LogError> {
        let topics = node.inputs.iter().chain(node.outputs).map(|topic| topic.name).chain([DEAD_LETTERS]);
        let topics: BTreeSet<&str> = topics.collect();
        Self::at(log, [vec![node.journal()], topics.into_iter().map(str::to_owned).collect()])
    }

    /// The first ends of all, then the second ones of these and of those.
    fn at(log: &'a dyn Log, [these, those]: [Vec<String>; 2]) -> Result<Self, LogError> {
        let ask = |topic: &String| (0..log.partitions()).map(|at| Ok(log.range(topic, at)?.end)).collect();
        let judged = these.iter().chain(&those).map(ask).collect::<Result<Vec<Vec<u64>>, LogError>>()?;
        let mut read = decided(log, &these)?;
        read.extend(decided(log, &those)?);
        let bounds = judged
            .into_iter()
            .zip(read)
            .map(|(judged, read)| judged.into_iter().zip(read).map(|(judged, read)| Bounds { judged, read }).collect());
        Ok(Cut { log, bounds: these.into_iter().chain(those).zip(bounds).collect() })
    }

    /// Whether a record lies below the first ends.
    pub(crate) fn judges(&self, topic: &str, partition: u32, offset: u64) -> bool {
        self.bounds(topic, partition).is_some_and(|bounds| offset < bounds.judged)
    }

    fn bounds(&self, topic: &str, partition: u32) -> Option<&Bounds> {
        self.bounds.get(topic)?.get(partition as usize)
    }
}

/// The ranges of these topics up to what is written now, once all of it is committed or aborted.
fn decided(log: &dyn Log, topics: &[String]) -> Result<Vec<Vec<Range<u64>>>, LogError> {
    let ask = |topic: &String| (0..log.partitions()).map(|at| log.written(topic, at)).collect();
    let written = topics.iter().map(ask).collect::<Result<Vec<Vec<u64>>, LogError>>()?;
    let wait = |(topic, ends): (&String, Vec<u64>)| {
        (0..).zip(ends).map(|(partition, end)| wait_for(log, topic, partition, end)).collect()
    };
    topics.iter().zip(written).map(wait).collect()
}

fn wait_for(log: &dyn Log, topic: &str, partition: u32, end: u64) -> Result<Range<u64>, LogError> {
    let since = Instant::now();
    loop {
        let committed = log.range(topic, partition)?;
        if committed.end >= end {
            return Ok(committed.start..end);
        }
        if since.elapsed() > PATIENCE {
            let (at, seconds) = (committed.end, PATIENCE.as_secs());
            return Err(LogError(format!("{topic}[{partition}]@{at}: a transaction is open for {seconds} s already")));
        }
        sleep(PAUSE);
    }
}

impl Log for Cut<'_> {
    fn partitions(&self) -> u32 {
        self.log.partitions()
    }

    fn range(&self, topic: &str, partition: u32) -> Result<Range<u64>, LogError> {
        let bounds = self.bounds(topic, partition);
        bounds.map(|bounds| bounds.read.clone()).ok_or_else(|| LogError(format!("{topic}[{partition}] is not audited")))
    }

    fn read(&self, topic: &str, partition: u32, from: u64, limit: usize) -> Result<Vec<Logged>, LogError> {
        let end = self.range(topic, partition)?.end;
        let mut records = self.log.read(topic, partition, from, limit)?;
        records.retain(|record| record.offset < end);
        Ok(records)
    }
}
