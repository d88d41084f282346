//! UpdateAccount.

use tributary_flow::{Cx, State};
use tributary_schemas::Reason;
use tributary_schemas::accounts::{AccountUpdated, UpdateAccount};

use crate::reason::refusal;
use crate::state::{Account, PROFILE, Status};
use crate::terms::Terms;

/// Changes terms from the next leg on: what was granted stays granted, even where a new floor or limit would refuse it.
pub(crate) fn on_update(
    cx: &Cx<'_>,
    state: &mut State<'_, Account>,
    body: &UpdateAccount,
) -> Result<AccountUpdated, Reason> {
    let account = state.head.as_mut().ok_or_else(|| refusal(&body.account_id, "unknown_account"))?;
    if account.status == Status::Closed {
        return Err(refusal(&body.account_id, "account_closed"));
    }
    Terms::from(body).check(cx, account.currency)?;
    if body.clear_limits {
        (account.daily_limit, account.monthly_limit) = (None, None);
    }
    account.floor = body.floor.unwrap_or(account.floor);
    account.daily_limit = body.daily_limit.or(account.daily_limit);
    account.monthly_limit = body.monthly_limit.or(account.monthly_limit);
    let terms = *account;
    let mut profile = state.get(&PROFILE, &()).unwrap_or_default();
    if body.name.is_some() || body.metadata.is_some() {
        profile.name = body.name.clone().unwrap_or(profile.name);
        profile.metadata = body.metadata.clone().unwrap_or(profile.metadata);
        state.put(&PROFILE, &(), &profile);
    }
    Ok(AccountUpdated {
        account_id: body.account_id.clone(),
        name: profile.name,
        floor: terms.floor,
        daily_limit: terms.daily_limit,
        monthly_limit: terms.monthly_limit,
        metadata: profile.metadata,
    })
}
