//! The seeds, on a few threads. Each is a world of its own, so they share nothing but the sums.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tributary_sim::Count;

use super::Sim;
use super::progress::Progress;
use crate::proof::{self, Run, Scenario, Violation};

/// What all seeds came to.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// Hash of the log of each seed.
    pub hashes: BTreeMap<u64, [u8; 32]>,
    pub payments: u64,
    pub commands: u64,
    pub turns: u64,
    /// Turns of the longest calm.
    pub calm: u64,
    pub faults: BTreeMap<&'static str, Count>,
    pub outcomes: BTreeMap<String, u64>,
    /// Time of the processor, in the simulation and in the checkers.
    pub simulating: Duration,
    pub checking: Duration,
    /// The first that showed something wrong.
    pub failed: Option<(Scenario, Run)>,
}

impl Done {
    fn add(&mut self, scenario: Scenario, run: Run) {
        self.hashes.insert(scenario.seed, run.hash);
        self.payments += u64::from(run.payments);
        self.commands += run.commands;
        self.turns += run.turns;
        self.calm = self.calm.max(run.calm);
        self.simulating += run.simulating;
        self.checking += run.checking;
        for (kind, count) in &run.faults {
            let sum = self.faults.entry(kind).or_default();
            sum.injected += count.injected;
            sum.in_epoch += count.in_epoch;
        }
        for (kind, many) in &run.outcomes {
            *self.outcomes.entry(kind.clone()).or_default() += many;
        }
        if !run.violations.is_empty() {
            self.failed.get_or_insert((scenario, run));
        }
    }
}

/// Runs all seeds, or those that are begun in time and before it is told to stop. The first seed is run twice: its logs must
/// be the same.
pub(super) fn run(args: &Sim, until: Option<Instant>, told: &AtomicBool) -> Done {
    let (next, failed) = (AtomicU64::new(0), AtomicBool::new(false));
    let stop = || failed.load(Ordering::Relaxed) || told.load(Ordering::Relaxed);
    let progress = Progress::new(args.seeds);
    let done = Mutex::new(Done::default());
    let work = || {
        while !stop() && until.is_none_or(|until| Instant::now() < until) {
            let played = next.fetch_add(1, Ordering::Relaxed);
            if played >= args.seeds {
                return;
            }
            let seed = args.seed.wrapping_add(played);
            let scenario = args.scenario(seed);
            let mut run = proof::run(&scenario);
            if played == 0 {
                repeat(&mut run, || proof::run(&scenario));
            }
            failed.fetch_or(!run.violations.is_empty(), Ordering::Relaxed);
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            done.add(scenario, run);
            if done.failed.is_none() {
                progress.show(&done);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..args.jobs() {
            scope.spawn(work);
        }
    });
    progress.end();
    done.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// A seed that gives another log the second time would prove nothing about the first.
fn repeat(run: &mut Run, again: impl FnOnce() -> Run) {
    if run.violations.is_empty() {
        let again = again().hash;
        if again != run.hash {
            let detail = format!("the log is {} and then {}", hex::encode(run.hash), hex::encode(again));
            run.violations.push(Violation { checker: "determinism", detail });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashes(jobs: u16) -> BTreeMap<u64, [u8; 32]> {
        let args = Sim { seeds: 3, seed: 11, payments: 30, minutes: None, partitions: None, jobs: Some(jobs) };
        let done = run(&args, None, &AtomicBool::new(false));
        assert!(done.failed.is_none(), "{:?}", done.failed);
        assert_eq!(done.payments, 90);
        done.hashes
    }

    #[test]
    fn seeds_are_the_same_on_one_thread_and_on_three() {
        let alone = hashes(1);
        assert_eq!(alone.keys().copied().collect::<Vec<_>>(), [11, 12, 13]);
        assert_eq!(alone, hashes(3));
    }

    #[test]
    fn no_seed_is_begun_once_the_time_is_up_or_it_is_told_to_stop() {
        let args = Sim { seeds: 3, seed: 1, payments: 30, minutes: None, partitions: None, jobs: Some(1) };
        assert!(run(&args, Some(Instant::now()), &AtomicBool::new(false)).hashes.is_empty());
        assert!(run(&args, None, &AtomicBool::new(true)).hashes.is_empty());
    }

    #[test]
    fn another_log_the_second_time_is_a_violation() {
        let run = |byte| Run { hash: [byte; 32], ..Run::default() };
        let mut same = run(1);
        repeat(&mut same, || run(1));
        assert!(same.violations.is_empty());
        let mut other = run(1);
        repeat(&mut other, || run(2));
        assert_eq!(other.violations[0].checker, "determinism");
    }
}
