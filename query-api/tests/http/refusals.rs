//! Every bad request over HTTP: its status, its code, and the field it names.

use serde_json::{Value, json};

use std::sync::Arc;

use tributary_flow::partition_of;

use crate::house::{AllBut, House, PARTITIONS, account, transfer};

fn set(mut body: Value, path: &str, value: Value) -> Value {
    *body.pointer_mut(path).unwrap() = value;
    body
}

#[track_caller]
fn refused(answer: crate::house::Answer, status: u16, code: &str, field: Option<&str>) -> Value {
    assert_eq!(answer.content_type, "application/problem+json", "{}", answer.text);
    let problem = answer.json();
    let found = (answer.status, problem["code"].as_str().unwrap(), problem["field"].as_str());
    assert_eq!(found, (status, code, field), "{problem}");
    assert_eq!(
        (&problem["status"], &problem["type"]),
        (&json!(status), &json!(format!("urn:tributary:problem:{code}")))
    );
    problem
}

#[test]
fn every_bad_write_is_a_problem_that_names_its_code_and_field() {
    let house = House::open();
    for account in ["alice", "bob", "frozen", "closed"] {
        house.open_account(account);
    }
    house.fund("fund", "alice", "100").is(201);
    let admin = "/commands/accounts.admin-commands.v1?wait=20s";
    let privileged = |body: Value| house.post(admin, &[("X-Actor", "ops")], &json!({"body": body})).is(200);
    privileged(json!({"type": "FreezeAccount", "account_id": "frozen"}));
    privileged(json!({"type": "CloseAccount", "account_id": "closed"}));
    privileged(json!({"type": "UpdateAccount", "account_id": "alice", "daily_limit": "20"}));
    let mut hold = transfer("hold", "alice", "bob", "5");
    hold["two_phase"] = json!(true);
    house.post("/transactions?wait=20s", &[("X-Actor", "carol")], &hold).is(201);

    let t = |id: &str| transfer(id, "alice", "bob", "1");
    let account = account("new");
    let (open, pay) = ("/accounts?wait=20s", "/transactions?wait=20s");
    let cases: Vec<(&str, Value, u16, &str, Option<&str>)> = vec![
        // What the edge cannot read.
        (open, json!([]), 400, "invalid_field", None),
        (open, Value::Null, 400, "missing_body", None),
        (open, json!({"account_id": "x", "kind": "LIABILITY"}), 400, "missing_field", Some("currency")),
        (
            open,
            json!({"account_id": "x", "kind": "LIABILITY", "currency": "EUR", "colour": 1}),
            400,
            "unknown_field",
            Some("colour"),
        ),
        (open, set(account.clone(), "/kind", json!("WALLET")), 400, "invalid_field", Some("kind")),
        (open, set(account.clone(), "/account_id", json!("two words")), 400, "invalid_field", Some("account_id")),
        (pay, set(t("e1"), "/legs/1/amount/amount", json!(1.5)), 400, "invalid_field", Some("legs[1].amount.amount")),
        (pay, set(t("e2"), "/legs/0/side", json!("LEFT")), 400, "invalid_field", Some("legs[0].side")),
        ("/commands/accounts.events.v1", json!({}), 404, "unknown_topic", Some("topic")),
        (
            "/commands/accounts.commands.v1",
            json!([{"body": {"type": "OpenAccount"}}]),
            400,
            "missing_field",
            Some("[0].body.account_id"),
        ),
        (
            "/commands/accounts.commands.v1",
            json!({"body": {"type": "Nothing"}}),
            400,
            "unknown_type",
            Some("body.type"),
        ),
        (
            "/commands/accounts.commands.v1",
            json!({"key": "a", "body": {"type": "CloseAccount", "account_id": "b"}}),
            400,
            "key_mismatch",
            Some("key"),
        ),
        ("/transactions/hold/cancel", json!({"transaction_id": "other"}), 400, "key_mismatch", Some("transaction_id")),
        ("/transactions/hold/refund", json!({}), 404, "not_found", None),
        ("/accounts?wait=soon", account.clone(), 400, "invalid_field", Some("wait")),
        ("/accounts?when=now", account.clone(), 400, "unknown_field", Some("when")),
        // What accounts refuse.
        (open, set(account.clone(), "/account_id", json!("alice")), 409, "account_exists", Some("account_id")),
        (open, set(account.clone(), "/currency", json!("XXX")), 422, "unknown_currency", Some("currency")),
        // What transactions refuse.
        (
            pay,
            set(t("t1"), "/legs/0/amount/amount", json!("0")),
            422,
            "zero_or_negative_amount",
            Some("legs[0].amount"),
        ),
        (
            pay,
            set(t("t2"), "/legs/0/amount/amount", json!("-1")),
            422,
            "zero_or_negative_amount",
            Some("legs[0].amount"),
        ),
        (pay, set(t("t3"), "/legs/1/amount/amount", json!("1.001")), 422, "too_many_digits", Some("legs[1].amount")),
        (pay, set(t("t4"), "/legs/1/amount/amount", json!("2")), 422, "unbalanced", Some("legs")),
        (pay, set(t("t5"), "/legs", json!([])), 422, "too_few_legs", Some("legs")),
        (pay, set(t("t6"), "/legs/1/account_id", json!("alice")), 422, "same_account_both_sides", Some("legs")),
        (
            pay,
            set(t("t7"), "/legs/1/account_id", json!("moon:EUR")),
            422,
            "unknown_system_account",
            Some("legs[1].account_id"),
        ),
        (pay, transfer("fund", "alice", "bob", "7"), 409, "conflict", None),
        // What ends a transaction.
        (pay, transfer("f1", "bob", "alice", "1"), 422, "insufficient_funds", None),
        (pay, transfer("f2", "alice", "bob", "16"), 422, "daily_limit", None),
        (pay, transfer("f3", "alice", "nobody", "1"), 422, "unknown_account", None),
        (pay, transfer("f4", "alice", "frozen", "1"), 422, "account_frozen", None),
        (pay, transfer("f5", "alice", "closed", "1"), 422, "account_closed", None),
        // What a transaction's state refuses.
        ("/transactions/none/cancel?wait=20s", json!({}), 404, "not_found", Some("transaction_id")),
        ("/transactions/fund/post?wait=20s", json!({}), 409, "wrong_status", None),
        ("/transactions/hold/review?wait=20s", json!({"approve": true}), 409, "wrong_status", None),
    ];
    for (path, body, status, code, field) in cases {
        let answer = house.post(path, &[], &body);
        let problem = answer.json();
        let found = (answer.status, problem["code"].as_str().unwrap_or_default(), problem["field"].as_str());
        // Which field a domain names is the domain's business where the table leaves it open.
        assert_eq!((found.0, found.1), (status, code), "{path} {body}\n{problem}");
        if field.is_some() {
            assert_eq!(found.2, field, "{path} {body}\n{problem}");
        }
        refused(answer, status, code, problem["field"].as_str());
    }
    let failed = house.get("/transactions/f1").is(200);
    assert_eq!((&failed["status"], &failed["reasons"][0]["code"]), (&json!("failed"), &json!("insufficient_funds")));
    let shown = house.get("/accounts/alice").is(200);
    assert_eq!([&shown["posted"], &shown["held"]], ["100.00", "5.00"], "nothing moved and nothing stays held");
}

#[test]
fn bodies_that_are_no_json_are_refused_at_the_edge() {
    let house = House::shared();
    let json = [("content-type", "application/json")];
    refused(house.post_text("/accounts", &json, "{\"account_id\":"), 400, "malformed_json", None);
    refused(house.post_text("/accounts", &[("content-type", "text/plain")], "{}"), 415, "not_json", None);
    for headers in [
        &[("content-type", "application/json; charset=ISO-8859-1")][..],
        &[("content-type", "application/json; charset=utf-8; charset = utf-16")],
        &[json[0], ("content-encoding", "gzip")],
        &[json[0], ("content-encoding", "identity"), ("content-encoding", "gzip")],
    ] {
        refused(house.post_text("/accounts", headers, "{}"), 415, "encoded", None);
    }
    for headers in [&[("content-type", "text/notjson")][..], &[json[0], ("content-type", "text/plain")]] {
        refused(house.post_text("/accounts", headers, "{}"), 415, "not_json", None);
    }
    let plain = [("content-type", "Application/JSON; charset=\"UTF-8\""), ("content-encoding", "Identity")];
    refused(house.post_text("/accounts", &plain, "{}"), 400, "missing_field", Some("account_id"));
    let long = house.post_text("/accounts", &json, &format!(r#"{{"{}":1}}"#, "x".repeat(400_000)));
    assert!(long.is(400).to_string().len() < 10_000);
    refused(house.post_text("/accounts", &json, r#"{"kind":"ASSET","kind":"LIABILITY"}"#), 400, "malformed_json", None);
    let large = format!("\"{}\"", "x".repeat(1_100_000));
    refused(house.post_text("/accounts", &json, &large), 413, "too_large", None);
    let many = json!(vec![json!({}); 1_001]);
    refused(house.post("/commands/accounts.commands.v1", &[], &many), 413, "too_many_commands", None);
    let key = "k".repeat(300);
    let account = json!({"account_id": "x", "kind": "ASSET", "currency": "EUR"});
    refused(
        house.post("/accounts", &[("Idempotency-Key", &key)], &account),
        400,
        "invalid_field",
        Some("idempotency-key"),
    );
    refused(
        house.post("/accounts", &[("Idempotency-Key", "k1"), ("Idempotency-Key", "k2")], &account),
        400,
        "invalid_field",
        Some("idempotency-key"),
    );
}

#[test]
fn every_bad_read_is_a_problem_too() {
    let house = House::shared();
    for (path, status, code, field) in [
        ("/accounts/nobody", 404, "not_found", None),
        ("/accounts/nobody/entries", 404, "not_found", None),
        ("/accounts/no%20body", 400, "invalid_field", Some("id")),
        ("/transactions/none", 404, "not_found", None),
        ("/ledger/journal/none", 404, "not_found", None),
        ("/risk/none", 404, "not_found", None),
        ("/nowhere", 404, "not_found", None),
        ("/accounts?limit=0", 400, "invalid_field", Some("limit")),
        ("/accounts?limit=many", 400, "invalid_field", Some("limit")),
        ("/accounts?colour=red", 400, "unknown_field", Some("colour")),
        ("/accounts?cursor=garbage", 400, "bad_cursor", Some("cursor")),
        ("/accounts?position=garbage", 400, "bad_position", Some("position")),
        ("/accounts/nobody/balance?at=yesterday", 400, "invalid_field", Some("at")),
        ("/accounts/nobody/balance?by=name", 400, "invalid_field", Some("by")),
        ("/ledger/trial-balance?at=x", 400, "invalid_field", Some("at")),
    ] {
        refused(house.get(path), status, code, field);
    }
    refused(house.post("/health", &[], &Value::Null), 405, "method_not_allowed", None);
}

#[test]
fn a_key_that_another_process_holds_is_refused_with_its_partition() {
    let elsewhere = partition_of(b"alice", PARTITIONS);
    let house = House::open_as(|platform| Arc::new(AllBut { partition: elsewhere, restoring: false, platform }));
    let here =
        ["bob", "carol", "dave", "erin"].into_iter().find(|id| partition_of(id.as_bytes(), PARTITIONS) != elsewhere);
    house.open_account(here.unwrap());
    let account = account("alice");
    house.post("/accounts", &[], &account).is(202);
    // It is written, whoever can tell what became of it.
    house.post("/accounts?wait=20s", &[], &account).is(202);
    for answer in [house.get("/accounts/alice"), house.get("/accounts")] {
        let problem = refused(answer, 421, "not_owned", None);
        assert_eq!(problem["values"], json!({"node": "account-view", "partition": elsewhere.to_string()}));
    }
}

#[test]
fn a_key_whose_view_is_being_restored_is_taken_and_told_later() {
    let partition = partition_of(b"alice", PARTITIONS);
    let house = House::open_as(|platform| Arc::new(AllBut { partition, restoring: true, platform }));
    let account = account("alice");
    house.post("/accounts?wait=50ms", &[], &account).is(202);
    let problem = refused(house.get("/accounts/alice"), 503, "restoring", None);
    assert_eq!(
        problem["detail"],
        format!("account-view[{partition}] is being restored, 7 records are left; ask again")
    );
    let health = house.get("/health").is(200);
    let restoring = health["tasks"].as_array().unwrap().iter().filter(|task| task["restoring"] == true);
    assert_eq!(restoring.count(), 6, "{health}");
}
