//! Stores that are brought to the ends of their changelogs beside running tasks. Views of ours whose changelogs are long: what
//! writes does not wait for them, and each runs once its store is there. And, as hot standbys, the tasks of others, so that taking one
//! over is reading its last records and not all of them: such a store is believed no more than any, and rolled forward before
//! anything runs. What is written is what restoring would write.
//!
//! Deliberately absent: who stands by for whom. Every process of a placement does for all of it.

use std::collections::BTreeMap;
use std::time::Duration;

use tributary_flow::{Node, time};

use crate::restore::{Open, PATIENCE, Reached};
use crate::slot::Owned;
use crate::world::{Batch as _, World};
use crate::{Failure, Row, Slot, TaskAt, Trouble};

/// Most reads before the slot looks for other work, and most where it had none.
const MOST: u32 = 64;
const IDLE: u32 = 8;
/// Most records of a read; of packs so many hold some ten thousand rows.
const RECORDS: usize = 1_000;
/// How long to wait after it has not worked.
const PAUSE: Duration = Duration::from_secs(5);
/// How often a store of which nothing is new says that it is not old.
const STILL: i64 = time::DAY / 24;

/// The stores that are kept ready, or made so.
pub(crate) struct Standby {
    open: BTreeMap<TaskAt, Open>,
    /// When something came last.
    moved: Duration,
}

impl Standby {
    /// What the stores know of their past.
    pub fn rows(self) -> BTreeMap<TaskAt, Row> {
        self.open.into_iter().map(|(at, open)| (at, open.row)).collect()
    }

    /// What is still to be read of all changelogs, which end there; nothing where there are none.
    pub fn lag(&self, end: impl Fn(&TaskAt) -> Option<u64>) -> Option<u64> {
        let lag = |(at, open): (&TaskAt, &Open)| end(at).unwrap_or(0).max(open.end).saturating_sub(open.row.changelog);
        (!self.open.is_empty()).then(|| self.open.iter().map(lag).sum())
    }

    /// What is still to be read of a task's changelog.
    pub fn left(&self, at: &TaskAt) -> u64 {
        self.open.get(at).map_or(0, Open::left)
    }
}

impl<W: World> Slot<W> {
    /// Takes in what is new of the views that wait, or else of the tasks of others: for as long again as the slot has `worked`.
    pub(crate) async fn stand_by(&mut self, worked: Option<Duration>) -> Result<(), Trouble> {
        let Some(owned) = &self.owned else { return Ok(()) };
        if owned.apart.is_some() {
            self.busy = self.catch_up().await?;
            return Ok(());
        }
        if (owned.later.is_empty() && !self.options.standby) || self.world.elapsed() < self.standby_after {
            self.busy = false;
            return Ok(());
        }
        match self.follow_changelogs(worked).await {
            // What is told of others' tasks, or of views, is no reason for those that run to stop.
            Err(Trouble::Again(reason) | Trouble::Stop(Failure::Log(reason))) => {
                tracing::warn!(%reason, "standing by waits");
                (self.standby, self.busy) = (None, false);
                self.standby_after = self.world.elapsed() + PAUSE;
                return Ok(());
            }
            done => done?,
        }
        self.run_views().await
    }

    async fn follow_changelogs(&mut self, worked: Option<Duration>) -> Result<(), Trouble> {
        self.world.doing("standing by");
        let mut standby = match self.standby.take() {
            Some(standby) => standby,
            None => self.begin_standby(&[]).await?,
        };
        self.busy = !standby.open.is_empty();
        let since = self.world.elapsed();
        for read in 0..MOST {
            let enough = worked.map_or(read >= IDLE, |worked| read > 0 && self.world.elapsed() - since >= worked);
            if !self.busy || enough {
                break;
            }
            match self.take(&mut standby.open, Duration::ZERO, RECORDS).await? {
                Reached::Some(_) => standby.moved = self.world.elapsed(),
                Reached::Nothing => {
                    self.keep_young(&mut standby).await?;
                    self.busy = false;
                }
                Reached::Foreign(at) => standby = self.begin_standby(&[at]).await?,
            }
        }
        self.complain(&mut standby);
        self.standby = Some(standby);
        Ok(())
    }

    /// Says so where a view has waited for long for a changelog that gives nothing.
    fn complain(&self, standby: &mut Standby) {
        let now = self.world.elapsed();
        let later = self.owned.iter().flat_map(|owned| &owned.later);
        let waiting = later.filter_map(|at| Some((at, standby.open.get(at)?))).find(|(_, open)| open.left() > 0);
        if let Some((at, open)) = waiting.filter(|_| now - standby.moved > PATIENCE) {
            tracing::warn!("a view waits: {}", self.stuck(at, open));
            standby.moved = now;
        }
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
        self.open_changelogs(&open, &tasks).await?;
        Ok(Standby { open, moved: self.world.elapsed() })
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
