//! What a crash test is made of: a real process that is killed ([`node`]), a client that repeats what was not
//! acknowledged and keeps its own books ([`client`]), and a look at what ran into its deadline
//! meanwhile ([`deadline`]).

pub mod client;
pub mod deadline;
pub mod node;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};

pub use client::Client;
pub use node::Node;

/// Runs a command of the binary to its end.
///
/// # Errors
/// It cannot be started.
pub fn tool(program: &Path, arguments: &[&str]) -> Result<Output> {
    Command::new(program).args(arguments).output().with_context(|| format!("cannot run {}", program.display()))
}

/// Runs a command that must succeed, and returns what it printed.
///
/// # Errors
/// It does not exit with 0.
pub fn tool_succeeds(program: &Path, arguments: &[&str]) -> Result<String> {
    let output = tool(program, arguments)?;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{arguments:?} ended with {}:\n{out}\n{err}", output.status);
    Ok(out.into_owned())
}

/// Verifies every law, and returns the digests of the stores.
///
/// # Errors
/// A law is broken.
pub fn verify(program: &Path, place: &[&str]) -> Result<BTreeMap<String, String>> {
    let verified = tool_succeeds(program, &[&["verify"], place].concat())?;
    for line in verified.lines().filter(|line| !line.starts_with("state")) {
        eprintln!("  {line}");
    }
    ensure!(verified.contains("Verify: 0 violations"), "{verified}");
    let mut balances = verified.lines().filter(|line| line.starts_with("Trial balance ")).peekable();
    ensure!(balances.peek().is_some() && balances.all(|line| line.ends_with("difference 0.00")), "{verified}");
    Ok(digests(&verified))
}

/// Verifies and replays everything, and compares the digests of the stores with those that the replay ends in.
///
/// # Errors
/// A law is broken, a record differs, or a state does.
pub fn audit(program: &Path, place: &[&str]) -> Result<BTreeMap<String, String>> {
    let of_stores = verify(program, place)?;
    let replayed = tool_succeeds(program, &[&["replay", "all"], place].concat())?;
    for line in replayed.lines().filter(|line| !line.starts_with(' ')) {
        eprintln!("  replay {line}");
    }
    let states: Vec<&str> = replayed.lines().filter(|line| line.trim_start().starts_with("state ")).collect();
    ensure!(!states.is_empty() && states.iter().all(|line| line.ends_with("equal to the store")), "{replayed}");
    ensure!(!of_stores.is_empty() && of_stores == digests(&replayed), "other states: {of_stores:?}\n{replayed}");
    Ok(of_stores)
}

/// The digests of states that a command printed, by node and partition. A state that was never written is left out.
fn digests(printed: &str) -> BTreeMap<String, String> {
    let words = printed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let states = words.filter(|words| words.first() == Some(&"state") && words.len() >= 3);
    let empty = blake3::hash(&[]).to_hex().to_string();
    let named = states.map(|words| (words[1].to_owned(), words[2].to_owned()));
    named.filter(|(_, digest)| *digest != empty).collect()
}
