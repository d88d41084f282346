//! Fetches artifacts from the user's Maven repositories into the cache, once.
//!
//! Maven itself is called, so that the user's mirrors, proxies and credentials apply. What is fetched appears under
//! its final name all at once or not at all: it is written beside it and renamed.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::Staging;

/// Puts the dependencies of a pom (the text of one) into `target`, unless that folder exists.
pub fn dependencies(what: &str, pom: &str, target: &Path) -> Result<()> {
    fetch(what, target, |staging| {
        let file = staging.join("pom.xml");
        std::fs::write(&file, pom)?;
        let output = format!("-DoutputDirectory={}", staging.display());
        Ok(vec!["-f".into(), file.into(), "dependency:copy-dependencies".into(), output.into()])
    })
}

/// Puts one artifact (`group:name:version[:type[:classifier]]`) into `target`, unless that folder exists.
pub fn artifact(what: &str, coordinates: &str, target: &Path) -> Result<()> {
    fetch(what, target, |staging| {
        let artifact = format!("-Dartifact={coordinates}");
        let output = format!("-DoutputDirectory={}", staging.display());
        Ok(vec!["dependency:copy".into(), artifact.into(), output.into()])
    })
}

fn fetch(what: &str, target: &Path, arguments: impl FnOnce(&Path) -> Result<Vec<OsString>>) -> Result<()> {
    if target.is_dir() {
        return Ok(());
    }
    let staging = Staging::beside(target)?;
    let folder = staging.folder();
    eprintln!("fetching {what} into {} (once)", target.display());
    let arguments = arguments(folder)?;
    let run = Command::new("mvn").args(["-q", "-B"]).args(arguments).current_dir(folder).stdin(Stdio::null()).output();
    let output = match run {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            bail!("{what} is fetched with Maven, and there is no `mvn`: run `make setup` or `apt-get install maven`")
        }
        Err(error) => return Err(error).context("cannot run mvn"),
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stdout);
        let line = said.lines().find(|line| line.contains("ERROR")).unwrap_or("it gave no reason").trim();
        bail!("Maven could not fetch {what}: {line}");
    }
    match std::fs::rename(folder, target) {
        // Another process was quicker; what it fetched is the same.
        Err(_) if target.is_dir() => Ok(()),
        done => done.with_context(|| format!("cannot move what was fetched to {}", target.display())),
    }
}
