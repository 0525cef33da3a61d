//! Cells and evidence as JSON text, written straight into a buffer: reports and cases hold hundreds of thousands
//! of rows. The text is what `serde_json` writes for the same values (RFC 8259).
use super::portable::Ids;
use super::value::CellRef;
use crate::base::{Evidence, Name, PieceKind, Time};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A text in quotes.
pub fn text(out: &mut Vec<u8>, text: &str) {
    let special = |b: u8| b < 0x20 || b == b'"' || b == b'\\';
    out.push(b'"');
    // Without a way out within it, the loop looks at many bytes at once.
    if text.bytes().fold(false, |any, b| any | special(b)) {
        for b in text.bytes() {
            let short = match b {
                b'"' | b'\\' => b,
                0x08 => b'b',
                b'\t' => b't',
                b'\n' => b'n',
                0x0c => b'f',
                b'\r' => b'r',
                0..0x20 => {
                    out.extend_from_slice(b"\\u00");
                    hex(out, &[b]);
                    continue;
                }
                plain => {
                    out.push(plain);
                    continue;
                }
            };
            out.extend_from_slice(&[b'\\', short]);
        }
    } else {
        out.extend_from_slice(text.as_bytes());
    }
    out.push(b'"');
}

/// Lower-case digits.
pub fn hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble & 15)).copied().unwrap_or(b'?');
    out.extend(bytes.iter().flat_map(|b| [digit(b >> 4), digit(*b)]));
}

fn number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut from = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b'0'.wrapping_add(u8::try_from(number % 10).unwrap_or(0));
        number /= 10;
        from = from.saturating_sub(1);
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(from..).unwrap_or_default());
}

fn time(out: &mut Vec<u8>, time: Time) {
    out.push(b'"');
    time.write(out);
    out.push(b'"');
}

/// What stands before a cell: a comma and the key, and the same for the raw bytes of a path.
#[derive(Clone, Debug)]
pub struct Key {
    plain: Vec<u8>,
    raw: Vec<u8>,
}
impl Key {
    pub fn new(name: &str) -> Self {
        let key = |name: &str| {
            let mut key = vec![b','];
            text(&mut key, name);
            key.push(b':');
            key
        };
        Self { plain: key(name), raw: key(&format!("{name}_bytes")) }
    }
}

/// A name under its key, and in base64 as well where text cannot carry it.
fn name(out: &mut Vec<u8>, key: &Key, name: &Name) {
    out.extend_from_slice(&key.plain);
    if let Some(plain) = name.plain() {
        return text(out, plain);
    }
    text(out, &name.display());
    out.extend_from_slice(&key.raw);
    text(out, &STANDARD.encode(name.bytes()));
}

/// A cell under its column's key.
pub fn cell(out: &mut Vec<u8>, key: &Key, value: &CellRef<'_>) {
    if let CellRef::Path(path) = value {
        return name(out, key, path);
    }
    out.extend_from_slice(&key.plain);
    match value {
        CellRef::Null | CellRef::Path(_) => out.extend_from_slice(b"null"),
        CellRef::Bool(b) => out.extend_from_slice(if *b { b"true" } else { b"false" }),
        CellRef::Number(n) => match (u64::try_from(*n), i64::try_from(*n)) {
            (Ok(n), _) => number(out, n),
            (_, Ok(n)) => {
                out.push(b'-');
                number(out, n.unsigned_abs());
            }
            _ => text(out, &n.to_string()),
        },
        CellRef::Time(t) => time(out, *t),
        CellRef::Text(t) => text(out, t),
        CellRef::Digest(d) => {
            out.push(b'"');
            hex(out, &d.0);
            out.push(b'"');
        }
        CellRef::Mode(m) => text(out, &m.to_string()),
        CellRef::List(l) => list(out, l),
    }
}

/// Several texts as an array.
pub fn list(out: &mut Vec<u8>, list: &[String]) {
    out.push(b'[');
    for (n, one) in list.iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        text(out, one);
    }
    out.push(b']');
}

/// Evidence as it stands in reports: an object of fixed keys.
pub fn evidence(out: &mut Vec<u8>, e: &Evidence, ids: &Ids) {
    out.extend_from_slice(b"{\"filesystem\":");
    text(out, ids.filesystem(e.filesystem));
    if let Some(plain) = e.path.plain() {
        out.extend_from_slice(b",\"path\":");
        text(out, plain);
    } else {
        name(out, &Key::new("path"), &e.path);
    }
    out.extend_from_slice(b",\"inode\":");
    number(out, e.node.number);
    if e.node.generation != 0 {
        out.extend_from_slice(b",\"generation\":");
        number(out, e.node.generation);
    }
    out.extend_from_slice(if e.deleted { b",\"deleted\":true,\"sha256\":" } else { b",\"deleted\":false,\"sha256\":" });
    match &e.sha256 {
        Some(digest) => {
            out.push(b'"');
            hex(out, &digest.0);
            out.push(b'"');
        }
        None => out.extend_from_slice(b"null"),
    }
    if let Some(range) = e.range {
        out.extend_from_slice(b",\"file_offset\":");
        number(out, range.offset);
        out.extend_from_slice(b",\"length\":");
        number(out, range.len);
    }
    out.extend_from_slice(b",\"image_runs\":[");
    for (n, run) in e.image_runs.iter().enumerate() {
        out.extend_from_slice(if n == 0 { b"{\"image\":" } else { b",{\"image\":" });
        // What no image holds is in none.
        if run.kind.has_place() {
            text(out, ids.image(run.image));
        } else {
            out.extend_from_slice(b"null");
        }
        out.extend_from_slice(b",\"file_offset\":");
        number(out, run.file_offset);
        out.extend_from_slice(b",\"offset\":");
        if run.kind.has_place() {
            number(out, run.offset);
        } else {
            out.extend_from_slice(b"null");
        }
        out.extend_from_slice(b",\"length\":");
        number(out, run.len);
        out.extend_from_slice(match run.kind {
            PieceKind::Stored => b",\"kind\":\"stored\"}".as_slice(),
            PieceKind::Hole => b",\"kind\":\"hole\"}",
            PieceKind::Decoded => b",\"kind\":\"decoded\"}",
            PieceKind::Absent => b",\"kind\":\"absent\"}",
        });
    }
    out.push(b']');
    if let Some(line) = e.line {
        out.extend_from_slice(b",\"line\":");
        number(out, line.into());
    }
    if let Some(key) = &e.key {
        out.extend_from_slice(b",\"key\":");
        text(out, key);
    }
    if let Some(excerpt) = &e.excerpt {
        out.extend_from_slice(b",\"excerpt\":");
        text(out, excerpt);
    }
    out.push(b'}');
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::inventory::{FilesystemInfo, ImageInfo, Mode, Scene};

    fn written(f: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        f(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_is_that_of_the_library() {
        let all: String = (0..0x250_u32).filter_map(char::from_u32).chain("岸桥\u{2028}\u{1f600}".chars()).collect();
        for one in ["", "plain", "a\"b", "\\", all.as_str()] {
            assert_eq!(written(|o| text(o, one)), serde_json::to_string(one).unwrap());
        }
        let several = ["a".to_owned(), all];
        assert_eq!(written(|o| list(o, &several)), serde_json::to_string(&several).unwrap());
        assert_eq!(written(|o| list(o, &[])), "[]");
    }

    #[test]
    fn cells_of_every_kind() {
        let digest = crate::base::Digest::parse(&"0f".repeat(32)).unwrap();
        let (plain, odd) = (Name::from("/etc"), Name::new(b"/\xb0"));
        for (value, told) in [
            (CellRef::Null, "null".to_owned()),
            (CellRef::Bool(true), "true".into()),
            (CellRef::Bool(false), "false".into()),
            (CellRef::Number(0), "0".into()),
            (CellRef::Number(u64::MAX.into()), u64::MAX.to_string()),
            (CellRef::Number(i64::MIN.into()), i64::MIN.to_string()),
            (CellRef::Number(-1), "-1".into()),
            (CellRef::Number(i128::MAX), format!("\"{}\"", i128::MAX)),
            (CellRef::Time(Time::nanos(0, 5)), "\"1970-01-01T00:00:00.000000005Z\"".into()),
            (CellRef::Time(Time::seconds(i64::MIN)), format!("\"@{}\"", i64::MIN)),
            (CellRef::Text("a\n"), "\"a\\n\"".into()),
            (CellRef::Digest(&digest), format!("\"{digest}\"")),
            (CellRef::Mode(Mode(0o644)), "\"0644\"".into()),
            (CellRef::Path(&plain), "\"/etc\"".into()),
            (CellRef::Path(&odd), "\"/\\\\xb0\",\"c_bytes\":\"L7A=\"".into()),
        ] {
            assert_eq!(written(|o| cell(o, &Key::new("c"), &value)), format!(",\"c\":{told}"));
        }
    }

    #[test]
    fn evidence_without_anything_and_with_holes() {
        let scene = Scene {
            images: vec![ImageInfo { id: "img-1".into(), ..ImageInfo::default() }],
            filesystems: vec![FilesystemInfo { id: "fs-1".into(), ..FilesystemInfo::default() }],
            ..Scene::default()
        };
        let ids = Ids::of(&scene);
        let run = |kind| crate::base::ImageRun { image: 0, file_offset: 1, offset: 2, len: 3, kind };
        let e = Evidence {
            node: crate::base::NodeId { number: 12, generation: 7 },
            deleted: true,
            image_runs: vec![run(PieceKind::Hole), run(PieceKind::Absent)],
            ..Evidence::default()
        };
        assert_eq!(
            written(|o| evidence(o, &e, &ids)),
            concat!(
                r#"{"filesystem":"fs-1","path":"","inode":12,"generation":7,"deleted":true,"sha256":null,"image_runs":["#,
                r#"{"image":null,"file_offset":1,"offset":null,"length":3,"kind":"hole"},"#,
                r#"{"image":null,"file_offset":1,"offset":null,"length":3,"kind":"absent"}]}"#
            )
        );
    }
}
