//! A small history of everything that leaves a trace, on the embedded engine: payments and refusals, holds that are posted
//! in parts and voided, a conflict, a dead letter.

use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result};
use tributary_cli::config::Config;
use tributary_cli::load::{self, Plan};
use tributary_cli::up::{Running, embedded};
use tributary_cli::wiring::wall_clock;
use tributary_flow::framing::frame;
use tributary_flow::{Body, CommandHeader, Header, TopicRef};
use tributary_graph::TRANSACTIONS_COMMANDS;
use tributary_schemas::transactions::{
    CreateTransaction, Leg, PostLine, PostTransaction, TransactionCommand, VoidTransaction,
};
use tributary_schemas::{AccountId, Amount, Currency, Money, Side, TransactionId};

/// The settings that name a history in a folder.
#[must_use]
pub fn config(folder: &Path) -> Config {
    Config { data: folder.to_owned(), partitions: 2, ..Config::default() }
}

/// Writes the history.
///
/// # Errors
/// The engine does not start, or a command is not taken.
pub fn write(folder: &Path, payments: u32) -> Result<()> {
    let running = embedded(&config(folder))?;
    let plan = Plan { accounts: 8, payments, refusals: 150, seed: 3, ..Plan::default() };
    load::run(running.platform.as_ref(), running.log.as_ref(), &running.registry, &plan, true)?;

    command(&running, "parts", hold("parts", 10)?)?;
    command(&running, "parts-1", part("parts", 4, false)?)?;
    command(&running, "parts-2", part("parts", 3, true)?)?;
    command(&running, "void", hold("void", 5)?)?;
    command(&running, "void-1", VoidTransaction::new(transaction("void")?))?;
    command(&running, "again", hold("void", 6)?)?;
    submit(&running, &TRANSACTIONS_COMMANDS, "unreadable", b"no frame at all".to_vec())?;
    (running.stop)();
    Ok(())
}

fn transaction(id: &str) -> Result<TransactionId> {
    Ok(TransactionId::parse(id)?)
}

fn amount(units: i128) -> Amount {
    Amount(units * Amount::UNIT)
}

fn hold(id: &str, units: i128) -> Result<CreateTransaction> {
    let leg = |account: &str, side| {
        let amount = Money::of(amount(units), Currency::of("EUR"));
        Ok::<_, anyhow::Error>(Leg { account_id: AccountId::parse(account)?, side, amount })
    };
    let legs = vec![leg("load-000000", Side::Debit)?, leg("load-000001", Side::Credit)?];
    Ok(CreateTransaction { two_phase: true, ..CreateTransaction::new(transaction(id)?, legs) })
}

fn part(id: &str, units: i128, last: bool) -> Result<PostTransaction> {
    let amounts = (0..2).map(|line| PostLine { line, amount: amount(units) }).collect();
    Ok(PostTransaction { amounts: Some(amounts), r#final: last, ..PostTransaction::new(transaction(id)?) })
}

fn command(running: &Running, id: &str, body: impl Into<TransactionCommand>) -> Result<()> {
    let (topic, body): (TopicRef, TransactionCommand) = (&TRANSACTIONS_COMMANDS, body.into());
    let mut value = frame(running.registry.id(topic.schema));
    let header = CommandHeader { id: id.into(), time: wall_clock(), ..CommandHeader::default() };
    body.encode(&Header::Command(header), &mut value);
    submit(running, topic, body.key(), value)
}

/// Writes a record and waits until it is durable, with all that follows from it.
fn submit(running: &Running, topic: TopicRef, key: &str, value: Vec<u8>) -> Result<()> {
    let (tell, told) = mpsc::channel();
    running.platform.submit(topic, key, value, Box::new(move |done| drop(tell.send(done))));
    told.recv_timeout(Duration::from_secs(20)).context("a command was not acknowledged")??;
    Ok(())
}
