package tributary.peer;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import org.apache.avro.specific.SpecificRecord;
import tributary.accounts.v1.LegHeld;
import tributary.accounts.v1.LegPosted;
import tributary.accounts.v1.LegRefused;
import tributary.accounts.v1.LegVoided;
import tributary.peer.state.Party;
import tributary.peer.state.Status;
import tributary.peer.state.Transaction;
import tributary.platform.v1.Reason;
import tributary.platform.v1.Side;
import tributary.risk.v1.RiskAssessed;
import tributary.risk.v1.RiskDecision;
import tributary.transactions.v1.CreateTransaction;
import tributary.transactions.v1.Leg;
import tributary.transactions.v1.LegCancelled;
import tributary.transactions.v1.LegConfirmed;
import tributary.transactions.v1.LegLine;
import tributary.transactions.v1.LegRequested;
import tributary.transactions.v1.PostLine;
import tributary.transactions.v1.TransactionCompleted;
import tributary.transactions.v1.TransactionExpired;
import tributary.transactions.v1.TransactionFailed;
import tributary.transactions.v1.TransactionInitiated;
import tributary.transactions.v1.TransactionOnHold;
import tributary.transactions.v1.TransactionPosting;

/** One step of a transaction that has not ended: its transitions, and what each tells the accounts and the world. */
final class Saga {
    private static final long REVIEW_SECONDS = 7 * 86_400;
    private static final long SECOND = 1_000_000;
    /** A one-phase transaction is posted once. */
    private static final int POSTING = 1;

    private final Step step;
    private final String id;
    private final Transaction transaction;
    private final Status before;
    private boolean ended;

    Saga(Step step, String id, Transaction transaction) {
        this(step, id, transaction, transaction.getStatus());
    }

    private Saga(Step step, String id, Transaction transaction, Status before) {
        this.step = step;
        this.id = id;
        this.transaction = transaction;
        this.before = before;
    }

    /** Begins a transaction: asks every ordinary account for its part. */
    static Saga create(
            Step step, String command, CreateTransaction create, List<Leg> legs, long votingSeconds) {
        List<Party> parties = new ArrayList<>(legs.size());
        for (int line = 0; line < legs.size(); line++) {
            Leg leg = legs.get(line);
            String account = leg.getAccountId();
            Party party = party(parties, account);
            if (party == null) {
                party = new Party(account, new ArrayList<>(1), !Accounts.isSystem(account), false, false, false);
                parties.add(party);
            }
            party.getLines().add(new LegLine(line, leg.getSide(), leg.getAmount()));
        }
        Transaction transaction = new Transaction(
                Status.INITIATED,
                parties,
                create.getValueDate(),
                0L,
                0L,
                step.cause(),
                false,
                0,
                new ArrayList<>(),
                new ArrayList<>());
        Saga saga = new Saga(step, create.getTransactionId(), transaction, null);
        saga.setDeadline(votingSeconds);
        TransactionInitiated initiated = new TransactionInitiated(
                saga.id,
                legs,
                false,
                create.getDescription(),
                create.getMetadata(),
                transaction.getDeadline());
        step.answer(Topic.TRANSACTIONS_EVENTS, saga.id, command, initiated);
        for (Party party : parties) {
            if (party.getOrdinary()) {
                String account = party.getAccount();
                saga.tell(account, new LegRequested(saga.id, account, party.getLines(), saga.counterparties(party)));
            }
        }
        // Nobody is asked where all accounts are the system's: then this decides.
        saga.decide();
        return saga;
    }

    Transaction transaction() {
        return transaction;
    }

    /** Whether this step ended it. */
    boolean hasEnded() {
        return ended;
    }

    /** Its status before this step; none where the step created it. */
    Status before() {
        return before;
    }

    void held(LegHeld vote) {
        Party party = party(vote.getAccountId());
        if (party != null) {
            party.setVoted(true);
            decide();
        }
    }

    void refused(LegRefused vote) {
        Party party = party(vote.getAccountId());
        if (party != null && !party.getVoted()) {
            party.setVoted(true);
            object(given(vote.getReasons(), "refused", AccountNode.NAME, vote.getAccountId()));
        }
    }

    void assessed(RiskAssessed answer) {
        Party party = party(answer.getAccountId());
        if (party == null || party.getAssessed()) {
            return;
        }
        party.setAssessed(true);
        transaction.setScore(Math.max(transaction.getScore(), answer.getScore()));
        if (answer.getDecision() == RiskDecision.DECLINE) {
            object(given(answer.getReasons(), "declined", RiskNode.NAME, answer.getAccountId()));
            return;
        }
        if (answer.getDecision() == RiskDecision.REVIEW) {
            transaction.setReview(true);
            transaction.getReviewReasons().addAll(answer.getReasons());
        }
        decide();
    }

    void posted(LegPosted vote) {
        Party party = party(vote.getAccountId());
        if (party != null && transaction.getStatus() == Status.POSTING && vote.getPosting() == POSTING) {
            party.setAwaited(false);
            if (noneAwaited()) {
                event(new TransactionCompleted(id, POSTING, transaction.getBookedAt()));
                ended = true;
            }
        }
    }

    void voided(LegVoided vote) {
        Party party = party(vote.getAccountId());
        if (party != null && isCancelling()) {
            party.setAwaited(false);
            endIfReleased();
        }
    }

    /** Nobody answered, or looked, in time. */
    void waitedTooLong(long votingSeconds) {
        if (transaction.getStatus() == Status.ON_HOLD) {
            transaction.getReasons().addAll(transaction.getReviewReasons());
            Reason reason = reason("review_expired", "deadline", transaction.getDeadline());
            transaction.getReasons().add(reason);
            cancel(Status.EXPIRING, reason);
            return;
        }
        Reason reason = reason(
                "voting_deadline",
                "seconds",
                votingSeconds,
                "accounts_missing",
                names(party -> !party.getVoted()),
                "risk_missing",
                names(party -> !party.getAssessed()));
        transaction.getReasons().add(reason);
        cancel(Status.FAILING, reason);
    }

    /** Decides if every account has granted and risk has answered for each. An objection does not wait for this. */
    private void decide() {
        if (transaction.getStatus() != Status.INITIATED) {
            return;
        }
        for (Party party : transaction.getParties()) {
            if (party.getOrdinary() && !(party.getVoted() && party.getAssessed())) {
                return;
            }
        }
        if (!transaction.getReview()) {
            post();
            return;
        }
        transaction.setStatus(Status.ON_HOLD);
        setDeadline(REVIEW_SECONDS);
        event(new TransactionOnHold(
                id, transaction.getScore(), transaction.getReviewReasons(), transaction.getDeadline()));
    }

    private void post() {
        transaction.setStatus(Status.POSTING);
        transaction.setBookedAt(step.now);
        List<PostLine> posted = new ArrayList<>(2);
        for (Party party : transaction.getParties()) {
            party.getLines().forEach(line -> posted.add(new PostLine(line.getLine(), line.getAmount().getAmount())));
        }
        posted.sort(Comparator.comparingInt(PostLine::getLine));
        int valueDate = transaction.getValueDate() == null ? step.day() : transaction.getValueDate();
        event(new TransactionPosting(id, POSTING, posted, step.now, valueDate, true));
        for (Party party : transaction.getParties()) {
            party.setAwaited(true);
            String account = party.getAccount();
            tell(account, new LegConfirmed(id, account, POSTING, party.getLines(), step.now, valueDate, true));
        }
    }

    /** An account or risk objects: that ends the voting. Where the end is known already, the reasons are kept for it. */
    private void object(List<Reason> reasons) {
        transaction.getReasons().addAll(reasons);
        if (transaction.getStatus() == Status.INITIATED) {
            cancel(Status.FAILING, reasons.get(0));
        }
    }

    private void cancel(Status status, Reason reason) {
        transaction.setStatus(status);
        for (Party party : transaction.getParties()) {
            if (party.getOrdinary()) {
                party.setAwaited(true);
                tell(party.getAccount(), new LegCancelled(id, party.getAccount(), reason));
            }
        }
        endIfReleased();
    }

    private void endIfReleased() {
        if (noneAwaited()) {
            List<Reason> reasons = transaction.getReasons();
            boolean failed = transaction.getStatus() == Status.FAILING;
            event(failed ? new TransactionFailed(id, reasons) : new TransactionExpired(id, reasons));
            ended = true;
        }
    }

    private boolean isCancelling() {
        return transaction.getStatus() == Status.FAILING || transaction.getStatus() == Status.EXPIRING;
    }

    private boolean noneAwaited() {
        return transaction.getParties().stream().noneMatch(Party::getAwaited);
    }

    private void setDeadline(long seconds) {
        transaction.setDeadline(step.now + seconds * SECOND);
        transaction.setSetBy(step.cause());
    }

    private Party party(String account) {
        return party(transaction.getParties(), account);
    }

    private static Party party(List<Party> parties, String account) {
        for (Party party : parties) {
            if (party.getAccount().equals(account)) {
                return party;
            }
        }
        return null;
    }

    /** The accounts across from a party: those with a line on a side opposite to one of its own. */
    private List<String> counterparties(Party party) {
        List<String> across = new ArrayList<>(1);
        for (Party other : transaction.getParties()) {
            boolean opposite = isOn(party, Side.DEBIT) && isOn(other, Side.CREDIT)
                    || isOn(party, Side.CREDIT) && isOn(other, Side.DEBIT);
            if (other != party && opposite) {
                across.add(other.getAccount());
            }
        }
        return across;
    }

    private static boolean isOn(Party party, Side side) {
        return party.getLines().stream().anyMatch(line -> line.getSide() == side);
    }

    /** The ordinary accounts of which something is missing. */
    private String names(Predicate<Party> missing) {
        return transaction.getParties().stream()
                .filter(party -> party.getOrdinary() && missing.test(party))
                .map(Party::getAccount)
                .collect(Collectors.joining(", "));
    }

    private void tell(String account, SpecificRecord leg) {
        step.emit(Topic.TRANSACTIONS_LEGS, account, leg);
    }

    private void event(SpecificRecord event) {
        step.emit(Topic.TRANSACTIONS_EVENTS, id, event);
    }

    private static Reason reason(String code, Object... values) {
        return Refusal.reason(TransactionNode.NAME, null, code, null, values);
    }

    /** The reasons of an objection; a plain one where it came without any. */
    private static List<Reason> given(List<Reason> reasons, String code, String source, String subject) {
        return reasons.isEmpty() ? List.of(Refusal.reason(source, subject, code, null)) : reasons;
    }
}
