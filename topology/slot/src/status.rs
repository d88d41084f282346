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
        let running = owned.engine.tasks().map(|(task, halted)| {
            let (node, partition) = (task.node(), task.partition());
            let mut status = TaskStatus::of(task, halted, lag(&owned.applied, node, partition));
            if halted.is_none() {
                let reached = |topic: &&TopicRef| Some((topic.name, *owned.applied.get(&(topic.name, partition))?));
                status.reached = node.inputs.iter().filter_map(|topic| reached(&topic)).collect();
            }
            status
        });
        let views = self.standby.as_ref().map(|standby| &standby.views);
        let far = owned.far.iter().map(|(name, partition)| {
            let mut tasks = views.iter().flat_map(|views| views.tasks());
            let task = tasks.find(|(task, _)| task.node().name == *name && task.partition() == *partition);
            match (task, views) {
                (Some((task, halted)), Some(views)) => {
                    let left = lag(&views.read, task.node(), *partition);
                    TaskStatus { restoring: halted.is_none(), ..TaskStatus::of(task, halted, left) }
                }
                // Before it is known how much there is, it is something.
                _ => TaskStatus {
                    node: name,
                    partition: *partition,
                    halted: None,
                    restoring: true,
                    lag: 1,
                    reached: Vec::new(),
                    counters: Default::default(),
                },
            }
        });
        let known = |(topic, partition): (&str, u32)| world.known_end(topic, partition);
        let standby = self.standby.as_ref().filter(|_| owned.far.is_empty());
        let of_changelog = |(node, partition): &TaskAt| known((&self.topics[node].changelog, *partition));
        let of_input = |(topic, partition): &InputAt| known((topic, *partition));
        world.report(running.chain(far).collect(), standby.and_then(|standby| standby.lag(of_changelog, of_input)));
    }
}
