//! The brokers, as far as one producer talks to them: a connection to each that is asked, who leads what, and who coordinates.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use tributary_slot::Failed;

use super::bytes::Answer;
use super::calls::{self, Api, FIND_COORDINATOR, For, METADATA, Metadata};
use super::link::{Address, Link};
use super::{Code, Result, Security, lost};
use crate::settings::Settings;

/// How long one of several brokers may take to answer before the next is asked: one that stands still must not stand for all.
const EACH: Duration = Duration::from_secs(2);

/// A question: what it says, and how its answer is read.
pub(super) struct Question<'a, T> {
    pub api: &'static Api,
    pub body: &'a dyn Fn(&mut Vec<u8>),
    pub read: &'a dyn Fn(&mut Answer) -> Result<T>,
}

/// Brokers and the connections to them.
pub(super) struct Cluster {
    client: String,
    security: Security,
    bootstrap: Vec<Address>,
    links: BTreeMap<i32, Link>,
    coordinators: BTreeMap<(For, String), i32>,
    known: Metadata,
}

impl Cluster {
    pub fn new(settings: &Settings) -> Result<Self> {
        let security = Security::read(settings)?;
        let get = |key: &str| settings.get(key).cloned().unwrap_or_default();
        let bootstrap = get("bootstrap.servers");
        let bootstrap = bootstrap.split(',').map(str::trim).filter(|address| !address.is_empty());
        let bootstrap = bootstrap.map(Address::parse).collect::<Result<_>>()?;
        let client = get("client.id");
        let (links, coordinators, known) = Default::default();
        Ok(Cluster { client, security, bootstrap, links, coordinators, known })
    }

    /// Lets go of connections that ended while nobody looked, before something is lost on them.
    pub fn refresh(&mut self) {
        self.links.retain(|_, link| link.is_fresh());
    }

    /// Lets go of all connections, for an answer may still come on one of them, and of what is believed of leaders.
    pub fn forget(&mut self) {
        self.links.clear();
        self.known.leaders.clear();
    }

    /// A connection to a broker.
    pub fn link(&mut self, node: i32, deadline: Instant) -> Result<&mut Link> {
        if !self.links.contains_key(&node) {
            let address = self.known.brokers.get(&node).ok_or_else(|| lost(format!("broker {node} is not known")))?;
            let link = Link::open(address, &self.security, &self.client, soon(deadline))?;
            self.links.insert(node, link);
        }
        Ok(self.links.get_mut(&node).expect("invariant: it was just put there"))
    }

    /// Asks a broker; a connection without an answer is of no more use.
    fn ask<T>(&mut self, node: i32, question: &Question<'_, T>, deadline: Instant) -> Result<T> {
        let answer = self.link(node, deadline)?.call(question.api, question.body, deadline);
        let read = answer.and_then(|mut answer| (question.read)(&mut answer));
        if read.is_err() {
            self.links.remove(&node);
        }
        read
    }

    /// Asks whichever broker answers.
    fn ask_any<T>(&mut self, question: &Question<'_, T>, deadline: Instant) -> Result<T> {
        let nodes: Vec<i32> = self.links.keys().copied().collect();
        if let Some(answer) = nodes.into_iter().find_map(|node| self.ask(node, question, soon(deadline)).ok()) {
            return Ok(answer);
        }
        let mut failed = lost("bootstrap.servers: there are none".into());
        // Those that are known may all have moved.
        for address in self.known.brokers.values().chain(&self.bootstrap) {
            let deadline = soon(deadline);
            let link = Link::open(address, &self.security, &self.client, deadline);
            let answer = link.and_then(|mut link| link.call(question.api, question.body, deadline));
            match answer.and_then(|mut answer| (question.read)(&mut answer)) {
                Ok(answer) => return Ok(answer),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    /// Who leads a partition, as far as is known.
    pub fn leader(&self, topic: &str, partition: u32) -> Option<i32> {
        let leader = self.known.leaders.get(topic)?.get(&partition)?;
        self.known.brokers.contains_key(leader).then_some(*leader)
    }

    /// Learns who leads each of these partitions, and waits until all of them have a leader.
    pub fn find_leaders(&mut self, partitions: &BTreeMap<&str, Vec<u32>>, deadline: Instant) -> Result<()> {
        let topics: Vec<&str> = partitions.keys().copied().collect();
        let (body, read) = (&|out: &mut Vec<u8>| calls::metadata(out, &topics), &calls::read_metadata);
        let question = Question { api: &METADATA, body, read };
        let without = |cluster: &Self| {
            let all = partitions.iter().flat_map(|(topic, of)| of.iter().map(move |partition| (*topic, *partition)));
            all.into_iter().find(|(topic, partition)| cluster.leader(topic, *partition).is_none())
        };
        let mut patience = Patience::until(deadline);
        while without(self).is_some() {
            match self.ask_any(&question, deadline) {
                Ok(found) => {
                    if let Some((topic, code)) = found.untold.iter().find(|(_, code)| !code.is_waited_for()) {
                        return Err(code.failed(&format!("writing to {topic}")));
                    }
                    self.known.brokers = found.brokers;
                    self.known.leaders.extend(found.leaders);
                    if let Some((topic, partition)) = without(self) {
                        patience.wait(lost(format!("{topic}[{partition}] has no leader")))?;
                    }
                }
                Err(error) => patience.wait_longer(error)?,
            }
        }
        Ok(())
    }

    /// Asks the coordinator of `name` until it answers other than "not now" or "not here". A question whose answer is lost is not
    /// asked again: it may still arrive, and be taken for one about a later transaction.
    pub fn ask_coordinator<T>(
        &mut self,
        of: For,
        name: &str,
        question: &Question<'_, (Code, T)>,
        deadline: Instant,
    ) -> Result<T> {
        let at = (of, name.to_owned());
        let doing = || format!("{} for {name}", question.api.name);
        let mut patience = Patience::until(deadline);
        loop {
            // Before anything is sent nothing can be lost.
            let node = match self.coordinator(&at, deadline) {
                Ok(node) => node,
                Err(error) => {
                    self.coordinators.remove(&at);
                    patience.wait_longer(error)?;
                    continue;
                }
            };
            let (code, found) = self.ask(node, question, deadline)?;
            if !code.is_passing() {
                return code.check(doing).map(|()| found);
            }
            if code.is_elsewhere() {
                self.coordinators.remove(&at);
            }
            patience.wait(code.failed(&doing()))?;
        }
    }

    /// The coordinator of a group or a transactional id, with a connection to it.
    fn coordinator(&mut self, at: &(For, String), deadline: Instant) -> Result<i32> {
        if !self.coordinators.contains_key(at) {
            let (body, read) =
                (&|out: &mut Vec<u8>| calls::find_coordinator(out, at.0, &at.1), &calls::read_coordinator);
            let (code, (node, address)) = self.ask_any(&Question { api: &FIND_COORDINATOR, body, read }, deadline)?;
            code.check(|| format!("{} for {}", FIND_COORDINATOR.name, at.1))?;
            self.known.brokers.insert(node, address);
            self.coordinators.insert(at.clone(), node);
        }
        let node = self.coordinators[at];
        self.link(node, deadline).map(|_| node)
    }
}

/// How long to go on asking.
struct Patience {
    deadline: Instant,
    pause: Duration,
}

impl Patience {
    /// The longest pause of one who was answered, and of one who was not even let in.
    const MOST: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(1)];

    fn until(deadline: Instant) -> Self {
        Patience { deadline, pause: Duration::from_millis(1) }
    }

    /// Pauses, twice as long each time; gives `error` back where no time is left.
    fn wait(&mut self, error: Failed) -> Result<()> {
        self.pause = self.pause.min(Self::MOST[0]);
        self.wait_longer(error)
    }

    fn wait_longer(&mut self, error: Failed) -> Result<()> {
        if Instant::now() + self.pause >= self.deadline {
            return Err(error);
        }
        sleep(self.pause);
        self.pause = (self.pause * 2).min(Self::MOST[1]);
        Ok(())
    }
}

/// When to give up one of several.
fn soon(deadline: Instant) -> Instant {
    deadline.min(Instant::now() + EACH)
}
