//! The routes, and what they read of a request. Wrong input is a problem document that names the field.

mod accounts;
mod actions;
mod docs;
mod health;
mod history;
mod ledger;
mod outcome;
mod system;
mod transactions;
mod write;

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware;
use axum::routing::{get, post};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa::IntoParams;

use crate::api::Api;
use crate::json;
use crate::metrics;
use crate::problem::Problem;

/// What every route is given.
pub(crate) type Shared = Arc<Api>;

/// Largest body of a request.
const BODY_LIMIT: usize = 1024 * 1024;
/// Rows of a page, unless asked otherwise; and at most.
const PAGE: usize = 50;
const LONGEST_PAGE: usize = 500;

/// All routes.
pub(crate) fn router(api: Shared) -> Router {
    Router::new()
        .route("/", get(docs::page))
        .route("/docs", get(docs::page))
        .route("/openapi.json", get(docs::openapi))
        .route("/health", get(health::health))
        .route("/readiness", get(health::readiness))
        .route("/metrics", get(metrics::metrics))
        .route("/accounts", get(accounts::list).post(write::open_account))
        .route("/accounts/{id}", get(accounts::one))
        .route("/accounts/{id}/entries", get(accounts::entries))
        .route("/accounts/{id}/balance", get(accounts::balance))
        .route("/accounts/{id}/transactions", get(accounts::transactions))
        .route("/transactions", get(transactions::list).post(write::create_transaction))
        .route("/transactions/{id}", get(transactions::one))
        .route("/transactions/{id}/cancel", post(actions::cancel))
        .route("/transactions/{id}/post", post(actions::post))
        .route("/transactions/{id}/void", post(actions::void))
        .route("/transactions/{id}/review", post(actions::review))
        .route("/ledger/trial-balance", get(ledger::trial_balance))
        .route("/ledger/journal/{tx}", get(ledger::journal))
        .route("/risk/{tx}", get(ledger::risk))
        .route("/commands/{topic}", post(write::commands))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(middleware::from_fn_with_state(Arc::clone(&api), metrics::measure))
        .with_state(api)
}

async fn no_route(uri: Uri) -> Problem {
    Problem::not_found("route", uri.path())
}

async fn no_method(method: Method, uri: Uri) -> Problem {
    let detail = format!("{} does not take {method}", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
}

/// Which page of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// How many rows; 50 where absent, at most 500.
    pub limit: Option<usize>,
    /// `next` of the page before.
    pub cursor: Option<String>,
    /// A position that a write's answer carried: the page is no older.
    #[serde(rename = "position")]
    pub _position: Option<String>,
}

impl PageQuery {
    fn limit(&self) -> Result<usize, Problem> {
        match self.limit {
            None => Ok(PAGE),
            Some(limit @ 1..=LONGEST_PAGE) => Ok(limit),
            Some(limit) => Err(Problem::bad_request(
                "invalid_field",
                "limit",
                format!("{limit} is not between 1 and {LONGEST_PAGE}"),
            )),
        }
    }
}

/// How fresh the answer must be.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct FreshQuery {
    /// A position that a write's answer carried: the answer is no older.
    #[serde(rename = "position")]
    pub _position: Option<String>,
}

/// The one segment of a path that the route leaves open.
pub(crate) struct Segment(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = Path::<String>::from_request_parts(parts, state).await;
        read.map(|Path(segment)| Segment(segment)).map_err(|rejection| {
            let text = rejection.body_text();
            Problem::bad_request("invalid_field", text.split('`').nth(1).unwrap_or_default(), &text)
        })
    }
}

/// The query of a request.
pub(crate) struct Params<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = Query::<T>::try_from_uri(&parts.uri).map_err(|rejection| {
            let text = rejection.body_text();
            let message = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
            match message.split_once(": ") {
                Some((field, message)) if !field.contains([' ', '`']) => json::fault(field, message),
                _ => json::fault("", message),
            }
        })?;
        Ok(Params(query.0))
    }
}

/// The JSON body of a request; nothing where it is empty.
pub(crate) struct Body(pub Option<Value>);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let read = as_it_is(request.headers());
        let bytes = axum::body::Bytes::from_request(request, state).await.map_err(too_large)?;
        if bytes.is_empty() {
            return Ok(Body(None));
        }
        read?;
        json::text(&bytes).map(|value| Body(Some(value)))
    }
}

/// That the body is JSON in UTF-8, as it is: nothing that the headers say of it is passed over.
fn as_it_is(headers: &HeaderMap) -> Result<(), Problem> {
    let said =
        |name| headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).to_lowercase());
    let kinds: Vec<_> = said(header::CONTENT_TYPE).collect();
    let (kind, parameters) = match kinds.as_slice() {
        [] => ("application/json", ""),
        [kind] => kind.split_once(';').unwrap_or((kind, "")),
        _ => ("more than one thing", ""),
    };
    let is_json = ["application/json", "text/json"].contains(&kind.trim()) || kind.trim().ends_with("+json");
    if !is_json {
        // Also keeps other sites' forms out: a browser sends them here without asking.
        let detail = format!("the body is {kind}; send it with content-type: application/json");
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", detail));
    }
    let charset =
        |part: &str| Some(part.split_once('=').filter(|(name, _)| name.trim() == "charset")?.1.trim().to_owned());
    let mut charsets = parameters.split(';').filter_map(charset);
    let is_utf8 = charsets.all(|charset| ["utf-8", "utf8", "us-ascii"].contains(&charset.trim_matches('"')));
    if !is_utf8 || said(header::CONTENT_ENCODING).any(|encoding| encoding != "identity") {
        let detail = "the headers say that the body is packed, or not in UTF-8: send it as it is, in UTF-8";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "encoded", detail));
    }
    Ok(())
}

fn too_large(rejection: BytesRejection) -> Problem {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        let detail = format!("the body is over the limit of {BODY_LIMIT} bytes");
        return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail).value("limit", BODY_LIMIT);
    }
    Problem::bad_request("unreadable_body", "", rejection.body_text())
}

/// A header as text of at most `most` characters, which is what its command may carry; nothing where it is absent. Of two
/// it is not ours to guess which is meant.
pub(crate) fn text_header(headers: &HeaderMap, name: &str, most: usize) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Problem::bad_request("invalid_field", name, "the header is there twice: send it once"));
    }
    match value.to_str() {
        Ok(text) if (1..=most).contains(&text.len()) => Ok(Some(text.to_owned())),
        _ => {
            let detail = format!("the header must be 1 to {most} visible ASCII characters");
            Err(Problem::bad_request("invalid_field", name, detail))
        }
    }
}
