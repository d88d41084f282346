//! A client as the README asks for: it sends every command under an id of its own, sends again what was not acknowledged,
//! under the same id, and knows from the outcomes alone what every balance must be.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tributary_cli::decode::Decoder;
use tributary_cli::load::plan::Draw;
use tributary_flow::{Header, Log, log};
use tributary_graph::TRANSACTIONS_EVENTS;

/// Accounts that pay each other.
const ACCOUNTS: u64 = 20;
/// What each begins with, in cents.
const FUNDS: i64 = 1_000_000;
/// Commands of one request.
const BATCH: usize = 200;
/// Longest wait for outcomes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A command that was decided to be sent.
struct Order {
    /// The command's id; of one sent to `/transactions`, known once it is acknowledged.
    id: String,
    transaction: String,
    body: Value,
    /// Whether it goes to `POST /transactions`, its id being the Idempotency-Key.
    alone: bool,
    acknowledged: bool,
    /// How often it was sent.
    sent: u32,
}

/// A payment, as the client's books have it.
struct Payment {
    from: String,
    to: String,
    cents: i64,
    /// What is to follow once it is held: post or void.
    next: Option<&'static str>,
}

/// The client and its books.
pub struct Client {
    agent: ureq::Agent,
    /// Whether a request waits for its answer.
    asking: Arc<AtomicBool>,
    draw: Draw,
    orders: Vec<Order>,
    /// Orders before this one are acknowledged.
    settled: usize,
    payments: BTreeMap<String, Payment>,
    /// How long it waits between requests.
    pause: Duration,
    /// Posts and voids of what was created, by when they are due.
    later: VecDeque<(Instant, String, &'static str)>,
}

/// What the client's books say of a load.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// Commands decided.
    pub commands: usize,
    /// Of them not acknowledged.
    pub unacknowledged: usize,
    /// Of them sent more than once.
    pub repeated: usize,
}

impl Client {
    /// Opens the accounts and funds them. Between requests the client waits for `pause`.
    ///
    /// # Errors
    /// An account is not opened.
    pub fn new(url: &str, pause: Duration) -> Result<Self> {
        let config =
            ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(20))).http_status_as_error(false);
        let agent = config.build().into();
        let (asking, orders, payments, later) = (Arc::default(), Vec::new(), BTreeMap::new(), VecDeque::new());
        let mut client = Client { agent, asking, draw: Draw::new(7), orders, settled: 0, payments, pause, later };
        for account in 0..ACCOUNTS {
            let body = json!({"account_id": name(account), "kind": "LIABILITY", "currency": "EUR"});
            client.post(&format!("{url}/accounts?wait=20s"), &format!("open-{account}"), &body)?;
        }
        for account in 0..ACCOUNTS {
            client.pay(format!("fund-{account}"), "world:EUR".into(), name(account), FUNDS, None);
        }
        client.send_all(url)?;
        Ok(client)
    }

    /// Sends payments as fast as they are taken while `work` runs, then ends, whatever is still unanswered. What `work` is
    /// given waits for a request to be under way, a second at most.
    ///
    /// # Errors
    /// Those of `work`.
    pub fn load_while<T>(&mut self, url: &str, work: impl FnOnce(&dyn Fn()) -> Result<T>) -> Result<T> {
        let (over, asking) = (AtomicBool::new(false), self.asking.clone());
        let in_mid_request = || {
            let since = Instant::now();
            while !asking.load(Ordering::Acquire) && since.elapsed() < Duration::from_secs(1) {
                std::thread::sleep(Duration::from_micros(100));
            }
        };
        std::thread::scope(|scope| {
            let sending = scope.spawn(|| {
                while !over.load(Ordering::Acquire) {
                    if self.open().len() < BATCH {
                        self.decide();
                    }
                    let pause = if self.send_some(url).is_ok() { self.pause } else { Duration::from_millis(5) };
                    std::thread::sleep(pause);
                }
            });
            let done = work(&in_mid_request);
            over.store(true, Ordering::Release);
            sending.join().map_err(|_| anyhow::anyhow!("the client panicked"))?;
            done
        })
    }

    /// Sends until everything is acknowledged.
    ///
    /// # Errors
    /// It is not, in time.
    pub fn send_all(&mut self, url: &str) -> Result<()> {
        let since = Instant::now();
        while !self.open().is_empty() {
            if let Err(error) = self.send_some(url) {
                ensure!(since.elapsed() < PATIENCE, "not acknowledged: {error:#}");
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        Ok(())
    }

    /// What the books say.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let count = |of: fn(&Order) -> bool| self.orders.iter().filter(|order| of(order)).count();
        Figures {
            commands: self.orders.len(),
            unacknowledged: count(|order| !order.acknowledged && order.sent > 0),
            repeated: count(|order| order.sent > 1),
        }
    }

    /// Decides the next payments, and what is to follow on those that were held before.
    fn decide(&mut self) {
        while self.later.front().is_some_and(|(due, ..)| *due <= Instant::now())
            && let Some((_, id, next)) = self.later.pop_front()
        {
            self.order(format!("{id}-then"), id.clone(), json!({"type": next, "transaction_id": id}), false);
        }
        for _ in 0..BATCH {
            let number = self.payments.len();
            let from = self.draw.below(ACCOUNTS);
            let to = (from + 1 + self.draw.below(ACCOUNTS - 1)) % ACCOUNTS;
            let refused = self.draw.below(50) == 0;
            let cents = if refused { FUNDS * 100 } else { 1 + self.draw.below(2_000) as i64 };
            let next = [None, None, None, None, None, Some("PostTransaction"), Some("VoidTransaction"), Some("")];
            let next = next[self.draw.below(8) as usize];
            self.pay(format!("pay-{number:06}"), name(from), name(to), cents, next);
        }
    }

    fn pay(&mut self, id: String, from: String, to: String, cents: i64, next: Option<&'static str>) {
        let amount = json!({"amount": format!("{}.{:02}", cents / 100, cents % 100), "currency": "EUR"});
        let leg = |account: &str, side: &str| json!({"account_id": account, "side": side, "amount": amount});
        let body = json!({
            "type": "CreateTransaction",
            "transaction_id": id,
            "legs": [leg(&from, "DEBIT"), leg(&to, "CREDIT")],
            "two_phase": next.is_some(),
        });
        let alone = self.payments.len().is_multiple_of(BATCH) && !self.payments.is_empty();
        self.order(id.clone(), id.clone(), body, alone);
        self.payments.insert(id, Payment { from, to, cents, next });
    }

    fn order(&mut self, id: String, transaction: String, body: Value, alone: bool) {
        self.orders.push(Order { id, transaction, body, alone, acknowledged: false, sent: 0 });
    }

    /// The first orders that are not acknowledged.
    fn open(&mut self) -> Vec<usize> {
        while self.orders.get(self.settled).is_some_and(|order| order.acknowledged) {
            self.settled += 1;
        }
        let open = |index: &usize| !self.orders[*index].acknowledged;
        (self.settled..self.orders.len()).filter(open).take(BATCH).collect()
    }

    /// Sends the first open orders, and notes what was acknowledged.
    fn send_some(&mut self, url: &str) -> Result<()> {
        let open = self.open();
        let (alone, together): (Vec<usize>, Vec<usize>) = open.into_iter().partition(|index| self.orders[*index].alone);
        for index in alone {
            let order = &mut self.orders[index];
            order.sent += 1;
            let (key, mut body) = (order.id.clone(), order.body.clone());
            body.as_object_mut().map(|fields| fields.remove("type"));
            let answer = self.post(&format!("{url}/transactions"), &key, &body)?;
            let order = &mut self.orders[index];
            order.id = answer["command_id"].as_str().context("an answer without the command's id")?.to_owned();
            order.acknowledged = true;
        }
        if together.is_empty() {
            return Ok(());
        }
        let mut commands = Vec::with_capacity(together.len());
        for index in &together {
            let order = &mut self.orders[*index];
            order.sent += 1;
            commands.push(json!({"id": order.id, "body": order.body}));
        }
        let answers = self.post(&format!("{url}/commands/transactions.commands.v1"), "", &Value::Array(commands))?;
        let answers = answers.as_array().context("an answer that is no list")?;
        ensure!(answers.len() == together.len(), "{} answers to {} commands", answers.len(), together.len());
        for (index, answer) in together.into_iter().zip(answers) {
            if answer["command_id"].is_string() {
                self.orders[index].acknowledged = true;
                self.follow(index);
            }
        }
        Ok(())
    }

    /// Posts or voids, a little later, what was created for it.
    fn follow(&mut self, index: usize) {
        let id = self.orders[index].transaction.clone();
        let Some(next) =
            self.payments.get_mut(&id).and_then(|payment| payment.next.take()).filter(|next| !next.is_empty())
        else {
            return;
        };
        self.later.push_back((Instant::now() + self.pause * 4, id, next));
    }

    fn post(&self, url: &str, key: &str, body: &Value) -> Result<Value> {
        let mut request = self.agent.post(url);
        if !key.is_empty() {
            request = request.header("Idempotency-Key", key);
        }
        self.asking.store(true, Ordering::Release);
        let answer = request.send_json(body);
        self.asking.store(false, Ordering::Release);
        let mut answer = answer?;
        let status = answer.status().as_u16();
        let text = answer.body_mut().read_to_string()?;
        ensure!((200..300).contains(&status), "{url} answered {status}: {text}");
        Ok(serde_json::from_str(&text)?)
    }

    fn get(&self, url: &str) -> Result<Value> {
        let mut answer = self.agent.get(url).call()?;
        let status = answer.status().as_u16();
        let text = answer.body_mut().read_to_string()?;
        ensure!(status == 200, "{url} answered {status}: {text}");
        Ok(serde_json::from_str(&text)?)
    }

    /// Waits until every payment has an outcome, and compares every balance with what the outcomes make of it.
    ///
    /// # Errors
    /// A payment is missing or unknown, or a balance is another.
    pub fn check_balances(&self, url: &str) -> Result<BTreeMap<String, usize>> {
        let since = Instant::now();
        let outcomes = loop {
            let outcomes = self.outcomes(url)?;
            let waiting =
                self.payments.keys().filter(|id| outcomes.get(*id).is_none_or(|status| status == "initiated")).count();
            if waiting == 0 {
                break outcomes;
            }
            ensure!(since.elapsed() < PATIENCE, "{waiting} payments have no outcome");
            std::thread::sleep(Duration::from_millis(100));
        };
        ensure!(
            outcomes.len() == self.payments.len(),
            "{} transactions and {} were sent",
            outcomes.len(),
            self.payments.len()
        );
        let mut balances: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
        let mut counts = BTreeMap::new();
        for (id, status) in &outcomes {
            let Payment { from, to, cents, .. } =
                self.payments.get(id).with_context(|| format!("{id} was never sent"))?;
            match status.as_str() {
                "completed" => {
                    balances.entry(from).or_default().0 -= cents;
                    balances.entry(to).or_default().0 += cents;
                }
                "held" | "on_hold" => balances.entry(from).or_default().1 += cents,
                failed if failed.starts_with("failed: ") => {}
                "cancelled" => {}
                other => bail!("{id} is {other}"),
            }
            *counts.entry(status.clone()).or_default() += 1;
        }
        // Another view than that of the outcomes may be a moment behind.
        for account in (0..ACCOUNTS).map(name) {
            let expected = balances.get(account.as_str()).copied().unwrap_or_default();
            loop {
                let shown = self.get(&format!("{url}/accounts/{account}"))?;
                let found = (cents(&shown["posted"])?, cents(&shown["held"])?);
                if found == expected {
                    break;
                }
                let late = since.elapsed() > PATIENCE;
                ensure!(!late, "{account}: posted and held are {found:?} cents and by the books {expected:?}");
                std::thread::sleep(Duration::from_millis(100));
            }
        }
        Ok(counts)
    }

    /// The status of every transaction, and the reasons where it failed.
    fn outcomes(&self, url: &str) -> Result<BTreeMap<String, String>> {
        let mut outcomes = BTreeMap::new();
        let mut page = format!("{url}/transactions?limit=500");
        loop {
            let answer = self.get(&page)?;
            for item in answer["items"].as_array().context("a page without items")? {
                let text = |field: &str| item[field].as_str().unwrap_or_default().to_owned();
                let codes =
                    item["reasons"].as_array().into_iter().flatten().filter_map(|reason| reason["code"].as_str());
                let codes: BTreeSet<&str> = if text("status") == "failed" { codes.collect() } else { BTreeSet::new() };
                let status = [text("status")].into_iter().chain(codes.into_iter().map(str::to_owned));
                let twice = outcomes.insert(text("transaction_id"), status.collect::<Vec<_>>().join(": "));
                ensure!(twice.is_none(), "{item} is listed twice");
            }
            match answer["next"].as_str() {
                Some(next) => page = format!("{url}/transactions?limit=500&cursor={next}"),
                None => return Ok(outcomes),
            }
        }
    }

    /// Reads the log as any consumer could: every command that was sent has exactly one answer.
    ///
    /// # Errors
    /// A command has none, or more.
    pub fn check_answers(&self, log: &dyn Log, decoder: &Decoder) -> Result<usize> {
        let mut answers: BTreeMap<(String, String), u32> = BTreeMap::new();
        for partition in 0..log.partitions() {
            log::visit(log, TRANSACTIONS_EVENTS.name, partition, |record| {
                if let (Header::Fact(fact), key, _) = decoder.json(&TRANSACTIONS_EVENTS, &record)?
                    && let Some(command) = fact.answers
                {
                    *answers.entry((key, command)).or_default() += 1;
                }
                Ok::<_, anyhow::Error>(())
            })?;
        }
        for order in &self.orders {
            let many = answers.remove(&(order.transaction.clone(), order.id.clone())).unwrap_or(0);
            ensure!(
                many == 1,
                "{} of {} was sent {} times and answered {many} times",
                order.id,
                order.transaction,
                order.sent
            );
        }
        ensure!(answers.is_empty(), "answers to commands that were never sent: {answers:?}");
        Ok(self.orders.len())
    }
}

fn name(account: u64) -> String {
    format!("customer-{account:02}")
}

/// `12.34` in cents.
fn cents(shown: &Value) -> Result<i64> {
    let text = shown.as_str().context("an amount is text")?;
    let (whole, part) = text.split_once('.').context("an amount in EUR has two digits")?;
    ensure!(part.len() == 2, "{text} has not two digits");
    Ok(format!("{whole}{part}").parse()?)
}
