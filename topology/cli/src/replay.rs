//! `replay`: recomputes a node's decisions from its journal and compares them with what it wrote, byte for byte; also while
//! it goes on writing.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use tributary_flow::log::{self, Log, Logged};
use tributary_flow::task::Produced;
use tributary_flow::{DEAD_LETTERS, Header, JournalEntry, Node, Registry, Target, Task, Timestamp, reader, replay};

use crate::cut::Cut;
use crate::decode::Decoder;
use crate::verify::States;
use crate::wiring;

/// What a replay found.
#[derive(Debug, Default)]
pub struct Report {
    /// Epochs replayed.
    pub epochs: u64,
    /// Epochs of other builds or other rules, by name: compared all the same, and told.
    pub foreign: HashMap<String, u64>,
    /// Records that both hold.
    pub equal: u64,
    /// Recomputed and not in the log, in the span asked for.
    pub missing: Vec<String>,
    /// In the log and not recomputed.
    pub surplus: Vec<String>,
    /// Written while the replay began, and not compared.
    pub meanwhile: u64,
    /// The state that each partition ends in: after which epoch, and its digest.
    pub digests: Vec<(u32, u64, [u8; 32])>,
}

impl Report {
    /// Whether every record agrees.
    pub fn identical(&self) -> bool {
        self.missing.is_empty() && self.surplus.is_empty()
    }
}

/// A record as both sides have it.
struct Compared<'a> {
    topic: &'a str,
    partition: u32,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    headers: Vec<(&'a str, &'a [u8])>,
}

/// Records as a multiset, by hash of all they are.
struct Balance(HashMap<[u8; 32], Both>);

/// How many there are of a record.
#[derive(Default)]
struct Both {
    recomputed: u64,
    found: u64,
    /// Of those found, how many must be recomputed: the journal may not have what was written after the cut.
    judged: u64,
    /// Where one is.
    place: String,
}

impl Balance {
    fn note(&mut self, record: &Compared<'_>, place: impl FnOnce() -> String) -> &mut Both {
        let mut hasher = blake3::Hasher::new();
        let headers = record.headers.iter().flat_map(|(name, value)| [Some(name.as_bytes()), Some(*value)]);
        let partition = record.partition.to_be_bytes();
        let parts = [Some(record.topic.as_bytes()), Some(&partition), record.key, record.value];
        for part in parts.into_iter().chain(headers) {
            hasher.update(&part.map_or(u64::MAX, |part| part.len() as u64).to_le_bytes());
            hasher.update(part.unwrap_or_default());
        }
        let first = || Both { place: place(), ..Both::default() };
        self.0.entry(*hasher.finalize().as_bytes()).or_insert_with(first)
    }
}

/// Makes the task of a node in a partition, as the build of this name has it.
pub type Make<'a> = dyn Fn(&'static Node, u32, &str) -> Box<dyn Task> + 'a;

/// Replays every task of `node` with this build, whichever decided; differences outside `span` are not told.
///
/// # Errors
/// The log cannot be read, or the journal does not fit it.
pub fn replay(
    log: &dyn Log,
    node: &'static Node,
    registry: Arc<dyn Registry>,
    span: Span,
    quiet: bool,
) -> Result<Report> {
    let setup = wiring::setup(log.partitions(), registry.clone());
    replay_builds(log, node, &|node, partition, _| wiring::task(node, partition, &setup), registry, span, quiet)
}

/// The same, each epoch with the build that decided it.
///
/// # Errors
/// The log cannot be read, or the journal does not fit it.
pub fn replay_builds(
    log: &dyn Log,
    node: &'static Node,
    make: &Make<'_>,
    registry: Arc<dyn Registry>,
    span: Span,
    quiet: bool,
) -> Result<Report> {
    let (decoder, cut) = (Decoder::new(registry), Cut::for_replay(log, node)?);
    let mut report = Report::default();
    let mut balance = Balance(HashMap::new());
    let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new(u64::from(log.partitions())) };
    bar.set_style(
        ProgressStyle::with_template("replay {msg} {bar:40} {pos}/{len} partitions")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    bar.set_message(node.name);
    for partition in 0..log.partitions() {
        replay_task(&cut, (node, partition), make, span, &mut balance, &mut report)?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    for partition in 0..log.partitions() {
        for topic in node.outputs {
            found(&cut, &decoder, topic.name, partition, span, &mut balance, |_| true)?;
        }
        found(&cut, &decoder, DEAD_LETTERS, partition, span, &mut balance, |record| {
            record.headers.iter().any(|(name, value)| name == "node" && value == node.name.as_bytes())
        })?;
    }
    for Both { recomputed, found, judged, place } in balance.0.into_values() {
        if recomputed > found {
            report.missing.push(place);
        } else if judged > recomputed {
            report.surplus.push(place);
        } else {
            report.equal += u64::from(recomputed > 0);
            report.meanwhile += found - recomputed;
        }
    }
    report.missing.sort();
    report.surplus.sort();
    Ok(report)
}

/// What became of a view that was made again in a partition.
pub enum Rebuilt {
    /// Its store is not on this machine.
    NotHere,
    /// Its digest, and whether the store's is the same.
    Compared([u8; 32], bool),
}

/// Makes a view again in a partition, up to where its store has read its inputs, and compares the two.
///
/// # Errors
/// The log or the store cannot be read, or the view stops.
pub fn rebuild(
    log: &dyn Log,
    states: &dyn States,
    view: &'static Node,
    partition: u32,
    registry: Arc<dyn Registry>,
) -> Result<Rebuilt> {
    let mut task = wiring::task(view, partition, &wiring::setup(log.partitions(), registry));
    let mut compared = None;
    states.with_state(view, partition, &mut |store| {
        let rebuilt = replay::Rebuilt::like(store, task.as_mut(), log);
        compared = Some(rebuilt.map(|rebuilt| (reader::digest(&rebuilt.store), reader::digest(store))));
    })?;
    let Some(compared) = compared else { return Ok(Rebuilt::NotHere) };
    let (again, found) = compared?;
    Ok(Rebuilt::Compared(again, again == found))
}

fn replay_task(
    log: &dyn Log,
    (node, partition): (&'static Node, u32),
    make: &Make<'_>,
    span: Span,
    balance: &mut Balance,
    report: &mut Report,
) -> Result<()> {
    let made = &mut |entry: &JournalEntry, produced: Vec<Produced>| {
        report.epochs += 1;
        if entry.build != wiring::BUILD {
            *report.foreign.entry(entry.build.clone()).or_default() += 1;
        }
        for record in &produced {
            if span.holds(entry.now) && is_compared(record, span) {
                let (topic, to) = (record.target.name(), record.partition);
                let compared = Compared {
                    topic,
                    partition: to,
                    key: record.key.as_deref(),
                    value: record.value.as_deref(),
                    headers: record.headers.iter().map(|(name, value)| (*name, value.as_slice())).collect(),
                };
                let place =
                    || format!("{topic}[{to}] {}: epoch {} of partition {partition}", text(compared.key), entry.epoch);
                balance.note(&compared, place).recomputed += 1;
            }
        }
    };
    let state = replay::replay_builds((node, partition), &|build| make(node, partition, build), log, made)?;
    report.digests.push((partition, reader::Reader::new(&state).epoch(), reader::digest(&state)));
    Ok(())
}

/// Forwards go back to a door, where they lie among the records of clients.
fn is_compared(record: &Produced, span: Span) -> bool {
    match record.target {
        Target::Topic(topic) => !topic.kind.is_door(),
        Target::DeadLetters => span.is_all(),
    }
}

fn found(
    cut: &Cut<'_>,
    decoder: &Decoder,
    topic: &'static str,
    partition: u32,
    span: Span,
    balance: &mut Balance,
    wanted: impl Fn(&Logged) -> bool,
) -> Result<()> {
    log::visit(cut, topic, partition, |record| {
        if wanted(&record) && span.holds_record(decoder, topic, &record) {
            let compared = Compared {
                topic,
                partition,
                key: record.key.as_deref(),
                value: record.value.as_deref(),
                headers: record.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect(),
            };
            let place = || format!("{topic}[{partition}]@{} {}", record.offset, text(compared.key));
            let both = balance.note(&compared, place);
            both.found += 1;
            if cut.judges(topic, partition, record.offset) {
                both.judged += 1;
                if both.judged > both.recomputed {
                    both.place = place();
                }
            }
        }
        Ok::<_, anyhow::Error>(())
    })
}

fn text(key: Option<&[u8]>) -> String {
    String::from_utf8_lossy(key.unwrap_or_default()).into_owned()
}

/// A span of a task's clock, both ends included.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// First instant.
    pub from: Timestamp,
    /// Last instant.
    pub to: Timestamp,
}

impl Span {
    /// Everything.
    pub const ALL: Span = Span { from: Timestamp(i64::MIN), to: Timestamp(i64::MAX) };

    fn holds(&self, time: Timestamp) -> bool {
        (self.from..=self.to).contains(&time)
    }

    /// Whether a record lies in it, by a fact's own time; dead letters have none and are compared in the whole history only.
    fn holds_record(&self, decoder: &Decoder, topic: &str, record: &Logged) -> bool {
        let time = || match decoder.json(tributary_graph::topic(topic)?, record).ok()?.0 {
            Header::Fact(fact) => Some(fact.time),
            Header::Command(_) => None,
        };
        self.is_all() || time().is_some_and(|time| self.holds(time))
    }

    fn is_all(&self) -> bool {
        (self.from, self.to) == (Self::ALL.from, Self::ALL.to)
    }
}
