//! What clients should not do and do: the same again, the same id for something else, the wrong partition, a command out
//! of the past, and bytes that are no command.

use tributary_flow::framing::frame;
use tributary_flow::time::DAY;
use tributary_flow::{CommandHeader, TopicRef, partition_of};
use tributary_graph::{ACCOUNTS_COMMANDS, TOPICS, TRANSACTIONS_COMMANDS};
use tributary_query_api::Command;
use tributary_query_api::command::CommandBody;
use tributary_schemas::accounts::{AccountCommand, UpdateAccount};
use tributary_schemas::transactions::{TransactionCommand, VoidTransaction};

use super::{Act, Workload};
use crate::proof::versions;

impl Workload {
    /// A command once more: byte for byte, or sent anew with another time, or a creation under another id.
    pub(super) fn duplicate(&mut self) {
        let number = self.pick(self.past.len());
        let (mut command, mut header) = self.past[number].clone();
        match self.draw.below(3) {
            0 => {}
            1 => header.time = self.now,
            _ => {
                if matches!(command.body, CommandBody::Transaction(TransactionCommand::CreateTransaction(_))) {
                    command.id = self.name("c");
                }
            }
        }
        self.put(command, header);
    }

    /// The id of a command for another request.
    pub(super) fn conflict(&mut self) {
        let number = self.pick(self.past.len());
        let (mut command, mut header) = self.past[number].clone();
        header.time = self.now;
        match &mut command.body {
            CommandBody::Transaction(TransactionCommand::CreateTransaction(create)) => {
                create.description = format!("other {}", self.draw.below(3));
                if self.draw.below(2) == 0 {
                    command.id = self.name("c");
                }
            }
            CommandBody::Account(AccountCommand::OpenAccount(open)) => open.name = "other".to_owned(),
            CommandBody::Account(AccountCommand::UpdateAccount(update)) => update.name = Some("other".to_owned()),
            CommandBody::Account(body) => {
                let account = tributary_schemas::AccountId::parse(tributary_flow::Body::key(body));
                let account = account.expect("invariant: it was parsed before");
                *body = UpdateAccount { name: Some("other".to_owned()), ..UpdateAccount::new(account) }.into();
            }
            CommandBody::Transaction(body) => {
                let id = tributary_schemas::TransactionId::parse(tributary_flow::Body::key(body));
                let id = id.expect("invariant: it was parsed before");
                *body = VoidTransaction { reason: "other".to_owned(), ..VoidTransaction::new(id) }.into();
            }
            CommandBody::Risk(_) => return self.duplicate(),
        }
        self.put(command, header);
    }

    /// A good command at whichever partition.
    pub(super) fn misroute(&mut self) {
        let body = if self.chance(50) {
            let name = self.name("name");
            let account = self.any().id;
            CommandBody::Account(UpdateAccount { name: Some(name), ..UpdateAccount::new(account) }.into())
        } else {
            CommandBody::Transaction(VoidTransaction::new(Self::no_transaction()).into())
        };
        let topic: TopicRef =
            if matches!(body, CommandBody::Account(_)) { &ACCOUNTS_COMMANDS } else { &TRANSACTIONS_COMMANDS };
        let command = Command { topic, id: self.name("c"), body };
        let header = CommandHeader { time: self.now, ..CommandHeader::default() };
        let value = self.written_by_some(&command, header.clone());
        let partition = self.pick(self.partitions as usize) as u32;
        let key = command.body.key().as_bytes().to_vec();
        self.next.push_back(Act::Write { topic, partition, record: (Some(key), Some(value)), command: true });
        self.remember(command, header);
    }

    /// A command from before the memory of command ids.
    pub(super) fn stale(&mut self) {
        let body = UpdateAccount { name: Some("stale".to_owned()), ..UpdateAccount::new(self.any().id) };
        let command =
            Command { topic: &ACCOUNTS_COMMANDS, id: self.name("c"), body: CommandBody::Account(body.into()) };
        let header = CommandHeader { time: self.now.plus(-40 * DAY), ..CommandHeader::default() };
        self.put(command, header);
    }

    /// A record that nobody can take, at a door.
    pub(super) fn garbage(&mut self) {
        let doors: Vec<TopicRef> = TOPICS.iter().copied().filter(|topic| topic.kind.is_door()).collect();
        let topic = doors[self.pick(doors.len())];
        let good = VoidTransaction::new(Self::no_transaction());
        let id = self.name("c");
        let good = Command { topic: &TRANSACTIONS_COMMANDS, id, body: CommandBody::Transaction(good.into()) };
        let value = |header| good.encode(self.registry.as_ref(), header);
        let header = CommandHeader { time: self.now, ..CommandHeader::default() };
        let (mut topic, key) = (topic, b"anybody".to_vec());
        let mut partition = None;
        let record = match self.draw.below(8) {
            0 => (None, Some(value(header))),
            1 => (Some(vec![0xff, 0xfe]), Some(value(header))),
            2 => (Some(key), None),
            3 => (Some(key), Some(b"no frame at all".to_vec())),
            4 => (Some(key), Some([frame(7_777), vec![1, 2, 3]].concat())),
            5 => {
                let (older, newer) = (self.registry.id(topic.schema), versions::newer_id(topic.schema));
                let id = if self.chance(50) { older } else { newer };
                (Some(key), Some([frame(id), vec![0xff; 9]].concat()))
            }
            6 => {
                topic = good.topic;
                (Some(key), Some(value(CommandHeader { actor: Some(String::new()), ..header })))
            }
            _ => {
                // At home under its key, which is not what it is about.
                topic = good.topic;
                partition = Some(partition_of(&key, self.partitions));
                (Some(key), Some(value(header)))
            }
        };
        let partition = partition.unwrap_or_else(|| self.draw.below(u64::from(self.partitions)) as u32);
        self.next.push_back(Act::Write { topic, partition, record, command: false });
    }
}
