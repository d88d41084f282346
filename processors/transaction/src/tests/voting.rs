//! From the legs to the decision, and every way in which it is not reached.

use tributary_flow::testing::{Bench, kept};
use tributary_flow::time::{DAY, SECOND};
use tributary_graph::transaction::{In, Out};
use tributary_schemas::accounts::{LegRefused, Vote};
use tributary_schemas::risk::RiskDecision;
use tributary_schemas::transactions::{LegEvent, TransactionCommand};

use super::{
    Case, T, approved, assessed, cancel, create, held, payment, posted, refused, review, two_phase, tx, voided,
};
use crate::{Timer, TransactionProcessor};

#[test]
fn a_payment_asks_both_accounts_and_is_booked_when_all_agree() {
    let mut case = Case::new();
    let told = case.command(TransactionCommand::CreateTransaction(payment()));
    let deadline = DAY + 10 * SECOND;
    assert_eq!(told, ["Initiated !c1", "LegRequested alice", "LegRequested bob", &format!("Voting at {deadline}")]);
    for input in [held("alice"), approved("bob"), held("bob")] {
        assert_eq!(case.fact(input), Vec::<String>::new());
    }
    let told = case.fact(approved("alice"));
    assert_eq!(
        told,
        ["Posting 1 0:10 1:10 final", "LegConfirmed alice 0:10 final", "LegConfirmed bob 1:10 final", "Voting off"]
    );
    assert_eq!(case.fact(posted("alice", 1)), Vec::<String>::new());
    assert_eq!(case.fact(posted("bob", 1)), ["Completed 1"]);
    assert_eq!(case.status(), "completed");
}

#[test]
fn every_order_of_votes_leads_to_the_same_decision() {
    let votes = [held("alice"), held("bob"), approved("alice"), approved("bob")];
    for order in 0..24 {
        let (mut left, mut order) = (votes.to_vec(), order);
        let mut case = Case::of(payment());
        for size in (1..=4).rev() {
            let vote = left.remove(order % size);
            order /= size;
            let told = case.fact(vote);
            assert_eq!(told.is_empty(), !left.is_empty());
        }
        assert_eq!(case.status(), "posting");
    }
}

#[test]
fn a_leg_carries_all_lines_of_its_account_and_names_those_across() {
    let legs =
        ["alice DEBIT 10 EUR", "alice DEBIT 2 EUR", "bob CREDIT 9 EUR", "alice CREDIT 1 EUR", "fees:EUR CREDIT 2 EUR"];
    let mut bench = Bench::new(TransactionProcessor::default());
    let command = In::Command(kept(TransactionCommand::CreateTransaction(create(&legs))));
    let effects = bench.command(T, "c", command);
    let asked: Vec<_> = effects
        .outputs
        .iter()
        .filter_map(|output| match &output.body {
            Out::Leg(LegEvent::LegRequested(leg)) => Some(leg),
            _ => None,
        })
        .collect();
    let lines: Vec<Vec<i32>> = asked.iter().map(|leg| leg.lines.iter().map(|line| line.line).collect()).collect();
    assert_eq!(lines, [vec![0, 1, 3], vec![2]]);
    let across: Vec<Vec<&str>> =
        asked.iter().map(|leg| leg.counterparties.iter().map(AsRef::as_ref).collect()).collect();
    assert_eq!(across, [vec!["bob", "fees:EUR:00"], vec!["alice"]]);
}

#[test]
fn a_transaction_of_system_accounts_is_booked_without_votes() {
    let mut case = Case::new();
    let told = case
        .command(TransactionCommand::CreateTransaction(create(&["world:EUR DEBIT 1 EUR", "fees:EUR CREDIT 1 EUR"])));
    assert_eq!(told[..2], ["Initiated !c1", "Posting 1 0:1 1:1 final"]);
    assert_eq!(told[2..4], ["LegConfirmed world:EUR:00 0:1 final", "LegConfirmed fees:EUR:00 1:1 final"]);
    assert_eq!(told[5], "Voting off");
    case.fact(posted("fees:EUR:00", 1));
    assert_eq!(case.fact(posted("world:EUR:00", 1)), ["Completed 1"]);
}

#[test]
fn a_system_account_is_not_asked_and_not_cancelled() {
    let deposit = create(&["world:EUR DEBIT 1 EUR", "bob CREDIT 1 EUR"]);
    let mut case = Case::of(deposit.clone());
    assert_eq!(case.fact(refused("bob", "account_closed")), ["LegCancelled bob account_closed", "Voting off"]);
    assert_eq!(case.fact(voided("bob")), ["Failed account_closed"]);

    let mut case = Case::of(deposit);
    case.fact(held("bob"));
    assert_eq!(case.fact(approved("bob"))[1], "LegConfirmed world:EUR:00 0:1 final");
}

#[test]
fn an_objection_ends_the_voting_and_every_reason_is_told() {
    for (objections, code, reasons) in [
        (vec![refused("alice", "insufficient_funds")], "insufficient_funds", "insufficient_funds"),
        (vec![assessed("bob", RiskDecision::Decline)], "blocked_party", "blocked_party"),
        (
            vec![
                refused("alice", "account_frozen"),
                refused("bob", "account_closed"),
                assessed("bob", RiskDecision::Decline),
            ],
            "account_frozen",
            "account_frozen,account_closed,blocked_party",
        ),
        (
            vec![assessed("alice", RiskDecision::Review), refused("bob", "account_closed")],
            "account_closed",
            "account_closed",
        ),
    ] {
        let mut case = Case::of(payment());
        let told: Vec<String> = objections.into_iter().flat_map(|input| case.fact(input)).collect();
        assert_eq!(
            told,
            [format!("LegCancelled alice {code}"), format!("LegCancelled bob {code}"), "Voting off".into()]
        );
        assert_eq!(case.fact(voided("bob")), Vec::<String>::new());
        assert_eq!(case.fact(voided("alice")), [format!("Failed {reasons}")]);
        assert_eq!(case.status(), "failed");
    }
}

#[test]
fn an_objection_without_a_reason_is_given_one() {
    let mut case = Case::of(payment());
    let account_id = "bob".parse().expect("an account");
    let silent = LegRefused { transaction_id: tx(), account_id, reasons: Vec::new() };
    assert_eq!(case.fact(In::Vote(kept(Vote::LegRefused(silent))))[0], "LegCancelled alice refused");
}

#[test]
fn a_grant_that_comes_after_a_refusal_changes_nothing() {
    let mut case = Case::of(payment());
    case.fact(refused("alice", "insufficient_funds"));
    for input in [held("bob"), approved("bob"), approved("alice"), voided("bob")] {
        assert_eq!(case.fact(input), Vec::<String>::new());
    }
    assert_eq!(case.fact(voided("alice")), ["Failed insufficient_funds"]);
}

#[test]
fn votes_that_miss_the_deadline_change_nothing_and_the_missing_are_named() {
    let mut case = Case::of(payment());
    case.fact(held("alice"));
    case.fact(approved("alice"));
    let effects = case.bench.timer(T, Timer::Voting);
    let Out::Leg(LegEvent::LegCancelled(cancelled)) = &effects.outputs[0].body else { panic!("a cancellation first") };
    let values: Vec<_> = cancelled.reason.values.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(values, ["accounts_missing=bob", "risk_missing=bob", "seconds=10"]);
    for input in [held("bob"), approved("bob"), voided("alice")] {
        assert_eq!(case.fact(input), Vec::<String>::new());
    }
    assert_eq!(case.fact(voided("bob")), ["Failed voting_deadline"]);
}

#[test]
fn a_refusal_after_the_deadline_adds_its_reasons() {
    let mut case = Case::of(payment());
    case.timer(Timer::Voting);
    case.fact(refused("bob", "account_closed"));
    case.fact(voided("bob"));
    assert_eq!(case.fact(voided("alice")), ["Failed voting_deadline,account_closed"]);
}

#[test]
fn a_cancel_while_voting_wins_over_later_votes_and_answers_at_the_end() {
    let mut case = Case::of(payment());
    case.fact(held("alice"));
    assert_eq!(case.command(cancel()), ["LegCancelled alice cancelled", "LegCancelled bob cancelled", "Voting off"]);
    for input in [approved("alice"), approved("bob"), refused("bob", "account_closed"), voided("bob")] {
        assert_eq!(case.fact(input), Vec::<String>::new());
    }
    assert_eq!(case.fact(voided("alice")), ["Cancelled cancelled,account_closed !c2"]);
    assert_eq!(case.status(), "cancelled");
}

#[test]
fn a_word_from_an_account_that_is_no_party_is_not_heard() {
    let mut case = Case::of(payment());
    for input in
        [held("eve"), refused("eve", "x"), posted("eve", 0), voided("eve"), assessed("eve", RiskDecision::Decline)]
    {
        assert_eq!(case.fact(input), Vec::<String>::new());
    }
    assert_eq!(case.status(), "initiated");
}

#[test]
fn what_comes_in_before_the_beginning_or_after_the_end_changes_nothing() {
    let mut never = Case::new();
    let mut ended = Case::voted(payment());
    ended.fact(posted("alice", 1));
    ended.fact(posted("bob", 1));
    for case in [&mut never, &mut ended] {
        let before = case.status();
        for input in [held("alice"), refused("bob", "x"), posted("bob", 1), voided("bob"), approved("bob")] {
            assert_eq!(case.fact(input), Vec::<String>::new());
        }
        for timer in [Timer::Voting, Timer::Hold, Timer::Review] {
            assert_eq!(case.timer(timer), Vec::<String>::new());
        }
        assert_eq!(case.status(), before);
    }
}

#[test]
fn a_wish_for_review_waits_for_a_person_once_all_votes_are_in() {
    let mut case = Case::of(payment());
    case.fact(assessed("alice", RiskDecision::Review));
    case.fact(held("alice"));
    case.fact(held("bob"));
    let until = DAY + 7 * DAY;
    let expected = [format!("OnHold 60 new_payee until {until}"), "Voting off".into(), format!("Review at {until}")];
    assert_eq!(case.fact(approved("bob")), expected);
    assert_eq!(case.status(), "on_hold");
}

#[test]
fn an_approved_review_posts_or_holds_and_answers_with_what_came_of_it() {
    let mut case = Case::on_hold(payment());
    let told = case.review(Some("rita"), true);
    assert_eq!(told.last().map(String::as_str), Some("Review off"));
    assert_eq!(told[0], "Posting 1 0:10 1:10 final");
    case.fact(posted("bob", 1));
    assert_eq!(case.fact(posted("alice", 1)), ["Completed 1 !c2"]);

    let mut case = Case::on_hold(two_phase());
    let told = case.review(Some("rita"), true);
    assert_eq!(told, [format!("Held until {} !c2", 8 * DAY), "Review off".into(), format!("Hold at {}", 8 * DAY)]);
}

#[test]
fn a_declined_an_expired_and_a_withdrawn_review_end_each_in_their_way() {
    for (decision, expected) in [
        ("declined", "Failed new_payee,review_declined !c2"),
        ("expired", "Expired new_payee,review_expired"),
        ("cancelled", "Cancelled cancelled !c2"),
    ] {
        let mut case = Case::on_hold(payment());
        let told = match decision {
            "declined" => case.review(Some("rita"), false),
            "expired" => case.timer(Timer::Review),
            _ => case.command(cancel()),
        };
        assert_eq!(told.len(), 3, "{told:?}");
        assert_eq!(told[2], "Review off");
        case.fact(voided("alice"));
        assert_eq!(case.fact(voided("bob")), [expected]);
    }
}

#[test]
fn a_review_needs_the_privileged_door_and_a_second_pair_of_eyes() {
    let mut case = Case::on_hold(payment());
    let told = case.command(review(true));
    let topic = "transactions.admin-commands.v1";
    assert_eq!(told, [format!("Refused privileged_command command=ReviewTransaction topic={topic} !c2")]);
    assert_eq!(case.review(Some("ines"), true), ["Refused reviewer_is_initiator reviewer=ines !c3"]);
    assert_eq!(case.review(None, true), ["Refused reviewer_unknown actor !c4"]);
    assert_eq!(case.status(), "on_hold");
    assert_eq!(case.review(Some("rita"), true)[0], "Posting 1 0:10 1:10 final");
}

#[test]
fn an_objection_that_comes_twice_is_told_once() {
    let mut case = Case::of(payment());
    case.fact(refused("alice", "account_frozen"));
    for input in [refused("alice", "account_frozen"), assessed("bob", RiskDecision::Decline)] {
        case.fact(input);
    }
    case.fact(assessed("bob", RiskDecision::Decline));
    case.fact(voided("alice"));
    assert_eq!(case.fact(voided("bob")), ["Failed account_frozen,blocked_party"]);
}
