//! Chaos: three processes on a real Apache Kafka, a client that pays at a steady rate from a process of its own, and faults all the
//! while: processes and brokers killed alone and together, a process frozen past its session, cut off, out of disk. Then the
//! faults end, everything must drain, and every payment that the client sent has one outcome, no law is broken, and a
//! replay makes the same.
//!
//! What happens, when and to whom is drawn from one seed, which is printed. Settings, in the environment:
//! `TRIBUTARY_CHAOS_SECONDS` (45 for each cluster, two minutes with all that is around them; `make chaos` takes 600),
//! `TRIBUTARY_CHAOS_SEED`, `TRIBUTARY_CHAOS_RATE`, the payments per second, and `TRIBUTARY_CHAOS_STATE_MB` of [`takeover`].

mod brokers;
mod cluster;
mod disk;
mod figures;
mod fleet;
mod leaderless;
mod plan;
mod proxy;
mod takeover;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tributary_cli::managed::kafka::Lifetime;
use tributary_cli::managed::process::Process;
use tributary_cli::wiring::wall_clock;
use tributary_tests::recovery::{Node, audit, verify};
use tributary_tests::stage;

use cluster::{Cluster, in_folder, sent};
use disk::Disk;
use figures::Event;
use fleet::Fleet;
use plan::{Cut, Fault, ON_SMALL_DISK, Weather};
use watch::Seen;

const PARTITIONS: u32 = 4;
const ACCOUNTS: u32 = 200;
/// Payments per second.
const RATE: u64 = 100;
/// How long everything may take to drain once the faults have ended.
const DRAIN: Duration = Duration::from_secs(120);
/// How long everything may take until the first payment is sent.
const SETUP: Duration = Duration::from_secs(90);
const TURN: Duration = Duration::from_millis(10);

/// One cluster at a time.
fn machine() -> MutexGuard<'static, ()> {
    static MACHINE: Mutex<()> = Mutex::new(());
    MACHINE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn a_storm_over_one_broker() -> Result<()> {
    run(1, Weather::Storm)
}

#[test]
fn a_storm_over_three_brokers() -> Result<()> {
    run(3, Weather::Storm)
}

#[test]
#[ignore = "for the time that it takes to get over a fault, which takes long to measure: `make chaos`"]
fn one_fault_at_a_time() -> Result<()> {
    run(1, Weather::Calm)
}

/// A setting of this test.
fn setting(name: &str, default: u64) -> Result<u64> {
    stage::setting(&format!("TRIBUTARY_CHAOS_{name}"), default)
}

fn run(brokers: usize, weather: Weather) -> Result<()> {
    let _machine = machine();
    let length = Duration::from_secs(setting("SECONDS", 45)?);
    let (seed, rate) = (setting("SEED", wall_clock().0.unsigned_abs() / 1_000_000)?, setting("RATE", RATE)?);
    eprintln!("{weather:?} over {brokers} brokers: TRIBUTARY_CHAOS_SEED={seed}, {length:?}, {rate} payments/s");
    let through = |folder: &Path| {
        let run = Run::start(folder, brokers, rate * length.as_secs(), rate)?;
        run.through(&plan::plan(seed, weather, length, brokers), length, weather.least_kills(length))
    };
    in_folder(through).with_context(|| format!("{brokers} brokers, seed {seed}"))
}

/// A cluster, its client, and what is done to them.
struct Run {
    // Processes and the client end before the brokers do.
    client: Process,
    cluster: Cluster,
    /// Of the second process.
    disk: Disk,
    events: Vec<Event>,
    /// What is to be mended, and when.
    undo: Vec<(Instant, Fault)>,
}

impl Run {
    /// Starts everything, up to the first payments.
    fn start(folder: &Path, brokers: usize, payments: u64, rate: u64) -> Result<Self> {
        let begun = Instant::now();
        let mut cluster = Cluster::start(folder, brokers, Lifetime::Minutes)?;
        let disk = Disk::new(cluster.fleet.folder(ON_SMALL_DISK))?;
        cluster.fleet.rest(PARTITIONS as usize, SETUP)?;
        let client = cluster.client(payments, rate)?;
        eprintln!("  started after {:.1?}", begun.elapsed());
        Ok(Run { client, disk, cluster, events: Vec::new(), undo: Vec::new() })
    }

    /// Lets the faults happen, then everything drain, and audits what is left.
    fn through(mut self, plan: &[(Duration, Fault)], length: Duration, least_kills: usize) -> Result<()> {
        let begun = Instant::now();
        let mut plan = plan.iter().peekable();
        while begun.elapsed() < length {
            while let Some((_, fault)) = plan.next_if(|(at, _)| *at <= begun.elapsed()) {
                eprintln!("  {:5.1?} {fault:?}", begun.elapsed());
                self.strike(fault.clone())?;
            }
            self.tend()?;
            std::thread::sleep(TURN);
        }
        self.drain()?;
        // What is named last ends first: the processes before the brokers, and the disk last of all.
        let Run { disk: _disk, cluster, client, events, .. } = self;
        let Cluster { brokers, watch, mut fleet, program, folder } = cluster;
        fleet.stop()?;
        let seen = watch.stop()?;
        eprintln!("{} faults in {length:?}:", events.len());
        figures::print(&events, &seen, PARTITIONS);
        let kills: usize = events.iter().map(Event::kills).sum();
        ensure!(kills >= least_kills, "{kills} kills, and {least_kills} were asked for");
        fleet.ended.iter().for_each(|(why, many)| eprintln!("  {many:3} processes ended by themselves: {why}"));
        let broken = fleet.ended.keys().find(|why| why.contains("signal") || why.contains("panic"));
        ensure!(broken.is_none(), "a process broke: {broken:?}");
        drop(client);
        outcomes(&sent(&folder)?, &seen, &said(&folder)?)?;
        audits(&program, &folder, &brokers.bootstrap, &fleet)
    }

    /// Lets a fault happen, unless its victim is down for another reason.
    fn strike(&mut self, fault: Fault) -> Result<()> {
        let now = Instant::now();
        let mut event = Event { other: None, at: wall_clock(), processes: Vec::new(), broker: false };
        let lasts = match &fault {
            Fault::Kill { processes, broker } => self.kill(processes, *broker, &mut event),
            Fault::Stop { broker, pause } => {
                event.other = Some("a broker stopped in good order");
                self.cluster.brokers.stop(*broker, *pause).then_some(*pause)
            }
            Fault::Freeze { process, bound } => {
                event.other = Some("a process frozen past its session");
                self.cluster.fleet.freeze(*process).then_some(*bound)
            }
            Fault::Cut { how, bound } => {
                event.other = Some(match how {
                    Cut::Closed => "a process's connections closed",
                    Cut::Silent => "a process's connections silent",
                });
                self.cluster.brokers.cut(*how);
                Some(*bound)
            }
            Fault::Fill { killed, bound } => {
                event.other = Some("a process's disk full");
                self.disk.fill(self.cluster.fleet.id(ON_SMALL_DISK))?;
                let killed: Vec<_> = killed.iter().map(|pause| (ON_SMALL_DISK, *pause)).collect();
                self.kill(&killed, None, &mut event);
                Some(*bound)
            }
        };
        let Some(lasts) = lasts else {
            eprintln!("        left out: the victim is down");
            return Ok(());
        };
        self.events.push(event);
        self.undo.push((now + lasts, fault));
        Ok(())
    }

    /// Kills; how long until all of it is started again, if anything was there to be killed.
    fn kill(
        &mut self,
        processes: &[(usize, Duration)],
        broker: Option<(usize, Duration)>,
        event: &mut Event,
    ) -> Option<Duration> {
        let owned: Vec<_> = processes.iter().map(|(process, _)| self.cluster.fleet.owned(*process)).collect();
        event.at = wall_clock();
        let mut pauses = Vec::new();
        if let Some((broker, pause)) = broker
            && self.cluster.brokers.kill9(broker, pause)
        {
            event.broker = true;
            pauses.push(pause);
        }
        for ((process, pause), owned) in processes.iter().zip(owned) {
            if self.cluster.fleet.kill9(*process, *pause) {
                event.processes.push((owned, *pause));
                pauses.push(*pause);
            }
        }
        pauses.into_iter().max()
    }

    /// Mends what is due, and starts again what is down.
    fn tend(&mut self) -> Result<()> {
        let due = self.undo.extract_if(.., |(due, _)| *due <= Instant::now());
        for (_, fault) in due.collect::<Vec<_>>() {
            match fault {
                Fault::Kill { .. } | Fault::Stop { .. } => {} // Whoever starts it again knows when.
                Fault::Freeze { process, .. } => self.cluster.fleet.thaw(process),
                Fault::Cut { .. } => self.cluster.brokers.heal(),
                Fault::Fill { .. } => self.disk.free(self.cluster.fleet.id(ON_SMALL_DISK))?,
            }
        }
        self.cluster.fleet.tend()?;
        self.cluster.brokers.tend()
    }

    /// Waits until the last fault is mended and every payment has its outcome.
    fn drain(&mut self) -> Result<()> {
        let since = Instant::now();
        while !self.undo.is_empty() || !self.cluster.brokers.are_up() || self.client.ended().is_none() {
            self.tend()?;
            ensure!(since.elapsed() < DRAIN, "not drained {DRAIN:?} after the last fault");
            std::thread::sleep(TURN);
        }
        let said = said(&self.cluster.folder)?;
        ensure!(self.client.ended().is_some_and(|status| status.success()), "the client failed: {said}");
        let client = since.elapsed();
        self.cluster.fleet.rest(PARTITIONS as usize, DRAIN)?;
        eprintln!(
            "  the client had its last outcome {client:.1?} after the faults, all was at rest after {:.1?}",
            since.elapsed()
        );
        Ok(())
    }
}

/// What the client said.
fn said(folder: &Path) -> Result<String> {
    Ok(std::fs::read_to_string(folder.join("load.log"))?)
}

/// What was sent against the outcomes that a reader saw: one each, of nothing else, and as many of each kind as the client counted.
fn outcomes(sent: &BTreeSet<String>, seen: &[Seen], said: &str) -> Result<()> {
    let (mut ends, mut kinds) = (BTreeMap::new(), BTreeMap::<&str, usize>::new());
    for Seen { partition, offset, end, .. } in seen {
        let place = format!("{partition}@{offset}");
        if let Some(first) = ends.insert(end.id.as_str(), place.clone()) {
            bail!("{} ended twice: at {first} and at {place}", end.id);
        }
        ensure!(sent.contains(&end.id), "{} at {place} was never sent", end.id);
        *kinds.entry(end.kind).or_default() += 1;
    }
    let lost: Vec<_> = sent.iter().filter(|id| !ends.contains_key(id.as_str())).take(10).collect();
    ensure!(lost.is_empty(), "without an outcome: {lost:?}");
    eprintln!("  the client: {}", said.lines().last().unwrap_or_default());
    eprintln!("  {} transactions sent and acknowledged, {} outcomes, none twice: {kinds:?}", sent.len(), seen.len());
    let slow =
        "nothing was completed: from the beginning on, this machine was too slow for the votes to be there in time";
    ensure!(kinds.contains_key("completed"), "{slow}");
    Ok(())
}

/// Verifies and replays, beside stores that a newcomer makes of the changelogs alone: of each partition, one of the processes has
/// the same.
fn audits(program: &Path, folder: &Path, brokers: &str, fleet: &Fleet) -> Result<()> {
    let place = |data: &Path| vec!["--data".to_owned(), data.display().to_string(), "--brokers".into(), brokers.into()];
    let verify = |data| verify(program, &place(data).iter().map(String::as_str).collect::<Vec<_>>());
    let of_each: Vec<_> = std::thread::scope(|scope| {
        let each: Vec<_> = fleet.folders().map(|data| scope.spawn(|| verify(data))).collect();
        each.into_iter().map(|each| each.join().expect("it does not panic")).collect::<Result<_>>()
    })?;
    let of_processes: BTreeSet<_> = of_each.into_iter().flatten().collect();
    let place = place(&folder.join("newcomer"));
    let place: Vec<&str> = place.iter().map(String::as_str).collect();
    let newcomer = Node::spawn(program, folder, "newcomer", &[&place[..], &["--slot", "newcomer"]].concat())?;
    let since = Instant::now();
    let has_all = |node: &Node| {
        let health = node.health().unwrap_or_default();
        let tasks = health["tasks"].as_array().map_or(0, Vec::len);
        tasks == PARTITIONS as usize * tributary_graph::NODES.len() && health["lag"] == 0
    };
    while !has_all(&newcomer) {
        ensure!(since.elapsed() < DRAIN, "the newcomer does not restore: {:?}", newcomer.health());
        std::thread::sleep(Duration::from_millis(100));
    }
    newcomer.stop();
    let digests = audit(program, &place)?;
    ensure!(digests.len() >= PARTITIONS as usize * 4, "{digests:?}");
    for digest in digests {
        ensure!(of_processes.contains(&digest), "no process has {} as the changelog has it", digest.0);
    }
    Ok(())
}
