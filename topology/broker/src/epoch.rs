//! One epoch as one Kafka transaction: outputs, changelog and journal, deliveries checked, offsets, commit. The stores
//! follow only then, and in one batch per node.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tributary_flow::{Commit, Foresight, Node};

use crate::native::{Group, NativeError, Outgoing, Producer};
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

/// How a transaction ended.
pub(crate) enum Written {
    Committed,
    /// A record went elsewhere than foreseen: nothing is committed, and the transaction is still open.
    Elsewhere,
}

impl Transaction<'_> {
    /// Writes and commits. `offsets` has at least one entry, for without one the broker would not be asked who we are.
    pub fn run(
        &self,
        commit: &Commit,
        lineages: &BTreeMap<TaskAt, [u8; 16]>,
        offsets: &[(&'static str, u32, u64)],
        foresight: &mut Foresight,
    ) -> Result<Written, NativeError> {
        let begun = Instant::now();
        self.shared.beat("writing an epoch");
        self.producer.begin()?;
        self.produce(commit, lineages)?;
        self.producer.settle(BOUND)?;
        let (settled, went) = (begun.elapsed(), self.producer.offsets());
        if !foresight.is_right(&commit.records, &went) {
            return Ok(Written::Elsewhere);
        }
        self.shared.beat("sending offsets");
        self.producer.send_offsets(offsets.iter().copied(), self.group, BOUND)?;
        let sent = begun.elapsed();
        self.shared.beat("committing");
        self.producer.commit(BOUND)?;
        foresight.committed(&commit.records, &went);
        let (records, tasks, committed) = (commit.records.len(), commit.tasks.len(), begun.elapsed());
        tracing::debug!(records, tasks, ?settled, ?sent, ?committed, "epoch");
        Ok(Written::Committed)
    }

    fn produce(&self, commit: &Commit, lineages: &BTreeMap<TaskAt, [u8; 16]>) -> Result<(), NativeError> {
        for (number, record) in commit.records.iter().enumerate() {
            let (key, value) = (record.key.as_deref(), record.value.as_deref());
            self.producer.produce(&Outgoing {
                topic: record.target.name(),
                partition: record.partition,
                key,
                value,
                headers: &record.headers,
                number: Some(number),
            })?;
        }
        for task in &commit.tasks {
            let own = &self.topics[task.node.name];
            let write = |topic, key, value| {
                let (partition, headers, number) = (task.partition, &[][..], None);
                self.producer.produce(&Outgoing { topic, partition, key, value, headers, number })
            };
            if let Some(lineage) = lineages.get(&(task.node.name, task.partition)) {
                write(&own.changelog, Some(LINEAGE), Some(lineage))?;
            }
            for (key, value) in &task.changes {
                write(&own.changelog, Some(key), value.as_deref())?;
            }
            write(&own.journal, None, Some(&task.journal.encode()))?;
        }
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
