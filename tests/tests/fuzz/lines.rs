//! JSON lines: `tributary produce` sends what is right, and names the line and the field of the first that is not.

use std::cell::Cell;

use anyhow::{Result, bail};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestError, TestRunner};
use serde_json::{Value, json};
use tributary_cli::config::Config;
use tributary_cli::topics::produce;

use crate::api::with;
use crate::bytes::{edited, edits};
use crate::cases;

const TOPIC: &str = "accounts.commands.v1";

fn line(number: u32) -> Value {
    let account = format!("line-{number}");
    json!({"id": format!("c{number}"), "body": {"type": "OpenAccount", "account_id": account, "kind": "ASSET", "currency": "EUR"}})
}

/// Writes a file and sends it.
fn send(address: &str, text: &[u8]) -> Result<(), String> {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), text).expect("written");
    let config = Config { http: address.to_owned(), ..Config::default() };
    produce(&config, TOPIC, file.path()).map_err(|error| format!("{error:#}"))
}

fn right(line: &[u8]) -> bool {
    let read: Result<Value, _> = serde_json::from_slice(line);
    let named = |json: &Value| json.get("id").is_some_and(Value::is_string);
    read.is_ok_and(|json| named(&json) && tributary_query_api::Command::read(TOPIC, json).is_ok())
}

#[test]
fn any_file_is_sent_or_its_first_bad_line_is_named() {
    let (sent, refused) = (Cell::new(0), Cell::new(0));
    with(|address, _| {
        let lines = vec((0_u32..20, prop_oneof![4 => Just(Vec::new()), 1 => edits()]), 0..12);
        let files = (lines, prop_oneof![9 => Just(Vec::new()), 1 => vec(any::<u8>(), 0..40)]);
        let done = TestRunner::new(cases(500)).run(&files, |(lines, behind)| {
            let mut text = Vec::new();
            for (number, edits) in lines {
                text.extend_from_slice(&edited(line(number).to_string().as_bytes(), &edits));
                text.push(b'\n');
            }
            text.extend_from_slice(&behind);
            let bad = text.split(|byte| *byte == b'\n').position(|line| !line.trim_ascii().is_empty() && !right(line));
            match (send(address, &text), bad) {
                (Ok(()), None) => sent.set(sent.get() + 1),
                (Err(said), Some(bad)) if said.contains(&format!(":{}: ", bad + 1)) => refused.set(refused.get() + 1),
                (done, bad) => {
                    let text = String::from_utf8_lossy(&text).into_owned();
                    return Err(TestCaseError::fail(format!("{done:?}, the first bad line is {bad:?} of {text}")));
                }
            }
            Ok(())
        });
        match done {
            Ok(()) => Ok(()),
            Err(TestError::Fail(why, _)) => bail!("{why}"),
            Err(TestError::Abort(why)) => bail!("{why}"),
        }
    })
    .expect("all is well");
    assert!(sent.get() > 50 && refused.get() > 50, "{} files sent, {} refused", sent.get(), refused.get());
}

#[test]
fn a_bad_line_is_named_with_its_field_and_nothing_behind_it_is_sent() {
    with(|address, running| {
        let bad = json!({"id": "c2", "body": {"type": "OpenAccount", "account_id": "two words"}});
        let text = format!("{}\n\n{bad}\n{}\n", line(1), line(3));
        let said = send(address, text.as_bytes()).expect_err("refused");
        assert!(said.contains(":3: body.account_id: ") && said.ends_with("; 0 were sent"), "{said}");
        assert!(send(address, b"\xff\n").expect_err("no text").contains(":1: not JSON"));
        let ends = (0..2).map(|partition| running.log.range(TOPIC, partition).expect("a range").end);
        assert_eq!(ends.sum::<u64>(), 0);
        Ok(())
    })
    .expect("all is well");
}

/// The API takes a mebibyte at once; five hundred large commands are more.
#[test]
fn a_file_of_large_commands_is_sent_in_pieces() {
    with(|address, running| {
        let large = |number| {
            let mut line = line(number);
            line["body"]["name"] = json!("n".repeat(100));
            line["body"]["metadata"] = (0..40).map(|key| (format!("key-{key}"), json!("v".repeat(100)))).collect();
            line.to_string() + "\n"
        };
        let text: String = (0..400).map(large).collect();
        assert!(text.len() > 1_500_000);
        send(address, text.as_bytes()).expect("sent");
        let ends = (0..2).map(|partition| running.log.range(TOPIC, partition).expect("a range").end);
        assert_eq!(ends.sum::<u64>(), 400);
        Ok(())
    })
    .expect("all is well");
}
