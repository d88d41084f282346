//! `account`: the one guard of an account. Status, floor, limits, holds, balance and the entry chain live under one
//! key, so that a freeze that was answered is in force for the very next leg, and a payment never waits for a join.
//!
//! ```text
//!            OpenAccount           FreezeAccount
//!   (nothing) ---------> open <-------------------> frozen
//!       |                 |        UnfreezeAccount
//!       | first           | CloseAccount: nothing held, nothing reserved, balance zero
//!       | LegConfirmed    v
//!       |               closed
//!       v
//!   open (a system account: one per name, currency and shard; never frozen, never closed)
//!
//!   a leg:  LegRequested --> LegHeld --> LegConfirmed* --> LegPosted*        all posted, or final: the rest released
//!                    |           `-----> LegCancelled  --> LegVoided         what is left is released
//!                    `--> LegRefused --> LegCancelled  --> LegVoided (0)
//! ```
//!
//! Sides and signs: balance and floor are on the kind's normal side. The line that lowers the balance is *held*, the one
//! that raises it is *reserved*. Available is posted less held; what is reserved is not money yet.
//!
//! Invariants:
//! - A hold is granted only where available stays at or above `-floor`, and within the limits of its UTC day and month.
//! - **A granted vote is a promise**: `LegConfirmed` is booked whatever happened since. Only `transaction` ends a hold.
//! - A leg is granted whole or refused whole, with every reason; a refusal leaves no trace in the state.
//! - Held and reserved are the sums of what is left in the open legs. An account closes only without open legs.
//! - Entries are numbered from 1 without gaps, and each names the hash of the one before ([`entry_hash`]).
//! - Limits are consumed by the hold, in its day and month, and given back to those on a release.
//! - Every figure that any sequence of posts and releases can reach fits 38 digits: the grant checks it.
//!
//! A leg that contradicts what was granted (another side or currency, more than the remainder, asked twice) is a broken
//! invariant of `transaction` and panics, which halts the task. Deliberately absent: expiry of holds (a timer of
//! `transaction`), the owner, risk, fees, interest, and any list that grows in the head.

mod entry;
mod on_close;
mod on_freeze;
mod on_leg_cancelled;
mod on_leg_confirmed;
mod on_leg_requested;
mod on_open;
mod on_update;
mod reason;
mod state;
mod terms;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use tributary_flow::processor::{In, Out};
use tributary_flow::rows::Family;
use tributary_flow::{Body, Cx, Effects, Event, Processor, Refusal, State};
use tributary_graph::account as graph;
use tributary_schemas::accounts::{AccountCommand, AccountEvent, AccountRefused};
use tributary_schemas::transactions::LegEvent;
use tributary_schemas::{AccountId, Reason};

use crate::reason::{Because, refusal};

pub use entry::entry_hash;
pub use state::{Account, OPEN_LEGS, OpenLeg, OpenLine, PROFILE, Profile, Status, Used};

/// The processor of the node `account`.
#[derive(Clone, Copy, Debug, Default)]
pub struct AccountProcessor;

/// An account waits for nothing, so it has no timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NoTimer {}

impl Processor for AccountProcessor {
    type Ports = graph::Ports;
    type Head = Account;
    type Timer = NoTimer;
    const PASSING: &'static [Family] = &[OPEN_LEGS.family()];

    fn step(
        &self,
        cx: &Cx<'_>,
        _: &str,
        state: &mut State<'_, Account>,
        event: Event<In<'_, Self>, NoTimer>,
    ) -> Effects<Out<Self>, NoTimer> {
        let mut effects = Effects::none();
        match event {
            Event::Input(graph::In::Command(command)) => {
                let id = &cx.command.expect("invariant: a command comes in a command's envelope").id;
                effects.answer(id, decide(cx, state, command));
            }
            Event::Input(graph::In::Leg(LegEvent::LegRequested(leg))) => {
                effects.emit(on_leg_requested::on_leg_requested(cx, state, leg));
            }
            Event::Input(graph::In::Leg(LegEvent::LegConfirmed(leg))) => {
                on_leg_confirmed::on_leg_confirmed(state, leg, &mut effects);
            }
            Event::Input(graph::In::Leg(LegEvent::LegCancelled(leg))) => {
                effects.emit(on_leg_cancelled::on_leg_cancelled(state, leg));
            }
            Event::Timer(never) => match never {},
        }
        effects
    }

    fn refuse(&self, command: In<'_, Self>, refused: &Refusal) -> Option<Out<Self>> {
        let graph::In::Command(command) = command else { return None };
        let id = account_of(command);
        let reason = match refused {
            Refusal::Conflict { first_seen } => refusal(id, "conflict").value("first_seen", first_seen.0),
            Refusal::Stale { time, oldest } => {
                refusal(id, "stale_command").at("time").value("time", time.0).value("oldest", oldest.0)
            }
        };
        Some(refused_event(id.clone(), command.name(), reason).into())
    }
}

/// The one answer to a command.
fn decide(cx: &Cx<'_>, state: &mut State<'_, Account>, command: &AccountCommand) -> AccountEvent {
    let (id, name) = (account_of(command), command.name());
    if id.system().is_some() {
        return refused_event(id.clone(), name, refusal(id, "system_account").at("account_id"));
    }
    let decided = match command {
        AccountCommand::OpenAccount(body) => on_open::on_open(cx, state, body).map(AccountEvent::from),
        AccountCommand::UpdateAccount(body) => on_update::on_update(cx, state, body).map(AccountEvent::from),
        AccountCommand::FreezeAccount(body) => on_freeze::on_freeze(cx, state, body).map(AccountEvent::from),
        AccountCommand::UnfreezeAccount(body) => on_freeze::on_unfreeze(cx, state, body).map(AccountEvent::from),
        AccountCommand::CloseAccount(body) => on_close::on_close(state, body).map(AccountEvent::from),
    };
    decided.unwrap_or_else(|reason| refused_event(id.clone(), name, reason))
}

fn refused_event(account_id: AccountId, command: &str, reason: Reason) -> AccountEvent {
    AccountRefused { account_id, command: command.to_owned(), reason }.into()
}

fn account_of(command: &AccountCommand) -> &AccountId {
    match command {
        AccountCommand::OpenAccount(body) => &body.account_id,
        AccountCommand::UpdateAccount(body) => &body.account_id,
        AccountCommand::FreezeAccount(body) => &body.account_id,
        AccountCommand::UnfreezeAccount(body) => &body.account_id,
        AccountCommand::CloseAccount(body) => &body.account_id,
    }
}
