//! One epoch as one Kafka transaction: outputs, changelog and journal, deliveries checked, offsets, commit. The stores
//! follow only then, and in one batch per node.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tributary_flow::{Commit, Node};

use crate::native::{Group, NativeError, Producer};
use crate::restore::{LINEAGE, TaskAt};
use crate::shared::Shared;
use crate::store::{Batches, Row};

/// How long acknowledgements, offsets and the commit may each take: the coordinator ends the transaction sooner.
const BOUND: Duration = Duration::from_secs(12);

/// The topics of a node that the graph does not name.
pub(crate) struct Own {
    pub changelog: String,
    pub journal: String,
}

/// The topics of each node.
pub(crate) fn own_topics(nodes: &[&'static Node]) -> BTreeMap<&'static str, Own> {
    nodes.iter().map(|node| (node.name, Own { changelog: node.changelog(), journal: node.journal() })).collect()
}

/// An epoch about to be made durable.
pub(crate) struct Transaction<'a> {
    pub producer: &'a Producer,
    pub group: &'a Group,
    pub topics: &'a BTreeMap<&'static str, Own>,
    pub shared: &'a Shared,
}

impl Transaction<'_> {
    /// Writes and commits. `offsets` has at least one entry, for without one the broker would not be asked who we are.
    pub fn run(
        &self,
        commit: &Commit,
        lineages: &BTreeMap<TaskAt, [u8; 16]>,
        offsets: &[(&'static str, u32, u64)],
    ) -> Result<(), NativeError> {
        let begun = Instant::now();
        self.shared.beat("writing an epoch");
        self.producer.begin()?;
        for record in &commit.records {
            let (key, value) = (record.key.as_deref(), record.value.as_deref());
            self.producer.produce(record.target.name(), record.partition, key, value, &record.headers)?;
        }
        for task in &commit.tasks {
            let own = &self.topics[task.node.name];
            if let Some(lineage) = lineages.get(&(task.node.name, task.partition)) {
                self.producer.produce(&own.changelog, task.partition, Some(LINEAGE), Some(lineage), &[])?;
            }
            for (key, value) in &task.changes {
                self.producer.produce(&own.changelog, task.partition, Some(key), value.as_deref(), &[])?;
            }
            self.producer.produce(&own.journal, task.partition, None, Some(&task.journal.encode()), &[])?;
        }
        let queued = begun.elapsed();
        self.producer.settle(BOUND)?;
        let settled = begun.elapsed();
        self.shared.beat("sending offsets");
        self.producer.send_offsets(offsets.iter().copied(), self.group, BOUND)?;
        let sent = begun.elapsed();
        self.shared.beat("committing");
        self.producer.commit(BOUND)?;
        let (records, tasks, committed) = (commit.records.len(), commit.tasks.len(), begun.elapsed());
        tracing::debug!(records, tasks, ?queued, ?settled, ?sent, ?committed, "epoch");
        Ok(())
    }
}

/// What the stores take of an epoch.
pub(crate) fn batches(commit: &Commit, rows: &BTreeMap<TaskAt, Row>) -> Batches {
    let mut batches = Batches::default();
    for task in &commit.tasks {
        for (key, value) in &task.changes {
            batches.put(task.node.name, task.partition, key, value.as_deref());
        }
        batches.row(task.node.name, task.partition, &rows[&(task.node.name, task.partition)]);
    }
    batches
}
