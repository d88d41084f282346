//! `dlq`: the records that could not be taken, and their second chance.
//!
//! Redriving sends a letter's own key and bytes to the topic it came from, as a client would: ids derive from the command,
//! never from an offset, so a command that was answered in the meantime changes nothing.

use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use tributary_flow::{DEAD_LETTERS, Logged};

use crate::config::Config;
use crate::decode::{self, Decoder};
use crate::out::say;
use crate::source::Source;
use crate::topics::line;
use crate::up::Running;
use crate::{kafka, up};

/// What to do with dead letters.
#[derive(Subcommand, Debug)]
pub enum DlqCommand {
    /// One line per dead letter.
    List,
    /// One dead letter in full.
    Show {
        /// PARTITION:OFFSET, as `dlq list` prints it.
        #[arg(value_parser = place)]
        place: (u32, u64),
    },
    /// Send dead letters to the topics they came from once more; on the embedded driver, while it is not running.
    Redrive {
        /// PARTITION:OFFSET of each.
        #[arg(value_parser = place, required = true)]
        places: Vec<(u32, u64)>,
    },
}

/// Does it.
pub fn run(config: &Config, command: &DlqCommand) -> Result<()> {
    match command {
        DlqCommand::List => list(config),
        DlqCommand::Show { place } => {
            let source = Source::open(config)?;
            let record = letter(&source, *place)?;
            say!("{:#}", line(&Decoder::new(source.registry.clone()), None, place.0 as usize, &record));
            Ok(())
        }
        DlqCommand::Redrive { places } => redrive(config, places),
    }
}

fn list(config: &Config) -> Result<()> {
    let source = Source::open(config)?;
    let mut shown = 0;
    for partition in 0..source.log.partitions() {
        tributary_flow::log::visit(source.log.as_ref(), DEAD_LETTERS, partition, |record| {
            let header = |name| header(&record, name);
            let (topic, at, offset) = (header("topic"), header("partition"), header("offset"));
            say!("{partition}:{} {} from {topic}[{at}]@{offset}: {}", record.offset, header("code"), header("reason"));
            shown += 1;
            Ok::<_, anyhow::Error>(())
        })?;
    }
    eprintln!("{shown} dead letters");
    Ok(())
}

fn redrive(config: &Config, places: &[(u32, u64)]) -> Result<()> {
    let source = Source::open(config)?;
    let letters = places.iter().map(|place| letter(&source, *place)).collect::<Result<Vec<_>>>()?;
    drop(source);
    let running = if config.brokers.is_some() { kafka::client(config)? } else { up::embedded(config)? };
    let sent = places.iter().zip(letters).try_for_each(|(place, letter)| {
        send(&running, letter).with_context(|| format!("{}:{} was not sent", place.0, place.1))
    });
    (running.stop)();
    sent?;
    say!("{} dead letters sent to where they came from", places.len());
    Ok(())
}

fn send(running: &Running, letter: Logged) -> Result<()> {
    if letter.headers.iter().any(|(name, _)| name == "value-length" || name == "key-length") {
        bail!("it was too large to be kept whole: the client has to send it again");
    }
    let topic = decode::topic(&header(&letter, "topic"))?;
    if !topic.kind.is_door() {
        bail!(
            "it is a fact of {}: only commands can be sent again, for facts have other readers that took it",
            topic.name
        );
    }
    let key = String::from_utf8(
        letter.key.context("it has no key, so it has no place to go: the client has to send it again")?,
    )?;
    let value = letter.value.context("it has no value")?;
    let (done, sent) = mpsc::channel();
    running.platform.submit(topic, &key, value, Box::new(move |result| drop(done.send(result))));
    let at = sent.recv_timeout(Duration::from_secs(30)).context("no answer within 30 s")??;
    say!("{}[{}]@{} {key}", at.topic, at.partition, at.offset);
    Ok(())
}

fn letter(source: &Source, (partition, offset): (u32, u64)) -> Result<Logged> {
    let found = if partition < source.log.partitions() && source.log.range(DEAD_LETTERS, partition)?.contains(&offset) {
        source.log.read(DEAD_LETTERS, partition, offset, 1)?.into_iter().next()
    } else {
        None
    };
    match found {
        Some(record) if record.offset == offset => Ok(record),
        _ => bail!("there is no dead letter {partition}:{offset}; `dlq list` names them"),
    }
}

fn header(record: &Logged, name: &str) -> String {
    let found = record.headers.iter().find(|(header, _)| header == name);
    found.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
}

fn place(text: &str) -> Result<(u32, u64), String> {
    let (partition, offset) = text.split_once(':').ok_or("expected PARTITION:OFFSET, as `dlq list` prints it")?;
    Ok((
        partition.parse().map_err(|_| "the partition is no number")?,
        offset.parse().map_err(|_| "the offset is no number")?,
    ))
}
