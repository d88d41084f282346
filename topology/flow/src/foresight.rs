//! Foresight: which offset a record will get, for a driver that shares the log with others and writes in transactions.
//!
//! What a partition got from us last lies at a known offset, and behind it lies the marker of our commit: the next record
//! is two further, unless somebody else has written in between. Where we have written nothing yet, it lies where our reader
//! met the end. On that guess records are handed over, and it is checked before anything is committed: the log tells where
//! each record really went. Right, and the position of a reader that was handed a record is what reading it would have made
//! it, for between it and the last one there is no record. Wrong, and the transaction is aborted and the epoch run again
//! without a guess for that partition.
//!
//! Why what lies in between can be nothing but our marker: a log gives no second transaction of a producer a partition
//! before the first one's marker is in it, and the offsets leave room for one entry. And below the end that a reader of
//! committed records met, it has read all that ever will be.
//!
//! Deliberately absent: a guess for a partition of whose end neither our reader nor our last commit has told, and for doors,
//! which clients write to.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::TopicRef;
use crate::partitions::ByPartition;
use crate::record::{Produced, Target};

/// For how many commits no guess is made of a partition to which others write as well: every wrong one costs a transaction.
const PAUSE: u64 = 1_000;

/// Where partitions end: behind our last record, and where the next one goes. An epoch is computed with one, and compared with it.
#[derive(Clone, Debug, Default)]
pub struct Guess(ByPartition<Range<u64>>);

impl Guess {
    /// Where a partition ends, if that can be known: see [`crate::engine::Ends`].
    #[must_use]
    pub fn end(&self, topic: TopicRef, partition: u32) -> Option<Range<u64>> {
        self.0.get(topic, partition).cloned()
    }

    /// What it will be once these records lie where it says, with the marker of their commit behind them.
    #[must_use]
    pub fn after(mut self, records: &[Produced]) -> Self {
        let mut many = ByPartition::default();
        for (topic, partition) in foreseen(records).flatten() {
            *many.at(topic, partition).get_or_insert(0) += 1;
        }
        for (topic, partition) in foreseen(records).flatten() {
            if let (Some(many), Some(range)) = (many.at(topic, partition).take(), self.0.at(topic, partition)) {
                *range = range.end + many..range.end + many + 1;
            }
        }
        self
    }
}

/// Knows where partitions end.
#[derive(Debug, Default)]
pub struct Foresight {
    known: Guess,
    /// Partitions to which others write, by the topic's name, until so many commits were made.
    others: BTreeMap<(&'static str, u32), u64>,
    commits: u64,
}

impl Foresight {
    /// What an epoch may be computed with.
    #[must_use]
    pub fn guess(&self) -> Guess {
        self.known.clone()
    }

    /// Notes that the reader of committed records met a partition's end: `range` begins behind the last record, and ends there.
    pub fn met_end(&mut self, topic: TopicRef, partition: u32, range: Range<u64>) {
        if !topic.kind.is_door() && !self.others.contains_key(&(topic.name, partition)) {
            self.known.0.at(topic, partition).get_or_insert(range);
        }
    }

    /// Compares the guess with which an epoch was computed with where its records went, before they are committed; `offsets` are
    /// theirs in order, absent where the log did not say. False where it was wrong: the epoch must be aborted and run again.
    #[must_use]
    pub fn is_right(&mut self, guess: &Guess, records: &[Produced], offsets: &[Option<u64>]) -> bool {
        let mut ends = ByPartition::default();
        let mut wrong = Vec::new();
        for (topic, partition, offset) in placed(records, offsets) {
            let Some(range) = guess.0.get(topic, partition) else { continue };
            let next = ends.at(topic, partition).get_or_insert(range.end);
            if offset == Some(*next) {
                *next += 1;
            } else {
                wrong.push((topic.name, partition));
            }
        }
        if wrong.is_empty() {
            return true;
        }
        // What is aborted stays in the log, with a marker behind it: nothing is known of any partition that it is in.
        for (topic, partition, _) in placed(records, offsets) {
            *self.known.0.at(topic, partition) = None;
        }
        self.others.extend(wrong.into_iter().map(|at| (at, self.commits + PAUSE)));
        false
    }

    /// Notes where the records of a committed epoch went.
    pub fn committed(&mut self, records: &[Produced], offsets: &[Option<u64>]) {
        self.commits += 1;
        self.others.retain(|_, until| *until > self.commits);
        for (topic, partition, offset) in placed(records, offsets) {
            let ours = !self.others.contains_key(&(topic.name, partition));
            *self.known.0.at(topic, partition) = offset.filter(|_| ours).map(|offset| offset + 1..offset + 2);
        }
    }
}

/// The records that may be handed over, each with where it went.
fn placed<'a>(
    records: &'a [Produced],
    offsets: &'a [Option<u64>],
) -> impl Iterator<Item = (TopicRef, u32, Option<u64>)> + 'a {
    assert_eq!(records.len(), offsets.len(), "invariant: an offset for each record");
    foreseen(records).zip(offsets).filter_map(|(at, offset)| at.map(|(topic, partition)| (topic, partition, *offset)))
}

/// The partition of each record, if it is one that may be handed over.
fn foreseen(records: &[Produced]) -> impl Iterator<Item = Option<(TopicRef, u32)>> {
    records.iter().map(|record| match record.target {
        Target::Topic(topic) if !topic.kind.is_door() => Some((topic, record.partition)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, Topic};

    static FACTS: Topic = Topic { name: "facts", kind: Kind::Events, key: "k", schema: "s", doc: "" };
    static DOOR: Topic = Topic { name: "door", kind: Kind::Commands, key: "k", schema: "s", doc: "" };

    fn records(to: &[(TopicRef, u32)]) -> Vec<Produced> {
        let record = |(topic, partition): &(TopicRef, u32)| Produced {
            target: Target::Topic(topic),
            partition: *partition,
            key: None,
            value: None,
            headers: Vec::new(),
            memory: None,
        };
        to.iter().map(record).collect()
    }

    #[test]
    fn the_next_record_is_behind_the_marker_of_the_last_commit() {
        let mut foresight = Foresight::default();
        let written = records(&[(&FACTS, 0), (&DOOR, 0), (&FACTS, 0)]);
        assert_eq!(foresight.guess().end(&FACTS, 0), None, "nothing was written yet");
        foresight.met_end(&FACTS, 0, 4..7);
        foresight.met_end(&DOOR, 0, 0..1);
        assert_eq!(
            (foresight.guess().end(&FACTS, 0), foresight.guess().end(&DOOR, 0)),
            (Some(4..7), None),
            "clients write to doors"
        );
        let went = [Some(7), Some(1), Some(8)];
        assert!(foresight.is_right(&foresight.guess(), &written, &went));
        foresight.committed(&written, &went);
        foresight.met_end(&FACTS, 0, 4..7);
        assert_eq!(foresight.guess().end(&FACTS, 0), Some(9..10), "an end that was met before is no news");
        assert_eq!((foresight.guess().end(&FACTS, 1), foresight.guess().end(&DOOR, 0)), (None, None));
        assert!(foresight.is_right(&foresight.guess(), &written, &[Some(10), Some(9), Some(11)]));
    }

    #[test]
    fn a_wrong_guess_is_not_made_again_for_a_while_and_nothing_is_known_of_what_was_aborted() {
        let mut foresight = Foresight::default();
        let both = records(&[(&FACTS, 0), (&FACTS, 1)]);
        foresight.committed(&both, &[Some(3), Some(3)]);
        assert!(
            !foresight.is_right(&foresight.guess(), &both, &[Some(5), Some(6)]),
            "somebody else wrote to partition 1"
        );
        assert_eq!((foresight.guess().end(&FACTS, 0), foresight.guess().end(&FACTS, 1)), (None, None));
        foresight.committed(&both, &[Some(7), Some(9)]);
        assert_eq!((foresight.guess().end(&FACTS, 0), foresight.guess().end(&FACTS, 1)), (Some(8..9), None));
        foresight.met_end(&FACTS, 1, 10..11);
        assert_eq!(foresight.guess().end(&FACTS, 1), None);
        let alone = records(&[(&FACTS, 1)]);
        (0..PAUSE).for_each(|at| foresight.committed(&alone, &[Some(20 + 2 * at)]));
        assert!(foresight.guess().end(&FACTS, 1).is_some(), "it is tried again");
    }

    #[test]
    fn an_offset_that_the_log_does_not_tell_ends_what_is_known() {
        let mut foresight = Foresight::default();
        let one = records(&[(&FACTS, 0)]);
        foresight.committed(&one, &[Some(3)]);
        assert!(!foresight.is_right(&foresight.guess(), &one, &[None]));
        foresight.committed(&one, &[None]);
        assert_eq!(foresight.guess().end(&FACTS, 0), None);
    }
}
