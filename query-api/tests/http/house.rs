//! A platform with an HTTP server, for one test.

use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tributary_account::AccountProcessor;
use tributary_embedded::{Embedded, Options};
use tributary_flow::platform::{Done, TaskStatus, Told};
use tributary_flow::task::{Registry, TranslateError};
use tributary_flow::{Node, Platform, ProcessorTask, Setup, Store, Task, TopicRef};
use tributary_ledger::LedgerProcessor;
use tributary_query_api::{AccountView, TransactionView, serve};
use tributary_risk::RiskProcessor;
use tributary_transaction::TransactionProcessor;

pub const PARTITIONS: u32 = 3;

struct Schemas;

/// A process that holds all partitions but one, or restores its tasks.
pub struct AllBut {
    pub partition: u32,
    pub restoring: bool,
    pub platform: Arc<dyn Platform>,
}

impl Platform for AllBut {
    fn driver(&self) -> &'static str {
        self.platform.driver()
    }

    fn partitions(&self) -> u32 {
        self.platform.partitions()
    }

    fn submit(&self, topic: TopicRef, key: &str, value: Vec<u8>, done: Done) {
        self.platform.submit(topic, key, value, done);
    }

    fn read(&self, node: &'static Node, partition: u32, read: &mut dyn FnMut(&dyn Store)) -> bool {
        partition != self.partition && self.platform.read(node, partition, read)
    }

    fn on_commit(&self, news: Box<dyn Fn() + Send + Sync>) {
        self.platform.on_commit(news);
    }

    fn tasks(&self) -> Vec<TaskStatus> {
        let mut tasks = self.platform.tasks();
        tasks.retain(|task| task.partition != self.partition || self.restoring);
        let there = tasks.iter_mut().filter(|task| task.partition == self.partition);
        there.for_each(|task| (task.restoring, task.lag) = (true, 7));
        tasks
    }

    fn ends(&self, topics: &[&str], partition: u32, told: Told) {
        self.platform.ends(topics, partition, told);
    }
}

impl Registry for Schemas {
    fn id(&self, schema: &str) -> u32 {
        tributary_schemas::schema_id(schema).unwrap()
    }

    fn translate(&self, _: &str, _: u32, _: &[u8]) -> Result<Vec<u8>, TranslateError> {
        Err(TranslateError::Unknown)
    }
}

pub struct House {
    pub base: String,
    pub platform: Arc<Embedded>,
    agent: ureq::Agent,
    stop: Option<oneshot::Sender<()>>,
    server: Option<JoinHandle<()>>,
    _dir: TempDir,
}

pub struct Answer {
    pub status: u16,
    pub position: Option<String>,
    pub content_type: String,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("{}: {}", self.status, self.text))
    }

    #[track_caller]
    pub fn is(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.json()
    }
}

fn tasks(partition: u32) -> Vec<Box<dyn Task>> {
    let setup = Setup {
        application: "test".to_owned(),
        partitions: PARTITIONS,
        build: "test".to_owned(),
        max_record: 1_000_000,
        registry: Arc::new(Schemas),
    };
    let setup = || setup.clone();
    vec![
        Box::new(ProcessorTask::new(Arc::new(TransactionProcessor::default()), partition, setup())),
        Box::new(ProcessorTask::new(Arc::new(AccountProcessor), partition, setup())),
        Box::new(ProcessorTask::new(Arc::new(RiskProcessor::default()), partition, setup())),
        Box::new(ProcessorTask::new(Arc::new(LedgerProcessor), partition, setup())),
        Box::new(ProcessorTask::new(Arc::new(AccountView), partition, setup())),
        Box::new(ProcessorTask::new(Arc::new(TransactionView), partition, setup())),
    ]
}

impl House {
    pub fn open() -> Self {
        Self::open_as(|platform| platform)
    }

    /// With something between the routes and the platform.
    pub fn open_as(between: impl FnOnce(Arc<dyn Platform>) -> Arc<dyn Platform>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = Options::new(dir.path(), PARTITIONS);
        let platform = Arc::new(Embedded::open(&options, &tasks).unwrap());
        let (stop, stopped) = oneshot::channel();
        let (ready, address) = std::sync::mpsc::channel();
        let shared = between(platform.clone());
        let server = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                ready.send(listener.local_addr().unwrap()).unwrap();
                serve(listener, shared, Arc::new(Schemas), async move { drop(stopped.await) }).await.unwrap();
            });
        });
        let config =
            ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(60)));
        House {
            base: format!("http://{}", address.recv().unwrap()),
            platform,
            agent: config.build().into(),
            stop: Some(stop),
            server: Some(server),
            _dir: dir,
        }
    }

    /// One for all tests that open nothing the others look at.
    pub fn shared() -> &'static House {
        static HOUSE: OnceLock<House> = OnceLock::new();
        HOUSE.get_or_init(House::open)
    }

    fn answer(mut response: ureq::http::Response<ureq::Body>) -> Answer {
        let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (position, content_type) = (header("tributary-position"), header("content-type").unwrap_or_default());
        let status = response.status().as_u16();
        Answer { status, position, content_type, text: response.body_mut().read_to_string().unwrap() }
    }

    pub fn get(&self, path: &str) -> Answer {
        Self::answer(self.agent.get(format!("{}{path}", self.base)).call().unwrap())
    }

    pub fn get_at(&self, path: &str, position: &str) -> Answer {
        Self::answer(
            self.agent.get(format!("{}{path}", self.base)).header("tributary-position", position).call().unwrap(),
        )
    }

    pub fn post(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        self.post_text(path, &[&[("content-type", "application/json")], headers].concat(), &text)
    }

    pub fn post_text(&self, path: &str, headers: &[(&str, &str)], text: &str) -> Answer {
        let mut request = self.agent.post(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Self::answer(request.send(text).unwrap())
    }

    pub fn open_account(&self, id: &str) {
        self.post("/accounts?wait=20s", &[], &account(id)).is(201);
    }

    pub fn fund(&self, transaction: &str, account: &str, amount: &str) -> Answer {
        self.post("/transactions?wait=20s", &[], &transfer(transaction, "world:EUR", account, amount))
    }

    pub fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(server) = self.server.take() {
            server.join().unwrap();
        }
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.stop();
        self.platform.close();
    }
}

pub fn account(id: &str) -> Value {
    json!({"account_id": id, "kind": "LIABILITY", "currency": "EUR"})
}

pub fn transfer(transaction: &str, from: &str, to: &str, amount: &str) -> Value {
    let leg = |account: &str, side: &str| json!({"account_id": account, "side": side, "amount": {"amount": amount, "currency": "EUR"}});
    json!({"transaction_id": transaction, "legs": [leg(from, "DEBIT"), leg(to, "CREDIT")]})
}
