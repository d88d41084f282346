//! Floors, at every entry and in every state: neither the balance nor what is available of it is ever further below zero
//! than the account was ever allowed to be. What was allowed is what clients asked for, not what any state says.

use anyhow::Result;
use tributary_account::Account;
use tributary_flow::{Page, Reader};
use tributary_graph::account;
use tributary_schemas::ledger::Entry;
use tributary_schemas::{AccountId, Amount};

use super::{Body, Checker, Found, Seen, Told};
use crate::load::plan::Draw;
use crate::proof::workload::Sent;

/// The checker. It remembers nothing.
pub struct Floors;

fn is_system(account: &str) -> bool {
    AccountId::parse(account).is_ok_and(|id| id.system().is_some())
}

fn check(sent: &Sent, at: &str, account: &str, figures: [(&str, Amount); 2], found: &mut Found) {
    let floor = sent.allowance(account);
    for (what, amount) in figures {
        if amount.0 < -floor.0 && !is_system(account) {
            found.wrong(format!("{at}: {what} of {account} is {amount}, and -{floor} is the lowest ever allowed"));
        }
    }
}

impl Checker for Floors {
    fn name(&self) -> &'static str {
        "floors"
    }

    fn told(&mut self, told: &Told, sent: &Sent, found: &mut Found) {
        if let Body::Entry(Entry::EntryPosted(entry)) = &told.body {
            let figures = [("the balance", entry.balance), ("what is available", entry.available)];
            check(sent, &told.at(), &told.key, figures, found);
        }
    }

    fn look(&mut self, seen: &Seen<'_>, draw: &mut Draw, found: &mut Found) -> Result<()> {
        let partition = draw.below(u64::from(seen.log.partitions())) as u32;
        seen.states.with_state(&account::NODE, partition, &mut |store| {
            let accounts: Vec<(String, Account)> = Reader::new(store).heads(Page::all());
            for (id, account) in accounts {
                let figures = [("the balance", account.balance), ("what is available", account.available())];
                check(seen.sent, &format!("state of account[{partition}]"), &id, figures, found);
            }
        })?;
        Ok(())
    }
}
