//! The five bytes before every datum: a zero, and the writer schema's registry id in four bytes, big-endian. It is the
//! Confluent wire format, which every stock Avro client writes and reads.

use tributary_flow::DecodeError;

/// The first byte of a framed record.
pub const MAGIC: u8 = 0;

/// How many bytes come before the datum.
pub const FRAME: usize = 5;

/// Writes the frame; the datum is to follow.
pub fn frame(id: u32, out: &mut Vec<u8>) {
    out.push(MAGIC);
    out.extend_from_slice(&id.to_be_bytes());
}

/// Takes the frame off: the writer schema's id, and the datum.
///
/// # Errors
/// Where the record is too short, or its first byte is not [`MAGIC`].
pub fn unframe(record: &[u8]) -> Result<(u32, &[u8]), DecodeError> {
    match record {
        [MAGIC, a, b, c, d, datum @ ..] => Ok((u32::from_be_bytes([*a, *b, *c, *d]), datum)),
        [MAGIC, ..] | [] => {
            Err(DecodeError::new("frame", format!("{} bytes, shorter than the 5 of a schema id's frame", record.len())))
        }
        [other, ..] => Err(DecodeError::new("frame", format!("the magic byte is {other}, not {MAGIC}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_comes_off_as_it_went_on() {
        let mut record = Vec::new();
        frame(0x0102_0304, &mut record);
        record.extend_from_slice(b"datum");
        assert_eq!(record[..FRAME], [0, 1, 2, 3, 4]);
        assert_eq!(unframe(&record), Ok((0x0102_0304, b"datum".as_slice())));
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        for record in [b"".as_slice(), b"\0", b"\0\0\0\0", b"{\"type\":1}"] {
            assert!(unframe(record).is_err(), "{record:?}");
        }
    }
}
