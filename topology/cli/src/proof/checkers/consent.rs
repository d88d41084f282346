//! Nothing goes through that somebody stopped. What is held, put on hold or posted was granted by every account of it and
//! assessed by risk for each, with no refusal and no decline among them; and where risk wanted a person to look, what
//! goes through was approved.

use std::collections::HashMap;

use anyhow::Result;
use tributary_query_api::command::CommandBody;
use tributary_schemas::AccountId;
use tributary_schemas::accounts::Vote;
use tributary_schemas::risk::{RiskDecision, RiskEvent};
use tributary_schemas::transactions::{TransactionCommand, TransactionEvent};

use super::outcomes::{granted, refusal};
use super::{Body, Checker, Found, Seen, Told, known};
use crate::proof::workload::Sent;

/// A transaction, and what others said of it.
#[derive(Default)]
struct Asked {
    /// The ordinary accounts.
    accounts: Vec<AccountId>,
    granted: Vec<AccountId>,
    assessed: Vec<AccountId>,
    /// Where somebody said no.
    stopped: Option<String>,
    /// Where risk wanted a person to look.
    doubted: Option<String>,
    approved: bool,
    /// Where it was decided that all may go through.
    decided: Option<String>,
    /// Where it first went on from there.
    passed: Option<String>,
}

/// The transactions so far.
#[derive(Default)]
pub struct Consent(HashMap<String, Asked>);

impl Asked {
    fn vote(&mut self, told: &Told, vote: &Vote) {
        match vote {
            Vote::LegHeld(held) => self.granted.push(held.account_id.clone()),
            Vote::LegRefused(_) => self.stopped = Some(told.at()),
            Vote::LegPosted(_) | Vote::LegVoided(_) => {}
        }
    }

    fn assessed(&mut self, told: &Told, RiskEvent::RiskAssessed(answer): &RiskEvent) {
        self.assessed.push(answer.account_id.clone());
        match answer.decision {
            RiskDecision::Approve => {}
            RiskDecision::Review => self.doubted = Some(told.at()),
            RiskDecision::Decline => self.stopped = Some(told.at()),
        }
    }

    fn event(&mut self, told: &Told, event: &TransactionEvent) {
        use TransactionEvent as E;
        match event {
            E::TransactionInitiated(initiated) => {
                let ordinary = initiated.legs.iter().filter(|leg| leg.account_id.system().is_none());
                self.accounts = ordinary.map(|leg| leg.account_id.clone()).collect();
            }
            E::TransactionHeld(_) | E::TransactionPosting(_) => {
                self.passed.get_or_insert_with(|| told.at());
                self.decided.get_or_insert_with(|| told.at());
            }
            E::TransactionOnHold(_) => drop(self.decided.get_or_insert_with(|| told.at())),
            _ => {}
        }
    }

    fn judge(&self, id: &str, found: &mut Found) {
        let Some(decided) = &self.decided else { return };
        for account in &self.accounts {
            for (said, what) in [(&self.granted, "granted"), (&self.assessed, "assessed")] {
                if !said.contains(account) {
                    found.wrong(format!("{decided}: {id} is decided, and was never {what} for {account}"));
                }
            }
        }
        if let Some(stopped) = &self.stopped {
            found.wrong(format!("{decided}: {id} may go through, and was stopped at {stopped}"));
        }
        if let (Some(passed), Some(doubted), false) = (&self.passed, &self.doubted, self.approved) {
            found.wrong(format!("{passed}: {id} goes through, and nobody has approved what risk doubted at {doubted}"));
        }
    }
}

/// Whether a fact answers that a reviewer's approval was taken.
fn is_approval(told: &Told, sent: &Sent) -> bool {
    let approves = |body: &CommandBody| matches!(body, CommandBody::Transaction(TransactionCommand::ReviewTransaction(review)) if review.approve);
    granted(told, sent).is_some_and(|(_, requests)| requests.iter().any(|request| approves(&request.body)))
}

impl Checker for Consent {
    fn name(&self) -> &'static str {
        "consent"
    }

    fn told(&mut self, told: &Told, sent: &Sent, _: &mut Found) {
        if !matches!(told.body, Body::Vote(_) | Body::Risk(_) | Body::Transaction(_)) || refusal(&told.body).is_some() {
            return;
        }
        let asked = known(&mut self.0, &told.key);
        match &told.body {
            Body::Vote(vote) => asked.vote(told, vote),
            Body::Risk(answer) => asked.assessed(told, answer),
            Body::Transaction(event) => {
                asked.event(told, event);
                asked.approved |= is_approval(told, sent);
            }
            _ => {}
        }
    }

    fn rest(&mut self, _: &Seen<'_>, found: &mut Found) -> Result<()> {
        self.0.iter().for_each(|(id, asked)| asked.judge(id, found));
        Ok(())
    }
}
