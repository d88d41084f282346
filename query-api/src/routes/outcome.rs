//! Waiting for what becomes of a command.
//!
//! An id may stand for more than one request: the first is answered by its outcome, any other by a conflict. An answer
//! that was given at once carries the identity of the very request as its cause, and that settles it. An answer that was
//! given later (a posting ends when its legs do) carries another cause; then it is this request's only if no conflict was
//! written for it, which is known once its guard is past the command and the view past what the guard had written.
//!
//! A transaction's creation is remembered by its key, and a copy under another id is not answered again: so any answer to
//! the same request counts, whatever its id, and what is waited for is the transaction leaving `initiated`.

use std::sync::Arc;

use tokio::time::Instant;
use tributary_flow::{EventId, Node, Place, Reader, reader};
use tributary_graph as graph;

use super::Shared;
use crate::answer::{AccountAnswer, TransactionAnswer};
use crate::api::{NOT_OWNED, NOTHING_RUNS, RESTORING};
use crate::command::{Command, CommandBody};
use crate::problem::Problem;
use crate::views::account::{self, Account};
use crate::views::outcome::{Outcome, Outcomes, of_command};
use crate::views::transaction::{self, Status, Transaction};
use tributary_schemas::transactions::TransactionCommand;

/// What became of a command.
#[derive(Clone, Debug)]
pub(super) struct Settled {
    /// The fact that answered it.
    pub outcome: Outcome,
    /// The account now, where the command was about one.
    pub account: Option<AccountAnswer>,
    /// The transaction now, where the command was about one.
    pub transaction: Option<TransactionAnswer>,
    /// Where the transaction stands, for one that was created.
    pub created: Option<Status>,
    certain: bool,
}

/// Waits for the outcome of a command that was written at `place`; nothing where the time is up, or the view is not here.
pub(super) async fn wait(
    api: &Shared,
    command: &Command,
    place: &Place,
    until: Instant,
) -> Result<Option<Settled>, Problem> {
    match settled(api, command, place, until).await {
        // It is taken and will be decided all the same: that it cannot be told here, or not yet, is no failure of the command.
        Err(problem) if problem.is_any(&[RESTORING, NOT_OWNED, NOTHING_RUNS]) => Ok(None),
        settled => settled,
    }
}

async fn settled(api: &Shared, command: &Command, place: &Place, until: Instant) -> Result<Option<Settled>, Problem> {
    let command = Arc::new(command.clone());
    let (node, partition) = (view(&command), api.partition(command.body.key()));
    let mut past = false;
    loop {
        let look = || {
            let command = Arc::clone(&command);
            async move { api.read(node, partition, move |reader| find(reader, &command)).await }
        };
        match api.wait(until, look).await? {
            Some(settled) if settled.certain || past => return Ok(Some(settled)),
            Some(_) if pass(api, &command, place, until).await? => past = true,
            _ => return Ok(None),
        }
    }
}

/// Waits until a conflict of this command would be seen.
async fn pass(api: &Shared, command: &Command, place: &Place, until: Instant) -> Result<bool, Problem> {
    let partition = api.partition(command.body.key());
    let topic = command.answered_on().name;
    let guarded = vec![(command.topic.name, place.offset + 1)];
    match api.reach(command.guard(), partition, guarded, until).await {
        Ok(true) => {}
        Ok(false) => return Ok(false),
        // Another process decides: its answer is here, so it has met the id.
        Err(problem) if problem.is_any(&[NOT_OWNED, NOTHING_RUNS]) => {}
        Err(problem) => return Err(problem),
    }
    match api.ends(vec![topic], partition, until).await {
        Some(ends) => api.reach(view(command), partition, ends, until).await,
        None => Ok(false),
    }
}

/// The view that tells what becomes of a command.
fn view(command: &Command) -> &'static Node {
    match command.body {
        CommandBody::Account(_) | CommandBody::Risk(_) => &graph::account_view::NODE,
        CommandBody::Transaction(_) => &graph::transaction_view::NODE,
    }
}

fn find(reader: Reader<'_>, command: &Command) -> Option<Settled> {
    let key = command.body.key();
    match &command.body {
        CommandBody::Transaction(TransactionCommand::CreateTransaction(_)) => find_created(reader, command),
        CommandBody::Transaction(_) => {
            let (outcome, certain) = answer(reader, &transaction::OUTCOMES, command)?;
            let transaction = reader.head::<Transaction>(key).as_ref().and_then(TransactionAnswer::of);
            Some(Settled { outcome, account: None, transaction, created: None, certain })
        }
        CommandBody::Account(_) | CommandBody::Risk(_) => {
            let is_of_risk = matches!(command.body, CommandBody::Risk(_));
            let outcomes = if is_of_risk { &account::PARTY_OUTCOMES } else { &account::OUTCOMES };
            let (outcome, certain) = answer(reader, outcomes, command)?;
            let account = reader.head::<Account>(key).as_ref().and_then(AccountAnswer::of);
            Some(Settled { outcome, account, transaction: None, created: None, certain })
        }
    }
}

/// The answer to this command id: certainly to this request, or to one under the same id.
fn answer(reader: Reader<'_>, outcomes: &Outcomes, command: &Command) -> Option<(Outcome, bool)> {
    let cause = command.cause();
    let answers = of_command(reader, outcomes, command.body.key(), &command.id);
    if let Some((_, outcome)) = answers.iter().find(|(of, _)| *of == cause) {
        return Some((outcome.clone(), true));
    }
    answers.into_iter().find(|(_, outcome)| !outcome.is_conflict()).map(|(_, outcome)| (outcome, false))
}

fn find_created(reader: Reader<'_>, command: &Command) -> Option<Settled> {
    let key = command.body.key();
    let refused = |outcome| Settled { outcome, account: None, transaction: None, created: None, certain: true };
    let answers = reader.rows(key, &transaction::OUTCOMES, reader::Page::all());
    let same = |id: &str, cause: EventId| Command { id: id.to_owned(), ..command.clone() }.cause() == cause;
    let (_, mut outcome) = answers
        .iter()
        .find(|((id, cause), _)| *id == command.id && *cause == command.cause())
        .or_else(|| answers.iter().find(|((id, cause), outcome)| !outcome.is_conflict() && same(id, *cause)))
        .cloned()?;
    if outcome.is_refusal() {
        return Some(refused(outcome));
    }
    let head = reader.head::<Transaction>(key)?;
    if head.status == Status::Initiated {
        return None;
    }
    outcome.arrived(event_of(head.status), head.since, head.place);
    Some(Settled {
        outcome,
        account: None,
        transaction: TransactionAnswer::of(&head),
        created: Some(head.status),
        certain: true,
    })
}

fn event_of(status: Status) -> &'static str {
    match status {
        Status::Initiated => "TransactionInitiated",
        Status::Held => "TransactionHeld",
        Status::OnHold => "TransactionOnHold",
        Status::Completed => "TransactionCompleted",
        Status::Failed => "TransactionFailed",
        Status::Cancelled => "TransactionCancelled",
        Status::Expired => "TransactionExpired",
    }
}
