package tributary.peer;

import java.util.Comparator;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/**
 * The deadlines of what waits, in order, for waits of one length: an index in memory of what the store says, made anew when the
 * store is opened. A store of its own would mostly be written to be cleared.
 */
final class Deadlines {
    private final Map<String, Long> waiting = new LinkedHashMap<>();

    /** Begins with what a store says. */
    void load(List<Map.Entry<String, Long>> stored) {
        waiting.clear();
        stored.sort(Comparator.comparingLong(Map.Entry::getValue));
        stored.forEach(entry -> waiting.put(entry.getKey(), entry.getValue()));
    }

    void set(String key, long deadline) {
        waiting.remove(key);
        waiting.put(key, deadline);
    }

    void clear(String key) {
        waiting.remove(key);
    }

    /** Takes out what is due, and tells of it. */
    void fire(long now, Consumer<String> due) {
        for (Iterator<Map.Entry<String, Long>> entries = waiting.entrySet().iterator(); entries.hasNext(); ) {
            Map.Entry<String, Long> eldest = entries.next();
            if (eldest.getValue() > now) {
                return;
            }
            entries.remove();
            due.accept(eldest.getKey());
        }
    }
}
