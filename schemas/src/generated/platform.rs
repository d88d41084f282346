//! Records of the domain `platform`. Generated from the schemas by `tests/generate`; do not edit.

use crate::codec::{At, Reader, Wire, write_bytes, write_long, write_named};
use crate::value::{Amount, Currency};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tributary_flow::DecodeError;

/// The five kinds of the chart of accounts. Assets and expenses are debit-normal, the others credit-normal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum AccountKind {
    /// `ASSET`.
    #[serde(rename = "ASSET", alias = "asset")]
    Asset,
    /// `LIABILITY`.
    #[serde(rename = "LIABILITY", alias = "liability")]
    Liability,
    /// `EQUITY`.
    #[serde(rename = "EQUITY", alias = "equity")]
    Equity,
    /// `INCOME`.
    #[serde(rename = "INCOME", alias = "income")]
    Income,
    /// `EXPENSE`.
    #[serde(rename = "EXPENSE", alias = "expense")]
    Expense,
}

impl AccountKind {
    /// All of them, in the schema's order.
    pub const ALL: [AccountKind; 5] =
        [AccountKind::Asset, AccountKind::Liability, AccountKind::Equity, AccountKind::Income, AccountKind::Expense];

    /// Its symbol in the schema.
    #[must_use]
    pub fn symbol(self) -> &'static str {
        match self {
            AccountKind::Asset => "ASSET",
            AccountKind::Liability => "LIABILITY",
            AccountKind::Equity => "EQUITY",
            AccountKind::Income => "INCOME",
            AccountKind::Expense => "EXPENSE",
        }
    }
}

impl Wire for AccountKind {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(AccountKind::ALL[reader.index(AccountKind::ALL.len())?])
    }

    fn write(&self, out: &mut Vec<u8>) {
        write_long(*self as i64, out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_bytes(self.symbol().as_bytes(), out);
    }
}

/// An amount in a currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Money {
    /// Never more digits than the currency has.
    pub amount: Amount,
    /// ISO 4217 code.
    pub currency: Currency,
}

impl Wire for Money {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Money { amount: Wire::read(reader).at("amount")?, currency: Wire::read(reader).at("currency")? })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.amount.write(out);
        self.currency.write(out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_named("amount", &self.amount, out);
        write_named("currency", &self.currency, out);
        out.push(0);
    }
}

/// Why something was refused, failed or flagged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// Stable, machine-readable: insufficient_funds, account_frozen, ...
    pub code: String,
    /// Who says so: account, risk, transaction, reviewer, client.
    pub source: String,
    /// The account or party it is about.
    #[serde(default)]
    pub subject: Option<String>,
    /// The field of the request that is at fault.
    #[serde(default)]
    pub field: Option<String>,
    /// The values that decided.
    #[serde(default)]
    pub values: BTreeMap<String, String>,
}

impl Reason {
    /// With the fields that must be given; the others have their defaults.
    #[must_use]
    pub fn new(code: impl Into<String>, source: impl Into<String>) -> Self {
        Reason {
            code: code.into(),
            source: source.into(),
            subject: Option::<String>::default(),
            field: Option::<String>::default(),
            values: BTreeMap::<String, String>::default(),
        }
    }
}

impl Wire for Reason {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Reason {
            code: Wire::read(reader).at("code")?,
            source: Wire::read(reader).at("source")?,
            subject: Wire::read(reader).at("subject")?,
            field: Wire::read(reader).at("field")?,
            values: Wire::read(reader).at("values")?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.code.write(out);
        self.source.write(out);
        self.subject.write(out);
        self.field.write(out);
        self.values.write(out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_named("code", &self.code, out);
        write_named("source", &self.source, out);
        if self.subject.is_some() {
            write_named("subject", &self.subject, out);
        }
        if self.field.is_some() {
            write_named("field", &self.field, out);
        }
        if !self.values.is_empty() {
            write_named("values", &self.values, out);
        }
        out.push(0);
    }
}

/// The side of a ledger line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Side {
    /// `DEBIT`.
    #[serde(rename = "DEBIT", alias = "debit")]
    Debit,
    /// `CREDIT`.
    #[serde(rename = "CREDIT", alias = "credit")]
    Credit,
}

impl Side {
    /// All of them, in the schema's order.
    pub const ALL: [Side; 2] = [Side::Debit, Side::Credit];

    /// Its symbol in the schema.
    #[must_use]
    pub fn symbol(self) -> &'static str {
        match self {
            Side::Debit => "DEBIT",
            Side::Credit => "CREDIT",
        }
    }
}

impl Wire for Side {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Side::ALL[reader.index(Side::ALL.len())?])
    }

    fn write(&self, out: &mut Vec<u8>) {
        write_long(*self as i64, out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_bytes(self.symbol().as_bytes(), out);
    }
}
