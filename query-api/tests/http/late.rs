//! Views that lag, as they do where hops are not fused: what a read sees then, and what it is made to wait for.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tributary_flow::platform::{Done, TaskStatus, Told};
use tributary_flow::{MemoryStore, Node, Platform, Store, TopicRef};
use tributary_graph::{LEDGER_JOURNAL, account_view, transaction_view};

use crate::house::{House, PARTITIONS, account, transfer};

const LATE: Duration = Duration::from_millis(250);

type News = Arc<Mutex<Vec<Box<dyn Fn() + Send + Sync>>>>;
type Copies = Arc<RwLock<HashMap<(&'static str, u32), MemoryStore>>>;

/// A platform whose views are copies, taken anew four times a second.
struct Late {
    platform: Arc<dyn Platform>,
    copies: Copies,
    news: News,
    acknowledges: bool,
}

/// Whether a copy has a row, by its key.
type Keeps = fn(&[u8]) -> bool;

fn copy(platform: &dyn Platform, copies: &Copies, keeps: Keeps) {
    for node in [&account_view::NODE, &transaction_view::NODE] {
        for partition in 0..PARTITIONS {
            let mut store = MemoryStore::default();
            platform.read(node, partition, &mut |view| {
                view.scan(&[], &[u8::MAX], false, &mut |key, value| {
                    if keeps(key) {
                        store.pairs.insert(key.to_vec(), value.to_vec());
                    }
                    ControlFlow::Continue(())
                });
            });
            copies.write().unwrap().insert((node.name, partition), store);
        }
    }
}

impl Late {
    fn over(platform: Arc<dyn Platform>) -> Arc<dyn Platform> {
        Arc::new(Self::keeping(platform, |_| true))
    }

    /// It takes what it is given and never says so.
    fn mute(platform: Arc<dyn Platform>) -> Arc<dyn Platform> {
        Arc::new(Late { acknowledges: false, ..Self::keeping(platform, |_| true) })
    }

    /// Its views have read nothing of the ledger's journal, by their positions.
    fn unbooked(platform: Arc<dyn Platform>) -> Arc<dyn Platform> {
        Arc::new(Self::keeping(platform, |key| !key.ends_with(LEDGER_JOURNAL.name.as_bytes())))
    }

    fn keeping(platform: Arc<dyn Platform>, keeps: Keeps) -> Self {
        let (copies, news): (Copies, News) = Default::default();
        copy(platform.as_ref(), &copies, keeps);
        let (source, own, told) = (Arc::downgrade(&platform), Arc::clone(&copies), Arc::clone(&news));
        std::thread::spawn(move || {
            while let Some(platform) = source.upgrade() {
                copy(platform.as_ref(), &own, keeps);
                told.lock().unwrap().iter().for_each(|tell| tell());
                drop(platform);
                std::thread::sleep(LATE);
            }
        });
        Late { platform, copies, news, acknowledges: true }
    }
}

impl Platform for Late {
    fn driver(&self) -> &'static str {
        "late"
    }

    fn partitions(&self) -> u32 {
        self.platform.partitions()
    }

    fn submit(&self, topic: TopicRef, key: &str, value: Vec<u8>, done: Done) {
        let acknowledged: Done = if self.acknowledges { done } else { Box::new(|_| std::mem::forget(done)) };
        self.platform.submit(topic, key, value, acknowledged);
    }

    fn read(&self, node: &'static Node, partition: u32, read: &mut dyn FnMut(&dyn Store)) -> bool {
        match self.copies.read().unwrap().get(&(node.name, partition)) {
            Some(copy) => {
                read(copy);
                true
            }
            None => self.platform.read(node, partition, read),
        }
    }

    fn on_commit(&self, news: Box<dyn Fn() + Send + Sync>) {
        self.news.lock().unwrap().push(news);
    }

    fn tasks(&self) -> Vec<TaskStatus> {
        self.platform.tasks()
    }

    fn ends(&self, topics: &[&str], partition: u32, told: Told) {
        self.platform.ends(topics, partition, told);
    }
}

#[test]
fn a_view_that_has_the_position_and_not_what_was_written_with_it_is_waited_for() {
    let house = House::open_as(Late::unbooked);
    house.open_account("alice");
    let paid = house.fund("t1", "alice", "10");
    let position = paid.position.clone().unwrap();
    paid.is(201);
    // The position is one of the transaction's own topic and partition; what it led to in the ledger is not.
    let late = house.get_at("/ledger/journal/t1", &position).is(503);
    assert_eq!(late["code"], "not_fresh", "{late}");
    house.get("/ledger/journal/t1").is(200);
}

#[test]
fn a_command_that_is_not_acknowledged_is_answered_when_its_time_is_up() {
    let house = House::open_as(Late::mute);
    let (account, begun) = (account("alice"), Instant::now());
    let unknown = house.post("/accounts?wait=1200ms", &[("Idempotency-Key", "a1")], &account).is(503);
    assert!(begun.elapsed() >= Duration::from_millis(1_200), "no sooner than asked");
    assert_eq!(unknown["code"], "unavailable");
    assert!(unknown["detail"].as_str().unwrap().contains("same Idempotency-Key"), "{unknown}");
    let once = house.post("/accounts?wait=1ms", &[("Idempotency-Key", "a1")], &account).is(503);
    assert_eq!(once["command_id"], unknown["command_id"], "to whom it is sent again, it is the same command");
    assert_eq!(house.get("/accounts/alice").is(200)["account_id"], "alice", "it was written all the same");
    let begun = Instant::now();
    let command = |n: usize| json!({"body": {"type": "OpenAccount", "account_id": format!("a{n}"), "kind": "LIABILITY", "currency": "EUR"}});
    let many: Value = (0..20).map(command).collect();
    let unknown = house.post("/commands/accounts.commands.v1?wait=1ms", &[], &many).is(200);
    assert!(unknown.as_array().unwrap().iter().all(|one| one["code"] == "unavailable"), "{unknown}");
    assert!(begun.elapsed() < Duration::from_secs(3), "together they wait as long as one of them");
}

#[test]
fn a_read_given_the_position_of_a_write_is_never_older() {
    let house = House::open_as(Late::over);
    house.open_account("alice");
    house.open_account("bob");
    for n in 1..=4 {
        let paid = house.fund(&format!("t{n}"), "alice", "10");
        let position = paid.position.clone().unwrap();
        paid.is(201);
        let balance = house.get_at("/accounts/alice/balance", &position).is(200);
        assert_eq!(balance["balance"]["amount"], format!("{}.00", n * 10));
        let trial = house.get(&format!("/ledger/trial-balance?position={position}")).is(200);
        assert_eq!(trial["currencies"][0]["debit"], format!("{}.00", n * 10));
    }
}

#[test]
fn answers_that_come_later_than_their_command_are_waited_for() {
    let house = House::open_as(Late::over);
    house.open_account("alice");
    house.open_account("bob");
    house.fund("fund", "alice", "100").is(201);
    for n in 0..3 {
        let mut hold = transfer(&format!("h{n}"), "alice", "bob", "10");
        hold["two_phase"] = json!(true);
        assert_eq!(house.post("/transactions?wait=20s", &[], &hold).is(201)["transaction"]["status"], "held");
        let path = format!("/transactions/h{n}/post?wait=20s");
        let posted = house.post(&path, &[("Idempotency-Key", "k")], &json!({})).is(200);
        assert_eq!(posted["outcome"]["event"], "TransactionCompleted", "{posted}");
        let conflict = house.post(&path, &[("Idempotency-Key", "k")], &json!({"final": false})).is(409);
        assert_eq!(conflict["code"], "conflict", "{conflict}");
        let again = house.post(&path, &[("Idempotency-Key", "k")], &json!({})).is(200);
        assert_eq!(again["outcome"], posted["outcome"]);
    }
    let short = house.post("/transactions?wait=1ms", &[], &transfer("short", "alice", "bob", "1")).is(202);
    assert!(short.get("outcome").is_none(), "the time was up before the view had it");
}
