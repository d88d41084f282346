//! Exactly one outcome: of what was asked under one identity one request is decided, once; every other request under it is
//! one conflict; a copy changes nothing. And of records that nobody can take each becomes one dead letter. What was asked
//! is known from who asked, not from the log.

use std::collections::{HashMap, HashSet};

use anyhow::Result;
use tributary_flow::{EventId, Place};
use tributary_graph::{ACCOUNTS_EVENTS, PARTIES_EVENTS, TRANSACTIONS_EVENTS, account, risk, transaction};
use tributary_query_api::views::outcome::CONFLICT;
use tributary_schemas::Reason;
use tributary_schemas::accounts::AccountEvent;
use tributary_schemas::risk::PartyEvent;
use tributary_schemas::transactions::TransactionEvent;

use super::{Body, Checker, Found, Seen, Told};
use crate::proof::workload::{Identity, Request, Sent};

/// The answers so far.
#[derive(Default)]
pub struct Outcomes {
    decided: HashMap<Identity, String>,
    conflicts: HashMap<Identity, HashSet<EventId>>,
    letters: HashSet<(String, u32, u64)>,
}

/// The node that wrote the answers of a topic.
fn guard(topic: &str) -> Option<&'static str> {
    [(&ACCOUNTS_EVENTS, &account::NODE), (&TRANSACTIONS_EVENTS, &transaction::NODE), (&PARTIES_EVENTS, &risk::NODE)]
        .into_iter()
        .find_map(|(answers, node)| (answers.name == topic).then_some(node.name))
}

/// What a fact says became of something, in words for people; none where it is not the end of anything.
pub(super) fn kind(told: &Told) -> Option<String> {
    use TransactionEvent as E;
    let because = |what: &str, reasons: &[Reason]| {
        format!("payment {what}: {}", reasons.last().map_or("no reason", |reason| &reason.code))
    };
    let refused = |reason: &Reason| format!("other command refused: {}", reason.code);
    Some(match &told.body {
        Body::Letter(_) => "dead letter".to_owned(),
        body if is_conflict(body) => "conflict".to_owned(),
        Body::Transaction(E::TransactionCompleted(_)) => "payment completed".to_owned(),
        Body::Transaction(E::TransactionPosted(_)) => "part of a payment posted".to_owned(),
        Body::Transaction(E::TransactionFailed(end)) => because("failed", &end.reasons),
        Body::Transaction(E::TransactionCancelled(end)) => because("cancelled", &end.reasons),
        Body::Transaction(E::TransactionExpired(end)) => because("expired", &end.reasons),
        Body::Transaction(E::TransactionRefused(end)) if end.command == "CreateTransaction" => {
            because("refused", std::slice::from_ref(&end.reason))
        }
        Body::Transaction(E::TransactionRefused(end)) => refused(&end.reason),
        Body::Account(AccountEvent::AccountRefused(end)) => refused(&end.reason),
        Body::Party(PartyEvent::PartyRefused(end)) => refused(&end.reason),
        Body::Account(_) | Body::Party(_) if told.header.answers.is_some() => "other command accepted".to_owned(),
        _ => return None,
    })
}

/// Why a command is not done, where a fact answers that.
pub(super) fn refusal(body: &Body) -> Option<&Reason> {
    match body {
        Body::Account(AccountEvent::AccountRefused(refused)) => Some(&refused.reason),
        Body::Transaction(TransactionEvent::TransactionRefused(refused)) => Some(&refused.reason),
        Body::Party(PartyEvent::PartyRefused(refused)) => Some(&refused.reason),
        _ => None,
    }
}

fn is_conflict(body: &Body) -> bool {
    refusal(body).is_some_and(|reason| reason.code == CONFLICT)
}

/// The id that a fact answers, and what was asked under it, where that is granted.
pub(super) fn granted<'a>(told: &'a Told, sent: &'a Sent) -> Option<(&'a str, &'a [Request])> {
    let (id, node) = (told.header.answers.as_deref()?, guard(told.topic)?);
    let identity = sent.identity(node, &told.key, id).filter(|_| refusal(&told.body).is_none())?;
    Some((id, sent.of(&identity)))
}

impl Outcomes {
    fn answer(&mut self, told: &Told, node: &'static str, id: &str, sent: &Sent, found: &mut Found) {
        let Some(identity) = sent.identity(node, &told.key, id) else {
            return found.wrong(format!("{}: answers {id} to {}, which nobody sent", told.at(), told.key));
        };
        if !is_conflict(&told.body) {
            if let Some(first) = self.decided.insert(identity, told.at()) {
                found.wrong(format!("{}: {id} to {} was decided at {first} already", told.at(), told.key));
            }
            return;
        }
        let cause = told.header.causation;
        if !sent.of(&identity).iter().any(|request| request.cause == cause && request.id == id) {
            found.wrong(format!("{}: a conflict with a request to {} that nobody sent", told.at(), told.key));
        }
        if !self.conflicts.entry(identity).or_default().insert(cause) {
            found.wrong(format!("{}: {id} to {} is a conflict twice", told.at(), told.key));
        }
    }

    fn letter(&mut self, told: &Told, about: &Place, sent: &Sent, found: &mut Found) {
        if !sent.letters().contains(about) {
            found.wrong(format!("{}: a dead letter about {about:?}, which is a good record", told.at()));
        }
        if !self.letters.insert((about.topic.clone(), about.partition, about.offset)) {
            found.wrong(format!("{}: a second dead letter about {about:?}", told.at()));
        }
    }
}

impl Checker for Outcomes {
    fn name(&self) -> &'static str {
        "outcomes"
    }

    fn told(&mut self, told: &Told, sent: &Sent, found: &mut Found) {
        if let Body::Letter(about) = &told.body {
            return self.letter(told, about, sent, found);
        }
        if let (Some(id), Some(node)) = (&told.header.answers, guard(told.topic)) {
            self.answer(told, node, id, sent, found);
        }
    }

    fn rest(&mut self, seen: &Seen<'_>, found: &mut Found) -> Result<()> {
        for (identity, requests) in seen.sent.requests() {
            let (_, key, _) = identity;
            let Some(at) = self.decided.get(identity) else {
                found.wrong(format!("{} to {key} was never decided", requests[0].id));
                continue;
            };
            let conflicts = self.conflicts.get(identity);
            let kept: Vec<_> = requests
                .iter()
                .filter(|request| conflicts.is_none_or(|conflicts| !conflicts.contains(&request.cause)))
                .collect();
            let same: HashSet<_> = kept.iter().map(|request| request.digest).collect();
            if same.len() != 1 {
                let ids: Vec<_> = kept.iter().map(|request| &request.id).collect();
                let different = same.len();
                found.wrong(format!(
                    "{at} decides one of {different} different requests to {key} under {ids:?} that are no conflicts"
                ));
            }
        }
        for place in seen.sent.letters() {
            if !self.letters.contains(&(place.topic.clone(), place.partition, place.offset)) {
                found.wrong(format!("{place:?} cannot be taken and has no dead letter"));
            }
        }
        Ok(())
    }
}
