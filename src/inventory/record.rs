//! `record!` declares a table once: the row's type, its columns, its place in the case, in CSV and
//! JSON, in rules and in the window all come out of it.
use super::value::{CellRef, Kind, Value};
use crate::base::Evidence;
use std::cmp::Ordering;

/// What a table holds: names and meanings, for views, exports, rules and the manual.
#[derive(Debug)]
pub struct Table {
    pub name: &'static str,
    pub about: &'static str,
    /// The columns that identify a row within a system: rows are sorted and compared by them.
    pub key: &'static [&'static str],
    pub columns: &'static [Column],
}
#[derive(Debug)]
pub struct Column {
    pub name: &'static str,
    pub about: &'static str,
    pub kind: Kind,
}
impl Table {
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.name == name)
    }
}

/// A row of some table.
pub trait Record: Sized + Clone + Send + Sync {
    const TABLE: Table;
    fn system(&self) -> Option<u32>;
    fn evidence(&self) -> &Evidence;
    fn evidence_mut(&mut self) -> &mut Evidence;
    /// The cell of a column, by index into `TABLE.columns`; `Null` beyond the last.
    fn value(&self, column: usize) -> Value;
    /// The same, borrowed.
    fn cell(&self, column: usize) -> CellRef<'_>;
    /// All cells in column order.
    fn cells<'a>(&'a self, each: &mut dyn FnMut(CellRef<'a>));
    /// Rebuilds a row from its cells in column order; `None` if one does not fit.
    fn from_values(system: Option<u32>, values: Vec<Value>, evidence: Evidence) -> Option<Self>;
    /// The order of the key columns' values.
    fn key_order(&self, other: &Self) -> Ordering;
    /// Bytes of the first key column, where their order is that of its values.
    fn first_key(&self) -> Option<&[u8]>;
    fn get(&self, column: &str) -> Value {
        Self::TABLE.column(column).map_or(Value::Null, |c| self.value(c))
    }
}

macro_rules! record {
    ($(#[doc = $about:literal])* $row:ident in $table:literal, key [$($key:ident),+] {
        $($(#[doc = $doc:literal])* $column:ident: $ty:ty,)*
    }) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
        pub struct $row {
            /// Index of the system it belongs to; `None` for what no system mounts.
            pub system: Option<u32>,
            $($(#[doc = $doc])* pub $column: $ty,)*
            /// Where this was read.
            pub evidence: $crate::base::Evidence,
        }
        // As postcard writes a struct: its fields in order, without names.
        impl<'de> serde::Deserialize<'de> for $row {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                struct Cells;
                impl<'de> serde::de::Visitor<'de> for Cells {
                    type Value = $row;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("the cells of a row")
                    }
                    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut row: A) -> Result<$row, A::Error> {
                        let short = || <A::Error as serde::de::Error>::custom("a row with too few cells");
                        Ok($row {
                            system: row.next_element()?.ok_or_else(short)?,
                            $($column: $crate::inventory::wire::next(&mut row)?,)*
                            evidence: row.next_element()?.ok_or_else(short)?,
                        })
                    }
                }
                let columns = <$row as $crate::inventory::Record>::TABLE.columns.len();
                from.deserialize_tuple(columns.saturating_add(2), Cells)
            }
        }
        impl $crate::inventory::Record for $row {
            const TABLE: $crate::inventory::Table = $crate::inventory::Table {
                name: $table,
                about: concat!($($about),*).trim_ascii(),
                key: &[$(stringify!($key)),+],
                columns: &[$($crate::inventory::Column {
                    name: stringify!($column),
                    about: concat!($($doc),*).trim_ascii(),
                    kind: <$ty as $crate::inventory::Cell>::KIND,
                }),*],
            };
            fn system(&self) -> Option<u32> {
                self.system
            }
            fn evidence(&self) -> &$crate::base::Evidence {
                &self.evidence
            }
            fn evidence_mut(&mut self) -> &mut $crate::base::Evidence {
                &mut self.evidence
            }
            fn value(&self, column: usize) -> $crate::inventory::Value {
                let mut at = 0_usize;
                $(
                    if at == column {
                        return $crate::inventory::Cell::to_value(&self.$column);
                    }
                    at = at.saturating_add(1);
                )*
                let _ = at;
                $crate::inventory::Value::Null
            }
            fn cell(&self, column: usize) -> $crate::inventory::CellRef<'_> {
                let mut at = 0_usize;
                $(
                    if at == column {
                        return $crate::inventory::Cell::view(&self.$column);
                    }
                    at = at.saturating_add(1);
                )*
                let _ = at;
                $crate::inventory::CellRef::Null
            }
            fn key_order(&self, other: &Self) -> std::cmp::Ordering {
                std::cmp::Ordering::Equal$(.then_with(|| $crate::inventory::Cell::order(&self.$key, &other.$key)))+
            }
            fn first_key(&self) -> Option<&[u8]> {
                let [first, ..] = [$($crate::inventory::Cell::order_bytes(&self.$key)),+];
                first
            }
            fn cells<'a>(&'a self, each: &mut dyn FnMut($crate::inventory::CellRef<'a>)) {
                $(each($crate::inventory::Cell::view(&self.$column));)*
            }
            fn from_values(system: Option<u32>, values: Vec<$crate::inventory::Value>, evidence: $crate::base::Evidence) -> Option<Self> {
                let mut values = values.into_iter();
                let row = Self {
                    system,
                    $($column: <$ty as $crate::inventory::Cell>::from_value(values.next()?)?,)*
                    evidence,
                };
                values.next().is_none().then_some(row)
            }
        }
    };
}
pub(super) use record;
