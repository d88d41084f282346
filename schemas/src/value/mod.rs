//! Value types: what a string or a number on the wire means, checked once, where it comes in.

mod amount;
pub mod chart;
mod currency;
mod hash;
mod id;
mod money;
#[cfg(test)]
mod tests;
mod text;
pub(crate) mod time;

use thiserror::Error;

pub use amount::Amount;
pub use currency::Currency;
pub use hash::Hash;
pub use id::{AccountId, System, TransactionId};

/// Why a text is no such value, and what would be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct Invalid(pub String);
