//! What the journals say beside the stores. An epoch of a task lies in its changelog and in its journal, by one transaction, and
//! its number lies in both: where they end with different ones, that transaction is committed in one of the two and aborted in
//! the other. A broker can do that (`docs/guarantees.md`), and nobody above the log can mend it: who runs on does again what was
//! done, or stands on what was not. So a slot that takes such a task over stops, and says so.
//!
//! Deliberately absent: what a transaction wrote to other topics, and epochs before the last. To compare those is an audit.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use tributary_flow::{JournalEntry, Node, Reader};

use crate::restore::{PATIENCE, hanging};
use crate::slot::Own;
use crate::world::{Fault, Met, World};
use crate::{At, Row, Slot, TaskAt, Trouble};

/// How many offsets of a journal are read first: mostly its last entry is the last but one, behind it what committed it. Where
/// epochs were aborted since, none of these may be one, and `FURTHER` times as many are read.
const SPAN: u64 = 16;
const FURTHER: u64 = 8;
/// How long to wait for something of a journal.
const WAIT: Duration = Duration::from_millis(100);
/// Records read at once.
const BATCH: usize = 1_000;

/// The end of a journal.
struct Tail {
    node: &'static Node,
    at: At,
    /// The epoch of the store, where that is at its changelog's end.
    epoch: Option<u64>,
    /// Where the journal begins, and where it ended when that was asked.
    begin: u64,
    end: u64,
    /// What was read of it.
    from: u64,
    read: u64,
    /// Its last entry, if there is one; its epoch, if this build can read it.
    last: Option<Option<u64>>,
}

impl Tail {
    /// The same journal, of which nothing was met, is read from further back.
    fn step_back(&mut self, span: u64) {
        self.from = self.end.saturating_sub(span).max(self.begin);
        self.read = self.from;
    }

    fn meet(&mut self, offset: u64, value: Option<&[u8]>) {
        let epoch = value.and_then(|value| JournalEntry::decode(value, self.node)).map(|entry| entry.epoch);
        self.last = Some(epoch);
        // Behind an entry that is committed comes what committed it. Only one that agrees is taken for the last for that: to be
        // told of the end takes a tenth of a second.
        self.read = offset + if epoch.is_some() && epoch == self.epoch { 2 } else { 1 };
    }
}

fn find<'a>(tails: &'a mut [Tail], topic: &str, partition: u32) -> Option<&'a mut Tail> {
    tails.iter_mut().find(|tail| tail.at.1 == partition && tail.at.0 == topic)
}

impl<W: World> Slot<W> {
    /// Reads with which epochs the journals of `tasks` end; `rows` are those whose stores are at the ends of their changelogs.
    pub(crate) async fn read_journals(
        &mut self,
        tasks: &[(&'static Node, u32)],
        rows: &BTreeMap<TaskAt, Row>,
    ) -> Result<(), Trouble> {
        let mut tails = self.tails(tasks, rows).await?;
        let mut span = SPAN;
        loop {
            let (mut read, done): (Vec<Tail>, _) =
                tails.into_iter().partition(|tail| tail.last.is_none() && tail.from > tail.begin);
            tails = done;
            if read.is_empty() {
                break;
            }
            read.iter_mut().for_each(|tail| tail.step_back(span));
            let reached = self.read_tails(&mut read).await;
            self.open(&[]).await?;
            reached?;
            tails.extend(read);
            span = span.saturating_mul(FURTHER);
        }
        let told = |tail: Tail| Some(((tail.node.name, tail.at.1), tail.last??));
        self.journals = tails.into_iter().filter_map(told).collect();
        Ok(())
    }

    /// Where the journals of these tasks begin and end, asked now.
    async fn tails(&self, tasks: &[(&'static Node, u32)], rows: &BTreeMap<TaskAt, Row>) -> Result<Vec<Tail>, Trouble> {
        let place = |(node, partition): &(&'static Node, u32)| (self.topics[node.name].journal.clone(), *partition);
        let bounds = self.world.ends(&tasks.iter().map(place).collect::<Vec<At>>()).await?;
        let tail = |task: &(&'static Node, u32)| {
            let (at, of) = (place(task), (task.0.name, task.1));
            let Range { start: begin, end } = bounds.get(&at).cloned().unwrap_or(0..0);
            let epoch = if rows.contains_key(&of) { self.epoch_of(of) } else { None };
            Tail { node: task.0, at, epoch, begin, end, from: end, read: end, last: None }
        };
        Ok(tasks.iter().map(tail).collect())
    }

    /// Reads journals to where they ended. What is open there may still be committed.
    async fn read_tails(&mut self, tails: &mut [Tail]) -> Result<(), Trouble> {
        let places: Vec<_> = tails.iter().map(|tail| (tail.at.0.as_str(), tail.at.1, tail.read)).collect();
        self.open(&places).await?;
        let mut last = self.world.elapsed();
        while let Some(behind) = tails.iter().position(|tail| tail.read < tail.end) {
            self.live().await?;
            if self.take_tails(tails).await? > 0 {
                last = self.world.elapsed();
            } else if self.world.elapsed() - last > PATIENCE {
                let Tail { at: (topic, partition), read, end, .. } = &tails[behind];
                return Err(Trouble::Again(hanging(topic, *partition, *read, *end)));
            }
        }
        Ok(())
    }

    /// Takes what there is of journals; how much that was, a failure apart.
    async fn take_tails(&self, tails: &mut [Tail]) -> Result<usize, Trouble> {
        let (mut failed, mut met) = (None, 0);
        let mut meet = |what: Met<'_>| match what {
            Met::Record { topic, partition, offset, value, .. } => {
                met += 1;
                find(tails, topic, partition).into_iter().for_each(|tail| tail.meet(offset, value));
            }
            Met::End { topic, partition, offset } => {
                met += 1;
                find(tails, topic, partition).into_iter().for_each(|tail| tail.read = tail.read.max(offset));
            }
            Met::Cut { error, .. } => failed = Some(error),
            Met::Failed(error) if error.fault == Fault::OffsetLost => failed = Some(error),
            Met::Failed(error) => tracing::warn!("reading journals: {error}"),
        };
        self.world.read_changelogs(WAIT, BATCH, &mut meet).await;
        // As of a changelog: what the client reads no more is asked for again, from where it begins by then.
        match failed {
            Some(error) => Err(Trouble::Again(format!("reading journals: {error}"))),
            None => Ok(met),
        }
    }

    /// The epoch of a store; nothing where its task cannot read that, and halts.
    fn epoch_of(&self, at: TaskAt) -> Option<u64> {
        Reader::new(self.store(at)).told_epoch()
    }

    /// Which of these stores, all at the ends of their changelogs, is at another epoch than its journal ended with, if any is. A
    /// journal of which nothing is left says nothing, and neither does an entry that only another build can read.
    pub(crate) async fn disagreement(&self, rows: &BTreeMap<TaskAt, Row>) -> Result<Option<String>, Trouble> {
        let differ = |at: &TaskAt| {
            let (store, journal) = (self.epoch_of(*at)?, *self.journals.get(at)?);
            (store != journal).then_some((*at, store, journal))
        };
        let Some(((node, partition), store, journal)) = rows.keys().find_map(differ) else { return Ok(None) };
        // If we stood still meanwhile, another may own the task and have gone on: of its last epoch we may know a part.
        self.confirm().await?;
        let Own { changelog: one, journal: other } = &self.topics[node];
        Ok(Some(format!(
            "{one}[{partition}] ends with epoch {store} and {other}[{partition}] with epoch {journal}: a transaction is \
             committed in one of them and not in the other, which a broker can do that was killed and started again at once; \
             `tributary verify` names what is there twice or missing, and docs/guarantees.md says how to go on"
        )))
    }
}

#[cfg(test)]
mod tests {
    use tributary_flow::Timestamp;

    use super::*;

    static NODE: Node = Node { name: "n", key: "key", inputs: &[], outputs: &[], doc: "" };

    fn tail(epoch: Option<u64>) -> Tail {
        let at = (NODE.journal(), 0);
        Tail { node: &NODE, at, epoch, begin: 40, end: 1_000, from: 1_000, read: 1_000, last: None }
    }

    fn entry(epoch: u64) -> Vec<u8> {
        let (now, build) = (Timestamp(0), String::new());
        JournalEntry { epoch, now, build, rules: [0; 32], timers: 0, runs: Vec::new() }.encode()
    }

    #[test]
    fn where_nothing_is_met_reading_goes_back_in_longer_steps_to_where_the_journal_begins() {
        let mut tail = tail(None);
        let spans = (0..4).map(|step| SPAN * FURTHER.pow(step));
        let from: Vec<u64> = spans
            .map(|span| {
                tail.step_back(span);
                assert_eq!(tail.read, tail.from);
                tail.from
            })
            .collect();
        assert_eq!(from, [984, 872, 40, 40]);
    }

    #[test]
    fn an_entry_that_agrees_is_read_with_its_marker_and_any_other_waits_for_the_end() {
        for (store, written, read) in [(Some(7), 7, 1_000), (Some(7), 6, 999), (Some(6), 7, 999), (None, 7, 999)] {
            let mut tail = tail(store);
            tail.meet(998, Some(&entry(written)));
            assert_eq!((tail.last, tail.read), (Some(Some(written)), read), "{store:?}");
        }
    }

    #[test]
    fn an_entry_of_another_build_says_nothing_and_is_the_last_all_the_same() {
        let mut tail = tail(Some(7));
        for (offset, value, last) in [
            (990, Some(entry(6)), Some(6)),
            (992, Some([entry(7), vec![1]].concat()), None),
            (994, None, None),
            (996, Some(entry(7)), Some(7)),
        ] {
            tail.meet(offset, value.as_deref());
            assert_eq!(tail.last, Some(last), "{offset}");
        }
    }
}
