//! Facts that no other law reads: they can be decoded, and are keyed by what they are about. On the way it notes which
//! transactions are being taken back, which nothing else in the log says until they have ended.

use std::collections::HashSet;

use tributary_flow::{LogError, TopicRef};
use tributary_graph::{PARTIES_EVENTS, RISK_EVENTS, TRANSACTIONS_LEGS};

use super::{Audit, place};

pub(super) fn check(audit: &mut Audit<'_>, partition: u32, cancelled: &mut HashSet<String>) -> Result<(), LogError> {
    let topics: [TopicRef; 3] = [&TRANSACTIONS_LEGS, &RISK_EVENTS, &PARTIES_EVENTS];
    for topic in topics {
        audit.visit(topic, partition, |report, decoder, record, _| {
            let at = place(topic, partition, record.offset);
            let found = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into_owned();
            match decoder.json(topic, &record) {
                Err(error) => report.violation("decodable", at, format!("{} {found}", topic.key), error),
                Ok((_, key, _)) if key != found => {
                    report.violation("keyed", at, format!("{} {found}", topic.key), format!("it is about {key}"));
                }
                Ok((_, _, body)) if body["type"] == "LegCancelled" => {
                    cancelled.extend(body["transaction_id"].as_str().map(str::to_owned));
                }
                Ok(_) => {}
            }
        })?;
    }
    Ok(())
}
