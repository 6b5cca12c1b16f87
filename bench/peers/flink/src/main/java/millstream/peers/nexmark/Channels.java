package millstream.peers.nexmark;

import org.apache.flink.table.data.StringData;

/** The web sites that bids are made on: half of the bids come by four of them, the others by any of ten thousand. */
final class Channels {
    private static final String[] HOT = {"Google", "Facebook", "Baidu", "Apple"};
    private static final int OTHERS = 10_000;
    private static final int HOT_RATIO = 2;

    /** The hot ones come last. */
    static final StringData[] NAMES = new StringData[OTHERS + HOT.length];

    static final StringData[] URLS = new StringData[OTHERS + HOT.length];

    static {
        Lcg random = new Lcg();
        for (int number = 0; number < NAMES.length; number++) {
            String url = baseUrl(random.seed(number));
            if (number < OTHERS && random.nextInt(10) > 0) {
                url += "&channel_id=" + Math.abs(Integer.reverse(number));
            }
            NAMES[number] = StringData.fromString(number < OTHERS ? "channel-" + number : HOT[number - OTHERS]);
            URLS[number] = StringData.fromString(url);
        }
    }

    private Channels() {}

    static int draw(Lcg random) {
        return random.nextInt(HOT_RATIO) > 0 ? OTHERS + random.nextInt(HOT.length) : random.nextInt(OTHERS);
    }

    private static String baseUrl(Lcg random) {
        StringBuilder url = new StringBuilder("https://www.nexmark.com/");
        for (int part = 0; part < 3; part++) {
            url.append(Draw.word(random, 5, '_')).append('/');
        }
        return url.append("item.htm?query=1").toString();
    }
}
