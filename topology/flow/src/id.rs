//! Identity. An event's id is derived from what caused it, never drawn and never taken from an offset: the same cause
//! gives the same id on every driver, in every replay, after every redrive.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// The identity of a fact or of a cause: the first 16 bytes of a BLAKE3 hash.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventId(pub [u8; 16]);

impl EventId {
    fn derive(kind: &str, parts: &[&[u8]]) -> Self {
        let size = kind.len() + parts.iter().map(|part| 8 + part.len()).sum::<usize>();
        // Hashed at once, which for so few bytes costs half of what a hasher does; and mostly there are few.
        let (mut few, mut many) = ([0; 256], Vec::new());
        let bytes = match few.get_mut(..size) {
            Some(few) => few,
            None => {
                many.resize(size, 0);
                many.as_mut_slice()
            }
        };
        let mut rest = &mut bytes[..];
        let mut write = |part: &[u8]| {
            let (place, left) = std::mem::take(&mut rest).split_at_mut(part.len());
            place.copy_from_slice(part);
            rest = left;
        };
        write(kind.as_bytes());
        for part in parts {
            // Lengths keep ("ab", "c") apart from ("a", "bc").
            write(&(part.len() as u64).to_le_bytes());
            write(part);
        }
        let mut id = [0; 16];
        id.copy_from_slice(&blake3::hash(bytes).as_bytes()[..16]);
        EventId(id)
    }

    /// The root of a cascade: a command, named by its key, its id and the digest of what it asks.
    #[must_use]
    pub fn of_command(topic: &str, key: &str, id: &str, digest: &[u8]) -> Self {
        Self::derive("command", &[topic.as_bytes(), key.as_bytes(), id.as_bytes(), digest])
    }

    /// A timer that fired: its node, key, name, deadline, and the event that set it, which tells one setting of a name
    /// from the next without a counter that would have to outlive the timer.
    #[must_use]
    pub fn of_timer(node: &str, key: &str, name: &[u8], deadline: Timestamp, set_by: EventId) -> Self {
        Self::derive("timer", &[node.as_bytes(), key.as_bytes(), name, &deadline.0.to_le_bytes(), &set_by.0])
    }

    /// The `ordinal`-th output of `node`'s step over the event `self`.
    #[must_use]
    pub fn output(self, node: &str, ordinal: u32) -> Self {
        Self::derive("output", &[&self.0, node.as_bytes(), &ordinal.to_le_bytes()])
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
