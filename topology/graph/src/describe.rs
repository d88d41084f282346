//! The graph in words: `tributary topology show`, and the table of topics in the README.

use std::fmt::Write;

use tributary_flow::{CLOCK, DEAD_LETTERS, Kind, TopicRef};

use crate::{NODES, TOPICS, writers};

/// Nodes with what they read and write, topics with kind, key and schema, and the topics that the platform keeps for
/// itself.
#[must_use]
pub fn topology() -> String {
    let mut out = String::from("Nodes\n");
    for node in NODES {
        line(&mut out, format_args!("\n  {}, keyed by {}: {}", node.name, node.key, node.doc.trim()));
        line(&mut out, format_args!("    reads   {}", names(node.inputs)));
        line(
            &mut out,
            format_args!(
                "    writes  {}",
                if node.is_view() { "nothing: a view".to_owned() } else { names(node.outputs) }
            ),
        );
    }
    out.push_str("\nTopics\n\n");
    let width = TOPICS.iter().map(|topic| topic.name.len()).max().unwrap_or_default();
    for topic in TOPICS {
        let kind = kind(topic.kind);
        line(&mut out, format_args!("  {:width$}  {kind:<14}  {:<11}  {}", topic.name, topic.key, topic.schema));
    }
    out.push_str("\nInternal topics\n\n");
    let internal = writers().flat_map(|node| {
        [
            (node.changelog(), format!("compacted: the state of {}", node.name)),
            (node.journal(), format!("what {} met, in which order, at which time: a replay's input", node.name)),
        ]
    });
    let internal: Vec<_> = internal
        .chain([
            (DEAD_LETTERS.to_owned(), "records that could not be taken, as they came".to_owned()),
            (CLOCK.to_owned(), "one partition: the brokers' time, which processes compare theirs with".to_owned()),
        ])
        .collect();
    let width = internal.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    for (name, doc) in internal {
        line(&mut out, format_args!("  {name:width$}  {doc}"));
    }
    out
}

/// The domain's topics as a Markdown table, ending in a newline.
#[must_use]
pub fn topics_table() -> String {
    let mut out = String::from("| topic | key | record | what it carries |\n| --- | --- | --- | --- |\n");
    for topic in TOPICS {
        let record = topic.schema.rsplit('.').next().unwrap_or(topic.schema);
        line(&mut out, format_args!("| `{}` | {} | `{record}` | {} |", topic.name, topic.key, topic.doc.trim()));
    }
    out
}

/// A kind as it stands in a topic's name.
#[must_use]
pub fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Commands => "commands",
        Kind::AdminCommands => "admin-commands",
        Kind::Events => "events",
        Kind::Legs => "legs",
        Kind::Votes => "votes",
        Kind::Entries => "entries",
        Kind::Journal => "journal",
    }
}

fn names(topics: &[TopicRef]) -> String {
    topics.iter().map(|topic| topic.name).collect::<Vec<_>>().join(", ")
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(out, "{text}").expect("invariant: a string can be written to");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topics_name_says_its_kind() {
        for topic in TOPICS {
            let parts: Vec<_> = topic.name.split('.').collect();
            let [domain, said, "v1"] = parts[..] else { panic!("{} is no <domain>.<kind>.v<major>", topic.name) };
            assert_eq!(said, kind(topic.kind), "{}", topic.name);
            assert!(!domain.is_empty() && !topic.name.contains('_'), "{}", topic.name);
        }
    }

    #[test]
    fn the_description_names_everything() {
        let text = topology();
        for topic in TOPICS {
            assert!(text.contains(&format!("\n  {} ", topic.name)), "{}", topic.name);
        }
        for node in NODES {
            assert!(text.contains(&format!("\n  {}, keyed by {}: ", node.name, node.key)), "{}", node.name);
            assert!(node.own().iter().all(|topic| text.contains(topic)), "{}", node.name);
        }
    }
}
