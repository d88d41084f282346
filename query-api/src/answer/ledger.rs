//! Answers of the general ledger and of risk.

use serde::Serialize;
use tributary_schemas::ledger::JournalPosted;
use tributary_schemas::risk::RiskAssessed;
use utoipa::ToSchema;

use super::MoneyAnswer;
use crate::json::{amount, day, instant};
use crate::problem::ReasonAnswer;
use crate::views::account::on_normal_side;
use crate::views::transaction::Totals;

/// A journal record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct JournalAnswer {
    /// The transaction.
    pub transaction_id: String,
    /// Ordinal of the posting.
    pub posting: i32,
    /// When it was decided.
    pub booked_at: String,
    /// From when it counts.
    pub value_date: String,
    /// All lines.
    pub lines: Vec<JournalLineAnswer>,
}

/// A line of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct JournalLineAnswer {
    /// Index of the leg.
    pub line: i32,
    /// Account.
    pub account_id: String,
    /// Kind of the account.
    pub kind: &'static str,
    /// `DEBIT` or `CREDIT`.
    pub side: &'static str,
    /// What was booked.
    pub amount: MoneyAnswer,
    /// Sequence of the entry.
    pub sequence: i64,
    /// Hash of the entry.
    pub hash: String,
}

impl From<&JournalPosted> for JournalAnswer {
    fn from(journal: &JournalPosted) -> Self {
        let line = |line: &tributary_schemas::ledger::JournalLine| JournalLineAnswer {
            line: line.line,
            account_id: line.account_id.to_string(),
            kind: line.kind.symbol(),
            side: line.side.symbol(),
            amount: (&line.amount).into(),
            sequence: line.sequence,
            hash: line.hash.to_string(),
        };
        JournalAnswer {
            transaction_id: journal.transaction_id.to_string(),
            posting: journal.posting,
            booked_at: instant(journal.booked_at),
            value_date: day(journal.value_date),
            lines: journal.lines.iter().map(line).collect(),
        }
    }
}

/// Risk's answer for one account of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RiskAnswer {
    /// The account.
    pub account_id: String,
    /// `APPROVE`, `REVIEW` or `DECLINE`.
    pub decision: &'static str,
    /// 0 to 100.
    pub score: i32,
    /// What the rules found.
    pub reasons: Vec<ReasonAnswer>,
    /// The rules that decided.
    pub rules_version: String,
    /// When it was decided.
    pub at: String,
}

impl RiskAnswer {
    /// What risk answered at `at`.
    #[must_use]
    pub fn of(at: tributary_flow::Timestamp, assessed: &RiskAssessed) -> Self {
        RiskAnswer {
            account_id: assessed.account_id.to_string(),
            decision: assessed.decision.symbol(),
            score: assessed.score,
            reasons: assessed.reasons.iter().map(ReasonAnswer::from).collect(),
            rules_version: assessed.rules_version.clone(),
            at: instant(at),
        }
    }
}

/// The trial balance at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TrialBalanceAnswer {
    /// Everything booked at this time or before.
    pub at: String,
    /// Whether debits equal credits in every currency.
    pub balanced: bool,
    /// By currency.
    pub currencies: Vec<TrialCurrencyAnswer>,
}

/// The trial balance of one currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TrialCurrencyAnswer {
    /// ISO 4217.
    pub currency: String,
    /// All debits.
    pub debit: String,
    /// All credits.
    pub credit: String,
    /// Debits less credits: zero, or something is very wrong.
    pub difference: String,
    /// By kind of account.
    pub kinds: Vec<TrialKindAnswer>,
}

/// One row of the trial balance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TrialKindAnswer {
    /// Kind.
    pub kind: &'static str,
    /// Debits.
    pub debit: String,
    /// Credits.
    pub credit: String,
    /// Their balance, on the kind's normal side.
    pub balance: String,
}

impl TrialBalanceAnswer {
    /// The trial balance of these totals.
    #[must_use]
    pub fn of(at: tributary_flow::Timestamp, totals: &Totals) -> Self {
        let mut currencies = Vec::new();
        let mut balanced = true;
        for rows in totals.0.iter().collect::<Vec<_>>().chunk_by(|((a, _), _), ((b, _), _)| a == b) {
            let ((currency, _), _) = rows[0];
            let debits: i128 = rows.iter().map(|(_, (debit, _))| debit).sum();
            let credits: i128 = rows.iter().map(|(_, (_, credit))| credit).sum();
            balanced &= debits == credits;
            let kind = |((_, kind), (debit, credit)): &(&(_, tributary_schemas::AccountKind), &(i128, i128))| {
                TrialKindAnswer {
                    kind: kind.symbol(),
                    debit: amount(*debit, *currency),
                    credit: amount(*credit, *currency),
                    balance: amount(on_normal_side(debit - credit, *kind), *currency),
                }
            };
            currencies.push(TrialCurrencyAnswer {
                currency: currency.to_string(),
                debit: amount(debits, *currency),
                credit: amount(credits, *currency),
                difference: amount(debits - credits, *currency),
                kinds: rows.iter().map(kind).collect(),
            });
        }
        TrialBalanceAnswer { at: instant(at), balanced, currencies }
    }
}
