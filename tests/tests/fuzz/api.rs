//! The whole graph on the embedded engine with its API, for one test; and requests to it, byte by byte.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tributary_cli::audit::Live;
use tributary_cli::config::Config;
use tributary_cli::decode::Decoder;
use tributary_cli::up::{Running, embedded, serve};
use tributary_cli::verify::verify;
use tributary_flow::DEAD_LETTERS;

/// Runs `act` on an API, and then looks whether all is well: no task is halted, every command that was taken is answered,
/// and what the edge takes is never a dead letter.
pub fn with(act: impl FnOnce(&str, &Running) -> Result<()>) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let config =
        Config { data: folder.path().to_owned(), partitions: 2, http: "127.0.0.1:0".into(), ..Config::default() };
    let start = || embedded(&config);
    serve(&config, start, |running, url| {
        act(url.strip_prefix("http://").context("an address")?, running)?;
        let halted: Vec<_> = running.platform.tasks().into_iter().filter(|task| task.halted.is_some()).collect();
        ensure!(halted.is_empty(), "{halted:?}");
        for partition in 0..running.log.partitions() {
            if let Some(letter) = running.log.read(DEAD_LETTERS, partition, 0, 1)?.first() {
                let said =
                    letter.headers.iter().map(|(name, value)| format!("{name} {}", String::from_utf8_lossy(value)));
                bail!("taken at the edge, and then a dead letter: {:?}", said.collect::<Vec<_>>());
            }
        }
        let decoder = Decoder::new(running.registry.clone());
        let report = verify(running.log.as_ref(), &Live(running.platform.as_ref()), decoder, true)?;
        let said: Vec<String> = report.violations.iter().map(ToString::to_string).collect();
        ensure!(said.is_empty(), "{said:?}");
        Ok(false)
    })
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub kind: String,
    pub body: Vec<u8>,
}

impl Answer {
    /// The document of a refusal.
    pub fn problem(&self) -> Result<Value> {
        ensure!(self.kind == "application/problem+json", "{} {}", self.status, self.kind);
        let problem: Value = serde_json::from_slice(&self.body)?;
        ensure!(problem["status"] == self.status, "{problem}");
        let code = problem["code"].as_str().context("no code")?;
        ensure!(problem["type"] == format!("urn:tributary:problem:{code}"), "{problem}");
        ensure!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{problem}");
        Ok(problem)
    }
}

/// Sends a request as it is written here, on a connection of its own.
pub fn send(address: &str, method: &str, target: &str, headers: &[(&str, &[u8])], body: &[u8]) -> Result<Answer> {
    let mut request = format!("{method} {target} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n").into_bytes();
    for (name, value) in headers {
        request.extend_from_slice(&[name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    request.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    request.extend_from_slice(body);
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    // A server that has refused may close before it has read all.
    drop(stream.write_all(&request));
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).context("no whole answer")?;
    let Some(end) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
        bail!("the connection was closed: {:?}", String::from_utf8_lossy(&answer));
    };
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).context(head.clone())?;
    let kind = head.lines().filter_map(|line| line.split_once(": ")).find(|(name, _)| *name == "content-type");
    Ok(Answer {
        status,
        kind: kind.map_or_else(String::new, |(_, kind)| kind.to_owned()),
        body: answer[end + 4..].to_vec(),
    })
}
