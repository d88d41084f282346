//! `ledger` is the general ledger. It trusts neither side: what `transaction` declared and what the accounts say they
//! booked come on two topics, and only where both say the same, line by line, does it write the journal.
//!
//! ```text
//!  TransactionPosting ──┐                        ┌─ agrees, balanced ──> JournalPosted
//!  (declares its lines) ├──> open ──all lines──> ┼─ differs ───────────> LedgerAlarm mismatch
//!  LegPosted ───────────┘     │                  └─ does not balance ──> LedgerAlarm imbalance
//!  (entries, with hashes)     └─60 s──> LedgerAlarm incomplete, and still open
//! ```
//!
//! What always holds:
//! - A posting is closed exactly once, by one journal record or one alarm. A journal record has every declared line
//!   once, in order of line, each with its entry's sequence and hash; in every currency its debits equal its credits.
//! - The order in which the two topics met makes no difference to what is written: entries may come before the posting
//!   is declared, and before the transaction is.
//! - Over all postings no line exceeds what it was declared with at initiation.
//! - An alarm for an incomplete posting takes nothing back: if the rest comes after all, the journal is written.
//!
//! A transaction's state is dropped when it has ended and all its postings are closed. Deliberately absent: balances
//! and the trial balance, which are sums over the journal and belong to a view.

mod close;
mod on_incomplete;
mod on_leg_posted;
mod on_transaction_ended;
mod on_transaction_initiated;
mod on_transaction_posting;
mod state;
#[cfg(test)]
mod tests;

use tributary_flow::rows::Family;
use tributary_flow::{Cx, Effects, Event, Processor, State};
use tributary_graph::ledger::{In, Out, Ports};
use tributary_schemas::TransactionId;
use tributary_schemas::accounts::Vote;
use tributary_schemas::transactions::TransactionEvent;

pub use state::{Declaration, Head, Posting, Timer};

/// The node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LedgerProcessor;

impl Processor for LedgerProcessor {
    type Ports = Ports;
    type Head = Head;
    type Timer = Timer;
    const PASSING: &'static [Family] = &[Family::Heads];

    fn step(
        &self,
        cx: &Cx<'_>,
        key: &str,
        state: &mut State<'_, Head>,
        event: Event<In<'_>, Timer>,
    ) -> Effects<Out, Timer> {
        let mut effects = Effects::none();
        match event {
            Event::Input(In::Event(event)) => on_transaction_event(cx, &mut state.head, event, &mut effects),
            Event::Input(In::Vote(Vote::LegPosted(vote))) => {
                on_leg_posted::on_leg_posted(cx, &mut state.head, vote, &mut effects);
            }
            // Who grants, refuses or releases books nothing.
            Event::Input(In::Vote(Vote::LegHeld(_) | Vote::LegRefused(_) | Vote::LegVoided(_))) => {}
            Event::Timer(Timer::Incomplete(posting)) => {
                on_incomplete::on_incomplete(&id(key), state.head.as_ref(), posting, &mut effects);
            }
        }
        if let Some(head) = &mut state.head {
            close::close_what_is_complete(key, head, &mut effects);
            if head.is_finished() {
                state.head = None;
            }
        }
        effects
    }
}

/// The id that a key is.
fn id(key: &str) -> TransactionId {
    key.parse().expect("invariant: a key is the id of a body that was read")
}

fn on_transaction_event(
    cx: &Cx<'_>,
    head: &mut Option<Head>,
    event: &TransactionEvent,
    effects: &mut Effects<Out, Timer>,
) {
    match event {
        TransactionEvent::TransactionInitiated(event) => {
            on_transaction_initiated::on_transaction_initiated(head, event);
        }
        TransactionEvent::TransactionPosting(event) => {
            on_transaction_posting::on_transaction_posting(cx, head, event, effects);
        }
        TransactionEvent::TransactionCompleted(_)
        | TransactionEvent::TransactionFailed(_)
        | TransactionEvent::TransactionCancelled(_)
        | TransactionEvent::TransactionExpired(_) => on_transaction_ended::on_transaction_ended(head),
        TransactionEvent::TransactionHeld(_)
        | TransactionEvent::TransactionOnHold(_)
        | TransactionEvent::TransactionPosted(_)
        | TransactionEvent::TransactionRefused(_) => {}
    }
}
