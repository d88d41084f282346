//! Law 2: every command is answered exactly once, the same id with another request by one conflict; and law 7: what
//! cannot be decoded is a dead letter. Reads the doors as the tasks did, and the answers as a client would.
//!
//! On a log that is being written the answers have a lower and an upper bound: of the commands that a task had applied
//! each must have its answer somewhere, and of the answers that are judged each must have its command somewhere. At rest
//! the two are one.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use anyhow::Result;
use tributary_flow::door::request_digest;
use tributary_flow::log;
use tributary_flow::processor::Processor;
use tributary_flow::{DEAD_LETTERS, Header, Identity, Log, Logged, Ports, TopicRef, partition_of};

use super::{Audit, Decoder, place};

/// A key's commands as they came in.
type Asked = HashMap<String, Vec<Command>>;

struct Command {
    /// The topic of its door.
    door: &'static str,
    id: String,
    digest: [u8; 16],
    /// Whether its key is its identity.
    by_key: bool,
    /// Whether its task had applied it.
    applied: bool,
    place: String,
}

/// Answers to one command.
#[derive(Clone, Copy, Default)]
struct Answered {
    /// All that were read, and how many of them are conflicts.
    read: Counted,
    /// Those of them that are judged.
    judged: Counted,
}

/// Decisions and conflicts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counted {
    decisions: usize,
    conflicts: usize,
}

impl std::ops::AddAssign for Counted {
    fn add_assign(&mut self, other: Self) {
        self.decisions += other.decisions;
        self.conflicts += other.conflicts;
    }
}

/// Answers by key and command id.
type Answers = HashMap<(String, String), Answered>;

pub(super) fn check(audit: &mut Audit<'_>, partition: u32, working: &HashSet<String>) -> Result<()> {
    let letters = letters(audit, partition)?;
    audit.report.count("dead letters", letters.len() as u64);
    node(audit, partition, &letters, working, &tributary_transaction::TransactionProcessor::default())?;
    // Accounts and risk answer at once.
    node(audit, partition, &letters, &HashSet::new(), &tributary_account::AccountProcessor)?;
    node(audit, partition, &letters, &HashSet::new(), &tributary_risk::RiskProcessor::default())
}

/// The places in this partition that dead letters are about.
fn letters(audit: &Audit<'_>, partition: u32) -> Result<BTreeSet<String>> {
    let mut letters = BTreeSet::new();
    for letter_partition in 0..audit.log.partitions() {
        log::visit(&audit.log, DEAD_LETTERS, letter_partition, |record| {
            let header = |name| {
                let found = record.headers.iter().find(|(header, _)| header == name);
                found.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
            };
            if header("partition") == partition.to_string() {
                letters.insert(format!("{}[{partition}]@{}", header("topic"), header("offset")));
            }
            Ok::<_, anyhow::Error>(())
        })?;
    }
    Ok(letters)
}

/// What a task makes of a record at its door.
enum Met {
    Command(String, Command),
    /// A command of another partition, on its first way.
    Astray,
    /// Nothing that can be taken.
    Bad,
}

fn node<P: Processor>(
    audit: &mut Audit<'_>,
    partition: u32,
    letters: &BTreeSet<String>,
    working: &HashSet<String>,
    processor: &P,
) -> Result<()> {
    let reached = audit.tasks.of(P::Ports::NODE, partition);
    let partitions = audit.log.partitions();
    let mut asked = Asked::new();
    for (port, topic) in P::Ports::NODE.inputs.iter().enumerate().filter(|(_, topic)| topic.kind.is_door()) {
        audit.visit(topic, partition, |report, decoder, record, _| {
            let at = place(topic, partition, record.offset);
            let applied = record.offset < reached.position(port);
            if !applied {
                report.count("commands in flight", 1);
            }
            if letters.contains(&at) {
                return;
            }
            match meet(processor, decoder, (port, topic), (partition, partitions), &record) {
                Met::Command(key, command) => {
                    report.count("commands", u64::from(applied));
                    asked.entry(key).or_default().push(Command { applied, place: at, ..command });
                }
                Met::Astray => report.count("commands forwarded", u64::from(applied)),
                Met::Bad if applied => {
                    let detail = "it cannot be taken and there is no letter";
                    report.violation("bad input is a dead letter", &at, "a command", detail);
                }
                Met::Bad => {}
            }
        })?;
    }
    let answers = answers::<P>(audit, partition)?;
    for (key, commands) in asked {
        judge(audit, &key, &commands, &answers, working.contains(&key));
    }
    Ok(())
}

fn meet<P: Processor>(
    processor: &P,
    decoder: &Decoder,
    (port, topic): (usize, TopicRef),
    (partition, partitions): (u32, u32),
    record: &Logged,
) -> Met {
    let datum = decoder.datum(topic, record).ok();
    let key = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok());
    let opened = datum.and_then(|datum| P::Ports::decode(port, &datum).ok());
    let opened = opened.as_ref().and_then(|opened| P::Ports::read(port, opened)).zip(key);
    let Some(((Header::Command(command), body), key)) = opened else { return Met::Bad };
    if partition_of(key.as_bytes(), partitions) != partition {
        return if command.origin.is_none() { Met::Astray } else { Met::Bad };
    }
    let by_key = processor.identity(body) == Identity::Key;
    let digest = request_digest::<P::Ports>(command, body);
    let door = topic.name;
    let command = Command { door, id: command.id.clone(), digest, by_key, applied: false, place: String::new() };
    Met::Command(key.to_owned(), command)
}

fn answers<P: Processor>(audit: &mut Audit<'_>, partition: u32) -> Result<Answers> {
    let mut answers = Answers::new();
    let outputs: Vec<TopicRef> = P::Ports::NODE.outputs.to_vec();
    for topic in outputs.into_iter().filter(|topic| topic.key == P::Ports::NODE.key) {
        audit.visit(topic, partition, |_, decoder, record, judged| {
            if let Ok((Header::Fact(fact), key, body)) = decoder.json(topic, &record)
                && let Some(id) = fact.answers
            {
                let conflicts = usize::from(body["reason"]["code"] == "conflict");
                let counted = Counted { decisions: 1 - conflicts, conflicts };
                let answered = answers.entry((key, id)).or_default();
                answered.read += counted;
                answered.judged += if judged { counted } else { Counted::default() };
            }
        })?;
    }
    Ok(answers)
}

/// Judges the answers to a key's commands; `working` where a decision may still be on its way.
fn judge(audit: &mut Audit<'_>, key: &str, commands: &[Command], answers: &Answers, working: bool) {
    let mut identities: BTreeMap<Option<&str>, Vec<&Command>> = BTreeMap::new();
    for command in commands {
        identities.entry((!command.by_key).then_some(command.id.as_str())).or_default().push(command);
    }
    for group in identities.into_values() {
        let ids: BTreeSet<&str> = group.iter().map(|command| command.id.as_str()).collect();
        let mut found = Answered::default();
        for answered in ids.iter().filter_map(|id| answers.get(&(key.to_owned(), (*id).to_owned()))) {
            found.read += answered.read;
            found.judged += answered.judged;
        }
        let least = due(group.iter().filter(|command| command.applied));
        let most = due(group.iter());
        if working && found.read.decisions < least.decisions {
            audit.report.count("answers in flight", 1);
        }
        let late = usize::from(working);
        if found.read.decisions + late < least.decisions
            || found.read.conflicts < least.conflicts
            || found.judged.decisions > most.decisions
            || found.judged.conflicts > most.conflicts
        {
            let detail = format!("asked under {ids:?}: found {:?}; {least:?} are due", found.read);
            let subject = format!("{} {key}", if group[0].by_key { "creation of" } else { "command to" });
            audit.report.violation("answered once", &group[0].place, subject, detail);
        }
    }
}

/// The answers that are due to commands under one id, or that create one thing: at each door the first request is decided, and
/// each other one is a conflict once. What creates something is known by that at every door.
fn due<'a>(commands: impl Iterator<Item = &'a &'a Command>) -> Counted {
    let mut first = BTreeMap::new();
    let mut others = BTreeSet::new();
    for command in commands {
        let door = (!command.by_key).then_some(command.door);
        if *first.entry(door).or_insert(command.digest) != command.digest {
            others.insert((door, command.digest, command.id.as_str()));
        }
    }
    Counted { decisions: first.len(), conflicts: others.len() }
}
