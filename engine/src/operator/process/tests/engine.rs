//! A keyed function that does what it is told and tells what it sees.

use super::commands::{Answer, Clock, Command, Given, NAMES, Name, reaction};
use crate::element::Timestamp;
use crate::operator::process::{KeyedContext, KeyedProcess, NamedTimer, States, Timer};
use crate::record::{Record, View};
use crate::timers::Overdue;
use crate::window::TimeDomain;

/// See the [module](self).
pub struct Obedient {
    overdue: Overdue,
    /// By their numbers in [`NAMES`].
    named: [NamedTimer; 3],
}

type Context<'a> = KeyedContext<'a, u64, Given>;

impl Obedient {
    pub fn new(skips_overdue: bool) -> Self {
        let overdue = if skips_overdue { Overdue::Skip } else { Overdue::Fire };
        Obedient { overdue, named: Default::default() }
    }

    fn obey(&self, command: Command, ctx: &mut Context<'_>) {
        let answer = match command {
            Command::Register(Clock::Event, at) => Answer::Is(ctx.register_event_timer(Timestamp(at))),
            Command::Register(Clock::Processing, at) => {
                Answer::Is(ctx.register_processing_timer(Timestamp(at)))
            }
            Command::Delete(Clock::Event, at) => Answer::Is(ctx.delete_event_timer(Timestamp(at))),
            Command::Delete(Clock::Processing, at) => Answer::Is(ctx.delete_processing_timer(Timestamp(at))),
            Command::Reset(name, at) => was(ctx.reset(self.named[name as usize], Timestamp(at))),
            Command::Cancel(name) => was(ctx.cancel(self.named[name as usize])),
            Command::Ask(name) => was(ctx.set_for(self.named[name as usize])),
        };
        let (key, stamp) = (ctx.key(), stamp(ctx));
        ctx.emit(Given::Did { key, command, answer, stamp });
    }
}

fn was(at: Option<Timestamp>) -> Answer {
    Answer::Was(at.map(|at| at.0))
}

fn stamp(ctx: &Context<'_>) -> i64 {
    ctx.timestamp().unwrap_or(Timestamp::MIN).0
}

impl KeyedProcess<String, u64> for Obedient {
    type Out = Given;

    fn open(&mut self, states: &mut States<'_, u64>) {
        states.overdue(self.overdue);
        self.named = NAMES.map(|name| match name.clock() {
            Clock::Event => states.event_timer(name.word()),
            Clock::Processing => states.processing_timer(name.word()),
        });
    }

    fn process(&mut self, record: &View<String>, ctx: &mut Context<'_>) {
        let command = String::owned(record).parse().expect("a command");
        self.obey(command, ctx);
    }

    fn on_timer(&mut self, timer: Timer<'_>, ctx: &mut Context<'_>) {
        let clock = match timer.domain {
            TimeDomain::Event => Clock::Event,
            TimeDomain::Processing => Clock::Processing,
        };
        let (key, name, at) = (ctx.key(), timer.name.map(Name::of), timer.at.0);
        let (watermark, now) = (ctx.watermark().map(|at| at.0), ctx.processing_time().0);
        let stamp = stamp(ctx);
        ctx.emit(Given::Fired { key, clock, name, at, watermark, now, stamp });
        for command in reaction(clock, name, at, watermark, now) {
            self.obey(command, ctx);
        }
    }
}
