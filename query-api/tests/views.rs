//! The views: given facts in whatever order, what they say.

use tributary_flow::reader::Page;
use tributary_flow::testing::{Bench, kept};
use tributary_flow::{Date, Reader, Timestamp};
use tributary_graph::{account_view, transaction_view};
use tributary_query_api::views::account::{self, Account, BY_TIME, BY_VALUE, ENTRIES, LEGS, TRANSACTIONS};
use tributary_query_api::views::outcome::of_command;
use tributary_query_api::views::transaction::{self, ARRIVED, BOOKED, BY_CREATED, HISTORY, Status, Transaction};
use tributary_query_api::{AccountView, TransactionView};
use tributary_schemas::accounts::{AccountEvent, AccountFrozen, AccountOpened, AccountRefused, LegHeld, Vote};
use tributary_schemas::ledger::{Entry, EntryPosted, Journal, JournalLine, JournalPosted};
use tributary_schemas::risk::{PartyBlocked, PartyEvent};
use tributary_schemas::transactions::{
    Leg, LegCancelled, LegConfirmed, LegEvent, LegLine, LegRequested, TransactionCompleted, TransactionEvent,
    TransactionFailed, TransactionInitiated, TransactionRefused,
};
use tributary_schemas::{AccountKind, Amount, Currency, Hash, Money, Reason, Side, TransactionId};

const EUR: Currency = Currency::of("EUR");

fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn money(text: &str) -> Money {
    Money { amount: id(text), currency: EUR }
}

fn opened(account: &str) -> account_view::In<'static> {
    account_view::In::Event(kept(AccountEvent::AccountOpened(AccountOpened {
        account_id: id(account),
        kind: AccountKind::Liability,
        currency: EUR,
        system: false,
        name: String::new(),
        floor: Amount::ZERO,
        daily_limit: None,
        monthly_limit: None,
        metadata: Default::default(),
    })))
}

fn entry(
    sequence: i64,
    transaction: &str,
    side: Side,
    amount: &str,
    balance: &str,
    booked: i64,
    day: i32,
) -> account_view::In<'static> {
    account_view::In::Entry(kept(Entry::EntryPosted(EntryPosted {
        account_id: id("alice"),
        sequence,
        transaction_id: id(transaction),
        posting: 1,
        line: 0,
        side,
        amount: money(amount),
        balance: id(balance),
        available: id(balance),
        booked_at: Timestamp(booked),
        value_date: Date(day),
        previous_hash: Hash::ZERO,
        hash: Hash([sequence as u8; 32]),
    })))
}

fn line(side: Side, amount: &str) -> Vec<LegLine> {
    vec![LegLine { line: 0, side, amount: money(amount) }]
}

fn requested(transaction: &str, side: Side, amount: &str) -> account_view::In<'static> {
    account_view::In::Leg(kept(LegEvent::LegRequested(LegRequested {
        transaction_id: id(transaction),
        account_id: id("alice"),
        lines: line(side, amount),
        counterparties: vec![id("bob")],
    })))
}

fn confirmed(account: &str, transaction: &str, side: Side, amount: &str, last: bool) -> account_view::In<'static> {
    account_view::In::Leg(kept(LegEvent::LegConfirmed(LegConfirmed {
        transaction_id: id(transaction),
        account_id: id(account),
        posting: 1,
        lines: line(side, amount),
        booked_at: Timestamp(0),
        value_date: Date(0),
        r#final: last,
    })))
}

fn cancelled(transaction: &str) -> account_view::In<'static> {
    account_view::In::Leg(kept(LegEvent::LegCancelled(LegCancelled {
        transaction_id: id(transaction),
        account_id: id("alice"),
        reason: Reason::new("expired", "transaction"),
    })))
}

fn alice(bench: &Bench<AccountView>) -> Account {
    bench.reader().head("alice").unwrap()
}

#[test]
fn an_account_is_what_it_was_last_told_to_be() {
    let mut bench = Bench::new(AccountView);
    bench.answer("alice", "c1", opened("alice"));
    bench.answer(
        "alice",
        "c2",
        account_view::In::Event(kept(AccountEvent::AccountFrozen(AccountFrozen {
            account_id: id("alice"),
            reason: "x".into(),
        }))),
    );
    bench.answer(
        "alice",
        "c3",
        account_view::In::Party(kept(PartyEvent::PartyBlocked(PartyBlocked {
            party_id: id("alice"),
            reason: "y".into(),
        }))),
    );
    let head = alice(&bench);
    assert_eq!((head.status, head.blocked), (account::Status::Frozen, true));
    for (of, command, event) in [
        (&account::OUTCOMES, "c1", "AccountOpened"),
        (&account::OUTCOMES, "c2", "AccountFrozen"),
        (&account::PARTY_OUTCOMES, "c3", "PartyBlocked"),
    ] {
        let outcomes = of_command(bench.reader(), of, "alice", command);
        assert_eq!(outcomes.iter().map(|(_, outcome)| outcome.event.as_str()).collect::<Vec<_>>(), [event]);
    }
}

#[test]
fn a_refused_command_makes_no_account_and_a_conflict_stands_beside_the_outcome() {
    let mut bench = Bench::new(AccountView);
    let refused = |code: &str| {
        let reason = Reason::new(code, "account");
        account_view::In::Event(kept(AccountEvent::AccountRefused(AccountRefused {
            account_id: id("alice"),
            command: "FreezeAccount".into(),
            reason,
        })))
    };
    bench.answer("alice", "c1", refused("unknown_account"));
    assert_eq!(bench.reader().head::<Account>("alice"), None);
    let outcomes = of_command(bench.reader(), &account::OUTCOMES, "alice", "c1");
    assert!(outcomes.len() == 1 && outcomes[0].1.is_refusal() && !outcomes[0].1.is_conflict());
    assert!(of_command(bench.reader(), &account::OUTCOMES, "alice", "c").is_empty(), "an id is not its prefix");
}

#[test]
fn what_is_pending_is_held_until_it_is_booked_or_given_up() {
    let mut bench = Bench::new(AccountView);
    bench.fact("alice", opened("alice"));
    bench.fact("alice", entry(1, "t0", Side::Credit, "100", "100", 1, 0));
    bench.fact("alice", confirmed("alice", "t0", Side::Credit, "100", true));
    let shown = |bench: &Bench<AccountView>| {
        let head = alice(bench);
        [head.posted, head.held(AccountKind::Liability), head.reserved(AccountKind::Liability)]
            .map(|amount| amount.to_string())
    };
    assert_eq!(shown(&bench), ["100", "0", "0"]);
    bench.fact("alice", requested("t1", Side::Debit, "30"));
    bench.fact("alice", requested("t2", Side::Debit, "20"));
    bench.fact("alice", requested("t3", Side::Credit, "5"));
    assert_eq!(shown(&bench), ["100", "50", "5"]);
    bench.fact("alice", cancelled("t2"));
    assert_eq!(shown(&bench), ["100", "30", "5"]);
    bench.fact("alice", confirmed("alice", "t1", Side::Debit, "10", false));
    assert_eq!((shown(&bench), alice(&bench).in_transit), (["100", "30", "5"].map(str::to_owned), 1));
    bench.fact("alice", entry(2, "t1", Side::Debit, "10", "90", 2, 0));
    assert_eq!((shown(&bench), alice(&bench).in_transit), (["90", "20", "5"].map(str::to_owned), 0));
    bench.fact("alice", confirmed("alice", "t1", Side::Debit, "15", true));
    assert_eq!(shown(&bench), ["90", "15", "5"], "the rest is released, the posting is under way");
    bench.fact("alice", entry(3, "t1", Side::Debit, "15", "75", 3, 0));
    assert_eq!(shown(&bench), ["75", "0", "5"]);
}

#[test]
fn facts_may_arrive_in_any_order_of_their_topics() {
    let facts = [
        opened("alice"),
        requested("t1", Side::Debit, "30"),
        confirmed("alice", "t1", Side::Debit, "30", true),
        entry(1, "t1", Side::Debit, "30", "-30", 5, 0),
    ];
    for order in [[0, 1, 2, 3], [3, 1, 2, 0], [1, 3, 0, 2], [3, 0, 1, 2]] {
        let mut bench = Bench::new(AccountView);
        for index in order {
            bench.fact("alice", facts[index]);
        }
        let head = alice(&bench);
        assert_eq!(
            (head.pending, head.in_transit, head.posted),
            (account::Sides::default(), 0, id("-30")),
            "{order:?}"
        );
        let leg: account::Leg = bench.reader().row("alice", &LEGS, &"t1".to_owned()).unwrap();
        assert!(leg.ended && leg.booked == leg.confirmed, "{order:?}");
        assert_eq!(bench.reader().rows("alice", &TRANSACTIONS, Page::all()).len(), 1);
    }
}

#[test]
fn a_system_account_promises_nothing() {
    let mut bench = Bench::new(AccountView);
    bench.fact("world:EUR:00", confirmed("world:EUR:00", "t1", Side::Debit, "10", false));
    let head: Account = bench.reader().head("world:EUR:00").unwrap();
    assert_eq!((head.pending.debit, head.in_transit), (100_000, 1));
}

#[test]
fn a_balance_at_a_time_is_exact_though_booked_times_run_back() {
    let mut bench = Bench::new(AccountView);
    bench.fact("alice", opened("alice"));
    for (sequence, amount, balance, booked, day) in
        [(1, "1", "1", 10, 3), (2, "2", "3", 8, 3), (3, "4", "7", 20, 1), (4, "8", "15", 20, 9), (5, "16", "31", 9, 2)]
    {
        bench.fact("alice", entry(sequence, &format!("t{sequence}"), Side::Credit, amount, balance, booked, day));
    }
    let at = |time: i64| {
        let end = (Timestamp(time + 1), 0);
        let rows = bench.reader().rows("alice", &BY_TIME, Page { from: None, to: Some(&end), reverse: true, limit: 1 });
        rows.first().map_or(0, |(_, sum)| -sum / Amount::UNIT)
    };
    assert_eq!([7, 8, 9, 10, 19, 20, 99].map(at), [0, 2, 18, 19, 19, 31, 31]);
    let days: Vec<_> = bench
        .reader()
        .rows("alice", &BY_VALUE, Page::all())
        .into_iter()
        .map(|(day, sum)| (day.0, -sum / Amount::UNIT))
        .collect();
    assert_eq!(days, [(1, 4), (2, 16), (3, 3), (9, 8)]);
    assert_eq!(bench.reader().rows("alice", &ENTRIES, Page::all()).len(), 5);
}

#[test]
fn an_account_with_many_open_legs_costs_no_more_per_fact() {
    let mut costs = Vec::new();
    for open in [10, 10_000] {
        let mut bench = Bench::new(AccountView);
        bench.fact("alice", opened("alice"));
        for n in 0..open {
            bench.fact("alice", requested(&format!("t{n}"), Side::Debit, "1"));
        }
        bench.fact("alice", entry(1, "t1", Side::Debit, "1", "-1", 1, 0));
        costs.push(bench.touched());
    }
    assert!(costs[1] < costs[0] + 16, "{costs:?}");
}

fn initiated(transaction: &str) -> transaction_view::In<'static> {
    let leg = |account: &str, side| Leg { account_id: id(account), side, amount: money("10") };
    transaction_view::In::Event(kept(TransactionEvent::TransactionInitiated(TransactionInitiated {
        transaction_id: id(transaction),
        legs: vec![leg("alice", Side::Debit), leg("bob", Side::Credit)],
        two_phase: false,
        description: String::new(),
        metadata: Default::default(),
        deadline: Timestamp(0),
    })))
}

fn journal(transaction: &str, booked: i64) -> transaction_view::In<'static> {
    let line = |line, account: &str, side| JournalLine {
        line,
        account_id: id(account),
        kind: AccountKind::Liability,
        side,
        amount: money("10"),
        sequence: 1,
        hash: Hash::ZERO,
    };
    transaction_view::In::Journal(kept(Journal::JournalPosted(JournalPosted {
        transaction_id: id(transaction),
        posting: 1,
        lines: vec![line(0, "alice", Side::Debit), line(1, "bob", Side::Credit)],
        booked_at: Timestamp(booked),
        value_date: Date(0),
    })))
}

fn facts() -> Vec<transaction_view::In<'static>> {
    let held = LegHeld { transaction_id: id("t"), account_id: id("alice"), held: id("10"), reserved: id("0") };
    let completed = TransactionCompleted { transaction_id: id("t"), postings: 1, booked_at: Timestamp(7) };
    vec![
        initiated("t"),
        transaction_view::In::Vote(kept(Vote::LegHeld(held))),
        transaction_view::In::Event(kept(TransactionEvent::TransactionCompleted(completed))),
        journal("t", 7),
    ]
}

/// How many facts the history has.
fn told(reader: Reader<'_>) -> usize {
    reader.rows("t", &HISTORY, Page::all()).len()
}

fn head(reader: Reader<'_>) -> Transaction {
    reader.head("t").unwrap()
}

#[test]
fn a_transaction_keeps_everything_that_was_told_of_it() {
    let mut bench = Bench::new(TransactionView);
    facts().into_iter().for_each(|fact| drop(bench.answer("t", "c1", fact)));
    let head = head(bench.reader());
    assert_eq!((head.status, told(bench.reader()), head.legs().len()), (Status::Completed, 4, 2));
    assert_eq!(bench.reader().index(&BY_CREATED, Page::all()).len(), 1);
    assert_eq!(bench.reader().index(&BOOKED, Page::all()).len(), 1);
    let (_, (booked, totals)) = bench.reader().index(&ARRIVED, Page::all()).remove(0);
    assert_eq!(booked, Timestamp(7));
    assert_eq!(totals.0[&(EUR, AccountKind::Liability)], (100_000, 100_000));
}

#[test]
fn votes_and_journal_may_be_met_before_the_transaction() {
    let mut bench = Bench::new(TransactionView);
    let mut facts = facts();
    facts.swap(0, 1);
    facts.swap(2, 3);
    facts.into_iter().for_each(|fact| drop(bench.fact("t", fact)));
    let head = head(bench.reader());
    assert_eq!((head.status, told(bench.reader()), head.legs().len()), (Status::Completed, 4, 2));
}

#[test]
fn a_refused_creation_makes_no_transaction_and_a_failed_one_keeps_its_reasons() {
    let refused = || {
        let reason = Reason::new("unbalanced", "transaction");
        let refused = TransactionRefused { transaction_id: id("t"), command: "CreateTransaction".into(), reason };
        transaction_view::In::Event(kept(TransactionEvent::TransactionRefused(refused)))
    };
    let mut bench = Bench::new(TransactionView);
    bench.answer("t", "c0", refused());
    assert_eq!(bench.reader().head::<Transaction>("t"), None);
    assert_eq!(of_command(bench.reader(), &transaction::OUTCOMES, "t", "c0").len(), 1);
    bench.answer("t", "c1", initiated("t"));
    let reasons = vec![Reason::new("insufficient_funds", "account"), Reason::new("blocked_party", "risk")];
    let failed = TransactionFailed { transaction_id: id::<TransactionId>("t"), reasons };
    bench.fact("t", transaction_view::In::Event(kept(TransactionEvent::TransactionFailed(failed))));
    bench.answer("t", "c2", refused());
    let head = head(bench.reader());
    assert_eq!(
        (head.status, head.reasons.len(), told(bench.reader())),
        (Status::Failed, 2, 3),
        "a refused command changes nothing"
    );
}
