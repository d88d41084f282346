//! `VoidTransaction`: what is still held is released.

use tributary_schemas::transactions::VoidTransaction;

use crate::refusal::asked;
use crate::state::End;
use crate::transition::Step;

pub(crate) fn on_void_transaction(step: &mut Step<'_>, command: &VoidTransaction) {
    let reason = asked("voided", "client", step.cx.actor, &command.reason);
    step.open.reasons.push(reason.clone());
    step.cancel(End::Cancelled, &reason);
}
