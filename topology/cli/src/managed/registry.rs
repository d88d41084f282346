//! A schema registry that is nothing but the compiled schemas: the Confluent REST API's read side.
//!
//! A stock Avro client asks a registry for the schema behind an id, for the latest schema of a subject, and whether a
//! schema it holds is known. All of that can be answered from what this binary was compiled with, so trying Tributary out
//! takes no registry. Ids are given by the caller, who keeps them fixed in a committed file.
//!
//! Registering a schema that is known already answers its id, as a real registry does; so clients with
//! `auto.register.schemas` work as they are. Anything new is refused, with the setting to change in the message.
//!
//! Deliberately absent: writing, protobuf and JSON schema, users,
//! compatibility checks. Who needs these runs a registry and passes `--schema-registry`.

mod canonical;
mod routes;

use std::net::{Ipv4Addr, SocketAddr};
use std::thread::JoinHandle;

use anyhow::{Context, Result, anyhow};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use canonical::canonical;

/// One version of one subject's schema.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The subject, `<topic>-value`.
    pub name: String,
    /// The id that stands before every record; the same for the same schema under several subjects.
    pub id: u32,
    /// From 1; the greatest is the one that is written.
    pub version: u32,
    /// The schema, complete in itself: every named type is defined where it is first met.
    pub schema: Value,
}

/// The schemas of every topic of the graph, all versions, under their committed ids.
pub fn compiled() -> Result<Vec<Subject>> {
    let mut subjects = Vec::new();
    for topic in tributary_graph::TOPICS {
        for published in tributary_schemas::registry::published().iter().filter(|one| one.full_name == topic.schema) {
            subjects.push(Subject {
                name: format!("{}-value", topic.name),
                id: published.id,
                version: published.version,
                schema: serde_json::from_str(published.schema)?,
            });
        }
    }
    Ok(subjects)
}

/// A running registry, stopped on drop.
#[derive(Debug)]
pub struct Registry {
    /// Its address, as clients want it.
    pub url: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Registry {
    /// Serves these subjects on loopback; on a free port where none is given.
    pub fn start(port: Option<u16>, subjects: Vec<Subject>) -> Result<Self> {
        let port = port.map_or_else(super::free_port, Ok)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind(address)).with_context(|| {
            format!("the schema registry cannot listen on {address}: choose another port with --registry-port")
        })?;
        let routes = routes::routes(Catalog::new(subjects)?);
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new().name("registry".to_owned()).spawn(move || {
            runtime.block_on(async {
                let serve = axum::serve(listener, routes);
                // Open connections are dropped: a client that keeps one alive must not keep us from ending.
                tokio::select! {
                    served = serve => if let Err(error) = served {
                        tracing::error!(%error, "the schema registry stopped");
                    },
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { url: format!("http://{address}"), stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What is served, and what to compare with.
#[derive(Debug)]
struct Catalog {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    subject: String,
    id: u32,
    version: u32,
    text: String,
    canonical: Value,
}

impl Catalog {
    fn new(subjects: Vec<Subject>) -> Result<Self> {
        let mut entries: Vec<Entry> = subjects
            .into_iter()
            .map(|Subject { name, id, version, schema }| Entry {
                subject: name,
                id,
                version,
                text: schema.to_string(),
                canonical: canonical(&schema),
            })
            .collect();
        entries.sort_by(|a, b| (&a.subject, a.version).cmp(&(&b.subject, b.version)));
        for (at, entry) in entries.iter().enumerate() {
            let clash = entries[..at].iter().find(|other| {
                let same_version = other.subject == entry.subject && other.version == entry.version;
                same_version || (other.id == entry.id) != (other.text == entry.text)
            });
            if let Some(other) = clash {
                return Err(anyhow!(
                    "schema ids clash: {} (id {}) and {} (id {}); one id is one schema",
                    other.subject,
                    other.id,
                    entry.subject,
                    entry.id
                ));
            }
        }
        Ok(Self { entries })
    }

    /// A subject's versions, oldest first.
    fn subject(&self, name: &str) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.subject == name)
    }

    fn with_id(&self, id: u32) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.id == id)
    }
}
