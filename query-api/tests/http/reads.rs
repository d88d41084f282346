//! Reads: paging, times, health, and what describes itself.

use serde_json::{Value, json};

use crate::house::{House, transfer};

/// All pages of a list, and how many there were.
fn pages(house: &House, path: &str, limit: usize, mut between: impl FnMut(usize)) -> (Vec<Value>, usize) {
    let (mut items, mut cursor, mut count) = (Vec::new(), String::new(), 0);
    loop {
        let page = house.get(&format!("{path}?limit={limit}{cursor}")).is(200);
        items.extend(page["items"].as_array().unwrap().iter().cloned());
        count += 1;
        between(count);
        match page.get("next") {
            Some(next) => cursor = format!("&cursor={}", next.as_str().unwrap()),
            None => return (items, count),
        }
    }
}

fn ids(items: &[Value], field: &str) -> Vec<String> {
    items.iter().map(|item| item[field].as_str().unwrap().to_owned()).collect()
}

#[test]
fn pages_are_in_order_across_partitions_and_stable_while_rows_are_added() {
    let house = House::open();
    for n in 0..25 {
        house.open_account(&format!("a{n:02}"));
    }
    let (accounts, count) = pages(&house, "/accounts", 10, |_| ());
    assert_eq!((ids(&accounts, "account_id"), count), ((0..25).map(|n| format!("a{n:02}")).collect(), 3));
    for n in 0..12 {
        house.fund(&format!("t{n:02}"), "a00", "1").is(201);
    }
    let newest: Vec<String> = (0..12).rev().map(|n| format!("t{n:02}")).collect();
    let (transactions, _) = pages(&house, "/transactions", 5, |page| {
        house.fund(&format!("later{page}"), "a01", "1").is(201);
    });
    assert_eq!(ids(&transactions, "transaction_id"), newest, "what came later is not on later pages");
    let (own, count) = pages(&house, "/accounts/a00/transactions", 6, |_| ());
    assert_eq!((ids(&own, "transaction_id"), count), (newest, 2));
    let (entries, count) = pages(&house, "/accounts/a00/entries", 5, |_| ());
    assert_eq!(
        entries.iter().map(|entry| entry["sequence"].as_u64().unwrap()).collect::<Vec<_>>(),
        (1..=12).collect::<Vec<_>>()
    );
    assert_eq!((count, &entries[11]["balance"]), (3, &json!("12.00")));
    assert!(entries.windows(2).all(|pair| pair[0]["hash"] == pair[1]["previous_hash"]), "a chain");
    let shards = house.get("/accounts?limit=500").is(200)["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|account| account["system"] == true)
        .count();
    assert!(shards >= 1, "system accounts are accounts");
}

#[test]
fn balances_and_the_trial_balance_are_of_the_time_asked_for() {
    let house = House::open();
    house.open_account("alice");
    let mut body = transfer("t1", "world:EUR", "alice", "10");
    body["value_date"] = json!("2020-02-03");
    house.post("/transactions?wait=20s", &[], &body).is(201);
    let first = house.get("/accounts/alice/entries").is(200)["items"][0]["booked_at"].as_str().unwrap().to_owned();
    house.fund("t2", "alice", "5").is(201);
    let balance = |query: &str| {
        let answer = house.get(&format!("/accounts/alice/balance{query}")).is(200);
        (answer["balance"]["amount"].as_str().unwrap().to_owned(), answer["final"] == true)
    };
    assert_eq!(balance(""), ("15.00".to_owned(), false));
    assert_eq!(balance(&format!("?at={first}")), ("10.00".to_owned(), false));
    assert_eq!(balance("?at=2020-01-01"), ("0.00".to_owned(), true));
    assert_eq!(balance("?at=2020-02-02&by=value"), ("0.00".to_owned(), false));
    assert_eq!(balance("?at=2020-02-03&by=value"), ("10.00".to_owned(), false));
    let world = house.get("/accounts/world:EUR").is(200);
    assert_eq!(
        [&world["account_id"], &world["posted"], &world["sequence"]],
        [&json!("world:EUR"), &json!("-15.00"), &json!(2)]
    );
    assert_eq!(house.get("/accounts/world:EUR/balance").is(200)["balance"]["amount"], "-15.00");
    assert_eq!(house.get("/accounts/world:USD").is(404)["code"], "not_found");
    let trial = |query: &str| house.get(&format!("/ledger/trial-balance{query}")).is(200);
    assert_eq!(trial(&format!("?at={first}"))["currencies"][0]["debit"], "10.00");
    assert_eq!(
        trial("")["currencies"][0]["kinds"],
        json!([
            {"kind": "LIABILITY", "debit": "0.00", "credit": "15.00", "balance": "15.00"},
            {"kind": "EQUITY", "debit": "15.00", "credit": "0.00", "balance": "-15.00"},
        ])
    );
    assert_eq!(
        trial("?at=2020-01-01"),
        json!({"at": "2020-01-01T23:59:59.999999Z", "balanced": true, "currencies": []})
    );
}

#[test]
fn the_process_says_how_it_is() {
    let house = House::open();
    house.open_account("alice");
    let health = house.get("/health").is(200);
    assert_eq!((&health["status"], &health["driver"]), (&json!("ok"), &json!("embedded")));
    assert_eq!(health["tasks"].as_array().unwrap().len(), 18);
    assert_eq!(house.get("/readiness").is(200)["ready"], true);
    let metrics = house.get("/metrics");
    assert!(metrics.content_type.starts_with("text/plain"));
    for line in [
        "tributary_task_lag{node=\"account-view\",partition=\"0\"} 0",
        "tributary_task_halted{node=\"account\",partition=\"2\"} 0",
        "tributary_task_dead_letters_total{node=\"transaction\",partition=\"1\"} 0",
        "tributary_http_request_seconds_count{method=\"POST\",route=\"/accounts\",status=\"201\"} 1",
    ] {
        assert!(metrics.text.contains(line), "{line} in\n{}", metrics.text);
    }
}

#[test]
fn the_api_describes_itself_and_the_page_needs_nothing_else() {
    let house = House::shared();
    let described = house.get("/openapi.json").is(200);
    assert_eq!(described["openapi"].as_str().unwrap().split('.').next(), Some("3"));
    assert!(
        described["components"]["schemas"]["OpenAccount"]["required"].as_array().unwrap().contains(&json!("currency"))
    );
    for path in ["/", "/docs"] {
        let page = house.get(path);
        assert!(page.status == 200 && page.text.contains("/openapi.json"));
        assert!(!page.text.contains("http://") && !page.text.contains("https://"), "self-contained");
    }
}
