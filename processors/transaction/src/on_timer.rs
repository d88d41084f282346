//! A wait is over: nobody answered, posted or looked in time.

use tributary_flow::time::SECOND;
use tributary_schemas::Reason;

use crate::refusal::reason;
use crate::state::{End, Timer};
use crate::transition::Step;

pub(crate) fn on_timer(step: &mut Step<'_>, timer: Timer) {
    // A timer belongs to one status, which clears it when it is left; one of another status is of the past.
    if step.open.status.timer() != Some(timer) {
        return;
    }
    let deadline = step.open.deadline.0;
    let (end, reason) = match timer {
        Timer::Voting => (End::Failed, voting_ended(step)),
        Timer::Hold => (End::Expired, reason("hold_expired", [("deadline", &deadline)])),
        Timer::Review => {
            let waiting = std::mem::take(&mut step.open.review.reasons);
            step.open.reasons.extend(waiting);
            (End::Expired, reason("review_expired", [("deadline", &deadline)]))
        }
    };
    step.open.reasons.push(reason.clone());
    step.cancel(end, &reason);
}

/// Whose answer is missing: of the accounts, and of risk for which of them.
fn voting_ended(step: &Step<'_>) -> Reason {
    let votes = step.open.names(|party| !party.voted);
    let risk = step.open.names(|party| !party.assessed);
    let seconds = step.voting() / SECOND;
    reason("voting_deadline", [("seconds", &seconds), ("accounts_missing", &votes), ("risk_missing", &risk)])
}
