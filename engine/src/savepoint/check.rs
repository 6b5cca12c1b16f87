//! What would become of each operator if a program went on from a savepoint: a dry run.

use std::collections::BTreeSet;
use std::fmt;

use super::conversion::operator_head;
use super::portable::Portable;
use super::types::StateTypes;
use crate::graph::Plan;
use crate::schema::Change;

/// What would become of a savepoint in a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreCheck {
    /// Operator by operator, in order of their names.
    pub operators: Vec<OperatorCheck>,
}

/// What would become of an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorCheck {
    /// Its name.
    pub operator: String,
    /// What would become of it.
    pub verdict: Verdict,
    /// What would become of its states, and of the records on their way to it.
    pub states: Vec<StateCheck>,
}

/// What would become of a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateCheck {
    /// Its name; `input 0` and so on for the records on their way.
    pub state: String,
    /// What would become of it.
    pub verdict: Verdict,
}

/// What becomes of an operator or a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on as it was.
    Matched,
    /// It goes on, with values of another type; of an operator, with such a state.
    Migrated(Vec<Change>),
    /// The savepoint does not have it: it begins empty.
    New,
    /// The program does not have it: it is left behind, if that is allowed.
    Dropped,
    /// It cannot go on: why.
    Refused(String),
}

impl RestoreCheck {
    /// Compares what a program declares with what a savepoint holds.
    pub(crate) fn of(portable: &Portable, plan: &Plan, now: &StateTypes) -> RestoreCheck {
        let head = &portable.savepoint.head;
        let now = now.all();
        let shards = || head.shards.iter();
        let sources = shards().flat_map(|shard| &shard.partitions).map(|partition| &partition.operator);
        let cuts = shards().flat_map(|shard| &shard.sinks).filter(|sink| !sink.committables.is_empty());
        let kept = shards().flat_map(|shard| &shard.operators).map(|operator| &operator.operator);
        let heads = head.operators.iter().map(|operator| &operator.name);
        let then: BTreeSet<&String> =
            sources.chain(cuts.map(|sink| &sink.operator)).chain(kept).chain(heads).collect();
        let stateful = plan.ops.iter().filter(|op| op.stateful).map(|op| &op.name);
        let named: BTreeSet<&String> = stateful.chain(now.keys()).collect();
        let operators = then.union(&named).map(|name| {
            let head = head.operator(name);
            let types = now.get(*name).map(|types| operator_head(name, types));
            let mut states = Vec::new();
            if let (Some(then), Some(now)) = (head, &types) {
                for state in &now.states {
                    let verdict = match then.state(&state.name) {
                        None => Verdict::New,
                        Some(_) => verdict(portable.changes(name, &state.name, &state.key, &state.value)),
                    };
                    states.push(StateCheck { state: state.name.clone(), verdict });
                }
                let gone = then.states.iter().filter(|then| now.state(&then.name).is_none());
                states.extend(
                    gone.map(|gone| StateCheck { state: gone.name.clone(), verdict: Verdict::Dropped }),
                );
                for (input, schema) in now.inputs.iter().enumerate().take(then.inputs.len()) {
                    let state = super::portable::input_name(input);
                    let verdict = verdict(portable.input_changes(name, input, schema));
                    states.push(StateCheck { state, verdict });
                }
            }
            let verdict = match (then.contains(name), named.contains(name)) {
                (true, false) => Verdict::Dropped,
                (false, _) => Verdict::New,
                (true, true) => of_states(&states),
            };
            OperatorCheck { operator: (*name).clone(), verdict, states }
        });
        RestoreCheck { operators: operators.collect() }
    }

    /// What becomes of an operator.
    pub fn of_operator(&self, name: &str) -> Option<&OperatorCheck> {
        self.operators.iter().find(|check| check.operator == name)
    }

    /// Whether the program can go on from the savepoint without leaving anything behind.
    pub fn is_complete(&self) -> bool {
        let bad = |verdict: &Verdict| matches!(verdict, Verdict::Dropped | Verdict::Refused(_));
        let states = self.operators.iter().flat_map(|check| &check.states).map(|state| &state.verdict);
        !self.operators.iter().map(|check| &check.verdict).chain(states).any(bad)
    }
}

fn verdict<E: fmt::Display>(changes: Result<Vec<Change>, E>) -> Verdict {
    match changes {
        Ok(changes) if changes.is_empty() => Verdict::Matched,
        Ok(changes) => Verdict::Migrated(changes),
        Err(misfit) => Verdict::Refused(misfit.to_string()),
    }
}

/// What becomes of an operator with these states.
fn of_states(states: &[StateCheck]) -> Verdict {
    let mut changes = Vec::new();
    for state in states {
        match &state.verdict {
            Verdict::Refused(why) => return Verdict::Refused(why.clone()),
            Verdict::Migrated(of_state) => changes.extend(of_state.iter().cloned()),
            Verdict::Matched | Verdict::New | Verdict::Dropped => {}
        }
    }
    if changes.is_empty() { Verdict::Matched } else { Verdict::Migrated(changes) }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Matched => f.write_str("matched"),
            Verdict::New => f.write_str("new"),
            Verdict::Dropped => f.write_str("dropped"),
            Verdict::Refused(why) => write!(f, "refused: {why}"),
            Verdict::Migrated(changes) => {
                f.write_str("migrated (")?;
                for (nth, change) in changes.iter().enumerate() {
                    write!(f, "{}{change}", if nth == 0 { "" } else { ", " })?;
                }
                f.write_str(")")
            }
        }
    }
}

/// A line for each operator, and one below it for each state that does not go on as it was.
impl fmt::Display for RestoreCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for check in &self.operators {
            writeln!(f, "{}: {}", check.operator, check.verdict)?;
            for state in check.states.iter().filter(|state| state.verdict != Verdict::Matched) {
                writeln!(f, "    {}: {}", state.state, state.verdict)?;
            }
        }
        Ok(())
    }
}
