//! One cell of a table: what every table, report, rule and view has in common.
use super::wire;
use crate::base::{Digest, Name, Time};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// The type of a column, for the manual, the case's schema and the views.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Bool,
    Number,
    Text,
    /// Raw path bytes.
    Path,
    /// Several texts, in the order of the source.
    List,
    Time,
}

/// A cell's content.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    Null,
    Bool(bool),
    Number(i128),
    Time(Time),
    Text(Arc<str>),
    Path(Name),
    List(Vec<String>),
}

impl fmt::Display for Value {
    /// Text for people and for rule patterns; a list is joined by `, `, an absent value is empty.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => Ok(()),
            Self::Bool(b) => b.fmt(f),
            Self::Number(n) => n.fmt(f),
            Self::Time(t) => t.fmt(f),
            Self::Text(t) => f.write_str(&Name::from(&**t).display_text()),
            Self::Path(p) => p.fmt(f),
            Self::List(l) => f.write_str(&Name::from(l.join(", ")).display_text()),
        }
    }
}

impl Value {
    /// Whether something of it had to be escaped to be shown.
    pub fn is_marked(&self) -> bool {
        match self {
            Self::Text(text) => !crate::base::inert::is_plain(text),
            Self::Path(path) => path.is_marked(),
            Self::List(list) => !list.iter().all(|one| crate::base::inert::is_plain(one)),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Time(_) => false,
        }
    }
}

/// A cell as it lies in its row: what writes rows out by the ten thousand borrows instead of copying.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CellRef<'a> {
    Null,
    Bool(bool),
    Number(i128),
    Time(Time),
    Text(&'a str),
    /// Text, as its hex digits.
    Digest(&'a Digest),
    /// Text, as its octal digits.
    Mode(Mode),
    Path(&'a Name),
    List(&'a [String]),
}
impl CellRef<'_> {
    pub fn to_value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(b) => Value::Bool(*b),
            Self::Number(n) => Value::Number(*n),
            Self::Time(t) => Value::Time(*t),
            Self::Text(t) => Value::Text(Arc::from(*t)),
            Self::Digest(d) => Value::Text(d.to_string().into()),
            Self::Mode(m) => Value::Text(m.to_string().into()),
            Self::Path(p) => Value::Path((*p).clone()),
            Self::List(l) => Value::List(l.to_vec()),
        }
    }
}

/// What can stand in a column.
pub trait Cell: Sized + DeserializeOwned {
    const KIND: Kind;
    fn view(&self) -> CellRef<'_>;
    fn to_value(&self) -> Value {
        self.view().to_value()
    }
    /// The order of the cells' values.
    fn order(&self, other: &Self) -> Ordering {
        self.to_value().cmp(&other.to_value())
    }
    /// Bytes whose order is that of the values, where there are such.
    fn order_bytes(&self) -> Option<&[u8]> {
        None
    }
    /// Reads it as a worker sent it.
    fn receive<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::deserialize(from)
    }
    /// The inverse of [`Self::to_value`]; `None` if the value is of another kind (a case that was tampered with).
    fn from_value(value: Value) -> Option<Self>;
}

impl Cell for bool {
    const KIND: Kind = Kind::Bool;
    fn view(&self) -> CellRef<'_> {
        CellRef::Bool(*self)
    }
    fn order(&self, other: &Self) -> Ordering {
        self.cmp(other)
    }
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Bool(b) => Some(b),
            _ => None,
        }
    }
}
macro_rules! number {
    ($($t:ty),*) => {$(impl Cell for $t {
        const KIND: Kind = Kind::Number;
        fn view(&self) -> CellRef<'_> {
            CellRef::Number((*self).into())
        }
        fn order(&self, other: &Self) -> Ordering {
            self.cmp(other)
        }
        fn from_value(value: Value) -> Option<Self> {
            match value {
                Value::Number(n) => n.try_into().ok(),
                _ => None,
            }
        }
    })*};
}
number!(u16, u32, u64, i64);

impl Cell for String {
    const KIND: Kind = Kind::Text;
    fn view(&self) -> CellRef<'_> {
        CellRef::Text(self)
    }
    fn order(&self, other: &Self) -> Ordering {
        self.cmp(other)
    }
    fn order_bytes(&self) -> Option<&[u8]> {
        Some(self.as_bytes())
    }
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Text(t) => Some(Self::from(&*t)),
            _ => None,
        }
    }
}

// Shared text is handed on, not copied: rules read these cells for every file.
impl Cell for Arc<str> {
    const KIND: Kind = Kind::Text;
    fn view(&self) -> CellRef<'_> {
        CellRef::Text(self)
    }
    fn order(&self, other: &Self) -> Ordering {
        self.cmp(other)
    }
    fn order_bytes(&self) -> Option<&[u8]> {
        Some(self.as_bytes())
    }
    fn to_value(&self) -> Value {
        Value::Text(Self::clone(self))
    }
    fn receive<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        wire::word(from)
    }
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Text(t) => Some(t),
            _ => None,
        }
    }
}

impl Cell for Name {
    const KIND: Kind = Kind::Path;
    fn view(&self) -> CellRef<'_> {
        CellRef::Path(self)
    }
    fn order(&self, other: &Self) -> Ordering {
        self.cmp(other)
    }
    fn order_bytes(&self) -> Option<&[u8]> {
        Some(self.bytes())
    }
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Path(p) => Some(p),
            _ => None,
        }
    }
}
impl Cell for Vec<String> {
    const KIND: Kind = Kind::List;
    fn view(&self) -> CellRef<'_> {
        CellRef::List(self)
    }
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::List(l) => Some(l),
            _ => None,
        }
    }
}
impl Cell for Time {
    const KIND: Kind = Kind::Time;
    fn view(&self) -> CellRef<'_> {
        CellRef::Time(*self)
    }
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Time(t) => Some(t),
            _ => None,
        }
    }
}
impl Cell for Digest {
    const KIND: Kind = Kind::Text;
    fn view(&self) -> CellRef<'_> {
        CellRef::Digest(self)
    }
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Text(t) => Self::parse(&t),
            _ => None,
        }
    }
}
impl<T: Cell> Cell for Option<T> {
    const KIND: Kind = T::KIND;
    fn view(&self) -> CellRef<'_> {
        self.as_ref().map_or(CellRef::Null, Cell::view)
    }
    fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Some(a), Some(b)) => a.order(b),
            _ => self.is_some().cmp(&other.is_some()),
        }
    }
    fn to_value(&self) -> Value {
        self.as_ref().map_or(Value::Null, Cell::to_value)
    }
    fn receive<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        wire::option(from)
    }
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            other => T::from_value(other).map(Some),
        }
    }
}

/// Permission bits, written as `chmod` takes them: four octal digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Mode(pub u32);
impl Mode {
    pub fn is_setuid(self) -> bool {
        self.0 & 0o4000 != 0
    }
    pub fn is_executable(self) -> bool {
        self.0 & 0o111 != 0
    }
}
impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}
impl Cell for Mode {
    const KIND: Kind = Kind::Text;
    fn view(&self) -> CellRef<'_> {
        CellRef::Mode(*self)
    }
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Text(t) => u32::from_str_radix(&t, 8).ok().map(Self),
            _ => None,
        }
    }
}
