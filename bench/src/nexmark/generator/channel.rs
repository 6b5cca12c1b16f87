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

#[cfg(test)]
mod tests {
    use super::*;

    /// From the generator of texts of release 0.2, with `new java.util.Random(number)`.
    #[test]
    fn addresses_are_drawn_as_the_published_ones_are() {
        assert_eq!(
            Channel::of(1).url(),
            "https://www.nexmark.com/_jyw/rnmg/bo_e/item.htm?query=1&channel_id=-2147483648"
        );
        assert_eq!(Channel::of(10_000).url(), "https://www.nexmark.com/cozb/_r_/r_cg/item.htm?query=1");
        let mut hasher = crc32fast::Hasher::new();
        for number in 0..10_004 {
            hasher.update(Channel::of(number).url().as_bytes());
            hasher.update(b"\n");
        }
        assert_eq!(format!("{:08x}", hasher.finalize()), "b63c34c9");
        assert_eq!(
            [17, 10_001, 10_003].map(|number| Channel::of(number).name()),
            ["channel-17", "Facebook", "Apple"]
        );
    }

    #[test]
    fn half_of_the_bids_come_by_a_hot_channel() {
        let config = crate::nexmark::generator::Config::default();
        let channels = (0..10_000).filter_map(|number| config.draft(number).bid()).map(|bid| bid.channel());
        let channels: Vec<Channel> = channels.collect();
        let hot = channels.iter().filter(|channel| channel.number() >= 10_000).count();
        assert!((45..55).contains(&(hot * 100 / channels.len())), "{hot} of {}", channels.len());
    }
}
