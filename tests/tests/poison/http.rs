//! The API, as its clients see it.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::{Value, json};

/// How long anything may take to happen.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Api {
    url: String,
    agent: ureq::Agent,
}

impl Api {
    pub fn new(url: &str) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
        Api { url: url.to_owned(), agent: config.build().into() }
    }

    pub fn text(&self, path: &str) -> Result<String> {
        Ok(self.agent.get(format!("{}{path}", self.url)).call()?.body_mut().read_to_string()?)
    }

    pub fn get(&self, path: &str) -> Result<(u16, Value)> {
        let mut answer = self.agent.get(format!("{}{path}", self.url)).call()?;
        Ok((answer.status().as_u16(), answer.body_mut().read_json()?))
    }

    fn post(&self, path: &str, id: &str, body: &Value) -> Result<(u16, Value)> {
        let request = self.agent.post(format!("{}{path}", self.url)).header("idempotency-key", id);
        let mut answer = request.send_json(body)?;
        Ok((answer.status().as_u16(), answer.body_mut().read_json()?))
    }

    pub fn open(&self, id: &str, wait: &str) -> Result<(u16, Value)> {
        let account = json!({"account_id": id, "kind": "LIABILITY", "currency": "EUR"});
        self.post(&format!("/accounts?wait={wait}"), id, &account)
    }

    pub fn pay(&self, id: &str, from: &str, to: &str, amount: &str, wait: &str) -> Result<(u16, Value)> {
        let amount = json!({"amount": amount, "currency": "EUR"});
        let leg = |account: &str, side: &str| json!({"account_id": account, "side": side, "amount": amount});
        let legs = [leg(from, "DEBIT"), leg(to, "CREDIT")];
        self.post(&format!("/transactions?wait={wait}"), id, &json!({"transaction_id": id, "legs": legs}))
    }

    /// Waits until `/health` is as it should be.
    pub fn until(&self, what: &str, holds: impl Fn(u16, &Value) -> bool) -> Result<Value> {
        self.until_at("/health", what, holds)
    }

    /// Waits until what lies at `path` is as it should be.
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
