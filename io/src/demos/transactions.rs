//! Payments by card, some of them fraud, as in Flink's walkthrough
//! (<https://nightlies.apache.org/flink/flink-docs-stable/docs/try-flink/datastream/>).

use millstream_engine::element::Timestamp;
use millstream_engine::record::Record;

use super::arrivals::{Arrival, Arrivals};
use super::dice::Dice;
use crate::generator::Generator;

/// A payment every second.
const SPACING_MS: i64 = 1_000;
/// How many accounts there are.
const ACCOUNTS: u64 = 20;

/// A payment.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Transaction {
    /// The account that pays.
    pub account: u64,
    /// When, in milliseconds: the event time.
    pub at: i64,
    /// How much, in cents.
    pub cents: u64,
}

/// A source of payments of 20 accounts, one a second, in the order of their event times: the same ones for the same seed. One in ten is of less
/// than a dollar, one in ten of more than 500.
#[derive(Clone, Copy, Debug)]
pub struct Transactions {
    seed: u64,
    count: Option<u64>,
}

impl Transactions {
    /// Payments without end.
    pub fn seeded(seed: u64) -> Self {
        Transactions { seed, count: None }
    }

    /// Ends after so many.
    pub fn count(mut self, count: u64) -> Self {
        self.count = Some(count);
        self
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = Transaction> + use<> {
        self.arrivals().map(|(transaction, _)| transaction)
    }

    /// A source of [all](Transactions::all) with their event times.
    pub fn into_source(
        self,
    ) -> Generator<Transaction, impl Fn(u32, u64) -> (Transaction, Timestamp) + Clone + use<>> {
        self.arrivals().into_source()
    }

    fn arrivals(&self) -> Arrivals<Transaction, impl Fn(u64) -> [Arrival<Transaction>; 1] + Clone + use<>> {
        let seed = self.seed;
        Arrivals::new(SPACING_MS, self.count, move |number| {
            let mut dice = Dice::of(seed, number);
            let account = dice.below(ACCOUNTS);
            let cents = match dice.below(10) {
                0 => dice.between(1, 99),
                1 => dice.between(50_001, 100_000),
                _ => dice.between(100, 50_000),
            };
            let at = number as i64 * SPACING_MS;
            let event = Transaction { account, at, cents: cents as u64 };
            [Arrival { event, at, delay: 0 }]
        })
    }
}
