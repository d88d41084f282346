//! When two texts are the same schema.
//!
//! Clients do not send back the text they were given: generators add `avro.java.string`, drop `doc`, write
//! `{"type": "string"}` for `"string"` and full names for short ones. What remains here is what decides how bytes are
//! read and written: names, types, order, symbols, sizes, defaults, and logical types with their parameters. This is
//! Avro's parsing canonical form with defaults and logical types kept.

use serde_json::{Map, Value, json};

/// Words that never name a type of the schema's own.
const BUILT_IN: [&str; 10] = ["null", "boolean", "int", "long", "float", "double", "bytes", "string", "array", "map"];
const NAMED: [&str; 4] = ["record", "error", "enum", "fixed"];

/// A form that is equal for equal schemas.
pub(super) fn canonical(schema: &Value) -> Value {
    reduce(schema, "")
}

fn reduce(schema: &Value, namespace: &str) -> Value {
    match schema {
        Value::String(name) => Value::String(reference(name, namespace)),
        Value::Array(branches) => branches.iter().map(|branch| reduce(branch, namespace)).collect(),
        Value::Object(object) => match object.get("type") {
            Some(Value::String(kind)) => complex(kind, object, namespace),
            Some(nested) => reduce(nested, namespace),
            None => schema.clone(),
        },
        other => other.clone(),
    }
}

fn complex(kind: &str, object: &Map<String, Value>, namespace: &str) -> Value {
    let mut out = Map::new();
    let mut inner = namespace.to_owned();
    if let (true, Some(Value::String(name))) = (NAMED.contains(&kind), object.get("name")) {
        let name = full_name(name, object.get("namespace").and_then(Value::as_str).unwrap_or(namespace));
        inner = name.rsplit_once('.').map_or(String::new(), |(space, _)| space.to_owned());
        out.insert("type".to_owned(), json!(kind));
        out.insert("name".to_owned(), Value::String(name));
    } else {
        out.insert("type".to_owned(), Value::String(reference(kind, namespace)));
    }
    if let Some(Value::Array(fields)) = object.get("fields") {
        out.insert("fields".to_owned(), fields.iter().map(|field| reduce_field(field, &inner)).collect());
    }
    for nested in ["items", "values"] {
        out.extend(object.get(nested).map(|schema| (nested.to_owned(), reduce(schema, &inner))));
    }
    for kept in ["symbols", "size", "default", "logicalType", "precision", "scale"] {
        out.extend(object.get(kept).map(|value| (kept.to_owned(), value.clone())));
    }
    // `{"type": "string"}`, whatever else a generator wrote into it, is "string".
    if out.len() == 1 { out["type"].clone() } else { Value::Object(out) }
}

fn reduce_field(field: &Value, namespace: &str) -> Value {
    let mut out = Map::new();
    for kept in ["name", "default"] {
        out.extend(field.get(kept).map(|value| (kept.to_owned(), value.clone())));
    }
    out.extend(field.get("type").map(|schema| ("type".to_owned(), reduce(schema, namespace))));
    Value::Object(out)
}

/// A use of a type: built in, or named elsewhere.
fn reference(name: &str, namespace: &str) -> String {
    if BUILT_IN.contains(&name) { name.to_owned() } else { full_name(name, namespace) }
}

fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() { name.to_owned() } else { format!("{namespace}.{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_generators_change_makes_no_difference() {
        let written = json!({"type": "record", "name": "A", "namespace": "x.v1", "doc": "d", "fields": [
            {"name": "id", "type": {"type": "string", "tributary": "Id"}, "doc": "d"},
            {"name": "b", "type": {"type": "record", "name": "x.v1.B", "fields": []}},
            {"name": "c", "type": ["null", "x.v1.B"], "default": null}]});
        let sent = json!({"name": "x.v1.A", "type": "record", "fields": [
            {"type": {"avro.java.string": "String", "type": "string"}, "name": "id"},
            {"name": "b", "type": {"type": "record", "name": "B", "fields": []}},
            {"default": null, "name": "c", "type": ["null", "B"]}]});
        assert_eq!(canonical(&written), canonical(&sent));
    }

    #[test]
    fn what_changes_bytes_or_meaning_does() {
        let decimal = |scale| json!({"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": scale});
        assert_ne!(canonical(&decimal(4)), canonical(&decimal(2)));
        assert_ne!(canonical(&json!(["null", "string"])), canonical(&json!(["string", "null"])));
        assert_ne!(canonical(&json!("bytes")), canonical(&decimal(4)));
    }
}
