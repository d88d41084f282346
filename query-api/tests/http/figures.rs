//! Figures, not checks: run with `--ignored --nocapture`.

use std::time::Instant;

use serde_json::{Value, json};

use crate::house::{House, transfer};

#[test]
#[ignore = "figures"]
fn what_it_costs() {
    let house = House::open();
    let account = |n: usize| json!({"body": {"type": "OpenAccount", "account_id": format!("a{n}"), "kind": "LIABILITY", "currency": "EUR"}});
    let accounts: Vec<Value> = (0..500).map(account).collect();
    house.post("/commands/accounts.commands.v1?wait=30s", &[], &json!(accounts)).is(200);
    let payments = 20_000;
    for wait in ["", "?wait=30s"] {
        let began = Instant::now();
        for batch in 0..payments / 1_000 {
            let pay = |n: usize| {
                let mut body =
                    transfer(&format!("t{}-{batch}-{n}", wait.len()), "world:EUR", &format!("a{}", n % 500), "1.00");
                body["type"] = json!("CreateTransaction");
                json!({"body": body})
            };
            let commands: Vec<Value> = (0..1_000).map(pay).collect();
            let answer = house.post(&format!("/commands/transactions.commands.v1{wait}"), &[], &json!(commands));
            assert!(answer.status < 300);
        }
        println!("{payments} payments in requests of 1,000{wait}: {:?}", began.elapsed());
    }
    let at = house.get("/accounts/a1/entries?limit=1").is(200)["items"][0]["booked_at"].as_str().unwrap().to_owned();
    let cut = format!("/ledger/trial-balance?at={at}");
    for path in [
        cut.as_str(),
        "/ledger/trial-balance",
        "/ledger/trial-balance",
        "/accounts?limit=500",
        "/transactions?limit=500",
        "/accounts/world:EUR",
    ] {
        let began = Instant::now();
        house.get(path).is(200);
        println!("{path}: {:?}", began.elapsed());
    }
    for (what, path) in [("POST with wait", "/transactions?wait=5s"), ("POST", "/transactions")] {
        let mut times: Vec<_> = (0..300)
            .map(|n| {
                let began = Instant::now();
                house.post(path, &[], &transfer(&format!("{}-{n}", path.len()), "world:EUR", "a1", "1"));
                began.elapsed()
            })
            .collect();
        times.sort();
        println!("{what}: p50 {:?}, p99 {:?}", times[150], times[297]);
    }
}
