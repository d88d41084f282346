//! `topic tail` and `produce`: the log as a person reads it, and commands as a person writes them.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use tributary_flow::DEAD_LETTERS;
use tributary_flow::log::{self, Log, LogError, Logged};
use tributary_query_api::command::{self, Command};
use tributary_query_api::json::strict;

use crate::config::Config;
use crate::decode::{self, Decoder, header_json};
use crate::http;
use crate::out::say;
use crate::source::Source;

/// Prints a topic's records as JSON lines, from the start or the last `last` of each partition; goes on while `follow`.
pub fn tail(config: &Config, name: &str, last: Option<u64>, follow: bool) -> Result<()> {
    let mut source = Source::open(config)?;
    let decoder = Decoder::new(source.registry.clone());
    let topic = if name == DEAD_LETTERS { None } else { Some(decode::topic(name)?) };
    let mut next = Vec::new();
    for partition in 0..source.log.partitions() {
        next.push(match last {
            None => source.log.range(name, partition)?.start,
            Some(last) => before_last(source.log.as_ref(), name, partition, last)?,
        });
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

/// Where the last so many records of a partition begin. Markers of transactions have offsets too, so as many offsets will not do.
fn before_last(log: &dyn Log, name: &str, partition: u32, last: u64) -> Result<u64> {
    let range = log.range(name, partition)?;
    let mut back = last;
    loop {
        let from = range.end.saturating_sub(back).max(range.start);
        let mut offsets = Vec::new();
        log::visit_range(log, name, partition, from..range.end, |record| {
            offsets.push(record.offset);
            Ok::<_, LogError>(())
        })?;
        let enough = usize::try_from(last).is_ok_and(|last| offsets.len() >= last);
        if enough || from == range.start {
            let skipped = offsets.len().saturating_sub(usize::try_from(last).unwrap_or(usize::MAX));
            return Ok(offsets.get(skipped).copied().unwrap_or(range.end));
        }
        back = back.saturating_mul(2);
    }
}

/// A record as a line of JSON: decoded where it is of a topic of the graph; a dead letter with what it says of itself, and its
/// value in hexadecimal digits.
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
            // What the letter says of its origin has the names of the record's own place.
            let said = record.headers.iter().map(|(name, value)| (name.clone(), json!(String::from_utf8_lossy(value))));
            line["letter"] = said.collect::<serde_json::Map<_, _>>().into();
            line["value_hex"] = json!(record.value.as_deref().map(hex::encode));
        }
    }
    line
}

/// Most commands, and about as many bytes, that are sent at once: the API takes 1,000 and 1 MiB.
const MOST_AT_ONCE: usize = 500;
const BYTES_AT_ONCE: usize = 512 * 1024;

/// Sends the commands of a JSONL file, each `{"id": …, "body": {"type": …, …}}`, through a running API. The first line that
/// is none is named, and nothing behind it is sent.
pub fn produce(config: &Config, topic: &str, file: &Path) -> Result<()> {
    command::door(topic).map_err(|problem| anyhow!("{problem}"))?;
    let url = format!("http://{}/commands/{topic}", config.http);
    let text = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    // The last line is one with a command, so what is sent at last is told by its number too.
    let lines: Vec<&[u8]> = text.trim_ascii_end().split(|byte| *byte == b'\n').collect();
    let bar = ProgressBar::new(lines.len() as u64);
    bar.set_style(
        ProgressStyle::with_template("produce {bar:40} {human_pos}/{human_len}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let (mut sent, mut commands, mut bytes) = (0, Vec::new(), 0);
    for (index, line) in lines.iter().enumerate() {
        if !line.trim_ascii().is_empty() {
            let read = read_command(topic, line);
            commands.push(read.map_err(|why| anyhow!("{}:{}: {why}; {sent} were sent", file.display(), index + 1))?);
            bytes += line.len();
        }
        let full = commands.len() == MOST_AT_ONCE || bytes >= BYTES_AT_ONCE || index + 1 == lines.len();
        if full && !commands.is_empty() {
            let many = commands.len();
            http::post(&url, &Value::Array(std::mem::take(&mut commands))).with_context(|| {
                let (file, last) = (file.display(), index + 1);
                format!(
                    "{file}:{last}: the first {sent} commands were sent, and the {many} up to this line may be; once {} answers \
                     (--http says where `tributary up` does), send all of {file} again: what was taken is not taken twice",
                    config.http
                )
            })?;
            (sent, bytes) = (sent + many, 0);
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    say!("{sent} commands sent to {topic}");
    Ok(())
}

/// A line as a command that the API will take, or why it is none.
fn read_command(topic: &str, line: &[u8]) -> Result<Value, String> {
    let json = strict(line).map_err(|error| format!("not JSON: {error}"))?;
    if json.get("id").and_then(Value::as_str).is_none() {
        return Err("id: every command needs one, so that sending the file twice changes nothing".into());
    }
    Command::read(topic, json.clone()).map_err(|problem| problem.to_string())?;
    Ok(json)
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use tributary_flow::log::{Log, LogError, Logged};

    use super::before_last;

    /// Records at these offsets, up to an end.
    struct Sparse(&'static [u64], u64);

    impl Log for Sparse {
        fn partitions(&self) -> u32 {
            1
        }

        fn range(&self, _: &str, _: u32) -> Result<Range<u64>, LogError> {
            Ok(2..self.1)
        }

        fn read(&self, _: &str, _: u32, from: u64, limit: usize) -> Result<Vec<Logged>, LogError> {
            let offsets = self.0.iter().filter(|offset| **offset >= from).take(limit);
            Ok(offsets.map(|offset| Logged { offset: *offset, key: None, value: None, headers: Vec::new() }).collect())
        }
    }

    #[test]
    fn the_last_records_are_counted_and_not_their_offsets() -> anyhow::Result<()> {
        let log = Sparse(&[2, 4, 6, 9, 10, 20], 23);
        for (last, from) in [(0, 23), (1, 20), (2, 10), (3, 9), (5, 4), (6, 2), (7, 2), (u64::MAX, 2)] {
            assert_eq!(before_last(&log, "topic", 0, last)?, from, "the last {last}");
        }
        assert_eq!(before_last(&Sparse(&[], 23), "topic", 0, 3)?, 23);
        Ok(())
    }
}
