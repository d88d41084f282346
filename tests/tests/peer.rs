//! Payments per second and their latency beside the same saga in Kafka Streams (`tests/peer`), in turns and each on a fresh
//! broker of its own: A B A B, for a machine is never as fast as it was. One process each, ours with the views and the API on,
//! which the peer has not. Prints a table, and writes it to `REPORT` where that names a file.
//!
//! Settings, in the environment: `ROUNDS` (3), `WARM` payments that nobody measures (30,000), `BACKLOG` payments at once
//! (20,000), `RATES`, and `PEER`, more words for its `run.sh`.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tributary_cli::kafka::client;
use tributary_cli::load::{self, Figures, Plan};
use tributary_cli::managed::free_port;
use tributary_cli::managed::process::{Process, Program};
use tributary_tests::cpu;
use tributary_tests::stage::{broker, rates, setting};

const PROGRAM: &str = env!("CARGO_BIN_EXE_tributary-under-test");
const PARTITIONS: u32 = 4;
/// How long either may take until it runs.
const READY: Duration = Duration::from_secs(180);
/// How long payments are measured at a rate, in seconds.
const SECONDS: u32 = 20;
/// Where an open loop is said to be kept up with.
const KEPT_UP_MS: u64 = 500;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Peer,
    Ours,
}

/// What one turn measured.
struct Turn {
    who: Who,
    drained: u64,
    /// Microseconds of the processor for each payment of the backlog, its accounts with it: the broker's, and the contestant's.
    cost: [u64; 2],
    /// At each rate: p50 and p99, in milliseconds.
    at: Vec<(u32, u64, u64)>,
}

#[test]
#[ignore = "for the time that it takes, and the whole machine: `make peer`"]
fn beside_kafka_streams() -> Result<()> {
    let rounds: u32 = setting("ROUNDS", 3)?;
    let mut turns = Vec::new();
    for round in 0..rounds {
        for who in [Who::Peer, Who::Ours] {
            let folder = tempfile::tempdir()?;
            let turn = turn(who, folder.path()).with_context(|| format!("{who:?}, round {round}"))?;
            eprintln!("  {}", turn.row());
            turns.push(turn);
        }
    }
    let page = page(&turns);
    eprintln!("{page}");
    if let Ok(report) = std::env::var("REPORT") {
        std::fs::write(&report, page).with_context(|| report)?;
    }
    Ok(())
}

fn turn(who: Who, folder: &Path) -> Result<Turn> {
    let (kafka, config) = broker(folder, PARTITIONS)?;
    let contestant = start(who, &kafka.bootstrap, folder)?;
    let running = client(&config)?;
    let pay = |run: &str, payments: u32, rate: Option<u32>| -> Result<Figures> {
        let plan = Plan { run: run.to_owned(), payments, rate, patience: 180, ..Plan::default() };
        let figures = load::run(running.platform.as_ref(), running.log.as_ref(), &running.registry, &plan, true)?;
        ensure!(contestant.ended().is_none(), "it has ended");
        Ok(figures)
    };
    pay("warm", setting("WARM", 30_000)?, None)?;
    let used = || -> Result<[Duration; 2]> { Ok([cpu::time(kafka.id())?, cpu::time(contestant.id())?]) };
    let (before, backlog) = (used()?, setting("BACKLOG", 20_000)?);
    let drained = pay("backlog", backlog, None)?;
    let after = used()?;
    let cost = [0, 1].map(|of| (after[of] - before[of]).as_micros() as u64 / u64::from(backlog));
    let mut at = Vec::new();
    for rate in rates("200,400,800,1200")? {
        let figures = pay(&format!("at{rate}"), rate * SECONDS, Some(rate))?;
        let ms = |quantile| figures.latency.value_at_quantile(quantile) / 1_000;
        at.push((rate, ms(0.5), ms(0.99)));
        if ms(0.99) > 4 * KEPT_UP_MS {
            break; // It will not be better where more is asked for.
        }
    }
    (running.stop)();
    contestant.stop();
    Ok(Turn { who, drained: drained.rate(), cost, at })
}

fn start(who: Who, brokers: &str, folder: &Path) -> Result<Process> {
    let (partitions, data) = (PARTITIONS.to_string(), folder.join("data"));
    let own = match who {
        Who::Ours => vec!["up".to_owned(), "--http".to_owned(), format!("127.0.0.1:{}", free_port()?)],
        Who::Peer => std::env::var("PEER").unwrap_or_default().split_whitespace().map(str::to_owned).collect(),
    };
    let (path, store, ready) = match who {
        Who::Ours => (PROGRAM.into(), "--data", "Tributary is up"),
        Who::Peer => (Path::new(env!("CARGO_MANIFEST_DIR")).join("peer/run.sh"), "--state", "ready"),
    };
    let common = ["--brokers", brokers, "--partitions", &partitions, store];
    let arguments = own.iter().map(Into::into).chain(common.map(Into::into)).chain([data.into()]).collect();
    let (log, pid_file) = (folder.join("contestant.log"), folder.join("contestant.pid"));
    let process = Process::start(Program { name: "a contestant", path, arguments, log, pid_file })?;
    process.wait_until(READY, || process.logged(ready))?;
    Ok(process)
}

impl Turn {
    fn row(&self) -> String {
        let at: Vec<_> = self.at.iter().map(|(rate, p50, p99)| format!("{rate}/s: {p50} / {p99}")).collect();
        let [broker, own] = self.cost;
        format!("| {:?} | {} | {broker} / {own} | {} |", self.who, self.drained, at.join(", "))
    }

    /// The highest rate that was kept up with.
    fn kept_up(&self) -> u64 {
        self.at.iter().filter(|(_, _, p99)| *p99 < KEPT_UP_MS).map(|(rate, ..)| u64::from(*rate)).max().unwrap_or(0)
    }
}

fn page(turns: &[Turn]) -> String {
    let mut page = String::from(
        "| who | payments/s of a backlog | processor, us per payment, broker / own | p50 / p99 ms at a rate |\n\
         | --- | --- | --- | --- |\n",
    );
    for turn in turns {
        page += &format!("{}\n", turn.row());
    }
    let median = |who, figure: fn(&Turn) -> u64| {
        let mut figures: Vec<u64> = turns.iter().filter(|turn| turn.who == who).map(figure).collect();
        figures.sort_unstable();
        figures.get(figures.len() / 2).copied().unwrap_or(0)
    };
    for (what, figure) in [
        ("payments/s of a backlog", (|turn| turn.drained) as fn(&Turn) -> u64),
        ("payments/s with p99 under 500 ms, of the rates tried", Turn::kept_up),
    ] {
        let (peer, ours) = (median(Who::Peer, figure), median(Who::Ours, figure));
        let percent = 100 * ours / peer.max(1);
        page += &format!("\nMedians, {what}: ours {ours} and the peer's {peer}, {percent} %\n");
    }
    page
}
