//! Plays seeds of the payments' storm: `payments FROM TO`. Names the first checker that sees something wrong.

use std::process::ExitCode;

use tributary_cli::proof::{Scenario, run};

/// Payments of a seed: enough for every kind of command, few enough for many seeds.
const PAYMENTS: u32 = 200;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).map_while(|text| text.parse::<u64>().ok());
    let (Some(from), Some(to)) = (arguments.next(), arguments.next()) else {
        eprintln!("payments FROM TO: two numbers");
        return ExitCode::from(2);
    };
    // What breaks is told with its checker; a panic is one of them.
    std::panic::set_hook(Box::new(|_| {}));
    for seed in from..to {
        let run = run(&Scenario { seed, payments: PAYMENTS, partitions: None });
        if let Some(wrong) = run.violations.first() {
            println!("{seed}\t{}\t{}", wrong.checker, wrong.detail.lines().next().unwrap_or_default());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
