//! The calls: which version of each is spoken, what is asked, and what of the answer is of interest.
//! Source: the message definitions at <https://kafka.apache.org/protocol#protocol_messages>.

use std::collections::BTreeMap;

use tributary_slot::{InputAt, Membership};

use super::batch::Identity;
use super::bytes::{Answer, Put};
use super::link::Address;
use super::{Code, Result};

/// A call in the one version that is spoken.
#[derive(Debug)]
pub(super) struct Api {
    pub key: i16,
    pub version: i16,
    /// Whether the version is a flexible one, of compact values and tagged fields.
    pub flexible: bool,
    pub name: &'static str,
}

const fn api(key: i16, version: i16, flexible: bool, name: &'static str) -> Api {
    Api { key, version, flexible, name }
}

pub(super) static PRODUCE: Api = api(0, 8, false, "Produce");
pub(super) static METADATA: Api = api(3, 7, false, "Metadata");
pub(super) static FIND_COORDINATOR: Api = api(10, 2, false, "FindCoordinator");
pub(super) static SASL_HANDSHAKE: Api = api(17, 1, false, "SaslHandshake");
pub(super) static API_VERSIONS: Api = api(18, 0, false, "ApiVersions");
pub(super) static INIT_PRODUCER_ID: Api = api(22, 1, false, "InitProducerId");
pub(super) static ADD_PARTITIONS_TO_TXN: Api = api(24, 1, false, "AddPartitionsToTxn");
pub(super) static ADD_OFFSETS_TO_TXN: Api = api(25, 1, false, "AddOffsetsToTxn");
pub(super) static END_TXN: Api = api(26, 1, false, "EndTxn");
pub(super) static TXN_OFFSET_COMMIT: Api = api(28, 3, true, "TxnOffsetCommit");
pub(super) static SASL_AUTHENTICATE: Api = api(36, 1, false, "SaslAuthenticate");

/// What a broker must speak before it is asked for anything.
pub(super) const SPOKEN: &[&Api] = &[
    &PRODUCE,
    &METADATA,
    &FIND_COORDINATOR,
    &INIT_PRODUCER_ID,
    &ADD_PARTITIONS_TO_TXN,
    &ADD_OFFSETS_TO_TXN,
    &END_TXN,
    &TXN_OFFSET_COMMIT,
];

/// Who a coordinator is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum For {
    Group,
    Transaction,
}

/// Who leads what, and where brokers are.
#[derive(Debug, Default)]
pub(super) struct Metadata {
    pub brokers: BTreeMap<i32, Address>,
    /// By topic and partition.
    pub leaders: BTreeMap<String, BTreeMap<u32, i32>>,
    /// Topics of which no more is told, and why.
    pub untold: BTreeMap<String, Code>,
}

pub(super) fn metadata(out: &mut Vec<u8>, topics: &[&str]) {
    out.count(topics.len());
    topics.iter().for_each(|topic| out.text(topic));
    out.flag(false); // A topic that is not there is not made.
}

pub(super) fn read_metadata(answer: &mut Answer) -> Result<Metadata> {
    let mut found = Metadata::default();
    answer.i32()?; // What it held us back for.
    answer.each(|answer| {
        let (node, broker) = read_broker(answer)?;
        answer.text()?; // The rack.
        found.brokers.insert(node, broker);
        Ok(())
    })?;
    answer.text()?; // The cluster.
    answer.i32()?; // The controller.
    answer.each(|answer| {
        let (code, topic) = (Code(answer.i16()?), answer.text()?);
        if code != Code::NONE {
            found.untold.insert(topic.clone(), code);
        }
        answer.byte()?; // Whether the brokers keep it for themselves.
        let leaders = found.leaders.entry(topic).or_default();
        answer.each(|answer| {
            let (code, partition, leader) = (Code(answer.i16()?), answer.i32()?, answer.i32()?);
            answer.i32()?; // The leader's epoch.
            (0..3).try_for_each(|_| answer.each(|answer| answer.i32().map(drop)))?;
            if code == Code::NONE {
                leaders.insert(partition.cast_unsigned(), leader);
            }
            Ok(())
        })
    })?;
    Ok(found)
}

fn read_broker(answer: &mut Answer) -> Result<(i32, Address)> {
    let (node, host, port) = (answer.i32()?, answer.text()?, answer.i32()?);
    Ok((node, Address { host, port: u16::try_from(port).unwrap_or(0) }))
}

pub(super) fn find_coordinator(out: &mut Vec<u8>, of: For, name: &str) {
    out.text(name);
    out.i8(match of {
        For::Group => 0,
        For::Transaction => 1,
    });
}

pub(super) fn read_coordinator(answer: &mut Answer) -> Result<(Code, (i32, Address))> {
    answer.i32()?;
    let code = Code(answer.i16()?);
    answer.text()?;
    Ok((code, read_broker(answer)?))
}

/// The coordinator ends a transaction that is open for longer than `timeout_ms`.
pub(super) fn init_producer_id(out: &mut Vec<u8>, id: &str, timeout_ms: i32) {
    out.text(id);
    out.i32(timeout_ms);
}

pub(super) fn read_identity(answer: &mut Answer) -> Result<(Code, Identity)> {
    let (code, ()) = read_done(answer)?;
    Ok((code, Identity { producer: answer.i64()?, epoch: answer.i16()? }))
}

/// The answer of what says no more than whether it was done.
pub(super) fn read_done(answer: &mut Answer) -> Result<(Code, ())> {
    answer.i32()?;
    Ok((Code(answer.i16()?), ()))
}

fn transaction(out: &mut Vec<u8>, id: &str, identity: Identity) {
    out.text(id);
    out.i64(identity.producer);
    out.i16(identity.epoch);
}

pub(super) fn add_partitions(out: &mut Vec<u8>, id: &str, identity: Identity, partitions: &BTreeMap<&str, Vec<u32>>) {
    transaction(out, id, identity);
    out.count(partitions.len());
    for (topic, partitions) in partitions {
        out.text(topic);
        out.count(partitions.len());
        partitions.iter().for_each(|partition| out.i32(partition.cast_signed()));
    }
}

/// The first failure of any partition: one that fails has the others fail too, if only with "operation not attempted", which says less.
pub(super) fn read_added(answer: &mut Answer) -> Result<(Code, ())> {
    const NOT_ATTEMPTED: Code = Code(55);
    let mut found = Code::NONE;
    answer.i32()?;
    answer.each(|answer| {
        answer.text()?;
        answer.each(|answer| {
            answer.i32()?;
            let code = Code(answer.i16()?);
            if found == Code::NONE || found == NOT_ATTEMPTED {
                found = code;
            }
            Ok(())
        })
    })?;
    Ok((found, ()))
}

/// Each topic with its partitions, and each of those with a batch.
pub(super) fn produce<'a>(
    out: &mut Vec<u8>,
    id: &str,
    timeout_ms: i32,
    topics: &BTreeMap<&'a str, Vec<(u32, &'a [u8])>>,
) {
    out.text(id);
    out.i16(-1); // All replicas that are in sync.
    out.i32(timeout_ms);
    out.count(topics.len());
    for (topic, batches) in topics {
        out.text(topic);
        out.count(batches.len());
        for (partition, batch) in batches {
            out.i32(partition.cast_signed());
            out.blob(batch);
        }
    }
}

/// Tells of each batch where its first record went, or why not, and in the broker's own words.
pub(super) fn read_produced(answer: &mut Answer, mut tell: impl FnMut(&str, u32, Code, i64, &str)) -> Result<()> {
    answer.each(|answer| {
        let topic = answer.text()?;
        answer.each(|answer| {
            let (partition, code, offset) = (answer.i32()?, Code(answer.i16()?), answer.i64()?);
            answer.i64()?; // When it was appended.
            answer.i64()?; // Where the log begins.
            answer.each(|answer| {
                answer.i32()?;
                answer.text().map(drop)
            })?;
            let said = answer.text()?;
            tell(&topic, partition.cast_unsigned(), code, offset, &said);
            Ok(())
        })
    })
}

pub(super) fn add_offsets(out: &mut Vec<u8>, id: &str, identity: Identity, group: &str) {
    transaction(out, id, identity);
    out.text(group);
}

/// Whose positions a transaction carries, and which.
#[derive(Clone, Copy)]
pub(crate) struct Positions<'a> {
    pub group: &'a str,
    /// The static member's name.
    pub instance: &'a str,
    pub membership: &'a Membership,
    pub offsets: &'a [(InputAt, u64)],
}

pub(super) fn txn_offset_commit(out: &mut Vec<u8>, id: &str, identity: Identity, positions: Positions<'_>) {
    out.compact_text(id);
    out.compact_text(positions.group);
    out.i64(identity.producer);
    out.i16(identity.epoch);
    out.i32(positions.membership.generation);
    out.compact_text(&positions.membership.member);
    out.compact_text(positions.instance);
    let mut topics: BTreeMap<&str, Vec<(u32, u64)>> = BTreeMap::new();
    for ((topic, partition), offset) in positions.offsets {
        topics.entry(topic).or_default().push((*partition, *offset));
    }
    out.compact_count(topics.len());
    for (topic, partitions) in topics {
        out.compact_text(topic);
        out.compact_count(partitions.len());
        for (partition, offset) in partitions {
            out.i32(partition.cast_signed());
            out.i64(offset.cast_signed());
            out.i32(-1); // The leader's epoch is not known.
            out.varint(0); // No word with it.
            out.no_tags();
        }
        out.no_tags();
    }
    out.no_tags();
}

/// The first failure of any partition.
pub(super) fn read_offsets(answer: &mut Answer) -> Result<(Code, ())> {
    let mut found = Code::NONE;
    answer.i32()?;
    answer.compact_each(|answer| {
        answer.skip_compact_text()?;
        answer.compact_each(|answer| {
            answer.i32()?;
            let code = Code(answer.i16()?);
            if found == Code::NONE {
                found = code;
            }
            answer.skip_tags()
        })?;
        answer.skip_tags()
    })?;
    Ok((found, ()))
}

pub(super) fn end_txn(out: &mut Vec<u8>, id: &str, identity: Identity, commit: bool) {
    transaction(out, id, identity);
    out.flag(commit);
}
