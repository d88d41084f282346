//! Records of the domain `transactions`. Generated from the schemas by `tests/generate`; do not edit.

use crate::codec::{At, Reader, Wire, write_bytes, write_long, write_named};
use crate::envelope;
use crate::platform::{Money, Reason, Side};
use crate::value::{AccountId, Amount, TransactionId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tributary_flow::{Body, Date, DecodeError, Header, Timestamp};

/// Withdraw a transaction that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CancelTransaction {
    /// The transaction; also the record's key.
    pub transaction_id: TransactionId,
    /// For the record.
    #[serde(default)]
    pub reason: String,
}

impl CancelTransaction {
    /// With the fields that must be given; the others have their defaults.
    #[must_use]
    pub fn new(transaction_id: TransactionId) -> Self {
        CancelTransaction { transaction_id, reason: String::default() }
    }
}

impl Wire for CancelTransaction {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(CancelTransaction {
            transaction_id: Wire::read(reader).at("transaction_id")?,
            reason: Wire::read(reader).at("reason")?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.transaction_id.write(out);
        self.reason.write(out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_named("transaction_id", &self.transaction_id, out);
        if !self.reason.is_empty() {
            write_named("reason", &self.reason, out);
        }
        out.push(0);
    }
}

/// Move money between 2 to 64 legs, balanced per currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateTransaction {
    /// Chosen by the client, remembered for ever; also the record's key.
    pub transaction_id: TransactionId,
    /// The legs.
    pub legs: Vec<Leg>,
    /// Hold now, post or void later.
    #[serde(default)]
    pub two_phase: bool,
    /// How long the hold lasts; 7 days where absent.
    #[serde(default)]
    pub hold_seconds: Option<i64>,
    /// The day from which it counts; the day of booking where absent.
    #[serde(default, with = "crate::value::time::option")]
    pub value_date: Option<Date>,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// The client's own.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
}

impl CreateTransaction {
    /// With the fields that must be given; the others have their defaults.
    #[must_use]
    pub fn new(transaction_id: TransactionId, legs: Vec<Leg>) -> Self {
        CreateTransaction {
            transaction_id,
            legs,
            two_phase: false,
            hold_seconds: Option::<i64>::default(),
            value_date: Option::<Date>::default(),
            description: String::default(),
            metadata: BTreeMap::<String, String>::default(),
        }
    }
}

impl Wire for CreateTransaction {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(CreateTransaction {
            transaction_id: Wire::read(reader).at("transaction_id")?,
            legs: Wire::read(reader).at("legs")?,
            two_phase: Wire::read(reader).at("two_phase")?,
            hold_seconds: Wire::read(reader).at("hold_seconds")?,
            value_date: Wire::read(reader).at("value_date")?,
            description: Wire::read(reader).at("description")?,
            metadata: Wire::read(reader).at("metadata")?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.transaction_id.write(out);
        self.legs.write(out);
        self.two_phase.write(out);
        self.hold_seconds.write(out);
        self.value_date.write(out);
        self.description.write(out);
        self.metadata.write(out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_named("transaction_id", &self.transaction_id, out);
        write_named("legs", &self.legs, out);
        if self.two_phase {
            write_named("two_phase", &self.two_phase, out);
        }
        if self.hold_seconds.is_some() {
            write_named("hold_seconds", &self.hold_seconds, out);
        }
        if self.value_date.is_some() {
            write_named("value_date", &self.value_date, out);
        }
        if !self.description.is_empty() {
            write_named("description", &self.description, out);
        }
        if !self.metadata.is_empty() {
            write_named("metadata", &self.metadata, out);
        }
        out.push(0);
    }
}

/// One line of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leg {
    /// An account, or a system account as name:CUR, whose shard is then chosen.
    pub account_id: AccountId,
    /// Side.
    pub side: Side,
    /// Above zero.
    pub amount: Money,
}

impl Wire for Leg {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Leg {
            account_id: Wire::read(reader).at("account_id")?,
            side: Wire::read(reader).at("side")?,
            amount: Wire::read(reader).at("amount")?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.account_id.write(out);
        self.side.write(out);
        self.amount.write(out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_named("account_id", &self.account_id, out);
        write_named("side", &self.side, out);
        write_named("amount", &self.amount, out);
        out.push(0);
    }
}

/// Release what was granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LegCancelled {
    /// The transaction.
    pub transaction_id: TransactionId,
    /// The account; also the record's key.
    pub account_id: AccountId,
    /// Why.
    pub reason: Reason,
}

impl Wire for LegCancelled {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(LegCancelled {
            transaction_id: Wire::read(reader).at("transaction_id")?,
            account_id: Wire::read(reader).at("account_id")?,
            reason: Wire::read(reader).at("reason")?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.transaction_id.write(out);
        self.account_id.write(out);
        self.reason.write(out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_named("transaction_id", &self.transaction_id, out);
        write_named("account_id", &self.account_id, out);
        write_named("reason", &self.reason, out);
        out.push(0);
    }
}

/// Book these lines; cannot be refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LegConfirmed {
    /// The transaction.
    pub transaction_id: TransactionId,
    /// The account; also the record's key.
    pub account_id: AccountId,
    /// Ordinal, from 1.
    pub posting: i32,
    /// What to book; empty where only the rest is to be released.
    pub lines: Vec<LegLine>,
    /// Time of booking.
    #[serde(with = "crate::value::time")]
    pub booked_at: Timestamp,
    /// Value date.
    #[serde(with = "crate::value::time")]
    pub value_date: Date,
    /// Release what is left.
    pub r#final: bool,
}

impl Wire for LegConfirmed {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(LegConfirmed {
            transaction_id: Wire::read(reader).at("transaction_id")?,
            account_id: Wire::read(reader).at("account_id")?,
            posting: Wire::read(reader).at("posting")?,
            lines: Wire::read(reader).at("lines")?,
            booked_at: Wire::read(reader).at("booked_at")?,
            value_date: Wire::read(reader).at("value_date")?,
            r#final: Wire::read(reader).at("final")?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.transaction_id.write(out);
        self.account_id.write(out);
        self.posting.write(out);
        self.lines.write(out);
        self.booked_at.write(out);
        self.value_date.write(out);
        self.r#final.write(out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_named("transaction_id", &self.transaction_id, out);
        write_named("account_id", &self.account_id, out);
        write_named("posting", &self.posting, out);
        write_named("lines", &self.lines, out);
        write_named("booked_at", &self.booked_at, out);
        write_named("value_date", &self.value_date, out);
        write_named("final", &self.r#final, out);
        out.push(0);
    }
}

/// A transaction cut per account, keyed by account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum LegEvent {
    /// Can this account do its part?
    LegRequested(LegRequested),
    /// Book these lines; cannot be refused.
    LegConfirmed(LegConfirmed),
    /// Release what was granted.
    LegCancelled(LegCancelled),
}

impl LegEvent {
    /// The names of the records.
    pub const RECORDS: [&'static str; 3] = ["LegRequested", "LegConfirmed", "LegCancelled"];
}

impl From<LegRequested> for LegEvent {
    fn from(body: LegRequested) -> Self {
        LegEvent::LegRequested(body)
    }
}

impl From<LegConfirmed> for LegEvent {
    fn from(body: LegConfirmed) -> Self {
        LegEvent::LegConfirmed(body)
    }
}

impl From<LegCancelled> for LegEvent {
    fn from(body: LegCancelled) -> Self {
        LegEvent::LegCancelled(body)
    }
}

impl Wire for LegEvent {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.index(3)? {
            0 => Wire::read(reader).map(LegEvent::LegRequested),
            1 => Wire::read(reader).map(LegEvent::LegConfirmed),
            _ => Wire::read(reader).map(LegEvent::LegCancelled),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            LegEvent::LegRequested(body) => {
                write_long(0, out);
                body.write(out);
            }
            LegEvent::LegConfirmed(body) => {
                write_long(1, out);
                body.write(out);
            }
            LegEvent::LegCancelled(body) => {
                write_long(2, out);
                body.write(out);
            }
        }
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_bytes(self.name().as_bytes(), out);
        match self {
            LegEvent::LegRequested(body) => body.canonical(out),
            LegEvent::LegConfirmed(body) => body.canonical(out),
            LegEvent::LegCancelled(body) => body.canonical(out),
        }
    }
}

impl Body for LegEvent {
    const SCHEMA: &'static str = "tributary.transactions.v1.LegEventEnvelope";

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
            LegEvent::LegRequested(body) => body.account_id.as_ref(),
            LegEvent::LegConfirmed(body) => body.account_id.as_ref(),
            LegEvent::LegCancelled(body) => body.account_id.as_ref(),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            LegEvent::LegRequested(_) => "LegRequested",
            LegEvent::LegConfirmed(_) => "LegConfirmed",
            LegEvent::LegCancelled(_) => "LegCancelled",
        }
    }
}

/// A line as its account sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LegLine {
    /// Index in the transaction.
    pub line: i32,
    /// Side.
    pub side: Side,
    /// Amount.
    pub amount: Money,
}

impl Wire for LegLine {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(LegLine {
            line: Wire::read(reader).at("line")?,
            side: Wire::read(reader).at("side")?,
            amount: Wire::read(reader).at("amount")?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.line.write(out);
        self.side.write(out);
        self.amount.write(out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_named("line", &self.line, out);
        write_named("side", &self.side, out);
        write_named("amount", &self.amount, out);
        out.push(0);
    }
}

/// Can this account do its part?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LegRequested {
    /// The transaction.
    pub transaction_id: TransactionId,
    /// The account; also the record's key.
    pub account_id: AccountId,
    /// All lines of the account.
    pub lines: Vec<LegLine>,
    /// The accounts on the other side.
    pub counterparties: Vec<AccountId>,
}

impl Wire for LegRequested {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(LegRequested {
            transaction_id: Wire::read(reader).at("transaction_id")?,
            account_id: Wire::read(reader).at("account_id")?,
            lines: Wire::read(reader).at("lines")?,
            counterparties: Wire::read(reader).at("counterparties")?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.transaction_id.write(out);
        self.account_id.write(out);
        self.lines.write(out);
        self.counterparties.write(out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_named("transaction_id", &self.transaction_id, out);
        write_named("account_id", &self.account_id, out);
        write_named("lines", &self.lines, out);
        write_named("counterparties", &self.counterparties, out);
        out.push(0);
    }
}

/// How much of a line to post.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostLine {
    /// Index in the transaction.
    pub line: i32,
    /// At most the remainder held.
    pub amount: Amount,
}

impl Wire for PostLine {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(PostLine { line: Wire::read(reader).at("line")?, amount: Wire::read(reader).at("amount")? })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.line.write(out);
        self.amount.write(out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_named("line", &self.line, out);
        write_named("amount", &self.amount, out);
        out.push(0);
    }
}

/// Post what is held: all of it, or an amount per line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostTransaction {
    /// The transaction; also the record's key.
    pub transaction_id: TransactionId,
    /// Balanced per currency; all that is left where absent.
    #[serde(default)]
    pub amounts: Option<Vec<PostLine>>,
    /// The rest is voided.
    #[serde(default = "crate::codec::yes")]
    pub r#final: bool,
}

impl PostTransaction {
    /// With the fields that must be given; the others have their defaults.
    #[must_use]
    pub fn new(transaction_id: TransactionId) -> Self {
        PostTransaction { transaction_id, amounts: Option::<Vec<PostLine>>::default(), r#final: true }
    }
}

impl Wire for PostTransaction {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(PostTransaction {
            transaction_id: Wire::read(reader).at("transaction_id")?,
            amounts: Wire::read(reader).at("amounts")?,
            r#final: Wire::read(reader).at("final")?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.transaction_id.write(out);
        self.amounts.write(out);
        self.r#final.write(out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_named("transaction_id", &self.transaction_id, out);
        if self.amounts.is_some() {
            write_named("amounts", &self.amounts, out);
        }
        if !self.r#final {
            write_named("final", &self.r#final, out);
        }
        out.push(0);
    }
}

/// Decide a transaction that risk put on hold. Privileged; never by its initiator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReviewTransaction {
    /// The transaction; also the record's key.
    pub transaction_id: TransactionId,
    /// Approve or decline.
    pub approve: bool,
    /// For the record.
    #[serde(default)]
    pub reason: String,
}

impl ReviewTransaction {
    /// With the fields that must be given; the others have their defaults.
    #[must_use]
    pub fn new(transaction_id: TransactionId, approve: bool) -> Self {
        ReviewTransaction { transaction_id, approve, reason: String::default() }
    }
}

impl Wire for ReviewTransaction {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(ReviewTransaction {
            transaction_id: Wire::read(reader).at("transaction_id")?,
            approve: Wire::read(reader).at("approve")?,
            reason: Wire::read(reader).at("reason")?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.transaction_id.write(out);
        self.approve.write(out);
        self.reason.write(out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_named("transaction_id", &self.transaction_id, out);
        write_named("approve", &self.approve, out);
        if !self.reason.is_empty() {
            write_named("reason", &self.reason, out);
        }
        out.push(0);
    }
}

/// Withdrawn or voided; nothing is held any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransactionCancelled {
    /// The transaction; also the record's key.
    pub transaction_id: TransactionId,
    /// Every reason.
    pub reasons: Vec<Reason>,
}

impl Wire for TransactionCancelled {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(TransactionCancelled {
            transaction_id: Wire::read(reader).at("transaction_id")?,
            reasons: Wire::read(reader).at("reasons")?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.transaction_id.write(out);
        self.reasons.write(out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_named("transaction_id", &self.transaction_id, out);
        write_named("reasons", &self.reasons, out);
        out.push(0);
    }
}

/// A command to a transaction, keyed by transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum TransactionCommand {
    /// Move money between 2 to 64 legs, balanced per currency.
    CreateTransaction(CreateTransaction),
    /// Withdraw a transaction that waits.
    CancelTransaction(CancelTransaction),
    /// Post what is held: all of it, or an amount per line.
    PostTransaction(PostTransaction),
    /// Release what is held.
    VoidTransaction(VoidTransaction),
    /// Decide a transaction that risk put on hold. Privileged; never by its initiator.
    ReviewTransaction(ReviewTransaction),
}

impl TransactionCommand {
    /// The names of the records.
    pub const RECORDS: [&'static str; 5] =
        ["CreateTransaction", "CancelTransaction", "PostTransaction", "VoidTransaction", "ReviewTransaction"];
}

impl From<CreateTransaction> for TransactionCommand {
    fn from(body: CreateTransaction) -> Self {
        TransactionCommand::CreateTransaction(body)
    }
}

impl From<CancelTransaction> for TransactionCommand {
    fn from(body: CancelTransaction) -> Self {
        TransactionCommand::CancelTransaction(body)
    }
}

impl From<PostTransaction> for TransactionCommand {
    fn from(body: PostTransaction) -> Self {
        TransactionCommand::PostTransaction(body)
    }
}

impl From<VoidTransaction> for TransactionCommand {
    fn from(body: VoidTransaction) -> Self {
        TransactionCommand::VoidTransaction(body)
    }
}

impl From<ReviewTransaction> for TransactionCommand {
    fn from(body: ReviewTransaction) -> Self {
        TransactionCommand::ReviewTransaction(body)
    }
}

impl Wire for TransactionCommand {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.index(5)? {
            0 => Wire::read(reader).map(TransactionCommand::CreateTransaction),
            1 => Wire::read(reader).map(TransactionCommand::CancelTransaction),
            2 => Wire::read(reader).map(TransactionCommand::PostTransaction),
            3 => Wire::read(reader).map(TransactionCommand::VoidTransaction),
            _ => Wire::read(reader).map(TransactionCommand::ReviewTransaction),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            TransactionCommand::CreateTransaction(body) => {
                write_long(0, out);
                body.write(out);
            }
            TransactionCommand::CancelTransaction(body) => {
                write_long(1, out);
                body.write(out);
            }
            TransactionCommand::PostTransaction(body) => {
                write_long(2, out);
                body.write(out);
            }
            TransactionCommand::VoidTransaction(body) => {
                write_long(3, out);
                body.write(out);
            }
            TransactionCommand::ReviewTransaction(body) => {
                write_long(4, out);
                body.write(out);
            }
        }
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_bytes(self.name().as_bytes(), out);
        match self {
            TransactionCommand::CreateTransaction(body) => body.canonical(out),
            TransactionCommand::CancelTransaction(body) => body.canonical(out),
            TransactionCommand::PostTransaction(body) => body.canonical(out),
            TransactionCommand::VoidTransaction(body) => body.canonical(out),
            TransactionCommand::ReviewTransaction(body) => body.canonical(out),
        }
    }
}

impl Body for TransactionCommand {
    const SCHEMA: &'static str = "tributary.transactions.v1.TransactionCommandEnvelope";

    fn decode(datum: &[u8]) -> Result<(Header, Self), DecodeError> {
        envelope::decode_command(datum)
    }

    fn encode(&self, header: &Header, out: &mut Vec<u8>) {
        envelope::encode_command(header, self, out);
    }

    fn encode_body(&self, out: &mut Vec<u8>) {
        self.canonical(out);
    }

    fn key(&self) -> &str {
        match self {
            TransactionCommand::CreateTransaction(body) => body.transaction_id.as_ref(),
            TransactionCommand::CancelTransaction(body) => body.transaction_id.as_ref(),
            TransactionCommand::PostTransaction(body) => body.transaction_id.as_ref(),
            TransactionCommand::VoidTransaction(body) => body.transaction_id.as_ref(),
            TransactionCommand::ReviewTransaction(body) => body.transaction_id.as_ref(),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            TransactionCommand::CreateTransaction(_) => "CreateTransaction",
            TransactionCommand::CancelTransaction(_) => "CancelTransaction",
            TransactionCommand::PostTransaction(_) => "PostTransaction",
            TransactionCommand::VoidTransaction(_) => "VoidTransaction",
            TransactionCommand::ReviewTransaction(_) => "ReviewTransaction",
        }
    }
}

/// Booked on every account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransactionCompleted {
    /// The transaction; also the record's key.
    pub transaction_id: TransactionId,
    /// How many postings.
    pub postings: i32,
    /// Of the last posting.
    #[serde(with = "crate::value::time")]
    pub booked_at: Timestamp,
}

impl Wire for TransactionCompleted {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(TransactionCompleted {
            transaction_id: Wire::read(reader).at("transaction_id")?,
            postings: Wire::read(reader).at("postings")?,
            booked_at: Wire::read(reader).at("booked_at")?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.transaction_id.write(out);
        self.postings.write(out);
        self.booked_at.write(out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_named("transaction_id", &self.transaction_id, out);
        write_named("postings", &self.postings, out);
        write_named("booked_at", &self.booked_at, out);
        out.push(0);
    }
}

/// What became of a transaction, keyed by transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum TransactionEvent {
    /// Accepted; the votes are asked for.
    TransactionInitiated(TransactionInitiated),
    /// All votes are in; the money is held.
    TransactionHeld(TransactionHeld),
    /// Risk wants a person to look.
    TransactionOnHold(TransactionOnHold),
    /// The decision to post.
    TransactionPosting(TransactionPosting),
    /// A part is booked; the rest is still held.
    TransactionPosted(TransactionPosted),
    /// Booked on every account.
    TransactionCompleted(TransactionCompleted),
    /// Refused by a vote, or not answered in time; nothing is held any more.
    TransactionFailed(TransactionFailed),
    /// Withdrawn or voided; nothing is held any more.
    TransactionCancelled(TransactionCancelled),
    /// Its hold or review ran out; nothing is held any more.
    TransactionExpired(TransactionExpired),
    /// A command that changed nothing.
    TransactionRefused(TransactionRefused),
}

impl TransactionEvent {
    /// The names of the records.
    pub const RECORDS: [&'static str; 10] = [
        "TransactionInitiated",
        "TransactionHeld",
        "TransactionOnHold",
        "TransactionPosting",
        "TransactionPosted",
        "TransactionCompleted",
        "TransactionFailed",
        "TransactionCancelled",
        "TransactionExpired",
        "TransactionRefused",
    ];
}

impl From<TransactionInitiated> for TransactionEvent {
    fn from(body: TransactionInitiated) -> Self {
        TransactionEvent::TransactionInitiated(body)
    }
}

impl From<TransactionHeld> for TransactionEvent {
    fn from(body: TransactionHeld) -> Self {
        TransactionEvent::TransactionHeld(body)
    }
}

impl From<TransactionOnHold> for TransactionEvent {
    fn from(body: TransactionOnHold) -> Self {
        TransactionEvent::TransactionOnHold(body)
    }
}

impl From<TransactionPosting> for TransactionEvent {
    fn from(body: TransactionPosting) -> Self {
        TransactionEvent::TransactionPosting(body)
    }
}

impl From<TransactionPosted> for TransactionEvent {
    fn from(body: TransactionPosted) -> Self {
        TransactionEvent::TransactionPosted(body)
    }
}

impl From<TransactionCompleted> for TransactionEvent {
    fn from(body: TransactionCompleted) -> Self {
        TransactionEvent::TransactionCompleted(body)
    }
}

impl From<TransactionFailed> for TransactionEvent {
    fn from(body: TransactionFailed) -> Self {
        TransactionEvent::TransactionFailed(body)
    }
}

impl From<TransactionCancelled> for TransactionEvent {
    fn from(body: TransactionCancelled) -> Self {
        TransactionEvent::TransactionCancelled(body)
    }
}

impl From<TransactionExpired> for TransactionEvent {
    fn from(body: TransactionExpired) -> Self {
        TransactionEvent::TransactionExpired(body)
    }
}

impl From<TransactionRefused> for TransactionEvent {
    fn from(body: TransactionRefused) -> Self {
        TransactionEvent::TransactionRefused(body)
    }
}

impl Wire for TransactionEvent {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.index(10)? {
            0 => Wire::read(reader).map(TransactionEvent::TransactionInitiated),
            1 => Wire::read(reader).map(TransactionEvent::TransactionHeld),
            2 => Wire::read(reader).map(TransactionEvent::TransactionOnHold),
            3 => Wire::read(reader).map(TransactionEvent::TransactionPosting),
            4 => Wire::read(reader).map(TransactionEvent::TransactionPosted),
            5 => Wire::read(reader).map(TransactionEvent::TransactionCompleted),
            6 => Wire::read(reader).map(TransactionEvent::TransactionFailed),
            7 => Wire::read(reader).map(TransactionEvent::TransactionCancelled),
            8 => Wire::read(reader).map(TransactionEvent::TransactionExpired),
            _ => Wire::read(reader).map(TransactionEvent::TransactionRefused),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            TransactionEvent::TransactionInitiated(body) => {
                write_long(0, out);
                body.write(out);
            }
            TransactionEvent::TransactionHeld(body) => {
                write_long(1, out);
                body.write(out);
            }
            TransactionEvent::TransactionOnHold(body) => {
                write_long(2, out);
                body.write(out);
            }
            TransactionEvent::TransactionPosting(body) => {
                write_long(3, out);
                body.write(out);
            }
            TransactionEvent::TransactionPosted(body) => {
                write_long(4, out);
                body.write(out);
            }
            TransactionEvent::TransactionCompleted(body) => {
                write_long(5, out);
                body.write(out);
            }
            TransactionEvent::TransactionFailed(body) => {
                write_long(6, out);
                body.write(out);
            }
            TransactionEvent::TransactionCancelled(body) => {
                write_long(7, out);
                body.write(out);
            }
            TransactionEvent::TransactionExpired(body) => {
                write_long(8, out);
                body.write(out);
            }
            TransactionEvent::TransactionRefused(body) => {
                write_long(9, out);
                body.write(out);
            }
        }
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_bytes(self.name().as_bytes(), out);
        match self {
            TransactionEvent::TransactionInitiated(body) => body.canonical(out),
            TransactionEvent::TransactionHeld(body) => body.canonical(out),
            TransactionEvent::TransactionOnHold(body) => body.canonical(out),
            TransactionEvent::TransactionPosting(body) => body.canonical(out),
            TransactionEvent::TransactionPosted(body) => body.canonical(out),
            TransactionEvent::TransactionCompleted(body) => body.canonical(out),
            TransactionEvent::TransactionFailed(body) => body.canonical(out),
            TransactionEvent::TransactionCancelled(body) => body.canonical(out),
            TransactionEvent::TransactionExpired(body) => body.canonical(out),
            TransactionEvent::TransactionRefused(body) => body.canonical(out),
        }
    }
}

impl Body for TransactionEvent {
    const SCHEMA: &'static str = "tributary.transactions.v1.TransactionEventEnvelope";

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
            TransactionEvent::TransactionInitiated(body) => body.transaction_id.as_ref(),
            TransactionEvent::TransactionHeld(body) => body.transaction_id.as_ref(),
            TransactionEvent::TransactionOnHold(body) => body.transaction_id.as_ref(),
            TransactionEvent::TransactionPosting(body) => body.transaction_id.as_ref(),
            TransactionEvent::TransactionPosted(body) => body.transaction_id.as_ref(),
            TransactionEvent::TransactionCompleted(body) => body.transaction_id.as_ref(),
            TransactionEvent::TransactionFailed(body) => body.transaction_id.as_ref(),
            TransactionEvent::TransactionCancelled(body) => body.transaction_id.as_ref(),
            TransactionEvent::TransactionExpired(body) => body.transaction_id.as_ref(),
            TransactionEvent::TransactionRefused(body) => body.transaction_id.as_ref(),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            TransactionEvent::TransactionInitiated(_) => "TransactionInitiated",
            TransactionEvent::TransactionHeld(_) => "TransactionHeld",
            TransactionEvent::TransactionOnHold(_) => "TransactionOnHold",
            TransactionEvent::TransactionPosting(_) => "TransactionPosting",
            TransactionEvent::TransactionPosted(_) => "TransactionPosted",
            TransactionEvent::TransactionCompleted(_) => "TransactionCompleted",
            TransactionEvent::TransactionFailed(_) => "TransactionFailed",
            TransactionEvent::TransactionCancelled(_) => "TransactionCancelled",
            TransactionEvent::TransactionExpired(_) => "TransactionExpired",
            TransactionEvent::TransactionRefused(_) => "TransactionRefused",
        }
    }
}

/// Its hold or review ran out; nothing is held any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransactionExpired {
    /// The transaction; also the record's key.
    pub transaction_id: TransactionId,
    /// Every reason.
    pub reasons: Vec<Reason>,
}

impl Wire for TransactionExpired {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(TransactionExpired {
            transaction_id: Wire::read(reader).at("transaction_id")?,
            reasons: Wire::read(reader).at("reasons")?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.transaction_id.write(out);
        self.reasons.write(out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_named("transaction_id", &self.transaction_id, out);
        write_named("reasons", &self.reasons, out);
        out.push(0);
    }
}

/// Refused by a vote, or not answered in time; nothing is held any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransactionFailed {
    /// The transaction; also the record's key.
    pub transaction_id: TransactionId,
    /// Every reason.
    pub reasons: Vec<Reason>,
}

impl Wire for TransactionFailed {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(TransactionFailed {
            transaction_id: Wire::read(reader).at("transaction_id")?,
            reasons: Wire::read(reader).at("reasons")?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.transaction_id.write(out);
        self.reasons.write(out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_named("transaction_id", &self.transaction_id, out);
        write_named("reasons", &self.reasons, out);
        out.push(0);
    }
}

/// All votes are in; the money is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransactionHeld {
    /// The transaction; also the record's key.
    pub transaction_id: TransactionId,
    /// When the hold ends by itself.
    #[serde(with = "crate::value::time")]
    pub expires_at: Timestamp,
}

impl Wire for TransactionHeld {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(TransactionHeld {
            transaction_id: Wire::read(reader).at("transaction_id")?,
            expires_at: Wire::read(reader).at("expires_at")?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.transaction_id.write(out);
        self.expires_at.write(out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_named("transaction_id", &self.transaction_id, out);
        write_named("expires_at", &self.expires_at, out);
        out.push(0);
    }
}

/// Accepted; the votes are asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransactionInitiated {
    /// The transaction; also the record's key.
    pub transaction_id: TransactionId,
    /// The legs, shards chosen.
    pub legs: Vec<Leg>,
    /// Two-phase.
    pub two_phase: bool,
    /// As given.
    pub description: String,
    /// As given.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// When voting ends.
    #[serde(with = "crate::value::time")]
    pub deadline: Timestamp,
}

impl TransactionInitiated {
    /// With the fields that must be given; the others have their defaults.
    #[must_use]
    pub fn new(
        transaction_id: TransactionId,
        legs: Vec<Leg>,
        two_phase: bool,
        description: impl Into<String>,
        deadline: Timestamp,
    ) -> Self {
        TransactionInitiated {
            transaction_id,
            legs,
            two_phase,
            description: description.into(),
            metadata: BTreeMap::<String, String>::default(),
            deadline,
        }
    }
}

impl Wire for TransactionInitiated {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(TransactionInitiated {
            transaction_id: Wire::read(reader).at("transaction_id")?,
            legs: Wire::read(reader).at("legs")?,
            two_phase: Wire::read(reader).at("two_phase")?,
            description: Wire::read(reader).at("description")?,
            metadata: Wire::read(reader).at("metadata")?,
            deadline: Wire::read(reader).at("deadline")?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.transaction_id.write(out);
        self.legs.write(out);
        self.two_phase.write(out);
        self.description.write(out);
        self.metadata.write(out);
        self.deadline.write(out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_named("transaction_id", &self.transaction_id, out);
        write_named("legs", &self.legs, out);
        write_named("two_phase", &self.two_phase, out);
        write_named("description", &self.description, out);
        if !self.metadata.is_empty() {
            write_named("metadata", &self.metadata, out);
        }
        write_named("deadline", &self.deadline, out);
        out.push(0);
    }
}

/// Risk wants a person to look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransactionOnHold {
    /// The transaction; also the record's key.
    pub transaction_id: TransactionId,
    /// Highest score.
    pub score: i32,
    /// Every reason.
    pub reasons: Vec<Reason>,
    /// When the wait ends by itself.
    #[serde(with = "crate::value::time")]
    pub expires_at: Timestamp,
}

impl Wire for TransactionOnHold {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(TransactionOnHold {
            transaction_id: Wire::read(reader).at("transaction_id")?,
            score: Wire::read(reader).at("score")?,
            reasons: Wire::read(reader).at("reasons")?,
            expires_at: Wire::read(reader).at("expires_at")?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.transaction_id.write(out);
        self.score.write(out);
        self.reasons.write(out);
        self.expires_at.write(out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_named("transaction_id", &self.transaction_id, out);
        write_named("score", &self.score, out);
        write_named("reasons", &self.reasons, out);
        write_named("expires_at", &self.expires_at, out);
        out.push(0);
    }
}

/// A part is booked; the rest is still held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransactionPosted {
    /// The transaction; also the record's key.
    pub transaction_id: TransactionId,
    /// Ordinal.
    pub posting: i32,
}

impl Wire for TransactionPosted {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(TransactionPosted {
            transaction_id: Wire::read(reader).at("transaction_id")?,
            posting: Wire::read(reader).at("posting")?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.transaction_id.write(out);
        self.posting.write(out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_named("transaction_id", &self.transaction_id, out);
        write_named("posting", &self.posting, out);
        out.push(0);
    }
}

/// The decision to post.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransactionPosting {
    /// The transaction; also the record's key.
    pub transaction_id: TransactionId,
    /// Ordinal, from 1.
    pub posting: i32,
    /// What is posted.
    pub lines: Vec<PostLine>,
    /// Decided once, carried by every entry.
    #[serde(with = "crate::value::time")]
    pub booked_at: Timestamp,
    /// The day from which it counts.
    #[serde(with = "crate::value::time")]
    pub value_date: Date,
    /// The rest is voided.
    pub r#final: bool,
}

impl Wire for TransactionPosting {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(TransactionPosting {
            transaction_id: Wire::read(reader).at("transaction_id")?,
            posting: Wire::read(reader).at("posting")?,
            lines: Wire::read(reader).at("lines")?,
            booked_at: Wire::read(reader).at("booked_at")?,
            value_date: Wire::read(reader).at("value_date")?,
            r#final: Wire::read(reader).at("final")?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.transaction_id.write(out);
        self.posting.write(out);
        self.lines.write(out);
        self.booked_at.write(out);
        self.value_date.write(out);
        self.r#final.write(out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_named("transaction_id", &self.transaction_id, out);
        write_named("posting", &self.posting, out);
        write_named("lines", &self.lines, out);
        write_named("booked_at", &self.booked_at, out);
        write_named("value_date", &self.value_date, out);
        write_named("final", &self.r#final, out);
        out.push(0);
    }
}

/// A command that changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransactionRefused {
    /// The transaction; also the record's key.
    pub transaction_id: TransactionId,
    /// The command's record name.
    pub command: String,
    /// Why.
    pub reason: Reason,
}

impl Wire for TransactionRefused {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(TransactionRefused {
            transaction_id: Wire::read(reader).at("transaction_id")?,
            command: Wire::read(reader).at("command")?,
            reason: Wire::read(reader).at("reason")?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.transaction_id.write(out);
        self.command.write(out);
        self.reason.write(out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_named("transaction_id", &self.transaction_id, out);
        write_named("command", &self.command, out);
        write_named("reason", &self.reason, out);
        out.push(0);
    }
}

/// Release what is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VoidTransaction {
    /// The transaction; also the record's key.
    pub transaction_id: TransactionId,
    /// For the record.
    #[serde(default)]
    pub reason: String,
}

impl VoidTransaction {
    /// With the fields that must be given; the others have their defaults.
    #[must_use]
    pub fn new(transaction_id: TransactionId) -> Self {
        VoidTransaction { transaction_id, reason: String::default() }
    }
}

impl Wire for VoidTransaction {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(VoidTransaction {
            transaction_id: Wire::read(reader).at("transaction_id")?,
            reason: Wire::read(reader).at("reason")?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.transaction_id.write(out);
        self.reason.write(out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_named("transaction_id", &self.transaction_id, out);
        if !self.reason.is_empty() {
            write_named("reason", &self.reason, out);
        }
        out.push(0);
    }
}
