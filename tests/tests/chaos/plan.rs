//! What goes wrong, when, and for whom: all of it drawn from one seed before anything is started.

use std::time::Duration;

use tributary_cli::load::plan::Draw;

/// Processes of the cluster.
pub const PROCESSES: usize = 3;
/// The process whose data lies on a small disk.
pub const ON_SMALL_DISK: usize = 1;
/// The process that reaches the brokers through proxies.
pub const PROXIED: usize = 2;

/// How a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Connections end, and new ones are refused.
    Closed,
    /// Connections stay, and nothing comes through.
    Silent,
}

/// A fault, and how long it lasts: until what was killed is started again, what was frozen thaws, and so on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// kill -9 of processes and brokers, at once.
    Kill { processes: Vec<(usize, Duration)>, broker: Option<(usize, Duration)> },
    /// A broker stopped in good order, and started again after this pause: it gives its partitions away while it still decides
    /// transactions.
    Stop { broker: usize, pause: Duration },
    /// SIGSTOP for longer than the group waits for a member.
    Freeze { process: usize, bound: Duration },
    /// The connection between one process and all brokers.
    Cut { how: Cut, bound: Duration },
    /// No room on the small disk. A running store has reserved some for a while: it may not notice, unless it is killed and
    /// started again on the full disk after this pause.
    Fill { killed: Option<Duration>, bound: Duration },
}

/// A kind of fault, before it is known for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Card {
    Process,
    TwoProcesses,
    Broker,
    BrokerAndProcess,
    BrokerInOrder,
    Freeze,
    Cut,
    Fill,
}

/// How faults come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// One upon another, of every kind.
    Storm,
    /// One process or broker killed at a time, and time to get over it: for what that takes.
    Calm,
}

impl Weather {
    /// Faults are dealt from this deck, shuffled each time: each kind comes again and again, in any order.
    fn deck(self) -> &'static [Card] {
        use Card::*;
        match self {
            Weather::Storm => &[
                Process,
                Process,
                Process,
                Process,
                Process,
                TwoProcesses,
                TwoProcesses,
                Broker,
                BrokerAndProcess,
                BrokerInOrder,
                Freeze,
                Cut,
                Fill,
            ],
            Weather::Calm => &[Process, Process, Process, Process, Broker],
        }
    }

    /// How often something must have been killed in a run of this length: less than planned, for a victim may be down already.
    pub fn least_kills(self, length: Duration) -> usize {
        let seconds = length.as_secs() as usize;
        match self {
            Weather::Storm if seconds >= 600 => seconds / 6,
            Weather::Storm => seconds / 10,
            Weather::Calm => seconds / 30,
        }
    }

    /// How long until the next one, at least and at most, in milliseconds.
    fn gap(self, card: Card) -> (u64, u64) {
        match (self, card) {
            (Weather::Storm, _) => (2_000, 7_000),
            (Weather::Calm, Card::Broker) => (30_000, 35_000),
            (Weather::Calm, _) => (12_000, 15_000),
        }
    }
}

/// How long a process is spared after it was started again.
const PROCESS_RESTS: Duration = Duration::from_secs(3);
/// How long brokers are spared after one was struck: it has to be started again, to come up and, beside others, to catch up.
const BROKERS_REST: Duration = Duration::from_secs(19);

/// How long a killed broker is down at least and at most, in milliseconds.
const BROKER_DOWN: (u64, u64) = (200, 2_000);
/// The same of one among others: until they have elected a controller, in case it was that one, and this has given its partitions
/// away. One that is back before that takes itself for the coordinator that it was, and Kafka 4.2 then commits a transaction
/// whose decision only that broker has, while the next coordinator aborts it: docs/guarantees.md tells of it.
const ONE_OF_MANY_DOWN: (u64, u64) = (6_000, 8_000);

struct Planner {
    draw: Draw,
    brokers: usize,
    at: Duration,
    /// When each process has had its fault and a rest.
    processes: [Duration; PROCESSES],
    /// When all brokers have.
    cluster: Duration,
}

/// The faults of a run, by when they come.
pub fn plan(seed: u64, weather: Weather, length: Duration, brokers: usize) -> Vec<(Duration, Fault)> {
    let at = Duration::from_secs(1);
    let mut planner = Planner { draw: Draw::new(seed), brokers, at, processes: Default::default(), cluster: at };
    let (mut plan, mut deck) = (Vec::new(), Vec::new());
    while planner.at < length {
        if deck.is_empty() {
            deck = planner.shuffled(weather.deck());
        }
        match deck.iter().position(|card| planner.can(*card)) {
            Some(index) => {
                let card = deck.remove(index);
                let fault = planner.fault(card);
                plan.push((planner.at, fault));
                let (least, most) = weather.gap(card);
                let gap = planner.between(least, most);
                planner.at += gap;
            }
            None => planner.at += Duration::from_millis(500),
        }
    }
    plan
}

impl Planner {
    fn between(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.draw.below(to - from))
    }

    fn shuffled(&mut self, deck: &[Card]) -> Vec<Card> {
        let mut deck = deck.to_vec();
        for last in (1..deck.len()).rev() {
            deck.swap(last, self.draw.below(last as u64 + 1) as usize);
        }
        deck
    }

    fn idle(&self) -> Vec<usize> {
        (0..PROCESSES).filter(|process| self.processes[*process] <= self.at).collect()
    }

    fn can(&self, card: Card) -> bool {
        let (idle, cluster) = (self.idle(), self.cluster <= self.at);
        match card {
            Card::Process | Card::Freeze => !idle.is_empty(),
            Card::TwoProcesses => idle.len() > 1,
            Card::Broker | Card::BrokerInOrder => cluster,
            Card::BrokerAndProcess => cluster && !idle.is_empty(),
            Card::Cut => idle.contains(&PROXIED),
            Card::Fill => idle.contains(&ON_SMALL_DISK),
        }
    }

    fn fault(&mut self, card: Card) -> Fault {
        let processes = match card {
            Card::Process | Card::BrokerAndProcess => 1,
            Card::TwoProcesses => 2,
            _ => 0,
        };
        match card {
            Card::BrokerInOrder => {
                let (broker, pause) = self.broker(BROKER_DOWN);
                Fault::Stop { broker, pause }
            }
            Card::Freeze => {
                let bound = self.between(7_000, 12_000);
                Fault::Freeze { process: self.victim(bound), bound }
            }
            Card::Cut => {
                let how = if self.draw.below(2) == 0 { Cut::Closed } else { Cut::Silent };
                let bound = self.between(2_000, 12_000);
                self.processes[PROXIED] = self.at + bound + PROCESS_RESTS;
                Fault::Cut { how, bound }
            }
            Card::Fill => {
                let bound = self.between(4_000, 9_000);
                let killed = (self.draw.below(2) == 0).then(|| self.between(200, 1_500));
                self.processes[ON_SMALL_DISK] = self.at + bound + PROCESS_RESTS;
                Fault::Fill { killed, bound }
            }
            Card::Process | Card::TwoProcesses | Card::Broker | Card::BrokerAndProcess => {
                let killed = (0..processes).map(|_| self.killed()).collect();
                let down = if self.brokers == 1 { BROKER_DOWN } else { ONE_OF_MANY_DOWN };
                let broker = matches!(card, Card::Broker | Card::BrokerAndProcess).then(|| self.broker(down));
                Fault::Kill { processes: killed, broker }
            }
        }
    }

    /// A process to be killed, and how long it is down: mostly a moment, now and then until others have its partitions.
    fn killed(&mut self) -> (usize, Duration) {
        let pause = if self.draw.below(5) == 0 { self.between(7_000, 12_000) } else { self.between(200, 1_500) };
        (self.victim(pause), pause)
    }

    fn broker(&mut self, (least, most): (u64, u64)) -> (usize, Duration) {
        let pause = self.between(least, most);
        self.cluster = self.at + BROKERS_REST;
        (self.draw.below(self.brokers as u64) as usize, pause)
    }

    /// One of the processes that have no fault.
    fn victim(&mut self, bound: Duration) -> usize {
        let idle = self.idle();
        let victim = idle[self.draw.below(idle.len() as u64) as usize];
        self.processes[victim] = self.at + bound + PROCESS_RESTS;
        victim
    }
}
