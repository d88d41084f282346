package tributary.peer;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.LocalDate;
import java.time.temporal.ChronoUnit;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Stream;
import tributary.ledger.v1.EntryPosted;
import tributary.platform.v1.Hash;
import tributary.platform.v1.Money;
import tributary.platform.v1.Side;

/**
 * Whether two runs of one load made the same ledger: the same accounts, each with the same balance and number of entries; the
 * same (transaction, account, line, side, amount) for every entry; the same trial balance. Each run's chains are recomputed,
 * and not compared, for the order of an account's entries is a matter of chance.
 *
 * <p>Takes two dumps of {@code ledger.entries.v1} by {@code tributary topic tail}, and exits 1 with the first difference.
 */
public final class Compare {
    private static final Hash NO_HASH = new Hash(new byte[32]);

    /** What is left of an account's chain. */
    private record End(long sequence, String balance, Hash hash) {}

    /** What is compared of a run, by what it is about. */
    private final SortedMap<String, String> entries = new TreeMap<>();
    private final SortedMap<String, String> trialBalance = new TreeMap<>();
    private final Map<String, BigInteger> sums = new HashMap<>();
    private final Map<String, End> chains = new TreeMap<>();

    private Compare(Path dump) throws IOException {
        ObjectMapper mapper = new ObjectMapper();
        try (Stream<String> lines = Files.lines(dump)) {
            for (String line : (Iterable<String>) lines::iterator) {
                add(mapper.readTree(line).path("body"));
            }
        }
        sums.forEach((row, sum) -> trialBalance.put(row, Amounts.text(sum, row.substring(0, 3))));
    }

    private void add(JsonNode body) {
        EntryPosted entry = entry(body);
        String account = entry.getAccountId();
        End end = chains.getOrDefault(account, new End(0, "0", NO_HASH));
        String at = account + " " + entry.getSequence();
        if (entry.getSequence() != end.sequence() + 1 || !entry.getPreviousHash().equals(end.hash())) {
            throw new IllegalStateException("entry " + at + " does not follow entry " + end.sequence());
        }
        if (!Entries.hash(entry).equals(entry.getHash())) {
            throw new IllegalStateException("entry " + at + " has another hash than it says");
        }
        chains.put(account, new End(entry.getSequence(), body.path("balance").asText(), entry.getHash()));
        String key = String.join(
                " ", entry.getTransactionId(), Integer.toString(entry.getPosting()), Integer.toString(entry.getLine()));
        String money = Amounts.money(entry.getAmount());
        if (entries.put(key, account + " " + entry.getSide() + " " + money) != null) {
            throw new IllegalStateException("line " + key + " is booked twice");
        }
        String row = entry.getAmount().getCurrency() + " " + entry.getSide();
        sums.merge(row, Amounts.of(entry.getAmount().getAmount()), BigInteger::add);
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
                throw new IllegalStateException(what + " " + key + ": " + left + " in the first, " + right + " in the second");
            }
        }
    }

    public static void main(String[] dumps) throws IOException {
        if (dumps.length != 2) {
            System.err.println("give two dumps: see compare.sh --help; given were " + Arrays.toString(dumps));
            System.exit(2);
        }
        try {
            Compare one = new Compare(Path.of(dumps[0]));
            Compare other = new Compare(Path.of(dumps[1]));
            same("trial balance", one.trialBalance, other.trialBalance);
            same("account", one.balances(), other.balances());
            same("line", one.entries, other.entries);
            System.out.printf(
                    "the same ledger: %d accounts, %d entries, trial balance %s%n",
                    one.chains.size(), one.entries.size(), one.trialBalance);
        } catch (IllegalStateException difference) {
            System.out.println(difference.getMessage());
            System.exit(1);
        }
    }
}
