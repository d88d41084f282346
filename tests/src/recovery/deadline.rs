//! An outage may outlast the time for voting. Then a transaction fails, as it says it will, unless all of its votes were in
//! the log when the node started again: those must be heard before any timer.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use tributary_cli::decode::Decoder;
use tributary_flow::{Header, Log, Timestamp, TopicRef, log};
use tributary_graph::{ACCOUNTS_VOTES, RISK_EVENTS, TRANSACTIONS_LEGS};

/// What the log says of a transaction: when it was cancelled by its deadline, when its votes were given, how many are due.
#[derive(Default)]
struct Case {
    cancelled: Option<i64>,
    votes: Vec<i64>,
    due: usize,
}

/// Counts the transactions that ran into the voting deadline, on a node that was started at these times.
///
/// # Errors
/// One of them had all its votes at a start, and was cancelled after it.
pub fn check(log: &dyn Log, decoder: &Decoder, starts: &[Timestamp]) -> Result<usize> {
    let mut cases: BTreeMap<String, Case> = BTreeMap::new();
    let topics: [TopicRef; 3] = [&TRANSACTIONS_LEGS, &ACCOUNTS_VOTES, &RISK_EVENTS];
    for (topic, partition) in
        topics.into_iter().flat_map(|topic| (0..log.partitions()).map(move |partition| (topic, partition)))
    {
        log::visit(log, topic.name, partition, |record| {
            let (Header::Fact(fact), _, body) = decoder.json(topic, &record)? else { return Ok(()) };
            let case = cases.entry(body["transaction_id"].as_str().unwrap_or_default().to_owned()).or_default();
            match body["type"].as_str().unwrap_or_default() {
                // One vote of the account and one of risk.
                "LegRequested" => case.due += 2,
                "LegCancelled" if body["reason"]["code"] == "voting_deadline" => case.cancelled = Some(fact.time.0),
                "LegHeld" | "LegRefused" | "RiskAssessed" => case.votes.push(fact.time.0),
                _ => {}
            }
            Ok::<_, anyhow::Error>(())
        })?;
    }
    let late: Vec<_> = cases.iter().filter_map(|(id, case)| Some((id, case, case.cancelled?))).collect();
    for (id, case, cancelled) in &late {
        let heard_of =
            |start: i64| start <= *cancelled && case.votes.iter().filter(|at| **at < start).count() == case.due;
        let start = starts.iter().find(|start| heard_of(start.0));
        ensure!(
            start.is_none(),
            "{id}: all votes {:?} were given at start {start:?}, cancelled at {cancelled}",
            case.votes
        );
    }
    Ok(late.len())
}
