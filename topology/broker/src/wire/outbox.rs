//! What a transaction writes, until all of it is there: batches by partition, and where their records went. Its memory is used again by
//! the next.

use std::collections::BTreeMap;

use tributary_slot::{Failed, Fault, Outgoing};

use super::Result;
use super::batch::{Batch, HEADER, Identity, behind, most};

/// From how many bytes on a batch takes no more. Topics take somewhat more as they come (`max.message.bytes`), and librdkafka stops there.
const FULL: usize = 1_000_000;

/// Batches by topic and partition.
pub(super) struct Outbox {
    /// Largest batch: that of one large record.
    most: usize,
    topics: Vec<Topic>,
    /// Where the numbered records are.
    numbered: Vec<Option<Place>>,
    /// Memory of batches that are written.
    spare: Vec<Vec<u8>>,
}

struct Topic {
    name: String,
    partitions: Vec<Partition>,
}

#[derive(Default)]
struct Partition {
    /// Of the next record, as the broker counts what it has of the producer.
    sequence: i32,
    batches: Vec<Batch>,
    /// Where the first record of each batch went.
    went: Vec<Option<u64>>,
}

/// A record among those of the transaction.
#[derive(Clone, Copy)]
struct Place {
    topic: usize,
    partition: usize,
    batch: usize,
    /// How many of the batch are before it.
    behind: u64,
}

impl Outbox {
    pub fn new(most: usize) -> Self {
        Outbox { most, topics: Vec::new(), numbered: Vec::new(), spare: Vec::new() }
    }

    /// Takes in a record; it is copied.
    pub fn push(&mut self, record: &Outgoing<'_>) -> Result<()> {
        let size = most(record);
        if HEADER + size > self.most {
            let text = format!("a record of {} bytes for {}: a batch has {} at most", size, record.topic, self.most);
            return Err(Failed { text, fault: Fault::TooLarge });
        }
        let known = self.topics.iter().position(|topic| topic.name == record.topic);
        let topic = known.unwrap_or_else(|| {
            self.topics.push(Topic { name: record.topic.to_owned(), partitions: Vec::new() });
            self.topics.len() - 1
        });
        let (partitions, partition) = (&mut self.topics[topic].partitions, record.partition as usize);
        if partitions.len() <= partition {
            partitions.resize_with(partition + 1, Partition::default);
        }
        let batches = &mut partitions[partition].batches;
        if batches.last().is_none_or(|batch| batch.bytes().len() + size > self.most.min(FULL)) {
            batches.push(Batch::new(self.spare.pop().unwrap_or_default()));
        }
        let batch = batches.len() - 1;
        if let Some(number) = record.number {
            let known = self.numbered.len().max(number + 1);
            self.numbered.resize(known, None);
            let behind = batches[batch].records().unsigned_abs().into();
            self.numbered[number] = Some(Place { topic, partition, batch, behind });
        }
        batches[batch].push(record);
        Ok(())
    }

    /// Has every batch say whose it is; see [`Batch::seal`].
    pub fn seal(&mut self, identity: Identity, now: i64) {
        for partition in self.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
            let mut sequence = partition.sequence;
            for batch in &mut partition.batches {
                batch.seal(identity, sequence, now);
                sequence = behind(sequence, batch.records());
            }
            partition.went.clear();
            partition.went.resize(partition.batches.len(), None);
        }
    }

    /// The partitions that are written to, by topic.
    pub fn partitions(&self) -> BTreeMap<&str, Vec<u32>> {
        let mut found: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
        for (topic, partition, _) in self.round(0) {
            found.entry(topic).or_default().push(partition);
        }
        found
    }

    /// The batches that have so many before them in their partition: a question takes one of a partition.
    pub fn round(&self, number: usize) -> impl Iterator<Item = (&str, u32, &Batch)> {
        self.topics.iter().flat_map(move |topic| {
            let batches = (0..).zip(&topic.partitions).map(move |(at, partition)| (at, partition.batches.get(number)));
            batches.filter_map(move |(partition, batch)| Some((topic.name.as_str(), partition, batch?)))
        })
    }

    /// Notes where a batch went.
    pub fn written(&mut self, topic: &str, partition: u32, round: usize, offset: i64) {
        let topic = self.topics.iter_mut().find(|known| known.name == topic);
        let Some(partition) = topic.and_then(|topic| topic.partitions.get_mut(partition as usize)) else { return };
        if let (Some(batch), Some(went)) = (partition.batches.get(round), partition.went.get_mut(round)) {
            *went = u64::try_from(offset).ok();
            partition.sequence = behind(partition.sequence, batch.records());
        }
    }

    /// Whether it is known of every batch where it went.
    pub fn is_written(&self) -> bool {
        self.topics.iter().flat_map(|topic| &topic.partitions).all(|partition| !partition.went.contains(&None))
    }

    /// Where the numbered records went.
    pub fn offsets(&self) -> Vec<Option<u64>> {
        let went = |place: &Place| {
            let first = self.topics[place.topic].partitions[place.partition].went.get(place.batch).copied().flatten();
            first.map(|first| first + place.behind)
        };
        self.numbered.iter().map(|place| place.as_ref().and_then(went)).collect()
    }

    /// Empties it; what was written counts.
    pub fn clear(&mut self) {
        self.numbered.clear();
        for partition in self.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
            partition.went.clear();
            self.spare.extend(partition.batches.drain(..).map(Batch::into_memory));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: Identity = Identity { producer: 7, epoch: 3 };

    fn push(outbox: &mut Outbox, topic: &str, partition: u32, size: usize, number: Option<usize>) -> Result<()> {
        let value = vec![0; size];
        outbox.push(&Outgoing { topic, partition, key: None, value: Some(&value), headers: &[], number })
    }

    fn sequences(outbox: &Outbox, round: usize) -> Vec<(String, u32, i32)> {
        let sequence = |batch: &Batch| i32::from_be_bytes(batch.bytes()[53..57].try_into().unwrap());
        outbox.round(round).map(|(topic, at, batch)| (topic.to_owned(), at, sequence(batch))).collect()
    }

    #[test]
    fn records_go_behind_one_another_and_are_found_where_the_broker_put_their_batch() {
        let mut outbox = Outbox::new(1_000);
        for (number, (partition, size)) in [(1, 400), (1, 400), (0, 10), (1, 400)].into_iter().enumerate() {
            push(&mut outbox, "a", partition, size, Some(number)).unwrap();
        }
        push(&mut outbox, "b", 2, 5, None).unwrap();
        outbox.seal(US, 0);
        assert_eq!(outbox.partitions(), BTreeMap::from([("a", vec![0, 1]), ("b", vec![2])]));
        let [a, b] = ["a", "b"].map(str::to_owned);
        assert_eq!(sequences(&outbox, 0), [(a.clone(), 0, 0), (a.clone(), 1, 0), (b.clone(), 2, 0)]);
        assert_eq!(sequences(&outbox, 1), [(a.clone(), 1, 2)], "what does not fit goes into a batch of its own");
        assert_eq!(outbox.round(2).count(), 0);
        for (topic, partition, round, offset) in [("a", 1, 0, 70), ("a", 0, 0, 3), ("b", 2, 0, 9)] {
            outbox.written(topic, partition, round, offset);
        }
        assert!(!outbox.is_written());
        assert_eq!(outbox.offsets(), [Some(70), Some(71), Some(3), None]);
        outbox.written("a", 1, 1, 80);
        assert!(outbox.is_written());
        assert_eq!(outbox.offsets(), [Some(70), Some(71), Some(3), Some(80)]);

        outbox.clear();
        assert_eq!((outbox.round(0).count(), outbox.offsets().len()), (0, 0));
        push(&mut outbox, "a", 1, 5, None).unwrap();
        outbox.seal(US, 0);
        assert_eq!(sequences(&outbox, 0), [(a, 1, 3)], "what was written counts");
    }

    #[test]
    fn a_record_that_fits_no_batch_is_refused() {
        let mut outbox = Outbox::new(1_000);
        assert_eq!(push(&mut outbox, "a", 0, 1_000, None).unwrap_err().fault, Fault::TooLarge);
        assert!(push(&mut outbox, "a", 0, 900, None).is_ok());
    }
}
