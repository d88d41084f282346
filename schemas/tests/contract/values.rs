//! Random values of a schema, for apache-avro to encode.

use std::collections::HashMap;

use apache_avro::{Decimal, types::Value};
use proptest::prelude::*;
use serde_json::Value as Json;

/// The named types of a self-contained schema.
pub fn definitions(schema: &Json, found: &mut HashMap<String, Json>) {
    match schema {
        Json::Array(branches) => branches.iter().for_each(|branch| definitions(branch, found)),
        Json::Object(members) => {
            if matches!(members["type"].as_str(), Some("record" | "enum" | "fixed")) {
                found.insert(full_name(schema), schema.clone());
            }
            for name in ["type", "items", "values"] {
                members.get(name).into_iter().for_each(|part| definitions(part, found));
            }
            let fields = members.get("fields").and_then(Json::as_array).into_iter().flatten();
            fields.for_each(|field| definitions(&field["type"], found));
        }
        _ => (),
    }
}

/// The full name of a definition.
pub fn full_name(definition: &Json) -> String {
    let text = |member: &str| definition[member].as_str().expect("a named type has a name and a namespace");
    format!("{}.{}", text("namespace"), text("name"))
}

/// Any value of the schema.
pub fn any_value(schema: &Json, named: &HashMap<String, Json>) -> BoxedStrategy<Value> {
    match schema {
        Json::Array(branches) => {
            let branch = |(index, branch): (usize, &Json)| {
                any_value(branch, named).prop_map(move |value| Value::Union(index as u32, Box::new(value))).boxed()
            };
            proptest::strategy::Union::new(branches.iter().enumerate().map(branch).collect::<Vec<_>>()).boxed()
        }
        Json::String(name) => {
            named.get(name).map_or_else(|| primitive(name), |definition| any_value(definition, named))
        }
        _ => any_complex(schema, named),
    }
}

fn any_complex(schema: &Json, named: &HashMap<String, Json>) -> BoxedStrategy<Value> {
    let kind = schema["type"].as_str().expect("a type");
    if let Some(tributary) = schema.get("tributary").and_then(Json::as_str) {
        let pattern = match tributary {
            "Currency" => "[A-Z]{3}",
            "AccountId" => "[A-Za-z0-9._-]{1,64}|[a-z]{1,20}:[A-Z]{3}(:[0-9]{2})?",
            _ => "[A-Za-z0-9._-]{1,64}",
        };
        return text(pattern);
    }
    match (kind, schema.get("logicalType").and_then(Json::as_str)) {
        (_, Some("decimal")) => amount(),
        (_, Some("timestamp-micros")) => any::<i64>().prop_map(Value::TimestampMicros).boxed(),
        (_, Some("date")) => any::<i32>().prop_map(Value::Date).boxed(),
        ("record", _) => {
            let fields = schema["fields"].as_array().expect("fields");
            let field = |field: &Json| {
                let name = field["name"].as_str().expect("a name");
                // Places of records are not negative; the schema cannot say so.
                let value = match (schema["name"].as_str(), name) {
                    (Some("Origin"), "partition") => (0..=i32::MAX).prop_map(Value::Int).boxed(),
                    (Some("Origin"), "offset") => (0..=i64::MAX).prop_map(Value::Long).boxed(),
                    _ => any_value(&field["type"], named),
                };
                (Just(name.to_owned()), value)
            };
            fields.iter().map(field).collect::<Vec<_>>().prop_map(Value::Record).boxed()
        }
        ("enum", _) => {
            let symbols: Vec<_> = schema["symbols"].as_array().expect("symbols").iter().enumerate().collect();
            let symbol =
                |(index, symbol): (usize, &Json)| Value::Enum(index as u32, symbol.as_str().expect("text").to_owned());
            proptest::sample::select(symbols.into_iter().map(symbol).collect::<Vec<_>>()).boxed()
        }
        ("fixed", _) => {
            let size = schema["size"].as_u64().expect("a size") as usize;
            proptest::collection::vec(any::<u8>(), size).prop_map(move |bytes| Value::Fixed(size, bytes)).boxed()
        }
        ("array", _) => {
            proptest::collection::vec(any_value(&schema["items"], named), 0..4).prop_map(Value::Array).boxed()
        }
        ("map", _) => proptest::collection::hash_map(".{0,8}", any_value(&schema["values"], named), 0..4)
            .prop_map(Value::Map)
            .boxed(),
        (primitive_kind, _) => primitive(primitive_kind),
    }
}

fn primitive(kind: &str) -> BoxedStrategy<Value> {
    match kind {
        "null" => Just(Value::Null).boxed(),
        "boolean" => any::<bool>().prop_map(Value::Boolean).boxed(),
        "int" => any::<i32>().prop_map(Value::Int).boxed(),
        "long" => any::<i64>().prop_map(Value::Long).boxed(),
        "bytes" => proptest::collection::vec(any::<u8>(), 0..40).prop_map(Value::Bytes).boxed(),
        "string" => text(".{0,20}"),
        other => panic!("no values of {other}"),
    }
}

fn text(pattern: &'static str) -> BoxedStrategy<Value> {
    pattern.prop_map(Value::String).boxed()
}

/// Amounts of every length, both signs.
fn amount() -> BoxedStrategy<Value> {
    let limit = 10_i128.pow(38) - 1;
    let digits = (0_u32..38, -limit..=limit).prop_map(|(cut, value)| value / 10_i128.pow(cut));
    digits.prop_map(|value| Value::Decimal(Decimal::from(shortest(value)))).boxed()
}

/// The fewest bytes of two's complement that hold the value; apache-avro keeps as many as it is given.
fn shortest(value: i128) -> Vec<u8> {
    let wide = value.to_be_bytes();
    let holds = |length: &usize| {
        let unused = 8 * (16 - length);
        (value << unused) >> unused == value
    };
    let length = (1..=16).find(holds).unwrap_or(16);
    wide[16 - length..].to_vec()
}
