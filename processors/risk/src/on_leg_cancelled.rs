//! A transaction is off, wholly or for what is left of it: what was counted for it is given back.

use tributary_schemas::transactions::LegCancelled;

use crate::state::{PENDING, State};
use crate::velocity;

/// Gives back, and forgets the transaction.
pub(crate) fn leg_cancelled(state: &mut State<'_>, leg: &LegCancelled) {
    let key = leg.transaction_id.to_string();
    let Some(pending) = state.get(&PENDING, &key) else { return };
    pending.spent.iter().for_each(|spent| velocity::give_back(state, spent));
    state.delete(&PENDING, &key);
}
