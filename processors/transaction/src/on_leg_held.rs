//! `LegHeld`: an account grants its part.

use tributary_schemas::accounts::LegHeld;

use crate::transition::Step;

pub(crate) fn on_leg_held(step: &mut Step<'_>, vote: &LegHeld) {
    if let Some(party) = step.open.party(&vote.account_id) {
        party.voted = true;
        step.decide();
    }
}
