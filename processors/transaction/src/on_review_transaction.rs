//! `ReviewTransaction`: a person decides what risk would not. Four eyes: the reviewer has a name, and it is not the
//! initiator's.

use tributary_schemas::Reason;
use tributary_schemas::transactions::ReviewTransaction;

use crate::refusal::{asked, reason};
use crate::state::{End, Review};
use crate::transition::Step;

pub(crate) fn on_review_transaction(step: &mut Step<'_>, command: &ReviewTransaction) -> Result<(), Reason> {
    let Some(reviewer) = step.cx.actor else {
        return Err(Reason { field: Some("actor".to_owned()), ..Reason::new("reviewer_unknown", "transaction") });
    };
    if step.open.initiator.as_deref() == Some(reviewer) {
        return Err(reason("reviewer_is_initiator", [("reviewer", &reviewer)]));
    }
    let Review { reasons, .. } = std::mem::take(&mut step.open.review);
    if command.approve {
        step.approve();
        return Ok(());
    }
    let declined = asked("review_declined", "reviewer", Some(reviewer), &command.reason);
    step.open.reasons.extend(reasons);
    step.open.reasons.push(declined.clone());
    step.cancel(End::Failed, &declined);
    Ok(())
}
