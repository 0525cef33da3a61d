//! Cells of the inventory as SQLite values, and back.
use crate::base::{Name, Time};
use crate::inventory::{CellRef, Kind, Value, portable_text};
use rusqlite::types::{ToSqlOutput, Value as Sql, ValueRef};

/// What a cell is stored as: a path as TEXT if it is plain text, else as a BLOB of its bytes. `room` holds the
/// text of what is none.
pub(super) fn store<'a>(value: &'a CellRef<'_>, room: &'a mut Vec<u8>) -> ToSqlOutput<'a> {
    room.clear();
    let plain = match value {
        CellRef::Null => ValueRef::Null,
        CellRef::Bool(b) => ValueRef::Integer((*b).into()),
        CellRef::Number(n) => match i64::try_from(*n) {
            Ok(n) => ValueRef::Integer(n),
            Err(_) => return ToSqlOutput::Owned(Sql::Text(n.to_string())),
        },
        CellRef::Mode(m) => return ToSqlOutput::Owned(Sql::Text(m.to_string())),
        CellRef::Time(t) => {
            t.write(room);
            ValueRef::Text(room)
        }
        CellRef::Digest(d) => {
            portable_text::hex(room, &d.0);
            ValueRef::Text(room)
        }
        CellRef::List(l) => {
            portable_text::list(room, l);
            ValueRef::Text(room)
        }
        CellRef::Text(t) => ValueRef::Text(t.as_bytes()),
        CellRef::Path(p) if p.plain().is_some() => ValueRef::Text(p.bytes()),
        CellRef::Path(p) => ValueRef::Blob(p.bytes()),
    };
    ToSqlOutput::Borrowed(plain)
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
        let (odd, crane) = (Name::new(b"/a\xff"), Name::from("/岸桥"));
        let list = ["a".to_owned(), "b\"".to_owned()];
        let mut room = Vec::new();
        for (kind, cell) in [
            (Kind::Bool, CellRef::Bool(true)),
            (Kind::Number, CellRef::Number(u64::MAX.into())),
            (Kind::Number, CellRef::Number(-1)),
            (Kind::Time, CellRef::Time(Time::nanos(5, 7))),
            (Kind::Time, CellRef::Time(Time::seconds(i64::MIN))),
            (Kind::Path, CellRef::Path(&odd)),
            (Kind::Path, CellRef::Path(&crane)),
            (Kind::List, CellRef::List(&list)),
            (Kind::List, CellRef::List(&[])),
            (Kind::Text, CellRef::Null),
        ] {
            let stored = store(&cell, &mut room);
            let seen = match &stored {
                ToSqlOutput::Borrowed(v) => *v,
                ToSqlOutput::Owned(v) => v.into(),
                _ => ValueRef::Null,
            };
            assert_eq!(load(kind, seen), Some(cell.to_value()));
        }
    }
}
