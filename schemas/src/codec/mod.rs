//! Avro's binary encoding, as the few primitives that the generated code is made of.
//!
//! The input of a decoder is hostile: every read is checked against what is left, a count is believed only as far as
//! there are bytes to back it, and the error says at which field it happened. Nothing is allocated but the fields
//! themselves. Blocks are written in the plain form (count, items, zero) and read in both forms.
//!
//! Deliberately absent: floats, nested unions, recursive records. The schemas have none, and the generator refuses them.

#[cfg(test)]
mod tests;
mod wire;

use tributary_flow::DecodeError;

/// A type with a place in a schema.
pub(crate) trait Wire: Sized {
    /// Reads a value in Avro's binary encoding.
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// Writes it in Avro's binary encoding.
    fn write(&self, out: &mut Vec<u8>);

    /// Writes what a digest is taken over. For a plain value that is its encoding; a record writes the names and values
    /// of the fields that differ from their defaults, so that a field added later changes no digest of an older request.
    fn canonical(&self, out: &mut Vec<u8>) {
        self.write(out);
    }
}

/// Names the field in which a read failed.
pub(crate) trait At {
    /// The same result, its error seen from the record that holds `field`.
    fn at(self, field: &str) -> Self;
}

impl<T> At for Result<T, DecodeError> {
    fn at(self, field: &str) -> Self {
        self.map_err(|error| error.within(field))
    }
}

/// An error at the place where the reader stands; the callers add the path.
pub(crate) fn fault(reason: impl Into<String>) -> DecodeError {
    DecodeError::new("", reason)
}

/// The bytes that are still to be read.
#[derive(Clone)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader at the first byte of `datum`.
    pub(crate) fn new(datum: &'a [u8]) -> Self {
        Reader { rest: datum }
    }

    /// How many bytes are left.
    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }

    /// The next `count` bytes.
    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            return Err(fault(format!("needs {count} bytes, {} are left", self.rest.len())));
        };
        self.rest = rest;
        Ok(taken)
    }

    /// The bytes from here to where a copy of this reader has come.
    pub(crate) fn until(&self, later: &Self) -> &'a [u8] {
        &self.rest[..self.rest.len() - later.rest.len()]
    }

    /// The next `N` bytes.
    pub(crate) fn fixed<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        Ok(bytes)
    }

    /// A zigzag varint of up to 64 bits.
    pub(crate) fn long(&mut self) -> Result<i64, DecodeError> {
        let mut value = 0_u64;
        for (index, byte) in self.rest.iter().enumerate().take(10) {
            if index == 9 && *byte > 1 {
                return Err(fault("the number is longer than 64 bits"));
            }
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                self.rest = &self.rest[index + 1..];
                return Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
            }
        }
        Err(fault("the number is cut off"))
    }

    /// A zigzag varint that must fit 32 bits.
    pub(crate) fn int(&mut self) -> Result<i32, DecodeError> {
        let value = self.long()?;
        i32::try_from(value).map_err(|_| fault(format!("{value} does not fit 32 bits")))
    }

    /// The bytes of an Avro `bytes` or `string`.
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.long()?;
        let length = usize::try_from(length).map_err(|_| fault(format!("a length cannot be {length}")))?;
        self.take(length)
    }

    /// The text of an Avro `string`.
    pub(crate) fn text(&mut self) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.bytes()?).map_err(|error| fault(format!("not UTF-8: {error}")))
    }

    /// The number of a union's branch or an enum's symbol, below `count`.
    pub(crate) fn index(&mut self, count: usize) -> Result<usize, DecodeError> {
        let index = self.long()?;
        match usize::try_from(index) {
            Ok(known) if known < count => Ok(known),
            _ => Err(fault(format!("no branch or symbol has the number {index}, there are {count}"))),
        }
    }

    /// Calls `item` for each item of an array or a map, over all its blocks.
    pub(crate) fn blocks(
        &mut self,
        mut item: impl FnMut(&mut Self, usize) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        let mut index = 0;
        loop {
            let count = self.long()?;
            if count == 0 {
                return Ok(());
            }
            let end = if count < 0 { Some(self.block_end()?) } else { None };
            // No item is empty, so a count above the bytes left is a lie.
            let count = count.unsigned_abs();
            if count > self.left() as u64 {
                return Err(fault(format!("says {count} items, {} bytes are left", self.left())));
            }
            for _ in 0..count {
                item(self, index).map_err(|error| error.within(&index.to_string()))?;
                index += 1;
            }
            if end.is_some_and(|end| end != self.left()) {
                return Err(fault("a block is not as long as it says"));
            }
        }
    }

    /// Reads a block's size in bytes; gives how many bytes must be left after the block.
    fn block_end(&mut self) -> Result<usize, DecodeError> {
        let size = self.long()?;
        usize::try_from(size)
            .ok()
            .and_then(|size| self.left().checked_sub(size))
            .ok_or_else(|| fault(format!("a block of {size} bytes, {} are left", self.left())))
    }

    /// Refuses bytes after the end.
    pub(crate) fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(DecodeError::new("datum", format!("{} bytes follow after its end", self.rest.len())))
    }
}

/// Writes a zigzag varint.
pub(crate) fn write_long(value: i64, out: &mut Vec<u8>) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while rest >= 0x80 {
        out.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Writes an Avro `bytes` or `string`.
pub(crate) fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    write_long(bytes.len() as i64, out);
    out.extend_from_slice(bytes);
}

/// Writes a field of a canonical record.
pub(crate) fn write_named<T: Wire>(name: &str, value: &T, out: &mut Vec<u8>) {
    write_bytes(name.as_bytes(), out);
    value.canonical(out);
}

/// The default of a flag that is set unless a client clears it.
pub(crate) fn yes() -> bool {
    true
}

/// Reads the unscaled value of a decimal: big-endian two's complement, at most 16 bytes. None at all is zero, as some
/// clients write it.
pub(crate) fn read_decimal(reader: &mut Reader<'_>) -> Result<i128, DecodeError> {
    let bytes = reader.bytes()?;
    if bytes.len() > 16 {
        return Err(fault(format!("a decimal of {} bytes; at most 16 are read", bytes.len())));
    }
    let sign = if bytes.first().is_some_and(|first| first & 0x80 != 0) { 0xff } else { 0 };
    let mut wide = [sign; 16];
    wide[16 - bytes.len()..].copy_from_slice(bytes);
    Ok(i128::from_be_bytes(wide))
}

/// Writes the unscaled value of a decimal in as few bytes as hold it.
pub(crate) fn write_decimal(value: i128, out: &mut Vec<u8>) {
    // Of the leading bits that are as the sign is, one has to stay.
    let alike = (value ^ (value >> 127)).leading_zeros() - 1;
    write_bytes(&value.to_be_bytes()[(alike as usize / 8).min(15)..], out);
}
