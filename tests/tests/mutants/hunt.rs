//! The hunt: seeds are played with a mutant until one breaks a law.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::table::{Mutant, Play};

/// Processes at a time.
const AT_ONCE: usize = 2;

/// A mutant was caught.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub law: String,
    /// How many seeds it took.
    pub seeds: u64,
    pub detail: String,
}

/// How far a hunt goes.
pub struct Bounds {
    /// Seeds that are played without a mutant.
    pub calm: u64,
    /// Seeds until a hunt is given up.
    pub most: u64,
    /// Whether somebody says so.
    asked: bool,
    /// Seeds that one process plays, and the seconds of a processor that it may take: several times what it needs, so that
    /// what comes to no end is known by that.
    batch: u64,
    seconds: u32,
}

impl Bounds {
    /// Those of a play; `SEEDS` and `PAYMENTS_SEEDS` ask for more.
    pub fn of(play: Play) -> Self {
        let (name, calm, most, batch, seconds) = match play {
            Play::Toy => ("SEEDS", 300, 10_000, 100, 10),
            Play::Payments => ("PAYMENTS_SEEDS", 10, 200, 10, 60),
        };
        let asked = std::env::var(name).ok().and_then(|seeds| seeds.parse().ok());
        Bounds { calm, most: asked.unwrap_or(most), asked: asked.is_some(), batch, seconds }
    }
}

/// What hunts.
pub struct Hunt {
    pub program: PathBuf,
    pub bounds: Bounds,
}

impl Hunt {
    /// What is found with nothing broken.
    pub fn calm(&self) -> Option<Found> {
        self.seek(None, self.bounds.calm)
    }

    /// Plays the seed that found it before, if it is a rare one and nobody asks for a hunt of his own, then seed after seed.
    fn seek(&self, mutant: Option<&Mutant>, most: u64) -> Option<Found> {
        let known = mutant.and_then(|mutant| mutant.seed).filter(|_| !self.bounds.asked);
        if let Some(found) = known.and_then(|seed| self.play(mutant, seed, seed + 1)) {
            return Some(found);
        }
        let mut from = 0;
        while from < most {
            let to = (from + self.bounds.batch).min(most);
            if let Some(found) = self.play(mutant, from, to) {
                return Some(found);
            }
            from = to;
        }
        None
    }

    fn play(&self, mutant: Option<&Mutant>, from: u64, to: u64) -> Option<Found> {
        let limits = format!("ulimit -c 0; ulimit -t {}; ulimit -v 4000000; exec \"$@\"", self.bounds.seconds);
        let mut command = Command::new("sh");
        command.args(["-c", &limits, "sh"]).arg(&self.program).args([from, to].map(|seed| seed.to_string()));
        match mutant {
            Some(mutant) => command.env("TRIBUTARY_MUTANT", &mutant.name),
            None => command.env_remove("TRIBUTARY_MUTANT"),
        };
        let output = command.output().unwrap();
        if output.status.success() {
            return None;
        }
        let told = String::from_utf8_lossy(&output.stdout);
        let mut fields = told.trim_end().splitn(3, '\t');
        let seed = fields.next().and_then(|seed| seed.parse::<u64>().ok());
        let (Some(seed), Some(law), detail) = (seed, fields.next(), fields.next().unwrap_or_default()) else {
            // It was ended at its limit, or ended itself.
            let detail = format!("{} {}", output.status, String::from_utf8_lossy(&output.stderr));
            return Some(Found { law: "it comes to an end".to_owned(), seeds: to, detail });
        };
        Some(Found { law: law.to_owned(), seeds: seed + 1, detail: detail.to_owned() })
    }

    /// Hunts them all; what was found is in their order.
    pub fn all(&self, mutants: &[&Mutant]) -> Vec<Option<Found>> {
        let next = AtomicUsize::new(0);
        let found = Mutex::new(vec![None; mutants.len()]);
        let hunt = || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(mutant) = mutants.get(index) else { return };
                let one = self.seek(Some(mutant), self.bounds.most);
                found.lock().unwrap()[index] = one;
            }
        };
        std::thread::scope(|scope| (0..AT_ONCE).for_each(|_| drop(scope.spawn(hunt))));
        found.into_inner().unwrap()
    }
}
