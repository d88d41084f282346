//! Servers that the binary starts itself, so that a machine with nothing but Java can run the real thing.
//!
//! - [`kafka`]: a local Apache Kafka, one KRaft node, its data kept across restarts.
//! - [`registry`]: the read side of a Confluent schema registry, answered from the compiled schemas.
//!
//! Both listen on loopback only. They are for trying out, for development and for tests: no TLS, no users, one replica.
//! A production cluster is given with `--brokers` and `--schema-registry` and nothing here is used.
//!
//! The rest is what starting a foreign server takes: [`java`] finds a runtime, [`maven`] fetches jars into the cache,
//! [`process`] keeps a child from outliving us.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context, Result, bail};

pub mod java;
pub mod kafka;
pub mod maven;
pub mod process;
pub mod registry;

/// Where fetched parts are kept: `$XDG_CACHE_HOME/tributary`, or `~/.cache/tributary`.
pub fn cache_dir() -> Result<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    Ok(base.context("no cache folder: set XDG_CACHE_HOME or HOME")?.join("tributary"))
}

/// A folder for what will have another's name once it is whole, removed however the work ends.
struct Staging(PathBuf);

impl Staging {
    fn beside(target: &Path) -> Result<Self> {
        let mut name = target.file_name().context("what is made has a name")?.to_owned();
        name.push(format!(".part-{}", std::process::id()));
        let folder = target.with_file_name(name);
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(Self(folder))
    }

    fn folder(&self) -> &Path {
        &self.0
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A loopback port that nobody listens on.
///
/// It is taken from below the range from which the kernel serves outgoing connections: a client that keeps dialling a
/// server which is down would sooner or later be given that very port as its own, reach itself, and block the restart.
pub fn free_port() -> Result<u16> {
    const FIRST: u16 = 18_000;
    const COUNT: u16 = 14_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Start at a place of our own, so that two processes which start together rarely probe the same port.
    let start = u64::from(std::process::id()) * 97 % u64::from(COUNT);
    for _ in 0..COUNT {
        let step = u64::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = FIRST + ((start + step) % u64::from(COUNT)) as u16;
        if is_free(port) {
            return Ok(port);
        }
    }
    bail!("no free loopback port between {FIRST} and {}", FIRST + COUNT)
}

/// Whether nobody listens on this loopback port.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}
