//! The routes, and the registry's error codes, as Confluent documents them.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::{Catalog, Entry, canonical};

type Shared = State<Arc<Catalog>>;
type Answer = Result<Json, Refusal>;

pub(super) fn routes(catalog: Catalog) -> Router {
    Router::new()
        .route("/", get(async || Json(json!({}))))
        .route("/subjects", get(subjects))
        .route("/subjects/{subject}", post(look_up))
        .route("/subjects/{subject}/versions", get(versions).post(register))
        .route("/subjects/{subject}/versions/{version}", get(version))
        .route("/subjects/{subject}/versions/{version}/schema", get(version_schema))
        .route("/schemas/types", get(async || Json(json!(["AVRO"]))))
        .route("/schemas/ids/{id}", get(schema))
        .route("/schemas/ids/{id}/schema", get(bare_schema))
        .route("/schemas/ids/{id}/versions", get(schema_versions))
        .route("/schemas/ids/{id}/subjects", get(schema_subjects))
        .route("/config", get(config))
        .route("/config/{subject}", get(subject_config))
        .route("/mode", get(mode))
        .route("/mode/{subject}", get(mode))
        .method_not_allowed_fallback(async || Refusal::read_only())
        .fallback(async || Refusal(404, 404, "HTTP 404 Not Found".to_owned()))
        .with_state(Arc::new(catalog))
}

async fn subjects(State(catalog): Shared) -> Json {
    let mut names: Vec<&str> = catalog.entries.iter().map(|entry| entry.subject.as_str()).collect();
    names.dedup();
    Json(json!(names))
}

async fn versions(State(catalog): Shared, Path(subject): Path<String>) -> Answer {
    Ok(Json(known(&catalog, &subject)?.iter().map(|entry| entry.version).collect()))
}

async fn version(State(catalog): Shared, Path((subject, version)): Path<(String, String)>) -> Answer {
    Ok(Json(in_full(at_version(&catalog, &subject, &version)?)))
}

async fn version_schema(
    State(catalog): Shared,
    Path((subject, version)): Path<(String, String)>,
) -> Result<Raw, Refusal> {
    Ok(Raw(at_version(&catalog, &subject, &version)?.text.clone()))
}

async fn schema(State(catalog): Shared, Path(id): Path<String>) -> Answer {
    Ok(Json(json!({"schema": with_id(&catalog, &id)?[0].text})))
}

async fn bare_schema(State(catalog): Shared, Path(id): Path<String>) -> Result<Raw, Refusal> {
    Ok(Raw(with_id(&catalog, &id)?[0].text.clone()))
}

async fn schema_versions(State(catalog): Shared, Path(id): Path<String>) -> Answer {
    let entries = with_id(&catalog, &id)?;
    Ok(Json(entries.iter().map(|entry| json!({"subject": entry.subject, "version": entry.version})).collect()))
}

async fn schema_subjects(State(catalog): Shared, Path(id): Path<String>) -> Answer {
    Ok(Json(with_id(&catalog, &id)?.iter().map(|entry| entry.subject.as_str()).collect()))
}

async fn config() -> Json {
    Json(json!({"compatibilityLevel": "FULL_TRANSITIVE"}))
}

async fn subject_config(State(catalog): Shared, Path(subject): Path<String>) -> Answer {
    known(&catalog, &subject)?;
    Ok(config().await)
}

async fn mode() -> Json {
    Json(json!({"mode": "READONLY"}))
}

/// Is this schema known under this subject, and as what?
async fn look_up(State(catalog): Shared, Path(subject): Path<String>, body: Bytes) -> Answer {
    let sent = parse(&body)?;
    let found = known(&catalog, &subject)?.into_iter().find(|entry| entry.canonical == sent);
    found.map(|entry| Json(in_full(entry))).ok_or_else(|| Refusal(404, 40403, "Schema not found".to_owned()))
}

async fn register(State(catalog): Shared, Path(subject): Path<String>, body: Bytes) -> Answer {
    let sent = parse(&body)?;
    let found = catalog.subject(&subject).find(|entry| entry.canonical == sent);
    found.map(|entry| Json(json!({"id": entry.id}))).ok_or_else(|| {
        let why = match catalog.subject(&subject).next() {
            Some(_) => "another schema is compiled in for this subject",
            None => "no such subject is compiled in",
        };
        let message = format!(
            "'{subject}': {why}. This read-only registry serves the schemas that Tributary was compiled with; \
             start Tributary with --schema-registry to use your own."
        );
        Refusal(409, 409, message)
    })
}

fn parse(body: &[u8]) -> Result<Value, Refusal> {
    let invalid = |why: String| Refusal(422, 42201, format!("Invalid schema: {why}"));
    let request: Value = serde_json::from_slice(body).map_err(|error| invalid(error.to_string()))?;
    match request.get("schemaType").and_then(Value::as_str) {
        None | Some("AVRO") => {}
        Some(other) => return Err(invalid(format!("this registry serves AVRO only, not {other}"))),
    }
    let text = request.get("schema").and_then(Value::as_str).ok_or_else(|| invalid("no `schema`".to_owned()))?;
    let schema: Value = serde_json::from_str(text).map_err(|error| invalid(error.to_string()))?;
    match &schema {
        Value::String(_) | Value::Array(_) | Value::Object(_) => Ok(canonical(&schema)),
        _ => Err(invalid("not an Avro schema".to_owned())),
    }
}

/// A known subject's versions, oldest first, at least one.
fn known<'a>(catalog: &'a Catalog, subject: &str) -> Result<Vec<&'a Entry>, Refusal> {
    let entries: Vec<_> = catalog.subject(subject).collect();
    let unknown = || Refusal(404, 40401, format!("Subject '{subject}' not found."));
    if entries.is_empty() { Err(unknown()) } else { Ok(entries) }
}

fn at_version<'a>(catalog: &'a Catalog, subject: &str, version: &str) -> Result<&'a Entry, Refusal> {
    let entries = known(catalog, subject)?;
    let found = match (version, version.parse::<u32>()) {
        ("latest" | "-1", _) => entries.last(),
        (_, Ok(number)) if number > 0 => entries.iter().find(|entry| entry.version == number),
        _ => {
            let message = format!("The specified version '{version}' is not a valid version id.");
            return Err(Refusal(422, 42202, message));
        }
    };
    found.copied().ok_or_else(|| Refusal(404, 40402, format!("Version {version} not found.")))
}

fn with_id<'a>(catalog: &'a Catalog, id: &str) -> Result<Vec<&'a Entry>, Refusal> {
    let entries: Vec<_> = id.parse().map(|id| catalog.with_id(id).collect()).unwrap_or_default();
    if entries.is_empty() { Err(Refusal(404, 40403, format!("Schema {id} not found"))) } else { Ok(entries) }
}

fn in_full(entry: &Entry) -> Value {
    let Entry { subject, id, version, text, .. } = entry;
    json!({"subject": subject, "id": id, "version": version, "schemaType": "AVRO", "schema": text})
}

/// A body in the registry's own media type.
struct Json(Value);

/// A schema alone.
struct Raw(String);

/// Status, registry code, message.
struct Refusal(u16, u32, String);

impl Refusal {
    fn read_only() -> Self {
        Self(
            422,
            42205,
            "This registry is read-only; start Tributary with --schema-registry to use your own.".to_owned(),
        )
    }
}

impl IntoResponse for Json {
    fn into_response(self) -> Response {
        Raw(self.0.to_string()).into_response()
    }
}

impl IntoResponse for Raw {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, "application/vnd.schemaregistry.v1+json")], self.0).into_response()
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self(status, code, message) = self;
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(json!({"error_code": code, "message": message}))).into_response()
    }
}
