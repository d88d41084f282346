//! Lines of a transaction are booked: what was pending is spent, and its payees are known.

use tributary_flow::Cx;
use tributary_schemas::Amount;
use tributary_schemas::transactions::LegConfirmed;

use crate::on_leg_requested::debits;
use crate::state::{PAYEES, PENDING, State};
use crate::velocity;

/// Settles what was counted; a final posting gives back what it leaves.
pub(crate) fn leg_confirmed(cx: &Cx<'_>, state: &mut State<'_>, leg: &LegConfirmed) {
    let key = leg.transaction_id.to_string();
    // A payee's leg, a system account's, and one of which a blocked party was not even asked.
    let Some(mut pending) = state.get(&PENDING, &key) else { return };
    let posted = debits(&leg.lines);
    for spent in &mut pending.spent {
        let more = posted.get(&spent.currency).copied().unwrap_or_default();
        spent.posted = Amount(spent.posted.0.saturating_add(more.0).min(spent.amount.0));
    }
    if !posted.is_empty() {
        for payee in pending.new_payees.drain(..) {
            state.put(&PAYEES, &payee.into(), &cx.now);
        }
    }
    if leg.r#final {
        pending.spent.iter().for_each(|spent| velocity::give_back(state, spent));
        state.delete(&PENDING, &key);
    } else {
        state.keep(&PENDING, &key, pending);
    }
}
