package tributary.peer;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.state.KeyValueStore;
import tributary.peer.Rules.Window;
import tributary.peer.state.Bucket;
import tributary.peer.state.Rolling;
import tributary.peer.state.Spent;
import tributary.peer.state.Tally;
import tributary.peer.state.Velocity;

/**
 * Count and sum of payments over sliding windows. A window is a total, an open bucket that the clock is in, and closed
 * buckets, each a row. A payment touches one row; a bucket's row is written when time closes it and deleted when it has left
 * the window, both with the next payment.
 */
final class Windows {
    /** The windows of an account, by account and currency. */
    static final String VELOCITY = "risk-velocity";
    /** Buckets that time has closed, by account, window, currency and begin. */
    static final String BUCKETS = "risk-buckets";

    private final List<Window> windows;
    private final KeyValueStore<String, Velocity> velocity;
    private final KeyValueStore<Bytes, Tally> buckets;

    Windows(ProcessorContext<?, ?> context, List<Window> windows) {
        this.windows = windows;
        velocity = context.getStateStore(VELOCITY);
        buckets = context.getStateStore(BUCKETS);
    }

    /** Counts a payment, and answers the windows with it, in the order of the rules. */
    List<Rolling> spend(String account, String currency, BigInteger amount, long now) {
        String row = account + '\0' + currency;
        Velocity known = velocity.get(row);
        List<Rolling> rolled = new ArrayList<>(windows.size());
        for (Window window : windows) {
            Rolling rolling = known == null ? null : find(known, window.seconds());
            if (rolling == null) {
                rolling = new Rolling(window.seconds(), nothing(), nothing(), window.bucketOf(now), null);
            } else {
                advance(rolling, window, account, currency, now);
            }
            add(rolling.getOpen(), 1, amount);
            add(rolling.getTotal(), 1, amount);
            rolled.add(rolling);
        }
        velocity.put(row, new Velocity(rolled));
        return rolled;
    }

    /** Where a payment was counted. */
    static List<Bucket> buckets(List<Rolling> rolled) {
        List<Bucket> counted = new ArrayList<>(rolled.size());
        rolled.forEach(rolling -> counted.add(new Bucket(rolling.getSeconds(), rolling.getOpenAt())));
        return counted;
    }

    /** Gives back what was counted and came to nothing: all of a payment, or, where some was posted, the rest of its sum. */
    void giveBack(String account, Spent spent) {
        BigInteger posted = Amounts.of(spent.getPosted());
        long count = posted.signum() == 0 ? -1 : 0;
        BigInteger sum = posted.subtract(Amounts.of(spent.getAmount()));
        if (count == 0 && sum.signum() == 0) {
            return;
        }
        String currency = spent.getCurrency();
        String row = account + '\0' + currency;
        Velocity known = velocity.get(row);
        for (Bucket counted : spent.getBuckets()) {
            Rolling rolling = find(known, counted.getSeconds());
            if (rolling.getOpenAt() == counted.getBegin()) {
                add(rolling.getOpen(), count, sum);
            } else {
                Bytes at = key(account, counted.getSeconds(), currency, counted.getBegin());
                Tally bucket = buckets.get(at);
                if (bucket == null) {
                    continue; // It has left the window, and took its payments out of the total.
                }
                add(bucket, count, sum);
                buckets.put(at, isZero(bucket) ? null : bucket);
            }
            add(rolling.getTotal(), count, sum);
        }
        velocity.put(row, known);
    }

    /** Moves a window to an instant. */
    private void advance(Rolling rolling, Window window, String account, String currency, long now) {
        int seconds = window.seconds();
        long begin = window.bucketOf(now);
        if (begin > rolling.getOpenAt()) {
            if (!isZero(rolling.getOpen())) {
                buckets.put(key(account, seconds, currency, rolling.getOpenAt()), rolling.getOpen());
                if (rolling.getOldest() == null) {
                    rolling.setOldest(rolling.getOpenAt());
                }
            }
            rolling.setOpenAt(begin);
            rolling.setOpen(nothing());
        }
        long horizon = window.horizon(now);
        if (rolling.getOldest() == null || rolling.getOldest() >= horizon) {
            return;
        }
        Bytes from = key(account, seconds, currency, rolling.getOldest());
        Bytes to = key(account, seconds, currency, rolling.getOpenAt() - 1);
        Long oldest = null;
        List<Bytes> gone = new ArrayList<>();
        try (var rows = buckets.range(from, to)) {
            while (rows.hasNext() && oldest == null) {
                var row = rows.next();
                long at = begin(row.key);
                if (at >= horizon) {
                    oldest = at;
                } else {
                    add(rolling.getTotal(), -row.value.getCount(), Amounts.of(row.value.getSum()).negate());
                    gone.add(row.key);
                }
            }
        }
        gone.forEach(bucket -> buckets.put(bucket, null));
        rolling.setOldest(oldest);
    }

    private static Rolling find(Velocity velocity, int seconds) {
        for (Rolling rolling : velocity.getWindows()) {
            if (rolling.getSeconds() == seconds) {
                return rolling;
            }
        }
        return null;
    }

    private static Tally nothing() {
        return new Tally(0L, Amounts.ZERO);
    }

    private static boolean isZero(Tally tally) {
        return tally.getCount() == 0 && Amounts.of(tally.getSum()).signum() == 0;
    }

    /** Adds, or takes away; no tally falls below nothing. */
    private static void add(Tally tally, long count, BigInteger sum) {
        tally.setCount(Math.max(tally.getCount() + count, 0));
        tally.setSum(Amounts.bytes(Amounts.of(tally.getSum()).add(sum).max(BigInteger.ZERO)));
    }

    /** Its order is that of begins, for these are never negative. */
    private static Bytes key(String account, int seconds, String currency, long begin) {
        byte[] name = account.getBytes(UTF_8);
        ByteBuffer key = ByteBuffer.allocate(name.length + 1 + Integer.BYTES + 3 + Long.BYTES);
        key.put(name).put((byte) 0).putInt(seconds).put(currency.getBytes(UTF_8)).putLong(begin);
        return Bytes.wrap(key.array());
    }

    private static long begin(Bytes key) {
        return ByteBuffer.wrap(key.get()).getLong(key.get().length - Long.BYTES);
    }
}
