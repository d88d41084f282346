//! What a workload has sent: what the checkers hold against what became of it.

use std::collections::{BTreeMap, BTreeSet};

use tributary_flow::{EventId, Kind, Place};
use tributary_query_api::Command;
use tributary_query_api::command::CommandBody;
use tributary_schemas::Amount;
use tributary_schemas::accounts::AccountCommand;
use tributary_schemas::transactions::TransactionCommand;

/// By what the door knows a request again: the node, the key, and the command's id where the key is not enough.
pub type Identity = (&'static str, String, Option<String>);

/// A request, however often it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The command's id.
    pub id: String,
    /// What the answer to it names as its cause, where it is answered at once.
    pub cause: EventId,
    /// What makes it the same as another.
    pub digest: [u8; 16],
    /// Who asked.
    pub actor: Option<String>,
    /// Whether it came through the door that only the privileged may use.
    pub privileged: bool,
    /// What was asked.
    pub body: CommandBody,
}

/// Everything sent so far.
#[derive(Debug, Default)]
pub struct Sent {
    /// Payments, each once.
    pub payments: u32,
    /// Records that were written, duplicates and garbage included.
    pub records: u64,
    requests: BTreeMap<Identity, Vec<Request>>,
    creations: BTreeSet<(String, String)>,
    /// Records that nobody can take.
    garbage: Vec<Place>,
    /// The furthest that each account was ever let below zero.
    allowances: BTreeMap<String, Amount>,
}

impl Sent {
    /// A command was sent.
    pub(super) fn command(&mut self, command: &Command, actor: Option<&str>) {
        let key = command.body.key().to_owned();
        let creates = matches!(&command.body, CommandBody::Transaction(TransactionCommand::CreateTransaction(_)));
        if creates {
            self.creations.insert((key.clone(), command.id.clone()));
        }
        let privileged = command.topic.kind == Kind::AdminCommands;
        if privileged && let Some(floor) = floor(&command.body) {
            let allowed = self.allowances.entry(key.clone()).or_default();
            *allowed = floor.max(*allowed);
        }
        let identity = (command.guard().name, key, (!creates).then(|| command.id.clone()));
        let request = Request {
            id: command.id.clone(),
            cause: command.cause(),
            digest: command.digest(),
            actor: actor.map(str::to_owned),
            privileged,
            body: command.body.clone(),
        };
        let known = self.requests.entry(identity).or_default();
        if !known.contains(&request) {
            known.push(request);
        }
    }

    /// A record that nobody can take was written.
    pub(super) fn garbage(&mut self, place: Place) {
        self.garbage.push(place);
    }

    /// The identity under which a command with this id was sent to `key`; none where none was.
    #[must_use]
    pub fn identity(&self, node: &'static str, key: &str, id: &str) -> Option<Identity> {
        let creates = node == tributary_graph::transaction::NODE.name
            && self.creations.contains(&(key.to_owned(), id.to_owned()));
        let identity = (node, key.to_owned(), (!creates).then(|| id.to_owned()));
        self.requests.contains_key(&identity).then_some(identity)
    }

    /// Everything that was asked, by identity.
    pub fn requests(&self) -> impl Iterator<Item = (&Identity, &[Request])> {
        self.requests.iter().map(|(identity, requests)| (identity, requests.as_slice()))
    }

    /// The requests of an identity.
    #[must_use]
    pub fn of(&self, identity: &Identity) -> &[Request] {
        self.requests.get(identity).map_or(&[], Vec::as_slice)
    }

    /// The requests to create a transaction.
    #[must_use]
    pub fn creations(&self, transaction: &str) -> &[Request] {
        self.of(&(tributary_graph::transaction::NODE.name, transaction.to_owned(), None))
    }

    /// How many commands were sent, copies not counted.
    #[must_use]
    pub fn commands(&self) -> usize {
        self.requests.values().map(Vec::len).sum()
    }

    /// The places of records that nobody can take.
    #[must_use]
    pub fn letters(&self) -> &[Place] {
        &self.garbage
    }

    /// The furthest that an account was ever let below zero.
    #[must_use]
    pub fn allowance(&self, account: &str) -> Amount {
        self.allowances.get(account).copied().unwrap_or_default()
    }
}

/// The floor that a command asks for.
fn floor(body: &CommandBody) -> Option<Amount> {
    match body {
        CommandBody::Account(AccountCommand::OpenAccount(open)) => open.floor,
        CommandBody::Account(AccountCommand::UpdateAccount(update)) => update.floor,
        _ => None,
    }
}
