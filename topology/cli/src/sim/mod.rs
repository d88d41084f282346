//! `sim`: the proof as a command. Seeds run one after the other on a few threads; the first that shows anything wrong ends
//! it, and is cut down to the shortest workload that still does.

mod prefix;
mod progress;
mod report;
mod seeds;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::out;
use crate::proof::Scenario;

/// Exit code of a run that was told to stop: what shells give for a program that Ctrl-C ended.
const TOLD_TO_STOP: u8 = 130;

/// Which seeds, and how much of each.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
A seed decides everything: the payments, the faults, when they strike and what is looked at. While faults go on no law may
ever be seen broken; then they stop, and every command must reach its outcome. The same seed gives the same log, byte for
byte: compare the hash of hashes with that of another machine. Told to stop (Ctrl-C, SIGTERM), it ends the seeds that run and
prints what they and those before came to; told twice, it ends at once.

Examples:  tributary sim --seeds 1000 --minutes 60      as many seeds as an hour allows, at most a thousand
           tributary sim --seed 42                      one seed
           tributary sim --seed 42 --payments 17        its first 17 payments, as a failure's report asks for")]
pub struct Sim {
    /// How many seeds to run.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub seeds: u64,
    /// The first seed; the others follow it.
    #[arg(long, default_value_t = 1, value_name = "S")]
    pub seed: u64,
    /// Payments of each seed, until the faults stop.
    #[arg(long, default_value_t = 2_000, value_name = "P", value_parser = clap::value_parser!(u32).range(1..))]
    pub payments: u32,
    /// Begin no seed after so many minutes.
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u64).range(1..))]
    pub minutes: Option<u64>,
    /// Partitions of every topic; where absent each seed decides, 1 to 4.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub partitions: Option<u32>,
    /// Seeds that run at the same time; the cores of this machine where absent.
    #[arg(long, short, value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
}

impl Sim {
    fn scenario(&self, seed: u64) -> Scenario {
        Scenario { seed, payments: self.payments, partitions: self.partitions }
    }

    fn jobs(&self) -> usize {
        self.jobs.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from)
    }
}

/// Runs the seeds. Exit 0: nothing was wrong; 1: something was, and the report says how to see it again; 130: nothing was, until
/// it was told to stop.
///
/// # Errors
/// Signals cannot be taken.
pub fn run(args: &Sim) -> Result<ExitCode> {
    let begun = Instant::now();
    let until = args.minutes.map(|minutes| begun + Duration::from_secs(60 * minutes));
    let told = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        flag::register_conditional_shutdown(signal, TOLD_TO_STOP.into(), told.clone())?;
        flag::register(signal, told.clone())?;
    }
    let done = seeds::run(args, until, &told);
    out::print(report::summary(&done, begun.elapsed()));
    let Some((scenario, run)) = done.failed else {
        let whole = done.hashes.len() as u64 == args.seeds;
        if told.load(Ordering::Relaxed) && !whole {
            out::print(report::stopped(&done, args.seeds));
            return Ok(ExitCode::from(TOLD_TO_STOP));
        }
        return Ok(ExitCode::SUCCESS);
    };
    out::print(report::failure(&scenario, &run));
    let (scenario, run) = prefix::shortest(scenario, run);
    out::print(report::prefix(&scenario, &run));
    Ok(ExitCode::from(1))
}
