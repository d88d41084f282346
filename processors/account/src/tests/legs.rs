//! Legs: votes, postings, releases, and the chain.

use tributary_flow::time::DAY;
use tributary_flow::{Date, Timestamp};
use tributary_schemas::Hash;

use super::*;
use crate::{OPEN_LEGS, entry_hash};

#[test]
fn a_leg_is_granted_whole_or_refused_with_every_reason() {
    let (debit, credit) = (Side::Debit, Side::Credit);
    type Terms = fn(&mut Given);
    let as_it_is: Terms = |_| {};
    let table: [(&str, Terms, Vec<LegLine>, &[&str]); 10] = [
        ("all there is", as_it_is, vec![line(0, debit, "100")], &["held"]),
        ("a cent more", as_it_is, vec![line(0, debit, "100.01")], &["insufficient_funds"]),
        ("two lines together", as_it_is, vec![line(0, debit, "60"), line(3, debit, "40.01")], &["insufficient_funds"]),
        (
            "what comes in pays nothing",
            as_it_is,
            vec![line(0, debit, "101"), line(1, credit, "50")],
            &["insufficient_funds"],
        ),
        (
            "down to the floor",
            |g| drop(g.privileged(UpdateAccount { floor: Some(amount("20")), ..update() })),
            vec![line(0, debit, "120")],
            &["held"],
        ),
        (
            "at both limits",
            |g| {
                let limit = Some(amount("80"));
                g.privileged(UpdateAccount { daily_limit: limit, monthly_limit: limit, ..update() });
            },
            vec![line(0, debit, "80")],
            &["held"],
        ),
        (
            "everything is wrong",
            |g| {
                g.privileged(UpdateAccount {
                    daily_limit: Some(amount("9")),
                    monthly_limit: Some(amount("8")),
                    ..update()
                });
                g.privileged(freeze());
            },
            vec![
                line(0, debit, "101"),
                LegLine { line: 1, side: credit, amount: Money::of(amount("1"), Currency::of("USD")) },
            ],
            &["account_frozen", "wrong_currency", "insufficient_funds", "daily_limit", "monthly_limit"],
        ),
        ("a frozen payee", |g| drop(g.privileged(freeze())), vec![line(0, credit, "1")], &["account_frozen"]),
        (
            "more than 38 digits to come",
            as_it_is,
            vec![LegLine { line: 0, side: credit, amount: Money::of(Amount::MAX, EUR) }],
            &["amount_too_large"],
        ),
        (
            "a sum of more than 38 digits",
            as_it_is,
            vec![LegLine { line: 0, side: debit, amount: Money::of(Amount::MAX, EUR) }; 2],
            &["insufficient_funds", "amount_too_large"],
        ),
    ];
    for (name, terms, lines, expected) in table {
        let mut given = Given::wallet("100");
        terms(&mut given);
        let before = given.head();
        assert_eq!(codes(&given.request("t", lines)), expected, "{name}");
        if expected != ["held"] {
            assert_eq!(given.head(), before, "{name}: a refusal leaves no trace");
            assert_eq!(given.cancel("t"), Amount::ZERO, "{name}");
        }
    }
}

#[test]
fn a_refusal_says_what_decided() {
    let mut given = Given::wallet("100");
    given.privileged(UpdateAccount { daily_limit: Some(amount("80")), ..update() });
    given.request("first", vec![line(0, Side::Debit, "30")]);
    let Vote::LegRefused(refused) = given.request("second", vec![line(2, Side::Debit, "70.01")]) else { panic!() };
    let values = |reason: &Reason| reason.values.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(" ");
    let found: Vec<_> = refused.reasons.iter().map(|reason| format!("{}: {}", reason.code, values(reason))).collect();
    assert_eq!(
        found,
        [
            "insufficient_funds: available=70.00 floor=0.00 needed=70.01",
            "daily_limit: limit=80.00 needed=70.01 used=30.00"
        ]
    );
    assert!(refused.reasons.iter().all(|r| r.source == "account" && r.subject.as_deref() == Some("alice")));
}

#[test]
fn an_unknown_account_refuses_and_is_not_made() {
    let mut given = Given::nothing();
    assert_eq!(codes(&given.request("t", vec![line(0, Side::Debit, "1")])), ["unknown_account"]);
    assert_eq!(given.bench.touched(), 0);
    assert_eq!(given.cancel("t"), Amount::ZERO);
    assert_eq!(given.bench.reader().head::<Account>("alice"), None);
}

#[test]
fn a_partial_post_in_three_steps_gives_back_what_the_last_leaves() {
    let mut given = Given::wallet("100");
    given.request("t", vec![line(0, Side::Debit, "90")]);
    assert_eq!(given.figures(), "balance 100 held 90 reserved 0 legs 1 today 90");
    given.confirm("t", 1, vec![line(0, Side::Debit, "20")], false);
    assert_eq!(given.figures(), "balance 80 held 70 reserved 0 legs 1 today 90");
    given.confirm("t", 2, vec![line(0, Side::Debit, "30")], false);
    assert_eq!(given.figures(), "balance 50 held 40 reserved 0 legs 1 today 90");
    given.confirm("t", 3, vec![line(0, Side::Debit, "10")], true);
    assert_eq!(given.figures(), "balance 40 held 0 reserved 0 legs 0 today 60");
    let last = given.entries.last().unwrap();
    assert_eq!((last.sequence, last.posting, last.balance, last.available), (4, 3, amount("40"), amount("40")));
}

#[test]
fn a_leg_of_which_nothing_is_left_ends_by_itself() {
    let mut given = Given::wallet("100");
    given.request("t", vec![line(0, Side::Debit, "90")]);
    given.confirm("t", 1, vec![line(0, Side::Debit, "90")], false);
    assert_eq!(given.figures(), "balance 10 held 0 reserved 0 legs 0 today 90");
    let Vote::LegPosted(posted) = given.confirm("t", 2, vec![], true) else { panic!() };
    assert!(posted.entries.is_empty() && posted.r#final);
    assert_eq!(given.cancel("t"), Amount::ZERO);
    assert_eq!(given.figures(), "balance 10 held 0 reserved 0 legs 0 today 90");
}

#[test]
fn a_granted_leg_is_booked_whatever_the_account_has_become() {
    let mut given = Given::wallet("100");
    given.request("t", vec![line(0, Side::Debit, "100")]);
    given.privileged(UpdateAccount { daily_limit: Some(amount("1")), ..update() });
    given.privileged(freeze());
    assert!(matches!(given.confirm("t", 1, vec![line(0, Side::Debit, "100")], true), Vote::LegPosted(_)));
    assert_eq!(given.head().balance, Amount::ZERO);
}

#[test]
fn an_account_below_a_new_floor_still_takes_money_in() {
    let mut given = Given::wallet("0");
    given.privileged(UpdateAccount { floor: Some(amount("50")), ..update() });
    given.request("t", vec![line(0, Side::Debit, "50")]);
    given.privileged(UpdateAccount { floor: Some(amount("0")), ..update() });
    assert_eq!(codes(&given.request("in", vec![line(0, Side::Credit, "5")])), ["held"]);
    assert_eq!(codes(&given.request("out", vec![line(0, Side::Debit, "1")])), ["insufficient_funds"]);
}

#[test]
fn a_debit_normal_account_is_lowered_by_credits() {
    let mut given = Given::account(AccountKind::Asset, "100");
    assert_eq!(codes(&given.request("over", vec![line(0, Side::Credit, "101")])), ["insufficient_funds"]);
    let vote = given.request("t", vec![line(0, Side::Credit, "40"), line(1, Side::Debit, "7")]);
    let Vote::LegHeld(held) = vote else { panic!("{vote:?}") };
    assert_eq!((held.held, held.reserved), (amount("40"), amount("7")));
    given.confirm("t", 1, vec![line(0, Side::Credit, "40"), line(1, Side::Debit, "7")], true);
    assert_eq!(given.figures(), "balance 67 held 0 reserved 0 legs 0 today 40");
}

#[test]
fn limits_begin_anew_with_the_day_and_the_month_and_take_back_only_in_their_own() {
    let mut given = Given::wallet("1000");
    given.privileged(UpdateAccount { daily_limit: Some(amount("50")), monthly_limit: Some(amount("80")), ..update() });
    let at = |given: &mut Given, day: i32| given.bench.now = Timestamp(i64::from(day) * DAY);
    let hold = |given: &mut Given, name: &str, text: &str| {
        codes(&given.request(name, vec![line(0, Side::Debit, text)])).join(" ")
    };
    at(&mut given, 40); // 1970-02-10
    assert_eq!(hold(&mut given, "a", "50"), "held");
    assert_eq!(hold(&mut given, "b", "1"), "daily_limit");
    at(&mut given, 41);
    assert_eq!(hold(&mut given, "c", "30"), "held");
    assert_eq!(hold(&mut given, "d", "1"), "monthly_limit");
    given.cancel("a"); // gives back to the month, and to a day that is over
    assert_eq!(hold(&mut given, "e", "21"), "daily_limit");
    assert_eq!(hold(&mut given, "f", "20"), "held");
    at(&mut given, 59); // 1970-03-01
    assert_eq!(hold(&mut given, "g", "50"), "held");
    given.cancel("c");
    let used = given.head().used;
    assert_eq!((used.day, used.in_day, used.in_month), (Date(59), amount("50"), amount("50")));
}

#[test]
fn a_system_account_opens_at_its_first_posting_and_goes_below_zero() {
    let mut given = Given { account: "world:EUR:07", ..Given::nothing() };
    let leg = LegConfirmed {
        transaction_id: tx("t"),
        account_id: id("world:EUR:07"),
        posting: 1,
        lines: vec![line(0, Side::Debit, "25")],
        booked_at: given.bench.now,
        value_date: given.bench.now.date(),
        r#final: true,
    };
    let effects = given.bench.fact(given.account, In::Leg(kept(leg)));
    let [opened, entry, posted] = <[_; 3]>::try_from(effects.outputs).unwrap().map(|output| output.body);
    assert!(matches!(
        opened,
        Out::Event(AccountEvent::AccountOpened(AccountOpened { system: true, kind: AccountKind::Equity, .. }))
    ));
    assert!(
        matches!(entry, Out::Entry(Entry::EntryPosted(EntryPosted { sequence: 1, balance, .. })) if balance == amount("-25"))
    );
    assert!(matches!(posted, Out::Vote(Vote::LegPosted(LegPosted { kind: AccountKind::Equity, .. }))));
    given.confirm("t2", 1, vec![line(4, Side::Credit, "30")], true);
    assert_eq!(given.figures(), "balance 5 held 0 reserved 0 legs 0 today 0");
}

#[test]
fn any_change_to_an_entry_changes_its_hash() {
    let mut given = Given::wallet("100");
    let entry = given.entries.pop().unwrap();
    assert_eq!(entry.previous_hash, Hash::ZERO);
    assert_eq!(entry_hash(&entry), entry.hash);
    type Edit = fn(&mut EntryPosted);
    let edits: [Edit; 12] = [
        |e| e.account_id = id("alicf"),
        |e| e.sequence += 1,
        |e| e.transaction_id = tx("seee"),
        |e| e.posting += 1,
        |e| e.line += 1,
        |e| e.side = e.side.opposite(),
        |e| e.amount.amount.0 += 1,
        |e| e.amount.currency = Currency::of("USD"),
        |e| e.balance.0 += 1,
        |e| e.available.0 += 1,
        |e| e.booked_at.0 += 1,
        |e| e.value_date.0 += 1,
    ];
    for (number, edit) in edits.iter().enumerate() {
        let mut edited = entry.clone();
        edit(&mut edited);
        assert_ne!(entry_hash(&edited), entry.hash, "edit {number}");
    }
    let rechained = EntryPosted { previous_hash: Hash([1; 32]), ..entry.clone() };
    assert_ne!(entry_hash(&rechained), entry.hash);
}

#[test]
fn a_step_costs_the_same_with_ten_and_with_ten_thousand_open_holds() {
    let mut given = Given::wallet("1000000000");
    let mut cost = |open: std::ops::Range<u32>| {
        for number in open {
            given.request(&format!("open-{number:08}"), vec![line(0, Side::Debit, "1")]);
        }
        given.request("measured", vec![line(0, Side::Debit, "1")]);
        let hold = given.bench.touched();
        given.confirm("measured", 1, vec![line(0, Side::Debit, "1")], true);
        (hold, given.bench.touched())
    };
    let (few, many) = (cost(0..10), cost(10..10_000));
    // The head's counters may take a few more digits; nothing else may grow.
    assert!(many.0 <= few.0 + 8 && many.1 <= few.1 + 8, "{few:?} with ten, {many:?} with ten thousand");
    assert!(many.0 + many.1 < 400, "{many:?} bytes for a hold and a confirmation");
    assert_eq!(given.bench.reader().rows("alice", &OPEN_LEGS, tributary_flow::Page::all()).len(), 10_000);
}

#[test]
#[should_panic(expected = "asks an account once")]
fn a_transaction_that_asks_twice_halts_the_task() {
    let mut given = Given::wallet("100");
    given.request("t", vec![line(0, Side::Debit, "1")]);
    given.request("t", vec![line(0, Side::Debit, "1")]);
}

#[test]
#[should_panic(expected = "within what remains")]
fn a_post_over_the_remainder_halts_the_task() {
    let mut given = Given::wallet("100");
    given.request("t", vec![line(0, Side::Debit, "10")]);
    given.confirm("t", 1, vec![line(0, Side::Debit, "6")], false);
    given.confirm("t", 2, vec![line(0, Side::Debit, "5")], true);
}

#[test]
#[should_panic(expected = "in the account's currency")]
fn a_post_in_another_currency_halts_the_task() {
    let mut given = Given { account: "world:EUR:07", ..Given::nothing() };
    let dollars = Money::of(amount("1"), Currency::of("USD"));
    given.confirm("t", 1, vec![LegLine { line: 0, side: Side::Debit, amount: dollars }], true);
}
