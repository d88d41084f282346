//! The plain types and the containers on the wire.

use std::collections::BTreeMap;

use tributary_flow::{Date, DecodeError, EventId, Timestamp};

use super::{At, Reader, Wire, fault, write_bytes, write_long};

impl Wire for bool {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.fixed::<1>()? {
            [0] => Ok(false),
            [1] => Ok(true),
            [other] => Err(fault(format!("a boolean is 0 or 1, not {other}"))),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
}

impl Wire for i32 {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.int()
    }

    fn write(&self, out: &mut Vec<u8>) {
        write_long(i64::from(*self), out);
    }
}

impl Wire for i64 {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.long()
    }

    fn write(&self, out: &mut Vec<u8>) {
        write_long(*self, out);
    }
}

impl Wire for String {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.text().map(str::to_owned)
    }

    fn write(&self, out: &mut Vec<u8>) {
        write_bytes(self.as_bytes(), out);
    }
}

impl Wire for Timestamp {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.long().map(Timestamp)
    }

    fn write(&self, out: &mut Vec<u8>) {
        write_long(self.0, out);
    }
}

impl Wire for Date {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.int().map(Date)
    }

    fn write(&self, out: &mut Vec<u8>) {
        write_long(i64::from(self.0), out);
    }
}

impl Wire for EventId {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.fixed().map(EventId)
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
}

/// `["null", T]`, the only union besides a body.
impl<T: Wire> Wire for Option<T> {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.index(2)? {
            0 => Ok(None),
            _ => T::read(reader).map(Some),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        write_long(i64::from(self.is_some()), out);
        if let Some(value) = self {
            value.write(out);
        }
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_long(i64::from(self.is_some()), out);
        if let Some(value) = self {
            value.canonical(out);
        }
    }
}

/// What an array reserves before its first item: enough for a payment, nothing for an attack.
const RESERVED: usize = 4;

impl<T: Wire> Wire for Vec<T> {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut items = Vec::new();
        reader.blocks(|reader, _| {
            let item = T::read(reader)?;
            if items.is_empty() {
                items.reserve(RESERVED);
            }
            items.push(item);
            Ok(())
        })?;
        Ok(items)
    }

    fn write(&self, out: &mut Vec<u8>) {
        if !self.is_empty() {
            write_long(self.len() as i64, out);
            self.iter().for_each(|item| item.write(out));
        }
        out.push(0);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_long(self.len() as i64, out);
        self.iter().for_each(|item| item.canonical(out));
    }
}

impl Wire for BTreeMap<String, String> {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut entries = BTreeMap::new();
        reader.blocks(|reader, _| {
            let name = String::read(reader)?;
            let value = String::read(reader).at(&name)?;
            // As stock decoders do: the last of equal keys stands.
            entries.insert(name, value);
            Ok(())
        })?;
        Ok(entries)
    }

    fn write(&self, out: &mut Vec<u8>) {
        if !self.is_empty() {
            write_long(self.len() as i64, out);
            for (name, value) in self {
                name.write(out);
                value.write(out);
            }
        }
        out.push(0);
    }
}
