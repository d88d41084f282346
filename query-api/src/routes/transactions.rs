//! Reads of transactions.

use axum::Json;
use axum::extract::State;
use tributary_flow::{Reader, Timestamp, reader};
use tributary_graph::transaction_view::NODE;
use tributary_schemas::TransactionId;

use super::{FreshQuery, PageQuery, Params, Segment, Shared, history};
use crate::answer::{Page, TransactionAnswer};
use crate::api::Fresh;
use crate::json;
use crate::problem::Problem;
use crate::token;
use crate::views::transaction::{BY_CREATED, Transaction};

/// Transactions, newest first.
#[utoipa::path(get, path = "/transactions", tag = "transactions", params(PageQuery),
    responses((status = 200, body = Page<TransactionAnswer>), (status = "4XX", body = crate::problem::Document)))]
pub(crate) async fn list(
    State(api): State<Shared>,
    fresh: Fresh,
    Params(query): Params<PageQuery>,
) -> Result<Json<Page<TransactionAnswer>>, Problem> {
    let limit = query.limit()?;
    let before = read_moment("transactions", query.cursor.as_deref())?;
    let mut found = Vec::new();
    for partition in 0..api.platform.partitions() {
        api.refresh(&NODE, partition, &fresh).await?;
        let before = before.clone();
        found.extend(api.read(&NODE, partition, move |reader| newest(reader, before.as_ref(), limit + 1)).await?);
    }
    found.sort_by(|(a, _), (b, _)| b.cmp(a));
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| more);
    let next = last.map(|((at, id), _)| token::cursor("transactions", &[&at.0.to_string(), id]));
    Ok(Json(Page { items: found.into_iter().map(|(_, transaction)| transaction).collect(), next }))
}

type Moment = (Timestamp, String);

fn newest(reader: Reader<'_>, before: Option<&Moment>, limit: usize) -> Vec<(Moment, TransactionAnswer)> {
    let rows = reader.index(&BY_CREATED, reader::Page { from: None, to: before, reverse: true, limit });
    let answer = |(moment, ()): (Moment, ())| {
        let answer = TransactionAnswer::of(&reader.head::<Transaction>(&moment.1)?)?;
        Some((moment, answer))
    };
    rows.into_iter().filter_map(answer).collect()
}

/// The place in a list by time and id that a cursor names.
pub(super) fn read_moment(list: &str, cursor: Option<&str>) -> Result<Option<Moment>, Problem> {
    let Some(cursor) = cursor else { return Ok(None) };
    let [at, id] = token::read_cursor(list, cursor)?;
    let at = at.parse().map_err(|_| token::bad_cursor())?;
    Ok(Some((Timestamp(at), id)))
}

/// A transaction with its whole history: every fact, with its cause.
#[utoipa::path(get, path = "/transactions/{id}", tag = "transactions",
    params(("id" = String, Path, description = "The transaction"), FreshQuery),
    responses((status = 200, body = TransactionAnswer), (status = "4XX", body = crate::problem::Document)))]
pub(crate) async fn one(
    State(api): State<Shared>,
    Segment(id): Segment,
    fresh: Fresh,
    Params(_): Params<FreshQuery>,
) -> Result<Json<TransactionAnswer>, Problem> {
    let read = with_transaction(&api, &id, &fresh, |reader, transaction, key| {
        let mut answer = TransactionAnswer::of(transaction)?;
        answer.history = history::of(reader, transaction, key);
        Some(answer)
    });
    read.await.map(Json)
}

/// Reads an initiated transaction, and whatever `read` reads beside it.
pub(super) async fn with_transaction<T: Send + 'static>(
    api: &Shared,
    id: &str,
    fresh: &Fresh,
    read: impl FnOnce(Reader<'_>, &Transaction, &str) -> Option<T> + Send + 'static,
) -> Result<T, Problem> {
    json::id::<TransactionId>("id", id)?;
    let key = id.to_owned();
    let found = api.read_key(&NODE, id, fresh, move |reader| {
        let transaction = reader.head::<Transaction>(&key).filter(|transaction| transaction.initiated.is_some())?;
        read(reader, &transaction, &key)
    });
    found.await?.ok_or_else(|| Problem::not_found("transaction", id))
}
