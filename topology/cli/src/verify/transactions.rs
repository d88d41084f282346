//! Laws 1, 2 and 3 by transaction: debits equal credits; every transaction ends exactly once; every unit held ends in
//! exactly one of posted, voided, expired; the journal books what was decided, and nothing else.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tributary_flow::LogError;
use tributary_graph::{ACCOUNTS_VOTES, LEDGER_EVENTS, LEDGER_JOURNAL, TRANSACTIONS_EVENTS};
use tributary_schemas::accounts::{LegPosted, Vote};
use tributary_schemas::ledger::{Journal, JournalPosted, LedgerEvent};
use tributary_schemas::transactions::{PostLine, TransactionEvent};
use tributary_schemas::{Hash, Side};

use super::entries::Entries;
use super::{Audit, Report, place};

/// What the log says of a transaction.
#[derive(Default)]
struct Case {
    initiated: u32,
    ended: Vec<&'static str>,
    after_end: bool,
    /// What each posting decided, by ordinal.
    postings: BTreeMap<i32, Vec<PostLine>>,
    journals: BTreeMap<i32, Vec<(i32, i128, Hash)>>,
    booked: BTreeMap<i32, Vec<(i32, i128, Hash)>>,
    legs: BTreeMap<String, Leg>,
}

/// What an account said of its leg.
#[derive(Default)]
struct Leg {
    votes: u32,
    held: i128,
    lowered: i128,
    /// What a void let go; a final posting does not say.
    released: Option<i128>,
    granted: bool,
    ends: u32,
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

pub(super) fn check(audit: &mut Audit<'_>, partition: u32, entries: &mut Entries) -> Result<(), LogError> {
    let mut cases = Cases::new();
    audit.visit(&TRANSACTIONS_EVENTS, partition, |report, decoder, record| {
        match decoder.body::<TransactionEvent>(&TRANSACTIONS_EVENTS, &record) {
            Ok((_, event)) => on_event(&mut cases, event),
            Err(error) => report.violation(
                "decodable",
                place(&TRANSACTIONS_EVENTS, partition, record.offset),
                "a transaction event",
                error,
            ),
        }
    })?;
    audit.visit(&ACCOUNTS_VOTES, partition, |report, decoder, record| {
        match decoder.body::<Vote>(&ACCOUNTS_VOTES, &record) {
            Ok((header, vote)) => {
                if let Vote::LegPosted(posted) = &vote {
                    entries.named(report, (partition, record.offset), &header, posted);
                }
                on_vote(&mut cases, vote);
            }
            Err(error) => {
                report.violation("decodable", place(&ACCOUNTS_VOTES, partition, record.offset), "a vote", error)
            }
        }
    })?;
    audit.visit(&LEDGER_JOURNAL, partition, |report, decoder, record| {
        let at = place(&LEDGER_JOURNAL, partition, record.offset);
        match decoder.body::<Journal>(&LEDGER_JOURNAL, &record) {
            Ok((_, Journal::JournalPosted(posted))) => on_journal(report, &mut cases, &at, posted),
            Err(error) => report.violation("decodable", at, "a journal record", error),
        }
    })?;
    audit.visit(&LEDGER_EVENTS, partition, |report, decoder, record| {
        let at = place(&LEDGER_EVENTS, partition, record.offset);
        match decoder.body::<LedgerEvent>(&LEDGER_EVENTS, &record) {
            Ok((_, LedgerEvent::LedgerAlarm(alarm))) => {
                report.count("alarms", 1);
                if alarm.code != "incomplete" {
                    report.violation("alarm", at, alarm.transaction_id, format!("{}: {:?}", alarm.code, alarm.values));
                }
            }
            Err(error) => report.violation("decodable", at, "an alarm", error),
        }
    })?;
    for (id, case) in &cases {
        judge(&mut audit.report, partition, id, case);
    }
    Ok(())
}

fn on_event(cases: &mut Cases, event: TransactionEvent) {
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
    case.after_end |= !case.ended.is_empty();
    case.ended.extend(end);
    match event {
        E::TransactionInitiated(_) => case.initiated += 1,
        E::TransactionPosting(posting) => drop(case.postings.insert(posting.posting, posting.lines)),
        _ => {}
    }
}

fn on_vote(cases: &mut Cases, vote: Vote) {
    let (id, account) = match &vote {
        Vote::LegHeld(vote) => (&vote.transaction_id, &vote.account_id),
        Vote::LegRefused(vote) => (&vote.transaction_id, &vote.account_id),
        Vote::LegPosted(vote) => (&vote.transaction_id, &vote.account_id),
        Vote::LegVoided(vote) => (&vote.transaction_id, &vote.account_id),
    };
    let case = cases.entry(id.as_str().to_owned()).or_default();
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
            let booked = case.booked.entry(posted.posting).or_default();
            booked.extend(posted.entries.iter().map(|entry| (entry.line, entry.amount.amount.0, entry.hash)));
        }
    }
}

fn on_journal(report: &mut Report, cases: &mut Cases, at: &str, posted: JournalPosted) {
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
    let lines = posted.lines.iter().map(|line| (line.line, line.amount.amount.0, line.hash)).collect();
    if case.journals.insert(posted.posting, lines).is_some() {
        report.violation(
            "booked once",
            at,
            &posted.transaction_id,
            format!("posting {} is in the journal twice", posted.posting),
        );
    }
}

fn judge(report: &mut Report, partition: u32, id: &str, case: &Case) {
    let at = format!("partition {partition}");
    let subject = format!("transaction {id}");
    let mut broken = |law, detail: String| report.violation(law, &at, &subject, detail);
    if case.initiated != 1 {
        broken("initiated once", format!("initiated {} times", case.initiated));
    }
    if case.ended.len() > 1 || case.after_end {
        broken("ends once", format!("ended as {:?}, events after the end: {}", case.ended, case.after_end));
    }
    let Some(end) = case.ended.first() else {
        report.count("transactions in flight", 1);
        return;
    };
    for (account, leg) in &case.legs {
        let system = account.contains(':');
        if !system && leg.votes != 1 {
            broken("votes once", format!("account {account} voted {} times", leg.votes));
        }
        if !system && leg.ends != 1 {
            broken("every unit held ends once", format!("the leg of account {account} ended {} times", leg.ends));
        }
        let given_back = leg.released.map(|released| leg.lowered.wrapping_add(released));
        if !system && leg.granted && given_back.is_some_and(|sum| sum != leg.held) {
            let (held, lowered, released) = (leg.held, leg.lowered, leg.released.unwrap_or_default());
            let detail = format!("account {account} held {held}, posted {lowered} and released {released}");
            broken("every unit held ends once", detail);
        }
        if !system && leg.lowered > leg.held {
            broken("posts what it held", format!("account {account} held {} and posted {}", leg.held, leg.lowered));
        }
    }
    if *end == "completed" {
        if case.postings.is_empty() {
            broken("books what was decided", "completed without a posting".to_owned());
        }
        let ordinals: BTreeSet<_> =
            case.postings.keys().chain(case.booked.keys()).chain(case.journals.keys()).collect();
        for posting in ordinals {
            let lines = case.postings.get(posting).into_iter().flatten();
            let mut decided: Vec<_> = lines.map(|line| (line.line, line.amount.0)).collect();
            decided.sort_unstable();
            let booked = sorted(case.booked.get(posting));
            let journal = sorted(case.journals.get(posting));
            if booked.iter().map(|(line, amount, _)| (*line, *amount)).ne(decided.iter().copied()) {
                broken("books what was decided", format!("posting {posting}: decided {decided:?}, booked {booked:?}"));
            }
            if booked != journal {
                broken(
                    "journal",
                    format!("posting {posting}: the accounts booked {booked:?}, the journal has {journal:?}"),
                );
            }
        }
    } else if !case.postings.is_empty() || !case.booked.is_empty() || !case.journals.is_empty() {
        broken("nothing booked", format!("ended as {end} with {} postings", case.postings.len()));
    }
    report.count(
        match *end {
            "completed" => "transactions completed",
            "failed" => "transactions failed",
            "cancelled" => "transactions cancelled",
            _ => "transactions expired",
        },
        1,
    );
}

fn sorted(lines: Option<&Vec<(i32, i128, Hash)>>) -> Vec<(i32, i128, Hash)> {
    let mut lines = lines.cloned().unwrap_or_default();
    lines.sort_unstable_by_key(|(line, amount, _)| (*line, *amount));
    lines
}
