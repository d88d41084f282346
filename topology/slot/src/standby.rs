//! Stores that are brought to the ends of their changelogs beside running tasks. Views of ours whose changelogs are long: what
//! writes does not wait for them, and each runs once its store is there. And, as hot standbys, the tasks of others, so that taking one
//! over is reading its last records and not all of them: such a store is believed no more than any, and rolled forward before
//! anything runs. What is written is what restoring would write.
//!
//! Deliberately absent: who stands by for whom. Every process of a placement does for all of it.

use std::collections::BTreeMap;
use std::time::Duration;

use tributary_flow::{Node, time};

use crate::restore::{Open, Reached};
use crate::slot::Owned;
use crate::world::{Batch as _, World};
use crate::{Slot, TaskAt, Trouble};

/// Most reads before the slot looks for other work, where there was none and where there was.
const READS: [u32; 2] = [8, 1];
/// Most records of a read.
const RECORDS: usize = 2_500;
/// How long to wait after it has not worked.
const PAUSE: Duration = Duration::from_secs(5);
/// How often a store of which nothing is new says that it is not old.
const STILL: i64 = time::DAY / 24;

/// The stores that are kept ready, or made so.
pub(crate) struct Standby {
    open: BTreeMap<TaskAt, Open>,
    /// Whether there was more than was taken.
    pub busy: bool,
}

impl Standby {
    /// What is still to be read of a task's changelog.
    pub fn left(&self, at: &TaskAt) -> u64 {
        self.open.get(at).map_or(0, Open::left)
    }
}

impl<W: World> Slot<W> {
    /// Takes in what is new of the views that wait, or else of the tasks of others; little where the slot has `work`.
    pub(crate) async fn stand_by(&mut self, work: bool) -> Result<(), Trouble> {
        let wanted = self.owned.as_ref().is_some_and(|owned| self.options.standby || !owned.later.is_empty());
        if !wanted || self.world.elapsed() < self.standby_after {
            return Ok(());
        }
        match self.follow_changelogs(READS[usize::from(work)]).await {
            Err(Trouble::Again(reason)) => {
                tracing::warn!(%reason, "standing by waits");
                self.standby = None;
                self.standby_after = self.world.elapsed() + PAUSE;
                return Ok(());
            }
            done => done?,
        }
        self.run_views().await
    }

    async fn follow_changelogs(&mut self, reads: u32) -> Result<(), Trouble> {
        let mut standby = match self.standby.take() {
            Some(standby) => standby,
            None => self.begin_standby(&[]).await?,
        };
        standby.busy = !standby.open.is_empty();
        for _ in 0..reads {
            if !standby.busy {
                break;
            }
            match self.take(&mut standby.open, Duration::ZERO, RECORDS).await? {
                Reached::Some(_) => {}
                Reached::Nothing => {
                    self.keep_young(&mut standby).await?;
                    standby.busy = false;
                }
                Reached::Foreign(at) => standby = self.begin_standby(&[at]).await?,
            }
        }
        self.standby = Some(standby);
        Ok(())
    }

    async fn begin_standby(&self, condemned: &[TaskAt]) -> Result<Standby, Trouble> {
        let Some(Owned { rows, later, .. }) = &self.owned else { return Err(Trouble::Rebalanced) };
        let wanted = |at: &TaskAt| if later.is_empty() { !rows.contains_key(at) } else { later.contains(at) };
        let partitions = 0..self.options.partitions;
        let all = self.nodes.iter().flat_map(|node| partitions.clone().map(move |partition| (*node, partition)));
        let tasks: Vec<(&'static Node, u32)> =
            all.filter(|(node, partition)| wanted(&(node.name, *partition))).collect();
        let open = self.prepare(&tasks, condemned).await?;
        let tasks: Vec<TaskAt> = open.keys().copied().collect();
        self.open(&open, &tasks).await?;
        Ok(Standby { open, busy: true })
    }

    /// Has the views run that were waited for, once all of their stores are at the ends of their changelogs.
    async fn run_views(&mut self) -> Result<(), Trouble> {
        let Some(standby) = &self.standby else { return Ok(()) };
        let there = |owned: &mut Owned| !owned.later.is_empty() && owned.later.iter().all(|at| standby.left(at) == 0);
        let Some(owned) = self.owned.take_if(there) else { return Ok(()) };
        let Some(standby) = self.standby.take() else { return Ok(()) };
        self.world.open(&[]).await?;
        let mut rows = owned.rows;
        rows.extend(standby.open.into_iter().map(|(at, open)| (at, open.row)));
        self.run_from_stores(owned.engine, rows, Default::default()).await
    }

    /// A store that is at the end of its changelog is not old, however long nothing has come.
    async fn keep_young(&self, standby: &mut Standby) -> Result<(), Trouble> {
        let now = self.world.wall();
        let mut batch = W::Batch::default();
        let mut any = false;
        for (at, Open { row, .. }) in &mut standby.open {
            let end = self.world.known_end(&self.topics[at.0].changelog, at.1);
            if now.0 - row.advanced.0 > STILL && end == Some(row.changelog) {
                (row.advanced, any) = (now, true);
                batch.row(*at, row);
            }
        }
        if any { self.write(batch).await } else { Ok(()) }
    }
}
