//! A process that owns log and state, as the embedded driver does: what an epoch writes to the log and to the stores is one
//! write.

use std::collections::BTreeMap;

use tributary_flow::engine::Ends;
use tributary_flow::log::Logged;
use tributary_flow::{Commit, Engine, Epoch, Input, Node, Task, TopicRef};
use tributary_slot::{Batch as _, Failure, InputAt, Met, World as _};

use crate::calls::Around;
use crate::cluster::Cluster;
use crate::disk::Changes;
use crate::local::Wish;

/// Boundaries of its commit: before it is computed, before it is written, and after.
pub(crate) const BATCH: u64 = 2;

/// Runs until it is dropped.
pub(crate) async fn own(
    around: Around,
    nodes: Vec<&'static Node>,
    tasks: Vec<Box<dyn Task>>,
    most: usize,
) -> Result<(), Failure> {
    let topics: BTreeMap<&str, TopicRef> = nodes.iter().flat_map(|node| node.inputs).map(|at| (at.name, *at)).collect();
    let mut engine = Engine::new(tasks);
    around.own(engine.tasks().map(|(task, _)| (task.node().name, task.partition())).collect());
    let mut targets: BTreeMap<InputAt, u64> = BTreeMap::new();
    for (at, _) in engine.positions(&*around.disks) {
        let end = around.with(|cluster| cluster.log.stable_end(at.topic.name, at.partition));
        targets.insert((at.topic.name, at.partition), end);
    }
    assign(&around, &mut engine).await;
    loop {
        let now = around.with(|cluster| cluster.wall());
        let due = targets.is_empty() && engine.next_timer(&*around.disks).is_some_and(|next| next <= now);
        let until = around.with(|cluster| cluster.elapsed) + if due { 0 } else { 100_000 };
        around.wait(Wish::Read(until)).await;
        let mut inputs = Vec::new();
        let caught_up = targets.is_empty();
        let mut meet = |met: Met<'_>| match met {
            Met::Record { topic, partition, offset, key, value } => {
                let (key, value) = (key.map(<[u8]>::to_vec), value.map(<[u8]>::to_vec));
                inputs.push(Input { topic: topics[topic], partition, offset, key, value });
            }
            Met::End { topic, partition, offset } => {
                targets.retain(|at, target| *at != (topics[topic].name, partition) || *target > offset);
            }
            Met::Cut { .. } | Met::Failed(_) => {}
        };
        around.with(|cluster| around.local.inputs.borrow_mut().take(cluster, most, &mut meet));
        let timers = if caught_up { most as u32 } else { 0 };
        let now = around.with(|cluster| cluster.wall());
        around.local.attempts.set(around.local.attempts.get() + 1);
        around.local.boundary.set(0);
        around.boundary().await;
        let computed = around.with(|cluster| {
            let end = |topic: TopicRef, partition: u32| {
                let end = cluster.log.uncommitted_end(topic.name, partition);
                Some(end..end)
            };
            let ends: Option<&Ends<'_>> = Some(&end);
            engine.epoch(&*around.disks, Epoch { now, timers, ends }, &inputs)
        });
        let commit = computed.map_err(|error| Failure::Store(error.0))?;
        if commit.is_empty() {
            continue;
        }
        around.boundary().await;
        around.with(|cluster| append(cluster, &commit));
        for (node, written) in changes(&commit).by_node() {
            around.disks.write(node, written);
        }
        around.committed(Default::default());
        assign(&around, &mut engine).await;
    }
}

async fn assign(around: &Around, engine: &mut Engine) {
    let positions = engine.positions(&*around.disks);
    let positions: Vec<_> = positions.iter().map(|(at, position)| ((at.topic.name, at.partition), *position)).collect();
    // Nothing is asked of anyone for this, so it cannot fail.
    let _assigned = around.assign(&positions).await;
}

fn append(cluster: &mut Cluster, commit: &Commit) {
    let wall = cluster.wall();
    for record in &commit.records {
        let headers = record.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let logged = Logged { offset: 0, key: record.key.clone(), value: record.value.clone(), headers };
        cluster.log.append(None, record.target.name(), record.partition, logged, wall);
    }
    for task in &commit.tasks {
        if let Some(journal) = &task.journal {
            let logged = Logged { value: Some(journal.encode()), ..Default::default() };
            cluster.log.append(None, &task.node.journal(), task.partition, logged, wall);
        }
    }
}

fn changes(commit: &Commit) -> Changes {
    let mut changes = Changes::default();
    for task in &commit.tasks {
        for (key, value) in task.changes.iter() {
            changes.put((task.node.name, task.partition), key, value);
        }
    }
    changes
}
