//! Sends commands and sends again, under the same id, what was not acknowledged: it may have been written, and then it changes
//! nothing.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tributary_flow::Platform;
use tributary_flow::platform::SubmitError;

use super::Plan;
use super::plan::Ready;

/// Most commands sent and not yet durable.
const UNACKNOWLEDGED: usize = 8_000;
/// How long what was not taken is kept before it is sent again.
const PAUSE: Duration = Duration::from_millis(50);

/// Commands that are not yet durable.
struct Flight {
    open: usize,
    /// Not acknowledged: to be sent again.
    again: Vec<Ready>,
    /// Why there is nothing more to be hoped for.
    failure: Option<String>,
    /// When a command was last acknowledged.
    heard: Instant,
    /// Where what is durable is written down.
    sent: Option<File>,
}

impl Flight {
    fn land(&mut self, ready: Ready, done: Result<(), SubmitError>, patience: Duration) {
        self.open -= 1;
        match done {
            Ok(()) => {
                self.heard = Instant::now();
                let line = format!("{} {}\n", ready.topic.name, ready.key);
                if let Some(Err(error)) = self.sent.as_mut().map(|sent| sent.write_all(line.as_bytes())) {
                    self.failure = Some(format!("what was sent cannot be written down: {error}"));
                }
            }
            Err(SubmitError::Unavailable(_)) if self.heard.elapsed() < patience => self.again.push(ready),
            Err(error) => self.failure = Some(format!("a command was not taken: {error}")),
        }
    }
}

/// The way out for a load's commands.
pub(super) struct Sender<'a> {
    platform: &'a dyn Platform,
    flight: Arc<(Mutex<Flight>, Condvar)>,
    patience: Duration,
}

fn held(flight: &Mutex<Flight>) -> MutexGuard<'_, Flight> {
    flight.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> Sender<'a> {
    pub fn new(platform: &'a dyn Platform, plan: &Plan) -> Result<Self> {
        let create =
            |path: &Path| File::create(path).with_context(|| format!("--sent: cannot write {}", path.display()));
        let sent = plan.sent.as_deref().map(create).transpose()?;
        let flight = Flight { open: 0, again: Vec::new(), failure: None, heard: Instant::now(), sent };
        Ok(Sender { platform, flight: Arc::new((Mutex::new(flight), Condvar::new())), patience: plan.patience() })
    }

    /// Sends a command as soon as there is room for it.
    pub fn send(&self, ready: Ready) -> Result<()> {
        self.wait_for(UNACKNOWLEDGED)?;
        self.launch(ready);
        Ok(())
    }

    /// Waits until everything is durable.
    pub fn settle(&self) -> Result<()> {
        self.wait_for(1)
    }

    /// Waits until fewer than `most` commands are not yet durable, sending again what was not acknowledged.
    fn wait_for(&self, most: usize) -> Result<()> {
        let (flight, landed) = &*self.flight;
        loop {
            let busy = |flight: &mut Flight| flight.failure.is_none() && flight.again.is_empty() && flight.open >= most;
            let mut found = landed.wait_while(held(flight), busy).unwrap_or_else(PoisonError::into_inner);
            if let Some(failure) = &found.failure {
                bail!("{failure}");
            }
            let again = std::mem::take(&mut found.again);
            drop(found);
            if again.is_empty() {
                return Ok(());
            }
            std::thread::sleep(PAUSE);
            again.into_iter().for_each(|ready| self.launch(ready));
        }
    }

    fn launch(&self, ready: Ready) {
        held(&self.flight.0).open += 1;
        let (flight, patience) = (self.flight.clone(), self.patience);
        let (topic, key, value) = (ready.topic, ready.key.clone(), ready.value.clone());
        let done = move |done: Result<_, _>| {
            held(&flight.0).land(ready, done.map(drop), patience);
            flight.1.notify_all();
        };
        self.platform.submit(topic, &key, value, Box::new(done));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tributary_flow::platform::{Done, Place, TaskStatus, Told};
    use tributary_flow::{Node, Store, TopicRef};
    use tributary_graph::TRANSACTIONS_COMMANDS;

    use super::*;

    /// Turns every command away this many times before it takes it.
    struct Reluctant(u32, AtomicU32);

    impl Platform for Reluctant {
        fn driver(&self) -> &'static str {
            "reluctant"
        }
        fn partitions(&self) -> u32 {
            1
        }
        fn submit(&self, topic: TopicRef, _: &str, _: Vec<u8>, done: Done) {
            let before = self.1.fetch_add(1, Ordering::Relaxed);
            let place = Place { topic: topic.name.into(), partition: 0, offset: 0 };
            done(if before < self.0 { Err(SubmitError::Unavailable("an outage".into())) } else { Ok(place) });
        }
        fn read(&self, _: &'static Node, _: u32, _: &mut dyn FnMut(&dyn Store)) -> bool {
            false
        }
        fn on_commit(&self, _: Box<dyn Fn() + Send + Sync>) {}
        fn tasks(&self) -> Vec<TaskStatus> {
            Vec::new()
        }
        fn ends(&self, _: &[&str], _: u32, told: Told) {
            told(None);
        }
    }

    fn send(platform: &Reluctant, patience: u32, path: &Path) -> Result<()> {
        let plan = Plan { patience, sent: Some(path.to_owned()), ..Plan::default() };
        let sender = Sender::new(platform, &plan)?;
        sender.send(Ready { topic: &TRANSACTIONS_COMMANDS, key: "t1".into(), value: Vec::new() })?;
        sender.settle()
    }

    #[test]
    fn what_was_not_acknowledged_is_sent_again_and_written_down_once() {
        let path = std::env::temp_dir().join(format!("tributary-sent-{}", std::process::id()));
        let platform = Reluctant(3, AtomicU32::new(0));
        send(&platform, 60, &path).expect("sent in the end");
        assert_eq!(platform.1.load(Ordering::Relaxed), 4);
        assert_eq!(std::fs::read_to_string(&path).expect("a record"), "transactions.commands.v1 t1\n");

        let gone = send(&Reluctant(u32::MAX, AtomicU32::new(0)), 0, &path).expect_err("out of patience");
        assert!(gone.to_string().contains("an outage"), "{gone}");
        assert_eq!(std::fs::read_to_string(&path).expect("a record"), "");
        std::fs::remove_file(&path).expect("removed");
    }
}
