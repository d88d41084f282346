//! Records of the domain `accounts`. Generated from the schemas by `tests/generate`; do not edit.

use crate::codec::{At, Reader, Wire, write_bytes, write_long, write_named};
use crate::envelope;
use crate::platform::{AccountKind, Money, Reason, Side};
use crate::value::{AccountId, Amount, Currency, Hash, TransactionId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tributary_flow::{Body, DecodeError, Header};

/// The account is closed for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountClosed {
    /// The account; also the record's key.
    pub account_id: AccountId,
    /// As given.
    pub reason: String,
}

impl Wire for AccountClosed {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(AccountClosed { account_id: Wire::read(reader).at("account_id")?, reason: Wire::read(reader).at("reason")? })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.account_id.write(out);
        self.reason.write(out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_named("account_id", &self.account_id, out);
        write_named("reason", &self.reason, out);
        out.push(0);
    }
}

/// A command to an account, keyed by account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum AccountCommand {
    /// Open an account.
    OpenAccount(OpenAccount),
    /// Change what may change; absent fields stay as they are.
    UpdateAccount(UpdateAccount),
    /// No further leg is granted until it is unfrozen; what was granted is still honoured. Privileged.
    FreezeAccount(FreezeAccount),
    /// Lift a freeze. Privileged.
    UnfreezeAccount(UnfreezeAccount),
    /// Close for good; refused while a hold, a reservation or a balance is open.
    CloseAccount(CloseAccount),
}

impl AccountCommand {
    /// The names of the records.
    pub const RECORDS: [&'static str; 5] =
        ["OpenAccount", "UpdateAccount", "FreezeAccount", "UnfreezeAccount", "CloseAccount"];
}

impl From<OpenAccount> for AccountCommand {
    fn from(body: OpenAccount) -> Self {
        AccountCommand::OpenAccount(body)
    }
}

impl From<UpdateAccount> for AccountCommand {
    fn from(body: UpdateAccount) -> Self {
        AccountCommand::UpdateAccount(body)
    }
}

impl From<FreezeAccount> for AccountCommand {
    fn from(body: FreezeAccount) -> Self {
        AccountCommand::FreezeAccount(body)
    }
}

impl From<UnfreezeAccount> for AccountCommand {
    fn from(body: UnfreezeAccount) -> Self {
        AccountCommand::UnfreezeAccount(body)
    }
}

impl From<CloseAccount> for AccountCommand {
    fn from(body: CloseAccount) -> Self {
        AccountCommand::CloseAccount(body)
    }
}

impl Wire for AccountCommand {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.index(5)? {
            0 => Wire::read(reader).map(AccountCommand::OpenAccount),
            1 => Wire::read(reader).map(AccountCommand::UpdateAccount),
            2 => Wire::read(reader).map(AccountCommand::FreezeAccount),
            3 => Wire::read(reader).map(AccountCommand::UnfreezeAccount),
            _ => Wire::read(reader).map(AccountCommand::CloseAccount),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            AccountCommand::OpenAccount(body) => {
                write_long(0, out);
                body.write(out);
            }
            AccountCommand::UpdateAccount(body) => {
                write_long(1, out);
                body.write(out);
            }
            AccountCommand::FreezeAccount(body) => {
                write_long(2, out);
                body.write(out);
            }
            AccountCommand::UnfreezeAccount(body) => {
                write_long(3, out);
                body.write(out);
            }
            AccountCommand::CloseAccount(body) => {
                write_long(4, out);
                body.write(out);
            }
        }
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_bytes(self.name().as_bytes(), out);
        match self {
            AccountCommand::OpenAccount(body) => body.canonical(out),
            AccountCommand::UpdateAccount(body) => body.canonical(out),
            AccountCommand::FreezeAccount(body) => body.canonical(out),
            AccountCommand::UnfreezeAccount(body) => body.canonical(out),
            AccountCommand::CloseAccount(body) => body.canonical(out),
        }
    }
}

impl Body for AccountCommand {
    const SCHEMA: &'static str = "tributary.accounts.v1.AccountCommandEnvelope";

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
            AccountCommand::OpenAccount(body) => body.account_id.as_ref(),
            AccountCommand::UpdateAccount(body) => body.account_id.as_ref(),
            AccountCommand::FreezeAccount(body) => body.account_id.as_ref(),
            AccountCommand::UnfreezeAccount(body) => body.account_id.as_ref(),
            AccountCommand::CloseAccount(body) => body.account_id.as_ref(),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            AccountCommand::OpenAccount(_) => "OpenAccount",
            AccountCommand::UpdateAccount(_) => "UpdateAccount",
            AccountCommand::FreezeAccount(_) => "FreezeAccount",
            AccountCommand::UnfreezeAccount(_) => "UnfreezeAccount",
            AccountCommand::CloseAccount(_) => "CloseAccount",
        }
    }
}

/// What became of an account, keyed by account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum AccountEvent {
    /// An account is open.
    AccountOpened(AccountOpened),
    /// The terms now in force.
    AccountUpdated(AccountUpdated),
    /// No leg is granted from here on.
    AccountFrozen(AccountFrozen),
    /// Legs are granted again.
    AccountUnfrozen(AccountUnfrozen),
    /// The account is closed for good.
    AccountClosed(AccountClosed),
    /// A command that changed nothing.
    AccountRefused(AccountRefused),
}

impl AccountEvent {
    /// The names of the records.
    pub const RECORDS: [&'static str; 6] =
        ["AccountOpened", "AccountUpdated", "AccountFrozen", "AccountUnfrozen", "AccountClosed", "AccountRefused"];
}

impl From<AccountOpened> for AccountEvent {
    fn from(body: AccountOpened) -> Self {
        AccountEvent::AccountOpened(body)
    }
}

impl From<AccountUpdated> for AccountEvent {
    fn from(body: AccountUpdated) -> Self {
        AccountEvent::AccountUpdated(body)
    }
}

impl From<AccountFrozen> for AccountEvent {
    fn from(body: AccountFrozen) -> Self {
        AccountEvent::AccountFrozen(body)
    }
}

impl From<AccountUnfrozen> for AccountEvent {
    fn from(body: AccountUnfrozen) -> Self {
        AccountEvent::AccountUnfrozen(body)
    }
}

impl From<AccountClosed> for AccountEvent {
    fn from(body: AccountClosed) -> Self {
        AccountEvent::AccountClosed(body)
    }
}

impl From<AccountRefused> for AccountEvent {
    fn from(body: AccountRefused) -> Self {
        AccountEvent::AccountRefused(body)
    }
}

impl Wire for AccountEvent {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.index(6)? {
            0 => Wire::read(reader).map(AccountEvent::AccountOpened),
            1 => Wire::read(reader).map(AccountEvent::AccountUpdated),
            2 => Wire::read(reader).map(AccountEvent::AccountFrozen),
            3 => Wire::read(reader).map(AccountEvent::AccountUnfrozen),
            4 => Wire::read(reader).map(AccountEvent::AccountClosed),
            _ => Wire::read(reader).map(AccountEvent::AccountRefused),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            AccountEvent::AccountOpened(body) => {
                write_long(0, out);
                body.write(out);
            }
            AccountEvent::AccountUpdated(body) => {
                write_long(1, out);
                body.write(out);
            }
            AccountEvent::AccountFrozen(body) => {
                write_long(2, out);
                body.write(out);
            }
            AccountEvent::AccountUnfrozen(body) => {
                write_long(3, out);
                body.write(out);
            }
            AccountEvent::AccountClosed(body) => {
                write_long(4, out);
                body.write(out);
            }
            AccountEvent::AccountRefused(body) => {
                write_long(5, out);
                body.write(out);
            }
        }
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_bytes(self.name().as_bytes(), out);
        match self {
            AccountEvent::AccountOpened(body) => body.canonical(out),
            AccountEvent::AccountUpdated(body) => body.canonical(out),
            AccountEvent::AccountFrozen(body) => body.canonical(out),
            AccountEvent::AccountUnfrozen(body) => body.canonical(out),
            AccountEvent::AccountClosed(body) => body.canonical(out),
            AccountEvent::AccountRefused(body) => body.canonical(out),
        }
    }
}

impl Body for AccountEvent {
    const SCHEMA: &'static str = "tributary.accounts.v1.AccountEventEnvelope";

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
            AccountEvent::AccountOpened(body) => body.account_id.as_ref(),
            AccountEvent::AccountUpdated(body) => body.account_id.as_ref(),
            AccountEvent::AccountFrozen(body) => body.account_id.as_ref(),
            AccountEvent::AccountUnfrozen(body) => body.account_id.as_ref(),
            AccountEvent::AccountClosed(body) => body.account_id.as_ref(),
            AccountEvent::AccountRefused(body) => body.account_id.as_ref(),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            AccountEvent::AccountOpened(_) => "AccountOpened",
            AccountEvent::AccountUpdated(_) => "AccountUpdated",
            AccountEvent::AccountFrozen(_) => "AccountFrozen",
            AccountEvent::AccountUnfrozen(_) => "AccountUnfrozen",
            AccountEvent::AccountClosed(_) => "AccountClosed",
            AccountEvent::AccountRefused(_) => "AccountRefused",
        }
    }
}

/// No leg is granted from here on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountFrozen {
    /// The account; also the record's key.
    pub account_id: AccountId,
    /// As given.
    pub reason: String,
}

impl Wire for AccountFrozen {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(AccountFrozen { account_id: Wire::read(reader).at("account_id")?, reason: Wire::read(reader).at("reason")? })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.account_id.write(out);
        self.reason.write(out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_named("account_id", &self.account_id, out);
        write_named("reason", &self.reason, out);
        out.push(0);
    }
}

/// An account is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountOpened {
    /// The account; also the record's key.
    pub account_id: AccountId,
    /// Kind.
    pub kind: AccountKind,
    /// Currency.
    pub currency: Currency,
    /// A system account: no floor, limit or freeze, no vote.
    #[serde(default)]
    pub system: bool,
    /// For people.
    pub name: String,
    /// Floor.
    pub floor: Amount,
    /// Daily limit.
    #[serde(default)]
    pub daily_limit: Option<Amount>,
    /// Monthly limit.
    #[serde(default)]
    pub monthly_limit: Option<Amount>,
    /// The client's own.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
}

impl AccountOpened {
    /// With the fields that must be given; the others have their defaults.
    #[must_use]
    pub fn new(
        account_id: AccountId,
        kind: AccountKind,
        currency: Currency,
        name: impl Into<String>,
        floor: Amount,
    ) -> Self {
        AccountOpened {
            account_id,
            kind,
            currency,
            system: false,
            name: name.into(),
            floor,
            daily_limit: Option::<Amount>::default(),
            monthly_limit: Option::<Amount>::default(),
            metadata: BTreeMap::<String, String>::default(),
        }
    }
}

impl Wire for AccountOpened {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(AccountOpened {
            account_id: Wire::read(reader).at("account_id")?,
            kind: Wire::read(reader).at("kind")?,
            currency: Wire::read(reader).at("currency")?,
            system: Wire::read(reader).at("system")?,
            name: Wire::read(reader).at("name")?,
            floor: Wire::read(reader).at("floor")?,
            daily_limit: Wire::read(reader).at("daily_limit")?,
            monthly_limit: Wire::read(reader).at("monthly_limit")?,
            metadata: Wire::read(reader).at("metadata")?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.account_id.write(out);
        self.kind.write(out);
        self.currency.write(out);
        self.system.write(out);
        self.name.write(out);
        self.floor.write(out);
        self.daily_limit.write(out);
        self.monthly_limit.write(out);
        self.metadata.write(out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_named("account_id", &self.account_id, out);
        write_named("kind", &self.kind, out);
        write_named("currency", &self.currency, out);
        if self.system {
            write_named("system", &self.system, out);
        }
        write_named("name", &self.name, out);
        write_named("floor", &self.floor, out);
        if self.daily_limit.is_some() {
            write_named("daily_limit", &self.daily_limit, out);
        }
        if self.monthly_limit.is_some() {
            write_named("monthly_limit", &self.monthly_limit, out);
        }
        if !self.metadata.is_empty() {
            write_named("metadata", &self.metadata, out);
        }
        out.push(0);
    }
}

/// A command that changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountRefused {
    /// The account; also the record's key.
    pub account_id: AccountId,
    /// The command's record name.
    pub command: String,
    /// Why.
    pub reason: Reason,
}

impl Wire for AccountRefused {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(AccountRefused {
            account_id: Wire::read(reader).at("account_id")?,
            command: Wire::read(reader).at("command")?,
            reason: Wire::read(reader).at("reason")?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.account_id.write(out);
        self.command.write(out);
        self.reason.write(out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_named("account_id", &self.account_id, out);
        write_named("command", &self.command, out);
        write_named("reason", &self.reason, out);
        out.push(0);
    }
}

/// Legs are granted again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountUnfrozen {
    /// The account; also the record's key.
    pub account_id: AccountId,
    /// As given.
    pub reason: String,
}

impl Wire for AccountUnfrozen {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(AccountUnfrozen {
            account_id: Wire::read(reader).at("account_id")?,
            reason: Wire::read(reader).at("reason")?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.account_id.write(out);
        self.reason.write(out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_named("account_id", &self.account_id, out);
        write_named("reason", &self.reason, out);
        out.push(0);
    }
}

/// The terms now in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountUpdated {
    /// The account; also the record's key.
    pub account_id: AccountId,
    /// For people.
    pub name: String,
    /// Floor.
    pub floor: Amount,
    /// Daily limit.
    #[serde(default)]
    pub daily_limit: Option<Amount>,
    /// Monthly limit.
    #[serde(default)]
    pub monthly_limit: Option<Amount>,
    /// The client's own.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
}

impl AccountUpdated {
    /// With the fields that must be given; the others have their defaults.
    #[must_use]
    pub fn new(account_id: AccountId, name: impl Into<String>, floor: Amount) -> Self {
        AccountUpdated {
            account_id,
            name: name.into(),
            floor,
            daily_limit: Option::<Amount>::default(),
            monthly_limit: Option::<Amount>::default(),
            metadata: BTreeMap::<String, String>::default(),
        }
    }
}

impl Wire for AccountUpdated {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(AccountUpdated {
            account_id: Wire::read(reader).at("account_id")?,
            name: Wire::read(reader).at("name")?,
            floor: Wire::read(reader).at("floor")?,
            daily_limit: Wire::read(reader).at("daily_limit")?,
            monthly_limit: Wire::read(reader).at("monthly_limit")?,
            metadata: Wire::read(reader).at("metadata")?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.account_id.write(out);
        self.name.write(out);
        self.floor.write(out);
        self.daily_limit.write(out);
        self.monthly_limit.write(out);
        self.metadata.write(out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_named("account_id", &self.account_id, out);
        write_named("name", &self.name, out);
        write_named("floor", &self.floor, out);
        if self.daily_limit.is_some() {
            write_named("daily_limit", &self.daily_limit, out);
        }
        if self.monthly_limit.is_some() {
            write_named("monthly_limit", &self.monthly_limit, out);
        }
        if !self.metadata.is_empty() {
            write_named("metadata", &self.metadata, out);
        }
        out.push(0);
    }
}

/// Close for good; refused while a hold, a reservation or a balance is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CloseAccount {
    /// The account; also the record's key.
    pub account_id: AccountId,
    /// For the record.
    #[serde(default)]
    pub reason: String,
}

impl CloseAccount {
    /// With the fields that must be given; the others have their defaults.
    #[must_use]
    pub fn new(account_id: AccountId) -> Self {
        CloseAccount { account_id, reason: String::default() }
    }
}

impl Wire for CloseAccount {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(CloseAccount { account_id: Wire::read(reader).at("account_id")?, reason: Wire::read(reader).at("reason")? })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.account_id.write(out);
        self.reason.write(out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_named("account_id", &self.account_id, out);
        if !self.reason.is_empty() {
            write_named("reason", &self.reason, out);
        }
        out.push(0);
    }
}

/// An entry as the general ledger needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntryRef {
    /// Index of the leg in the transaction.
    pub line: i32,
    /// Sequence in the account, from 1.
    pub sequence: i64,
    /// Side.
    pub side: Side,
    /// Amount.
    pub amount: Money,
    /// Hash of the entry.
    pub hash: Hash,
}

impl Wire for EntryRef {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(EntryRef {
            line: Wire::read(reader).at("line")?,
            sequence: Wire::read(reader).at("sequence")?,
            side: Wire::read(reader).at("side")?,
            amount: Wire::read(reader).at("amount")?,
            hash: Wire::read(reader).at("hash")?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.line.write(out);
        self.sequence.write(out);
        self.side.write(out);
        self.amount.write(out);
        self.hash.write(out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_named("line", &self.line, out);
        write_named("sequence", &self.sequence, out);
        write_named("side", &self.side, out);
        write_named("amount", &self.amount, out);
        write_named("hash", &self.hash, out);
        out.push(0);
    }
}

/// No further leg is granted until it is unfrozen; what was granted is still honoured. Privileged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreezeAccount {
    /// The account; also the record's key.
    pub account_id: AccountId,
    /// For the record.
    #[serde(default)]
    pub reason: String,
}

impl FreezeAccount {
    /// With the fields that must be given; the others have their defaults.
    #[must_use]
    pub fn new(account_id: AccountId) -> Self {
        FreezeAccount { account_id, reason: String::default() }
    }
}

impl Wire for FreezeAccount {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(FreezeAccount { account_id: Wire::read(reader).at("account_id")?, reason: Wire::read(reader).at("reason")? })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.account_id.write(out);
        self.reason.write(out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_named("account_id", &self.account_id, out);
        if !self.reason.is_empty() {
            write_named("reason", &self.reason, out);
        }
        out.push(0);
    }
}

/// All lines of a leg are granted: what lowers the balance is held, what raises it is reserved. A promise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LegHeld {
    /// The transaction; also the record's key.
    pub transaction_id: TransactionId,
    /// The account.
    pub account_id: AccountId,
    /// Held.
    pub held: Amount,
    /// Reserved.
    pub reserved: Amount,
}

impl Wire for LegHeld {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(LegHeld {
            transaction_id: Wire::read(reader).at("transaction_id")?,
            account_id: Wire::read(reader).at("account_id")?,
            held: Wire::read(reader).at("held")?,
            reserved: Wire::read(reader).at("reserved")?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.transaction_id.write(out);
        self.account_id.write(out);
        self.held.write(out);
        self.reserved.write(out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_named("transaction_id", &self.transaction_id, out);
        write_named("account_id", &self.account_id, out);
        write_named("held", &self.held, out);
        write_named("reserved", &self.reserved, out);
        out.push(0);
    }
}

/// A posting is booked in the account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LegPosted {
    /// The transaction; also the record's key.
    pub transaction_id: TransactionId,
    /// The account.
    pub account_id: AccountId,
    /// Ordinal of the posting in the transaction, from 1.
    pub posting: i32,
    /// The account's kind.
    pub kind: AccountKind,
    /// The entries.
    pub entries: Vec<EntryRef>,
    /// What was left is released.
    pub r#final: bool,
}

impl Wire for LegPosted {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(LegPosted {
            transaction_id: Wire::read(reader).at("transaction_id")?,
            account_id: Wire::read(reader).at("account_id")?,
            posting: Wire::read(reader).at("posting")?,
            kind: Wire::read(reader).at("kind")?,
            entries: Wire::read(reader).at("entries")?,
            r#final: Wire::read(reader).at("final")?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.transaction_id.write(out);
        self.account_id.write(out);
        self.posting.write(out);
        self.kind.write(out);
        self.entries.write(out);
        self.r#final.write(out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_named("transaction_id", &self.transaction_id, out);
        write_named("account_id", &self.account_id, out);
        write_named("posting", &self.posting, out);
        write_named("kind", &self.kind, out);
        write_named("entries", &self.entries, out);
        write_named("final", &self.r#final, out);
        out.push(0);
    }
}

/// A leg is refused, all of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LegRefused {
    /// The transaction; also the record's key.
    pub transaction_id: TransactionId,
    /// The account.
    pub account_id: AccountId,
    /// Every reason.
    pub reasons: Vec<Reason>,
}

impl Wire for LegRefused {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(LegRefused {
            transaction_id: Wire::read(reader).at("transaction_id")?,
            account_id: Wire::read(reader).at("account_id")?,
            reasons: Wire::read(reader).at("reasons")?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.transaction_id.write(out);
        self.account_id.write(out);
        self.reasons.write(out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_named("transaction_id", &self.transaction_id, out);
        write_named("account_id", &self.account_id, out);
        write_named("reasons", &self.reasons, out);
        out.push(0);
    }
}

/// A leg is released without posting what was left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LegVoided {
    /// The transaction; also the record's key.
    pub transaction_id: TransactionId,
    /// The account.
    pub account_id: AccountId,
    /// What had been held.
    pub released: Amount,
}

impl Wire for LegVoided {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(LegVoided {
            transaction_id: Wire::read(reader).at("transaction_id")?,
            account_id: Wire::read(reader).at("account_id")?,
            released: Wire::read(reader).at("released")?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.transaction_id.write(out);
        self.account_id.write(out);
        self.released.write(out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_named("transaction_id", &self.transaction_id, out);
        write_named("account_id", &self.account_id, out);
        write_named("released", &self.released, out);
        out.push(0);
    }
}

/// Open an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenAccount {
    /// The account; also the record's key.
    pub account_id: AccountId,
    /// Kind in the chart of accounts.
    pub kind: AccountKind,
    /// The one currency of the account.
    pub currency: Currency,
    /// For people.
    #[serde(default)]
    pub name: String,
    /// How far the available balance may go below zero, on the kind's normal side; privileged.
    #[serde(default)]
    pub floor: Option<Amount>,
    /// Most that may leave in a UTC day; privileged.
    #[serde(default)]
    pub daily_limit: Option<Amount>,
    /// Most that may leave in a UTC month; privileged.
    #[serde(default)]
    pub monthly_limit: Option<Amount>,
    /// The client's own.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
}

impl OpenAccount {
    /// With the fields that must be given; the others have their defaults.
    #[must_use]
    pub fn new(account_id: AccountId, kind: AccountKind, currency: Currency) -> Self {
        OpenAccount {
            account_id,
            kind,
            currency,
            name: String::default(),
            floor: Option::<Amount>::default(),
            daily_limit: Option::<Amount>::default(),
            monthly_limit: Option::<Amount>::default(),
            metadata: BTreeMap::<String, String>::default(),
        }
    }
}

impl Wire for OpenAccount {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(OpenAccount {
            account_id: Wire::read(reader).at("account_id")?,
            kind: Wire::read(reader).at("kind")?,
            currency: Wire::read(reader).at("currency")?,
            name: Wire::read(reader).at("name")?,
            floor: Wire::read(reader).at("floor")?,
            daily_limit: Wire::read(reader).at("daily_limit")?,
            monthly_limit: Wire::read(reader).at("monthly_limit")?,
            metadata: Wire::read(reader).at("metadata")?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.account_id.write(out);
        self.kind.write(out);
        self.currency.write(out);
        self.name.write(out);
        self.floor.write(out);
        self.daily_limit.write(out);
        self.monthly_limit.write(out);
        self.metadata.write(out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_named("account_id", &self.account_id, out);
        write_named("kind", &self.kind, out);
        write_named("currency", &self.currency, out);
        if !self.name.is_empty() {
            write_named("name", &self.name, out);
        }
        if self.floor.is_some() {
            write_named("floor", &self.floor, out);
        }
        if self.daily_limit.is_some() {
            write_named("daily_limit", &self.daily_limit, out);
        }
        if self.monthly_limit.is_some() {
            write_named("monthly_limit", &self.monthly_limit, out);
        }
        if !self.metadata.is_empty() {
            write_named("metadata", &self.metadata, out);
        }
        out.push(0);
    }
}

/// Lift a freeze. Privileged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnfreezeAccount {
    /// The account; also the record's key.
    pub account_id: AccountId,
    /// For the record.
    #[serde(default)]
    pub reason: String,
}

impl UnfreezeAccount {
    /// With the fields that must be given; the others have their defaults.
    #[must_use]
    pub fn new(account_id: AccountId) -> Self {
        UnfreezeAccount { account_id, reason: String::default() }
    }
}

impl Wire for UnfreezeAccount {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(UnfreezeAccount {
            account_id: Wire::read(reader).at("account_id")?,
            reason: Wire::read(reader).at("reason")?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.account_id.write(out);
        self.reason.write(out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_named("account_id", &self.account_id, out);
        if !self.reason.is_empty() {
            write_named("reason", &self.reason, out);
        }
        out.push(0);
    }
}

/// Change what may change; absent fields stay as they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateAccount {
    /// The account; also the record's key.
    pub account_id: AccountId,
    /// For people.
    #[serde(default)]
    pub name: Option<String>,
    /// Replaces the client's own.
    #[serde(default)]
    pub metadata: Option<BTreeMap<String, String>>,
    /// Privileged.
    #[serde(default)]
    pub floor: Option<Amount>,
    /// Privileged.
    #[serde(default)]
    pub daily_limit: Option<Amount>,
    /// Privileged.
    #[serde(default)]
    pub monthly_limit: Option<Amount>,
    /// Remove both limits first; privileged.
    #[serde(default)]
    pub clear_limits: bool,
}

impl UpdateAccount {
    /// With the fields that must be given; the others have their defaults.
    #[must_use]
    pub fn new(account_id: AccountId) -> Self {
        UpdateAccount {
            account_id,
            name: Option::<String>::default(),
            metadata: Option::<BTreeMap<String, String>>::default(),
            floor: Option::<Amount>::default(),
            daily_limit: Option::<Amount>::default(),
            monthly_limit: Option::<Amount>::default(),
            clear_limits: false,
        }
    }
}

impl Wire for UpdateAccount {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(UpdateAccount {
            account_id: Wire::read(reader).at("account_id")?,
            name: Wire::read(reader).at("name")?,
            metadata: Wire::read(reader).at("metadata")?,
            floor: Wire::read(reader).at("floor")?,
            daily_limit: Wire::read(reader).at("daily_limit")?,
            monthly_limit: Wire::read(reader).at("monthly_limit")?,
            clear_limits: Wire::read(reader).at("clear_limits")?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.account_id.write(out);
        self.name.write(out);
        self.metadata.write(out);
        self.floor.write(out);
        self.daily_limit.write(out);
        self.monthly_limit.write(out);
        self.clear_limits.write(out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_named("account_id", &self.account_id, out);
        if self.name.is_some() {
            write_named("name", &self.name, out);
        }
        if self.metadata.is_some() {
            write_named("metadata", &self.metadata, out);
        }
        if self.floor.is_some() {
            write_named("floor", &self.floor, out);
        }
        if self.daily_limit.is_some() {
            write_named("daily_limit", &self.daily_limit, out);
        }
        if self.monthly_limit.is_some() {
            write_named("monthly_limit", &self.monthly_limit, out);
        }
        if self.clear_limits {
            write_named("clear_limits", &self.clear_limits, out);
        }
        out.push(0);
    }
}

/// The accounts' answers to a transaction, keyed by transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Vote {
    /// All lines of a leg are granted: what lowers the balance is held, what raises it is reserved. A promise.
    LegHeld(LegHeld),
    /// A leg is refused, all of it.
    LegRefused(LegRefused),
    /// A posting is booked in the account.
    LegPosted(LegPosted),
    /// A leg is released without posting what was left.
    LegVoided(LegVoided),
}

impl Vote {
    /// The names of the records.
    pub const RECORDS: [&'static str; 4] = ["LegHeld", "LegRefused", "LegPosted", "LegVoided"];
}

impl From<LegHeld> for Vote {
    fn from(body: LegHeld) -> Self {
        Vote::LegHeld(body)
    }
}

impl From<LegRefused> for Vote {
    fn from(body: LegRefused) -> Self {
        Vote::LegRefused(body)
    }
}

impl From<LegPosted> for Vote {
    fn from(body: LegPosted) -> Self {
        Vote::LegPosted(body)
    }
}

impl From<LegVoided> for Vote {
    fn from(body: LegVoided) -> Self {
        Vote::LegVoided(body)
    }
}

impl Wire for Vote {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.index(4)? {
            0 => Wire::read(reader).map(Vote::LegHeld),
            1 => Wire::read(reader).map(Vote::LegRefused),
            2 => Wire::read(reader).map(Vote::LegPosted),
            _ => Wire::read(reader).map(Vote::LegVoided),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Vote::LegHeld(body) => {
                write_long(0, out);
                body.write(out);
            }
            Vote::LegRefused(body) => {
                write_long(1, out);
                body.write(out);
            }
            Vote::LegPosted(body) => {
                write_long(2, out);
                body.write(out);
            }
            Vote::LegVoided(body) => {
                write_long(3, out);
                body.write(out);
            }
        }
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_bytes(self.name().as_bytes(), out);
        match self {
            Vote::LegHeld(body) => body.canonical(out),
            Vote::LegRefused(body) => body.canonical(out),
            Vote::LegPosted(body) => body.canonical(out),
            Vote::LegVoided(body) => body.canonical(out),
        }
    }
}

impl Body for Vote {
    const SCHEMA: &'static str = "tributary.accounts.v1.VoteEnvelope";

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
            Vote::LegHeld(body) => body.transaction_id.as_ref(),
            Vote::LegRefused(body) => body.transaction_id.as_ref(),
            Vote::LegPosted(body) => body.transaction_id.as_ref(),
            Vote::LegVoided(body) => body.transaction_id.as_ref(),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Vote::LegHeld(_) => "LegHeld",
            Vote::LegRefused(_) => "LegRefused",
            Vote::LegPosted(_) => "LegPosted",
            Vote::LegVoided(_) => "LegVoided",
        }
    }
}
