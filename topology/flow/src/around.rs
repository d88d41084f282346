//! A task around another one, which it is but for what it does otherwise: for builds that differ, broken ones and newer ones, and
//! whoever wants to show that it makes no difference.

use crate::record::{Input, Produced};
use crate::store::Store;
use crate::task::{Counters, Stop, Task, TaskCommit};
use crate::{InMemory, Node, Timestamp};

/// What a task around another does otherwise; each of it as [`Task`] has it.
pub trait Around: Send {
    /// The other one.
    fn inner(&self) -> &dyn Task;
    /// The other one.
    fn inner_mut(&mut self) -> &mut dyn Task;

    /// See [`Task::begin`].
    fn begin(&mut self, store: &dyn Store, wall: Timestamp) {
        self.inner_mut().begin(store, wall);
    }

    /// See [`Task::next_timer`].
    fn next_timer(&mut self, store: &dyn Store) -> Option<Timestamp> {
        self.inner_mut().next_timer(store)
    }

    /// See [`Task::fire`].
    ///
    /// # Errors
    /// The epoch cannot be finished.
    fn fire(&mut self, store: &dyn Store, limit: u32, out: &mut Vec<Produced>) -> Result<(), Stop> {
        self.inner_mut().fire(store, limit, out)
    }

    /// See [`Task::apply`].
    ///
    /// # Errors
    /// The epoch cannot be finished.
    fn apply(
        &mut self,
        store: &dyn Store,
        port: usize,
        input: &Input,
        memory: Option<&InMemory>,
        out: &mut Vec<Produced>,
    ) -> Result<(), Stop>;

    /// See [`Task::finish`].
    fn finish(&mut self) -> Option<TaskCommit> {
        self.inner_mut().finish()
    }
}

impl<T: Around> Task for T {
    fn node(&self) -> &'static Node {
        self.inner().node()
    }

    fn partition(&self) -> u32 {
        self.inner().partition()
    }

    fn counters(&self) -> Counters {
        self.inner().counters()
    }

    fn begin(&mut self, store: &dyn Store, wall: Timestamp) {
        Around::begin(self, store, wall);
    }

    fn position(&mut self, store: &dyn Store, port: usize) -> u64 {
        self.inner_mut().position(store, port)
    }

    fn next_timer(&mut self, store: &dyn Store) -> Option<Timestamp> {
        Around::next_timer(self, store)
    }

    fn fire(&mut self, store: &dyn Store, limit: u32, out: &mut Vec<Produced>) -> Result<(), Stop> {
        Around::fire(self, store, limit, out)
    }

    fn firing(&self) -> Option<String> {
        self.inner().firing()
    }

    fn apply(
        &mut self,
        store: &dyn Store,
        port: usize,
        input: &Input,
        memory: Option<&InMemory>,
        out: &mut Vec<Produced>,
    ) -> Result<(), Stop> {
        Around::apply(self, store, port, input, memory, out)
    }

    fn finish(&mut self) -> Option<TaskCommit> {
        Around::finish(self)
    }

    fn abort(&mut self) {
        self.inner_mut().abort();
    }
}
