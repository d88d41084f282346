//! The wire language of Tributary: what a record on a topic is, in bytes, in JSON and in Rust.
//!
//! The `.avsc` files under `avro/<domain>/v1/` are the source. From them are generated, and committed:
//! the Rust types and their codec (`src/generated/`), and one self-contained schema per topic (`resolved/`).
//! A test regenerates and compares; `UPDATE=1 cargo test -p tributary-schemas --test generate` rewrites.
//!
//! - [`accounts`], [`transactions`], [`risk`], [`ledger`], [`platform`]: records by domain, and per topic an enum of
//!   its bodies that implements [`tributary_flow::Body`].
//! - [`value`]: money, currencies, ids, hashes, and the chart of system accounts.
//! - [`registry`]: schemas and their fixed ids, for a schema registry to serve.
//! - [`evolve`]: reading what was written with another version of a schema, and whether two versions fit.
//!
//! In JSON a body is its record's fields and a `type`; amounts are strings, times RFC 3339. In a compact format such as
//! postcard the records hold plain numbers; the body enums exist in Avro and JSON only.
//!
//! Deliberately absent: a general Avro library. The codec knows the shapes the schemas use, and the generator
//! refuses any other.
#![deny(missing_docs)]

mod codec;
mod envelope;
pub mod evolve;
mod generated;
pub mod registry;
pub mod value;

pub use generated::{accounts, ledger, platform, risk, transactions};
pub use platform::{AccountKind, Money, Reason, Side};
pub use registry::{schema, schema_id};
pub use value::{AccountId, Amount, Currency, Hash, Invalid, TransactionId};
