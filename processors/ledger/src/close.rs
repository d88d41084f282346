//! A posting is closed when all its lines are there: by the journal where both sides agree, else by an alarm.

use std::collections::BTreeMap;
use std::fmt::Display;

use tributary_flow::Effects;
use tributary_graph::ledger::Out;
use tributary_schemas::ledger::{Journal, JournalLine, JournalPosted, LedgerAlarm, LedgerEvent};
use tributary_schemas::transactions::{Leg, PostLine};
use tributary_schemas::{Amount, Currency, Money, Side, TransactionId};

use crate::id;
use crate::state::{Declaration, Head, Posting, Timer};

/// Names and what was seen.
type Values = Vec<(String, String)>;

/// Closes every posting whose lines are all there.
pub(crate) fn close_what_is_complete(key: &str, head: &mut Head, effects: &mut Effects<Out, Timer>) {
    let Some(legs) = &mut head.legs else { return };
    head.open.retain(|posting, open| {
        let complete = open.missing().is_some_and(|lines| lines.is_empty());
        let Some(declaration) = open.declaration.take_if(|_| complete) else { return true };
        effects.clear_timer(Timer::Incomplete(*posting));
        close(&id(key), legs, *posting, declaration, open, effects);
        false
    });
}

fn close(
    id: &TransactionId,
    legs: &mut [Leg],
    posting: i32,
    declaration: Declaration,
    open: &mut Posting,
    effects: &mut Effects<Out, Timer>,
) {
    let mut lines = std::mem::take(&mut open.entries);
    lines.sort_by(|a, b| (a.line, &a.account_id, a.sequence).cmp(&(b.line, &b.account_id, b.sequence)));
    let differences = compare(legs, &declaration.lines, &lines);
    if !differences.is_empty() {
        return alarm(id, "mismatch", posting, differences, effects);
    }
    let imbalances = imbalances(&lines);
    if !imbalances.is_empty() {
        return alarm(id, "imbalance", posting, imbalances, effects);
    }
    for line in &lines {
        if let Some(leg) = leg_of(legs, line.line) {
            leg.amount.amount.0 -= line.amount.amount.0;
        }
    }
    let Declaration { booked_at, value_date, .. } = declaration;
    effects.emit(Journal::JournalPosted(JournalPosted {
        transaction_id: id.clone(),
        posting,
        lines,
        booked_at,
        value_date,
    }));
}

fn leg_of(legs: &mut [Leg], line: i32) -> Option<&mut Leg> {
    legs.get_mut(usize::try_from(line).ok()?)
}

/// Where what was booked differs from what was declared: at initiation the account, side and currency of each line, and
/// the most it may come to; at the posting the amount.
fn compare(legs: &mut [Leg], declared: &[PostLine], booked: &[JournalLine]) -> Values {
    let mut differences = Values::new();
    for (index, line) in booked.iter().enumerate() {
        let at = |what: &str| format!("lines[{}].{what}", line.line);
        let twice = index > 0 && booked[index - 1].line == line.line;
        let declared = declared.iter().find(|declared| declared.line == line.line).filter(|_| !twice);
        let (Some(PostLine { amount, .. }), Some(leg)) = (declared, leg_of(legs, line.line)) else {
            differences.push((at("surplus"), describe(line)));
            continue;
        };
        let mut differs = |what: &str, declared: &dyn Display, booked: &dyn Display| {
            differences.push((at(what), format!("declared {declared}, booked {booked}")));
        };
        if leg.account_id != line.account_id {
            differs("account_id", &leg.account_id, &line.account_id);
        }
        if leg.side != line.side {
            differs("side", &format!("{:?}", leg.side), &format!("{:?}", line.side));
        }
        let expected = Money { amount: *amount, currency: leg.amount.currency };
        if expected != line.amount {
            differs("amount", &expected, &line.amount);
        }
        if !line.amount.amount.is_positive() || line.amount.amount > leg.amount.amount {
            let values = format!("at most {} is left of what was declared, booked {}", leg.amount, line.amount);
            differences.push((at("total"), values));
        }
    }
    differences
}

fn describe(line: &JournalLine) -> String {
    format!("{} {:?} {}", line.account_id, line.side, line.amount)
}

/// The currencies whose debits and credits differ, or come to more than 38 digits.
fn imbalances(lines: &[JournalLine]) -> Values {
    let mut sums: BTreeMap<Currency, [Option<Amount>; 2]> = BTreeMap::new();
    for line in lines {
        let sums = sums.entry(line.amount.currency).or_insert([Some(Amount::ZERO); 2]);
        let sum = &mut sums[usize::from(line.side == Side::Credit)];
        *sum = sum.and_then(|sum| sum.checked_add(line.amount.amount));
    }
    let text = |sum: Option<Amount>| sum.map_or_else(|| "more than 38 digits".to_owned(), |sum| sum.to_string());
    let uneven = sums.into_iter().filter(|(_, [debit, credit])| debit != credit || debit.is_none());
    uneven
        .map(|(currency, [debit, credit])| {
            (currency.to_string(), format!("debit {}, credit {}", text(debit), text(credit)))
        })
        .collect()
}

/// Entries of a posting that was closed before.
pub(crate) fn alarm_of_surplus(
    id: &TransactionId,
    posting: i32,
    lines: impl Iterator<Item = JournalLine>,
    effects: &mut Effects<Out, Timer>,
) {
    let surplus = lines.map(|line| (format!("lines[{}].surplus", line.line), describe(&line))).collect();
    alarm(id, "mismatch", posting, surplus, effects);
}

/// Something does not add up.
pub(crate) fn alarm(id: &TransactionId, code: &str, posting: i32, values: Values, effects: &mut Effects<Out, Timer>) {
    let mut alarm = LedgerAlarm::new(id.clone(), code);
    alarm.values.insert("posting".to_owned(), posting.to_string());
    alarm.values.extend(values);
    effects.emit(LedgerEvent::LedgerAlarm(alarm));
}
