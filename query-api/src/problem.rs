//! Errors as RFC 9457 problem documents: a stable code, the field at fault, and the values that decided.

use std::collections::BTreeMap;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tributary_schemas::Reason;
use utoipa::ToSchema;

/// Most characters of a text.
const LONGEST: usize = 2_000;

/// A problem document, `application/problem+json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct Document {
    /// `urn:tributary:problem:` and the code.
    pub r#type: String,
    /// The status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong, and what would be right.
    pub detail: String,
    /// Stable and machine-readable: what to decide by.
    pub code: String,
    /// The field of the request that is at fault, as `legs[1].amount`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The values that decided.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, String>,
    /// Every reason, where there are more than the one above.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<ReasonAnswer>,
    /// The command that was refused, or of which no more is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command_id: Option<String>,
}

/// Why something was refused, failed or flagged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Reason)]
pub struct ReasonAnswer {
    /// Stable and machine-readable: `insufficient_funds`, `account_frozen`.
    pub code: String,
    /// Who says so: `account`, `risk`, `transaction`, `reviewer`, `client`.
    pub source: String,
    /// The account or party it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The field of the request that is at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The values that decided.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, String>,
}

impl From<&Reason> for ReasonAnswer {
    fn from(reason: &Reason) -> Self {
        ReasonAnswer {
            code: reason.code.clone(),
            source: reason.source.clone(),
            subject: reason.subject.clone(),
            field: reason.field.clone(),
            values: reason.values.clone(),
        }
    }
}

/// Why a request is not granted. Small, because every result carries one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem(Box<Document>);

impl Problem {
    /// A problem with a stable code and words.
    pub fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Problem(Box::new(Document {
            r#type: format!("urn:tributary:problem:{code}"),
            title: status.canonical_reason().unwrap_or_default().to_owned(),
            status: status.as_u16(),
            detail: short(detail.into()),
            code: code.to_owned(),
            ..Document::default()
        }))
    }

    /// The request cannot be read.
    pub fn bad_request(code: &str, field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail).at(field)
    }

    /// There is no such thing.
    #[must_use]
    pub fn not_found(what: &str, id: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("there is no {what} {id:?}")).value(what, id)
    }

    /// Not now; later, or elsewhere.
    pub fn unavailable(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail)
    }

    /// The reasons for which a command was refused. The first decides the status.
    #[must_use]
    pub fn of_reasons(event: &str, command_id: &str, reasons: &[Reason]) -> Self {
        let status = status_of(reasons.first().map_or("", |reason| reason.code.as_str()));
        Self::reasoned(status, event, command_id, reasons.iter().map(ReasonAnswer::from).collect())
    }

    /// The reasons for which a transaction came to nothing.
    #[must_use]
    pub fn of_failure(event: &str, command_id: &str, reasons: &[ReasonAnswer]) -> Self {
        Self::reasoned(StatusCode::UNPROCESSABLE_ENTITY, event, command_id, reasons.to_vec())
    }

    fn reasoned(status: StatusCode, event: &str, command_id: &str, reasons: Vec<ReasonAnswer>) -> Self {
        let code = reasons.first().map_or("refused", |reason| reason.code.as_str());
        let said: Vec<String> = reasons.iter().map(in_words).collect();
        let mut problem = Self::new(status, code, format!("{event}: {}", said.join("; ")));
        if let Some(first) = reasons.first() {
            problem.0.field.clone_from(&first.field);
            problem.0.values.clone_from(&first.values);
        }
        problem.0.reasons = reasons;
        problem.about(command_id)
    }

    /// The same problem, of this command.
    #[must_use]
    pub fn about(mut self, command_id: &str) -> Self {
        self.0.command_id = Some(command_id.to_owned());
        self
    }

    /// The same problem, at the field `field`.
    #[must_use]
    pub fn at(mut self, field: impl Into<String>) -> Self {
        let field = short(field.into());
        self.0.field = (!field.is_empty()).then_some(field);
        self
    }

    /// The same problem, its field seen from what holds it.
    #[must_use]
    pub fn within(mut self, holder: &str) -> Self {
        let field = match self.0.field.take() {
            Some(field) if field.starts_with('[') => format!("{holder}{field}"),
            Some(field) => format!("{holder}.{field}"),
            None => holder.to_owned(),
        };
        self.at(field)
    }

    /// The same problem with a value that decided.
    #[must_use]
    pub fn value(mut self, name: &str, value: impl ToString) -> Self {
        self.0.values.insert(name.to_owned(), value.to_string());
        self
    }

    /// Whether it has one of these codes.
    #[must_use]
    pub fn is_any(&self, codes: &[&str]) -> bool {
        codes.contains(&self.0.code.as_str())
    }

    /// The document.
    #[must_use]
    pub fn document(&self) -> &Document {
        &self.0
    }

    /// Its HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// A text as it is, or its begin: it may quote a megabyte of what a client wrote.
fn short(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(end);
        text.push('…');
    }
    text
}

fn in_words(reason: &ReasonAnswer) -> String {
    let mut words = reason.code.clone();
    if let Some(subject) = &reason.subject {
        words += &format!(" ({subject})");
    }
    if let Some(field) = &reason.field {
        words += &format!(" at {field}");
    }
    for (index, (name, value)) in reason.values.iter().enumerate() {
        words += &format!("{} {name} {value}", if index == 0 { ":" } else { "," });
    }
    words
}

/// What a refusal is in HTTP: not there, not allowed, not now in this state, or not at all.
fn status_of(code: &str) -> StatusCode {
    match code {
        "not_found" | "unknown_account" => StatusCode::NOT_FOUND,
        "privileged_command" | "reviewer_is_initiator" => StatusCode::FORBIDDEN,
        "conflict" | "stale_command" | "wrong_status" | "account_exists" | "already_frozen" | "not_frozen"
        | "balance_not_zero" | "open_holds" => StatusCode::CONFLICT,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0.field {
            Some(field) => write!(f, "{field}: {}", self.0.detail),
            None => f.write_str(&self.0.detail),
        }
    }
}

impl std::error::Error for Problem {}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let mut response = (status, axum::Json(*self.0)).into_response();
        let kind = header::HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}
