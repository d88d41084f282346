//! Conservation, at every entry: what was booked and what is decided and not booked yet make zero together, in every
//! currency. Each posting that a transaction decides balances; each entry books one line of one posting, once, to the
//! account, on the side and with the amount that were decided.

use std::collections::{BTreeMap, HashMap};

use tributary_schemas::ledger::{Entry, EntryPosted};
use tributary_schemas::transactions::{Leg, TransactionEvent, TransactionPosting};
use tributary_schemas::{Amount, Currency, Side};

use super::{Body, Checker, Found, Seen, Told};
use crate::proof::workload::Sent;

/// A posting: its transaction and its number.
type Posting = (String, i32);

/// A line as it was decided and is to be booked.
type Line = (String, Side, Amount, Currency);

/// Sums so far.
#[derive(Default)]
pub struct Conservation {
    legs: HashMap<String, Vec<Leg>>,
    /// Lines of postings that are decided, each until it is booked.
    due: HashMap<Posting, BTreeMap<i32, Line>>,
    /// Entries of postings whose decision was not seen yet.
    early: HashMap<Posting, Vec<(String, EntryPosted)>>,
    /// Debits less credits, by currency: of entries, and of what is due.
    booked: BTreeMap<Currency, i128>,
    pending: BTreeMap<Currency, i128>,
}

fn signed(side: Side, amount: Amount) -> i128 {
    if side == Side::Debit { amount.0 } else { amount.0.wrapping_neg() }
}

impl Conservation {
    fn decided(&mut self, at: &str, posting: &TransactionPosting, found: &mut Found) {
        let id = posting.transaction_id.to_string();
        let legs = self.legs.get(&id).map(Vec::as_slice).unwrap_or_default();
        let mut lines = BTreeMap::new();
        let mut sums: BTreeMap<Currency, i128> = BTreeMap::new();
        for line in &posting.lines {
            let Some(leg) = usize::try_from(line.line).ok().and_then(|number| legs.get(number)) else {
                found.wrong(format!("{at}: line {} of {id} was never declared", line.line));
                continue;
            };
            let currency = leg.amount.currency;
            *sums.entry(currency).or_default() += signed(leg.side, line.amount);
            lines.insert(line.line, (leg.account_id.to_string(), leg.side, line.amount, currency));
        }
        for (currency, sum) in sums {
            if sum != 0 {
                found.wrong(format!("{at}: posting {} of {id} is out of balance by {sum} {currency}", posting.posting));
            }
            *self.pending.entry(currency).or_default() += sum;
        }
        let posting = (id, posting.posting);
        if self.due.insert(posting.clone(), lines).is_some() {
            found.wrong(format!("{at}: posting {} of {} was decided twice", posting.1, posting.0));
        }
        for (at, entry) in self.early.remove(&posting).unwrap_or_default() {
            self.booked(&at, &entry, found);
        }
    }

    fn booked(&mut self, at: &str, entry: &EntryPosted, found: &mut Found) {
        let posting = (entry.transaction_id.to_string(), entry.posting);
        let Some(due) = self.due.get_mut(&posting) else {
            return self.early.entry(posting).or_default().push((at.to_owned(), entry.clone()));
        };
        let currency = entry.amount.currency;
        let line: Line = (entry.account_id.to_string(), entry.side, entry.amount.amount, currency);
        match due.remove(&entry.line) {
            Some(decided) if decided == line => {}
            Some(decided) => found.wrong(format!("{at}: books {line:?}, and {decided:?} was decided")),
            None => {
                let (id, number) = &posting;
                found
                    .wrong(format!("{at}: line {} of posting {number} of {id} is booked twice or not due", entry.line));
            }
        }
        let sum = signed(entry.side, entry.amount.amount);
        let booked = self.booked.entry(currency).or_default();
        *booked = booked.wrapping_add(sum);
        let pending = self.pending.entry(currency).or_default();
        *pending = pending.wrapping_sub(sum);
        if *booked != pending.wrapping_neg() {
            found.wrong(format!("{at}: {booked} {currency} are booked and {pending} due, which is not zero together"));
        }
    }
}

impl Checker for Conservation {
    fn name(&self) -> &'static str {
        "conservation"
    }

    fn told(&mut self, told: &Told, _: &Sent, found: &mut Found) {
        match &told.body {
            Body::Transaction(TransactionEvent::TransactionInitiated(initiated)) => {
                self.legs.insert(told.key.clone(), initiated.legs.clone());
            }
            Body::Transaction(TransactionEvent::TransactionPosting(posting)) => {
                self.decided(&told.at(), posting, found);
            }
            Body::Entry(Entry::EntryPosted(entry)) => self.booked(&told.at(), entry, found),
            _ => {}
        }
    }

    fn rest(&mut self, _: &Seen<'_>, found: &mut Found) -> anyhow::Result<()> {
        for ((id, posting), entries) in &self.early {
            found.wrong(format!("{}: posting {posting} of {id} is booked and was never decided", entries[0].0));
        }
        for ((id, posting), lines) in self.due.iter().filter(|(_, lines)| !lines.is_empty()) {
            found.wrong(format!("posting {posting} of {id} was decided and {lines:?} of it never booked"));
        }
        for (currency, sum) in self.booked.iter().filter(|(_, sum)| **sum != 0) {
            found.wrong(format!("debits exceed credits by {sum} {currency}, with nothing left to book"));
        }
        Ok(())
    }
}
