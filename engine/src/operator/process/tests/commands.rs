//! What a function is told to do with timers: by records, and by the timers themselves when they fire.

use std::fmt;
use std::str::FromStr;

use proptest::prelude::*;

/// Which clock a timer goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Clock {
    Event,
    Processing,
}

/// A timer of which each key has at most one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    Idle,
    Close,
    Alarm,
}

pub const NAMES: [Name; 3] = [Name::Idle, Name::Close, Name::Alarm];

impl Name {
    pub fn clock(self) -> Clock {
        if self == Name::Alarm { Clock::Processing } else { Clock::Event }
    }

    pub fn word(self) -> &'static str {
        ["idle", "close", "alarm"][self as usize]
    }

    pub fn of(word: &str) -> Name {
        *NAMES.iter().find(|name| name.word() == word).expect("a name")
    }
}

/// One thing to do. It is written on records as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Command {
    Register(Clock, i64),
    Delete(Clock, i64),
    Reset(Name, i64),
    Cancel(Name),
    Ask(Name),
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clock = |clock: &Clock| if *clock == Clock::Event { "event" } else { "processing" };
        match self {
            Command::Register(of, at) => write!(f, "register {} {at}", clock(of)),
            Command::Delete(of, at) => write!(f, "delete {} {at}", clock(of)),
            Command::Reset(name, at) => write!(f, "reset {} {at}", name.word()),
            Command::Cancel(name) => write!(f, "cancel {}", name.word()),
            Command::Ask(name) => write!(f, "ask {}", name.word()),
        }
    }
}

impl FromStr for Command {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut words = text.split(' ');
        let mut word = || words.next().unwrap_or("0");
        let (verb, of, at) = (word(), word(), word().parse()?);
        let clock = if of == "event" { Clock::Event } else { Clock::Processing };
        Ok(match verb {
            "register" => Command::Register(clock, at),
            "delete" => Command::Delete(clock, at),
            "reset" => Command::Reset(Name::of(of), at),
            "cancel" => Command::Cancel(Name::of(of)),
            _ => Command::Ask(Name::of(of)),
        })
    }
}

/// Commands as records. Times lie before and after those that the clocks show.
pub fn commands() -> impl Strategy<Value = String> {
    let timer = prop_oneof![
        2 => (-50i64..50).prop_map(|at| (Clock::Event, at)),
        1 => (0i64..60).prop_map(|at| (Clock::Processing, at)),
    ];
    let name = || proptest::sample::select(&NAMES[..]);
    let reset = (name(), -50i64..50).prop_map(|(name, at)| match name.clock() {
        Clock::Event => Command::Reset(name, at),
        Clock::Processing => Command::Reset(name, at + 50),
    });
    let command = prop_oneof![
        6 => timer.clone().prop_map(|(clock, at)| Command::Register(clock, at)),
        2 => timer.prop_map(|(clock, at)| Command::Delete(clock, at)),
        4 => reset,
        1 => name().prop_map(Command::Cancel),
        1 => name().prop_map(Command::Ask),
    ];
    command.prop_map(|command| command.to_string())
}

/// What a timer does when it fires at `at`, where event time has come to `watermark` and the clock shows `now`.
///
/// In what order the timers of one key and time fire is open. So none of them touches what another one of the same time touches, but by doing
/// the very same.
pub fn reaction(clock: Clock, name: Option<Name>, at: i64, watermark: Option<i64>, now: i64) -> Vec<Command> {
    let mut commands = Vec::new();
    match (clock, name) {
        (Clock::Event, None) => {
            if at.rem_euclid(4) == 0 {
                commands.push(Command::Register(Clock::Event, at + 3));
            }
            if at.rem_euclid(4) == 1 {
                commands.push(Command::Delete(Clock::Event, at + 2));
            }
            if at.rem_euclid(5) == 0 {
                commands.push(Command::Register(Clock::Processing, now + 3));
            }
        }
        (Clock::Processing, None) => {
            if at.rem_euclid(3) == 0 {
                commands.push(Command::Register(Clock::Processing, at + 4));
            }
            if let (0, Some(watermark)) = (at.rem_euclid(5), watermark) {
                commands.push(Command::Register(Clock::Event, watermark + 4));
            }
        }
        (_, Some(Name::Idle)) => commands.push(Command::Register(Clock::Event, at + 5)),
        (_, Some(name)) if at.rem_euclid(3) != 0 => commands.push(Command::Reset(name, at + 7)),
        (_, Some(name)) => commands.push(Command::Cancel(name)),
    }
    commands
}

/// What can be seen of a function, with the event time of what it gave out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Given {
    /// A timer has fired.
    Fired {
        key: u64,
        clock: Clock,
        name: Option<Name>,
        at: i64,
        watermark: Option<i64>,
        now: i64,
        stamp: i64,
    },
    /// A command was carried out: whether something was new or was there, or what was set before.
    Did { key: u64, command: Command, answer: Answer, stamp: i64 },
}

/// What came of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answer {
    Is(bool),
    Was(Option<i64>),
}
