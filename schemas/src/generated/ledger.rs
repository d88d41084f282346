//! Records of the domain `ledger`. Generated from the schemas by `tests/generate`; do not edit.

use crate::codec::{At, Reader, Wire, write_bytes, write_long, write_named};
use crate::envelope;
use crate::platform::{AccountKind, Money, Side};
use crate::value::{AccountId, Amount, Hash, TransactionId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tributary_flow::{Body, Date, DecodeError, Header, Timestamp};

/// The entries, keyed by account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Entry {
    /// An immutable line in an account's chain.
    EntryPosted(EntryPosted),
}

impl Entry {
    /// The names of the records.
    pub const RECORDS: [&'static str; 1] = ["EntryPosted"];
}

impl From<EntryPosted> for Entry {
    fn from(body: EntryPosted) -> Self {
        Entry::EntryPosted(body)
    }
}

impl Wire for Entry {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.index(1)?;
        Wire::read(reader).map(Entry::EntryPosted)
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Entry::EntryPosted(body) => {
                write_long(0, out);
                body.write(out);
            }
        }
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_bytes(self.name().as_bytes(), out);
        match self {
            Entry::EntryPosted(body) => body.canonical(out),
        }
    }
}

impl Body for Entry {
    const SCHEMA: &'static str = "tributary.ledger.v1.EntryEnvelope";

    fn decode(datum: &[u8]) -> Result<(Header, Self), DecodeError> {
        envelope::decode_fact(datum)
    }

    fn encode(&self, header: &Header, out: &mut Vec<u8>) {
        envelope::encode_fact(header, self, out);
    }

    fn encode_body(&self, out: &mut Vec<u8>) {
        self.canonical(out);
    }

    fn key(&self) -> &str {
        match self {
            Entry::EntryPosted(body) => body.account_id.as_ref(),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Entry::EntryPosted(_) => "EntryPosted",
        }
    }
}

/// An immutable line in an account's chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntryPosted {
    /// The account; also the record's key.
    pub account_id: AccountId,
    /// From 1, without gaps.
    pub sequence: i64,
    /// The transaction.
    pub transaction_id: TransactionId,
    /// Ordinal of the posting.
    pub posting: i32,
    /// Index of the leg in the transaction.
    pub line: i32,
    /// Side.
    pub side: Side,
    /// Amount.
    pub amount: Money,
    /// Posted balance after, on the kind's normal side.
    pub balance: Amount,
    /// Posted less held, after.
    pub available: Amount,
    /// Time of booking.
    #[serde(with = "crate::value::time")]
    pub booked_at: Timestamp,
    /// Value date.
    #[serde(with = "crate::value::time")]
    pub value_date: Date,
    /// Hash of the entry before; zeros for the first.
    pub previous_hash: Hash,
    /// BLAKE3 over the previous hash and this entry.
    pub hash: Hash,
}

impl Wire for EntryPosted {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(EntryPosted {
            account_id: Wire::read(reader).at("account_id")?,
            sequence: Wire::read(reader).at("sequence")?,
            transaction_id: Wire::read(reader).at("transaction_id")?,
            posting: Wire::read(reader).at("posting")?,
            line: Wire::read(reader).at("line")?,
            side: Wire::read(reader).at("side")?,
            amount: Wire::read(reader).at("amount")?,
            balance: Wire::read(reader).at("balance")?,
            available: Wire::read(reader).at("available")?,
            booked_at: Wire::read(reader).at("booked_at")?,
            value_date: Wire::read(reader).at("value_date")?,
            previous_hash: Wire::read(reader).at("previous_hash")?,
            hash: Wire::read(reader).at("hash")?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.account_id.write(out);
        self.sequence.write(out);
        self.transaction_id.write(out);
        self.posting.write(out);
        self.line.write(out);
        self.side.write(out);
        self.amount.write(out);
        self.balance.write(out);
        self.available.write(out);
        self.booked_at.write(out);
        self.value_date.write(out);
        self.previous_hash.write(out);
        self.hash.write(out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_named("account_id", &self.account_id, out);
        write_named("sequence", &self.sequence, out);
        write_named("transaction_id", &self.transaction_id, out);
        write_named("posting", &self.posting, out);
        write_named("line", &self.line, out);
        write_named("side", &self.side, out);
        write_named("amount", &self.amount, out);
        write_named("balance", &self.balance, out);
        write_named("available", &self.available, out);
        write_named("booked_at", &self.booked_at, out);
        write_named("value_date", &self.value_date, out);
        write_named("previous_hash", &self.previous_hash, out);
        write_named("hash", &self.hash, out);
        out.push(0);
    }
}

/// The general ledger's journal, keyed by transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Journal {
    /// A balanced posting, with the hashes of its entries.
    JournalPosted(JournalPosted),
}

impl Journal {
    /// The names of the records.
    pub const RECORDS: [&'static str; 1] = ["JournalPosted"];
}

impl From<JournalPosted> for Journal {
    fn from(body: JournalPosted) -> Self {
        Journal::JournalPosted(body)
    }
}

impl Wire for Journal {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.index(1)?;
        Wire::read(reader).map(Journal::JournalPosted)
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Journal::JournalPosted(body) => {
                write_long(0, out);
                body.write(out);
            }
        }
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_bytes(self.name().as_bytes(), out);
        match self {
            Journal::JournalPosted(body) => body.canonical(out),
        }
    }
}

impl Body for Journal {
    const SCHEMA: &'static str = "tributary.ledger.v1.JournalEnvelope";

    fn decode(datum: &[u8]) -> Result<(Header, Self), DecodeError> {
        envelope::decode_fact(datum)
    }

    fn encode(&self, header: &Header, out: &mut Vec<u8>) {
        envelope::encode_fact(header, self, out);
    }

    fn encode_body(&self, out: &mut Vec<u8>) {
        self.canonical(out);
    }

    fn key(&self) -> &str {
        match self {
            Journal::JournalPosted(body) => body.transaction_id.as_ref(),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Journal::JournalPosted(_) => "JournalPosted",
        }
    }
}

/// A line of the general ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournalLine {
    /// Index of the leg.
    pub line: i32,
    /// Account.
    pub account_id: AccountId,
    /// Kind of the account.
    pub kind: AccountKind,
    /// Side.
    pub side: Side,
    /// Amount.
    pub amount: Money,
    /// Sequence of the entry.
    pub sequence: i64,
    /// Hash of the entry.
    pub hash: Hash,
}

impl Wire for JournalLine {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(JournalLine {
            line: Wire::read(reader).at("line")?,
            account_id: Wire::read(reader).at("account_id")?,
            kind: Wire::read(reader).at("kind")?,
            side: Wire::read(reader).at("side")?,
            amount: Wire::read(reader).at("amount")?,
            sequence: Wire::read(reader).at("sequence")?,
            hash: Wire::read(reader).at("hash")?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.line.write(out);
        self.account_id.write(out);
        self.kind.write(out);
        self.side.write(out);
        self.amount.write(out);
        self.sequence.write(out);
        self.hash.write(out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_named("line", &self.line, out);
        write_named("account_id", &self.account_id, out);
        write_named("kind", &self.kind, out);
        write_named("side", &self.side, out);
        write_named("amount", &self.amount, out);
        write_named("sequence", &self.sequence, out);
        write_named("hash", &self.hash, out);
        out.push(0);
    }
}

/// A balanced posting, with the hashes of its entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournalPosted {
    /// Also the record's key.
    pub transaction_id: TransactionId,
    /// Ordinal.
    pub posting: i32,
    /// All lines.
    pub lines: Vec<JournalLine>,
    /// Time of booking.
    #[serde(with = "crate::value::time")]
    pub booked_at: Timestamp,
    /// Value date.
    #[serde(with = "crate::value::time")]
    pub value_date: Date,
}

impl Wire for JournalPosted {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(JournalPosted {
            transaction_id: Wire::read(reader).at("transaction_id")?,
            posting: Wire::read(reader).at("posting")?,
            lines: Wire::read(reader).at("lines")?,
            booked_at: Wire::read(reader).at("booked_at")?,
            value_date: Wire::read(reader).at("value_date")?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.transaction_id.write(out);
        self.posting.write(out);
        self.lines.write(out);
        self.booked_at.write(out);
        self.value_date.write(out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_named("transaction_id", &self.transaction_id, out);
        write_named("posting", &self.posting, out);
        write_named("lines", &self.lines, out);
        write_named("booked_at", &self.booked_at, out);
        write_named("value_date", &self.value_date, out);
        out.push(0);
    }
}

/// Something does not add up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerAlarm {
    /// The transaction; also the record's key.
    pub transaction_id: TransactionId,
    /// imbalance, mismatch, incomplete.
    pub code: String,
    /// What was seen.
    #[serde(default)]
    pub values: BTreeMap<String, String>,
}

impl LedgerAlarm {
    /// With the fields that must be given; the others have their defaults.
    #[must_use]
    pub fn new(transaction_id: TransactionId, code: impl Into<String>) -> Self {
        LedgerAlarm { transaction_id, code: code.into(), values: BTreeMap::<String, String>::default() }
    }
}

impl Wire for LedgerAlarm {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(LedgerAlarm {
            transaction_id: Wire::read(reader).at("transaction_id")?,
            code: Wire::read(reader).at("code")?,
            values: Wire::read(reader).at("values")?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.transaction_id.write(out);
        self.code.write(out);
        self.values.write(out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_named("transaction_id", &self.transaction_id, out);
        write_named("code", &self.code, out);
        if !self.values.is_empty() {
            write_named("values", &self.values, out);
        }
        out.push(0);
    }
}

/// Alarms of the general ledger, keyed by transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum LedgerEvent {
    /// Something does not add up.
    LedgerAlarm(LedgerAlarm),
}

impl LedgerEvent {
    /// The names of the records.
    pub const RECORDS: [&'static str; 1] = ["LedgerAlarm"];
}

impl From<LedgerAlarm> for LedgerEvent {
    fn from(body: LedgerAlarm) -> Self {
        LedgerEvent::LedgerAlarm(body)
    }
}

impl Wire for LedgerEvent {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.index(1)?;
        Wire::read(reader).map(LedgerEvent::LedgerAlarm)
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            LedgerEvent::LedgerAlarm(body) => {
                write_long(0, out);
                body.write(out);
            }
        }
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_bytes(self.name().as_bytes(), out);
        match self {
            LedgerEvent::LedgerAlarm(body) => body.canonical(out),
        }
    }
}

impl Body for LedgerEvent {
    const SCHEMA: &'static str = "tributary.ledger.v1.LedgerEventEnvelope";

    fn decode(datum: &[u8]) -> Result<(Header, Self), DecodeError> {
        envelope::decode_fact(datum)
    }

    fn encode(&self, header: &Header, out: &mut Vec<u8>) {
        envelope::encode_fact(header, self, out);
    }

    fn encode_body(&self, out: &mut Vec<u8>) {
        self.canonical(out);
    }

    fn key(&self) -> &str {
        match self {
            LedgerEvent::LedgerAlarm(body) => body.transaction_id.as_ref(),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            LedgerEvent::LedgerAlarm(_) => "LedgerAlarm",
        }
    }
}
