//! Privileged commands: a party is blocked, or no longer.

use tributary_flow::{Cx, Refusal};
use tributary_schemas::Reason;
use tributary_schemas::risk::{
    BlockParty, PartyBlocked, PartyEvent, PartyRefused, PartyUnblocked, RiskCommand, UnblockParty,
};

use crate::SOURCE;
use crate::state::{Block, State};

/// Decides a command.
pub(crate) fn command(cx: &Cx<'_>, state: &mut State<'_>, command: &RiskCommand) -> PartyEvent {
    let decided =
        if cx.privileged { decide(cx, state, command) } else { Err(Reason::new("privileged_command", SOURCE)) };
    decided.unwrap_or_else(|reason| refused(command, reason))
}

/// Longest reason that a command may give, in bytes: it is repeated in events, which must stay below the size of a message.
const LONGEST_REASON: usize = 1_024;

fn decide(cx: &Cx<'_>, state: &mut State<'_>, command: &RiskCommand) -> Result<PartyEvent, Reason> {
    let (RiskCommand::BlockParty(BlockParty { reason, .. }) | RiskCommand::UnblockParty(UnblockParty { reason, .. })) =
        command;
    if reason.len() > LONGEST_REASON {
        let values = [("bytes", reason.len().to_string()), ("limit", LONGEST_REASON.to_string())];
        return Err(Reason { field: Some("reason".to_owned()), ..with("too_long", values) });
    }
    match command {
        RiskCommand::BlockParty(block) => block_party(cx, state, block),
        RiskCommand::UnblockParty(unblock) => unblock_party(state, unblock),
    }
}

fn block_party(cx: &Cx<'_>, state: &mut State<'_>, command: &BlockParty) -> Result<PartyEvent, Reason> {
    if command.party_id.system().is_some() {
        // Nobody asks risk about a system account: the block would be answered and never be in force.
        return Err(Reason { field: Some("party_id".to_owned()), ..Reason::new("system_account", SOURCE) });
    }
    if let Some(block) = &state.head {
        return Err(with("already_blocked", [("since", block.since.0.to_string()), ("reason", block.reason.clone())]));
    }
    state.head = Some(Block { since: cx.now, reason: command.reason.clone() });
    Ok(PartyBlocked { party_id: command.party_id.clone(), reason: command.reason.clone() }.into())
}

fn unblock_party(state: &mut State<'_>, command: &UnblockParty) -> Result<PartyEvent, Reason> {
    if state.head.take().is_none() {
        return Err(Reason::new("not_blocked", SOURCE));
    }
    Ok(PartyUnblocked { party_id: command.party_id.clone(), reason: command.reason.clone() }.into())
}

/// The event for a command that the core refuses.
pub(crate) fn refuse(command: &RiskCommand, refusal: &Refusal) -> PartyEvent {
    let mut reason = match refusal {
        Refusal::Conflict { first_seen } => with("conflict", [("first_seen", first_seen.0.to_string())]),
        Refusal::Stale { time, oldest } => {
            with("stale_command", [("time", time.0.to_string()), ("oldest", oldest.0.to_string())])
        }
    };
    reason.field = Some(if matches!(refusal, Refusal::Conflict { .. }) { "id" } else { "time" }.to_owned());
    refused(command, reason)
}

fn refused(command: &RiskCommand, reason: Reason) -> PartyEvent {
    let (party, name) = match command {
        RiskCommand::BlockParty(command) => (&command.party_id, "BlockParty"),
        RiskCommand::UnblockParty(command) => (&command.party_id, "UnblockParty"),
    };
    let reason = Reason { subject: Some(party.to_string()), ..reason };
    PartyRefused { party_id: party.clone(), command: name.to_owned(), reason }.into()
}

fn with<const N: usize>(code: &str, values: [(&str, String); N]) -> Reason {
    Reason { values: values.map(|(name, value)| (name.to_owned(), value)).into(), ..Reason::new(code, SOURCE) }
}
