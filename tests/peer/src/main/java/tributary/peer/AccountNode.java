package tributary.peer;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;
import org.apache.avro.specific.SpecificRecord;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import tributary.accounts.v1.AccountFrozen;
import tributary.accounts.v1.AccountOpened;
import tributary.accounts.v1.AccountRefused;
import tributary.accounts.v1.AccountUnfrozen;
import tributary.accounts.v1.EntryRef;
import tributary.accounts.v1.FreezeAccount;
import tributary.accounts.v1.LegHeld;
import tributary.accounts.v1.LegPosted;
import tributary.accounts.v1.LegRefused;
import tributary.accounts.v1.LegVoided;
import tributary.accounts.v1.OpenAccount;
import tributary.accounts.v1.UnfreezeAccount;
import tributary.ledger.v1.EntryPosted;
import tributary.peer.Message.Command;
import tributary.peer.Message.Fact;
import tributary.peer.state.Account;
import tributary.peer.state.OpenLeg;
import tributary.platform.v1.AccountKind;
import tributary.platform.v1.Reason;
import tributary.transactions.v1.LegCancelled;
import tributary.transactions.v1.LegConfirmed;
import tributary.transactions.v1.LegLine;
import tributary.transactions.v1.LegRequested;

/**
 * The one guard of an account: its floor and limits, what is held and reserved, its balance, and the chain of its entries.
 * Balance and floor are on the kind's normal side; what lowers the balance is held, what raises it is reserved.
 *
 * <p>Left out, and an error where they are met: updating and closing an account. Without the first, an account's name and
 * metadata are only told, not kept.
 */
final class AccountNode implements Processor<String, Message, String, Fact> {
    static final String NAME = "account";
    static final String ACCOUNTS = "accounts";
    /** What is granted and neither posted nor released, by account and transaction. */
    static final String LEGS = "accounts-legs";
    static final String COMMANDS = "accounts-commands";

    private static final int LONGEST_NAME = 256;
    private static final int LONGEST_REASON = 1_024;
    private static final int MOST_METADATA = 16 * 1_024;

    private final int partitions;
    private Task task;
    private KeyValueStore<String, Account> accounts;
    private KeyValueStore<String, OpenLeg> legs;
    private Door door;

    AccountNode(int partitions) {
        this.partitions = partitions;
    }

    @Override
    public void init(ProcessorContext<String, Fact> context) {
        task = new Task(context, NAME);
        accounts = context.getStateStore(ACCOUNTS);
        legs = context.getStateStore(LEGS);
        door = new Door(task, COMMANDS, partitions);
    }

    @Override
    public void process(Record<String, Message> record) {
        if (record.value() instanceof Command command) {
            command(record, command);
            return;
        }
        Fact fact = (Fact) record.value();
        Step step = Step.over(task, fact, record.timestamp());
        if (fact.body() instanceof LegRequested leg) {
            requested(step, leg);
        } else if (fact.body() instanceof LegConfirmed leg) {
            confirmed(step, leg);
        } else if (fact.body() instanceof LegCancelled leg) {
            cancelled(step, leg);
        }
    }

    private void command(Record<String, Message> record, Command command) {
        SpecificRecord body = command.body();
        // All commands begin with the account.
        String id = (String) body.get(0);
        Accounts.check("account_id", id);
        if (body instanceof OpenAccount open) {
            read(open);
        }
        door.check(record.key(), command, id);
        ByteBuffer digest = Ids.digest(command);
        Step step = Step.over(task, record, command, digest);
        try {
            if (door.isNew(row(id, command.id()), command, digest, step.now, id, true)) {
                step.answer(Topic.ACCOUNTS_EVENTS, id, command.id(), decide(id, body, command.topic().privileged()));
            }
        } catch (Refusal refusal) {
            AccountRefused refused = new AccountRefused(id, body.getSchema().getName(), refusal.reason);
            step.answer(Topic.ACCOUNTS_EVENTS, id, command.id(), refused);
        }
    }

    /** Checks what every record of this schema must be, and makes it canonical. */
    private static void read(OpenAccount open) {
        Currencies.check("currency", open.getCurrency());
        open.setFloor(Amounts.canonical("floor", open.getFloor()));
        open.setDailyLimit(Amounts.canonical("daily_limit", open.getDailyLimit()));
        open.setMonthlyLimit(Amounts.canonical("monthly_limit", open.getMonthlyLimit()));
        open.setMetadata(new TreeMap<>(open.getMetadata()));
    }

    private SpecificRecord decide(String id, SpecificRecord body, boolean privileged) {
        if (Accounts.isSystem(id)) {
            throw new Refusal(reason(id, "system_account", "account_id"));
        }
        if (body instanceof OpenAccount open) {
            return open(open, privileged);
        } else if (body instanceof FreezeAccount freeze) {
            setFrozen(id, true, freeze.getReason(), privileged);
            return new AccountFrozen(id, freeze.getReason());
        } else if (body instanceof UnfreezeAccount unfreeze) {
            setFrozen(id, false, unfreeze.getReason(), privileged);
            return new AccountUnfrozen(id, unfreeze.getReason());
        }
        throw new UnsupportedOperationException("the peer opens, freezes and unfreezes accounts only: " + body);
    }

    /** In force for the next leg. */
    private void setFrozen(String id, boolean frozen, String why, boolean privileged) {
        if (!privileged) {
            throw new Refusal(reason(id, "privileged_command", null));
        }
        Account account = accounts.get(id);
        if (account == null) {
            throw new Refusal(reason(id, "unknown_account", null));
        }
        if (account.getFrozen() == frozen) {
            throw new Refusal(reason(id, frozen ? "already_frozen" : "not_frozen", null));
        }
        Door.checkLength(NAME, id, "reason", why.getBytes(UTF_8).length, LONGEST_REASON);
        account.setFrozen(frozen);
        accounts.put(id, account);
    }

    private AccountOpened open(OpenAccount open, boolean privileged) {
        String id = open.getAccountId();
        if (accounts.get(id) != null) {
            throw new Refusal(reason(id, "account_exists", "account_id"));
        }
        String currency = open.getCurrency();
        if (Currencies.minorUnits(currency) < 0) {
            throw new Refusal(reason(id, "unknown_currency", "currency", "currency", currency));
        }
        checkTerm(id, currency, privileged, "floor", open.getFloor(), "negative_floor");
        checkTerm(id, currency, privileged, "daily_limit", open.getDailyLimit(), "negative_limit");
        checkTerm(id, currency, privileged, "monthly_limit", open.getMonthlyLimit(), "negative_limit");
        int metadata = open.getMetadata().entrySet().stream()
                .mapToInt(entry -> entry.getKey().getBytes(UTF_8).length + entry.getValue().getBytes(UTF_8).length)
                .sum();
        Door.checkLength(NAME, id, "name", open.getName().getBytes(UTF_8).length, LONGEST_NAME);
        Door.checkLength(NAME, id, "metadata", metadata, MOST_METADATA);
        ByteBuffer floor = open.getFloor() == null ? Amounts.ZERO : open.getFloor();
        Account account = Funds.none(open.getKind(), currency, false);
        account.setFloor(floor);
        account.setDailyLimit(open.getDailyLimit());
        account.setMonthlyLimit(open.getMonthlyLimit());
        accounts.put(id, account);
        return new AccountOpened(
                id,
                open.getKind(),
                currency,
                false,
                open.getName(),
                floor,
                open.getDailyLimit(),
                open.getMonthlyLimit(),
                open.getMetadata());
    }

    private static void checkTerm(
            String id, String currency, boolean privileged, String field, ByteBuffer value, String negative) {
        if (value == null) {
            return;
        }
        BigInteger amount = Amounts.of(value);
        if (!privileged) {
            throw new Refusal(reason(id, "privileged_command", field));
        }
        if (amount.signum() < 0) {
            throw new Refusal(reason(id, negative, field, field, Amounts.text(amount)));
        }
        if (!Currencies.fits(amount, currency)) {
            int digits = Currencies.minorUnits(currency);
            throw new Refusal(
                    reason(id, "too_many_digits", field, field, Amounts.text(amount), "digits", digits));
        }
    }

    /** The vote: all lines of the leg or none, and where none, every reason. */
    private void requested(Step step, LegRequested leg) {
        String id = leg.getAccountId();
        Account account = accounts.get(id);
        if (account == null) {
            refuse(step, leg, List.of(reason(id, "unknown_account", null)));
            return;
        }
        String row = row(id, leg.getTransactionId());
        if (account.getSystem() || legs.get(row) != null) {
            throw broken(id, leg.getTransactionId(), "asked twice, or a system account asked");
        }
        List<Reason> reasons = new ArrayList<>(0);
        if (account.getFrozen()) {
            reasons.add(reason(id, "account_frozen", null));
        }
        BigInteger held = BigInteger.ZERO;
        BigInteger reserved = BigInteger.ZERO;
        for (LegLine line : leg.getLines()) {
            if (!line.getAmount().getCurrency().equals(account.getCurrency())) {
                reasons.add(reason(
                        id,
                        "wrong_currency",
                        "legs[" + line.getLine() + "].amount.currency",
                        "currency",
                        line.getAmount().getCurrency(),
                        "account_currency",
                        account.getCurrency()));
            } else if (Accounts.lowers(account.getKind(), line.getSide())) {
                held = held.add(Amounts.of(line.getAmount().getAmount()));
            } else {
                reserved = reserved.add(Amounts.of(line.getAmount().getAmount()));
            }
        }
        Funds.rollUsed(account, step.day());
        Funds.check(id, account, held.min(Amounts.MAX), reasons);
        if (!Funds.grant(account, held, reserved)) {
            reasons.add(reason(id, "amount_too_large", null, "digits", 38));
        }
        if (!reasons.isEmpty()) {
            refuse(step, leg, reasons);
            return;
        }
        legs.put(row, new OpenLeg(account.getUsedDay(), leg.getLines()));
        accounts.put(id, account);
        LegHeld vote = new LegHeld(leg.getTransactionId(), id, Amounts.bytes(held), Amounts.bytes(reserved));
        step.emit(Topic.ACCOUNTS_VOTES, leg.getTransactionId(), vote);
    }

    private static void refuse(Step step, LegRequested leg, List<Reason> reasons) {
        LegRefused vote = new LegRefused(leg.getTransactionId(), leg.getAccountId(), reasons);
        step.emit(Topic.ACCOUNTS_VOTES, leg.getTransactionId(), vote);
    }

    /** Books a posting. It cannot be refused, whatever the account has become since the vote. */
    private void confirmed(Step step, LegConfirmed leg) {
        String id = leg.getAccountId();
        Account account = accounts.get(id);
        if (account == null) {
            account = openSystem(step, leg);
        }
        if (!account.getSystem()) {
            settle(account, leg);
        }
        List<EntryRef> entries = new ArrayList<>(leg.getLines().size());
        for (LegLine line : leg.getLines()) {
            if (!line.getAmount().getCurrency().equals(account.getCurrency())) {
                throw broken(id, leg.getTransactionId(), "posted in another currency than the account's: " + line);
            }
            EntryPosted entry = book(account, leg, line);
            step.emit(Topic.LEDGER_ENTRIES, id, entry);
            entries.add(new EntryRef(
                    line.getLine(), entry.getSequence(), line.getSide(), line.getAmount(), entry.getHash()));
        }
        accounts.put(id, account);
        LegPosted vote = new LegPosted(
                leg.getTransactionId(), id, leg.getPosting(), account.getKind(), entries, leg.getFinal$());
        step.emit(Topic.ACCOUNTS_VOTES, leg.getTransactionId(), vote);
    }

    /** A system account is opened by the first posting that names it. */
    private static Account openSystem(Step step, LegConfirmed leg) {
        String id = leg.getAccountId();
        if (!Accounts.isSystem(id)) {
            throw broken(id, leg.getTransactionId(), "posted to an account that nobody opened");
        }
        AccountKind kind = Accounts.CHART.get(Accounts.name(id));
        String currency = Accounts.currency(id);
        AccountOpened opened = new AccountOpened(
                id, kind, currency, true, Accounts.name(id), Amounts.ZERO, null, null, new TreeMap<>());
        step.emit(Topic.ACCOUNTS_EVENTS, id, opened);
        return Funds.none(kind, currency, true);
    }

    /** Takes the posting out of what was granted, and releases the rest, for a one-phase transaction is posted once. */
    private void settle(Account account, LegConfirmed leg) {
        OpenLeg open = legs.delete(row(leg.getAccountId(), leg.getTransactionId()));
        if (open == null) {
            throw broken(leg.getAccountId(), leg.getTransactionId(), "posted, and nothing was granted");
        }
        for (LegLine line : leg.getLines()) {
            BigInteger amount = Amounts.of(line.getAmount().getAmount());
            LegLine granted = find(open, line);
            BigInteger left = granted == null ? BigInteger.ZERO : Amounts.of(granted.getAmount().getAmount());
            if (amount.signum() <= 0 || amount.compareTo(left) > 0) {
                throw broken(leg.getAccountId(), leg.getTransactionId(), "posted, and not so granted: " + line);
            }
            granted.getAmount().setAmount(Amounts.bytes(left.subtract(amount)));
        }
        Funds.release(account, open);
    }

    private static LegLine find(OpenLeg open, LegLine line) {
        for (LegLine granted : open.getLines()) {
            if (granted.getLine() == line.getLine() && granted.getSide() == line.getSide()) {
                return granted;
            }
        }
        return null;
    }

    private static EntryPosted book(Account account, LegConfirmed leg, LegLine line) {
        Funds.post(account, line.getSide(), Amounts.of(line.getAmount().getAmount()));
        account.setSequence(account.getSequence() + 1);
        EntryPosted entry = new EntryPosted(
                leg.getAccountId(),
                account.getSequence(),
                leg.getTransactionId(),
                leg.getPosting(),
                line.getLine(),
                line.getSide(),
                line.getAmount(),
                account.getBalance(),
                Amounts.bytes(Funds.available(account)),
                leg.getBookedAt(),
                leg.getValueDate(),
                account.getLastHash(),
                null);
        entry.setHash(Entries.hash(entry));
        account.setLastHash(entry.getHash());
        return entry;
    }

    /** Releases what is left of a leg. Always answered, so that the transaction can count its answers. */
    private void cancelled(Step step, LegCancelled leg) {
        String id = leg.getAccountId();
        BigInteger released = BigInteger.ZERO;
        String row = row(id, leg.getTransactionId());
        OpenLeg open = legs.get(row);
        if (open != null) {
            legs.put(row, null);
            Account account = accounts.get(id);
            released = Funds.release(account, open);
            accounts.put(id, account);
        }
        LegVoided vote = new LegVoided(leg.getTransactionId(), id, Amounts.bytes(released));
        step.emit(Topic.ACCOUNTS_VOTES, leg.getTransactionId(), vote);
    }

    private static String row(String account, String other) {
        return account + '\0' + other;
    }

    /** What no transaction asks of an account, and what stops the peer. */
    private static IllegalStateException broken(String account, String transaction, String what) {
        return new IllegalStateException("transaction " + transaction + ", account " + account + ": " + what);
    }

    static Reason reason(String account, String code, String field, Object... values) {
        return Refusal.reason(NAME, account, code, field, values);
    }
}
