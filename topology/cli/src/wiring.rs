//! Where the graph meets the processors: the one list of nodes, and the schemas that every task shares.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use tributary_flow::door::MARGIN;
use tributary_flow::processor::Processor;
use tributary_flow::task::TranslateError;
use tributary_flow::{Node, ProcessorTask, Registry, Setup, Task, Timestamp};
use tributary_schemas::evolve::Translator;
use tributary_schemas::registry;

use crate::http;

/// The application's name: the prefix of its groups and transactional ids.
pub const APPLICATION: &str = "tributary";

/// Identifies this build in journals: replay compares what its own build decided.
pub const BUILD: &str = concat!("tributary-", env!("CARGO_PKG_VERSION"));

/// Largest key and value a command may have, in bytes: below the broker's default of 1 MiB, less its own framing and
/// what forwarding adds.
pub const MAX_RECORD: usize = 1_000_000;

/// The tasks of the nodes that `wanted` names, in one partition. A new node is one line here.
pub fn tasks(partition: u32, setup: &Setup, wanted: &dyn Fn(&Node) -> bool) -> Vec<Box<dyn Task>> {
    fn task<P: Processor>(processor: P, partition: u32, setup: &Setup) -> Box<dyn Task> {
        Box::new(ProcessorTask::new(Arc::new(processor), partition, setup.clone()))
    }
    let all = [
        task(tributary_transaction::TransactionProcessor::default(), partition, setup),
        task(tributary_account::AccountProcessor, partition, setup),
        task(tributary_risk::RiskProcessor::default(), partition, setup),
        task(tributary_ledger::LedgerProcessor, partition, setup),
        task(tributary_query_api::AccountView, partition, setup),
        task(tributary_query_api::TransactionView, partition, setup),
    ];
    all.into_iter().filter(|task| wanted(task.node())).collect()
}

/// The task of one node in one partition.
pub fn task(node: &'static Node, partition: u32, setup: &Setup) -> Box<dyn Task> {
    let task = tasks(partition, setup, &|candidate| std::ptr::eq(candidate, node)).pop();
    task.expect("invariant: every node has a processor")
}

/// What the tasks of one process share.
pub fn setup(partitions: u32, registry: Arc<dyn Registry>) -> Setup {
    Setup {
        application: APPLICATION.into(),
        partitions,
        build: BUILD.into(),
        max_record: MAX_RECORD + MARGIN,
        registry,
    }
}

/// The wall clock.
pub fn wall_clock() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// What asking for a writer's schema gave.
type Known = Result<Arc<Translator>, TranslateError>;

/// Schema ids, and translators for records that were written with other schemas than ours.
pub struct Schemas {
    ids: BTreeMap<&'static str, u32>,
    /// A user's registry; where absent, only the compiled schemas and the foreign ones exist.
    url: Option<String>,
    /// Schemas that others write with, by id.
    foreign: BTreeMap<u32, String>,
    /// What is known of writers' schemas, unknown ids and unreadable schemas included: each is asked for once.
    translators: Mutex<BTreeMap<(String, u32), Known>>,
}

impl Schemas {
    /// The compiled schemas under their committed ids.
    pub fn compiled() -> Self {
        Self::knowing(BTreeMap::new())
    }

    /// The compiled schemas under their committed ids, and by id those that others write with: what a registry would know.
    pub fn knowing(foreign: BTreeMap<u32, String>) -> Self {
        let newest = registry::published().iter().filter(|schema| schema.newest);
        let ids = newest.map(|schema| (schema.full_name, schema.id)).collect();
        Schemas { ids, url: None, foreign, translators: Mutex::default() }
    }

    /// The compiled schemas registered in a user's registry, under the ids it gives them.
    pub fn registered(url: &str) -> Result<Self> {
        let mut ids = BTreeMap::new();
        for topic in tributary_graph::TOPICS {
            let schema = registry::schema(topic.schema).context("invariant: every topic has a schema")?;
            let answer = http::post(
                &format!("{url}/subjects/{}-value/versions", topic.name),
                &serde_json::json!({ "schemaType": "AVRO", "schema": schema }),
            )
            .with_context(|| format!("the schema registry at {url} cannot be used: check --schema-registry"))?;
            let Some(id) = answer["id"].as_u64().and_then(|id| u32::try_from(id).ok()) else {
                bail!("the schema registry at {url} did not accept {}-value: {answer}", topic.name);
            };
            ids.insert(topic.schema, id);
        }
        Ok(Schemas { ids, url: Some(url.to_owned()), foreign: BTreeMap::new(), translators: Mutex::default() })
    }

    fn writer(&self, id: u32) -> Result<String, TranslateError> {
        match &self.url {
            None => {
                let compiled = || registry::by_id(id).map(|schema| schema.schema.to_owned());
                self.foreign.get(&id).cloned().or_else(compiled).ok_or(TranslateError::Unknown)
            }
            Some(url) => match http::get(&format!("{url}/schemas/ids/{id}")) {
                Ok(Some(answer)) => answer["schema"].as_str().map(str::to_owned).ok_or(TranslateError::Unknown),
                Ok(None) => Err(TranslateError::Unknown),
                Err(error) => Err(TranslateError::Unavailable(format!("schema registry {url}: {error:#}"))),
            },
        }
    }
}

impl Registry for Schemas {
    fn id(&self, schema: &str) -> u32 {
        *self.ids.get(schema).expect("invariant: every topic's schema has an id")
    }

    fn translate(&self, schema: &str, id: u32, datum: &[u8]) -> Result<Vec<u8>, TranslateError> {
        let key = (schema.to_owned(), id);
        let mut known = self.translators.lock().unwrap_or_else(PoisonError::into_inner);
        let translator = match known.get(&key) {
            Some(found) => found.clone(),
            None => {
                let made = self.writer(id).and_then(|writer| {
                    let made = Translator::new(&writer, schema);
                    made.map(Arc::new).map_err(|error| TranslateError::Unreadable(error.to_string()))
                });
                if !matches!(made, Err(TranslateError::Unavailable(_))) {
                    known.insert(key, made.clone());
                }
                made
            }
        }?;
        drop(known);
        translator.translate(datum).map_err(|error| TranslateError::Unreadable(error.to_string()))
    }
}
