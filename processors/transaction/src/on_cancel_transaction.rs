//! `CancelTransaction`: the client withdraws a transaction that waits, whatever it waits for.

use tributary_schemas::transactions::CancelTransaction;

use crate::refusal::asked;
use crate::state::End;
use crate::transition::Step;

pub(crate) fn on_cancel_transaction(step: &mut Step<'_>, command: &CancelTransaction) {
    let reason = asked("cancelled", "client", step.cx.actor, &command.reason);
    step.open.reasons.push(reason.clone());
    step.cancel(End::Cancelled, &reason);
}
