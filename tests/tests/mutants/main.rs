//! Does the simulator find bugs? Every fault of `tests/mutants` is put into a copy of the code, one at a time, and the
//! simulator has to find it. A checker that nobody has seen fail is not a checker.
//!
//! The copy holds all mutants at once, each behind a switch that one variable turns on; so it is built once, and the code itself
//! knows nothing of it. `SEEDS` and `PAYMENTS_SEEDS` bound over how many seeds each is hunted, from the first on; unless they are
//! set, one that only a rare seed finds is played with that seed before. `MUTANTS` chooses by a part of the name.

mod copy;
mod hunt;
mod table;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use hunt::{Bounds, Hunt};
use table::{Mutant, Play, Table};

/// Rules of exactly-once.
const RULES: u32 = 23;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

#[test]
fn every_rule_has_a_mutant_or_says_why_it_has_none() {
    let table = Table::read(&root());
    let broken: BTreeSet<u32> = table.mutants.iter().filter_map(|mutant| mutant.rule).collect();
    let without: BTreeSet<u32> =
        table.without.iter().filter(|(_, why)| !why.is_empty()).map(|(rule, _)| *rule).collect();
    assert_eq!(broken.union(&without).copied().collect::<Vec<_>>(), (1..=RULES).collect::<Vec<_>>());
    assert_eq!(broken.intersection(&without).collect::<Vec<_>>(), Vec::<&u32>::new(), "a rule with a mutant and none");
}

#[test]
fn every_mutant_is_caught() {
    let table = Table::read(&root());
    let chosen = std::env::var("MUTANTS").unwrap_or_default();
    let copy = copy::Copy::new(&root(), &table.mutants);
    let mut missed = Vec::new();
    // Past the test's capture: whoever runs it wants to see it.
    tell("| mutant | rule | caught by | seeds |\n| --- | --- | --- | --- |\n");
    for play in [Play::Toy, Play::Payments] {
        let mutants: Vec<&Mutant> =
            table.mutants.iter().filter(|mutant| mutant.play() == play && mutant.name.contains(&chosen)).collect();
        if mutants.is_empty() {
            continue;
        }
        let hunt = Hunt { program: copy.build(play), bounds: Bounds::of(play) };
        assert_eq!(hunt.calm(), None, "nothing is broken, and the simulator says that something is");
        for (mutant, found) in mutants.iter().zip(hunt.all(&mutants)) {
            let (by, seeds) = match &found {
                Some(found) => (found.law.as_str(), found.seeds),
                None => ("NOTHING", hunt.bounds.most),
            };
            tell(&format!("| {} | {} | {by} | {seeds} |\n", mutant.name, mutant.breaks()));
            missed.extend(found.is_none().then_some(&mutant.name));
        }
    }
    assert!(missed.is_empty(), "not caught: {missed:?}");
}

fn tell(text: &str) {
    std::io::stderr().write_all(text.as_bytes()).unwrap();
}
