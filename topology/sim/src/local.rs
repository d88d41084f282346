//! What a process has, as its world and the scheduler see it.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tributary_flow::log::Logged;
use tributary_flow::platform::TaskStatus;
use tributary_slot::{Step, TaskAt};

use crate::cluster::Cluster;
use crate::group::Life;
use crate::reading::Reading;

/// What a process waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Its turn.
    Turn,
    /// Its turn, at a boundary of a commit.
    Boundary,
    /// A time.
    Until(u64),
    /// Something to read, or a time.
    Read(u64),
}

/// The cluster, as long as some process has it in its hands.
#[derive(Default)]
pub(crate) struct Held(RefCell<Option<Box<Cluster>>>);

impl Held {
    pub fn put(&self, cluster: Box<Cluster>) {
        self.0.replace(Some(cluster));
    }

    pub fn take(&self) -> Box<Cluster> {
        self.0.take().expect("invariant: who had it gives it back")
    }

    pub fn with<T>(&self, act: impl FnOnce(&mut Cluster) -> T) -> T {
        act(self.0.borrow_mut().as_mut().expect("invariant: a process runs only with the cluster in hand"))
    }
}

/// A record that waits to be sent.
pub(crate) struct Queued {
    pub topic: String,
    pub partition: u32,
    pub number: Option<usize>,
    pub record: Logged,
}

/// What a process has, and whoever schedules it sees.
pub(crate) struct Local {
    pub life: Life,
    pub slot: String,
    pub group: usize,
    pub wish: Cell<Wish>,
    /// Between the beginning of a commit and its end.
    pub in_epoch: Cell<bool>,
    pub stopping: Cell<bool>,
    /// Cut off from the cluster before.
    pub cut: Cell<u64>,
    /// How far its clock is ahead.
    pub skew: Cell<i64>,
    pub owned: RefCell<BTreeSet<TaskAt>>,
    /// It was told that nothing is its own any more.
    pub revoked: Cell<bool>,
    /// What it last told of its tasks.
    pub status: RefCell<Vec<TaskStatus>>,
    /// Commits begun in this life.
    pub attempts: Cell<u64>,
    /// Boundaries since this commit began.
    pub boundary: Cell<u64>,
    /// A commit has just come to its end: that is a boundary too.
    pub done: Cell<bool>,
    pub inputs: RefCell<Reading>,
    pub changelogs: RefCell<Reading>,
    pub producer: Cell<Option<u64>>,
    pub queue: RefCell<VecDeque<Queued>>,
    pub offsets: RefCell<Vec<Option<u64>>>,
    /// Ends, as they were at some time.
    pub known: RefCell<BTreeMap<(String, u32), u64>>,
    pub step: Cell<Option<Step>>,
}

impl Local {
    pub fn new(life: Life, slot: String, group: usize) -> Self {
        Local {
            life,
            slot,
            group,
            wish: Cell::new(Wish::Turn),
            in_epoch: Cell::default(),
            stopping: Cell::default(),
            cut: Cell::default(),
            skew: Cell::default(),
            owned: RefCell::default(),
            revoked: Cell::default(),
            status: RefCell::default(),
            attempts: Cell::default(),
            boundary: Cell::default(),
            done: Cell::default(),
            inputs: RefCell::default(),
            changelogs: RefCell::default(),
            producer: Cell::default(),
            queue: RefCell::default(),
            offsets: RefCell::default(),
            known: RefCell::default(),
            step: Cell::default(),
        }
    }

    /// Whether a client of its own does not give what there is.
    pub fn is_deaf(&self, cluster: &Cluster) -> bool {
        self.inputs.borrow().misses(cluster) || self.changelogs.borrow().misses(cluster)
    }

    /// Whether there is something to read.
    pub fn can_read(&self, cluster: &Cluster) -> bool {
        if cluster.elapsed < self.cut.get() {
            return false;
        }
        if cluster.coordinates() && cluster.groups[self.group].has_news(&self.slot, self.life) {
            return true;
        }
        self.inputs.borrow_mut().has_any(cluster)
    }
}
