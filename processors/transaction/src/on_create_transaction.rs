//! `CreateTransaction`: checks the legs, chooses the shards of system accounts, and asks for the votes.

use tributary_flow::time::SECOND;
use tributary_flow::{Cx, Effects, Timestamp};
use tributary_graph::transaction::Out;
use tributary_schemas::Reason;
use tributary_schemas::transactions::{CreateTransaction, TransactionEvent, TransactionInitiated};

use crate::refusal::{fault, reason};
use crate::state::{Open, Review, Status, Timer};
use crate::transition::Step;
use crate::{TransactionProcessor, legs};

/// The longest hold: a year.
const LONGEST_HOLD: i64 = 366 * 86_400;

pub(crate) fn on_create_transaction(
    processor: &TransactionProcessor,
    cx: &Cx<'_>,
    command: &CreateTransaction,
    status: Option<Status>,
    effects: &mut Effects<Out, Timer>,
) -> Result<Open, Reason> {
    if let Some(status) = status {
        // The door remembers ids for ever and does not let this through; the answer would be the same.
        return Err(reason("conflict", [("status", &status.name())]));
    }
    let legs = legs::resolve(&command.legs, cx.partitions)?;
    let hold = hold(processor, command)?;
    let (lines, parties) = Open::cut(&legs);
    let mut open = Open {
        status: Status::Initiated,
        lines,
        parties,
        two_phase: command.two_phase,
        hold,
        value_date: command.value_date,
        initiator: cx.actor.map(str::to_owned),
        deadline: cx.now.plus(processor.voting),
        pending: None,
        postings: 0,
        booked_at: Timestamp::default(),
        review: Review::default(),
        reasons: Vec::new(),
    };
    let initiated = TransactionInitiated {
        transaction_id: command.transaction_id.clone(),
        legs,
        two_phase: command.two_phase,
        description: command.description.clone(),
        metadata: command.metadata.clone(),
        deadline: open.deadline,
    };
    let id = &cx.command.expect("invariant: a command comes with its header").id;
    effects.answer(id.as_str(), TransactionEvent::TransactionInitiated(initiated));
    let mut step = Step::new(processor, cx, command.transaction_id.as_str(), &mut open, effects);
    step.request();
    // Nobody is asked where all accounts are the system's: then this decides.
    step.decide();
    Ok(open)
}

/// How long a hold is to last, in microseconds.
fn hold(processor: &TransactionProcessor, command: &CreateTransaction) -> Result<i64, Reason> {
    let Some(seconds) = command.hold_seconds else { return Ok(processor.hold) };
    if !command.two_phase {
        return Err(fault("two_phase_only", "hold_seconds", [("hold_seconds", &seconds)]));
    }
    if !(1..=LONGEST_HOLD).contains(&seconds) {
        let values: [(&str, &dyn std::fmt::Display); 3] =
            [("hold_seconds", &seconds), ("shortest", &1), ("longest", &LONGEST_HOLD)];
        return Err(fault("bad_hold_seconds", "hold_seconds", values));
    }
    Ok(seconds * SECOND)
}
