//! One entry of the list: values in columns that a line before the entries names.
use crate::base::Time;
use crate::fs::Times;

/// Names of columns, in their order.
pub(super) struct Columns(Vec<String>);
impl Columns {
    pub(super) fn new(line: &str) -> Self {
        Self(line.split('\t').map(str::to_owned).collect())
    }
    /// The value of a column; empty where there is none.
    pub(super) fn get<'v>(&self, values: &'v str, column: &str) -> &'v str {
        let at = self.0.iter().position(|c| c == column);
        at.and_then(|at| values.split('\t').nth(at)).unwrap_or("")
    }
}

const HIDDEN: u64 = 0x2;
const SYSTEM: u64 = 0x4;
const ARCHIVE: u64 = 0x8;
const LINK: u64 = 0x10;
const DELETED: u64 = 0x80;
const STREAM: u64 = 0x2000;
const UNALLOCATED: u64 = 0x20_0000;
const FOLDER: u64 = 0x200_0000;
const SPARSE: u64 = 0x400_0000;

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    name: String,
    pub(super) is_folder: bool,
    /// Bytes.
    pub(super) size: u64,
    /// Offset behind the list, and bytes.
    pub(super) extents: Vec<(u64, u64)>,
    /// Offset behind the list of the same bytes.
    pub(super) duplicate: Option<u64>,
    pub(super) is_sparse: bool,
    pub(super) md5: Option<[u8; 16]>,
    pub(super) times: Times,
    bits: u64,
    /// What of its values is none.
    pub(super) broken: Option<&'static str>,
}

impl Entry {
    pub(super) fn read(columns: &Columns, values: &str) -> Self {
        let get = |column: &str| columns.get(values, column).trim();
        let time = |column: &str| get(column).parse::<i64>().ok().filter(|n| *n > 0).map(Time::seconds);
        let bits = get("opr").parse().unwrap_or(0);
        let size = match get("ls") {
            "" => Some(0),
            text => text.parse().ok(),
        };
        let extents = extents(get("be"));
        let broken = if size.is_none() {
            Some("its size is no number")
        } else if extents.is_none() {
            Some("where its bytes lie is not told in numbers")
        } else {
            None
        };
        Self {
            name: columns.get(values, "n").to_owned(),
            is_folder: get("p") == "1" || bits & FOLDER != 0,
            size: size.unwrap_or(0),
            extents: extents.unwrap_or_default(),
            duplicate: get("du").parse().ok(),
            is_sparse: bits & SPARSE != 0,
            md5: digest(get("ha")),
            times: Times {
                created: time("cr"),
                accessed: time("ac"),
                modified: time("wr"),
                changed: time("mo"),
                deleted: time("dl"),
            },
            bits,
            broken,
        }
    }
    /// As one component of a path.
    pub(super) fn name(&self) -> Vec<u8> {
        match self.name.as_str() {
            "" => b"NoName".to_vec(),
            "." => b"%2E".to_vec(),
            ".." => b"%2E%2E".to_vec(),
            name => name.replace('/', "%2F").into_bytes(),
        }
    }
    /// In the words of MS-FSCC where it has them.
    pub(super) fn flags(&self) -> Vec<&'static str> {
        let names = [
            (HIDDEN, "attribute-hidden"),
            (SYSTEM, "system"),
            (ARCHIVE, "archive"),
            (LINK, "reparse-point"),
            (DELETED, "deleted-at-source"),
            (STREAM, "stream"),
            (UNALLOCATED, "unallocated-at-source"),
            (SPARSE, "sparse"),
        ];
        names.into_iter().filter(|(bit, _)| self.bits & bit != 0).map(|(_, name)| name).collect()
    }
}

/// A count, then offset and length of each extent, all in hexadecimal. A folder has the count alone, or nothing.
fn extents(text: &str) -> Option<Vec<(u64, u64)>> {
    let numbers: Vec<u64> =
        text.split_whitespace().map(|n| u64::from_str_radix(n, 16)).collect::<Result<_, _>>().ok()?;
    Some(numbers.get(1..).unwrap_or_default().as_chunks::<2>().0.iter().map(|[at, len]| (*at, *len)).collect())
}

/// An MD5 in hexadecimal; all zeros stand for none.
fn digest(text: &str) -> Option<[u8; 16]> {
    let mut out = [0; 16];
    let digits = text.as_bytes().as_chunks::<2>().0;
    if digits.len() != 16 || text.len() != 32 {
        return None;
    }
    for (to, pair) in out.iter_mut().zip(digits) {
        *to = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    (out != [0; 16]).then_some(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn values_are_found_by_their_columns() {
        let columns = Columns::new("p\tn\tid\topr\tcr\twr\tha\tls\tbe\tdu");
        let entry = Entry::read(
            &columns,
            "\tcrane/plan.txt\t7\t6\t1142163845\t\td41d8cd98f00b204e9800998ecf8427e\t300\t1 1f0 12c\t-1",
        );
        assert_eq!(entry.name(), b"crane%2Fplan.txt");
        assert_eq!((entry.size, entry.extents.as_slice(), entry.duplicate), (300, [(0x1f0, 0x12c)].as_slice(), None));
        assert_eq!(entry.times.created.unwrap().to_string(), "2006-03-12T11:44:05Z");
        assert_eq!(entry.flags(), ["attribute-hidden", "system"]);
        assert_eq!(entry.md5.unwrap()[..2], [0xd4, 0x1d]);
        assert!(Entry::read(&columns, "1\tWindows").is_folder);
        let two = Entry::read(&columns, "\ta\t1\t\t\t\t00000000000000000000000000000000\t8\t2 0 4 10 4");
        assert_eq!((two.extents, two.md5), (vec![(0, 4), (16, 4)], None));
    }
    #[test]
    fn what_is_no_number_is_told() {
        let columns = Columns::new("n\tls\tbe");
        assert!(Entry::read(&columns, "a\tmany\t1 0 1").broken.unwrap().contains("size"));
        assert!(Entry::read(&columns, "a\t1\t1 zz 1").broken.unwrap().contains("where"));
        assert_eq!(Entry::read(&columns, "").broken, None);
        assert_eq!(Entry::read(&columns, "..\t0").name(), b"%2E%2E");
    }
}
