//! What the seeds came to, in words: sums and hashes, or what was wrong and how to see it again.

use std::time::Duration;

use tributary_sim::Count;

use super::seeds::Done;
use crate::proof::{Run, Scenario};

/// Most violations of a run that are told: the first ones are the cause.
const MOST: usize = 5;

/// A number with its thousands apart.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A time in whole seconds, or less where it is short.
pub(super) fn seconds(time: Duration) -> String {
    if time < Duration::from_secs(10) { format!("{time:.1?}") } else { format!("{} s", grouped(time.as_secs())) }
}

/// Faults, outcomes, sums.
pub(super) fn summary(done: &Done, took: Duration) -> String {
    let mut lines = vec![row("faults", "injected", "in an open epoch")];
    let mut all = Count::default();
    for (kind, count) in &done.faults {
        all.injected += count.injected;
        all.in_epoch += count.in_epoch;
        lines.push(row(&format!("  {kind}"), &grouped(count.injected), &grouped(count.in_epoch)));
    }
    lines.push(row("  all", &grouped(all.injected), &grouped(all.in_epoch)));
    lines.push("outcomes".to_owned());
    lines.extend(done.outcomes.iter().map(|(kind, many)| row(&format!("  {kind}"), &grouped(*many), "")));
    let (seeds, payments) = (done.hashes.len() as u64, done.payments);
    lines.push(format!(
        "Sim: {} seeds, {} payments, {} commands, {} turns in {}: {} payments/s",
        grouped(seeds),
        grouped(payments),
        grouped(done.commands),
        grouped(done.turns),
        seconds(took),
        grouped((u128::from(payments) * 1_000 / took.as_millis().max(1)) as u64),
    ));
    lines.push(format!(
        "Sim: {} of the processor per seed, {} of it in checkers",
        seconds((done.simulating + done.checking) / (seeds as u32).max(1)),
        seconds(done.checking / (seeds as u32).max(1)),
    ));
    lines.push(format!(
        "Sim: every command had its outcome, and all was at rest, {} turns after the faults at most",
        grouped(done.calm)
    ));
    if let (Some((first, _)), Some((last, _))) = (done.hashes.first_key_value(), done.hashes.last_key_value()) {
        lines.push(format!("Sim: hash of the hashes of {seeds} seeds from {first} to {last}: {}", hash(done)));
    }
    lines.push(match &done.failed {
        None => "Sim: 0 violations, 0 stuck".to_owned(),
        Some((scenario, run)) => format!("Sim: {} violations in seed {}", run.violations.len(), scenario.seed),
    });
    lines.into_iter().map(|line| line + "\n").collect()
}

/// It was told to stop before all seeds had run.
pub(super) fn stopped(done: &Done, seeds: u64) -> String {
    format!("Sim: told to stop, {} of {} seeds were run\n", grouped(done.hashes.len() as u64), grouped(seeds))
}

fn row(what: &str, one: &str, other: &str) -> String {
    format!("{what:44}{one:>12}{other:>18}").trim_end().to_owned()
}

/// Says whether two machines have seen the same: every log of every seed, byte for byte.
fn hash(done: &Done) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    for (seed, log) in &done.hashes {
        hasher.update(&seed.to_le_bytes());
        hasher.update(log);
    }
    hasher.finalize()
}

/// What was wrong.
pub(super) fn failure(scenario: &Scenario, run: &Run) -> String {
    format!(
        "\nseed {} after {} payments and {} turns:\n{}looking for the shortest prefix of it that fails ...\n",
        scenario.seed,
        grouped(u64::from(run.payments)),
        grouped(run.turns),
        violations(run)
    )
}

/// The shortest that fails, and how to run it.
pub(super) fn prefix(scenario: &Scenario, run: &Run) -> String {
    format!(
        "minimal prefix: {} payments, {} commands:\n{}rerun it with: {}\n",
        grouped(u64::from(scenario.payments)),
        grouped(run.commands),
        violations(run),
        command(scenario)
    )
}

fn violations(run: &Run) -> String {
    let told = run.violations.iter().take(MOST).map(|violation| format!("  VIOLATION {violation}\n"));
    let more = run.violations.len().saturating_sub(MOST);
    told.chain((more > 0).then(|| format!("  and {more} more\n"))).collect()
}

/// The command that runs a scenario.
fn command(scenario: &Scenario) -> String {
    let Scenario { seed, payments, partitions } = scenario;
    let partitions = partitions.map(|many| format!(" --partitions {many}")).unwrap_or_default();
    format!("tributary sim --seed {seed} --payments {payments}{partitions}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::Violation;

    #[test]
    fn a_failure_says_what_was_seen_and_how_to_see_it_again() {
        let violation = |detail: &str| Violation { checker: "chain", detail: detail.to_owned() };
        let violations = (1..=7).map(|number| violation(&format!("detail {number}"))).collect();
        let run = Run { payments: 1_234, turns: 5_678, violations, ..Run::default() };
        let scenario = Scenario { seed: 42, payments: 17, partitions: Some(3) };
        let told = failure(&scenario, &run);
        assert!(
            told.contains("seed 42 after 1,234 payments and 5,678 turns:\n  VIOLATION chain: detail 1\n"),
            "{told}"
        );
        assert!(told.contains("and 2 more"), "{told}");
        let told = prefix(&scenario, &run);
        assert!(told.contains("rerun it with: tributary sim --seed 42 --payments 17 --partitions 3\n"), "{told}");
        assert_eq!(command(&Scenario { partitions: None, ..scenario }), "tributary sim --seed 42 --payments 17");
    }

    #[test]
    fn a_summary_counts_faults_by_kind_and_says_whether_anything_was_wrong() {
        let mut done = Done { hashes: [(1, [0; 32])].into(), ..Done::default() };
        done.faults.insert("crash", Count { injected: 1_234_567, in_epoch: 89 });
        let told = summary(&done, Duration::from_secs(1));
        let row = told.lines().find(|line| line.starts_with("  crash")).unwrap_or_default();
        assert_eq!(row.split_whitespace().collect::<Vec<_>>(), ["crash", "1,234,567", "89"]);
        assert!(told.ends_with("Sim: 0 violations, 0 stuck\n"), "{told}");
        let violations = vec![Violation { checker: "chain", detail: String::new() }];
        done.failed = Some((Scenario { seed: 7, payments: 1, partitions: None }, Run { violations, ..Run::default() }));
        assert!(summary(&done, Duration::from_secs(1)).ends_with("Sim: 1 violations in seed 7\n"));
    }
}
