//! Read your writes, by the rule of the HTTP edge: a view that has passed the position of an outcome shows it; and a view
//! of another key that has passed everything written when the outcome was seen shows what followed from it before.

use std::collections::HashMap;

use anyhow::Result;
use tributary_flow::{Node, Place, Reader, partition_of};
use tributary_graph::{TRANSACTIONS_EVENTS, account_view, transaction_view};
use tributary_query_api::views::outcome::Outcomes;
use tributary_query_api::views::transaction::Transaction;
use tributary_query_api::views::{account, transaction};
use tributary_schemas::transactions::TransactionEvent;

use super::{Body, Checker, Found, Seen, Told};
use crate::load::plan::Draw;
use crate::proof::workload::Sent;

/// What somebody has seen and must find again.
enum Write {
    /// The answer to a command, in the view of the same key.
    Outcome(Told),
    /// A transaction's status, in its view.
    Status(Told),
    /// A completed transaction, in the view of an account: with the ends of the view's inputs when it was seen.
    Booked { transaction: String, account: String, ends: Vec<(&'static str, u64)> },
}

/// What was seen and is not found again yet, by view and partition.
pub struct ReadYourWrites {
    partitions: u32,
    pending: HashMap<(&'static str, u32), Vec<Write>>,
    accounts: HashMap<String, Vec<String>>,
    /// Completed transactions whose accounts' views have yet to be asked how far they must come.
    completed: Vec<String>,
}

const VIEWS: [&Node; 2] = [&account_view::NODE, &transaction_view::NODE];

impl ReadYourWrites {
    /// Nothing was written yet.
    #[must_use]
    pub fn new(partitions: u32) -> Self {
        let (pending, accounts) = (HashMap::new(), HashMap::new());
        ReadYourWrites { partitions, pending, accounts, completed: Vec::new() }
    }

    fn expect(&mut self, view: &Node, partition: u32, write: Write) {
        self.pending.entry((view.name, partition)).or_default().push(write);
    }

    /// Whoever sees a completion now must find its entries behind everything that is written by now.
    fn ask(&mut self, seen: &Seen<'_>) -> Result<()> {
        for transaction in std::mem::take(&mut self.completed) {
            for account in self.accounts.remove(&transaction).unwrap_or_default() {
                let view = &account_view::NODE;
                let partition = partition_of(account.as_bytes(), self.partitions);
                let end =
                    |topic: &&'static tributary_flow::Topic| Ok((topic.name, seen.log.written(topic.name, partition)?));
                let ends = view.inputs.iter().map(end).collect::<Result<_>>()?;
                self.expect(view, partition, Write::Booked { transaction: transaction.clone(), account, ends });
            }
        }
        Ok(())
    }

    /// Looks in every view for what it must show by now.
    fn find(&mut self, seen: &Seen<'_>, found: &mut Found) -> Result<()> {
        for view in VIEWS {
            for partition in 0..self.partitions {
                let Some(pending) = self.pending.get_mut(&(view.name, partition)) else { continue };
                seen.states.with_state(view, partition, &mut |store| {
                    let reader = Reader::new(store);
                    let reached = |topic: &str| reader.position(topic).max(seen.states.reached(view, partition, topic));
                    let positions = view.inputs.iter().map(|topic| (topic.name, reached(topic.name))).collect();
                    pending.retain(|write| {
                        let passed = write.is_passed(&positions);
                        if passed {
                            found.0.extend(write.missing(reader, view.name));
                        }
                        !passed
                    });
                })?;
            }
        }
        Ok(())
    }
}

impl Write {
    fn is_passed(&self, positions: &HashMap<&str, u64>) -> bool {
        match self {
            Write::Outcome(told) | Write::Status(told) => {
                positions.get(told.topic).is_some_and(|position| *position > told.offset)
            }
            Write::Booked { ends, .. } => {
                ends.iter().all(|(topic, end)| positions.get(topic).is_some_and(|position| position >= end))
            }
        }
    }

    /// What the view should show and does not.
    fn missing(&self, reader: Reader<'_>, view: &str) -> Option<String> {
        match self {
            Write::Outcome(told) => {
                let outcomes: &Outcomes = match &told.body {
                    Body::Account(_) => &account::OUTCOMES,
                    Body::Party(_) => &account::PARTY_OUTCOMES,
                    _ => &transaction::OUTCOMES,
                };
                let id = told.header.answers.clone().unwrap_or_default();
                let row = reader.row(&told.key, outcomes, &(id.clone(), told.header.causation));
                let place = Place { topic: told.topic.to_owned(), partition: told.partition, offset: told.offset };
                let shown = row.is_some_and(|row| row.place() == place);
                (!shown).then(|| format!("{view} has passed {} and does not show it as the outcome of {id}", told.at()))
            }
            Write::Status(told) => {
                let head: Option<Transaction> = reader.head(&told.key);
                let shown = head.is_some_and(|head| head.place.1 >= told.offset);
                (!shown).then(|| format!("{view} has passed {} and shows {} as it was before", told.at(), told.key))
            }
            Write::Booked { transaction, account, .. } => {
                let leg = reader.row(account, &account::LEGS, transaction);
                let shown = leg.is_some_and(|leg| leg.ended && leg.booked == leg.confirmed);
                (!shown).then(|| {
                    format!("{transaction} was seen completed, and {view} has passed what was written by then and does not show it booked on {account}")
                })
            }
        }
    }
}

impl Checker for ReadYourWrites {
    fn name(&self) -> &'static str {
        "read your writes"
    }

    fn told(&mut self, told: &Told, _: &Sent, _: &mut Found) {
        let view = match &told.body {
            Body::Account(_) | Body::Party(_) => &account_view::NODE,
            Body::Transaction(_) => &transaction_view::NODE,
            _ => return,
        };
        if told.header.answers.is_some() {
            self.expect(view, told.partition, Write::Outcome(told.clone()));
        }
        use TransactionEvent as E;
        match &told.body {
            Body::Transaction(E::TransactionInitiated(initiated)) => {
                let ordinary = initiated.legs.iter().filter(|leg| leg.account_id.system().is_none());
                let mut accounts: Vec<_> = ordinary.map(|leg| leg.account_id.to_string()).collect();
                accounts.sort_unstable();
                accounts.dedup();
                self.accounts.insert(told.key.clone(), accounts);
            }
            Body::Transaction(E::TransactionCompleted(_)) => self.completed.push(told.key.clone()),
            _ => {}
        }
        let moves = !matches!(told.body, Body::Transaction(E::TransactionRefused(_) | E::TransactionPosting(_)));
        if told.topic == TRANSACTIONS_EVENTS.name && moves {
            self.expect(view, told.partition, Write::Status(told.clone()));
        }
    }

    fn look(&mut self, seen: &Seen<'_>, _: &mut Draw, found: &mut Found) -> Result<()> {
        self.ask(seen)?;
        self.find(seen, found)
    }

    fn rest(&mut self, seen: &Seen<'_>, found: &mut Found) -> Result<()> {
        self.ask(seen)?;
        self.find(seen, found)?;
        for ((view, partition), pending) in self.pending.iter().filter(|(_, pending)| !pending.is_empty()) {
            found.wrong(format!("{view}[{partition}] has not come to {} writes at rest", pending.len()));
        }
        Ok(())
    }
}
