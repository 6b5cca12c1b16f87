package millstream.peers.nexmark;

import java.io.Serializable;

/** Which event has which number, and which time: the published settings, with the proportions and ratios that they have by default. */
record Clock(long rate, long groupSize) implements Serializable {
    /** When the first event happened, in milliseconds since 1970. */
    static final long BASE_TIME_MS = 1_436_918_400_000L;

    static final int PERSONS = 1;
    static final int AUCTIONS = 3;
    static final int BIDS = 46;
    static final int CYCLE = PERSONS + AUCTIONS + BIDS;
    static final int IN_FLIGHT_AUCTIONS = 100;
    static final int ACTIVE_PEOPLE = 1000;
    static final int PEOPLE_AHEAD = 10;
    static final int HOT_AUCTION_RATIO = 2;
    static final int HOT_SELLER_RATIO = 4;
    static final int HOT_BIDDER_RATIO = 4;

    /** The number of the event that comes after so many: of as many as a group has the order is mixed. */
    long number(long eventsSoFar) {
        return groupSize == 1
                ? eventsSoFar
                : eventsSoFar / groupSize * groupSize + eventsSoFar * 953 % groupSize;
    }

    /** In milliseconds since 1970. */
    long time(long number) {
        return BASE_TIME_MS + (long) (number * (1_000_000.0 / rate)) / 1000;
    }

    /** The number of the person that came last, from 0; of a person, its own. */
    static long lastPerson(long number) {
        return number / CYCLE * PERSONS + Math.min(number % CYCLE, PERSONS - 1);
    }

    /** The number of the auction that came last, from 0; of an auction, its own. Not for persons. */
    static long lastAuction(long number) {
        return number / CYCLE * AUCTIONS + Math.min(number % CYCLE - PERSONS, AUCTIONS - 1);
    }

    /** The number of a person that sells or bids: one of those that came last, or that come next. */
    static long activePerson(long number, Lcg random) {
        long people = lastPerson(number) + 1;
        long active = Math.min(people, ACTIVE_PEOPLE);
        return people - active + random.nextBelow(active + PEOPLE_AHEAD);
    }
}
