//! FreezeAccount and UnfreezeAccount: privileged, and in force for the next leg.

use tributary_flow::{Cx, State};
use tributary_schemas::accounts::{AccountFrozen, AccountUnfrozen, FreezeAccount, UnfreezeAccount};
use tributary_schemas::{AccountId, Reason};

use crate::reason::refusal;
use crate::state::{Account, Change};
use crate::terms::check_reason;

pub(crate) fn on_freeze(
    cx: &Cx<'_>,
    state: &mut State<'_, Account>,
    body: &FreezeAccount,
) -> Result<AccountFrozen, Reason> {
    change(cx, state, &body.account_id, &body.reason, Change::Freeze)?;
    Ok(AccountFrozen { account_id: body.account_id.clone(), reason: body.reason.clone() })
}

pub(crate) fn on_unfreeze(
    cx: &Cx<'_>,
    state: &mut State<'_, Account>,
    body: &UnfreezeAccount,
) -> Result<AccountUnfrozen, Reason> {
    change(cx, state, &body.account_id, &body.reason, Change::Unfreeze)?;
    Ok(AccountUnfrozen { account_id: body.account_id.clone(), reason: body.reason.clone() })
}

fn change(
    cx: &Cx<'_>,
    state: &mut State<'_, Account>,
    id: &AccountId,
    reason: &str,
    change: Change,
) -> Result<(), Reason> {
    if !cx.privileged {
        return Err(refusal(id, "privileged_command"));
    }
    let account = state.head.as_mut().ok_or_else(|| refusal(id, "unknown_account"))?;
    let status = account.status.after(change).map_err(|code| refusal(id, code))?;
    check_reason(id, reason)?;
    account.status = status;
    Ok(())
}
