//! The five bytes before every datum: a zero, and the writer schema's registry id in four bytes, big-endian. It is the
//! Confluent wire format, which every stock Avro client writes and reads.

use crate::DecodeError;

/// The first byte of a framed record.
pub const MAGIC: u8 = 0;

/// A value that begins with the frame of schema `id`; the datum is to follow.
#[must_use]
pub fn frame(id: u32) -> Vec<u8> {
    let mut value = Vec::with_capacity(256);
    value.push(MAGIC);
    value.extend_from_slice(&id.to_be_bytes());
    value
}

/// Takes the frame off: the writer schema's id, and the datum.
///
/// # Errors
/// Where the record is too short, or its first byte is not [`MAGIC`].
pub fn unframe(record: &[u8]) -> Result<(u32, &[u8]), DecodeError> {
    match record.split_first_chunk::<5>() {
        Some(([MAGIC, id @ ..], datum)) => Ok((u32::from_be_bytes(*id), datum)),
        Some(([other, ..], _)) => Err(DecodeError::new("frame", format!("the magic byte is {other}, not {MAGIC}"))),
        None => {
            let reason = format!("{} bytes, shorter than the zero byte and the four of a schema id", record.len());
            Err(DecodeError::new("frame", reason))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_comes_off_as_it_went_on() {
        let record = [frame(0x0102_0304).as_slice(), b"datum"].concat();
        assert_eq!(record[..5], [0, 1, 2, 3, 4]);
        assert_eq!(unframe(&record), Ok((0x0102_0304, b"datum".as_slice())));
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        for record in [b"".as_slice(), b"\0", b"\0\0\0\0", b"{\"type\":1}"] {
            assert!(unframe(record).is_err(), "{record:?}");
        }
    }
}
