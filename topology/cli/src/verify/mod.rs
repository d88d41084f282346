//! `verify`: every law over every topic. It reads the log as an outsider would, recomputes what can be recomputed and
//! names the place of whatever does not agree. Each law is a module; none trusts another's state.
//!
//! The log may be one that is being written. What is read of it is fixed at the beginning ([`cut`]), and a consequence is
//! missed only where the journal of the task that owes it says that its cause was applied ([`tasks`]). What is under way
//! is counted as in flight, and a store is compared only at the very epoch that the log was read to: what cannot be
//! compared is counted and named, and is no violation. At rest everything is compared.
//!
//! Deliberately absent: what a task decided. That its decisions are the right ones is `replay`'s to say.

use std::collections::{BTreeMap, HashSet};

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use tributary_flow::log::{self, Log, LogError, Logged};
use tributary_flow::{Node, Store, TopicRef};

use crate::cut::Cut;
use crate::decode::Decoder;
use entries::Entries;
use report::ACROSS;
pub use report::{LAWS, Report, Violation};
use tasks::Tasks;

pub(crate) mod chains;
mod commands;
mod entries;
mod facts;
mod lines;
mod report;
mod states;
mod tasks;
mod transactions;
mod verdict;

/// Committed state, where this machine has it.
pub trait States {
    /// Runs `read` over the state of a task; false where it is not here.
    fn with_state(&self, node: &'static Node, partition: u32, read: &mut dyn FnMut(&dyn Store)) -> Result<bool>;

    /// How far a task has come in an input where its position does not tell, as [`tributary_flow::Platform::reached`].
    fn reached(&self, _node: &'static Node, _partition: u32, _topic: &str) -> u64 {
        0
    }
}

/// An audit under way.
struct Audit<'a> {
    log: Cut<'a>,
    tasks: Tasks,
    decoder: Decoder,
    progress: ProgressBar,
    report: Report,
}

impl<'a> Audit<'a> {
    fn new(log: &'a dyn Log, decoder: Decoder, quiet: bool) -> Result<Self> {
        let mut report = Report::default();
        let log = Cut::for_laws(log)?;
        let tasks = Tasks::read(&log, log.partitions(), &mut report)?;
        let mut records = 0;
        for topic in tributary_graph::TOPICS {
            for partition in 0..log.partitions() {
                let range = log.range(topic.name, partition)?;
                // Facts are read once by the law of their key and once for the answers they give.
                records += (range.end - range.start) * if topic.kind.is_door() { 1 } else { 2 };
            }
        }
        let progress = if quiet { ProgressBar::hidden() } else { ProgressBar::new(records) };
        progress.set_style(
            ProgressStyle::with_template("verify {bar:40} {percent}% {human_pos}/{human_len} records, {eta} left")
                .unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        Ok(Audit { log, tasks, decoder, progress, report })
    }

    /// Visits every record of a partition of a topic of the graph; one that cannot be decoded goes to `visit` too. The
    /// last argument is whether the record is judged, or only read.
    fn visit(
        &mut self,
        topic: TopicRef,
        partition: u32,
        mut visit: impl FnMut(&mut Report, &Decoder, Logged, bool),
    ) -> Result<(), LogError> {
        log::visit(&self.log, topic.name, partition, |record| {
            self.progress.inc(1);
            let judged = self.log.judges(topic.name, partition, record.offset);
            visit(&mut self.report, &self.decoder, record, judged);
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
    let mut audit = Audit::new(log, decoder, quiet)?;
    let mut entries = Entries::default();
    let mut cancelled = HashSet::new();
    for partition in 0..log.partitions() {
        let chains = chains::check(&mut audit, partition, &mut entries)?;
        states::check(&mut audit, states, partition, &chains)?;
        facts::check(&mut audit, partition, &mut cancelled)?;
    }
    for partition in 0..log.partitions() {
        let working = transactions::check(&mut audit, partition, &mut entries, &cancelled)?;
        commands::check(&mut audit, partition, &working)?;
    }
    entries.check(&mut audit)?;
    audit.progress.finish_and_clear();
    let mut report = audit.report;
    trial_balance(&mut report);
    Ok(report)
}

fn trial_balance(report: &mut Report) {
    let sums: BTreeMap<_, _> = report.trial_balance.clone();
    for (currency, (debits, credits)) in sums.into_iter().filter(|(_, (debits, credits))| debits != credits) {
        let detail = format!("debits {debits} and credits {credits} differ");
        report.violation("trial balance", "ledger.journal.v1", currency, detail);
    }
}
