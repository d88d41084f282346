//! Law 4: entries are immutable and hash-chained per account. Recomputes every hash, sequence and balance.

use std::collections::HashMap;

use tributary_account::entry_hash;
use tributary_flow::{Body, Header, LogError, Logged};
use tributary_graph::{ACCOUNTS_EVENTS, LEDGER_ENTRIES};
use tributary_schemas::accounts::{AccountEvent, AccountOpened};
use tributary_schemas::ledger::{Entry, EntryPosted};
use tributary_schemas::{AccountKind, Amount, Hash};

use super::entries::{Entries, is_derived};
use super::{ACROSS, Audit, Decoder, Report, place};

/// What the log says of an account.
pub(crate) struct Chain {
    pub kind: AccountKind,
    pub system: bool,
    /// The lowest floor it ever had: how far it may have gone below zero.
    pub floor: Amount,
    pub sequence: i64,
    pub balance: Amount,
    pub hash: Hash,
}

/// The accounts of a partition.
#[derive(Default)]
pub(super) struct Chains {
    pub accounts: HashMap<String, Chain>,
    /// The offset after the last account event.
    pub events: u64,
    /// The offset after the last entry.
    pub entries: u64,
}

pub(super) fn check(audit: &mut Audit<'_>, partition: u32, entries: &mut Entries) -> Result<Chains, LogError> {
    let mut chains = Chains::default();
    audit.visit(&ACCOUNTS_EVENTS, partition, |report, decoder, record, _| {
        let at = place(&ACCOUNTS_EVENTS, partition, record.offset);
        chains.events = record.offset + 1;
        match decoder.body::<AccountEvent>(&ACCOUNTS_EVENTS, &record) {
            Err(error) => report.violation("decodable", at, "an account event", error),
            Ok((_, event)) => on_account(report, &mut chains, at, event),
        }
    })?;
    audit.visit(&LEDGER_ENTRIES, partition, |report, decoder, record, judged| {
        let at = place(&LEDGER_ENTRIES, partition, record.offset);
        chains.entries = record.offset + 1;
        let key = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into_owned();
        let subject = format!("account {key}");
        let Some((header, entry)) = read(report, decoder, &record, &at, &subject) else { return };
        report.count("entries", 1);
        entries.seen(partition, record.offset, entry.hash, &header);
        if entry.account_id.as_str() != key {
            report.violation("keyed", &at, &subject, format!("the entry is about {}", entry.account_id));
        }
        match chains.accounts.get_mut(&key) {
            Some(chain) => chain.link(report, &entry, &at, &subject, judged),
            None if judged => report.violation("opened before", at, subject, "the account was never opened"),
            None => report.uncompared("entries", ACROSS),
        }
    })?;
    Ok(chains)
}

fn on_account(report: &mut Report, chains: &mut Chains, at: String, event: AccountEvent) {
    match event {
        AccountEvent::AccountOpened(opened) => {
            report.count("accounts", 1);
            let chain = Chain::of(&opened);
            if chains.accounts.insert(opened.account_id.as_str().to_owned(), chain).is_some() {
                report.violation("opened once", at, opened.account_id, "the account was open already");
            }
        }
        AccountEvent::AccountUpdated(updated) => {
            if let Some(chain) = chains.accounts.get_mut(updated.account_id.as_str()) {
                chain.floor = Amount(chain.floor.0.max(updated.floor.0));
            }
        }
        _ => {}
    }
}

/// The entry in a record that is, bit for bit, what was written.
fn read(
    report: &mut Report,
    decoder: &Decoder,
    record: &Logged,
    at: &str,
    subject: &str,
) -> Option<(Header, EntryPosted)> {
    let (header, entry) = match decoder.body::<Entry>(&LEDGER_ENTRIES, record) {
        Ok(read) => read,
        Err(error) => {
            report.violation("decodable", at, subject, error);
            return None;
        }
    };
    let mut bytes = Vec::with_capacity(512);
    entry.encode(&header, &mut bytes);
    // Some bits decide nothing when they are read: the bytes must be the very ones that are written.
    if decoder.datum(&LEDGER_ENTRIES, record).ok().as_deref() != Some(bytes.as_slice()) {
        report.violation("immutable", at, subject, "it is not encoded as it was written");
    }
    if !is_derived(&header) {
        report.violation("immutable", at, subject, "its id does not follow from its cause");
    }
    let Entry::EntryPosted(entry) = entry;
    Some((header, entry))
}

impl Chain {
    /// The chain of an account that was just opened.
    pub(crate) fn of(opened: &AccountOpened) -> Self {
        Chain {
            kind: opened.kind,
            system: opened.system,
            floor: opened.floor,
            sequence: 0,
            balance: Amount::ZERO,
            hash: Hash::ZERO,
        }
    }

    /// Takes in the next entry, and says what is wrong with it.
    pub(crate) fn link(&mut self, report: &mut Report, entry: &EntryPosted, at: &str, subject: &str, judged: bool) {
        let mut broken = |law, detail: String| report.violation(law, at, subject, detail);
        let amount = entry.amount.amount.0;
        // A tampered amount may be any number.
        let signed = if entry.side == self.kind.normal_side() { amount } else { amount.wrapping_neg() };
        let balance = Amount(self.balance.0.wrapping_add(signed));
        if entry.sequence != self.sequence.wrapping_add(1) {
            broken("gapless", format!("sequence {} follows {}", entry.sequence, self.sequence));
        }
        if entry.previous_hash != self.hash {
            broken("chained", format!("previous hash {} is not {}", entry.previous_hash, self.hash));
        }
        let computed = entry_hash(entry);
        if entry.hash != computed {
            broken("immutable", format!("hash {} is not the entry's {computed}", entry.hash));
        }
        if entry.balance != balance {
            broken("balance", format!("balance after is {} and not {balance}", entry.balance));
        }
        // The floor may have been lowered by the very transaction that wrote an entry across the cut.
        if judged && !self.system && entry.balance.0 < -self.floor.0 {
            broken("floor", format!("balance {} is below the floor -{}", entry.balance, self.floor));
        }
        (self.sequence, self.balance, self.hash) = (entry.sequence, entry.balance, entry.hash);
    }
}
