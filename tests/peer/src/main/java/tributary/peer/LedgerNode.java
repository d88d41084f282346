package tributary.peer;

import java.math.BigInteger;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import org.apache.avro.specific.SpecificRecord;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import tributary.accounts.v1.EntryRef;
import tributary.accounts.v1.LegPosted;
import tributary.ledger.v1.JournalLine;
import tributary.ledger.v1.JournalPosted;
import tributary.ledger.v1.LedgerAlarm;
import tributary.peer.Message.Fact;
import tributary.peer.state.Booking;
import tributary.peer.state.Declaration;
import tributary.peer.state.Posting;
import tributary.platform.v1.Money;
import tributary.platform.v1.Side;
import tributary.transactions.v1.Leg;
import tributary.transactions.v1.PostLine;
import tributary.transactions.v1.TransactionCancelled;
import tributary.transactions.v1.TransactionCompleted;
import tributary.transactions.v1.TransactionExpired;
import tributary.transactions.v1.TransactionFailed;
import tributary.transactions.v1.TransactionInitiated;
import tributary.transactions.v1.TransactionPosting;

/**
 * The general ledger. What a transaction declared and what the accounts say they booked come on two topics; only where both
 * say the same, line by line, it writes one balanced journal record, and raises an alarm otherwise, or where a posting stays
 * incomplete.
 */
final class LedgerNode implements Processor<String, Message, String, Fact> {
    static final String NAME = "ledger";
    /** Transactions of which something is still to come. */
    static final String BOOKINGS = "ledger-bookings";

    private static final long PATIENCE_SECONDS = 60;
    private static final long PATIENCE = PATIENCE_SECONDS * 1_000_000;
    /** The deadline of a posting whose alarm was raised. */
    private static final long TOLD = Long.MAX_VALUE;

    private Task task;
    private KeyValueStore<String, Booking> bookings;
    private Deadlines incomplete;

    @Override
    public void init(ProcessorContext<String, Fact> context) {
        task = new Task(context, NAME);
        bookings = context.getStateStore(BOOKINGS);
        incomplete = new Deadlines();
        try (var all = bookings.all()) {
            all.forEachRemaining(row -> row.value.getOpen().forEach(open -> watch(row.key, open)));
        }
        context.schedule(
                Duration.ofSeconds(1), PunctuationType.WALL_CLOCK_TIME, time -> incomplete.fire(task.now(), this::fire));
    }

    @Override
    public void process(Record<String, Message> record) {
        Fact fact = (Fact) record.value();
        SpecificRecord body = fact.body();
        boolean ends = body instanceof TransactionCompleted
                || body instanceof TransactionFailed
                || body instanceof TransactionCancelled
                || body instanceof TransactionExpired;
        boolean books = body instanceof LegPosted vote && !vote.getEntries().isEmpty();
        boolean declares = body instanceof TransactionInitiated || body instanceof TransactionPosting;
        if (!ends && !books && !declares) {
            return; // Nothing is booked by who grants, refuses or releases.
        }
        String id = record.key();
        Booking booking = bookings.get(id);
        if (booking == null) {
            if (ends) {
                return;
            }
            booking = new Booking(null, 0, new ArrayList<>(1), false);
        }
        Step step = Step.over(task, fact, record.timestamp());
        if (body instanceof TransactionInitiated initiated) {
            booking.setLegs(initiated.getLegs());
        } else if (body instanceof TransactionPosting posting) {
            declare(step, id, booking, posting);
        } else if (body instanceof LegPosted vote) {
            book(step, id, booking, vote);
        } else {
            booking.setEnded(true);
        }
        closeWhatIsComplete(step, id, booking);
        boolean finished = booking.getEnded() && booking.getOpen().isEmpty();
        bookings.put(id, finished ? null : booking);
    }

    private void declare(Step step, String id, Booking booking, TransactionPosting posting) {
        booking.setDeclared(Math.max(booking.getDeclared(), posting.getPosting()));
        Posting open = open(booking, posting.getPosting());
        open.setDeclaration(new Declaration(posting.getLines(), posting.getBookedAt(), posting.getValueDate()));
        setDeadline(step, id, open);
    }

    private void book(Step step, String id, Booking booking, LegPosted vote) {
        List<JournalLine> lines = new ArrayList<>(vote.getEntries().size());
        for (EntryRef entry : vote.getEntries()) {
            lines.add(new JournalLine(
                    entry.getLine(),
                    vote.getAccountId(),
                    vote.getKind(),
                    entry.getSide(),
                    entry.getAmount(),
                    entry.getSequence(),
                    entry.getHash()));
        }
        boolean closed = vote.getPosting() <= booking.getDeclared()
                && booking.getOpen().stream().noneMatch(open -> open.getPosting() == vote.getPosting());
        if (closed) {
            SortedMap<String, String> surplus = new TreeMap<>();
            lines.forEach(line -> surplus.put("lines[" + line.getLine() + "].surplus", describe(line)));
            alarm(step, id, "mismatch", vote.getPosting(), surplus);
            return;
        }
        Posting open = open(booking, vote.getPosting());
        if (open.getDeclaration() == null && open.getEntries().isEmpty()) {
            // Entries that nobody ever declares must be noticed too.
            setDeadline(step, id, open);
        }
        open.getEntries().addAll(lines);
    }

    private static Posting open(Booking booking, int posting) {
        for (Posting open : booking.getOpen()) {
            if (open.getPosting() == posting) {
                return open;
            }
        }
        Posting open = new Posting(posting, null, new ArrayList<>(2), 0L, null);
        booking.getOpen().add(open);
        return open;
    }

    private void setDeadline(Step step, String id, Posting open) {
        open.setDeadline(step.now + PATIENCE);
        open.setSetBy(step.cause());
        watch(id, open);
    }

    private void watch(String id, Posting open) {
        if (open.getDeadline() != TOLD) {
            incomplete.set(id + '\0' + open.getPosting(), open.getDeadline());
        }
    }

    /** A posting has been incomplete for too long. It stays open: what is missing may still come. */
    private void fire(String key) {
        int end = key.indexOf('\0');
        String id = key.substring(0, end);
        int posting = Integer.parseInt(key.substring(end + 1));
        Booking booking = bookings.get(id);
        Posting open = open(booking, posting);
        SortedMap<String, String> values = new TreeMap<>();
        values.put("seconds", Long.toString(PATIENCE_SECONDS));
        if (open.getDeclaration() == null) {
            values.put("missing", "TransactionPosting");
        } else if (booking.getLegs() == null) {
            values.put("missing", "TransactionInitiated");
        } else {
            for (PostLine line : open.getDeclaration().getLines()) {
                Leg leg = leg(booking, line.getLine());
                if (!isBooked(open, line)) {
                    values.put("lines[" + line.getLine() + "]", leg == null ? "" : leg.getAccountId());
                }
            }
        }
        // What Tributary calls this timer; its events' ids derive from it.
        byte[] name = {0, (byte) (posting << 1)};
        Step step = Step.over(task, id, name, open.getDeadline(), open.getSetBy());
        alarm(step, id, "incomplete", posting, values);
        open.setDeadline(TOLD);
        bookings.put(id, booking);
    }

    private void closeWhatIsComplete(Step step, String id, Booking booking) {
        if (booking.getLegs() == null) {
            return;
        }
        List<Posting> open = new ArrayList<>(1);
        for (Posting posting : booking.getOpen()) {
            Declaration declaration = posting.getDeclaration();
            if (declaration != null && declaration.getLines().stream().allMatch(line -> isBooked(posting, line))) {
                incomplete.clear(id + '\0' + posting.getPosting());
                close(step, id, booking, posting);
            } else {
                open.add(posting);
            }
        }
        booking.setOpen(open);
    }

    private static boolean isBooked(Posting open, PostLine line) {
        return open.getEntries().stream().anyMatch(entry -> entry.getLine() == line.getLine());
    }

    private static void close(Step step, String id, Booking booking, Posting open) {
        List<JournalLine> lines = new ArrayList<>(open.getEntries());
        lines.sort(Comparator.comparingInt(JournalLine::getLine)
                .thenComparing(JournalLine::getAccountId)
                .thenComparingLong(JournalLine::getSequence));
        SortedMap<String, String> differences = compare(booking, open.getDeclaration(), lines);
        if (!differences.isEmpty()) {
            alarm(step, id, "mismatch", open.getPosting(), differences);
            return;
        }
        SortedMap<String, String> imbalances = imbalances(lines);
        if (!imbalances.isEmpty()) {
            alarm(step, id, "imbalance", open.getPosting(), imbalances);
            return;
        }
        for (JournalLine line : lines) {
            // What is left of a leg is what of it is not in the journal.
            Money left = leg(booking, line.getLine()).getAmount();
            left.setAmount(Amounts.bytes(amount(left).subtract(amount(line.getAmount()))));
        }
        Declaration declaration = open.getDeclaration();
        JournalPosted posted = new JournalPosted(
                id, open.getPosting(), lines, declaration.getBookedAt(), declaration.getValueDate());
        step.emit(Topic.LEDGER_JOURNAL, id, posted);
    }

    /** Where what was booked differs from what was declared. */
    private static SortedMap<String, String> compare(Booking booking, Declaration declaration, List<JournalLine> booked) {
        SortedMap<String, String> differences = new TreeMap<>();
        int before = -1;
        for (JournalLine line : booked) {
            String at = "lines[" + line.getLine() + "].";
            Leg leg = leg(booking, line.getLine());
            PostLine declared = declaration.getLines().stream()
                    .filter(other -> other.getLine() == line.getLine())
                    .findFirst()
                    .orElse(null);
            if (declared == null || leg == null || line.getLine() == before) {
                differences.put(at + "surplus", describe(line));
                continue;
            }
            before = line.getLine();
            BigInteger amount = amount(line.getAmount());
            String money = Amounts.money(line.getAmount());
            String expected = Amounts.money(Amounts.of(declared.getAmount()), leg.getAmount().getCurrency());
            differ(differences, at + "account_id", leg.getAccountId(), line.getAccountId());
            differ(differences, at + "side", name(leg.getSide()), name(line.getSide()));
            differ(differences, at + "amount", expected, money);
            if (amount.signum() <= 0 || amount.compareTo(amount(leg.getAmount())) > 0) {
                String most = Amounts.money(leg.getAmount());
                differences.put(at + "total", "at most " + most + " is left of what was declared, booked " + money);
            }
        }
        return differences;
    }

    private static void differ(Map<String, String> differences, String what, String declared, String booked) {
        if (!declared.equals(booked)) {
            differences.put(what, "declared " + declared + ", booked " + booked);
        }
    }

    /** The currencies whose debits and credits differ. */
    private static SortedMap<String, String> imbalances(List<JournalLine> lines) {
        SortedMap<String, BigInteger> debits = new TreeMap<>();
        SortedMap<String, BigInteger> credits = new TreeMap<>();
        for (JournalLine line : lines) {
            boolean debit = line.getSide() == Side.DEBIT;
            BigInteger amount = amount(line.getAmount());
            debits.merge(line.getAmount().getCurrency(), debit ? amount : BigInteger.ZERO, BigInteger::add);
            credits.merge(line.getAmount().getCurrency(), debit ? BigInteger.ZERO : amount, BigInteger::add);
        }
        SortedMap<String, String> uneven = new TreeMap<>();
        debits.forEach((currency, debit) -> {
            BigInteger credit = credits.get(currency);
            if (!debit.equals(credit)) {
                uneven.put(currency, "debit " + Amounts.text(debit) + ", credit " + Amounts.text(credit));
            }
        });
        return uneven;
    }

    private static Leg leg(Booking booking, int line) {
        return line >= 0 && line < booking.getLegs().size() ? booking.getLegs().get(line) : null;
    }

    private static String describe(JournalLine line) {
        return line.getAccountId() + " " + name(line.getSide()) + " " + Amounts.money(line.getAmount());
    }

    private static BigInteger amount(Money money) {
        return Amounts.of(money.getAmount());
    }

    private static String name(Side side) {
        return side == Side.DEBIT ? "Debit" : "Credit";
    }

    private static void alarm(Step step, String id, String code, int posting, SortedMap<String, String> values) {
        values.put("posting", Integer.toString(posting));
        step.emit(Topic.LEDGER_EVENTS, id, new LedgerAlarm(id, code, values));
    }
}
