package tributary.peer;

import java.util.HashMap;
import java.util.Map;

/** The command line; {@code run.sh --help} says what each word means. */
record Arguments(
        String brokers,
        String application,
        int partitions,
        int threads,
        long commitMs,
        String state,
        long cacheBytes,
        long votingSeconds,
        Map<String, String> set) {

    static Arguments parse(String[] words) {
        Map<String, String> given = new HashMap<>(Map.of(
                "--brokers", "localhost:9092",
                "--application", "tributary-peer",
                "--partitions", "4",
                "--threads", "2",
                "--commit-ms", "100",
                "--state", "tributary-peer",
                "--cache-bytes", Long.toString(256L << 20),
                "--voting-s", "10"));
        Map<String, String> set = new HashMap<>();
        for (int at = 0; at < words.length; at += 2) {
            String value = at + 1 < words.length ? words[at + 1] : "";
            if (words[at].equals("--set") && value.contains("=")) {
                String[] setting = value.split("=", 2);
                set.put(setting[0], setting[1]);
            } else if (given.containsKey(words[at]) && !value.isEmpty()) {
                given.put(words[at], value);
            } else {
                throw new IllegalArgumentException(words[at] + " " + value + ": see run.sh --help");
            }
        }
        return new Arguments(
                given.get("--brokers"),
                given.get("--application"),
                Integer.parseInt(given.get("--partitions")),
                Integer.parseInt(given.get("--threads")),
                Long.parseLong(given.get("--commit-ms")),
                given.get("--state"),
                Long.parseLong(given.get("--cache-bytes")),
                Long.parseLong(given.get("--voting-s")),
                set);
    }
}
