//! What is kept ready beside running tasks. As hot standbys, the tasks of others, so that taking one over is reading its last
//! records and not all of them: such a store is believed no more than any, and rolled forward before anything runs. What is
//! written is what restoring would write; views read their inputs. And before anything else, views of ours that are far behind
//! ([`crate::views`]).
//!
//! Deliberately absent: who stands by for whom. Every process of a placement does for all of it.

use std::collections::BTreeMap;
use std::time::Duration;

use tributary_flow::{Node, time};

use crate::restore::{Open, Reached};
use crate::slot::Owned;
use crate::views::Apart;
use crate::world::{Batch as _, World};
use crate::{Failure, InputAt, Slot, TaskAt, Trouble};

/// Most reads before the slot looks for other work, where it has some.
const MOST: u32 = 64;
/// Most records of a read; of packs so many hold some ten thousand rows, and of the inputs of views they are a hundredth of a second.
const RECORDS: usize = 1_000;
/// The same where the slot has no other work: they come in runs of one partition, and two engines are to have some of each read.
const IDLE: usize = 20_000;
/// How long to wait after it has not worked.
const PAUSE: Duration = Duration::from_secs(5);
/// How often a store of which nothing is new says that it is not old.
const STILL: i64 = time::DAY / 24;

/// The stores that are kept ready, or made so.
pub(crate) struct Standby {
    open: BTreeMap<TaskAt, Open>,
    pub views: Apart,
}

impl Standby {
    /// What is still to be read of all changelogs, and of the inputs of all views, which end there; nothing where there are none, or
    /// it is not known.
    pub fn lag(
        &self,
        changelog: impl Fn(&TaskAt) -> Option<u64>,
        input: impl Fn(&InputAt) -> Option<u64>,
    ) -> Option<u64> {
        let lag =
            |(at, open): (&TaskAt, &Open)| changelog(at).unwrap_or(0).max(open.end).saturating_sub(open.row.changelog);
        let any = !self.open.is_empty() || !self.views.read.is_empty();
        let views = self.views.lag(input).filter(|_| any)?;
        Some(self.open.iter().map(lag).sum::<u64>() + views)
    }
}

impl<W: World> Slot<W> {
    /// Takes in what is new for views of ours that are far behind, or else for the tasks of others: for as long again as the slot
    /// has `worked`.
    pub(crate) async fn stand_by(&mut self, worked: Option<Duration>) -> Result<(), Trouble> {
        let Some(owned) = &self.owned else { return Ok(()) };
        if (owned.far.is_empty() && !self.options.standby) || self.world.elapsed() < self.standby_after {
            self.busy = false;
            return Ok(());
        }
        match self.read_along(worked).await {
            // What is told of others' tasks, or of views, is no reason for those that run to stop.
            Err(Trouble::Again(reason) | Trouble::Stop(Failure::Log(reason))) => {
                tracing::warn!(%reason, "standing by waits");
                (self.standby, self.busy) = (None, false);
                self.standby_after = self.world.elapsed() + PAUSE;
                Ok(())
            }
            Ok(()) => self.rejoin().await,
            stopped => stopped,
        }
    }

    async fn read_along(&mut self, worked: Option<Duration>) -> Result<(), Trouble> {
        self.world.doing("standing by");
        let mut standby = match self.standby.take() {
            Some(standby) => standby,
            None => self.begin_standby(&[]).await?,
        };
        self.busy = !standby.open.is_empty() || !standby.views.read.is_empty();
        let since = self.world.elapsed();
        let most = if worked.is_some() { RECORDS } else { IDLE };
        for read in 0..MOST {
            let enough = read > 0 && worked.is_none_or(|worked| self.world.elapsed() - since >= worked);
            if !self.busy || enough {
                break;
            }
            match self.take(&mut standby.open, &mut standby.views, Duration::ZERO, most).await? {
                Reached::Some(_) => {}
                Reached::Nothing => {
                    self.keep_young(&mut standby).await?;
                    self.busy = false;
                }
                Reached::Foreign(at) => standby = self.begin_standby(&[at]).await?,
            }
        }
        self.standby = Some(standby);
        Ok(())
    }

    async fn begin_standby(&self, condemned: &[TaskAt]) -> Result<Standby, Trouble> {
        let Some(Owned { rows, far, .. }) = &self.owned else { return Err(Trouble::Rebalanced) };
        let wanted = |at: &TaskAt| if far.is_empty() { !rows.contains_key(at) } else { far.contains(at) };
        let partitions = 0..self.options.partitions;
        let all = self.nodes.iter().flat_map(|node| partitions.clone().map(move |partition| (*node, partition)));
        let tasks = all.filter(|(node, partition)| wanted(&(node.name, *partition)));
        let (views, writers): (Vec<(&'static Node, u32)>, Vec<_>) = tasks.partition(|(node, _)| node.is_view());
        let open = self.prepare(&writers, condemned).await?;
        let views = self.apart(&self.view_rows(&views).await?).await?;
        let places: Vec<_> = open.iter().map(|open| self.place(open)).chain(views.places()).collect();
        self.open(&places).await?;
        Ok(Standby { open, views })
    }

    /// A store that is at the end of its changelog is not old, however long nothing has come.
    async fn keep_young(&self, standby: &mut Standby) -> Result<(), Trouble> {
        let now = self.world.wall();
        let mut batch = self.world.batch();
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
