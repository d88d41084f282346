//! Whether what the group gave us is what it still means us to have.
//!
//! librdkafka tells an assignment without its generation. If the group rebalances between an assignment's arrival and our
//! next look, we would hold the partitions of one generation and the credentials of the next, and the broker would fence
//! neither us nor whoever has them now. So the coordinator is asked once per assignment: where it is stable, gives our
//! member the same partitions, and our credentials were the same before and after, the two belong together; and where
//! it has gone on since, the credentials are refused.
//!
//! A coordinator that dies in the middle of our joining may have given us two member ids, and then calls us fenced, by
//! ourselves. So it is also asked, after a while, whether anybody holds our slot.

use std::collections::BTreeSet;
use std::time::Duration;

use tributary_slot::{Failed, Partitions};

use crate::asked::Asked;
use crate::native::Members;
use crate::{Options, settings};

/// How long the coordinator may take.
const BOUND: Duration = Duration::from_secs(5);

/// Asks the coordinator of a group.
pub(crate) struct Coordinator {
    group: String,
    slot: String,
    client: Asked,
}

impl Coordinator {
    pub fn new(options: &Options) -> Result<Self, Failed> {
        let client = Asked::new(settings::reader(&options.brokers, &options.client, "read_committed"))?;
        Ok(Coordinator { group: options.group(), slot: options.transactional_id(), client })
    }

    /// The slots of the group, if the coordinator gives `member` exactly these partitions.
    pub fn confirm(&self, member: &str, assigned: &Partitions) -> Result<Option<BTreeSet<String>>, Failed> {
        let Members { stable, members } = self.ask()?;
        let given = members.iter().any(|found| found.id == member && found.partitions == *assigned);
        let slots = members.into_iter().map(|member| member.instance).filter(|slot| !slot.is_empty());
        Ok((stable && given).then(|| slots.collect()))
    }

    /// Whether the coordinator has a member for our slot. Which process it is cannot be asked: the broker keeps the
    /// client id of the first.
    pub fn is_held(&self) -> Result<bool, Failed> {
        Ok(self.ask()?.members.iter().any(|member| member.instance == self.slot))
    }

    /// Asks; again where a client fails that was asked before: the coordinator may have moved since.
    fn ask(&self) -> Result<Members, Failed> {
        let ask = || self.client.ask(|client| client.members(&self.group, BOUND));
        let known = self.client.is_known();
        ask().or_else(|failed| if known { ask() } else { Err(failed) })
    }
}
