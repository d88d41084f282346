//! What each client is told, apart from what the user passes through. Our own words win: what they say is what the rules
//! of exactly-once rest on.

use std::collections::BTreeMap;

use rdkafka::ClientConfig;

use crate::Options;

/// librdkafka settings by name.
pub(crate) type Settings = BTreeMap<String, String>;

/// How long a transaction may be open: it holds back every reader of committed records.
pub(crate) const TRANSACTION_TIMEOUT_MS: u32 = 10_000;

impl Options {
    /// The consumer group: a placement of the application.
    #[must_use]
    pub fn group(&self) -> String {
        format!("{}.{}", self.application, self.placement)
    }

    /// The transactional id: a slot of the placement, so that equal slots of two placements do not fence each other.
    #[must_use]
    pub fn transactional_id(&self) -> String {
        format!("{}.{}.{}", self.application, self.placement, self.slot)
    }

    fn settings<const N: usize>(&self, ours: [(&str, String); N]) -> Settings {
        client(&self.brokers, &self.client, ours)
    }

    /// The member of the group.
    pub(crate) fn consumer(&self) -> Settings {
        let mut settings = self.settings([
            ("client.id", format!("{}.engine", self.transactional_id())),
            ("group.id", self.group()),
            ("group.instance.id", self.transactional_id()),
            // A member that joined before the brokers knew all topics learns of the rest by this, and joins again.
            ("topic.metadata.refresh.interval.ms", "5000".into()),
            ("group.protocol", "classic".into()),
            ("partition.assignment.strategy", "range".into()),
            ("session.timeout.ms", self.session.as_millis().to_string()),
            // How soon a rebalance is heard of: more often than the session's sake asks.
            ("heartbeat.interval.ms", (self.session.as_millis() / 12).to_string()),
            // No more is fetched of a partition while that much of it waits: seldom and much costs both sides less than often and little.
            ("queued.min.messages", "1000".into()),
        ]);
        settings.extend(reading("read_committed"));
        settings
    }

    /// The engine's producer, by its transactional id: as the clients of librdkafka are told, as far as it means anything to `wire`.
    pub(crate) fn producer(&self, id: &str) -> Settings {
        self.settings([
            ("client.id", format!("{}.engine", self.transactional_id())),
            ("transactional.id", id.to_owned()),
            ("transaction.timeout.ms", TRANSACTION_TIMEOUT_MS.to_string()),
            ("message.max.bytes", self.message_max_bytes()),
        ])
    }

    /// The producer of what the edge submits.
    pub(crate) fn submitter(&self) -> ClientConfig {
        let settings = self.settings([
            ("client.id", format!("{}.edge", self.transactional_id())),
            ("enable.idempotence", "true".into()),
            ("acks", "all".into()),
            ("linger.ms", self.client.get("linger.ms").cloned().unwrap_or_else(|| self.linger.as_millis().to_string())),
            ("message.timeout.ms", "30000".into()),
            ("message.max.bytes", self.message_max_bytes()),
        ]);
        settings.into_iter().collect()
    }

    /// Room for a record's framing beside its key and value.
    fn message_max_bytes(&self) -> String {
        (self.max_record + 16_384).to_string()
    }
}

/// A client of `brokers`, with what the user passes through and then `ours`.
pub(crate) fn client<const N: usize>(
    brokers: &str,
    passed: &BTreeMap<String, String>,
    ours: [(&str, String); N],
) -> Settings {
    let mut settings = Settings::from([("reconnect.backoff.max.ms".to_owned(), "1000".to_owned())]);
    settings.extend(passed.clone());
    settings.insert("bootstrap.servers".into(), brokers.to_owned());
    settings.extend(ours.map(|(key, value)| (key.to_owned(), value)));
    settings
}

/// A reader that assigns itself what it reads. It is in no group; librdkafka wants a name all the same.
pub(crate) fn reader(brokers: &str, passed: &BTreeMap<String, String>, isolation: &str) -> Settings {
    let mut settings = client(brokers, passed, [("group.id", "tributary.reader".into())]);
    settings.extend(reading(isolation));
    settings
}

/// A reader of what is committed that goes from one partition to the next. It knows that it is at an end by an answer without
/// records, and a broker holds such an answer back for as long as it may.
pub(crate) fn auditor(brokers: &str, passed: &BTreeMap<String, String>) -> Settings {
    let mut settings = reader(brokers, passed, "read_committed");
    settings.insert("fetch.wait.max.ms".into(), "10".into());
    settings
}

/// What all readers share: positions are ours, ends are told, and what is fetched ahead is bounded.
fn reading(isolation: &str) -> Settings {
    [
        ("isolation.level", isolation),
        ("check.crcs", "true"),
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("enable.partition.eof", "true"),
        ("auto.offset.reset", "error"),
        ("queued.max.messages.kbytes", "16384"),
        ("fetch.max.bytes", "16777216"),
        ("fetch.wait.max.ms", "100"),
        ("fetch.error.backoff.ms", "50"),
        // What is fetched ahead is used up long before the default of a second.
        ("fetch.queue.backoff.ms", "10"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}
