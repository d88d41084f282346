//! What risk knows of one account: whether it is blocked, what it spent lately, what of that is still open, and whom it
//! has paid.
//!
//! ```text
//! not blocked --BlockParty--> blocked --UnblockParty--> not blocked
//! a transaction: (none) --LegRequested--> pending --final LegConfirmed | LegCancelled--> (none)
//! ```

use serde::{Deserialize, Serialize};
use tributary_flow::{Collection, Timestamp};
use tributary_schemas::{AccountId, Amount, Currency};

use crate::velocity::{Rolling, Tally};

/// The head of an account's state, there exactly while it is blocked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Since when.
    pub since: Timestamp,
    /// Why, as given.
    pub reason: String,
}

/// An account's state.
pub(crate) type State<'a> = tributary_flow::State<'a, Block>;

/// The windows of an account, by currency: one small row that every payment reads and writes.
pub static VELOCITY: Collection<String, Vec<Rolling>> = Collection::new(1);

/// Buckets that time has closed, by window (its seconds), currency and begin.
pub const BUCKETS: Collection<(u32, String, Timestamp), Tally> = Collection::new(2);

/// Transactions of which it is not yet known what becomes of them.
pub const PENDING: Collection<String, Pending> = Collection::new(3);

/// Whom the account has paid, and since when.
pub static PAYEES: Collection<String, Timestamp> = Collection::new(4);

/// What a transaction was counted with, kept until it ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// By currency.
    pub spent: Vec<Spent>,
    /// Payees who were new: known from the first posting on, for an attempt that failed has paid nobody.
    pub new_payees: Vec<AccountId>,
}

/// What one payment was counted with in one currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// Currency.
    pub currency: Currency,
    /// What was asked for.
    pub amount: Amount,
    /// What of it was posted.
    pub posted: Amount,
    /// Where it was counted: a window's seconds and a bucket's begin.
    pub buckets: Vec<(u32, Timestamp)>,
}
