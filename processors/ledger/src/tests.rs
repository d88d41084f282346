//! Given declarations and entries in some order, expect one journal record, or the alarm that says why not.

use tributary_flow::testing::{Bench, kept};
use tributary_flow::time::{DAY, SECOND};
use tributary_flow::{Date, Effects, Timestamp};
use tributary_graph::ledger::{In, Out};
use tributary_schemas::accounts::{EntryRef, LegHeld, LegPosted, LegVoided, Vote};
use tributary_schemas::ledger::{Journal, JournalPosted, LedgerEvent};
use tributary_schemas::transactions::{
    Leg, PostLine, TransactionCancelled, TransactionCompleted, TransactionEvent, TransactionInitiated,
    TransactionPosting,
};
use tributary_schemas::{AccountId, AccountKind, Amount, Hash, Money, Side, TransactionId};

use crate::{Head, LedgerProcessor, Timer};

const T: &str = "t";

fn tx() -> TransactionId {
    T.parse().expect("an id")
}

fn account(text: &str) -> AccountId {
    text.parse().expect("an account")
}

fn amount(text: &str) -> Amount {
    text.parse().expect("an amount")
}

/// Account, side, amount and currency, as `alice DEBIT 10 EUR`.
fn parse(text: &str) -> (AccountId, Side, Money) {
    let parts: Vec<&str> = text.split(' ').collect();
    let side = if parts[1] == "DEBIT" { Side::Debit } else { Side::Credit };
    (account(parts[0]), side, Money::of(amount(parts[2]), parts[3].parse().expect("a currency")))
}

fn initiated(legs: &[&str]) -> In<'static> {
    let leg = |text: &&str| {
        let (account_id, side, amount) = parse(text);
        Leg { account_id, side, amount }
    };
    In::Event(kept(TransactionEvent::TransactionInitiated(TransactionInitiated {
        transaction_id: tx(),
        legs: legs.iter().map(leg).collect(),
        two_phase: false,
        description: String::new(),
        metadata: Default::default(),
        deadline: Timestamp(0),
    })))
}

fn posting(posting: i32, lines: &[(i32, &str)], last: bool) -> In<'static> {
    In::Event(kept(TransactionEvent::TransactionPosting(TransactionPosting {
        transaction_id: tx(),
        posting,
        lines: lines.iter().map(|(line, text)| PostLine { line: *line, amount: amount(text) }).collect(),
        booked_at: Timestamp(77),
        value_date: Date(7),
        r#final: last,
    })))
}

fn completed() -> In<'static> {
    let completed = TransactionCompleted { transaction_id: tx(), postings: 1, booked_at: Timestamp(77) };
    In::Event(kept(TransactionEvent::TransactionCompleted(completed)))
}

/// One account's entries of a posting, as `(line, "alice DEBIT 10 EUR")`; all lines are of one account.
fn booked(posting: i32, lines: &[(i32, &str)]) -> In<'static> {
    let account_id = lines.first().map_or(account("nobody"), |(_, text)| parse(text).0);
    let entry = |(line, text): &(i32, &str)| {
        let (_, side, amount) = parse(text);
        let mut hash = [0; 32];
        hash[0] = *line as u8;
        EntryRef { line: *line, sequence: 40 + i64::from(*line), side, amount, hash: Hash(hash) }
    };
    In::Vote(kept(Vote::LegPosted(LegPosted {
        transaction_id: tx(),
        account_id,
        posting,
        kind: AccountKind::Liability,
        entries: lines.iter().map(entry).collect(),
        r#final: true,
    })))
}

const LEGS: [&str; 2] = ["alice DEBIT 10 EUR", "bob CREDIT 10 EUR"];

struct Case(Bench<LedgerProcessor>);

impl Case {
    fn new() -> Self {
        Case(Bench::new(LedgerProcessor))
    }

    /// A case in which these came in and nothing was written.
    fn after(inputs: impl IntoIterator<Item = In<'static>>) -> Self {
        let mut case = Case::new();
        for input in inputs {
            assert_eq!(case.fact(input), Vec::<String>::new());
        }
        case
    }

    fn fact(&mut self, input: In<'static>) -> Vec<String> {
        lines(&self.0.fact(T, input))
    }

    fn head(&self) -> Option<Head> {
        self.0.reader().head(T)
    }
}

/// What is written, as text.
fn lines(effects: &Effects<Out, Timer>) -> Vec<String> {
    let line = |out: &Out| match out {
        Out::Journal(Journal::JournalPosted(journal)) => {
            let lines = journal.lines.iter().map(|line| format!(" {}:{}", line.line, line.amount.amount));
            format!("Journal {}{}", journal.posting, lines.collect::<String>())
        }
        Out::Event(LedgerEvent::LedgerAlarm(alarm)) => {
            let values = alarm.values.iter().map(|(name, value)| format!(" {name}={value}"));
            format!("Alarm {}{}", alarm.code, values.collect::<String>())
        }
    };
    effects.outputs.iter().map(|output| line(&output.body)).collect()
}

fn journal(effects: &Effects<Out, Timer>) -> Option<JournalPosted> {
    effects.outputs.iter().find_map(|output| match &output.body {
        Out::Journal(Journal::JournalPosted(journal)) => Some(journal.clone()),
        Out::Event(_) => None,
    })
}

/// Every order of `0..n`.
fn permutations(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let shorter = permutations(n - 1);
    let with = |order: &Vec<usize>, at: usize| {
        let mut order = order.clone();
        order.insert(at, n - 1);
        order
    };
    shorter.iter().flat_map(|order| (0..n).map(move |at| with(order, at))).collect()
}

#[test]
fn every_order_of_arrival_gives_the_same_journal_record_and_leaves_nothing_behind() {
    let inputs = [
        initiated(&LEGS),
        posting(1, &[(0, "10"), (1, "10")], true),
        completed(),
        booked(1, &[(0, LEGS[0])]),
        booked(1, &[(1, LEGS[1])]),
    ];
    let mut records = Vec::new();
    for order in permutations(inputs.len()) {
        let place = |input: usize| order.iter().position(|at| *at == input);
        if place(2) < place(0) || place(2) < place(1) {
            continue; // One topic is read in its order: the end comes last. The rest may come as it likes.
        }
        let mut case = Case::new();
        let written: Vec<_> = order.iter().map(|at| case.0.fact(T, inputs[*at])).collect();
        records.extend(written.iter().filter_map(journal));
        assert_eq!(written.iter().map(|effects| effects.outputs.len()).sum::<usize>(), 1, "{order:?}");
        assert_eq!(case.head(), None, "{order:?}");
    }
    assert_eq!(records.len(), 40);
    assert!(records.windows(2).all(|pair| pair[0] == pair[1]));
    let record = &records[0];
    assert_eq!((record.posting, record.booked_at, record.value_date), (1, Timestamp(77), Date(7)));
    let line = &record.lines[1];
    assert_eq!((line.line, line.account_id.as_str(), line.side, line.sequence), (1, "bob", Side::Credit, 41));
    assert_eq!((line.kind, line.hash.0[0], line.amount.to_string().as_str()), (AccountKind::Liability, 1, "10.00 EUR"));
}

#[test]
fn lines_of_one_account_on_several_legs_stand_in_order_of_line() {
    let legs = ["alice DEBIT 10 EUR", "bob CREDIT 8 EUR", "alice CREDIT 1 EUR", "fees:EUR:00 CREDIT 1 EUR"];
    let mut case = Case::after([
        initiated(&legs),
        posting(1, &[(0, "10"), (1, "8"), (2, "1"), (3, "1")], true),
        booked(1, &[(3, legs[3])]),
        booked(1, &[(2, legs[2]), (0, legs[0])]),
    ]);
    assert_eq!(case.fact(booked(1, &[(1, legs[1])])), ["Journal 1 0:10 1:8 2:1 3:1"]);
}

#[test]
fn each_partial_posting_has_its_own_journal_record() {
    let mut case = Case::after([initiated(&LEGS)]);
    for (n, (part, last)) in (1..).zip([("4", false), ("5", false), ("1", true)]) {
        assert!(case.fact(posting(n, &[(0, part), (1, part)], last)).is_empty());
        assert!(case.fact(booked(n, &[(0, &format!("alice DEBIT {part} EUR"))])).is_empty());
        let told = case.fact(booked(n, &[(1, &format!("bob CREDIT {part} EUR"))]));
        assert_eq!(told, [format!("Journal {n} 0:{part} 1:{part}")]);
    }
    assert!(case.fact(completed()).is_empty());
    assert_eq!(case.head(), None);
}

#[test]
fn an_account_that_only_releases_books_nothing() {
    let mut case = Case::after([
        booked(1, &[]),
        initiated(&LEGS),
        posting(1, &[(0, "10"), (1, "10")], true),
        booked(1, &[(0, LEGS[0])]),
    ]);
    assert_eq!(case.fact(booked(1, &[(1, LEGS[1])])).len(), 1);
    assert!(case.fact(booked(1, &[])).is_empty());
}

#[test]
fn a_transaction_that_ends_without_a_posting_leaves_nothing_behind() {
    let vote = |account_id| LegVoided { transaction_id: tx(), account_id, released: Amount::ZERO };
    let granted =
        LegHeld { transaction_id: tx(), account_id: account("bob"), held: Amount::ZERO, reserved: Amount::ZERO };
    let cancelled = TransactionCancelled { transaction_id: tx(), reasons: Vec::new() };
    let case = Case::after([
        initiated(&LEGS),
        In::Vote(kept(Vote::LegHeld(granted))),
        In::Vote(kept(Vote::LegVoided(vote(account("alice"))))),
        In::Event(kept(TransactionEvent::TransactionCancelled(cancelled))),
        In::Vote(kept(Vote::LegVoided(vote(account("bob"))))),
    ]);
    assert_eq!(case.head(), None);
}

#[test]
fn entries_that_differ_from_what_was_declared_raise_an_alarm_instead() {
    let legs = ["alice DEBIT 10 EUR", "bob CREDIT 10 EUR"];
    for (first, second, expected) in [
        (vec![(0, "alice DEBIT 9 EUR")], vec![(1, LEGS[1])], "lines[0].amount=declared 10.00 EUR, booked 9.00 EUR"),
        (vec![(0, "alice DEBIT 10 USD")], vec![(1, LEGS[1])], "lines[0].amount=declared 10.00 EUR, booked 10.00 USD"),
        (vec![(0, LEGS[0])], vec![(1, "eve CREDIT 10 EUR")], "lines[1].account_id=declared bob, booked eve"),
        (vec![(0, LEGS[0])], vec![(1, "bob DEBIT 10 EUR")], "lines[1].side=declared Credit, booked Debit"),
        (vec![(0, LEGS[0]), (7, "alice DEBIT 1 EUR")], vec![(1, LEGS[1])], "lines[7].surplus=alice Debit 1.00 EUR"),
        (vec![(0, LEGS[0]), (0, LEGS[0])], vec![(1, LEGS[1])], "lines[0].surplus=alice Debit 10.00 EUR"),
    ] {
        let given = [initiated(&legs), posting(1, &[(0, "10"), (1, "10")], true), booked(1, &first)];
        let mut case = Case::after(given);
        let told = case.fact(booked(1, &second));
        assert_eq!(told.len(), 1);
        assert!(told[0].starts_with("Alarm mismatch ") && told[0].contains(expected), "{told:?}");
        assert!(told[0].ends_with(" posting=1"));
        case.fact(completed());
        assert_eq!(case.head(), None);
    }
}

#[test]
fn postings_that_come_to_more_than_was_declared_raise_an_alarm() {
    let mut case = Case::after([initiated(&LEGS)]);
    case.fact(posting(1, &[(0, "6"), (1, "6")], false));
    case.fact(booked(1, &[(0, "alice DEBIT 6 EUR")]));
    case.fact(booked(1, &[(1, "bob CREDIT 6 EUR")]));
    case.fact(posting(2, &[(0, "5"), (1, "5")], true));
    case.fact(booked(2, &[(0, "alice DEBIT 5 EUR")]));
    let told = case.fact(booked(2, &[(1, "bob CREDIT 5 EUR")]));
    assert!(told[0].starts_with("Alarm mismatch lines[0].total=at most 4.00 EUR is left"), "{told:?}");
}

#[test]
fn a_declaration_that_does_not_balance_raises_an_alarm() {
    let huge = format!("alice DEBIT {} EUR", "9".repeat(34));
    let back = huge.replace("alice DEBIT", "bob CREDIT");
    for (legs, expected) in [
        (vec!["alice DEBIT 10 EUR", "bob CREDIT 9 EUR"], "Alarm imbalance EUR=debit 10, credit 9 posting=1"),
        (
            vec!["alice DEBIT 10 EUR", "bob CREDIT 10 USD"],
            "Alarm imbalance EUR=debit 10, credit 0 USD=debit 0, credit 10 posting=1",
        ),
        (vec![&huge, &huge, "bob CREDIT 1 EUR"], "Alarm imbalance EUR=debit more than 38 digits, credit 1 posting=1"),
        (
            vec![&huge, &huge, &back, &back],
            "Alarm imbalance EUR=debit more than 38 digits, credit more than 38 digits posting=1",
        ),
    ] {
        let amounts: Vec<(i32, String)> = (0..).zip(legs.iter().map(|leg| parse(leg).2.amount.to_string())).collect();
        let amounts: Vec<(i32, &str)> = amounts.iter().map(|(line, amount)| (*line, amount.as_str())).collect();
        let mut case = Case::after([initiated(&legs), posting(1, &amounts, true)]);
        let told: Vec<String> = (0..).zip(&legs).flat_map(|(at, leg)| case.fact(booked(1, &[(at, leg)]))).collect();
        assert_eq!(told, [expected]);
    }
}

#[test]
fn an_incomplete_posting_raises_an_alarm_and_is_still_posted_when_the_rest_comes() {
    let mut case = Case::new();
    case.fact(initiated(&LEGS));
    let effects = case.0.fact(T, posting(1, &[(0, "10"), (1, "10")], true));
    assert_eq!(effects.timers, [(Timer::Incomplete(1), Some(Timestamp(DAY + 60 * SECOND)))]);
    case.fact(booked(1, &[(0, LEGS[0])]));
    let told = lines(&case.0.timer(T, Timer::Incomplete(1)));
    assert_eq!(told, ["Alarm incomplete lines[1]=bob posting=1 seconds=60"]);
    let effects = case.0.fact(T, booked(1, &[(1, LEGS[1])]));
    assert_eq!(lines(&effects), ["Journal 1 0:10 1:10"]);
    assert_eq!(effects.timers, [(Timer::Incomplete(1), None)]);
    assert!(lines(&case.0.timer(T, Timer::Incomplete(1))).is_empty());
}

#[test]
fn entries_that_nobody_declared_raise_an_alarm() {
    let mut case = Case::new();
    let effects = case.0.fact(T, booked(1, &[(0, LEGS[0])]));
    assert_eq!(effects.timers, [(Timer::Incomplete(1), Some(Timestamp(DAY + 60 * SECOND)))]);
    let told = lines(&case.0.timer(T, Timer::Incomplete(1)));
    assert_eq!(told, ["Alarm incomplete missing=TransactionPosting posting=1 seconds=60"]);
    case.fact(posting(1, &[(0, "10"), (1, "10")], true));
    let told = lines(&case.0.timer(T, Timer::Incomplete(1)));
    assert_eq!(told, ["Alarm incomplete missing=TransactionInitiated posting=1 seconds=60"]);
}

#[test]
fn entries_of_a_posting_that_is_closed_raise_an_alarm() {
    let mut case = Case::after([initiated(&LEGS), posting(1, &[(0, "4"), (1, "4")], false)]);
    case.fact(booked(1, &[(0, "alice DEBIT 4 EUR")]));
    case.fact(booked(1, &[(1, "bob CREDIT 4 EUR")]));
    let told = case.fact(booked(1, &[(1, "bob CREDIT 4 EUR")]));
    assert_eq!(told, ["Alarm mismatch lines[1].surplus=bob Credit 4.00 EUR posting=1"]);
}
