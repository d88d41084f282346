//! Writes and what is answered to them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::house::{House, transfer};

#[test]
fn a_payment_ends_over_http_and_every_read_given_its_position_shows_it() {
    let house = House::open();
    house.open_account("alice");
    house.open_account("bob");
    house.fund("fund", "alice", "100").is(201);
    let paid = house.post("/transactions?wait=20s", &[("X-Actor", "teller")], &transfer("pay", "alice", "bob", "30.5"));
    let position = paid.position.clone().unwrap();
    let paid = paid.is(201);
    assert_eq!(paid["outcome"]["event"], "TransactionCompleted", "{paid}");
    assert_eq!(paid["transaction"]["status"], "completed");
    assert_eq!(paid["transaction"]["legs"][0]["posted"], "30.50");
    for (account, balance) in [("alice", "69.50"), ("bob", "30.50")] {
        let shown = house.get_at(&format!("/accounts/{account}"), &position).is(200);
        assert_eq!([&shown["posted"], &shown["available"], &shown["held"]], [balance, balance, "0.00"], "{shown}");
        let at = house.get_at(&format!("/accounts/{account}/balance"), &position).is(200);
        assert_eq!(at["balance"], json!({"amount": balance, "currency": "EUR"}));
    }
    let trial = house.get_at("/ledger/trial-balance", &position).is(200);
    assert_eq!((&trial["balanced"], &trial["currencies"][0]["difference"]), (&json!(true), &json!("0.00")), "{trial}");
    assert_eq!(trial["currencies"][0]["debit"], "130.50");
    let told = house.get_at("/transactions/pay", &position).is(200);
    let facts: Vec<&str> =
        told["history"].as_array().unwrap().iter().map(|fact| fact["body"]["type"].as_str().unwrap()).collect();
    for expected in [
        "TransactionInitiated",
        "LegHeld",
        "RiskAssessed",
        "TransactionPosting",
        "LegPosted",
        "TransactionCompleted",
        "JournalPosted",
    ] {
        assert!(facts.contains(&expected), "{expected} in {facts:?}");
    }
    assert_eq!(told["actor"], "teller");
    assert!(told["history"].as_array().unwrap().iter().all(|fact| fact["correlation"] == paid["command_id"]), "{told}");
    let held = told["history"]
        .as_array()
        .unwrap()
        .iter()
        .find(|fact| fact["body"]["type"] == "LegHeld" && fact["body"]["account_id"] == "alice");
    assert_eq!(held.unwrap()["body"]["held"], "30.50");
    assert_eq!(house.get("/ledger/journal/pay").is(200)["items"][0]["lines"].as_array().unwrap().len(), 2);
    assert_eq!(house.get("/risk/pay").is(200)["items"].as_array().unwrap().len(), 2);
    assert_eq!(house.get("/accounts/alice/transactions").is(200)["items"][0]["status"], "posted");
}

#[test]
fn a_hold_is_shown_posted_in_part_and_the_rest_released() {
    let house = House::open();
    house.open_account("alice");
    house.open_account("bob");
    house.fund("fund", "alice", "100").is(201);
    let mut hold = transfer("hold", "alice", "bob", "40");
    hold["two_phase"] = json!(true);
    let held = house.post("/transactions?wait=20s", &[], &hold).is(201);
    assert_eq!(
        (&held["transaction"]["status"], &held["outcome"]["event"]),
        (&json!("held"), &json!("TransactionHeld"))
    );
    let shown = house.get("/accounts/alice").is(200);
    assert_eq!([&shown["posted"], &shown["held"], &shown["available"]], ["100.00", "40.00", "60.00"]);
    let part = json!({"amounts": [{"line": 0, "amount": "15"}, {"line": 1, "amount": "15"}], "final": false});
    let posted = house.post("/transactions/hold/post?wait=20s", &[("Idempotency-Key", "p1")], &part).is(200);
    assert_eq!(
        (&posted["transaction"]["status"], &posted["outcome"]["event"]),
        (&json!("held"), &json!("TransactionPosted"))
    );
    let again = house.post("/transactions/hold/post?wait=20s", &[("Idempotency-Key", "p1")], &part).is(200);
    assert_eq!(
        (&again["command_id"], &again["outcome"]),
        (&posted["command_id"], &posted["outcome"]),
        "a repetition changes nothing"
    );
    let other = json!({"amounts": [{"line": 0, "amount": "1"}, {"line": 1, "amount": "1"}], "final": false});
    let conflict = house.post("/transactions/hold/post?wait=20s", &[("Idempotency-Key", "p1")], &other).is(409);
    assert_eq!((&conflict["code"], &conflict["command_id"]), (&json!("conflict"), &posted["command_id"]));
    let voided = house.post("/transactions/hold/void?wait=20s", &[], &Value::Null).is(200);
    assert_eq!(voided["transaction"]["status"], "completed", "{voided}");
    let shown = house.get("/accounts/alice").is(200);
    assert_eq!([&shown["posted"], &shown["held"], &shown["available"]], ["85.00", "0.00", "85.00"]);
}

#[test]
fn the_same_creation_is_answered_again_whatever_its_id() {
    let house = House::open();
    house.open_account("alice");
    let first = house.fund("t", "alice", "10").is(201);
    let again = house.fund("t", "alice", "10").is(201);
    assert_ne!(first["command_id"], again["command_id"]);
    assert_eq!(first["transaction"], again["transaction"]);
    assert_eq!(house.fund("t", "alice", "11").is(409)["code"], "conflict");
    let unbalanced = |house: &House| {
        let mut body = transfer("u", "world:EUR", "alice", "10");
        body["legs"][0]["amount"]["amount"] = json!("9");
        house.post("/transactions?wait=20s", &[], &body).is(422)
    };
    assert_eq!(unbalanced(&house)["code"], "unbalanced");
    let began = Instant::now();
    assert_eq!(unbalanced(&house)["code"], "unbalanced", "a refusal too");
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn without_a_wait_the_answer_is_the_command_id_and_place() {
    let house = House::open();
    let account = json!({"account_id": "alice", "kind": "ASSET", "currency": "JPY"});
    let taken = house.post("/accounts", &[("Idempotency-Key", "k")], &account);
    assert!(taken.position.is_none());
    let taken = taken.is(202);
    assert_eq!(taken["place"]["topic"], "accounts.commands.v1");
    let answered = house.post("/accounts?wait=20s", &[("Idempotency-Key", "k")], &account).is(201);
    assert_eq!((&answered["command_id"], &answered["account"]["posted"]), (&taken["command_id"], &json!("0")));
}

#[test]
fn many_commands_go_in_one_request_and_are_answered_in_order() {
    let house = House::open();
    let open = |n: usize| json!({"id": format!("c{n}"), "body": {"type": "OpenAccount", "account_id": format!("a{n:03}"), "kind": "LIABILITY", "currency": "EUR"}});
    let mut commands: Vec<Value> = (0..200).map(open).collect();
    commands.push(json!({"body": {"type": "CloseAccount", "account_id": "nobody"}}));
    let answers = house.post("/commands/accounts.commands.v1?wait=30s", &[], &json!(commands)).is(200);
    for n in 0..200 {
        assert_eq!(
            (&answers[n]["command_id"], &answers[n]["outcome"]["event"]),
            (&json!(format!("c{n}")), &json!("AccountOpened"))
        );
    }
    assert_eq!((&answers[200]["status"], &answers[200]["code"]), (&json!(404), &json!("unknown_account")));
    let freeze = json!({"body": {"type": "FreezeAccount", "account_id": "a001", "reason": "test"}});
    let frozen = house.post("/commands/accounts.admin-commands.v1?wait=20s", &[("X-Actor", "risk")], &freeze).is(200);
    assert_eq!(frozen["account"]["status"], "frozen");
    let block = json!({"body": {"type": "BlockParty", "party_id": "a002", "reason": "test"}});
    let blocked = house.post("/commands/parties.admin-commands.v1?wait=20s", &[("X-Actor", "risk")], &block).is(200);
    assert_eq!((&blocked["outcome"]["event"], &blocked["account"]["blocked"]), (&json!("PartyBlocked"), &json!(true)));
}

#[test]
fn shutdown_ends_waits_with_what_is_known() {
    let mut house = House::open();
    house.open_account("alice");
    let base = house.base.clone();
    // Nothing answers a creation that waits for a reviewer but its being on hold, so wait on a position far ahead.
    let waiting = std::thread::spawn(move || {
        let token = tributary_query_api::token::position(&tributary_flow::Place {
            topic: "accounts.events.v1".to_owned(),
            partition: 0,
            offset: 1 << 40,
        });
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut response = agent.get(format!("{base}/accounts?position={token}")).call().unwrap();
        (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
    });
    std::thread::sleep(Duration::from_millis(300));
    let began = Instant::now();
    house.stop();
    let (status, text) = waiting.join().unwrap();
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert_eq!(status, 503, "{text}");
    assert!(text.contains("not_fresh"), "{text}");
}
