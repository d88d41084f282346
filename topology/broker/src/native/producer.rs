//! The transactional producer. `rd_kafka_produce` wherever a record has no headers: the call that takes them costs a third
//! of the throughput.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::{CString, c_void};
use std::ptr::null_mut;
use std::time::{Duration, Instant};

use rdkafka_sys as sys;
use sys::rd_kafka_resp_err_t as Code;

use super::{Group, List, NativeError, Result, c_string, check_error, client, millis, text};
use crate::settings::Settings;

/// A transactional producer.
pub(crate) struct Producer {
    client: *mut sys::rd_kafka_t,
    events: *mut sys::rd_kafka_queue_t,
    topics: RefCell<BTreeMap<String, *mut sys::rd_kafka_topic_t>>,
}

unsafe impl Send for Producer {}

impl Producer {
    pub fn new(settings: &Settings) -> Result<Self> {
        let client = client(sys::rd_kafka_type_t::RD_KAFKA_PRODUCER, settings, |conf| unsafe {
            sys::rd_kafka_conf_set_events(conf, sys::RD_KAFKA_EVENT_DR | sys::RD_KAFKA_EVENT_ERROR);
        })?;
        Ok(Producer { client, events: unsafe { sys::rd_kafka_queue_get_main(client) }, topics: RefCell::default() })
    }

    pub fn init(&self, bound: Duration) -> Result<()> {
        check_error(unsafe { sys::rd_kafka_init_transactions(self.client, millis(bound)) }, "initialising transactions")
    }

    pub fn begin(&self) -> Result<()> {
        check_error(unsafe { sys::rd_kafka_begin_transaction(self.client) }, "beginning a transaction")
    }

    /// Queues a record. The memory is copied.
    pub fn produce(
        &self,
        topic: &str,
        partition: u32,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, Vec<u8>)],
    ) -> Result<()> {
        if !headers.is_empty() {
            return self.produce_with_headers(topic, partition, key, value, headers);
        }
        let (value, value_len) = pointer(value);
        let (key, key_len) = pointer(key);
        let (topic, partition) = (self.topic(topic), partition.cast_signed());
        let flags = sys::RD_KAFKA_MSG_F_COPY;
        let done =
            unsafe { sys::rd_kafka_produce(topic, partition, flags, value, value_len, key, key_len, null_mut()) };
        if done == 0 { Ok(()) } else { Err(NativeError::of(unsafe { sys::rd_kafka_last_error() }, "producing")) }
    }

    fn produce_with_headers(
        &self,
        topic: &str,
        partition: u32,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, Vec<u8>)],
    ) -> Result<()> {
        use sys::rd_kafka_vtype_t as Type;
        let memory = |bytes| {
            let (ptr, size) = pointer(bytes);
            sys::rd_kafka_vu_s__bindgen_ty_1 { mem: sys::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 { ptr, size } }
        };
        let names: Vec<CString> = headers.iter().map(|(name, _)| c_string(name)).collect();
        let mut parts = vec![
            (Type::RD_KAFKA_VTYPE_RKT, sys::rd_kafka_vu_s__bindgen_ty_1 { rkt: self.topic(topic) }),
            (Type::RD_KAFKA_VTYPE_PARTITION, sys::rd_kafka_vu_s__bindgen_ty_1 { i32_: partition.cast_signed() }),
            (Type::RD_KAFKA_VTYPE_MSGFLAGS, sys::rd_kafka_vu_s__bindgen_ty_1 { i: sys::RD_KAFKA_MSG_F_COPY }),
            (Type::RD_KAFKA_VTYPE_KEY, memory(key)),
            (Type::RD_KAFKA_VTYPE_VALUE, memory(value)),
        ];
        for (name, (_, value)) in names.iter().zip(headers) {
            let (val, size) = (value.as_ptr().cast(), value.len().cast_signed());
            let header = sys::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_2 { name: name.as_ptr(), val, size };
            parts.push((Type::RD_KAFKA_VTYPE_HEADER, sys::rd_kafka_vu_s__bindgen_ty_1 { header }));
        }
        let parts: Vec<_> = parts.into_iter().map(|(vtype, u)| sys::rd_kafka_vu_t { vtype, u }).collect();
        check_error(unsafe { sys::rd_kafka_produceva(self.client, parts.as_ptr(), parts.len()) }, "producing")
    }

    fn topic(&self, name: &str) -> *mut sys::rd_kafka_topic_t {
        if let Some(topic) = self.topics.borrow().get(name) {
            return *topic;
        }
        let topic = unsafe { sys::rd_kafka_topic_new(self.client, c_string(name).as_ptr(), null_mut()) };
        self.topics.borrow_mut().insert(name.to_owned(), topic);
        topic
    }

    /// Waits until every record is acknowledged, or one has failed, or `bound` has passed.
    pub fn settle(&self, bound: Duration) -> Result<()> {
        let deadline = Instant::now() + bound;
        loop {
            let flushed = unsafe { sys::rd_kafka_flush(self.client, 100) };
            self.failures()?;
            match flushed {
                Code::RD_KAFKA_RESP_ERR_NO_ERROR => return Ok(()),
                code if Instant::now() >= deadline => {
                    return Err(NativeError::of(code, "waiting for acknowledgements"));
                }
                _ => {}
            }
        }
    }

    /// Looks at what failed since the last look: only failures are reported.
    fn failures(&self) -> Result<()> {
        let mut failed = Ok(());
        loop {
            let event = unsafe { sys::rd_kafka_queue_poll(self.events, 0) };
            if event.is_null() {
                return failed;
            }
            unsafe {
                if sys::rd_kafka_event_type(event) == sys::RD_KAFKA_EVENT_DR {
                    let message = sys::rd_kafka_event_message_next(event);
                    if !message.is_null() && (*message).err != Code::RD_KAFKA_RESP_ERR_NO_ERROR {
                        let topic = text(sys::rd_kafka_topic_name((*message).rkt));
                        failed = Err(NativeError::of((*message).err, &format!("writing to {topic}")));
                    }
                } else if sys::rd_kafka_event_error_is_fatal(event) != 0 {
                    let code = sys::rd_kafka_event_error(event);
                    failed = Err(NativeError::of(code, &text(sys::rd_kafka_event_error_string(event))));
                }
                sys::rd_kafka_event_destroy(event);
            }
        }
    }

    pub fn send_offsets<'a>(
        &self,
        offsets: impl IntoIterator<Item = (&'a str, u32, u64)>,
        group: &Group,
        bound: Duration,
    ) -> Result<()> {
        let list =
            List::new(offsets.into_iter().map(|(topic, partition, offset)| (topic, partition, offset.cast_signed())));
        let error =
            unsafe { sys::rd_kafka_send_offsets_to_transaction(self.client, list.0, group.metadata, millis(bound)) };
        check_error(error, "sending offsets")
    }

    pub fn commit(&self, bound: Duration) -> Result<()> {
        check_error(unsafe { sys::rd_kafka_commit_transaction(self.client, millis(bound)) }, "committing")
    }

    pub fn abort(&self, bound: Duration) -> Result<()> {
        check_error(unsafe { sys::rd_kafka_abort_transaction(self.client, millis(bound)) }, "aborting")
    }
}

/// Absent is a null pointer; present and empty is not.
fn pointer(bytes: Option<&[u8]>) -> (*mut c_void, usize) {
    bytes.map_or((null_mut(), 0), |bytes| (bytes.as_ptr().cast_mut().cast(), bytes.len()))
}

impl Drop for Producer {
    fn drop(&mut self) {
        unsafe {
            sys::rd_kafka_purge(self.client, sys::RD_KAFKA_PURGE_F_QUEUE | sys::RD_KAFKA_PURGE_F_INFLIGHT);
            self.topics.borrow().values().for_each(|topic| sys::rd_kafka_topic_destroy(*topic));
            sys::rd_kafka_queue_destroy(self.events);
            sys::rd_kafka_destroy(self.client);
        }
    }
}
