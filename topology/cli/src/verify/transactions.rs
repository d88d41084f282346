//! What the log says of each transaction, gathered from the topics that tell of it. What follows from it is said in
//! [`verdict`](super::verdict).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use tributary_flow::LogError;
use tributary_graph::{ACCOUNTS_VOTES, LEDGER_EVENTS, LEDGER_JOURNAL, TRANSACTIONS_EVENTS, ledger, transaction};
use tributary_schemas::Side;
use tributary_schemas::accounts::{EntryRef, LegPosted, Vote};
use tributary_schemas::ledger::{Journal, JournalLine, JournalPosted, LedgerAlarm, LedgerEvent};
use tributary_schemas::transactions::{Leg as Declared, TransactionEvent, TransactionPosting};

use super::entries::{Entries, VoteAt};
use super::lines::{Booked, Line};
use super::{Audit, Report, place, verdict};

/// What the log says of a transaction.
#[derive(Default)]
pub(super) struct Case {
    /// Whether anything of it is judged, and so must have its causes.
    pub judged: bool,
    pub initiated: u32,
    pub declared: Vec<Declared>,
    pub ended: Vec<&'static str>,
    pub end_judged: bool,
    pub after_end: bool,
    /// Whether accounts were told to take their legs back.
    pub cancelled: bool,
    /// What each posting decided, by ordinal.
    pub postings: BTreeMap<i32, TransactionPosting>,
    /// Postings that were told to be done before the end, and are judged.
    pub done: BTreeSet<i32>,
    pub journals: BTreeMap<i32, Booked>,
    pub booked: BTreeMap<i32, Booked>,
    pub legs: BTreeMap<String, Leg>,
    /// Alarms of postings that were incomplete, each with its place.
    pub incomplete: Vec<(String, LedgerAlarm)>,
    /// The offsets after its last event and its last vote.
    pub events: u64,
    pub votes: u64,
}

/// What an account said of its leg.
#[derive(Default)]
pub(super) struct Leg {
    pub votes: u32,
    pub held: i128,
    pub lowered: i128,
    /// What a void let go; a final posting does not say.
    pub released: Option<i128>,
    pub granted: bool,
    pub ends: u32,
}

impl Leg {
    fn posted(&mut self, posted: &LegPosted) {
        let normal = posted.kind.normal_side();
        let lowering = posted.entries.iter().filter(|entry| entry.side != normal);
        self.lowered = lowering.map(|entry| entry.amount.amount.0).fold(self.lowered, i128::wrapping_add);
        self.ends += u32::from(posted.r#final);
    }
}

type Cases = HashMap<String, Case>;

/// Judges the transactions of a partition; returns those that are at work on a command that they have taken.
pub(super) fn check(
    audit: &mut Audit<'_>,
    partition: u32,
    entries: &mut Entries,
    cancelled: &HashSet<String>,
) -> Result<HashSet<String>, LogError> {
    let of_ledger = audit.tasks.of(&ledger::NODE, partition);
    let of_transaction = audit.tasks.of(&transaction::NODE, partition);
    let mut working = HashSet::new();
    for (id, mut case) in gather(audit, partition, entries)? {
        case.cancelled = cancelled.contains(&id);
        verdict::judge(&mut audit.report, (partition, &id), &case, &of_transaction, &of_ledger);
        if case.is_at_work(&of_transaction) {
            working.insert(id);
        }
    }
    Ok(working)
}

fn gather(audit: &mut Audit<'_>, partition: u32, entries: &mut Entries) -> Result<Cases, LogError> {
    let mut cases = Cases::new();
    audit.visit(&TRANSACTIONS_EVENTS, partition, |report, decoder, record, judged| {
        let at = place(&TRANSACTIONS_EVENTS, partition, record.offset);
        match decoder.body::<TransactionEvent>(&TRANSACTIONS_EVENTS, &record) {
            Ok((_, event)) => on_event(&mut cases, record.offset, judged, event),
            Err(error) => report.violation("decodable", at, "a transaction event", error),
        }
    })?;
    audit.visit(&ACCOUNTS_VOTES, partition, |report, decoder, record, judged| {
        let at = VoteAt { partition, offset: record.offset, judged };
        match decoder.body::<Vote>(&ACCOUNTS_VOTES, &record) {
            Ok((header, vote)) => {
                entries.named(report, at, &header, &vote);
                on_vote(&mut cases, at, vote);
            }
            Err(error) => report.violation("decodable", at, "a vote", error),
        }
    })?;
    audit.visit(&LEDGER_JOURNAL, partition, |report, decoder, record, judged| {
        let at = place(&LEDGER_JOURNAL, partition, record.offset);
        match decoder.body::<Journal>(&LEDGER_JOURNAL, &record) {
            Ok((_, Journal::JournalPosted(posted))) => on_journal(report, &mut cases, &at, judged, posted),
            Err(error) => report.violation("decodable", at, "a journal record", error),
        }
    })?;
    audit.visit(&LEDGER_EVENTS, partition, |report, decoder, record, judged| {
        let at = place(&LEDGER_EVENTS, partition, record.offset);
        match decoder.body::<LedgerEvent>(&LEDGER_EVENTS, &record) {
            Ok((_, LedgerEvent::LedgerAlarm(alarm))) => on_alarm(report, &mut cases, at, judged, alarm),
            Err(error) => report.violation("decodable", at, "an alarm", error),
        }
    })?;
    Ok(cases)
}

fn on_event(cases: &mut Cases, offset: u64, judged: bool, event: TransactionEvent) {
    use TransactionEvent as E;
    let (id, end) = match &event {
        E::TransactionRefused(_) => return,
        E::TransactionInitiated(initiated) => (&initiated.transaction_id, None),
        E::TransactionHeld(held) => (&held.transaction_id, None),
        E::TransactionOnHold(on_hold) => (&on_hold.transaction_id, None),
        E::TransactionPosting(posting) => (&posting.transaction_id, None),
        E::TransactionPosted(posted) => (&posted.transaction_id, None),
        E::TransactionCompleted(end) => (&end.transaction_id, Some("completed")),
        E::TransactionFailed(end) => (&end.transaction_id, Some("failed")),
        E::TransactionCancelled(end) => (&end.transaction_id, Some("cancelled")),
        E::TransactionExpired(end) => (&end.transaction_id, Some("expired")),
    };
    let case = cases.entry(id.as_str().to_owned()).or_default();
    case.judged |= judged;
    case.events = offset + 1;
    case.after_end |= !case.ended.is_empty();
    case.ended.extend(end);
    case.end_judged |= judged && end.is_some();
    match event {
        E::TransactionInitiated(initiated) => {
            case.initiated += 1;
            case.declared = initiated.legs;
        }
        E::TransactionPosting(posting) => drop(case.postings.insert(posting.posting, posting)),
        E::TransactionPosted(posted) if judged => drop(case.done.insert(posted.posting)),
        _ => {}
    }
}

fn on_vote(cases: &mut Cases, at: VoteAt, vote: Vote) {
    let (id, account) = match &vote {
        Vote::LegHeld(vote) => (&vote.transaction_id, &vote.account_id),
        Vote::LegRefused(vote) => (&vote.transaction_id, &vote.account_id),
        Vote::LegPosted(vote) => (&vote.transaction_id, &vote.account_id),
        Vote::LegVoided(vote) => (&vote.transaction_id, &vote.account_id),
    };
    let case = cases.entry(id.as_str().to_owned()).or_default();
    case.judged |= at.judged;
    case.votes = at.offset + 1;
    let leg = case.legs.entry(account.as_str().to_owned()).or_default();
    match &vote {
        Vote::LegHeld(held) => {
            leg.votes += 1;
            leg.granted = true;
            leg.held = held.held.0;
        }
        Vote::LegRefused(_) => leg.votes += 1,
        Vote::LegVoided(voided) => {
            leg.ends += 1;
            leg.released = Some(voided.released.0);
        }
        Vote::LegPosted(posted) => {
            leg.posted(posted);
            let line =
                |entry: &EntryRef| (Line::new(entry.line, &posted.account_id, entry.side, &entry.amount), entry.hash);
            case.booked.entry(posted.posting).or_default().extend(posted.entries.iter().map(line));
        }
    }
}

fn on_journal(report: &mut Report, cases: &mut Cases, at: &str, judged: bool, posted: JournalPosted) {
    report.count("journal records", 1);
    let mut sums: BTreeMap<String, (i128, i128)> = BTreeMap::new();
    for line in &posted.lines {
        let sum = sums.entry(line.amount.currency.to_string()).or_default();
        let sum = if line.side == Side::Debit { &mut sum.0 } else { &mut sum.1 };
        *sum = sum.wrapping_add(line.amount.amount.0);
    }
    for (currency, (debits, credits)) in sums {
        if debits != credits {
            let detail = format!("{currency}: debits {debits} and credits {credits} differ");
            report.violation("debits equal credits", at, &posted.transaction_id, detail);
        }
        let total = report.trial_balance.entry(currency).or_default();
        *total = (total.0.wrapping_add(debits), total.1.wrapping_add(credits));
    }
    let case = cases.entry(posted.transaction_id.as_str().to_owned()).or_default();
    case.judged |= judged;
    let line = |line: &JournalLine| (Line::new(line.line, &line.account_id, line.side, &line.amount), line.hash);
    if case.journals.insert(posted.posting, posted.lines.iter().map(line).collect()).is_some() {
        let detail = format!("posting {} is in the journal twice", posted.posting);
        report.violation("booked once", at, &posted.transaction_id, detail);
    }
}

fn on_alarm(report: &mut Report, cases: &mut Cases, at: String, judged: bool, alarm: LedgerAlarm) {
    report.count("alarms", 1);
    if alarm.code != "incomplete" {
        report.violation("alarm", at, &alarm.transaction_id, format!("{}: {:?}", alarm.code, alarm.values));
    } else if judged {
        // What was missing may have come since.
        let case = cases.entry(alarm.transaction_id.as_str().to_owned()).or_default();
        case.judged = true;
        case.incomplete.push((at, alarm));
    }
}
