//! LegCancelled: releases what is left of a leg. Always answered, so that the transaction can count its answers.

use tributary_flow::State;
use tributary_schemas::Amount;
use tributary_schemas::accounts::{LegVoided, Vote};
use tributary_schemas::transactions::LegCancelled;

use crate::on_leg_confirmed::close_leg;
use crate::state::{Account, OPEN_LEGS};

/// Releases, and says how much had been held: nothing where the leg was refused, was all posted, or the account is
/// unknown.
pub(crate) fn on_leg_cancelled(state: &mut State<'_, Account>, leg: &LegCancelled) -> Vote {
    let row = leg.transaction_id.as_str().to_owned();
    let mut released = Amount::ZERO;
    if let Some(open) = state.get(&OPEN_LEGS, &row) {
        let mut account = state.head.expect("invariant: an account with an open leg is open");
        released = account.release(&open);
        close_leg(state, &mut account, &row);
        state.head = Some(account);
    }
    LegVoided { transaction_id: leg.transaction_id.clone(), account_id: leg.account_id.clone(), released }.into()
}
