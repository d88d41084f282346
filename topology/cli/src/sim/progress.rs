//! Progress: a bar on a terminal, a line now and then elsewhere.

use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::report::{grouped, seconds};
use super::seeds::Done;
use crate::out::say;

/// How often a line is printed where there is no terminal.
const EVERY: Duration = Duration::from_secs(15);

/// How far the seeds are.
pub(super) struct Progress {
    seeds: u64,
    begun: Instant,
    bar: Option<ProgressBar>,
    /// When the last line was printed.
    said: Mutex<Instant>,
}

impl Progress {
    pub(super) fn new(seeds: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("seeds {bar:30} {pos}/{len}, {elapsed}, {eta} left: {msg}");
            ProgressBar::new(seeds).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        if let Some(bar) = &bar {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Progress { seeds, begun: Instant::now(), bar, said: Mutex::new(Instant::now()) }
    }

    /// A seed is done, and nothing was wrong with it.
    pub(super) fn show(&self, done: &Done) {
        let seeds = done.hashes.len() as u64;
        let faults = done.faults.values().map(|count| count.injected).sum();
        let told = format!("{} payments, {} faults, 0 violations", grouped(done.payments), grouped(faults));
        if let Some(bar) = &self.bar {
            bar.set_position(seeds);
            return bar.set_message(told);
        }
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.elapsed() >= EVERY {
            *said = Instant::now();
            say!("{seeds} of {} seeds in {}: {told}", self.seeds, seconds(self.begun.elapsed()));
        }
    }

    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
