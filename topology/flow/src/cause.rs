//! What a step is about, and what caused it.

use serde::{Deserialize, Serialize};

use crate::record::Input;
use crate::{EventId, Header};

/// What caused a step, as its outputs tell it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Cause<'a> {
    pub id: EventId,
    pub correlation: &'a str,
    pub actor: Option<&'a str>,
    pub traceparent: Option<&'a str>,
}

/// A record that a step is about.
#[derive(Clone, Copy)]
pub(crate) struct Arrived<'a> {
    pub header: &'a Header,
    pub input: &'a Input,
    /// What writing its envelope would give, where that is known.
    pub envelope: Option<&'a [u8]>,
}
