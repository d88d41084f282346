//! Who goes next: one thing happens at a time, drawn from all that could.

use std::rc::Rc;

use tributary_slot::{Failure, PROTOCOL};

use crate::disk::Disks;
use crate::faults::Fault;
use crate::local::Wish;
use crate::options::{Crash, Hops};
use crate::process::{Process, Running, Version};
use crate::{SimError, Simulation, cluster, group, owner};

/// Who may go next.
#[derive(Clone, Copy, Debug)]
enum Actor {
    Process(usize),
    Start(usize),
    Zombie(usize),
    Marker,
}

impl Simulation {
    /// One of the duplicates that are on their way may arrive.
    pub(crate) fn deliver_late(&mut self) {
        if !self.late.is_empty() && self.cluster_mut().random.chance(1, 2) {
            let count = self.late.len();
            let index = self.cluster_mut().random.below(count);
            let (topic, partition, record) = self.late.swap_remove(index);
            self.append(topic, partition, record);
        }
    }

    /// One thing happens, drawn from all that could; false where nothing can.
    ///
    /// # Errors
    /// A process stopped for good.
    pub fn turn(&mut self) -> Result<bool, SimError> {
        self.deliver_late();
        self.wake();
        self.cluster_mut().tick();
        self.storm();
        let cluster = self.cluster();
        let able = |running: &Running| running.is_able(cluster);
        let processes = self.processes.iter().enumerate().filter_map(|(index, process)| match &process.running {
            Some(running) => able(running).then_some(Actor::Process(index)),
            None => (!process.leaves && cluster.elapsed >= process.down).then_some(Actor::Start(index)),
        });
        let zombies = self.zombies.iter().enumerate().filter(|(_, zombie)| able(zombie));
        let marker = cluster.log.untold() > 0 && cluster.elapsed >= cluster.markers;
        let actors: Vec<Actor> = processes
            .chain(zombies.map(|(index, _)| Actor::Zombie(index)))
            .chain(marker.then_some(Actor::Marker))
            .collect();
        if actors.is_empty() {
            if self.is_quiet() {
                return Ok(!self.late.is_empty());
            }
            self.pass();
            return Ok(true);
        }
        let cluster = self.cluster_mut();
        let actor = actors[cluster.random.below(actors.len())];
        cluster.elapsed += cluster.random.below(500) as u64;
        match actor {
            Actor::Process(index) => self.go_on(index)?,
            Actor::Start(index) => self.start(index),
            Actor::Zombie(index) => self.haunt(index),
            Actor::Marker => {
                let count = cluster.log.untold();
                let index = cluster.random.below(count);
                cluster.log.tell(index);
            }
        }
        Ok(true)
    }

    /// Time goes by until something can happen.
    fn pass(&mut self) {
        let cluster = self.cluster();
        let running = self.processes.iter().filter_map(|process| process.running.as_ref()).chain(&self.zombies);
        let waits = running.filter_map(|running| running.next(cluster));
        let down = self.processes.iter().filter(|process| process.running.is_none() && !process.leaves);
        let next =
            waits.chain(cluster.next()).chain(down.map(|process| process.down)).filter(|at| *at > cluster.elapsed);
        let next = next.min().unwrap_or(cluster.elapsed + cluster::SECOND);
        self.cluster_mut().elapsed = next;
    }

    /// Whether nothing is under way, everyone is in the group, and every partition of every node is run by someone who waits
    /// for something new.
    fn is_quiet(&self) -> bool {
        let cluster = self.cluster();
        let is_member = |process: &Process, life| {
            self.options.hops == Hops::Owned || cluster.groups[process.group].has(&process.slot, life)
        };
        let waits = |process: &Process| {
            !process.leaves
                && process.running.as_ref().is_some_and(|running| {
                    is_member(process, running.local.life)
                        && cluster.elapsed >= running.frozen
                        && cluster.elapsed >= running.local.cut.get()
                        && !running.local.changelogs.borrow_mut().has_any(cluster)
                        && !running.local.is_deaf(cluster)
                        && matches!(running.local.wish.get(), Wish::Read(until) if until > cluster.elapsed)
                })
        };
        cluster.is_still() && self.zombies.is_empty() && self.processes.iter().all(waits) && self.is_run()
    }

    /// Whether every partition of every node is run by someone.
    fn is_run(&self) -> bool {
        let running = || self.processes.iter().filter_map(|process| process.running.as_ref());
        let nodes = self.processes.iter().flat_map(|process| &process.nodes);
        let mut tasks = nodes.flat_map(|node| (0..self.options.partitions).map(|partition| (node.name, partition)));
        tasks.all(|at| running().any(|running| running.local.owned.borrow().contains(&at)))
    }

    /// What every process is at, for whoever has to find out why nothing moves.
    pub(crate) fn why(&self) -> String {
        let cluster = self.cluster();
        let tell = |process: &Process| {
            let state = process.running.as_ref().map(|running| {
                let owned = running.local.owned.borrow().len();
                (running.local.wish.get(), owned, running.local.can_read(cluster), running.is_able(cluster))
            });
            format!("{} {state:?}", process.slot)
        };
        let told: Vec<String> = self.processes.iter().map(tell).collect();
        let (at, still, run, groups) = (cluster.elapsed, cluster.is_still(), self.is_run(), &cluster.groups);
        format!("at {at}, still: {still}, run: {run}, {}, {groups:?}", told.join("; "))
    }

    pub(crate) fn populate(&mut self, placements: Vec<Vec<&'static str>>) {
        let old = std::mem::take(&mut self.processes);
        let (partitions, grouping) = (self.options.partitions, self.groupings);
        self.groupings += 1;
        let now = self.cluster().elapsed;
        for process in &old {
            if let Some(running) = &process.running {
                self.cluster_mut().silent.insert(running.local.life, now);
            }
        }
        self.zombies.clear();
        let fragile = self.options.faults.contains_key(&Fault::LostTail);
        let groups = (0..placements.len()).map(|_| group::Group::new(partitions)).collect();
        self.cluster_mut().groups = groups;
        for (group, placement) in placements.iter().enumerate() {
            let nodes: Vec<_> = self.nodes.iter().copied().filter(|node| placement.contains(&node.name)).collect();
            for number in 0..self.options.processes {
                let disks = Disks::new(&nodes, partitions, fragile);
                let before = old.iter().filter(|process| process.slot.ends_with(&format!(".{number}")));
                before.clone().for_each(|process| disks.copy(&process.disks));
                self.processes.push(Process {
                    slot: format!("{grouping}.{group}.{number}"),
                    group,
                    nodes: nodes.clone(),
                    version: before.map(|process| process.version).next().unwrap_or(Version::Older),
                    disks: Rc::new(disks),
                    running: None,
                    down: 0,
                    attempts: 0,
                    is_extra: false,
                    leaves: false,
                });
            }
        }
    }

    fn start(&mut self, index: usize) {
        self.lives += 1;
        let (options, make, held) = (&self.options, &self.make, &self.held);
        self.processes[index].start(self.lives, options, make, held);
    }

    /// A process goes on, or dies where it stands.
    fn go_on(&mut self, index: usize) -> Result<(), SimError> {
        if self.dies(index) {
            self.die(index);
            return Ok(());
        }
        self.cluster_mut().in_epoch = self.in_epoch();
        let cluster = self.cluster.take().expect("invariant: the cluster is in our hands between two turns");
        let running = self.processes[index].running.as_mut().expect("invariant: only what is up goes on");
        let (cluster, ended) = running.go_on(&self.held, cluster);
        self.cluster = Some(cluster);
        match ended {
            Some(ended) => self.stopped(index, ended),
            None => Ok(()),
        }
    }

    /// A process whose slot another has goes on; whatever becomes of it is no one's business.
    fn haunt(&mut self, index: usize) {
        let cluster = self.cluster.take().expect("invariant: the cluster is in our hands between two turns");
        let life = self.zombies[index].local.life;
        let (mut cluster, ended) = self.zombies[index].go_on(&self.held, cluster);
        if ended.is_some() {
            cluster.groups.iter_mut().for_each(|group| group.forget(life));
            let now = cluster.elapsed;
            cluster.silent.insert(life, now);
            drop(self.zombies.swap_remove(index));
        }
        self.cluster = Some(cluster);
    }

    /// Whether the process dies at this boundary, if it is at one.
    fn dies(&mut self, index: usize) -> bool {
        let process = &mut self.processes[index];
        let Some(running) = &process.running else { return false };
        let local = &running.local;
        if local.wish.get() != Wish::Boundary && !local.done.take() {
            return false;
        }
        process.attempts = local.attempts.get();
        let steps = if self.options.hops == Hops::Owned { owner::BATCH } else { PROTOCOL.len() as u64 };
        let boundary = local.boundary.replace(local.boundary.get() + 1);
        let dies = match self.options.crash {
            Crash::Never => false,
            Crash::At(chosen) => chosen == self.boundaries,
            Crash::Round => process.attempts % (steps + 2) == boundary,
            Crash::Chance(parts) => self.cluster_mut().random.chance(parts as usize, 10_000),
        };
        self.boundaries += 1;
        dies
    }

    pub(crate) fn die(&mut self, index: usize) {
        if self.processes[index].running.is_none() {
            return;
        }
        self.crashes += 1;
        self.down(index, 0, 3);
        self.lose(index);
    }

    /// A process is no more; it is started again after so many seconds.
    fn down(&mut self, index: usize, least: u64, most: u64) {
        let Some(running) = self.processes[index].running.take() else { return };
        let cluster = self.cluster_mut();
        let (life, now) = (running.local.life, cluster.elapsed);
        cluster.silent.insert(life, now);
        cluster.groups.iter_mut().for_each(|group| group.forget(life));
        self.processes[index].down = self.cluster_mut().soon(least, most);
    }

    /// A process has come to its end.
    fn stopped(&mut self, index: usize, ended: Result<(), Failure>) -> Result<(), SimError> {
        let injected = |fault: Fault| self.options.faults.contains_key(&fault);
        let expected = match &ended {
            Ok(()) => true,
            Err(Failure::Fenced(_)) => injected(Fault::Zombie),
            Err(Failure::Store(_)) => injected(Fault::DiskFull),
            Err(Failure::Log(_)) => self.processes[index].disks.is_spoiled(),
            Err(Failure::TooLarge(_) | Failure::Session(_) | Failure::Broken(_)) => false,
        };
        if !expected {
            let (seed, slot) = (self.options.seed, self.processes[index].slot.clone());
            return Err(SimError::Stopped {
                seed,
                slot,
                reason: ended.err().map(|failure| failure.to_string()).unwrap_or_default(),
            });
        }
        if matches!(ended, Err(Failure::Log(_))) {
            // What the message asks for: the folder is deleted.
            let disks = &self.processes[index].disks;
            disks.nodes().for_each(|node| disks.lose(node));
        }
        self.down(index, 0, 3);
        Ok(())
    }
}
