package millstream.peers;

import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/** What a program is told: {@code --name value} in any order. */
public final class Options {
    private final Map<String, String> given = new HashMap<>();

    /** Refuses names that are not among the known ones. */
    public Options(String[] arguments, Set<String> known) {
        for (int at = 0; at < arguments.length; at += 2) {
            String name = arguments[at].startsWith("--") ? arguments[at].substring(2) : "";
            if (!known.contains(name)) {
                throw new IllegalArgumentException(
                        arguments[at] + ": no such option; there are --" + String.join(", --", new TreeSet<>(known)));
            }
            if (at + 1 == arguments.length) {
                throw new IllegalArgumentException("--" + name + " needs a value");
            }
            given.put(name, arguments[at + 1]);
        }
    }

    public String text(String name, String otherwise) {
        return given.getOrDefault(name, otherwise);
    }

    /** One that has to be given. */
    public String text(String name) {
        String value = given.get(name);
        if (value == null) {
            throw new IllegalArgumentException("--" + name + " is missing");
        }
        return value;
    }

    public long number(String name, long otherwise) {
        String value = given.get(name);
        if (value == null) {
            return otherwise;
        }
        try {
            return Long.parseLong(value);
        } catch (NumberFormatException error) {
            throw new IllegalArgumentException("--" + name + " " + value + ": not a whole number", error);
        }
    }

    public boolean flag(String name, boolean otherwise) {
        return Boolean.parseBoolean(text(name, Boolean.toString(otherwise)));
    }

    /** Milliseconds, or 0 for {@code off}. */
    public long interval(String name) {
        return text(name, "off").equals("off") ? 0 : number(name, 0);
    }
}
