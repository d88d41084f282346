//! How long a payment waits for the loss of a process with much state, or of the only broker: one at a time, on a machine that
//! does nothing else, with and without standbys, under the session timeout that brokers allow by default and a lower one.
//!
//! Without a standby the stores of those who take over are deleted before each kill: otherwise they might be left from
//! an earlier time, and nearly as good as a standby's.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tributary_cli::config::Config;
use tributary_cli::kafka::apply;
use tributary_cli::wiring::wall_clock;
use tributary_flow::Timestamp;
use tributary_tests::recovery::tool_succeeds;

use crate::brokers::Brokers;
use crate::figures::{next, quantiles};
use crate::fleet::Fleet;
use crate::plan::PROCESSES;
use crate::watch::Watch;
use crate::{PARTITIONS, RATE, client, machine, setting, wrapped};

/// State of all tasks together, in MB.
const STATE_MB: u64 = 1_000;
/// Payments at a time until there is as much.
const PAYMENTS: u32 = 50_000;
/// How long a fleet may take until it runs everything and has little left to do.
const SETTLED: Duration = Duration::from_secs(300);
/// What a fleet under a steady load has to do at any time, in records of a task.
const LITTLE: u64 = 500;
/// How long a payment may wait.
const LONGEST: Duration = Duration::from_secs(120);
/// How long all is left alone before the next kill: standbys have long caught up.
const CALM: Duration = Duration::from_secs(5);
/// How long standbys may take to read all there is, which nobody is told.
const STANDBYS: Duration = Duration::from_secs(120);
/// How long a payment may wait for a process that is killed while a broker is away.
const AWAY: Duration = Duration::from_secs(30);
/// How long the broker is down.
const DOWN: Duration = Duration::from_secs(1);

/// A way to run a fleet.
struct Way {
    standby: bool,
    session_ms: u64,
    kills: usize,
}

const WAYS: [Way; 4] = [
    Way { standby: true, session_ms: 6_000, kills: 8 },
    Way { standby: true, session_ms: 1_500, kills: 8 },
    Way { standby: false, session_ms: 6_000, kills: 4 },
    Way { standby: false, session_ms: 1_500, kills: 4 },
];

/// Kills of the only broker.
const BROKER_KILLS: usize = 4;

#[test]
#[ignore = "for the time that it takes to write a gigabyte of state and to get over its loss: `make takeover`"]
fn a_gigabyte_of_state_is_taken_over() -> Result<()> {
    let _machine = machine();
    let folder = tempfile::Builder::new().prefix("tributary-takeover-").tempdir()?;
    let program = wrapped(folder.path())?;
    let brokers = Brokers::start(1, folder.path())?;
    let config = Config { brokers: Some(brokers.bootstrap.clone()), partitions: PARTITIONS, ..Config::default() };
    apply(&config, 1)?;
    let mut fleet = Fleet::new(&program, folder.path(), &brokers)?;
    fleet.rest(PARTITIONS as usize, SETTLED)?;
    fill(&program, &brokers.bootstrap, &fleet)?;
    let watch = Watch::start(&brokers.bootstrap, PARTITIONS)?;
    let rate = RATE.to_string();
    let wanted = ["--run", "steady", "--accounts", "200", "--payments", "10000000", "--rate", &rate];
    let _client = client(&program, folder.path(), &brokers.bootstrap, &wanted)?;
    let mut trial = Trial { brokers, fleet, watch };
    for way in &WAYS {
        trial.way(way)?;
    }
    trial.broker()
}

/// The coordinator alone says whose the partitions are: a broker that is away for long delays nobody.
#[test]
fn a_process_is_taken_over_while_a_broker_stays_away() -> Result<()> {
    let _machine = machine();
    let folder = tempfile::Builder::new().prefix("tributary-away-").tempdir()?;
    let program = wrapped(folder.path())?;
    let mut brokers = Brokers::start(3, folder.path())?;
    let config = Config { brokers: Some(brokers.bootstrap.clone()), partitions: PARTITIONS, ..Config::default() };
    apply(&config, 3)?;
    let mut fleet = Fleet::new(&program, folder.path(), &brokers)?;
    fleet.rest(PARTITIONS as usize, SETTLED)?;
    let watch = Watch::start(&brokers.bootstrap, PARTITIONS)?;
    let wanted = ["--run", "steady", "--accounts", "200", "--payments", "10000000", "--rate", "50"];
    let _client = client(&program, folder.path(), &brokers.bootstrap, &wanted)?;
    brokers.kill9(2, LONGEST * 2);
    fleet.settle(PARTITIONS as usize, LITTLE, SETTLED)?;
    let mut trial = Trial { brokers, fleet, watch };
    trial.next(wall_clock(), &(0..PARTITIONS).collect())?;
    for kill in 0..2 {
        let (victim, owned) = trial.victim(kill)?;
        let at = wall_clock();
        ensure!(trial.fleet.kill9(victim, LONGEST), "slot-{victim} does not run");
        let took = trial.next(at, &owned)?;
        eprintln!("  slot-{victim} with {owned:?}, a broker away: the next payment after {took:.1?}");
        ensure!(took.iter().all(|took| *took < AWAY), "it took {took:?}");
        trial.fleet.start(victim)?;
        trial.settle()?;
    }
    Ok(())
}

/// Pays until there is as much state as was asked for.
fn fill(program: &Path, brokers: &str, fleet: &Fleet) -> Result<()> {
    let (since, wanted) = (Instant::now(), setting("STATE_MB", STATE_MB)? * 1_000_000);
    for run in 0.. {
        let size: u64 = fleet.folders().map(size).sum();
        eprintln!("  {} payments, {} MB of state after {:.0?}", run * PAYMENTS, size / 1_000_000, since.elapsed());
        if size >= wanted {
            break;
        }
        let (run, payments) = (format!("fill{run}"), PAYMENTS.to_string());
        tool_succeeds(program, &["load", "--brokers", brokers, "--run", &run, "--payments", &payments])?;
    }
    Ok(())
}

/// Bytes of the files of a folder.
fn size(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = files.map(|file| match file.metadata() {
        Ok(data) if data.is_dir() => size(&file.path()),
        Ok(data) => data.len(),
        Err(_) => 0, // The store has just deleted it.
    });
    sizes.sum()
}

struct Trial {
    brokers: Brokers,
    fleet: Fleet,
    watch: Watch,
}

impl Trial {
    fn way(&mut self, Way { standby, session_ms, kills }: &Way) -> Result<()> {
        let own = [("--standby", standby.to_string()), ("--session-timeout-ms", session_ms.to_string())];
        self.fleet.arguments = own.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect();
        eprintln!("standby {standby}, session timeout {session_ms} ms:");
        let (mut first, mut each, mut rebuilt) = (Vec::new(), Vec::new(), Vec::new());
        self.fleet.stop()?;
        self.settle()?;
        if *standby {
            std::thread::sleep(STANDBYS);
        }
        for kill in 0..*kills {
            if !standby {
                rebuilt.push(self.rebuild()?);
            }
            std::thread::sleep(CALM);
            let (victim, owned) = self.victim(kill)?;
            let at = wall_clock();
            ensure!(self.fleet.kill9(victim, LONGEST * 2), "slot-{victim} does not run");
            let took = self.next(at, &owned)?;
            eprintln!("  slot-{victim} with {owned:?}: the next payment after {took:.1?}");
            first.extend(took.iter().min());
            each.extend(took);
            self.fleet.start(victim)?;
            self.settle()?;
        }
        eprintln!("  the next payment of any of its partitions: {}", quantiles(&mut first));
        eprintln!("  the next payment of each of them: {}", quantiles(&mut each));
        if !standby {
            let speeds: Vec<_> = rebuilt.iter().map(u64::to_string).collect();
            eprintln!("  all of it rebuilt from the changelogs by three processes at once: {} MB/s", speeds.join(", "));
        }
        Ok(())
    }

    /// The broker is killed and started again.
    fn broker(&mut self) -> Result<()> {
        let (mut each, all) = (Vec::new(), (0..PARTITIONS).collect());
        for _ in 0..BROKER_KILLS {
            std::thread::sleep(CALM);
            let at = wall_clock();
            ensure!(self.brokers.kill9(0, DOWN), "the broker does not run");
            let took = self.next(at, &all)?;
            eprintln!("  the broker: the next payment of each partition after {took:.1?}");
            each.extend(took);
            self.settle()?;
        }
        eprintln!("the only broker, down for {DOWN:?}: {}", quantiles(&mut each));
        Ok(())
    }

    /// Everything runs, and only what comes is left to do.
    fn settle(&mut self) -> Result<()> {
        self.fleet.settle(PARTITIONS as usize, LITTLE, SETTLED)
    }

    /// Every store is made anew; MB of state per second, until everything runs.
    fn rebuild(&mut self) -> Result<u64> {
        self.fleet.stop()?;
        for data in self.fleet.folders() {
            std::fs::remove_dir_all(data)?;
        }
        let since = Instant::now();
        self.settle()?;
        let size: u64 = self.fleet.folders().map(size).sum();
        eprintln!("  {} MB of state made anew in {:.1?}", size / 1_000_000, since.elapsed());
        Ok(size / 1_000 / since.elapsed().as_millis().max(1) as u64)
    }

    /// The next process that runs something.
    fn victim(&self, kill: usize) -> Result<(usize, BTreeSet<u32>)> {
        let found = (0..PROCESSES).map(|process| (process + kill) % PROCESSES);
        let mut owned = found.map(|process| (process, self.fleet.owned(process)));
        owned.find(|(_, owned)| !owned.is_empty()).ok_or_else(|| anyhow::anyhow!("nothing runs"))
    }

    /// From then to the next payment of each of these partitions.
    fn next(&mut self, at: Timestamp, partitions: &BTreeSet<u32>) -> Result<Vec<Duration>> {
        let since = Instant::now();
        loop {
            let took = self.watch.look(|seen| next(seen, at, partitions));
            if took.len() == partitions.len() {
                return Ok(took);
            }
            ensure!(since.elapsed() < LONGEST, "only {took:?} of {partitions:?} after {LONGEST:?}");
            self.fleet.tend()?;
            self.brokers.tend()?;
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
