//! Views whose stores came last. They were left behind while the others ran on, so what came since is read for them beside
//! the others: by a reader of their own, in epochs of their own, until they are nearly where the others are; then the slot's
//! one reader goes back by that little, and all run together. Had it gone back to where the views were, every payment
//! would wait a second time for as long as all of that is read.

use std::collections::BTreeMap;
use std::time::Duration;

use tributary_flow::{Engine, Epoch, Guess};

use crate::assume::positions;
use crate::commit::Made;
use crate::slot::{Owned, input, keep};
use crate::world::{Failed, Fault, Met, World};
use crate::{Failure, InputAt, Slot, Trouble};

/// Most records of an epoch of theirs: some hundredths of a second, for which others wait.
const MOST: usize = 500;
/// By how many records they may be behind to run with the others.
const NEARLY: u64 = 1_000;

/// Views that run apart.
pub(crate) struct Apart {
    pub engine: Engine,
    /// How far each input has been read for them.
    pub read: BTreeMap<InputAt, u64>,
}

impl<W: World> Slot<W> {
    /// Has the views run that were waited for, once all of their stores are at the ends of their changelogs.
    pub(crate) async fn run_views(&mut self) -> Result<(), Trouble> {
        let (Some(owned), Some(standby)) = (&self.owned, &self.standby) else { return Ok(()) };
        if owned.later.is_empty() || owned.later.iter().any(|at| standby.left(at) > 0) {
            return Ok(());
        }
        let rows = self.standby.take().map(|standby| standby.rows()).unwrap_or_default();
        // As after any restore: if we stood still meanwhile, what the stores hold may be a part of another's epoch.
        self.confirm().await?;
        if let Some(said) = self.disagreement(&rows).await? {
            return Err(Trouble::Stop(Failure::Log(said)));
        }
        let bounds = self.input_ends(&rows).await?;
        let lineages = self.new_lineages(&rows)?;
        let mut engine = self.engine(&rows);
        let read = positions(&mut engine, self.world.state(), &bounds)?;
        let places: Vec<_> = read.iter().map(|((topic, partition), at)| (*topic, *partition, *at)).collect();
        self.open(&places).await?;
        let Some(owned) = &mut self.owned else { return Ok(()) };
        tracing::info!(views = rows.len(), "views run, and read what has come since");
        owned.later.clear();
        owned.rows.extend(rows);
        owned.lineages.extend(lineages);
        owned.apart = Some(Apart { engine, read });
        self.world.own(owned.rows.keys().copied().collect());
        Ok(())
    }

    /// Reads on for the views that run apart; whether there was anything.
    pub(crate) async fn catch_up(&mut self) -> Result<bool, Trouble> {
        self.world.doing("catching up with views");
        let Some(Owned { apart: Some(Apart { engine, read }), further, .. }) = &mut self.owned else {
            return Ok(false);
        };
        let (mut inputs, mut failed, topics) = (Vec::new(), None, &self.inputs);
        let mut meet = |met: Met<'_>| match met {
            Met::Record { topic, partition, offset, key, value } => {
                let Some(topic) = topics.get(topic) else { return };
                read.insert((topic.name, partition), offset + 1);
                inputs.push(input(topic, partition, offset, key, value));
            }
            Met::End { topic, partition, offset } => {
                let Some(topic) = topics.get(topic) else { return };
                *further |= read.insert((topic.name, partition), offset) != Some(offset);
            }
            Met::Cut { error, .. } => keep(&mut failed, Failed { fault: Fault::OffsetLost, ..error }),
            Met::Failed(error) => keep(&mut failed, error),
        };
        let met = self.world.read_changelogs(Duration::ZERO, MOST, &mut meet).await;
        match failed {
            // This reader gets no further; whether the log itself is cut, the slot's own reader finds out.
            Some(error) if error.fault == Fault::OffsetLost => {
                return Err(Trouble::Again(format!("reading for views: {error}")));
            }
            Some(error) => tracing::warn!("reading for views: {error}"),
            None => {}
        }
        if !inputs.is_empty() {
            let epoch = Epoch { now: self.world.wall(), timers: 0, ends: None };
            let commit = engine.epoch(self.world.state(), epoch, &inputs).map_err(|error| Trouble::Again(error.0))?;
            if !commit.is_empty() {
                let state = self.world.state();
                let positions = self.owned.as_mut().map_or_else(Vec::new, |owned| owned.engine.positions(state));
                self.make_durable(Made { commit: &commit, guess: &Guess::default(), positions: &positions }).await?;
            }
        }
        if let Some(Owned { apart: Some(Apart { read, .. }), .. }) = &self.owned {
            self.listen(met, read.iter().map(|((topic, partition), at)| (*topic, *partition, *at))).await?;
        }
        self.rejoin().await?;
        Ok(met > 0)
    }

    /// Has the views run with the others, where they are nearly where the log ends.
    async fn rejoin(&mut self) -> Result<(), Trouble> {
        let end = |(topic, partition): &InputAt| self.world.known_end(topic, *partition);
        let behind = |(at, read): (&InputAt, &u64)| end(at).map_or(u64::MAX, |end| end.saturating_sub(*read));
        let nearly = self.options.views_wait.min(NEARLY);
        let near = |apart: &Apart| apart.read.iter().map(behind).fold(0, u64::saturating_add) <= nearly;
        let Some(mut owned) = self.owned.take_if(|owned| owned.apart.as_ref().is_some_and(near)) else {
            return Ok(());
        };
        let Some(apart) = owned.apart else { return Ok(()) };
        self.open(&[]).await?;
        owned.engine.absorb(apart.engine);
        self.run_from_stores(owned.engine, owned.rows, owned.later).await
    }
}
