//! Reads of the general ledger and of risk's answers.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use tributary_graph::transaction_view::NODE;
use tributary_schemas::ledger::{Journal, JournalPosted};
use tributary_schemas::risk::RiskEvent;
use utoipa::IntoParams;

use super::transactions::with_transaction;
use super::{FreshQuery, Params, Segment, Shared};
use crate::answer::{JournalAnswer, Page, RiskAnswer, TrialBalanceAnswer};
use crate::api::Fresh;
use crate::json;
use crate::problem::Problem;
use crate::views::transaction::{Source, Told, Totals};

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
        let mut journal: Vec<JournalPosted> = Vec::new();
        for (_, Journal::JournalPosted(posted)) in Told::by(Source::Journal, reader, key) {
            journal.push(posted);
        }
        journal.sort_by_key(|journal| journal.posting);
        Some(Page { items: journal.iter().map(JournalAnswer::from).collect(), next: None })
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
        let mut last = BTreeMap::new();
        for (fact, RiskEvent::RiskAssessed(assessed)) in Told::by(Source::Risk, reader, key) {
            last.insert(assessed.account_id.to_string(), RiskAnswer::of(fact.time, &assessed));
        }
        Some(Page { items: last.into_values().collect(), next: None })
    });
    read.await.map(Json)
}
