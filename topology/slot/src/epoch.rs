//! Computing epochs. Where little waits, each is made durable as soon as it is computed: nothing is quicker for who waits. Where some
//! comes all the time, there is a pause between two, for each costs the broker its partitions, their markers and who waits for them,
//! however little is in it. Where more waits than a moment's work, an epoch is kept until the next is read, and that one is computed
//! while this one is made durable: the broker and the engine then work at the same time.
//!
//! The one that is computed ahead stands on what the one before will have changed ([`InFlight`]), and on where its records will lie
//! ([`Guess::after`]). Nothing of it is written before that one is committed and in the stores, so there is never more than one
//! transaction, and at every other moment all is as if it had been computed just now. If that one fails, or went elsewhere than
//! foreseen, what was computed on it is dropped; what was read is computed again, or read again.
//!
//! Deliberately absent: more than one epoch ahead. The engine is one thread's work, and it is never without any.

use std::collections::BTreeMap;
use std::time::Duration;

use tributary_flow::engine::{Ends, EpochFailed};
use tributary_flow::{Commit, Engine, Epoch, Guess, InFlight, Input, Stores, Timestamp, TopicPartition, TopicRef};

use crate::commit::{Done, Made};
use crate::world::World;
use crate::{InputAt, Slot, Trouble};

/// From how many inputs on there is a pause behind an epoch: who pays alone, and waits for each answer, is not kept.
const SOME: usize = 2;
/// As long as the epoch took, but no more than this lies between its beginning and the next one's.
const PACE: Duration = Duration::from_millis(25);

/// What an epoch is computed of.
struct Work {
    inputs: Vec<Input>,
    now: Timestamp,
    /// Most timers.
    timers: u32,
    /// How far each input has been read with it.
    read: BTreeMap<InputAt, u64>,
}

/// What came of it.
struct Found {
    commit: Commit,
    guess: Guess,
    positions: Vec<(TopicPartition, u64)>,
}

/// An epoch of which nothing is written yet.
pub(crate) struct Computed {
    work: Work,
    found: Found,
}

impl Computed {
    fn made(&self) -> Made<'_> {
        Made { commit: &self.found.commit, guess: &self.found.guess, positions: &self.found.positions }
    }
}

impl<W: World> Slot<W> {
    /// Runs an epoch over these inputs and, where everything up to the end seen at start has been applied, the timers
    /// that are due; if there is anything to do.
    pub(crate) async fn epoch(&mut self, inputs: Vec<Input>, caught_up: bool) -> Result<(), Trouble> {
        let world = self.world.clone();
        let (now, begun, some) = (world.wall(), world.elapsed(), inputs.len() >= SOME);
        let Some(owned) = &mut self.owned else { return Ok(()) };
        let timers = if caught_up { self.options.timers } else { 0 };
        let before = owned.ahead.take();
        let due = |engine: &mut Engine| engine.next_timer(world.state()).is_some_and(|due| due <= now);
        let work = if !inputs.is_empty() || (before.is_none() && timers > 0 && due(&mut owned.engine)) {
            Some(Work { inputs, now, timers, read: owned.read.clone() })
        } else {
            None
        };
        match (before, work) {
            (None, None) => self.applied(None),
            (Some(before), None) => self.conclude(before).await?,
            (None, Some(work)) => {
                let found = self.compute(&work)?;
                self.go_on(Computed { work, found }).await?;
            }
            (Some(before), Some(work)) => self.overlap(before, work).await?,
        }
        if some {
            self.next = begun + ((world.elapsed() - begun) * 2).min(PACE);
        }
        Ok(())
    }

    /// Whether an epoch is computed and not written yet.
    pub(crate) fn is_ahead(&self) -> bool {
        self.owned.as_ref().is_some_and(|owned| owned.ahead.is_some())
    }

    /// Waits until the next epoch is worth while, if nothing else is to be done meanwhile.
    pub(crate) async fn wait_for_more(&mut self) {
        let left = self.next.saturating_sub(self.world.elapsed());
        if !left.is_zero() && !self.is_ahead() && !self.busy {
            self.world.pause(left).await;
        }
    }

    /// Computes an epoch while the one before it is made durable.
    async fn overlap(&mut self, before: Computed, work: Work) -> Result<(), Trouble> {
        let world = self.world.clone();
        world.doing("computing an epoch");
        let Some(owned) = &mut self.owned else { return Ok(()) };
        let (mut engine, fused) = (std::mem::take(&mut owned.engine), self.options.fused);
        let halted = |engine: &Engine| engine.tasks().filter(|(_, halted)| halted.is_some()).count();
        let were = halted(&engine);
        let guess = owned.foresight.guess();
        let (state, first) = (world.state(), &before.found.commit);
        let compute = || {
            let stores = InFlight::new(state, first);
            compute(&mut engine, &stores, &work, if fused { guess.after(&first.records) } else { Guess::default() })
        };
        let (found, done) = world.beside(compute, self.make_durable(before.made())).await;
        let halts = halted(&engine) > were;
        if let Some(owned) = &mut self.owned {
            owned.engine = engine;
        }
        match done? {
            Done::Well => {
                self.applied(Some(before));
                let found = found.map_err(|error| Trouble::Again(error.0))?;
                self.go_on(Computed { work, found }).await
            }
            Done::Elsewhere => {
                self.undo().await?;
                if halts {
                    // What it was halted over stands on what did not happen.
                    return Err(Trouble::Again("a task halted in an epoch behind one that went elsewhere".into()));
                }
                for work in [before.work, work] {
                    let found = self.compute(&work)?;
                    self.conclude(Computed { work, found }).await?;
                }
                Ok(())
            }
        }
    }

    fn compute(&mut self, work: &Work) -> Result<Found, Trouble> {
        self.world.doing("computing an epoch");
        let Some(owned) = &mut self.owned else { return Err(Trouble::Rebalanced) };
        let guess = if self.options.fused { owned.foresight.guess() } else { Guess::default() };
        compute(&mut owned.engine, self.world.state(), work, guess).map_err(|error| Trouble::Again(error.0))
    }

    /// Keeps an epoch until the next is read, where more waits; makes it durable where little does.
    async fn go_on(&mut self, computed: Computed) -> Result<(), Trouble> {
        let much = computed.work.inputs.len() >= self.options.overlap_from && !computed.found.commit.is_empty();
        let Some(owned) = &mut self.owned else { return Ok(()) };
        if much {
            owned.ahead = Some(computed);
            return Ok(());
        }
        self.conclude(computed).await
    }

    /// Makes an epoch durable. One that went elsewhere than foreseen is run again: there is one guess less each time.
    pub(crate) async fn conclude(&mut self, mut computed: Computed) -> Result<(), Trouble> {
        // Skipped records alone are not worth a transaction.
        while !computed.found.commit.is_empty() && self.make_durable(computed.made()).await? == Done::Elsewhere {
            self.undo().await?;
            computed.found = self.compute(&computed.work)?;
        }
        self.applied(Some(computed));
        Ok(())
    }

    /// Notes how far all is applied and committed: up to where an epoch came, or, where nothing is ahead, up to where reading is.
    pub(crate) fn applied(&mut self, epoch: Option<Computed>) {
        let Some(owned) = &mut self.owned else { return };
        let Some(Computed { work, found }) = epoch else { return owned.applied.clone_from(&owned.read) };
        owned.applied = work.read;
        let positions = found.positions.iter();
        owned.positions = positions.map(|(at, position)| ((at.topic.name, at.partition), *position)).collect();
    }

    /// Aborts an epoch that went elsewhere than foreseen, and forgets what was computed.
    async fn undo(&mut self) -> Result<(), Trouble> {
        self.world.doing("aborting");
        tracing::debug!("others write to a topic of ours as well: the epoch is run again");
        if let Some(owned) = &mut self.owned {
            owned.engine.abort();
        }
        match self.world.abort().await {
            Ok(()) => Ok(()),
            Err(failed) => Err(self.uncommitted(failed).await),
        }
    }
}

fn compute(engine: &mut Engine, stores: &dyn Stores, work: &Work, guess: Guess) -> Result<Found, EpochFailed> {
    let foreseen = |topic: TopicRef, partition: u32| guess.end(topic, partition);
    let ends: Option<&Ends<'_>> = Some(&foreseen);
    let commit = engine.epoch(stores, Epoch { now: work.now, timers: work.timers, ends }, &work.inputs)?;
    let positions = engine.positions(stores);
    Ok(Found { commit, guess, positions })
}
