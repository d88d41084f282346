//! Plays seeds of the toy graph's storm: `storm FROM TO`. Names the first law that a seed breaks.

#[path = "../tests/storm/mod.rs"]
mod storm;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).map_while(|text| text.parse::<u64>().ok());
    let (Some(from), Some(to)) = (arguments.next(), arguments.next()) else {
        eprintln!("storm FROM TO: two numbers");
        return ExitCode::from(2);
    };
    // What breaks is told with its law; a panic is one of them.
    std::panic::set_hook(Box::new(|_| {}));
    for seed in from..to {
        if let Err(broken) = storm::judge(seed) {
            println!("{seed}\t{}\t{}", broken.law, broken.detail.lines().next().unwrap_or_default());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
