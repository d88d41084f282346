//! The chains, entry by entry as they are committed: numbered without gaps, each naming the hash of the one before, each
//! hashed right, each balance the one before and the amount. The law is `verify`'s; here it is held at every step. Only the hash is
//! computed here once more, as it is described and not as the account computes it.

use std::collections::HashMap;

use tributary_schemas::accounts::AccountEvent;
use tributary_schemas::ledger::{Entry, EntryPosted};
use tributary_schemas::{Hash, Side};

use super::{Body, Checker, Found, Seen, Told};
use crate::proof::workload::Sent;
use crate::verify::Report;
use crate::verify::chains;

/// The chains so far.
#[derive(Default)]
pub struct Chain {
    accounts: HashMap<String, chains::Chain>,
    /// Entries of accounts whose opening was not seen yet.
    early: HashMap<String, Vec<(String, EntryPosted)>>,
    report: Report,
}

/// The hash that an entry must have, by the description of `tributary_account::entry_hash`: the tag, the previous hash, and
/// the other fields in the schema's order.
fn hash(entry: &EntryPosted) -> Hash {
    let text = |text: &str| [(text.len() as u64).to_le_bytes().as_slice(), text.as_bytes()].concat();
    let number = |number: i128, bytes: usize| number.to_le_bytes()[..bytes].to_vec();
    let side = if entry.side == Side::Credit { 1 } else { 0 };
    let fields = [
        b"tributary.entry.v1".to_vec(),
        entry.previous_hash.0.to_vec(),
        text(entry.account_id.as_str()),
        number(entry.sequence.into(), 8),
        text(entry.transaction_id.as_str()),
        number(entry.posting.into(), 4),
        number(entry.line.into(), 4),
        vec![side],
        number(entry.amount.amount.0, 16),
        text(entry.amount.currency.as_str()),
        number(entry.balance.0, 16),
        number(entry.available.0, 16),
        number(entry.booked_at.0.into(), 8),
        number(entry.value_date.0.into(), 4),
    ];
    Hash(*blake3::hash(&fields.concat()).as_bytes())
}

impl Chain {
    fn link(&mut self, account: &str, at: &str, entry: &EntryPosted) {
        if let Some(chain) = self.accounts.get_mut(account) {
            // The floor has a checker of its own.
            chain.link(&mut self.report, entry, at, account, false);
        }
    }
}

impl Checker for Chain {
    fn name(&self) -> &'static str {
        "chain"
    }

    fn told(&mut self, told: &Told, _: &Sent, found: &mut Found) {
        if let Body::Entry(Entry::EntryPosted(entry)) = &told.body
            && entry.hash != hash(entry)
        {
            found.wrong(format!("{}: the hash {} is not of all of the entry", told.at(), entry.hash));
        }
        match &told.body {
            Body::Account(AccountEvent::AccountOpened(opened)) => {
                if self.accounts.insert(told.key.clone(), chains::Chain::of(opened)).is_some() {
                    found.wrong(format!("{}: account {} was open already", told.at(), told.key));
                }
                for (at, entry) in self.early.remove(&told.key).unwrap_or_default() {
                    self.link(&told.key, &at, &entry);
                }
            }
            Body::Entry(Entry::EntryPosted(entry)) if self.accounts.contains_key(&told.key) => {
                self.link(&told.key, &told.at(), entry);
            }
            Body::Entry(Entry::EntryPosted(entry)) => {
                self.early.entry(told.key.clone()).or_default().push((told.at(), entry.clone()));
            }
            _ => {}
        }
        found.0.extend(self.report.violations.drain(..).map(|violation| violation.to_string()));
    }

    fn rest(&mut self, _: &Seen<'_>, found: &mut Found) -> anyhow::Result<()> {
        for (account, entries) in &self.early {
            found.wrong(format!("{}: {account} has entries and was never opened", entries[0].0));
        }
        Ok(())
    }
}
