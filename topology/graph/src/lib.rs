//! THE declaration: every topic, every node, who reads what and who writes what. Read this first.
//!
//! Everything that can be derived from it is: the closed enums that processors step over, the drivers' routes, the
//! README's diagram, the list of topics, AsyncAPI, ACLs. What is not written here does not exist: there is no other way
//! for one node to reach another than a topic.

pub mod acl;
pub mod asyncapi;
pub mod describe;
pub mod diagram;

use tributary_flow::{node, topics};
use tributary_schemas::accounts::{AccountCommand, AccountEvent, Vote};
use tributary_schemas::ledger::{Entry, Journal, LedgerEvent};
use tributary_schemas::risk::{PartyEvent, RiskCommand, RiskEvent};
use tributary_schemas::transactions::{LegEvent, TransactionCommand, TransactionEvent};

topics! {
    /// Commands to accounts.
    ACCOUNTS_COMMANDS = "accounts.commands.v1", Commands, "account", AccountCommand;
    /// Privileged commands to accounts: freeze, floors, limits.
    ACCOUNTS_ADMIN_COMMANDS = "accounts.admin-commands.v1", AdminCommands, "account", AccountCommand;
    /// What became of accounts.
    ACCOUNTS_EVENTS = "accounts.events.v1", Events, "account", AccountEvent;
    /// The accounts' answers to transactions.
    ACCOUNTS_VOTES = "accounts.votes.v1", Votes, "transaction", Vote;
    /// Commands to transactions.
    TRANSACTIONS_COMMANDS = "transactions.commands.v1", Commands, "transaction", TransactionCommand;
    /// Privileged commands to transactions: review.
    TRANSACTIONS_ADMIN_COMMANDS = "transactions.admin-commands.v1", AdminCommands, "transaction", TransactionCommand;
    /// What became of transactions.
    TRANSACTIONS_EVENTS = "transactions.events.v1", Events, "transaction", TransactionEvent;
    /// Transactions cut per account.
    TRANSACTIONS_LEGS = "transactions.legs.v1", Legs, "account", LegEvent;
    /// Privileged commands to risk: block and unblock a party.
    PARTIES_ADMIN_COMMANDS = "parties.admin-commands.v1", AdminCommands, "account", RiskCommand;
    /// What risk holds of a party.
    PARTIES_EVENTS = "parties.events.v1", Events, "account", PartyEvent;
    /// Risk's answers to transactions.
    RISK_EVENTS = "risk.events.v1", Events, "transaction", RiskEvent;
    /// The entries of every account, hash-chained.
    LEDGER_ENTRIES = "ledger.entries.v1", Entries, "account", Entry;
    /// The general ledger's journal.
    LEDGER_JOURNAL = "ledger.journal.v1", Journal, "transaction", Journal;
    /// Alarms of the general ledger.
    LEDGER_EVENTS = "ledger.events.v1", Events, "transaction", LedgerEvent;
}

node! {
    /// The one guard of an account: status, floor, limits, holds, balance, and the entry chain.
    account: "account", "account",
    in {
        Command(AccountCommand) <- [ACCOUNTS_COMMANDS, ACCOUNTS_ADMIN_COMMANDS],
        Leg(LegEvent) <- [TRANSACTIONS_LEGS],
    }
    out {
        Event(AccountEvent) -> ACCOUNTS_EVENTS,
        Vote(Vote) -> ACCOUNTS_VOTES,
        Entry(Entry) -> LEDGER_ENTRIES,
    }
}

node! {
    /// Decides transactions: asks for votes, confirms or cancels, ends each exactly once.
    transaction: "transaction", "transaction",
    in {
        Command(TransactionCommand) <- [TRANSACTIONS_COMMANDS, TRANSACTIONS_ADMIN_COMMANDS],
        Vote(Vote) <- [ACCOUNTS_VOTES],
        Risk(RiskEvent) <- [RISK_EVENTS],
    }
    out {
        Event(TransactionEvent) -> TRANSACTIONS_EVENTS,
        Leg(LegEvent) -> TRANSACTIONS_LEGS,
    }
}

node! {
    /// Scores every leg by rules, and declines those of blocked parties.
    risk: "risk", "account",
    in {
        Command(RiskCommand) <- [PARTIES_ADMIN_COMMANDS],
        Leg(LegEvent) <- [TRANSACTIONS_LEGS],
    }
    out {
        Party(PartyEvent) -> PARTIES_EVENTS,
        Risk(RiskEvent) -> RISK_EVENTS,
    }
}

node! {
    /// The general ledger: one balanced journal record per posting, alarms on what does not add up.
    ledger: "ledger", "transaction",
    in {
        Event(TransactionEvent) <- [TRANSACTIONS_EVENTS],
        Vote(Vote) <- [ACCOUNTS_VOTES],
    }
    out {
        Journal(Journal) -> LEDGER_JOURNAL,
        Event(LedgerEvent) -> LEDGER_EVENTS,
    }
}

node! {
    /// Read model of accounts: state, entries, transactions by account.
    account_view: "account-view", "account",
    in {
        Event(AccountEvent) <- [ACCOUNTS_EVENTS],
        Party(PartyEvent) <- [PARTIES_EVENTS],
        Leg(LegEvent) <- [TRANSACTIONS_LEGS],
        Entry(Entry) <- [LEDGER_ENTRIES],
    }
    out {}
}

node! {
    /// Read model of transactions: history with causes, journal, trial balance.
    transaction_view: "transaction-view", "transaction",
    in {
        Event(TransactionEvent) <- [TRANSACTIONS_EVENTS],
        Vote(Vote) <- [ACCOUNTS_VOTES],
        Risk(RiskEvent) <- [RISK_EVENTS],
        Journal(Journal) <- [LEDGER_JOURNAL],
        Alarm(LedgerEvent) <- [LEDGER_EVENTS],
    }
    out {}
}

/// Every node, in the order in which a payment meets them.
pub static NODES: &[&tributary_flow::Node] =
    &[&transaction::NODE, &account::NODE, &risk::NODE, &ledger::NODE, &account_view::NODE, &transaction_view::NODE];

/// The nodes that write.
pub fn writers() -> impl Iterator<Item = &'static tributary_flow::Node> {
    NODES.iter().copied().filter(|node| !node.is_view())
}

/// The nodes that write nothing.
pub fn views() -> impl Iterator<Item = &'static tributary_flow::Node> {
    NODES.iter().copied().filter(|node| node.is_view())
}

/// The topic of this name.
#[must_use]
pub fn topic(name: &str) -> Option<tributary_flow::TopicRef> {
    TOPICS.iter().copied().find(|topic| topic.name == name)
}

/// The node of this name.
#[must_use]
pub fn node(name: &str) -> Option<&'static tributary_flow::Node> {
    NODES.iter().copied().find(|node| node.name == name)
}
