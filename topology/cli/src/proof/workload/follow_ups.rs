//! What is asked of a transaction later: posted in all or in part, voided, cancelled, reviewed, and some of it twice or
//! when it is too late or too early.

use tributary_graph::{TRANSACTIONS_ADMIN_COMMANDS, TRANSACTIONS_COMMANDS};
use tributary_query_api::command::CommandBody;
use tributary_schemas::transactions::{
    CancelTransaction, PostLine, PostTransaction, ReviewTransaction, TransactionCommand, VoidTransaction,
};
use tributary_schemas::{Amount, TransactionId};

use super::Workload;
use super::payments::{Held, INITIATOR};

impl Workload {
    /// Something of a transaction that was made some time ago, or just now.
    pub(super) fn follow_up(&mut self) {
        const FEWEST: usize = 12;
        if self.held.len() < FEWEST {
            return self.hold();
        }
        let number = if self.chance(85) { 0 } else { self.pick(self.held.len()) };
        let held = self.held[number].clone();
        let keep = if held.review && self.chance(80) { self.review(&held) } else { self.end(&held) };
        if !keep {
            self.held.remove(number);
        } else if held.review {
            // Its time comes again, by then as of one that is held.
            self.held.remove(number);
            self.held.push(Held { review: false, ..held });
        }
    }

    /// Whether anything of the transaction may be left afterwards.
    fn end(&mut self, held: &Held) -> bool {
        let id = held.id.clone();
        match self.draw.below(10) {
            0..=2 => self.ask(PostTransaction::new(id)),
            3..=5 => return self.post_part(held),
            6..=7 => self.ask(VoidTransaction { reason: "changed my mind".to_owned(), ..VoidTransaction::new(id) }),
            8 => self.ask(CancelTransaction::new(id)),
            // Both at once: one of them is refused.
            _ => {
                self.ask(PostTransaction::new(id.clone()));
                self.ask(VoidTransaction::new(id));
            }
        }
        self.chance(20)
    }

    fn ask(&mut self, body: impl Into<TransactionCommand>) {
        self.send(&TRANSACTIONS_COMMANDS, CommandBody::Transaction(body.into()), Some(INITIATOR));
    }

    /// A part of what is held: the same fraction of each line, so that it balances where the fraction is exact.
    fn post_part(&mut self, held: &Held) -> bool {
        let line = |part: i128, (line, amount): (i32, Amount)| PostLine { line, amount: Amount(amount.0 / part) };
        let part = [1, 2, 4][self.pick(3)];
        let amounts = (0..).zip(held.legs.iter().map(|leg| leg.amount.amount)).map(|leg| line(part, leg)).collect();
        let last = self.chance(40);
        self.ask(PostTransaction { amounts: Some(amounts), r#final: last, ..PostTransaction::new(held.id.clone()) });
        !last || self.chance(20)
    }

    /// Approves or declines; now and then as one who may not, or through the wrong door. Whether anything of the transaction
    /// may be left afterwards.
    fn review(&mut self, held: &Held) -> bool {
        let approve = self.chance(60);
        let review = ReviewTransaction::new(held.id.clone(), approve);
        let (actor, privileged) = match self.draw.below(10) {
            0..=1 => (Some(INITIATOR), true),
            2 => (None, true),
            3 => (Some("reviewer"), false),
            _ => (Some("reviewer"), true),
        };
        let topic = if privileged { &TRANSACTIONS_ADMIN_COMMANDS } else { &TRANSACTIONS_COMMANDS };
        self.send(topic, CommandBody::Transaction(review.into()), actor);
        held.two_phase && approve
    }

    /// The id of a transaction that nobody ever made.
    pub(super) fn no_transaction() -> TransactionId {
        TransactionId::parse("never-made").expect("invariant: a plain id")
    }
}
