//! Replay, byte for byte: every task recomputes from its journal what it wrote, and ends in the state that it has.

use anyhow::Result;
use tributary_flow::reader;
use tributary_graph::NODES;

use super::{Checker, Found, Seen};
use crate::replay::{Span, replay};

/// The checker. It remembers nothing.
pub struct Replayed;

impl Checker for Replayed {
    fn name(&self) -> &'static str {
        "replay"
    }

    fn rest(&mut self, seen: &Seen<'_>, found: &mut Found) -> Result<()> {
        for node in NODES {
            let report = replay(seen.log, node, seen.registry.clone(), Span::ALL, true)?;
            for place in &report.missing {
                found.wrong(format!("{}: recomputed and not found: {place}", node.name));
            }
            for place in &report.surplus {
                found.wrong(format!("{}: found and not recomputed: {place}", node.name));
            }
            for (partition, digest) in report.digests {
                seen.states.with_state(node, partition, &mut |store| {
                    if reader::digest(store) != digest {
                        found.wrong(format!("{}[{partition}] is in another state than its replay", node.name));
                    }
                })?;
            }
        }
        Ok(())
    }
}
