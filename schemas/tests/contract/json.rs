//! Bodies as people and programs write them in JSON, and records inside a compact format.

use serde_json::{Value, json};
use tributary_flow::{Body, Date};
use tributary_schemas::{
    AccountKind, Amount, Currency, Money, Side,
    accounts::{AccountCommand, OpenAccount},
    transactions::{CreateTransaction, Leg, PostTransaction, TransactionCommand},
};

fn read(json: Value) -> Result<TransactionCommand, String> {
    serde_json::from_value(json).map_err(|error| error.to_string())
}

fn transfer(amount: Value) -> Value {
    json!({"type": "CreateTransaction", "transaction_id": "t1", "legs": [
        {"account_id": "alice", "side": "debit", "amount": {"amount": amount, "currency": "EUR"}},
    ]})
}

fn leg() -> Leg {
    Leg {
        account_id: "alice".parse().expect("an id"),
        side: Side::Debit,
        amount: Money::of(Amount(123_400), Currency::of("EUR")),
    }
}

fn create() -> CreateTransaction {
    CreateTransaction::new("t1".parse().expect("an id"), vec![leg()])
}

#[test]
fn absent_fields_have_their_defaults() {
    assert_eq!(read(transfer(json!("12.34"))), Ok(create().into()));
    let post = read(json!({"type": "PostTransaction", "transaction_id": "t1"}));
    let expected = PostTransaction { transaction_id: "t1".parse().expect("an id"), amounts: None, r#final: true };
    assert_eq!(post, Ok(expected.into()));
    let open = json!({"type": "OpenAccount", "account_id": "a", "kind": "LIABILITY", "currency": "EUR"});
    let expected = OpenAccount::new("a".parse().expect("an id"), AccountKind::Liability, Currency::of("EUR"));
    assert_eq!(serde_json::from_value::<AccountCommand>(open).ok(), Some(expected.into()));
}

#[test]
fn whole_numbers_are_amounts_and_fractions_are_not() {
    let amount = |json: Value| match read(transfer(json)) {
        Ok(TransactionCommand::CreateTransaction(body)) => Ok(body.legs[0].amount.amount),
        Ok(other) => Err(other.name().to_owned()),
        Err(reason) => Err(reason),
    };
    assert_eq!(amount(json!(12)), Ok(Amount(120_000)));
    assert_eq!(amount(json!(-12)), Ok(Amount(-120_000)));
    assert_eq!(amount(json!(u64::MAX)), Ok(Amount(i128::from(u64::MAX) * 10_000)));
    for json in [json!(12.34), json!(1e2), json!(true), json!(null), json!("12,34"), json!("0.00001"), json!({})] {
        let reason = amount(json.clone()).expect_err(&json.to_string());
        assert!(reason.contains("amount"), "{json}: {reason}");
    }
}

#[test]
fn what_is_unknown_or_wrong_is_refused_by_name() {
    let with = |name: &str, value: Value| {
        let mut json = transfer(json!("1"));
        json[name] = value;
        read(json).expect_err(name)
    };
    for (name, value, expected) in [
        ("ammount", json!(1), "ammount"),
        ("type", json!("Create"), "Create"),
        ("transaction_id", json!("a b"), "1 to 64"),
        ("transaction_id", json!(7), "1 to 64"),
        ("value_date", json!("2026-02-30"), "2026-02-30"),
        ("value_date", json!(5_000_000_000_u64), "YYYY-MM-DD"),
        ("legs", json!([{"account_id": "a:b"}]), "system account"),
        ("legs", json!([{"account_id": "a", "side": "left"}]), "DEBIT"),
        (
            "legs",
            json!([{"account_id": "a", "side": "DEBIT", "amount": {"amount": "1", "currency": "eur"}}]),
            "capital",
        ),
        ("legs", json!([{"account_id": "a"}]), "side"),
    ] {
        let reason = with(name, value);
        assert!(reason.contains(expected), "{name}: {reason}");
    }
}

#[test]
fn days_and_amounts_are_written_as_text() {
    let body = TransactionCommand::from(CreateTransaction { value_date: Some(Date(20_455)), ..create() });
    let json = serde_json::to_value(&body).expect("JSON");
    assert_eq!(json["value_date"], "2026-01-02");
    assert_eq!(
        json["legs"][0],
        json!({"account_id": "alice", "side": "DEBIT", "amount": {"amount": "12.34", "currency": "EUR"}})
    );
    assert_eq!(read(json), Ok(body.clone()));
    let mut number = serde_json::to_value(&body).expect("JSON");
    number["value_date"] = json!(20_455);
    assert_eq!(read(number), Ok(body));
}

#[test]
fn records_survive_a_compact_format() {
    let body =
        CreateTransaction { value_date: Some(Date(20_455)), metadata: [("k".into(), "v".into())].into(), ..create() };
    let bytes = postcard::to_stdvec(&body).expect("postcard writes");
    assert_eq!(postcard::from_bytes(&bytes), Ok(body));
    assert!(bytes.len() < 50, "numbers are numbers there: {} bytes", bytes.len());
}

#[test]
fn a_canonical_body_leaves_defaults_out() {
    let canonical = |body: CreateTransaction| {
        let mut out = Vec::new();
        TransactionCommand::from(body).encode_body(&mut out);
        out
    };
    let text = String::from_utf8_lossy(&canonical(create())).into_owned();
    assert!(text.contains("CreateTransaction") && text.contains("legs"), "{text}");
    for name in ["two_phase", "hold_seconds", "value_date", "description", "metadata"] {
        assert!(!text.contains(name), "{name}, though a default, is in {text}");
    }
    let described = CreateTransaction { description: "x".into(), ..create() };
    assert_ne!(canonical(described), canonical(create()));
    assert_ne!(canonical(CreateTransaction { two_phase: true, ..create() }), canonical(create()));
    assert_ne!(canonical(CreateTransaction { legs: vec![leg(), leg()], ..create() }), canonical(create()));
}
