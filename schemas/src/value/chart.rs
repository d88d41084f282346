//! The chart of system accounts: the counterparties that a deployment has without opening them, one per currency and
//! shard. They have no floor, limit or freeze.

use crate::{AccountId, AccountKind};

/// A system account of the chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chart {
    /// Name, the first part of the id.
    pub name: &'static str,
    /// Kind.
    pub kind: AccountKind,
    /// One line for people.
    pub doc: &'static str,
}

/// All of them.
pub const CHART: [Chart; 4] = [
    Chart { name: "world", kind: AccountKind::Equity, doc: "Money that comes in from outside and goes out again." },
    Chart { name: "fees", kind: AccountKind::Income, doc: "What clients pay for service." },
    Chart { name: "position", kind: AccountKind::Asset, doc: "The open position in a currency." },
    Chart { name: "suspense", kind: AccountKind::Liability, doc: "What is not yet known to belong to anyone." },
];

/// The row of the chart that this id names, shard or none; nothing for a client's account and for a name that is not in
/// the chart.
#[must_use]
pub fn lookup(account: &AccountId) -> Option<&'static Chart> {
    let system = account.system()?;
    CHART.iter().find(|row| row.name == system.name)
}
