//! What a slot tells of its tasks: how they are, how far behind, and how far they have come.

use std::collections::BTreeMap;
use std::time::Duration;

use tributary_flow::platform::TaskStatus;
use tributary_flow::{Node, TopicRef};

use crate::world::World;
use crate::{InputAt, Slot, TaskAt};

/// How often it is told.
pub(crate) const REPORT: Duration = Duration::from_millis(200);

impl<W: World> Slot<W> {
    /// Tells it, if it was not told just now.
    pub(crate) fn report(&mut self) {
        if self.owned.as_ref().is_some_and(|owned| self.world.elapsed() - owned.reported >= REPORT) {
            self.tell();
        }
    }

    /// Tells how the tasks are.
    pub(crate) fn tell(&mut self) {
        let (world, Some(owned)) = (&self.world, &mut self.owned) else { return };
        owned.reported = world.elapsed();
        let lag = |read: &BTreeMap<InputAt, u64>, node: &Node, partition| {
            let behind = node.inputs.iter().map(|topic| {
                let end = world.known_end(topic.name, partition).unwrap_or(0);
                end.saturating_sub(read.get(&(topic.name, partition)).copied().unwrap_or(0))
            });
            behind.sum()
        };
        let apart = owned.apart.as_ref().map(|apart| (&apart.engine, &apart.read));
        let running = std::iter::once((&owned.engine, &owned.applied)).chain(apart);
        let running = running.flat_map(|(engine, read)| engine.tasks().map(move |task| (task, read)));
        let running = running.map(|((task, halted), read)| {
            let (node, partition) = (task.node(), task.partition());
            let mut status = TaskStatus::of(task, halted, lag(read, node, partition));
            if halted.is_none() {
                let reached = |topic: &&TopicRef| Some((topic.name, *read.get(&(topic.name, partition))?));
                status.reached = node.inputs.iter().filter_map(|topic| reached(&topic)).collect();
            }
            status
        });
        let later = owned.later.iter().map(|at| TaskStatus {
            node: at.0,
            partition: at.1,
            halted: None,
            restoring: true,
            // Before it is known how much there is, it is something.
            lag: self.standby.as_ref().map_or(1, |standby| standby.left(at)),
            reached: Vec::new(),
            counters: Default::default(),
        });
        let known = |(node, partition): &TaskAt| world.known_end(&self.topics[node].changelog, *partition);
        let standby = self.standby.as_ref().filter(|_| owned.later.is_empty());
        world.report(running.chain(later).collect(), standby.and_then(|standby| standby.lag(known)));
    }
}
