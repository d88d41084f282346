//! What money and sides can do besides being read and written.

use std::fmt;

use crate::{AccountKind, Amount, Currency, Money, Side};

impl Money {
    /// An amount in a currency.
    #[must_use]
    pub fn of(amount: Amount, currency: Currency) -> Self {
        Money { amount, currency }
    }

    /// Whether the amount has no more digits than its currency, and the currency is one.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.currency.fits(self.amount)
    }
}

impl fmt::Display for Money {
    /// As `12.30 EUR`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount.to_string_in(self.currency), self.currency)
    }
}

impl Side {
    /// The other side.
    #[must_use]
    pub fn opposite(self) -> Self {
        match self {
            Side::Debit => Side::Credit,
            Side::Credit => Side::Debit,
        }
    }
}

impl AccountKind {
    /// The side that raises the balance: debit for assets and expenses, credit for the others.
    #[must_use]
    pub fn normal_side(self) -> Side {
        match self {
            AccountKind::Asset | AccountKind::Expense => Side::Debit,
            AccountKind::Liability | AccountKind::Equity | AccountKind::Income => Side::Credit,
        }
    }
}
