//! Records as the log keeps them: a batch of the second version, all of one partition, transaction and sequence. Source:
//! <https://kafka.apache.org/documentation/#recordbatch>. Deliberately absent: compression, which takes of the processor
//! what it saves of the network; a topic's `compression.type` has the broker do it.

use tributary_slot::Outgoing;

use super::bytes::{Put, length, zigzag};

/// Bytes before the records.
pub(super) const HEADER: usize = 61;
/// Where the checksum begins to count.
const CHECKED: usize = 21;
/// Most bytes that a record takes beside its key, value and headers: lengths, its place, and the length of the whole.
const FRAMING: usize = 32;
/// Same for each header.
const HEADER_FRAMING: usize = 10;
/// The attribute of a batch that is part of a transaction.
const TRANSACTIONAL: i16 = 0x10;

/// Who writes: what the coordinator has given a transactional id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub producer: i64,
    pub epoch: i16,
}

/// A batch that grows.
#[derive(Debug)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    records: i32,
}

/// Most bytes that a record can take in a batch.
pub(super) fn most(record: &Outgoing<'_>) -> usize {
    record.size() + FRAMING + record.headers.len() * HEADER_FRAMING
}

impl Batch {
    /// A batch in this memory.
    pub fn new(mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        bytes.resize(HEADER, 0);
        Batch { bytes, records: 0 }
    }

    pub fn records(&self) -> i32 {
        self.records
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn into_memory(self) -> Vec<u8> {
        self.bytes
    }

    pub fn push(&mut self, record: &Outgoing<'_>) {
        let place = zigzag(self.records.into());
        let of = |bytes: Option<&[u8]>| bytes.map_or(1, |bytes| sized(bytes.len()) + bytes.len());
        let headers: usize =
            record.headers.iter().map(|(name, value)| of(Some(name.as_bytes())) + of(Some(value))).sum();
        let many = varint_len(zigzag(length(record.headers.len()).into()));
        let size = 2 + varint_len(place) + of(record.key) + of(record.value) + many + headers;
        let out = &mut self.bytes;
        out.reserve(size + 5);
        out.varint(zigzag(length(size).into()));
        out.bytes(&[0, 0]); // No attributes, and the time of the batch.
        out.varint(place);
        put(out, record.key);
        put(out, record.value);
        out.varint(zigzag(length(record.headers.len()).into()));
        for (name, value) in record.headers {
            put(out, Some(name.as_bytes()));
            put(out, Some(value));
        }
        self.records += 1;
    }

    /// Fills in what stands before the records: `now` in milliseconds since 1970, `sequence` the number of the first record
    /// in its partition, as the broker counts what it has from this producer.
    pub fn seal(&mut self, identity: Identity, sequence: i32, now: i64) {
        let mut header = Vec::with_capacity(HEADER);
        header.i64(0); // The broker gives the offset.
        header.i32(length(self.bytes.len() - 12));
        header.i32(-1);
        header.i8(2);
        header.i32(0); // The checksum, below.
        header.i16(TRANSACTIONAL);
        header.i32(self.records - 1);
        header.i64(now);
        header.i64(now);
        header.i64(identity.producer);
        header.i16(identity.epoch);
        header.i32(sequence);
        header.i32(self.records);
        self.bytes[..HEADER].copy_from_slice(&header);
        let checksum = crc32c::crc32c(&self.bytes[CHECKED..]);
        self.bytes[CHECKED - 4..CHECKED].copy_from_slice(&checksum.to_be_bytes());
    }
}

/// The sequence behind `records` more: it goes round, and is never negative.
pub(super) fn behind(sequence: i32, records: i32) -> i32 {
    sequence.wrapping_add(records) & i32::MAX
}

/// Absent is a length of minus one; present and empty is not.
fn put(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    out.varint(zigzag(bytes.map_or(-1, |bytes| length(bytes.len()).into())));
    out.bytes(bytes.unwrap_or_default());
}

fn sized(length_of: usize) -> usize {
    varint_len(zigzag(length(length_of).into()))
}

fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::bytes::Answer;
    use super::*;

    const US: Identity = Identity { producer: 7, epoch: 3 };

    fn record<'a>(
        key: Option<&'a [u8]>,
        value: Option<&'a [u8]>,
        headers: &'a [(&'static str, Vec<u8>)],
    ) -> Outgoing<'a> {
        Outgoing { topic: "topic", partition: 0, key, value, headers, number: None }
    }

    fn signed(answer: &mut Answer) -> i64 {
        let value = answer.varint().unwrap();
        (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
    }

    fn bytes(answer: &mut Answer) -> Option<Vec<u8>> {
        let many = signed(answer);
        (many >= 0).then(|| (0..many).map(|_| answer.byte().unwrap()).collect())
    }

    #[test]
    fn a_batch_of_one_is_laid_out_as_the_broker_reads_it() {
        let mut batch = Batch::new(Vec::new());
        batch.push(&record(Some(b"k"), None, &[("h", b"v".to_vec())]));
        batch.seal(US, 5, 1_000);
        let bytes = batch.bytes();
        assert_eq!(bytes[..8], [0; 8], "the offset is the broker's to give");
        assert_eq!(bytes[8..17], [0, 0, 0, 61, 0xff, 0xff, 0xff, 0xff, 2], "length, leader's epoch, version");
        assert_eq!(bytes[17..21], crc32c::crc32c(&bytes[21..]).to_be_bytes());
        assert_eq!(bytes[21..27], [0, 0x10, 0, 0, 0, 0], "of a transaction; the last record is the first");
        assert_eq!(bytes[27..43], [1_000_i64.to_be_bytes(); 2].concat());
        assert_eq!(bytes[43..61], [&7_i64.to_be_bytes()[..], &[0, 3, 0, 0, 0, 5, 0, 0, 0, 1]].concat());
        assert_eq!(bytes[61..], [22, 0, 0, 0, 2, b'k', 1, 2, 2, b'h', 2, b'v'], "a record of eleven bytes");
    }

    proptest! {
        #[test]
        fn what_is_pushed_lies_in_the_batch_and_takes_no_more_than_said(
            records in prop::collection::vec((any::<Option<Vec<u8>>>(), prop::option::of(prop::collection::vec(any::<u8>(), 0..300)), 0_usize..3), 1..80)
        ) {
            let headers = [("a", vec![1]), ("name", Vec::new())];
            let mut batch = Batch::new(vec![9; 100]);
            for (key, value, many) in &records {
                let record = record(key.as_deref(), value.as_deref(), &headers[..*many.min(&2)]);
                let before = batch.bytes().len();
                batch.push(&record);
                prop_assert!(batch.bytes().len() - before <= most(&record));
            }
            prop_assert_eq!(batch.records() as usize, records.len());
            let mut answer = Answer::new(batch.bytes()[HEADER..].to_vec());
            for (place, (key, value, many)) in (0..).zip(&records) {
                let size = signed(&mut answer);
                let left = answer.left();
                prop_assert_eq!((answer.byte(), answer.byte(), signed(&mut answer)), (Ok(0), Ok(0), place));
                prop_assert_eq!(&bytes(&mut answer), key);
                prop_assert_eq!(&bytes(&mut answer), value);
                let count = signed(&mut answer);
                prop_assert_eq!(count as usize, (*many).min(2));
                for (name, value) in &headers[..(*many).min(2)] {
                    prop_assert_eq!(bytes(&mut answer), Some(name.as_bytes().to_vec()));
                    prop_assert_eq!(bytes(&mut answer), Some(value.clone()));
                }
                prop_assert_eq!((left - answer.left()) as i64, size);
            }
            prop_assert_eq!(answer.left(), 0);
        }
    }

    #[test]
    fn a_sequence_goes_round() {
        assert_eq!(behind(i32::MAX - 1, 1), i32::MAX);
        assert_eq!(behind(i32::MAX, 1), 0);
        assert_eq!(behind(i32::MAX - 2, 5), 2);
    }
}
