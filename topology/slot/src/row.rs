//! What a store knows of its own past.

use tributary_flow::Timestamp;

/// What the store of a task knows of its own past. It is written with every change of the store, in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The application's partition count when the store was made.
    pub partitions: u32,
    /// Everything in the changelog below this offset is in the store; 0 of a view, which has none.
    pub changelog: u64,
    /// When the store was last at its changelog's end, or begun with nothing in it.
    pub advanced: Timestamp,
    /// Names this history of the state: inherited through the changelog, new after a rebuild from inputs. Zeros until
    /// the first epoch has written it. Of a view, which has no history but its inputs', the log's name.
    pub lineage: [u8; 16],
}

impl Row {
    /// Raised with what a store may hold: one of a view from before views were made of their inputs may have a part of an epoch.
    const VERSION: u8 = 4;

    /// As bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![Self::VERSION];
        out.extend_from_slice(&self.partitions.to_be_bytes());
        out.extend_from_slice(&self.changelog.to_be_bytes());
        out.extend_from_slice(&self.advanced.0.to_be_bytes());
        out.extend_from_slice(&self.lineage);
        out
    }

    /// From bytes; nothing where they are of another version.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        let (partitions, rest) = rest.split_first_chunk()?;
        let (changelog, rest) = rest.split_first_chunk()?;
        let (advanced, lineage) = rest.split_first_chunk()?;
        (*version == Self::VERSION).then_some(Row {
            partitions: u32::from_be_bytes(*partitions),
            changelog: u64::from_be_bytes(*changelog),
            advanced: Timestamp(i64::from_be_bytes(*advanced)),
            lineage: lineage.try_into().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read_as_it_was_written_and_another_version_is_none() {
        let row = Row { partitions: 4, changelog: 1 << 40, advanced: Timestamp(-5), lineage: [7; 16] };
        let mut bytes = row.encode();
        assert_eq!(Row::decode(&bytes), Some(row));
        assert_eq!(Row::decode(&bytes[1..]), None);
        bytes[0] = 9;
        assert_eq!(Row::decode(&bytes), None);
    }
}
