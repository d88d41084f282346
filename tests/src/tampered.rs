//! A log seen otherwise than it lies: to show that a checker finds what it claims to find. The records of a topic are
//! read from the log when they are first changed; the log itself is never written.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use tributary_account::entry_hash;
use tributary_cli::decode::Decoder;
use tributary_cli::proof::versions;
use tributary_flow::framing::frame;
use tributary_flow::{Body, FactHeader, Header, Log, LogError, Logged, Timestamp, TopicRef, log};
use tributary_graph::LEDGER_ENTRIES;
use tributary_schemas::ledger::{Entry, EntryPosted};
use tributary_schemas::{AccountKind, schema_id};

/// A log with changes.
pub struct Tampered<'a> {
    log: &'a dyn Log,
    /// Of either version of the records.
    decoder: Decoder,
    topics: BTreeMap<&'static str, Vec<Vec<Logged>>>,
}

/// Where a record lies: partition, and index among its records.
pub type Spot = (usize, usize);

impl<'a> Tampered<'a> {
    /// Nothing is changed yet.
    pub fn new(log: &'a dyn Log) -> Self {
        Tampered { log, decoder: Decoder::new(Arc::new(versions::schemas())), topics: BTreeMap::new() }
    }

    /// The records of a topic by partition, to be changed at will. Offsets must go on rising.
    pub fn records(&mut self, topic: &'static str) -> &mut Vec<Vec<Logged>> {
        let log = self.log;
        self.topics.entry(topic).or_insert_with(|| {
            let read = |partition| {
                let mut records = Vec::new();
                let read = log::visit(log, topic, partition, |record| {
                    records.push(record);
                    Ok::<_, LogError>(())
                });
                read.map(|()| records).expect("a log that can be read")
            };
            (0..log.partitions()).map(read).collect()
        })
    }

    /// The record at a spot.
    pub fn record(&mut self, topic: TopicRef, (partition, index): Spot) -> &mut Logged {
        &mut self.records(topic.name)[partition][index]
    }

    /// Every record of a topic, decoded, with its spot.
    pub fn all<B: Body>(&mut self, topic: TopicRef) -> Vec<(Spot, Header, B)> {
        let mut all = Vec::new();
        let decoder = self.decoder.clone();
        for (partition, records) in self.records(topic.name).iter().enumerate() {
            for (index, record) in records.iter().enumerate() {
                let (header, body) = decode(&decoder, topic, record);
                all.push(((partition, index), header, body));
            }
        }
        all
    }

    /// The first record that is wanted.
    ///
    /// # Panics
    /// There is none.
    pub fn find<B: Body>(&mut self, topic: TopicRef, wanted: impl Fn(&B) -> bool) -> Spot {
        let found = self.all(topic).into_iter().find(|(_, _, body)| wanted(body));
        found.unwrap_or_else(|| panic!("nothing in {} is as wanted", topic.name)).0
    }

    /// Takes the first record that is wanted out.
    pub fn remove<B: Body>(&mut self, topic: TopicRef, wanted: impl Fn(&B) -> bool) {
        let (partition, index) = self.find(topic, wanted);
        self.records(topic.name)[partition].remove(index);
    }

    /// Appends a copy of the first record that is wanted.
    pub fn double<B: Body>(&mut self, topic: TopicRef, wanted: impl Fn(&B) -> bool) {
        let spot = self.find(topic, wanted);
        let copy = self.record(topic, spot).clone();
        self.push(topic, spot.0, copy);
    }

    /// Appends a fact of the beginning of time.
    pub fn append<B: Body>(&mut self, topic: TopicRef, partition: usize, body: &B) {
        self.append_at(topic, partition, Timestamp::default(), body);
    }

    /// Appends a fact that says when it was decided.
    pub fn append_at<B: Body>(&mut self, topic: TopicRef, partition: usize, time: Timestamp, body: &B) {
        let key = Some(body.key().as_bytes().to_vec());
        let value = Some(encode(topic, &Header::Fact(FactHeader { time, ..FactHeader::default() }), body));
        self.push(topic, partition, Logged { key, value, ..Logged::default() });
    }

    fn push(&mut self, topic: TopicRef, partition: usize, record: Logged) {
        let records = &mut self.records(topic.name)[partition];
        let offset = records.last().map_or(0, |last| last.offset + 1);
        records.push(Logged { offset, ..record });
    }

    /// Rewrites the body of the first record that is wanted.
    pub fn change<B: Body>(
        &mut self,
        topic: TopicRef,
        wanted: impl Fn(&B) -> bool,
        change: impl FnOnce(&mut B),
    ) -> Spot {
        let spot = self.find(topic, wanted);
        let (header, mut body) = decode::<B>(&self.decoder.clone(), topic, self.record(topic, spot));
        change(&mut body);
        self.record(topic, spot).value = Some(encode(topic, &header, &body));
        spot
    }

    /// Rewrites one entry of an account, and then its whole chain from there on: balances and hashes are as they should be.
    pub fn rewrite_chain(
        &mut self,
        account: &str,
        kind: AccountKind,
        sequence: i64,
        change: impl FnOnce(&mut EntryPosted),
    ) -> Spot {
        let entries = self.all::<Entry>(&LEDGER_ENTRIES);
        let of_account =
            entries.into_iter().filter(|(_, _, Entry::EntryPosted(entry))| entry.account_id.as_str() == account);
        let (mut balance, mut hash, mut change, mut changed) = (0, None, Some(change), None);
        for (spot, header, Entry::EntryPosted(mut entry)) in of_account {
            if entry.sequence == sequence
                && let Some(change) = change.take()
            {
                change(&mut entry);
                changed = Some(spot);
            }
            if changed.is_some() {
                let signed =
                    if entry.side == kind.normal_side() { entry.amount.amount.0 } else { -entry.amount.amount.0 };
                entry.balance.0 = balance + signed;
                entry.previous_hash = hash.unwrap_or(entry.previous_hash);
                entry.hash = entry_hash(&entry);
                self.record(&LEDGER_ENTRIES, spot).value =
                    Some(encode(&LEDGER_ENTRIES, &header, &Entry::from(entry.clone())));
            }
            (balance, hash) = (entry.balance.0, Some(entry.hash));
        }
        changed.unwrap_or_else(|| panic!("{account} has no entry {sequence}"))
    }
}

fn decode<B: Body>(decoder: &Decoder, topic: TopicRef, record: &Logged) -> (Header, B) {
    decoder.body(topic, record).expect("a record that can be decoded")
}

fn encode<B: Body>(topic: TopicRef, header: &Header, body: &B) -> Vec<u8> {
    let mut value = frame(schema_id(topic.schema).expect("a topic's schema"));
    body.encode(header, &mut value);
    value
}

impl Log for Tampered<'_> {
    fn partitions(&self) -> u32 {
        self.log.partitions()
    }

    fn range(&self, topic: &str, partition: u32) -> Result<Range<u64>, LogError> {
        match self.topics.get(topic) {
            Some(records) => Ok(0..records[partition as usize].last().map_or(0, |last| last.offset + 1)),
            None => self.log.range(topic, partition),
        }
    }

    fn read(&self, topic: &str, partition: u32, from: u64, limit: usize) -> Result<Vec<Logged>, LogError> {
        let Some(records) = self.topics.get(topic) else { return self.log.read(topic, partition, from, limit) };
        let records = records[partition as usize].iter().filter(|record| record.offset >= from);
        Ok(records.take(limit).cloned().collect())
    }
}
