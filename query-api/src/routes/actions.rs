//! What one does to a transaction: cancel, post, void, review. Each is its command without the transaction's id, which the
//! path gives.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Map, Value};
use tributary_flow::TopicRef;
use tributary_graph as graph;

use super::write::{CommandAnswer, WaitQuery, typed};
use super::{Body, Params, Segment, Shared};
use crate::command::object;
use crate::problem::{Document, Problem};

macro_rules! actions {
    ($($(#[doc = $doc:literal])+ $action:ident, $path:literal, $record:literal, $schema:literal, $topic:ident;)+) => {$(
        $(#[doc = $doc])+
        #[utoipa::path(post, path = $path, tag = "transactions",
            params(("id" = String, Path, description = "The transaction"), WaitQuery, ("Idempotency-Key" = Option<String>, Header,), ("X-Actor" = Option<String>, Header,)),
            request_body(content = ref($schema), content_type = "application/json"),
            responses((status = 200, body = CommandAnswer), (status = 202, body = CommandAnswer), (status = "4XX", body = Document)))]
        pub(crate) async fn $action(
            State(api): State<Shared>,
            Segment(id): Segment,
            headers: HeaderMap,
            Params(query): Params<WaitQuery>,
            Body(body): Body,
        ) -> Result<Response, Problem> {
            let topic: TopicRef = &graph::$topic;
            let route = $path.replace("{id}", &id);
            typed(&api, &headers, &query, topic, &route, ($record, about(&id, body)?)).await
        }
    )+};
}

actions! {
    /// Withdraws a transaction that waits.
    cancel, "/transactions/{id}/cancel", "CancelTransaction", "#/components/schemas/CancelTransactionFields", TRANSACTIONS_COMMANDS;
    /// Posts what is held: all of it, or an amount per line.
    post, "/transactions/{id}/post", "PostTransaction", "#/components/schemas/PostTransactionFields", TRANSACTIONS_COMMANDS;
    /// Releases what is held without posting it.
    void, "/transactions/{id}/void", "VoidTransaction", "#/components/schemas/VoidTransactionFields", TRANSACTIONS_COMMANDS;
    /// Decides a transaction that waits for a reviewer, who is never its initiator.
    review, "/transactions/{id}/review", "ReviewTransaction", "#/components/schemas/ReviewTransactionFields", TRANSACTIONS_ADMIN_COMMANDS;
}

/// The fields of a command about transaction `id`.
fn about(id: &str, body: Option<Value>) -> Result<Value, Problem> {
    let mut fields = body.map_or_else(|| Ok(Map::new()), object)?;
    let own = fields.insert("transaction_id".to_owned(), Value::String(id.to_owned()));
    if own.is_some_and(|own| own != id) {
        return Err(Problem::bad_request("key_mismatch", "transaction_id", "the path is about another transaction"));
    }
    Ok(Value::Object(fields))
}
