//! The rules file: what is suspicious, as data. One file, versioned, hashed into every journal entry, so that a replay
//! knows by which rules a leg was judged.
//!
//! Every limit is a list of tiers, rising: a value above a tier's `above` adds the tier's weight, and only the highest
//! tier passed counts. Amounts are strings, weights and counts whole numbers: nothing here has ever been a float.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use thiserror::Error;
use tributary_flow::Timestamp;
use tributary_flow::time::SECOND;
use tributary_schemas::{Amount, Currency};

/// The most a score can be.
pub(crate) const MOST: u32 = 100;
/// The most buckets a window may have: what a step may have to delete after a long silence.
const MOST_BUCKETS: u32 = 1_000;
/// The most windows: each costs some bytes in every payment's state.
const MOST_WINDOWS: usize = 8;

/// Why a rules file was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{path}: {reason}")]
pub struct RulesError {
    /// The field, as `velocity[1].count[0].above`.
    pub path: String,
    /// What is wrong with it, and what would be right.
    pub reason: String,
}

/// A rules file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Stands in every assessment.
    pub version: String,
    /// Score from which a person must look.
    pub review_at: u32,
    /// Score from which it is declined.
    pub decline_at: u32,
    /// A first payment to a payee.
    pub new_payee: NewPayee,
    /// What a payer spends in one transaction.
    pub amount: PerCurrency,
    /// What a payer spends over time.
    pub velocity: Vec<Window>,
}

/// A first payment to a payee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewPayee {
    /// Added to the score; zero switches the rule off.
    pub weight: u32,
}

/// A step of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tier<T> {
    /// What is above this hits.
    pub above: T,
    /// Added to the score.
    pub weight: u32,
}

/// Limits on amounts, by currency.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerCurrency {
    /// For every currency that is not named.
    pub default: Vec<Tier<Amount>>,
    /// For these.
    #[serde(default)]
    pub currencies: BTreeMap<Currency, Vec<Tier<Amount>>>,
}

/// A sliding window.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// How far back it looks; its name in the state.
    pub seconds: u32,
    /// The grain in which it forgets: a payment counts for `seconds`, and at most one bucket longer.
    pub bucket_seconds: u32,
    /// Limits on the number of payments.
    #[serde(default)]
    pub count: Vec<Tier<u64>>,
    /// Limits on their sum.
    pub sum: PerCurrency,
}

/// The highest tier that `value` passes.
pub(crate) fn tier<T: PartialOrd>(tiers: &[Tier<T>], value: T) -> Option<&Tier<T>> {
    tiers.iter().rev().find(|tier| value > tier.above)
}

impl PerCurrency {
    /// The limits on a currency.
    pub(crate) fn of(&self, currency: Currency) -> &[Tier<Amount>] {
        self.currencies.get(&currency).unwrap_or(&self.default)
    }

    fn check(&self, path: &str) -> Result<(), RulesError> {
        check_tiers(&self.default, &format!("{path}.default"))?;
        for (currency, tiers) in &self.currencies {
            let path = format!("{path}.currencies.{currency}");
            if let Some(at) = tiers.iter().position(|tier| !currency.fits(tier.above)) {
                return Err(error(
                    format!("{path}[{at}].above"),
                    format!("no amount of {currency}: no such currency, or too many digits"),
                ));
            }
            check_tiers(tiers, &path)?;
        }
        Ok(())
    }
}

impl Window {
    /// When the bucket of this instant begins.
    pub(crate) fn bucket_of(&self, now: Timestamp) -> Timestamp {
        let width = i64::from(self.bucket_seconds) * SECOND;
        Timestamp(now.0.div_euclid(width) * width)
    }

    /// Buckets that begin earlier hold nothing that the window, seen at `now`, still sees.
    pub(crate) fn horizon(&self, now: Timestamp) -> Timestamp {
        now.plus(1 - (i64::from(self.seconds) + i64::from(self.bucket_seconds)) * SECOND)
    }

    fn check(&self, path: &str) -> Result<(), RulesError> {
        let whole = self.bucket_seconds > 0 && self.seconds.is_multiple_of(self.bucket_seconds);
        if !whole || self.seconds == 0 || self.seconds / self.bucket_seconds > MOST_BUCKETS {
            let reason = format!(
                "{} seconds must be 1 to {MOST_BUCKETS} whole buckets of {} seconds",
                self.seconds, self.bucket_seconds
            );
            return Err(error(format!("{path}.bucket_seconds"), reason));
        }
        check_tiers(&self.count, &format!("{path}.count"))?;
        self.sum.check(&format!("{path}.sum"))
    }
}

impl Rules {
    /// Reads a rules file.
    ///
    /// # Errors
    /// Names the field that is wrong.
    pub fn from_json(json: &str) -> Result<Self, RulesError> {
        let mut reader = serde_json::Deserializer::from_str(json);
        let rules: Rules = serde_path_to_error::deserialize(&mut reader)
            .map_err(|failure| error(failure.path().to_string(), failure.inner().to_string()))?;
        reader.end().map_err(|failure| error(".", failure.to_string()))?;
        rules.check()?;
        Ok(rules)
    }

    fn check(&self) -> Result<(), RulesError> {
        if self.version.is_empty() || self.version.len() > 64 {
            return Err(error("version", "1 to 64 bytes"));
        }
        if !(1..=MOST).contains(&self.review_at) {
            return Err(error("review_at", format!("{} is not 1 to {MOST}", self.review_at)));
        }
        if !(self.review_at..=MOST).contains(&self.decline_at) {
            return Err(error(
                "decline_at",
                format!("{} is not {} (review_at) to {MOST}", self.decline_at, self.review_at),
            ));
        }
        if self.new_payee.weight > MOST {
            return Err(error("new_payee.weight", format!("{} is not 0 to {MOST}", self.new_payee.weight)));
        }
        self.amount.check("amount")?;
        if self.velocity.len() > MOST_WINDOWS {
            return Err(error("velocity", format!("at most {MOST_WINDOWS} windows")));
        }
        let mut seen = BTreeSet::new();
        for (at, window) in self.velocity.iter().enumerate() {
            let path = format!("velocity[{at}]");
            window.check(&path)?;
            if !seen.insert(window.seconds) {
                return Err(error(format!("{path}.seconds"), format!("a second window of {} seconds", window.seconds)));
            }
        }
        Ok(())
    }
}

fn check_tiers<T: PartialOrd + Default + Copy>(tiers: &[Tier<T>], path: &str) -> Result<(), RulesError> {
    for (at, tier) in tiers.iter().enumerate() {
        if tier.above < T::default() {
            return Err(error(format!("{path}[{at}].above"), "below zero"));
        }
        if at > 0 && tier.above <= tiers[at - 1].above {
            return Err(error(format!("{path}[{at}].above"), "not above the tier before"));
        }
        if !(1..=MOST).contains(&tier.weight) {
            return Err(error(format!("{path}[{at}].weight"), format!("{} is not 1 to {MOST}", tier.weight)));
        }
    }
    Ok(())
}

fn error(path: impl Into<String>, reason: impl Into<String>) -> RulesError {
    RulesError { path: path.into(), reason: reason.into() }
}
