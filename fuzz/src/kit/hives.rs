//! A small maker of registry hives, for tests and first seeds: written from the format's description, apart from the
//! reader. Format: M. Suhanov, "Windows registry file format specification".

/// A key to be written.
#[derive(Clone, Debug, Default)]
pub struct Key {
    pub name: String,
    /// Hundreds of nanoseconds since 1601.
    pub written: u64,
    pub values: Vec<(String, u32, Vec<u8>)>,
    pub keys: Vec<Key>,
}
impl Key {
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), written: 132_000_000_000_000_000, ..Self::default() }
    }
    /// With the keys that lead there, as far as they are not there yet.
    pub fn at(&mut self, path: &str) -> &mut Self {
        let mut here = self;
        for name in path.split('\\').filter(|n| !n.is_empty()) {
            let found = here.keys.iter().position(|k| k.name == name);
            let n = found.unwrap_or_else(|| {
                here.keys.push(Self::new(name));
                here.keys.len() - 1
            });
            here = &mut here.keys[n];
        }
        here
    }
    pub fn raw(&mut self, name: &str, kind: u32, data: &[u8]) -> &mut Self {
        self.values.push((name.to_owned(), kind, data.to_vec()));
        self
    }
    pub fn text(&mut self, name: &str, text: &str) -> &mut Self {
        self.raw(name, 1, &wide(&format!("{text}\0")))
    }
    pub fn expand(&mut self, name: &str, text: &str) -> &mut Self {
        self.raw(name, 2, &wide(&format!("{text}\0")))
    }
    pub fn texts(&mut self, name: &str, texts: &[&str]) -> &mut Self {
        let all: String = texts.iter().map(|t| format!("{t}\0")).collect();
        self.raw(name, 7, &wide(&format!("{all}\0")))
    }
    pub fn number(&mut self, name: &str, number: u32) -> &mut Self {
        self.raw(name, 4, &number.to_le_bytes())
    }
}

pub fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

const NOTHING: u32 = u32::MAX;
/// Bytes of one part of data in several cells.
const PART: usize = 16_344;

struct Writer {
    /// The bins.
    bytes: Vec<u8>,
    /// Where the bin in hand ends, and where its next cell goes.
    end: usize,
    at: usize,
    minor: u32,
    security: u32,
}
impl Writer {
    fn cell(&mut self, content: &[u8]) -> u32 {
        let len = (content.len() + 4).next_multiple_of(8);
        if self.at + len > self.end {
            self.close();
            let size = (len + 32).next_multiple_of(4096);
            let start = self.bytes.len();
            self.bytes.resize(start + size, 0);
            self.put(start, b"hbin");
            self.put(start + 4, &(start as u32).to_le_bytes());
            self.put(start + 8, &(size as u32).to_le_bytes());
            (self.at, self.end) = (start + 32, start + size);
        }
        let at = self.at;
        self.put(at, &(-(len as i32)).to_le_bytes());
        self.put(at + 4, content);
        self.at += len;
        at as u32
    }
    /// What is left of the bin in hand is free.
    fn close(&mut self) {
        if self.at < self.end {
            let free = (self.end - self.at) as i32;
            self.put(self.at, &free.to_le_bytes());
        }
    }
    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }
    fn data(&mut self, data: &[u8]) -> u32 {
        if data.len() <= PART || self.minor < 4 {
            return self.cell(data);
        }
        let parts: Vec<u8> = data.chunks(PART).flat_map(|p| self.cell(p).to_le_bytes()).collect();
        let list = self.cell(&parts);
        self.cell(&[b"db".as_slice(), &((parts.len() / 4) as u16).to_le_bytes(), &list.to_le_bytes()].concat())
    }
    fn value(&mut self, name: &str, kind: u32, data: &[u8]) -> u32 {
        let (spelled, narrow) = spelled(name);
        let mut len = data.len() as u32;
        let at = if data.len() <= 4 {
            len |= 0x8000_0000;
            let mut field = [0; 4];
            field[..data.len()].copy_from_slice(data);
            u32::from_le_bytes(field)
        } else {
            self.data(data)
        };
        let mut vk = b"vk".to_vec();
        vk.extend((spelled.len() as u16).to_le_bytes());
        vk.extend([len, at, kind, u32::from(narrow)].iter().flat_map(|n| n.to_le_bytes()));
        vk.extend(spelled);
        self.cell(&vk)
    }
    fn list(&mut self, cells: &[(u32, String)]) -> u32 {
        let word: &[u8] = match self.minor {
            5.. => b"lh",
            4 => b"li",
            _ => b"lf",
        };
        let element = |(cell, name): &(u32, String)| match word {
            b"lh" => {
                let upper = name.to_uppercase();
                let hash = upper.encode_utf16().fold(0_u32, |h, c| h.wrapping_mul(37).wrapping_add(u32::from(c)));
                [cell.to_le_bytes(), hash.to_le_bytes()].concat()
            }
            b"li" => cell.to_le_bytes().to_vec(),
            _ => {
                let mut hint = name.as_bytes().to_vec();
                hint.resize(4, 0);
                [cell.to_le_bytes().as_slice(), &hint].concat()
            }
        };
        let all: Vec<Vec<u8>> = cells.iter().map(element).collect();
        let mut one =
            |some: &[Vec<u8>]| self.cell(&[word, &(some.len() as u16).to_le_bytes(), &some.concat()].concat());
        if all.len() <= 100 {
            return one(&all);
        }
        let lists: Vec<u32> = all.chunks(100).map(&mut one).collect();
        let inner: Vec<u8> = lists.iter().flat_map(|l| l.to_le_bytes()).collect();
        self.cell(&[b"ri".as_slice(), &(lists.len() as u16).to_le_bytes(), &inner].concat())
    }
    fn key(&mut self, key: &Key, parent: u32) -> u32 {
        let (spelled, narrow) = spelled(&key.name);
        let mut nk = vec![0; 76];
        nk.extend_from_slice(&spelled);
        let own = self.cell(&nk);
        let mut keys: Vec<&Key> = key.keys.iter().collect();
        keys.sort_by_key(|k| k.name.to_uppercase());
        let below: Vec<(u32, String)> = keys.iter().map(|k| (self.key(k, own), k.name.clone())).collect();
        let list = if below.is_empty() { NOTHING } else { self.list(&below) };
        let values: Vec<u8> = key.values.iter().flat_map(|(n, t, d)| self.value(n, *t, d).to_le_bytes()).collect();
        let value_list = if values.is_empty() { NOTHING } else { self.cell(&values) };
        if self.security == NOTHING {
            let descriptor = [1, 0, 0, 0x80].into_iter().chain([0; 16]).collect::<Vec<u8>>();
            let mut sk = b"sk\0\0".to_vec();
            sk.extend([0, 0, 1, descriptor.len() as u32].iter().flat_map(|n| n.to_le_bytes()));
            sk.extend(descriptor);
            self.security = self.cell(&sk);
            let at = self.security.to_le_bytes();
            self.put(self.security as usize + 8, &at);
            self.put(self.security as usize + 12, &at);
        }
        let flags: u16 = if narrow { 0x20 } else { 0 } | if parent == NOTHING { 0xc } else { 0 };
        let at = own as usize + 4;
        self.put(at, b"nk");
        self.put(at + 2, &flags.to_le_bytes());
        self.put(at + 4, &key.written.to_le_bytes());
        let parent = if parent == NOTHING { own } else { parent };
        let fields = [
            (16, parent),
            (20, below.len() as u32),
            (28, list),
            (32, NOTHING),
            (36, key.values.len() as u32),
            (40, value_list),
            (44, self.security),
            (48, NOTHING),
            (52, 2 * keys.iter().map(|k| k.name.encode_utf16().count()).max().unwrap_or(0) as u32),
            (60, 2 * key.values.iter().map(|v| v.0.encode_utf16().count()).max().unwrap_or(0) as u32),
            (64, key.values.iter().map(|v| v.2.len()).max().unwrap_or(0) as u32),
        ];
        for (field, number) in fields {
            self.put(at + field, &number.to_le_bytes());
        }
        self.put(at + 72, &(spelled.len() as u16).to_le_bytes());
        own
    }
}

/// A name as it is stored, and whether in one byte a letter.
fn spelled(name: &str) -> (Vec<u8>, bool) {
    match name.chars().map(|c| u8::try_from(u32::from(c))).collect::<Result<Vec<u8>, _>>() {
        Ok(narrow) => (narrow, true),
        Err(_) => (wide(name), false),
    }
}

/// A hive of version 1.`minor`.
pub fn hive(root: &Key, minor: u32) -> Vec<u8> {
    let mut writer = Writer { bytes: Vec::new(), end: 0, at: 0, minor, security: NOTHING };
    let top = writer.key(root, NOTHING);
    writer.close();
    let mut out = vec![0; 4096];
    out[..4].copy_from_slice(b"regf");
    let fields = [(4, 7), (8, 7), (20, 1), (24, minor), (32, 1), (36, top), (40, writer.bytes.len() as u32), (44, 1)];
    for (at, number) in fields {
        out[at..at + 4].copy_from_slice(&u32::to_le_bytes(number));
    }
    out[12..20].copy_from_slice(&root.written.to_le_bytes());
    let name = wide(r"\config\crane");
    out[48..48 + name.len()].copy_from_slice(&name);
    seal(&mut out);
    out.extend(writer.bytes);
    out
}

/// Makes the checksum of a base block fit.
pub fn seal(base: &mut [u8]) {
    let words = base[..508].chunks_exact(4).map(|w| u32::from_le_bytes([w[0], w[1], w[2], w[3]]));
    let sum = match words.fold(0, |a, b| a ^ b) {
        0 => 1,
        u32::MAX => u32::MAX - 1,
        sum => sum,
    };
    base[508..512].copy_from_slice(&sum.to_le_bytes());
}

/// The hive as it was before a change, marked as dirty, and a log of the new format that leads to `after`.
pub fn dirty(before: &[u8], after: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut hive = before.to_vec();
    hive[4..8].copy_from_slice(&8_u32.to_le_bytes());
    seal(&mut hive);
    let mut log = after[..512].to_vec();
    log[4..8].copy_from_slice(&8_u32.to_le_bytes());
    log[8..12].copy_from_slice(&8_u32.to_le_bytes());
    log[28..32].copy_from_slice(&6_u32.to_le_bytes());
    seal(&mut log);
    let page = |n: usize| after[4096..].chunks(4096).nth(n);
    let changed: Vec<usize> =
        (0..(after.len() - 4096) / 4096).filter(|n| before[4096..].chunks(4096).nth(*n) != page(*n)).collect();
    // Every page is an entry of its own.
    for (step, n) in changed.iter().enumerate() {
        let mut entry = b"HvLE".to_vec();
        let size = (48 + 4096_usize).next_multiple_of(512);
        let fields = [size as u32, 0, 7 + step as u32, (after.len() - 4096) as u32, 1];
        entry.extend(fields.iter().flat_map(|f| f.to_le_bytes()));
        entry.resize(40, 0);
        entry.extend([(n * 4096) as u32, 4096].iter().flat_map(|f| f.to_le_bytes()));
        entry.extend(page(*n).unwrap_or_default());
        entry.resize(size, 0);
        hash_entry(&mut entry);
        log.extend(entry);
    }
    (hive, log)
}

/// A log of the old format that leads from one state of a hive to another one of the same length.
pub fn old_log(before: &[u8], after: &[u8]) -> Vec<u8> {
    let mut log = before[..512].to_vec();
    log[4..8].copy_from_slice(&9_u32.to_le_bytes());
    log[8..12].copy_from_slice(&9_u32.to_le_bytes());
    log[28..32].copy_from_slice(&1_u32.to_le_bytes());
    seal(&mut log);
    log.extend(b"DIRT");
    let sectors = (before.len() - 4096) / 512;
    let sector = |bytes: &[u8], n: usize| bytes[4096 + n * 512..4096 + n * 512 + 512].to_vec();
    let changed: Vec<usize> = (0..sectors).filter(|n| sector(before, *n) != sector(after, *n)).collect();
    let mut map = vec![0_u8; sectors.div_ceil(8)];
    for n in &changed {
        map[n / 8] |= 1 << (n % 8);
    }
    log.extend(map);
    log.resize(log.len().next_multiple_of(512), 0);
    for n in changed {
        log.extend(sector(after, n));
    }
    log
}

/// Makes both hashes of a log's entry fit.
pub fn hash_entry(entry: &mut [u8]) {
    let first = marvin(&entry[40..]);
    entry[24..32].copy_from_slice(&first.to_le_bytes());
    let second = marvin(&entry[..32]);
    entry[32..40].copy_from_slice(&second.to_le_bytes());
}

/// Marvin32 with the seed of registry logs.
pub fn marvin(bytes: &[u8]) -> u64 {
    let seed = 0x82ef_4d88_7a4e_55c5_u64;
    let (mut a, mut b) = (seed as u32, (seed >> 32) as u32);
    let mut padded = bytes.to_vec();
    padded.push(0x80);
    padded.resize(padded.len().next_multiple_of(4), 0);
    padded.extend([0; 4]);
    for word in padded.chunks_exact(4) {
        a = a.wrapping_add(u32::from_le_bytes([word[0], word[1], word[2], word[3]]));
        b ^= a;
        a = a.rotate_left(20).wrapping_add(b);
        b = b.rotate_left(9) ^ a;
        a = a.rotate_left(27).wrapping_add(b);
        b = b.rotate_left(19);
    }
    (u64::from(b) << 32) | u64::from(a)
}
