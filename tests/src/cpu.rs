//! What processes cost.

use std::time::Duration;

use anyhow::{Context, Result};

/// Time of the processor that a process has had so far, in steps of the kernel's hundredths of a second. Source: proc(5), `utime`
/// and `stime` of `/proc/<pid>/stat`.
///
/// # Errors
/// There is no such process.
pub fn time(process: u32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let after_name = stat.rsplit_once(") ").context("a name in brackets")?.1;
    let mut fields = after_name.split(' ').skip(11).map(str::parse::<u64>);
    let mut next = || Ok::<u64, anyhow::Error>(fields.next().context("a field")??);
    Ok(Duration::from_millis(10 * (next()? + next()?)))
}
