//! What the engine's thread and everyone else share.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use tributary_flow::platform::{Done, SubmitError, TaskStatus};
use tributary_flow::{Place, TopicRef};

use crate::base::Base;
use crate::log::Blocks;

/// Shared by the handle and the engine's thread.
pub(crate) struct Shared {
    pub base: Base,
    /// Of the epoch that is being made durable.
    pub blocks: Mutex<Blocks>,
    pub closing: AtomicBool,
    /// Bytes of commands that wait.
    pub queued: AtomicUsize,
    hooks: RwLock<Vec<Box<dyn Fn() + Send + Sync>>>,
    failure: Mutex<Option<String>>,
    tasks: Mutex<Vec<TaskStatus>>,
}

impl Shared {
    pub fn new(base: Base) -> Self {
        Shared {
            base,
            blocks: Mutex::default(),
            closing: AtomicBool::new(false),
            queued: AtomicUsize::new(0),
            hooks: RwLock::default(),
            failure: Mutex::default(),
            tasks: Mutex::default(),
        }
    }

    pub fn hook(&self, news: Box<dyn Fn() + Send + Sync>) {
        self.hooks.write().unwrap_or_else(PoisonError::into_inner).push(news);
    }

    /// Tells everyone that an epoch was committed.
    pub fn committed(&self) {
        self.hooks.read().unwrap_or_else(PoisonError::into_inner).iter().for_each(guarded);
    }

    pub fn failure(&self) -> Option<String> {
        locked(&self.failure).clone()
    }

    /// What is wrong now; `None` where nothing is any more.
    pub fn set_failure(&self, reason: Option<String>) {
        *locked(&self.failure) = reason;
    }

    /// Every task as last published, its lag left at zero.
    pub fn tasks(&self) -> Vec<TaskStatus> {
        locked(&self.tasks).clone()
    }

    pub fn publish(&self, tasks: Vec<TaskStatus>) {
        *locked(&self.tasks) = tasks;
    }

    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }
}

/// The data of a lock: every holder leaves it whole, so one that panicked spoiled nothing.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// To the engine's thread.
pub(crate) enum Message {
    Command(Pending),
    /// Look at the clock and the log.
    Wake,
    /// Finish what waits, then end.
    Close,
}

/// A record on its way into the log. Whatever becomes of it, `done` is called once: dropped, it is unavailable.
pub(crate) struct Pending {
    pub topic: TopicRef,
    pub partition: u32,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub answer: Answer,
}

impl Pending {
    pub fn size(&self) -> usize {
        self.key.as_ref().map_or(0, Vec::len) + self.value.as_ref().map_or(0, Vec::len)
    }
}

/// Owes a call of `done`.
pub(crate) struct Answer(Option<Done>);

impl Answer {
    pub fn new(done: Done) -> Self {
        Answer(Some(done))
    }

    pub fn give(mut self, result: Result<Place, SubmitError>) {
        self.call(result);
    }

    fn call(&mut self, result: Result<Place, SubmitError>) {
        if let Some(done) = self.0.take() {
            guarded(|| done(result));
        }
    }
}

/// Runs a caller's code on the engine's thread: if it panics, that is the caller's loss.
fn guarded(work: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(work)).is_err() {
        tracing::error!("a callback panicked on the engine's thread");
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.call(Err(SubmitError::Unavailable(
            "the platform has stopped: send the command again with the same id".to_owned(),
        )));
    }
}
