//! How far each task had come, from its own journal: which inputs it had applied, and at which epoch its state must be to
//! be compared. A task owes what follows from the inputs that it says it has applied, and nothing else.

use std::collections::HashMap;

use tributary_flow::{JournalEntry, LogError, Node, log};
use tributary_graph::writers;

use super::Report;
use crate::cut::Cut;

/// A task, as its journal tells it.
#[derive(Clone, Debug, Default)]
pub(super) struct Reached {
    /// The first offset of each input that it had not applied, by port.
    positions: Vec<u64>,
    /// Its last epoch; none where it went on while the log was cut.
    epoch: Option<u64>,
}

impl Reached {
    /// The first offset of the input at `port` that it had not applied.
    pub(super) fn position(&self, port: usize) -> u64 {
        self.positions.get(port).copied().unwrap_or_default()
    }
}

/// Every task of the graph but those of views, which owe nothing.
pub(super) struct Tasks(HashMap<(&'static str, u32), Reached>);

impl Tasks {
    /// Reads the journals.
    pub(super) fn read(cut: &Cut<'_>, partitions: u32, report: &mut Report) -> Result<Self, LogError> {
        let mut tasks = HashMap::new();
        for node in writers() {
            for partition in 0..partitions {
                tasks.insert((node.name, partition), reached(cut, node, partition, report)?);
            }
        }
        Ok(Tasks(tasks))
    }

    /// How far a task had come.
    pub(super) fn of(&self, node: &Node, partition: u32) -> Reached {
        self.0.get(&(node.name, partition)).cloned().unwrap_or_default()
    }

    /// The last epoch of a task that wrote nothing while the log was cut.
    pub(super) fn at_rest(&self, node: &Node, partition: u32) -> Option<u64> {
        self.of(node, partition).epoch
    }
}

fn reached(cut: &Cut<'_>, node: &Node, partition: u32, report: &mut Report) -> Result<Reached, LogError> {
    let topic = node.journal();
    let mut reached = Reached { positions: vec![0; node.inputs.len()], epoch: Some(0) };
    log::visit(cut, &topic, partition, |record| {
        let Some(entry) = record.value.as_deref().and_then(|value| JournalEntry::decode(value, node)) else {
            let at = format!("{topic}[{partition}]@{}", record.offset);
            report.violation("decodable", at, format!("node {}", node.name), "an epoch that cannot be read");
            return Ok::<_, LogError>(());
        };
        if !cut.judges(&topic, partition, record.offset) {
            reached.epoch = None;
            return Ok(());
        }
        reached.epoch = Some(entry.epoch);
        for run in entry.runs {
            reached.positions[usize::from(run.port)] = run.first + u64::from(run.count);
        }
        Ok(())
    })?;
    Ok(reached)
}
