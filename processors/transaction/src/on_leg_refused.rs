//! `LegRefused`: an account refuses its part, and so the whole. One that comes after another refusal, or after the
//! client withdrew, adds its reasons.

use tributary_schemas::accounts::LegRefused;

use crate::refusal::given;
use crate::transition::Step;

pub(crate) fn on_leg_refused(step: &mut Step<'_>, vote: &LegRefused) {
    let Some(party) = step.open.party(&vote.account_id) else { return };
    if !std::mem::replace(&mut party.voted, true) {
        step.object(given(&vote.reasons, "refused", "account", &vote.account_id));
    }
}
