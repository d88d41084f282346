//! What the process said: its log, kept.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

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
