//! The transitions: what each change of status tells the accounts and the world.

use tributary_flow::{Cx, Effects};
use tributary_graph::transaction::Out;
use tributary_schemas::transactions::{
    LegCancelled, LegConfirmed, LegEvent, LegLine, LegRequested, PostLine, TransactionCancelled, TransactionCompleted,
    TransactionEvent, TransactionExpired, TransactionFailed, TransactionHeld, TransactionOnHold, TransactionPosted,
    TransactionPosting,
};
use tributary_schemas::{Amount, Money, Reason, TransactionId};

use crate::TransactionProcessor;
use crate::state::{End, Open, Status, Timer};

/// The id that a key is.
pub(crate) fn id(key: &str) -> TransactionId {
    key.parse().expect("invariant: a key is the id of a body that was read")
}

/// One step of an open transaction.
pub(crate) struct Step<'a> {
    pub cx: &'a Cx<'a>,
    pub open: &'a mut Open,
    pub id: TransactionId,
    processor: &'a TransactionProcessor,
    effects: &'a mut Effects<Out, Timer>,
}

impl<'a> Step<'a> {
    pub fn new(
        processor: &'a TransactionProcessor,
        cx: &'a Cx<'a>,
        key: &str,
        open: &'a mut Open,
        effects: &'a mut Effects<Out, Timer>,
    ) -> Self {
        Step { cx, open, id: id(key), processor, effects }
    }

    /// How long the votes may take, in microseconds.
    pub fn voting(&self) -> i64 {
        self.processor.voting
    }

    /// Asks every ordinary account for its part.
    pub fn request(&mut self) {
        for at in 0..self.open.parties.len() {
            if self.open.parties[at].ordinary {
                let requested = LegRequested {
                    transaction_id: self.id.clone(),
                    account_id: self.open.parties[at].account.clone(),
                    lines: self.open.lines_of(at),
                    counterparties: self.open.counterparties(at),
                };
                self.effects.emit(LegEvent::LegRequested(requested));
            }
        }
        self.effects.set_timer(Timer::Voting, self.open.deadline);
    }

    /// Decides if every account has granted and risk has answered for each. An objection does not wait for this.
    pub fn decide(&mut self) {
        let missing = |open: &Open| open.parties.iter().any(|party| party.ordinary && !(party.voted && party.assessed));
        if self.open.status != Status::Initiated || missing(self.open) {
            return;
        }
        if !self.open.review.wanted {
            return self.approve();
        }
        self.enter(Status::OnHold);
        self.open.deadline = self.cx.now.plus(self.processor.review);
        self.effects.set_timer(Timer::Review, self.open.deadline);
        self.tell(TransactionEvent::TransactionOnHold(TransactionOnHold {
            transaction_id: self.id.clone(),
            score: self.open.review.score,
            reasons: self.open.review.reasons.clone(),
            expires_at: self.open.deadline,
        }));
    }

    /// All may go through: hold it where a command will post it, else post it.
    pub fn approve(&mut self) {
        if !self.open.two_phase {
            let all = self.open.all_left();
            return self.post(&all, true);
        }
        self.enter(Status::Held);
        self.open.deadline = self.cx.now.plus(self.open.hold);
        self.effects.set_timer(Timer::Hold, self.open.deadline);
        let expires_at = self.open.deadline;
        self.conclude(TransactionEvent::TransactionHeld(TransactionHeld {
            transaction_id: self.id.clone(),
            expires_at,
        }));
    }

    /// Posts amounts by line, as the last or not. What is posted must be left: a check before this sees to it.
    pub fn post(&mut self, amounts: &[(usize, Amount)], last: bool) {
        self.enter(Status::Posting { last });
        self.open.postings += 1;
        self.open.booked_at = self.cx.now;
        for (at, amount) in amounts {
            let left = &mut self.open.lines[*at].left.amount;
            *left = left.checked_sub(*amount).expect("invariant: both have at most 38 digits and one sign");
            assert!(!left.is_negative(), "invariant: no more is posted than was held");
        }
        let value_date = self.open.value_date.unwrap_or_else(|| self.cx.now.date());
        self.tell(TransactionEvent::TransactionPosting(TransactionPosting {
            transaction_id: self.id.clone(),
            posting: self.open.postings,
            lines: amounts.iter().map(|(at, amount)| PostLine { line: *at as i32, amount: *amount }).collect(),
            booked_at: self.cx.now,
            value_date,
            r#final: last,
        }));
        for at in 0..self.open.parties.len() {
            let lines = self.posted_by(at, amounts);
            // An account that the last posting passes over must hear that the rest of its hold is void; a system
            // account holds nothing.
            let rest = last && self.open.parties[at].ordinary && !self.open.parties[at].closed;
            if lines.is_empty() && !rest {
                continue;
            }
            let r#final = last || !self.open.has_left(at);
            let party = &mut self.open.parties[at];
            (party.awaited, party.closed) = (true, r#final);
            let confirmed = LegConfirmed {
                transaction_id: self.id.clone(),
                account_id: party.account.clone(),
                posting: self.open.postings,
                lines,
                booked_at: self.cx.now,
                value_date,
                r#final,
            };
            self.effects.emit(LegEvent::LegConfirmed(confirmed));
        }
    }

    /// Ends a posting once every account has booked its part.
    pub fn booked(&mut self) {
        let Status::Posting { last } = self.open.status else { return };
        if self.open.parties.iter().any(|party| party.awaited) {
            return;
        }
        if last {
            return self.end(End::Completed);
        }
        self.enter(Status::Held);
        // The deadline may have passed meanwhile: then the timer fires at once.
        self.effects.set_timer(Timer::Hold, self.open.deadline);
        let posted = TransactionPosted { transaction_id: self.id.clone(), posting: self.open.postings };
        self.conclude(TransactionEvent::TransactionPosted(posted));
    }

    /// An account or risk objects: that ends the voting. Where the end is known already, the reasons are kept for it.
    pub fn object(&mut self, reasons: Vec<Reason>) {
        let Some(first) = reasons.first().cloned() else { return };
        self.open.reasons.extend(reasons);
        if self.open.status == Status::Initiated {
            self.cancel(End::Failed, &first);
        }
    }

    /// Takes back what every ordinary account has not been told its last about, and ends so once all is released.
    pub fn cancel(&mut self, end: End, reason: &Reason) {
        self.enter(Status::Cancelling(end));
        for party in &mut self.open.parties {
            if party.ordinary && !party.closed {
                (party.awaited, party.closed) = (true, true);
                let cancelled = LegCancelled {
                    transaction_id: self.id.clone(),
                    account_id: party.account.clone(),
                    reason: reason.clone(),
                };
                self.effects.emit(LegEvent::LegCancelled(cancelled));
            }
        }
        self.released();
    }

    /// Ends a cancellation once every account has released its part.
    pub fn released(&mut self) {
        let Status::Cancelling(end) = self.open.status else { return };
        if self.open.parties.iter().any(|party| party.awaited) {
            return;
        }
        // What was posted stands: the rest of it was released, and the whole is complete.
        self.end(if self.open.postings > 0 { End::Completed } else { end });
    }

    fn end(&mut self, end: End) {
        self.enter(Status::Ended(end));
        let transaction_id = self.id.clone();
        let reasons = std::mem::take(&mut self.open.reasons);
        self.conclude(match end {
            End::Completed => TransactionEvent::TransactionCompleted(TransactionCompleted {
                transaction_id,
                postings: self.open.postings,
                booked_at: self.open.booked_at,
            }),
            End::Failed => TransactionEvent::TransactionFailed(TransactionFailed { transaction_id, reasons }),
            End::Cancelled => TransactionEvent::TransactionCancelled(TransactionCancelled { transaction_id, reasons }),
            End::Expired => TransactionEvent::TransactionExpired(TransactionExpired { transaction_id, reasons }),
        });
    }

    /// Leaves a status with its timer for another.
    fn enter(&mut self, status: Status) {
        if let Some(timer) = self.open.status.timer() {
            self.effects.clear_timer(timer);
        }
        self.open.status = status;
    }

    /// What a posting books on a party's lines.
    fn posted_by(&self, party: usize, amounts: &[(usize, Amount)]) -> Vec<LegLine> {
        let own = amounts.iter().filter(|(at, _)| self.open.lines[*at].party == party);
        let line = |(at, amount): &(usize, Amount)| {
            let line = &self.open.lines[*at];
            LegLine { line: *at as i32, side: line.side, amount: Money::of(*amount, line.left.currency) }
        };
        own.map(line).collect()
    }

    fn tell(&mut self, event: TransactionEvent) {
        self.effects.emit(event);
    }

    /// Tells what answers the pending command, if one pends.
    fn conclude(&mut self, event: TransactionEvent) {
        match self.open.pending.take() {
            Some(command) => self.effects.answer(command, event),
            None => self.effects.emit(event),
        }
    }
}
