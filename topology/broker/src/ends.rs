//! Where partitions begin and end: asked once a second for all of them at once, for lag; and now, for the changelog's lower
//! bounds and for whoever must not miss what was just written.
//!
//! An end asked while an epoch is under way counts that epoch's records. That is right all the same: the engine writes
//! a bound only together with an epoch that is committed, and asks for none in between; and a reader who waits for an
//! end waits for the epoch to come to its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tributary_flow::platform::Told;
use tributary_slot::{At, Bounds, Failed};

use crate::asked::Asked;
use crate::native::Consumer;
use crate::settings::{self, Settings};

/// How long to wait for an answer.
const BOUND: Duration = Duration::from_secs(5);

/// How often all ends are asked for.
const REFRESH: Duration = Duration::from_secs(1);

/// Knows the read-uncommitted ends.
pub(crate) struct Ends {
    client: Asked,
    watched: BTreeSet<At>,
    known: RwLock<BTreeMap<At, u64>>,
    questions: Mutex<Questions>,
    news: Condvar,
}

/// Who asks while a question is under way shares the next one, so that a thousand who ask are no more work than a few.
#[derive(Default)]
struct Questions {
    wanted: BTreeSet<At>,
    waiting: Vec<Waiting>,
    /// How many were begun.
    begun: u64,
    /// When all ends were asked for.
    all: Option<Instant>,
}

/// Somebody who asked.
struct Waiting {
    places: Vec<At>,
    since: Instant,
    /// How many questions had been begun: the answer to any later one will do.
    begun: u64,
    told: Told,
}

impl Ends {
    pub fn new(brokers: &str, passed: &Settings, watched: BTreeSet<At>) -> Result<Self, Failed> {
        let client = Asked::new(settings::reader(brokers, passed, "read_uncommitted"))?;
        let (known, questions, news) = Default::default();
        Ok(Ends { client, watched, known, questions, news })
    }

    /// Waits for a question, or for the time to ask for everything watched, and has it answered. What is not answered is
    /// asked again with the next, as long as somebody waits.
    pub fn serve(&self) -> Result<(), Failed> {
        let until =
            |questions: &Questions| questions.all.map_or(Duration::ZERO, |all| REFRESH.saturating_sub(all.elapsed()));
        let questions = self.questions();
        let wait = until(&questions);
        let waited = self.news.wait_timeout_while(questions, wait, |questions| questions.wanted.is_empty());
        let mut questions = waited.unwrap_or_else(PoisonError::into_inner).0;
        if until(&questions).is_zero() {
            questions.wanted.extend(self.watched.iter().cloned());
            questions.all = Some(Instant::now());
        }
        let wanted = std::mem::take(&mut questions.wanted);
        questions.begun += 1;
        let number = questions.begun;
        drop(questions);
        let asked = self.client.ask(|client| ends(client, wanted.iter()));
        let mut questions = self.questions();
        let is_over = |waiting: &mut Waiting| match &asked {
            Ok(_) => waiting.begun < number,
            Err(_) => waiting.since.elapsed() >= BOUND,
        };
        let over: Vec<Waiting> = questions.waiting.extract_if(.., is_over).collect();
        let asked = match asked {
            Ok(found) => {
                self.known.write().unwrap_or_else(PoisonError::into_inner).extend(found);
                Ok(())
            }
            Err(failed) => {
                questions.wanted.extend(wanted);
                Err(failed)
            }
        };
        drop(questions);
        for Waiting { places, told, .. } in over {
            let known = |(topic, partition): &At| self.known(topic, *partition).filter(|_| asked.is_ok());
            told(places.iter().map(known).collect());
        }
        asked
    }

    /// Asks for the ends of these topics in a partition, as they are after this was called.
    pub fn now(&self, topics: &[&str], partition: u32, told: Told) {
        let places: Vec<At> = topics.iter().map(|topic| ((*topic).to_owned(), partition)).collect();
        let mut questions = self.questions();
        questions.wanted.extend(places.iter().cloned());
        let begun = questions.begun;
        questions.waiting.push(Waiting { places, since: Instant::now(), begun, told });
        drop(questions);
        self.news.notify_all();
    }

    /// First offsets and ends, asked now.
    pub fn ask(&self, partitions: &[At]) -> Result<Bounds, Failed> {
        self.client.ask(|client| ranges(client, partitions))
    }

    /// As last asked.
    pub fn known(&self, topic: &str, partition: u32) -> Option<u64> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(&(topic.to_owned(), partition)).copied()
    }

    fn questions(&self) -> MutexGuard<'_, Questions> {
        self.questions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends as the client's isolation sees them.
fn ends<'a>(client: &Consumer, partitions: impl Iterator<Item = &'a At>) -> Result<BTreeMap<At, u64>, Failed> {
    let found = client.offsets(partitions.map(|(topic, partition)| (topic.as_str(), *partition)), -1, BOUND)?;
    Ok(found.into_iter().map(|(topic, partition, end)| ((topic, partition), end)).collect())
}

/// First offsets kept, and ends as the client's isolation sees them.
pub(crate) fn ranges(client: &Consumer, partitions: &[At]) -> Result<Bounds, Failed> {
    let list = partitions.iter().map(|(topic, partition)| (topic.as_str(), *partition));
    let starts = client.offsets(list, -2, BOUND)?;
    let ends = ends(client, partitions.iter())?;
    let range = |(topic, partition, start)| {
        let at = (topic, partition);
        let end = ends.get(&at).copied().unwrap_or(start).max(start);
        (at, start..end)
    };
    Ok(starts.into_iter().map(range).collect())
}
