//! `load`: a seeded generator that sends payments and measures from command to outcome, as a client sees it.
//!
//! The schedule is open: a payment that is sent late because the system is slow still counts from the moment it was due.
//! An outage of the cluster is waited out: what was not acknowledged is sent again, what cannot be read is read later.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};
use tributary_flow::log::Follow;
use tributary_flow::{Log, Logged, Platform, Registry, TopicRef};
use tributary_graph::{ACCOUNTS_EVENTS, TRANSACTIONS_EVENTS};
use tributary_schemas::accounts::AccountEvent;
use tributary_schemas::transactions::TransactionEvent;

use crate::decode::Decoder;
use crate::wiring::wall_clock;

pub mod plan;
mod sender;

use plan::Maker;
pub use plan::Plan;
use sender::Sender;

/// How long an outcome is waited for before it is looked whether one has been missing for too long.
const LOOK: Duration = Duration::from_millis(100);
/// How long before the next look at a log that does not tell what comes.
const TURN: Duration = Duration::from_micros(500);

/// What a load measured.
#[derive(Debug)]
pub struct Figures {
    /// Payments sent.
    pub sent: u64,
    /// Outcomes, by kind.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// From the first payment to the last outcome.
    pub took: Duration,
    /// Command to outcome, in microseconds.
    pub latency: Histogram<u64>,
}

impl Figures {
    /// Payments per second, to the outcome.
    pub fn rate(&self) -> u64 {
        let outcomes: u64 = self.outcomes.values().sum();
        (u128::from(outcomes) * 1_000_000 / self.took.as_micros().max(1)) as u64
    }

    /// The figures in one paragraph.
    pub fn summary(&self) -> String {
        let at = |quantile| Duration::from_micros(self.latency.value_at_quantile(quantile));
        let kinds: Vec<_> = self.outcomes.iter().map(|(kind, many)| format!("{many} {kind}")).collect();
        format!(
            "{} payments sent, {} in {:.1?}: {} payments/s; command to outcome p50 {:.1?}, p95 {:.1?}, p99 {:.1?}, max {:.1?}",
            self.sent,
            kinds.join(", "),
            self.took,
            self.rate(),
            at(0.5),
            at(0.95),
            at(0.99),
            Duration::from_micros(self.latency.max()),
        )
    }
}

/// Sends a load and waits for every outcome.
///
/// # Errors
/// A command is not taken, or outcomes stay away.
pub fn run(
    platform: &dyn Platform,
    log: &dyn Log,
    registry: &Arc<dyn Registry>,
    plan: &Plan,
    quiet: bool,
) -> Result<Figures> {
    plan::check_run(&plan.run)?;
    let sender = Sender::new(platform, plan)?;
    let mut maker = Maker::new(plan, registry.as_ref());
    let decoder = Decoder::new(registry.clone());
    let bar = |what, len| {
        let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new(len) };
        let style =
            ProgressStyle::with_template("{msg:9} {bar:40} {percent}% {human_pos}/{human_len}, {per_sec}, {eta} left");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.with_message(what)
    };

    let mut opened = Outcomes::new(log, &ACCOUNTS_EVENTS, decoder.clone(), plan)?;
    let accounts = bar("accounts", u64::from(plan.accounts));
    for index in 0..plan.accounts {
        sender.send(maker.open(index, wall_clock()))?;
    }
    sender.settle()?;
    let ours = plan.ids("");
    opened.wait(
        u64::from(plan.accounts),
        &accounts,
        &ours,
        |decoder, record| {
            Ok(match decoder.body::<AccountEvent>(&ACCOUNTS_EVENTS, record)?.1 {
                AccountEvent::AccountOpened(opened) if !opened.system => {
                    Some((opened.account_id.to_string(), "opened"))
                }
                AccountEvent::AccountRefused(refused) if ours(refused.account_id.as_ref()) => {
                    bail!("account {} was refused: {:?}", refused.account_id, refused.reason)
                }
                _ => None,
            })
        },
        |_, _| {},
    )?;

    let mut ended = Outcomes::new(log, &TRANSACTIONS_EVENTS, decoder, plan)?;
    let funds = bar("funds", u64::from(plan.accounts));
    for index in 0..plan.accounts {
        sender.send(maker.fund(index, wall_clock()))?;
    }
    sender.settle()?;
    ended.wait(u64::from(plan.accounts), &funds, plan.ids("f"), outcome, |_, _| {})?;

    let payments = bar("payments", u64::from(plan.payments));
    let due: Mutex<HashMap<String, Instant>> = Mutex::new(HashMap::with_capacity(plan.payments as usize));
    let mut latency = Histogram::new_with_bounds(1, 3_600_000_000, 3).context("invariant: bounds of the histogram")?;
    let start = Instant::now();
    let (outcomes, took) = std::thread::scope(|scope| {
        let sending = scope.spawn(|| {
            for number in 0..plan.payments {
                let at = match plan.rate {
                    Some(rate) => start + Duration::from_micros(u64::from(number) * 1_000_000 / u64::from(rate.max(1))),
                    None => Instant::now(),
                };
                std::thread::sleep(at.saturating_duration_since(Instant::now()));
                let ready = maker.pay(number, wall_clock());
                due.lock().unwrap_or_else(PoisonError::into_inner).insert(ready.key.clone(), at);
                sender.send(ready)?;
            }
            sender.settle()
        });
        let outcomes = ended.wait(u64::from(plan.payments), &payments, plan.ids("p"), outcome, |id, seen| {
            if let Some(at) = due.lock().unwrap_or_else(PoisonError::into_inner).remove(id) {
                latency.saturating_record(seen.saturating_duration_since(at).as_micros() as u64);
            }
        });
        let took = start.elapsed();
        match sending.join() {
            Ok(sent) => sent.and(outcomes).map(|outcomes| (outcomes, took)),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })?;
    Ok(Figures { sent: u64::from(plan.payments), outcomes, took, latency })
}

/// The end of a transaction, if the event is one: its id, and what became of it.
pub fn ending(event: TransactionEvent) -> Option<(String, &'static str)> {
    use TransactionEvent as E;
    let (id, kind) = match event {
        E::TransactionCompleted(end) => (end.transaction_id, "completed"),
        E::TransactionFailed(end) => (end.transaction_id, "failed"),
        E::TransactionCancelled(end) => (end.transaction_id, "cancelled"),
        E::TransactionExpired(end) => (end.transaction_id, "expired"),
        E::TransactionOnHold(on_hold) => (on_hold.transaction_id, "on hold"),
        E::TransactionRefused(refused) => (refused.transaction_id, "refused"),
        _ => return None,
    };
    Some((id.to_string(), kind))
}

fn outcome(decoder: &Decoder, record: &Logged) -> Result<Option<(String, &'static str)>> {
    Ok(ending(decoder.body::<TransactionEvent>(&TRANSACTIONS_EVENTS, record)?.1))
}

/// Reads a topic's new records as they are committed.
struct Outcomes<'a> {
    reader: Box<dyn Follow + 'a>,
    decoder: Decoder,
    patience: Duration,
}

impl<'a> Outcomes<'a> {
    fn new(log: &'a dyn Log, topic: TopicRef, decoder: Decoder, plan: &Plan) -> Result<Self> {
        let ends = (0..log.partitions()).map(|partition| Ok(log.range(topic.name, partition)?.end));
        let reader = log.follow(topic.name, ends.collect::<Result<_>>()?)?;
        Ok(Outcomes { reader, decoder, patience: plan.patience() })
    }

    fn wait(
        &mut self,
        wanted: u64,
        bar: &ProgressBar,
        ours: impl Fn(&str) -> bool,
        outcome: impl Fn(&Decoder, &Logged) -> Result<Option<(String, &'static str)>>,
        mut seen: impl FnMut(&str, Instant),
    ) -> Result<BTreeMap<&'static str, u64>> {
        let mut outcomes = BTreeMap::new();
        let mut found = 0;
        let mut last = Instant::now();
        while found < wanted {
            let before = found;
            let records = match self.reader.next(LOOK) {
                Err(_) if last.elapsed() < self.patience => Vec::new(),
                next => next?,
            };
            let now = Instant::now();
            for (_, record) in &records {
                // Others may use the same topics meanwhile.
                if let Some((id, kind)) = outcome(&self.decoder, record)?.filter(|(id, _)| ours(id)) {
                    *outcomes.entry(kind).or_default() += 1;
                    found += 1;
                    seen(&id, now);
                }
            }
            bar.set_position(found);
            if found > before {
                last = now;
            } else if last.elapsed() > self.patience {
                bail!(
                    "{found} of {wanted} outcomes, and none for {:?}: were these ids used before? (--run names a run)",
                    self.patience
                );
            } else {
                std::thread::sleep(TURN);
            }
        }
        bar.finish_and_clear();
        Ok(outcomes)
    }
}
