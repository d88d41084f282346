//! A call to the cluster, its way there and its way back: it may not arrive, and its answer may be lost.

use tributary_slot::{Failed, Fault as Meaning};

use crate::cluster::{Barred, Cluster, SECOND};
use crate::faults::Fault;
use crate::local::Wish;
use crate::world::Around;

/// What becomes of a call.
pub(crate) enum Fate {
    Arrives,
    AnswerLost,
}

impl Around {
    pub fn failed(&self, text: &str) -> Failed {
        Failed { text: format!("{text} (slot {})", self.local.slot), fault: Meaning::Other }
    }

    /// Waits until it is known that nobody answers.
    async fn give_up(&self, text: &str) -> Failed {
        let until = self.with(|cluster| cluster.soon(5, 12));
        self.wait(Wish::Until(until)).await;
        self.failed(text)
    }

    /// A call to the cluster is on its way.
    pub async fn send(&self, text: &str, coordinator: bool) -> Result<Fate, Failed> {
        self.wait(Wish::Turn).await;
        let in_epoch = self.local.in_epoch.get();
        let arrives = self.with(|cluster| {
            let reachable = cluster.elapsed >= self.local.cut.get() && (!coordinator || cluster.coordinates());
            reachable && !cluster.strikes(Fault::Unreachable, in_epoch)
        });
        if !arrives {
            return Err(self.give_up(text).await);
        }
        Ok(if self.with(|cluster| cluster.strikes(Fault::LostReply, in_epoch)) {
            Fate::AnswerLost
        } else {
            Fate::Arrives
        })
    }

    /// A call to the cluster that has happened is answered, or not.
    pub async fn answer<T>(&self, text: &str, fate: Fate, answer: T) -> Result<T, Failed> {
        match fate {
            Fate::Arrives => Ok(answer),
            Fate::AnswerLost => Err(self.give_up(text).await),
        }
    }

    /// Asks until the coordinator does not say to wait.
    pub async fn until_admitted<T>(&self, mut ask: impl FnMut(&mut Cluster) -> Result<T, Barred>) -> Result<T, Failed> {
        let deadline = self.with(|cluster| cluster.elapsed) + 12 * SECOND;
        loop {
            match self.with(&mut ask) {
                Ok(done) => return Ok(done),
                Err(Barred::Failed(failed)) => return Err(failed),
                Err(Barred::Wait) => {
                    let now = self.with(|cluster| cluster.elapsed);
                    if now > deadline {
                        return Err(self.failed("the last transaction does not end"));
                    }
                    self.wait(Wish::Until(now + 5_000)).await;
                }
            }
        }
    }
}
