//! Risk counts what is spent: at rest each bucket of each window holds the payments that the account asked for in its time
//! and that were posted, with what of them was posted, and a window's total is the sum of its buckets. Nothing is pending.

use std::collections::{BTreeMap, HashMap};

use anyhow::Result;
use tributary_flow::time::SECOND;
use tributary_flow::{Page, Reader, Timestamp};
use tributary_graph::risk;
use tributary_risk::state::{BUCKETS, PENDING, Pending, VELOCITY};
use tributary_risk::velocity::{Rolling, Tally};
use tributary_risk::{DEFAULT_RULES, Rules};
use tributary_schemas::accounts::Vote;
use tributary_schemas::risk::RiskEvent;
use tributary_schemas::{Amount, Currency, Side};

use super::{Body, Checker, Found, Seen, Told, known};
use crate::proof::workload::Sent;

/// A transaction, as an account spends in it.
#[derive(Default)]
struct Spent {
    asked: Option<Timestamp>,
    posted: BTreeMap<Currency, i128>,
}

/// What was spent so far, by account and transaction.
#[derive(Default)]
pub struct Velocity(HashMap<String, HashMap<String, Spent>>);

impl Velocity {
    fn of(&mut self, account: &str, transaction: &str) -> &mut Spent {
        known(&mut self.0, account).entry(transaction.to_owned()).or_default()
    }

    /// What was asked for in a time and posted.
    fn count(&self, account: &str, currency: Currency, from: Timestamp, to: Timestamp) -> Tally {
        let mut tally = Tally::default();
        for spent in self.0.get(account).into_iter().flat_map(HashMap::values) {
            let Some(posted) = spent.posted.get(&currency) else { continue };
            if spent.asked.is_some_and(|asked| from <= asked && asked < to) {
                tally = Tally { count: tally.count + 1, sum: Amount(tally.sum.0 + posted) };
            }
        }
        tally
    }

    fn compare(&self, reader: Reader<'_>, widths: &BTreeMap<u32, i64>, account: &str, found: &mut Found) {
        let pending: Vec<(String, Pending)> = reader.rows(account, &PENDING, Page::all());
        if let Some((id, _)) = pending.first() {
            found.wrong(format!("risk still waits for what becomes of {id} on {account}"));
        }
        let mut buckets: BTreeMap<(u32, String), Vec<(Timestamp, Tally)>> = BTreeMap::new();
        for ((seconds, currency, begin), tally) in reader.rows(account, &BUCKETS, Page::all()) {
            buckets.entry((seconds, currency)).or_default().push((begin, tally));
        }
        let windows: Vec<(String, Vec<Rolling>)> = reader.rows(account, &VELOCITY, Page::all());
        for (currency, rolling) in windows.iter().flat_map(|(name, of)| of.iter().map(move |rolling| (name, rolling))) {
            let mut buckets = buckets.remove(&(rolling.seconds, currency.clone())).unwrap_or_default();
            buckets.push((rolling.open_at, rolling.open));
            let (Ok(code), Some(width)) = (currency.parse(), widths.get(&rolling.seconds)) else {
                found.wrong(format!("risk counts {currency} of {account} in {} seconds", rolling.seconds));
                continue;
            };
            let mut sum = Tally::default();
            for (begin, tally) in buckets {
                let counted = self.count(account, code, begin, begin.plus(*width));
                if tally != counted {
                    found.wrong(format!(
                        "risk counts {tally:?} from {begin} on in {currency} of {account}, and {counted:?} was spent"
                    ));
                }
                sum = Tally { count: sum.count + tally.count, sum: Amount(sum.sum.0 + tally.sum.0) };
            }
            if rolling.total != sum {
                let total = rolling.total;
                found.wrong(format!("risk counts {total:?} {currency} of {account}, and its buckets are {sum:?}"));
            }
        }
        let spends = |currency: &Currency| windows.iter().any(|(known, _)| *known == currency.to_string());
        let posted = self.0.get(account).into_iter().flat_map(HashMap::values).flat_map(|spent| spent.posted.keys());
        for currency in posted.filter(|currency| !spends(currency)) {
            found.wrong(format!("risk counts nothing in {currency} of {account}"));
        }
        for ((seconds, currency), _) in buckets {
            found.wrong(format!("risk has buckets of {seconds} seconds in {currency} of {account}, and no window"));
        }
    }
}

impl Checker for Velocity {
    fn name(&self) -> &'static str {
        "velocity"
    }

    fn told(&mut self, told: &Told, _: &Sent, _: &mut Found) {
        match &told.body {
            Body::Risk(RiskEvent::RiskAssessed(answer)) => {
                self.of(answer.account_id.as_str(), &told.key).asked = Some(told.header.time);
            }
            Body::Vote(Vote::LegPosted(vote)) if vote.account_id.system().is_none() => {
                for entry in vote.entries.iter().filter(|entry| entry.side == Side::Debit) {
                    let spent = self.of(vote.account_id.as_str(), &told.key);
                    *spent.posted.entry(entry.amount.currency).or_default() += entry.amount.amount.0;
                }
            }
            _ => {}
        }
    }

    fn rest(&mut self, seen: &Seen<'_>, found: &mut Found) -> Result<()> {
        let windows = Rules::from_json(DEFAULT_RULES)?.velocity;
        let widths = windows.iter().map(|window| (window.seconds, i64::from(window.bucket_seconds) * SECOND)).collect();
        for partition in 0..seen.log.partitions() {
            seen.states.with_state(&risk::NODE, partition, &mut |store| {
                let here = |account: &&String| {
                    tributary_flow::partition_of(account.as_bytes(), seen.log.partitions()) == partition
                };
                for account in self.0.keys().filter(here) {
                    self.compare(Reader::new(store), &widths, account, found);
                }
            })?;
        }
        Ok(())
    }
}
