//! Law 4: entries are immutable and hash-chained per account. Recomputes every hash, sequence and balance.

use std::collections::HashMap;

use tributary_account::entry_hash;
use tributary_flow::{Body, LogError};
use tributary_graph::{ACCOUNTS_EVENTS, LEDGER_ENTRIES};
use tributary_schemas::accounts::AccountEvent;
use tributary_schemas::ledger::Entry;
use tributary_schemas::{AccountKind, Amount, Hash};

use super::entries::{Entries, is_derived};
use super::{Audit, place};

/// What the log says of an account.
pub(super) struct Chain {
    pub kind: AccountKind,
    pub system: bool,
    /// The lowest floor it ever had: how far it may have gone below zero.
    pub floor: Amount,
    pub sequence: i64,
    pub balance: Amount,
    pub hash: Hash,
}

/// The accounts of a partition.
pub(super) type Chains = HashMap<String, Chain>;

pub(super) fn check(audit: &mut Audit<'_>, partition: u32, entries: &mut Entries) -> Result<Chains, LogError> {
    let mut chains = Chains::new();
    audit.visit(&ACCOUNTS_EVENTS, partition, |report, decoder, record| {
        let at = place(&ACCOUNTS_EVENTS, partition, record.offset);
        match decoder.body::<AccountEvent>(&ACCOUNTS_EVENTS, &record) {
            Err(error) => report.violation("decodable", at, "an account event", error),
            Ok((_, AccountEvent::AccountOpened(opened))) => {
                report.count("accounts", 1);
                let id = opened.account_id.as_str().to_owned();
                let chain = Chain {
                    kind: opened.kind,
                    system: opened.system,
                    floor: opened.floor,
                    sequence: 0,
                    balance: Amount::ZERO,
                    hash: Hash::ZERO,
                };
                if chains.insert(id, chain).is_some() {
                    report.violation("opened once", at, opened.account_id, "the account was open already");
                }
            }
            Ok((_, AccountEvent::AccountUpdated(updated))) => {
                if let Some(chain) = chains.get_mut(updated.account_id.as_str()) {
                    chain.floor = Amount(chain.floor.0.max(updated.floor.0));
                }
            }
            Ok(_) => {}
        }
    })?;
    audit.visit(&LEDGER_ENTRIES, partition, |report, decoder, record| {
        let at = place(&LEDGER_ENTRIES, partition, record.offset);
        let key = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into_owned();
        let account = format!("account {key}");
        let (header, entry) = match decoder.body::<Entry>(&LEDGER_ENTRIES, &record) {
            Err(error) => return report.violation("decodable", at, account, error),
            Ok((header, entry)) => {
                let mut bytes = Vec::with_capacity(512);
                entry.encode(&header, &mut bytes);
                // Some bits decide nothing when they are read: the bytes must be the very ones that are written.
                if decoder.datum(&LEDGER_ENTRIES, &record).ok().as_deref() != Some(bytes.as_slice()) {
                    report.violation("immutable", &at, &account, "it is not encoded as it was written");
                }
                let Entry::EntryPosted(entry) = entry;
                (header, entry)
            }
        };
        report.count("entries", 1);
        entries.seen(partition, record.offset, entry.hash, &header);
        if !is_derived(&header) {
            report.violation("immutable", &at, &account, "its id does not follow from its cause");
        }
        if entry.account_id.as_str() != key {
            report.violation("keyed", &at, &account, format!("the entry is about {}", entry.account_id));
        }
        let Some(chain) = chains.get_mut(&key) else {
            return report.violation("opened before", at, account, "the account was never opened");
        };
        let signed =
            if entry.side == chain.kind.normal_side() { entry.amount.amount.0 } else { -entry.amount.amount.0 };
        // A tampered amount may be any number.
        let balance = Amount(chain.balance.0.wrapping_add(signed));
        if entry.sequence != chain.sequence.wrapping_add(1) {
            report.violation(
                "gapless",
                &at,
                &account,
                format!("sequence {} follows {}", entry.sequence, chain.sequence),
            );
        }
        if entry.previous_hash != chain.hash {
            report.violation(
                "chained",
                &at,
                &account,
                format!("previous hash {} is not {}", entry.previous_hash, chain.hash),
            );
        }
        let computed = entry_hash(&entry);
        if entry.hash != computed {
            report.violation("immutable", &at, &account, format!("hash {} is not the entry's {computed}", entry.hash));
        }
        if entry.balance != balance {
            report.violation("balance", &at, &account, format!("balance after is {} and not {balance}", entry.balance));
        }
        if !chain.system && entry.balance.0 < -chain.floor.0 {
            report.violation(
                "floor",
                &at,
                &account,
                format!("balance {} is below the floor -{}", entry.balance, chain.floor),
            );
        }
        (chain.sequence, chain.balance, chain.hash) = (entry.sequence, entry.balance, entry.hash);
    })?;
    Ok(chains)
}
