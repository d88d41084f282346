//! The managed servers, for real: a broker that is started, killed, restarted and stopped, and the registry's answers.

use std::net::TcpStream;

use serde_json::{Value, json};
use tributary_cli::managed::kafka::{Kafka, Options};
use tributary_cli::managed::registry::{Registry, Subject, compiled};

#[test]
fn a_broker_survives_its_own_deaths_and_ends_with_us() -> anyhow::Result<()> {
    let folder = std::env::temp_dir().join(format!("tributary-kafka-{}", std::process::id()));
    let mut kafka = Kafka::start(Options::new(&folder)?)?;
    let address = kafka.bootstrap.clone();
    assert!(TcpStream::connect(&address).is_ok());

    let second = Kafka::start(Options::new(&folder)?).map(drop);
    assert!(second.is_err_and(|error| error.to_string().contains("another process runs Kafka")));

    for _ in 0..2 {
        let first = kafka.id();
        kafka.kill9();
        assert!(!kafka.is_running() && TcpStream::connect(&address).is_err());
        kafka.restart()?;
        assert_ne!(kafka.id(), first);
        assert!(TcpStream::connect(&address).is_ok());
    }

    drop(kafka);
    assert!(TcpStream::connect(&address).is_err());
    // The data outlives the process, and any port will do.
    let again = Kafka::start(Options::new(&folder)?)?;
    assert!(TcpStream::connect(&again.bootstrap).is_ok());
    drop(again);
    std::fs::remove_dir_all(folder)?;
    Ok(())
}

fn subjects() -> Vec<Subject> {
    let schema = json!({"type": "record", "name": "Paid", "namespace": "x.v1", "doc": "A fact.", "fields": [
        {"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 4}}]});
    let mut older = schema.clone();
    older["fields"] = json!([]);
    let subject = |name: &str, id, version, schema: &Value| Subject {
        name: name.to_owned(),
        id,
        version,
        schema: schema.clone(),
    };
    vec![
        subject("a.events.v1-value", 7, 2, &schema),
        subject("b.events.v1-value", 7, 1, &schema),
        subject("a.events.v1-value", 3, 1, &older),
    ]
}

fn call(method: &str, url: &str, body: Option<Value>) -> anyhow::Result<(u16, Value)> {
    let agent = ureq::Agent::new_with_config(ureq::Agent::config_builder().http_status_as_error(false).build());
    let mut answer = match (method, body) {
        ("POST", Some(body)) => agent.post(url).send_json(body)?,
        ("DELETE", _) => agent.delete(url).call()?,
        _ => agent.get(url).call()?,
    };
    assert_eq!(answer.headers()["content-type"], "application/vnd.schemaregistry.v1+json");
    Ok((answer.status().as_u16(), serde_json::from_str(&answer.body_mut().read_to_string()?)?))
}

#[test]
fn the_registry_answers_as_a_registry_does() -> anyhow::Result<()> {
    let registry = Registry::start(None, subjects())?;
    let get = |path: &str| call("GET", &format!("{}{path}", registry.url), None);
    let post = |path: &str, body: Value| call("POST", &format!("{}{path}", registry.url), Some(body));
    let text = subjects()[0].schema.to_string();

    assert_eq!(get("/subjects")?, (200, json!(["a.events.v1-value", "b.events.v1-value"])));
    assert_eq!(get("/subjects/a.events.v1-value/versions")?, (200, json!([1, 2])));
    let (status, latest) = get("/subjects/a.events.v1-value/versions/latest")?;
    assert_eq!((status, &latest["id"], &latest["version"]), (200, &json!(7), &json!(2)));
    assert_eq!(latest["schema"], json!(text));
    assert_eq!(get("/subjects/a.events.v1-value/versions/2")?.1, latest);
    assert_eq!(get("/subjects/a.events.v1-value/versions/1")?.1["id"], json!(3));
    assert_eq!(get("/schemas/ids/7")?, (200, json!({"schema": text})));
    assert_eq!(get("/schemas/ids/7/subjects")?, (200, json!(["a.events.v1-value", "b.events.v1-value"])));
    assert_eq!(get("/schemas/ids/7/versions")?.1[1], json!({"subject": "b.events.v1-value", "version": 1}));
    assert_eq!(get("/config")?, (200, json!({"compatibilityLevel": "FULL_TRANSITIVE"})));
    assert_eq!(get("/config/a.events.v1-value")?.0, 200);
    assert_eq!(get("/mode")?, (200, json!({"mode": "READONLY"})));

    let undocumented = text.replace(r#""doc":"A fact.","#, "");
    assert_ne!(undocumented, text);
    assert_eq!(post("/subjects/a.events.v1-value", json!({"schema": undocumented}))?.1, latest);
    assert_eq!(post("/subjects/a.events.v1-value/versions", json!({"schema": text}))?, (200, json!({"id": 7})));

    let code = |answer: (u16, Value)| (answer.0, answer.1["error_code"].as_u64());
    let other = json!({"schema": text.replace("\"scale\":4", "\"scale\":2")});
    assert_eq!(code(get("/subjects/none/versions")?), (404, Some(40401)));
    assert_eq!(code(get("/subjects/a.events.v1-value/versions/3")?), (404, Some(40402)));
    assert_eq!(code(get("/subjects/a.events.v1-value/versions/x")?), (422, Some(42202)));
    assert_eq!(code(get("/schemas/ids/8")?), (404, Some(40403)));
    assert_eq!(code(post("/subjects/none", other.clone())?), (404, Some(40401)));
    assert_eq!(code(post("/subjects/a.events.v1-value", other.clone())?), (404, Some(40403)));
    assert_eq!(code(post("/subjects/a.events.v1-value/versions", json!({"schema": "{"}))?), (422, Some(42201)));
    assert_eq!(
        code(call("DELETE", &format!("{}/subjects/a.events.v1-value", registry.url), None)?),
        (422, Some(42205))
    );
    let (status, refused) = post("/subjects/a.events.v1-value/versions", other)?;
    assert_eq!((status, &refused["error_code"]), (409, &json!(409)));
    assert!(refused["message"].as_str().is_some_and(|message| message.contains("--schema-registry")));
    Ok(())
}

#[test]
fn every_topic_has_its_schema_in_the_registry() -> anyhow::Result<()> {
    let registry = Registry::start(None, compiled()?)?;
    for topic in tributary_graph::TOPICS {
        let (status, latest) =
            call("GET", &format!("{}/subjects/{}-value/versions/latest", registry.url, topic.name), None)?;
        assert_eq!(status, 200, "{}", topic.name);
        assert_eq!(latest["id"].as_u64(), tributary_schemas::registry::schema_id(topic.schema).map(u64::from));
    }
    Ok(())
}
