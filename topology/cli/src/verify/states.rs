//! The head of each chain against the account's state and against the read model; and a digest of every node's state.

use std::ops::ControlFlow;

use anyhow::Result;
use tributary_account::Account;
use tributary_flow::{Page, Reader, reader};
use tributary_graph::{NODES, account, account_view};
use tributary_query_api::views::account::Account as AccountRow;

use super::chains::Chains;
use super::{Audit, States};

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
    states.with_state(&account::NODE, partition, &mut |store| {
        let accounts: Vec<(String, Account)> = Reader::new(store).heads(Page::all());
        compare(
            audit,
            "state",
            partition,
            chains,
            accounts.into_iter().map(|(id, account)| (id, account.sequence, account.balance.0, account.last_hash)),
        );
    })?;
    states.with_state(&account_view::NODE, partition, &mut |store| {
        let accounts: Vec<(String, AccountRow)> = Reader::new(store).heads(Page::all());
        compare(
            audit,
            "view",
            partition,
            chains,
            accounts
                .into_iter()
                .filter(|(_, row)| row.terms.is_some())
                .map(|(id, row)| (id, row.sequence.cast_signed(), row.posted.0, row.hash)),
        );
    })?;
    Ok(())
}

fn compare(
    audit: &mut Audit<'_>,
    law: &'static str,
    partition: u32,
    chains: &Chains,
    accounts: impl Iterator<Item = (String, i64, i128, tributary_schemas::Hash)>,
) {
    let mut seen = 0;
    for (id, sequence, posted, hash) in accounts {
        seen += 1;
        let place = format!("{law} of partition {partition}");
        let Some(chain) = chains.get(&id) else {
            audit.report.violation(law, place, format!("account {id}"), "held in state and never opened in the log");
            continue;
        };
        if (chain.sequence, chain.balance.0, chain.hash) != (sequence, posted, hash) {
            let detail = format!(
                "state says sequence {sequence}, balance {posted}, hash {hash}; the chain ends with {}, {}, {}",
                chain.sequence, chain.balance.0, chain.hash
            );
            audit.report.violation(law, place, format!("account {id}"), detail);
        }
    }
    if seen > 0 && seen != chains.len() {
        let detail = format!("{seen} accounts in state, {} in the log", chains.len());
        audit.report.violation(law, format!("{law} of partition {partition}"), "accounts", detail);
    }
}
