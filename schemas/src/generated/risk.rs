//! Records of the domain `risk`. Generated from the schemas by `tests/generate`; do not edit.

use crate::codec::{At, Reader, Wire, write_bytes, write_long, write_named};
use crate::envelope;
use crate::platform::Reason;
use crate::value::{AccountId, TransactionId};
use serde::{Deserialize, Serialize};
use tributary_flow::{Body, DecodeError, Header};

/// Decline every leg of this account. Privileged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockParty {
    /// The account; also the record's key.
    pub party_id: AccountId,
    /// For the record.
    #[serde(default)]
    pub reason: String,
}

impl BlockParty {
    /// With the fields that must be given; the others have their defaults.
    #[must_use]
    pub fn new(party_id: AccountId) -> Self {
        BlockParty { party_id, reason: String::default() }
    }
}

impl Wire for BlockParty {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(BlockParty { party_id: Wire::read(reader).at("party_id")?, reason: Wire::read(reader).at("reason")? })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.party_id.write(out);
        self.reason.write(out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_named("party_id", &self.party_id, out);
        if !self.reason.is_empty() {
            write_named("reason", &self.reason, out);
        }
        out.push(0);
    }
}

/// In force from here on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartyBlocked {
    /// The account; also the record's key.
    pub party_id: AccountId,
    /// As given.
    pub reason: String,
}

impl Wire for PartyBlocked {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(PartyBlocked { party_id: Wire::read(reader).at("party_id")?, reason: Wire::read(reader).at("reason")? })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.party_id.write(out);
        self.reason.write(out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_named("party_id", &self.party_id, out);
        write_named("reason", &self.reason, out);
        out.push(0);
    }
}

/// What risk holds of a party, keyed by account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum PartyEvent {
    /// In force from here on.
    PartyBlocked(PartyBlocked),
    /// Lifted.
    PartyUnblocked(PartyUnblocked),
    /// A command that changed nothing.
    PartyRefused(PartyRefused),
}

impl PartyEvent {
    /// The names of the records.
    pub const RECORDS: [&'static str; 3] = ["PartyBlocked", "PartyUnblocked", "PartyRefused"];
}

impl From<PartyBlocked> for PartyEvent {
    fn from(body: PartyBlocked) -> Self {
        PartyEvent::PartyBlocked(body)
    }
}

impl From<PartyUnblocked> for PartyEvent {
    fn from(body: PartyUnblocked) -> Self {
        PartyEvent::PartyUnblocked(body)
    }
}

impl From<PartyRefused> for PartyEvent {
    fn from(body: PartyRefused) -> Self {
        PartyEvent::PartyRefused(body)
    }
}

impl Wire for PartyEvent {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.index(3)? {
            0 => Wire::read(reader).map(PartyEvent::PartyBlocked),
            1 => Wire::read(reader).map(PartyEvent::PartyUnblocked),
            _ => Wire::read(reader).map(PartyEvent::PartyRefused),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            PartyEvent::PartyBlocked(body) => {
                write_long(0, out);
                body.write(out);
            }
            PartyEvent::PartyUnblocked(body) => {
                write_long(1, out);
                body.write(out);
            }
            PartyEvent::PartyRefused(body) => {
                write_long(2, out);
                body.write(out);
            }
        }
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_bytes(self.name().as_bytes(), out);
        match self {
            PartyEvent::PartyBlocked(body) => body.canonical(out),
            PartyEvent::PartyUnblocked(body) => body.canonical(out),
            PartyEvent::PartyRefused(body) => body.canonical(out),
        }
    }
}

impl Body for PartyEvent {
    const SCHEMA: &'static str = "tributary.risk.v1.PartyEventEnvelope";

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
            PartyEvent::PartyBlocked(body) => body.party_id.as_ref(),
            PartyEvent::PartyUnblocked(body) => body.party_id.as_ref(),
            PartyEvent::PartyRefused(body) => body.party_id.as_ref(),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            PartyEvent::PartyBlocked(_) => "PartyBlocked",
            PartyEvent::PartyUnblocked(_) => "PartyUnblocked",
            PartyEvent::PartyRefused(_) => "PartyRefused",
        }
    }
}

/// A command that changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartyRefused {
    /// The account; also the record's key.
    pub party_id: AccountId,
    /// The command's record name.
    pub command: String,
    /// Why.
    pub reason: Reason,
}

impl Wire for PartyRefused {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(PartyRefused {
            party_id: Wire::read(reader).at("party_id")?,
            command: Wire::read(reader).at("command")?,
            reason: Wire::read(reader).at("reason")?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.party_id.write(out);
        self.command.write(out);
        self.reason.write(out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_named("party_id", &self.party_id, out);
        write_named("command", &self.command, out);
        write_named("reason", &self.reason, out);
        out.push(0);
    }
}

/// Lifted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartyUnblocked {
    /// The account; also the record's key.
    pub party_id: AccountId,
    /// As given.
    pub reason: String,
}

impl Wire for PartyUnblocked {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(PartyUnblocked { party_id: Wire::read(reader).at("party_id")?, reason: Wire::read(reader).at("reason")? })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.party_id.write(out);
        self.reason.write(out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_named("party_id", &self.party_id, out);
        write_named("reason", &self.reason, out);
        out.push(0);
    }
}

/// Risk's answer for one account of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RiskAssessed {
    /// The transaction; also the record's key.
    pub transaction_id: TransactionId,
    /// The account.
    pub account_id: AccountId,
    /// Decision.
    pub decision: RiskDecision,
    /// 0 to 100.
    pub score: i32,
    /// The rules that hit.
    pub reasons: Vec<Reason>,
    /// Version of the rules file.
    pub rules_version: String,
}

impl Wire for RiskAssessed {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(RiskAssessed {
            transaction_id: Wire::read(reader).at("transaction_id")?,
            account_id: Wire::read(reader).at("account_id")?,
            decision: Wire::read(reader).at("decision")?,
            score: Wire::read(reader).at("score")?,
            reasons: Wire::read(reader).at("reasons")?,
            rules_version: Wire::read(reader).at("rules_version")?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.transaction_id.write(out);
        self.account_id.write(out);
        self.decision.write(out);
        self.score.write(out);
        self.reasons.write(out);
        self.rules_version.write(out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_named("transaction_id", &self.transaction_id, out);
        write_named("account_id", &self.account_id, out);
        write_named("decision", &self.decision, out);
        write_named("score", &self.score, out);
        write_named("reasons", &self.reasons, out);
        write_named("rules_version", &self.rules_version, out);
        out.push(0);
    }
}

/// A command to the risk node, keyed by account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum RiskCommand {
    /// Decline every leg of this account. Privileged.
    BlockParty(BlockParty),
    /// Lift a block. Privileged.
    UnblockParty(UnblockParty),
}

impl RiskCommand {
    /// The names of the records.
    pub const RECORDS: [&'static str; 2] = ["BlockParty", "UnblockParty"];
}

impl From<BlockParty> for RiskCommand {
    fn from(body: BlockParty) -> Self {
        RiskCommand::BlockParty(body)
    }
}

impl From<UnblockParty> for RiskCommand {
    fn from(body: UnblockParty) -> Self {
        RiskCommand::UnblockParty(body)
    }
}

impl Wire for RiskCommand {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.index(2)? {
            0 => Wire::read(reader).map(RiskCommand::BlockParty),
            _ => Wire::read(reader).map(RiskCommand::UnblockParty),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            RiskCommand::BlockParty(body) => {
                write_long(0, out);
                body.write(out);
            }
            RiskCommand::UnblockParty(body) => {
                write_long(1, out);
                body.write(out);
            }
        }
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_bytes(self.name().as_bytes(), out);
        match self {
            RiskCommand::BlockParty(body) => body.canonical(out),
            RiskCommand::UnblockParty(body) => body.canonical(out),
        }
    }
}

impl Body for RiskCommand {
    const SCHEMA: &'static str = "tributary.risk.v1.RiskCommandEnvelope";

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
            RiskCommand::BlockParty(body) => body.party_id.as_ref(),
            RiskCommand::UnblockParty(body) => body.party_id.as_ref(),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            RiskCommand::BlockParty(_) => "BlockParty",
            RiskCommand::UnblockParty(_) => "UnblockParty",
        }
    }
}

/// What risk makes of a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RiskDecision {
    /// `APPROVE`.
    #[serde(rename = "APPROVE", alias = "approve")]
    Approve,
    /// `REVIEW`.
    #[serde(rename = "REVIEW", alias = "review")]
    Review,
    /// `DECLINE`.
    #[serde(rename = "DECLINE", alias = "decline")]
    Decline,
}

impl RiskDecision {
    /// All of them, in the schema's order.
    pub const ALL: [RiskDecision; 3] = [RiskDecision::Approve, RiskDecision::Review, RiskDecision::Decline];

    /// Its symbol in the schema.
    #[must_use]
    pub fn symbol(self) -> &'static str {
        match self {
            RiskDecision::Approve => "APPROVE",
            RiskDecision::Review => "REVIEW",
            RiskDecision::Decline => "DECLINE",
        }
    }
}

impl Wire for RiskDecision {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(RiskDecision::ALL[reader.index(RiskDecision::ALL.len())?])
    }

    fn write(&self, out: &mut Vec<u8>) {
        write_long(*self as i64, out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_bytes(self.symbol().as_bytes(), out);
    }
}

/// Risk's answers, keyed by transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum RiskEvent {
    /// Risk's answer for one account of a transaction.
    RiskAssessed(RiskAssessed),
}

impl RiskEvent {
    /// The names of the records.
    pub const RECORDS: [&'static str; 1] = ["RiskAssessed"];
}

impl From<RiskAssessed> for RiskEvent {
    fn from(body: RiskAssessed) -> Self {
        RiskEvent::RiskAssessed(body)
    }
}

impl Wire for RiskEvent {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.index(1)?;
        Wire::read(reader).map(RiskEvent::RiskAssessed)
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            RiskEvent::RiskAssessed(body) => {
                write_long(0, out);
                body.write(out);
            }
        }
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_bytes(self.name().as_bytes(), out);
        match self {
            RiskEvent::RiskAssessed(body) => body.canonical(out),
        }
    }
}

impl Body for RiskEvent {
    const SCHEMA: &'static str = "tributary.risk.v1.RiskEventEnvelope";

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
            RiskEvent::RiskAssessed(body) => body.transaction_id.as_ref(),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            RiskEvent::RiskAssessed(_) => "RiskAssessed",
        }
    }
}

/// Lift a block. Privileged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnblockParty {
    /// The account; also the record's key.
    pub party_id: AccountId,
    /// For the record.
    #[serde(default)]
    pub reason: String,
}

impl UnblockParty {
    /// With the fields that must be given; the others have their defaults.
    #[must_use]
    pub fn new(party_id: AccountId) -> Self {
        UnblockParty { party_id, reason: String::default() }
    }
}

impl Wire for UnblockParty {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(UnblockParty { party_id: Wire::read(reader).at("party_id")?, reason: Wire::read(reader).at("reason")? })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.party_id.write(out);
        self.reason.write(out);
    }

    fn canonical(&self, out: &mut Vec<u8>) {
        write_named("party_id", &self.party_id, out);
        if !self.reason.is_empty() {
            write_named("reason", &self.reason, out);
        }
        out.push(0);
    }
}
