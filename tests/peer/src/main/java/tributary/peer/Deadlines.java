package tributary.peer;

import java.util.Comparator;
import java.util.HashMap;
import java.util.Map;
import java.util.NavigableSet;
import java.util.TreeSet;
import java.util.function.Consumer;

/**
 * What waits, and until when: an index in memory of what the store says, made anew when the store is opened. A store of its
 * own would mostly be written to be cleared.
 */
final class Deadlines {
    private record Due(long deadline, String key) {}

    private final Map<String, Long> waiting = new HashMap<>();
    private final NavigableSet<Due> inOrder =
            new TreeSet<>(Comparator.comparingLong(Due::deadline).thenComparing(Due::key));

    void set(String key, long deadline) {
        clear(key);
        waiting.put(key, deadline);
        inOrder.add(new Due(deadline, key));
    }

    void clear(String key) {
        Long deadline = waiting.remove(key);
        if (deadline != null) {
            inOrder.remove(new Due(deadline, key));
        }
    }

    /** Takes out what is due, oldest first, and tells of it. */
    void fire(long now, Consumer<String> due) {
        while (!inOrder.isEmpty() && inOrder.first().deadline() <= now) {
            String key = inOrder.first().key();
            clear(key);
            due.accept(key);
        }
    }
}
