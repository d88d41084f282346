//! The consumer: of a group, or of what it assigns itself.

use std::ffi::{CStr, c_char, c_void};
use std::ptr::{null, null_mut};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka_sys as sys;
use sys::rd_kafka_resp_err_t as Code;
use tributary_slot::{Failed, Membership, Rebalance};

use super::{List, Members, Result, bytes, check, client, failed, members, millis, text};
use crate::settings::Settings;

/// How long an answer may take before the question is asked again.
const ATTEMPT: Duration = Duration::from_secs(1);
/// How soon it is.
const RETRY: Duration = Duration::from_millis(100);

/// What a consumer meets.
pub(crate) enum Met<'a> {
    Record(Record<'a>),
    /// The end of a partition: for a reader of committed records, its last stable offset.
    End {
        topic: &'a str,
        partition: u32,
        offset: u64,
    },
    /// The client believes that the log was cut at `end`, below where it reads, and reads this partition no more. It errs
    /// where it has read a new leader's first records before it heard of the new leader: it then holds them for the old
    /// one's (librdkafka 2.12, seen after kills of a broker). What was applied below `end` is certain all the same.
    Cut {
        topic: &'a str,
        partition: u32,
        end: u64,
        error: Failed,
    },
    Failed(Failed),
}

/// A record, as long as it is looked at.
pub(crate) struct Record<'a> {
    pub topic: &'a str,
    pub partition: u32,
    pub offset: u64,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    message: &'a sys::rd_kafka_message_t,
}

impl Record<'_> {
    pub fn headers(&self) -> Vec<(String, Vec<u8>)> {
        let mut found = Vec::new();
        unsafe {
            let mut headers = null_mut();
            if sys::rd_kafka_message_headers(self.message, &raw mut headers) != Code::RD_KAFKA_RESP_ERR_NO_ERROR {
                return found;
            }
            let (mut name, mut value, mut size) = (null(), null(), 0);
            while sys::rd_kafka_header_get_all(headers, found.len(), &raw mut name, &raw mut value, &raw mut size)
                == Code::RD_KAFKA_RESP_ERR_NO_ERROR
            {
                found.push((text(name), bytes(value, size).unwrap_or_default().to_vec()));
            }
        }
        found
    }
}

/// The membership of a consumer, if it is a member of a generation.
fn membership_of(client: *mut sys::rd_kafka_t) -> Option<Membership> {
    unsafe {
        let metadata = sys::rd_kafka_consumer_group_metadata(client);
        if metadata.is_null() {
            return None;
        }
        let (mut buffer, mut size) = (null_mut(), 0);
        let error = sys::rd_kafka_consumer_group_metadata_write(metadata, &raw mut buffer, &raw mut size);
        sys::rd_kafka_consumer_group_metadata_destroy(metadata);
        if !error.is_null() {
            sys::rd_kafka_error_destroy(error);
            return None;
        }
        let written = bytes(buffer, size)?.to_vec();
        sys::rd_kafka_mem_free(client, buffer);
        membership(&written)
    }
}

/// As librdkafka writes it: seven bytes of magic, the generation, the group's id and the member's, each ended by a zero.
fn membership(written: &[u8]) -> Option<Membership> {
    let (generation, names) = written.get(7..)?.split_first_chunk()?;
    let generation = i32::from_ne_bytes(*generation);
    let member = std::str::from_utf8(names.split(|byte| *byte == 0).nth(1)?).ok()?.to_owned();
    (generation >= 0 && !member.is_empty()).then_some(Membership { generation, member })
}

/// A consumer: of a group, or of what it assigns itself.
pub(crate) struct Consumer {
    client: *mut sys::rd_kafka_t,
    queue: *mut sys::rd_kafka_queue_t,
    told: *mut Mutex<Vec<Rebalance>>,
}

// A client of librdkafka may be used from any thread.
unsafe impl Send for Consumer {}

/// Where the log was cut, out of the client's own words: it tells it in no other way.
fn cut(code: Code, said: &str) -> Option<u64> {
    let rest =
        said.split_once("broker end offset is ").filter(|_| code == Code::RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET)?.1;
    rest.split(|character: char| !character.is_ascii_digit()).next()?.parse().ok()
}

extern "C" fn rebalance(
    client: *mut sys::rd_kafka_t,
    code: Code,
    partitions: *mut sys::rd_kafka_topic_partition_list_t,
    told: *mut c_void,
) {
    let told: &Mutex<Vec<Rebalance>> = unsafe { &*told.cast() };
    let news = if code == Code::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
        let nothing = List::new([]);
        unsafe { sys::rd_kafka_assign(client, nothing.0) };
        let partitions = List::read(partitions).into_iter().map(|(topic, partition, ..)| (topic, partition));
        Rebalance::Assigned(partitions.collect(), membership_of(client))
    } else {
        unsafe { sys::rd_kafka_assign(client, null()) };
        Rebalance::Revoked
    };
    told.lock().unwrap_or_else(PoisonError::into_inner).push(news);
    unsafe { sys::rd_kafka_yield(client) };
}

impl Consumer {
    pub fn new(settings: &Settings) -> Result<Self> {
        let told = Box::into_raw(Box::new(Mutex::new(Vec::new())));
        let made = client(sys::rd_kafka_type_t::RD_KAFKA_CONSUMER, settings, |conf| unsafe {
            sys::rd_kafka_conf_set_rebalance_cb(conf, Some(rebalance));
            sys::rd_kafka_conf_set_opaque(conf, told.cast());
        });
        let client = match made {
            Ok(client) => client,
            Err(error) => {
                drop(unsafe { Box::from_raw(told) });
                return Err(error);
            }
        };
        let queue = unsafe {
            sys::rd_kafka_poll_set_consumer(client);
            sys::rd_kafka_queue_get_consumer(client)
        };
        Ok(Consumer { client, queue, told })
    }

    pub fn subscribe<'a>(&self, topics: impl IntoIterator<Item = &'a str>) -> Result<()> {
        let topics = List::new(topics.into_iter().map(|topic| (topic, 0, 0)));
        check(unsafe { sys::rd_kafka_subscribe(self.client, topics.0) }, "subscribing")
    }

    /// What the group decided since the last question.
    pub fn rebalances(&self) -> Vec<Rebalance> {
        std::mem::take(&mut unsafe { &*self.told }.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads these partitions from these offsets, and no others.
    pub fn assign<'a>(&self, partitions: impl IntoIterator<Item = (&'a str, u32, u64)>) -> Result<()> {
        let list = List::new(
            partitions.into_iter().map(|(topic, partition, offset)| (topic, partition, offset.cast_signed())),
        );
        check(unsafe { sys::rd_kafka_assign(self.client, list.0) }, "assigning")
    }

    /// Waits at most `wait` for something to come, then takes what is there, `most` at most.
    pub fn consume(&self, wait: Duration, most: usize, meet: &mut dyn FnMut(Met<'_>)) -> usize {
        let first = unsafe { sys::rd_kafka_consumer_poll(self.client, millis(wait)) };
        if first.is_null() {
            return 0;
        }
        self.meet(first, meet);
        let mut batch: Vec<*mut sys::rd_kafka_message_t> = vec![null_mut(); most.saturating_sub(1)];
        let taken = unsafe { sys::rd_kafka_consume_batch_queue(self.queue, 0, batch.as_mut_ptr(), batch.len()) };
        let taken = usize::try_from(taken).unwrap_or(0);
        batch.iter().take(taken).for_each(|message| self.meet(*message, meet));
        taken + 1
    }

    fn meet(&self, message: *mut sys::rd_kafka_message_t, meet: &mut dyn FnMut(Met<'_>)) {
        unsafe {
            let seen = &*message;
            let topic = if seen.rkt.is_null() { c"" } else { CStr::from_ptr(sys::rd_kafka_topic_name(seen.rkt)) };
            let topic = topic.to_str().unwrap_or("");
            let (partition, offset) = (seen.partition.cast_unsigned(), seen.offset.max(0).cast_unsigned());
            meet(match seen.err {
                Code::RD_KAFKA_RESP_ERR_NO_ERROR => Met::Record(Record {
                    topic,
                    partition,
                    offset,
                    key: bytes(seen.key, seen.key_len),
                    value: bytes(seen.payload, seen.len),
                    message: seen,
                }),
                Code::RD_KAFKA_RESP_ERR__PARTITION_EOF => Met::End { topic, partition, offset },
                code => {
                    let place =
                        if topic.is_empty() { String::new() } else { format!("{topic}[{partition}]@{offset}: ") };
                    let said = text(sys::rd_kafka_message_errstr(seen));
                    let error = failed(self.fatal().unwrap_or(code), place + &said);
                    match cut(code, &said) {
                        Some(end) => Met::Cut { topic, partition, end, error },
                        None => Met::Failed(error),
                    }
                }
            });
            sys::rd_kafka_message_destroy(message);
        }
    }

    fn fatal(&self) -> Option<Code> {
        let mut said = [0 as c_char; 256];
        let code = unsafe { sys::rd_kafka_fatal_error(self.client, said.as_mut_ptr(), said.len()) };
        (code != Code::RD_KAFKA_RESP_ERR_NO_ERROR).then_some(code)
    }

    /// Whether the broker told this member that another has its slot.
    pub fn is_fenced(&self) -> bool {
        self.fatal() == Some(Code::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID)
    }

    /// Our membership as of now.
    pub fn membership(&self) -> Option<Membership> {
        membership_of(self.client)
    }

    /// Offsets by `time`, one request per broker: -1 the end as this client's isolation sees it, -2 the first kept. Asks
    /// again until `bound` has passed, for after an election the first answer is that we are behind.
    pub fn offsets<'a>(
        &self,
        partitions: impl IntoIterator<Item = (&'a str, u32)>,
        time: i64,
        bound: Duration,
    ) -> Result<Vec<(String, u32, u64)>> {
        let deadline = Instant::now() + bound;
        let partitions: Vec<_> = partitions.into_iter().map(|(topic, partition)| (topic, partition, time)).collect();
        loop {
            // A leader that is gone does not answer, and must leave time to learn of its successor.
            match self.offsets_once(&partitions, deadline.saturating_duration_since(Instant::now()).min(ATTEMPT)) {
                Err(_) if Instant::now() + RETRY < deadline => {
                    std::thread::sleep(RETRY);
                    self.learn_leaders(deadline.saturating_duration_since(Instant::now()));
                }
                done => return done,
            }
        }
    }

    /// Has the client ask who leads which partition. By itself it does not ask again about one that it once heard has no leader:
    /// until its memory is out of date, after a quarter of an hour, it answers out of that (librdkafka 2.12).
    fn learn_leaders(&self, bound: Duration) {
        let mut found = null();
        unsafe {
            let code = sys::rd_kafka_metadata(self.client, 1, null_mut(), &raw mut found, millis(bound));
            if code == Code::RD_KAFKA_RESP_ERR_NO_ERROR {
                sys::rd_kafka_metadata_destroy(found);
            }
        }
    }

    fn offsets_once(&self, partitions: &[(&str, u32, i64)], bound: Duration) -> Result<Vec<(String, u32, u64)>> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let list = List::new(partitions.iter().copied());
        check(unsafe { sys::rd_kafka_offsets_for_times(self.client, list.0, millis(bound)) }, "asking for offsets")?;
        let found = List::read(list.0).into_iter().map(|(topic, partition, offset, code)| {
            check(code, &format!("asking for the offsets of {topic}[{partition}]"))?;
            Ok((topic, partition, offset.max(0).cast_unsigned()))
        });
        found.collect()
    }

    /// The members of `group`, as its coordinator knows them. A coordinator that has moved is not forgotten by this client
    /// (librdkafka 2.12): after a failure, another one has to ask.
    pub fn members(&self, group: &str, bound: Duration) -> Result<Members> {
        members::ask(self.client, group, bound)
    }

    /// Leaves in good order.
    pub fn close(&self) {
        unsafe { sys::rd_kafka_consumer_close(self.client) };
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        unsafe {
            sys::rd_kafka_queue_destroy(self.queue);
            sys::rd_kafka_destroy_flags(self.client, sys::RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
            drop(Box::from_raw(self.told));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_log_was_cut_is_read_out_of_what_the_client_says() {
        let said = "Partition log truncation detected at offset 2139 (leader epoch 0): broker end offset is 2138 (offset \
                    leader epoch 0). Reset to INVALID.: Local: Partition log truncation detected (broker 1)";
        assert_eq!(cut(Code::RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, said), Some(2138));
        assert_eq!(cut(Code::RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, "something else"), None);
        assert_eq!(cut(Code::RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE, said), None);
    }
}
