//! What makes no transaction, and which shard a system account means.

use tributary_flow::partition_of;
use tributary_flow::testing::kept;
use tributary_graph::transaction::{In, Out};
use tributary_schemas::transactions::{CreateTransaction, TransactionCommand, TransactionEvent};

use super::{Case, T, create, payment, two_phase};

#[test]
fn legs_that_make_no_transaction_are_refused_with_field_and_values() {
    let many: Vec<&str> = ["alice DEBIT 1 EUR", "bob CREDIT 1 EUR"].into_iter().cycle().take(66).collect();
    let hold = |seconds| Some(seconds);
    for (command, expected) in [
        (create(&["alice DEBIT 1 EUR"]), "too_few_legs legs fewest=2 legs=1"),
        (create(&many), "too_many_legs legs legs=66 most=64"),
        (create(&["alice DEBIT 1 EUR", "bob CREDIT 2 EUR"]), "unbalanced legs credit=2 currency=EUR debit=1"),
        (create(&["alice DEBIT 1 EUR", "bob CREDIT 1 USD"]), "unbalanced legs credit=0 currency=EUR debit=1"),
        (
            create(&["alice DEBIT 1 EUR", "bob CREDIT 0 EUR"]),
            "zero_or_negative_amount legs[1].amount amount=0 currency=EUR",
        ),
        (
            create(&["alice DEBIT -1 EUR", "bob CREDIT -1 EUR"]),
            "zero_or_negative_amount legs[0].amount amount=-1 currency=EUR",
        ),
        (
            create(&["alice DEBIT 100000000000000000001 EUR", "bob CREDIT 100000000000000000001 EUR"]),
            "amount_too_large legs[0].amount amount=100000000000000000001 largest=100000000000000000000",
        ),
        (
            create(&["alice DEBIT 1.001 EUR", "bob CREDIT 1.001 EUR"]),
            "too_many_digits legs[0].amount amount=1.001 currency=EUR digits=2",
        ),
        (
            create(&["alice DEBIT 0.5 JPY", "bob CREDIT 0.5 JPY"]),
            "too_many_digits legs[0].amount amount=0.5 currency=JPY digits=0",
        ),
        (create(&["alice DEBIT 1 QQQ", "bob CREDIT 1 QQQ"]), "unknown_currency legs[0].amount.currency currency=QQQ"),
        (
            create(&["nostro:EUR DEBIT 1 EUR", "bob CREDIT 1 EUR"]),
            "unknown_system_account legs[0].account_id account_id=nostro:EUR known=world, fees, position, suspense",
        ),
        (
            create(&["bob CREDIT 1 EUR", "world:USD DEBIT 1 EUR"]),
            "wrong_currency legs[1].amount.currency account_id=world:USD currency=EUR",
        ),
        (
            create(&["alice DEBIT 1 EUR", "alice CREDIT 1 EUR"]),
            "same_account_both_sides legs account_id=alice currency=EUR",
        ),
        (
            create(&["alice DEBIT 1 EUR", "bob CREDIT 1 EUR", "alice DEBIT 1 USD", "alice CREDIT 1 USD"]),
            "same_account_both_sides legs account_id=alice currency=USD",
        ),
        (
            create(&["world:EUR DEBIT 1 EUR", "world:EUR CREDIT 1 EUR"]),
            "same_account_both_sides legs account_id=world:EUR:00 currency=EUR",
        ),
        (
            CreateTransaction { description: "d".repeat(1_025), ..payment() },
            "too_long description bytes=1025 limit=1024",
        ),
        (
            CreateTransaction { metadata: [("k".to_owned(), "v".repeat(16_384))].into(), ..payment() },
            "too_long metadata bytes=16385 limit=16384",
        ),
        (CreateTransaction { hold_seconds: hold(60), ..payment() }, "two_phase_only hold_seconds hold_seconds=60"),
        (
            CreateTransaction { hold_seconds: hold(0), ..two_phase() },
            "bad_hold_seconds hold_seconds hold_seconds=0 longest=31622400 shortest=1",
        ),
        (
            CreateTransaction { hold_seconds: hold(i64::MAX), ..two_phase() },
            "bad_hold_seconds hold_seconds hold_seconds=9223372036854775807 longest=31622400 shortest=1",
        ),
    ] {
        let mut case = Case::new();
        let told = case.command(TransactionCommand::CreateTransaction(command));
        assert_eq!(told, [format!("Refused {expected} !c1")]);
        assert_eq!(case.status(), "none");
    }
}

#[test]
fn an_account_may_take_part_on_several_legs_and_on_both_sides_with_others() {
    let mut case = Case::new();
    let legs = ["alice DEBIT 10 EUR", "alice CREDIT 2 EUR", "bob CREDIT 8 EUR"];
    assert_eq!(case.command(TransactionCommand::CreateTransaction(create(&legs)))[0], "Initiated !c1");
}

#[test]
fn the_shard_of_a_system_account_lies_where_the_first_ordinary_account_does() {
    for partitions in [1, 3, 16] {
        for account in ["alice", "bob", "carol", "dave"] {
            let mut case = Case::new();
            case.bench.partitions = partitions;
            let legs =
                ["world:EUR DEBIT 3 EUR".into(), format!("{account} CREDIT 1 EUR"), "fees:EUR CREDIT 2 EUR".into()];
            let command = create(&legs.each_ref().map(String::as_str));
            let effects = case.bench.command(T, "c", In::Command(kept(TransactionCommand::CreateTransaction(command))));
            let Out::Event(TransactionEvent::TransactionInitiated(initiated)) = &effects.outputs[0].body else {
                panic!("initiated first")
            };
            let home = partition_of(account.as_bytes(), partitions);
            for leg in [&initiated.legs[0], &initiated.legs[2]] {
                let system = leg.account_id.system().expect("a system account");
                let shard = system.shard.expect("a shard");
                let lower = (0..shard).map(|lower| format!("{}:EUR:{lower:02}", system.name));
                assert_eq!(partition_of(leg.account_id.as_str().as_bytes(), partitions), home);
                assert!(lower.into_iter().all(|id| partition_of(id.as_bytes(), partitions) != home));
            }
        }
    }
}

#[test]
fn a_shard_that_the_client_names_is_taken() {
    let mut case = Case::of(create(&["world:EUR:07 DEBIT 1 EUR", "bob CREDIT 1 EUR"]));
    case.fact(super::held("bob"));
    assert_eq!(case.fact(super::approved("bob"))[1], "LegConfirmed world:EUR:07 0:1 final");
}
