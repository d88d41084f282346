//! `verify` as a command: runs the audit and prints what it found.

use anyhow::Result;
use tributary_flow::{Log, Node, Platform, Store};
use tributary_schemas::{Amount, Currency};

use crate::decode::Decoder;
use crate::out::say;
use crate::verify::{self, Report, States};

/// The committed state of a running driver.
pub struct Live<'a>(pub &'a dyn Platform);

impl States for Live<'_> {
    fn with_state(&self, node: &'static Node, partition: u32, read: &mut dyn FnMut(&dyn Store)) -> Result<bool> {
        Ok(self.0.read(node, partition, read))
    }

    fn reached(&self, node: &'static Node, partition: u32, topic: &str) -> u64 {
        self.0.reached(node, partition, topic)
    }
}

/// Audits and prints.
pub fn run(log: &dyn Log, states: &dyn States, decoder: Decoder, digests: bool) -> Result<Report> {
    let report = verify::verify(log, states, decoder, false)?;
    let counts: Vec<_> = report.counts.iter().map(|(what, many)| format!("{many} {what}")).collect();
    say!("Verify: {}", if counts.is_empty() { "nothing in the log".to_owned() } else { counts.join(", ") });
    for ((what, why), many) in &report.uncompared {
        say!("Not compared: {many} {what}, because {why}");
    }
    for (currency, (debits, credits)) in &report.trial_balance {
        let shown = |units: i128| {
            currency.parse::<Currency>().map_or_else(|_| units.to_string(), |code| Amount(units).to_string_in(code))
        };
        say!(
            "Trial balance {currency}: debits {}, credits {}, difference {}",
            shown(*debits),
            shown(*credits),
            shown(debits - credits)
        );
    }
    if digests {
        for (node, partition, digest) in &report.digests {
            say!("state {node}[{partition}] {}", hex::encode(digest));
        }
    }
    for violation in &report.violations {
        say!("VIOLATION {violation}");
    }
    say!("Verify: {} violations", report.violations.len());
    Ok(report)
}
