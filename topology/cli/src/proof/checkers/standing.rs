//! What is in force is in force. While an account is frozen or once it is closed it grants nothing, it is closed only when
//! nothing of it is promised, and while its owner is blocked risk lets nothing pass.
//!
//! Facts of one account lie in several topics, which are not ordered among each other. But one task has written them, whose
//! clock never goes back: what carries a later time was decided later. Of what carries the same time nothing is said.

use std::collections::HashMap;

use anyhow::Result;
use tributary_flow::Timestamp;
use tributary_schemas::AccountId;
use tributary_schemas::accounts::{AccountEvent, Vote};
use tributary_schemas::risk::{PartyEvent, RiskDecision, RiskEvent};

use super::{Body, Checker, Found, Seen, Told, known};
use crate::proof::workload::Sent;

/// A restriction: since when, and until when where it was lifted.
type Spell = (Timestamp, Option<Timestamp>);

/// Something that a transaction did to an account: its id, and when.
type Deed = (String, Timestamp);

/// An account's history.
#[derive(Default)]
struct History {
    frozen: Vec<Spell>,
    blocked: Vec<Spell>,
    closed: Option<Timestamp>,
    granted: Vec<Deed>,
    ended: Vec<Deed>,
    /// What risk did not decline.
    passed: Vec<Deed>,
}

/// The accounts so far.
#[derive(Default)]
pub struct Standing(HashMap<String, History>);

fn lift(spells: &mut [Spell], at: Timestamp) {
    if let Some((_, end)) = spells.last_mut() {
        *end = Some(at);
    }
}

/// The first deed that was done within a spell.
fn within<'a>(deeds: &'a [Deed], spells: &[Spell]) -> Option<&'a Deed> {
    let inside = |at: Timestamp, (from, to): &Spell| *from < at && to.is_none_or(|to| at < to);
    deeds.iter().find(|(_, at)| spells.iter().any(|spell| inside(*at, spell)))
}

impl History {
    fn judge(&self, account: &str, found: &mut Found) {
        if let Some((id, at)) = within(&self.granted, &self.frozen) {
            found.wrong(format!("{account} grants {id} at {at}, and is frozen then"));
        }
        if let Some((id, at)) = within(&self.passed, &self.blocked) {
            found.wrong(format!("risk lets {id} pass for {account} at {at}, and it is blocked then"));
        }
        let Some(closed) = self.closed else { return };
        if let Some((id, at)) = within(&self.granted, &[(closed, None)]) {
            found.wrong(format!("{account} grants {id} at {at}, and is closed since {closed}"));
        }
        let open = |id: &str| self.granted.iter().any(|(granted, at)| granted == id && *at < closed);
        if let Some((id, at)) = self.ended.iter().find(|(id, at)| *at > closed && open(id)) {
            found.wrong(format!("{account} is closed at {closed}, and what {id} was promised ends at {at}"));
        }
    }

    fn event(&mut self, event: &AccountEvent, at: Timestamp) {
        match event {
            AccountEvent::AccountFrozen(_) => self.frozen.push((at, None)),
            AccountEvent::AccountUnfrozen(_) => lift(&mut self.frozen, at),
            AccountEvent::AccountClosed(_) => self.closed = Some(at),
            AccountEvent::AccountOpened(_) | AccountEvent::AccountUpdated(_) | AccountEvent::AccountRefused(_) => {}
        }
    }

    fn party(&mut self, event: &PartyEvent, at: Timestamp) {
        match event {
            PartyEvent::PartyBlocked(_) => self.blocked.push((at, None)),
            PartyEvent::PartyUnblocked(_) => lift(&mut self.blocked, at),
            PartyEvent::PartyRefused(_) => {}
        }
    }
}

impl Standing {
    fn of(&mut self, account: &str) -> &mut History {
        known(&mut self.0, account)
    }

    fn ended(&mut self, told: &Told, account: &AccountId) {
        self.of(account.as_str()).ended.push((told.key.clone(), told.header.time));
    }
}

impl Checker for Standing {
    fn name(&self) -> &'static str {
        "standing"
    }

    fn told(&mut self, told: &Told, _: &Sent, _: &mut Found) {
        let at = told.header.time;
        match &told.body {
            Body::Account(event) => self.of(&told.key).event(event, at),
            Body::Party(event) => self.of(&told.key).party(event, at),
            Body::Vote(Vote::LegHeld(vote)) => self.of(vote.account_id.as_str()).granted.push((told.key.clone(), at)),
            Body::Vote(Vote::LegPosted(vote)) if vote.r#final => self.ended(told, &vote.account_id),
            Body::Vote(Vote::LegVoided(vote)) => self.ended(told, &vote.account_id),
            Body::Risk(RiskEvent::RiskAssessed(answer)) if answer.decision != RiskDecision::Decline => {
                self.of(answer.account_id.as_str()).passed.push((told.key.clone(), at));
            }
            _ => {}
        }
    }

    fn rest(&mut self, _: &Seen<'_>, found: &mut Found) -> Result<()> {
        self.0.iter().for_each(|(account, history)| history.judge(account, found));
        Ok(())
    }
}
