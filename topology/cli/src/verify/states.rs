//! The head of each chain against the account's state and against the read model; and a digest of every node's state.
//!
//! A store is somewhere in the history of its task, and the chains are somewhere in it too. They are compared where both
//! are at the same epoch, and a read model where it has read exactly what the chains are made of.

use std::cmp::Ordering;
use std::ops::ControlFlow;

use anyhow::Result;
use tributary_account::Account;
use tributary_flow::{Page, Reader, reader};
use tributary_graph::{ACCOUNTS_EVENTS, LEDGER_ENTRIES, NODES, account, account_view};
use tributary_query_api::views::account::Account as AccountRow;
use tributary_schemas::Hash;

use super::chains::Chains;
use super::{Audit, States};

/// An account as a store has it: sequence, balance and hash of its last entry.
type Heads = Vec<(String, (i64, i128, Hash))>;

pub(super) fn check(audit: &mut Audit<'_>, states: &dyn States, partition: u32, chains: &Chains) -> Result<()> {
    for node in NODES {
        let mut digest = None;
        states.with_state(node, partition, &mut |store| {
            let mut any = false;
            store.scan(&[], &[u8::MAX], false, &mut |_, _| {
                any = true;
                ControlFlow::Break(())
            });
            digest = any.then(|| reader::digest(store));
        })?;
        if let Some(digest) = digest {
            audit.report.digests.push((node.name.to_owned(), partition, digest));
        }
    }
    // Before the accounts' own state: where that is of the very moment to which the log was read, this is of no later one.
    let mut view = None;
    states.with_state(&account_view::NODE, partition, &mut |store| {
        let reader = Reader::new(store);
        view = Some((read_of(&reader, chains), heads_of_view(&reader)));
    })?;
    let mut state = None;
    states.with_state(&account::NODE, partition, &mut |store| {
        let reader = Reader::new(store);
        let comparable = is_at_epoch(&reader, audit.tasks.at_rest(&account::NODE, partition));
        state = Some((comparable, heads_of_state(&reader)));
    })?;
    let same_moment = matches!(state, Some((Ok(()), _)));
    let view = view.map(|(read, heads)| (is_of_moment(read, same_moment), heads));
    for (law, store) in [("state", state), ("view", view)] {
        match store {
            Some((Ok(()), heads)) => compare(audit, law, partition, chains, heads),
            Some((Err(why), _)) => audit.report.uncompared("stores", why),
            // Where the log has no account, a store that is not there is as good as one that holds none.
            None if chains.accounts.is_empty() => {}
            None => audit.report.uncompared("stores", "they are not in the folder that --data names"),
        }
    }
    Ok(())
}

/// Whether a store is where its task's journal ended.
fn is_at_epoch(reader: &Reader<'_>, at_rest: Option<u64>) -> Result<(), &'static str> {
    match at_rest {
        None => Err("their tasks were at work when the audit began"),
        Some(epoch) if reader.epoch() != epoch => Err("they are at another epoch than the journals"),
        Some(_) => Ok(()),
    }
}

/// How far a view has read of what the chains are made of.
fn read_of(reader: &Reader<'_>, chains: &Chains) -> [Ordering; 2] {
    let ends = [(ACCOUNTS_EVENTS.name, chains.events), (LEDGER_ENTRIES.name, chains.entries)];
    ends.map(|(topic, end)| reader.position(topic).cmp(&end))
}

/// Whether a view has read what the chains are made of, and no more; but where all is of one moment, there is no more.
fn is_of_moment(read: [Ordering; 2], same_moment: bool) -> Result<(), &'static str> {
    if read.contains(&Ordering::Less) {
        return Err("they have not read all entries");
    }
    if read.contains(&Ordering::Greater) && !same_moment {
        return Err("they have read more than the log held when the audit began");
    }
    Ok(())
}

fn heads_of_state(reader: &Reader<'_>) -> Heads {
    let accounts: Vec<(String, Account)> = reader.heads(Page::all());
    let head = |(id, account): (String, Account)| (id, (account.sequence, account.balance.0, account.last_hash));
    accounts.into_iter().map(head).collect()
}

fn heads_of_view(reader: &Reader<'_>) -> Heads {
    let rows: Vec<(String, AccountRow)> = reader.heads(Page::all());
    let opened = rows.into_iter().filter(|(_, row)| row.terms.is_some());
    opened.map(|(id, row)| (id, (row.sequence.cast_signed(), row.posted.0, row.hash))).collect()
}

fn compare(audit: &mut Audit<'_>, law: &'static str, partition: u32, chains: &Chains, heads: Heads) {
    let place = format!("{law} of partition {partition}");
    // A store that is there and holds no account at all is compared like any other.
    if heads.len() != chains.accounts.len() {
        let detail = format!("{} accounts in state, {} in the log", heads.len(), chains.accounts.len());
        audit.report.violation(law, &place, "accounts", detail);
    }
    for (id, (sequence, posted, hash)) in heads {
        let Some(chain) = chains.accounts.get(&id) else {
            let detail = "held in state and never opened in the log";
            audit.report.violation(law, &place, format!("account {id}"), detail);
            continue;
        };
        if (chain.sequence, chain.balance.0, chain.hash) != (sequence, posted, hash) {
            let detail = format!(
                "state says sequence {sequence}, balance {posted}, hash {hash}; the chain ends with {}, {}, {}",
                chain.sequence, chain.balance.0, chain.hash
            );
            audit.report.violation(law, &place, format!("account {id}"), detail);
        }
    }
}
