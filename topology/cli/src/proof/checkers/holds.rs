//! Holds end once. An account grants a transaction at most one hold, which ends in one final posting or one void, and never
//! more is posted than was held. What an account's state says is held and reserved is the sum of its open legs, at every
//! time. At rest, with every deadline past, nothing is open any more: no leg, and no transaction.

use std::collections::HashMap;

use anyhow::Result;
use tributary_account::{Account, OPEN_LEGS, OpenLeg};
use tributary_flow::{Page, Reader};
use tributary_graph::{account, transaction};
use tributary_schemas::accounts::Vote;
use tributary_schemas::{AccountId, Amount};
use tributary_transaction::Open;

use super::{Body, Checker, Found, Seen, Told};
use crate::load::plan::Draw;
use crate::proof::workload::Sent;

/// A leg of an ordinary account, as its votes tell.
#[derive(Default)]
struct Leg {
    held: Option<Amount>,
    lowered: i128,
    ended: Option<String>,
}

/// The legs so far, by transaction and account.
#[derive(Default)]
pub struct Holds(HashMap<(String, String), Leg>);

impl Holds {
    fn leg(&mut self, told: &Told, account: &AccountId) -> Option<&mut Leg> {
        let ordinary = account.system().is_none();
        ordinary.then(|| self.0.entry((told.key.clone(), account.to_string())).or_default())
    }
}

impl Leg {
    fn end(&mut self, told: &Told, account: &AccountId, found: &mut Found) {
        if let Some(first) = self.ended.replace(told.at()) {
            found.wrong(format!("{}: the hold of {} on {account} ended at {first} already", told.at(), told.key));
        }
    }
}

impl Checker for Holds {
    fn name(&self) -> &'static str {
        "holds"
    }

    fn told(&mut self, told: &Told, _: &Sent, found: &mut Found) {
        let Body::Vote(vote) = &told.body else { return };
        match vote {
            Vote::LegHeld(held) => {
                let Some(leg) = self.leg(told, &held.account_id) else { return };
                if leg.held.replace(held.held).is_some() {
                    found.wrong(format!("{}: {} is held on {} a second time", told.at(), told.key, held.account_id));
                }
            }
            Vote::LegRefused(_) => {}
            Vote::LegPosted(posted) => {
                let Some(leg) = self.leg(told, &posted.account_id) else { return };
                let normal = posted.kind.normal_side();
                let lowering = posted.entries.iter().filter(|entry| entry.side != normal);
                leg.lowered += lowering.map(|entry| entry.amount.amount.0).sum::<i128>();
                let held = leg.held.unwrap_or_default();
                if leg.held.is_none() || leg.lowered > held.0 {
                    let (at, id, account) = (told.at(), &told.key, &posted.account_id);
                    let lowered = Amount(leg.lowered);
                    found.wrong(format!("{at}: {id} has posted {lowered} out of {account}, of {held} held"));
                }
                if posted.r#final {
                    leg.end(told, &posted.account_id, found);
                }
            }
            Vote::LegVoided(voided) => {
                let Some(leg) = self.leg(told, &voided.account_id) else { return };
                let left = leg.held.unwrap_or_default().0 - leg.lowered;
                if voided.released.0 != left {
                    let (at, id, account) = (told.at(), &told.key, &voided.account_id);
                    let left = Amount(left);
                    found.wrong(format!("{at}: {id} releases {} on {account}, where {left} is left", voided.released));
                }
                leg.end(told, &voided.account_id, found);
            }
        }
    }

    fn look(&mut self, seen: &Seen<'_>, draw: &mut Draw, found: &mut Found) -> Result<()> {
        let partition = draw.below(u64::from(seen.log.partitions())) as u32;
        seen.states.with_state(&account::NODE, partition, &mut |store| sums(Reader::new(store), partition, found))?;
        Ok(())
    }

    fn rest(&mut self, seen: &Seen<'_>, found: &mut Found) -> Result<()> {
        for ((id, account), leg) in self.0.iter().filter(|(_, leg)| leg.ended.is_none() && leg.held.is_some()) {
            let held = leg.held.unwrap_or_default();
            found.wrong(format!("the hold of {id} on {account}, of {held}, never ended"));
        }
        for partition in 0..seen.log.partitions() {
            seen.states.with_state(&account::NODE, partition, &mut |store| {
                let reader = Reader::new(store);
                sums(reader, partition, found);
                let accounts: Vec<(String, Account)> = reader.heads(Page::all());
                for (id, account) in accounts.into_iter().filter(|(_, account)| account.open_legs > 0) {
                    let (legs, held) = (account.open_legs, account.held);
                    found.wrong(format!("account {id} has {legs} open legs and holds {held} after every deadline"));
                }
            })?;
            seen.states.with_state(&transaction::NODE, partition, &mut |store| {
                let transactions: Vec<(String, Open)> = Reader::new(store).heads(Page::all());
                for (id, open) in transactions {
                    found.wrong(format!("transaction {id} is {} after every deadline", open.status.name()));
                }
            })?;
        }
        Ok(())
    }
}

/// Compares what accounts say is held with their open legs.
fn sums(reader: Reader<'_>, partition: u32, found: &mut Found) {
    let accounts: Vec<(String, Account)> = reader.heads(Page::all());
    for (id, account) in accounts {
        let legs: Vec<(String, OpenLeg)> = reader.rows(&id, &OPEN_LEGS, Page::all());
        let left = |lowers: bool| -> i128 {
            let legs = legs.iter().map(|(_, leg)| leg.left(|side| account.lowers(side) == lowers).0);
            legs.sum()
        };
        let counted = (left(true), left(false), legs.len() as u64);
        if (account.held.0, account.reserved.0, account.open_legs) != counted {
            let (held, reserved) = (account.held, account.reserved);
            let (of_held, of_reserved) = (Amount(counted.0), Amount(counted.1));
            found.wrong(format!(
                "account[{partition}]: {id} holds {held} and reserves {reserved} in {} legs, and its legs are {}, {of_held} and {of_reserved}",
                account.open_legs, counted.2
            ));
        }
    }
}
