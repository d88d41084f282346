//! Law 4 across topics: every entry is named by hash in exactly one vote, and every vote names entries that are there. A vote
//! is written in the transaction that writes its entries, so a chain that was rewritten and hashed again is found on a
//! machine without any state: the votes, and the journal that is compared with them, still name the old hashes. An entry
//! and its vote may lie on two sides of a cut: only what is judged must find the other.

use std::collections::HashMap;
use std::fmt;

use tributary_flow::{FactHeader, Header, Log, LogError};
use tributary_graph::{ACCOUNTS_VOTES, LEDGER_ENTRIES, account};
use tributary_schemas::Hash;
use tributary_schemas::accounts::Vote;

use super::{ACROSS, Audit, Report, place};

/// Most records that one step writes: two per leg, and what opens a system account.
const MOST_OUTPUTS: u32 = 130;

/// Where entries lie that no vote has named yet, by hash, and what their envelopes say of the step that wrote them.
#[derive(Default)]
pub(super) struct Entries {
    unnamed: HashMap<Hash, (u32, u64, Step)>,
}

/// A vote's record: where it lies, and whether it is judged.
#[derive(Clone, Copy)]
pub(super) struct VoteAt {
    pub partition: u32,
    pub offset: u64,
    pub judged: bool,
}

impl fmt::Display for VoteAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&place(&ACCOUNTS_VOTES, self.partition, self.offset))
    }
}

impl Entries {
    /// An entry was read.
    pub(super) fn seen(&mut self, partition: u32, offset: u64, hash: Hash, header: &Header) {
        self.unnamed.insert(hash, (partition, offset, step(header)));
    }

    /// A vote was read.
    pub(super) fn named(&mut self, report: &mut Report, at: VoteAt, header: &Header, vote: &Vote) {
        let Vote::LegPosted(posted) = vote else { return };
        let account = format!("account {}", posted.account_id);
        for entry in &posted.entries {
            match self.unnamed.remove(&entry.hash) {
                None if at.judged => {
                    let detail = format!("entry {} with hash {} is not in the chain", entry.sequence, entry.hash);
                    report.violation("booked", at, &account, detail);
                }
                None => report.uncompared("votes", ACROSS),
                Some((partition, offset, wrote)) if wrote != step(header) => {
                    let detail = "its envelope is not that of the vote that was written with it";
                    report.violation("immutable", place(&LEDGER_ENTRIES, partition, offset), &account, detail);
                }
                Some(_) => {}
            }
        }
    }

    /// All was read.
    pub(super) fn check(self, audit: &mut Audit<'_>) -> Result<(), LogError> {
        let unnamed = self.unnamed.into_iter().map(|(hash, (partition, offset, _))| ((partition, offset), hash));
        let mut unnamed: Vec<_> = unnamed.collect();
        unnamed.sort_unstable_by_key(|(at, _)| *at);
        for ((partition, offset), hash) in unnamed {
            if !audit.log.judges(LEDGER_ENTRIES.name, partition, offset) {
                audit.report.uncompared("entries", ACROSS);
                continue;
            }
            let record = audit.log.read(LEDGER_ENTRIES.name, partition, offset, 1)?.into_iter().next();
            let key = record.and_then(|record| record.key).unwrap_or_default();
            let account = format!("account {}", String::from_utf8_lossy(&key));
            let at = place(&LEDGER_ENTRIES, partition, offset);
            audit.report.violation("booked", at, account, format!("no vote names hash {hash}"));
        }
        Ok(())
    }
}

/// What records of one step have in common.
type Step = [u8; 16];

fn step(header: &Header) -> Step {
    let Header::Fact(FactHeader { time, causation, correlation, actor, traceparent, .. }) = header else {
        return Step::default();
    };
    let mut hasher = blake3::Hasher::new();
    hasher.update(&time.0.to_le_bytes());
    hasher.update(&causation.0);
    for text in [Some(correlation), actor.as_ref(), traceparent.as_ref()] {
        hasher.update(&text.map_or(u64::MAX, |text| text.len() as u64).to_le_bytes());
        hasher.update(text.map_or(&[], |text| text.as_bytes()));
    }
    let mut step = Step::default();
    step.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    step
}

/// Whether an entry's id follows from its cause, as every id does.
pub(super) fn is_derived(header: &Header) -> bool {
    let Header::Fact(fact) = header else { return false };
    (0..MOST_OUTPUTS).any(|ordinal| fact.causation.output(account::NODE.name, ordinal) == fact.id)
}
