//! What every route works with: committed state by node and partition, waiting for news, and read-your-writes.
//!
//! Nothing polls: whoever waits sleeps until the platform tells of a commit, then looks again. Reads run on the blocking
//! pool, since a store may go to disk.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Query;
use axum::http::StatusCode;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;
use tributary_flow::platform::SubmitError;
use tributary_flow::{CommandHeader, Node, Place, Platform, Reader, partition_of, task::Registry};

use crate::command::Command;
use crate::ledger::TrialBalances;
use crate::problem::Problem;
use crate::token;

/// Longest wait that a caller may ask for.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// The code of a problem that is over once a view is restored.
pub(crate) const RESTORING: &str = "restoring";
/// The code of a problem that another process does not have.
pub(crate) const NOT_OWNED: &str = "not_owned";
/// The code of a problem that is over once this process runs something.
pub(crate) const NOTHING_RUNS: &str = "nothing_runs";
/// How long a command may take to be durable, however short a wait was asked for: who is told that this is unknown sends it again.
const LEAST_WAIT: Duration = Duration::from_secs(1);
/// How long a read waits for the position that it was given.
const FRESHNESS_WAIT: Duration = Duration::from_secs(5);

/// What the routes share.
pub(crate) struct Api {
    pub platform: Arc<dyn Platform>,
    pub registry: Arc<dyn Registry>,
    pub trial: TrialBalances,
    pub requests: crate::metrics::Requests,
    news: watch::Receiver<u64>,
    closing: watch::Receiver<bool>,
}

impl Api {
    pub fn new(platform: Arc<dyn Platform>, registry: Arc<dyn Registry>, closing: watch::Receiver<bool>) -> Arc<Self> {
        let (commits, news) = watch::channel(0_u64);
        platform.on_commit(Box::new(move || commits.send_modify(|count| *count = count.wrapping_add(1))));
        let trial = TrialBalances::new(platform.partitions());
        Arc::new(Api { platform, registry, trial, requests: crate::metrics::Requests::new(), news, closing })
    }

    /// The partition of a key.
    pub fn partition(&self, key: &str) -> u32 {
        partition_of(key.as_bytes(), self.platform.partitions())
    }

    /// Reads one task's committed state, all of it as of one commit.
    ///
    /// # Errors
    /// This process does not own the task, or does not run it yet, or its store cannot be read.
    pub async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        node: &'static Node,
        partition: u32,
        read: impl FnOnce(Reader<'_>) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let api = Arc::clone(self);
        let reading = tokio::task::spawn_blocking(move || {
            let (mut read, mut found) = (Some(read), None);
            let owned = api.platform.read(node, partition, &mut |store| {
                if let Some(read) = read.take() {
                    found = Some(read(Reader::new(store)));
                }
            });
            if owned { found } else { None }
        });
        match reading.await {
            Ok(Some(found)) => Ok(found),
            Ok(None) => Err(self.absent(node, partition)),
            Err(_) => Err(Problem::unavailable(
                "store_unreadable",
                format!("the store of {}[{partition}] cannot be read", node.name),
            )),
        }
    }

    /// The problem of asking a process that has no such task to read from: not yet, or not at all.
    fn absent(&self, node: &'static Node, partition: u32) -> Problem {
        let tasks = self.platform.tasks();
        let mut restoring = tasks.iter().filter(|task| task.restoring);
        let problem = match restoring.find(|task| task.node == node.name && task.partition == partition) {
            Some(task) => {
                let (node, left) = (node.name, task.lag);
                let detail = format!("{node}[{partition}] is being restored, {left} records are left; ask again");
                Problem::unavailable(RESTORING, detail)
            }
            None if tasks.is_empty() => {
                let detail = "this process runs nothing at this time, for it is about to join the others or none of the partitions is its own; ask again, or another";
                Problem::unavailable(NOTHING_RUNS, detail)
            }
            None => {
                let detail = format!("this process does not hold {}[{partition}]; ask the one that does", node.name);
                Problem::new(StatusCode::MISDIRECTED_REQUEST, NOT_OWNED, detail)
            }
        };
        problem.value("node", node.name).value("partition", partition)
    }

    /// Reads the state of the task that owns `key`, no older than `fresh`.
    ///
    /// # Errors
    /// As [`Api::read`]; or the view does not reach the position in time.
    pub async fn read_key<T: Send + 'static>(
        self: &Arc<Self>,
        node: &'static Node,
        key: &str,
        fresh: &Fresh,
        read: impl FnOnce(Reader<'_>) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let partition = self.partition(key);
        self.refresh(node, partition, fresh).await?;
        self.read(node, partition, read).await
    }

    /// Looks now and after every commit, until `look` finds something, the time is up, or the process closes.
    pub async fn wait<T, F: Future<Output = Result<Option<T>, Problem>>>(
        &self,
        until: Instant,
        mut look: impl FnMut() -> F,
    ) -> Result<Option<T>, Problem> {
        let (mut news, mut closing) = (self.news.clone(), self.closing.clone());
        loop {
            news.borrow_and_update();
            if let Some(found) = look().await? {
                return Ok(Some(found));
            }
            tokio::select! {
                changed = news.changed() => if changed.is_err() { return Ok(None) },
                () = tokio::time::sleep_until(until) => return Ok(None),
                _ = closing.wait_for(|closing| *closing) => return Ok(None),
            }
        }
    }

    /// Waits until the view of `node` in `partition` is past the position that the caller has seen.
    ///
    /// The position is a place in one topic. Where the view reads that very partition, it must have applied what lies there.
    /// To all other inputs the place is only a time: what was written before it lies before their ends now, and what
    /// followed from it may have been written with it.
    ///
    /// # Errors
    /// The view does not get there in time, or there is no such place.
    pub async fn refresh(self: &Arc<Self>, node: &'static Node, partition: u32, fresh: &Fresh) -> Result<(), Problem> {
        let Some(place) = &fresh.0 else { return Ok(()) };
        if place.partition >= self.platform.partitions() || tributary_graph::topic(&place.topic).is_none() {
            return Err(token::no_position());
        }
        let until = Instant::now() + FRESHNESS_WAIT;
        let is_place = |topic: &str| place.partition == partition && place.topic == topic;
        let (there, others): (Vec<_>, _) =
            node.inputs.iter().map(|topic| topic.name).partition(|topic| is_place(topic));
        let reached = match self.ends(others, partition, until).await {
            Some(mut goals) => {
                goals.extend(there.into_iter().map(|topic| (topic, place.offset.saturating_add(1))));
                self.reach(node, partition, goals, until).await?
            }
            None => false,
        };
        let late = || {
            let detail = format!("{}[{partition}] has not reached the position yet; ask again", node.name);
            Problem::unavailable("not_fresh", detail)
                .at("position")
                .value("topic", &place.topic)
                .value("offset", place.offset)
        };
        if reached { Ok(()) } else { Err(late()) }
    }

    /// Where these topics end now; nothing where the log does not tell in time.
    pub async fn ends(
        &self,
        topics: Vec<&'static str>,
        partition: u32,
        until: Instant,
    ) -> Option<Vec<(&'static str, u64)>> {
        let (told, ends) = oneshot::channel();
        self.platform.ends(&topics, partition, Box::new(move |ends| drop(told.send(ends))));
        let ends = tokio::time::timeout_at(until, ends).await.ok()?.ok()??;
        Some(topics.into_iter().zip(ends).collect())
    }

    /// Waits until a task has applied everything below these offsets of its inputs; false where the time is up.
    pub async fn reach(
        self: &Arc<Self>,
        node: &'static Node,
        partition: u32,
        goals: Vec<(&'static str, u64)>,
        until: Instant,
    ) -> Result<bool, Problem> {
        let goals: Arc<[_]> = goals.into();
        let reached = self.wait(until, || {
            let (api, goals) = (Arc::clone(self), Arc::clone(&goals));
            // What is told before the state is looked at is in it.
            let told = goals.iter().map(|(topic, _)| api.platform.reached(node, partition, topic)).collect::<Vec<_>>();
            let all = move |reader: Reader<'_>| {
                goals.iter().zip(told).all(|((topic, goal), told)| reader.position(topic).max(told) >= *goal)
            };
            async move { Ok(api.read(node, partition, all).await?.then_some(())) }
        });
        Ok(reached.await?.is_some())
    }

    /// Hands a command in; what comes back tells when it is durable. Many may be under way at once.
    pub fn submit(&self, command: &Command, header: CommandHeader) -> Submitted {
        let value = command.encode(self.registry.as_ref(), header);
        let (done, told) = oneshot::channel();
        let done = Box::new(move |result| drop(done.send(result)));
        self.platform.submit(command.topic, command.body.key(), value, done);
        Submitted { told, since: Instant::now() }
    }
}

/// A command that was handed in.
pub(crate) struct Submitted {
    told: oneshot::Receiver<Result<Place, SubmitError>>,
    since: Instant,
}

impl Submitted {
    /// Where the command lies, once it is durable; for as long as the platform tries, or until the time that is given.
    ///
    /// # Errors
    /// It is too large, or the platform does not take it, or does not say so in time.
    pub async fn durable(self, until: Option<Instant>) -> Result<Place, Problem> {
        let told = match until {
            Some(until) => tokio::time::timeout_at(until.max(self.since + LEAST_WAIT), self.told).await,
            None => Ok(self.told.await),
        };
        let reason = match told {
            Ok(Ok(Ok(place))) => return Ok(place),
            Ok(Ok(Err(SubmitError::TooLarge { size, limit }))) => {
                let detail = format!("the record has {size} bytes and the limit is {limit}");
                let problem = Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail);
                return Err(problem.value("size", size).value("limit", limit));
            }
            // Whether it may have been written, and what to do, the platform says itself.
            Ok(Ok(Err(SubmitError::Unavailable(reason)))) => return Err(Problem::unavailable("unavailable", reason)),
            Ok(Err(_)) => "the platform stopped",
            Err(_) => "the log has not acknowledged it in time",
        };
        let again = "whether the command was written is unknown: send it again with the same Idempotency-Key, or id";
        Err(Problem::unavailable("unavailable", format!("{reason}; {again}")))
    }
}

/// What the caller has seen: the place of an outcome, from the header `Tributary-Position` or `?position=`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fresh(pub Option<Place>);

impl<S: Send + Sync> axum::extract::FromRequestParts<S> for Fresh {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut axum::http::request::Parts, _: &S) -> Result<Self, Problem> {
        // What is no text is no position either, and must not be passed over.
        let header = parts.headers.get(token::POSITION).map(|value| value.to_str().unwrap_or_default());
        let query: Query<Vec<(String, String)>> = Query::try_from_uri(&parts.uri).unwrap_or_default();
        let query = query.0.iter().find(|(name, _)| name == "position").map(|(_, token)| token.as_str());
        header.or(query).map(token::read_position).transpose().map(Fresh)
    }
}
