//! Random text.

use std::fmt;

use super::random::Random;

/// How long a word is at least.
const WORD_MIN: i32 = 3;
/// So many letters are made of one random number.
const LETTERS: usize = 6;

/// Draws a word of less than so many letters. `special` stands between its parts; spaces at its ends are cut off.
pub(super) fn push_word(random: &mut Random, length_max: i32, special: char, out: &mut String) {
    let begin = out.len();
    let length = WORD_MIN + random.below(length_max - WORD_MIN);
    for _ in 0..length {
        let letter = match random.below(13) {
            0 => special,
            _ => char::from(b'a' + random.below(26) as u8),
        };
        // Nothing but spaces so far is cut off.
        if letter != ' ' || out.len() > begin {
            out.push(letter);
        }
    }
    let trimmed = out[begin..].trim_end_matches(' ').len();
    out.truncate(begin + trimmed);
}

/// A word by itself.
pub(super) fn word(random: &mut Random, length_max: i32, special: char) -> String {
    let mut word = String::new();
    push_word(random, length_max, special, &mut word);
    word
}

/// Text without meaning, of which only the length is known until it is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Extra {
    random: Random,
    length: u16,
}

/// How long the text of a bid is at most.
const SHORT_MAX: usize = 81;
const SHORT_NUMBERS: usize = SHORT_MAX.div_ceil(LETTERS);
/// Eight bytes are written for the last six letters, too.
const SHORT_BYTES: usize = SHORT_NUMBERS * LETTERS + 2;

/// The text of a bid, in place.
#[derive(Clone, Copy)]
pub struct ShortText {
    bytes: [u8; SHORT_BYTES],
    length: u8,
}

impl ShortText {
    /// Its letters, all of them of ASCII.
    #[inline(always)]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

impl fmt::Display for ShortText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(self.as_bytes()).expect("letters of ASCII"))
    }
}

/// Draws text so that it and `size_so_far` come to `size` on average, give or take a fifth.
#[inline(always)]
pub(super) fn draw_extra(random: &mut Random, size_so_far: usize, size: usize) -> Extra {
    let Some(desired) = size.checked_sub(size_so_far) else {
        return Extra { random: *random, length: 0 };
    };
    let delta = (desired as f64 * 0.2).round() as i32;
    let least = desired as i32 - delta;
    let length = least + if delta == 0 { 0 } else { random.below(2 * delta) };
    Extra { random: *random, length: length as u16 }
}

const TWO_LETTERS: u32 = 26 * 26;

/// Two letters as the distances from `a` that they are made of, the first one in the lower byte.
static PAIRS: [u16; TWO_LETTERS as usize] = {
    let mut pairs = [0; TWO_LETTERS as usize];
    let mut number = 0;
    while number < TWO_LETTERS {
        pairs[number as usize] = ((number % 26) | ((number / 26) << 8)) as u16;
        number += 1;
    }
    pairs
};

impl Extra {
    /// How many bytes it has.
    #[inline(always)]
    pub fn len(&self) -> usize {
        usize::from(self.length)
    }

    /// Writes it behind what is there.
    #[inline]
    pub fn push_to(&self, out: &mut Vec<u8>) {
        let begin = out.len();
        let numbers = self.len().div_ceil(LETTERS);
        // Eight bytes are written for six letters: the next ones lie over the rest.
        out.resize(begin + numbers * LETTERS + 2, 0);
        let mut random = self.random;
        for at in (begin..).step_by(LETTERS).take(numbers) {
            out[at..at + 8].copy_from_slice(&letters(random.int()).to_le_bytes());
        }
        out.truncate(begin + self.len());
    }

    /// It as text that needs no heap, for one that is short enough.
    ///
    /// # Panics
    /// Where it is longer than those of bids are.
    #[inline(always)]
    pub fn to_short(self) -> ShortText {
        assert!(self.len() <= SHORT_MAX, "only the texts of bids are that short");
        let mut text = ShortText { bytes: [0; SHORT_BYTES], length: self.length as u8 };
        // All that there may be: a loop of one length has no branch to guess.
        for (number, at) in self.random.ints::<SHORT_NUMBERS>().into_iter().zip((0..).step_by(LETTERS)) {
            text.bytes[at..at + 8].copy_from_slice(&letters(number).to_le_bytes());
        }
        text
    }

    /// It as text.
    pub fn to_text(self) -> String {
        let mut bytes = Vec::with_capacity(self.len() + 8);
        self.push_to(&mut bytes);
        String::from_utf8(bytes).expect("letters of ASCII")
    }

    /// What is drawn after it.
    #[inline(always)]
    pub(super) fn after(&self) -> Random {
        let mut random = self.random;
        random.skip(self.len().div_ceil(LETTERS));
        random
    }
}

/// Six letters of one number. A negative number gives letters before `a`: its remainders are negative.
#[inline(always)]
fn letters(number: i32) -> u64 {
    const A: u64 = 0x6161_6161_6161;
    let magnitude = number.unsigned_abs();
    let pair = |number: u32| u64::from(PAIRS[(number % TWO_LETTERS) as usize]);
    let (second, third) = (magnitude / TWO_LETTERS, magnitude / (TWO_LETTERS * TWO_LETTERS));
    let distances = pair(magnitude) | (pair(second) << 16) | (pair(third) << 32);
    // None is above 25, so that nothing is carried.
    if number < 0 { A - distances } else { A + distances }
}

impl fmt::Display for Extra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.len() {
            ..=SHORT_MAX => self.to_short().fmt(f),
            _ => f.write_str(&self.to_text()),
        }
    }
}

impl fmt::Debug for Extra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_text())
    }
}
