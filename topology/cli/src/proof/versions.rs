//! The builds of a mixed fleet: this one, and a newer one that is upgraded to, and rolled back from, while records of both
//! lie in every topic.
//!
//! The newer build writes every envelope with another version of its schema, under an id of its own: one field more, before
//! all others, so that whoever reads it by the wrong schema reads garbage from the first byte on. The change is one that
//! every registry allows in both directions, for the field has a default. Each build brings what the other wrote into its own
//! version by the rules that bring a user's foreign schemas into ours, and names itself in its journals.
//!
//! Deliberately absent: builds that decide differently, and rows of state in another shape. Both builds are one code, which
//! never asks for the field; and rows have no versions that are told apart: where their shape changes they are other rows,
//! and what an older build makes of those is for whoever changes them to say.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use serde_json::{Value, json};
use tributary_flow::framing::{frame, unframe};
use tributary_flow::task::{Input, Produced, Stop, Target, TranslateError};
use tributary_flow::{Around, InMemory, Node, Registry, Setup, Store, Task};
use tributary_schemas::evolve::Translator;
use tributary_schemas::registry::{self, Published};
use tributary_sim::Version;

use crate::wiring::{self, Schemas};

/// Identifies the newer build in journals.
const NEWER: &str = concat!("tributary-", env!("CARGO_PKG_VERSION"), "-newer");

/// The ids of its schemas are those of this build's, and so much more.
const IDS: u32 = 1_000;

/// The field as the newer build writes it, the text `newer`, and as it is where an older one did not write it.
const WRITTEN: &[u8] = b"\x0anewer";
const DEFAULT: &[u8] = b"\0";

/// An envelope's newer version.
struct Envelope {
    older: u32,
    id: u32,
    schema: String,
    /// From the older version.
    translator: Translator,
}

impl Envelope {
    fn new(older: &Published) -> Self {
        let mut schema: Value = serde_json::from_str(older.schema).expect("invariant: a compiled schema is JSON");
        let fields = schema["fields"].as_array_mut().expect("invariant: an envelope is a record");
        fields.insert(0, json!({ "name": "written_by", "type": "string", "default": "" }));
        let schema = schema.to_string();
        let translator = Translator::between(older.schema, &schema).expect("invariant: the field has a default");
        Envelope { older: older.id, id: IDS + older.id, schema, translator }
    }
}

/// The newer versions, by the name of the envelope.
static ENVELOPES: LazyLock<BTreeMap<&'static str, Envelope>> = LazyLock::new(|| {
    let newest = registry::published().iter().filter(|schema| schema.newest);
    newest.map(|schema| (schema.full_name, Envelope::new(schema))).collect()
});

fn envelope(schema: &str) -> &'static Envelope {
    ENVELOPES.get(schema).expect("invariant: every topic's schema has a newer version")
}

/// The schemas as this build knows them, and the newer ones as a registry would tell of them.
#[must_use]
pub fn schemas() -> Schemas {
    Schemas::knowing(ENVELOPES.values().map(|newer| (newer.id, newer.schema.clone())).collect())
}

/// The id of an envelope's newer version.
#[must_use]
pub fn newer_id(schema: &str) -> u32 {
    envelope(schema).id
}

/// A record that this build wrote, as the newer one writes it.
///
/// # Panics
/// Where it is none.
#[must_use]
pub fn newer(schema: &str, value: &[u8]) -> Vec<u8> {
    let (_, datum) = unframe(value).expect("invariant: what a build writes is framed");
    let mut newer = frame(newer_id(schema));
    newer.extend_from_slice(WRITTEN);
    newer.extend_from_slice(datum);
    newer
}

/// Both builds.
pub struct Builds {
    older: Setup,
    newer: Setup,
}

impl Builds {
    /// Both builds, over topics of so many partitions; `registry` is the older one's.
    #[must_use]
    pub fn new(partitions: u32, registry: Arc<dyn Registry>) -> Self {
        let older = wiring::setup(partitions, registry);
        let newer = Setup { build: NEWER.into(), registry: Arc::new(Codec), ..older.clone() };
        Builds { older, newer }
    }

    /// The tasks of every node in a partition.
    #[must_use]
    pub fn tasks(&self, version: Version, partition: u32) -> Vec<Box<dyn Task>> {
        match version {
            Version::Older => wiring::tasks(partition, &self.older, &|_| true),
            Version::Newer => {
                let tasks = wiring::tasks(partition, &self.newer, &|_| true).into_iter();
                tasks.map(|task| Box::new(Newer(task)) as Box<dyn Task>).collect()
            }
        }
    }

    /// The task of a node in a partition, as the build that a journal names has it.
    #[must_use]
    pub fn task(&self, node: &'static Node, partition: u32, build: &str) -> Box<dyn Task> {
        if build == NEWER {
            Box::new(Newer(wiring::task(node, partition, &self.newer)))
        } else {
            wiring::task(node, partition, &self.older)
        }
    }
}

/// The newer build's codec: its envelope is the field, and then this build's. So a record is first brought into the newer
/// version, where it is not in it, and the field is taken off again before the task sees it.
struct Codec;

impl Registry for Codec {
    /// None that is on any wire: every record comes by way of `translate`, and every one written is framed anew.
    fn id(&self, _: &str) -> u32 {
        0
    }

    fn translate(&self, schema: &str, id: u32, datum: &[u8]) -> Result<Vec<u8>, TranslateError> {
        let Envelope { older, id: newer, translator, .. } = envelope(schema);
        let (field, datum) = if id == *newer {
            (WRITTEN, datum.to_vec())
        } else if id == *older {
            let datum = translator.translate(datum);
            (DEFAULT, datum.map_err(|error| TranslateError::Unreadable(error.to_string()))?)
        } else {
            return Err(TranslateError::Unknown);
        };
        let rest = datum.strip_prefix(field).map(<[u8]>::to_vec);
        rest.ok_or_else(|| TranslateError::Unreadable("written_by: not what its writer writes".to_owned()))
    }
}

/// A task of the newer build.
struct Newer(Box<dyn Task>);

impl Newer {
    /// Runs the task; what it writes is written as the newer build writes it. Dead letters are as they came.
    fn run(
        &mut self,
        out: &mut Vec<Produced>,
        run: impl FnOnce(&mut dyn Task, &mut Vec<Produced>) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let from = out.len();
        let done = run(self.0.as_mut(), out);
        for record in &mut out[from..] {
            if let (Target::Topic(topic), Some(value)) = (record.target, &mut record.value) {
                *value = newer(topic.schema, value);
            }
        }
        done
    }
}

impl Around for Newer {
    fn inner(&self) -> &dyn Task {
        self.0.as_ref()
    }

    fn inner_mut(&mut self) -> &mut dyn Task {
        self.0.as_mut()
    }

    fn fire(&mut self, store: &dyn Store, limit: u32, out: &mut Vec<Produced>) -> Result<(), Stop> {
        self.run(out, |task, out| task.fire(store, limit, out))
    }

    fn apply(
        &mut self,
        store: &dyn Store,
        port: usize,
        input: &Input,
        memory: Option<&InMemory>,
        out: &mut Vec<Produced>,
    ) -> Result<(), Stop> {
        self.run(out, |task, out| task.apply(store, port, input, memory, out))
    }
}
