//! What the job decides: whether a card may spend, by rules that change while it runs.

use std::time::Duration;

use millstream::operator::{KeyedCoProcess, KeyedContext, MapState, States, Ttl, ValueState};
use millstream::prelude::*;

/// Somebody wants to spend. Amounts are in cents.
#[derive(Record, Clone, Debug)]
pub struct Spend {
    /// The caller's number for it: one that comes again is the same request.
    pub request_id: String,
    pub card: String,
    pub amount: u64,
}

/// What a card may spend, all in all.
#[derive(Record, Clone, Debug)]
pub struct Rule {
    pub card: String,
    pub limit: u64,
}

/// Whether it may, and what is left then.
#[derive(Record, Clone, Copy, Debug)]
pub struct Answer {
    pub outcome: Outcome,
    pub remaining: u64,
}

#[derive(Record, Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Outcome {
    Allowed,
    /// It would be more than the limit.
    Declined,
    /// There is no rule for the card. That is not remembered: once there is one, the same request may be made.
    NoRule,
    /// The number has been used for another amount.
    OtherAmount,
}

/// What is known of a card.
#[derive(Record, Clone, Copy, Debug)]
#[repr(C)]
pub struct Card {
    pub limit: u64,
    pub spent: u64,
}

impl Card {
    /// A limit may be lowered below what has been spent.
    pub fn remaining(&self) -> u64 {
        self.limit.saturating_sub(self.spent)
    }
}

/// What was answered to a request.
#[derive(Record, Clone, Copy)]
pub struct Given {
    amount: u64,
    answer: Answer,
}

/// Answers requests by the rules, and those that come again as the first time.
pub struct Limits {
    remember: Duration,
    card: ValueState<Card>,
    /// By request, for as long as a caller may still repeat it.
    given: MapState<String, Given>,
}

impl Limits {
    fn decide(&mut self, spend: &View<Spend>, ctx: &mut KeyedContext<'_, str, Reply<Answer>>) -> Answer {
        let (id, amount) = (spend.request_id().to_owned(), spend.amount());
        if let Some(given) = ctx.map(&self.given).get(&id) {
            let other = Answer { outcome: Outcome::OtherAmount, remaining: 0 };
            return if given.amount == amount { given.answer } else { other };
        }
        let Some(mut card) = ctx.get(&self.card) else {
            return Answer { outcome: Outcome::NoRule, remaining: 0 };
        };
        let outcome = if amount <= card.remaining() {
            card.spent += amount;
            ctx.set(&self.card, card);
            Outcome::Allowed
        } else {
            Outcome::Declined
        };
        let answer = Answer { outcome, remaining: card.remaining() };
        ctx.map(&self.given).put(&id, &Given { amount, answer });
        answer
    }
}

impl KeyedCoProcess<Asked<Spend>, Rule, str> for Limits {
    type Out = Reply<Answer>;

    fn open(&mut self, states: &mut States<'_, str>) {
        self.card = states.value("card");
        self.given = states.expiring(Ttl::of(self.remember)).map("given");
    }

    fn first(&mut self, asked: &View<Asked<Spend>>, ctx: &mut KeyedContext<'_, str, Reply<Answer>>) {
        let answer = self.decide(asked.request(), ctx);
        ctx.emit(asked.reply(answer));
    }

    fn second(&mut self, rule: &View<Rule>, ctx: &mut KeyedContext<'_, str, Reply<Answer>>) {
        let spent = ctx.get(&self.card).map_or(0, |card| card.spent);
        ctx.set(&self.card, Card { limit: rule.limit(), spent });
    }
}

/// Requests meet the rules of their card: one shard decides on a card, one request after the other.
pub fn program(flow: &Flow, remember: Duration) {
    let asked = flow.ask::<Spend, Answer>("spend").key_by_ref(|asked| asked.request.card.as_str());
    let rules = flow.ingress::<Rule>("rules").key_by_ref(|rule| rule.card.as_str());
    let limits = Limits { remember, card: ValueState::default(), given: MapState::default() };
    asked.connect(rules).process(limits).name("limits").reply("spend");
}
