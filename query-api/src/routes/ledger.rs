//! Reads of the general ledger and of risk's answers.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use tributary_flow::reader;
use tributary_graph::transaction_view::NODE;
use utoipa::IntoParams;

use super::transactions::with_transaction;
use super::{FreshQuery, Params, Segment, Shared};
use crate::answer::{JournalAnswer, Page, RiskAnswer, TrialBalanceAnswer};
use crate::api::Fresh;
use crate::json;
use crate::problem::Problem;
use crate::views::transaction::{JOURNAL, RISK, Totals};

/// When.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TrialQuery {
    /// An RFC 3339 time, or a day, which means its end; now where absent.
    at: Option<String>,
    /// A position that a write's answer carried: the answer is no older.
    #[serde(rename = "position")]
    _position: Option<String>,
}

/// The trial balance at a time, from the journal.
#[utoipa::path(get, path = "/ledger/trial-balance", tag = "ledger", params(TrialQuery),
    responses((status = 200, body = TrialBalanceAnswer), (status = "4XX", body = crate::problem::Document)))]
pub(crate) async fn trial_balance(
    State(api): State<Shared>,
    fresh: Fresh,
    Params(query): Params<TrialQuery>,
) -> Result<Json<TrialBalanceAnswer>, Problem> {
    let at = query.at.as_deref().map_or_else(|| Ok(json::now()), |at| json::moment("at", at))?;
    let mut totals = Totals::default();
    for partition in 0..api.platform.partitions() {
        api.refresh(&NODE, partition, &fresh).await?;
        let shared = Shared::clone(&api);
        let part = api.read(&NODE, partition, move |reader| shared.trial.at(partition, reader, at));
        totals.merge(&part.await?);
    }
    Ok(Json(TrialBalanceAnswer::of(at, &totals)))
}

/// The journal records of a transaction.
#[utoipa::path(get, path = "/ledger/journal/{tx}", tag = "ledger",
    params(("tx" = String, Path, description = "The transaction"), FreshQuery),
    responses((status = 200, body = Page<JournalAnswer>), (status = "4XX", body = crate::problem::Document)))]
pub(crate) async fn journal(
    State(api): State<Shared>,
    Segment(id): Segment,
    fresh: Fresh,
    Params(_): Params<FreshQuery>,
) -> Result<Json<Page<JournalAnswer>>, Problem> {
    let read = with_transaction(&api, &id, &fresh, |reader, _, key| {
        let rows = reader.rows(key, &JOURNAL, reader::Page::all());
        Some(Page { items: rows.iter().map(|(_, journal)| JournalAnswer::from(journal)).collect(), next: None })
    });
    read.await.map(Json)
}

/// Risk's answers for the accounts of a transaction.
#[utoipa::path(get, path = "/risk/{tx}", tag = "risk",
    params(("tx" = String, Path, description = "The transaction"), FreshQuery),
    responses((status = 200, body = Page<RiskAnswer>), (status = "4XX", body = crate::problem::Document)))]
pub(crate) async fn risk(
    State(api): State<Shared>,
    Segment(id): Segment,
    fresh: Fresh,
    Params(_): Params<FreshQuery>,
) -> Result<Json<Page<RiskAnswer>>, Problem> {
    let read = with_transaction(&api, &id, &fresh, |reader, _, key| {
        let rows = reader.rows(key, &RISK, reader::Page::all());
        Some(Page { items: rows.iter().map(|(_, (at, assessed))| RiskAnswer::of(*at, assessed)).collect(), next: None })
    });
    read.await.map(Json)
}
