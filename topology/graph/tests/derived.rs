//! What is derived from the graph and committed equals what the graph says now. `UPDATE=1` rewrites it.

use std::fs;
use std::path::{Path, PathBuf};

use tributary_graph::{asyncapi, describe, diagram};

const MEND: &str = "run `UPDATE=1 cargo test --release -p tributary-graph --test derived` and commit the change";

fn updating() -> bool {
    std::env::var_os("UPDATE").is_some_and(|value| value == "1")
}

fn readme() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md")
}

/// Compares, or rewrites, the README's section between `<!-- name:begin -->` and `<!-- name:end -->`.
fn section(name: &str, expected: &str) {
    let (begin, end) = (format!("<!-- {name}:begin -->\n"), format!("<!-- {name}:end -->"));
    let missing = format!("README.md must exist and hold a section between `{}` and `{end}`", begin.trim());
    let text = fs::read_to_string(readme()).unwrap_or_else(|error| panic!("{missing}: {error}"));
    let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("{missing}"));
    let (found, after) = rest.split_once(&end).unwrap_or_else(|| panic!("{missing}"));
    if found == expected {
        return;
    }
    assert!(updating(), "README.md's section {name:?} is not what the graph says: {MEND}");
    fs::write(readme(), format!("{before}{begin}{expected}{end}{after}")).unwrap();
}

/// Both sections lie in one file: one test, so that an update does not write over another.
#[test]
fn the_readme_shows_the_graph() {
    section("diagram", &format!("```mermaid\n{}```\n", diagram::mermaid()));
    section("topics", &describe::topics_table());
}

#[test]
fn the_committed_asyncapi_is_the_graphs() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("asyncapi.json");
    let expected = serde_json::to_string_pretty(&asyncapi::asyncapi()).unwrap() + "\n";
    if fs::read_to_string(&path).is_ok_and(|found| found == expected) {
        return;
    }
    assert!(updating(), "topology/graph/asyncapi.json is not what the graph says: {MEND}");
    fs::write(&path, expected).unwrap();
}

/// Every reference of the document leads somewhere.
#[test]
fn the_asyncapi_is_whole() {
    fn refs<'a>(value: &'a serde_json::Value, found: &mut Vec<&'a str>) {
        match value {
            serde_json::Value::Object(fields) => fields.iter().for_each(|(name, value)| match value.as_str() {
                Some(target) if name == "$ref" => found.push(target),
                _ => refs(value, found),
            }),
            serde_json::Value::Array(items) => items.iter().for_each(|item| refs(item, found)),
            _ => {}
        }
    }
    let document = asyncapi::asyncapi();
    let mut found = Vec::new();
    refs(&document, &mut found);
    assert!(found.len() >= tributary_graph::TOPICS.len());
    for target in found {
        assert!(document.pointer(target.trim_start_matches('#')).is_some(), "{target}");
    }
}
