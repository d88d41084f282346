//! An envelope in memory, as a reader takes it out of a record's bytes. Who writes a record that others read in the same
//! epoch keeps its envelope for them, so that it is made once and lent to all, instead of being read out of the bytes
//! by each.
//!
//! It may stand for the bytes only where it is exactly what their reader would make of them. So a reader takes it where the
//! bytes bear the id of the very schema that it reads by, and the body is of the type that its port has; any other record,
//! as one that another build wrote or that somebody changed the frame of, it reads as if it came out of the log. What is
//! left to trust is that reading undoes writing, which tests of every [`Body`] show. An envelope whose header the door would
//! not let through is not kept.
//!
//! Deliberately absent: envelopes of earlier epochs. What comes out of the log comes as bytes.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use crate::{Body, Header};

/// The envelope of a record, whatever the type of its body.
#[derive(Clone)]
pub struct InMemory(Arc<dyn Any + Send + Sync>);

struct Envelope<B> {
    header: Header,
    body: B,
}

impl InMemory {
    /// An envelope.
    pub fn new<B: Body>(header: Header, body: B) -> Self {
        InMemory(Arc::new(Envelope { header, body }))
    }

    /// What it holds, if its body is of this type.
    #[must_use]
    pub fn read<B: Body>(&self) -> Option<(&Header, &B)> {
        self.0.downcast_ref().map(|Envelope { header, body }| (header, body))
    }
}

impl fmt::Debug for InMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an envelope")
    }
}
