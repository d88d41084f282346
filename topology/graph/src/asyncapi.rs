//! The graph as AsyncAPI 3.0: a channel per topic, an operation per node and topic, the Avro schema of each envelope.
//! Committed as `asyncapi.json`; a test compares, and `UPDATE=1` rewrites.

use serde_json::{Map, Value, json};
use tributary_flow::{Kind, Node, TopicRef};

use crate::{NODES, TOPICS, describe};

/// The version of the Kafka bindings, <https://github.com/asyncapi/bindings/tree/master/kafka>.
const BINDINGS: &str = "0.5.0";

/// The document.
///
/// # Panics
/// Where a topic's schema is not among the schemas, which no build with a passing test can have.
#[must_use]
pub fn asyncapi() -> Value {
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Tributary",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Every topic of the payments core. Clients write commands; everything else is written by the \
                            platform and may be relied on. Keys are UTF-8 strings; values are Avro, framed by a zero byte \
                            and four bytes of schema id, big-endian.",
            "license": { "name": "Apache-2.0" }
        },
        "defaultContentType": "application/vnd.apache.avro",
        "channels": TOPICS.iter().map(|topic| (topic.name.to_owned(), channel(topic))).collect::<Map<_, _>>(),
        "operations": NODES.iter().flat_map(|node| operations(node)).collect::<Map<_, _>>(),
        "components": {
            "messages": TOPICS.iter().map(|topic| (topic.schema.to_owned(), message(topic))).collect::<Map<_, _>>()
        }
    })
}

fn channel(topic: TopicRef) -> Value {
    let who = match topic.kind {
        Kind::Commands => "Clients write here.",
        Kind::AdminCommands => "Admins write here.",
        _ => "Only the platform writes here.",
    };
    json!({
        "address": topic.name,
        "description": format!("{} Keyed by {}. {who}", topic.doc.trim(), topic.key),
        "messages": { short(topic): { "$ref": format!("#/components/messages/{}", topic.schema) } },
        "tags": [{ "name": describe::kind(topic.kind) }],
        "bindings": { "kafka": { "topic": topic.name, "bindingVersion": BINDINGS } }
    })
}

fn operations(node: &'static Node) -> impl Iterator<Item = (String, Value)> {
    let operation = move |verb: &str, action: &str, topic: TopicRef| {
        let value = json!({
            "action": action,
            "channel": { "$ref": format!("#/channels/{}", topic.name) },
            "summary": format!("{} {verb} {}", node.name, topic.name),
            "description": node.doc.trim(),
            "tags": [{ "name": node.name }]
        });
        (format!("{}.{verb}.{}", node.name, topic.name), value)
    };
    let reads = node.inputs.iter().map(move |topic| operation("reads", "receive", topic));
    let writes = node.outputs.iter().map(move |topic| operation("writes", "send", topic));
    reads.chain(writes)
}

fn message(topic: TopicRef) -> Value {
    let schema = tributary_schemas::schema(topic.schema).expect("invariant: every topic's schema is published");
    let schema: Value = serde_json::from_str(schema).expect("invariant: a published schema is JSON");
    json!({
        "name": short(topic),
        "title": topic.schema,
        "summary": schema["doc"],
        "contentType": "application/vnd.apache.avro",
        "payload": { "schemaFormat": "application/vnd.apache.avro;version=1.9.0", "schema": schema },
        "bindings": {
            "kafka": {
                "key": { "type": "string", "description": format!("The id of the {}.", topic.key) },
                "schemaIdLocation": "payload",
                "schemaIdPayloadEncoding": "confluent",
                "bindingVersion": BINDINGS
            }
        }
    })
}

/// An envelope's name without its namespace.
fn short(topic: TopicRef) -> &'static str {
    topic.schema.rsplit('.').next().unwrap_or(topic.schema)
}
