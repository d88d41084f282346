//! Driver 1: Kafka and RocksDB, exactly once. The production engine.
//!
//! What one process decides is `tributary_slot`'s, and the same in the simulator; here is what it decides about: reading (`native`)
//! and writing (`wire`), the stores (`store.rs`), whether the coordinator means us (`membership.rs`), a thread for it all
//! (`shell.rs`), and the way in and out for everyone else ([`Broker`]). A process that another has replaced, or whose store
//! cannot be written, stops and says so: [`Broker::failure`].
//!
//! Deliberately absent: decisions about epochs, fencing and restoring.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;
use tributary_flow::Timestamp;

pub mod admin;
mod asked;
mod broker;
mod chatter;
mod ends;
mod log;
mod membership;
mod native;
mod settings;
mod shared;
mod shell;
mod state;
mod store;
mod submit;
mod wire;

pub use broker::{Broker, MakeTasks};
pub use log::KafkaLog;
pub use shared::Commits;
pub use state::StateReader;
pub use tributary_slot::Failure;

/// How to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bootstrap servers, as `host:port,host:port`.
    pub brokers: String,
    /// Name of the installation: prefix of the group and of transactional ids.
    pub application: String,
    /// Name of the set of nodes that this process runs.
    pub placement: String,
    /// Name of this process, unique in the application and kept across restarts.
    pub slot: String,
    /// Partitions of every topic: the only modulus, fixed at first start.
    pub partitions: u32,
    /// Folder of the stores, one per node; a node's can be deleted while the process is down, and is rebuilt.
    pub state_dir: PathBuf,
    /// librdkafka settings, passed through to every client: TLS, SASL. The engine's producer, which is our own, has TLS by files or
    /// text in PEM, and SASL by PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512.
    pub client: BTreeMap<String, String>,
    /// The wall clock.
    pub clock: fn() -> Timestamp,
    /// Whether a record is handed to its readers in this process within the epoch that writes it.
    pub fused: bool,
    /// Whether, while much waits, an epoch is computed while the one before it is made durable.
    pub overlap: bool,
    /// Whether the stores of tasks that other processes own are kept ready to take over.
    pub standby: bool,
    /// How long a process may be silent before the group gives its partitions away. Brokers refuse less than their
    /// `group.min.session.timeout.ms`, six seconds as they come.
    pub session: Duration,
    /// How long what is submitted is gathered before it is sent, in whole milliseconds; `linger.ms` in `client` wins.
    pub linger: Duration,
    /// Most records that are read for an epoch. Of those of a busy system one in seventeen is a command, and the rest what this
    /// process wrote itself.
    pub max_batch: usize,
    /// Largest key and value of a record, in bytes.
    pub max_record: usize,
    /// Memory for the blocks and write buffers of all stores together, and their filters, which stay in it (ten bits a row).
    pub cache_bytes: usize,
}

impl Options {
    /// Options for a cluster, with defaults for the rest.
    #[must_use]
    pub fn new(brokers: impl Into<String>, state_dir: impl Into<PathBuf>, clock: fn() -> Timestamp) -> Self {
        Options {
            brokers: brokers.into(),
            application: "tributary".into(),
            placement: "all".into(),
            slot: "slot-0".into(),
            partitions: 4,
            state_dir: state_dir.into(),
            client: BTreeMap::new(),
            clock,
            fused: true,
            overlap: true,
            standby: false,
            session: Duration::from_secs(6),
            linger: Duration::from_millis(1),
            max_batch: 5_000,
            max_record: 1_000_000,
            cache_bytes: 256 << 20,
        }
    }
}

/// Why the engine did not start. One line each, with what to change.
#[derive(Debug, Error)]
pub enum StartError {
    /// No broker answers.
    #[error(
        "Kafka at {brokers} cannot be reached: check --brokers (and --kafka-set security.protocol=… where it wants TLS or SASL): {reason}"
    )]
    Unreachable {
        /// The bootstrap servers.
        brokers: String,
        /// What the client said.
        reason: String,
    },
    /// librdkafka does not take a setting, or the engine's own producer does not.
    #[error("a Kafka setting is not accepted, check --kafka-set: {0}")]
    Setting(String),
    /// Topics are missing or not as they must be.
    #[error("topics are not as declared: {}; `tributary topology apply` creates what is missing; a count stays as it is, for every key was placed by it: give that one to --partitions", .0.join("; "))]
    Topics(Vec<String>),
    /// The clock is too far from the broker's.
    #[error(
        "this machine's clock is {seconds} s away from the clock of the broker: set it right (NTP), the limit is {limit} s"
    )]
    Clock {
        /// How far, ahead where positive.
        seconds: i64,
        /// How far it may be.
        limit: i64,
    },
    /// A store cannot be opened.
    #[error(
        "the store in {folder} cannot be opened or read: {reason}; where it is damaged, delete that folder: it is made again from \
         its changelog"
    )]
    Store {
        /// The node's folder.
        folder: PathBuf,
        /// Why.
        reason: String,
    },
}
