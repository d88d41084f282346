//! Clients that give nothing any more. One that met the brokers at a bad time, as when for a moment no partition had a leader,
//! may never fetch again, whatever it is given to read (seen with librdkafka 2.12 after a broker had stood still); it looks
//! like a log in which nothing is committed. So what is silent for long, where the log ends further on, is read with another client.
//!
//! Deliberately absent: what such a client says of itself, which is nothing.

use std::cell::Cell;
use std::time::Duration;

use crate::world::{Join, World};
use crate::{Slot, Trouble};

/// How long a client may give nothing: longer than a transaction of ours can be open. What another has open may last longer, so
/// every time in vain doubles it, a few times.
const SILENCE: Duration = Duration::from_secs(20);
const DOUBLED: u32 = 5;

/// When a client gave something last.
#[derive(Default)]
pub(crate) struct Silence {
    since: Cell<Duration>,
    vain: Cell<u32>,
}

impl Silence {
    /// It gave something.
    pub fn heard(&self, now: Duration) {
        self.since.set(now);
        self.vain.set(0);
    }

    /// It begins to read, or has nothing to give.
    pub fn begin(&self, now: Duration) {
        self.since.set(now);
    }

    /// Whether it gave nothing for long.
    fn is_long(&self, now: Duration) -> bool {
        now.saturating_sub(self.since.get()) > SILENCE * (1 << self.vain.get().min(DOUBLED))
    }

    /// It is replaced, for it gave nothing.
    fn renewed(&self) {
        self.vain.set(self.vain.get() + 1);
    }
}

impl<W: World> Slot<W> {
    /// Has these places read by the reader of changelogs, with a client of its own.
    pub(crate) async fn open(&self, places: &[(&str, u32, u64)]) -> Result<(), Trouble> {
        self.changelogs_silence.begin(self.world.elapsed());
        Ok(self.world.open(places).await?)
    }

    /// Takes note of how much the reader of changelogs met; where that is nothing for long, and these places are not the ends, has
    /// them opened again.
    pub(crate) async fn listen<'a>(
        &self,
        met: usize,
        places: impl Iterator<Item = (&'a str, u32, u64)>,
    ) -> Result<(), Trouble> {
        let now = self.world.elapsed();
        if met > 0 {
            self.changelogs_silence.heard(now);
        } else if self.changelogs_silence.is_long(now) {
            let places: Vec<_> = places.collect();
            if places.iter().any(|(topic, partition, at)| self.goes_on(topic, *partition, *at)) {
                tracing::warn!(
                    "nothing comes of what is read beside the inputs, and there is more: reading with a new client"
                );
                self.changelogs_silence.renewed();
                self.open(&places).await?;
            } else {
                self.changelogs_silence.begin(now);
            }
        }
        Ok(())
    }

    /// Joins with a new client where nothing comes of the inputs for long, and there is more.
    pub(crate) async fn join_anew_if_deaf(&mut self) -> Result<(), Trouble> {
        let now = self.world.elapsed();
        let Some(owned) = self.owned.as_ref().filter(|_| self.inputs_silence.is_long(now)) else { return Ok(()) };
        if owned.read.iter().any(|((topic, partition), at)| self.goes_on(topic, *partition, *at)) {
            tracing::warn!("nothing comes of the inputs, and there is more: joining the group with a new client");
            self.inputs_silence.renewed();
            self.let_go();
            self.join(Join::Anew).await?;
        } else {
            self.inputs_silence.begin(now);
        }
        Ok(())
    }

    /// Whether a partition is known to end behind this place.
    fn goes_on(&self, topic: &str, partition: u32, at: u64) -> bool {
        self.world.known_end(topic, partition).is_some_and(|end| end > at)
    }
}
