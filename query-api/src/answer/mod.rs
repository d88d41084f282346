//! What the routes answer: plain records of text and numbers, amounts with exactly their currency's digits.

mod account;
mod ledger;
mod transaction;

use serde::Serialize;
use tributary_flow::Place;
use tributary_schemas::{Currency, Money};
use utoipa::ToSchema;

pub use account::{AccountAnswer, AccountTransactionAnswer, BalanceAnswer, EntryAnswer};
pub use ledger::{
    JournalAnswer, JournalLineAnswer, RiskAnswer, TrialBalanceAnswer, TrialCurrencyAnswer, TrialKindAnswer,
};
pub use transaction::{FactAnswer, LegAnswer, TransactionAnswer, status};

use crate::json::amount;

/// An amount of money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Money)]
pub struct MoneyAnswer {
    /// With exactly the currency's digits.
    pub amount: String,
    /// ISO 4217.
    pub currency: String,
}

impl MoneyAnswer {
    /// So many ten-thousandths of a currency's unit.
    #[must_use]
    pub fn new(units: i128, currency: Currency) -> Self {
        MoneyAnswer { amount: amount(units, currency), currency: currency.to_string() }
    }
}

impl From<&Money> for MoneyAnswer {
    fn from(money: &Money) -> Self {
        Self::new(money.amount.0, money.currency)
    }
}

/// One page of a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// The cursor of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Where a record lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Place)]
pub struct PlaceAnswer {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: u32,
    /// Offset.
    pub offset: u64,
}

impl From<&Place> for PlaceAnswer {
    fn from(place: &Place) -> Self {
        PlaceAnswer { topic: place.topic.clone(), partition: place.partition, offset: place.offset }
    }
}
