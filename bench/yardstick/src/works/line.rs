//! Lines of words.

use std::sync::Arc;

use super::Sequence;
use super::xorshift::{Xorshift, below};

/// How many words a line has.
pub const WORDS_PER_LINE: usize = 8;

const LETTERS: u64 = 26;
/// The least number that has four letters.
const FOUR_LETTERS: u64 = LETTERS.pow(3);

/// The lines of a partition: words uniform over a vocabulary, with one space between them.
#[derive(Clone, Debug)]
pub struct LineSequence {
    vocabulary: Arc<[String]>,
    made: u64,
    random: Xorshift,
}

impl LineSequence {
    /// So many different words.
    pub fn vocabulary(words: u64) -> Arc<[String]> {
        (0..words).map(word).collect()
    }
}

/// A number in letters, the highest first.
fn word(number: u64) -> String {
    let mut number = number + FOUR_LETTERS;
    let mut letters = Vec::new();
    while number > 0 {
        letters.push((b'a' + (number % LETTERS) as u8) as char);
        number /= LETTERS;
    }
    letters.iter().rev().collect()
}

impl Sequence for LineSequence {
    type Item = String;

    fn new(keys: u64, partition: u16, _: u16) -> Self {
        LineSequence {
            vocabulary: LineSequence::vocabulary(keys),
            made: 0,
            random: Xorshift::of_partition(u64::from(partition)),
        }
    }

    #[inline(always)]
    fn next(&mut self) -> String {
        let mut line = String::with_capacity(8 * WORDS_PER_LINE);
        for at in 0..WORDS_PER_LINE {
            if at > 0 {
                line.push(' ');
            }
            line.push_str(&self.vocabulary[below(self.vocabulary.len() as u64, self.random.next()) as usize]);
        }
        self.made += 1;
        line
    }

    fn position(&self) -> (u64, u64) {
        (self.made, self.random.state())
    }

    fn go_to(&mut self, made: u64, random: Xorshift) {
        (self.made, self.random) = (made, random);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_numbers_in_letters() {
        assert_eq!(word(0), "baaa");
        assert_eq!(word(27), "babb");
        assert_eq!(word(25 * FOUR_LETTERS), "baaaa");
    }

    #[test]
    fn a_line_has_words_of_the_vocabulary() {
        let mut lines = LineSequence::new(100, 0, 1);
        let line = lines.next();
        let words: Vec<&str> = line.split(' ').collect();
        assert_eq!(words.len(), WORDS_PER_LINE);
        assert!(words.iter().all(|one| (0..100).any(|number| word(number) == *one)), "{line}");
    }
}
