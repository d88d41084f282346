//! The slot's world as it is here. Before everything that happens the process stands still, and others may go first, or
//! it may die; a call may not arrive, and its answer may be lost.

use std::collections::BTreeSet;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::time::Duration;

use tributary_flow::Timestamp;
use tributary_flow::log::Logged;
use tributary_flow::platform::TaskStatus;
use tributary_slot::{
    At, Bounds, Failed, Fault as Meaning, InputAt, Join, Membership, Met, News, Outgoing, Partitions, Rebalance, Step,
    TaskAt, World,
};

use crate::calls::Around;
use crate::cluster::Cluster;
use crate::disk::{Changes, Disks};
use crate::faults::Fault;
use crate::local::{Queued, Wish};

/// How often a commit stands still at most before what is done beside it is done.
const MIDST: usize = 12;
/// Records of a changelog that are few, beside those of a play.
const FEW: usize = 16;

impl World for Around {
    type State = Disks;
    type Batch = Changes;

    fn state(&self) -> &Disks {
        &self.disks
    }

    fn wall(&self) -> Timestamp {
        self.with(|cluster| cluster.wall().plus(self.local.skew.get()))
    }

    fn elapsed(&self) -> Duration {
        Duration::from_micros(self.with(|cluster| cluster.elapsed))
    }

    fn is_stopping(&self) -> bool {
        self.local.stopping.get()
    }

    fn lineage(&self) -> Result<[u8; 16], String> {
        let drawn = |cluster: &mut Cluster| std::array::from_fn(|_| cluster.random.below(256) as u8);
        Ok(self.with(drawn))
    }

    fn doing(&self, _what: &'static str) {}

    async fn pause(&self, time: Duration) {
        let until = self.with(|cluster| cluster.elapsed) + time.as_micros() as u64;
        self.wait(Wish::Until(until)).await;
    }

    async fn join(&self, how: Join, topics: &[&'static str]) -> Result<(), Failed> {
        self.wait(Wish::Turn).await;
        self.with(|cluster| {
            let mut topics = topics.to_vec();
            if topics.len() > 1 && cluster.strikes(Fault::Subscription, cluster.in_epoch) {
                topics.remove(cluster.random.below(topics.len()));
            }
            if how == Join::Anew {
                self.local.inputs.borrow_mut().renew();
            }
            let (group, life) = (&mut cluster.groups[self.local.group], self.local.life);
            if how == Join::Anew || !group.is_stuck(life) {
                group.join(&self.local.slot, life, &topics);
            }
        });
        Ok(())
    }

    fn membership(&self) -> Option<Membership> {
        self.with(|cluster| cluster.groups[self.local.group].membership(self.local.life))
    }

    async fn confirm(
        &self,
        membership: &Membership,
        partitions: &Partitions,
    ) -> Result<Option<BTreeSet<String>>, Failed> {
        let fate = self.send("asking for the group", true).await?;
        let confirmed = self.with(|cluster| cluster.groups[self.local.group].confirm(membership, partitions));
        self.answer("asking for the group", fate, confirmed).await
    }

    async fn is_held(&self) -> Result<bool, Failed> {
        let fate = self.send("asking for the slot", true).await?;
        let held = self.with(|cluster| cluster.groups[self.local.group].holds(&self.local.slot));
        self.answer("asking for the slot", fate, held).await
    }

    async fn assign(&self, positions: &[(InputAt, u64)]) -> Result<(), Failed> {
        let positions = positions.iter().map(|((topic, partition), at)| (*topic, *partition, *at));
        self.local.inputs.borrow_mut().assign(positions);
        Ok(())
    }

    async fn read(&self, wait: Duration, most: usize, meet: &mut dyn FnMut(Met<'_>)) -> News {
        let local = &self.local;
        let kept = local.revoked.get() && !local.owned.borrow().is_empty();
        assert!(!kept, "{} reads on with tasks that were revoked", local.slot);
        let until = self.with(|cluster| cluster.elapsed) + wait.as_micros() as u64;
        self.wait(Wish::Read(until)).await;
        self.with(|cluster| {
            if cluster.elapsed < local.cut.get() {
                return News::default();
            }
            if cluster.random.chance(1, 4) {
                let all = cluster.random.chance(1, 8);
                self.learn(cluster, all);
            }
            let mut inputs = local.inputs.borrow_mut();
            inputs.cut(cluster, meet);
            let most = 1 + cluster.random.below(most);
            inputs.take(cluster, most, meet);
            if !cluster.coordinates() {
                return News::default();
            }
            let hasty = cluster.groups[local.group].has_news(&local.slot, local.life)
                && cluster.strikes(Fault::StaleAssignment, cluster.in_epoch);
            if cluster.groups[local.group].is_lost(&local.slot, local.life)
                && !cluster.faults.calm
                && cluster.random.chance(1, 4)
            {
                cluster.groups[local.group].stick(local.life);
                inputs.assign([]);
                local.revoked.set(true);
                return News { rebalances: vec![Rebalance::Revoked], fenced: false };
            }
            let soon = cluster.random.chance(1, 2);
            let (rebalances, fenced) = cluster.groups[local.group].serve(&local.slot, local.life, hasty, soon);
            if !rebalances.is_empty() {
                inputs.assign([]);
                local.revoked.set(rebalances.last() == Some(&Rebalance::Revoked));
            }
            News { rebalances, fenced }
        })
    }

    async fn ends(&self, partitions: &[At]) -> Result<Bounds, Failed> {
        let fate = self.send("asking for ends", false).await?;
        let range = |cluster: &mut Cluster, (topic, partition): &At| 0..cluster.log.uncommitted_end(topic, *partition);
        let found = self.with(|cluster| partitions.iter().map(|at| (at.clone(), range(cluster, at))).collect());
        self.answer("asking for ends", fate, found).await
    }

    fn known_end(&self, topic: &str, partition: u32) -> Option<u64> {
        self.local.known.borrow().get(&(topic.to_owned(), partition)).copied()
    }

    async fn open(&self, changelogs: &[(&str, u32, u64)]) -> Result<(), Failed> {
        let mut reading = self.local.changelogs.borrow_mut();
        reading.renew();
        reading.assign(changelogs.iter().copied());
        Ok(())
    }

    async fn read_changelogs(&self, wait: Duration, most: usize, meet: &mut dyn FnMut(Met<'_>)) -> usize {
        let any = self.with(|cluster| self.local.changelogs.borrow_mut().has_any(cluster));
        if !any && wait.is_zero() {
            return 0;
        }
        let wish =
            if any { Wish::Turn } else { Wish::Until(self.with(|cluster| cluster.elapsed) + wait.as_micros() as u64) };
        self.wait(wish).await;
        self.with(|cluster| {
            if cluster.elapsed < self.local.cut.get() {
                return 0;
            }
            let mut changelogs = self.local.changelogs.borrow_mut();
            changelogs.cut(cluster, meet);
            // Few records, so that a process dies in the middle of a changelog, or many, as a real client gives.
            let most = if cluster.random.chance(1, 2) { most.min(FEW) } else { most };
            let most = 1 + cluster.random.below(most);
            changelogs.take(cluster, most, meet)
        })
    }

    async fn initialise(&self) -> Result<(), Failed> {
        let fate = self.send("initialising transactions", true).await?;
        let epoch = self.until_admitted(|cluster| cluster.initialise(&self.local.slot)).await?;
        let epoch = self.answer("initialising transactions", fate, epoch).await?;
        self.local.producer.set(Some(epoch));
        self.local.queue.borrow_mut().clear();
        Ok(())
    }

    fn end_for(&self, slot: &str) {
        self.with(|cluster| {
            if !cluster.strikes(Fault::Unreachable, false) {
                cluster.fence_soon(slot);
            }
        });
    }

    async fn at(&self, step: Step) {
        let local = &self.local;
        // An epoch of views alone has only its last step.
        if step == Step::Begin || !local.in_epoch.get() {
            local.attempts.set(local.attempts.get() + 1);
            local.boundary.set(0);
            local.in_epoch.set(true);
        }
        self.boundary().await;
        local.step.set(Some(step));
        if self.with(|cluster| cluster.random.chance(1, 2)) {
            self.with(|cluster| self.learn(cluster, false));
        }
        // What is queued goes out when the client likes.
        if self.with(|cluster| cluster.random.chance(1, 2)) {
            let some = self.with(|cluster| cluster.random.below(8));
            // Whether that failed is told with the deliveries.
            let _sent = self.flush(some).await;
        }
    }

    async fn begin(&self) -> Result<(), Failed> {
        self.local.queue.borrow_mut().clear();
        self.local.offsets.borrow_mut().clear();
        if self.local.producer.get().is_some() { Ok(()) } else { Err(self.failed("there is no producer")) }
    }

    fn produce(&self, record: &Outgoing<'_>) -> Result<(), Failed> {
        if record.size() > self.with(|cluster| cluster.largest) {
            return Err(Failed { text: format!("writing to {}", record.topic), fault: Meaning::TooLarge });
        }
        let mut offsets = self.local.offsets.borrow_mut();
        if let Some(number) = record.number {
            let length = offsets.len().max(number + 1);
            offsets.resize(length, None);
        }
        let headers = record.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let (key, value) = (record.key.map(<[u8]>::to_vec), record.value.map(<[u8]>::to_vec));
        let (topic, partition, number) = (record.topic.to_owned(), record.partition, record.number);
        let record = Logged { offset: 0, key, value, headers };
        self.local.queue.borrow_mut().push_back(Queued { topic, partition, number, record });
        Ok(())
    }

    async fn deliveries(&self) -> Result<Vec<Option<u64>>, Failed> {
        let fate = self.send("waiting for acknowledgements", true).await?;
        self.flush(usize::MAX).await?;
        self.answer("waiting for acknowledgements", fate, self.local.offsets.take()).await
    }

    async fn send_offsets(&self, offsets: &[(InputAt, u64)], membership: &Membership) -> Result<(), Failed> {
        if offsets.is_empty() {
            return Ok(()); // librdkafka asks nobody then.
        }
        let Some(epoch) = self.local.producer.get() else { return Err(self.failed("there is no producer")) };
        let fate = self.send("sending offsets", true).await?;
        self.until_admitted(|cluster| cluster.transaction(&self.local.slot, epoch)).await?;
        self.with(|cluster| cluster.groups[self.local.group].admits(&self.local.slot, membership))?;
        self.answer("sending offsets", fate, ()).await
    }

    async fn commit(&self) -> Result<(), Failed> {
        self.end(true).await
    }

    async fn abort(&self) -> Result<(), Failed> {
        if self.local.step.get() == Some(Step::Deliveries) && self.local.queue.borrow().is_empty() {
            self.with(|cluster| cluster.surprises += 1);
        }
        self.local.queue.borrow_mut().clear();
        let ended = self.end(false).await;
        self.local.in_epoch.set(false);
        ended
    }

    /// The work may be done before anything of the commit, in its midst, or behind it.
    async fn beside<T: Send, C>(&self, work: impl FnOnce() -> T + Send, commit: impl Future<Output = C>) -> (T, C) {
        let mut left = self.with(|cluster| cluster.random.below(MIDST));
        let (mut work, mut worked, mut commit) = (Some(work), None, pin!(commit));
        let committed = poll_fn(|polled| {
            if left == 0 {
                worked = work.take().map(|work| work()).or(worked.take());
            }
            left = left.saturating_sub(1);
            commit.as_mut().poll(polled)
        });
        let committed = committed.await;
        let worked = worked.or_else(|| work.map(|work| work())).expect("invariant: the work is done once");
        (worked, committed)
    }

    fn forget_producer(&self) {
        self.local.producer.set(None);
        self.local.queue.borrow_mut().clear();
        self.local.in_epoch.set(false);
    }

    fn batch(&self) -> Changes {
        Changes::default()
    }

    async fn store(&self, batch: Changes) -> Result<(), String> {
        for (node, written) in batch.by_node() {
            self.wait(Wish::Turn).await;
            if self.with(|cluster| cluster.strikes(Fault::DiskFull, self.local.in_epoch.get())) {
                return Err(format!("no space left for {node}"));
            }
            self.disks.write(node, written);
        }
        Ok(())
    }

    fn own(&self, tasks: BTreeSet<TaskAt>) {
        self.local.owned.replace(tasks);
    }

    fn report(&self, status: Vec<TaskStatus>, _standby_lag: Option<u64>) {
        self.local.status.replace(status);
    }

    fn committed(&self, _took: Option<Duration>) {
        self.with(|cluster| cluster.commits += 1);
        self.local.in_epoch.set(false);
        self.local.step.set(None);
        self.local.done.set(true);
    }
}
