//! The coordinator of one consumer group, as the classic protocol has it for static members: who is in it, which generation
//! it is, and who may send offsets. A rebalance ends when every member has come to it, or has been silent for too long.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tributary_slot::{Failed, Fault, Membership, Partitions, Rebalance};

/// Names a process from its start to its end.
pub(crate) type Life = u64;

/// A member, as the coordinator has it.
#[derive(Debug)]
struct Member {
    id: String,
    life: Life,
    topics: Vec<&'static str>,
    assigned: Partitions,
    /// Whether it has come to the rebalance under way.
    joined: bool,
}

/// A member's client, as its own background thread has it.
#[derive(Debug, Default)]
pub(crate) struct Client {
    /// What it was told and has not told its process.
    told: VecDeque<Option<Partitions>>,
    membership: Option<Membership>,
    /// What it joined for; nothing where it did not.
    topics: Vec<&'static str>,
    /// It was cut short when it joined by itself, and never comes to the end of it.
    stuck: bool,
}

impl Client {
    fn joins(&self) -> bool {
        !self.topics.is_empty() && !self.stuck
    }
}

#[derive(Debug, Default)]
pub(crate) struct Group {
    partitions: u32,
    generation: i32,
    rebalancing: bool,
    members: BTreeMap<String, Member>,
    clients: BTreeMap<Life, Client>,
    ids: u64,
}

impl Group {
    pub fn new(partitions: u32) -> Self {
        Group { partitions, ..Group::default() }
    }

    /// A process joins in a slot. One that the group knows gets what the slot had, without a rebalance.
    pub fn join(&mut self, slot: &str, life: Life, topics: &[&'static str]) {
        self.ids += 1;
        let id = format!("{slot}-{}", self.ids);
        let client = self.clients.entry(life).or_default();
        *client = Client { topics: topics.to_vec(), ..Client::default() };
        match self.members.get_mut(slot) {
            Some(member) if member.life != life && !self.rebalancing => {
                (member.id, member.life) = (id.clone(), life);
                client.membership = Some(Membership { generation: self.generation, member: id });
                client.told.push_back(Some(member.assigned.clone()));
            }
            Some(member) => {
                (member.id, member.life, member.joined, member.topics) = (id, life, true, topics.to_vec());
                self.rebalance();
            }
            None => {
                let member = Member { id, life, topics: topics.to_vec(), assigned: Partitions::new(), joined: true };
                self.members.insert(slot.to_owned(), member);
                self.rebalance();
            }
        }
    }

    fn rebalance(&mut self) {
        self.rebalancing = true;
        self.settle();
    }

    /// Ends the rebalance, if everyone has come to it: partitions in ranges, topic by topic.
    fn settle(&mut self) {
        if !self.rebalancing || self.members.values().any(|member| !member.joined) {
            return;
        }
        (self.rebalancing, self.generation) = (false, self.generation + 1);
        let topics: BTreeSet<&str> = self.members.values().flat_map(|member| member.topics.iter().copied()).collect();
        self.members.values_mut().for_each(|member| member.assigned.clear());
        for topic in topics {
            let count = self.members.values().filter(|member| member.topics.contains(&topic)).count() as u32;
            let share = |number: u32| number * (self.partitions / count) + number.min(self.partitions % count);
            let among = self.members.values_mut().filter(|member| member.topics.contains(&topic));
            for (number, member) in (0..).zip(among) {
                member.assigned.extend((share(number)..share(number + 1)).map(|at| (topic.to_owned(), at)));
            }
        }
        for member in self.members.values_mut() {
            member.joined = false;
            let client = self.clients.entry(member.life).or_default();
            client.membership = Some(Membership { generation: self.generation, member: member.id.clone() });
            client.told.push_back(Some(member.assigned.clone()));
        }
    }

    /// Takes out who is gone: it was silent for longer than a session.
    pub fn expire(&mut self, is_gone: impl Fn(Life) -> bool) {
        let before = self.members.len();
        self.members.retain(|_, member| !is_gone(member.life));
        if self.members.len() < before && !self.members.is_empty() {
            self.rebalance();
        }
    }

    /// A client goes to the rebalance under way by itself; its process hears of it later. Whether there was one.
    pub fn go_on(&mut self, slot: &str, life: Life) -> bool {
        let (Some(member), Some(client)) = (self.members.get_mut(slot), self.clients.get_mut(&life)) else {
            return false;
        };
        let goes = self.rebalancing && member.life == life && !member.joined;
        if goes {
            (client.membership, member.joined) = (None, true);
            client.told.clear();
            client.told.push_back(None);
            self.settle();
        }
        goes
    }

    pub fn forget(&mut self, life: Life) {
        self.clients.remove(&life);
    }

    /// Whether a client has something to tell.
    pub fn has_news(&self, slot: &str, life: Life) -> bool {
        let Some(client) = self.clients.get(&life).filter(|client| client.joins()) else { return false };
        !client.told.is_empty()
            || match self.members.get(slot) {
                None => true,
                Some(member) => member.life != life || (self.rebalancing && !member.joined),
            }
    }

    /// Whether a client is to join by itself, for the group has lost its slot.
    pub fn is_lost(&self, slot: &str, life: Life) -> bool {
        self.clients.get(&life).is_some_and(Client::joins) && !self.members.contains_key(slot)
    }

    /// Whether a client never comes to the end of joining.
    pub fn is_stuck(&self, life: Life) -> bool {
        self.clients.get(&life).is_some_and(|client| client.stuck)
    }

    /// The client of a process gets stuck where it would join by itself.
    pub fn stick(&mut self, life: Life) {
        *self.clients.entry(life).or_default() = Client { stuck: true, ..Client::default() };
    }

    /// What a process hears when it asks its client; the second is whether it is fenced. With `hasty`, the client has gone to the
    /// next rebalance before its process heard of the last one's end; unless `soon`, what the client was told comes later.
    pub fn serve(&mut self, slot: &str, life: Life, hasty: bool, soon: bool) -> (Vec<Rebalance>, bool) {
        let Some(client) = self.clients.get_mut(&life).filter(|client| client.joins()) else {
            return (Vec::new(), false);
        };
        let (hasty, mut news) = (hasty && !client.told.is_empty(), Vec::new());
        match self.members.get_mut(slot) {
            Some(member) if member.life != life => return (news, true),
            Some(member) if self.rebalancing && !member.joined => {
                if !hasty {
                    client.told.clear();
                    news.push(Rebalance::Revoked);
                }
                client.membership = None;
                member.joined = true;
                self.settle();
            }
            Some(_) => {}
            None => {
                let topics = client.topics.clone();
                news.push(Rebalance::Revoked);
                self.join(slot, life, &topics);
            }
        }
        let client = self.clients.entry(life).or_default();
        let count = if hasty { 1 } else { client.told.len() * usize::from(soon) };
        for told in client.told.drain(..count.min(client.told.len())) {
            news.push(match told {
                Some(partitions) => Rebalance::Assigned(partitions, client.membership.clone()),
                None => Rebalance::Revoked,
            });
        }
        (news, false)
    }

    pub fn membership(&self, life: Life) -> Option<Membership> {
        self.clients.get(&life)?.membership.clone()
    }

    /// The slots of the group, if a member has exactly these partitions and the group is at rest.
    pub fn confirm(&self, membership: &Membership, partitions: &Partitions) -> Option<BTreeSet<String>> {
        let given = |member: &Member| member.id == membership.member && member.assigned == *partitions;
        let confirmed = !self.rebalancing && self.members.values().any(given);
        confirmed.then(|| self.members.keys().cloned().collect())
    }

    /// Whether a process is a member.
    pub fn has(&self, slot: &str, life: Life) -> bool {
        self.members.get(slot).is_some_and(|member| member.life == life)
    }

    pub fn holds(&self, slot: &str) -> bool {
        self.members.contains_key(slot)
    }

    /// Whether a transaction may carry offsets of this member.
    pub fn admits(&self, slot: &str, membership: &Membership) -> Result<(), Failed> {
        let refused = |text: &str, fault| Err(Failed { text: text.into(), fault });
        match self.members.get(slot) {
            None => refused("sending offsets: unknown member", Fault::Abort),
            Some(member) if member.id != membership.member => {
                refused("sending offsets: another member has the slot", Fault::SlotFenced)
            }
            Some(_) if membership.generation != self.generation => {
                refused("sending offsets: illegal generation", Fault::Abort)
            }
            Some(_) => Ok(()),
        }
    }
}
