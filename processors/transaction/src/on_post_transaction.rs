//! `PostTransaction`: all that is left, or an amount per line. A posting that leaves nothing is the last, asked or not:
//! there would be nothing to wait for.

use tributary_schemas::transactions::{PostLine, PostTransaction};
use tributary_schemas::{Amount, Money, Reason};

use crate::legs::{balanced, check_amount};
use crate::refusal::fault;
use crate::state::Open;
use crate::transition::Step;

pub(crate) fn on_post_transaction(step: &mut Step<'_>, command: &PostTransaction) -> Result<(), Reason> {
    let left = step.open.all_left();
    let amounts = match &command.amounts {
        None => left.clone(),
        Some(lines) => check(step.open, lines)?,
    };
    let last = command.r#final || amounts == left;
    step.post(&amounts, last);
    Ok(())
}

/// The amounts in order of line.
fn check(open: &Open, lines: &[PostLine]) -> Result<Vec<(usize, Amount)>, Reason> {
    if lines.is_empty() {
        return Err(fault("no_amounts", "amounts", []));
    }
    let mut amounts: Vec<(usize, Amount)> = Vec::with_capacity(lines.len());
    for (index, PostLine { line, amount }) in lines.iter().enumerate() {
        let known = usize::try_from(*line).ok().filter(|at| *at < open.lines.len());
        let Some(at) = known else {
            let values: [(&str, &dyn std::fmt::Display); 2] = [("line", line), ("lines", &open.lines.len())];
            return Err(fault("unknown_line", format!("amounts[{index}].line"), values));
        };
        if amounts.iter().any(|(other, _)| *other == at) {
            return Err(fault("duplicate_line", format!("amounts[{index}].line"), [("line", line)]));
        }
        let Money { amount: left, currency } = open.lines[at].left;
        let field = || format!("amounts[{index}].amount");
        check_amount(amount, currency, field)?;
        if *amount > left {
            let values: [(&str, &dyn std::fmt::Display); 4] =
                [("line", line), ("amount", amount), ("remainder", &left), ("currency", &currency)];
            return Err(fault("amount_over_remainder", field(), values));
        }
        amounts.push((at, *amount));
    }
    amounts.sort_unstable_by_key(|(at, _)| *at);
    let posted: Vec<_> =
        amounts.iter().map(|(at, amount)| (*at, Money::of(*amount, open.lines[*at].left.currency))).collect();
    balanced("amounts", posted.iter().map(|(at, money)| (open.lines[*at].side, money)))?;
    Ok(amounts)
}
