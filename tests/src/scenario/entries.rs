//! The entries as they lie, to be compared byte for byte.

use anyhow::{Context, Result, ensure};
use tributary_flow::framing::{frame, unframe};
use tributary_flow::{Body, EventId, FactHeader, Header, Log, Logged, log};
use tributary_graph::LEDGER_ENTRIES;
use tributary_schemas::ledger::Entry;

/// How much must be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exactness {
    /// Key and value, every byte.
    Bytes,
    /// The same, but for the ids of the record and of its cause. A posting is caused by the last vote, and which vote is
    /// the last is a race where hops are not fused: account and risk answer on two topics, and nothing orders topics.
    ButCauses,
}

/// Every entry, by partition, in order.
#[derive(Clone, Debug, Default)]
pub struct Entries(Vec<Vec<Logged>>);

impl Entries {
    /// Reads them all.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn read(log: &dyn Log) -> Result<Self> {
        let mut partitions = Vec::new();
        for partition in 0..log.partitions() {
            let mut entries = Vec::new();
            log::visit(log, LEDGER_ENTRIES.name, partition, |record| {
                entries.push(record);
                Ok::<_, anyhow::Error>(())
            })?;
            partitions.push(entries);
        }
        Ok(Entries(partitions))
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }

    /// Compares with those of another run. Offsets may differ: Kafka's markers take some.
    ///
    /// # Errors
    /// The first difference.
    pub fn same_as(&self, other: &Entries, exactness: Exactness) -> Result<()> {
        ensure!(self.0.len() == other.0.len(), "{} and {} partitions", self.0.len(), other.0.len());
        for (partition, (ours, theirs)) in self.0.iter().zip(&other.0).enumerate() {
            for (index, (our, their)) in ours.iter().zip(theirs).enumerate() {
                let same = our.key == their.key && comparable(our, exactness)? == comparable(their, exactness)?;
                ensure!(same, "entry {index} of partition {partition} differs:\n  {}\n  {}", shown(our), shown(their));
            }
            ensure!(
                ours.len() == theirs.len(),
                "partition {partition} has {} and {} entries",
                ours.len(),
                theirs.len()
            );
        }
        Ok(())
    }
}

fn decoded(record: &Logged) -> Result<(FactHeader, Entry)> {
    let (_, datum) = unframe(record.value.as_deref().context("an entry without a value")?)?;
    match Entry::decode(datum)? {
        (Header::Fact(header), entry) => Ok((header, entry)),
        (Header::Command(_), _) => anyhow::bail!("an entry in a command's envelope"),
    }
}

fn comparable(record: &Logged, exactness: Exactness) -> Result<Vec<u8>> {
    if exactness == Exactness::Bytes {
        return record.value.clone().context("an entry without a value");
    }
    let (header, entry) = decoded(record)?;
    let header = FactHeader { id: EventId::default(), causation: EventId::default(), ..header };
    let mut value = frame(0);
    entry.encode(&Header::Fact(header), &mut value);
    Ok(value)
}

fn shown(record: &Logged) -> String {
    decoded(record).map_or_else(|error| error.to_string(), |decoded| format!("{decoded:?}"))
}
