package tributary.peer;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.IOException;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.LocalDate;
import java.time.temporal.ChronoUnit;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Consumer;
import tributary.ledger.v1.EntryPosted;
import tributary.platform.v1.Hash;
import tributary.platform.v1.Money;
import tributary.platform.v1.Side;

/**
 * Whether two runs of one load came to the same: each transaction to the same outcome; the same accounts, each with the same
 * balance and number of entries; the same (transaction, account, line, side, amount) for every entry; the same trial
 * balance. Each run's chains are recomputed, and not compared, for the order of an account's entries is a matter of chance.
 * Its journal must have every entry once and nothing else, and there must be no alarm.
 */
public final class Compare {
    private static final Hash NO_HASH = new Hash(new byte[32]);
    private static final Set<String> OUTCOMES = Set.of(
            "TransactionCompleted",
            "TransactionFailed",
            "TransactionCancelled",
            "TransactionExpired",
            "TransactionRefused");

    /** A run is not as it should be, or not as the other is. */
    static final class Difference extends RuntimeException {
        private static final long serialVersionUID = 1;

        private Difference(String what) {
            super(what);
        }
    }

    /** What is left of an account's chain. */
    private record End(long sequence, String balance, Hash hash) {}

    private final Path run;
    private final ObjectMapper mapper = new ObjectMapper();
    private final Map<String, End> chains = new TreeMap<>();
    private final Map<String, BigInteger> sums = new HashMap<>();
    /** Entries that were not met in the journal. */
    private final Map<String, String> unposted = new HashMap<>();

    /** What is compared of a run, by what it is about. */
    private final SortedMap<String, String> outcomes = new TreeMap<>();
    private final SortedMap<String, String> entries = new TreeMap<>();
    private final SortedMap<String, String> trialBalance = new TreeMap<>();

    private Compare(Path run, int transactions) throws IOException {
        this.run = run;
        each(Topic.LEDGER_EVENTS, alarm -> differ("an alarm: " + alarm));
        each(Topic.TRANSACTIONS_EVENTS, this::addOutcome);
        each(Topic.LEDGER_ENTRIES, this::addEntry);
        each(Topic.LEDGER_JOURNAL, journal -> journal.path("lines").forEach(line -> post(journal, line)));
        if (outcomes.size() != transactions) {
            differ(outcomes.size() + " transactions came to an end, and not " + transactions);
        }
        if (!unposted.isEmpty()) {
            differ("not in the journal, with others: " + unposted.entrySet().iterator().next());
        }
        if (entries.isEmpty()) {
            differ("no entry, so there is no ledger to compare");
        }
        sums.forEach((row, sum) -> trialBalance.put(row, Amounts.text(sum, row.substring(0, 3))));
    }

    /** Takes in what {@code tributary topic tail} says of a topic. */
    private void each(Topic topic, Consumer<JsonNode> take) throws IOException {
        Path dump = run.resolve(topic.title + ".jsonl");
        try (BufferedReader lines = Files.newBufferedReader(dump)) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                JsonNode body = mapper.readTree(line).get("body");
                if (body == null) {
                    throw new IOException(dump + ": no record of the topic: " + line);
                }
                take.accept(body);
            }
        }
    }

    private void differ(String what) {
        throw new Difference(run + ": " + what);
    }

    private void addOutcome(JsonNode event) {
        String type = event.path("type").asText();
        String id = event.path("transaction_id").asText();
        if (OUTCOMES.contains(type) && outcomes.put(id, type.intern()) != null) {
            differ("transaction " + id + " has two outcomes");
        }
    }

    private void addEntry(JsonNode body) {
        EntryPosted entry = entry(body);
        String account = entry.getAccountId();
        End end = chains.getOrDefault(account, new End(0, "0", NO_HASH));
        String at = account + " " + entry.getSequence();
        if (entry.getSequence() != end.sequence() + 1 || !entry.getPreviousHash().equals(end.hash())) {
            differ("entry " + at + " does not follow entry " + end.sequence());
        }
        if (!Entries.hash(entry).equals(entry.getHash())) {
            differ("entry " + at + " has another hash than it says");
        }
        chains.put(account, new End(entry.getSequence(), body.path("balance").asText(), entry.getHash()));
        String key = key(body, body);
        String money = Amounts.money(entry.getAmount());
        if (entries.put(key, account + " " + entry.getSide() + " " + money) != null) {
            differ("line " + key + " is booked twice");
        }
        unposted.put(key, booked(body));
        String row = entry.getAmount().getCurrency() + " " + entry.getSide();
        sums.merge(row, Amounts.of(entry.getAmount().getAmount()), BigInteger::add);
    }

    private void post(JsonNode journal, JsonNode line) {
        String key = key(journal, line);
        String booked = unposted.remove(key);
        if (!booked(line).equals(booked)) {
            differ("line " + key + ": " + booked(line) + " in the journal, " + booked + " among the entries");
        }
    }

    private static String key(JsonNode posting, JsonNode line) {
        return posting.path("transaction_id").asText() + " " + posting.path("posting") + " " + line.path("line");
    }

    /** What entry and journal say alike. */
    private static String booked(JsonNode line) {
        return String.join(
                " ",
                line.path("account_id").asText(),
                line.path("side").asText(),
                line.path("amount").toString(),
                line.path("sequence").toString(),
                line.path("hash").asText());
    }

    private static EntryPosted entry(JsonNode body) {
        JsonNode money = body.path("amount");
        return new EntryPosted(
                body.path("account_id").asText(),
                body.path("sequence").asLong(),
                body.path("transaction_id").asText(),
                body.path("posting").asInt(),
                body.path("line").asInt(),
                Side.valueOf(body.path("side").asText()),
                new Money(Amounts.bytes(Amounts.parse(money.path("amount").asText())), money.path("currency").asText()),
                Amounts.bytes(Amounts.parse(body.path("balance").asText())),
                Amounts.bytes(Amounts.parse(body.path("available").asText())),
                ChronoUnit.MICROS.between(Instant.EPOCH, Instant.parse(body.path("booked_at").asText())),
                (int) LocalDate.parse(body.path("value_date").asText()).toEpochDay(),
                hash(body.path("previous_hash")),
                hash(body.path("hash")));
    }

    private static Hash hash(JsonNode hex) {
        return new Hash(HexFormat.of().parseHex(hex.asText()));
    }

    private SortedMap<String, String> balances() {
        SortedMap<String, String> balances = new TreeMap<>();
        chains.forEach((account, end) -> balances.put(account, end.balance() + " after " + end.sequence() + " entries"));
        return balances;
    }

    private static void same(String what, SortedMap<String, String> one, SortedMap<String, String> other) {
        TreeSet<String> keys = new TreeSet<>(one.keySet());
        keys.addAll(other.keySet());
        for (String key : keys) {
            String left = one.getOrDefault(key, "nothing");
            String right = other.getOrDefault(key, "nothing");
            if (!left.equals(right)) {
                throw new Difference(what + " " + key + ": " + left + " in the first, " + right + " in the second");
            }
        }
    }

    /** What two runs have in common; throws where they differ. */
    static String compare(int transactions, Path first, Path second) throws IOException {
        Compare one = new Compare(first, transactions);
        Compare other = new Compare(second, transactions);
        same("transaction", one.outcomes, other.outcomes);
        same("trial balance", one.trialBalance, other.trialBalance);
        same("account", one.balances(), other.balances());
        same("line", one.entries, other.entries);
        return "the same: %d transactions, %d accounts, %d entries, trial balance %s"
                .formatted(one.outcomes.size(), one.chains.size(), one.entries.size(), one.trialBalance);
    }

    public static void main(String[] words) {
        try {
            System.out.println(compare(Integer.parseInt(words[0]), Path.of(words[1]), Path.of(words[2])));
        } catch (Difference difference) {
            System.out.println(difference.getMessage());
            System.exit(1);
        } catch (IOException | RuntimeException | OutOfMemoryError failure) {
            System.err.println(failure);
            System.exit(2);
        }
    }
}
