//! Rust for a topic's bodies: an enum over the records of the envelope's union, and its place in the core.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    emit::{doc, import},
    model::{Named, Schemas},
};

/// The fields before a client's body, as `src/envelope.rs` reads them.
fn command_header() -> Vec<(&'static str, Value)> {
    vec![
        ("id", json!("string")),
        ("time", json!({"type": "long", "logicalType": "timestamp-micros"})),
        ("actor", json!(["null", "string"])),
        ("traceparent", json!(["null", "string"])),
        ("digest", json!(["null", "bytes"])),
        ("origin", json!(["null", "tributary.platform.v1.Origin"])),
    ]
}

/// The fields before a node's body, as `src/envelope.rs` reads them.
fn fact_header() -> Vec<(&'static str, Value)> {
    vec![
        ("id", json!("tributary.platform.v1.EventId")),
        ("time", json!({"type": "long", "logicalType": "timestamp-micros"})),
        ("causation", json!("tributary.platform.v1.EventId")),
        ("correlation", json!("string")),
        ("answers", json!(["null", "string"])),
        ("actor", json!(["null", "string"])),
        ("traceparent", json!(["null", "string"])),
        ("applied", json!({"type": "array", "items": "tributary.platform.v1.Applied"})),
    ]
}

/// Whether a client or a node writes the envelope.
fn writer(named: &Named) -> &'static str {
    let (body, header) = named.raw_fields().split_last().expect("an envelope has fields");
    assert_eq!(body["name"], "body", "{}: the last field is the body", named.full_name);
    let header: Vec<_> =
        header.iter().map(|field| (field["name"].as_str().expect("a name"), field["type"].clone())).collect();
    if header == command_header() {
        "command"
    } else if header == fact_header() {
        "fact"
    } else {
        panic!("{}: an envelope has a command's header or a fact's", named.full_name)
    }
}

/// The records of the union, each with its key field.
fn branches<'a>(schemas: &'a Schemas, envelope: &'a Named) -> Vec<(&'a Named, &'a str)> {
    let union = envelope.raw_fields().last().and_then(|body| body["type"].as_array()).expect("a body is a union");
    let branch = |name: &'a Value| {
        let record = schemas.get(name.as_str().expect("a branch is a record's full name"));
        let keys: Vec<_> = record.fields().iter().filter(|field| field.is_key).map(|field| field.name).collect();
        match keys.as_slice() {
            [key] => (record, *key),
            _ => panic!("{}: one field is marked as \"tributary.key\", not {}", record.full_name, keys.len()),
        }
    };
    union.iter().map(branch).collect()
}

/// The enum of a topic's bodies.
pub fn body(schemas: &Schemas, envelope: &Named, used: &mut BTreeSet<String>) -> String {
    import(
        used,
        &["crate::codec::Reader", "crate::codec::Wire", "crate::codec::write_bytes", "crate::codec::write_long"],
    );
    import(used, &["crate::envelope", "tributary_flow::Body", "tributary_flow::Header"]);
    let (name, writer) = (envelope.name.trim_end_matches("Envelope"), writer(envelope));
    let branches = branches(schemas, envelope);
    let [mut variants, mut froms, mut read, mut write, mut canonical, mut key, mut names] =
        [const { String::new() }; 7];
    for (index, (record, field)) in branches.iter().enumerate() {
        assert_eq!(record.domain, envelope.domain, "{}: in another domain than its topic", record.full_name);
        let record_name = &record.name;
        variants += &format!("{}{record_name}({record_name}),\n", doc(record.doc()));
        froms += &format!(
            "impl From<{record_name}> for {name} {{ fn from(body: {record_name}) -> Self {{ {name}::{record_name}(body) }} }}\n\n"
        );
        read += &format!("{index} => Wire::read(reader).map({name}::{record_name}),\n");
        write += &format!("{name}::{record_name}(body) => {{ write_long({index}, out); body.write(out); }}\n");
        canonical += &format!("{name}::{record_name}(body) => body.canonical(out),\n");
        key += &format!("{name}::{record_name}(body) => body.{field}.as_ref(),\n");
        names += &format!("{name}::{record_name}(_) => \"{record_name}\",\n");
    }
    // The last branch needs no test: the index is below the count.
    let last = branches.len() - 1;
    let read = match last {
        0 => format!("reader.index(1)?; Wire::read(reader).map({name}::{})", branches[0].0.name),
        last => format!("match reader.index({})? {{ {} }}", last + 1, read.replacen(&format!("{last} =>"), "_ =>", 1)),
    };
    let list: Vec<_> = branches.iter().map(|(record, _)| format!("\"{}\"", record.name)).collect();
    format!(
        "{}#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]\n#[serde(tag = \"type\")]\npub enum {name} {{ {variants} }}\n\n\
         impl {name} {{\n/// The names of the records.\npub const RECORDS: [&'static str; {count}] = [{list}]; }}\n\n{froms}\
         impl Wire for {name} {{\n\
         fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {{ {read} }}\n\n\
         fn write(&self, out: &mut Vec<u8>) {{ match self {{ {write} }} }}\n\n\
         fn canonical(&self, out: &mut Vec<u8>) {{ write_bytes(self.name().as_bytes(), out); match self {{ {canonical} }} }} }}\n\n\
         impl Body for {name} {{\nconst SCHEMA: &'static str = \"{schema}\";\n\n\
         fn decode(datum: &[u8]) -> Result<(Header, Self), DecodeError> {{ envelope::decode_{writer}(datum) }}\n\n\
         fn encode(&self, header: &Header, out: &mut Vec<u8>) {{ envelope::encode_{writer}(header, self, out); }}\n\n\
         fn encode_body(&self, out: &mut Vec<u8>) {{ self.canonical(out); }}\n\n\
         fn key(&self) -> &str {{ match self {{ {key} }} }}\n\n\
         fn name(&self) -> &'static str {{ match self {{ {names} }} }} }}\n\n",
        doc(envelope.doc()),
        count = branches.len(),
        list = list.join(", "),
        schema = envelope.full_name,
    )
}
