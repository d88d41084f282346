//! What was done to the cluster, and how long it took to get over it, as a client sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tributary_flow::Timestamp;

use crate::watch::Seen;

/// A process that is down for longer than this has lost its partitions to others.
const SESSION: Duration = Duration::from_secs(6);

/// A fault that came about.
#[derive(Clone, Debug)]
pub struct Event {
    /// What it was beside the kills.
    pub other: Option<&'static str>,
    pub at: Timestamp,
    /// What each killed process had, and for how long it was down.
    pub processes: Vec<(BTreeSet<u32>, Duration)>,
    /// Whether a broker was killed.
    pub broker: bool,
}

impl Event {
    fn kind(&self) -> String {
        let kills = match (self.processes.len(), self.broker) {
            (0, false) => "",
            (0, true) => "kill -9 of a broker",
            (1, false) => "kill -9 of a process",
            (1, true) => "kill -9 of a broker and a process at once",
            _ => "kill -9 of two processes at once",
        };
        let parts: Vec<&str> = self.other.into_iter().chain(Some(kills).filter(|kills| !kills.is_empty())).collect();
        parts.join(", ")
    }

    /// How often kill -9 was sent.
    pub fn kills(&self) -> usize {
        self.processes.len() + usize::from(self.broker)
    }
}

/// From a fault to the next completed payment that was decided after it, in each of these partitions that has one.
pub fn next(seen: &[Seen], at: Timestamp, partitions: &BTreeSet<u32>) -> Vec<Duration> {
    let next = |partition: &u32| {
        let later =
            |seen: &&Seen| seen.partition == *partition && seen.end.kind == "completed" && seen.end.decided > at;
        let next = seen.iter().rev().take_while(|seen| seen.at > at).filter(later).map(|seen| seen.at).min()?;
        Some(Duration::from_micros((next.0 - at.0).max(0).cast_unsigned()))
    };
    partitions.iter().filter_map(next).collect()
}

/// From a fault until each of these partitions has completed another payment.
fn recovery(seen: &[Seen], at: Timestamp, partitions: &BTreeSet<u32>) -> Option<Duration> {
    let took = next(seen, at, partitions);
    took.iter().max().copied().filter(|_| took.len() == partitions.len())
}

/// The middle, the 99th of a hundred and the largest of these, of which there is one.
pub fn quantiles(took: &mut [Duration]) -> String {
    took.sort_unstable();
    let at = |hundredths: usize| took[(took.len() * hundredths).div_ceil(100).clamp(1, took.len()) - 1];
    let (p50, p99, max) = (at(50), at(99), at(100));
    format!("{} times, p50 {p50:.1?}, p99 {p99:.1?}, max {max:.1?}", took.len())
}

/// The recoveries of a run, by what they are recoveries from.
fn recoveries(events: &[Event], seen: &[Seen], partitions: u32) -> BTreeMap<&'static str, Vec<Duration>> {
    let mut found: BTreeMap<&'static str, Vec<Duration>> = BTreeMap::new();
    let mut note = |what, took: Option<Duration>| found.entry(what).or_default().extend(took);
    for event in events {
        // One that ran nothing left nothing to get over.
        for (owned, down) in event.processes.iter().filter(|(owned, _)| !owned.is_empty()) {
            let what = if *down < SESSION { "a process, soon back" } else { "a process, its partitions taken over" };
            note(what, recovery(seen, event.at, owned));
        }
        if event.broker {
            note("a broker", recovery(seen, event.at, &(0..partitions).collect()));
        }
    }
    found.retain(|_, took| !took.is_empty());
    found
}

/// Prints what was done and how long it took.
pub fn print(events: &[Event], seen: &[Seen], partitions: u32) {
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    events.iter().for_each(|event| *kinds.entry(event.kind()).or_default() += 1);
    kinds.iter().for_each(|(kind, many)| eprintln!("  {many:3} x {kind}"));
    let kills: usize = events.iter().map(Event::kills).sum();
    let brokers = events.iter().filter(|event| event.broker).count();
    eprintln!("  {kills} kills in all, {} of processes and {brokers} of brokers", kills - brokers);
    let idle = events.iter().flat_map(|event| &event.processes).filter(|(owned, _)| owned.is_empty()).count();
    eprintln!("  {idle} of the killed processes ran nothing when they were killed: there is nothing to get over");
    eprintln!("  from kill -9 to the next completed payment in each partition:");
    for (what, mut took) in recoveries(events, seen, partitions) {
        eprintln!("    {what}: {}", quantiles(&mut took));
    }
}
