//! A topic's schema in one piece: each named type written out where it is first used, by name afterwards. Docs and the
//! `tributary` attributes stay; Avro lets a reader pass over both.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::model::Schemas;

/// The self-contained schema, as the file has it.
pub fn resolved(schemas: &Schemas, full_name: &str) -> String {
    let mut seen = BTreeSet::new();
    let json = inline(&Value::String(full_name.to_owned()), schemas, &mut seen);
    serde_json::to_string_pretty(&json).expect("a JSON value can be written") + "\n"
}

/// A type (or, for an object, what describes one) with its references written out.
fn inline(json: &Value, schemas: &Schemas, seen: &mut BTreeSet<String>) -> Value {
    match json {
        Value::String(name) if name.contains('.') && seen.insert(name.clone()) => {
            inline(&schemas.get(name).json, schemas, seen)
        }
        Value::Array(branches) => branches.iter().map(|branch| inline(branch, schemas, seen)).collect(),
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| {
                let value = match (name.as_str(), value) {
                    ("type" | "items" | "values", value) => inline(value, schemas, seen),
                    ("fields", Value::Array(fields)) => {
                        fields.iter().map(|field| inline(field, schemas, seen)).collect()
                    }
                    (_, value) => value.clone(),
                };
                (name.clone(), value)
            };
            Value::Object(members.iter().map(member).collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}
