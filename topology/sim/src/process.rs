//! A process: a slot, its machine, and whether it lives.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tributary_flow::{Node, Task};
use tributary_slot::{Failure, Slot};

use crate::calls::Around;
use crate::cluster::Cluster;
use crate::disk::Disks;
use crate::local::{Held, Local, Wish};
use crate::options::{Hops, SimOptions};
use crate::{cluster, owner};

/// The name of the one log, as the stores of views say it.
pub const LOG: [u8; 16] = [7; 16];

/// Which of two builds a process runs. A fleet is upgraded process by process, so both are at work at the same time, on the
/// same topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// The one that all begin with.
    Older,
    /// The one that they are upgraded to, and may be rolled back from.
    Newer,
}

impl Version {
    /// The one that it is not.
    pub(crate) fn other(self) -> Self {
        match self {
            Version::Older => Version::Newer,
            Version::Newer => Version::Older,
        }
    }
}

/// Makes the tasks of all nodes for a partition, as a version has them.
pub(crate) type Make = Rc<dyn Fn(Version, u32) -> Vec<Box<dyn Task>>>;

/// A process that is up.
pub(crate) struct Running {
    future: Pin<Box<dyn Future<Output = Result<(), Failure>>>>,
    pub local: Rc<Local>,
    /// It stands still before.
    pub frozen: u64,
}

impl Running {
    /// Whether it could go on now.
    pub fn is_able(&self, cluster: &Cluster) -> bool {
        cluster.elapsed >= self.frozen
            && match self.local.wish.get() {
                Wish::Turn | Wish::Boundary => true,
                Wish::Until(until) => cluster.elapsed >= until,
                Wish::Read(until) => cluster.elapsed >= until || self.local.can_read(cluster),
            }
    }

    /// When it could go on, if nothing else happens.
    pub fn next(&self, cluster: &Cluster) -> Option<u64> {
        let wished = match self.local.wish.get() {
            Wish::Turn | Wish::Boundary => cluster.elapsed,
            Wish::Until(until) | Wish::Read(until) => until,
        };
        Some(wished.max(self.frozen)).filter(|at| *at > cluster.elapsed)
    }

    /// Goes on to where it stands still next, or to its end.
    pub fn go_on(&mut self, held: &Held, cluster: Box<Cluster>) -> (Box<Cluster>, Option<Result<(), Failure>>) {
        held.put(cluster);
        let polled = self.future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let ended = match polled {
            Poll::Ready(ended) => Some(ended),
            Poll::Pending => None,
        };
        (held.take(), ended)
    }
}

/// A slot of a placement, and the machine on which it is.
pub(crate) struct Process {
    pub slot: String,
    /// Which placement.
    pub group: usize,
    pub nodes: Vec<&'static Node>,
    /// What it runs from its next start on.
    pub version: Version,
    pub disks: Rc<Disks>,
    /// `None` while it is down.
    pub running: Option<Running>,
    /// It is not started before.
    pub down: u64,
    /// Commits begun over all its lives.
    pub attempts: u64,
    /// It came later, and may leave for good.
    pub is_extra: bool,
    /// It is not started again.
    pub leaves: bool,
}

impl Process {
    /// Starts it.
    pub fn start(&mut self, life: u64, options: &SimOptions, make: &Make, held: &Rc<Held>) {
        let local = Rc::new(Local::new(life, self.slot.clone(), self.group));
        local.attempts.set(self.attempts);
        let around = Around { held: held.clone(), local: local.clone(), disks: self.disks.clone() };
        let (nodes, version, make) = (self.nodes.clone(), self.version, make.clone());
        let tasks = {
            let nodes = nodes.clone();
            move |partition| -> Vec<Box<dyn Task>> {
                let ours = |name: &str| nodes.iter().any(|node| node.name == name);
                make(version, partition).into_iter().filter(|task| ours(task.node().name)).collect()
            }
        };
        let future: Pin<Box<dyn Future<Output = _>>> = if options.hops == Hops::Owned {
            let tasks = (0..options.partitions).flat_map(tasks).collect();
            Box::pin(owner::own(around, nodes, tasks, options.most))
        } else {
            let slot = tributary_slot::Options {
                slot: self.slot.clone(),
                partitions: options.partitions,
                fused: options.hops == Hops::Foreseen,
                most: options.most,
                overlap_from: options.overlap_from,
                timers: options.most as u32,
                standby: options.standby,
                views_wait: options.views_wait,
                log: LOG,
                session: Duration::from_micros(cluster::SESSION),
            };
            // The slot asks what time it is when it is made.
            Box::pin(async move { Slot::new(slot, around, nodes, Box::new(tasks)).run().await })
        };
        self.running = Some(Running { future, local, frozen: 0 });
    }
}
