package tributary.peer;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HexFormat;
import org.apache.kafka.streams.state.KeyValueStore;
import tributary.peer.Message.Command;
import tributary.peer.state.Seen;

/**
 * What a command must be before it is decided. One that was answered is dropped; one whose id was used for another request,
 * or that is older than ids are remembered, is refused.
 *
 * <p>Left out: dead letters, and sending on what came to the wrong partition. Such a command stops the peer, which names the
 * field that is wrong; Kafka Streams adds topic, partition and offset.
 */
final class Door {
    private static final long MEMORY = 30 * 86_400_000_000L;
    /** Largest key and value of a command together, in bytes. */
    private static final int LARGEST = 1_000_000;
    private static final int LONGEST_DIGEST = 64;

    private final Task task;
    private final KeyValueStore<String, Seen> commands;
    private final int partitions;

    Door(Task task, String store, int partitions) {
        this.task = task;
        this.commands = task.context.getStateStore(store);
        this.partitions = partitions;
    }

    /** Stops at a command that Tributary would not take as it came, whatever its body asks. */
    void check(String key, Command command, String about) {
        if (!about.equals(key)) {
            throw wrong("key", key + ", and the body is about " + about);
        }
        if (task.context.taskId().partition() != Accounts.partition(key, partitions)) {
            throw wrong("key", key + ", which another partition holds");
        }
        if (key.length() + command.size() > LARGEST) {
            throw wrong("record", "more than " + LARGEST + " bytes");
        }
        checkHeader(command);
    }

    /** What is copied into every fact that follows is bounded. */
    static void checkHeader(Command command) {
        checkText("id", command.id(), 128);
        checkText("actor", command.actor(), 256);
        checkText("traceparent", command.traceparent(), 128);
        if (command.digest() != null && command.digest().remaining() > LONGEST_DIGEST) {
            throw wrong("digest", "more than " + LONGEST_DIGEST + " bytes");
        }
        if (command.origin() != null) {
            throw wrong("origin", "sent on from " + command.origin());
        }
    }

    private static void checkText(String field, String text, int most) {
        if (text == null) {
            return;
        }
        int bytes = text.getBytes(UTF_8).length;
        if (bytes < 1 || bytes > most || text.indexOf('\0') >= 0) {
            throw wrong(field, "not 1 to " + most + " bytes, none of them zero");
        }
    }

    /** A command that Tributary would not take, by the field that is wrong. */
    static IllegalArgumentException wrong(String field, String what) {
        return new IllegalArgumentException("a command that cannot be taken: " + field + ": " + what);
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
                        task.node, subject, "stale_command", "time", "time", command.time(), "oldest", oldest));
            }
            return true;
        }
        String conflict = command.id() + '\0' + HexFormat.of().formatHex(digest.array());
        if (seen.getDigest().equals(digest) || seen.getConflicts().contains(conflict)) {
            return false;
        }
        seen.getConflicts().add(conflict);
        commands.put(at, seen);
        throw new Refusal(Refusal.reason(task.node, subject, "conflict", null, "first_seen", seen.getAt()));
    }

    /** Refuses a text that is too long to be repeated in events. */
    static void checkLength(String source, String subject, String field, int bytes, int limit) {
        if (bytes > limit) {
            throw new Refusal(Refusal.reason(source, subject, "too_long", field, "bytes", bytes, "limit", limit));
        }
    }
}
