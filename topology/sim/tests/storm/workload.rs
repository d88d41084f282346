//! What a seed plays: every kind of order while everything goes wrong, then a calm in which all that is due is done. Some
//! seeds have more: a bug that halts a task until it is mended, an outage over a deadline, a process that was away for a week.

use std::cell::Cell;
use std::rc::Rc;

use tributary_flow::time::{DAY, SECOND};
use tributary_flow::{Reader, Task, Timestamp, partition_of, reader};
use tributary_sim::{Fault, SimOptions, Simulation};

use super::audit;
use super::laws::positions;
use super::toy::{self, ORDERS};
use super::{Broken, Met, Played};

/// Partitions of every topic.
pub const PARTITIONS: u32 = 3;
/// Orders that everyone plays, each answered once.
pub const ORDERED: u64 = 12;
/// Records that cannot be taken, each with its code.
pub const LETTERS: [&str; 3] = ["null_key", "bad_magic", "too_large"];
/// The largest record.
const LARGEST: usize = 10_000;
/// How long the order lasts that is cancelled in an outage.
const LONG: i64 = 600 * SECOND;
/// Orders that a process misses that is away.
pub const MISSED: u64 = 30;
/// Most turns in which it attempts to come back.
const ATTEMPT: u32 = 2_000;
/// Timers of a seed with many.
pub const TIMERS: u64 = 24;

/// Every node.
pub const NODES: [&str; 3] = ["wallet", "tally", "audit"];

/// Two processes of each node, and faults: every seed has weather of its own, in which some never strike and some
/// ten times as often, so that what needs two of them together is met too.
fn options(seed: u64) -> SimOptions {
    let apart = NODES.iter().map(|node| vec![*node]).collect();
    let halves = vec![vec!["wallet", "audit"], vec!["tally"]];
    let together = vec![NODES.to_vec()];
    let weather = |(number, (fault, rate)): (u64, &(Fault, u32))| match draw(seed, number) % 4 {
        0 => (*fault, 0),
        1 => (*fault, (rate * 10).min(500_000)),
        _ => (*fault, *rate),
    };
    SimOptions {
        faults: (0..).zip(Fault::STORM).map(weather).collect(),
        groupings: vec![apart, halves, together.clone()],
        start: Timestamp(100 * DAY),
        largest: LARGEST,
        ..SimOptions::stormy(seed, PARTITIONS, together)
    }
}

/// A number that only a seed and a purpose decide.
pub fn draw(seed: u64, purpose: u64) -> u64 {
    let mixed = (seed ^ (purpose << 32)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Every task; a fixed one does as it is told.
pub fn tasks(partition: u32, partitions: u32, fixed: bool) -> Vec<Box<dyn Task>> {
    vec![
        toy::wallet_task(partition, partitions, fixed),
        toy::tally_task(partition, partitions),
        audit::task(partition, partitions),
    ]
}

/// Whether a seed has a bug in it.
pub fn has_bug(seed: u64) -> bool {
    seed % 8 == 5
}

/// Whether a process is away for a week.
pub fn has_absence(seed: u64) -> bool {
    seed % 4 == 2
}

/// Whether there are many timers, and little else.
pub fn has_timers(seed: u64) -> bool {
    seed % 4 == 3
}

struct Stage {
    played: Played,
    fixed: Rc<Cell<bool>>,
}

/// Plays a seed.
pub fn play(seed: u64) -> Result<Played, Broken> {
    let fixed = Rc::new(Cell::new(false));
    let is_fixed = fixed.clone();
    let simulation = Simulation::new(options(seed), move |_, partition| tasks(partition, PARTITIONS, is_fixed.get()));
    let mut stage = Stage { played: Played { simulation, met: Vec::new(), compacted: false }, fixed };
    for n in 0..ORDERED {
        stage.orders(n);
        if n == 9 {
            stage.outage();
        }
        stage.run(200)?;
    }
    stage.run(400)?;
    stage.calm()?;
    if has_absence(seed) {
        stage.absence(seed)?;
    }
    Ok(stage.played)
}

impl Stage {
    fn orders(&mut self, n: u64) {
        let simulation = &mut self.played.simulation;
        let (from, to) = (format!("w{}", n % 3), format!("w{}", n % 4));
        let verb = if n.is_multiple_of(4) { "later" } else { "pay" };
        let amount = if verb == "later" { 10_000 << n } else { n + 1 };
        simulation.submit(&ORDERS, &from, toy::order(&format!("c{n}"), verb, &from, &to, amount));
        match n {
            1 => {
                let stale = toy::order_of(Timestamp(0), "stale", "pay", "w5", "w6", 7);
                simulation.submit(&ORDERS, "w5", stale);
            }
            2 => {
                let [null_key, bad_magic, too_large] = [
                    (None, toy::order("l0", "pay", "w5", "w6", 7)),
                    (Some("w5"), b"no envelope".to_vec()),
                    (Some("w6"), vec![7; 2 * LARGEST]),
                ];
                for (partition, (key, value)) in (0..).zip([null_key, bad_magic, too_large]) {
                    simulation.produce(&ORDERS, partition, key.map(|key| key.as_bytes().to_vec()), Some(value));
                }
            }
            3 => {
                self.in_place("w7", toy::order("long", "later", "w7", "w6", LONG as u64));
                let timers = if has_timers(self.played.simulation.seed()) { TIMERS } else { 0 };
                for n in 0..timers {
                    let timer = toy::order(&format!("t{n}"), "later", "w1", &format!("t{n}"), 40_000 * n);
                    self.in_place("w1", timer);
                }
                if has_bug(self.played.simulation.seed()) {
                    self.in_place("w8", toy::order("bug", "panic", "w8", "w8", 1));
                }
            }
            5..=7 => {
                simulation.submit(&ORDERS, "w5", toy::order(&format!("again{n}"), "later", "w5", "w6", 0));
                let conflict = toy::order("c2", "pay", "w2", "w3", 100 + n);
                simulation.submit(&ORDERS, "w2", conflict);
            }
            _ => {}
        }
    }

    /// A client that makes no mistake writes an order.
    fn in_place(&mut self, key: &str, value: Vec<u8>) {
        let partition = partition_of(key.as_bytes(), PARTITIONS);
        self.played.simulation.produce(&ORDERS, partition, Some(key.as_bytes().to_vec()), Some(value));
    }

    /// An order is cancelled. In some seeds that is while nobody runs, and its time goes by.
    fn outage(&mut self) {
        let whole = draw(self.played.simulation.seed(), 100).is_multiple_of(2);
        if whole {
            self.played.simulation.place(vec![NODES.to_vec()]);
        }
        self.in_place("w7", toy::order("cancel", "cancel", "w7", "w6", 0));
        if whole {
            self.played.simulation.advance(2 * LONG);
        }
    }

    fn run(&mut self, turns: u32) -> Result<(), Broken> {
        for turn in 0..turns {
            self.played.simulation.turn()?;
            if turn % 50 == 0 {
                self.look();
            }
        }
        Ok(())
    }

    /// Looks at what queries could read.
    fn look(&mut self) {
        let Played { simulation, met, .. } = &mut self.played;
        met.extend(simulation.readable().map(|(at, store)| {
            let read = positions(at.0, store).into_iter().map(|(_, position)| position).collect();
            Met { at, epoch: Reader::new(store).epoch(), read, digest: reader::digest(store) }
        }));
    }

    fn calm(&mut self) -> Result<(), Broken> {
        let simulation = &mut self.played.simulation;
        simulation.calm();
        if has_bug(simulation.seed()) {
            self.fixed.set(true);
            simulation.place(vec![NODES.to_vec()]);
        }
        simulation.run_until_quiet()?;
        simulation.advance(60 * SECOND); // The last timer, and clocks may be wrong by seconds.
        simulation.run_until_quiet()?;
        Ok(())
    }

    /// A process is away for a week, at once or with attempts to come back that end before it has. Timers that were set in
    /// its store fire elsewhere, and compaction forgets that they did.
    fn absence(&mut self, seed: u64) -> Result<(), Broken> {
        let simulation = &mut self.played.simulation;
        for n in 0..3 {
            let from = format!("w{n}");
            simulation.submit(&ORDERS, &from, toy::order(&format!("d{n}"), "later", &from, "w3", 30_000_000));
        }
        simulation.run_until_quiet()?;
        let away = simulation.now().plus(40 * SECOND);
        let number = (seed / 4 % 2) as usize;
        simulation.keep_down(number, 60);
        let (since, mut missed) = (simulation.now(), 0);
        while simulation.now() < away || missed < MISSED {
            // One at a time: each is an epoch, whose records whoever comes back has to read before it hears of the timers.
            if missed < MISSED && simulation.now() >= since.plus(missed as i64 * SECOND) {
                let from = format!("w{}", missed % 3);
                simulation.submit(&ORDERS, &from, toy::order(&format!("e{missed}"), "pay", &from, "w3", 1));
                missed += 1;
            }
            simulation.turn()?;
        }
        let days: &[i64] = if (seed / 8).is_multiple_of(2) { &[8] } else { &[2; 4] };
        for (attempt, days) in days.iter().enumerate() {
            if attempt > 0 {
                let before = wallets(simulation, number);
                for _ in 0..ATTEMPT {
                    simulation.turn()?;
                    if wallets(simulation, number) != before {
                        break;
                    }
                }
                simulation.keep_down(number, 60);
            }
            simulation.advance(days * DAY);
        }
        self.played.compacted = true;
        simulation.run_until_quiet()?;
        Ok(())
    }
}

/// Up to where each of a process's stores of wallets holds its changelog.
fn wallets(simulation: &Simulation, number: usize) -> Vec<Option<u64>> {
    let row = |partition| simulation.copies("wallet", partition).nth(number)?.row();
    (0..PARTITIONS).map(|partition| row(partition).map(|row| row.changelog)).collect()
}
