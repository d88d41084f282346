//! What the process said and used: its log, kept, and its time.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};

static SAID: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Kept;

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        SAID.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Keeps what is logged from now on.
pub fn listen() {
    SAID.lock().unwrap_or_else(PoisonError::into_inner).clear();
    // The second test finds the first one's.
    drop(tracing_subscriber::fmt().with_env_filter("warn").with_ansi(false).with_writer(|| Kept).try_init());
}

/// The lines that say `what`.
pub fn lines(what: &str) -> Vec<String> {
    let said = String::from_utf8_lossy(&SAID.lock().unwrap_or_else(PoisonError::into_inner)).into_owned();
    said.lines().filter(|line| line.contains(what)).map(str::to_owned).collect()
}

/// Processor time of this process so far, in the kernel's hundredths of a second.
pub fn own_time() -> Result<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit_once(") ").context("a name in brackets")?.1;
    let mut fields = after_name.split(' ').skip(11).map(str::parse::<u64>);
    let mut next = || Ok::<u64, anyhow::Error>(fields.next().context("a field")??);
    Ok(Duration::from_millis(10 * (next()? + next()?)))
}
