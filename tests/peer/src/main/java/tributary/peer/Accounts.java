package tributary.peer;

import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Pattern;
import org.apache.kafka.common.utils.Utils;
import tributary.platform.v1.AccountKind;
import tributary.platform.v1.Side;

/** Ids of accounts, and the chart of system accounts. */
final class Accounts {
    /** The chart: names and kinds of the accounts that nobody opens, one per currency and shard. */
    static final Map<String, AccountKind> CHART = Map.of(
            "world", AccountKind.EQUITY,
            "fees", AccountKind.INCOME,
            "position", AccountKind.ASSET,
            "suspense", AccountKind.LIABILITY);

    private static final Pattern PLAIN = Pattern.compile("[A-Za-z0-9._-]{1,64}");
    private static final Pattern SYSTEM = Pattern.compile("([A-Za-z0-9._-]{1,64}):([A-Z]{3})(?::([0-9]{2}))?");
    private static final int SHARDS = 100;
    private static final Map<String, String> NEAR = new ConcurrentHashMap<>();

    private Accounts() {}

    /** {@code name:CUR}, or {@code name:CUR:NN} for one shard. */
    static boolean isSystem(String account) {
        return account.indexOf(':') >= 0;
    }

    static String name(String system) {
        return system.substring(0, system.indexOf(':'));
    }

    static String currency(String system) {
        int colon = system.indexOf(':');
        return system.substring(colon + 1, colon + 4);
    }

    static boolean hasShard(String system) {
        return system.indexOf(':') != system.lastIndexOf(':');
    }

    /** Stops at a text that is no id of an account. */
    static void check(String field, String account) {
        boolean valid = isSystem(account)
                ? account.length() <= 64 && SYSTEM.matcher(account).matches()
                : PLAIN.matcher(account).matches();
        if (!valid) {
            throw Door.wrong(field, account + " is no account id");
        }
    }

    /** Stops at a text that is no id of a transaction. */
    static void checkPlain(String field, String transaction) {
        if (!PLAIN.matcher(transaction).matches()) {
            throw Door.wrong(field, transaction + " is no transaction id");
        }
    }

    /** The lowest shard of a system account that lies in a partition; the first where none does. */
    static String shard(String system, int partition, int partitions) {
        return NEAR.computeIfAbsent(system + '/' + partition, key -> {
            for (int number = 0; number < SHARDS; number++) {
                String shard = "%s:%02d".formatted(system, number);
                if (partition(shard, partitions) == partition) {
                    return shard;
                }
            }
            return system + ":00";
        });
    }

    /** Where Kafka's default partitioner puts a key, and so does Tributary. */
    static int partition(String key, int partitions) {
        return Utils.toPositive(Utils.murmur2(key.getBytes(StandardCharsets.UTF_8))) % partitions;
    }

    /** Whether a line on this side lowers the balance of an account of this kind. */
    static boolean lowers(AccountKind kind, Side side) {
        boolean debitRaises = kind == AccountKind.ASSET || kind == AccountKind.EXPENSE;
        return (side == Side.DEBIT) != debitRaises;
    }
}
