package tributary.peer;

import java.util.Map;
import java.util.TreeMap;
import tributary.platform.v1.Reason;

/** A command, or a leg of a transaction, is refused: an outcome, not a failure. */
final class Refusal extends RuntimeException {
    private static final long serialVersionUID = 1;

    final transient Reason reason;

    Refusal(Reason reason) {
        super(reason.getCode(), null, false, false);
        this.reason = reason;
    }

    /** A reason: who says so, about whom, in which field of the request, and the values that decided, as name, value, ... */
    static Reason reason(String source, String subject, String code, String field, Object... values) {
        Map<String, String> named = new TreeMap<>();
        for (int at = 0; at < values.length; at += 2) {
            named.put((String) values[at], values[at + 1].toString());
        }
        return new Reason(code, source, subject, field, named);
    }
}
