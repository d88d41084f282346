//! The transactional producer. `rd_kafka_produce` wherever a record has no headers: the call that takes them costs a third
//! of the throughput.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::{CString, c_void};
use std::ptr::null_mut;
use std::time::{Duration, Instant};

use rdkafka_sys as sys;
use sys::rd_kafka_resp_err_t as Code;
use tributary_slot::Outgoing;

use super::{Group, List, Result, c_string, check_error, client, failed_at, millis, text};
use crate::settings::Settings;

/// A transactional producer.
pub(crate) struct Producer {
    client: *mut sys::rd_kafka_t,
    events: *mut sys::rd_kafka_queue_t,
    topics: RefCell<BTreeMap<String, *mut sys::rd_kafka_topic_t>>,
    /// Records whose delivery was not reported yet.
    open: Cell<usize>,
    /// Offsets of the numbered records of the transaction, as reported.
    offsets: RefCell<Vec<Option<u64>>>,
}

/// How long an abort waits for records that are on their way.
const GIVE_UP: Duration = Duration::from_secs(2);

unsafe impl Send for Producer {}

impl Producer {
    pub fn new(settings: &Settings) -> Result<Self> {
        let client = client(sys::rd_kafka_type_t::RD_KAFKA_PRODUCER, settings, |conf| unsafe {
            sys::rd_kafka_conf_set_events(conf, sys::RD_KAFKA_EVENT_DR | sys::RD_KAFKA_EVENT_ERROR);
        })?;
        let events = unsafe { sys::rd_kafka_queue_get_main(client) };
        Ok(Producer { client, events, topics: RefCell::default(), open: Cell::new(0), offsets: RefCell::default() })
    }

    pub fn init(&self, bound: Duration) -> Result<()> {
        check_error(unsafe { sys::rd_kafka_init_transactions(self.client, millis(bound)) }, "initialising transactions")
    }

    pub fn begin(&self) -> Result<()> {
        self.offsets.borrow_mut().clear();
        check_error(unsafe { sys::rd_kafka_begin_transaction(self.client) }, "beginning a transaction")
    }

    /// Queues a record. The memory is copied.
    pub fn produce(&self, record: &Outgoing<'_>) -> Result<()> {
        if let Some(number) = record.number {
            let mut offsets = self.offsets.borrow_mut();
            let known = offsets.len().max(number + 1);
            offsets.resize(known, None);
        }
        if record.headers.is_empty() {
            self.produce_plain(record)?
        } else {
            self.produce_with_headers(record)?
        }
        self.open.set(self.open.get() + 1);
        Ok(())
    }

    fn produce_plain(&self, record: &Outgoing<'_>) -> Result<()> {
        let (value, value_len) = pointer(record.value);
        let (key, key_len) = pointer(record.key);
        let (topic, partition) = (self.topic(record.topic), record.partition.cast_signed());
        let (flags, number) = (sys::RD_KAFKA_MSG_F_COPY, numbered(record.number));
        let done = unsafe { sys::rd_kafka_produce(topic, partition, flags, value, value_len, key, key_len, number) };
        if done == 0 { Ok(()) } else { Err(failed_at(unsafe { sys::rd_kafka_last_error() }, "producing")) }
    }

    fn produce_with_headers(&self, record: &Outgoing<'_>) -> Result<()> {
        use sys::rd_kafka_vtype_t as Type;
        let memory = |bytes| {
            let (ptr, size) = pointer(bytes);
            sys::rd_kafka_vu_s__bindgen_ty_1 { mem: sys::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 { ptr, size } }
        };
        let headers = record.headers;
        let names: Vec<CString> = headers.iter().map(|(name, _)| c_string(name)).collect();
        let mut parts = vec![
            (Type::RD_KAFKA_VTYPE_RKT, sys::rd_kafka_vu_s__bindgen_ty_1 { rkt: self.topic(record.topic) }),
            (Type::RD_KAFKA_VTYPE_PARTITION, sys::rd_kafka_vu_s__bindgen_ty_1 { i32_: record.partition.cast_signed() }),
            (Type::RD_KAFKA_VTYPE_MSGFLAGS, sys::rd_kafka_vu_s__bindgen_ty_1 { i: sys::RD_KAFKA_MSG_F_COPY }),
            (Type::RD_KAFKA_VTYPE_KEY, memory(record.key)),
            (Type::RD_KAFKA_VTYPE_VALUE, memory(record.value)),
            (Type::RD_KAFKA_VTYPE_OPAQUE, sys::rd_kafka_vu_s__bindgen_ty_1 { ptr: numbered(record.number) }),
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
        while self.open.get() > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let code = Code::RD_KAFKA_RESP_ERR__TIMED_OUT;
                return Err(failed_at(code, "waiting for acknowledgements"));
            }
            self.report(left)?;
        }
        self.report(Duration::ZERO)
    }

    /// Where the numbered records of the transaction went; absent where the broker did not say, as it does not of a record
    /// that it had already.
    pub fn offsets(&self) -> Vec<Option<u64>> {
        self.offsets.take()
    }

    /// Takes in one report, waiting for it at most `wait`.
    fn report(&self, wait: Duration) -> Result<()> {
        let event = unsafe { sys::rd_kafka_queue_poll(self.events, millis(wait)) };
        if event.is_null() {
            return Ok(());
        }
        let mut failed = Ok(());
        unsafe {
            if sys::rd_kafka_event_type(event) == sys::RD_KAFKA_EVENT_DR {
                loop {
                    let message = sys::rd_kafka_event_message_next(event);
                    if message.is_null() {
                        break;
                    }
                    failed = self.delivered(&*message).and(failed);
                }
            } else if sys::rd_kafka_event_error_is_fatal(event) != 0 {
                let code = sys::rd_kafka_event_error(event);
                failed = Err(failed_at(code, &text(sys::rd_kafka_event_error_string(event))));
            }
            sys::rd_kafka_event_destroy(event);
        }
        failed
    }

    fn delivered(&self, message: &sys::rd_kafka_message_t) -> Result<()> {
        self.open.set(self.open.get().saturating_sub(1));
        if message.err != Code::RD_KAFKA_RESP_ERR_NO_ERROR {
            let topic = unsafe { text(sys::rd_kafka_topic_name(message.rkt)) };
            return Err(failed_at(message.err, &format!("writing to {topic}")));
        }
        let number = message._private.addr();
        if let Some(offset) = self.offsets.borrow_mut().get_mut(number.wrapping_sub(1)) {
            *offset = u64::try_from(message.offset).ok();
        }
        Ok(())
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
            unsafe { sys::rd_kafka_send_offsets_to_transaction(self.client, list.0, group.metadata(), millis(bound)) };
        check_error(error, "sending offsets")
    }

    pub fn commit(&self, bound: Duration) -> Result<()> {
        check_error(unsafe { sys::rd_kafka_commit_transaction(self.client, millis(bound)) }, "committing")
    }

    /// Aborts. What is still to be sent is given up first, and what is on its way awaited, since nobody else takes in
    /// reports while this waits.
    pub fn abort(&self, bound: Duration) -> Result<()> {
        unsafe { sys::rd_kafka_purge(self.client, sys::RD_KAFKA_PURGE_F_QUEUE) };
        let deadline = Instant::now() + GIVE_UP;
        while self.open.get() > 0 && Instant::now() < deadline {
            // Whether they failed is no longer of interest.
            let _reported = self.report(Duration::from_millis(100));
        }
        check_error(unsafe { sys::rd_kafka_abort_transaction(self.client, millis(bound)) }, "aborting")
    }
}

/// A record's number as its opaque: null is none.
fn numbered(number: Option<usize>) -> *mut c_void {
    std::ptr::without_provenance_mut(number.map_or(0, |number| number + 1))
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
