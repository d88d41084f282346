//! JSON over HTTP as a client: a schema registry, and a running `tributary up`.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// How long a question may take: an engine may be waiting for the answer.
const QUESTION: Duration = Duration::from_secs(3);
/// How long a command may take.
const COMMAND: Duration = Duration::from_secs(30);

fn agent(bound: Duration) -> ureq::Agent {
    ureq::Agent::config_builder().timeout_global(Some(bound)).http_status_as_error(false).build().into()
}

/// The answer to a GET; nothing where it is 404.
pub fn get(url: &str) -> Result<Option<Value>> {
    let mut answer = agent(QUESTION).get(url).call().with_context(|| format!("no answer from {url}"))?;
    match answer.status().as_u16() {
        200..=299 => Ok(Some(answer.body_mut().read_json().with_context(|| format!("{url} did not answer in JSON"))?)),
        404 => Ok(None),
        status => bail!("{url} answered {status}"),
    }
}

/// The answer to a POST.
pub fn post(url: &str, body: &Value) -> Result<Value> {
    let mut answer = agent(COMMAND).post(url).send_json(body).with_context(|| format!("no answer from {url}"))?;
    let status = answer.status().as_u16();
    let text = answer.body_mut().read_to_string().unwrap_or_default();
    if !(200..300).contains(&status) {
        bail!("{url} answered {status}: {}", text.chars().take(500).collect::<String>());
    }
    serde_json::from_str(&text).with_context(|| format!("{url} did not answer in JSON"))
}
