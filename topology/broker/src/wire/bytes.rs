//! Values as the protocol writes them: big-endian numbers, strings and arrays behind their lengths, and the compact forms of
//! flexible versions, whose lengths are varints, one more than they are. Source: <https://kafka.apache.org/protocol>.

use super::{Result, broken};

/// Writes values behind one another.
pub(super) trait Put {
    fn bytes(&mut self, bytes: &[u8]);

    fn i8(&mut self, value: i8) {
        self.bytes(&value.to_be_bytes());
    }

    fn i16(&mut self, value: i16) {
        self.bytes(&value.to_be_bytes());
    }

    fn i32(&mut self, value: i32) {
        self.bytes(&value.to_be_bytes());
    }

    fn i64(&mut self, value: i64) {
        self.bytes(&value.to_be_bytes());
    }

    fn flag(&mut self, value: bool) {
        self.i8(value.into());
    }

    /// How many entries an array has.
    fn count(&mut self, count: usize) {
        self.i32(length(count));
    }

    /// Bytes behind their length.
    fn blob(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.bytes(bytes);
    }

    fn text(&mut self, text: &str) {
        self.i16(i16::try_from(text.len()).expect("invariant: names are short"));
        self.bytes(text.as_bytes());
    }

    /// A number in groups of seven bits, the lowest first.
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes(&[value.to_le_bytes()[0] | 0x80]);
            value >>= 7;
        }
        self.bytes(&[value.to_le_bytes()[0]]);
    }

    /// How many entries a compact array has.
    fn compact_count(&mut self, count: usize) {
        self.varint(count as u64 + 1);
    }

    fn compact_text(&mut self, text: &str) {
        self.compact_count(text.len());
        self.bytes(text.as_bytes());
    }

    /// No tagged fields.
    fn no_tags(&mut self) {
        self.varint(0);
    }
}

impl Put for Vec<u8> {
    fn bytes(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// A length as the protocol has it.
pub(super) fn length(length: usize) -> i32 {
    i32::try_from(length).expect("invariant: an epoch is bounded far below")
}

/// A number whose sign is its lowest bit, so that small negative ones are short too.
pub(super) fn zigzag(value: i64) -> u64 {
    (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned()
}

/// An answer, read from its beginning on.
#[derive(Debug)]
pub(super) struct Answer {
    bytes: Vec<u8>,
    at: usize,
}

impl Answer {
    pub fn new(bytes: Vec<u8>) -> Self {
        Answer { bytes, at: 0 }
    }

    fn take(&mut self, many: usize) -> Result<&[u8]> {
        let from = self.at;
        let to =
            from.checked_add(many).filter(|to| *to <= self.bytes.len()).ok_or_else(|| broken("it is cut short"))?;
        self.at = to;
        Ok(&self.bytes[from..to])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub fn i16(&mut self) -> Result<i16> {
        self.array().map(i16::from_be_bytes)
    }

    pub fn i32(&mut self) -> Result<i32> {
        self.array().map(i32::from_be_bytes)
    }

    pub fn i64(&mut self) -> Result<i64> {
        self.array().map(i64::from_be_bytes)
    }

    pub fn byte(&mut self) -> Result<u8> {
        self.array().map(|[byte]: [u8; 1]| byte)
    }

    /// How many bytes are not read yet.
    #[cfg(test)]
    pub fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Reads an array, entry by entry; one that is null has none.
    pub fn each(&mut self, mut read: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        (0..self.i32()?).try_for_each(|_| read(self))
    }

    pub fn blob(&mut self) -> Result<Vec<u8>> {
        let many = usize::try_from(self.i32()?).unwrap_or(0);
        self.take(many).map(<[u8]>::to_vec)
    }

    /// A string; one that is null is empty.
    pub fn text(&mut self) -> Result<String> {
        let many = usize::try_from(self.i16()?).unwrap_or(0);
        let text = self.take(many)?;
        std::str::from_utf8(text).map(str::to_owned).map_err(|_| broken("a string is no UTF-8"))
    }

    pub fn varint(&mut self) -> Result<u64> {
        let mut value = 0;
        for shift in (0..63).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(broken("a number has no end"))
    }

    /// As [`Answer::each`], of a compact array.
    pub fn compact_each(&mut self, mut read: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        (0..self.varint()?.saturating_sub(1)).try_for_each(|_| read(self))
    }

    pub fn skip_compact_text(&mut self) -> Result<()> {
        let many = usize::try_from(self.varint()?.saturating_sub(1)).unwrap_or(usize::MAX);
        self.take(many).map(drop)
    }

    /// Passes over tagged fields, which are additions that we do not know.
    pub fn skip_tags(&mut self) -> Result<()> {
        for _ in 0..self.varint()? {
            self.varint()?;
            let many = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
            self.take(many)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut out = Vec::new();
        out.i16(-2);
        out.i32(3);
        out.i64(i64::MIN);
        out.flag(true);
        out.text("name");
        out.blob(b"bytes");
        out.varint(300);
        out.count(2);
        out.i16(7);
        out.i16(8);
        out.compact_text("compact");
        out.no_tags();
        let mut answer = Answer::new(out);
        assert_eq!((answer.i16(), answer.i32(), answer.i64()), (Ok(-2), Ok(3), Ok(i64::MIN)));
        assert_eq!((answer.byte(), answer.text(), answer.blob()), (Ok(1), Ok("name".into()), Ok(b"bytes".to_vec())));
        assert_eq!(answer.varint(), Ok(300));
        let mut entries = Vec::new();
        answer.each(|answer| answer.i16().map(|entry| entries.push(entry))).unwrap();
        assert_eq!(entries, [7, 8]);
        assert_eq!((answer.skip_compact_text(), answer.skip_tags()), (Ok(()), Ok(())));
        assert!(answer.byte().is_err(), "nothing is left");
    }

    #[test]
    fn an_answer_that_lies_about_its_lengths_is_refused() {
        for bytes in [vec![0x7f; 4], vec![0x7f; 1], Vec::new()] {
            assert!(Answer::new(bytes.clone()).text().is_err());
            assert!(Answer::new(bytes.clone()).blob().is_err());
            assert!(Answer::new(bytes.clone()).skip_compact_text().is_err());
            assert!(Answer::new(bytes).skip_tags().is_err());
        }
        assert!(Answer::new(vec![0xff; 12]).varint().is_err(), "it has no end");
        assert_eq!(
            (Answer::new(vec![0xff; 4]).blob(), Answer::new(vec![0xff; 2]).text()),
            (Ok(Vec::new()), Ok(String::new()))
        );
    }

    #[test]
    fn small_numbers_of_either_sign_are_short() {
        assert_eq!([0, -1, 1, -2, 2].map(zigzag), [0, 1, 2, 3, 4]);
        assert_eq!((zigzag(i64::MAX), zigzag(i64::MIN)), (u64::MAX - 1, u64::MAX));
    }
}
