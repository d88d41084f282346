//! A toy graph for drivers: wallets that pay each other, a tally of the payments, and a timer. Bodies are text with `|`
//! between the fields, so that the driver is tested and not a codec.

#![allow(dead_code, reason = "each test uses its part")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tributary_flow::processor::{Identity, Refusal};
use tributary_flow::task::TranslateError;
use tributary_flow::{
    Body, Collection, CommandHeader, Cx, DecodeError, Effects, Event, EventId, FactHeader, Header, Page, Processor,
    ProcessorTask, Reader, Registry, Setup, State, Store, Task, Timestamp, node, topics,
};

/// The files of a database's write-ahead log, the oldest first.
pub fn ahead(dir: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|end| end == "log")).collect();
    files.sort();
    files
}

/// `pay`; `later`: a payment of 1 after so many microseconds; `cancel`: no such payment; `panic`: a bug, until it is fixed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    pub verb: String,
    pub from: String,
    pub to: String,
    pub amount: u64,
}

/// Money on its way to a wallet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credit {
    pub to: String,
    pub amount: u64,
}

/// What became of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paid {
    pub from: String,
    pub amount: u64,
}

topics! {
    /// Orders.
    ORDERS = "toy.commands.v1", Commands, "wallet", Order;
    /// Credits.
    CREDITS = "toy.legs.v1", Legs, "wallet", Credit;
    /// Payments.
    PAID = "toy.events.v1", Events, "wallet", Paid;
    /// What is noted of wallets.
    NOTES = "toy.notes.v1", Events, "wallet", Paid;
}

node! {
    /// Pays.
    wallet: "wallet", "wallet",
    in { Order(Order) <- [ORDERS], Credit(Credit) <- [CREDITS] }
    out { Credit(Credit) -> CREDITS, Paid(Paid) -> PAID }
}

node! {
    /// Counts, of two topics that it may meet in any order.
    tally: "tally", "wallet",
    in { Paid(Paid) <- [PAID], Credit(Credit) <- [CREDITS] }
    out {}
}

pub struct Wallet {
    pub fixed: bool,
}

impl Processor for Wallet {
    type Ports = wallet::Ports;
    type Head = i64;
    type Timer = (String, u64);

    fn step(
        &self,
        cx: &Cx<'_>,
        key: &str,
        state: &mut State<'_, i64>,
        event: Event<wallet::In<'_>, (String, u64)>,
    ) -> Effects<wallet::Out, (String, u64)> {
        let mut effects = Effects::none();
        let balance = state.head.get_or_insert_default();
        let (to, amount) = match event {
            Event::Input(wallet::In::Credit(credit)) => {
                *balance += credit.amount as i64;
                return effects;
            }
            Event::Input(wallet::In::Order(order)) if order.verb == "later" => {
                effects.set_timer((order.to.clone(), 1), cx.now.plus(order.amount as i64));
                return effects;
            }
            Event::Input(wallet::In::Order(order)) if order.verb == "cancel" => {
                effects.clear_timer((order.to.clone(), 1));
                return effects;
            }
            Event::Input(wallet::In::Order(order)) if order.verb == "panic" => {
                assert!(self.fixed, "told to");
                return effects;
            }
            Event::Input(wallet::In::Order(order)) => (order.to.clone(), order.amount),
            Event::Timer((to, amount)) => (to, amount),
        };
        *balance -= amount as i64;
        effects.emit(Credit { to, amount });
        effects.answer(cx.correlation, Paid { from: key.to_owned(), amount });
        effects
    }

    fn refuse(&self, command: wallet::In<'_>, _: &Refusal) -> Option<wallet::Out> {
        let wallet::In::Order(order) = command else { return None };
        Some(Paid { from: order.from.clone(), amount: 0 }.into())
    }

    fn identity(&self, _: wallet::In<'_>) -> Identity {
        Identity::Command
    }
}

pub struct Tally;

/// How many facts of each topic a wallet had, and numbers that only they make, each in its topic's order.
type Tallied = [(u64, u64); 2];

/// The last facts of a wallet from each topic: each is written once, and goes once.
static LAST: [Collection<u64, EventId>; 2] = [Collection::new(1), Collection::new(2)];
/// How many there are.
const KEPT: u64 = 3;

impl Processor for Tally {
    type Ports = tally::Ports;
    type Head = Tallied;
    type Timer = ();

    fn step(
        &self,
        cx: &Cx<'_>,
        _: &str,
        state: &mut State<'_, Tallied>,
        event: Event<tally::In<'_>, ()>,
    ) -> Effects<tally::Out, ()> {
        let topic = match event {
            Event::Input(tally::In::Paid(_)) => 0,
            _ => 1,
        };
        let (count, mixed) = &mut state.head.get_or_insert_default()[topic];
        (*count, *mixed) = (*count + 1, mix(*mixed, cx.id));
        let at = *count;
        state.put(&LAST[topic], &at, &cx.id);
        if let Some(gone) = at.checked_sub(KEPT) {
            state.delete(&LAST[topic], &gone);
        }
        Effects::none()
    }
}

/// A number that only these facts make, in this order.
pub fn mix(before: u64, fact: EventId) -> u64 {
    before.wrapping_mul(1_000_003).wrapping_add(u64::from(fact.0[0]) + 1)
}

struct OneSchema;

impl Registry for OneSchema {
    fn id(&self, _: &str) -> u32 {
        1
    }

    fn translate(&self, _: &str, _: u32, _: &[u8]) -> Result<Vec<u8>, TranslateError> {
        Err(TranslateError::Unknown)
    }
}

/// What every task is made with.
pub fn setup(partitions: u32) -> Setup {
    Setup {
        application: "toy".into(),
        partitions,
        build: "test".into(),
        max_record: 10_000,
        registry: Arc::new(OneSchema),
    }
}

pub fn wallet_task(partition: u32, partitions: u32, fixed: bool) -> Box<dyn Task> {
    Box::new(ProcessorTask::new(Arc::new(Wallet { fixed }), partition, setup(partitions)))
}

pub fn tally_task(partition: u32, partitions: u32) -> Box<dyn Task> {
    Box::new(ProcessorTask::new(Arc::new(Tally), partition, setup(partitions)))
}

pub fn tasks(partition: u32, partitions: u32) -> Vec<Box<dyn Task>> {
    vec![wallet_task(partition, partitions, false), tally_task(partition, partitions)]
}

/// An order as a client frames it.
pub fn order(id: &str, verb: &str, from: &str, to: &str, amount: u64) -> Vec<u8> {
    order_of(Timestamp(i64::MAX), id, verb, from, to, amount)
}

/// An order of that time.
pub fn order_of(time: Timestamp, id: &str, verb: &str, from: &str, to: &str, amount: u64) -> Vec<u8> {
    let header = Header::Command(CommandHeader { id: id.to_owned(), time, ..Default::default() });
    let mut value = tributary_flow::framing::frame(1);
    Order { verb: verb.into(), from: from.into(), to: to.into(), amount }.encode(&header, &mut value);
    value
}

/// The sum of balances and the number of payments counted, in one store each.
pub fn balances(store: &dyn Store) -> Vec<(String, i64)> {
    Reader::new(store).heads(Page::all())
}

pub fn counted(store: &dyn Store) -> u64 {
    Reader::new(store).heads::<Tallied>(Page::all()).iter().map(|(_, [(paid, _), _])| paid).sum()
}

/// The command that a record of [`PAID`] answers.
pub fn answered(value: &[u8]) -> String {
    paid(value).0.answers.unwrap()
}

/// A record of [`PAID`].
pub fn paid(value: &[u8]) -> (FactHeader, Paid) {
    let (Header::Fact(fact), paid) = Paid::decode(&value[5..]).unwrap() else { panic!("a fact") };
    (fact, paid)
}

/// A record of [`CREDITS`].
pub fn credit(value: &[u8]) -> (FactHeader, Credit) {
    let (Header::Fact(fact), credit) = Credit::decode(&value[5..]).unwrap() else { panic!("a fact") };
    (fact, credit)
}

fn fields<const N: usize>(datum: &[u8]) -> Result<[String; N], DecodeError> {
    let text = std::str::from_utf8(datum).map_err(|_| DecodeError::new("", "text"))?;
    let fields: Vec<String> = text.split('|').map(str::to_owned).collect();
    fields.try_into().map_err(|_| DecodeError::new("", format!("{N} fields")))
}

fn number(text: &str) -> Result<u64, DecodeError> {
    text.parse().map_err(|_| DecodeError::new("amount", "a number"))
}

fn fact(id: &str, correlation: &str, answers: &str) -> Header {
    let mut bytes = [0; 16];
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&id[2 * i..2 * i + 2], 16).unwrap();
    }
    let answers = (!answers.is_empty()).then(|| answers.to_owned());
    Header::Fact(FactHeader { id: EventId(bytes), correlation: correlation.to_owned(), answers, ..Default::default() })
}

fn fact_text(header: &Header) -> String {
    let Header::Fact(fact) = header else { panic!("a fact's header") };
    format!("{}|{}|{}", fact.id, fact.correlation, fact.answers.as_deref().unwrap_or_default())
}

impl Body for Order {
    const SCHEMA: &'static str = "toy.Order";

    fn decode(datum: &[u8]) -> Result<(Header, Self), DecodeError> {
        let [id, time, forwarded, verb, from, to, amount] = fields(datum)?;
        let origin = (forwarded == "f").then(tributary_flow::Origin::default);
        let time = Timestamp(number(&time)? as i64);
        Ok((
            Header::Command(CommandHeader { id, time, origin, ..Default::default() }),
            Order { verb, from, to, amount: number(&amount)? },
        ))
    }

    fn encode(&self, header: &Header, out: &mut Vec<u8>) {
        let Header::Command(command) = header else { panic!("a command's header") };
        let forwarded = if command.origin.is_some() { "f" } else { "" };
        out.extend_from_slice(format!("{}|{}|{forwarded}|", command.id, command.time.0).as_bytes());
        self.encode_body(out);
    }

    fn encode_body(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("{}|{}|{}|{}", self.verb, self.from, self.to, self.amount).as_bytes());
    }

    fn key(&self) -> &str {
        &self.from
    }

    fn name(&self) -> &'static str {
        "Order"
    }
}

impl Body for Credit {
    const SCHEMA: &'static str = "toy.Credit";

    fn decode(datum: &[u8]) -> Result<(Header, Self), DecodeError> {
        let [id, correlation, answers, to, amount] = fields(datum)?;
        Ok((fact(&id, &correlation, &answers), Credit { to, amount: number(&amount)? }))
    }

    fn encode(&self, header: &Header, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("{}|", fact_text(header)).as_bytes());
        self.encode_body(out);
    }

    fn encode_body(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("{}|{}", self.to, self.amount).as_bytes());
    }

    fn key(&self) -> &str {
        &self.to
    }

    fn name(&self) -> &'static str {
        "Credit"
    }
}

impl Body for Paid {
    const SCHEMA: &'static str = "toy.Paid";

    fn decode(datum: &[u8]) -> Result<(Header, Self), DecodeError> {
        let [id, correlation, answers, from, amount] = fields(datum)?;
        Ok((fact(&id, &correlation, &answers), Paid { from, amount: number(&amount)? }))
    }

    fn encode(&self, header: &Header, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("{}|", fact_text(header)).as_bytes());
        self.encode_body(out);
    }

    fn encode_body(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("{}|{}", self.from, self.amount).as_bytes());
    }

    fn key(&self) -> &str {
        &self.from
    }

    fn name(&self) -> &'static str {
        "Paid"
    }
}
