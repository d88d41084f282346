//! What a scenario file says. Amounts are strings, times RFC 3339 or, in a step, relative to the step before (`+10s`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tributary_flow::framing::frame;
use tributary_flow::time::SECOND;
use tributary_flow::{Body, CommandHeader, Header, Timestamp, TopicRef};
use tributary_schemas::accounts::AccountCommand;
use tributary_schemas::risk::RiskCommand;
use tributary_schemas::transactions::TransactionCommand;
use tributary_schemas::{Amount, schema_id};

use super::expect::Expect;

/// A scenario.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Where it was read from.
    #[serde(skip)]
    pub path: PathBuf,
    /// A sentence.
    pub name: String,
    /// What it shows, and why that is so.
    #[serde(default)]
    pub doc: String,
    /// The clock at the beginning.
    pub start: String,
    /// Whether the steps may be submitted all at once: their outcome does not depend on their order.
    #[serde(default)]
    pub concurrent: bool,
    /// Nodes that do not run, until a step says otherwise.
    #[serde(default)]
    pub without: Vec<String>,
    /// Accounts that are there before the first step.
    #[serde(default)]
    pub accounts: Map<String, Value>,
    /// The story.
    pub steps: Vec<Step>,
    /// How it ends.
    pub then: Expect,
}

/// An account that is there: the fields of `OpenAccount`, and what it holds.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    currency: String,
    #[serde(default = "liability")]
    kind: String,
    funds: Option<Amount>,
    floor: Option<Amount>,
    daily_limit: Option<Amount>,
    monthly_limit: Option<Amount>,
}

fn liability() -> String {
    "LIABILITY".to_owned()
}

/// One step: time passes, nodes restart, a command is sent; then it is quiet and something can be seen.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// When; at the time of the step before where absent.
    pub at: Option<String>,
    /// For the reader.
    pub note: Option<String>,
    /// Restart before the command, without these nodes.
    pub restart_without: Option<Vec<String>>,
    /// The command's topic; the ordinary door for its type where absent.
    pub topic: Option<String>,
    /// The record's key; what the body is about where absent.
    pub key: Option<String>,
    /// The command's id; `step-N` where absent.
    pub id: Option<String>,
    /// Who asks.
    pub actor: Option<String>,
    /// The client's own time; that of the step where absent.
    pub time: Option<String>,
    /// The command, as `tributary_schemas` reads it.
    pub body: Option<Value>,
    /// The one event that answers it, `none` for a duplicate; any that is no refusal where absent.
    pub answer: Option<String>,
    /// The code of its refusal.
    pub refused: Option<String>,
    /// The field that the refusal names.
    pub field: Option<String>,
    /// Values that the refusal gives, among others.
    #[serde(default)]
    pub values: BTreeMap<String, String>,
    /// What can be seen once it is quiet; only where steps are played one at a time.
    pub then: Option<Expect>,
}

/// A command ready to be sent.
#[derive(Clone, Debug)]
pub struct Command {
    /// Topic.
    pub topic: TopicRef,
    /// Key.
    pub key: String,
    /// Id.
    pub id: String,
    /// Framed value.
    pub value: Vec<u8>,
}

impl Scenario {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read; the error names the place.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let mut scenario: Scenario = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        scenario.path = path.to_owned();
        Ok(scenario)
    }

    /// Every file of `tests/scenarios/` whose name contains what `SCENARIO` says, all of them where it says nothing.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub fn all() -> Result<Vec<Self>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let wanted = std::env::var("SCENARIO").unwrap_or_default();
        let mut paths: Vec<PathBuf> =
            std::fs::read_dir(&folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
        paths.retain(|path| {
            path.extension().is_some_and(|end| end == "json") && path.to_string_lossy().contains(&wanted)
        });
        paths.sort();
        paths.iter().map(|path| Scenario::read(path)).collect()
    }

    /// The file's name.
    #[must_use]
    pub fn file(&self) -> String {
        self.path.file_name().map_or_else(|| self.name.clone(), |name| name.to_string_lossy().into_owned())
    }

    /// The steps that make the accounts: each opened through the privileged door, and funded from outside.
    ///
    /// # Errors
    /// An account is not described as it should be.
    pub fn given(&self) -> Result<Vec<Step>> {
        let mut steps = Vec::new();
        for (id, given) in &self.accounts {
            let given: Given = serde_json::from_value(given.clone()).with_context(|| format!("accounts.{id}"))?;
            steps.push(Step {
                topic: Some("accounts.admin-commands.v1".to_owned()),
                id: Some(format!("open-{id}")),
                body: Some(json!({
                    "type": "OpenAccount", "account_id": id, "kind": given.kind, "currency": given.currency,
                    "floor": given.floor, "daily_limit": given.daily_limit, "monthly_limit": given.monthly_limit,
                })),
                ..Step::default()
            });
            if let Some(funds) = given.funds {
                // What raises the account's balance: a debit where it is an asset.
                let debit_normal = given.kind == "ASSET" || given.kind == "EXPENSE";
                let sides = if debit_normal { ["DEBIT", "CREDIT"] } else { ["CREDIT", "DEBIT"] };
                let amount = json!({"amount": funds, "currency": given.currency});
                steps.push(Step {
                    id: Some(format!("fund-{id}")),
                    body: Some(json!({"type": "CreateTransaction", "transaction_id": format!("fund-{id}"), "legs": [
                        {"account_id": id, "side": sides[0], "amount": amount},
                        {"account_id": format!("world:{}", given.currency), "side": sides[1], "amount": amount},
                    ]})),
                    ..Step::default()
                });
            }
        }
        Ok(steps)
    }
}

impl Step {
    /// When it happens, after a step at `before`.
    ///
    /// # Errors
    /// Not a time.
    pub fn time(&self, before: Timestamp) -> Result<Timestamp> {
        self.at.as_deref().map_or(Ok(before), |at| instant(at, before))
    }

    /// Its command, the `number`th of the story, sent at `now`.
    ///
    /// # Errors
    /// The body is no command.
    pub fn command(&self, number: usize, now: Timestamp) -> Result<Option<Command>> {
        let Some(body) = &self.body else { return Ok(None) };
        let id = self.id.clone().unwrap_or_else(|| format!("step-{number}"));
        let time = self.time.as_deref().map_or(Ok(now), |time| instant(time, now))?;
        let header =
            Header::Command(CommandHeader { id: id.clone(), time, actor: self.actor.clone(), ..Default::default() });
        let (topic, key, schema, datum) = if let Ok(body) = serde_json::from_value::<AccountCommand>(body.clone()) {
            encoded("accounts.commands.v1", &body, &header)
        } else if let Ok(body) = serde_json::from_value::<RiskCommand>(body.clone()) {
            encoded("parties.admin-commands.v1", &body, &header)
        } else {
            let body: TransactionCommand = serde_json::from_value(body.clone()).with_context(|| body.to_string())?;
            encoded("transactions.commands.v1", &body, &header)
        };
        let topic = tributary_cli::decode::topic(self.topic.as_deref().unwrap_or(topic))?;
        let Some(schema) = schema_id(schema) else { bail!("no schema {schema}") };
        Ok(Some(Command { topic, key: self.key.clone().unwrap_or(key), id, value: [frame(schema), datum].concat() }))
    }
}

fn encoded<B: Body>(topic: &'static str, body: &B, header: &Header) -> (&'static str, String, &'static str, Vec<u8>) {
    let mut datum = Vec::new();
    body.encode(header, &mut datum);
    (topic, body.key().to_owned(), B::SCHEMA, datum)
}

/// An instant: RFC 3339, or `+` and a number of `s`, `m`, `h` or `d` after `before`.
///
/// # Errors
/// Neither.
pub fn instant(text: &str, before: Timestamp) -> Result<Timestamp> {
    let Some(later) = text.strip_prefix('+') else {
        let instant: jiff::Timestamp = text.parse().with_context(|| format!("{text:?} is no time"))?;
        return Ok(Timestamp(instant.as_microsecond()));
    };
    let (number, unit) = later.split_at(later.len().saturating_sub(1));
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => bail!("{text:?} is no time: write +10s, +5m, +1h, +7d"),
    };
    Ok(before.plus(number.parse::<i64>().with_context(|| format!("{text:?} is no time"))? * seconds * SECOND))
}
