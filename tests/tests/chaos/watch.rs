//! What a reader of committed records sees of the transactions' ends, as they come: the log is read by somebody who was there all
//! the time, through every fault.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use tributary_broker::KafkaLog;
use tributary_cli::decode::Decoder;
use tributary_cli::load::ending;
use tributary_cli::wiring::{Schemas, wall_clock};
use tributary_flow::log::{LogError, Logged, visit_range};
use tributary_flow::{Header, Log, Timestamp};
use tributary_graph::TRANSACTIONS_EVENTS;
use tributary_schemas::transactions::TransactionEvent;

/// How often it looks whether it is over.
const TURN: Duration = Duration::from_millis(30);

/// The end of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// The transaction.
    pub id: String,
    /// What became of it.
    pub kind: &'static str,
    /// When it was decided, by the clock of the process that did.
    pub decided: Timestamp,
}

/// An end, and when it was seen.
#[derive(Clone, Debug)]
pub struct Seen {
    pub partition: u32,
    pub offset: u64,
    pub end: End,
    pub at: Timestamp,
}

/// A reader at work, ended on drop.
pub struct Watch {
    over: Arc<AtomicBool>,
    seen: Arc<Mutex<Vec<Seen>>>,
    reading: Option<JoinHandle<Result<()>>>,
}

impl Watch {
    /// Begins to read.
    pub fn start(brokers: &str, partitions: u32) -> Result<Self> {
        let log = KafkaLog::connect(brokers, &BTreeMap::new(), partitions)?;
        let over = Arc::new(AtomicBool::new(false));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (told, notes) = (over.clone(), seen.clone());
        let reading = std::thread::Builder::new().name("watch".into()).spawn(move || watch(&log, &told, &notes))?;
        Ok(Watch { over, seen, reading: Some(reading) })
    }

    /// Looks at what was seen so far.
    pub fn look<T>(&self, with: impl FnOnce(&[Seen]) -> T) -> T {
        with(&self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads to the end, and says what was seen.
    pub fn stop(mut self) -> Result<Vec<Seen>> {
        self.over.store(true, Ordering::Release);
        let reading = self.reading.take().context("invariant: it is stopped once")?;
        reading.join().map_err(|_| anyhow!("the watch panicked"))??;
        Ok(std::mem::take(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
    }
}

fn watch(log: &KafkaLog, over: &AtomicBool, seen: &Mutex<Vec<Seen>>) -> Result<()> {
    let decoder = Decoder::new(Arc::new(Schemas::compiled()));
    let topic = TRANSACTIONS_EVENTS.name;
    let mut next = vec![0; log.partitions() as usize];
    let mut reader = log.follow(topic, next.clone())?;
    loop {
        let last_turn = over.load(Ordering::Acquire);
        // What cannot be read now is read later; at the end, it must be there.
        let read = if last_turn { rest(log, topic, &next) } else { reader.next(TURN) };
        if read.is_err() && !last_turn {
            std::thread::sleep(TURN);
            continue;
        }
        let records = read?;
        let at = wall_clock();
        for (partition, record) in records {
            next[partition as usize] = record.offset + 1;
            let (header, event) = decoder.body::<TransactionEvent>(&TRANSACTIONS_EVENTS, &record)?;
            if let (Header::Fact(fact), Some((id, kind))) = (header, ending(event)) {
                let end = End { id, kind, decided: fact.time };
                let seen = &mut *seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.push(Seen { partition, offset: record.offset, end, at });
            }
        }
        if last_turn {
            return Ok(());
        }
    }
}

/// Everything that is committed from there on.
fn rest(log: &KafkaLog, topic: &str, from: &[u64]) -> Result<Vec<(u32, Logged)>, LogError> {
    let mut records = Vec::new();
    for (partition, from) in (0..).zip(from) {
        let range = *from..log.range(topic, partition)?.end;
        visit_range(log, topic, partition, range, |record| {
            records.push((partition, record));
            Ok::<_, LogError>(())
        })?;
    }
    Ok(records)
}
