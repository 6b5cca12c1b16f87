//! Which queries a run is about.

use super::queries::{ALL, source};
use super::query::Query;

/// A word of `--query`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chosen {
    All,
    /// The generator with nothing behind it.
    Source,
    Number(u8),
}

/// Reads a word of `--query`.
pub fn parse(word: &str) -> Result<Chosen, String> {
    let number = match word {
        "all" => return Ok(Chosen::All),
        "source" => return Ok(Chosen::Source),
        word => word.strip_prefix('q').unwrap_or(word).parse::<u8>().ok(),
    };
    number.filter(|number| ALL.iter().any(|query| query.number == *number)).map(Chosen::Number).ok_or_else(
        || {
            let numbers: Vec<String> = ALL.iter().map(|query| query.number.to_string()).collect();
            format!("no such query; there are {}, all and source", numbers.join(", "))
        },
    )
}

/// The queries of some words, each once, by number.
pub fn queries(chosen: &[Chosen]) -> impl Iterator<Item = &'static Query> {
    let source = chosen.contains(&Chosen::Source).then_some(&source::QUERY);
    let all = chosen.contains(&Chosen::All);
    let chosen = chosen.to_vec();
    let numbered = ALL.iter().filter(move |query| all || chosen.contains(&Chosen::Number(query.number)));
    source.into_iter().chain(numbered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_chosen_by_number() {
        let words = ["2", "q0", "2"].map(|word| parse(word).unwrap());
        assert_eq!(queries(&words).map(|query| query.number).collect::<Vec<_>>(), [0, 2]);
        assert_eq!(queries(&[Chosen::All]).count(), ALL.len());
    }

    #[test]
    fn unknown_queries_are_refused_with_those_there_are() {
        for word in ["99", "q", "-1", "first"] {
            let refused = parse(word).unwrap_err();
            assert!(refused.starts_with("no such query; there are 0, 1, 2, "), "{refused}");
        }
    }
}
