//! `LegPosted`: an account has booked its part of the posting under way.

use tributary_schemas::accounts::LegPosted;

use crate::state::Status;
use crate::transition::Step;

pub(crate) fn on_leg_posted(step: &mut Step<'_>, vote: &LegPosted) {
    if matches!(step.open.status, Status::Posting { .. })
        && vote.posting == step.open.postings
        && let Some(party) = step.open.party(&vote.account_id)
    {
        party.awaited = false;
        step.booked();
    }
}
