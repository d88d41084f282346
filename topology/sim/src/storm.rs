//! What goes wrong between two turns: to a process, to its machine, to what all share.

use std::rc::Rc;

use tributary_flow::log::Logged;
use tributary_slot::Row;

use crate::disk::Disks;
use crate::faults::Fault;
use crate::options::Hops;
use crate::process::Process;
use crate::{Simulation, cluster};

/// Faults of one process.
const OF_A_PROCESS: &[Fault] = &[
    Fault::Crash,
    Fault::Pause,
    Fault::Freeze,
    Fault::Zombie,
    Fault::Cut,
    Fault::HastyClient,
    Fault::Restart,
    Fault::Upgrade,
    Fault::Leave,
    Fault::Clock,
];

/// Faults of what all share.
const OF_ALL: &[Fault] =
    &[Fault::Coordinator, Fault::Join, Fault::LateMarker, Fault::Hanging, Fault::SlowPartition, Fault::Regroup];

/// Most processes that come later.
const EXTRA: usize = 2;

impl Simulation {
    /// Whether some process has an epoch open.
    pub(crate) fn in_epoch(&self) -> bool {
        self.processes.iter().filter_map(|process| process.running.as_ref()).any(|running| running.local.in_epoch.get())
    }

    /// Perhaps something goes wrong.
    pub(crate) fn storm(&mut self) {
        if self.options.faults.is_empty() || self.cluster().faults.calm {
            return;
        }
        for fault in OF_ALL {
            if self.roll(*fault) {
                self.strike_all(*fault);
            }
        }
        let count = self.processes.len();
        let index = self.cluster_mut().random.below(count);
        for fault in OF_A_PROCESS {
            if self.roll(*fault) {
                self.strike(index, *fault);
            }
        }
    }

    fn roll(&mut self, fault: Fault) -> bool {
        let cluster = self.cluster_mut();
        let rate = cluster.faults.rate(fault);
        rate > 0 && cluster.random.below(1_000_000) < rate as usize
    }

    fn count(&mut self, fault: Fault, in_epoch: bool) {
        self.cluster_mut().faults.count(fault, in_epoch);
    }

    fn strike_all(&mut self, fault: Fault) {
        let in_epoch = self.in_epoch();
        match fault {
            Fault::Coordinator => {
                let cluster = self.cluster_mut();
                cluster.coordinators = cluster.soon(0, 9);
            }
            Fault::LateMarker => {
                let cluster = self.cluster_mut();
                if cluster.log.untold() == 0 {
                    return;
                }
                cluster.markers = cluster.soon(0, 4);
            }
            Fault::Join => {
                if self.processes.iter().filter(|process| process.is_extra).count() >= EXTRA {
                    return;
                }
                self.add();
            }
            Fault::Hanging => {
                let (topic, partition) = self.some_input();
                let cluster = self.cluster_mut();
                let (transaction, until, wall) = (cluster.log.begin(), cluster.soon(1, 30), cluster.wall());
                cluster.log.append(Some(transaction), topic, partition, Logged::default(), wall);
                cluster.hanging.push((transaction, until));
            }
            Fault::SlowPartition => {
                let place = self.some_input();
                let cluster = self.cluster_mut();
                let until = cluster.soon(1, 8);
                cluster.slow.insert(place, until);
            }
            Fault::Regroup => {
                if self.options.groupings.is_empty() {
                    return;
                }
                let count = self.options.groupings.len();
                let chosen = self.cluster_mut().random.below(count);
                self.place(self.options.groupings[chosen].clone());
            }
            _ => return,
        }
        self.count(fault, in_epoch);
    }

    fn some_input(&mut self) -> (&'static str, u32) {
        let inputs: Vec<_> = self.nodes.iter().flat_map(|node| node.inputs).map(|topic| topic.name).collect();
        let partitions = self.options.partitions as usize;
        let random = &mut self.cluster_mut().random;
        (inputs[random.below(inputs.len())], random.below(partitions) as u32)
    }

    /// A process more joins a group.
    fn add(&mut self) {
        let count = self.processes.len();
        let chosen = self.cluster_mut().random.below(count);
        let Process { group, nodes, version, .. } = &self.processes[chosen];
        let (group, nodes, version) = (*group, nodes.clone(), *version);
        let disks = Rc::new(Disks::new(&nodes, self.options.partitions, true));
        // Two that come before either is started are still two.
        self.lives += 1;
        let slot = format!("{}.{group}.extra-{}", self.groupings - 1, self.lives);
        let (running, down, attempts) = (None, 0, 0);
        self.processes.push(Process {
            slot,
            group,
            nodes,
            version,
            disks,
            running,
            down,
            attempts,
            is_extra: true,
            leaves: false,
        });
    }

    fn strike(&mut self, index: usize, fault: Fault) {
        let Some(running) = &mut self.processes[index].running else { return };
        let (local, now) = (running.local.clone(), self.cluster.as_ref().map_or(0, |cluster| cluster.elapsed));
        // Who stands still can be told to stop, and the client of one that is not frozen does not stand still.
        let told = matches!(fault, Fault::Restart | Fault::Upgrade | Fault::Leave | Fault::HastyClient);
        if running.frozen > now && !told {
            return;
        }
        match fault {
            Fault::Crash => self.die(index),
            Fault::Pause => {
                let until = self.cluster_mut().soon(0, 5);
                if let Some(running) = &mut self.processes[index].running {
                    running.frozen = until;
                }
            }
            Fault::Freeze => {
                let until = self.cluster_mut().soon(7, 20);
                self.cluster_mut().silent.insert(local.life, now);
                if let Some(running) = &mut self.processes[index].running {
                    running.frozen = until;
                }
            }
            Fault::Zombie => {
                if self.options.hops == Hops::Owned {
                    return;
                }
                self.replace(index);
            }
            Fault::Cut => {
                let until = self.cluster_mut().soon(1, 15);
                self.cluster_mut().silent.insert(local.life, now);
                local.cut.set(until);
                let cluster = self.cluster_mut();
                for reading in [&local.inputs, &local.changelogs] {
                    if cluster.random.chance(1, 8) {
                        reading.borrow_mut().deafen();
                    }
                }
            }
            Fault::HastyClient => {
                let cluster = self.cluster_mut();
                let hears = cluster.coordinates() && !cluster.silent.contains_key(&local.life);
                if !hears || !cluster.groups[local.group].go_on(&local.slot, local.life) {
                    return;
                }
            }
            Fault::Restart => local.stopping.set(true),
            Fault::Upgrade => {
                if local.stopping.get() {
                    return;
                }
                let process = &mut self.processes[index];
                process.version = process.version.other();
                local.stopping.set(true);
            }
            Fault::Leave => {
                let process = &mut self.processes[index];
                if !process.is_extra || process.leaves {
                    return;
                }
                process.leaves = true;
                local.stopping.set(true);
            }
            Fault::Clock => {
                let jump = self.cluster_mut().random.below(5 * cluster::SECOND as usize) as i64;
                local.skew.set(if local.skew.get() > 0 { -jump } else { jump });
            }
            _ => return,
        }
        self.count(fault, local.in_epoch.get());
    }

    /// A process stands still, and another takes its slot on another machine, with what was saved of its stores or nothing, and
    /// as either build: who rolls out a new one does not always wait for the end of the old.
    fn replace(&mut self, index: usize) {
        let until = self.cluster_mut().soon(1, 25);
        let (now, copies) = (self.cluster().elapsed, self.cluster_mut().random.chance(1, 2));
        let down = self.cluster_mut().soon(0, 9);
        let upgrades = self.options.faults.contains_key(&Fault::Upgrade) && self.cluster_mut().random.chance(1, 2);
        let process = &mut self.processes[index];
        let Some(mut zombie) = process.running.take() else { return };
        if upgrades {
            process.version = process.version.other();
        }
        let disks = Disks::new(&process.nodes, self.options.partitions, true);
        if copies {
            disks.copy(&process.disks);
        }
        (process.disks, process.down, zombie.frozen) = (Rc::new(disks), down, until);
        self.cluster_mut().silent.insert(zombie.local.life, now);
        self.zombies.push(zombie);
    }

    /// What a machine that died loses of its stores.
    pub(crate) fn lose(&mut self, index: usize) {
        let disks = self.processes[index].disks.clone();
        let in_epoch = self.in_epoch();
        for node in disks.nodes() {
            if self.options.faults.is_empty() {
                // Without a storm a crash is still a reason to restore from nothing.
                if self.options.hops != Hops::Owned && self.cluster_mut().random.chance(1, 4) {
                    disks.lose(node);
                }
            } else if self.roll(Fault::StoreLost) {
                disks.lose(node);
                self.count(Fault::StoreLost, in_epoch);
            } else if self.roll(Fault::StoreStale) {
                disks.go_stale(node);
                self.count(Fault::StoreStale, in_epoch);
            } else if self.roll(Fault::StoreAhead) {
                disks.go_ahead(node);
                self.count(Fault::StoreAhead, in_epoch);
            } else if self.roll(Fault::StoreForeign) {
                let row = self.foreign_row();
                disks.go_foreign(node, row);
                self.count(Fault::StoreForeign, in_epoch);
            } else if self.roll(Fault::LostTail) {
                disks.lose_tail(node, &mut self.cluster_mut().random);
                self.count(Fault::LostTail, in_epoch);
            }
        }
    }

    /// What a store of another history says of itself; nothing where it is one that was made with other partitions.
    fn foreign_row(&mut self) -> Option<Row> {
        let partitions = self.options.partitions;
        let cluster = self.cluster_mut();
        let lineage = std::array::from_fn(|_| cluster.random.below(256) as u8);
        let advanced = cluster.wall();
        cluster.random.chance(1, 2).then_some(Row { partitions, changelog: 0, advanced, lineage })
    }

    /// What was frozen or cut off is heard again.
    pub(crate) fn wake(&mut self) {
        let cluster = self.cluster.as_deref_mut().expect("invariant: the cluster is in our hands between two turns");
        let running = self.processes.iter().filter_map(|process| process.running.as_ref()).chain(&self.zombies);
        for running in running {
            if cluster.elapsed >= running.frozen && cluster.elapsed >= running.local.cut.get() {
                cluster.silent.remove(&running.local.life);
            }
        }
        // Who left for good is forgotten once it is down.
        self.processes.retain(|process| !process.leaves || process.running.is_some());
    }
}
