//! A view is what its inputs make of it: whatever a query could meet of it is, row for row, what a view is that was given the same
//! records topic by topic, which is an order that no process ever meets them in. And these records are committed. A store may
//! be ahead of what this reader sees as committed, since the end of a transaction is seen partition by partition; then
//! its digest is kept until that has come as far.

use std::collections::HashMap;

use anyhow::Result;
use tributary_flow::replay::{Rebuilt, read_of};
use tributary_flow::{Node, Task, reader};
use tributary_graph::views;

use super::{Checker, Found, Seen};
use crate::load::plan::Draw;
use crate::proof::versions::Builds;
use crate::wiring;

/// A view in a partition.
type View = (&'static Node, u32);

/// A store as it was met.
struct Met {
    view: View,
    /// How far it had read each of its inputs.
    read: Vec<u64>,
    digest: [u8; 32],
}

/// A view that is made again beside the one that runs.
struct Shadow {
    task: Box<dyn Task>,
    rebuilt: Rebuilt,
}

/// The checker.
#[derive(Default)]
pub struct Views {
    shadows: HashMap<(&'static str, u32), Shadow>,
    /// Stores that were ahead.
    ahead: Vec<Met>,
}

impl Views {
    fn look_at(&mut self, seen: &Seen<'_>, view: View, found: &mut Found) -> Result<()> {
        let (node, partition) = view;
        let mut met = None;
        seen.states.with_state(node, partition, &mut |store| {
            met = Some(Met { view, read: read_of(store, node), digest: reader::digest(store) });
        })?;
        let Some(met) = met else { return Ok(()) };
        for (topic, read) in node.inputs.iter().zip(&met.read) {
            if seen.log.range(topic.name, partition)?.end < *read {
                self.ahead.push(met);
                return Ok(());
            }
        }
        self.judge(seen, &met, found)
    }

    fn judge(&mut self, seen: &Seen<'_>, Met { view, read, digest }: &Met, found: &mut Found) -> Result<()> {
        let (node, partition) = *view;
        let new = || {
            let builds = Builds::new(seen.log.partitions(), seen.registry.clone());
            Shadow { task: builds.task(node, partition, wiring::BUILD), rebuilt: Rebuilt::default() }
        };
        let shadow = self.shadows.entry((node.name, partition)).or_insert_with(new);
        if shadow.rebuilt.is_ahead_of(read) {
            *shadow = new(); // Whoever had the task before may still be read, and is behind.
        }
        shadow.rebuilt.advance(shadow.task.as_mut(), seen.log, read)?;
        if reader::digest(&shadow.rebuilt.store) != *digest {
            let name = node.name;
            found.wrong(format!("{name}[{partition}], having read {read:?}, is not what these records make of it"));
        }
        Ok(())
    }
}

impl Checker for Views {
    fn name(&self) -> &'static str {
        "views"
    }

    fn look(&mut self, seen: &Seen<'_>, draw: &mut Draw, found: &mut Found) -> Result<()> {
        let all: Vec<_> = views().collect();
        let node = all[draw.below(all.len() as u64) as usize];
        let partition = draw.below(u64::from(seen.log.partitions())) as u32;
        self.look_at(seen, (node, partition), found)
    }

    fn rest(&mut self, seen: &Seen<'_>, found: &mut Found) -> Result<()> {
        let mut ahead = std::mem::take(&mut self.ahead);
        ahead.sort_by(|one, other| one.read.cmp(&other.read));
        ahead.iter().try_for_each(|met| self.judge(seen, met, found))?;
        for node in views() {
            for partition in 0..seen.log.partitions() {
                self.look_at(seen, (node, partition), found)?;
            }
        }
        Ok(())
    }
}
