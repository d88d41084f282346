//! The log in the database: the records of one epoch in one partition are one value, since a put per record would be the
//! cost. Its key ends in the last offset, so that the end of a partition is read off its last key, and the record at an
//! offset is in the first value at or above it.
//!
//! ```text
//! key    topic \0 partition: u32 BE, last offset: u64 BE
//! value  count: u32 LE, then per record: key, value, number of headers: u32 LE, then per header: name, value
//!        bytes are a u32 LE length and themselves; the length of absent bytes is u32::MAX
//! ```

use std::collections::BTreeMap;
use std::ops::Range;

use rocksdb::{ReadOptions, WriteBatch};
use tributary_flow::log::{LogError, Logged};
use tributary_flow::store::prefix_end;

use crate::base::Base;

const ABSENT: u32 = u32::MAX;
/// How much memory each partition keeps for its next block, in bytes.
const SPARE: usize = 1 << 20;

/// The prefix of a partition's keys.
pub(crate) fn prefix(topic: &str, partition: u32) -> Vec<u8> {
    let mut key = Vec::with_capacity(topic.len() + 13);
    key.extend_from_slice(topic.as_bytes());
    key.push(0);
    key.extend_from_slice(&partition.to_be_bytes());
    key
}

/// Records of an epoch, partition by partition, as they will lie. Their memory is used again: an epoch's are megabytes, and each
/// page of them that is new must be asked of the system.
#[derive(Default)]
pub(crate) struct Blocks(BTreeMap<String, Vec<Block>>);

/// The records in a partition.
#[derive(Default)]
struct Block {
    last: u64,
    count: u32,
    bytes: Vec<u8>,
}

impl Blocks {
    /// Appends a record at `offset`, which follows on the partition's last.
    pub fn append<'a>(
        &mut self,
        topic: &str,
        partition: u32,
        offset: u64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl ExactSizeIterator<Item = (&'a str, &'a [u8])>,
    ) {
        let block = self.at(topic, partition as usize);
        if block.count == 0 {
            block.bytes.extend_from_slice(&[0; 4]);
        }
        block.last = offset;
        block.count += 1;
        write_bytes(key, &mut block.bytes);
        write_bytes(value, &mut block.bytes);
        block.bytes.extend_from_slice(&(headers.len() as u32).to_le_bytes());
        for (name, value) in headers {
            write_bytes(Some(name.as_bytes()), &mut block.bytes);
            write_bytes(Some(value), &mut block.bytes);
        }
    }

    fn at(&mut self, topic: &str, partition: usize) -> &mut Block {
        if !self.0.contains_key(topic) {
            self.0.insert(topic.to_owned(), Vec::new());
        }
        let partitions = self.0.get_mut(topic).expect("invariant: it was just put there");
        if partitions.len() <= partition {
            partitions.resize_with(partition + 1, Block::default);
        }
        &mut partitions[partition]
    }

    /// Puts everything into `batch`.
    pub fn put(&mut self, base: &Base, batch: &mut WriteBatch) {
        for (topic, partitions) in &mut self.0 {
            for (partition, block) in (0..).zip(partitions).filter(|(_, block)| block.count > 0) {
                let mut key = prefix(topic, partition);
                key.extend_from_slice(&block.last.to_be_bytes());
                block.bytes[..4].copy_from_slice(&block.count.to_le_bytes());
                batch.put_cf(base.log(), key, &block.bytes);
            }
        }
    }

    /// Drops what the epoch before has left.
    pub fn clear(&mut self) {
        for block in self.0.values_mut().flatten() {
            block.count = 0;
            block.bytes.clear();
            block.bytes.shrink_to(SPARE);
        }
    }
}

fn write_bytes(bytes: Option<&[u8]>, out: &mut Vec<u8>) {
    let Some(bytes) = bytes else {
        out.extend_from_slice(&ABSENT.to_le_bytes());
        return;
    };
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

impl Base {
    /// Every record is kept, so a partition begins at 0.
    pub fn range(&self, topic: &str, partition: u32) -> Result<Range<u64>, LogError> {
        let prefix = prefix(topic, partition);
        let mut options = ReadOptions::default();
        options.set_iterate_range(prefix.clone()..prefix_end(&prefix));
        let mut blocks = self.db.raw_iterator_cf_opt(self.log(), options);
        blocks.seek_to_last();
        let end = match blocks.key() {
            Some(key) => last_offset(key).ok_or_else(|| unreadable(topic, partition, 0))? + 1,
            None => 0,
        };
        blocks.status().map_err(|error| failed(&error))?;
        Ok(0..end)
    }

    /// Records from offset `from` on, at most `limit`.
    pub fn read(&self, topic: &str, partition: u32, from: u64, limit: usize) -> Result<Vec<Logged>, LogError> {
        let prefix = prefix(topic, partition);
        let mut first = prefix.clone();
        first.extend_from_slice(&from.to_be_bytes());
        let mut options = ReadOptions::default();
        options.set_iterate_range(first..prefix_end(&prefix));
        let mut blocks = self.db.raw_iterator_cf_opt(self.log(), options);
        let mut records = Vec::new();
        blocks.seek_to_first();
        while let Some((key, value)) = blocks.item().filter(|_| records.len() < limit) {
            let last = last_offset(key).ok_or_else(|| unreadable(topic, partition, from))?;
            decode(last, value, from, limit, &mut records).ok_or_else(|| unreadable(topic, partition, last))?;
            blocks.next();
        }
        blocks.status().map_err(|error| failed(&error))?;
        Ok(records)
    }
}

fn failed(error: &rocksdb::Error) -> LogError {
    LogError(format!("the log cannot be read: {error}"))
}

fn unreadable(topic: &str, partition: u32, offset: u64) -> LogError {
    LogError(format!("{topic}[{partition}]: the records up to offset {offset} are not what was written"))
}

fn last_offset(key: &[u8]) -> Option<u64> {
    key.last_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}

/// Reads a value's records at or above `from` until there are `limit`.
fn decode(last: u64, mut bytes: &[u8], from: u64, limit: usize, records: &mut Vec<Logged>) -> Option<()> {
    let count = u64::from(take_number(&mut bytes)?);
    for offset in last.checked_add(1)?.checked_sub(count)?..=last {
        if records.len() >= limit {
            return Some(());
        }
        let (key, value) = (take_bytes(&mut bytes)?, take_bytes(&mut bytes)?);
        let mut headers = Vec::new();
        for _ in 0..take_number(&mut bytes)? {
            let (name, value) = (take_bytes(&mut bytes)??, take_bytes(&mut bytes)??);
            headers.push((std::str::from_utf8(name).ok()?.to_owned(), value.to_vec()));
        }
        if offset >= from {
            records.push(Logged { offset, key: key.map(<[u8]>::to_vec), value: value.map(<[u8]>::to_vec), headers });
        }
    }
    bytes.is_empty().then_some(())
}

fn take_number(bytes: &mut &[u8]) -> Option<u32> {
    let (number, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(u32::from_le_bytes(*number))
}

/// The outer option is whether there is something to read; the inner, what was written.
fn take_bytes<'a>(bytes: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let length = take_number(bytes)?;
    if length == ABSENT {
        return Some(None);
    }
    let (taken, rest) = bytes.split_at_checked(length as usize)?;
    *bytes = rest;
    Some(Some(taken))
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::Index;
    use proptest::test_runner::RngSeed;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 5_000,
            rng_seed: RngSeed::Fixed(1),
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn any_bytes_are_a_block_or_none(
            values in vec(prop::option::of(vec(any::<u8>(), 0..9)), 1..5),
            edits in vec((any::<Index>(), vec(any::<u8>(), 0..6)), 0..3),
            last in prop_oneof![0..9_u64, Just(u64::MAX)],
        ) {
            let mut bytes = (values.len() as u32).to_le_bytes().to_vec();
            for value in &values {
                write_bytes(None, &mut bytes);
                write_bytes(value.as_deref(), &mut bytes);
                bytes.extend_from_slice(&0_u32.to_le_bytes());
            }
            for (place, put) in edits {
                let place = place.index(bytes.len());
                let end = (place + put.len()).min(bytes.len());
                bytes.splice(place..end, put);
            }
            let mut records = Vec::new();
            let read = decode(last, &bytes, 0, usize::MAX, &mut records);
            prop_assert!(12 * records.len() <= bytes.len());
            prop_assert!(read.is_none() || records.last().is_none_or(|record| record.offset == last));
        }
    }

    #[test]
    fn a_block_gives_back_its_records_from_any_offset() {
        let mut blocks = Blocks::default();
        blocks.append("t", 3, 6, None, Some(b"of an epoch before"), [].into_iter());
        blocks.clear();
        for (offset, key, value) in [(7, Some("a"), Some("1")), (8, None, Some("")), (9, Some(""), None)] {
            let headers = [("code", b"x".as_slice()), ("node", b"")];
            blocks.append(
                "t",
                3,
                offset,
                key.map(str::as_bytes),
                value.map(str::as_bytes),
                headers.into_iter().take(offset as usize - 7),
            );
        }
        assert_eq!(prefix("t", 3), b"t\0\0\0\0\x03");
        let mut block = blocks.0.remove("t").unwrap().pop().unwrap();
        block.bytes[..4].copy_from_slice(&block.count.to_le_bytes());
        for from in 0..=10 {
            let mut records = Vec::new();
            decode(block.last, &block.bytes, from, 2, &mut records).unwrap();
            let offsets: Vec<u64> = records.iter().map(|record| record.offset).collect();
            let expected: Vec<u64> = (7..=9).filter(|offset| *offset >= from).take(2).collect();
            assert_eq!(offsets, expected);
        }
        let mut records = Vec::new();
        decode(block.last, &block.bytes, 0, 9, &mut records).unwrap();
        assert_eq!(
            records[1],
            Logged { offset: 8, key: None, value: Some(vec![]), headers: vec![("code".into(), b"x".to_vec())] }
        );
        assert_eq!(records[2].headers.len(), 2);
        for cut in 0..block.bytes.len() {
            assert!(decode(block.last, &block.bytes[..cut], 0, 9, &mut Vec::new()).is_none(), "{cut}");
        }
    }
}
