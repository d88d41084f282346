//! Laws 1, 2 and 3 by transaction: every transaction ends exactly once; every unit held ends in exactly one of posted,
//! voided, expired; the accounts and the journal book what was decided, line by line, and nothing else.
//!
//! An end is told after all that leads to it, so of a transaction whose end is judged everything must be there but what
//! the ledger makes of it; that must be there once the ledger has applied the transaction's events and votes.

use std::collections::BTreeSet;

use tributary_flow::{Node, TopicRef};
use tributary_graph::{ACCOUNTS_VOTES, TRANSACTIONS_EVENTS, ledger, transaction};
use tributary_schemas::AccountId;
use tributary_schemas::transactions::PostLine;

use super::lines::{Booking, Line, sorted};
use super::tasks::Reached;
use super::transactions::{Case, Leg};
use super::{ACROSS, Report};

/// Where broken laws of one transaction are told.
struct Told<'a> {
    report: &'a mut Report,
    place: String,
    subject: String,
}

impl Told<'_> {
    fn broken(&mut self, law: &'static str, detail: impl std::fmt::Display) {
        self.report.violation(law, &self.place, &self.subject, detail);
    }
}

/// Judges a transaction by what the tasks of its partition had applied.
pub(super) fn judge(
    report: &mut Report,
    (partition, id): (u32, &str),
    case: &Case,
    of_transaction: &Reached,
    of_ledger: &Reached,
) {
    let told = &mut Told { report, place: format!("partition {partition}"), subject: format!("transaction {id}") };
    alarms(told, case);
    match case.initiated {
        1 => {}
        0 if !case.judged => told.report.uncompared("transactions", ACROSS),
        times => told.broken("initiated once", format!("initiated {times} times")),
    }
    if case.ended.len() > 1 || case.after_end {
        let detail = format!("ended as {:?}, events after the end: {}", case.ended, case.after_end);
        told.broken("ends once", detail);
    }
    let Some(end) = case.ended.first().filter(|_| case.end_judged) else {
        return in_flight(told, case, of_transaction, of_ledger);
    };
    for (account, leg) in case.legs.iter().filter(|(account, _)| !account.contains(':')) {
        leg_of(told, account, leg);
    }
    if *end == "completed" {
        if case.postings.is_empty() {
            told.broken("books what was decided", "completed without a posting");
        }
        let ordinals = case.postings.keys().chain(case.booked.keys()).chain(case.journals.keys());
        postings(told, case, &ordinals.copied().collect(), of_ledger);
    } else if !case.postings.is_empty() || !case.booked.is_empty() || !case.journals.is_empty() {
        told.broken("nothing booked", format!("ended as {end} with {} postings", case.postings.len()));
    }
    told.report.count(ended(end), 1);
}

fn ended(end: &str) -> &'static str {
    match end {
        "completed" => "transactions completed",
        "failed" => "transactions failed",
        "cancelled" => "transactions cancelled",
        _ => "transactions expired",
    }
}

/// An alarm stands until the posting that it is about is in the journal.
fn alarms(told: &mut Told<'_>, case: &Case) {
    for (at, alarm) in &case.incomplete {
        let posting = alarm.values.get("posting").and_then(|posting| posting.parse().ok());
        if !posting.is_some_and(|posting: i32| case.journals.contains_key(&posting)) {
            let detail = format!("incomplete, and still so: {:?}", alarm.values);
            told.report.violation("alarm", at, &alarm.transaction_id, detail);
        }
    }
}

/// What an ordinary account did, now that all is over.
fn leg_of(told: &mut Told<'_>, account: &str, leg: &Leg) {
    if leg.votes != 1 {
        told.broken("votes once", format!("account {account} voted {} times", leg.votes));
    }
    if leg.ends != 1 {
        told.broken("every unit held ends once", format!("the leg of account {account} ended {} times", leg.ends));
    }
    let given_back = leg.released.map(|released| leg.lowered.wrapping_add(released));
    if leg.granted && given_back.is_some_and(|sum| sum != leg.held) {
        let (held, lowered, released) = (leg.held, leg.lowered, leg.released.unwrap_or_default());
        let detail = format!("account {account} held {held}, posted {lowered} and released {released}");
        told.broken("every unit held ends once", detail);
    }
    if leg.lowered > leg.held {
        let detail = format!("account {account} held {} and posted {}", leg.held, leg.lowered);
        told.broken("posts what it held", detail);
    }
}

/// A transaction that has not ended yet, as far as it is judged: what it says is done must be done all the same.
fn in_flight(told: &mut Told<'_>, case: &Case, of_transaction: &Reached, of_ledger: &Reached) {
    told.report.count("transactions in flight", 1);
    if case.ended.is_empty() && case.is_told_its_last() && !case.is_at_work(of_transaction) {
        told.broken("ends once", "every account has done its part, and it has not ended");
    }
    postings(told, case, &case.done, of_ledger);
}

/// Postings that are done: as they were decided, as the accounts booked them, and as the ledger did.
fn postings(told: &mut Told<'_>, case: &Case, ordinals: &BTreeSet<i32>, of_ledger: &Reached) {
    for posting in ordinals {
        let (decided, booked) = (case.decided(*posting), sorted(case.booked.get(posting)));
        if !case.is_booked(*posting) {
            told.broken("books what was decided", format!("posting {posting}: decided {decided:?}, booked {booked:?}"));
        }
        let journal = case.journals.get(posting);
        if journal.is_none() && !case.is_applied(&ledger::NODE, of_ledger) {
            told.report.count("postings in flight", 1);
        } else if booked != sorted(journal) {
            let journal = sorted(journal);
            let detail = format!("posting {posting}: the accounts booked {booked:?}, the journal has {journal:?}");
            told.broken("journal", detail);
        }
    }
}

impl Case {
    /// The lines of a posting as the transaction decided them: amounts at the posting, all else at the beginning.
    fn decided(&self, posting: i32) -> Vec<Line> {
        let lines = self.postings.get(&posting).map(|posting| posting.lines.as_slice()).unwrap_or_default();
        let line = |decided: &PostLine| {
            let leg = usize::try_from(decided.line).ok().and_then(|at| self.declared.get(at));
            let booking = leg.map(|leg| Booking {
                account: leg.account_id.clone(),
                side: leg.side,
                currency: leg.amount.currency,
            });
            Line { line: decided.line, booking, amount: decided.amount }
        };
        let mut lines: Vec<Line> = lines.iter().map(line).collect();
        lines.sort_unstable();
        lines
    }

    /// Whether a task that reads both had applied every event and every vote of the transaction.
    fn is_applied(&self, node: &'static Node, reached: &Reached) -> bool {
        let past = |topic: TopicRef, end: u64| {
            node.inputs
                .iter()
                .position(|input| std::ptr::eq(*input, topic))
                .is_none_or(|port| end <= reached.position(port))
        };
        past(&TRANSACTIONS_EVENTS, self.events) && past(&ACCOUNTS_VOTES, self.votes)
    }

    /// Whether the accounts booked a posting as it was decided.
    fn is_booked(&self, posting: i32) -> bool {
        sorted(self.booked.get(&posting)).iter().map(|(line, _)| line).eq(&self.decided(posting))
    }

    /// Whether its accounts were told the last that they will be told: nothing but their answers keeps it from ending.
    fn is_told_its_last(&self) -> bool {
        self.cancelled || self.postings.values().any(|posting| posting.r#final)
    }

    /// Whether it waits for an account, or has not heard yet what the accounts say: until then the command that began
    /// this is not answered.
    pub(super) fn is_at_work(&self, of_transaction: &Reached) -> bool {
        let ordinary = |account: &&AccountId| account.system().is_none();
        let mut accounts = self.declared.iter().map(|leg| &leg.account_id).filter(ordinary);
        let mut closed = || accounts.all(|account| self.legs.get(account.as_str()).is_some_and(|leg| leg.ends > 0));
        let mut open = self.postings.keys().filter(|posting| !self.is_booked(**posting));
        let mut waits = || open.next().is_some() || (self.is_told_its_last() && !closed());
        let begun = self.cancelled || !self.postings.is_empty();
        begun && !self.end_judged && (!self.is_applied(&transaction::NODE, of_transaction) || waits())
    }
}
