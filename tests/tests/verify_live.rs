//! `verify` and `replay` of a log that is being written, and beside stores of another time: they find nothing broken, say what
//! they could not compare, and at rest compare everything.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tributary_cli::audit::Live;
use tributary_cli::decode::Decoder;
use tributary_cli::load::{self, Plan};
use tributary_cli::replay::{Span, replay};
use tributary_cli::up::embedded;
use tributary_cli::verify::{Report, States, verify};
use tributary_cli::wiring::Schemas;
use tributary_flow::{Log, Node, Store};
use tributary_graph::writers;
use tributary_sim::{Hops, SimOptions};
use tributary_tests::history::config;
use tributary_tests::moving::History;
use tributary_tests::scenario::Scenario;
use tributary_tests::scenario::simulated::{apart, together};

fn audit(log: &dyn Log, states: &dyn States) -> Result<Report> {
    verify(log, states, Decoder::new(Arc::new(Schemas::compiled())), true)
}

/// An audit that must find nothing broken.
fn sound(log: &dyn Log, states: &dyn States) -> Result<Report> {
    let report = audit(log, states)?;
    let said: Vec<String> = report.violations.iter().map(ToString::to_string).collect();
    ensure!(said.is_empty(), "{} laws broken:\n  {}", said.len(), said.join("\n  "));
    Ok(report)
}

/// Every scenario, with a process per node and with all in one, a command at a time and one upon another.
fn each(mut with: impl FnMut(&History) -> Result<()>) -> Result<()> {
    for scenario in Scenario::all()? {
        for (hops, placements, patience) in [
            (Hops::Apart, apart(), 3),
            (Hops::Apart, apart(), 40),
            (Hops::Foreseen, together(), 3),
            (Hops::Owned, together(), 1),
        ] {
            let faults =
                SimOptions { duplicate_commands: true, misroute_commands: true, ..SimOptions::new(7, 3, placements) };
            let history = History::record(&scenario, SimOptions { hops, ..faults }, patience)?;
            with(&history).with_context(|| format!("{} hops {hops:?} patience {patience}", scenario.file()))?;
        }
    }
    Ok(())
}

#[test]
fn at_every_commit_no_law_is_broken_and_at_rest_everything_is_compared() -> Result<()> {
    let (mut moments, mut in_flight) = (0, 0);
    each(|history| {
        for moment in 0..history.moments() {
            let now = history.at(moment);
            let report = sound(&now, &now).with_context(|| format!("moment {moment}"))?;
            moments += 1;
            in_flight += report.counts.get("postings in flight").unwrap_or(&0);
            in_flight += report.counts.get("answers in flight").unwrap_or(&0);
        }
        let last = history.at(history.moments() - 1);
        let report = sound(&last, &last)?;
        ensure!(report.uncompared.is_empty(), "{:?}", report.uncompared);
        let open: Vec<_> =
            report.counts.iter().filter(|(what, many)| what.ends_with("in flight") && **many > 0).collect();
        ensure!(open.is_empty(), "{open:?}");
        Ok(())
    })?;
    eprintln!("{moments} moments, {in_flight} postings and answers in flight");
    ensure!(in_flight > 0, "nothing was ever in flight");
    Ok(())
}

#[test]
fn a_log_that_is_written_while_it_is_read_breaks_no_law() -> Result<()> {
    let (mut runs, mut uncompared) = (0, 0);
    each(|history| {
        for (every, late) in [(1, 0), (9, 1), (60, 0), (100, 1), (100, 3)] {
            for moment in (0..history.moments()).step_by(11) {
                let told = || format!("from {moment}, every {every}, {late} late");
                let moving = history.moving(moment, every, late);
                let report = sound(&moving, &moving).with_context(told)?;
                // Stores that stay behind while the log goes on.
                let moving = history.moving(moment, every, late);
                sound(&moving, &history.at(moment)).with_context(told)?;
                runs += 2;
                uncompared += report.uncompared.values().sum::<u64>();
            }
        }
        Ok(())
    })?;
    eprintln!("{runs} audits, {uncompared} not compared");
    ensure!(uncompared > 0, "everything could be compared, so nothing moved");
    Ok(())
}

#[test]
fn a_replay_of_a_log_that_is_written_meanwhile_finds_no_difference() -> Result<()> {
    let (mut runs, mut meanwhile) = (0, 0);
    each(|history| {
        for (every, late) in [(1, 0), (9, 1), (60, 0), (100, 3)] {
            for moment in (0..history.moments()).step_by(23) {
                let moving = history.moving(moment, every, late);
                for node in writers() {
                    let report = replay(&moving, node, Arc::new(Schemas::compiled()), Span::ALL, true)?;
                    let told = || format!("{} from {moment}, every {every}, {late} late: {report:?}", node.name);
                    ensure!(report.identical(), "{}", told());
                    meanwhile += report.meanwhile;
                }
                runs += 1;
            }
        }
        let last = history.at(history.moments() - 1);
        for node in writers() {
            let report = replay(&last, node, Arc::new(Schemas::compiled()), Span::ALL, true)?;
            ensure!(report.identical() && report.meanwhile == 0, "at rest: {report:?}");
        }
        Ok(())
    })?;
    eprintln!("{runs} replays, {meanwhile} records not compared");
    ensure!(meanwhile > 0, "nothing was written meanwhile, so nothing moved");
    Ok(())
}

#[test]
fn a_store_of_another_epoch_is_not_compared_and_that_is_told() -> Result<()> {
    let (mut older, mut newer) = (0, 0);
    each(|history| {
        let last = history.moments() - 1;
        for moment in (0..last).step_by(4) {
            let (then, now) = (history.at(moment), history.at(last));
            let told = |report: Report| report.uncompared.keys().filter(|(what, _)| *what == "stores").count();
            older += told(sound(&now, &then)?);
            newer += told(sound(&then, &now)?);
        }
        Ok(())
    })?;
    ensure!(older > 0 && newer > 0, "{older} older and {newer} newer stores were told of");
    Ok(())
}

/// Stores that have lost their accounts and nothing else.
struct Hollow<'a>(&'a dyn States);

struct Headless<'a>(&'a dyn Store);

impl States for Hollow<'_> {
    fn with_state(&self, node: &'static Node, partition: u32, read: &mut dyn FnMut(&dyn Store)) -> Result<bool> {
        self.0.with_state(node, partition, &mut |store| read(&Headless(store)))
    }
}

impl Store for Headless<'_> {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.0.get(key).filter(|_| key.first() != Some(&b'h'))
    }

    fn scan(&self, from: &[u8], to: &[u8], reverse: bool, visit: &mut tributary_flow::store::Visit<'_>) {
        if from.first() != Some(&b'h') {
            self.0.scan(from, to, reverse, visit);
        }
    }
}

#[test]
fn a_store_that_has_lost_all_its_accounts_is_found() -> Result<()> {
    each(|history| {
        let last = history.at(history.moments() - 1);
        let found = audit(&last, &Hollow(&last))?.violations;
        for law in ["state", "view"] {
            let told = found.iter().any(|violation| violation.law == law && violation.detail.starts_with("0 accounts"));
            ensure!(told, "{law}: {found:?}");
        }
        Ok(())
    })
}

#[test]
fn an_audit_beside_the_embedded_driver_under_load_finds_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let running = embedded(&config(folder.path()))?;
    let plan =
        Plan { accounts: 40, payments: 6_000, rate: Some(1_000), skew: 50, refusals: 100, seed: 5, ..Plan::default() };
    let states = Live(running.platform.as_ref());
    let (mut audits, mut uncompared) = (0, 0);
    std::thread::scope(|scope| -> Result<()> {
        let load = || load::run(running.platform.as_ref(), running.log.as_ref(), &running.registry, &plan, true);
        let load = scope.spawn(load);
        while !load.is_finished() {
            let report = sound(running.log.as_ref(), &states)?;
            audits += 1;
            uncompared += report.uncompared.values().sum::<u64>();
        }
        load.join().map_err(|_| anyhow::anyhow!("the load panicked"))?.map(drop)
    })?;
    eprintln!("{audits} audits under load, {uncompared} not compared");
    ensure!(audits > 3 && uncompared > 0, "{audits} audits, {uncompared} not compared: that was no load");
    let patience = Instant::now() + Duration::from_secs(30);
    while running.platform.tasks().iter().any(|task| task.lag > 0) && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(20));
    }
    let report = sound(running.log.as_ref(), &states)?;
    (running.stop)();
    ensure!(report.uncompared.is_empty(), "at rest: {:?}", report.uncompared);
    ensure!(!report.counts.contains_key("transactions in flight"), "{:?}", report.counts);
    Ok(())
}
