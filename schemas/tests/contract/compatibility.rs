//! Versions fit each other: every published one with today's, in both directions, and so transitively; and the checker
//! that says so sees what it should.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tributary_schemas::{evolve::incompatibilities, registry};

use crate::topics::TOPICS;

#[test]
fn every_published_version_fits_todays_in_both_directions() {
    for version in registry::published() {
        let today = tributary_schemas::schema(version.full_name).expect("what was published is still a topic's");
        let path = format!("{}/history/{}/v{}.avsc", env!("CARGO_MANIFEST_DIR"), version.full_name, version.version);
        let published = std::fs::read_to_string(&path).expect("a published version is kept");
        for (reader, writer) in [(today, published.as_str()), (published.as_str(), today)] {
            assert_eq!(
                incompatibilities(reader, writer),
                Ok(vec![]),
                "{}, version {}",
                version.full_name,
                version.version
            );
        }
    }
}

#[test]
fn every_topic_has_a_schema_and_an_id_of_its_own() {
    let ids: BTreeSet<_> = registry::published().iter().map(|version| version.id).collect();
    assert_eq!(ids.len(), registry::published().len());
    assert!(!ids.contains(&0));
    for topic in &TOPICS {
        let id = tributary_schemas::schema_id(topic.schema).expect("an id");
        let version = registry::by_id(id).expect("a version");
        assert!(version.newest && version.full_name == topic.schema);
        assert_eq!(tributary_schemas::schema(topic.schema), Some(version.schema));
    }
    assert_eq!(tributary_schemas::schema("tributary.none.v1.Envelope"), None);
}

fn record(fields: Value) -> Value {
    json!({"type": "record", "name": "R", "namespace": "n", "fields": fields})
}

fn field(kind: Value) -> Value {
    record(json!([{"name": "f", "type": kind}]))
}

fn decimal(precision: u32, scale: u32) -> Value {
    json!({"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale})
}

fn named(kind: &str, name: &str, more: Value) -> Value {
    let mut json = json!({"type": kind, "name": name, "namespace": "n"});
    for (member, value) in more.as_object().expect("members") {
        json[member] = value.clone();
    }
    json
}

fn check(reader: &Value, writer: &Value) -> Vec<String> {
    let found = incompatibilities(&reader.to_string(), &writer.to_string()).expect("both are schemas");
    found.into_iter().map(|what| what.to_string()).collect()
}

#[test]
fn changes_that_break_are_seen() {
    let symbols = |symbols: &[&str]| named("enum", "E", json!({"symbols": symbols}));
    let (a, b) = (named("record", "A", json!({"fields": []})), named("record", "B", json!({"fields": []})));
    let micros = |unit: &str| field(json!({"type": "long", "logicalType": unit}));
    // Reader, writer, what is said.
    let cases = [
        (field(decimal(38, 2)), field(decimal(38, 4)), "f: written as decimal(38, 4), read as decimal(38, 2)"),
        (field(decimal(38, 4)), field(decimal(20, 4)), "f: written as decimal(20, 4), read as decimal(38, 4)"),
        (field(json!("bytes")), field(decimal(38, 4)), "f: written as decimal(38, 4), read as a plain bytes"),
        (field(decimal(38, 4)), field(json!("bytes")), "f: written as a plain bytes, read as decimal(38, 4)"),
        (
            field(json!(["null", decimal(38, 2)])),
            field(json!(["null", decimal(38, 4)])),
            "f: written as decimal(38, 4), read as decimal(38, 2)",
        ),
        (
            micros("timestamp-millis"),
            micros("timestamp-micros"),
            "f: written as timestamp-micros, read as timestamp-millis",
        ),
        (field(json!("long")), micros("timestamp-micros"), "f: written as timestamp-micros, read as a plain long"),
        (
            field(json!("int")),
            field(json!({"type": "int", "logicalType": "date"})),
            "f: written as date, read as a plain int",
        ),
        (field(symbols(&["X"])), field(symbols(&["X", "Y"])), "f: the symbol Y is not known"),
        (field(json!([a])), field(json!([a, b])), "f: record n.B is none of the branches that are read"),
        (field(json!("string")), field(json!(["null", "string"])), "f: may be written as null, read as string"),
        (field(json!("int")), field(json!("long")), "f: written as long, read as int"),
        (field(json!("string")), field(json!("int")), "f: written as int, read as string"),
        (field(json!("double")), field(json!("long")), "f: written as long, read as double"),
        (field(json!("string")), record(json!([])), "f: never written, and has no default"),
        (
            record(json!([{"name": "f", "type": "int", "default": "x"}])),
            record(json!([])),
            "f: \"x\" is no default of int",
        ),
        (record(json!([{"name": "g", "type": "int"}])), field(json!("int")), "g: never written, and has no default"),
        (
            field(named("fixed", "F", json!({"size": 16}))),
            field(named("fixed", "F", json!({"size": 32}))),
            "f: written as fixed n.F of 32 bytes, read as fixed n.F of 16 bytes",
        ),
        (
            field(named("fixed", "F", json!({"size": 16}))),
            field(named("fixed", "G", json!({"size": 16}))),
            "f: written as fixed n.G of 16 bytes, read as fixed n.F of 16 bytes",
        ),
        (field(a.clone()), field(b.clone()), "f: written as record n.B, read as record n.A"),
        (
            field(json!({"type": "string", "tributary": "AccountId"})),
            field(json!("string")),
            "f: written as any text, read as AccountId, which refuses other text",
        ),
        (
            field(json!({"type": "array", "items": "int"})),
            field(json!({"type": "map", "values": "int"})),
            "f: written as map, read as array",
        ),
    ];
    for (reader, writer, said) in cases {
        assert_eq!(check(&reader, &writer), [said], "{writer} read as {reader}");
    }
}

#[test]
fn changes_that_fit_pass() {
    let (a, b) = (named("record", "A", json!({"fields": []})), named("record", "B", json!({"fields": []})));
    let two = record(json!([{"name": "f", "type": "int"}, {"name": "g", "type": ["null", "int"], "default": null}]));
    let cases = [
        (two.clone(), field(json!("int"))),
        (field(json!("int")), two.clone()),
        (record(json!([{"name": "g", "type": ["null", "int"], "default": null}, {"name": "f", "type": "int"}])), two),
        (field(json!([b, a])), field(json!([a, b]))),
        (field(json!([a, b])), field(json!([a]))),
        (field(json!("long")), field(json!("int"))),
        (field(json!(["null", "string"])), field(json!("string"))),
        (
            field(named("enum", "E", json!({"symbols": ["X"], "default": "X"}))),
            field(named("enum", "E", json!({"symbols": ["X", "Y"]}))),
        ),
        (record(json!([{"name": "new", "aliases": ["f"], "type": "int"}])), field(json!("int"))),
        (field(json!("string")), field(json!({"type": "string", "logicalType": "something-else", "doc": "d"}))),
    ];
    for (reader, writer) in cases {
        assert_eq!(check(&reader, &writer), Vec::<String>::new(), "{writer} read as {reader}");
    }
}

#[test]
fn what_is_no_schema_is_refused() {
    let recursive = named("record", "A", json!({"fields": [{"name": "next", "type": ["null", "A"]}]}));
    let nothing =
        json!({"type": "array", "items": named("record", "A", json!({"fields": [{"name": "f", "type": "null"}]}))});
    let deep = (0..70).fold(json!("int"), |inner, _| json!({"type": "array", "items": inner}));
    let twice = json!([named("record", "A", json!({"fields": []})), named("record", "A", json!({"fields": []}))]);
    for schema in [
        recursive,
        nothing,
        deep,
        twice,
        json!("n.Unknown"),
        json!(7),
        json!({}),
        json!({"type": "record", "name": "A"}),
    ] {
        assert!(incompatibilities(&schema.to_string(), "\"int\"").is_err(), "{schema}");
    }
    assert!(incompatibilities("{", "\"int\"").is_err());
}

#[test]
fn a_schema_that_unfolds_without_end_is_refused() {
    // Each record holds the one before twice: 2^40 leaves from 40 definitions.
    let mut branches = vec![named("record", "R0", json!({"fields": [{"name": "f", "type": "int"}]}))];
    for level in 1..40 {
        let inner = format!("n.R{}", level - 1);
        let fields = json!([{"name": "a", "type": inner}, {"name": "b", "type": inner}]);
        branches.push(named("record", &format!("R{level}"), json!({"fields": fields})));
    }
    let bomb = Value::Array(branches).to_string();
    let said = incompatibilities(&bomb, &bomb).expect("it is a schema");
    assert!(said.len() == 1 && said[0].reason.contains("unfolds"), "{said:?}");
}
