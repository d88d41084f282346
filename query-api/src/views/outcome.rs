//! What became of commands, as the facts that answer them tell.
//!
//! A command id may be answered more than once: the request that came first, and one conflict for every other request
//! under the same id. The cause of the answer tells them apart, since it is derived from the request's digest too.
//! Outcomes are kept for good; an id is 128 bytes at most and a row a few hundred.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tributary_flow::processor::State;
use tributary_flow::reader::Page;
use tributary_flow::{Collection, Cx, EventId, Place, Reader, Timestamp};
use tributary_schemas::Reason;

/// The code with which the core refuses an id that was used for another request.
pub const CONFLICT: &str = "conflict";

/// The fact that answered a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Name of the event, as `AccountOpened`.
    pub event: String,
    /// When it was decided.
    pub at: Timestamp,
    /// Why, where the event has reasons.
    pub reasons: Vec<Reason>,
    topic: String,
    partition: u32,
    offset: u64,
}

impl Outcome {
    /// Where the fact lies.
    #[must_use]
    pub fn place(&self) -> Place {
        Place { topic: self.topic.clone(), partition: self.partition, offset: self.offset }
    }

    /// The same answer, followed to the later fact `event` on the same topic.
    pub(crate) fn arrived(&mut self, event: &str, at: Timestamp, (partition, offset): (u32, u64)) {
        self.event = event.to_owned();
        (self.at, self.partition, self.offset) = (at, partition, offset);
    }

    /// Whether it says that the id was used for another request.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.reasons.iter().any(|reason| reason.code == CONFLICT)
    }

    /// Whether it says that the command changed nothing.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        self.event.ends_with("Refused")
    }
}

/// Outcomes by command id and cause, under the key the command was about.
pub type Outcomes = Collection<(String, EventId), Outcome>;

/// Notes the outcome where the fact answers a command.
pub(crate) fn note<H: Serialize + DeserializeOwned>(
    cx: &Cx<'_>,
    state: &mut State<'_, H>,
    outcomes: &Outcomes,
    event: &str,
    reasons: &[Reason],
) {
    let (Some(fact), Some((topic, partition, offset))) = (cx.fact, cx.place) else { return };
    let Some(command) = &fact.answers else { return };
    let outcome = Outcome {
        event: event.to_owned(),
        at: fact.time,
        reasons: reasons.to_vec(),
        topic: topic.name.to_owned(),
        partition,
        offset,
    };
    state.put(outcomes, &(command.clone(), fact.causation), &outcome);
}

/// Every outcome of a command id, by cause.
#[must_use]
pub fn of_command(reader: Reader<'_>, outcomes: &Outcomes, key: &str, command: &str) -> Vec<(EventId, Outcome)> {
    let from = (command.to_owned(), EventId([0; 16]));
    let to = (command.to_owned(), EventId([u8::MAX; 16]));
    let page = Page { from: Some(&from), to: Some(&to), reverse: false, limit: usize::MAX };
    reader.rows(key, outcomes, page).into_iter().map(|((_, cause), outcome)| (cause, outcome)).collect()
}
