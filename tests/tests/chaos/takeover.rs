//! How long a payment waits for the loss of a process with much state, or of the only broker: one at a time, on a machine that
//! does nothing else, with and without standbys, under the session timeout that brokers allow by default and a lower one.
//!
//! Without a standby the stores of those who take over are deleted before each kill: otherwise they might be left from
//! an earlier time, and nearly as good as a standby's. No kill then waits for views, which nobody who pays waits for: they are
//! being restored all the while, beside what is taken over.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tributary_cli::managed::kafka::Lifetime;
use tributary_cli::managed::process::Process;
use tributary_cli::wiring::wall_clock;
use tributary_flow::Timestamp;
use tributary_tests::recovery::tool_succeeds;
use tributary_tests::stage::size;

use crate::cluster::{Cluster, in_folder};
use crate::figures::{next, quantiles};
use crate::plan::PROCESSES;
use crate::{PARTITIONS, RATE, machine, setting};

/// State of all tasks together, in MB.
const STATE_MB: u64 = 1_000;
/// Payments at a time until there is as much.
const PAYMENTS: u32 = 50_000;
/// How long a fleet may take until it runs everything and has little left to do.
const SETTLED: Duration = Duration::from_secs(600);
/// What a fleet under a steady load has to do at any time, in records of a task.
const LITTLE: u64 = 500;
/// How long a payment may wait.
const LONGEST: Duration = Duration::from_secs(120);
/// How long all is left alone before the next kill, in which standbys read what came last.
const CALM: Duration = Duration::from_secs(5);
/// How long a broker is away that does not come back.
const FOR_GOOD: Duration = Duration::from_secs(86_400);
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
    in_folder(|folder| {
        let mut trial = Trial::start(folder, 1, Lifetime::Hours, fill)?;
        WAYS.iter().try_for_each(|way| trial.way(way))?;
        trial.rebuild()?;
        trial.broker()
    })
}

/// The coordinator alone says whose the partitions are: a broker that is away for long delays nobody.
#[test]
fn a_process_is_taken_over_while_a_broker_stays_away() -> Result<()> {
    let _machine = machine();
    in_folder(|folder| {
        let kill = |cluster: &mut Cluster| {
            ensure!(cluster.brokers.kill9(2, FOR_GOOD), "the broker does not run");
            Ok(())
        };
        let mut trial = Trial::start(folder, 3, Lifetime::Minutes, kill)?;
        trial.settle()?;
        trial.next(wall_clock(), &(0..PARTITIONS).collect())?;
        for kill in 0..2 {
            let took = trial.kill(kill)?;
            ensure!(took.iter().all(|took| *took < AWAY), "it took {took:?}");
        }
        Ok(())
    })
}

/// Pays until there is as much state as was asked for.
fn fill(cluster: &mut Cluster) -> Result<()> {
    let (since, wanted) = (Instant::now(), setting("STATE_MB", STATE_MB)? * 1_000_000);
    for run in 0.. {
        let size: u64 = cluster.fleet.folders().map(|folder| size(folder, None)).sum();
        eprintln!("  {} payments, {} MB of state after {:.0?}", run * PAYMENTS, size / 1_000_000, since.elapsed());
        if size >= wanted {
            break;
        }
        let (run, payments) = (format!("fill{run}"), PAYMENTS.to_string());
        let wanted = ["load", "--brokers", &cluster.brokers.bootstrap, "--run", &run, "--payments", &payments];
        tool_succeeds(&cluster.program, &wanted)?;
    }
    Ok(())
}

/// A cluster whose client pays without an end.
struct Trial {
    client: Process,
    cluster: Cluster,
}

impl Trial {
    /// A cluster at rest to which this happens, and then a client pays.
    fn start(
        folder: &Path,
        brokers: usize,
        lifetime: Lifetime,
        first: impl FnOnce(&mut Cluster) -> Result<()>,
    ) -> Result<Self> {
        let mut cluster = Cluster::start(folder, brokers, lifetime)?;
        cluster.fleet.rest(PARTITIONS as usize, SETTLED)?;
        first(&mut cluster)?;
        Ok(Trial { client: cluster.client(10_000_000, RATE)?, cluster })
    }

    fn way(&mut self, Way { standby, session_ms, kills }: &Way) -> Result<()> {
        let own = [("--standby", standby.to_string()), ("--session-timeout-ms", session_ms.to_string())];
        self.cluster.fleet.arguments = own.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect();
        eprintln!("standby {standby}, session timeout {session_ms} ms:");
        let (mut first, mut each) = (Vec::new(), Vec::new());
        self.cluster.fleet.stop()?;
        self.settle()?;
        for kill in 0..*kills {
            if *standby {
                self.cluster.fleet.stand_by(LITTLE, SETTLED)?;
            } else {
                self.forget()?;
                self.cluster.fleet.pay(PARTITIONS as usize, LITTLE, SETTLED)?;
            }
            std::thread::sleep(CALM);
            let took = self.kill(kill)?;
            first.extend(took.iter().min());
            each.extend(took);
        }
        eprintln!("  the next payment of any of its partitions: {}", quantiles(&mut first));
        eprintln!("  the next payment of each of them: {}", quantiles(&mut each));
        Ok(())
    }

    /// Kills a process that runs something; how long the next payment of each of its partitions took.
    fn kill(&mut self, kill: usize) -> Result<Vec<Duration>> {
        let (victim, owned) = self.victim(kill)?;
        let at = wall_clock();
        ensure!(self.cluster.fleet.kill9(victim, LONGEST * 2), "slot-{victim} does not run");
        let took = self.next(at, &owned)?;
        eprintln!("  slot-{victim} with {owned:?}: the next payment after {took:.1?}");
        self.cluster.fleet.start(victim)?;
        self.cluster.fleet.pay(PARTITIONS as usize, LITTLE, SETTLED)?;
        Ok(took)
    }

    /// The broker is killed and started again.
    fn broker(&mut self) -> Result<()> {
        let (mut each, all) = (Vec::new(), (0..PARTITIONS).collect());
        for _ in 0..BROKER_KILLS {
            std::thread::sleep(CALM);
            let at = wall_clock();
            ensure!(self.cluster.brokers.kill9(0, DOWN), "the broker does not run");
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
        self.cluster.fleet.settle(PARTITIONS as usize, LITTLE, SETTLED)
    }

    /// Deletes every store.
    fn forget(&mut self) -> Result<()> {
        self.cluster.fleet.stop()?;
        self.cluster.fleet.folders().try_for_each(|data| Ok(std::fs::remove_dir_all(data)?))
    }

    /// Every store is made anew, until everything runs and has read what came meanwhile.
    fn rebuild(&mut self) -> Result<()> {
        self.forget()?;
        let since = Instant::now();
        self.settle()?;
        let (size, took) =
            (self.cluster.fleet.folders().map(|folder| size(folder, None)).sum::<u64>(), since.elapsed());
        let (mb, speed) = (size / 1_000_000, size / 1_000 / took.as_millis().max(1) as u64);
        eprintln!("{mb} MB of state made anew from its changelogs by three processes in {took:.0?}: {speed} MB/s");
        Ok(())
    }

    /// The next process that runs something.
    fn victim(&self, kill: usize) -> Result<(usize, BTreeSet<u32>)> {
        let found = (0..PROCESSES).map(|process| (process + kill) % PROCESSES);
        let mut owned = found.map(|process| (process, self.cluster.fleet.owned(process)));
        owned.find(|(_, owned)| !owned.is_empty()).ok_or_else(|| anyhow::anyhow!("nothing runs"))
    }

    /// From then to the next payment of each of these partitions.
    fn next(&mut self, at: Timestamp, partitions: &BTreeSet<u32>) -> Result<Vec<Duration>> {
        let Trial { client, cluster } = self;
        let (mut took, mut tended) = (Vec::new(), Ok(()));
        let paid = client.wait_until(LONGEST, || {
            took = cluster.watch.look(|seen| next(seen, at, partitions));
            tended = cluster.fleet.tend().and_then(|()| cluster.brokers.tend());
            took.len() == partitions.len() || tended.is_err()
        });
        tended?;
        paid.with_context(|| format!("only {took:?} of {partitions:?}"))?;
        Ok(took)
    }
}
