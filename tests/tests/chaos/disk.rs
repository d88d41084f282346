//! A small disk that can be filled: a file system in memory, or, where nothing may be mounted, a limit to the size of the
//! files of one process, which to a store is as good as a full disk.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// More than a process's stores and their logs need, and soon full.
const SIZE: &str = "size=512m";
/// The longest file of a process that is limited, in bytes.
const LIMIT: &str = "--fsize=262144:unlimited";

/// A small disk, unmounted on drop.
pub enum Disk {
    /// Mounted on this folder.
    Mounted(PathBuf),
    /// Nothing may be mounted here.
    Limited,
}

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program).args(arguments).output().with_context(|| format!("there is no {program}"))?;
    ensure!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

impl Disk {
    /// Mounts one on a new folder, if that is allowed.
    pub fn new(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let at = folder.to_str().context("a path in UTF-8")?;
        Ok(match run("mount", &["-t", "tmpfs", "-o", SIZE, "tributary-chaos", at]) {
            Ok(()) => Disk::Mounted(folder.to_owned()),
            Err(error) => {
                eprintln!("no disk of our own ({error:#}): the size of the process's files is limited instead");
                Disk::Limited
            }
        })
    }

    /// Takes all room there is, from this process where there is no disk of our own.
    pub fn fill(&self, process: Option<u32>) -> Result<()> {
        match (self, process) {
            (Disk::Mounted(folder), _) => {
                let mut file = File::create(folder.join("filler"))?;
                while file.write_all(&[1; 1 << 16]).is_ok() {}
                // What is left is less than a block of ours; the rest goes byte by byte of a page.
                while file.write_all(&[1; 512]).is_ok() {}
                Ok(())
            }
            (Disk::Limited, Some(process)) => run("prlimit", &["--pid", &process.to_string(), LIMIT]),
            (Disk::Limited, None) => Ok(()),
        }
    }

    /// Gives the room back. A process that was limited has ended, or is given its due.
    pub fn free(&self, process: Option<u32>) -> Result<()> {
        match (self, process) {
            (Disk::Mounted(folder), _) => Ok(std::fs::remove_file(folder.join("filler"))?),
            (Disk::Limited, Some(process)) => run("prlimit", &["--pid", &process.to_string(), "--fsize=unlimited"]),
            (Disk::Limited, None) => Ok(()),
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Disk::Mounted(folder) = self
            && let Err(error) = run("umount", &["-l", &folder.display().to_string()])
        {
            eprintln!("{error:#}");
        }
    }
}
