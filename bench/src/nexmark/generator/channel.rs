//! The web sites that bids are made on, which later releases than 0.1 have: half of the bids come by four of them, the others by any of ten thousand.
//!
//! Names and shapes are the published ones. Addresses are drawn there anew by each process; here, from the number of the channel.

use std::sync::LazyLock;

use super::random::Random;
use super::text::push_word;

const HOT: [&str; 4] = ["Google", "Facebook", "Baidu", "Apple"];
const CHANNELS: i32 = 10_000;
/// One bid of so many comes by any channel.
const HOT_RATIO: i32 = 2;

/// A web site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Channel(u32);

/// Name and address of each; the hot ones come last.
static CHANNELS_BY_NUMBER: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
    let named = (0..CHANNELS).map(|number| {
        let mut random = Random::of(number as u64);
        let mut url = base_url(&mut random);
        if random.below(10) > 0 {
            url += &format!("&channel_id={}", number.reverse_bits().wrapping_abs());
        }
        (format!("channel-{number}"), url)
    });
    let hot = (CHANNELS as u64..)
        .zip(HOT)
        .map(|(number, name)| (name.to_owned(), base_url(&mut Random::of(number))));
    named.chain(hot).collect()
});

fn base_url(random: &mut Random) -> String {
    let mut url = "https://www.nexmark.com/".to_owned();
    for _ in 0..3 {
        push_word(random, 5, '_', &mut url);
        url.push('/');
    }
    url + "item.htm?query=1"
}

#[inline(always)]
pub(super) fn draw_channel(random: &mut Random) -> Channel {
    let number = if random.below(HOT_RATIO) > 0 {
        CHANNELS + random.below(HOT.len() as i32)
    } else {
        random.below(CHANNELS)
    };
    Channel(number.cast_unsigned())
}

impl Channel {
    /// The one with this number, of those that [`number`](Channel::number) gives.
    #[inline]
    pub fn of(number: u32) -> Channel {
        Channel(number)
    }

    /// Its number, which is shorter than its name.
    #[inline]
    pub fn number(self) -> u32 {
        self.0
    }

    /// Its name.
    #[inline]
    pub fn name(self) -> &'static str {
        &CHANNELS_BY_NUMBER[self.0 as usize].0
    }

    /// The address of the page on which the bid was made.
    #[inline]
    pub fn url(self) -> &'static str {
        &CHANNELS_BY_NUMBER[self.0 as usize].1
    }
}
