//! Cuts a failure down. A shorter workload of a seed is a prefix of the longer one, so the shortest that still fails shows
//! the fault with the least around it. Failing is not monotonous, for a shorter workload is calm earlier: what is found is
//! a prefix that fails where the next shorter one that was tried does not.

use crate::proof::{self, Run, Scenario};

/// The shortest prefix found that fails by the same checker, and its run.
pub(super) fn shortest(scenario: Scenario, run: Run) -> (Scenario, Run) {
    shortest_by(scenario, run, proof::run)
}

fn shortest_by(scenario: Scenario, run: Run, play: impl Fn(&Scenario) -> Run) -> (Scenario, Run) {
    let Some(checker) = run.violations.first().map(|violation| violation.checker) else { return (scenario, run) };
    // Mostly nothing matters that was sent after it was seen; what was seen at rest may be halved at once.
    let half = scenario.payments / 2;
    let (mut passes, mut next) = (0, if run.payments < scenario.payments { run.payments } else { half });
    let mut found = (scenario, run);
    while passes < next && next < found.0.payments {
        let shorter = Scenario { payments: next, ..found.0.clone() };
        let run = play(&shorter);
        if run.violations.iter().any(|violation| violation.checker == checker) {
            found = (shorter, run);
        } else {
            passes = next;
        }
        next = passes + (found.0.payments - passes) / 2;
    }
    found
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::proof::Violation;

    /// A run that fails from so many payments on, by `checker`.
    fn failing(from: u32, checker: &'static str, scenario: &Scenario) -> Run {
        let violation = Violation { checker, detail: String::new() };
        let violations = if scenario.payments >= from { vec![violation] } else { Vec::new() };
        Run { payments: scenario.payments, violations, ..Run::default() }
    }

    fn cut(play: impl Fn(&Scenario) -> Run, seen_at: u32) -> (u32, u32) {
        let (scenario, runs) = (Scenario { seed: 1, payments: 2_000, partitions: None }, Cell::new(0));
        let run = Run { payments: seen_at, ..failing(0, "chain", &scenario) };
        let counted = |scenario: &Scenario| {
            runs.set(runs.get() + 1);
            play(scenario)
        };
        (shortest_by(scenario, run, counted).0.payments, runs.get())
    }

    #[test]
    fn the_shortest_prefix_is_found_in_a_few_runs() {
        assert_eq!(cut(|scenario| failing(37, "chain", scenario), 2_000), (37, 11));
        assert_eq!(cut(|scenario| failing(1, "chain", scenario), 40).0, 1);
        assert!(cut(|scenario| failing(37, "chain", scenario), 40).1 <= 7);
    }

    #[test]
    fn what_needs_more_than_was_sent_when_it_was_seen_is_found_too() {
        assert_eq!(cut(|scenario| failing(45, "chain", scenario), 40).0, 45);
        assert_eq!(cut(|scenario| failing(5_000, "chain", scenario), 40).0, 2_000);
    }

    #[test]
    fn another_checkers_failure_is_another_failure() {
        let play = |scenario: &Scenario| match scenario.payments {
            0..=99 => failing(0, "floors", scenario),
            _ => failing(100, "chain", scenario),
        };
        assert_eq!(cut(play, 2_000).0, 100);
    }
}
