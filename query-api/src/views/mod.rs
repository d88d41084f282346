//! The views: processors without outputs. Their state is the read model, kept by the same engine as any other node's and written
//! with the same commits; a query reads it and nothing else.
//!
//! A view reads several topics of one key and may meet them in any order: an entry before the opening of its account, a
//! vote before its transaction. So each fact changes only what it knows, and what a view is follows from its inputs, byte for byte,
//! whatever the order; where a step needs an order (running balances, a history) it makes its own. On that rests that a view has
//! neither changelog nor journal: it is made again from its inputs.
//!
//! Deliberately absent: refusals and alarms. A view that cannot make sense of a fact shows it in the history as it came.

pub mod account;
mod bytes;
pub mod outcome;
pub mod transaction;

use serde::{Deserialize, Serialize};

pub use account::AccountView;
pub use outcome::Outcome;
pub use transaction::TransactionView;

/// The name of a timer that a view never sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Never {}
