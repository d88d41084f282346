//! Hot standby: a slot that has time keeps the stores of the tasks that it does not own at the ends of their changelogs, so
//! that taking one over is reading its last records and not all of them. What it writes is what restoring would write;
//! it is believed no more than any store, and rolled forward before anything runs.
//!
//! Deliberately absent: who stands by for whom. Every process of a placement does for all of it.

use std::collections::BTreeMap;
use std::time::Duration;

use tributary_flow::time;

use crate::restore::{Open, Reached};
use crate::world::{Batch as _, World};
use crate::{Slot, TaskAt, Trouble};

/// Most reads before the slot looks for other work.
const READS: u32 = 4;
/// How long to wait after it has not worked.
const PAUSE: Duration = Duration::from_secs(5);
/// How often a store of which nothing is new says that it is not old.
const STILL: i64 = time::DAY / 24;

/// The stores that are kept ready.
pub(crate) struct Standby {
    open: BTreeMap<TaskAt, Open>,
}

impl<W: World> Slot<W> {
    /// Takes in what is new of the tasks of others.
    pub(crate) async fn stand_by(&mut self) -> Result<(), Trouble> {
        if !self.options.standby || self.owned.is_none() || self.world.elapsed() < self.standby_after {
            return Ok(());
        }
        match self.follow_others().await {
            Err(Trouble::Again(reason)) => {
                tracing::warn!(%reason, "standing by waits");
                self.standby = None;
                self.standby_after = self.world.elapsed() + PAUSE;
                Ok(())
            }
            done => done,
        }
    }

    async fn follow_others(&mut self) -> Result<(), Trouble> {
        let mut standby = match self.standby.take() {
            Some(standby) => standby,
            None => self.begin_standby(&[]).await?,
        };
        for _ in 0..READS {
            if standby.open.is_empty() {
                break;
            }
            match self.take(&mut standby.open, Duration::ZERO).await? {
                Reached::Some(_) => {}
                Reached::Nothing => {
                    self.keep_young(&mut standby).await?;
                    break;
                }
                Reached::Foreign(at) => standby = self.begin_standby(&[at]).await?,
            }
        }
        self.standby = Some(standby);
        Ok(())
    }

    async fn begin_standby(&self, condemned: &[TaskAt]) -> Result<Standby, Trouble> {
        let ours = |at: &TaskAt| self.owned.as_ref().is_some_and(|owned| owned.rows.contains_key(at));
        let partitions = 0..self.options.partitions;
        let all = self.nodes.iter().flat_map(|node| partitions.clone().map(move |partition| (*node, partition)));
        let others: Vec<_> = all.filter(|(node, partition)| !ours(&(node.name, *partition))).collect();
        let open = self.prepare(&others, condemned).await?;
        let tasks: Vec<TaskAt> = open.keys().copied().collect();
        self.open(&open, &tasks).await?;
        Ok(Standby { open })
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
