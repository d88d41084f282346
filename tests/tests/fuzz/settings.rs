//! Settings: a file of any bytes, flags and the environment are taken, or refused by the name of what is wrong.

use std::process::Command;

use proptest::collection::vec;
use proptest::prelude::*;
use tributary_cli::config::{Config, Flags};

use crate::bytes::{edited, edits};
use crate::cases;

const FILE: &str = r#"
data = "folder"
partitions = 3
brokers = "kafka-1:9092,kafka-2:9092"
schema_registry = "http://registry:8081"
slot = "slot-a"
fuse = false
overlap = false
standby = true
session_timeout_ms = 6000
http = "127.0.0.1:8080"
log = "info,tributary_broker=debug"
[kafka]
"security.protocol" = "SASL_SSL"
"#;

const NAMES: [&str; 11] = [
    "data",
    "partitions",
    "brokers",
    "schema_registry",
    "slot",
    "fuse",
    "overlap",
    "standby",
    "session_timeout_ms",
    "http",
    "log",
];

/// Resolves a file of these bytes.
fn resolve(bytes: &[u8]) -> Result<Config, String> {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), bytes).expect("written");
    let mut flags = Flags::default();
    flags.config = Some(file.path().to_owned());
    Config::resolve(&flags).map_err(|error| format!("{error:#}"))
}

/// A value of each of TOML's types.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<bool>().prop_map(|flag| flag.to_string()),
        Just("1.5".to_owned()),
        Just("2026-01-31".to_owned()),
        Just("[]".to_owned()),
        Just("{ a = 1 }".to_owned()),
        "[ -~]{0,12}".prop_map(|text| format!("{text:?}")),
        Just(r#""\u0000""#.to_owned()),
    ]
}

proptest! {
    #![proptest_config(cases(1_000))]

    #[test]
    fn a_file_of_any_bytes_is_read_or_refused(bytes in vec(any::<u8>(), 0..200), edits in edits()) {
        for bytes in [bytes, edited(FILE.as_bytes(), &edits)] {
            if let Err(error) = resolve(&bytes) {
                prop_assert!(error.len() > 8, "{error:?} for {:?}", String::from_utf8_lossy(&bytes));
            }
        }
    }

    #[test]
    fn a_setting_of_another_type_or_range_is_refused_by_its_name(name in prop::sample::select(NAMES.to_vec()), value in value()) {
        let line = format!("{name} = {value}\n");
        if let Err(error) = resolve(line.as_bytes()) {
            prop_assert!(error.contains(name), "{line}: {error}");
            prop_assert!(!error.contains('\n'), "one line: {error}");
        }
    }

    #[test]
    fn a_setting_that_there_is_not_is_refused_by_its_name(name in "[a-z_]{1,12}", value in value()) {
        prop_assume!(!NAMES.contains(&name.as_str()) && name != "kafka");
        let error = resolve(format!("{name} = {value}\n").as_bytes()).expect_err("unknown");
        prop_assert!(error.contains(&name), "{name}: {error}");
    }
}

#[test]
fn the_file_itself_is_taken() {
    let config = resolve(FILE.as_bytes()).expect("settings");
    assert_eq!((config.partitions, config.slot.as_str(), config.fuse, config.kafka.len()), (3, "slot-a", false, 1));
}

/// Runs the binary with the environment given; what it says where it refuses.
fn with(environment: &[(&str, &str)], flags: &[&str]) -> Result<String, String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary-under-test"));
    let output = command.envs(environment.iter().copied()).args(flags).args(["topology", "show"]).output();
    let output = output.expect("it runs");
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match output.status.code() {
        Some(0) => Ok(said(&output.stdout)),
        Some(2) => Err(said(&output.stderr)),
        code => panic!("{code:?}: {}", said(&output.stderr)),
    }
}

#[test]
fn the_environment_and_flags_are_taken_or_refused_by_name() {
    for (name, value, refused) in [
        ("TRIBUTARY_PARTITIONS", "7", false),
        ("TRIBUTARY_PARTITIONS", "seven", true),
        ("TRIBUTARY_PARTITIONS", "-1", true),
        ("TRIBUTARY_PARTITIONS", "99999999999999999999", true),
        ("TRIBUTARY_PARTITIONS", "0", true),
        ("TRIBUTARY_PARTITIONS", "", true),
        ("TRIBUTARY_FUSE", "true", false),
        ("TRIBUTARY_FUSE", "yes", true),
        ("TRIBUTARY_STANDBY", "true", false),
        ("TRIBUTARY_SESSION_TIMEOUT_MS", "6000", false),
        ("TRIBUTARY_SESSION_TIMEOUT_MS", "6", true),
        ("TRIBUTARY_BROKERS", "", true),
        ("TRIBUTARY_HTTP", " ", true),
        ("TRIBUTARY_LOG", "info,,=", true),
        ("TRIBUTARY_SLOT", "a b", true),
        ("TRIBUTARY_SLOT", "", true),
        // Text is text, whatever else it looks like.
        ("TRIBUTARY_SLOT", "0", false),
        ("TRIBUTARY_SLOT", "true", false),
        ("TRIBUTARY_SLOT", "1.50", false),
        ("TRIBUTARY_DATA", "2026", false),
        ("TRIBUTARY_DATA", "[1]", false),
        ("TRIBUTARY_KAFKA", "{\"security.protocol\"=\"SSL\"}", false),
        ("TRIBUTARY_KAFKA", "7", true),
        ("TRIBUTARY_PARTITONS", "7", true),
    ] {
        let setting = name.strip_prefix("TRIBUTARY_").expect("a prefix").to_lowercase();
        match with(&[(name, value)], &[]) {
            Ok(_) => assert!(!refused, "{name}={value} is taken"),
            Err(said) => {
                assert!(refused, "{name}={value}: {said}");
                assert!(said.contains(&setting), "{name}={value}: {said}");
                assert!(said.trim_end().lines().count() == 1, "{name}={value}: {said}");
            }
        }
    }
    for (flags, named) in [
        (["--partitions", "many"], "--partitions"),
        (["--fuse", "2"], "--fuse"),
        (["--kafka-set", "nothing"], "--kafka-set"),
        (["--slot", "a/b"], "slot"),
        (["--config", "/nowhere"], "--config"),
        (["--colour", "red"], "--colour"),
    ] {
        let said = with(&[], &flags).expect_err("refused");
        assert!(said.contains(named), "{flags:?}: {said}");
    }
}
