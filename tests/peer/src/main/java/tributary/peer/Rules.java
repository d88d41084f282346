package tributary.peer;

import com.fasterxml.jackson.databind.JsonNode;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Risk's rules, of the file that Tributary's risk judges by. The file was checked there. */
record Rules(
        String version, int reviewAt, int declineAt, int newPayee, PerCurrency amount, List<Window> velocity) {

    /** What is above this adds the weight to the score. */
    record Tier(BigInteger above, int weight) {}

    /** Limits on amounts. */
    record PerCurrency(List<Tier> byDefault, Map<String, List<Tier>> currencies) {
        List<Tier> of(String currency) {
            return currencies.getOrDefault(currency, byDefault);
        }
    }

    /** A sliding window, and the grain in which it forgets. */
    record Window(int seconds, int bucketSeconds, List<Tier> count, PerCurrency sum) {
        private static final long SECOND = 1_000_000;

        /** When the bucket of this instant begins. */
        long bucketOf(long now) {
            long width = bucketSeconds * SECOND;
            return Math.floorDiv(now, width) * width;
        }

        /** Buckets that begin earlier hold nothing that the window, seen at this instant, still sees. */
        long horizon(long now) {
            return now + 1 - (seconds + (long) bucketSeconds) * SECOND;
        }
    }

    static Rules read() {
        JsonNode json = Wire.resource("rules.json");
        List<Window> velocity = new ArrayList<>();
        for (JsonNode window : json.path("velocity")) {
            velocity.add(new Window(
                    window.path("seconds").intValue(),
                    window.path("bucket_seconds").intValue(),
                    counts(window.path("count")),
                    perCurrency(window.path("sum"))));
        }
        return new Rules(
                json.path("version").textValue(),
                json.path("review_at").intValue(),
                json.path("decline_at").intValue(),
                json.path("new_payee").path("weight").intValue(),
                perCurrency(json.path("amount")),
                velocity);
    }

    /** The highest tier that a value passes; null where it passes none. */
    static Tier tier(List<Tier> rising, BigInteger value) {
        Tier passed = null;
        for (Tier tier : rising) {
            if (value.compareTo(tier.above) > 0) {
                passed = tier;
            }
        }
        return passed;
    }

    private static PerCurrency perCurrency(JsonNode json) {
        Map<String, List<Tier>> currencies = new HashMap<>();
        json.path("currencies").fields().forEachRemaining(row -> currencies.put(row.getKey(), amounts(row.getValue())));
        return new PerCurrency(amounts(json.path("default")), currencies);
    }

    private static List<Tier> amounts(JsonNode tiers) {
        List<Tier> read = new ArrayList<>();
        tiers.forEach(tier -> read.add(new Tier(Amounts.parse(tier.path("above").asText()), weight(tier))));
        return read;
    }

    private static List<Tier> counts(JsonNode tiers) {
        List<Tier> read = new ArrayList<>();
        tiers.forEach(tier -> read.add(new Tier(tier.path("above").bigIntegerValue(), weight(tier))));
        return read;
    }

    private static int weight(JsonNode tier) {
        return tier.path("weight").intValue();
    }
}
