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

use rdkafka::admin::AdminClient;
use rdkafka::error::KafkaError;
use rdkafka::groups::GroupList;
use tributary_slot::{Failed, Fault, Partitions};

use crate::submit::Context;

/// How long the coordinator may take.
const BOUND: Duration = Duration::from_secs(5);

/// Length of a UUID as text.
const UUID: usize = 36;

/// The slots of `group`, if the coordinator gives `member` exactly these partitions.
pub(crate) fn confirm(
    admin: &AdminClient<Context>,
    group: &str,
    member: &str,
    assigned: &Partitions,
) -> Result<Option<BTreeSet<String>>, Failed> {
    let groups = ask(admin, group)?;
    let Some(found) = groups.groups().iter().find(|found| found.name() == group && found.state() == "Stable") else {
        return Ok(None);
    };
    let given = found.members().iter().find(|found| found.id() == member).and_then(|found| decode(found.assignment()?));
    let slots = found.members().iter().filter_map(|member| slot(member.id())).map(str::to_owned).collect();
    Ok((given.as_ref() == Some(assigned)).then_some(slots))
}

/// Whether the coordinator has a member for the static `instance` of `group`. Which process it is cannot be asked: the broker
/// keeps the client id of the first.
pub(crate) fn is_held(admin: &AdminClient<Context>, group: &str, instance: &str) -> Result<bool, Failed> {
    let groups = ask(admin, group)?;
    let mut members = groups.groups().iter().filter(|found| found.name() == group).flat_map(|found| found.members());
    Ok(members.any(|member| slot(member.id()) == Some(instance)))
}

/// The instance of a static member: a broker names the member after it, with a dash and a random UUID.
fn slot(member: &str) -> Option<&str> {
    let (slot, random) = member.split_at_checked(member.len().checked_sub(UUID)?)?;
    let slot = slot.strip_suffix('-')?;
    (!slot.is_empty() && random.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')).then_some(slot)
}

fn ask(admin: &AdminClient<Context>, group: &str) -> Result<GroupList, Failed> {
    let failed = |error: KafkaError| Failed { text: format!("asking for the group: {error}"), fault: Fault::Other };
    admin.inner().fetch_group_list(Some(group), BOUND).map_err(failed)
}

/// A member's assignment as the classic protocol writes it: version, topics with partitions, user data.
fn decode(mut bytes: &[u8]) -> Option<Partitions> {
    fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
        let (head, rest) = bytes.split_first_chunk()?;
        *bytes = rest;
        Some(*head)
    }
    let bytes = &mut bytes;
    let _version: [u8; 2] = take(bytes)?;
    let mut partitions = Partitions::new();
    for _ in 0..u32::from_be_bytes(take(bytes)?) {
        let length = u16::from_be_bytes(take(bytes)?);
        let (name, rest) = bytes.split_at_checked(usize::from(length))?;
        *bytes = rest;
        let name = std::str::from_utf8(name).ok()?;
        for _ in 0..u32::from_be_bytes(take(bytes)?) {
            partitions.insert((name.to_owned(), u32::from_be_bytes(take(bytes)?)));
        }
    }
    Some(partitions)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::Index;
    use proptest::test_runner::RngSeed;

    use super::*;

    fn encode(partitions: &[(String, Vec<u32>)]) -> Vec<u8> {
        let mut bytes = vec![0, 0];
        bytes.extend_from_slice(&(partitions.len() as u32).to_be_bytes());
        for (topic, numbers) in partitions {
            bytes.extend_from_slice(&(topic.len() as u16).to_be_bytes());
            bytes.extend_from_slice(topic.as_bytes());
            bytes.extend_from_slice(&(numbers.len() as u32).to_be_bytes());
            numbers.iter().for_each(|number| bytes.extend_from_slice(&number.to_be_bytes()));
        }
        bytes.extend_from_slice(&[0xff; 4]);
        bytes
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 5_000,
            rng_seed: RngSeed::Fixed(1),
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn any_bytes_are_an_assignment_or_none(
            topics in vec(("[a-z.]{0,9}", vec(any::<u32>(), 0..5)), 0..5),
            edits in vec((any::<Index>(), vec(any::<u8>(), 0..5)), 0..3),
            random in vec(any::<u8>(), 0..60),
        ) {
            let mut bytes = encode(&topics);
            let expected = topics.iter().flat_map(|(topic, numbers)| numbers.iter().map(|n| (topic.clone(), *n)));
            prop_assert_eq!(decode(&bytes), Some(expected.collect()));
            for (place, put) in edits {
                let place = place.index(bytes.len());
                let end = (place + put.len()).min(bytes.len());
                bytes.splice(place..end, put);
            }
            // As much as the bytes can hold, whatever the counts in them say.
            for bytes in [bytes, random] {
                prop_assert!(decode(&bytes).is_none_or(|partitions| 4 * partitions.len() <= bytes.len()));
            }
        }
    }

    #[test]
    fn a_slot_is_read_out_of_the_name_of_its_member() {
        let named = |slot: &str| format!("{slot}-0b3a1c52-5d4e-4f6a-8b7c-9d0e1f2a3b4c");
        assert_eq!(slot(&named("app.all.slot-1")), Some("app.all.slot-1"));
        assert_eq!((slot(&named("")), slot("rdkafka-short"), slot("")), (None, None, None));
    }

    #[test]
    fn an_assignment_is_read_as_the_protocol_writes_it() {
        let written = b"\0\0\0\0\0\x02\0\x01a\0\0\0\x02\0\0\0\0\0\0\0\x02\0\x02bc\0\0\0\x01\0\0\0\x01\xff\xff\xff\xff";
        let expected = [("a", 0), ("a", 2), ("bc", 1)].map(|(topic, partition)| (topic.to_owned(), partition));
        assert_eq!(decode(written), Some(expected.into()));
        assert_eq!(decode(&written[..20]), None);
    }
}
