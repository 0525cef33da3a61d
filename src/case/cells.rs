//! Cells of the inventory as SQLite values, and back.
use crate::base::{Name, Time};
use crate::inventory::{Kind, Value};
use rusqlite::types::{ToSqlOutput, Value as Sql, ValueRef};

/// What a cell is stored as: a path as TEXT if it is plain text, else as a BLOB of its bytes.
pub(super) fn store(value: &Value) -> ToSqlOutput<'_> {
    let owned = match value {
        Value::Null => Sql::Null,
        Value::Bool(b) => Sql::Integer((*b).into()),
        Value::Number(n) => i64::try_from(*n).map_or_else(|_| Sql::Text(n.to_string()), Sql::Integer),
        Value::Time(t) => Sql::Text(t.to_string()),
        Value::List(l) => Sql::Text(serde_json::to_string(l).unwrap_or_default()),
        Value::Text(t) => return ToSqlOutput::Borrowed(ValueRef::Text(t.as_bytes())),
        Value::Path(p) if p.plain().is_some() => return ToSqlOutput::Borrowed(ValueRef::Text(p.bytes())),
        Value::Path(p) => return ToSqlOutput::Borrowed(ValueRef::Blob(p.bytes())),
    };
    ToSqlOutput::Owned(owned)
}

/// The cell again; `None` if it is not what the column holds.
pub(super) fn load(kind: Kind, stored: ValueRef<'_>) -> Option<Value> {
    Some(match (kind, stored) {
        (_, ValueRef::Null) => Value::Null,
        (Kind::Bool, ValueRef::Integer(n)) => Value::Bool(n != 0),
        (Kind::Number, ValueRef::Integer(n)) => Value::Number(n.into()),
        (Kind::Number, ValueRef::Text(t)) => Value::Number(text(t)?.parse().ok()?),
        (Kind::Time, ValueRef::Text(t)) => Value::Time(time(text(t)?)?),
        (Kind::Text, ValueRef::Text(t)) => Value::Text(text(t)?.into()),
        (Kind::List, ValueRef::Text(t)) => Value::List(serde_json::from_slice(t).ok()?),
        (Kind::Path, ValueRef::Text(bytes) | ValueRef::Blob(bytes)) => Value::Path(Name::new(bytes)),
        _ => return None,
    })
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// RFC 3339, or `@seconds` beyond the years that it can write.
fn time(text: &str) -> Option<Time> {
    match text.strip_prefix('@') {
        Some(seconds) => seconds.parse().ok().map(Time::seconds),
        None => Time::parse(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_round_trip() {
        for (kind, value) in [
            (Kind::Bool, Value::Bool(true)),
            (Kind::Number, Value::Number(u64::MAX.into())),
            (Kind::Number, Value::Number(-1)),
            (Kind::Time, Value::Time(Time::nanos(5, 7))),
            (Kind::Time, Value::Time(Time::seconds(i64::MIN))),
            (Kind::Path, Value::Path(Name::new(b"/a\xff"))),
            (Kind::Path, Value::Path(Name::from("/岸桥"))),
            (Kind::List, Value::List(vec!["a".into(), "b\"".into()])),
            (Kind::Text, Value::Null),
        ] {
            let stored = store(&value);
            let seen = match &stored {
                ToSqlOutput::Borrowed(v) => *v,
                ToSqlOutput::Owned(v) => v.into(),
                _ => ValueRef::Null,
            };
            assert_eq!(load(kind, seen), Some(value));
        }
    }
}
