//! Commands: one answer each.

use tributary_flow::{Processor, Refusal, Timestamp};

use super::*;
use crate::Status;

/// What came of a command: the event's name, or code and field of a refusal.
fn outcome(event: &AccountEvent) -> String {
    match event {
        AccountEvent::AccountRefused(AccountRefused { reason, .. }) => match &reason.field {
            Some(field) => format!("{} {field}", reason.code),
            None => reason.code.clone(),
        },
        other => tributary_flow::Body::name(other).to_owned(),
    }
}

fn open() -> OpenAccount {
    OpenAccount::new(id("alice"), AccountKind::Liability, EUR)
}

fn unfreeze() -> UnfreezeAccount {
    UnfreezeAccount::new(id("alice"))
}

type Act = fn(&mut Given) -> AccountEvent;

/// What each act of a history is answered with.
fn expect(history: &[(Act, &str)]) {
    let mut given = Given::nothing();
    for (number, (act, expected)) in history.iter().enumerate() {
        assert_eq!(outcome(&act(&mut given)), *expected, "act {number}");
    }
}

#[test]
fn a_command_to_no_account_is_refused() {
    expect(&[
        (|g| g.command(update()), "unknown_account"),
        (|g| g.command(close()), "unknown_account"),
        (|g| g.privileged(freeze()), "unknown_account"),
        (|g| g.privileged(unfreeze()), "unknown_account"),
    ]);
}

#[test]
fn a_freeze_holds_until_it_is_lifted() {
    expect(&[
        (|g| g.command(open()), "AccountOpened"),
        (|g| g.command(open()), "account_exists account_id"),
        (|g| g.privileged(unfreeze()), "not_frozen"),
        (|g| g.privileged(freeze()), "AccountFrozen"),
        (|g| g.privileged(freeze()), "already_frozen"),
        (|g| g.command(update()), "AccountUpdated"),
        (|g| g.command(close()), "account_frozen"),
        (|g| g.privileged(unfreeze()), "AccountUnfrozen"),
        (|g| g.command(close()), "AccountClosed"),
    ]);
}

#[test]
fn closed_is_for_good() {
    expect(&[
        (|g| g.command(open()), "AccountOpened"),
        (|g| g.command(close()), "AccountClosed"),
        (|g| g.command(close()), "account_closed"),
        (|g| g.command(update()), "account_closed"),
        (|g| g.privileged(freeze()), "account_closed"),
        (|g| g.privileged(unfreeze()), "account_closed"),
        (|g| g.command(open()), "account_exists account_id"),
    ]);
}

#[test]
fn what_the_ordinary_door_may_not_ask_is_refused_by_field() {
    expect(&[
        (|g| g.command(OpenAccount { floor: Some(Amount::ZERO), ..open() }), "privileged_command floor"),
        (|g| g.command(OpenAccount { daily_limit: Some(amount("5")), ..open() }), "privileged_command daily_limit"),
        (|g| g.command(OpenAccount { monthly_limit: Some(amount("5")), ..open() }), "privileged_command monthly_limit"),
        (|g| g.command(open()), "AccountOpened"),
        (|g| g.command(UpdateAccount { floor: Some(amount("5")), ..update() }), "privileged_command floor"),
        (|g| g.command(UpdateAccount { clear_limits: true, ..update() }), "privileged_command clear_limits"),
        (|g| g.command(freeze()), "privileged_command"),
        (|g| g.command(unfreeze()), "privileged_command"),
    ]);
}

#[test]
fn terms_that_no_account_can_have_are_refused_by_field() {
    let unknown: Act = |g| g.command(OpenAccount::new(id("alice"), AccountKind::Asset, Currency::of("XXX")));
    expect(&[
        (unknown, "unknown_currency currency"),
        (|g| g.privileged(OpenAccount { floor: Some(amount("-1")), ..open() }), "negative_floor floor"),
        (|g| g.privileged(OpenAccount { daily_limit: Some(amount("-1")), ..open() }), "negative_limit daily_limit"),
        (|g| g.privileged(OpenAccount { monthly_limit: Some(amount("-1")), ..open() }), "negative_limit monthly_limit"),
        (|g| g.privileged(OpenAccount { floor: Some(amount("0.001")), ..open() }), "too_many_digits floor"),
        (|g| g.command(OpenAccount { name: "a".repeat(257), ..open() }), "too_long name"),
        (
            |g| g.command(OpenAccount { metadata: [("k".into(), "v".repeat(16_384))].into(), ..open() }),
            "too_long metadata",
        ),
        (|g| g.command(open()), "AccountOpened"),
        (|g| g.command(CloseAccount { reason: "r".repeat(1_025), ..close() }), "too_long reason"),
        (|g| g.privileged(FreezeAccount { reason: "r".repeat(1_025), ..freeze() }), "too_long reason"),
    ]);
}

#[test]
fn a_system_account_takes_no_commands() {
    expect(&[
        (|g| g.privileged(OpenAccount::new(id("world:EUR:07"), AccountKind::Equity, EUR)), "system_account account_id"),
        (|g| g.privileged(FreezeAccount::new(id("world:EUR"))), "system_account account_id"),
    ]);
}

#[test]
fn an_update_changes_what_it_names_and_keeps_the_rest() {
    let mut given = Given::nothing();
    let metadata = [("tier".to_owned(), "gold".to_owned())];
    given.privileged(OpenAccount {
        name: "Alice".into(),
        daily_limit: Some(amount("50")),
        metadata: metadata.clone().into(),
        ..open()
    });
    let event =
        given.privileged(UpdateAccount { floor: Some(amount("10")), monthly_limit: Some(amount("900")), ..update() });
    let terms = AccountUpdated {
        account_id: id("alice"),
        name: "Alice".into(),
        floor: amount("10"),
        daily_limit: Some(amount("50")),
        monthly_limit: Some(amount("900")),
        metadata: metadata.into(),
    };
    assert_eq!(event, terms.clone().into());
    let cleared =
        UpdateAccount { clear_limits: true, daily_limit: Some(amount("70")), name: Some("A.".into()), ..update() };
    let event = given.privileged(cleared);
    let cleared = AccountUpdated { daily_limit: Some(amount("70")), monthly_limit: None, name: "A.".into(), ..terms };
    assert_eq!(event, cleared.into());
}

#[test]
fn an_account_with_open_legs_or_money_is_not_closed() {
    let mut given = Given::wallet("10");
    given.request("t", vec![line(0, Side::Debit, "10")]);
    assert_eq!(outcome(&given.command(close())), "open_holds");
    assert_eq!(given.cancel("t"), amount("10"));
    assert_eq!(outcome(&given.command(close())), "balance_not_zero");
    given.request("t2", vec![line(0, Side::Debit, "10")]);
    given.confirm("t2", 1, vec![line(0, Side::Debit, "10")], true);
    given.request("in", vec![line(0, Side::Credit, "1")]);
    assert_eq!(outcome(&given.command(close())), "open_holds");
    given.cancel("in");
    assert_eq!(outcome(&given.command(close())), "AccountClosed");
    assert_eq!(given.head().status, Status::Closed);
    assert_eq!(codes(&given.request("late", vec![line(0, Side::Credit, "1")])), ["account_closed"]);
}

#[test]
fn the_core_s_refusals_become_this_node_s_event() {
    let command = In::Command(kept(open()));
    for (refusal, code) in [
        (Refusal::Conflict { first_seen: Timestamp(5) }, "conflict"),
        (Refusal::Stale { time: Timestamp(5), oldest: Timestamp(6) }, "stale_command"),
    ] {
        let Some(Out::Event(AccountEvent::AccountRefused(refused))) = AccountProcessor.refuse(command, &refusal) else {
            panic!("no refusal for {refusal:?}");
        };
        assert_eq!((refused.command.as_str(), refused.reason.code.as_str()), ("OpenAccount", code));
    }
}
