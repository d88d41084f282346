//! Data that another library wrote, once and for all: `golden/make.py`.

use std::{fs, path::Path};

use serde_json::Value;
use tributary_flow::{Body, FactHeader, Header};
use tributary_schemas::transactions::{TransactionCommand, VoidTransaction};

use crate::topics::{TOPICS, Topic, topic};

/// A golden datum.
pub struct Golden {
    pub name: String,
    pub topic: &'static Topic,
    pub datum: Vec<u8>,
    pub says: Value,
}

/// All of them.
pub fn golden() -> Vec<Golden> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let mut all = Vec::new();
    for entry in fs::read_dir(&folder).expect("the folder is there") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "hex") {
            let name = path.file_stem().and_then(|name| name.to_str()).expect("UTF-8").to_owned();
            let (envelope, _) = name.split_once('.').expect("<Envelope>.<Record>");
            let datum = hex::decode(fs::read_to_string(&path).expect("a text").trim()).expect("hexadecimal digits");
            let says = fs::read_to_string(path.with_extension("json")).expect("what it says is beside it");
            let says = serde_json::from_str(&says).expect("JSON");
            all.push(Golden { topic: topic(envelope), name, datum, says });
        }
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

#[test]
fn golden_data_say_what_they_said() {
    for Golden { name, topic, datum, says } in golden() {
        assert_eq!((topic.says)(&datum).as_ref(), Ok(&says), "{name}");
    }
}

#[test]
fn golden_data_are_encoded_to_the_same_bytes() {
    for Golden { name, topic, datum, .. } in golden() {
        assert_eq!((topic.again)(&datum).map(hex::encode), Ok(hex::encode(&datum)), "{name}");
    }
}

#[test]
fn golden_json_becomes_the_same_bytes() {
    for Golden { name, topic, datum, says } in golden() {
        assert_eq!((topic.from_json)(&datum, &says["body"]).map(hex::encode), Ok(hex::encode(&datum)), "{name}");
    }
}

#[test]
fn records_are_keyed_by_what_their_topic_is_keyed_by() {
    for Golden { name, topic, datum, says } in golden() {
        let field = match name.split_once('.').expect("<Envelope>.<Record>").0 {
            "AccountCommandEnvelope" | "AccountEventEnvelope" | "LegEventEnvelope" | "EntryEnvelope" => "account_id",
            "RiskCommandEnvelope" | "PartyEventEnvelope" => "party_id",
            _ => "transaction_id",
        };
        let key = (topic.key)(&datum).expect("it decodes");
        assert_eq!(says["body"][field], key, "{name}");
    }
}

#[test]
#[should_panic(expected = "a command takes a command header")]
fn a_command_with_a_fact_s_header_is_a_broken_caller() {
    let id = "t1".parse().expect("an id");
    let body = TransactionCommand::from(VoidTransaction::new(id));
    body.encode(&Header::Fact(FactHeader::default()), &mut Vec::new());
}

#[test]
fn every_record_of_every_topic_has_a_golden_datum() {
    let names: Vec<_> = golden().into_iter().map(|golden| golden.name).collect();
    for topic in &TOPICS {
        let envelope = topic.schema.rsplit('.').next().expect("a last name");
        for record in topic.records {
            assert!(names.contains(&format!("{envelope}.{record}")), "{envelope}.{record}: run golden/make.py");
        }
    }
}

#[test]
fn bytes_after_the_end_and_a_cut_off_end_are_refused() {
    for Golden { name, topic, datum, .. } in golden() {
        let error = (topic.says)(&[datum.as_slice(), &[0]].concat()).expect_err(&name);
        assert_eq!(error.path, "datum", "{name}");
        for length in 0..datum.len() {
            assert!((topic.says)(&datum[..length]).is_err(), "{name}, {length} bytes");
        }
    }
}
