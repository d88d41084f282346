//! The schemas of the topics, each in one self-contained piece, and their fixed registry ids.
//!
//! The ids are committed in `ids.json`, so that a record framed by one build is read by every other. A user's own
//! registry gives ids of its own; then its answers count, not these.

use crate::generated::table::TABLE;

/// A version of a topic's schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its id, positive and never reused.
    pub id: u32,
    /// Full name of the envelope record.
    pub full_name: &'static str,
    /// From 1.
    pub version: u32,
    /// Whether this crate's types are of this version.
    pub newest: bool,
    /// The schema as JSON, self-contained.
    pub schema: &'static str,
}

/// All versions of all topics' schemas, by name and version.
#[must_use]
pub fn published() -> &'static [Published] {
    TABLE
}

/// Today's schema of an envelope, self-contained.
#[must_use]
pub fn schema(full_name: &str) -> Option<&'static str> {
    newest(full_name).map(|version| version.schema)
}

/// The id of today's schema of an envelope.
#[must_use]
pub fn schema_id(full_name: &str) -> Option<u32> {
    newest(full_name).map(|version| version.id)
}

/// The version that has this id.
#[must_use]
pub fn by_id(id: u32) -> Option<&'static Published> {
    TABLE.iter().find(|version| version.id == id)
}

fn newest(full_name: &str) -> Option<&'static Published> {
    TABLE.iter().find(|version| version.newest && version.full_name == full_name)
}
