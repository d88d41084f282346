//! CloseAccount.

use tributary_flow::State;
use tributary_schemas::Reason;
use tributary_schemas::accounts::{AccountClosed, CloseAccount};

use crate::reason::{Because, refusal};
use crate::state::{Account, Change};
use crate::terms::check_reason;

/// Closes for good, where no promise and no money is left. A closed account therefore never meets a confirmed line.
pub(crate) fn on_close(state: &mut State<'_, Account>, body: &CloseAccount) -> Result<AccountClosed, Reason> {
    let id = &body.account_id;
    let account = state.head.as_mut().ok_or_else(|| refusal(id, "unknown_account"))?;
    let status = account.status.after(Change::Close).map_err(|code| refusal(id, code))?;
    if account.open_legs > 0 {
        return Err(refusal(id, "open_holds")
            .value("open_legs", account.open_legs)
            .value("held", account.held.to_string_in(account.currency))
            .value("reserved", account.reserved.to_string_in(account.currency)));
    }
    if !account.balance.is_zero() {
        let balance = account.balance.to_string_in(account.currency);
        return Err(refusal(id, "balance_not_zero").value("balance", balance));
    }
    check_reason(id, &body.reason)?;
    account.status = status;
    Ok(AccountClosed { account_id: body.account_id.clone(), reason: body.reason.clone() })
}
