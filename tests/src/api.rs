//! The HTTP API, as its clients see it.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::{Value, json};

/// How long anything may take to happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// A client of one process.
pub struct Api {
    url: String,
    agent: ureq::Agent,
}

/// The answer to a command.
pub struct Written {
    /// Status.
    pub status: u16,
    /// Document.
    pub document: Value,
    /// The token of read-your-writes.
    pub position: Option<String>,
}

impl Written {
    /// Whether the payment is completed.
    #[must_use]
    pub fn is_completed(&self) -> bool {
        self.status == 201 && self.document["transaction"]["status"] == "completed"
    }
}

impl Api {
    /// Of the process at `url`.
    #[must_use]
    pub fn new(url: &str) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
        Api { url: url.to_owned(), agent: config.build().into() }
    }

    /// What lies at `path`, as it is.
    ///
    /// # Errors
    /// There is no answer.
    pub fn text(&self, path: &str) -> Result<String> {
        Ok(self.agent.get(format!("{}{path}", self.url)).call()?.body_mut().read_to_string()?)
    }

    /// Status and document of what lies at `path`.
    ///
    /// # Errors
    /// There is no answer, or it is no document.
    pub fn get(&self, path: &str) -> Result<(u16, Value)> {
        let mut answer = self.agent.get(format!("{}{path}", self.url)).call()?;
        Ok((answer.status().as_u16(), answer.body_mut().read_json()?))
    }

    fn post(&self, path: &str, id: &str, body: &Value) -> Result<Written> {
        let request = self.agent.post(format!("{}{path}", self.url)).header("idempotency-key", id);
        let mut answer = request.send_json(body)?;
        let position = answer.headers().get("tributary-position").map(|token| token.to_str().map(str::to_owned));
        let (status, position) = (answer.status().as_u16(), position.transpose()?);
        Ok(Written { status, document: answer.body_mut().read_json()?, position })
    }

    /// Opens an account in euro.
    ///
    /// # Errors
    /// There is no answer, or it is no document.
    pub fn open(&self, id: &str, wait: &str) -> Result<Written> {
        let account = json!({"account_id": id, "kind": "LIABILITY", "currency": "EUR"});
        self.post(&format!("/accounts?wait={wait}"), id, &account)
    }

    /// Makes a payment in euro.
    ///
    /// # Errors
    /// There is no answer, or it is no document.
    pub fn pay(&self, id: &str, from: &str, to: &str, amount: &str, wait: &str) -> Result<Written> {
        let amount = json!({"amount": amount, "currency": "EUR"});
        let leg = |account: &str, side: &str| json!({"account_id": account, "side": side, "amount": amount});
        let legs = [leg(from, "DEBIT"), leg(to, "CREDIT")];
        self.post(&format!("/transactions?wait={wait}"), id, &json!({"transaction_id": id, "legs": legs}))
    }

    /// Waits until `/health` is as it should be.
    ///
    /// # Errors
    /// It is not, for a minute.
    pub fn until(&self, what: &str, holds: impl Fn(u16, &Value) -> bool) -> Result<Value> {
        self.until_at("/health", what, holds)
    }

    /// Waits until the process runs so many tasks.
    ///
    /// # Errors
    /// It does not, for a minute.
    pub fn until_runs(&self, tasks: usize) -> Result<()> {
        let all = |_, health: &Value| health["tasks"].as_array().is_some_and(|running| running.len() == tasks);
        self.until(&format!("{tasks} tasks run"), all).map(drop)
    }

    /// Waits until what lies at `path` is as it should be.
    ///
    /// # Errors
    /// It is not, for a minute.
    pub fn until_at(&self, path: &str, what: &str, holds: impl Fn(u16, &Value) -> bool) -> Result<Value> {
        let since = Instant::now();
        loop {
            let (status, found) = self.get(path)?;
            if holds(status, &found) {
                return Ok(found);
            }
            if since.elapsed() > PATIENCE {
                bail!("not within {PATIENCE:?}: {what}; {path} is {status} {found}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
