package tributary.peer;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HexFormat;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.state.KeyValueStore;
import tributary.peer.Message.Command;
import tributary.peer.Message.Fact;
import tributary.peer.state.Seen;

/**
 * What a command must be before it is decided. One that was answered is dropped; one whose id was used for another request,
 * or that is older than ids are remembered, is refused.
 *
 * <p>Left out: dead letters, and sending on what came to the wrong partition. Such a command stops the peer.
 */
final class Door {
    private static final long MEMORY = 30 * 86_400_000_000L;

    private final ProcessorContext<String, Fact> context;
    private final KeyValueStore<String, Seen> commands;
    private final String source;

    Door(ProcessorContext<String, Fact> context, String store, String source) {
        this.context = context;
        this.commands = context.getStateStore(store);
        this.source = source;
    }

    /** Stops at a command that Tributary would not take as it came: of another key, or in the partition of another key. */
    static void check(ProcessorContext<String, Fact> context, String key, String about, int partitions) {
        int expected = Accounts.partition(key, partitions);
        if (!key.equals(about) || context.taskId().partition() != expected) {
            throw new IllegalArgumentException(
                    "a command about " + about + " under the key " + key + " in " + context.taskId());
        }
    }

    /**
     * Whether a command is the first of its kind.
     *
     * @param at what identifies it: its key, and where that may be commanded often, its id
     * @param mayBeStale whether its identity is forgotten one day, so that an old one could be a duplicate
     * @throws Refusal where it is refused, which must then be its answer
     */
    boolean isNew(String at, Command command, ByteBuffer digest, long now, String subject, boolean mayBeStale) {
        Seen seen = commands.get(at);
        if (seen == null) {
            commands.put(at, new Seen(digest, now, new ArrayList<>()));
            long oldest = now - MEMORY;
            if (mayBeStale && command.time() < oldest) {
                throw new Refusal(Refusal.reason(
                        source, subject, "stale_command", "time", "time", command.time(), "oldest", oldest));
            }
            return true;
        }
        String conflict = command.id() + '\0' + HexFormat.of().formatHex(digest.array());
        if (seen.getDigest().equals(digest) || seen.getConflicts().contains(conflict)) {
            return false;
        }
        seen.getConflicts().add(conflict);
        commands.put(at, seen);
        throw new Refusal(Refusal.reason(source, subject, "conflict", null, "first_seen", seen.getAt()));
    }

    /** Refuses a text that is too long to be repeated in events. */
    static void checkLength(String source, String subject, String field, int bytes, int limit) {
        if (bytes > limit) {
            throw new Refusal(Refusal.reason(source, subject, "too_long", field, "bytes", bytes, "limit", limit));
        }
    }
}
