//! Our codec and apache-avro read each other's data and find the same values.

use std::collections::HashMap;

use apache_avro::{Schema, from_avro_datum, to_avro_datum};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use crate::{
    topics::{TOPICS, Topic},
    values::{any_value, definitions},
};

/// Runs `check` on random envelopes of every topic: the schema, the value, and apache-avro's encoding.
pub fn for_any_envelope(
    cases: u32,
    check: impl Fn(&'static Topic, &Schema, &apache_avro::types::Value, &[u8]) -> Result<(), TestCaseError>,
) {
    for topic in &TOPICS {
        let text = tributary_schemas::schema(topic.schema).expect("a topic has a schema");
        let schema = Schema::parse_str(text).expect("apache-avro reads our schemas");
        let json = serde_json::from_str(text).expect("JSON");
        let mut named = HashMap::new();
        definitions(&json, &mut named);
        let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
        let result = runner.run(&any_value(&json, &named), |value| {
            let datum = to_avro_datum(&schema, value.clone()).expect("apache-avro writes a value of its schema");
            check(topic, &schema, &value, &datum)
        });
        if let Err(error) = result {
            panic!("{}: {error}", topic.schema);
        }
    }
}

#[test]
fn apache_avro_and_our_codec_agree_in_both_directions() {
    for_any_envelope(300, |topic, schema, value, theirs| {
        let ours = (topic.again)(theirs).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let read = from_avro_datum(schema, &mut ours.as_slice(), None).expect("apache-avro reads what we write");
        prop_assert_eq!(&read, value);
        // Maps apart, the encoding has one form only; ours sorts them.
        prop_assert_eq!(ours.len(), theirs.len());
        prop_assert_eq!((topic.canonical)(&ours), (topic.canonical)(theirs));
        prop_assert_eq!((topic.again)(&ours).ok(), Some(ours));
        Ok(())
    });
}

#[test]
fn json_is_another_form_of_the_same_value() {
    for_any_envelope(100, |topic, _, _, datum| {
        let body = (topic.body)(datum).expect("it decodes");
        let text = serde_json::from_str(&body.to_string()).expect("JSON");
        let again = (topic.from_json)(datum, &text).map_err(TestCaseError::fail)?;
        prop_assert_eq!(Ok(again), (topic.again)(datum));
        Ok(())
    });
}
