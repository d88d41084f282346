//! `LegVoided`: an account has released its part.

use tributary_schemas::accounts::LegVoided;

use crate::state::Status;
use crate::transition::Step;

pub(crate) fn on_leg_voided(step: &mut Step<'_>, vote: &LegVoided) {
    if matches!(step.open.status, Status::Cancelling(_))
        && let Some(party) = step.open.party(&vote.account_id)
    {
        party.awaited = false;
        step.released();
    }
}
