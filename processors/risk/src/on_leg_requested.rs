//! A transaction asks: may this account take part?

use std::collections::BTreeMap;

use tributary_flow::{Cx, Timestamp};
use tributary_schemas::risk::{RiskAssessed, RiskDecision};
use tributary_schemas::transactions::{LegLine, LegRequested};
use tributary_schemas::{AccountId, Amount, Currency, Money, Reason, Side};

use crate::rules::{MOST, Rules, Tier, tier};
use crate::state::{Block, PAYEES, PENDING, Pending, State};
use crate::{SOURCE, velocity};

/// Answers a leg, once.
pub(crate) fn leg_requested(rules: &Rules, cx: &Cx<'_>, state: &mut State<'_>, leg: &LegRequested) -> RiskAssessed {
    let mut score = Score { rules, account: &leg.account_id, points: 0, reasons: Vec::new() };
    let spent = debits(&leg.lines);
    if let Some(block) = &state.head {
        score.blocked(block);
    } else if !spent.is_empty() {
        let new_payees = new_payees(state, &leg.counterparties);
        score.amounts(&spent);
        score.new_payees(&new_payees);
        let spent = score.velocity(state, &spent, cx.now);
        state.keep(&PENDING, &leg.transaction_id.to_string(), Pending { spent, new_payees });
    }
    let Score { points, reasons, .. } = score;
    RiskAssessed {
        decision: match points {
            points if points >= rules.decline_at => RiskDecision::Decline,
            points if points >= rules.review_at => RiskDecision::Review,
            _ => RiskDecision::Approve,
        },
        score: points as i32,
        reasons,
        rules_version: rules.version.clone(),
        transaction_id: leg.transaction_id.clone(),
        account_id: leg.account_id.clone(),
    }
}

/// What the account spends: its debits, by currency.
pub(crate) fn debits(lines: &[LegLine]) -> BTreeMap<Currency, Amount> {
    let mut spent: BTreeMap<Currency, Amount> = BTreeMap::new();
    for line in lines.iter().filter(|line| line.side == Side::Debit) {
        let sum = spent.entry(line.amount.currency).or_default();
        *sum = sum.checked_add(line.amount.amount).unwrap_or(Amount::MAX);
    }
    spent
}

/// Those whom this account has not paid before. A system account is nobody's payee.
fn new_payees(state: &State<'_>, counterparties: &[AccountId]) -> Vec<AccountId> {
    let clients = counterparties.iter().filter(|party| party.system().is_none());
    clients.filter(|party| state.get(&PAYEES, &party.to_string()).is_none()).cloned().collect()
}

/// A score in the making: every rule that hits adds its weight and says why.
struct Score<'a> {
    rules: &'a Rules,
    account: &'a AccountId,
    points: u32,
    reasons: Vec<Reason>,
}

impl Score<'_> {
    fn hit<const N: usize>(&mut self, code: &str, weight: u32, values: [(&str, String); N]) {
        self.points = (self.points + weight).min(MOST);
        let mut reason = Reason::new(code, SOURCE);
        reason.subject = Some(self.account.to_string());
        reason.values.extend(values.map(|(name, value)| (name.to_owned(), value)));
        reason.values.insert("weight".to_owned(), weight.to_string());
        self.reasons.push(reason);
    }

    fn blocked(&mut self, block: &Block) {
        self.hit("party_blocked", MOST, [("since", block.since.0.to_string()), ("reason", block.reason.clone())]);
    }

    fn amounts(&mut self, spent: &BTreeMap<Currency, Amount>) {
        for (&currency, &amount) in spent {
            if let Some(Tier { above, weight }) = tier(self.rules.amount.of(currency), amount) {
                let values = [
                    ("amount", Money::of(amount, currency).to_string()),
                    ("above", Money::of(*above, currency).to_string()),
                ];
                self.hit("amount", *weight, values);
            }
        }
    }

    fn new_payees(&mut self, new: &[AccountId]) {
        let weight = self.rules.new_payee.weight;
        if let Some(first) = new.first().filter(|_| weight > 0) {
            self.hit("new_payee", weight, [("payee", first.to_string()), ("new_payees", new.len().to_string())]);
        }
    }

    /// Counts the payment as spent, and judges what that makes of the windows.
    fn velocity(
        &mut self,
        state: &mut State<'_>,
        spent: &BTreeMap<Currency, Amount>,
        now: Timestamp,
    ) -> Vec<crate::state::Spent> {
        let rules = self.rules;
        let mut counted = Vec::with_capacity(spent.len());
        for (&currency, &amount) in spent {
            let (spent, totals) = velocity::spend(&rules.velocity, state, currency, amount, now);
            counted.push(spent);
            for (window, total) in rules.velocity.iter().zip(totals) {
                let seconds = ("seconds", window.seconds.to_string());
                if let Some(Tier { above, weight }) = tier(&window.count, total.count) {
                    let values = [seconds.clone(), ("count", total.count.to_string()), ("above", above.to_string())];
                    self.hit("velocity_count", *weight, values);
                }
                if let Some(Tier { above, weight }) = tier(window.sum.of(currency), total.sum) {
                    let [sum, above] = [total.sum, *above].map(|amount| Money::of(amount, currency).to_string());
                    self.hit("velocity_sum", *weight, [seconds, ("sum", sum), ("above", above)]);
                }
            }
        }
        counted
    }
}
