//! Data of other versions, and of clients whose schemas differ from ours, become ours or are refused; never anything else.

use std::collections::{BTreeSet, HashMap};

use apache_avro::{Schema, to_avro_datum, types::Value as Avro};
use proptest::prelude::*;
use serde_json::{Value, json};
use tributary_schemas::evolve::{EvolveError, Translator};

use crate::{
    agreement::for_any_envelope,
    golden::golden,
    topics::topic,
    values::{definitions, full_name},
};

/// Another version of a topic's schema: each named type as `change` leaves it.
fn changed(schema: &str, change: impl Fn(&mut Value)) -> String {
    let json: Value = serde_json::from_str(tributary_schemas::schema(schema).expect("a schema")).expect("JSON");
    let mut named = HashMap::new();
    definitions(&json, &mut named);
    named.values_mut().for_each(change);
    inline(&Value::String(schema.into()), &named, &mut BTreeSet::new()).to_string()
}

/// Written out at first use again, wherever that is now.
fn inline(json: &Value, named: &HashMap<String, Value>, seen: &mut BTreeSet<String>) -> Value {
    match json {
        Value::String(name) => match named.get(name) {
            Some(definition) if seen.insert(name.clone()) => {
                let mut definition = definition.clone();
                for field in definition.get_mut("fields").and_then(Value::as_array_mut).into_iter().flatten() {
                    field["type"] = inline(&field["type"], named, seen);
                }
                definition
            }
            _ => json.clone(),
        },
        Value::Array(branches) => branches.iter().map(|branch| inline(branch, named, seen)).collect(),
        Value::Object(_) if ["record", "enum", "fixed"].contains(&json["type"].as_str().unwrap_or_default()) => {
            let name = full_name(json);
            // What only a test's version has stands as it is.
            if named.contains_key(&name) { inline(&Value::String(name), named, seen) } else { json.clone() }
        }
        Value::Object(members) => {
            let part = |(name, value): (&String, &Value)| match name.as_str() {
                "items" | "values" => (name.clone(), inline(value, named, seen)),
                _ => (name.clone(), value.clone()),
            };
            Value::Object(members.iter().map(part).collect())
        }
        other => other.clone(),
    }
}

/// The fields of one record, to change.
fn fields_of<'a>(definition: &'a mut Value, name: &str) -> Option<&'a mut Vec<Value>> {
    if definition["name"] == name { definition["fields"].as_array_mut() } else { None }
}

const COMMANDS: &str = "tributary.transactions.v1.TransactionCommandEnvelope";

/// A command of a client with another schema.
fn command(branch: u32, body: Vec<(&str, Avro)>) -> Avro {
    let null = || Avro::Union(0, Box::new(Avro::Null));
    let own = |fields: Vec<(&str, Avro)>| fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Avro::Record(own(vec![
        ("id", Avro::String("c1".into())),
        ("time", Avro::TimestampMicros(7)),
        ("actor", null()),
        ("traceparent", null()),
        ("digest", null()),
        ("origin", null()),
        ("body", Avro::Union(branch, Box::new(Avro::Record(own(body))))),
    ]))
}

fn encode(schema: &str, value: Avro) -> Vec<u8> {
    to_avro_datum(&Schema::parse_str(schema).expect("apache-avro reads it"), value).expect("a value of the schema")
}

fn text(text: &str) -> Avro {
    Avro::String(text.into())
}

/// The body, as JSON, that our decoder reads from a datum of another schema.
fn read(schema: &str, datum: &[u8]) -> Result<Value, String> {
    let translator = Translator::new(schema, COMMANDS).map_err(|error| error.to_string())?;
    let ours = translator.translate(datum).map_err(|error| error.to_string())?;
    (topic("TransactionCommandEnvelope").body)(&ours).map_err(|error| error.to_string())
}

#[test]
fn a_datum_of_our_own_schema_stays_as_it_is() {
    for golden in golden() {
        let schema = tributary_schemas::schema(golden.topic.schema).expect("a schema");
        let translator = Translator::new(schema, golden.topic.schema).expect("it fits itself");
        assert!(translator.is_identity());
        let ours = translator.translate(&golden.datum).expect("it is read");
        assert_eq!((golden.topic.again)(&ours).map(hex::encode), Ok(hex::encode(&golden.datum)), "{}", golden.name);
    }
}

#[test]
fn fields_and_branches_in_any_order_mean_the_same() {
    // Apache-avro would take the first branch of a fitting shape: a freeze for an unfreeze. We go by name.
    for_any_envelope(60, |topic, _, value, ours| {
        let reversed = changed(topic.schema, |definition| {
            let is_envelope = definition["name"].as_str().is_some_and(|name| name.ends_with("Envelope"));
            if let Some(fields) = definition["fields"].as_array_mut() {
                fields.reverse();
                if is_envelope {
                    fields[0]["type"].as_array_mut().expect("a body is a union").reverse();
                }
            }
        });
        let translator =
            Translator::new(&reversed, topic.schema).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert!(!translator.is_identity());
        let foreign = encode(&reversed, reverse(value.clone(), topic.records.len() as u32));
        let translated = translator.translate(&foreign).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!((topic.again)(&translated), (topic.again)(ours));
        prop_assert_eq!((topic.canonical)(&translated), (topic.canonical)(ours));
        Ok(())
    });
}

/// The value as the reversed schema has it.
fn reverse(value: Avro, branches: u32) -> Avro {
    match value {
        Avro::Record(fields) => {
            let field = |(name, value): (String, Avro)| match value {
                Avro::Union(branch, body) if name == "body" => {
                    (name, Avro::Union(branches - 1 - branch, Box::new(reverse(*body, branches))))
                }
                value => (name, reverse(value, branches)),
            };
            Avro::Record(fields.into_iter().rev().map(field).collect())
        }
        Avro::Array(items) => Avro::Array(items.into_iter().map(|item| reverse(item, branches)).collect()),
        Avro::Union(branch, inner) => Avro::Union(branch, Box::new(reverse(*inner, branches))),
        other => other,
    }
}

#[test]
fn an_older_client_s_datum_gets_the_defaults_of_newer_fields() {
    let older = changed(COMMANDS, |definition| {
        if let Some(fields) = fields_of(definition, "PostTransaction") {
            fields.retain(|field| field["name"] == "transaction_id");
        }
    });
    let datum = encode(&older, command(2, vec![("transaction_id", text("t1"))]));
    let expected = json!({"type": "PostTransaction", "transaction_id": "t1", "amounts": null, "final": true});
    assert_eq!(read(&older, &datum), Ok(expected));
}

#[test]
fn a_newer_client_s_fields_are_passed_over() {
    let newer = changed(COMMANDS, |definition| {
        if let Some(fields) = fields_of(definition, "VoidTransaction") {
            fields.insert(1, json!({"name": "notes", "type": {"type": "array", "items": {"type": "map", "values": ["null", "double"]}}}));
        }
    });
    let notes = Avro::Map([("a".to_owned(), Avro::Union(1, Box::new(Avro::Double(0.5))))].into());
    let body = vec![("transaction_id", text("t1")), ("notes", Avro::Array(vec![notes])), ("reason", text("why"))];
    let expected = json!({"type": "VoidTransaction", "transaction_id": "t1", "reason": "why"});
    assert_eq!(read(&newer, &encode(&newer, command(3, body))), Ok(expected));
}

#[test]
fn a_record_that_only_the_client_knows_is_refused_when_it_comes() {
    let newer = changed(COMMANDS, |definition| {
        if let Some(fields) = fields_of(definition, "TransactionCommandEnvelope") {
            let refund =
                json!({"type": "record", "name": "Refund", "namespace": "tributary.transactions.v1", "fields": []});
            fields[6]["type"].as_array_mut().expect("a union").insert(0, refund);
        }
    });
    let refused = read(&newer, &encode(&newer, command(0, vec![])));
    assert!(refused.as_ref().is_err_and(|reason| reason.contains("body") && reason.contains("Refund")), "{refused:?}");
    let known = encode(&newer, command(4, vec![("transaction_id", text("t1")), ("reason", text(""))]));
    assert_eq!(read(&newer, &known).map(|body| body["type"].clone()), Ok(json!("VoidTransaction")));
}

#[test]
fn another_scale_or_unit_is_refused_before_any_datum() {
    for (from, to, said) in [
        ("\"scale\":4", "\"scale\":2", "decimal(38, 2)"),
        ("timestamp-micros", "timestamp-millis", "timestamp-millis"),
        ("\"precision\":38", "\"precision\":18", "decimal(18, 4)"),
    ] {
        let other = changed(COMMANDS, |_| ()).replace(from, to);
        match Translator::new(&other, COMMANDS) {
            Err(EvolveError::Incompatible(found)) => {
                assert!(found.iter().any(|what| what.to_string().contains(said)), "{found:?}");
            }
            result => panic!("{from} to {to}: {result:?}"),
        }
    }
}

#[test]
fn a_client_without_our_attributes_is_read_and_its_ids_are_checked() {
    let plain = changed(COMMANDS, |_| ()).replace(",\"tributary\":\"TransactionId\"", "");
    let datum = |id: &str| encode(&plain, command(1, vec![("transaction_id", text(id)), ("reason", text(""))]));
    assert_eq!(read(&plain, &datum("t1")).map(|body| body["type"].clone()), Ok(json!("CancelTransaction")));
    let refused = read(&plain, &datum("a b"));
    assert!(refused.as_ref().is_err_and(|reason| reason.contains("body.transaction_id")), "{refused:?}");
}

#[test]
fn what_is_no_envelope_of_ours_has_no_translator() {
    assert!(matches!(Translator::new("\"int\"", "tributary.none.v1.Envelope"), Err(EvolveError::Unknown(_))));
    assert!(matches!(Translator::new("{", COMMANDS), Err(EvolveError::Unreadable(_))));
    assert!(matches!(Translator::new("\"int\"", COMMANDS), Err(EvolveError::Incompatible(_))));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_translated_or_refused(datum in proptest::collection::vec(any::<u8>(), 0..200)) {
        static ONCE: std::sync::OnceLock<Translator> = std::sync::OnceLock::new();
        let translator = ONCE.get_or_init(|| Translator::new(&changed(COMMANDS, |_| ()), COMMANDS).expect("it fits itself"));
        let _ = translator.translate(&datum);
    }
}
