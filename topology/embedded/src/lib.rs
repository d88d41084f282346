//! Driver 2: log, positions and state in one RocksDB, one process, no broker. For trying out, for development and for
//! one-machine installations; many machines means Kafka.
//!
//! It keeps the shape of the production driver with less. Topics, positions and state are column families of one
//! database; an epoch is one synced write batch, so either all of it happened or nothing; and fusion is total, so a whole
//! saga ends in the epoch of its command. There is no changelog, for state and log cannot part; there are no aborted
//! records, for none is written before its epoch is decided.
//!
//! A full disk or a failing one stops the platform: it says so ([`Embedded::failure`]), refuses commands, goes on
//! answering reads, and a restart rolls forward.
//!
//! Deliberately absent: replication, retention (facts are kept), and async.

mod ahead;
mod base;
mod log;
mod made;
mod options;
mod reader;
mod runner;
mod shared;
mod state;

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use rocksdb::WriteBatch;
use tributary_flow::log::{Log, LogError, Logged};
use tributary_flow::platform::{Done, SubmitError, TaskStatus, Told};
use tributary_flow::store::{Store, StoreFailure, prefix_end};
use tributary_flow::{Engine, Node, Platform, Reader, Task, TopicRef, partition_of};

pub use base::OpenError;
pub use options::{Clock, Options};
pub use reader::EmbeddedReader;

use base::Base;
use runner::{Failed, Runner};
use shared::{Answer, Message, Pending, Shared, locked};
use state::TaskStore;

/// Most bytes of commands that wait.
const QUEUE_BYTES: usize = 64 << 20;

/// A running embedded platform. Dropped, it closes.
pub struct Embedded {
    shared: Arc<Shared>,
    outbox: Sender<Message>,
    thread: Mutex<Option<JoinHandle<()>>>,
    nodes: Vec<&'static Node>,
    max_record: usize,
}

impl Embedded {
    /// Opens the database and starts the engine over the tasks that `make` gives for each partition.
    ///
    /// # Errors
    /// See [`OpenError`]. Nothing runs then.
    pub fn open(options: &Options, make: &dyn Fn(u32) -> Vec<Box<dyn Task>>) -> Result<Self, OpenError> {
        let base = Base::open(&options.dir, options.partitions, options.cache_bytes)?;
        let tasks: Vec<_> = (0..options.partitions).flat_map(make).collect();
        let mut nodes: Vec<&'static Node> = tasks.iter().map(|task| task.node()).collect();
        nodes.sort_by_key(|node| node.name);
        nodes.dedup_by_key(|node| node.name);
        let io = |reason: String| OpenError::io(&options.dir, reason);
        for node in nodes.iter().filter(|node| counts_epochs(&base, node)) {
            tracing::info!(view = node.name, "made by an older build, and made again from the log");
            clear_view(&base, node).map_err(|error| io(error.to_string()))?;
        }
        for view in &options.rebuild {
            let node = nodes.iter().find(|node| node.name == view && node.is_view());
            clear_view(&base, node.ok_or_else(|| OpenError::NotAView(view.clone()))?)
                .map_err(|error| io(error.to_string()))?;
        }
        let shared = Arc::new(Shared::new(base));
        let (outbox, inbox) = bounded(options.max_queue.max(1));
        let waiting = inbox.clone();
        let runner =
            Runner::new(Arc::clone(&shared), Engine::new(tasks), inbox, options).map_err(|error| io(error.0))?;
        let watched = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("tributary-engine".to_owned())
            .spawn(move || supervise(&watched, runner, &waiting))
            .map_err(|error| io(error.to_string()))?;
        Ok(Embedded { shared, outbox, thread: Mutex::new(Some(thread)), nodes, max_record: options.max_record })
    }

    /// Writes a record as any client could: any bytes, to any partition, the key's own where `partition` is absent.
    pub fn produce(
        &self,
        topic: TopicRef,
        partition: Option<u32>,
        key: Option<Vec<u8>>,
        value: Option<Vec<u8>>,
        done: Done,
    ) {
        let answer = Answer::new(done);
        let partition =
            partition.unwrap_or_else(|| partition_of(key.as_deref().unwrap_or_default(), self.shared.base.partitions));
        let pending = Pending { topic, partition, key, value, answer };
        let size = pending.size();
        if size > self.max_record {
            return pending.answer.give(Err(SubmitError::TooLarge { size, limit: self.max_record }));
        }
        if let Some(reason) = self.refusal(topic, partition) {
            return pending.answer.give(Err(SubmitError::Unavailable(reason)));
        }
        if self.shared.queued.fetch_add(size, Ordering::AcqRel) + size > QUEUE_BYTES {
            self.shared.queued.fetch_sub(size, Ordering::AcqRel);
            return pending.answer.give(Err(full()));
        }
        let (pending, error) = match self.outbox.try_send(Message::Command(pending)) {
            Ok(()) => return,
            Err(TrySendError::Full(Message::Command(pending))) => (pending, full()),
            // The thread has ended since; dropped, the command is answered.
            Err(_) => return,
        };
        self.shared.queued.fetch_sub(size, Ordering::AcqRel);
        pending.answer.give(Err(error));
    }

    /// Why a record cannot be taken now.
    fn refusal(&self, topic: TopicRef, partition: u32) -> Option<String> {
        if self.shared.is_closing() {
            return Some("the platform is shutting down: send the command again with the same id".to_owned());
        }
        if !self.nodes.iter().any(|node| node.inputs.contains(&topic)) {
            return Some(format!("no node here reads {}", topic.name));
        }
        if partition >= self.shared.base.partitions {
            return Some(format!(
                "{} has {} partitions and no number {partition}",
                topic.name, self.shared.base.partitions
            ));
        }
        self.failure()
    }

    /// What keeps the platform from running as it should; `None` when all is well. A task that is halted is told by
    /// [`Platform::tasks`].
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.shared.failure()
    }

    /// Looks at the clock now instead of at the next tick: for clocks that jump.
    pub fn wake(&self) {
        // A full queue is awake.
        let _ = self.outbox.try_send(Message::Wake);
    }

    /// Takes no more commands, finishes those that wait, and stops. Reads go on. Closing again does nothing.
    pub fn close(&self) {
        self.shared.closing.store(true, Ordering::Release);
        let Some(thread) = locked(&self.thread).take() else { return };
        // An error means that the thread has ended by itself.
        let _ = self.outbox.send(Message::Close);
        if thread.join().is_err() {
            tracing::error!("the engine's thread ended by a panic");
        }
    }

    fn lag(&self, status: &TaskStatus) -> u64 {
        let Some(node) = self.nodes.iter().find(|node| node.name == status.node) else { return 0 };
        let store = TaskStore::new(&self.shared.base, None, node.name, status.partition);
        let behind = |topic: &&TopicRef| {
            let end = self.shared.base.range(topic.name, status.partition).map_or(0, |range| range.end);
            end.saturating_sub(Reader::new(&store).told_position(topic.name))
        };
        // What cannot be read stops the engine, which says so.
        StoreFailure::caught(|| node.inputs.iter().map(|topic| behind(&topic)).sum()).unwrap_or(0)
    }
}

fn full() -> SubmitError {
    SubmitError::Unavailable("too many commands wait: send the command again, later and with the same id".to_owned())
}

/// Runs the engine and, if it ends otherwise than by being closed, says why, to those too whose commands wait.
fn supervise(shared: &Shared, runner: Runner, waiting: &Receiver<Message>) {
    let reason = match catch_unwind(AssertUnwindSafe(|| runner.run())) {
        Ok(Ok(())) => return,
        Ok(Err(Failed(reason))) => reason,
        Err(panic) => match panic.downcast_ref() {
            Some(StoreFailure(reason)) => {
                format!("the state on the disk cannot be read: {reason}; bring its folder back from a copy")
            }
            None => "the engine stopped at a broken invariant; the log on the disk is whole, restart".to_owned(),
        },
    };
    tracing::error!(%reason, "the platform has stopped");
    shared.set_failure(Some(reason));
    // Dropped, a command is answered.
    waiting.try_iter().for_each(drop);
}

/// Whether a view's state counts its epochs: builds that did so kept its rows otherwise, and a journal of it.
fn counts_epochs(base: &Base, node: &Node) -> bool {
    let counts = |partition| Reader::new(&TaskStore::new(base, None, node.name, partition)).told_epoch() != Some(0);
    node.is_view() && (0..base.partitions).any(counts)
}

/// Drops a view's state, which begins anew when the view reads the log again, and the journal that an older build kept of it.
fn clear_view(base: &Base, node: &Node) -> std::io::Result<()> {
    let mut batch = WriteBatch::default();
    for (family, prefix) in [(base.state(), node.name.to_owned()), (base.log(), node.journal())] {
        let prefix = state::of_node(&prefix);
        batch.delete_range_cf(family, prefix.clone(), prefix_end(&prefix));
    }
    base.write(batch)
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.close();
    }
}

impl Platform for Embedded {
    fn driver(&self) -> &'static str {
        "embedded"
    }

    fn partitions(&self) -> u32 {
        self.shared.base.partitions
    }

    fn submit(&self, topic: TopicRef, key: &str, value: Vec<u8>, done: Done) {
        self.produce(topic, None, Some(key.as_bytes().to_vec()), Some(value), done);
    }

    fn read(&self, node: &'static Node, partition: u32, read: &mut dyn FnMut(&dyn Store)) -> bool {
        if partition >= self.shared.base.partitions || !self.nodes.iter().any(|own| own.name == node.name) {
            return false;
        }
        let snapshot = self.shared.base.db.snapshot();
        read(&TaskStore::new(&self.shared.base, Some(&snapshot), node.name, partition));
        true
    }

    fn on_commit(&self, news: Box<dyn Fn() + Send + Sync>) {
        self.shared.hook(news);
    }

    fn tasks(&self) -> Vec<TaskStatus> {
        let tasks = self.shared.tasks().into_iter();
        tasks.map(|status| TaskStatus { lag: self.lag(&status), ..status }).collect()
    }

    fn ends(&self, topics: &[&str], partition: u32, told: Told) {
        let end = |topic: &&str| Some(self.shared.base.range(topic, partition).ok()?.end);
        told(topics.iter().map(end).collect());
    }
}

impl Log for Embedded {
    fn partitions(&self) -> u32 {
        self.shared.base.partitions
    }

    fn range(&self, topic: &str, partition: u32) -> Result<Range<u64>, LogError> {
        self.shared.base.range(topic, partition)
    }

    fn read(&self, topic: &str, partition: u32, from: u64, limit: usize) -> Result<Vec<Logged>, LogError> {
        self.shared.base.read(topic, partition, from, limit)
    }
}
