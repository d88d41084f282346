//! Generated from the schemas and `ids.json` by `tests/generate`; do not edit.

use crate::registry::Published;

/// All published versions.
pub(crate) static TABLE: &[Published] = &[
    Published {
        id: 1,
        full_name: "tributary.accounts.v1.AccountCommandEnvelope",
        version: 1,
        newest: true,
        schema: include_str!("../../resolved/tributary.accounts.v1.AccountCommandEnvelope.avsc"),
    },
    Published {
        id: 2,
        full_name: "tributary.accounts.v1.AccountEventEnvelope",
        version: 1,
        newest: true,
        schema: include_str!("../../resolved/tributary.accounts.v1.AccountEventEnvelope.avsc"),
    },
    Published {
        id: 3,
        full_name: "tributary.accounts.v1.VoteEnvelope",
        version: 1,
        newest: true,
        schema: include_str!("../../resolved/tributary.accounts.v1.VoteEnvelope.avsc"),
    },
    Published {
        id: 4,
        full_name: "tributary.ledger.v1.EntryEnvelope",
        version: 1,
        newest: true,
        schema: include_str!("../../resolved/tributary.ledger.v1.EntryEnvelope.avsc"),
    },
    Published {
        id: 5,
        full_name: "tributary.ledger.v1.JournalEnvelope",
        version: 1,
        newest: true,
        schema: include_str!("../../resolved/tributary.ledger.v1.JournalEnvelope.avsc"),
    },
    Published {
        id: 6,
        full_name: "tributary.ledger.v1.LedgerEventEnvelope",
        version: 1,
        newest: true,
        schema: include_str!("../../resolved/tributary.ledger.v1.LedgerEventEnvelope.avsc"),
    },
    Published {
        id: 7,
        full_name: "tributary.risk.v1.PartyEventEnvelope",
        version: 1,
        newest: true,
        schema: include_str!("../../resolved/tributary.risk.v1.PartyEventEnvelope.avsc"),
    },
    Published {
        id: 8,
        full_name: "tributary.risk.v1.RiskCommandEnvelope",
        version: 1,
        newest: true,
        schema: include_str!("../../resolved/tributary.risk.v1.RiskCommandEnvelope.avsc"),
    },
    Published {
        id: 9,
        full_name: "tributary.risk.v1.RiskEventEnvelope",
        version: 1,
        newest: true,
        schema: include_str!("../../resolved/tributary.risk.v1.RiskEventEnvelope.avsc"),
    },
    Published {
        id: 10,
        full_name: "tributary.transactions.v1.LegEventEnvelope",
        version: 1,
        newest: true,
        schema: include_str!("../../resolved/tributary.transactions.v1.LegEventEnvelope.avsc"),
    },
    Published {
        id: 11,
        full_name: "tributary.transactions.v1.TransactionCommandEnvelope",
        version: 1,
        newest: true,
        schema: include_str!("../../resolved/tributary.transactions.v1.TransactionCommandEnvelope.avsc"),
    },
    Published {
        id: 12,
        full_name: "tributary.transactions.v1.TransactionEventEnvelope",
        version: 1,
        newest: true,
        schema: include_str!("../../resolved/tributary.transactions.v1.TransactionEventEnvelope.avsc"),
    },
];
