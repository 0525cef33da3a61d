//! Journals made here, object by object, and those of journald beside what journalctl says of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]
use super::*;

const WANTED: &[&str] = &["MESSAGE", "SYSLOG_IDENTIFIER"];

/// A file with `fields` of each entry, as journald would write it.
struct Made {
    bytes: Vec<u8>,
    compact: bool,
    entries: u64,
    tail: u64,
}
impl Made {
    fn new(keyed: bool, compact: bool) -> Self {
        let mut bytes = vec![0; 240];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[12] = u8::from(keyed) << 2 | u8::from(compact) << 4 | 0b1011;
        bytes[24..40].copy_from_slice(&[7; 16]);
        bytes[40..56].copy_from_slice(&[9; 16]);
        bytes[88..96].copy_from_slice(&240_u64.to_le_bytes());
        Self { bytes, compact, entries: 0, tail: 0 }
    }
    fn object(&mut self, kind: u8, flags: u8, body: &[u8]) -> u64 {
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        let at = self.bytes.len() as u64;
        self.bytes.extend([kind, flags, 0, 0, 0, 0, 0, 0]);
        self.bytes.extend((16 + body.len() as u64).to_le_bytes());
        self.bytes.extend(body);
        self.tail = at;
        at
    }
    fn data(&mut self, field: &str) -> u64 {
        let hash = if self.bytes[12] & 4 == 0 { Hash::Jenkins } else { Hash::Keyed([7; 16]) };
        let mut body = hash.of(field.as_bytes()).to_le_bytes().to_vec();
        body.resize(if self.compact { 56 } else { 48 }, 0);
        let (flags, payload) = match field.len() {
            0..64 => (0, field.as_bytes().to_vec()),
            n => {
                let block = lz4_flex::block::compress(field.as_bytes());
                (2, [(n as u64).to_le_bytes().to_vec(), block].concat())
            }
        };
        body.extend(payload);
        self.object(DATA, flags, &body)
    }
    fn entry(&mut self, fields: &[&str]) {
        let items: Vec<u64> = fields.iter().map(|f| self.data(f)).collect();
        self.entries += 1;
        let mut body: Vec<u8> = [self.entries, 1_700_000_000_000_000 + self.entries, 5].map(u64::to_le_bytes).concat();
        body.extend([3; 16]);
        body.extend([0; 8]);
        for item in items {
            if self.compact {
                body.extend(u32::try_from(item).unwrap().to_le_bytes());
            } else {
                body.extend(item.to_le_bytes());
                body.extend([0; 8]);
            }
        }
        self.object(ENTRY, 0, &body);
    }
    fn finish(mut self) -> Vec<u8> {
        self.bytes.resize(self.bytes.len().next_multiple_of(8) + 4096, 0);
        let arena = self.bytes.len() as u64 - 240;
        for (at, value) in [(96, arena), (136, self.tail), (152, self.entries)] {
            self.bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        self.bytes
    }
}

fn read_all(bytes: &[u8]) -> (Vec<Entry>, Walk) {
    let read = |at: u64, buf: &mut [u8]| {
        let rest = usize::try_from(at).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    };
    let mut all = Vec::new();
    match header(bytes.len() as u64, &read) {
        Ok(header) => {
            let walk = walk(&header, bytes.len() as u64, &read, WANTED, &mut |e| all.push(e));
            (all, walk)
        }
        Err(what) => (all, Walk { entries: 0, faults: vec![Fault { offset: 0, len: 0, what }] }),
    }
}
fn messages(entries: &[Entry]) -> Vec<String> {
    let text =
        |v: &Option<Value>| v.as_ref().map(|v| String::from_utf8_lossy(&v.bytes).into_owned()).unwrap_or_default();
    entries.iter().map(|e| format!("{}: {}", text(&e.values[1]), text(&e.values[0]))).collect()
}
fn made(keyed: bool, compact: bool) -> Vec<u8> {
    let mut file = Made::new(keyed, compact);
    for n in 0..20 {
        let long = format!("MESSAGE=line {n} {}", "x".repeat(if n % 5 == 4 { 200 } else { 0 }));
        file.entry(&[&long, "SYSLOG_IDENTIFIER=pppd", "PRIORITY=6"]);
    }
    file.finish()
}

#[test]
fn entries_of_every_form() {
    for (keyed, compact) in [(false, false), (true, false), (true, true)] {
        let bytes = made(keyed, compact);
        let (entries, walk) = read_all(&bytes);
        assert_eq!(walk, Walk { entries: 20, faults: vec![] }, "{keyed} {compact}");
        assert_eq!(messages(&entries)[3], "pppd: line 3 ");
        assert_eq!(messages(&entries)[4], format!("pppd: line 4 {}", "x".repeat(200)));
        assert_eq!((entries[3].seqnum, entries[3].realtime), (4, 1_700_000_000_000_004));
        // The place of a value is the place of its bytes.
        let value = entries[3].values[0].clone().unwrap();
        let at = usize::try_from(value.offset).unwrap();
        assert!(bytes[at..].starts_with(b"MESSAGE=line 3 ") && !value.packed);
        assert!(entries[4].values[0].as_ref().unwrap().packed);
    }
}

#[test]
fn a_damaged_place_costs_what_it_holds() {
    let bytes = made(true, false);
    let whole = messages(&read_all(&bytes).0);
    let (entries, _) = read_all(&bytes);
    // The head of the eighth entry is overwritten: it is lost, and said; all others are there.
    let at = usize::try_from(entries[7].offset).unwrap();
    let mut broken = bytes.clone();
    broken[at..at + 16].fill(0xff);
    let (left, walk) = read_all(&broken);
    let mut expected = whole.clone();
    expected.remove(7);
    assert_eq!(messages(&left), expected);
    assert_eq!((walk.faults[0].offset, walk.faults[0].what.as_str()), (at as u64, "damaged: no object begins here"));
    assert_eq!(walk.faults[1].what, "its header counts 20 entries, 19 were found");
    // A word of a message is changed: its own hash tells.
    let value = entries[3].values[0].clone().unwrap();
    let mut altered = bytes.clone();
    altered[usize::try_from(value.offset).unwrap() + 10] ^= 1;
    let walk = read_all(&altered).1;
    assert_eq!(walk.faults[0].what, "1 data objects differ from their own hash; the first is here");
    assert_eq!(walk.faults[0].offset, value.offset);
    // The file is cut off anywhere.
    for cut in (0..bytes.len()).step_by(37) {
        let (entries, walk) = read_all(&bytes[..cut]);
        assert!(messages(&entries).iter().zip(&whole).all(|(a, b)| a == b), "{cut}");
        assert!(!walk.faults.is_empty(), "{cut}");
    }
}

#[test]
fn flipped_bytes_neither_panic_nor_hang() {
    let bytes = made(false, false);
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = |n: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % n as u64).unwrap()
    };
    for _ in 0..2000 {
        let mut broken = bytes.clone();
        for _ in 0..=random(6) {
            let at = random(broken.len() - 4096);
            broken[at] = [0, 0xff, 0x7f, 0x80, 1][random(5)];
        }
        let (entries, walk) = read_all(&broken);
        assert!(entries.len() <= 20);
        assert!(entries.len() == 20 || !walk.faults.is_empty());
    }
}
