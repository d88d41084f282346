//! No transaction waits for ever, and none is ended by a wait that is over: at every time a transaction has the one timer of
//! its status, due at its deadline, and where nothing can fail to come it has none.

use std::collections::BTreeMap;

use anyhow::Result;
use tributary_flow::{Page, Reader, Timestamp};
use tributary_graph::transaction;
use tributary_transaction::{Open, Status, Timer};

use super::{Checker, Found, Seen};
use crate::load::plan::Draw;

/// The checker. It remembers nothing.
pub struct Waits;

/// What a transaction waits for by the clock, and until when.
fn wait(open: &Open) -> Option<(Timer, Timestamp)> {
    let timer = match open.status {
        Status::Initiated => Timer::Voting,
        Status::OnHold => Timer::Review,
        Status::Held => Timer::Hold,
        Status::Posting { .. } | Status::Cancelling(_) | Status::Ended(_) => return None,
    };
    Some((timer, open.deadline))
}

fn compare_in(seen: &Seen<'_>, partition: u32, found: &mut Found) -> Result<()> {
    seen.states
        .with_state(&transaction::NODE, partition, &mut |store| compare(Reader::new(store), partition, found))?;
    Ok(())
}

fn compare(reader: Reader<'_>, partition: u32, found: &mut Found) {
    let mut timers: BTreeMap<String, Vec<(Timer, Timestamp)>> = BTreeMap::new();
    for (id, timer, due) in reader.timers() {
        timers.entry(id).or_default().push((timer, due));
    }
    let transactions: Vec<(String, Open)> = reader.heads(Page::all());
    for (id, open) in transactions {
        let (set, wanted) = (timers.remove(&id).unwrap_or_default(), wait(&open));
        if set.as_slice() != wanted.as_slice() {
            let status = open.status.name();
            found.wrong(format!("transaction[{partition}]: {id} is {status} with the timers {set:?}, not {wanted:?}"));
        }
    }
    for (id, set) in timers {
        found.wrong(format!("transaction[{partition}]: {id} has the timers {set:?}, and is not open"));
    }
}

impl Checker for Waits {
    fn name(&self) -> &'static str {
        "waits"
    }

    fn look(&mut self, seen: &Seen<'_>, draw: &mut Draw, found: &mut Found) -> Result<()> {
        compare_in(seen, draw.below(u64::from(seen.log.partitions())) as u32, found)
    }

    fn rest(&mut self, seen: &Seen<'_>, found: &mut Found) -> Result<()> {
        (0..seen.log.partitions()).try_for_each(|partition| compare_in(seen, partition, found))
    }
}
