//! Tables of Kerberos keys (MIT's `doc/formats/keytab_file_format.rst`): whose keys they are and of what kind. The keys
//! themselves are stepped over.
use crate::base::Run;

/// Keys of one table.
const MAX: usize = 10_000;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// `host/name@REALM`
    pub principal: String,
    pub algorithm: String,
    pub version: u32,
    /// Seconds since 1970.
    pub time: u32,
    /// Its bytes in the file, with its length in front.
    pub run: Run,
}

/// Every entry as far as the table can be followed, and what is wrong with it.
pub fn read(bytes: &[u8]) -> (Vec<Entry>, Option<String>) {
    let mut all = Vec::new();
    match bytes.get(..2) {
        Some([5, 2]) => {}
        Some([5, 1]) => {
            return (all, Some("version 1, whose numbers are those of the machine that wrote it".to_owned()));
        }
        _ => return (all, Some("it has no mark of one".to_owned())),
    }
    let mut at = 2_usize;
    while let Some(raw) = bytes.get(at..at.saturating_add(4)).and_then(|b| b.try_into().ok()) {
        let len = i32::from_be_bytes(raw);
        let size = usize::try_from(len.unsigned_abs()).unwrap_or(usize::MAX);
        let end = at.saturating_add(4).saturating_add(size);
        if len == 0 {
            break;
        }
        if len > 0 {
            let Some(record) = bytes.get(at.saturating_add(4)..end) else {
                return (all, Some(format!("the entry at {at} goes beyond its end")));
            };
            let run = Run::new(at as u64, end.saturating_sub(at) as u64);
            match entry(record) {
                Some(entry) => all.push(Entry { run, ..entry }),
                None => return (all, Some(format!("the entry at {at} is damaged"))),
            }
        }
        if all.len() >= MAX {
            return (all, Some("budget: keys; the rest was not listed".to_owned()));
        }
        at = end;
    }
    (all, None)
}

fn entry(record: &[u8]) -> Option<Entry> {
    let mut rest = record;
    let mut take = |len: usize| -> Option<&[u8]> {
        let (head, tail) = rest.split_at_checked(len)?;
        rest = tail;
        Some(head)
    };
    let number = |raw: &[u8]| raw.iter().fold(0_u32, |n, b| n << 8 | u32::from(*b));
    let count = number(take(2)?);
    if count > 32 {
        return None;
    }
    let mut texts = Vec::new();
    for _ in 0..=count {
        let len = usize::try_from(number(take(2)?)).ok()?;
        texts.push(String::from_utf8_lossy(take(len)?).into_owned());
    }
    let (realm, parts) = texts.split_first()?;
    take(4)?;
    let time = number(take(4)?);
    let version = number(take(1)?);
    let algorithm = number(take(2)?);
    let len = usize::try_from(number(take(2)?)).ok()?;
    take(len)?;
    // Newer tables have the whole version behind the key.
    let wide = take(4).map(number).filter(|v| *v > 0);
    Some(Entry {
        principal: format!("{}@{realm}", parts.join("/")),
        algorithm: kind(algorithm),
        version: wide.unwrap_or(version),
        time,
        run: Run::default(),
    })
}

/// Kerberos encryption types (IANA).
fn kind(number: u32) -> String {
    match number {
        1 => "des-cbc-crc",
        3 => "des-cbc-md5",
        16 => "des3-cbc-sha1",
        17 => "aes128-cts-hmac-sha1-96",
        18 => "aes256-cts-hmac-sha1-96",
        19 => "aes128-cts-hmac-sha256-128",
        20 => "aes256-cts-hmac-sha384-192",
        23 => "rc4-hmac",
        25 => "camellia128-cts-cmac",
        26 => "camellia256-cts-cmac",
        other => return format!("type {other}"),
    }
    .to_owned()
}

/// A table of one key, for tests.
#[cfg(test)]
pub(crate) fn sample() -> Vec<u8> {
    let mut record = vec![0, 2];
    for text in ["EXAMPLE.ORG", "host", "crane"] {
        record.extend([0, u8::try_from(text.len()).unwrap_or(0)]);
        record.extend(text.as_bytes());
    }
    record.extend([0, 0, 0, 1]);
    record.extend(1_600_000_000_u32.to_be_bytes());
    record.extend([3, 0, 18, 0, 32]);
    record.extend([0xaa; 32]);
    let mut table = vec![5, 2];
    table.extend(u32::try_from(record.len()).unwrap_or(0).to_be_bytes());
    table.extend(record);
    table
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn entries_holes_and_damage() {
        let one = sample();
        let (all, problem) = read(&one);
        assert_eq!((all[0].principal.as_str(), all[0].version, problem), ("host/crane@EXAMPLE.ORG", 3, None));
        let mut two = one.clone();
        two.extend((-4_i32).to_be_bytes());
        two.extend([0; 4]);
        two.extend(&one[2..]);
        let (all, problem) = read(&two);
        assert_eq!((all.len(), problem), (2, None));
        for len in 0..two.len() {
            assert!(read(&two[..len]).0.len() <= 2);
        }
        for at in 0..one.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut bytes = one.clone();
                bytes[at] = value;
                drop(read(&bytes));
            }
        }
        assert!(read(b"\x05\x01").1.is_some() && read(b"x").1.is_some());
        // Whatever length a hole claims, the end is reached.
        assert_eq!(read(b"\x05\x02\x80\0\0\0\x80\0\0\0").0, []);
    }
}
