//! Law 2: every command is answered exactly once, the same id with another request by one conflict; and law 7: what
//! cannot be decoded is a dead letter. Reads the doors as the tasks did, and the answers as a client would.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::Result;
use tributary_flow::door::request_digest;
use tributary_flow::log::{self, Logged};
use tributary_flow::processor::Processor;
use tributary_flow::{DEAD_LETTERS, Header, Identity, JournalEntry, Ports, TopicRef, partition_of};

use super::{Audit, place};

/// A key's commands as they came in: id, digest, whether its key is its identity, and where.
type Asked = HashMap<String, Vec<Command>>;

struct Command {
    id: String,
    digest: [u8; 16],
    by_key: bool,
    place: String,
}

/// Answers by key and command id: how many, and how many of them conflicts.
type Answers = HashMap<(String, String), (usize, usize)>;

pub(super) fn check(audit: &mut Audit<'_>, partition: u32) -> Result<()> {
    let mut letters = BTreeSet::new();
    for letter_partition in 0..audit.log.partitions() {
        log::visit(audit.log, DEAD_LETTERS, letter_partition, |record| {
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
    audit.report.count("dead letters", letters.len() as u64);
    node(audit, partition, &letters, &tributary_transaction::TransactionProcessor::default())?;
    node(audit, partition, &letters, &tributary_account::AccountProcessor)?;
    node(audit, partition, &letters, &tributary_risk::RiskProcessor::default())
}

fn node<P: Processor>(audit: &mut Audit<'_>, partition: u32, letters: &BTreeSet<String>, processor: &P) -> Result<()> {
    let read = positions::<P>(audit, partition)?;
    let mut asked = Asked::new();
    for (port, topic) in P::Ports::NODE.inputs.iter().enumerate().filter(|(_, topic)| topic.kind.is_door()) {
        let partitions = audit.log.partitions();
        audit.visit(topic, partition, |report, decoder, record| {
            if record.offset >= read[port] {
                return report.count("commands in flight", 1);
            }
            let at = place(topic, partition, record.offset);
            let datum = decoder.datum(topic, &record).ok();
            let key = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok());
            let opened = datum.and_then(|datum| P::Ports::decode(port, &datum).ok()).zip(key);
            match opened {
                Some(((Header::Command(command), body), key))
                    if partition_of(key.as_bytes(), partitions) == partition =>
                {
                    if letters.contains(&at) {
                        return;
                    }
                    report.count("commands", 1);
                    let by_key = processor.identity(&body) == Identity::Key;
                    let digest = request_digest::<P::Ports>(&command, &body);
                    asked.entry(key.to_owned()).or_default().push(Command {
                        id: command.id,
                        digest,
                        by_key,
                        place: at,
                    });
                }
                Some(((Header::Command(command), _), _)) if command.origin.is_none() => {
                    report.count("commands forwarded", 1)
                }
                _ if letters.contains(&at) => {}
                _ => report.violation(
                    "bad input is a dead letter",
                    &at,
                    "a command",
                    "it cannot be taken and there is no letter",
                ),
            }
        })?;
    }
    let answers = answers::<P>(audit, partition)?;
    for (key, commands) in asked {
        judge(audit, &key, &commands, &answers);
    }
    Ok(())
}

/// How far the node has read each input, from its own journal.
fn positions<P: Processor>(audit: &Audit<'_>, partition: u32) -> Result<Vec<u64>> {
    let mut read = vec![0; P::Ports::NODE.inputs.len()];
    log::visit(audit.log, &P::Ports::NODE.journal(), partition, |record: Logged| {
        for run in record.value.as_deref().and_then(JournalEntry::decode).into_iter().flat_map(|entry| entry.runs) {
            if let Some(read) = read.get_mut(usize::from(run.port)) {
                *read = run.first.saturating_add(u64::from(run.count));
            }
        }
        Ok::<_, anyhow::Error>(())
    })?;
    Ok(read)
}

fn answers<P: Processor>(audit: &mut Audit<'_>, partition: u32) -> Result<Answers> {
    let mut answers = Answers::new();
    let outputs: Vec<TopicRef> = P::Ports::NODE.outputs.to_vec();
    for topic in outputs.into_iter().filter(|topic| topic.key == P::Ports::NODE.key) {
        audit.visit(topic, partition, |_, decoder, record| {
            if let Ok((Header::Fact(fact), key, body)) = decoder.json(topic, &record)
                && let Some(id) = fact.answers
            {
                let answer = answers.entry((key, id)).or_default();
                answer.0 += 1;
                answer.1 += usize::from(body["reason"]["code"] == "conflict");
            }
        })?;
    }
    Ok(answers)
}

fn judge(audit: &mut Audit<'_>, key: &str, commands: &[Command], answers: &Answers) {
    // The first request under an identity is decided; each other request under it is one conflict.
    let mut identities: BTreeMap<Option<&str>, BTreeMap<[u8; 16], BTreeSet<&str>>> = BTreeMap::new();
    let mut firsts: BTreeMap<Option<&str>, &Command> = BTreeMap::new();
    for command in commands {
        let identity = (!command.by_key).then_some(command.id.as_str());
        identities.entry(identity).or_default().entry(command.digest).or_default().insert(&command.id);
        firsts.entry(identity).or_insert(command);
    }
    for (identity, digests) in &identities {
        let first = firsts[identity];
        let conflicts: usize =
            digests.iter().filter(|(digest, _)| **digest != first.digest).map(|(_, ids)| ids.len()).sum();
        let ids: BTreeSet<&str> = digests.values().flatten().copied().collect();
        let given = ids.iter().filter_map(|id| answers.get(&(key.to_owned(), (*id).to_owned())));
        let (all, refused) = given.fold((0, 0), |sum, answer| (sum.0 + answer.0, sum.1 + answer.1));
        if (all, refused) != (1 + conflicts, conflicts) {
            let detail = format!(
                "asked {} ways under {ids:?}: {all} answers, {refused} of them conflicts; {} and {conflicts} are due",
                digests.len(),
                1 + conflicts
            );
            audit.report.violation(
                "answered once",
                &first.place,
                format!("{} {key}", if first.by_key { "creation of" } else { "command to" }),
                detail,
            );
        }
    }
}
