//! The figures: throughput, latency at fixed rates, hot accounts, what a payment leaves behind, and ten minutes on end with a start, a
//! crash and a rebuild behind them; several rounds, in turns, on a fresh broker each. Writes a page with tables and plots.
//!
//! Settings, in the environment: `ROUNDS` (3), `RATES` (500,1000,2000,4000), `LONG` seconds (600; 0 leaves them out), `LONG_RATE`
//! (4200 payments/s: 50,000 domain events), `PAGE`, where it goes (`docs/figures.md`, its plots beside it).
//!
//! The schedule of payments is open: each counts from the moment it was due, so one that had to wait is not left out.
//! Deliberately absent: the peer (`make peer`) and PostgreSQL (`tests/postgres/run.sh`), which write their own.

mod page;
mod stage;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use page::{Line, median, plot, ratio, spread, table};
use stage::{Stage, embedded, memory};
use tributary_cli::load::{Figures, Plan};
use tributary_tests::stage::{rates, setting, size};

/// Payments before the first that is measured, and of a backlog.
const WARM: u32 = 40_000;
const BACKLOG: u32 = 40_000;
/// Payments of a backlog on the embedded driver.
const EMBEDDED: u32 = 60_000;
/// How long a rate is held.
const SECONDS: u32 = 10;
/// The exponent of the uneven draw, in hundredths: the first account is in three of four payments.
const SKEW: u32 = 200;
/// Rate at which the embedded driver's latency is measured.
const EMBEDDED_RATE: u32 = 5_000;
/// How often memory is looked at.
const LOOK: Duration = Duration::from_secs(10);

#[test]
#[ignore = "for the time that it takes, and the whole machine: `make figures`"]
fn figures() -> Result<()> {
    let rounds: u32 = setting("ROUNDS", 3)?;
    let rates = rates("500,1000,2000,4000")?;
    let place = std::env::var("PAGE")
        .map_or_else(|_| Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/figures.md"), PathBuf::from);
    let mut page = Page { place, text: head(rounds)? };
    short(&mut page, rounds, &rates)?;
    let long: u32 = setting("LONG", 600)?;
    if long > 0 {
        ten_minutes(&mut page, long, setting("LONG_RATE", 4_200)?)?;
    }
    Ok(())
}

/// What is written after every part, so that one that fails costs no other.
struct Page {
    place: PathBuf,
    text: String,
}

impl Page {
    fn add(&mut self, text: &str) -> Result<()> {
        eprintln!("{text}");
        self.text += text;
        std::fs::write(&self.place, &self.text).with_context(|| self.place.display().to_string())
    }

    /// A plot, in a file beside the page.
    fn plot(&mut self, name: &str, svg: &str) -> Result<()> {
        std::fs::write(self.place.with_file_name(format!("{name}.svg")), svg)?;
        self.add(&format!("\n![{name}]({name}.svg)\n"))
    }
}

fn head(rounds: u32) -> Result<String> {
    let cores = std::thread::available_parallelism()?;
    let memory = std::fs::read_to_string("/proc/meminfo")?;
    let total = memory.split_whitespace().nth(1).context("MemTotal")?.parse::<u64>()? / 1_048_576;
    let cpu = std::fs::read_to_string("/proc/cpuinfo")?;
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("");
    Ok(format!(
        "# Figures\n\n\
         Written by `make figures`; rounds: {rounds}, in turns, each on a fresh broker: smallest / **middle** / largest. {cores} cores \
         ({}), {total} GiB, shared with others; Apache Kafka {} on the same cores, {} partitions, everything on: views, journal, \
         idempotence, hash chains. 1,000 accounts, one payment in a hundred asks for too much, seed 1. Only what stands in one table \
         compares.\n",
        model.trim_start_matches(|c: char| c == ':' || c.is_whitespace()),
        tributary_cli::managed::kafka::VERSION,
        stage::PARTITIONS,
    ))
}

/// Of a backlog on Kafka.
#[derive(Default)]
struct Backlog {
    rate: Vec<u64>,
    cost: [Vec<u64>; 2],
}

impl Backlog {
    fn pay(&mut self, stage: &mut Stage, plan: Plan) -> Result<()> {
        let (before, payments) = (stage.used()?, u64::from(plan.payments + plan.accounts));
        let drained = stage.pay(plan)?;
        let after = stage.used()?;
        self.rate.push(drained.rate());
        for of in [0, 1] {
            self.cost[of].push((after[of] - before[of]).as_micros() as u64 / payments);
        }
        Ok(())
    }

    fn row(&self, name: &str, than: &Backlog) -> Vec<String> {
        let [broker, own] = &self.cost;
        let times = ratio(median(&self.rate), median(&than.rate));
        vec![name.to_owned(), spread(&self.rate), times, spread(broker), spread(own)]
    }
}

const QUANTILES: [f64; 4] = [0.5, 0.95, 0.99, 0.999];

fn quantiles(figures: &Figures) -> [u64; 4] {
    QUANTILES.map(|quantile| figures.latency.value_at_quantile(quantile) / 1_000)
}

fn short(page: &mut Page, rounds: u32, rates: &[u32]) -> Result<()> {
    let [mut even, mut skewed, mut apart] = <[Backlog; 3]>::default();
    let mut at: Vec<[Vec<u64>; 4]> = rates.iter().map(|_| Default::default()).collect();
    let (mut alone, mut alone_skewed, mut alone_at) = (Vec::new(), Vec::new(), <[Vec<u64>; 4]>::default());
    let mut left = (0, String::new());
    let uneven = |plan: Plan| Plan { skew: SKEW, ..plan };
    let backlog = || Plan { payments: BACKLOG, ..Plan::default() };
    for round in 0..rounds {
        eprintln!("round {round}");
        let folder = tempfile::tempdir()?;
        let mut stage = Stage::start(folder.path(), &[], WARM)?;
        even.pay(&mut stage, backlog())?;
        skewed.pay(&mut stage, uneven(backlog()))?;
        left = leaves(&stage, u64::from(WARM + 2 * BACKLOG))?;
        for (rate, found) in rates.iter().zip(&mut at) {
            let paid = stage.pay(Plan { payments: rate * SECONDS, rate: Some(*rate), ..Plan::default() })?;
            found.iter_mut().zip(quantiles(&paid)).for_each(|(all, one)| all.push(one));
        }
        drop(stage);
        let folder = tempfile::tempdir()?;
        let mut stage = Stage::start(folder.path(), &["--fuse", "false"], WARM / 4)?;
        apart.pay(&mut stage, Plan { payments: BACKLOG / 2, ..Plan::default() })?;
        drop(stage);
        let many = || Plan { payments: EMBEDDED, ..Plan::default() };
        alone.push(embedded(many())?.rate());
        alone_skewed.push(embedded(uneven(many()))?.rate());
        let on_time =
            embedded(Plan { payments: EMBEDDED_RATE * SECONDS, rate: Some(EMBEDDED_RATE), ..Plan::default() })?;
        alone_at.iter_mut().zip(quantiles(&on_time)).for_each(|(all, one)| all.push(one));
    }
    let rows = [
        even.row("even", &even),
        skewed.row("Zipf 2.0: one account in most payments", &even),
        apart.row("even, every hop a transaction of its own (`--fuse false`)", &even),
    ];
    page.add(&format!(
        "\n## A backlog on Kafka\n\n{BACKLOG} payments at once behind {WARM}: `tributary up --kafka`, `tributary load --payments {BACKLOG}` \
         (`--skew {SKEW}`). Processor in us a payment, accounts with it.\n\n{}",
        table(&["accounts", "payments/s", "times", "broker", "own"], &rows)
    ))?;
    let rows: Vec<Vec<String>> = rates
        .iter()
        .zip(&at)
        .map(|(rate, found)| std::iter::once(rate.to_string()).chain(found.iter().map(|all| spread(all))).collect())
        .collect();
    page.add(&format!(
        "\n## Command to outcome on Kafka\n\nMilliseconds at a rate that is held for {SECONDS} s: `tributary load --rate …`.\n\n{}",
        table(&["payments/s", "p50", "p95", "p99", "p99.9"], &rows)
    ))?;
    let line = |name, of: usize| Line {
        name,
        points: rates.iter().zip(&at).map(|(rate, found)| (u64::from(*rate), median(&found[of]))).collect(),
    };
    let lines = [line("p50", 0), line("p99", 2), line("p99.9", 3)];
    page.plot("latency", &plot("Command to outcome on Kafka, medians", "payments/s", "ms", &lines))?;
    let mut rows = vec![
        vec!["at once, even".to_owned(), spread(&alone), ratio(median(&alone), median(&alone))],
        vec!["at once, Zipf 2.0".to_owned(), spread(&alone_skewed), ratio(median(&alone_skewed), median(&alone))],
    ];
    let of_rate: Vec<String> = alone_at.iter().map(|all| spread(all)).collect();
    rows.push(vec![format!("p50, p95, p99, p99.9 in ms at {EMBEDDED_RATE}/s"), of_rate.join("; "), String::new()]);
    page.add(&format!(
        "\n## Embedded, synced to disk\n\n{EMBEDDED} payments: `tributary load --payments {EMBEDDED}`.\n\n{}",
        table(&["", "payments/s", "times"], &rows)
    ))?;
    let (sum, rows) = left;
    page.add(&format!(
        "\n## What a payment leaves\n\nBytes in Kafka, of {} payments and their accounts: {sum} a payment.\n\n{rows}",
        WARM + 2 * BACKLOG
    ))
}

/// Bytes a payment by topic, with what each is for.
fn leaves(stage: &Stage, payments: u64) -> Result<(u64, String)> {
    let bytes = stage.bytes()?;
    let mut rows: Vec<(u64, String)> = bytes.iter().map(|(topic, bytes)| (bytes / payments, topic.clone())).collect();
    rows.sort_by(|a, b| b.cmp(a));
    let reason = |topic: &str| match topic {
        _ if topic.ends_with(".changelog.v1") => {
            "what the node's state became: a process that has lost its disk reads it"
        }
        _ if topic.starts_with("node-") => "which inputs an epoch took, and when: a replay takes the same",
        _ if topic.contains(".commands.") => "what was asked for",
        "__transaction_state" => "Kafka's own: transactions begun and ended",
        "__consumer_offsets" => "Kafka's own: positions, by which a process that lost its place is fenced",
        _ if topic.starts_with("__") => "Kafka's own",
        _ => "facts, for everybody",
    };
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .filter(|(bytes, _)| *bytes > 0)
        .map(|(bytes, topic)| vec![format!("`{topic}`"), bytes.to_string(), reason(&topic).to_owned()])
        .collect();
    Ok((bytes.values().sum::<u64>() / payments, table(&["topic", "bytes", "why"], &rows)))
}

/// A rate held for long, and what comes after: the same backlog as before, starts, and a rebuild.
fn ten_minutes(page: &mut Page, seconds: u32, rate: u32) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut stage = Stage::start(folder.path(), &[], WARM)?;
    let backlog = || Plan { payments: BACKLOG, ..Plan::default() };
    let (few, before) = (stage.pay(backlog())?.rate(), stage.bytes()?);
    let process = stage.node()?.id();
    let looks = std::thread::spawn(move || {
        let (since, mut found) = (Instant::now(), Vec::new());
        while since.elapsed() < Duration::from_secs(seconds.into()) {
            found.push((since.elapsed().as_secs(), memory(process)?));
            std::thread::sleep(LOOK);
        }
        Ok::<_, anyhow::Error>(found)
    });
    let held = stage.pay(Plan { payments: rate * seconds, rate: Some(rate), ..Plan::default() })?;
    let [p50, p95, p99, p999] = quantiles(&held);
    let memory = looks.join().map_err(|_| anyhow::anyhow!("looking at memory"))??;
    let written = (stage.bytes()?.values().sum::<u64>() - before.values().sum::<u64>()) / 1_048_576;
    let at = |share: usize| memory.get(memory.len() * share / 100).or(memory.last()).map_or(0, |look| look.1);
    let many = stage.pay(backlog())?.rate();
    let entries = 2 * u64::from(rate * seconds);
    page.add(&format!(
        "\n## {seconds} seconds on end\n\n`tributary load --rate {rate} --payments {}`: {} domain events a second. The last outcome came \
         {} s after the last payment was due; p50 {p50}, p95 {p95}, p99 {p99}, p99.9 {p999} ms. Memory of the process at a tenth, half and the end: {}, \
         {} and {} MiB. {written} MiB in Kafka.\n\nA backlog of {BACKLOG} before it, and behind it with {entries} entries more in the ledger: {few} and \
         {many} payments/s, {} times.\n",
        rate * seconds,
        rate * 12,
        held.took.saturating_sub(Duration::from_secs(seconds.into())).as_secs(),
        at(10),
        at(50),
        at(100),
        ratio(many, few),
    ))?;
    page.plot("memory", &plot("Memory of the process", "s", "MiB", &[Line { name: "resident", points: memory }]))?;
    let stores = size(&stage.data(), None);
    stage.node.take().context("it runs")?.stop();
    let clean = stage.up()?;
    stage.node()?.kill9();
    let killed = stage.up()?;
    stage.node.take().context("it runs")?.stop();
    std::fs::remove_dir_all(stage.data())?;
    let rebuilt = stage.up()?;
    page.add(&format!(
        "\nStarted again on {} MiB of stores, until every query is answered: {} ms after a clean stop, {} ms after kill -9; with the stores deleted, {} ms \
         ({} MiB/s).\n",
        stores / 1_048_576,
        clean.as_millis(),
        killed.as_millis(),
        rebuilt.as_millis(),
        stores * 1_000 / 1_048_576 / (rebuilt.as_millis() as u64).max(1),
    ))
}
