//! Settings: flags first, then `TRIBUTARY_*`, then one typed file. Every setting is declared once, here; a key that is
//! not is refused by name, wherever it stands.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::{Deserialize, Serialize};

/// The settings as flags; each also has an environment variable, `TRIBUTARY_` and its name in capitals, and a key of the
/// same name in the file.
#[derive(Args, Clone, Debug, Default, Serialize)]
pub struct Flags {
    /// A TOML file with settings.
    #[arg(long, global = true, value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Folder for the log and state of the embedded driver, and for the stores of a node on Kafka [default: tributary-data].
    #[arg(long, global = true, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<PathBuf>,
    /// Partitions of every topic, fixed at first start [default: 4].
    #[arg(long, global = true, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    partitions: Option<u32>,
    /// Bootstrap servers of a Kafka cluster; without them the embedded driver is used.
    #[arg(long, global = true, value_name = "HOST:PORT,…")]
    #[serde(skip_serializing_if = "Option::is_none")]
    brokers: Option<String>,
    /// Your schema registry; without it the compiled schemas and their committed ids are used.
    #[arg(long, global = true, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    schema_registry: Option<String>,
    /// Name of this process on Kafka, unique in the installation and kept across restarts [default: slot-0].
    #[arg(long, global = true, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    slot: Option<String>,
    /// Whether a record is handed to its readers in this process within the transaction that writes it, on Kafka; without it
    /// every hop is a transaction of its own [default: true].
    #[arg(long, global = true, value_name = "BOOL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    fuse: Option<bool>,
    /// Whether this process keeps the state of partitions that other processes own ready to take over, on Kafka: a quicker
    /// failover for the work of writing all state in every process [default: false].
    #[arg(long, global = true, value_name = "BOOL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    standby: Option<bool>,
    /// How long a process may be silent before others take its partitions over, in milliseconds, on Kafka; brokers take no less
    /// than their group.min.session.timeout.ms [default: 6000].
    #[arg(long, global = true, value_name = "MS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    session_timeout_ms: Option<u64>,
    /// Address of the HTTP API [default: 127.0.0.1:8080].
    #[arg(long, global = true, value_name = "HOST:PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    http: Option<String>,
    /// A librdkafka setting passed through, such as security.protocol=SASL_SSL; may be repeated.
    #[arg(long = "kafka-set", global = true, value_name = "KEY=VALUE", value_parser = pair)]
    #[serde(skip)]
    kafka_set: Vec<(String, String)>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// The settings, resolved.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// See [`Flags`].
    pub data: PathBuf,
    /// See [`Flags`].
    pub partitions: u32,
    /// See [`Flags`].
    pub brokers: Option<String>,
    /// See [`Flags`].
    pub schema_registry: Option<String>,
    /// See [`Flags`].
    pub slot: String,
    /// See [`Flags`].
    pub fuse: bool,
    /// See [`Flags`].
    pub standby: bool,
    /// See [`Flags`].
    pub session_timeout_ms: u64,
    /// See [`Flags`].
    pub http: String,
    /// librdkafka settings, passed through.
    pub kafka: BTreeMap<String, String>,
    /// What to log, as `info` or `tributary_broker=debug`.
    pub log: String,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            data: "tributary-data".into(),
            partitions: 4,
            brokers: None,
            schema_registry: None,
            slot: "slot-0".into(),
            fuse: true,
            standby: false,
            session_timeout_ms: 6_000,
            http: "127.0.0.1:8080".into(),
            kafka: BTreeMap::new(),
            log: "warn".into(),
        }
    }
}

impl Config {
    /// Resolves the settings.
    pub fn resolve(flags: &Flags) -> Result<Self> {
        let mut figment = Figment::from(Serialized::defaults(Config::default()));
        if let Some(file) = &flags.config {
            if !file.is_file() {
                bail!("--config: {} is not a file", file.display());
            }
            figment = figment.merge(Toml::file_exact(file));
        }
        let mut config: Config = figment
            .merge(Env::prefixed("TRIBUTARY_"))
            .merge(Serialized::defaults(flags))
            .extract()
            .map_err(|error| anyhow::anyhow!("settings: {error}"))?;
        config.kafka.extend(flags.kafka_set.iter().cloned());
        if config.partitions == 0 || config.partitions > 1_000 {
            bail!("partitions: {} is not between 1 and 1000", config.partitions);
        }
        if config.session_timeout_ms < 500 || config.session_timeout_ms > 300_000 {
            bail!("session_timeout_ms: {} is not between 500 and 300000", config.session_timeout_ms);
        }
        Ok(config)
    }

    /// The bootstrap servers.
    pub fn brokers(&self) -> Result<&str> {
        self.brokers.as_deref().context("this needs a Kafka cluster: give --brokers HOST:PORT")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let file = std::env::temp_dir().join(format!("tributary-config-{}.toml", std::process::id()));
        std::fs::write(&file, "partitions = 3\npartitons = 4\n").expect("a temporary file");
        let error = Config::resolve(&Flags { config: Some(file.clone()), ..Flags::default() })
            .expect_err("refused")
            .to_string();
        std::fs::remove_file(&file).expect("removed");
        assert!(error.contains("partitons"), "{error}");
    }

    #[test]
    fn flags_win_over_the_file() {
        let file = std::env::temp_dir().join(format!("tributary-config-{}-2.toml", std::process::id()));
        std::fs::write(&file, "partitions = 3\nslot = \"a\"\n[kafka]\n\"ssl.ca.location\" = \"ca.pem\"\n")
            .expect("a temporary file");
        let flags = Flags { config: Some(file.clone()), partitions: Some(7), ..Flags::default() };
        let config = Config::resolve(&flags).expect("resolved");
        std::fs::remove_file(&file).expect("removed");
        assert_eq!(
            (config.partitions, config.slot.as_str(), config.kafka["ssl.ca.location"].as_str()),
            (7, "a", "ca.pem")
        );
    }
}
