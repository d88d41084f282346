//! What a client reads: from where, how far, and in which order it comes.

use std::collections::BTreeMap;

use tributary_slot::{Failed, Fault as Meaning, Met};

use crate::cluster::Cluster;
use crate::faults::Fault;

/// What reads a list of partitions.
#[derive(Default)]
pub(crate) struct Reading {
    positions: BTreeMap<(String, u32), u64>,
    /// Partitions whose end was told, and where it was.
    told: BTreeMap<(String, u32), u64>,
    /// The log's version when there was nothing to read.
    idle: Option<u64>,
    /// Its client gives nothing any more, whatever it is to read.
    deaf: bool,
}

impl Reading {
    pub fn assign<'a>(&mut self, positions: impl IntoIterator<Item = (&'a str, u32, u64)>) {
        *self = Reading { deaf: self.deaf, ..Reading::default() };
        self.positions.extend(positions.into_iter().map(|(topic, partition, at)| ((topic.to_owned(), partition), at)));
    }

    /// Gets a client that never gives anything.
    pub fn deafen(&mut self) {
        self.deaf = true;
    }

    /// Gets a new client, and reads nothing yet.
    pub fn renew(&mut self) {
        *self = Reading::default();
    }

    /// Whether there is something that its client does not give.
    pub fn misses(&self, cluster: &Cluster) -> bool {
        let is_behind =
            |((topic, partition), at): (&(String, u32), &u64)| *at < cluster.log.stable_end(topic, *partition);
        self.deaf && self.positions.iter().any(is_behind)
    }

    pub fn has_any(&mut self, cluster: &Cluster) -> bool {
        if self.deaf || self.idle == Some(cluster.log.version()) {
            return false;
        }
        let any = self.positions.iter().any(|((topic, partition), position)| {
            if cluster.is_slow(topic, *partition) {
                return false;
            }
            let end = cluster.log.stable_end(topic, *partition);
            *position < end || self.told.get(&(topic.clone(), *partition)) != Some(&end)
        });
        if !any && cluster.slow.is_empty() {
            self.idle = Some(cluster.log.version());
        }
        any
    }

    /// Takes some of what there is, in an order of partitions that chance decides; ends are met behind the last record.
    pub fn take(&mut self, cluster: &mut Cluster, most: usize, meet: &mut dyn FnMut(Met<'_>)) -> usize {
        if self.deaf {
            return 0;
        }
        let mut open: Vec<(String, u32, u64)> = Vec::new();
        for ((topic, partition), position) in &self.positions {
            if !cluster.is_slow(topic, *partition) && cluster.random.chance(3, 4) {
                open.push((topic.clone(), *partition, *position));
            }
        }
        let mut met = 0;
        while met < most && !open.is_empty() {
            let index = cluster.random.below(open.len());
            let (topic, partition, position) = &mut open[index];
            let next = cluster.log.committed(topic, *partition, *position).next();
            if let Some(record) = next {
                let (key, value, offset) = (record.key.as_deref(), record.value.as_deref(), record.offset);
                meet(Met::Record { topic, partition: *partition, offset, key, value });
                *position = offset + 1;
                met += 1;
            } else {
                let end = cluster.log.stable_end(topic, *partition).max(*position);
                let told = self.told.insert((topic.clone(), *partition), end);
                if told != Some(end) {
                    meet(Met::End { topic, partition: *partition, offset: end });
                    met += 1;
                }
                *position = end;
                let (topic, partition, position) = open.swap_remove(index);
                self.positions.insert((topic, partition), position);
            }
        }
        self.positions.extend(open.into_iter().map(|(topic, partition, position)| ((topic, partition), position)));
        met
    }

    /// Reads no more of a partition that the client takes for cut, where that fault strikes, and says so.
    pub fn cut(&mut self, cluster: &mut Cluster, meet: &mut dyn FnMut(Met<'_>)) {
        if self.positions.is_empty() || !cluster.strikes(Fault::FalseCut, cluster.in_epoch) {
            return;
        }
        let chosen = cluster.random.below(self.positions.len());
        let Some((topic, partition)) = self.positions.keys().nth(chosen).cloned() else { return };
        self.positions.remove(&(topic.clone(), partition));
        // Nothing can have been applied behind the log's end: so nobody has a reason to stop for it.
        let end = cluster.log.uncommitted_end(&topic, partition);
        let error = Failed { text: format!("{topic}[{partition}] was cut at {end}"), fault: Meaning::OffsetLost };
        meet(Met::Cut { topic: &topic, partition, end, error });
    }
}
