//! Law 4 across topics: every entry is named by hash in exactly one vote, and every vote names entries that are there. A vote
//! is written in the transaction that writes its entries, so a chain that was rewritten and hashed again is found on a
//! machine without any state: the votes, and the journal that is compared with them, still name the old hashes.

use std::collections::HashMap;

use tributary_flow::{Log, LogError, TopicRef};
use tributary_graph::{ACCOUNTS_VOTES, LEDGER_ENTRIES};
use tributary_schemas::Hash;
use tributary_schemas::accounts::LegPosted;

use super::{Audit, Report, place};

/// Where entries lie that no vote has named yet, by hash.
pub(super) struct Entries {
    unnamed: HashMap<Hash, (u32, u64)>,
    /// Ends of the entries, and then of the votes, as they were at the beginning: what lies below must agree, even while
    /// the system works.
    entries: Vec<u64>,
    votes: Vec<u64>,
}

impl Entries {
    /// Nothing seen yet.
    pub(super) fn new(log: &dyn Log) -> Result<Self, LogError> {
        let ends = |topic: TopicRef| {
            let ends = (0..log.partitions()).map(|partition| Ok(log.range(topic.name, partition)?.end));
            ends.collect::<Result<Vec<u64>, LogError>>()
        };
        let entries = ends(&LEDGER_ENTRIES)?;
        Ok(Entries { unnamed: HashMap::new(), entries, votes: ends(&ACCOUNTS_VOTES)? })
    }

    /// An entry was read.
    pub(super) fn seen(&mut self, partition: u32, offset: u64, hash: Hash) {
        self.unnamed.insert(hash, (partition, offset));
    }

    /// A vote was read.
    pub(super) fn named(&mut self, report: &mut Report, partition: u32, offset: u64, posted: &LegPosted) {
        for entry in &posted.entries {
            if self.unnamed.remove(&entry.hash).is_none() && offset < self.votes[partition as usize] {
                let detail = format!("entry {} with hash {} is not in the chain", entry.sequence, entry.hash);
                let at = place(&ACCOUNTS_VOTES, partition, offset);
                report.violation("booked", at, format!("account {}", posted.account_id), detail);
            }
        }
    }

    /// All was read.
    pub(super) fn check(self, audit: &mut Audit<'_>) -> Result<(), LogError> {
        let mut unnamed: Vec<_> = self.unnamed.into_iter().map(|(hash, at)| (at, hash)).collect();
        unnamed.retain(|((partition, offset), _)| *offset < self.entries[*partition as usize]);
        unnamed.sort_unstable_by_key(|(at, _)| *at);
        for ((partition, offset), hash) in unnamed {
            let record = audit.log.read(LEDGER_ENTRIES.name, partition, offset, 1)?.into_iter().next();
            let key = record.and_then(|record| record.key).unwrap_or_default();
            let account = format!("account {}", String::from_utf8_lossy(&key));
            let at = place(&LEDGER_ENTRIES, partition, offset);
            audit.report.violation("booked", at, account, format!("no vote names hash {hash}"));
        }
        Ok(())
    }
}
