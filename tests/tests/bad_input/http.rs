//! The same over HTTP, and what only HTTP can be given.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tributary_cli::config::Config;
use tributary_cli::up::{Running, serve};
use tributary_cli::wiring::Schemas;
use tributary_tests::scenario::live::Live;

use crate::refusals::{ROWS, Row};

pub fn check(live: &Live) -> Result<()> {
    let engine = live.engine();
    let running = Running {
        platform: engine.platform.clone(),
        log: engine.log.clone(),
        registry: std::sync::Arc::new(Schemas::compiled()),
        failure: Box::new(|| None),
        stop: Box::new(|| {}),
    };
    let config = Config { http: "127.0.0.1:0".into(), ..Config::default() };
    let start = || Ok(running);
    serve(&config, start, |_, url| {
        for (number, row) in ROWS.iter().enumerate() {
            refused(url, row, number).context(row.name)?;
        }
        unreadable(url)?;
        Ok(false)
    })
}

/// Status, content type and document.
fn post(url: &str, body: &str) -> Result<(u16, String, Value)> {
    let config = ureq::Agent::config_builder().http_status_as_error(false).build();
    let request = ureq::Agent::new_with_config(config)
        .post(url)
        .header("content-type", "application/json")
        .header("x-actor", "ann");
    let mut answer = request.send(body)?;
    let kind = answer.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_owned();
    let text = answer.body_mut().read_to_string()?;
    Ok((answer.status().as_u16(), kind, serde_json::from_str(&text).unwrap_or(Value::String(text))))
}

fn refused(url: &str, row: &Row, number: usize) -> Result<()> {
    let id = format!("http-{number}");
    let body = (row.body)(&id);
    let account = body["type"].as_str().is_some_and(|name| name.ends_with("Account"));
    let topic = if account { "accounts.commands.v1" } else { "transactions.commands.v1" };
    let command = json!({"id": id, "body": body}).to_string();
    let (status, kind, problem) = post(&format!("{url}/commands/{topic}?wait=20s"), &command)?;
    ensure!(status == row.status, "the status is {status}, expected {}: {problem}", row.status);
    ensure!(kind.starts_with("application/problem+json"), "the answer is {kind}");
    ensure!(problem["code"] == row.code, "the code is {}, expected {}", problem["code"], row.code);
    ensure!(problem["field"].as_str() == row.field, "the field is {}, expected {:?}", problem["field"], row.field);
    for name in row.values {
        ensure!(problem["values"][name].is_string(), "no value {name}: {problem}");
    }
    Ok(())
}

/// What does not become a command.
fn unreadable(url: &str) -> Result<()> {
    let transaction = |amount: &str| {
        format!(
            r#"{{"transaction_id":"t","legs":[{{"account_id":"alice","side":"DEBIT","amount":{{"amount":{amount},"currency":"EUR"}}}}]}}"#
        )
    };
    let large = |bytes: usize| format!(r#"{{"transaction_id":"t","legs":[],"description":"{}"}}"#, "d".repeat(bytes));
    let rows = [
        ("/transactions", "{".to_owned(), 400, "malformed_json", None),
        ("/transactions", String::new(), 400, "missing_body", None),
        ("/transactions", r#"{"transaction_id":"t"}"#.to_owned(), 400, "missing_field", Some("legs")),
        (
            "/transactions",
            r#"{"transaction_id":"t","legs":[],"ammount":1}"#.to_owned(),
            400,
            "unknown_field",
            Some("ammount"),
        ),
        ("/transactions", transaction("12.34"), 400, "invalid_field", Some("legs[0].amount.amount")),
        ("/transactions", transaction("\"0.00001\""), 400, "invalid_field", Some("legs[0].amount.amount")),
        ("/transactions", transaction("\"1e2\""), 400, "invalid_field", Some("legs[0].amount.amount")),
        (
            "/transactions",
            r#"{"transaction_id":"a b","legs":[]}"#.to_owned(),
            400,
            "invalid_field",
            Some("transaction_id"),
        ),
        (
            "/accounts",
            r#"{"account_id":"x","kind":"WALLET","currency":"EUR"}"#.to_owned(),
            400,
            "invalid_field",
            Some("kind"),
        ),
        (
            "/accounts",
            r#"{"account_id":"x","kind":"ASSET","currency":"eur"}"#.to_owned(),
            400,
            "invalid_field",
            Some("currency"),
        ),
        ("/transactions", large(1_020_000), 413, "too_large", None),
        ("/transactions", large(1_100_000), 413, "too_large", None),
    ];
    for (path, body, status, code, field) in rows {
        let (found, kind, problem) = post(&format!("{url}{path}"), &body)?;
        let told = || format!("{path} {}: {found} {problem}", &body[..body.len().min(120)]);
        ensure!(found == status, "{}, expected {status}", told());
        ensure!(kind.starts_with("application/problem+json"), "{}: {kind}", told());
        ensure!(problem["code"] == code, "{}, expected {code}", told());
        ensure!(problem["field"].as_str() == field, "{}, expected {field:?}", told());
    }
    Ok(())
}
