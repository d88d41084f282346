//! Replay, byte for byte: every task that writes recomputes from its journal what it wrote, each epoch as the build that decided
//! it, and ends in the state that it has.

use anyhow::Result;
use tributary_flow::reader;
use tributary_graph::writers;

use super::{Checker, Found, Seen};
use crate::proof::versions::Builds;
use crate::replay::{Span, replay_builds};

/// The checker. It remembers nothing.
pub struct Replayed;

impl Checker for Replayed {
    fn name(&self) -> &'static str {
        "replay"
    }

    fn rest(&mut self, seen: &Seen<'_>, found: &mut Found) -> Result<()> {
        let builds = Builds::new(seen.log.partitions(), seen.registry.clone());
        let make = |node, partition, build: &str| builds.task(node, partition, build);
        for node in writers() {
            let report = replay_builds(seen.log, node, &make, seen.registry.clone(), Span::ALL, true)?;
            for place in &report.missing {
                found.wrong(format!("{}: recomputed and not found: {place}", node.name));
            }
            for place in &report.surplus {
                found.wrong(format!("{}: found and not recomputed: {place}", node.name));
            }
            for (partition, _, digest) in report.digests {
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
