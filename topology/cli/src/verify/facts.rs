//! Facts that no other law reads: they can be decoded, and are keyed by what they are about.

use tributary_flow::{LogError, TopicRef};
use tributary_graph::{PARTIES_EVENTS, RISK_EVENTS, TRANSACTIONS_LEGS};

use super::{Audit, place};

pub(super) fn check(audit: &mut Audit<'_>, partition: u32) -> Result<(), LogError> {
    let topics: [TopicRef; 3] = [&TRANSACTIONS_LEGS, &RISK_EVENTS, &PARTIES_EVENTS];
    for topic in topics {
        audit.visit(topic, partition, |report, decoder, record| {
            let at = place(topic, partition, record.offset);
            let found = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into_owned();
            match decoder.json(topic, &record) {
                Err(error) => report.violation("decodable", at, format!("{} {found}", topic.key), error),
                Ok((_, key, _)) if key != found => {
                    report.violation("keyed", at, format!("{} {found}", topic.key), format!("it is about {key}"));
                }
                Ok(_) => {}
            }
        })?;
    }
    Ok(())
}
