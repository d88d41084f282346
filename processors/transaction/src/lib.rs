//! `transaction` decides transactions. It cuts each into legs, one per account, collects what the accounts and risk say
//! of them, and confirms or cancels: two-phase commit, told as facts on topics. It alone ends a hold.
//!
//! ```text
//!  Create ──> initiated ──votes in──> held <──────────── posted in part
//!                │  │ └───a review──┐  │ └──Post──> posting ──last──> COMPLETED
//!                │  └─one-phase─────│──│──────────────^
//!                │                  v  │              │ approved, one-phase
//!                │              on_hold│──────────────┘ (approved, two-phase: held)
//!   a refusal,   │   declined, expired,│ Void, Cancel, expired
//!   a decline,   v       Cancel     v  v
//!   the deadline,└──────────> cancelling ──all released──> FAILED | CANCELLED | EXPIRED
//!   Cancel                                                 (COMPLETED where a part was posted)
//! ```
//!
//! What always holds:
//! - A transaction ends exactly once, and every command is answered exactly once: at once by a refusal (and `Create` by
//!   `TransactionInitiated`), else by the event that ends what the command began. One such command pends at a time.
//! - Every account that was asked ends with exactly one of a final `LegConfirmed` and a `LegCancelled`. A leg is final
//!   too where a partial posting leaves nothing of it. The end is told only once every account has said that it did its
//!   part, so by then no vote is outstanding and nothing is held.
//! - Each posting is balanced per currency, and the sum of a line's postings is at most the line.
//! - System accounts are not asked and never cancelled: they promise nothing and keep nothing. They are only confirmed.
//! - Every state that might wait for ever has a timer; `posting` and `cancelling` have none, because what they wait for
//!   cannot be refused. A hold that runs out during a partial posting expires right after it.
//!
//! After its end a transaction's state is one byte: enough to refuse a late command with the reason why. Deliberately
//! absent: balances, limits and rules, which belong to `account` and `risk`, and any history, which is in the log.

mod bounds;
mod legs;
mod on_cancel_transaction;
mod on_create_transaction;
mod on_leg_held;
mod on_leg_posted;
mod on_leg_refused;
mod on_leg_voided;
mod on_post_transaction;
mod on_review_transaction;
mod on_risk_assessed;
mod on_timer;
mod on_void_transaction;
mod refusal;
mod state;
#[cfg(test)]
mod tests;
mod transition;

use tributary_flow::rows::Family;
use tributary_flow::time::{DAY, SECOND};
use tributary_flow::{Body, Cx, Effects, Event, Identity, Processor, Refusal, State};
use tributary_graph::transaction::{In, Out, Ports};
use tributary_schemas::Reason;
use tributary_schemas::accounts::Vote;
use tributary_schemas::risk::RiskEvent;
use tributary_schemas::transactions::{TransactionCommand, TransactionEvent, TransactionRefused};

pub use state::{ENDED, End, Line, Open, Party, Review, Status, Timer, status};
use transition::Step;

/// The node, with the lengths of its waits in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionProcessor {
    /// How long the votes may take.
    pub voting: i64,
    /// How long a hold lasts where the command does not say.
    pub hold: i64,
    /// How long a transaction may wait for its reviewer.
    pub review: i64,
}

impl Default for TransactionProcessor {
    fn default() -> Self {
        TransactionProcessor { voting: 10 * SECOND, hold: 7 * DAY, review: 7 * DAY }
    }
}

impl Processor for TransactionProcessor {
    type Ports = Ports;
    type Head = Open;
    type Timer = Timer;
    const PASSING: &'static [Family] = &[Family::Heads];
    const LASTING: &'static [Family] = &[ENDED.family()];

    fn step(
        &self,
        cx: &Cx<'_>,
        key: &str,
        state: &mut State<'_, Open>,
        event: Event<In<'_>, Timer>,
    ) -> Effects<Out, Timer> {
        let mut effects = Effects::none();
        match event {
            Event::Input(In::Command(command)) => self.command(cx, key, state, command, &mut effects),
            // Nothing is awaited of anyone before the beginning or after the end: what still comes in changes nothing.
            event => {
                if let Some(open) = &mut state.head {
                    self.fact(&mut Step::new(self, cx, key, open, &mut effects), event);
                }
            }
        }
        if let Some(Open { status: Status::Ended(end), .. }) = state.head {
            state.put(&ENDED, &(), &end);
            state.head = None;
        }
        effects
    }

    fn refuse(&self, command: In<'_>, refusal: &Refusal) -> Option<Out> {
        match command {
            In::Command(command) => Some(refused(command, refusal::of_the_door(refusal))),
            In::Vote(_) | In::Risk(_) => None,
        }
    }

    fn identity(&self, command: In<'_>) -> Identity {
        match command {
            In::Command(TransactionCommand::CreateTransaction(_)) => Identity::Key,
            _ => Identity::Command,
        }
    }
}

impl TransactionProcessor {
    fn command(
        &self,
        cx: &Cx<'_>,
        key: &str,
        state: &mut State<'_, Open>,
        command: &TransactionCommand,
        effects: &mut Effects<Out, Timer>,
    ) {
        let id = cx.command.expect("invariant: a command comes with its header").id.as_str();
        if let Err(reason) = bounds::check(command) {
            return effects.answer(id, refused(command, reason));
        }
        let open = state.head.as_ref().map(|open| open.status);
        let status = open.or_else(|| state.get(&ENDED, &()).map(Status::Ended));
        if let TransactionCommand::CreateTransaction(create) = command {
            match on_create_transaction::on_create_transaction(self, cx, create, status, effects) {
                Ok(open) => state.head = Some(open),
                Err(reason) => effects.answer(id, refused(command, reason)),
            }
            return;
        }
        if let Err(reason) = admit(cx, status, command) {
            return effects.answer(id, refused(command, reason));
        }
        let open = state.head.as_mut().expect("invariant: no command is legal once a transaction has ended");
        open.pending = Some(id.to_owned());
        let mut step = Step::new(self, cx, key, open, effects);
        let decided = match command {
            TransactionCommand::CancelTransaction(command) => {
                on_cancel_transaction::on_cancel_transaction(&mut step, command);
                Ok(())
            }
            TransactionCommand::VoidTransaction(command) => {
                on_void_transaction::on_void_transaction(&mut step, command);
                Ok(())
            }
            TransactionCommand::PostTransaction(command) => {
                on_post_transaction::on_post_transaction(&mut step, command)
            }
            TransactionCommand::ReviewTransaction(command) => {
                on_review_transaction::on_review_transaction(&mut step, command)
            }
            TransactionCommand::CreateTransaction(_) => unreachable!("invariant: handled above"),
        };
        if let Err(reason) = decided {
            open.pending = None;
            effects.answer(id, refused(command, reason));
        }
    }

    fn fact(&self, step: &mut Step<'_>, event: Event<In<'_>, Timer>) {
        match event {
            Event::Input(In::Vote(Vote::LegHeld(vote))) => on_leg_held::on_leg_held(step, vote),
            Event::Input(In::Vote(Vote::LegRefused(vote))) => on_leg_refused::on_leg_refused(step, vote),
            Event::Input(In::Vote(Vote::LegPosted(vote))) => on_leg_posted::on_leg_posted(step, vote),
            Event::Input(In::Vote(Vote::LegVoided(vote))) => on_leg_voided::on_leg_voided(step, vote),
            Event::Input(In::Risk(RiskEvent::RiskAssessed(answer))) => on_risk_assessed::on_risk_assessed(step, answer),
            Event::Input(In::Command(_)) => unreachable!("invariant: commands are handled before facts"),
            Event::Timer(timer) => on_timer::on_timer(step, timer),
        }
    }
}

/// What a command needs before it is looked at, where it creates nothing: the right door, a transaction, and a status in
/// which it is legal.
fn admit(cx: &Cx<'_>, status: Option<Status>, command: &TransactionCommand) -> Result<(), Reason> {
    if matches!(command, TransactionCommand::ReviewTransaction(_)) && !cx.privileged {
        return Err(refusal::privileged(command.name()));
    }
    let status = status.ok_or_else(|| refusal::not_found(command.key()))?.name();
    let legal = state::legal_in(command);
    if legal.contains(&status) { Ok(()) } else { Err(refusal::wrong_status(status, legal)) }
}

/// The event that refuses a command.
fn refused(command: &TransactionCommand, reason: Reason) -> Out {
    let transaction_id = transition::id(command.key());
    let refused = TransactionRefused { transaction_id, command: command.name().to_owned(), reason };
    Out::Event(TransactionEvent::TransactionRefused(refused))
}
