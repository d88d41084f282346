//! Settings: flags first, then `TRIBUTARY_*`, then one typed file. Every setting is declared once, here; a key that is
//! not is refused by name, wherever it stands.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use figment::providers::{Env, Format, Serialized, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use serde::{Deserialize, Serialize};

/// The settings as flags; each also has an environment variable, `TRIBUTARY_` and its name in capitals, and a key of the
/// same name in the file.
#[derive(Args, Clone, Debug, Default, Serialize)]
#[command(next_help_heading = "Settings of every command")]
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
    /// Whether, while much waits, what comes next is computed while the last transaction commits, on Kafka [default: true].
    #[arg(long, global = true, value_name = "BOOL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    overlap: Option<bool>,
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

/// `TRIBUTARY_*`. A value is the text it is where a setting is text: a slot named `0` or a folder named `2026` is no number.
struct Environment;

impl Provider for Environment {
    fn metadata(&self) -> Metadata {
        Metadata::named("environment variable TRIBUTARY_*")
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let defaults = Serialized::defaults(Config::default()).data()?.remove(&Profile::Default).unwrap_or_default();
        let is_text = |name: &str| matches!(defaults.get(name), None | Some(Value::String(..) | Value::Empty(..)));
        let value = |name: &str, text: String| {
            if is_text(name) { Value::from(text) } else { text.parse().expect("infallible") }
        };
        let environment = Env::prefixed("TRIBUTARY_");
        let set = environment.iter().map(|(name, text)| (name.to_string(), value(name.as_str(), text)));
        Ok(Profile::Default.collect(set.collect()))
    }
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
    pub overlap: bool,
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
            overlap: true,
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
            .merge(Environment)
            .merge(Serialized::defaults(flags))
            .extract()
            .map_err(|error| anyhow::anyhow!("settings: {error}"))?;
        config.kafka.extend(flags.kafka_set.iter().cloned());
        config.check()?;
        Ok(config)
    }

    /// What a type does not say.
    fn check(&self) -> Result<()> {
        if self.partitions == 0 || self.partitions > 1_000 {
            bail!("partitions: {} is not between 1 and 1000", self.partitions);
        }
        if self.session_timeout_ms < 500 || self.session_timeout_ms > 300_000 {
            bail!("session_timeout_ms: {} is not between 500 and 300000", self.session_timeout_ms);
        }
        // Kafka's rule for the names of members.
        let letter = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if !(1..=100).contains(&self.slot.len()) || !self.slot.chars().all(letter) {
            bail!("slot: {:?} is not 1 to 100 letters, digits, dots, dashes and underscores", self.slot);
        }
        let given = [("brokers", self.brokers.as_ref()), ("schema_registry", self.schema_registry.as_ref())];
        for (name, text) in given.into_iter().chain([("http", Some(&self.http))]) {
            if text.is_some_and(|text| text.trim().is_empty() || text.contains('\0')) {
                bail!("{name}: it is empty, or holds a zero byte");
            }
        }
        if let Some((name, _)) = self
            .kafka
            .iter()
            .find(|(name, value)| name.is_empty() || [name, value].iter().any(|text| text.contains('\0')))
        {
            bail!("kafka: the name of a setting is empty, or {name:?} or its value holds a zero byte");
        }
        Ok(())
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
