//! `/openapi.json`, from the code and the schemas, and a page to try it.
//!
//! Routes and answers are described by their own types; commands by their Avro schemas, which are what reads them.

use axum::Json;
use axum::response::Html;
use serde_json::{Map, Value, json};
use tributary_flow::Body;
use tributary_schemas::accounts::AccountCommand;
use tributary_schemas::risk::RiskCommand;
use tributary_schemas::transactions::TransactionCommand;
use utoipa::OpenApi;

use super::{accounts, actions, health, ledger, transactions, write};
use crate::metrics;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tributary",
        description = "Accounts, transactions and the ledger: read models, and a way in for commands."
    ),
    paths(
        accounts::list,
        accounts::one,
        accounts::entries,
        accounts::balance,
        accounts::transactions,
        write::open_account,
        transactions::list,
        transactions::one,
        write::create_transaction,
        actions::cancel,
        actions::post,
        actions::void,
        actions::review,
        write::commands,
        ledger::trial_balance,
        ledger::journal,
        ledger::risk,
        health::health,
        health::readiness,
        metrics::metrics
    )
)]
struct Described;

/// The page to try it.
pub(crate) async fn page() -> Html<&'static str> {
    Html(include_str!("page.html"))
}

/// The description of all routes.
pub(crate) async fn openapi() -> Json<Value> {
    Json(description())
}

fn description() -> Value {
    let mut described = serde_json::to_value(Described::openapi()).unwrap_or_default();
    let mut schemas = Map::new();
    let mut commands = Vec::new();
    for schema in [AccountCommand::SCHEMA, TransactionCommand::SCHEMA, RiskCommand::SCHEMA] {
        let text = tributary_schemas::schema(schema).unwrap_or("null");
        let envelope: Value = serde_json::from_str(text).unwrap_or_default();
        let fields = envelope["fields"].as_array().into_iter().flatten();
        for body in fields.filter(|field| field["name"] == "body") {
            for record in body["type"].as_array().into_iter().flatten() {
                let mut one = of_avro(record, &mut schemas);
                one["description"] = record["doc"].clone();
                commands.push(json!({ "allOf": [
                    { "type": "object", "required": ["type"], "properties": { "type": { "const": record["name"] } } }, one
                ] }));
            }
        }
    }
    for action in ["CancelTransaction", "PostTransaction", "VoidTransaction", "ReviewTransaction"] {
        let mut fields = schemas.get(action).cloned().unwrap_or_default();
        if let Some(properties) = fields["properties"].as_object_mut() {
            properties.remove("transaction_id");
        }
        if let Some(required) = fields["required"].as_array_mut() {
            required.retain(|name| name != "transaction_id");
        }
        schemas.insert(format!("{action}Fields"), fields);
    }
    schemas.insert(
        "Command".to_owned(),
        json!({
            "type": "object", "required": ["body"], "additionalProperties": false, "properties": {
                "id": { "type": "string", "description": "Unique per key; a random one where absent." },
                "key": { "type": "string", "description": "Must equal the id in the body, if given." },
                "body": { "oneOf": commands }
            }
        }),
    );
    if let Some(known) = described["components"]["schemas"].as_object_mut() {
        known.extend(schemas);
    }
    described
}

/// An Avro type as a JSON schema; a record is put among `schemas` and referred to.
fn of_avro(avro: &Value, schemas: &mut Map<String, Value>) -> Value {
    match avro {
        Value::String(name) => match name.as_str() {
            "string" => json!({ "type": "string" }),
            "boolean" => json!({ "type": "boolean" }),
            "int" | "long" => json!({ "type": "integer" }),
            "bytes" => json!({ "type": "string" }),
            named => reference(named),
        },
        Value::Array(union) => {
            let mut some = union.iter().filter(|branch| *branch != "null").map(|branch| of_avro(branch, schemas));
            json!({ "oneOf": [some.next().unwrap_or_default(), { "type": "null" }] })
        }
        Value::Object(avro) => match avro.get("type").and_then(Value::as_str).unwrap_or_default() {
            "record" => of_record(avro, schemas),
            "array" => json!({ "type": "array", "items": of_avro(&avro["items"], schemas) }),
            "map" => json!({ "type": "object", "additionalProperties": of_avro(&avro["values"], schemas) }),
            "enum" => {
                let name = short(avro["name"].as_str().unwrap_or_default());
                schemas.insert(
                    name.to_owned(),
                    json!({ "type": "string", "enum": avro["symbols"], "description": avro.get("doc") }),
                );
                reference(name)
            }
            primitive => match avro.get("logicalType").and_then(Value::as_str) {
                Some("decimal") => {
                    json!({ "type": "string", "description": "An amount, as \"12.34\"; a whole number is taken too." })
                }
                Some("date") => json!({ "type": "string", "format": "date" }),
                Some("timestamp-micros") => json!({ "type": "string", "format": "date-time" }),
                _ => of_avro(&Value::String(primitive.to_owned()), schemas),
            },
        },
        _ => json!({}),
    }
}

fn of_record(avro: &Map<String, Value>, schemas: &mut Map<String, Value>) -> Value {
    let name = short(avro["name"].as_str().unwrap_or_default()).to_owned();
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for field in avro["fields"].as_array().into_iter().flatten() {
        let mut property = of_avro(&field["type"], schemas);
        if let Some(doc) = field.get("doc") {
            property["description"] = doc.clone();
        }
        properties.insert(field["name"].as_str().unwrap_or_default().to_owned(), property);
        if field.get("default").is_none() {
            required.push(field["name"].clone());
        }
    }
    let record = json!({ "type": "object", "description": avro.get("doc"), "required": required,
        "properties": properties, "additionalProperties": false });
    let described = reference(&name);
    // An answer of the same name (Money, Reason) has the same fields.
    schemas.insert(name, record);
    described
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{}", short(name)) })
}

fn short(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every `$ref` in a document.
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
                fields.values().for_each(|field| references(field, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    #[test]
    fn everything_that_is_referred_to_is_described() {
        let described = description();
        let mut found = Vec::new();
        references(&described, &mut found);
        assert!(found.len() > 50, "{found:?}");
        for reference in found {
            let name = reference.trim_start_matches("#/components/schemas/");
            assert!(described["components"]["schemas"].get(name).is_some(), "{reference}");
        }
        let create = &described["components"]["schemas"]["CreateTransaction"];
        assert_eq!(create["required"], json!(["transaction_id", "legs"]));
    }

    #[test]
    fn every_route_is_described() {
        let described = description();
        let paths: Vec<&str> = described["paths"].as_object().expect("paths").keys().map(String::as_str).collect();
        let routes = include_str!("mod.rs").lines().filter_map(|line| line.trim().strip_prefix(".route(\""));
        for route in routes.filter_map(|line| line.split('"').next()) {
            assert!(paths.contains(&route) || ["/", "/docs", "/openapi.json"].contains(&route), "{route}");
        }
    }
}
