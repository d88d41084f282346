//! The members of a group, as its coordinator knows them. No other broker is asked, so that one that is down for long keeps
//! nobody waiting.

use std::ffi::c_char;
use std::ptr::null_mut;
use std::time::Duration;

use rdkafka_sys as sys;
use sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS as DESCRIBE;
use sys::rd_kafka_consumer_group_state_t::RD_KAFKA_CONSUMER_GROUP_STATE_STABLE as STABLE;
use tributary_slot::{Failed, Fault, Partitions};

use super::{List, Result, c_string, check, failed, millis, text};

/// For how much longer than its bound an answer is waited for: the client's own word that it has run out says why.
const GRACE: Duration = Duration::from_secs(1);

/// What a coordinator knows of a group.
pub(crate) struct Members {
    /// Whether every member has been told what is its own.
    pub stable: bool,
    pub members: Vec<Member>,
}

/// A member of a group.
pub(crate) struct Member {
    pub id: String,
    /// Its name, where it is a static member; else empty.
    pub instance: String,
    pub partitions: Partitions,
}

/// What librdkafka has to be given back.
struct Question {
    queue: *mut sys::rd_kafka_queue_t,
    options: *mut sys::rd_kafka_AdminOptions_t,
    answer: *mut sys::rd_kafka_event_t,
}

impl Drop for Question {
    fn drop(&mut self) {
        unsafe {
            if !self.answer.is_null() {
                sys::rd_kafka_event_destroy(self.answer);
            }
            sys::rd_kafka_AdminOptions_destroy(self.options);
            sys::rd_kafka_queue_destroy(self.queue);
        }
    }
}

/// Asks the coordinator of `group`.
pub(super) fn ask(client: *mut sys::rd_kafka_t, group: &str, bound: Duration) -> Result<Members> {
    let group = c_string(group);
    let mut said = [0 as c_char; 256];
    unsafe {
        let mut question = Question {
            queue: sys::rd_kafka_queue_new(client),
            options: sys::rd_kafka_AdminOptions_new(client, DESCRIBE),
            answer: null_mut(),
        };
        let Question { queue, options, .. } = question;
        let bounded =
            sys::rd_kafka_AdminOptions_set_request_timeout(options, millis(bound), said.as_mut_ptr(), said.len());
        check(bounded, "asking for the group")?;
        sys::rd_kafka_DescribeConsumerGroups(client, [group.as_ptr()].as_mut_ptr(), 1, options, queue);
        question.answer = sys::rd_kafka_queue_poll(queue, millis(bound + GRACE));
        read(question.answer)
    }
}

unsafe fn read(answer: *mut sys::rd_kafka_event_t) -> Result<Members> {
    let none = || Failed { text: "asking for the group: no answer".into(), fault: Fault::Other };
    if answer.is_null() {
        return Err(none());
    }
    unsafe {
        check(sys::rd_kafka_event_error(answer), "asking for the group")?;
        let mut count = 0;
        let result = sys::rd_kafka_event_DescribeConsumerGroups_result(answer);
        let groups = sys::rd_kafka_DescribeConsumerGroups_result_groups(result, &raw mut count);
        if count == 0 {
            return Err(none());
        }
        let group = *groups;
        let error = sys::rd_kafka_ConsumerGroupDescription_error(group);
        let code = sys::rd_kafka_error_code(error);
        if code != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Err(failed(code, format!("asking for the group: {}", text(sys::rd_kafka_error_string(error)))));
        }
        let stable = sys::rd_kafka_ConsumerGroupDescription_state(group) == STABLE;
        let members = 0..sys::rd_kafka_ConsumerGroupDescription_member_count(group);
        let members = members.map(|index| {
            let member = sys::rd_kafka_ConsumerGroupDescription_member(group, index);
            let assignment = sys::rd_kafka_MemberDescription_assignment(member);
            let partitions = List::read(sys::rd_kafka_MemberAssignment_partitions(assignment));
            Member {
                id: text(sys::rd_kafka_MemberDescription_consumer_id(member)),
                instance: text(sys::rd_kafka_MemberDescription_group_instance_id(member)),
                partitions: partitions.into_iter().map(|(topic, partition, ..)| (topic, partition)).collect(),
            }
        });
        Ok(Members { stable, members: members.collect() })
    }
}
