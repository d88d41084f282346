//! Accounts: opened, frozen, blocked, given other terms, closed. Some of each currency are hot.

use tributary_graph::{ACCOUNTS_ADMIN_COMMANDS, ACCOUNTS_COMMANDS, PARTIES_ADMIN_COMMANDS};
use tributary_query_api::command::CommandBody;
use tributary_schemas::accounts::{
    AccountCommand, CloseAccount, FreezeAccount, OpenAccount, UnfreezeAccount, UpdateAccount,
};
use tributary_schemas::risk::{BlockParty, RiskCommand, UnblockParty};
use tributary_schemas::{AccountId, AccountKind, Amount, Currency};

use super::{Act, Workload};

/// Accounts that are opened before anything else.
pub(super) const AT_FIRST: usize = 24;

/// The first so many are hot.
const HOT: usize = 8;

/// Currencies with two, two, no and three digits.
const CURRENCIES: [Currency; 4] = [Currency::of("EUR"), Currency::of("USD"), Currency::of("JPY"), Currency::of("KWD")];

/// An account of the workload.
#[derive(Clone, Debug)]
pub(super) struct Account {
    pub id: AccountId,
    pub currency: Currency,
    pub kind: AccountKind,
}

/// What lifts a restriction.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lift {
    Unfreeze,
    Unblock,
}

impl Workload {
    /// So many minor units of a currency.
    pub(super) fn minor(currency: Currency, units: u64) -> Amount {
        let units = i64::try_from(units).unwrap_or(i64::MAX);
        Amount::from_minor(units, currency).expect("invariant: an active currency")
    }

    pub(super) fn open_account(&mut self) {
        let number = self.accounts.len();
        let currency = CURRENCIES[number % CURRENCIES.len()];
        let id = AccountId::parse(&format!("a-{number}")).expect("invariant: a plain id");
        let kind = match self.draw.below(12) {
            // What others pay them lowers them: most such payments are refused.
            0 if number >= HOT => AccountKind::Asset,
            1 => AccountKind::Income,
            _ => AccountKind::Liability,
        };
        let mut open = OpenAccount::new(id.clone(), kind, currency);
        let privileged = self.chance(30);
        if privileged {
            open.floor = self.chance(60).then_some(Self::minor(currency, 5_000));
            open.daily_limit = self.chance(30).then_some(Self::minor(currency, 8_000 << self.draw.below(8)));
            open.monthly_limit = self.chance(30).then_some(Self::minor(currency, 3_000_000));
        }
        let topic = if privileged { &ACCOUNTS_ADMIN_COMMANDS } else { &ACCOUNTS_COMMANDS };
        self.send(topic, CommandBody::Account(open.into()), None);
        // Mostly it is there before its first money.
        self.next.push_back(Act::Run(100 + self.draw.below(800) as u32));
        let account = Account { id, currency, kind };
        self.fund(&account);
        self.accounts.push(account);
    }

    /// Any account: of two, one is one of the hot ones.
    pub(super) fn any(&mut self) -> Account {
        let number = if self.chance(50) { self.pick(HOT) } else { self.pick(self.accounts.len()) };
        self.accounts[number].clone()
    }

    /// Another account of the same currency.
    pub(super) fn peer(&mut self, of: &Account) -> Account {
        let peers: Vec<_> =
            self.accounts.iter().filter(|peer| peer.currency == of.currency && peer.id != of.id).collect();
        let hot = self.draw.below(2) == 0;
        let number = if hot { 0 } else { self.draw.below(peers.len() as u64) as usize };
        peers[number].clone()
    }

    /// Freezes an account or blocks its owner; few at a time. Now and then a freeze comes through the door where that is refused.
    pub(super) fn restrict(&mut self) {
        if self.lifts.len() > 2 {
            return self.lift();
        }
        // Rarely a hot one: it would stop half of everything.
        let number = if self.chance(10) { self.pick(HOT) } else { HOT + self.pick(self.accounts.len() - HOT) };
        let account = self.accounts[number].id.clone();
        if self.chance(50) {
            let freeze = FreezeAccount { reason: "asked".to_owned(), ..FreezeAccount::new(account.clone()) };
            let topic = if self.chance(85) { &ACCOUNTS_ADMIN_COMMANDS } else { &ACCOUNTS_COMMANDS };
            self.send(topic, CommandBody::Account(freeze.into()), Some("officer"));
            self.lifts.push((account, Lift::Unfreeze));
        } else {
            let block = BlockParty { reason: "watched".to_owned(), ..BlockParty::new(account.clone()) };
            self.send(&PARTIES_ADMIN_COMMANDS, CommandBody::Risk(block.into()), Some("officer"));
            self.lifts.push((account, Lift::Unblock));
        }
    }

    /// Lifts a restriction; where there is none, the refusal is an outcome too.
    pub(super) fn lift(&mut self) {
        let (account, lift) = match self.lifts.len() {
            0 => (self.any().id, if self.chance(50) { Lift::Unfreeze } else { Lift::Unblock }),
            many => {
                let number = self.pick(many);
                self.lifts.swap_remove(number)
            }
        };
        match lift {
            Lift::Unfreeze => {
                let body = AccountCommand::from(UnfreezeAccount::new(account));
                self.send(&ACCOUNTS_ADMIN_COMMANDS, CommandBody::Account(body), Some("officer"));
            }
            Lift::Unblock => {
                let body = RiskCommand::from(UnblockParty::new(account));
                self.send(&PARTIES_ADMIN_COMMANDS, CommandBody::Risk(body), Some("officer"));
            }
        }
    }

    /// Another floor, other limits, another name; now and then through the door where that is refused.
    pub(super) fn terms(&mut self) {
        let account = self.any();
        let mut update = UpdateAccount::new(account.id.clone());
        match self.draw.below(4) {
            0 => update.floor = Some(Self::minor(account.currency, self.draw.below(20_000))),
            // A payment's worth or thousands.
            1 => update.daily_limit = Some(Self::minor(account.currency, 4_000 << self.draw.below(12))),
            2 => (update.clear_limits, update.floor) = (true, Some(Amount::ZERO)),
            _ => update.name = Some(self.name("name")),
        }
        let topic = if self.chance(85) { &ACCOUNTS_ADMIN_COMMANDS } else { &ACCOUNTS_COMMANDS };
        self.send(topic, CommandBody::Account(update.into()), None);
    }

    /// Asks to close one of the later accounts, which mostly has money and so is refused, or one that nobody else knows and
    /// that is only promised money.
    pub(super) fn close_account(&mut self) {
        if self.chance(50) {
            return self.close_promised();
        }
        let later = self.accounts.len() - AT_FIRST;
        if later == 0 {
            return self.open_account();
        }
        let number = AT_FIRST + self.pick(later);
        let close = CloseAccount::new(self.accounts[number].id.clone());
        self.send(&ACCOUNTS_COMMANDS, CommandBody::Account(close.into()), None);
    }

    /// Opens an account, promises it money, and asks to close it.
    fn close_promised(&mut self) {
        let payer = self.any();
        let id = AccountId::parse(&self.name("empty")).expect("invariant: a plain id");
        let open = OpenAccount::new(id.clone(), AccountKind::Liability, payer.currency);
        self.send(&ACCOUNTS_COMMANDS, CommandBody::Account(open.into()), None);
        self.next.push_back(Act::Run(200 + self.draw.below(800) as u32));
        self.hold_between(&payer.id, &id, payer.currency);
        self.next.push_back(Act::Run(200 + self.draw.below(800) as u32));
        self.send(&ACCOUNTS_COMMANDS, CommandBody::Account(CloseAccount::new(id).into()), None);
    }
}
