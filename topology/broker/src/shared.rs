//! What the engine's thread shares with everyone who asks it: what it owns, how it is, whether it should go on.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tributary_flow::platform::TaskStatus;
use tributary_slot::{Failure, TaskAt};

/// How long the last commits took, from the first record of an epoch produced to the answer of the broker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Commits {
    /// Epochs committed since the start.
    pub count: u64,
    /// Tenth percentile of the last 500.
    pub p10: Duration,
    /// Median of the last 500.
    pub p50: Duration,
    /// 99th percentile of the last 500.
    pub p99: Duration,
    /// Longest of the last 500.
    pub max: Duration,
}

type Listener = Box<dyn Fn() + Send + Sync>;

pub(crate) struct Shared {
    stop: AtomicBool,
    over: AtomicBool,
    beat: Mutex<(Instant, &'static str)>,
    owned: RwLock<BTreeSet<TaskAt>>,
    status: Mutex<Vec<TaskStatus>>,
    standby_lag: Mutex<Option<u64>>,
    failure: Mutex<Option<Failure>>,
    ended: Condvar,
    listeners: RwLock<Vec<Listener>>,
    commits: Mutex<(u64, VecDeque<Duration>)>,
}

fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub fn new() -> Self {
        Shared {
            stop: AtomicBool::new(false),
            over: AtomicBool::new(false),
            beat: Mutex::new((Instant::now(), "starting")),
            owned: RwLock::default(),
            status: Mutex::default(),
            standby_lag: Mutex::default(),
            failure: Mutex::default(),
            ended: Condvar::new(),
            listeners: RwLock::default(),
            commits: Mutex::default(),
        }
    }

    pub fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }

    pub fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// The engine's thread is at its end.
    pub fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// The engine lives, and is about to do this.
    pub fn beat(&self, doing: &'static str) {
        *held(&self.beat) = (Instant::now(), doing);
    }

    /// For how long the engine has been doing what.
    pub fn busy(&self) -> (Duration, &'static str) {
        let (since, doing) = *held(&self.beat);
        (since.elapsed(), doing)
    }

    pub fn own(&self, tasks: BTreeSet<TaskAt>) {
        *self.owned.write().unwrap_or_else(PoisonError::into_inner) = tasks;
    }

    pub fn owns(&self, node: &'static str, partition: u32) -> bool {
        self.owned.read().unwrap_or_else(PoisonError::into_inner).contains(&(node, partition))
    }

    pub fn report(&self, status: Vec<TaskStatus>, standby_lag: Option<u64>) {
        *held(&self.standby_lag) = standby_lag;
        let mut told = held(&self.status);
        let is_news = *told != status;
        *told = status;
        drop(told);
        if is_news {
            self.tell();
        }
    }

    /// How far a task has come in an input, by what was reported of it.
    pub fn reached(&self, node: &str, partition: u32, topic: &str) -> u64 {
        TaskStatus::reached_by(&held(&self.status), node, partition, topic)
    }

    pub fn standby_lag(&self) -> Option<u64> {
        *held(&self.standby_lag)
    }

    /// Every task; where the engine has stopped, halted for its reason.
    pub fn status(&self) -> Vec<TaskStatus> {
        let failure = self.failure().map(|failure| failure.to_string());
        let mut status = held(&self.status).clone();
        status.iter_mut().for_each(|task| task.halted = task.halted.take().or_else(|| failure.clone()));
        status
    }

    pub fn fail(&self, failure: Failure) {
        tracing::error!("{failure}");
        *held(&self.failure) = Some(failure);
        self.ended.notify_all();
    }

    pub fn failure(&self) -> Option<Failure> {
        held(&self.failure).clone()
    }

    /// Waits at most `bound` for the engine to fail.
    pub fn wait_failure(&self, bound: Duration) -> Option<Failure> {
        let waited = self.ended.wait_timeout_while(held(&self.failure), bound, |failure| failure.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    pub fn listen(&self, listener: Listener) {
        self.listeners.write().unwrap_or_else(PoisonError::into_inner).push(listener);
    }

    /// An epoch is committed and in the stores.
    pub fn committed(&self, took: Option<Duration>) {
        if let Some(took) = took {
            let mut commits = held(&self.commits);
            commits.0 += 1;
            if commits.1.len() == 500 {
                commits.1.pop_front();
            }
            commits.1.push_back(took);
        }
        self.tell();
    }

    fn tell(&self) {
        self.listeners.read().unwrap_or_else(PoisonError::into_inner).iter().for_each(|listener| listener());
    }

    pub fn commits(&self) -> Commits {
        let commits = held(&self.commits);
        let mut sorted: Vec<Duration> = commits.1.iter().copied().collect();
        sorted.sort_unstable();
        let at = |hundredths: usize| {
            sorted
                .get((sorted.len() * hundredths / 100).min(sorted.len().saturating_sub(1)))
                .copied()
                .unwrap_or_default()
        };
        Commits { count: commits.0, p10: at(10), p50: at(50), p99: at(99), max: at(100) }
    }
}
