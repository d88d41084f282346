//! What a file expects to see: of the state after a step, and of the log at the end.

use std::collections::BTreeMap;

use anyhow::{Result, bail, ensure};
use serde::Deserialize;
use tributary_account::{Account, Status};
use tributary_cli::verify::States;
use tributary_flow::{Page, Reader, partition_of};
use tributary_graph as graph;
use tributary_schemas::{AccountId, Amount};

use super::Driver;
use super::ledger::Ledger;

/// What should be seen.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Transactions by id.
    #[serde(default)]
    pub transactions: BTreeMap<String, Transaction>,
    /// Accounts by id; a system account as `world:EUR`, all its shards together.
    #[serde(default)]
    pub accounts: BTreeMap<String, Balance>,
    /// How many entries there are, those that funded the accounts included.
    pub entries: Option<usize>,
    /// Codes of the general ledger's alarms.
    #[serde(default)]
    pub alarms: Vec<String>,
}

/// A transaction: its status, or more.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Transaction {
    /// Where it stands.
    Status(String),
    /// Where it stands, and why.
    Told(Told),
}

/// What is told of a transaction.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// Where it stands.
    pub status: String,
    /// Codes of the reasons for its end, in any order.
    pub reasons: Option<Vec<String>>,
    /// How many postings it had.
    pub postings: Option<usize>,
    /// Values that its reasons give, among others.
    #[serde(default)]
    pub values: BTreeMap<String, String>,
}

/// An account's figures.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Balance {
    /// Posted balance.
    pub posted: Option<Amount>,
    /// Posted less held.
    pub available: Option<Amount>,
    /// Held.
    pub held: Option<Amount>,
    /// Reserved.
    pub reserved: Option<Amount>,
    /// Used of the daily limit.
    pub used_day: Option<Amount>,
    /// Used of the monthly limit.
    pub used_month: Option<Amount>,
    /// `open`, `frozen`, `closed`; `none` where there is no such account.
    pub status: Option<String>,
    /// Number of its last entry.
    pub sequence: Option<i64>,
}

impl Transaction {
    fn status(&self) -> &str {
        match self {
            Transaction::Status(status) | Transaction::Told(Told { status, .. }) => status,
        }
    }
}

/// An account's id without the shard.
#[must_use]
pub fn unsharded(id: &str) -> String {
    match id.parse::<AccountId>().ok().as_ref().and_then(AccountId::system) {
        Some(system) => format!("{}:{}", system.name, system.currency),
        None => id.to_owned(),
    }
}

/// Every account, the shards of system accounts together.
///
/// # Errors
/// State cannot be read.
pub fn accounts(states: &dyn States, partitions: u32) -> Result<BTreeMap<String, Account>> {
    let mut all: BTreeMap<String, Account> = BTreeMap::new();
    for partition in 0..partitions {
        states.with_state(&graph::account::NODE, partition, &mut |store| {
            for (id, account) in Reader::new(store).heads::<Account>(Page::all()) {
                all.entry(unsharded(&id))
                    .and_modify(|sum| {
                        sum.balance.0 += account.balance.0;
                        sum.sequence += account.sequence;
                    })
                    .or_insert(account);
            }
        })?;
    }
    Ok(all)
}

impl Expect {
    /// Compares with the state: statuses and balances.
    ///
    /// # Errors
    /// The first difference.
    pub fn check_state(&self, driver: &dyn Driver) -> Result<()> {
        for (id, expected) in &self.transactions {
            let partition = partition_of(id.as_bytes(), driver.log().partitions());
            let mut found = "none";
            driver.states().with_state(&graph::transaction::NODE, partition, &mut |store| {
                found = tributary_transaction::status(Reader::new(store), id).map_or("none", |status| status.name());
            })?;
            ensure!(found == expected.status(), "transaction {id} is {found}, expected {}", expected.status());
        }
        let accounts = if self.accounts.is_empty() {
            BTreeMap::new()
        } else {
            accounts(driver.states(), driver.log().partitions())?
        };
        for (id, expected) in &self.accounts {
            expected.check(id, accounts.get(id))?;
        }
        Ok(())
    }

    /// Compares with what the log tells: reasons, postings, entries, alarms.
    ///
    /// # Errors
    /// The first difference.
    pub fn check_ledger(&self, ledger: &Ledger, entries: usize) -> Result<()> {
        for (id, expected) in &self.transactions {
            let found = ledger.transactions.get(id);
            let status = found.map_or("none", |found| found.status.as_str());
            ensure!(
                status == expected.status(),
                "transaction {id} is told to be {found:?}, expected {}",
                expected.status()
            );
            let (Transaction::Told(expected), Some(found)) = (expected, found) else { continue };
            if let Some(reasons) = &expected.reasons {
                let mut reasons = reasons.clone();
                reasons.sort();
                ensure!(
                    found.reasons == reasons,
                    "transaction {id}: reasons {:?}, expected {reasons:?}",
                    found.reasons
                );
            }
            if let Some(postings) = expected.postings {
                ensure!(
                    found.postings == postings,
                    "transaction {id}: {} postings, expected {postings}",
                    found.postings
                );
            }
            for (name, value) in &expected.values {
                ensure!(
                    found.values.contains(&(name.clone(), value.clone())),
                    "transaction {id}: no reason says {name} {value}: {:?}",
                    found.values
                );
            }
        }
        if let Some(expected) = self.entries {
            ensure!(entries == expected, "{entries} entries, expected {expected}");
        }
        ensure!(ledger.alarms == self.alarms, "alarms {:?}, expected {:?}", ledger.alarms, self.alarms);
        Ok(())
    }
}

impl Balance {
    fn check(&self, id: &str, account: Option<&Account>) -> Result<()> {
        let status = account.map_or("none", |account| match account.status {
            Status::Open => "open",
            Status::Frozen => "frozen",
            Status::Closed => "closed",
        });
        if let Some(expected) = &self.status {
            ensure!(status == expected, "account {id} is {status}, expected {expected}");
        }
        let Some(account) = account else {
            if self.status.is_some() {
                return Ok(());
            }
            bail!("there is no account {id}");
        };
        if let Some(expected) = self.sequence {
            ensure!(account.sequence == expected, "account {id} has {} entries, expected {expected}", account.sequence);
        }
        for (what, expected, found) in [
            ("posted", self.posted, account.balance),
            ("available", self.available, account.available()),
            ("held", self.held, account.held),
            ("reserved", self.reserved, account.reserved),
            ("used of the day", self.used_day, account.used.in_day),
            ("used of the month", self.used_month, account.used.in_month),
        ] {
            if let Some(expected) = expected {
                ensure!(found == expected, "account {id}: {what} {found}, expected {expected}");
            }
        }
        Ok(())
    }
}
