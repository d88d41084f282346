//! Whether legs make a transaction, and which accounts they mean.

use std::collections::BTreeMap;
use std::fmt::Display;

use tributary_flow::partition_of;
use tributary_schemas::transactions::Leg;
use tributary_schemas::value::{System, chart};
use tributary_schemas::{AccountId, Amount, Currency, Money, Reason, Side};

use crate::refusal::fault;

/// The fewest legs: one gives, one takes.
const FEWEST: usize = 2;
/// The most legs: what a head may hold and one step may ask.
const MOST: usize = 64;
/// Shards of a system account that may be chosen from.
const SHARDS: u8 = 100;

/// The legs with the shards of system accounts chosen.
///
/// # Errors
/// The first thing that is wrong with them.
pub(crate) fn resolve(legs: &[Leg], partitions: u32) -> Result<Vec<Leg>, Reason> {
    if legs.len() < FEWEST {
        return Err(fault("too_few_legs", "legs", [("legs", &legs.len()), ("fewest", &FEWEST)]));
    }
    if legs.len() > MOST {
        return Err(fault("too_many_legs", "legs", [("legs", &legs.len()), ("most", &MOST)]));
    }
    let ordinary = legs.iter().find(|leg| leg.account_id.system().is_none());
    let home = ordinary.map(|leg| partition_of(leg.account_id.as_str().as_bytes(), partitions));
    let mut resolved = Vec::with_capacity(legs.len());
    for (at, leg) in legs.iter().enumerate() {
        check_amount(&leg.amount.amount, leg.amount.currency, || format!("legs[{at}].amount"))?;
        let account_id = match leg.account_id.system() {
            Some(system) => choose(&leg.account_id, &system, leg.amount.currency, at, home, partitions)?,
            None => leg.account_id.clone(),
        };
        resolved.push(Leg { account_id, ..leg.clone() });
    }
    balanced("legs", resolved.iter().map(|leg| (leg.side, &leg.amount)))?;
    someone_else(&resolved)?;
    Ok(resolved)
}

/// Most that one leg may move: 10^20 units of any currency. A system account never refuses, so its balance must be out of
/// reach of overflow: 10^14 such legs would be needed.
const LARGEST: Amount = Amount(100_000_000_000_000_000_000 * Amount::UNIT);

/// An amount that can be paid in its currency.
pub(crate) fn check_amount(amount: &Amount, currency: Currency, field: impl FnOnce() -> String) -> Result<(), Reason> {
    let Some(digits) = currency.minor_units() else {
        return Err(fault("unknown_currency", format!("{}.currency", field()), [("currency", &currency)]));
    };
    if !amount.is_positive() {
        return Err(fault("zero_or_negative_amount", field(), [("amount", amount), ("currency", &currency)]));
    }
    if !currency.fits(*amount) {
        let values: [(&str, &dyn Display); 3] = [("amount", amount), ("currency", &currency), ("digits", &digits)];
        return Err(fault("too_many_digits", field(), values));
    }
    if *amount > LARGEST {
        return Err(fault("amount_too_large", field(), [("amount", amount), ("largest", &LARGEST)]));
    }
    Ok(())
}

/// Debits equal credits in every currency. The sums cannot overflow: 64 legs of at most [`LARGEST`] each.
pub(crate) fn balanced<'a>(field: &str, lines: impl Iterator<Item = (Side, &'a Money)>) -> Result<(), Reason> {
    let mut sums: BTreeMap<Currency, [Amount; 2]> = BTreeMap::new();
    for (side, money) in lines {
        let sum = &mut sums.entry(money.currency).or_default()[usize::from(side == Side::Credit)];
        *sum = sum.checked_add(money.amount).expect("invariant: every amount was checked against the largest");
    }
    match sums.iter().find(|(_, [debit, credit])| debit != credit) {
        Some((currency, [debit, credit])) => {
            Err(fault("unbalanced", field, [("currency", currency), ("debit", debit), ("credit", credit)]))
        }
        None => Ok(()),
    }
}

/// The account that a system account's id means: the shard given, or the lowest that lies in the partition `home`, so
/// that both ends of a payment are in one place and no shard is everybody's.
fn choose(
    id: &AccountId,
    system: &System<'_>,
    currency: Currency,
    at: usize,
    home: Option<u32>,
    partitions: u32,
) -> Result<AccountId, Reason> {
    if chart::lookup(id).is_none() {
        let known = chart::CHART.map(|row| row.name).join(", ");
        let field = format!("legs[{at}].account_id");
        return Err(fault("unknown_system_account", field, [("account_id", id), ("known", &known)]));
    }
    if system.currency != currency {
        let field = format!("legs[{at}].amount.currency");
        return Err(fault("wrong_currency", field, [("account_id", id), ("currency", &currency)]));
    }
    if system.shard.is_some() {
        return Ok(id.clone());
    }
    let shard =
        |number| AccountId::of_system(system.name, currency, number).expect("invariant: names of the chart make ids");
    let near = |id: &AccountId| home.is_some_and(|home| partition_of(id.as_str().as_bytes(), partitions) == home);
    Ok((0..SHARDS).map(shard).find(near).unwrap_or_else(|| shard(0)))
}

/// Payer and payee differ: in no currency do all legs name one account, which would pay only itself.
fn someone_else(legs: &[Leg]) -> Result<(), Reason> {
    for leg in legs {
        let mut same = legs.iter().filter(|other| other.amount.currency == leg.amount.currency);
        if same.all(|other| other.account_id == leg.account_id) {
            let account = &leg.account_id;
            let values: [(&str, &dyn Display); 2] = [("account_id", account), ("currency", &leg.amount.currency)];
            return Err(fault("same_account_both_sides", "legs", values));
        }
    }
    Ok(())
}
