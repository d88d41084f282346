//! The house holds: dependencies point one way, and the rules that no compiler checks are kept. What is refused here is
//! refused by name, with the rule.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const MOST_LINES: usize = 400;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// What a crate is linked with (not what only its tests use), by the crate's folder.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let crates = metadata["packages"].as_array().unwrap().iter().map(|package| {
        let folder = Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap();
        let folder = folder.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        let linked =
            package["dependencies"].as_array().unwrap().iter().filter(|dependency| dependency["kind"] != "dev");
        (folder, linked.map(|dependency| dependency["name"].as_str().unwrap().to_owned()).collect())
    });
    crates.collect()
}

/// Our crates that the crate in `folder` may know; all of them where the answer is none.
fn may_know(folder: &str) -> Option<&'static [&'static str]> {
    match folder {
        "topology/flow" => Some(&[]),
        "schemas" | "topology/embedded" | "topology/slot" => Some(&["tributary-flow"]),
        "topology/broker" | "topology/sim" => Some(&["tributary-flow", "tributary-slot"]),
        "topology/graph" => Some(&["tributary-flow", "tributary-schemas"]),
        "topology/cli" | "tests" => None,
        // Processors and views: never each other, never a driver.
        _ => Some(&["tributary-flow", "tributary-schemas", "tributary-graph"]),
    }
}

/// Libraries that belong to some crates only.
const KEPT_TO: [(&str, &[&str]); 5] = [
    ("rdkafka", &["topology/broker"]),
    ("rdkafka-sys", &["topology/broker"]),
    ("rocksdb", &["topology/broker", "topology/embedded"]),
    ("axum", &["query-api", "topology/cli"]),
    // What tests compare our own codec with.
    ("apache-avro", &[]),
];

#[test]
fn dependencies_point_one_way() {
    let crates = dependencies();
    assert!(crates.len() >= 13, "{:?}", crates.keys());
    for (folder, linked) in &crates {
        if let Some(allowed) = may_know(folder) {
            for name in linked.iter().filter(|name| name.starts_with("tributary")) {
                assert!(
                    allowed.contains(&name.as_str()),
                    "{folder} must not depend on {name}: it may know only {allowed:?}"
                );
            }
        }
        assert!(folder == "tests" || !linked.contains("tributary-tests"), "{folder} must not depend on the tests");
    }
}

#[test]
fn a_library_stays_where_it_belongs() {
    for (folder, linked) in dependencies() {
        for (library, places) in KEPT_TO {
            let kept = !linked.contains(library) || places.contains(&folder.as_str());
            assert!(kept, "{folder} must not depend on {library}: it belongs to {places:?}");
        }
    }
}

/// Every file that people write, by its path from the root.
fn files() -> Vec<String> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy();
            if name.starts_with('.') || ["target", "generated", "node_modules", "__pycache__"].contains(&&*name) {
                continue;
            }
            if path.is_dir() { walk(&path, found) } else { found.push(path) }
        }
    }
    let mut found = Vec::new();
    walk(&root(), &mut found);
    let mut names: Vec<_> =
        found.iter().map(|path| path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

fn rust_files() -> Vec<(String, String)> {
    let rust = files().into_iter().filter(|name| name.ends_with(".rs"));
    rust.map(|name| (name.clone(), fs::read_to_string(root().join(&name)).unwrap())).collect()
}

#[test]
fn no_file_is_longer_than_one_can_hold_in_mind() {
    let long: Vec<_> = rust_files()
        .into_iter()
        .map(|(name, text)| (name, text.lines().count()))
        .filter(|(_, lines)| *lines > MOST_LINES)
        .collect();
    assert!(long.is_empty(), "over {MOST_LINES} lines: {long:?}");
}

#[test]
fn no_name_says_nothing() {
    const EMPTY: [&str; 6] = ["common", "util", "utils", "helper", "helpers", "manager"];
    let empty = |name: &str| {
        let lower = name.to_lowercase();
        lower.ends_with("_v2")
            || lower.split(['_', '-', '.']).any(|word| EMPTY.contains(&word))
            || name.ends_with("Manager")
    };
    for file in files() {
        let part = file.split('/').find(|part| empty(part));
        assert_eq!(part, None, "{file}: a name says what a thing is for");
    }
    for (file, text) in rust_files() {
        let words: Vec<_> =
            text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()).collect();
        for pair in words.windows(2) {
            let declares = ["mod", "struct", "enum", "trait", "fn", "type"].contains(&pair[0]);
            assert!(!declares || !empty(pair[1]), "{file}: {} {}: a name says what a thing is for", pair[0], pair[1]);
        }
    }
}

/// What a step reads besides its arguments would make a replay a hope instead of an audit.
#[test]
fn no_clock_no_chance_and_no_disorder_in_the_core_and_the_processors() {
    const FORBIDDEN: [&str; 10] = [
        "SystemTime",
        "Instant::now",
        "std::time",
        "thread_rng",
        "rand::",
        "HashMap",
        "HashSet",
        "RandomState",
        "std::fs",
        "std::net",
    ];
    for (file, text) in rust_files() {
        let pure = file.starts_with("topology/flow/src") || (file.starts_with("processors/") && file.contains("/src/"));
        let found = FORBIDDEN.iter().find(|word| pure && text.contains(**word));
        assert_eq!(found, None, "{file}: a step is a function of its arguments");
    }
}

#[test]
fn no_float_comes_near_money() {
    for (file, text) in rust_files() {
        let near =
            (file.starts_with("processors/") || file.starts_with("topology/flow/") || file.starts_with("schemas/"))
                && file.contains("/src/");
        let float = text.split(|c: char| !c.is_alphanumeric() && c != '_').find(|word| ["f32", "f64"].contains(word));
        assert!(!near || float.is_none(), "{file}: {float:?}");
    }
}

#[test]
fn unsafe_code_is_kept_to_one_file() {
    let mark = concat!("allow(", "unsafe_code)");
    let found: Vec<_> = rust_files()
        .into_iter()
        .filter(|(name, text)| name.contains("/src/") && text.contains(mark))
        .map(|(name, _)| name)
        .collect();
    let kept = found.len() <= 1 && found.iter().all(|name| name.starts_with("topology/broker/src/"));
    assert!(kept, "only one file, of the broker, may be unsafe: {found:?}");
}

#[test]
fn every_crate_keeps_the_workspaces_lints() {
    for folder in dependencies().keys() {
        let manifest = fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true"), "{folder}/Cargo.toml: [lints] workspace = true");
    }
}
