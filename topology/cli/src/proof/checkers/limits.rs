//! Limits, at every grant: what an account has granted in a UTC day or month, less what was given back by then, is never above
//! the limit in force. And they are given back to: at rest the account's state counts as used what was posted, and nothing
//! that came to nothing.
//!
//! The order of an account's votes is that of their times (see `standing`). Of what carries the same time the more lenient
//! order is taken.

use std::collections::HashMap;

use anyhow::Result;
use tributary_account::{Account, Used};
use tributary_flow::{Date, Page, Reader, Timestamp};
use tributary_graph::account;
use tributary_schemas::accounts::{AccountEvent, Vote};
use tributary_schemas::{AccountId, Amount};

use super::{Body, Checker, Found, Seen, Told, known};
use crate::proof::workload::Sent;

/// Limits, from a time on.
struct Terms {
    from: Timestamp,
    daily: Option<Amount>,
    monthly: Option<Amount>,
}

/// What was granted to a transaction, on the side that lowers.
#[derive(Default)]
struct Leg {
    granted: Option<(Timestamp, Amount)>,
    posted: i128,
    ended: Option<Timestamp>,
}

/// An ordinary account.
#[derive(Default)]
struct Spender {
    terms: Vec<Terms>,
    legs: HashMap<String, Leg>,
}

/// The accounts so far.
#[derive(Default)]
pub struct Limits(HashMap<String, Spender>);

/// A limit's name, its figure in some terms, and whether two days are in one window of it.
type Limit = (&'static str, fn(&Terms) -> Option<Amount>, fn(Date, Date) -> bool);

const LIMITS: [Limit; 2] = [
    ("day", |terms| terms.daily, |one, other| one == other),
    ("month", |terms| terms.monthly, |one, other| one.year_month() == other.year_month()),
];

impl Leg {
    /// What of it counts at a time after its grant.
    fn counts(&self, held: Amount, at: Timestamp) -> i128 {
        if self.ended.is_some_and(|ended| ended <= at) { self.posted } else { held.0 }
    }
}

impl Spender {
    /// The most lenient limit that may have been in force; none where there may have been none.
    fn in_force(&self, at: Timestamp, limit: fn(&Terms) -> Option<Amount>) -> Option<Amount> {
        let before = self.terms.iter().rev().find(|terms| terms.from < at);
        let then = self.terms.iter().filter(|terms| terms.from == at);
        let mut most = Amount::ZERO;
        for terms in before.into_iter().chain(then) {
            most = most.max(limit(terms)?);
        }
        Some(most)
    }

    fn judge(&self, account: &str, found: &mut Found) {
        for (id, leg) in &self.legs {
            let Some((at, held)) = leg.granted.filter(|(_, held)| held.is_positive()) else { continue };
            for (window, limit, same) in LIMITS {
                let Some(limit) = self.in_force(at, limit) else { continue };
                let granted = self.legs.values().filter_map(|leg| Some((leg, leg.granted?)));
                let before = granted.filter(|(_, (then, _))| *then < at && same(then.date(), at.date()));
                let used: i128 = before.map(|(leg, (_, held))| leg.counts(held, at)).sum();
                if used + held.0 > limit.0 {
                    let used = Amount(used);
                    found.wrong(format!(
                        "{account} grants {held} to {id} at {at}, with {used} used in that {window} of {limit}"
                    ));
                }
            }
        }
    }

    /// What must be counted as used where nothing is open.
    fn used(&self) -> Used {
        let granted = || self.legs.values().filter_map(|leg| Some((leg, leg.granted?.0.date())));
        let day = granted().map(|(_, day)| day).max().unwrap_or_default();
        let posted = |same: fn(Date, Date) -> bool| {
            Amount(granted().filter(|(_, of)| same(*of, day)).map(|(leg, _)| leg.posted).sum())
        };
        let [(_, _, same_day), (_, _, same_month)] = LIMITS;
        Used { day, in_day: posted(same_day), in_month: posted(same_month) }
    }

    fn has_ended(&self) -> bool {
        self.legs.values().all(|leg| leg.granted.is_none() || leg.ended.is_some())
    }
}

impl Limits {
    fn of(&mut self, account: &str) -> &mut Spender {
        known(&mut self.0, account)
    }

    fn leg(&mut self, told: &Told, account: &AccountId) -> Option<&mut Leg> {
        let ordinary = account.system().is_none();
        ordinary.then(|| self.of(account.as_str()).legs.entry(told.key.clone()).or_default())
    }

    fn vote(&mut self, told: &Told, vote: &Vote) -> Option<()> {
        let at = told.header.time;
        match vote {
            Vote::LegHeld(held) => self.leg(told, &held.account_id)?.granted = Some((at, held.held)),
            Vote::LegRefused(_) => {}
            Vote::LegPosted(posted) => {
                let normal = posted.kind.normal_side();
                let leg = self.leg(told, &posted.account_id)?;
                let lowering = posted.entries.iter().filter(|entry| entry.side != normal);
                leg.posted += lowering.map(|entry| entry.amount.amount.0).sum::<i128>();
                leg.ended = leg.ended.or(posted.r#final.then_some(at));
            }
            Vote::LegVoided(voided) => {
                let leg = self.leg(told, &voided.account_id)?;
                leg.ended = leg.ended.or(Some(at));
            }
        }
        Some(())
    }
}

impl Checker for Limits {
    fn name(&self) -> &'static str {
        "limits"
    }

    fn told(&mut self, told: &Told, _: &Sent, _: &mut Found) {
        let from = told.header.time;
        match &told.body {
            Body::Account(AccountEvent::AccountOpened(opened)) => {
                let (daily, monthly) = (opened.daily_limit, opened.monthly_limit);
                self.of(&told.key).terms.push(Terms { from, daily, monthly });
            }
            Body::Account(AccountEvent::AccountUpdated(updated)) => {
                let (daily, monthly) = (updated.daily_limit, updated.monthly_limit);
                self.of(&told.key).terms.push(Terms { from, daily, monthly });
            }
            Body::Vote(vote) => drop(self.vote(told, vote)),
            _ => {}
        }
    }

    fn rest(&mut self, seen: &Seen<'_>, found: &mut Found) -> Result<()> {
        self.0.iter().for_each(|(account, spender)| spender.judge(account, found));
        for partition in 0..seen.log.partitions() {
            seen.states.with_state(&account::NODE, partition, &mut |store| {
                let accounts: Vec<(String, Account)> = Reader::new(store).heads(Page::all());
                for (id, account) in accounts.into_iter().filter(|(_, account)| !account.system) {
                    let Some(spender) = self.0.get(&id).filter(|spender| spender.has_ended()) else { continue };
                    let (counted, used) = (spender.used(), account.used);
                    if counted != used {
                        found.wrong(format!("account[{partition}]: {id} counts {used:?}, and {counted:?} was posted"));
                    }
                }
            })?;
        }
        Ok(())
    }
}
