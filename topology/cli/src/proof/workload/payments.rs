//! Payments: from one account to another, in and out of the world, over several legs, in two phases, and some that
//! cannot be. Each counts once, whatever becomes of it.

use tributary_graph::TRANSACTIONS_COMMANDS;
use tributary_query_api::command::CommandBody;
use tributary_schemas::transactions::{CreateTransaction, Leg};
use tributary_schemas::{AccountId, Amount, Currency, Money, Side, TransactionId};

use super::Workload;
use super::accounts::Account;

/// A transaction that may be waiting for a command.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub id: TransactionId,
    pub legs: Vec<Leg>,
    pub two_phase: bool,
    /// Whether it waits for a reviewer first.
    pub review: bool,
}

/// Who asks for payments.
pub(super) const INITIATOR: &str = "clerk";

fn leg(account_id: AccountId, side: Side, amount: Amount, currency: Currency) -> Leg {
    Leg { account_id, side, amount: Money::of(amount, currency) }
}

fn system(name: &str, currency: Currency) -> AccountId {
    AccountId::parse(&format!("{name}:{currency}")).expect("invariant: a system account")
}

impl Workload {
    fn create(&mut self, legs: Vec<Leg>) -> CreateTransaction {
        let id = self.name("t");
        CreateTransaction::new(TransactionId::parse(&id).expect("invariant: a plain id"), legs)
    }

    fn pay(&mut self, payment: CreateTransaction) {
        self.sent.payments += 1;
        self.send(&TRANSACTIONS_COMMANDS, CommandBody::Transaction(payment.into()), Some(INITIATOR));
    }

    fn pair(payer: &AccountId, payee: &AccountId, amount: Amount, currency: Currency) -> Vec<Leg> {
        vec![leg(payer.clone(), Side::Debit, amount, currency), leg(payee.clone(), Side::Credit, amount, currency)]
    }

    /// An amount whose half and quarter can be paid too.
    fn amount(&mut self, currency: Currency) -> Amount {
        Self::minor(currency, 4 * (1 + self.draw.below(1_000)))
    }

    pub(super) fn transfer(&mut self) {
        let payer = self.any();
        let payee = self.peer(&payer);
        let legs = Self::pair(&payer.id, &payee.id, self.amount(payer.currency), payer.currency);
        let payment = self.create(legs);
        self.pay(payment);
    }

    pub(super) fn deposit(&mut self) {
        let account = self.any();
        if self.chance(5) {
            return self.fund(&account);
        }
        let amount = Self::minor(account.currency, 1 + self.draw.below(400_000));
        self.bring_in(&account, amount);
    }

    /// What a new account begins with; the first of each currency gets a great deal.
    pub(super) fn fund(&mut self, account: &Account) {
        let rich = self.accounts.iter().take(4).any(|known| known.id == account.id) || self.accounts.len() < 4;
        let units = if rich { 90_000_000_000 } else { 400_000 };
        self.bring_in(account, Self::minor(account.currency, units));
    }

    /// Money from outside raises the account, on whichever side that is.
    fn bring_in(&mut self, account: &Account, amount: Amount) {
        let world = system("world", account.currency);
        let (payer, payee) = match account.kind.normal_side() {
            Side::Credit => (&world, &account.id),
            Side::Debit => (&account.id, &world),
        };
        let payment = self.create(Self::pair(payer, payee, amount, account.currency));
        self.pay(payment);
    }

    pub(super) fn withdraw(&mut self) {
        let account = self.any();
        let amount = self.amount(account.currency);
        let world = system("world", account.currency);
        let payment = self.create(Self::pair(&account.id, &world, amount, account.currency));
        self.pay(payment);
    }

    /// One payer, several payees, a fee; or an exchange of currencies; rarely as many legs as there may be.
    pub(super) fn several_legs(&mut self) {
        let payer = self.any();
        let currency = payer.currency;
        let mut legs = Vec::new();
        if self.chance(25) {
            let (bought, payee) = loop {
                let other = self.any();
                if other.currency != currency {
                    break (self.amount(other.currency), other);
                }
            };
            let paid = self.amount(currency);
            legs.extend(Self::pair(&payer.id, &system("position", currency), paid, currency));
            legs.extend(Self::pair(&system("position", payee.currency), &payee.id, bought, payee.currency));
        } else {
            let payees = if self.chance(3) { 62 } else { 2 + self.pick(5) };
            let mut sum = Amount::ZERO;
            for _ in 0..payees {
                let (payee, share) = (self.peer(&payer), self.amount(currency));
                sum = Amount(sum.0 + share.0);
                legs.push(leg(payee.id, Side::Credit, share, currency));
            }
            let fee = Self::minor(currency, 4 * (1 + self.draw.below(5)));
            legs.push(leg(system("fees", currency), Side::Credit, fee, currency));
            legs.push(leg(payer.id, Side::Debit, Amount(sum.0 + fee.0), currency));
        }
        let two_phase = self.chance(20);
        let payment = CreateTransaction { two_phase, ..self.create(legs) };
        self.keep(&payment, false);
        self.pay(payment);
    }

    /// A payment in two phases, which may or may not be heard of again.
    pub(super) fn hold(&mut self) {
        let payer = self.any();
        if self.chance(10) {
            // Of the house with itself, of which nobody is asked.
            let (world, fees) = (system("world", payer.currency), system("fees", payer.currency));
            return self.hold_between(&world, &fees, payer.currency);
        }
        let payee = self.peer(&payer);
        self.hold_between(&payer.id, &payee.id, payer.currency);
    }

    /// Holds an amount of one account for another.
    pub(super) fn hold_between(&mut self, payer: &AccountId, payee: &AccountId, currency: Currency) {
        let legs = Self::pair(payer, payee, self.amount(currency), currency);
        let hold_seconds = match self.draw.below(6) {
            0 => None,
            1 => Some(1 + self.draw.below(30) as i64),
            2 => Some(3_600 + self.draw.below(7_200) as i64),
            _ => Some(86_400),
        };
        let payment = CreateTransaction { two_phase: true, hold_seconds, ..self.create(legs) };
        self.keep(&payment, false);
        self.pay(payment);
    }

    /// Asks for more than there is.
    pub(super) fn overdraft(&mut self) {
        let number = 4 + self.pick(self.accounts.len() - 4);
        let payer = self.accounts[number].clone();
        let payee = self.peer(&payer);
        // Below what makes risk look.
        let amount = Self::minor(payer.currency, 9_000_000);
        let payment = self.create(Self::pair(&payer.id, &payee.id, amount, payer.currency));
        self.pay(payment);
    }

    /// So much that somebody must look, or that it is declined.
    pub(super) fn suspicious(&mut self) {
        let payer = self.accounts[self.draw.below(4) as usize].clone();
        let payee = self.peer(&payer);
        let units = if self.chance(15) { 20_000_000_000 } else { 200_000_000 };
        let legs = Self::pair(&payer.id, &payee.id, Self::minor(payer.currency, units), payer.currency);
        let two_phase = self.chance(30);
        let payment = CreateTransaction { two_phase, ..self.create(legs) };
        self.keep(&payment, true);
        self.pay(payment);
    }

    /// What is no payment at all, or not to anybody who could take it.
    pub(super) fn unpayable(&mut self) {
        let payer = self.any();
        let currency = payer.currency;
        let (payee, amount) = (self.peer(&payer).id, self.amount(currency));
        let nobody = AccountId::parse("nobody").expect("invariant: a plain id");
        let stranger = self.accounts.iter().find(|other| other.currency != currency).map(|other| other.id.clone());
        let legs = match self.draw.below(7) {
            0 => vec![leg(payer.id, Side::Debit, amount, currency)],
            1 => {
                let less = Amount(amount.0 * 2);
                vec![leg(payer.id, Side::Debit, amount, currency), leg(payee, Side::Credit, less, currency)]
            }
            2 => Self::pair(&payer.id, &payee, Amount::ZERO, currency),
            3 => Self::pair(&payer.id, &payer.id, amount, currency),
            4 => Self::pair(&payer.id, &nobody, amount, currency),
            5 => Self::pair(&payer.id, &system("nothing", currency), amount, currency),
            _ => Self::pair(&payer.id, &stranger.unwrap_or(nobody), amount, currency),
        };
        let payment = self.create(legs);
        self.pay(payment);
    }

    /// Keeps a transaction for later commands.
    fn keep(&mut self, payment: &CreateTransaction, review: bool) {
        const MOST: usize = 40;
        if !payment.two_phase && !review {
            return;
        }
        if self.held.len() == MOST {
            let forgotten = self.pick(MOST);
            self.held.remove(forgotten);
        }
        let (id, legs) = (payment.transaction_id.clone(), payment.legs.clone());
        self.held.push(Held { id, legs, two_phase: payment.two_phase, review });
    }
}
