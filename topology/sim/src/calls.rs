//! The calls of a process: before each it stands still, it may not arrive, and its answer may be lost.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use tributary_flow::log::Logged;
use tributary_slot::{Failed, Fault as Meaning, TaskAt};

use crate::cluster::{Barred, Cluster, SECOND};
use crate::disk::Disks;
use crate::faults::Fault;
use crate::local::{Held, Local, Queued, Wish};

/// What is around one process.
pub(crate) struct Around {
    pub held: Rc<Held>,
    pub local: Rc<Local>,
    pub disks: Rc<Disks>,
}

/// What becomes of a call.
pub(crate) enum Fate {
    Arrives,
    AnswerLost,
}

impl Around {
    pub fn with<T>(&self, act: impl FnOnce(&mut Cluster) -> T) -> T {
        self.held.with(act)
    }

    /// Stands still until whoever schedules says so.
    pub async fn wait(&self, wish: Wish) {
        let mut asked = false;
        self.local.wish.set(wish);
        poll_fn(|_| if std::mem::replace(&mut asked, true) { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    /// Comes to a boundary of a commit.
    pub async fn boundary(&self) {
        self.wait(Wish::Boundary).await;
    }

    pub fn failed(&self, text: &str) -> Failed {
        Failed { text: format!("{text} (slot {})", self.local.slot), fault: Meaning::Other }
    }

    /// Waits until it is known that nobody answers.
    pub async fn give_up(&self, text: &str) -> Failed {
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

    /// Sends some of the queue, in order.
    pub async fn flush(&self, most: usize) -> Result<(), Failed> {
        let Some(epoch) = self.local.producer.get() else { return Err(self.failed("there is no producer")) };
        for _ in 0..most {
            if self.local.queue.borrow().is_empty() {
                return Ok(());
            }
            let transaction = self.until_admitted(|cluster| cluster.transaction(&self.local.slot, epoch)).await?;
            let Some(Queued { topic, partition, number, record }) = self.local.queue.borrow_mut().pop_front() else {
                return Ok(());
            };
            let told = self.with(|cluster| {
                if number.is_some() && cluster.strikes(Fault::Stranger, true) {
                    let stranger = cluster.log.begin();
                    let wall = cluster.wall();
                    cluster.log.append(Some(stranger), &topic, partition, Logged::default(), wall);
                    cluster.log.decide(stranger, false);
                }
                let wall = cluster.wall();
                let offset = cluster.log.append(Some(transaction), &topic, partition, record, wall);
                (!cluster.strikes(Fault::Retry, true)).then_some(offset)
            });
            if let Some(number) = number {
                self.local.offsets.borrow_mut()[number] = told;
            }
        }
        Ok(())
    }

    /// Hears where the partitions end of the tasks of which it tells, or of all that it may own.
    pub fn learn(&self, cluster: &Cluster, all: bool) {
        let (mut known, told) = (self.local.known.borrow_mut(), self.local.status.borrow());
        let told = |at: &TaskAt| told.iter().any(|task| (task.node, task.partition) == *at);
        for (node, partition) in self.disks.iter().map(|(at, _)| at).filter(|at| all || told(at)) {
            for topic in self.disks.topics(node) {
                let end = cluster.log.uncommitted_end(topic, partition);
                known.insert((topic.clone(), partition), end);
            }
        }
    }

    pub async fn end(&self, commit: bool) -> Result<(), Failed> {
        let (text, slot) = (if commit { "committing" } else { "aborting" }, &self.local.slot);
        let Some(epoch) = self.local.producer.get() else { return Err(self.failed("there is no producer")) };
        if commit && self.with(|cluster| cluster.strikes(Fault::LateCommit, true)) {
            self.with(|cluster| cluster.commit_late(slot, epoch));
            return Err(self.give_up(text).await);
        }
        if commit && self.with(|cluster| cluster.tears(slot, epoch)) {
            return Err(self.give_up(text).await);
        }
        let fate = self.send(text, true).await?;
        self.until_admitted(|cluster| cluster.end(slot, epoch, commit)).await?;
        self.answer(text, fate, ()).await
    }
}
