//! What becomes of commands to a transaction that is held, and of those that come at the wrong time.

use tributary_flow::testing::{Bench, kept};
use tributary_flow::time::{DAY, SECOND};
use tributary_flow::{Date, Identity, Processor, Refusal, Timestamp};
use tributary_graph::transaction::{In, Out};
use tributary_schemas::transactions::{CreateTransaction, PostTransaction, TransactionCommand, TransactionEvent};

use super::{
    Case, T, cancel, create, line, payment, post, post_all, posted, refused, review, two_phase, tx, void, voided,
};
use crate::{Timer, TransactionProcessor};

#[test]
fn a_two_phase_payment_waits_for_its_post() {
    let mut case = Case::voted(CreateTransaction { hold_seconds: Some(60), ..two_phase() });
    assert_eq!(case.status(), "held");
    let told = case.command(post_all());
    let expected =
        ["Posting 1 0:10 1:10 final", "LegConfirmed alice 0:10 final", "LegConfirmed bob 1:10 final", "Hold off"];
    assert_eq!(told, expected);
    case.fact(posted("alice", 1));
    assert_eq!(case.fact(posted("bob", 1)), ["Completed 1 !c2"]);
}

#[test]
fn the_hold_lasts_as_long_as_the_command_says() {
    for (seconds, until) in [(None, 8 * DAY), (Some(60), DAY + 60 * SECOND)] {
        let mut case = Case::of(CreateTransaction { hold_seconds: seconds, ..two_phase() });
        for input in [super::held("alice"), super::held("bob"), super::approved("alice")] {
            case.fact(input);
        }
        let expected = [format!("Held until {until}"), "Voting off".into(), format!("Hold at {until}")];
        assert_eq!(case.fact(super::approved("bob")), expected);
    }
}

#[test]
fn a_partial_post_keeps_the_deadline_and_the_rest_of_the_hold() {
    let mut case = Case::voted(two_phase());
    let told = case.command(post(&[(1, "4"), (0, "4")], false));
    assert_eq!(told, ["Posting 1 0:4 1:4", "LegConfirmed alice 0:4", "LegConfirmed bob 1:4", "Hold off"]);
    case.bench.now = Timestamp(3 * DAY);
    case.fact(posted("alice", 1));
    assert_eq!(case.fact(posted("bob", 1)), ["Posted 1 !c2", &format!("Hold at {}", 8 * DAY)]);
    let told = case.command(post(&[(0, "1"), (1, "1")], true));
    let expected =
        ["Posting 2 0:1 1:1 final", "LegConfirmed alice 0:1 final", "LegConfirmed bob 1:1 final", "Hold off"];
    assert_eq!(told, expected);
    case.fact(posted("bob", 2));
    assert_eq!(case.fact(posted("alice", 2)), ["Completed 2 !c3"]);
}

#[test]
fn a_posting_that_leaves_nothing_is_the_last_whatever_was_asked() {
    let rest = TransactionCommand::PostTransaction(PostTransaction { r#final: false, ..PostTransaction::new(tx()) });
    for command in [rest, post(&[(0, "10"), (1, "10")], false)] {
        let mut case = Case::voted(two_phase());
        assert_eq!(case.command(command)[0], "Posting 1 0:10 1:10 final");
    }
}

#[test]
fn a_leg_is_closed_by_the_posting_that_leaves_nothing_of_it_and_hears_no_more() {
    let legs = [
        "alice DEBIT 5 EUR",
        "bob CREDIT 5 EUR",
        "carol DEBIT 7 EUR",
        "dave CREDIT 7 EUR",
        "erin DEBIT 1 USD",
        "world:USD CREDIT 1 USD",
    ];
    let mut case = Case::of(CreateTransaction { two_phase: true, ..create(&legs) });
    for account in ["alice", "bob", "carol", "dave", "erin"] {
        case.fact(super::held(account));
        case.fact(super::approved(account));
    }
    let told = case.command(post(&[(0, "5"), (1, "5")], false));
    assert_eq!(told[1..3], ["LegConfirmed alice 0:5 final", "LegConfirmed bob 1:5 final"]);
    case.fact(posted("alice", 1));
    case.fact(posted("bob", 1));
    // Erin is passed over by the last posting and hears that the rest is void; the system account keeps nothing.
    let told = case.command(post(&[(2, "1"), (3, "1")], true));
    let expected =
        ["LegConfirmed carol 2:1 final", "LegConfirmed dave 3:1 final", "LegConfirmed erin final", "Hold off"];
    assert_eq!(told[1..], expected);
    for account in ["carol", "dave"] {
        assert_eq!(case.fact(posted(account, 2)), Vec::<String>::new());
    }
    assert_eq!(case.fact(posted("erin", 2)), ["Completed 2 !c3"]);
}

#[test]
fn amounts_that_cannot_be_posted_are_refused_with_field_and_values() {
    let mut case = Case::voted(two_phase());
    case.command(post(&[(0, "4"), (1, "4")], false));
    case.fact(posted("alice", 1));
    case.fact(posted("bob", 1));
    for (id, (amounts, expected)) in (3..).zip([
        (vec![], "no_amounts amounts"),
        (vec![(0, "7"), (1, "7")], "amount_over_remainder amounts[0].amount amount=7 currency=EUR line=0 remainder=6"),
        (vec![(0, "1"), (2, "1")], "unknown_line amounts[1].line line=2 lines=2"),
        (vec![(-1, "1")], "unknown_line amounts[0].line line=-1 lines=2"),
        (vec![(0, "1"), (0, "1")], "duplicate_line amounts[1].line line=0"),
        (vec![(0, "1"), (1, "0")], "zero_or_negative_amount amounts[1].amount amount=0 currency=EUR"),
        (vec![(0, "0.001"), (1, "0.001")], "too_many_digits amounts[0].amount amount=0.001 currency=EUR digits=2"),
        (vec![(0, "2"), (1, "1")], "unbalanced amounts credit=1 currency=EUR debit=2"),
        (vec![(0, "2")], "unbalanced amounts credit=0 currency=EUR debit=2"),
    ]) {
        assert_eq!(case.command(post(&amounts, false)), [format!("Refused {expected} !c{id}")]);
        assert_eq!(case.status(), "held");
    }
    assert_eq!(case.command(post_all())[0], "Posting 2 0:6 1:6 final");
}

#[test]
fn what_is_held_is_released_by_a_void_a_cancel_or_its_deadline() {
    for (what, code, end) in [
        ("void", "voided", "Cancelled voided !c2"),
        ("cancel", "cancelled", "Cancelled cancelled !c2"),
        ("deadline", "hold_expired", "Expired hold_expired"),
    ] {
        let mut case = Case::voted(two_phase());
        let told = match what {
            "void" => case.command(void()),
            "cancel" => case.command(cancel()),
            _ => case.timer(Timer::Hold),
        };
        assert_eq!(told, [format!("LegCancelled alice {code}"), format!("LegCancelled bob {code}"), "Hold off".into()]);
        case.fact(voided("bob"));
        assert_eq!(case.fact(voided("alice")), [end]);
    }
}

#[test]
fn what_was_posted_stands_when_the_rest_is_released() {
    for (what, end) in [("void", "Completed 1 !c3"), ("cancel", "Completed 1 !c3"), ("deadline", "Completed 1")] {
        let mut case = Case::voted(two_phase());
        case.command(post(&[(0, "4"), (1, "4")], false));
        case.fact(posted("alice", 1));
        case.fact(posted("bob", 1));
        let told = match what {
            "void" => case.command(void()),
            "cancel" => case.command(cancel()),
            _ => case.timer(Timer::Hold),
        };
        assert_eq!(told.len(), 3);
        case.fact(voided("bob"));
        assert_eq!(case.fact(voided("alice")), [end]);
        assert_eq!(case.status(), "completed");
    }
}

#[test]
fn a_hold_that_runs_out_while_a_part_is_posted_expires_right_after() {
    let mut case = Case::voted(CreateTransaction { hold_seconds: Some(1), ..two_phase() });
    case.command(post(&[(0, "4"), (1, "4")], false));
    case.bench.now = Timestamp(2 * DAY);
    assert_eq!(case.timer(Timer::Hold), Vec::<String>::new());
    case.fact(posted("alice", 1));
    assert_eq!(case.fact(posted("bob", 1)), ["Posted 1 !c2", &format!("Hold at {}", DAY + SECOND)]);
    assert_eq!(case.timer(Timer::Hold).len(), 3);
}

#[test]
fn a_void_of_system_accounts_alone_ends_at_once() {
    let legs = ["world:EUR DEBIT 1 EUR", "fees:EUR CREDIT 1 EUR"];
    let mut case = Case::of(CreateTransaction { two_phase: true, ..create(&legs) });
    assert_eq!(case.command(void()), ["Cancelled voided !c2", "Hold off"]);
}

#[test]
fn a_command_at_the_wrong_time_is_refused_at_once() {
    let initiated = || Case::of(two_phase());
    let held = || Case::voted(two_phase());
    let posting = || Case::voted(payment());
    let on_hold = || Case::on_hold(payment());
    let cancelling = || {
        let mut case = held();
        case.command(void());
        case
    };
    let failed = || {
        let mut case = initiated();
        case.fact(refused("bob", "x"));
        case.fact(voided("alice"));
        case.fact(voided("bob"));
        case
    };
    let (all, only_held, only_on_hold) = ("initiated, on_hold, held", "held", "on_hold");
    /// A case, its status, and the commands that are illegal in it with where they are legal.
    type Row<'a> = (&'a dyn Fn() -> Case, &'a str, Vec<(TransactionCommand, &'a str)>);
    let table: [Row<'_>; 6] = [
        (&initiated, "initiated", vec![(post_all(), only_held), (void(), only_held), (review(true), only_on_hold)]),
        (&held, "held", vec![(review(true), only_on_hold)]),
        (&on_hold, "on_hold", vec![(post_all(), only_held), (void(), only_held)]),
        (
            &posting,
            "posting",
            vec![(cancel(), all), (post_all(), only_held), (void(), only_held), (review(true), only_on_hold)],
        ),
        (
            &cancelling,
            "cancelling",
            vec![(cancel(), all), (post_all(), only_held), (void(), only_held), (review(true), only_on_hold)],
        ),
        (
            &failed,
            "failed",
            vec![(cancel(), all), (post_all(), only_held), (void(), only_held), (review(true), only_on_hold)],
        ),
    ];
    for (given, status, commands) in table {
        for (command, legal) in commands {
            let mut case = given();
            case.bench.privileged = true;
            case.bench.actor = Some("rita".into());
            let told = case.command(command);
            assert_eq!(told, [format!("Refused wrong_status legal_in={legal} status={status} !c{}", case.commands)]);
            assert_eq!(case.status(), status);
        }
    }
}

#[test]
fn a_command_to_no_transaction_is_refused() {
    for command in [cancel(), post_all(), void()] {
        let mut case = Case::new();
        assert_eq!(case.command(command), ["Refused not_found transaction_id transaction_id=t !c1"]);
        assert_eq!(case.status(), "none");
    }
}

#[test]
fn a_refusal_while_a_command_pends_leaves_the_pending_one_its_answer() {
    let mut case = Case::voted(two_phase());
    case.command(void());
    assert_eq!(
        case.command(cancel()),
        ["Refused wrong_status legal_in=initiated, on_hold, held status=cancelling !c3"]
    );
    case.fact(voided("alice"));
    assert_eq!(case.fact(voided("bob")), ["Cancelled voided !c2"]);
}

#[test]
fn the_value_date_is_the_clients_or_the_day_of_booking() {
    for (given, expected) in [(None, Date(1)), (Some(Date(-3)), Date(-3))] {
        let mut bench = Bench::new(TransactionProcessor::default());
        let legs = ["world:EUR DEBIT 1 EUR", "fees:EUR CREDIT 1 EUR"];
        let command = CreateTransaction { value_date: given, ..create(&legs) };
        let effects = bench.command(T, "c", In::Command(kept(TransactionCommand::CreateTransaction(command))));
        let Out::Event(TransactionEvent::TransactionPosting(posting)) = &effects.outputs[1].body else {
            panic!("the posting second")
        };
        assert_eq!((posting.value_date, posting.booked_at), (expected, bench.now));
    }
}

#[test]
fn what_the_core_refuses_has_an_event_and_only_creation_is_remembered_by_its_key() {
    let processor = TransactionProcessor::default();
    let conflict = Refusal::Conflict { first_seen: Timestamp(5) };
    let stale = Refusal::Stale { time: Timestamp(1), oldest: Timestamp(2) };
    let create = In::Command(kept(TransactionCommand::CreateTransaction(payment())));
    let refused = |command: In<'static>, refusal| processor.refuse(command, refusal).map(|out| line(&out));
    assert_eq!(refused(create, &conflict).as_deref(), Some("Refused conflict first_seen=5"));
    assert_eq!(
        refused(In::Command(kept(cancel())), &stale).as_deref(),
        Some("Refused stale_command time oldest=2 time=1")
    );
    assert_eq!(processor.refuse(voided("bob"), &stale), None);
    assert_eq!(processor.identity(create), Identity::Key);
    assert_eq!(processor.identity(In::Command(kept(void()))), Identity::Command);
}

#[test]
fn a_second_creation_is_a_conflict_even_behind_the_door() {
    let mut case = Case::of(payment());
    let told = case.command(TransactionCommand::CreateTransaction(payment()));
    assert_eq!(told, ["Refused conflict status=initiated !c2"]);
}

#[test]
fn the_state_of_an_ended_transaction_is_one_byte() {
    let mut case = Case::voted(payment());
    case.fact(posted("alice", 1));
    case.fact(posted("bob", 1));
    assert_eq!(case.bench.reader().head::<crate::Open>(T), None);
    let ended = case.bench.reader().row(T, &crate::ENDED, &());
    assert_eq!(ended.map(|end| tributary_flow::reader::encoded_len(&end)), Some(1));
}

#[test]
fn only_the_answer_that_is_awaited_ends_a_posting() {
    let mut case = Case::voted(two_phase());
    case.command(post(&[(0, "4"), (1, "4")], false));
    case.fact(posted("alice", 1));
    case.fact(posted("bob", 1));
    case.command(post_all());
    for input in [posted("alice", 1), posted("bob", 1), voided("alice"), voided("bob"), posted("bob", 2)] {
        assert_eq!(case.fact(input), Vec::<String>::new());
    }
    assert_eq!(case.fact(posted("alice", 2)), ["Completed 2 !c3"]);
}

#[test]
fn a_booking_that_comes_again_releases_nothing() {
    let mut case = Case::voted(two_phase());
    case.command(post(&[(0, "4"), (1, "4")], false));
    case.fact(posted("alice", 1));
    case.fact(posted("bob", 1));
    case.command(void());
    for input in [posted("alice", 1), posted("bob", 1), voided("bob")] {
        assert_eq!(case.fact(input), Vec::<String>::new());
    }
    assert_eq!(case.fact(voided("alice")), ["Completed 1 !c3"]);
}

#[test]
fn the_state_of_an_open_transaction_is_moderate() {
    let size = |case: &Case| {
        let head: Option<crate::Open> = case.bench.reader().head(T);
        head.map(|head| tributary_flow::reader::encoded_len(&head))
    };
    let legs: Vec<String> =
        (0..32).flat_map(|n| [format!("payer-{n} DEBIT 10 EUR"), format!("payee-{n} CREDIT 10 EUR")]).collect();
    let largest = create(&legs.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(size(&Case::of(payment())) < Some(100));
    assert!(size(&Case::of(largest)) < Some(2_000));
}
