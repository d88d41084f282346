//! The way in for commands. Every write becomes a command under an id that a repetition derives again, so that sending a
//! request twice is always safe. Without `?wait` the answer is 202 as soon as the command is durable; with it, the outcome.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;
use tributary_flow::{CommandHeader, Place, TopicRef};
use tributary_graph as graph;
use utoipa::{IntoParams, ToSchema};

use super::outcome::{self, Settled};
use super::{Body, Params, Segment, Shared, text_header};
use crate::answer::{AccountAnswer, PlaceAnswer, TransactionAnswer};
use crate::api::{LONGEST_WAIT, Submitted};
use crate::command::{Command, CommandBody, keyed_id, random_id};
use crate::json::{self, instant};
use crate::problem::{Document, Problem};
use crate::token;
use crate::views::transaction::Status;

/// Most commands in one request.
const MOST_COMMANDS: usize = 1_000;

/// How long to wait for the outcome.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct WaitQuery {
    /// `5s`, `500ms`; at most 30 s. Not at all where absent. Where not even the log has acknowledged the command by then,
    /// the answer is 503: send it again with the same `Idempotency-Key`.
    wait: Option<String>,
}

impl WaitQuery {
    fn until(&self) -> Result<Option<Instant>, Problem> {
        let Some(text) = &self.wait else { return Ok(None) };
        let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
        let wait = match (number.parse(), unit) {
            (Ok(millis), "ms") => Duration::from_millis(millis),
            (Ok(seconds), "s" | "") => Duration::from_secs(seconds),
            _ => {
                return Err(Problem::bad_request(
                    "invalid_field",
                    "wait",
                    format!("{text:?} is no time as 5s or 500ms"),
                ));
            }
        };
        Ok(Some(Instant::now() + wait.min(LONGEST_WAIT)))
    }
}

/// What became of a command, as far as known.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CommandAnswer {
    /// The command's id: sent again with it, nothing happens twice.
    command_id: String,
    /// What it is about.
    key: String,
    /// Where the command lies.
    place: PlaceAnswer,
    /// The fact that answered it, where it was waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<OutcomeAnswer>,
    /// The account now.
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<AccountAnswer>,
    /// The transaction now.
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction: Option<TransactionAnswer>,
}

/// The fact that answered a command.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OutcomeAnswer {
    /// Its name, as `AccountOpened`.
    event: String,
    /// When it was decided.
    at: String,
    /// Where it lies.
    place: PlaceAnswer,
}

/// One command's answer among many.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum ItemAnswer {
    /// Taken.
    Taken(Box<CommandAnswer>),
    /// Refused.
    Problem(Document),
}

/// Who asks, and in whose trace.
struct Caller {
    actor: Option<String>,
    traceparent: Option<String>,
    idempotency_key: Option<String>,
}

impl Caller {
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        Ok(Caller {
            actor: text_header(headers, "x-actor", 255)?,
            traceparent: text_header(headers, "traceparent", 128)?,
            idempotency_key: text_header(headers, "idempotency-key", 255)?,
        })
    }

    fn header(&self) -> CommandHeader {
        let (actor, traceparent) = (self.actor.clone(), self.traceparent.clone());
        CommandHeader { time: json::now(), actor, traceparent, ..CommandHeader::default() }
    }

    /// The id of a command that comes through `route`.
    fn command_id(&self, route: &str) -> String {
        let keyed = |key: &String| keyed_id(self.actor.as_deref().unwrap_or_default(), route, key);
        self.idempotency_key.as_ref().map_or_else(random_id, keyed)
    }
}

/// An answer, or the problem that the outcome is; and where the outcome lies.
struct Answered {
    status: StatusCode,
    answer: Result<CommandAnswer, Problem>,
    outcome: Option<Place>,
}

impl IntoResponse for Answered {
    fn into_response(self) -> Response {
        let mut response = match self.answer {
            Ok(answer) => (self.status, Json(answer)).into_response(),
            Err(problem) => problem.into_response(),
        };
        if let Some(place) = self.outcome
            && let Ok(position) = HeaderValue::try_from(token::position(&place))
        {
            response.headers_mut().insert(token::POSITION, position);
        }
        response
    }
}

async fn send(api: &Shared, command: &Command, caller: &Caller, until: Option<Instant>) -> Result<Answered, Problem> {
    let submitted = api.submit(command, caller.header());
    follow(api, command, submitted, until).await
}

/// Waits for a command to be durable and, if asked, for its outcome.
async fn follow(
    api: &Shared,
    command: &Command,
    submitted: Submitted,
    until: Option<Instant>,
) -> Result<Answered, Problem> {
    let place = submitted.durable(until).await.map_err(|problem| problem.about(&command.id))?;
    let settled = match until {
        Some(until) => outcome::wait(api, command, &place, until).await?,
        None => None,
    };
    Ok(answered(command, &place, settled))
}

fn answered(command: &Command, place: &Place, settled: Option<Settled>) -> Answered {
    let taken = CommandAnswer {
        command_id: command.id.clone(),
        key: command.body.key().to_owned(),
        place: place.into(),
        outcome: None,
        account: None,
        transaction: None,
    };
    let Some(Settled { outcome, account, transaction, created, .. }) = settled else {
        return Answered { status: StatusCode::ACCEPTED, answer: Ok(taken), outcome: None };
    };
    let at = Some(outcome.place());
    if outcome.is_refusal() {
        let problem = Problem::of_reasons(&outcome.event, &command.id, &outcome.reasons);
        return Answered { status: problem.status(), answer: Err(problem), outcome: at };
    }
    if let (Some(Status::Failed | Status::Cancelled | Status::Expired), Some(transaction)) = (created, &transaction) {
        let problem = Problem::of_failure(&outcome.event, &command.id, &transaction.reasons);
        return Answered { status: problem.status(), answer: Err(problem), outcome: at };
    }
    let status =
        if created.is_some() || outcome.event == "AccountOpened" { StatusCode::CREATED } else { StatusCode::OK };
    let outcome = OutcomeAnswer { place: (&outcome.place()).into(), at: instant(outcome.at), event: outcome.event };
    Answered {
        status,
        answer: Ok(CommandAnswer { outcome: Some(outcome), account, transaction, ..taken }),
        outcome: at,
    }
}

/// Opens an account.
#[utoipa::path(post, path = "/accounts", tag = "accounts", params(WaitQuery, ("Idempotency-Key" = Option<String>, Header,), ("X-Actor" = Option<String>, Header,)),
    request_body(content = ref("#/components/schemas/OpenAccount"), content_type = "application/json"),
    responses((status = 201, body = CommandAnswer), (status = 202, body = CommandAnswer), (status = "4XX", body = Document)))]
pub(crate) async fn open_account(
    State(api): State<Shared>,
    headers: HeaderMap,
    Params(query): Params<WaitQuery>,
    Body(body): Body,
) -> Result<Response, Problem> {
    let record = ("OpenAccount", required(body)?);
    typed(&api, &headers, &query, &graph::ACCOUNTS_COMMANDS, "/accounts", record).await
}

/// Creates a transaction; waited for, the answer tells where it stands once it is no longer `initiated`.
#[utoipa::path(post, path = "/transactions", tag = "transactions", params(WaitQuery, ("Idempotency-Key" = Option<String>, Header,), ("X-Actor" = Option<String>, Header,)),
    request_body(content = ref("#/components/schemas/CreateTransaction"), content_type = "application/json"),
    responses((status = 201, body = CommandAnswer), (status = 202, body = CommandAnswer), (status = "4XX", body = Document)))]
pub(crate) async fn create_transaction(
    State(api): State<Shared>,
    headers: HeaderMap,
    Params(query): Params<WaitQuery>,
    Body(body): Body,
) -> Result<Response, Problem> {
    let record = ("CreateTransaction", required(body)?);
    typed(&api, &headers, &query, &graph::TRANSACTIONS_COMMANDS, "/transactions", record).await
}

fn required(body: Option<Value>) -> Result<Value, Problem> {
    body.ok_or_else(|| Problem::bad_request("missing_body", "", "the request has no body"))
}

pub(super) async fn typed(
    api: &Shared,
    headers: &HeaderMap,
    query: &WaitQuery,
    topic: TopicRef,
    route: &str,
    (named, fields): (&str, Value),
) -> Result<Response, Problem> {
    let (caller, until) = (Caller::of(headers)?, query.until()?);
    let command = Command::new(topic, caller.command_id(route), CommandBody::read(topic, named, fields)?)?;
    Ok(send(api, &command, &caller, until).await?.into_response())
}

/// Sends one command, `{"id"?, "key"?, "body": {"type", ...}}`, or an array of up to 1,000. Of an array that holds one
/// that cannot be read, none is sent.
#[utoipa::path(post, path = "/commands/{topic}", tag = "commands",
    params(("topic" = String, Path, description = "A command topic, as accounts.commands.v1"), WaitQuery, ("Idempotency-Key" = Option<String>, Header,), ("X-Actor" = Option<String>, Header,)),
    request_body(content = ref("#/components/schemas/Command"), content_type = "application/json"),
    responses((status = 200, body = CommandAnswer), (status = 202, body = CommandAnswer), (status = "4XX", body = Document)))]
pub(crate) async fn commands(
    State(api): State<Shared>,
    Segment(topic): Segment,
    headers: HeaderMap,
    Params(query): Params<WaitQuery>,
    Body(body): Body,
) -> Result<Response, Problem> {
    let (caller, until) = (Caller::of(&headers)?, query.until()?);
    let route = format!("/commands/{topic}");
    let read = |index: usize, json: Value| -> Result<Command, Problem> {
        let named = json.get("id").is_some_and(|id| !id.is_null());
        let mut command = Command::read(&topic, json)?;
        if !named && caller.idempotency_key.is_some() {
            command.id = caller.command_id(&format!("{route}[{index}]"));
        }
        Ok(command)
    };
    match required(body)? {
        Value::Array(items) => {
            if items.len() > MOST_COMMANDS {
                let detail = format!("{} commands are more than {MOST_COMMANDS}", items.len());
                return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_many_commands", detail));
            }
            let one = |(index, json)| read(index, json).map_err(|problem| problem.within(&format!("[{index}]")));
            let commands = items.into_iter().enumerate().map(one).collect::<Result<Vec<Command>, Problem>>()?;
            many(&api, commands, caller, until).await
        }
        json => Ok(send(&api, &read(0, json)?, &caller, until).await?.into_response()),
    }
}

/// Sends many commands at once; each gets its own answer, in order. They are waited for one after the other: by the time
/// the first has its outcome most others have theirs, and one who waits is woken by each commit, not a thousand.
async fn many(
    api: &Shared,
    commands: Vec<Command>,
    caller: Caller,
    until: Option<Instant>,
) -> Result<Response, Problem> {
    let submit = |command: Command| (api.submit(&command, caller.header()), command);
    let submitted: Vec<_> = commands.into_iter().map(submit).collect();
    let mut items = Vec::with_capacity(submitted.len());
    for (submitted, command) in submitted {
        let followed = follow(api, &command, submitted, until).await;
        items.push(match followed.and_then(|answered| answered.answer) {
            Ok(answer) => ItemAnswer::Taken(Box::new(answer)),
            Err(problem) => ItemAnswer::Problem(problem.document().clone()),
        });
    }
    let status = if until.is_some() { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(items)).into_response())
}
