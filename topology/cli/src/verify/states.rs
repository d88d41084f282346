//! The head of each chain against the account's state and against the read model; and a digest of every node's state.
//!
//! A store is somewhere in the history of its task, and the chains are somewhere in it too. They are compared where both
//! are at the same epoch, and a read model only where it has also read everything that the chains are made of.

use std::ops::ControlFlow;

use anyhow::Result;
use tributary_account::Account;
use tributary_flow::{Node, Page, Reader, Store, reader};
use tributary_graph::{ACCOUNTS_EVENTS, LEDGER_ENTRIES, NODES, account, account_view};
use tributary_query_api::views::account::Account as AccountRow;
use tributary_schemas::Hash;

use super::chains::Chains;
use super::{Audit, States};

/// An account as a store has it: sequence, balance and hash of its last entry.
type Heads = Vec<(String, (i64, i128, Hash))>;

/// Reads them.
type ReadHeads = fn(&Reader<'_>) -> Heads;

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
    let compared: [(_, _, ReadHeads); 2] =
        [(&account::NODE, "state", heads_of_state), (&account_view::NODE, "view", heads_of_view)];
    for (node, law, heads) in compared {
        let here = states.with_state(node, partition, &mut |store| match comparable(
            audit, node, partition, chains, store,
        ) {
            Ok(()) => compare(audit, law, partition, chains, heads(&Reader::new(store))),
            Err(why) => audit.report.uncompared("stores", why),
        })?;
        // Where the log has no account, a store that is not there is as good as one that holds none.
        if !here && !chains.accounts.is_empty() {
            audit.report.uncompared("stores", "they are not in the folder that --data names");
        }
    }
    Ok(())
}

/// Whether a store says of the chains' very entries what it says.
fn comparable(
    audit: &Audit<'_>,
    node: &'static Node,
    partition: u32,
    chains: &Chains,
    store: &dyn Store,
) -> Result<(), &'static str> {
    let reader = Reader::new(store);
    let Some(epoch) = audit.tasks.at_rest(node, partition) else {
        return Err("their tasks were at work when the audit began");
    };
    if reader.epoch() != epoch {
        return Err("they are at another epoch than the journals");
    }
    let lags = |topic: &str, end: u64| reader.position(topic) < end;
    if node.is_view() && (lags(ACCOUNTS_EVENTS.name, chains.events) || lags(LEDGER_ENTRIES.name, chains.entries)) {
        return Err("they have not read all entries");
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
