//! The transactional producer.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tributary_slot::{Failed, Fault, Outgoing};

use super::batch::Identity;
use super::calls::{self, For, Positions};
use super::cluster::{Cluster, Question};
use super::link::Sent;
use super::outbox::Outbox;
use super::{Result, broken, lost};
use crate::settings::Settings;

/// From how many bytes on a question is sent and the next one begun. Brokers refuse one of 100 MiB (`socket.request.max.bytes`).
const FULL: usize = 8 << 20;

/// Batches of one question, by topic.
type Batches<'a> = BTreeMap<&'a str, Vec<(u32, &'a [u8])>>;

/// A transactional producer.
pub(crate) struct Producer {
    id: String,
    /// How long a transaction may be open.
    timeout_ms: i32,
    identity: Identity,
    cluster: Cluster,
    outbox: Outbox,
    /// Whether the coordinator may know of the transaction.
    is_open: bool,
}

impl Producer {
    pub fn new(settings: &Settings) -> Result<Self> {
        let get = |key: &str| settings.get(key).map(String::as_str).unwrap_or_default();
        let number = |key: &str| get(key).parse::<i32>().map_err(|_| lost(format!("{key}: no number")));
        Ok(Producer {
            id: get("transactional.id").to_owned(),
            timeout_ms: number("transaction.timeout.ms")?,
            identity: Identity { producer: -1, epoch: -1 },
            cluster: Cluster::new(settings)?,
            outbox: Outbox::new(number("message.max.bytes")?.unsigned_abs() as usize),
            is_open: false,
        })
    }

    /// Ends what any other producer of this transactional id had open, and fences it.
    pub fn init(&mut self, bound: Duration) -> Result<()> {
        let body = |out: &mut Vec<u8>| calls::init_producer_id(out, &self.id, self.timeout_ms);
        let question = Question { api: &calls::INIT_PRODUCER_ID, body: &body, read: &calls::read_identity };
        self.identity = self.cluster.ask_coordinator(For::Transaction, &self.id, &question, Instant::now() + bound)?;
        Ok(())
    }

    pub fn begin(&mut self) {
        self.cluster.refresh();
        self.outbox.clear();
        self.is_open = false;
    }

    /// Takes in a record; it is copied.
    pub fn produce(&mut self, record: &Outgoing<'_>) -> Result<()> {
        self.outbox.push(record)
    }

    /// Writes all records, and waits until they are acknowledged: where the numbered ones went.
    pub fn deliver(&mut self, bound: Duration) -> Result<Vec<Option<u64>>> {
        let deadline = Instant::now() + bound;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.outbox.seal(self.identity, now.as_millis() as i64);
        let (id, identity, partitions) = (&self.id, self.identity, self.outbox.partitions());
        if !partitions.is_empty() {
            self.cluster.find_leaders(&partitions, deadline)?;
            let body = |out: &mut Vec<u8>| calls::add_partitions(out, id, identity, &partitions);
            self.is_open = true;
            let question = Question { api: &calls::ADD_PARTITIONS_TO_TXN, body: &body, read: &calls::read_added };
            self.cluster.ask_coordinator(For::Transaction, id, &question, deadline)?;
            self.write(deadline).map_err(|failed| {
                // What is on its way may still arrive. Only a producer that fences this one keeps it out of the next transaction.
                self.cluster.forget();
                never_aborted(failed)
            })?;
        }
        Ok(self.outbox.offsets())
    }

    /// Every question goes out before the first answer is awaited.
    fn write(&mut self, deadline: Instant) -> Result<()> {
        let (id, timeout_ms, cluster, outbox) = (&self.id, self.timeout_ms, &mut self.cluster, &mut self.outbox);
        let mut sent: Vec<(i32, usize, Sent)> = Vec::new();
        for round in 0.. {
            let questions = questions(cluster, outbox, round)?;
            if questions.is_empty() {
                break;
            }
            for (leader, batches) in questions {
                let body = |out: &mut Vec<u8>| calls::produce(out, id, timeout_ms, &batches);
                sent.push((leader, round, cluster.link(leader, deadline)?.send(&calls::PRODUCE, body, deadline)?));
            }
        }
        let mut done = Ok(());
        for (leader, round, question) in sent {
            let mut answer = cluster.link(leader, deadline)?.receive(question, deadline)?;
            calls::read_produced(&mut answer, |topic, partition, code, offset, said| {
                match code.check(|| format!("writing to {topic}[{partition}]: {said}")) {
                    Ok(()) => outbox.written(topic, partition, round, offset),
                    Err(failed) if done.is_ok() => done = Err(failed),
                    Err(_) => {}
                }
            })?;
        }
        done?;
        if outbox.is_written() { Ok(()) } else { Err(broken("it does not tell of every partition")) }
    }

    /// Sends positions, which the group takes only from a member of its generation.
    pub fn send_offsets(&mut self, positions: Positions<'_>, bound: Duration) -> Result<()> {
        let (id, identity, deadline) = (&self.id, self.identity, Instant::now() + bound);
        self.is_open = true;
        let body = |out: &mut Vec<u8>| calls::add_offsets(out, id, identity, positions.group);
        let question = Question { api: &calls::ADD_OFFSETS_TO_TXN, body: &body, read: &calls::read_done };
        self.cluster.ask_coordinator(For::Transaction, id, &question, deadline)?;
        let body = |out: &mut Vec<u8>| calls::txn_offset_commit(out, id, identity, positions);
        let question = Question { api: &calls::TXN_OFFSET_COMMIT, body: &body, read: &calls::read_offsets };
        self.cluster.ask_coordinator(For::Group, positions.group, &question, deadline)
    }

    pub fn commit(&mut self, bound: Duration) -> Result<()> {
        self.end(true, bound)
    }

    pub fn abort(&mut self, bound: Duration) -> Result<()> {
        self.end(false, bound)
    }

    fn end(&mut self, commit: bool, bound: Duration) -> Result<()> {
        if self.is_open {
            let body = |out: &mut Vec<u8>| calls::end_txn(out, &self.id, self.identity, commit);
            let question = Question { api: &calls::END_TXN, body: &body, read: &calls::read_done };
            let ended = self.cluster.ask_coordinator(For::Transaction, &self.id, &question, Instant::now() + bound);
            ended.map_err(never_aborted)?;
            self.is_open = false;
        }
        Ok(())
    }
}

/// What of a round is asked of whom.
fn questions<'a>(cluster: &Cluster, outbox: &'a Outbox, round: usize) -> Result<Vec<(i32, Batches<'a>)>> {
    let mut open: BTreeMap<i32, (usize, Batches<'a>)> = BTreeMap::new();
    let mut full = Vec::new();
    for (topic, partition, batch) in outbox.round(round) {
        let leader =
            cluster.leader(topic, partition).ok_or_else(|| lost(format!("{topic}[{partition}] has no leader")))?;
        let (size, batches) = open.entry(leader).or_default();
        *size += batch.bytes().len();
        batches.entry(topic).or_default().push((partition, batch.bytes()));
        if *size >= FULL {
            full.extend(open.remove(&leader).map(|(_, batches)| (leader, batches)));
        }
    }
    full.extend(open.into_iter().map(|(leader, (_, batches))| (leader, batches)));
    Ok(full)
}

/// Of a failure after which it is not certain what of the transaction there is, or will be: an abort would not make it so.
fn never_aborted(failed: Failed) -> Failed {
    let fault = if failed.fault == Fault::Abort { Fault::Other } else { failed.fault };
    Failed { fault, ..failed }
}
