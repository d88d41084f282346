//! Reads of accounts.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use tributary_flow::{Date, Reader, Timestamp, reader, time::SECOND};
use tributary_graph::account;
use tributary_graph::account_view::NODE;
use tributary_schemas::AccountId;
use utoipa::IntoParams;

use super::{FreshQuery, PageQuery, Params, Segment, Shared, system};
use crate::answer::{AccountAnswer, AccountTransactionAnswer, BalanceAnswer, EntryAnswer, MoneyAnswer, Page};
use crate::api::Fresh;
use crate::json;
use crate::problem::Problem;
use crate::token;
use crate::views::account::{Account, BY_TIME, BY_VALUE, ENTRIES, LEGS, TRANSACTIONS, on_normal_side};

/// How long after a time its balance can be called final: nothing decided then is still under way.
const SETTLED: i64 = 60 * SECOND;

/// Accounts in order of id.
#[utoipa::path(get, path = "/accounts", tag = "accounts", params(PageQuery),
    responses((status = 200, body = Page<AccountAnswer>), (status = "4XX", body = crate::problem::Document)))]
pub(crate) async fn list(
    State(api): State<Shared>,
    fresh: Fresh,
    Params(query): Params<PageQuery>,
) -> Result<Json<Page<AccountAnswer>>, Problem> {
    let limit = query.limit()?;
    // Nothing in an id sorts before \u{1}: the first key behind the last one seen.
    let after = query.cursor.as_deref().map(|cursor| token::read_cursor::<1>("accounts", cursor)).transpose()?;
    let from = after.map(|[id]| id + "\u{1}");
    let mut items = Vec::new();
    for partition in 0..api.platform.partitions() {
        api.refresh(&NODE, partition, &fresh).await?;
        let from = from.clone();
        items.extend(api.read(&NODE, partition, move |reader| opened(reader, from, limit + 1)).await?);
    }
    items.sort_by(|a, b| a.account_id.cmp(&b.account_id));
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(|last| token::cursor("accounts", &[&last.account_id]));
    Ok(Json(Page { items, next }))
}

/// The first `limit` opened accounts from a key on; other keys are of those that were only spoken of.
fn opened(reader: Reader<'_>, mut from: Option<String>, limit: usize) -> Vec<AccountAnswer> {
    let mut found = Vec::new();
    loop {
        let page = reader::Page { from: from.as_ref(), to: None, reverse: false, limit };
        let heads = reader.heads::<Account>(page);
        let last = (heads.len() == limit).then(|| heads.last().map(|(key, _)| format!("{key}\u{1}"))).flatten();
        found.extend(heads.iter().filter_map(|(_, account)| AccountAnswer::of(account)));
        if found.len() >= limit || last.is_none() {
            return found;
        }
        from = last;
    }
}

/// An account; a system account named without its shard, as `world:EUR`, is the sum of its shards.
#[utoipa::path(get, path = "/accounts/{id}", tag = "accounts", params(("id" = String, Path, description = "The account"), FreshQuery),
    responses((status = 200, body = AccountAnswer), (status = "4XX", body = crate::problem::Document)))]
pub(crate) async fn one(
    State(api): State<Shared>,
    Segment(id): Segment,
    fresh: Fresh,
    Params(_): Params<FreshQuery>,
) -> Result<Json<AccountAnswer>, Problem> {
    let account_id = json::id::<AccountId>("id", &id)?;
    if let Some(shards) = system::shards(&account_id) {
        let shards = system::read(&api, shards, &fresh, |_, account, _| account.clone()).await?;
        let sum = system::sum(&account_id, shards).as_ref().and_then(AccountAnswer::of);
        return sum.map(Json).ok_or_else(|| Problem::not_found("account", &id));
    }
    with_account(&api, &id, &fresh, |_, account, _| AccountAnswer::of(account)).await.map(Json)
}

/// Reads an opened account, and whatever `read` reads beside it.
async fn with_account<T: Send + 'static>(
    api: &Shared,
    id: &str,
    fresh: &Fresh,
    read: impl FnOnce(Reader<'_>, &Account, &str) -> Option<T> + Send + 'static,
) -> Result<T, Problem> {
    json::id::<AccountId>("id", id)?;
    let key = id.to_owned();
    let found = api.read_key(&NODE, id, fresh, move |reader| {
        let account = reader.head::<Account>(&key).filter(|account| account.terms.is_some())?;
        read(reader, &account, &key)
    });
    found.await?.ok_or_else(|| Problem::not_found("account", id))
}

/// The entries of an account, oldest first.
#[utoipa::path(get, path = "/accounts/{id}/entries", tag = "accounts",
    params(("id" = String, Path, description = "The account"), PageQuery),
    responses((status = 200, body = Page<EntryAnswer>), (status = "4XX", body = crate::problem::Document)))]
pub(crate) async fn entries(
    State(api): State<Shared>,
    Segment(id): Segment,
    fresh: Fresh,
    Params(query): Params<PageQuery>,
) -> Result<Json<Page<EntryAnswer>>, Problem> {
    let limit = query.limit()?;
    let after = query.cursor.as_deref().map(|cursor| token::read_cursor::<1>("entries", cursor)).transpose()?;
    let next = |[sequence]: [String; 1]| sequence.parse::<u64>().ok().and_then(|sequence| sequence.checked_add(1));
    let from = after.map(|after| next(after).ok_or_else(token::bad_cursor)).transpose()?;
    let read = with_account(&api, &id, &fresh, move |reader, _, key| {
        let page = reader::Page { from: from.as_ref(), to: None, reverse: false, limit: limit + 1 };
        let mut rows = reader.rows(key, &ENTRIES, page);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(|(sequence, _)| token::cursor("entries", &[&sequence.to_string()]));
        Some(Page { items: rows.iter().map(|(_, entry)| EntryAnswer::from(entry)).collect(), next })
    });
    read.await.map(Json)
}

/// When, and by which time.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct BalanceQuery {
    /// An RFC 3339 time, or a day, which means its end; now where absent.
    at: Option<String>,
    /// `booked` (the default) or `value`.
    by: Option<String>,
    /// A position that a write's answer carried: the answer is no older.
    #[serde(rename = "position")]
    _position: Option<String>,
}

/// The balance of an account at a time, by booked time or by value date.
#[utoipa::path(get, path = "/accounts/{id}/balance", tag = "accounts",
    params(("id" = String, Path, description = "The account"), BalanceQuery),
    responses((status = 200, body = BalanceAnswer), (status = "4XX", body = crate::problem::Document)))]
pub(crate) async fn balance(
    State(api): State<Shared>,
    Segment(id): Segment,
    fresh: Fresh,
    Params(query): Params<BalanceQuery>,
) -> Result<Json<BalanceAnswer>, Problem> {
    let now = json::now();
    let at = query.at.as_deref().map_or(Ok(now), |at| json::moment("at", at))?;
    let by = match query.by.as_deref() {
        None | Some("booked") => "booked",
        Some("value") => "value",
        Some(other) => {
            return Err(Problem::bad_request(
                "invalid_field",
                "by",
                format!("{other:?} is neither \"booked\" nor \"value\""),
            ));
        }
    };
    let account_id = json::id::<AccountId>("id", &id)?;
    let waits =
        api.platform.tasks().iter().any(|task| [NODE.name, account::NODE.name].contains(&task.node) && task.lag > 0);
    let part = move |reader: Reader<'_>, account: &Account, key: &str| {
        let terms = account.terms.as_ref()?;
        let debits = if by == "value" { by_value(reader, key, at.date()) } else { by_time(reader, key, at) };
        Some((on_normal_side(debits, terms.kind), terms.currency, account.in_transit == 0))
    };
    let parts = match system::shards(&account_id) {
        Some(shards) => system::read(&api, shards, &fresh, part).await?.into_iter().flatten().collect(),
        None => vec![with_account(&api, &id, &fresh, part).await?],
    };
    let (_, currency, _) = *parts.first().ok_or_else(|| Problem::not_found("account", &id))?;
    let booked = parts.iter().all(|(.., booked)| *booked);
    Ok(Json(BalanceAnswer {
        account_id: id,
        at: if by == "value" { json::day(at.date()) } else { json::instant(at) },
        by,
        balance: MoneyAnswer::new(parts.iter().map(|(balance, ..)| balance).sum(), currency),
        r#final: by == "booked" && at.plus(SETTLED) <= now && booked && !waits,
    }))
}

fn by_time(reader: Reader<'_>, key: &str, at: Timestamp) -> i128 {
    let end = (at.plus(1), 0);
    let page = reader::Page { from: None, to: Some(&end), reverse: true, limit: 1 };
    reader.rows(key, &BY_TIME, page).first().map_or(0, |(_, sum)| *sum)
}

fn by_value(reader: Reader<'_>, key: &str, day: Date) -> i128 {
    let end = Date(day.0.saturating_add(1));
    let page = reader::Page { from: None, to: Some(&end), reverse: false, limit: usize::MAX };
    reader.rows(key, &BY_VALUE, page).iter().map(|(_, total)| total).sum()
}

/// The transactions of an account, newest first.
#[utoipa::path(get, path = "/accounts/{id}/transactions", tag = "accounts",
    params(("id" = String, Path, description = "The account"), PageQuery),
    responses((status = 200, body = Page<AccountTransactionAnswer>), (status = "4XX", body = crate::problem::Document)))]
pub(crate) async fn transactions(
    State(api): State<Shared>,
    Segment(id): Segment,
    fresh: Fresh,
    Params(query): Params<PageQuery>,
) -> Result<Json<Page<AccountTransactionAnswer>>, Problem> {
    let limit = query.limit()?;
    let before = super::transactions::read_moment("account-transactions", query.cursor.as_deref())?;
    let read = with_account(&api, &id, &fresh, move |reader, account, key| {
        let currency = account.terms.as_ref()?.currency;
        let page = reader::Page { from: None, to: before.as_ref(), reverse: true, limit: limit + 1 };
        let mut rows = reader.rows(key, &TRANSACTIONS, page);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().filter(|_| more);
        let next = last.map(|((at, id), ())| token::cursor("account-transactions", &[&at.0.to_string(), id]));
        let answer = |((_, id), ())| {
            let leg = reader.row(key, &LEGS, &id)?;
            Some(AccountTransactionAnswer::of(id, &leg, currency))
        };
        Some(Page { items: rows.into_iter().filter_map(answer).collect(), next })
    });
    read.await.map(Json)
}
