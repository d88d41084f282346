//! LegRequested: the vote. All lines of the leg or none, and where none, every reason.

use tributary_flow::{Cx, Date, State};
use tributary_schemas::accounts::{LegHeld, LegRefused, Vote};
use tributary_schemas::transactions::{LegLine, LegRequested};
use tributary_schemas::{AccountId, Amount, Reason};

use crate::reason::{Because, refusal};
use crate::state::{Account, OPEN_LEGS, OpenLeg, OpenLine, Status};

/// Grants or refuses. Either is remembered only as far as it matters: a grant as an open leg, a refusal not at all.
pub(crate) fn on_leg_requested(cx: &Cx<'_>, state: &mut State<'_, Account>, leg: &LegRequested) -> Vote {
    let (transaction_id, account_id) = (leg.transaction_id.clone(), leg.account_id.clone());
    let Some(account) = state.head else {
        let reasons = vec![refusal(&account_id, "unknown_account")];
        return LegRefused { transaction_id, account_id, reasons }.into();
    };
    assert!(!account.system, "invariant: a system account is never asked");
    let row = leg.transaction_id.as_str().to_owned();
    assert!(state.get(&OPEN_LEGS, &row).is_none(), "invariant: a transaction asks an account once");
    match vote(&account, cx.now.date(), leg) {
        Ok(Grant { account, held, reserved }) => {
            let lines = leg.lines.iter().map(open_line).collect();
            state.keep(&OPEN_LEGS, &row, OpenLeg { day: account.used.day, lines });
            state.head = Some(account);
            LegHeld { transaction_id, account_id, held, reserved }.into()
        }
        Err(reasons) => LegRefused { transaction_id, account_id, reasons }.into(),
    }
}

/// The account after the grant, and what was granted.
struct Grant {
    account: Account,
    held: Amount,
    reserved: Amount,
}

fn vote(account: &Account, day: Date, leg: &LegRequested) -> Result<Grant, Vec<Reason>> {
    let id = &leg.account_id;
    let mut reasons = Vec::new();
    match account.status {
        Status::Open => {}
        Status::Frozen => reasons.push(refusal(id, "account_frozen")),
        Status::Closed => reasons.push(refusal(id, "account_closed")),
    }
    let (ours, foreign): (Vec<_>, Vec<_>) = leg.lines.iter().partition(|line| line.amount.currency == account.currency);
    reasons.extend(foreign.into_iter().map(|line| {
        refusal(id, "wrong_currency")
            .at(format!("legs[{}].amount.currency", line.line))
            .value("currency", line.amount.currency)
            .value("account_currency", account.currency)
    }));
    let sum = |lowers: bool| {
        let lines = ours.iter().filter(|line| account.lowers(line.side) == lowers);
        Amount::checked_sum(lines.map(|line| line.amount.amount))
    };
    let (held, reserved) = (sum(true), sum(false));
    // A sum that 38 digits do not hold is above every balance and every limit.
    reasons.extend(shortfalls(account, day, id, held.unwrap_or(Amount::MAX)));
    let granted = held
        .zip(reserved)
        .and_then(|(held, reserved)| Some(Grant { account: account.granted(day, held, reserved)?, held, reserved }));
    if granted.is_none() {
        reasons.push(refusal(id, "amount_too_large").value("digits", 38));
    }
    granted.filter(|_| reasons.is_empty()).ok_or(reasons)
}

/// Why `needed` may not leave the account. Where nothing leaves, nothing is compared: an account below its floor, which a
/// new floor can bring about, still takes money in.
fn shortfalls(account: &Account, day: Date, id: &AccountId, needed: Amount) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if !needed.is_positive() {
        return reasons;
    }
    let text = |amount: Amount| amount.to_string_in(account.currency);
    let available = account.available();
    if available.checked_sub(needed).is_none_or(|left| left < -account.floor) {
        reasons.push(
            refusal(id, "insufficient_funds")
                .value("available", text(available))
                .value("floor", text(account.floor))
                .value("needed", text(needed)),
        );
    }
    let used = account.used.on(day);
    for (code, limit, used) in
        [("daily_limit", account.daily_limit, used.in_day), ("monthly_limit", account.monthly_limit, used.in_month)]
    {
        let Some(limit) = limit else { continue };
        if used.checked_add(needed).is_none_or(|sum| sum > limit) {
            let reason = refusal(id, code).value("limit", text(limit));
            reasons.push(reason.value("used", text(used)).value("needed", text(needed)));
        }
    }
    reasons
}

fn open_line(line: &LegLine) -> OpenLine {
    let amount = line.amount.amount;
    assert!(amount.is_positive(), "invariant: a line's amount is above zero");
    OpenLine { line: line.line, side: line.side, granted: amount, remaining: amount }
}
