//! Every law of `verify`, over the whole log and every store, at rest.

use anyhow::Result;

use super::{Checker, Found, Seen};
use crate::decode::Decoder;
use crate::verify::verify;

/// The checker. It remembers nothing.
pub struct Laws;

impl Checker for Laws {
    fn name(&self) -> &'static str {
        "laws"
    }

    fn rest(&mut self, seen: &Seen<'_>, found: &mut Found) -> Result<()> {
        let report = verify(seen.log, seen.states, Decoder::new(seen.registry.clone()), true)?;
        found.0.extend(report.violations.iter().map(ToString::to_string));
        found.0.extend(report.uncompared.iter().map(|((what, why), many)| format!("{many} {what}: {why}")));
        Ok(())
    }
}
