//! `verify`: every law over every topic. It reads the log as an outsider would, recomputes what can be recomputed and
//! names the place of whatever does not agree. Each law is a module; none trusts another's state.
//!
//! Exact on a log at rest. While the system works, what is not answered or booked yet is counted as in flight.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use tributary_flow::log::{self, Log, LogError, Logged};
use tributary_flow::{Node, Store, TopicRef};

use crate::decode::Decoder;
use entries::Entries;

mod chains;
mod commands;
mod entries;
mod facts;
mod states;
mod transactions;

/// Every law that is checked, by the name that a violation gives it.
pub const LAWS: &[&str] = &[
    "alarm",
    "answered once",
    "bad input is a dead letter",
    "balance",
    "booked",
    "booked once",
    "books what was decided",
    "chained",
    "debits equal credits",
    "decodable",
    "ends once",
    "every unit held ends once",
    "floor",
    "gapless",
    "immutable",
    "initiated once",
    "journal",
    "keyed",
    "nothing booked",
    "opened before",
    "opened once",
    "posts what it held",
    "state",
    "trial balance",
    "view",
    "votes once",
];

/// A law broken, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which law.
    pub law: &'static str,
    /// Topic, partition and offset, or the store.
    pub place: String,
    /// The account or transaction.
    pub subject: String,
    /// What was found, and what should have been.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}: {}", self.law, self.place, self.subject, self.detail)
    }
}

/// Committed state, where this machine has it.
pub trait States {
    /// Runs `read` over the state of a task; false where it is not here.
    fn with_state(&self, node: &'static Node, partition: u32, read: &mut dyn FnMut(&dyn Store)) -> Result<bool>;
}

/// What an audit found.
#[derive(Debug, Default)]
pub struct Report {
    /// Laws broken.
    pub violations: Vec<Violation>,
    /// Counted, by what.
    pub counts: BTreeMap<&'static str, u64>,
    /// Sum of debits less credits in the journal, by currency: zero, all of them.
    pub trial_balance: BTreeMap<String, (i128, i128)>,
    /// Digest of each node's state, by node and partition.
    pub digests: Vec<(String, u32, [u8; 32])>,
}

impl Report {
    fn count(&mut self, what: &'static str, many: u64) {
        *self.counts.entry(what).or_default() += many;
    }

    fn violation(
        &mut self,
        law: &'static str,
        place: impl fmt::Display,
        subject: impl fmt::Display,
        detail: impl fmt::Display,
    ) {
        debug_assert!(LAWS.contains(&law), "invariant: {law} is listed");
        self.violations.push(Violation {
            law,
            place: place.to_string(),
            subject: subject.to_string(),
            detail: detail.to_string(),
        });
    }
}

/// An audit under way.
struct Audit<'a> {
    log: &'a dyn Log,
    decoder: Decoder,
    progress: ProgressBar,
    report: Report,
}

impl Audit<'_> {
    /// Visits every record of a partition of a topic of the graph; one that cannot be decoded goes to `visit` too.
    fn visit(
        &mut self,
        topic: TopicRef,
        partition: u32,
        mut visit: impl FnMut(&mut Report, &Decoder, Logged),
    ) -> Result<(), LogError> {
        log::visit(self.log, topic.name, partition, |record| {
            self.progress.inc(1);
            visit(&mut self.report, &self.decoder, record);
            Ok(())
        })
    }
}

/// The place of a record.
fn place(topic: TopicRef, partition: u32, offset: u64) -> String {
    format!("{}[{partition}]@{offset}", topic.name)
}

/// Audits the whole log, and the state where it is here. `quiet` draws no progress bar.
///
/// # Errors
/// The log cannot be read. What breaks a law is no error: it is in the report.
pub fn verify(log: &dyn Log, states: &dyn States, decoder: Decoder, quiet: bool) -> Result<Report> {
    let mut records = 0;
    for topic in tributary_graph::TOPICS {
        for partition in 0..log.partitions() {
            let Range { start, end } = log.range(topic.name, partition)?;
            // Facts are read once by the law of their key and once for the answers they give.
            records += (end - start) * if topic.kind.is_door() { 1 } else { 2 };
        }
    }
    let progress = if quiet { ProgressBar::hidden() } else { ProgressBar::new(records) };
    progress.set_style(
        ProgressStyle::with_template("verify {bar:40} {percent}% {human_pos}/{human_len} records, {eta} left")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let mut audit = Audit { log, decoder, progress, report: Report::default() };
    let mut entries = Entries::new(log)?;
    for partition in 0..log.partitions() {
        let heads = chains::check(&mut audit, partition, &mut entries)?;
        states::check(&mut audit, states, partition, &heads)?;
    }
    for partition in 0..log.partitions() {
        transactions::check(&mut audit, partition, &mut entries)?;
        facts::check(&mut audit, partition)?;
        commands::check(&mut audit, partition)?;
    }
    entries.check(&mut audit)?;
    audit.progress.finish_and_clear();
    let mut report = audit.report;
    let unbalanced: Vec<_> = report
        .trial_balance
        .iter()
        .filter(|(_, (debits, credits))| debits != credits)
        .map(|(c, s)| (c.clone(), *s))
        .collect();
    for (currency, (debits, credits)) in unbalanced {
        report.violation(
            "trial balance",
            "ledger.journal.v1",
            currency,
            format!("debits {debits} and credits {credits} differ"),
        );
    }
    Ok(report)
}
