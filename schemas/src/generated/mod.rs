//! Generated from the schemas by `tests/generate`; do not edit.
#![allow(clippy::large_enum_variant, clippy::too_many_arguments)]

pub mod accounts;
pub mod ledger;
pub mod platform;
pub mod risk;
pub(crate) mod table;
pub mod transactions;
