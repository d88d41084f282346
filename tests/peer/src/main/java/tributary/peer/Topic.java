package tributary.peer;

import org.apache.avro.specific.SpecificRecordBase;
import tributary.accounts.v1.AccountCommandEnvelope;
import tributary.accounts.v1.AccountEventEnvelope;
import tributary.accounts.v1.VoteEnvelope;
import tributary.ledger.v1.EntryEnvelope;
import tributary.ledger.v1.JournalEnvelope;
import tributary.ledger.v1.LedgerEventEnvelope;
import tributary.risk.v1.PartyEventEnvelope;
import tributary.risk.v1.RiskCommandEnvelope;
import tributary.risk.v1.RiskEventEnvelope;
import tributary.transactions.v1.LegEventEnvelope;
import tributary.transactions.v1.TransactionCommandEnvelope;
import tributary.transactions.v1.TransactionEventEnvelope;

/** Tributary's topics, as its graph declares them. */
enum Topic {
    ACCOUNTS_COMMANDS("accounts.commands.v1", AccountCommandEnvelope.class, true),
    ACCOUNTS_ADMIN_COMMANDS("accounts.admin-commands.v1", AccountCommandEnvelope.class, true),
    ACCOUNTS_EVENTS("accounts.events.v1", AccountEventEnvelope.class, false),
    ACCOUNTS_VOTES("accounts.votes.v1", VoteEnvelope.class, false),
    TRANSACTIONS_COMMANDS("transactions.commands.v1", TransactionCommandEnvelope.class, true),
    TRANSACTIONS_ADMIN_COMMANDS("transactions.admin-commands.v1", TransactionCommandEnvelope.class, true),
    TRANSACTIONS_EVENTS("transactions.events.v1", TransactionEventEnvelope.class, false),
    TRANSACTIONS_LEGS("transactions.legs.v1", LegEventEnvelope.class, false),
    PARTIES_ADMIN_COMMANDS("parties.admin-commands.v1", RiskCommandEnvelope.class, true),
    PARTIES_EVENTS("parties.events.v1", PartyEventEnvelope.class, false),
    RISK_EVENTS("risk.events.v1", RiskEventEnvelope.class, false),
    LEDGER_ENTRIES("ledger.entries.v1", EntryEnvelope.class, false),
    LEDGER_JOURNAL("ledger.journal.v1", JournalEnvelope.class, false),
    LEDGER_EVENTS("ledger.events.v1", LedgerEventEnvelope.class, false);

    /** Its name on the broker. */
    final String title;

    /** The record that frames its bodies. */
    final Class<? extends SpecificRecordBase> envelope;

    /** Whether clients write it. */
    final boolean door;

    Topic(String title, Class<? extends SpecificRecordBase> envelope, boolean door) {
        this.title = title;
        this.envelope = envelope;
        this.door = door;
    }

    /** Whether a command that comes in here may ask for what only the operator grants. */
    boolean privileged() {
        return this == ACCOUNTS_ADMIN_COMMANDS || this == TRANSACTIONS_ADMIN_COMMANDS || this == PARTIES_ADMIN_COMMANDS;
    }
}
