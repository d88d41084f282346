//! OpenAccount.

use tributary_flow::{Cx, State};
use tributary_schemas::accounts::{AccountOpened, OpenAccount};
use tributary_schemas::{Amount, Reason};

use crate::reason::{Because, refusal};
use crate::state::{Account, PROFILE, Profile};
use crate::terms::Terms;

/// Opens the account; an id that was ever used is taken, by a closed account too.
pub(crate) fn on_open(
    cx: &Cx<'_>,
    state: &mut State<'_, Account>,
    body: &OpenAccount,
) -> Result<AccountOpened, Reason> {
    if state.head.is_some() {
        return Err(refusal(&body.account_id, "account_exists").at("account_id"));
    }
    if body.currency.minor_units().is_none() {
        return Err(refusal(&body.account_id, "unknown_currency").at("currency").value("currency", body.currency));
    }
    Terms::from(body).check(cx, body.currency)?;
    let floor = body.floor.unwrap_or(Amount::ZERO);
    state.head = Some(Account {
        floor,
        daily_limit: body.daily_limit,
        monthly_limit: body.monthly_limit,
        ..Account::new(body.kind, body.currency, false)
    });
    state.put(&PROFILE, &(), &Profile { name: body.name.clone(), metadata: body.metadata.clone() });
    Ok(AccountOpened {
        account_id: body.account_id.clone(),
        kind: body.kind,
        currency: body.currency,
        system: false,
        name: body.name.clone(),
        floor,
        daily_limit: body.daily_limit,
        monthly_limit: body.monthly_limit,
        metadata: body.metadata.clone(),
    })
}
