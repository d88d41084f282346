//! What librdkafka's clients log, as ours. While a broker is away every client says so at every attempt, many times a second: one line of a
//! kind and second is told, with how many were left out; all of it at the level `debug`.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often a line of one kind is told.
const EVERY: Duration = Duration::from_secs(1);

/// What was told last, by kind: `FAIL` of a connection, `ERROR`, `SESSTMOUT` and so on, as librdkafka names them.
static TOLD: Mutex<BTreeMap<String, Told>> = Mutex::new(BTreeMap::new());

struct Told {
    at: Instant,
    left_out: u64,
}

/// Logs a line; `level` is syslog's, as librdkafka has it.
pub(crate) fn log(level: i32, client: &str, kind: &str, line: &str) {
    let tell = || tell(&mut TOLD.lock().unwrap_or_else(PoisonError::into_inner), kind, Instant::now());
    match level {
        5..=6 => tracing::info!(client, "{line}"),
        7.. => tracing::debug!(client, "{line}"),
        _ => match tell().map(|left_out| (left_out > 0).then_some(left_out)) {
            None => tracing::debug!(client, "{line}"),
            Some(left_out) if level < 3 => tracing::error!(client, left_out, "{line}"),
            Some(left_out) => tracing::warn!(client, left_out, "{line}"),
        },
    }
}

/// How many of this kind were left out since one was told; nothing where this one is left out too.
fn tell(told: &mut BTreeMap<String, Told>, kind: &str, now: Instant) -> Option<u64> {
    match told.get_mut(kind) {
        Some(last) if now - last.at < EVERY => {
            last.left_out += 1;
            None
        }
        Some(last) => Some(std::mem::replace(last, Told { at: now, left_out: 0 }).left_out),
        None => {
            told.insert(kind.to_owned(), Told { at: now, left_out: 0 });
            Some(0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_of_a_kind_and_second_is_told_and_what_was_left_out_is_counted() {
        let (mut told, begun) = (BTreeMap::new(), Instant::now());
        let mut at = |millis, kind| tell(&mut told, kind, begun + Duration::from_millis(millis));
        assert_eq!(at(0, "FAIL"), Some(0));
        assert_eq!(at(1, "ERROR"), Some(0), "another kind");
        assert_eq!([at(2, "FAIL"), at(999, "FAIL")], [None, None]);
        assert_eq!(at(1_000, "FAIL"), Some(2));
        assert_eq!(at(3_000, "FAIL"), Some(0));
    }
}
