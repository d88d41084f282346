//! What cannot be taken at all.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tributary_flow::framing::frame;
use tributary_flow::platform::SubmitError;
use tributary_flow::{Body, CommandHeader, DEAD_LETTERS, Header, Logged, Origin, Place, TopicRef, log, partition_of};
use tributary_graph as graph;
use tributary_schemas::schema_id;
use tributary_schemas::transactions::TransactionCommand;
use tributary_tests::scenario::file::Step;
use tributary_tests::scenario::live::Live;
use tributary_tests::scenario::{Driver, Ledger};

use crate::{PARTITIONS, Write};

/// Over the engine's limit, and below the broker's.
const OVERSIZE: usize = 1_040_000;

/// A record that is a dead letter.
struct Row {
    name: &'static str,
    topic: TopicRef,
    partition: u32,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    code: &'static str,
}

/// An account whose commands lie in this partition.
fn account_in(partition: u32, name: &str) -> String {
    let own = |id: &String| partition_of(id.as_bytes(), PARTITIONS) == partition;
    (0..).map(|number| format!("{name}-{number}")).find(own).unwrap_or_default()
}

fn open(account: &str, id: &str) -> Result<Vec<u8>> {
    let body = json!({"type": "OpenAccount", "account_id": account, "kind": "LIABILITY", "currency": "EUR"});
    let step = Step { id: Some(id.to_owned()), body: Some(body), ..Step::default() };
    Ok(step.command(0, tributary_cli::wiring::wall_clock())?.context("a command")?.value)
}

/// A command that was forwarded before, in a partition that is not its own.
fn misrouted() -> Result<Row> {
    let id = "lost";
    let partition = (partition_of(id.as_bytes(), PARTITIONS) + 1) % PARTITIONS;
    let body: TransactionCommand = serde_json::from_value(json!({"type": "CancelTransaction", "transaction_id": id}))?;
    let origin = Some(Origin { topic: graph::TRANSACTIONS_COMMANDS.name.to_owned(), partition: 0, offset: 0 });
    let header = Header::Command(CommandHeader { id: "c".to_owned(), origin, ..Default::default() });
    let mut value = frame(schema_id(TransactionCommand::SCHEMA).context("a schema")?);
    body.encode(&header, &mut value);
    Ok(Row {
        name: "a record that was forwarded and is astray again",
        topic: &graph::TRANSACTIONS_COMMANDS,
        partition,
        key: Some(id.into()),
        value: Some(value),
        code: "misrouted",
    })
}

fn rows() -> Result<Vec<Row>> {
    let ours = schema_id(TransactionCommand::SCHEMA).context("a schema")?;
    let (alice, good) = (account_in(1, "alice"), open(&account_in(1, "alice"), "open")?);
    let key = |text: &str| Some(text.as_bytes().to_vec());
    let framed = |id: u32, datum: &[u8]| Some([frame(id), datum.to_vec()].concat());
    let foreign = schema_id("tributary.risk.v1.RiskCommandEnvelope").context("a schema")?;
    let table = [
        ("undecodable bytes", key("t1"), framed(ours, &[0xff; 40]), "undecodable"),
        ("a datum that ends too early", key("t1"), framed(ours, &[2]), "undecodable"),
        ("a command of another topic", key("t1"), framed(foreign, &[2, b'c', 0, 0, 0, 0, 0, 0]), "undecodable"),
        ("a wrong magic byte", key("t1"), Some(vec![1, 0, 0, 0, 1, 2]), "bad_magic"),
        ("JSON", key("t1"), Some(br#"{"transaction_id":"t1"}"#.to_vec()), "bad_magic"),
        ("an empty value", key("t1"), Some(Vec::new()), "bad_magic"),
        ("an unknown schema id", key("t1"), framed(999_999, &[2]), "unknown_schema"),
        ("a null value", key("t1"), None, "null_value"),
    ];
    let mut rows: Vec<Row> = Vec::new();
    for (name, key, value, code) in table {
        let partition = partition_of(b"t1", PARTITIONS);
        rows.push(Row { name, topic: &graph::TRANSACTIONS_COMMANDS, partition, key, value, code });
    }
    let table = [
        ("a null key", None, Some(good.clone()), "null_key"),
        ("an empty key", key(""), Some(good.clone()), "bad_key"),
        ("a key that is no text", Some(vec![0xff, 0xfe]), Some(good.clone()), "bad_key"),
        ("a key that is too long", key(&"k".repeat(129)), Some(good.clone()), "bad_key"),
        ("a key that differs from the body's id", key(&account_in(1, "bob")), Some(good), "key_mismatch"),
        ("a command without an id", key(&alice), Some(open(&alice, "")?), "bad_header"),
        ("an id that is too long", key(&alice), Some(open(&alice, &"i".repeat(129))?), "bad_header"),
        ("a record over the limit", key(&alice), Some(vec![7; OVERSIZE]), "too_large"),
    ];
    for (name, key, value, code) in table {
        rows.push(Row { name, topic: &graph::ACCOUNTS_COMMANDS, partition: 1, key, value, code });
    }
    rows.push(misrouted()?);
    Ok(rows)
}

/// Every row is a letter, and what comes behind it in the same partition is answered.
pub fn check(live: &mut Live, write: &mut Write<'_>) -> Result<()> {
    for (number, row) in rows()?.into_iter().enumerate() {
        let oversize = row.value.as_ref().is_some_and(|value| value.len() == OVERSIZE);
        let written = write(row.topic, row.partition, row.key.clone(), row.value.clone());
        match written {
            // Where we are the log ourselves, it is refused before it is written.
            Err(SubmitError::TooLarge { .. }) if oversize => {}
            Err(error) => return Err(error).context(row.name),
            Ok(place) => {
                live.wrote(place.clone());
                behind(live, &row, number).context(row.name)?;
                let letter =
                    letter(live, &place)?.with_context(|| format!("{}: no dead letter for {place:?}", row.name))?;
                check_letter(&letter, &row, oversize).context(row.name)?;
            }
        }
        behind(live, &row, number + 1_000).context(row.name)?;
    }
    Ok(())
}

/// A good command behind a bad one.
fn behind(live: &mut Live, row: &Row, number: usize) -> Result<()> {
    let account = account_in(row.partition, &format!("behind-{number}"));
    live.submit(&graph::ACCOUNTS_COMMANDS, &account, open(&account, "behind")?)?;
    live.settle()?;
    let answers = Ledger::read(live)?.answers;
    let answer = answers.get(&(account, "behind".to_owned())).and_then(|answers| answers.first());
    ensure!(answer.is_some_and(|answer| answer.event == "AccountOpened"), "the partition does not go on: {answer:?}");
    Ok(())
}

fn header(letter: &Logged, name: &str) -> Option<String> {
    let found = letter.headers.iter().find(|(header, _)| header == name);
    found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
}

fn letter(live: &Live, place: &Place) -> Result<Option<Logged>> {
    let mut found = None;
    for partition in 0..PARTITIONS {
        log::visit(live.log(), DEAD_LETTERS, partition, |record| {
            let of = (header(&record, "topic"), header(&record, "partition"), header(&record, "offset"));
            if of == (Some(place.topic.clone()), Some(place.partition.to_string()), Some(place.offset.to_string())) {
                ensure!(found.is_none(), "two letters for {place:?}");
                found = Some(record);
            }
            Ok(())
        })?;
    }
    Ok(found)
}

fn check_letter(letter: &Logged, row: &Row, oversize: bool) -> Result<()> {
    let code = header(letter, "code");
    ensure!(
        code.as_deref() == Some(row.code),
        "the code is {code:?}, expected {}: {:?}",
        row.code,
        header(letter, "reason")
    );
    ensure!(header(letter, "reason").is_some_and(|reason| reason.len() > 10), "no reason");
    ensure!(header(letter, "node").is_some(), "no node");
    ensure!(letter.key == row.key, "the key is {:?}", letter.key);
    if !oversize {
        ensure!(letter.value == row.value, "the value is {:?}", letter.value);
        return Ok(());
    }
    let value = row.value.as_deref().unwrap_or_default();
    let hash = blake3::hash(value).to_hex().to_string();
    ensure!(header(letter, "value-length") == Some(value.len().to_string()), "the length of what was cut");
    ensure!(header(letter, "value-blake3") == Some(hash), "the hash of what was cut");
    ensure!(
        letter.value.as_deref().is_some_and(|cut| !cut.is_empty() && value.starts_with(cut)),
        "the beginning of it"
    );
    Ok(())
}
