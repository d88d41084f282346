//! The risk node: scores every leg by rules, and declines those of blocked parties.
//!
//! Keyed by account, it meets each leg under the account that guards it, so a block that was answered is in force for the
//! next leg, payer or payee. The rules are data (`rules.json`, or another file of the same shape): limits on the amount,
//! on count and sum over sliding windows, and a weight for a first payment to a payee. Each hit adds its weight; the
//! score, 0 to 100, decides: approve, review, decline.
//!
//! A payer is an account that is debited: what clients hold with us is a liability, which a debit lowers. Whoever is only
//! credited is judged by the block alone.
//!
//! Invariants:
//! - one `RiskAssessed` per `LegRequested`, in the same step; never a timer, never a wait;
//! - what is pending counts as spent from the request on; it is given back to the buckets it was counted in when the
//!   transaction is cancelled, or, for what was not posted, with its final posting;
//! - the row that remembers a transaction ends with the transaction; buckets end with their window.
//!
//! Deliberately absent: balances and limits of an account (those are promises, and `account` makes them), judgement by
//! people (`transaction` waits for it), and any look at the clock or at another account.
//!
//! Refusals: `already_blocked`, `not_blocked`, `system_account`, `privileged_command`, `too_long`, `conflict`,
//! `stale_command`.

mod on_command;
mod on_leg_cancelled;
mod on_leg_confirmed;
mod on_leg_requested;
pub mod rules;
pub mod state;
#[cfg(test)]
mod tests;
pub mod velocity;

use serde::{Deserialize, Serialize};
use tributary_flow::processor::{In, Out};
use tributary_flow::rows::Family;
use tributary_flow::{Cx, Effects, Event, Processor, Refusal, State};
use tributary_graph::risk;
use tributary_schemas::transactions::LegEvent;

use crate::state::{PAYEES, PENDING};
pub use rules::{Rules, RulesError};

pub use state::Block;

/// Who says so, in every reason.
pub(crate) const SOURCE: &str = "risk";

/// The rules that come with the node.
pub const DEFAULT_RULES: &str = include_str!("../rules.json");

/// The node.
#[derive(Clone, Debug)]
pub struct RiskProcessor {
    rules: Rules,
    digest: [u8; 32],
}

/// Risk waits for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Timer {}

impl RiskProcessor {
    /// Judges by a rules file.
    ///
    /// # Errors
    /// Names the field that is wrong.
    pub fn from_json(json: &str) -> Result<Self, RulesError> {
        Ok(RiskProcessor { rules: Rules::from_json(json)?, digest: *blake3::hash(json.as_bytes()).as_bytes() })
    }

    /// The version of its rules.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.rules.version
    }
}

impl Default for RiskProcessor {
    fn default() -> Self {
        Self::from_json(DEFAULT_RULES).expect("invariant: the rules that come with the node are valid, as a test shows")
    }
}

impl Processor for RiskProcessor {
    type Ports = risk::Ports;
    type Head = Block;
    type Timer = Timer;
    const PASSING: &'static [Family] = &[PENDING.family()];
    const LASTING: &'static [Family] = &[PAYEES.family()];

    fn step(
        &self,
        cx: &Cx<'_>,
        _: &str,
        state: &mut State<'_, Block>,
        event: Event<In<'_, Self>, Timer>,
    ) -> Effects<Out<Self>, Timer> {
        let mut effects = Effects::none();
        match event {
            Event::Input(risk::In::Command(command)) => {
                let outcome = on_command::command(cx, state, command);
                let id =
                    cx.command.map(|command| command.id.as_str()).expect("invariant: a command has a command's header");
                effects.answer(id, outcome);
            }
            Event::Input(risk::In::Leg(LegEvent::LegRequested(leg))) => {
                let assessed = on_leg_requested::leg_requested(&self.rules, cx, state, leg);
                effects.emit(tributary_schemas::risk::RiskEvent::from(assessed));
            }
            Event::Input(risk::In::Leg(LegEvent::LegConfirmed(leg))) => on_leg_confirmed::leg_confirmed(cx, state, leg),
            Event::Input(risk::In::Leg(LegEvent::LegCancelled(leg))) => on_leg_cancelled::leg_cancelled(state, leg),
            Event::Timer(never) => match never {},
        }
        effects
    }

    fn refuse(&self, command: In<'_, Self>, refusal: &Refusal) -> Option<Out<Self>> {
        match command {
            risk::In::Command(command) => Some(on_command::refuse(command, refusal).into()),
            risk::In::Leg(_) => None,
        }
    }

    fn rules(&self) -> [u8; 32] {
        self.digest
    }
}
