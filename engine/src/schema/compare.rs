//! Whether values of an old schema can become values of a new one, and what changes then.
//!
//! The rules are Flink's for POJOs (fields come and go, by name) and, beyond them, those of Avro's schema resolution that lose nothing:
//! numbers may get wider, and a value may become an option
//! (<https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/datastream/fault-tolerance/serialization/schema_evolution/>,
//! <https://avro.apache.org/docs/1.12.0/specification/#schema-resolution>).

use std::collections::HashSet;
use std::fmt;

use super::types::{Member, Schema, Shape, Type, Variant};

/// A difference that values can be carried across.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A field is new: it begins with its default.
    Added {
        /// The field.
        field: String,
    },
    /// A field is gone: what it held is dropped.
    Removed {
        /// The field.
        field: String,
    },
    /// A field or variant has another name.
    Renamed {
        /// What it was called.
        then: String,
        /// What it is called.
        now: String,
    },
    /// A type holds all that it held, and more: a wider number, or a value that may be missing.
    Widened {
        /// The field; empty for the whole value.
        field: String,
        /// The type it was.
        then: String,
        /// The type it is.
        now: String,
    },
    /// A value that might be missing may not any more: where one is, restoring fails.
    Required {
        /// The field; empty for the whole value.
        field: String,
        /// The type it was.
        then: String,
        /// The type it is.
        now: String,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::Added { field } => write!(f, "+{field}"),
            Change::Removed { field } => write!(f, "-{field}"),
            Change::Renamed { then, now } => write!(f, "{then} -> {now}"),
            Change::Widened { field, then, now } | Change::Required { field, then, now } => {
                match field.is_empty() {
                    true => write!(f, "{then} -> {now}"),
                    false => write!(f, "{field}: {then} -> {now}"),
                }
            }
        }
    }
}

/// A difference that values cannot be carried across.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}was `{then}` and is `{now}`", place(field))]
pub struct Incompatible {
    /// The field; empty for the whole value.
    pub field: String,
    /// The type it was.
    pub then: String,
    /// The type it is.
    pub now: String,
}

fn place(field: &str) -> String {
    if field.is_empty() { "it ".to_owned() } else { format!("field `{field}` ") }
}

impl Schema {
    /// What changes when values of this schema become values of `now`; nothing where the two are the same.
    ///
    /// # Errors
    /// The first difference that they cannot be carried across.
    pub fn changes_to(&self, now: &Schema) -> Result<Vec<Change>, Incompatible> {
        let mut comparison = Comparison { then: self, now, seen: HashSet::new(), changes: Vec::new() };
        comparison.types(&self.root, &now.root, "")?;
        Ok(comparison.changes)
    }
}

struct Comparison<'a> {
    then: &'a Schema,
    now: &'a Schema,
    /// Pairs of named types that were compared, or are being compared.
    seen: HashSet<(u32, u32)>,
    changes: Vec<Change>,
}

impl Comparison<'_> {
    fn types(&mut self, then: &Type, now: &Type, at: &str) -> Result<(), Incompatible> {
        match (then, now) {
            (Type::Option(then), Type::Option(now))
            | (Type::List(then), Type::List(now))
            | (Type::Set(then), Type::Set(now)) => self.types(then, now, at),
            (Type::Option(inner), _) => {
                self.types(inner, now, at)?;
                let (then, now) = self.words(then, now);
                self.changes.push(Change::Required { field: at.to_owned(), then, now });
                Ok(())
            }
            (_, Type::Option(inner)) => {
                self.types(then, inner, at)?;
                self.widened(then, now, at);
                Ok(())
            }
            (Type::Array(then, len), Type::Array(now, len_now)) if len == len_now => {
                self.types(then, now, at)
            }
            (Type::Map(then_key, then), Type::Map(now_key, now)) => {
                self.types(then_key, now_key, &join(at, "key"))?;
                self.types(then, now, &join(at, "value"))
            }
            (Type::Tuple(then), Type::Tuple(now)) if then.len() == now.len() => {
                for (nth, (then, now)) in then.iter().zip(now).enumerate() {
                    self.types(then, now, &join(at, &nth.to_string()))?;
                }
                Ok(())
            }
            (Type::Named(then), Type::Named(now)) => self.named(*then, *now, at),
            (then, now) if then == now => Ok(()),
            (Type::Int { bits: then_bits, signed: a }, Type::Int { bits: now_bits, signed: b })
                if then_bits < now_bits && (a == b || *b) =>
            {
                self.widened(then, now, at);
                Ok(())
            }
            (Type::Float { bits: 32 }, Type::Float { bits: 64 }) => {
                self.widened(then, now, at);
                Ok(())
            }
            _ => Err(self.incompatible(then, now, at)),
        }
    }

    fn words(&self, then: &Type, now: &Type) -> (String, String) {
        (self.then.show(then).to_string(), self.now.show(now).to_string())
    }

    fn widened(&mut self, then: &Type, now: &Type, at: &str) {
        let (then, now) = self.words(then, now);
        self.changes.push(Change::Widened { field: at.to_owned(), then, now });
    }

    fn incompatible(&self, then: &Type, now: &Type, at: &str) -> Incompatible {
        let (then, now) = self.words(then, now);
        Incompatible { field: at.to_owned(), then, now }
    }

    fn named(&mut self, then: u32, now: u32, at: &str) -> Result<(), Incompatible> {
        if !self.seen.insert((then, now)) {
            return Ok(());
        }
        let mismatch = self.incompatible(&Type::Named(then), &Type::Named(now), at);
        match (self.then.definition(then), self.now.definition(now)) {
            (Some(then), Some(now)) => match (&then.shape, &now.shape) {
                (Shape::Struct(then), Shape::Struct(now)) => self.members(then, now, at),
                (Shape::Enum(then), Shape::Enum(now)) => self.variants(then, now, at),
                _ => Err(mismatch),
            },
            _ => Err(mismatch),
        }
    }

    fn members(&mut self, then: &[Member], now: &[Member], at: &str) -> Result<(), Incompatible> {
        let mut taken = HashSet::new();
        for member in now {
            let names = std::iter::once(&*member.name).chain(member.was.iter().copied());
            let mut found = names.filter_map(|name| then.iter().find(|old| *old.name == *name));
            let at = join(at, &member.name);
            match found.next() {
                Some(old) => {
                    taken.insert(&old.name);
                    if old.name != member.name {
                        let then = old.name.to_string();
                        self.changes.push(Change::Renamed { then, now: at.clone() });
                    }
                    self.types(&old.ty, &member.ty, &at)?;
                }
                None if member.may_be_missing => self.changes.push(Change::Added { field: at }),
                None => {
                    let now = self.now.show(&member.ty).to_string();
                    let then = "missing, without #[record(default)]".to_owned();
                    return Err(Incompatible { field: at, then, now });
                }
            }
        }
        let gone = then.iter().filter(|old| !taken.contains(&old.name));
        self.changes.extend(gone.map(|old| Change::Removed { field: join(at, &old.name) }));
        Ok(())
    }

    fn variants(&mut self, then: &[Variant], now: &[Variant], at: &str) -> Result<(), Incompatible> {
        for old in then {
            let same = |variant: &&Variant| variant.name == old.name;
            let was = |variant: &&Variant| variant.was.iter().any(|was| **was == *old.name);
            let found = now.iter().find(same).or_else(|| now.iter().find(was));
            let at = join(at, &old.name);
            let Some(variant) = found else {
                return Err(Incompatible {
                    field: at,
                    then: "a variant".to_owned(),
                    now: "missing".to_owned(),
                });
            };
            if variant.name != old.name {
                let now = variant.name.to_string();
                self.changes.push(Change::Renamed { then: at.clone(), now });
            }
            self.members(&old.members, &variant.members, &at)?;
        }
        Ok(())
    }
}

fn join(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}
