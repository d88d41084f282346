//! System accounts without a shard, as `world:EUR`: the sum of their shards, each read as of one commit of its own partition.

use std::collections::BTreeMap;

use tributary_flow::Reader;
use tributary_graph::account_view::NODE;
use tributary_schemas::AccountId;

use super::Shared;
use crate::api::Fresh;
use crate::problem::Problem;
use crate::views::account::{Account, Sides};

/// Shards of a system account.
const SHARDS: u8 = 100;

/// The shards of a system account that is named without one; nothing for any other account.
pub(super) fn shards(id: &AccountId) -> Option<Vec<String>> {
    let system = id.system().filter(|system| system.shard.is_none())?;
    (0..SHARDS).map(|shard| AccountId::of_system(system.name, system.currency, shard).ok().map(String::from)).collect()
}

/// Reads every shard that was ever booked on.
pub(super) async fn read<T: Send + 'static>(
    api: &Shared,
    shards: Vec<String>,
    fresh: &Fresh,
    read: impl Fn(Reader<'_>, &Account, &str) -> T + Copy + Send + 'static,
) -> Result<Vec<T>, Problem> {
    let mut homes: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for shard in shards {
        homes.entry(api.partition(&shard)).or_default().push(shard);
    }
    let mut found = Vec::new();
    for (partition, shards) in homes {
        api.refresh(&NODE, partition, fresh).await?;
        let of = move |reader: Reader<'_>| {
            let opened = |key: &String| reader.head::<Account>(key).filter(|account| account.terms.is_some());
            shards.iter().filter_map(|key| opened(key).map(|account| read(reader, &account, key))).collect::<Vec<T>>()
        };
        found.extend(api.read(&NODE, partition, of).await?);
    }
    Ok(found)
}

/// The shards as one account: sums, and the number of all entries; a chain of hashes only a shard has.
pub(super) fn sum(id: &AccountId, shards: Vec<Account>) -> Option<Account> {
    let mut shards = shards.into_iter();
    let mut sum = shards.next()?;
    for shard in shards {
        sum.posted.0 += shard.posted.0;
        sum.sequence += shard.sequence;
        sum.in_transit += shard.in_transit;
        sum.opened_at = sum.opened_at.min(shard.opened_at);
        let Sides { debit, credit } = shard.pending;
        sum.pending = Sides { debit: sum.pending.debit + debit, credit: sum.pending.credit + credit };
    }
    sum.hash = tributary_schemas::Hash::ZERO;
    if let Some(terms) = &mut sum.terms {
        terms.account_id = id.clone();
    }
    Some(sum)
}
