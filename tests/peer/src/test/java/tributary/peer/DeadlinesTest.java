package tributary.peer;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class DeadlinesTest {
    private final Deadlines deadlines = new Deadlines();

    private List<String> fired(long now) {
        List<String> fired = new ArrayList<>();
        deadlines.fire(now, fired::add);
        return fired;
    }

    @Test
    void theOldestFiresFirstHoweverTheyWereSet() {
        deadlines.set("late", 30);
        deadlines.set("b", 10);
        deadlines.set("a", 10);
        deadlines.set("never", Long.MAX_VALUE);
        assertEquals(List.of("a", "b"), fired(29));
        assertEquals(List.of("late"), fired(30));
        assertEquals(List.of(), fired(Long.MAX_VALUE - 1));
    }

    @Test
    void oneThatIsMovedOrClearedDoesNotFireAtItsOldTime() {
        deadlines.set("moved", 10);
        deadlines.set("moved", 20);
        deadlines.set("cleared", 10);
        deadlines.clear("cleared");
        assertEquals(List.of(), fired(10));
        assertEquals(List.of("moved"), fired(20));
        assertEquals(List.of(), fired(20));
    }

    @Test
    void whatFiresMaySetAnother() {
        deadlines.set("one", 10);
        deadlines.set("other", 11);
        List<String> fired = new ArrayList<>();
        deadlines.fire(11, key -> {
            fired.add(key);
            deadlines.clear("other");
            deadlines.set("next", 12);
        });
        assertEquals(List.of("one"), fired);
        assertEquals(List.of("next"), fired(12));
    }
}
