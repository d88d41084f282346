//! What goes wrong, how often, and how often it did.

use std::collections::BTreeMap;

/// A kind of bad luck.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A process dies.
    Crash,
    /// A call takes effect and its answer is lost.
    LostReply,
    /// A commit whose caller has given up arrives all the same, later.
    LateCommit,
    /// A call never arrives; nobody knows until its time is up.
    Unreachable,
    /// The coordinators of groups and transactions do not answer for a while.
    Coordinator,
    /// A process stands still for a while, and its client does not.
    Pause,
    /// A process stands still for longer than its session, and wakes up.
    Freeze,
    /// A process stands still, another takes its slot, and then it wakes up.
    Zombie,
    /// A process is cut off from the cluster for a while.
    Cut,
    /// A process joins the group while others work.
    Join,
    /// A process is stopped cleanly, and started again.
    Restart,
    /// A process is stopped cleanly, and started again as the other build: upgraded, or rolled back.
    Upgrade,
    /// A process that had joined leaves for good.
    Leave,
    /// A process joins for some of its topics only, as one of another build would.
    Subscription,
    /// An assignment is heard when the group has gone on.
    StaleAssignment,
    /// A client goes to the next rebalance before its process hears of this one.
    HastyClient,
    /// A producer sends again what had arrived: it is dropped, and its offset is not told.
    Retry,
    /// The marker of a transaction comes late.
    LateMarker,
    /// A transaction is committed in some of its partitions and aborted in the others: once, for what comes of it lasts. No part of
    /// a storm, for it breaks every law.
    TornCommit,
    /// Somebody else's transaction stays open and holds back every reader.
    Hanging,
    /// Somebody else writes to a topic of facts, in a transaction that comes to nothing.
    Stranger,
    /// A partition does not answer for a while.
    SlowPartition,
    /// The client takes the log for cut where it is not.
    FalseCut,
    /// A machine dies, and with it the last writes of its stores.
    LostTail,
    /// A store is gone.
    StoreLost,
    /// A store is an old copy of itself.
    StoreStale,
    /// A store is ahead of its changelog.
    StoreAhead,
    /// A store is one of another installation.
    StoreForeign,
    /// A store cannot be written.
    DiskFull,
    /// A clock jumps.
    Clock,
    /// The nodes are spread over other processes.
    Regroup,
}

impl Fault {
    /// Every kind that a storm has, with how often it strikes: parts of a million, of the chances that it has.
    pub const STORM: &[(Fault, u32)] = &[
        (Fault::Crash, 700),
        (Fault::LostReply, 1_500),
        (Fault::LateCommit, 3_000),
        (Fault::Unreachable, 1_500),
        (Fault::Coordinator, 150),
        (Fault::Pause, 10_000),
        (Fault::Freeze, 150),
        (Fault::Zombie, 150),
        (Fault::Cut, 200),
        (Fault::Join, 150),
        (Fault::Restart, 150),
        (Fault::Upgrade, 150),
        (Fault::Leave, 2_500),
        (Fault::Subscription, 30_000),
        (Fault::StaleAssignment, 300_000),
        (Fault::HastyClient, 100_000),
        (Fault::Retry, 3_000),
        (Fault::LateMarker, 10_000),
        (Fault::Hanging, 100),
        (Fault::Stranger, 3_000),
        (Fault::SlowPartition, 300),
        (Fault::FalseCut, 600),
        (Fault::LostTail, 150_000),
        (Fault::StoreLost, 50_000),
        (Fault::StoreStale, 50_000),
        (Fault::StoreAhead, 30_000),
        (Fault::StoreForeign, 30_000),
        (Fault::DiskFull, 1_000),
        (Fault::Clock, 500),
        (Fault::Regroup, 50),
    ];

    /// Its name, as reports have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Fault::Crash => "crash",
            Fault::LostReply => "lost reply",
            Fault::LateCommit => "late commit",
            Fault::Unreachable => "unreachable",
            Fault::Coordinator => "coordinator unavailable",
            Fault::Pause => "pause",
            Fault::Freeze => "freeze",
            Fault::Zombie => "zombie",
            Fault::Cut => "cut off",
            Fault::Join => "process joins",
            Fault::Restart => "restart",
            Fault::Upgrade => "upgrade",
            Fault::Leave => "process leaves",
            Fault::Subscription => "partial subscription",
            Fault::StaleAssignment => "stale assignment",
            Fault::HastyClient => "hasty client",
            Fault::Retry => "producer retry",
            Fault::LateMarker => "late marker",
            Fault::TornCommit => "torn commit",
            Fault::Hanging => "hanging transaction",
            Fault::Stranger => "stranger",
            Fault::SlowPartition => "slow partition",
            Fault::FalseCut => "false cut",
            Fault::LostTail => "lost tail",
            Fault::StoreLost => "store lost",
            Fault::StoreStale => "store stale",
            Fault::StoreAhead => "store ahead",
            Fault::StoreForeign => "store of another",
            Fault::DiskFull => "disk full",
            Fault::Clock => "clock jump",
            Fault::Regroup => "regroup",
        }
    }
}

/// How often a fault struck.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// In all.
    pub injected: u64,
    /// While a process that it hit had an epoch open.
    pub in_epoch: u64,
}

/// How often each fault is to strike, in parts of a million, and how often it did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    pub rates: BTreeMap<Fault, u32>,
    pub counts: BTreeMap<&'static str, Count>,
    pub calm: bool,
}

impl Faults {
    pub fn new(rates: BTreeMap<Fault, u32>) -> Self {
        Faults { rates, ..Faults::default() }
    }

    /// How often `fault` is to strike now.
    pub fn rate(&self, fault: Fault) -> u32 {
        if self.calm { 0 } else { self.rates.get(&fault).copied().unwrap_or(0) }
    }

    pub fn count(&mut self, fault: Fault, in_epoch: bool) {
        let count = self.counts.entry(fault.name()).or_default();
        count.injected += 1;
        count.in_epoch += u64::from(in_epoch);
    }
}
