//! Requests of every route, with any path, query, headers and body: an answer, or a problem document that says what is
//! wrong. Never a 500, never a connection that breaks off; and what is taken is answered.

use std::cell::RefCell;
use std::collections::BTreeMap;

use anyhow::{bail, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestError, TestRunner};
use serde_json::{Value, json};

use crate::api::{Answer, send, with};
use crate::bytes::{Edit, edited, edits};
use crate::cases;

/// Routes, with places for a segment of a path.
const ROUTES: [(&str, &str); 23] = [
    ("GET", "/"),
    ("GET", "/docs"),
    ("GET", "/openapi.json"),
    ("GET", "/health"),
    ("GET", "/readiness"),
    ("GET", "/metrics"),
    ("GET", "/accounts"),
    ("POST", "/accounts"),
    ("GET", "/accounts/*"),
    ("GET", "/accounts/*/entries"),
    ("GET", "/accounts/*/balance"),
    ("GET", "/accounts/*/transactions"),
    ("GET", "/transactions"),
    ("POST", "/transactions"),
    ("GET", "/transactions/*"),
    ("POST", "/transactions/*/cancel"),
    ("POST", "/transactions/*/post"),
    ("POST", "/transactions/*/void"),
    ("POST", "/transactions/*/review"),
    ("GET", "/ledger/trial-balance"),
    ("GET", "/ledger/journal/*"),
    ("GET", "/risk/*"),
    ("POST", "/commands/*"),
];

/// What stands in a path or a query.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let known = ["alice", "world:EUR", "world:EUR:07", "t1", "accounts.commands.v1", "accounts.admin-commands.v1"];
    prop_oneof![
        4 => prop::sample::select(known.to_vec()).prop_map(|text| text.as_bytes().to_vec()),
        2 => vec(any::<u8>(), 0..20),
        1 => "[ -~]{0,150}".prop_map(String::into_bytes),
    ]
}

/// Values of queries: numbers, times, tokens that look like ours, anything.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        Just("accounts".to_owned()),
        Just("entries".to_owned()),
        Just("transactions".to_owned()),
        Just("account-transactions".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        Just(u64::MAX.to_string()),
        "[a-z\u{0}\u{1}é]{0,6}",
    ];
    let token = vec(part, 0..4).prop_map(|parts| sealed(&parts));
    let plain =
        ["1", "0", "500", "501", "-1", "1s", "1ms", "99999999999999999999s", "5", "2026-01-31", "booked", "value"];
    let odd =
        ["9999-12-31", "-9999-01-01", "2026-01-31T00:00:00Z", "0000-00-00", "9999-12-31T23:59:59.999999Z", "s", "é"];
    prop_oneof![
        3 => prop::sample::select([plain.as_slice(), &odd].concat()).prop_map(|text| text.as_bytes().to_vec()),
        3 => token,
        1 => text(),
    ]
}

/// A token as answers carry it.
fn sealed(parts: &[impl AsRef<str>]) -> Vec<u8> {
    let parts: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
    BASE64_URL_SAFE_NO_PAD.encode(parts.join("\n")).into_bytes()
}

/// Every byte that could be taken for something else, written with a percent sign.
fn escaped(bytes: &[u8]) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte);
    bytes.iter().map(|byte| if plain(*byte) { char::from(*byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[derive(Clone, Debug)]
struct Request {
    method: &'static str,
    target: String,
    headers: Vec<(&'static str, Vec<u8>)>,
    body: Vec<u8>,
}

fn bodies() -> Vec<Value> {
    let leg = |account: &str, side: &str| json!({"account_id": account, "side": side, "amount": {"amount": "1.5", "currency": "EUR"}});
    let pay = json!({"transaction_id": "t9", "legs": [leg("alice", "DEBIT"), leg("bob", "CREDIT")]});
    let open =
        json!({"account_id": "carol", "kind": "LIABILITY", "currency": "EUR", "floor": "-1", "metadata": {"a": "b"}});
    let mut command = open.clone();
    command["type"] = json!("OpenAccount");
    let command = json!({"id": "c1", "key": "carol", "body": command});
    vec![
        pay,
        open,
        json!([command, command]),
        command,
        json!({"body": {"type": "FreezeAccount", "account_id": "bob"}}),
        json!({"approve": true, "reason": "because"}),
        json!({"amounts": [{"line": 0, "amount": "1"}], "final": true}),
        json!({}),
    ]
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let edits = prop_oneof![Just(Vec::new()), edits()];
    let json = (prop::sample::select(bodies()), edits)
        .prop_map(|(json, edits): (Value, Vec<Edit>)| edited(json.to_string().as_bytes(), &edits));
    prop_oneof![
        9 => json,
        1 => Just(Vec::new()),
        1 => vec(any::<u8>(), 0..60),
        1 => (1_usize..2_000, prop::sample::select(vec!["[", "{\"a\":", "[{\"body\":"])).prop_map(|(depth, open)| open.repeat(depth).into_bytes()),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    let queries = ["limit", "cursor", "position", "at", "by", "wait", "colour", "%ff"];
    let query = vec((prop::sample::select(queries.to_vec()), value()), 0..3);
    let names = ["x-actor", "traceparent", "idempotency-key", "tributary-position", "content-type", "accept"];
    let plain = vec(prop_oneof![99 => 0x20_u8..0x7f, 1 => 0x80_u8..], 0..300);
    let kinds = ["application/json", "application/json; charset=utf-8", "text/plain", "json", ";"];
    let kind = prop::sample::select(kinds.to_vec()).prop_map(|kind| kind.as_bytes().to_vec());
    let headers = vec((prop::sample::select(names.to_vec()), prop_oneof![2 => plain, 1 => kind, 1 => value()]), 0..3);
    let other =
        prop::option::weighted(0.1, prop::sample::select(vec!["GET", "POST", "PUT", "DELETE", "OPTIONS", "BREW"]));
    let route = (0..ROUTES.len(), other);
    (route, text(), query, headers, body()).prop_map(|((route, other), segment, query, mut headers, body)| {
        let (method, path) = ROUTES[route];
        let method = other.unwrap_or(method);
        let pairs: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
        let query = if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) };
        // What a header may not hold, no server passes on.
        headers.iter_mut().for_each(|(_, value)| value.retain(|byte| (0x20..0x7f).contains(byte) || *byte >= 0x80));
        Request { method, target: path.replace('*', &escaped(&segment)) + &query, headers, body }
    })
}

/// What is wrong with an answer, if anything.
fn judge(answer: &Answer) -> Result<(), String> {
    let known = [200, 201, 202, 400, 403, 404, 405, 409, 413, 415, 422];
    if !known.contains(&answer.status) {
        return Err(format!("the status is {}", answer.status));
    }
    if answer.status >= 400 {
        answer.problem().map_err(|error| format!("no problem document: {error}"))?;
    }
    Ok(())
}

fn ask(address: &str, request: &Request) -> Result<u16, String> {
    let headers: Vec<(&str, &[u8])> = request.headers.iter().map(|(name, value)| (*name, value.as_slice())).collect();
    let answer = send(address, request.method, &request.target, &headers, &request.body);
    let answer = answer.map_err(|error| format!("no answer: {error:#}"))?;
    judge(&answer).map_err(|why| format!("{why}: {}", String::from_utf8_lossy(&answer.body)))?;
    Ok(answer.status)
}

/// Accounts with entries, for the reads.
fn prepare(address: &str) {
    let post = |path: &str, body: Value| {
        let answer = send(address, "POST", path, &[("content-type", b"application/json")], body.to_string().as_bytes());
        assert_eq!(answer.expect("an answer").status, 201, "{body}");
    };
    for id in ["alice", "bob"] {
        post("/accounts?wait=20s", json!({"account_id": id, "kind": "LIABILITY", "currency": "EUR"}));
    }
    for id in ["t1", "t2", "t3"] {
        let amount = json!({"amount": "10", "currency": "EUR"});
        let leg = |account: &str, side: &str| json!({"account_id": account, "side": side, "amount": amount});
        let legs = [leg("world:EUR", "DEBIT"), leg("alice", "CREDIT")];
        post("/transactions?wait=20s", json!({"transaction_id": id, "legs": legs}));
    }
}

#[test]
fn any_request_is_answered_or_refused_with_a_problem_document() {
    let statuses: RefCell<BTreeMap<u16, u32>> = RefCell::default();
    with(|address, _| {
        prepare(address);
        let done = TestRunner::new(cases(4_000)).run(&request(), |request| {
            let status = ask(address, &request).map_err(TestCaseError::fail)?;
            *statuses.borrow_mut().entry(status).or_default() += 1;
            Ok(())
        });
        match done {
            Ok(()) => Ok(()),
            Err(TestError::Fail(why, request)) => bail!("{why}\n{request:?}"),
            Err(TestError::Abort(why)) => bail!("{why}"),
        }
    })
    .expect("all is well");
    let statuses = statuses.into_inner();
    for status in [200, 202, 400, 404, 405, 415] {
        assert!(statuses.get(&status).is_some_and(|many| *many > 10), "too few {status}: {statuses:?}");
    }
}

/// Method, target and headers; the code and the field of the refusal.
type Row<'a> = (&'static str, String, Vec<(&'a str, &'a [u8])>, &'a str, &'a str);

/// What the fuzzing found, and what reading for it found: each was a 503, a text that is no problem document, or a command
/// that was taken and then became a dead letter.
#[test]
fn requests_that_were_once_too_much() {
    let cursor = |parts: &[&str]| escaped(&sealed(parts));
    let long = [b'x'; 129];
    let rows: Vec<Row<'_>> = vec![
        ("GET", "/accounts/%80".into(), vec![], "invalid_field", "id"),
        ("GET", "/ledger/journal/%ff".into(), vec![], "invalid_field", "tx"),
        ("POST", "/commands/%ff".into(), vec![], "invalid_field", "topic"),
        ("GET", format!("/accounts?cursor={}", cursor(&["accounts", "a\0b"])), vec![], "bad_cursor", "cursor"),
        (
            "GET",
            format!("/accounts/alice/entries?cursor={}", cursor(&["entries", &u64::MAX.to_string()])),
            vec![],
            "bad_cursor",
            "cursor",
        ),
        (
            "GET",
            format!("/transactions?cursor={}", cursor(&["transactions", "1", "a\0b"])),
            vec![],
            "bad_cursor",
            "cursor",
        ),
        ("GET", "/accounts".into(), vec![("tributary-position", b"\xff")], "bad_position", "position"),
        ("POST", "/transactions/t1/cancel".into(), vec![("traceparent", &long)], "invalid_field", "traceparent"),
    ];
    with(|address, _| {
        prepare(address);
        for (method, target, headers, code, field) in rows {
            let answer = send(address, method, &target, &headers, b"{}")?;
            let problem = answer.problem()?;
            let found = (answer.status, problem["code"].as_str(), problem["field"].as_str());
            ensure!(found == (400, Some(code), Some(field)), "{target}: {problem}");
        }
        Ok(())
    })
    .expect("all is well");
}
