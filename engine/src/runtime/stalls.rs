//! Shards that stand still inside of an operator: a closure that blocks, a client that waits.
//!
//! A shard notes which chain it is about to step, which is one store per chain and step. The control thread compares what it sees every few
//! milliseconds: a shard that is in the same step of the same chain as before stands still. Nothing is measured per record.

use std::fmt;
use std::time::Duration;

use crate::element::{Nanos, ShardId};

/// How many stalls are remembered.
const REMEMBERED: usize = 16;

/// A shard has stood still inside of a chain. All that it does stood still with it: other chains, checkpoints, watermarks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardStall {
    /// The shard.
    pub shard: ShardId,
    /// The operators of the chain, from its head on. One of them blocks; where there are several that might, cut the chain with
    /// [`start_new_chain`](crate::stream::Stream::start_new_chain) to see which.
    pub operators: Vec<String>,
    /// For how long it has stood still, or stands still so far: at least so long, to a few milliseconds.
    pub duration: Duration,
    /// Whether it goes on.
    pub is_over: bool,
}

impl fmt::Display for ShardStall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ShardStall { shard, operators, duration, is_over } = self;
        let (has, chain) = (if *is_over { "stood" } else { "stands" }, operators.join(" -> "));
        write!(
            f,
            "shard {shard} {has} still for {duration:?} in `{chain}`: an operator there blocks; let it work in shorter pieces, or make its calls \
             with .unordered_wait() or .ordered_wait()"
        )
    }
}

/// Where a shard is: how many steps it has taken, and the chain that it steps, if it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Whereabouts {
    pub(crate) steps: u64,
    pub(crate) chain: Option<usize>,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Watchdog {
    after: Duration,
    shards: Vec<Watched>,
    /// The newest ones, oldest first.
    stalls: Vec<ShardStall>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Watched {
    at: Whereabouts,
    since: Nanos,
    is_told: bool,
}

impl Watchdog {
    /// Tells of shards that stand still for so long.
    pub(crate) fn new(after: Duration) -> Watchdog {
        Watchdog { after, shards: Vec::new(), stalls: Vec::new() }
    }

    /// Looks where the shards are. Returns those that have been found to stand still, or to go on after that: each of the two once. `operators` names
    /// those of a chain.
    pub(crate) fn look(
        &mut self,
        now: Nanos,
        shards: impl Iterator<Item = Whereabouts>,
        operators: impl Fn(usize) -> Vec<String>,
    ) -> Vec<ShardStall> {
        let mut news = Vec::new();
        for (number, at) in shards.enumerate() {
            if number == self.shards.len() {
                self.shards.push(Watched::default());
            }
            let (shard, watched) = (ShardId(number as u16), &mut self.shards[number]);
            if watched.at != at {
                if watched.is_told {
                    news.extend(self.over(shard));
                }
                self.shards[number] = Watched { at, since: now, is_told: false };
                continue;
            }
            let Some(chain) = at.chain else { continue };
            let duration = now.since(watched.since);
            if watched.is_told {
                self.unfinished(shard).for_each(|stall| stall.duration = duration);
            } else if duration >= self.after {
                watched.is_told = true;
                let stall = ShardStall { shard, operators: operators(chain), duration, is_over: false };
                news.push(stall.clone());
                if self.stalls.len() == REMEMBERED {
                    self.stalls.remove(0);
                }
                self.stalls.push(stall);
            }
        }
        news
    }

    fn unfinished(&mut self, shard: ShardId) -> impl Iterator<Item = &mut ShardStall> {
        self.stalls.iter_mut().rev().filter(move |stall| stall.shard == shard && !stall.is_over)
    }

    fn over(&mut self, shard: ShardId) -> Option<ShardStall> {
        let stall = self.unfinished(shard).next()?;
        stall.is_over = true;
        Some(stall.clone())
    }

    /// An attempt is over: its shards are gone.
    pub(crate) fn forget_shards(&mut self) {
        self.shards.clear();
        self.stalls.iter_mut().for_each(|stall| stall.is_over = true);
    }

    /// Per shard: where it is, and since when it has been seen there.
    pub(crate) fn seen(&self) -> impl Iterator<Item = (Whereabouts, Nanos)> {
        self.shards.iter().map(|watched| (watched.at, watched.since))
    }

    /// The newest stalls, oldest first.
    pub(crate) fn stalls(&self) -> &[ShardStall] {
        &self.stalls
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(steps: u64, chain: Option<usize>) -> Whereabouts {
        Whereabouts { steps, chain }
    }

    /// Looks every 20 ms at one shard, and says how often there was news.
    fn watch(watchdog: &mut Watchdog, seen: &[Whereabouts]) -> Vec<ShardStall> {
        let looks = seen.iter().enumerate();
        let names = |chain: usize| vec![format!("operator {chain}")];
        looks
            .flat_map(|(look, at)| {
                let now = Nanos(look as u64 * 20_000_000);
                watchdog.look(now, [*at].into_iter(), names)
            })
            .collect()
    }

    #[test]
    fn a_shard_that_stays_in_a_chain_is_told_of_when_it_stalls_and_when_it_goes_on() {
        let mut watchdog = Watchdog::new(Duration::from_millis(50));
        let stays = at(7, Some(1));
        let news = watch(&mut watchdog, &[at(6, None), stays, stays, stays, stays, stays, at(8, Some(1))]);
        let durations: Vec<_> =
            news.iter().map(|stall| (stall.duration.as_millis(), stall.is_over)).collect();
        assert_eq!(durations, [(60, false), (80, true)]);
        assert_eq!(news[0].operators, ["operator 1"]);
        assert_eq!(watchdog.stalls(), &news[1..]);
        assert!(news[0].to_string().contains("shard 0 stands still for 60ms in `operator 1`"), "{}", news[0]);
    }

    #[test]
    fn a_shard_that_sleeps_or_moves_is_not_stalled() {
        let mut watchdog = Watchdog::new(Duration::from_millis(50));
        let sleeps = [at(3, None); 10];
        let moves: Vec<_> = (0..10).map(|step| at(step, Some(0))).collect();
        let changes_chain: Vec<_> = (0..10).map(|look| at(1, Some(look % 2))).collect();
        for seen in [&sleeps[..], &moves, &changes_chain] {
            assert_eq!(watch(&mut watchdog, seen), []);
        }
    }

    #[test]
    fn the_newest_are_remembered_and_the_shards_of_an_attempt_forgotten() {
        let mut watchdog = Watchdog::new(Duration::from_millis(10));
        let seen: Vec<_> = (0..40).flat_map(|step| [at(step, Some(0)); 2]).collect();
        watch(&mut watchdog, &seen);
        assert_eq!(watchdog.stalls().len(), REMEMBERED);
        assert!(!watchdog.stalls()[REMEMBERED - 1].is_over);
        watchdog.forget_shards();
        assert!(watchdog.stalls()[REMEMBERED - 1].is_over);
    }
}
