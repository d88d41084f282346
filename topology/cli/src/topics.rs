//! `topic tail` and `produce`: the log as a person reads it, and commands as a person writes them.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use tributary_flow::DEAD_LETTERS;
use tributary_flow::log::Logged;

use crate::config::Config;
use crate::decode::{self, Decoder, header_json};
use crate::http;
use crate::source::Source;

/// Prints a topic's records as JSON lines, from the start or the last `last` of each partition; goes on while `follow`.
pub fn tail(config: &Config, name: &str, last: Option<u64>, follow: bool) -> Result<()> {
    let mut source = Source::open(config)?;
    let decoder = Decoder::new(source.registry.clone());
    let topic = if name == DEAD_LETTERS { None } else { Some(decode::topic(name)?) };
    let mut next = Vec::new();
    for partition in 0..source.log.partitions() {
        let range = source.log.range(name, partition)?;
        next.push(last.map_or(range.start, |last| range.end.saturating_sub(last).max(range.start)));
    }
    let mut out = std::io::stdout().lock();
    loop {
        for (partition, next) in next.iter_mut().enumerate() {
            let end = source.log.range(name, partition as u32)?.end;
            while *next < end {
                let records = source.log.read(name, partition as u32, *next, 500)?;
                let Some(last) = records.last() else { break };
                *next = last.offset + 1;
                for record in &records {
                    let line = line(&decoder, topic, partition, record);
                    if writeln!(out, "{line}").is_err() {
                        return Ok(()); // The reader has gone, as `head` does.
                    }
                }
            }
        }
        if !follow {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(300));
        if config.brokers.is_none() {
            source = Source::open(config)?; // A reader beside a running process sees the log as it was when opened.
        }
    }
}

/// A record as a line of JSON: decoded where it is of a topic of the graph, raw where it is a dead letter.
pub(crate) fn line(
    decoder: &Decoder,
    topic: Option<tributary_flow::TopicRef>,
    partition: usize,
    record: &Logged,
) -> Value {
    let mut line = json!({
        "partition": partition,
        "offset": record.offset,
        "key": record.key.as_deref().map(String::from_utf8_lossy),
    });
    let decoded = topic.map(|topic| decoder.json(topic, record));
    match decoded {
        Some(Ok((header, _, body))) => {
            line["header"] = header_json(&header);
            line["body"] = body;
        }
        Some(Err(error)) => line["undecodable"] = json!(error.to_string()),
        None => {
            for (name, value) in &record.headers {
                line[name.as_str()] = json!(String::from_utf8_lossy(value));
            }
            line["raw"] = json!(record.value.as_deref().map(hex::encode));
        }
    }
    line
}

/// Sends the commands of a JSONL file, each `{"id": …, "body": {"type": …, …}}`, through a running API.
pub fn produce(config: &Config, topic: &str, file: &Path) -> Result<()> {
    decode::topic(topic)?;
    let url = format!("http://{}/commands/{topic}", config.http);
    let reader =
        BufReader::new(std::fs::File::open(file).with_context(|| format!("{} cannot be read", file.display()))?);
    let lines = reader
        .lines()
        .collect::<std::io::Result<Vec<_>>>()
        .with_context(|| format!("{} cannot be read", file.display()))?;
    let bar = ProgressBar::new(lines.len() as u64);
    bar.set_style(
        ProgressStyle::with_template("produce {bar:40} {human_pos}/{human_len}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let mut sent = 0;
    for (chunk_index, chunk) in lines.chunks(500).enumerate() {
        let mut commands = Vec::new();
        for (index, line) in chunk.iter().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let number = chunk_index * 500 + index + 1;
            let command: Value =
                serde_json::from_str(line).with_context(|| format!("{}:{number}: not JSON", file.display()))?;
            if command.get("id").and_then(Value::as_str).is_none() {
                bail!(
                    "{}:{number}: id: every command needs one, so that sending the file twice changes nothing",
                    file.display()
                );
            }
            commands.push(command);
        }
        sent += commands.len();
        http::post(&url, &Value::Array(commands))
            .with_context(|| format!("{}: {sent} lines were read, the last 500 may not be sent", file.display()))?;
        bar.inc(chunk.len() as u64);
    }
    bar.finish_and_clear();
    println!("{sent} commands sent to {topic}");
    Ok(())
}
