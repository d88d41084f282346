//! The graph as a picture, in Mermaid: who writes which topic, and who reads it.

use std::fmt::Write;

use tributary_flow::Kind;

use crate::{NODES, TOPICS};

/// A Mermaid flowchart, ending in a newline: doors on the left, views on the right, every arrow a topic's way.
#[must_use]
pub fn mermaid() -> String {
    let mut out = String::from(
        "flowchart LR\n  clients([clients]):::person\n  admins([admins]):::person\n  queries([queries]):::person\n",
    );
    for node in NODES {
        line(
            &mut out,
            format_args!("{}[[{}]]:::{}", id(node.name), node.name, if node.is_view() { "view" } else { "processor" }),
        );
    }
    for topic in TOPICS {
        line(
            &mut out,
            format_args!(
                "{}[({})]:::{}",
                id(topic.name),
                topic.name,
                if topic.kind.is_door() { "door" } else { "fact" }
            ),
        );
    }
    for topic in TOPICS.iter().filter(|topic| topic.kind.is_door()) {
        let writer = if topic.kind == Kind::AdminCommands { "admins" } else { "clients" };
        line(&mut out, format_args!("{writer} --> {}", id(topic.name)));
    }
    for node in NODES {
        for topic in node.inputs {
            line(&mut out, format_args!("{} --> {}", id(topic.name), id(node.name)));
        }
        for topic in node.outputs {
            line(&mut out, format_args!("{} ==> {}", id(node.name), id(topic.name)));
        }
        if node.is_view() {
            line(&mut out, format_args!("{} -.-> queries", id(node.name)));
        }
    }
    // Fill and ink are given together, so that the picture reads on a dark page too.
    for class in [
        "person fill:#f5f5f5,stroke:#616161,color:#212121",
        "processor fill:#bbdefb,stroke:#1565c0,color:#0d2b4e,font-weight:bold",
        "view fill:#d1c4e9,stroke:#512da8,color:#27134f",
        "door fill:#ffe0b2,stroke:#e65100,color:#4a1f00",
        "fact fill:#dcedc8,stroke:#558b2f,color:#203b0c",
    ] {
        line(&mut out, format_args!("classDef {class}"));
    }
    out
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(out, "  {text}").expect("invariant: a string can be written to");
}

/// A name as Mermaid takes it for an id. A node and a topic never share one, for a topic's has dots.
fn id(name: &str) -> String {
    name.replace(['.', '-'], "_")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_node_and_topic_has_an_id_of_its_own() {
        let ids: BTreeSet<_> =
            NODES.iter().map(|node| node.name).chain(TOPICS.iter().map(|topic| topic.name)).map(id).collect();
        assert_eq!(ids.len(), NODES.len() + TOPICS.len());
    }

    #[test]
    fn every_way_of_the_graph_is_drawn_once() {
        let drawn = mermaid();
        for node in NODES {
            for topic in node.inputs {
                assert_eq!(drawn.matches(&format!("  {} --> {}\n", id(topic.name), id(node.name))).count(), 1);
            }
            for topic in node.outputs {
                assert_eq!(drawn.matches(&format!("  {} ==> {}\n", id(node.name), id(topic.name))).count(), 1);
            }
        }
    }
}
