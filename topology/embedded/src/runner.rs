//! The engine's thread: epoch after epoch. An epoch takes in what tasks lag behind with, then the commands that wait,
//! runs them with everything that follows, and writes all of it (records, state, positions, journals) as one synced batch.
//! While the disk syncs, the next commands gather: an idle system commits at once and a busy one in groups.
//!
//! A commit that fails stops the thread: what is on the disk is then unknown, and only a restart knows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use rocksdb::WriteBatch;
use tributary_flow::engine::Stores;
use tributary_flow::log::LogError;
use tributary_flow::platform::SubmitError;
use tributary_flow::{Commit, DEAD_LETTERS, Engine, Epoch, Input, Place, TopicPartition};

use crate::log::Blocks;
use crate::options::{Clock, Options};
use crate::shared::{Answer, Message, Pending, Shared};
use crate::state::{self, TaskStores};

/// Most bytes of commands in one epoch, whatever their number.
const EPOCH_BYTES: usize = 16 << 20;
/// How often the clock is looked at while timers wait: it may be set, or be a test's.
const TICK: Duration = Duration::from_millis(100);

/// Partitions by topic name.
type Partitions = BTreeSet<(&'static str, u32)>;

/// An epoch cannot be made durable.
pub(crate) struct Failed(pub String);

impl From<LogError> for Failed {
    fn from(error: LogError) -> Self {
        Failed(error.0)
    }
}

impl From<std::io::Error> for Failed {
    fn from(error: std::io::Error) -> Self {
        Failed(format!(
            "the database cannot be written: {error}; nothing that was acknowledged is lost, mend it and restart"
        ))
    }
}

/// The thread's own.
pub(crate) struct Runner {
    shared: Arc<Shared>,
    engine: Engine,
    inbox: Receiver<Message>,
    clock: Clock,
    max_batch: usize,
    ends: Ends,
    /// What must be read before timers fire: an outage must not fail what the log has answered already.
    unread: Vec<(TopicPartition, u64)>,
    closed: bool,
}

impl Runner {
    pub fn new(
        shared: Arc<Shared>,
        engine: Engine,
        inbox: Receiver<Message>,
        options: &Options,
    ) -> Result<Self, LogError> {
        let ends = Ends::read(&shared, &engine)?;
        let mut unread = Vec::new();
        for (task, _) in engine.tasks() {
            let partition = task.partition();
            unread.extend(
                task.node()
                    .inputs
                    .iter()
                    .map(|topic| (TopicPartition { topic, partition }, ends.get(topic.name, partition))),
            );
        }
        shared.publish(&engine);
        let (clock, max_batch) = (Arc::clone(&options.clock), options.max_batch.max(1));
        Ok(Runner { shared, engine, inbox, clock, max_batch, ends, unread, closed: false })
    }

    /// Runs until closed.
    pub fn run(mut self) -> Result<(), Failed> {
        let shared = Arc::clone(&self.shared);
        let stores = TaskStores::new(&shared.base, self.engine.tasks().map(|(task, _)| task));
        loop {
            let lagging = self.lagging(&stores);
            let commands = self.collect(&stores, !lagging.is_empty());
            if self.closed && commands.is_empty() {
                return Ok(());
            }
            self.epoch(&stores, &lagging, commands)?;
        }
    }

    /// The partitions that some task has not read to their end, with where to read on.
    fn lagging(&mut self, stores: &dyn Stores) -> Vec<(TopicPartition, u64)> {
        let positions = self.engine.positions(stores);
        self.unread.retain(|(unread, end)| positions.iter().any(|(read, position)| read == unread && position < end));
        positions.into_iter().filter(|(at, position)| *position < self.ends.get(at.topic.name, at.partition)).collect()
    }

    /// The commands that wait; waits for one, or for a timer, unless there is other work.
    fn collect(&mut self, stores: &dyn Stores, busy: bool) -> Vec<Pending> {
        let mut commands = Vec::new();
        let mut bytes = 0;
        let mut message = if busy || self.closed { self.inbox.try_recv().ok() } else { self.wait(stores) };
        while let Some(received) = message {
            match received {
                Message::Command(pending) => {
                    bytes += pending.size();
                    commands.push(pending);
                }
                Message::Wake => {}
                Message::Close => self.closed = true,
            }
            if commands.len() >= self.max_batch || bytes >= EPOCH_BYTES {
                break;
            }
            message = self.inbox.try_recv().ok();
        }
        self.shared.queued.fetch_sub(bytes, Ordering::AcqRel);
        commands
    }

    /// The next message, or `None` when a timer is due.
    fn wait(&mut self, stores: &dyn Stores) -> Option<Message> {
        loop {
            let next = if self.unread.is_empty() { self.engine.next_timer(stores) } else { None };
            let received = match next {
                None => self.inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(next) => {
                    let left = next.0.saturating_sub((self.clock)().0);
                    if left <= 0 {
                        return None;
                    }
                    self.inbox.recv_timeout(TICK.min(Duration::from_micros(left.unsigned_abs())))
                }
            };
            match received {
                Ok(message) => return Some(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Some(Message::Close),
            }
        }
    }

    fn epoch(
        &mut self,
        stores: &dyn Stores,
        lagging: &[(TopicPartition, u64)],
        commands: Vec<Pending>,
    ) -> Result<(), Failed> {
        let mut blocks = Blocks::default();
        let (mut inputs, behind) = self.catch_up(lagging)?;
        let answers = self.append_commands(commands, &behind, &mut inputs, &mut blocks);
        let done = self.conclude(stores, &inputs, blocks);
        if let Err(Failed(reason)) = &done {
            self.shared.set_failure(Some(reason.clone()));
        }
        let unavailable = |Failed(reason): &Failed| {
            SubmitError::Unavailable(format!(
                "{reason}; whether the command was written is unknown: send it again with the same id"
            ))
        };
        for (answer, place) in answers {
            answer.give(done.as_ref().map(|()| place).map_err(unavailable));
        }
        done
    }

    /// Runs the inputs with all that follows, and makes it durable.
    fn conclude(&mut self, stores: &dyn Stores, inputs: &[Input], mut blocks: Blocks) -> Result<(), Failed> {
        let commit = self.attempt(stores, inputs)?;
        for record in &commit.records {
            let (topic, partition) = (record.target.name(), record.partition);
            let offset = self.ends.take(topic, partition);
            let headers = record.headers.iter().map(|(name, value)| (*name, value.as_slice()));
            blocks.append(topic, partition, offset, record.key.as_deref(), record.value.as_deref(), headers);
        }
        self.write(&commit, blocks)
    }

    /// Reads on where tasks lag, a share of a batch each; also tells which partitions were not read to their end.
    fn catch_up(&self, lagging: &[(TopicPartition, u64)]) -> Result<(Vec<Input>, Partitions), Failed> {
        let (mut inputs, mut behind) = (Vec::new(), Partitions::new());
        let share = self.max_batch.div_ceil(lagging.len().max(1));
        for (TopicPartition { topic, partition }, position) in lagging {
            let records = self.shared.base.read(topic.name, *partition, *position, share)?;
            let next = records.last().map_or(*position, |last| last.offset + 1);
            if next < self.ends.get(topic.name, *partition) {
                behind.insert((topic.name, *partition));
            }
            let input = |record: tributary_flow::Logged| Input {
                topic,
                partition: *partition,
                offset: record.offset,
                key: record.key,
                value: record.value,
            };
            inputs.extend(records.into_iter().map(input));
        }
        Ok((inputs, behind))
    }

    /// Gives commands their offsets. A reader that lags must not see them before what it lags with: it finds them in the
    /// log later.
    fn append_commands(
        &mut self,
        commands: Vec<Pending>,
        behind: &Partitions,
        inputs: &mut Vec<Input>,
        blocks: &mut Blocks,
    ) -> Vec<(Answer, Place)> {
        let mut answers = Vec::with_capacity(commands.len());
        for Pending { topic, partition, key, value, answer } in commands {
            let offset = self.ends.take(topic.name, partition);
            blocks.append(topic.name, partition, offset, key.as_deref(), value.as_deref(), [].into_iter());
            answers.push((answer, Place { topic: topic.name.to_owned(), partition, offset }));
            if !behind.contains(&(topic.name, partition)) {
                inputs.push(Input { topic, partition, offset, key, value });
            }
        }
        answers
    }

    /// Runs the epoch, as often as it takes: what fails here (a read, a registry) has changed nothing.
    fn attempt(&mut self, stores: &dyn Stores, inputs: &[Input]) -> Result<Commit, Failed> {
        let timers = if self.unread.is_empty() { u32::try_from(self.max_batch).unwrap_or(u32::MAX) } else { 0 };
        let mut failed = false;
        loop {
            let ends = |topic: tributary_flow::TopicRef, partition: u32| {
                let end = self.ends.get(topic.name, partition);
                Some(end..end)
            };
            let epoch = Epoch { now: (self.clock)(), timers, ends: Some(&ends) };
            let reason = match self.engine.epoch(stores, epoch, inputs) {
                Ok(commit) => {
                    if failed {
                        self.shared.set_failure(None);
                    }
                    return Ok(commit);
                }
                Err(error) => error.0,
            };
            if self.shared.is_closing() {
                return Err(Failed(reason));
            }
            if !failed {
                tracing::error!(%reason, "an epoch failed and is tried again");
            }
            failed = true;
            self.shared.set_failure(Some(reason));
            std::thread::sleep(TICK);
        }
    }

    /// Makes the epoch durable.
    fn write(&mut self, commit: &Commit, mut blocks: Blocks) -> Result<(), Failed> {
        let base = &self.shared.base;
        let mut batch = WriteBatch::default();
        for task in &commit.tasks {
            let (topic, partition) = (task.node.journal(), task.partition);
            let offset = self.ends.take(&topic, partition);
            blocks.append(&topic, partition, offset, None, Some(&task.journal.encode()), [].into_iter());
            state::put(base, task, &mut batch);
        }
        if commit.is_empty() && blocks.is_empty() {
            self.shared.publish(&self.engine); // A halt may be all that happened.
            return Ok(());
        }
        blocks.put(base, &mut batch);
        if let Err(error) = base.write(batch) {
            self.engine.abort();
            return Err(error.into());
        }
        self.shared.publish(&self.engine);
        self.shared.committed();
        Ok(())
    }
}

/// Where each partition of each topic ends, the epoch under way included. It is thrown away with the thread when an epoch
/// fails.
struct Ends(BTreeMap<String, Vec<u64>>);

impl Ends {
    fn read(shared: &Shared, engine: &Engine) -> Result<Self, LogError> {
        let mut ends = BTreeMap::new();
        let mut topics = BTreeSet::from([DEAD_LETTERS.to_owned()]);
        for (task, _) in engine.tasks() {
            let node = task.node();
            topics.extend(node.inputs.iter().chain(node.outputs).map(|topic| topic.name.to_owned()));
            topics.insert(node.journal());
        }
        for topic in topics {
            let read = |partition| shared.base.range(&topic, partition).map(|range| range.end);
            let read = (0..shared.base.partitions).map(read).collect::<Result<_, _>>()?;
            ends.insert(topic, read);
        }
        Ok(Ends(ends))
    }

    fn get(&self, topic: &str, partition: u32) -> u64 {
        self.0[topic][partition as usize]
    }

    /// The next offset, taken.
    fn take(&mut self, topic: &str, partition: u32) -> u64 {
        let partitions = self.0.get_mut(topic).expect("invariant: the graph's topics are known at start");
        let end = &mut partitions[partition as usize];
        *end += 1;
        *end - 1
    }
}
