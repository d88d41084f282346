//! The views are equal to a recount: what they show of each account and each transaction is what an outsider counts who
//! reads the facts and keeps nothing else.

use std::collections::{BTreeMap, HashMap};

use anyhow::Result;
use tributary_flow::{Page, Reader};
use tributary_graph::{account_view, transaction_view};
use tributary_query_api::views::account::{Account, Sides, Status as AccountStatus};
use tributary_query_api::views::transaction::{ARRIVED, Status, Totals, Transaction};
use tributary_schemas::accounts::AccountEvent;
use tributary_schemas::ledger::{Entry, Journal};
use tributary_schemas::risk::PartyEvent;
use tributary_schemas::transactions::{TransactionEvent, TransactionInitiated};
use tributary_schemas::{Amount, Hash, Side};

use super::{Body, Checker, Found, Seen, Told};
use crate::proof::workload::Sent;

/// An account, counted.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counted {
    opened: bool,
    floor: Amount,
    status: AccountStatus,
    blocked: bool,
    posted: Amount,
    sequence: u64,
    hash: Hash,
}

/// A transaction, counted.
#[derive(Debug, Default, PartialEq, Eq)]
struct Met {
    initiated: Option<TransactionInitiated>,
    status: Status,
    postings: u32,
    posted: BTreeMap<i32, Amount>,
}

/// What was counted so far.
#[derive(Default)]
pub struct Recount {
    accounts: HashMap<String, Counted>,
    transactions: HashMap<String, Met>,
    /// Journal records, and the sum of their debits and credits, by partition.
    journal: BTreeMap<u32, (u64, i128, i128)>,
}

impl Recount {
    fn account(&mut self, key: &str, event: &AccountEvent) {
        if matches!(event, AccountEvent::AccountRefused(_)) {
            return;
        }
        let counted = self.accounts.entry(key.to_owned()).or_default();
        match event {
            AccountEvent::AccountOpened(opened) => (counted.opened, counted.floor) = (true, opened.floor),
            AccountEvent::AccountUpdated(updated) => counted.floor = updated.floor,
            AccountEvent::AccountFrozen(_) => counted.status = AccountStatus::Frozen,
            AccountEvent::AccountUnfrozen(_) => counted.status = AccountStatus::Open,
            AccountEvent::AccountClosed(_) => counted.status = AccountStatus::Closed,
            AccountEvent::AccountRefused(_) => {}
        }
    }

    fn transaction(&mut self, key: &str, event: &TransactionEvent) {
        use TransactionEvent as E;
        if matches!(event, E::TransactionRefused(_)) {
            return;
        }
        let met = self.transactions.entry(key.to_owned()).or_default();
        met.status = match event {
            E::TransactionInitiated(initiated) => {
                met.initiated = Some(initiated.clone());
                Status::Initiated
            }
            E::TransactionPosting(posting) => {
                met.postings = posting.posting.cast_unsigned();
                for line in &posting.lines {
                    met.posted.entry(line.line).or_default().0 += line.amount.0;
                }
                met.status
            }
            E::TransactionHeld(_) | E::TransactionPosted(_) => Status::Held,
            E::TransactionOnHold(_) => Status::OnHold,
            E::TransactionCompleted(_) => Status::Completed,
            E::TransactionFailed(_) => Status::Failed,
            E::TransactionCancelled(_) => Status::Cancelled,
            E::TransactionExpired(_) => Status::Expired,
            E::TransactionRefused(_) => met.status,
        };
    }

    fn compare_accounts(&self, reader: Reader<'_>, found: &mut Found) -> usize {
        let rows: Vec<(String, Account)> = reader.heads(Page::all());
        for (id, row) in &rows {
            let shown = Counted {
                opened: row.terms.is_some(),
                floor: row.terms.as_ref().map_or(Amount::ZERO, |terms| terms.floor),
                status: row.status,
                blocked: row.blocked,
                posted: row.posted,
                sequence: row.sequence,
                hash: row.hash,
            };
            let none = Counted::default();
            let counted = self.accounts.get(id).unwrap_or(&none);
            if *counted != shown {
                found.wrong(format!("account {id}: the view shows {shown:?}, and a recount gives {counted:?}"));
            }
            if row.pending != Sides::default() || row.in_transit != 0 {
                let (pending, transit) = (row.pending, row.in_transit);
                found.wrong(format!(
                    "account {id}: the view shows {pending:?} pending and {transit} in transit at rest"
                ));
            }
        }
        rows.iter().filter(|(id, _)| self.accounts.contains_key(id)).count()
    }

    fn compare_transactions(&self, reader: Reader<'_>, partition: u32, found: &mut Found) -> usize {
        let rows: Vec<(String, Transaction)> = reader.heads(Page::all());
        for (id, row) in &rows {
            let shown = Met {
                initiated: row.initiated.clone(),
                status: row.status,
                postings: row.postings,
                posted: row.posted.clone(),
            };
            let none = Met::default();
            let met = self.transactions.get(id).unwrap_or(&none);
            if *met != shown {
                found.wrong(format!("transaction {id}: the view shows {shown:?}, and a recount gives {met:?}"));
            }
        }
        let arrived: Vec<(u64, _)> = reader.index(&ARRIVED, Page::all());
        let mut sums = (arrived.len() as u64, 0, 0);
        for (_, (_, Totals(totals))) in &arrived {
            for (debits, credits) in totals.values() {
                sums = (sums.0, sums.1 + debits, sums.2 + credits);
            }
        }
        let counted = self.journal.get(&partition).copied().unwrap_or_default();
        if counted != sums {
            found.wrong(format!(
                "the trial balance of partition {partition} is made of {sums:?} (records, debits, credits), and a recount gives {counted:?}"
            ));
        }
        rows.len()
    }
}

impl Checker for Recount {
    fn name(&self) -> &'static str {
        "recount"
    }

    fn told(&mut self, told: &Told, _: &Sent, _: &mut Found) {
        match &told.body {
            Body::Account(event) => self.account(&told.key, event),
            Body::Transaction(event) => self.transaction(&told.key, event),
            Body::Party(event) => match event {
                PartyEvent::PartyBlocked(_) => self.accounts.entry(told.key.clone()).or_default().blocked = true,
                PartyEvent::PartyUnblocked(_) => self.accounts.entry(told.key.clone()).or_default().blocked = false,
                PartyEvent::PartyRefused(_) => {}
            },
            Body::Entry(Entry::EntryPosted(entry)) => {
                let counted = self.accounts.entry(told.key.clone()).or_default();
                // Seen in order, so the last one stands.
                counted.posted = entry.balance;
                counted.sequence += 1;
                counted.hash = entry.hash;
            }
            Body::Journal(Journal::JournalPosted(posted)) => {
                let sums = self.journal.entry(told.partition).or_default();
                sums.0 += 1;
                for line in &posted.lines {
                    match line.side {
                        Side::Debit => sums.1 += line.amount.amount.0,
                        Side::Credit => sums.2 += line.amount.amount.0,
                    }
                }
            }
            _ => {}
        }
    }

    fn rest(&mut self, seen: &Seen<'_>, found: &mut Found) -> Result<()> {
        let (mut accounts, mut transactions) = (0, 0);
        for partition in 0..seen.log.partitions() {
            seen.states.with_state(&account_view::NODE, partition, &mut |store| {
                accounts += self.compare_accounts(Reader::new(store), found);
            })?;
            seen.states.with_state(&transaction_view::NODE, partition, &mut |store| {
                transactions += self.compare_transactions(Reader::new(store), partition, found);
            })?;
        }
        let counted = (self.accounts.len(), self.transactions.len());
        if (accounts, transactions) != counted {
            found.wrong(format!(
                "the views show {accounts} accounts and {transactions} transactions, and a recount gives {counted:?}"
            ));
        }
        Ok(())
    }
}
