//! librdkafka as the engine uses it, and the only place that says `unsafe`: a consumer, every call bounded, none that polls in
//! slices. What is written goes another way (`wire`).
//!
//! A rebalance is answered within its callback with an assignment of nothing, and told to the caller; what to read, and
//! from where, is assigned once the stores are ready. So a revocation never meets an open transaction: the engine is
//! one thread, and it is here only between epochs.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::slice;
use std::time::Duration;

use rdkafka_sys as sys;
use sys::rd_kafka_resp_err_t as Code;
use tributary_slot::{Failed, Fault};

use crate::chatter;
use crate::settings::Settings;

mod consumer;
mod members;

pub(crate) use consumer::{Consumer, Met, Record};
pub(crate) use members::Members;

/// A failed call, by librdkafka's code.
fn failed(code: Code, text: String) -> Failed {
    let fault = match code {
        Code::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID => Fault::SlotFenced,
        Code::RD_KAFKA_RESP_ERR_INVALID_SESSION_TIMEOUT => Fault::Session,
        Code::RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET | Code::RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE => Fault::OffsetLost,
        // A batch that is not what its checksum says: the client goes on behind it. Or one that it cannot unpack: it stays there.
        Code::RD_KAFKA_RESP_ERR__BAD_MSG
        | Code::RD_KAFKA_RESP_ERR__BAD_COMPRESSION
        | Code::RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED => Fault::OffsetLost,
        _ => Fault::Other,
    };
    Failed { text, fault }
}

type Result<T> = std::result::Result<T, Failed>;

fn text(pointer: *const c_char) -> String {
    if pointer.is_null() { String::new() } else { unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned() }
}

fn c_string(text: &str) -> CString {
    CString::new(text.replace('\0', "")).expect("invariant: no zero is left")
}

fn millis(bound: Duration) -> c_int {
    c_int::try_from(bound.as_millis()).unwrap_or(c_int::MAX)
}

fn check(code: Code, doing: &str) -> Result<()> {
    if code == Code::RD_KAFKA_RESP_ERR_NO_ERROR {
        return Ok(());
    }
    Err(failed(code, format!("{doing}: {}", text(unsafe { sys::rd_kafka_err2str(code) }))))
}

extern "C" fn log(client: *const sys::rd_kafka_t, level: c_int, kind: *const c_char, line: *const c_char) {
    chatter::log(level, &text(unsafe { sys::rd_kafka_name(client) }), &text(kind), &text(line));
}

/// A configured client; the configuration is handed over to it.
fn client(
    kind: sys::rd_kafka_type_t,
    settings: &Settings,
    prepare: impl FnOnce(*mut sys::rd_kafka_conf_t),
) -> Result<*mut sys::rd_kafka_t> {
    let mut said = [0 as c_char; 512];
    unsafe {
        let conf = sys::rd_kafka_conf_new();
        for (key, value) in settings {
            let (key_c, value_c) = (c_string(key), c_string(value));
            let set = sys::rd_kafka_conf_set(conf, key_c.as_ptr(), value_c.as_ptr(), said.as_mut_ptr(), said.len());
            if set != sys::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK {
                sys::rd_kafka_conf_destroy(conf);
                return Err(Failed { text: text(said.as_ptr()), fault: Fault::Other });
            }
        }
        sys::rd_kafka_conf_set_log_cb(conf, Some(log));
        prepare(conf);
        let client = sys::rd_kafka_new(kind, conf, said.as_mut_ptr(), said.len());
        if client.is_null() {
            sys::rd_kafka_conf_destroy(conf);
            return Err(Failed { text: text(said.as_ptr()), fault: Fault::Other });
        }
        Ok(client)
    }
}

/// Partitions with offsets, as librdkafka takes them.
struct List(*mut sys::rd_kafka_topic_partition_list_t);

impl List {
    fn new<'a>(partitions: impl IntoIterator<Item = (&'a str, u32, i64)>) -> Self {
        let list = unsafe { sys::rd_kafka_topic_partition_list_new(16) };
        for (topic, partition, offset) in partitions {
            unsafe {
                let entry =
                    sys::rd_kafka_topic_partition_list_add(list, c_string(topic).as_ptr(), partition.cast_signed());
                (*entry).offset = offset;
            }
        }
        List(list)
    }

    fn read(list: *const sys::rd_kafka_topic_partition_list_t) -> Vec<(String, u32, i64, Code)> {
        // A list of nothing, as that of a member that was given nothing, has no entries to point to.
        if list.is_null() || unsafe { (*list).elems.is_null() } {
            return Vec::new();
        }
        let entries = unsafe { slice::from_raw_parts((*list).elems, usize::try_from((*list).cnt).unwrap_or(0)) };
        entries
            .iter()
            .map(|entry| (text(entry.topic), entry.partition.cast_unsigned(), entry.offset, entry.err))
            .collect()
    }
}

impl Drop for List {
    fn drop(&mut self) {
        unsafe { sys::rd_kafka_topic_partition_list_destroy(self.0) };
    }
}

/// Memory of librdkafka's; absent where the pointer is null.
unsafe fn bytes<'a>(pointer: *const c_void, size: usize) -> Option<&'a [u8]> {
    (!pointer.is_null()).then(|| unsafe { slice::from_raw_parts(pointer.cast(), size) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_nothing_is_read_as_nothing() {
        let list = List(unsafe { sys::rd_kafka_topic_partition_list_new(0) });
        assert!(List::read(list.0).is_empty());
        assert_eq!(List::read(List::new([("a", 1, 7)]).0).len(), 1);
    }
}
