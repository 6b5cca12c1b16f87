//! Types as data.

use std::any::TypeId;
use std::fmt::{self, Formatter};

use super::value::Name;

/// A type. Types with a name are told by their number among the [definitions](Schema::definitions).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// `()`.
    Unit,
    /// `bool`.
    Bool,
    /// `char`.
    Char,
    /// An integer.
    Int {
        /// Its width: 8, 16, 32, 64 or 128.
        bits: u8,
        /// Whether it has a sign.
        signed: bool,
    },
    /// A floating-point number.
    Float {
        /// Its width: 32 or 64.
        bits: u8,
    },
    /// `String`.
    Text,
    /// `Option`.
    Option(Box<Type>),
    /// An array, and how many items it has.
    Array(Box<Type>, u64),
    /// `Vec`.
    List(Box<Type>),
    /// A set.
    Set(Box<Type>),
    /// A map.
    Map(Box<Type>, Box<Type>),
    /// A tuple.
    Tuple(Vec<Type>),
    /// A struct or enum: its number among the definitions.
    Named(u32),
    /// A type that does not describe itself: the words and the fingerprint of its layout. Its values are its archived bytes.
    Opaque {
        /// In words.
        text: String,
        /// The fingerprint.
        fingerprint: u64,
    },
}

impl Type {
    /// `Option<of>`.
    pub fn option(of: Type) -> Type {
        Type::Option(Box::new(of))
    }

    /// `Vec<of>`.
    pub fn list(of: Type) -> Type {
        Type::List(Box::new(of))
    }
}

/// A struct or enum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Its name, without a path.
    pub name: Name,
    /// What it is made of.
    pub shape: Shape,
}

/// What a named type is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The fields of a struct.
    Struct(Vec<Member>),
    /// The variants of an enum.
    Enum(Vec<Variant>),
}

/// A field of a struct or variant. Fields without names are called `0`, `1`, ...
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: Name,
    /// Its type.
    pub ty: Type,
    /// Names that it had before. Only types of the program have any; no file does.
    pub was: Vec<&'static str>,
    /// Whether there is a value for it where a file has none. Only types of the program say so; no file does.
    pub may_be_missing: bool,
}

/// A variant of an enum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// Its name.
    pub name: Name,
    /// Its number: of a record's enum its place, of a key's enum its discriminant.
    pub number: i64,
    /// Its fields.
    pub members: Vec<Member>,
    /// Names that it had before, as those of a [`Member`].
    pub was: Vec<&'static str>,
}

/// The description of a type: the type itself, and the structs and enums that it is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    /// The type.
    pub root: Type,
    /// The structs and enums, by number.
    pub definitions: Vec<Definition>,
}

impl Schema {
    /// The schema of what `describe` describes.
    pub fn of(describe: impl FnOnce(&mut Types) -> Type) -> Schema {
        let mut types = Types::default();
        let root = describe(&mut types);
        Schema { root, definitions: types.finish() }
    }

    /// A struct or enum by its number.
    pub(crate) fn definition(&self, number: u32) -> Option<&Definition> {
        self.definitions.get(number as usize)
    }

    /// A type of this schema, in words.
    pub fn show<'a>(&'a self, ty: &'a Type) -> impl fmt::Display + 'a {
        Shown { schema: self, ty }
    }
}

/// Collects the structs and enums that a type is made of.
#[derive(Debug, Default)]
pub struct Types {
    known: Vec<(TypeId, Option<Definition>)>,
}

impl Types {
    /// A struct or enum of this name: its type. `shape` is called where it is met for the first time.
    pub fn named<T: 'static>(&mut self, name: &str, shape: impl FnOnce(&mut Types) -> Shape) -> Type {
        let id = TypeId::of::<T>();
        if let Some(number) = self.known.iter().position(|(known, _)| *known == id) {
            return Type::Named(number as u32);
        }
        let number = self.known.len();
        self.known.push((id, None));
        let shape = shape(self);
        self.known[number].1 = Some(Definition { name: name.into(), shape });
        Type::Named(number as u32)
    }

    fn finish(self) -> Vec<Definition> {
        let definitions = self.known.into_iter().map(|(_, definition)| definition);
        definitions.map(|definition| definition.expect("a type is described once it has been met")).collect()
    }
}

impl Member {
    /// A field that has always had its name, and needs a value.
    pub fn new(name: impl Into<Name>, ty: Type) -> Member {
        Member { name: name.into(), ty, was: Vec::new(), may_be_missing: false }
    }

    /// The same, which had these names before.
    pub fn was(mut self, names: &[&'static str]) -> Member {
        self.was.extend_from_slice(names);
        self
    }

    /// The same, which may be missing in a file.
    pub fn may_be_missing(mut self, may: bool) -> Member {
        self.may_be_missing = may;
        self
    }
}

impl Variant {
    /// A variant.
    pub fn new(name: impl Into<Name>, number: i64, members: Vec<Member>) -> Variant {
        Variant { name: name.into(), number, members, was: Vec::new() }
    }

    /// The same, which had these names before.
    pub fn was(mut self, names: &[&'static str]) -> Variant {
        self.was.extend_from_slice(names);
        self
    }
}

/// In the words of a [`Layout`](crate::record::Layout): `Order { id: u64, line: Line } with Line { item: String }`.
impl fmt::Display for Schema {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut first = None;
        match &self.root {
            Type::Named(number) => {
                first = Some(*number as usize);
                self.define(*number, f)?;
            }
            other => write!(f, "{}", self.show(other))?,
        }
        let others = (0..self.definitions.len()).filter(|number| Some(*number) != first);
        for (nth, number) in others.enumerate() {
            f.write_str(if nth == 0 { " with " } else { ", " })?;
            self.define(number as u32, f)?;
        }
        Ok(())
    }
}

impl Schema {
    fn define(&self, number: u32, f: &mut Formatter<'_>) -> fmt::Result {
        let Some(definition) = self.definition(number) else { return f.write_str("?") };
        f.write_str(&definition.name)?;
        match &definition.shape {
            Shape::Struct(members) => self.members(members, f),
            Shape::Enum(variants) => {
                f.write_str(" { ")?;
                for (nth, variant) in variants.iter().enumerate() {
                    f.write_str(if nth == 0 { "" } else { " | " })?;
                    f.write_str(&variant.name)?;
                    self.members(&variant.members, f)?;
                }
                f.write_str(" }")
            }
        }
    }

    fn members(&self, members: &[Member], f: &mut Formatter<'_>) -> fmt::Result {
        let numbered = members.first().is_some_and(|first| &*first.name == "0");
        let (open, close) = match members.is_empty() {
            true => return Ok(()),
            false if numbered => ("(", ")"),
            false => (" { ", " }"),
        };
        f.write_str(open)?;
        for (nth, member) in members.iter().enumerate() {
            f.write_str(if nth == 0 { "" } else { ", " })?;
            if !numbered {
                write!(f, "{}: ", member.name)?;
            }
            write!(f, "{}", self.show(&member.ty))?;
        }
        f.write_str(close)
    }
}

struct Shown<'a> {
    schema: &'a Schema,
    ty: &'a Type,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let show = |ty| Shown { schema: self.schema, ty };
        match self.ty {
            Type::Unit => f.write_str("()"),
            Type::Bool => f.write_str("bool"),
            Type::Char => f.write_str("char"),
            Type::Int { bits, signed } => write!(f, "{}{bits}", if *signed { 'i' } else { 'u' }),
            Type::Float { bits } => write!(f, "f{bits}"),
            Type::Text => f.write_str("String"),
            Type::Option(of) => write!(f, "Option<{}>", show(of)),
            Type::Array(of, len) => write!(f, "[{}; {len}]", show(of)),
            Type::List(of) => write!(f, "Vec<{}>", show(of)),
            Type::Set(of) => write!(f, "Set<{}>", show(of)),
            Type::Map(key, value) => write!(f, "Map<{}, {}>", show(key), show(value)),
            Type::Tuple(of) => {
                f.write_str("(")?;
                for (nth, ty) in of.iter().enumerate() {
                    write!(f, "{}{}", if nth == 0 { "" } else { ", " }, show(ty))?;
                }
                f.write_str(")")
            }
            Type::Named(number) => {
                f.write_str(self.schema.definition(*number).map_or("?", |definition| &definition.name))
            }
            Type::Opaque { text, .. } => f.write_str(text),
        }
    }
}
