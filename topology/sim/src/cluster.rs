//! What all processes share: the log, the coordinators of transactions and groups, time, and chance.

use std::collections::{BTreeMap, BTreeSet};

use tributary_flow::Timestamp;
use tributary_slot::{Failed, Fault as Meaning};

use crate::faults::{Fault, Faults};
use crate::group::{Group, Life};
use crate::log::{MemoryLog, TransactionId};
use crate::random::Random;

/// A second.
pub(crate) const SECOND: u64 = 1_000_000;
/// How long a member may be silent.
pub(crate) const SESSION: u64 = 6 * SECOND;
/// How long a transaction may be open.
const TRANSACTION: u64 = 10 * SECOND;

/// What the coordinator of transactions knows of a slot.
#[derive(Debug, Default)]
struct Producer {
    epoch: u64,
    open: Option<(TransactionId, u64)>,
    /// Decided, and some partition may not know.
    ending: Option<TransactionId>,
}

/// A commit whose caller has given up.
#[derive(Debug)]
struct LateCommit {
    /// It arrives then at the latest.
    at: u64,
    slot: String,
    epoch: u64,
    /// What was open when it was sent.
    meant: Option<TransactionId>,
}

/// Why a call does not go through now.
pub(crate) enum Barred {
    /// The last transaction's markers are not all written.
    Wait,
    Failed(Failed),
}

/// The log, the coordinators, time, chance.
pub(crate) struct Cluster {
    pub log: MemoryLog,
    pub groups: Vec<Group>,
    producers: BTreeMap<String, Producer>,
    pub random: Random,
    pub faults: Faults,
    /// The largest record, in bytes.
    pub largest: usize,
    /// Since the beginning, in microseconds.
    pub elapsed: u64,
    /// The wall clock at the beginning, moved by whoever moves it.
    pub start: Timestamp,
    /// Whether the wall clock goes on with the time.
    pub ticking: bool,
    /// Coordinators do not answer before.
    pub coordinators: u64,
    /// Partitions that do not answer before.
    pub slow: BTreeMap<(&'static str, u32), u64>,
    /// Since when each process is silent.
    pub silent: BTreeMap<Life, u64>,
    late: Vec<LateCommit>,
    /// Slots whose producers are fenced, and when, whoever they are then.
    fences: Vec<(String, u64)>,
    /// Open transactions of others, and when they end.
    pub hanging: Vec<(TransactionId, u64)>,
    /// Markers are not written before.
    pub markers: u64,
    /// Whether some process has an epoch open.
    pub in_epoch: bool,
    pub commits: u64,
    pub surprises: u64,
}

impl Cluster {
    pub fn new(partitions: u32, groups: usize, random: Random, faults: Faults, start: Timestamp) -> Self {
        Cluster {
            log: MemoryLog::new(partitions),
            groups: (0..groups).map(|_| Group::new(partitions)).collect(),
            producers: BTreeMap::new(),
            random,
            faults,
            largest: usize::MAX,
            elapsed: 0,
            start,
            ticking: false,
            coordinators: 0,
            slow: BTreeMap::new(),
            silent: BTreeMap::new(),
            late: Vec::new(),
            fences: Vec::new(),
            hanging: Vec::new(),
            markers: 0,
            in_epoch: false,
            commits: 0,
            surprises: 0,
        }
    }

    pub fn wall(&self) -> Timestamp {
        if self.ticking { self.start.plus(self.elapsed.cast_signed()) } else { self.start }
    }

    /// Whether `fault` strikes where it could.
    pub fn strikes(&mut self, fault: Fault, in_epoch: bool) -> bool {
        let rate = self.faults.rate(fault);
        let strikes = rate > 0 && self.random.below(1_000_000) < rate as usize;
        if strikes {
            self.faults.count(fault, in_epoch);
        }
        strikes
    }

    /// A time from now, between `least` and `most` seconds away.
    pub fn soon(&mut self, least: u64, most: u64) -> u64 {
        self.elapsed + least * SECOND + self.random.below(((most - least) * SECOND + 1) as usize) as u64
    }

    /// Whether a partition does not answer.
    pub fn is_slow(&self, topic: &str, partition: u32) -> bool {
        self.slow.keys().any(|(name, number)| *name == topic && *number == partition)
    }

    /// Whether the coordinators answer.
    pub fn coordinates(&self) -> bool {
        self.elapsed >= self.coordinators
    }

    /// Initialises the transactions of a slot: whatever was open is aborted, and whoever had it is fenced.
    pub fn initialise(&mut self, slot: &str) -> Result<u64, Barred> {
        let producer = self.producers.entry(slot.to_owned()).or_default();
        if let Some((open, _)) = producer.open.take() {
            producer.epoch += 1;
            producer.ending = Some(open);
            self.log.decide(open, false);
        }
        if producer.ending.is_some_and(|ending| !self.log.is_told(ending)) {
            return Err(Barred::Wait);
        }
        producer.ending = None;
        producer.epoch += 1;
        Ok(producer.epoch)
    }

    /// The open transaction of a producer; begun by this where there is none.
    pub fn transaction(&mut self, slot: &str, epoch: u64) -> Result<TransactionId, Barred> {
        let producer = producer(&mut self.producers, slot, epoch)?;
        if producer.ending.is_some_and(|ending| !self.log.is_told(ending)) {
            return Err(Barred::Wait);
        }
        producer.ending = None;
        let (log, now) = (&mut self.log, self.elapsed);
        Ok(producer.open.get_or_insert_with(|| (log.begin(), now)).0)
    }

    /// Ends what a producer has open.
    pub fn end(&mut self, slot: &str, epoch: u64, commit: bool) -> Result<(), Barred> {
        let producer = producer(&mut self.producers, slot, epoch)?;
        if let Some((open, _)) = producer.open.take() {
            producer.ending = Some(open);
            self.log.decide(open, commit);
        }
        Ok(())
    }

    /// Whether the coordinator, asked to commit what a producer has open, has done so in a part of its partitions, and is gone: the
    /// next one knows of no decision, and the rest stays open until it is aborted.
    pub fn tears(&mut self, slot: &str, epoch: u64) -> bool {
        let asked = self.producers.get(slot).filter(|producer| producer.epoch == epoch);
        let Some((open, _)) = asked.and_then(|producer| producer.open).filter(|_| self.log.torn().is_none()) else {
            return false;
        };
        if !self.strikes(Fault::TornCommit, true) {
            return false;
        }
        let part = self.log.tear(open, &mut self.random);
        self.log.decide(part, true);
        true
    }

    fn open(&self, slot: &str) -> Option<TransactionId> {
        Some(self.producers.get(slot)?.open?.0)
    }

    /// A commit is on its way for longer than anybody waits for it.
    pub fn commit_late(&mut self, slot: &str, epoch: u64) {
        let (at, meant) = (self.soon(0, 20), self.open(slot));
        self.late.push(LateCommit { at, slot: slot.to_owned(), epoch, meant });
    }

    /// Somebody is about to initialise the transactions of a slot that is not its own.
    pub fn fence_soon(&mut self, slot: &str) {
        // As long as a client keeps asking.
        let most = if self.faults.rate(Fault::Unreachable) > 0 && self.random.chance(1, 8) { 12 } else { 2 };
        let at = self.soon(0, most);
        self.fences.push((slot.to_owned(), at));
    }

    /// What happens by itself as time goes by.
    pub fn tick(&mut self) {
        let now = self.elapsed;
        self.slow.retain(|_, until| now < *until);
        let late = |producer: &&mut Producer| producer.open.is_some_and(|(_, since)| now > since + TRANSACTION);
        for producer in self.producers.values_mut().filter(late) {
            if let Some((open, _)) = producer.open.take() {
                producer.epoch += 1;
                producer.ending = Some(open);
                self.log.decide(open, false);
            }
        }
        for late in std::mem::take(&mut self.late) {
            // It likes to come when there is another transaction that it could end.
            let finds = self.open(&late.slot).is_some_and(|open| Some(open) != late.meant);
            if now >= late.at || (finds && self.random.chance(1, 16)) {
                // Nobody waits for what comes of it.
                let _ended = self.end(&late.slot, late.epoch, true);
            } else {
                self.late.push(late);
            }
        }
        let answers = self.coordinates();
        for (slot, _) in self.fences.extract_if(.., |(_, at)| answers && now >= *at).collect::<Vec<_>>() {
            // Who is bidden to wait asks again, though what was open is aborted already.
            if let Err(Barred::Wait) = self.initialise(&slot) {
                self.fences.push((slot, now + SECOND / 2));
            }
        }
        let hanging = std::mem::take(&mut self.hanging);
        for (transaction, until) in hanging {
            if now >= until || self.faults.calm {
                self.log.decide(transaction, false);
            } else {
                self.hanging.push((transaction, until));
            }
        }
        if self.coordinates() {
            let gone = self.silent.iter().filter(|(_, since)| now > **since + SESSION).map(|(life, _)| *life);
            let gone: BTreeSet<Life> = gone.collect();
            self.groups.iter_mut().for_each(|group| group.expire(|life| gone.contains(&life)));
            self.silent.retain(|life, _| !gone.contains(life));
        }
    }

    /// When something happens by itself next.
    pub fn next(&self) -> Option<u64> {
        let open =
            self.producers.values().filter_map(|producer| producer.open).map(|(_, since)| since + TRANSACTION + 1);
        let silent = self.silent.values().map(|since| (since + SESSION + 1).max(self.coordinators));
        let hanging = self.hanging.iter().map(|(_, until)| *until);
        let slow = self.slow.values().copied();
        let markers = (self.log.untold() > 0).then_some(self.markers);
        let late = self.late.iter().map(|late| late.at);
        let late = late.chain(self.fences.iter().map(|(_, at)| *at));
        open.chain(silent).chain(late).chain(hanging).chain(slow).chain(markers).filter(|at| *at > self.elapsed).min()
    }

    /// Whether nothing is under way that a reader would wait for.
    pub fn is_still(&self) -> bool {
        self.log.untold() == 0
            && self.hanging.is_empty()
            && self.late.is_empty()
            && self.fences.is_empty()
            && self.producers.values().all(|producer| producer.open.is_none())
    }
}

fn producer<'a>(
    producers: &'a mut BTreeMap<String, Producer>,
    slot: &str,
    epoch: u64,
) -> Result<&'a mut Producer, Barred> {
    let producer = producers.entry(slot.to_owned()).or_default();
    if producer.epoch == epoch {
        Ok(producer)
    } else {
        let text = format!("the producer of {slot} has epoch {epoch} and the coordinator {}", producer.epoch);
        Err(Barred::Failed(Failed { text, fault: Meaning::ProducerFenced }))
    }
}
