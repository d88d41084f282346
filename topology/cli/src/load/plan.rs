//! What a load is made of: accounts, and payments between them, all from one seed.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tributary_flow::{Body, CommandHeader, Header, Registry, Timestamp, TopicRef, framing};
use tributary_graph::{ACCOUNTS_COMMANDS, TRANSACTIONS_COMMANDS};
use tributary_schemas::accounts::{AccountCommand, OpenAccount};
use tributary_schemas::transactions::{CreateTransaction, Leg, TransactionCommand};
use tributary_schemas::{AccountId, AccountKind, Amount, Currency, Money, Side, TransactionId};

/// The shape of a load.
#[derive(Args, Clone, Debug)]
pub struct Plan {
    /// Accounts to open and fund.
    #[arg(long, default_value_t = Plan::default().accounts, value_parser = clap::value_parser!(u32).range(2..))]
    pub accounts: u32,
    /// Payments to send.
    #[arg(long, default_value_t = Plan::default().payments)]
    pub payments: u32,
    /// Payments per second, on a schedule that does not wait for answers; as fast as they are taken where absent.
    #[arg(long)]
    pub rate: Option<u32>,
    /// How unevenly payers and payees are drawn: the exponent of a Zipf distribution, in hundredths; 0 is even.
    #[arg(long, default_value_t = Plan::default().skew, value_name = "HUNDREDTHS", value_parser = clap::value_parser!(u32).range(..=500))]
    pub skew: u32,
    /// Payments per thousand that ask for more than there is.
    #[arg(long, default_value_t = Plan::default().refusals, value_name = "PER MILLE", value_parser = clap::value_parser!(u32).range(..=1000))]
    pub refusals: u32,
    /// Everything is drawn from this.
    #[arg(long, default_value_t = Plan::default().seed)]
    pub seed: u64,
    /// First part of every id; a run with ids that were used before changes nothing.
    #[arg(long, default_value_t = Plan::default().run)]
    pub run: String,
    /// How long an outage may last, in seconds: with no command acknowledged, or no outcome, for that long, it gives up.
    #[arg(long, default_value_t = Plan::default().patience, value_name = "SECONDS")]
    pub patience: u32,
    /// A file that gets the topic and key of every command as soon as it is durable, one a line.
    #[arg(long, value_name = "FILE")]
    pub sent: Option<PathBuf>,
}

impl Default for Plan {
    fn default() -> Self {
        let (accounts, payments, rate, skew, refusals) = (1_000, 100_000, None, 0, 10);
        Plan { accounts, payments, rate, skew, refusals, seed: 1, run: "load".into(), patience: 60, sent: None }
    }
}

impl Plan {
    /// How long an outage may last.
    #[must_use]
    pub fn patience(&self) -> Duration {
        Duration::from_secs(self.patience.into())
    }

    /// Whether an id is one that this run numbers so: the run's name, a dash, what its kind begins with, and digits.
    pub(super) fn ids(&self, kind: &str) -> impl Fn(&str) -> bool + use<> {
        let prefix = format!("{}-{kind}", self.run);
        move |id| id.strip_prefix(&prefix).is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
    }
}

/// The load's currency.
pub const CURRENCY: Currency = Currency::of("EUR");

/// What each account begins with: 10,000.00.
const FUNDS: Amount = Amount(10_000 * Amount::UNIT);

/// A command ready to be sent.
pub struct Ready {
    /// Topic.
    pub topic: TopicRef,
    /// Key.
    pub key: String,
    /// Framed value.
    pub value: Vec<u8>,
}

/// Draws: splitmix64. Source: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014.
#[derive(Clone, Debug)]
pub struct Draw(u64);

impl Draw {
    /// The sequence of `seed`.
    pub fn new(seed: u64) -> Self {
        Draw(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `n`. The bias of the remainder is under 2^-32 for the sizes drawn here.
    pub fn below(&mut self, n: u64) -> u64 {
        self.bits() % n
    }
}

/// Turns a plan into commands.
pub struct Maker<'a> {
    plan: &'a Plan,
    registry: &'a dyn Registry,
    draw: Draw,
    /// Cumulative weights of the accounts, for a skewed draw.
    weights: Vec<u64>,
}

impl<'a> Maker<'a> {
    /// The commands of `plan`.
    pub fn new(plan: &'a Plan, registry: &'a dyn Registry) -> Self {
        let mut sum = 0;
        let weights = (1..=u64::from(plan.accounts)).map(|rank| {
            sum += zipf_weight(rank, plan.skew);
            sum
        });
        Maker { plan, registry, draw: Draw::new(plan.seed), weights: weights.collect() }
    }

    fn account(&self, index: u32) -> AccountId {
        AccountId::parse(&format!("{}-{index:06}", self.plan.run)).expect("invariant: the run's name was checked")
    }

    fn drawn(&mut self) -> u32 {
        let total = self.weights.last().copied().unwrap_or(1);
        let point = self.draw.below(total);
        self.weights.partition_point(|sum| *sum <= point) as u32
    }

    /// Opens an account.
    pub fn open(&self, index: u32, now: Timestamp) -> Ready {
        let open = OpenAccount::new(self.account(index), AccountKind::Liability, CURRENCY);
        self.ready(&ACCOUNTS_COMMANDS, format!("{}-open", open.account_id), AccountCommand::from(open), now)
    }

    /// Funds an account from the outside world.
    pub fn fund(&self, index: u32, now: Timestamp) -> Ready {
        let world = AccountId::parse(&format!("world:{CURRENCY}")).expect("invariant: a system account");
        self.transfer(format!("{}-f{index:06}", self.plan.run), world, self.account(index), FUNDS, now)
    }

    /// The next payment.
    pub fn pay(&mut self, number: u32, now: Timestamp) -> Ready {
        let (mut payer, mut payee) = (self.drawn(), self.drawn());
        if payee == payer {
            // Either moves, so that where the draw is uneven nobody pays more than comes in, in the long run.
            let moves = if self.draw.below(2) == 0 { &mut payer } else { &mut payee };
            *moves = (*moves + 1) % self.plan.accounts;
        }
        let refused = self.draw.below(1_000) < u64::from(self.plan.refusals);
        let cents = if refused { 100_000_000 } else { 1 + self.draw.below(2_000) };
        let amount = Amount(i128::from(cents) * 100);
        self.transfer(format!("{}-p{number:08}", self.plan.run), self.account(payer), self.account(payee), amount, now)
    }

    fn transfer(&self, id: String, from: AccountId, to: AccountId, amount: Amount, now: Timestamp) -> Ready {
        let transaction = TransactionId::parse(&id).expect("invariant: the run's name was checked");
        let leg = |account_id, side| Leg { account_id, side, amount: Money::of(amount, CURRENCY) };
        // Both accounts are liabilities: a debit lowers the payer's.
        let create = CreateTransaction::new(transaction, vec![leg(from, Side::Debit), leg(to, Side::Credit)]);
        self.ready(&TRANSACTIONS_COMMANDS, id, TransactionCommand::from(create), now)
    }

    fn ready<B: Body>(&self, topic: TopicRef, id: String, body: B, time: Timestamp) -> Ready {
        let mut value = framing::frame(self.registry.id(topic.schema));
        body.encode(&Header::Command(CommandHeader { id, time, ..CommandHeader::default() }), &mut value);
        Ready { topic, key: body.key().to_owned(), value }
    }
}

/// `2^32 / rank^(skew/100)`, at least one.
#[allow(clippy::float_arithmetic, reason = "weights of a random draw, no money")]
fn zipf_weight(rank: u64, skew: u32) -> u64 {
    ((4_294_967_296.0 / (rank as f64).powf(f64::from(skew) / 100.0)) as u64).max(1)
}

/// Refuses a run's name that could not begin an id.
pub fn check_run(run: &str) -> anyhow::Result<()> {
    AccountId::parse(&format!("{run}-000000")).map(drop).map_err(|error| anyhow::anyhow!("--run: {error}"))
}

#[cfg(test)]
mod tests {
    use super::Plan;

    #[test]
    fn a_run_knows_its_own_ids() {
        let plan = Plan { run: "a".into(), ..Plan::default() };
        for (kind, id, ours) in [
            ("", "a-000001", true),
            ("f", "a-f000001", true),
            ("p", "a-p00000001", true),
            ("p", "a-f000001", false),
            ("", "a-f000001", false),
            ("p", "b-p00000001", false),
            ("p", "a-b-p00000001", false),
            ("p", "aa-p00000001", false),
        ] {
            assert_eq!(plan.ids(kind)(id), ours, "{kind} {id}");
        }
    }
}
