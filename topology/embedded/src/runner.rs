//! The engine's thread: epoch after epoch. An epoch takes in what tasks lag behind with, then the commands that wait,
//! runs them with everything that follows, and writes all of it (records, state, positions, journals) as one synced batch.
//! While the disk syncs, the next commands gather: an idle system commits at once and a busy one in groups. Where many have gathered,
//! they are computed while the epoch before them is written, on what that one will have changed.
//!
//! A commit that fails stops the thread: what is on the disk is then unknown, and only a restart knows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use rayon::{ThreadPool, ThreadPoolBuilder};
use tributary_flow::engine::Stores;
use tributary_flow::log::LogError;
use tributary_flow::platform::TaskStatus;
use tributary_flow::{Commit, DEAD_LETTERS, Engine, Epoch, InFlight, Input, Place, TopicPartition};

use crate::made::{Answers, Made, Rest};
use crate::options::{Clock, Options};
use crate::shared::{Message, Pending, Shared};
use crate::state::TaskStores;

/// Most bytes of commands in one epoch, whatever their number.
const EPOCH_BYTES: usize = 16 << 20;
/// From how many commands on an epoch is made durable while the next one is computed; little is quicker alone.
const OVERLAP_FROM: usize = 100;
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

/// What an epoch is made of.
struct Taken {
    inputs: Vec<Input>,
    /// Which of them is the first command: what comes before lies in the log.
    commands: usize,
    /// Commands that are only written.
    later: Vec<Input>,
    answers: Answers,
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
    /// Where an epoch is made durable while the next one is computed.
    writer: Arc<ThreadPool>,
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
        shared.publish(status(&engine));
        let (clock, max_batch) = (Arc::clone(&options.clock), options.max_batch.max(1));
        let writer = ThreadPoolBuilder::new().num_threads(1).thread_name(|_| "tributary-write".into()).build();
        let writer = Arc::new(writer.map_err(|error| LogError(format!("no thread: {error}")))?);
        Ok(Runner { shared, engine, inbox, clock, max_batch, ends, unread, closed: false, writer })
    }

    /// Runs until closed.
    pub fn run(mut self) -> Result<(), Failed> {
        let shared = Arc::clone(&self.shared);
        let stores = TaskStores::new(&shared.base, self.engine.tasks().map(|(task, _)| task));
        let mut ahead: Option<Made> = None;
        loop {
            let lagging = self.lagging(&stores);
            let commands = self.collect(&stores, !lagging.is_empty() || ahead.is_some());
            if self.closed && commands.is_empty() && ahead.is_none() {
                return Ok(());
            }
            let many = commands.len() >= OVERLAP_FROM;
            let made = match ahead.take() {
                Some(before) if many && lagging.is_empty() => self.overlap(&stores, before, commands)?,
                before => {
                    before.map_or(Ok(()), |before| before.write(&shared))?;
                    self.epoch(&stores, &lagging, commands)?
                }
            };
            if many && lagging.is_empty() {
                ahead = Some(made);
            } else {
                made.write(&shared)?;
            }
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

    /// Runs an epoch over what tasks lag with, and commands.
    fn epoch(
        &mut self,
        stores: &dyn Stores,
        lagging: &[(TopicPartition, u64)],
        commands: Vec<Pending>,
    ) -> Result<Made, Failed> {
        let (inputs, behind) = self.catch_up(lagging)?;
        let taken = self.take(commands, inputs, &behind);
        self.compute(stores, taken)
    }

    /// Runs an epoch over commands while the one before it is made durable.
    fn overlap(&mut self, stores: &dyn Stores, before: Made, commands: Vec<Pending>) -> Result<Made, Failed> {
        let shared = Arc::clone(&self.shared);
        let taken = self.take(commands, Vec::new(), &Partitions::new());
        let Made { commit, rest } = before;
        let mut written = None;
        // A field's borrow and not the runner's: what is spawned must not see it.
        let writer = Arc::clone(&self.writer);
        let made = writer.in_place_scope(|scope| {
            scope.spawn(|_| written = Some(rest.write(&commit, &shared)));
            self.compute(&InFlight::new(stores, &commit), taken)
        });
        written.expect("invariant: a scope ends with what it has spawned")?;
        made
    }

    /// Runs the inputs with all that follows.
    fn compute(&mut self, stores: &dyn Stores, taken: Taken) -> Result<Made, Failed> {
        let Taken { mut inputs, commands, later, answers } = taken;
        let commit = match self.attempt(stores, &inputs) {
            Ok(commit) => commit,
            Err(failed) => return Err(answers.fail(&self.shared, failed)),
        };
        let records =
            commit.records.iter().map(|record| self.ends.take(record.target.name(), record.partition)).collect();
        let writers = commit.tasks.iter().filter(|task| task.journal.is_some());
        let journals = writers.map(|task| self.ends.take(&task.node.journal(), task.partition)).collect();
        let mut commands = inputs.split_off(commands);
        commands.extend(later);
        Ok(Made { commit, rest: Rest { commands, records, journals, tasks: status(&self.engine), answers } })
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
    fn take(&mut self, commands: Vec<Pending>, mut inputs: Vec<Input>, behind: &Partitions) -> Taken {
        let (first, mut later, mut answers) = (inputs.len(), Vec::new(), Vec::with_capacity(commands.len()));
        for Pending { topic, partition, key, value, answer } in commands {
            let offset = self.ends.take(topic.name, partition);
            answers.push((answer, Place { topic: topic.name.to_owned(), partition, offset }));
            let to = if behind.contains(&(topic.name, partition)) { &mut later } else { &mut inputs };
            to.push(Input { topic, partition, offset, key, value });
        }
        Taken { inputs, commands: first, later, answers: Answers(answers) }
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
}

/// Every task, its lag left at zero.
fn status(engine: &Engine) -> Vec<TaskStatus> {
    engine.tasks().map(|(task, halted)| TaskStatus::of(task, halted, 0)).collect()
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
            topics.extend((!node.is_view()).then(|| node.journal()));
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
