//! The view of transactions: what each one is, everything that was ever said about it with its causes, its journal, and
//! the rows from which the trial balance at any time is computed.
//!
//! **Trial balance.** A total over all transactions cannot be kept by steps that see one key each. So every journal
//! record leaves its totals twice: in order of arrival, from which a reader keeps sums per hour up to date by reading
//! only what is new, and in order of booked time, for the one hour that a question cuts. Both lie in the same commit, so
//! the answer is exact for any time, whatever arrives late. Cost: two rows of about 40 bytes per journal record.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tributary_flow::processor::{Out, State};
use tributary_flow::reader::Page;
use tributary_flow::{
    Body, Collection, Cx, Date, Effects, Event, EventId, FactHeader, Header, Index, Processor, Reader, Timestamp,
};
use tributary_graph::transaction_view::{In, Ports};
use tributary_schemas::ledger::{Journal, JournalPosted};
use tributary_schemas::transactions::{Leg, TransactionEvent, TransactionInitiated};
use tributary_schemas::{AccountKind, Amount, Currency, Reason, Side};

use super::Never;
use super::outcome::{self, Outcomes};

/// The processor of `transaction-view`.
#[derive(Debug, Default)]
pub struct TransactionView;

/// Every fact about the transaction, by its time, its stage and its offset: all facts of a saga that ran through in one epoch
/// have one time, and an order of arrival would be another whenever the view is made again.
pub static HISTORY: Collection<((Timestamp, u8), u64), Told> = Collection::new(4);
/// What became of commands to the transaction. Older builds kept the history under 0, journal records under 1 and risk's answers
/// under 2.
pub static OUTCOMES: Outcomes = Collection::new(3);
/// Transactions by the time of their initiation.
pub static BY_CREATED: Index<(Timestamp, String), ()> = Index::new(0);
/// Totals of journal records in order of arrival, by their offset.
pub static ARRIVED: Index<u64, (Timestamp, Totals)> = Index::new(1);
/// Totals of journal records in order of booked time.
pub static BOOKED: Index<(Timestamp, u64), Totals> = Index::new(2);

/// Where a transaction is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// Votes are awaited, or what was granted is being posted or released.
    #[default]
    Initiated,
    /// Granted; to be posted or voided.
    Held,
    /// Waits for a reviewer.
    OnHold,
    /// Ended: posted.
    Completed,
    /// Ended: refused, declined or too late.
    Failed,
    /// Ended: withdrawn.
    Cancelled,
    /// Ended: its hold or review ran out.
    Expired,
}

/// A transaction, as last told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transaction {
    /// As initiated; absent where so far only votes were met.
    pub initiated: Option<TransactionInitiated>,
    /// When it was initiated.
    pub created_at: Timestamp,
    /// The command that created it, by its derived identity.
    pub cause: EventId,
    /// Who asked for it.
    pub actor: Option<String>,
    /// Where it is.
    pub status: Status,
    /// When it got there.
    pub since: Timestamp,
    /// The event that brought it there: partition and offset in its topic.
    pub place: (u32, u64),
    /// Every reason given, in order.
    pub reasons: Vec<Reason>,
    /// Until when it waits.
    pub expires_at: Option<Timestamp>,
    /// Postings decided.
    pub postings: u32,
    /// What postings took of each leg, by its index.
    pub posted: BTreeMap<i32, Amount>,
    /// Time of the last posting.
    pub booked_at: Option<Timestamp>,
    /// Value date of the last posting.
    pub value_date: Option<Date>,
}

impl Transaction {
    /// The legs; none where the initiation was not met yet.
    #[must_use]
    pub fn legs(&self) -> &[Leg] {
        self.initiated.as_ref().map_or(&[], |initiated| &initiated.legs)
    }
}

/// Which of the view's topics a fact came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// `transactions.events`.
    Event,
    /// `accounts.votes`.
    Vote,
    /// `risk.events`.
    Risk,
    /// `ledger.journal`.
    Journal,
    /// `ledger.events`.
    Alarm,
}

/// A fact as it was told: its envelope and its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Its topic.
    pub source: Source,
    /// Partition.
    pub partition: u32,
    /// Offset.
    pub offset: u64,
    /// The envelope in Avro, without framing and without marks of who applied it.
    #[serde(with = "super::bytes")]
    pub envelope: Vec<u8>,
}

impl Told {
    /// What was told, and under which header.
    #[must_use]
    pub fn read<B: Body>(&self) -> Option<(FactHeader, B)> {
        let (Header::Fact(fact), body) = B::decode(&self.envelope).ok()? else { return None };
        Some((fact, body))
    }

    /// Everything that one topic told of a transaction, in order of time.
    #[must_use]
    pub fn by<B: Body>(source: Source, reader: Reader<'_>, key: &str) -> Vec<(FactHeader, B)> {
        let told = reader.rows(key, &HISTORY, Page::all()).into_iter();
        told.filter(|(_, told)| told.source == source).filter_map(|(_, told)| told.read()).collect()
    }
}

/// Debits and credits by currency and kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals(pub BTreeMap<(Currency, AccountKind), (i128, i128)>);

impl Totals {
    /// Adds debits and credits.
    pub fn add(&mut self, currency: Currency, kind: AccountKind, debit: i128, credit: i128) {
        let sum = self.0.entry((currency, kind)).or_default();
        *sum = (sum.0 + debit, sum.1 + credit);
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Totals) {
        for (&(currency, kind), &(debit, credit)) in &other.0 {
            self.add(currency, kind, debit, credit);
        }
    }

    fn of(journal: &JournalPosted) -> Self {
        let mut totals = Totals::default();
        for line in &journal.lines {
            let (debit, credit) = match line.side {
                Side::Debit => (line.amount.amount.0, 0),
                Side::Credit => (0, line.amount.amount.0),
            };
            totals.add(line.amount.currency, line.kind, debit, credit);
        }
        totals
    }
}

impl Processor for TransactionView {
    type Ports = Ports;
    type Head = Transaction;
    type Timer = Never;

    fn step(
        &self,
        cx: &Cx<'_>,
        key: &str,
        state: &mut State<'_, Transaction>,
        event: Event<In<'_>, Never>,
    ) -> Effects<Out<Self>, Never> {
        let Event::Input(input) = event;
        match input {
            In::Event(event) => on_event(cx, key, state, event),
            In::Vote(vote) => tell(cx, state, Source::Vote, vote),
            In::Risk(risk) => tell(cx, state, Source::Risk, risk),
            In::Journal(journal) => on_journal(cx, state, journal),
            In::Alarm(alarm) => tell(cx, state, Source::Alarm, alarm),
        }
        Effects::none()
    }
}

/// Adds a fact to the history.
fn tell(cx: &Cx<'_>, state: &mut State<'_, Transaction>, source: Source, body: &impl Body) {
    let (Some(fact), Some((_, partition, offset))) = (cx.fact, cx.place) else { return };
    let envelope = cx.envelope.filter(|_| fact.applied.is_empty()).map_or_else(
        || {
            let mut envelope = Vec::with_capacity(256);
            let header = Header::Fact(FactHeader { applied: Vec::new(), ..fact.clone() });
            body.encode(&header, &mut envelope);
            envelope
        },
        <[u8]>::to_vec,
    );
    state.head.get_or_insert_default();
    let at = ((fact.time, stage(source, body.name())), offset);
    state.put(&HISTORY, &at, &Told { source, partition, offset, envelope });
}

/// Which of two facts of one instant a reader expects first. Facts of different topics have different stages, so that time, stage
/// and offset are one fact's alone.
fn stage(source: Source, name: &str) -> u8 {
    match (source, name) {
        (Source::Event, "TransactionInitiated") => 0,
        (Source::Risk, _) => 1,
        (Source::Vote, "LegHeld" | "LegRefused") => 2,
        (Source::Event, "TransactionHeld" | "TransactionOnHold") => 3,
        (Source::Event, "TransactionPosting") => 4,
        (Source::Vote, _) => 5,
        (Source::Event, _) => 6,
        (Source::Journal, _) => 7,
        (Source::Alarm, _) => 8,
    }
}

fn on_journal(cx: &Cx<'_>, state: &mut State<'_, Transaction>, journal: &Journal) {
    tell(cx, state, Source::Journal, journal);
    let Journal::JournalPosted(journal) = journal;
    if let Some((_, _, offset)) = cx.place {
        let totals = Totals::of(journal);
        state.index(&BOOKED, &(journal.booked_at, offset), &totals);
        state.index(&ARRIVED, &offset, &(journal.booked_at, totals));
    }
}

fn on_event(cx: &Cx<'_>, key: &str, state: &mut State<'_, Transaction>, event: &TransactionEvent) {
    outcome::note(cx, state, &OUTCOMES, event.name(), reasons(event));
    let is_known = state.head.as_ref().is_some_and(|head| head.initiated.is_some());
    if matches!(event, TransactionEvent::TransactionRefused(_)) && !is_known {
        return; // There is no such transaction, and a refusal does not make one.
    }
    tell(cx, state, Source::Event, event);
    let time = cx.fact.map_or(cx.now, |fact| fact.time);
    let head = state.head.get_or_insert_default();
    let status = match event {
        TransactionEvent::TransactionInitiated(initiated) => {
            head.initiated = Some(initiated.clone());
            head.created_at = time;
            head.cause = cx.fact.map(|fact| fact.causation).unwrap_or_default();
            head.actor = cx.actor.map(str::to_owned);
            Some(Status::Initiated)
        }
        TransactionEvent::TransactionHeld(held) => {
            head.expires_at = Some(held.expires_at);
            Some(Status::Held)
        }
        TransactionEvent::TransactionOnHold(held) => {
            head.expires_at = Some(held.expires_at);
            Some(Status::OnHold)
        }
        TransactionEvent::TransactionPosting(posting) => {
            head.postings = posting.posting.cast_unsigned();
            head.booked_at = Some(posting.booked_at);
            head.value_date = Some(posting.value_date);
            for line in &posting.lines {
                let posted = head.posted.entry(line.line).or_default();
                *posted = posted.checked_add(line.amount).expect("invariant: postings are within their leg");
            }
            None
        }
        TransactionEvent::TransactionPosted(_) => Some(Status::Held),
        TransactionEvent::TransactionCompleted(_) => Some(Status::Completed),
        TransactionEvent::TransactionFailed(_) => Some(Status::Failed),
        TransactionEvent::TransactionCancelled(_) => Some(Status::Cancelled),
        TransactionEvent::TransactionExpired(_) => Some(Status::Expired),
        TransactionEvent::TransactionRefused(_) => return,
    };
    head.reasons.extend_from_slice(reasons(event));
    if let Some(status) = status {
        head.status = status;
        head.since = time;
        head.place = cx.place.map(|(_, partition, offset)| (partition, offset)).unwrap_or_default();
        if status == Status::Initiated {
            state.index(&BY_CREATED, &(time, key.to_owned()), &());
        }
    }
}

fn reasons(event: &TransactionEvent) -> &[Reason] {
    match event {
        TransactionEvent::TransactionOnHold(event) => &event.reasons,
        TransactionEvent::TransactionFailed(event) => &event.reasons,
        TransactionEvent::TransactionCancelled(event) => &event.reasons,
        TransactionEvent::TransactionExpired(event) => &event.reasons,
        TransactionEvent::TransactionRefused(event) => std::slice::from_ref(&event.reason),
        _ => &[],
    }
}
