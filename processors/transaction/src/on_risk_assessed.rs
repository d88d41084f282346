//! `RiskAssessed`: risk's answer for one account. A decline ends the voting; a wish for review waits for the other
//! votes.

use tributary_schemas::risk::{RiskAssessed, RiskDecision};

use crate::refusal::given;
use crate::transition::Step;

pub(crate) fn on_risk_assessed(step: &mut Step<'_>, answer: &RiskAssessed) {
    let Some(party) = step.open.party(&answer.account_id) else { return };
    if std::mem::replace(&mut party.assessed, true) {
        return;
    }
    let review = &mut step.open.review;
    review.score = review.score.max(answer.score);
    match answer.decision {
        RiskDecision::Approve => step.decide(),
        RiskDecision::Review => {
            review.wanted = true;
            review.reasons.extend_from_slice(&answer.reasons);
            step.decide();
        }
        RiskDecision::Decline => step.object(given(&answer.reasons, "declined", "risk", &answer.account_id)),
    }
}
