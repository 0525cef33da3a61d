//! Makes BitLocker volumes, as no tool of Linux does: an independent writer after the published format (libbde's
//! specification; Ferguson's for the diffuser). That it writes what others read is tested with dislocker.
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Aes256};
use ccm::aead::Aead;
use ccm::consts::{U12, U16};
use sha2::{Digest as _, Sha256};
use xts_mode::Xts128;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Vista,
    Fixed,
    ToGo,
    /// Encrypted on write: a bitmap tells what is.
    OnWrite,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Protector {
    Password(&'static str),
    Recovery([u16; 8]),
    Startup,
    Clear,
    Tpm,
    TpmPin,
}

pub(super) struct Recipe {
    pub kind: Kind,
    pub method: u16,
    pub sector: usize,
    pub protectors: Vec<Protector>,
    /// State and next state.
    pub state: (u16, u16),
    /// Bytes from the start that are encrypted; all if `None`.
    pub encrypted: Option<usize>,
    pub counter: u32,
}
impl Recipe {
    pub(super) fn new(kind: Kind, method: u16, protectors: &[Protector]) -> Self {
        let protectors = protectors.to_vec();
        Self { kind, method, sector: 512, protectors, state: (4, 4), encrypted: None, counter: 9 }
    }
}

pub(super) struct Made {
    /// The volume.
    pub bytes: Vec<u8>,
    /// As Windows shows it.
    pub shown: Vec<u8>,
    /// Where the copies of the metadata begin.
    pub copies: [usize; 3],
    /// A startup key file.
    pub key_file: Vec<u8>,
}

/// Bytes behind a file system that the metadata takes.
pub(super) const TAIL: usize = 512 << 10;
/// Bytes that a bit of the bitmap stands for.
pub(super) const CHUNK: usize = 64 << 10;

pub(super) const VOLUME_ID: &str = "6a1ee7a0-7b1c-4f8e-9f43-0d1c5c8f1f00";
const MASTER: [u8; 32] = [0x4d; 32];
const EXTERNAL: [u8; 32] = [0x45; 32];
const OPEN: [u8; 32] = [0x43; 32];
const TIME: u64 = 132_067_118_151_030_000;

fn guid(last: u8) -> [u8; 16] {
    [0xa0, 0xe7, 0x1e, 0x6a, 0x1c, 0x7b, 0x8e, 0x4f, 0x9f, 0x43, 0x0d, 0x1c, 0x5c, 0x8f, 0x1f, last]
}

fn entry(role: u16, kind: u16, value: &[u8]) -> Vec<u8> {
    let size = u16::try_from(value.len() + 8).unwrap();
    [size, role, kind, 1].into_iter().flat_map(u16::to_le_bytes).chain(value.iter().copied()).collect()
}
fn key_entry(kind: u16, key: &[u8]) -> Vec<u8> {
    entry(0, 1, &[&kind.to_le_bytes()[..], &[0, 0], key].concat())
}
fn text_entry(role: u16, text: &str) -> Vec<u8> {
    entry(role, 2, &text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect::<Vec<_>>())
}
fn wrap(role: u16, key: &[u8], nonce: u8, plain: &[u8]) -> Vec<u8> {
    let mut full = [0; 12];
    full[..8].copy_from_slice(&TIME.to_le_bytes());
    full[8] = nonce;
    let sealed = ccm::Ccm::<Aes256, U16, U12>::new_from_slice(key).unwrap().encrypt(&full.into(), plain).unwrap();
    let (data, code) = sealed.split_at(sealed.len() - 16);
    entry(role, 5, &[&full[..], code, data].concat())
}
fn stretched(first: [u8; 32], salt: [u8; 16]) -> Vec<u8> {
    let mut last = [0_u8; 32];
    for round in 0..1_u64 << 20 {
        let hash = Sha256::new().chain_update(last).chain_update(first).chain_update(salt);
        last = hash.chain_update(round.to_le_bytes()).finalize().into();
    }
    last.to_vec()
}

/// The text of a recovery password.
pub(super) fn recovery(numbers: [u16; 8]) -> String {
    numbers.map(|n| format!("{:06}", u32::from(n) * 11)).join("-")
}

fn protected(number: u8, protector: Protector) -> Vec<u8> {
    let master = key_entry(0x2003, &MASTER);
    let salt = [number; 16];
    let stretch = |first: [u8; 32]| {
        let key = stretched(first, salt);
        let kept = wrap(0, &MASTER, 0x60 + number, &key_entry(0x2004, &key));
        let value = [&0x1000_u16.to_le_bytes()[..], &[0, 0], &salt, &kept].concat();
        [entry(0, 3, &value), wrap(0, &key, number, &master)].concat()
    };
    let (kind, parts) = match protector {
        Protector::Password(text) => {
            let text: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            (0x2000_u16, stretch(Sha256::digest(Sha256::digest(text)).into()))
        }
        Protector::Recovery(numbers) => {
            let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
            (0x0800, [text_entry(0, "DiskPassword"), stretch(Sha256::digest(bytes).into())].concat())
        }
        Protector::Startup => {
            let uses = entry(0, 4, &[5, 0, 0, 0]);
            (0x0200, [text_entry(0, "ExternalKey"), uses, wrap(0, &EXTERNAL, number, &master)].concat())
        }
        Protector::Clear => (0, [key_entry(0x2002, &OPEN), wrap(0, &OPEN, number, &master)].concat()),
        Protector::Tpm => (0x0100, entry(0, 6, &[[0x15; 4].as_slice(), &[7; 200]].concat())),
        Protector::TpmPin => (0x0500, entry(0, 6, &[[0x15; 4].as_slice(), &[7; 200]].concat())),
    };
    let value = [&guid(0xe0 + number)[..], &TIME.to_le_bytes(), &[0, 0], &kind.to_le_bytes(), &parts].concat();
    entry(2, 8, &value)
}

/// A startup key file for the protector with this number.
fn key_file(number: u8) -> Vec<u8> {
    let value =
        [&guid(0xe0 + number)[..], &TIME.to_le_bytes(), &text_entry(0, "ExternalKey"), &key_entry(0x2002, &EXTERNAL)];
    dataset(0, 9, &entry(6, 9, &value.concat()))
}

/// Entries behind their header.
fn dataset(method: u16, counter: u32, entries: &[u8]) -> Vec<u8> {
    let size = u32::try_from(48 + entries.len()).unwrap();
    let mut out: Vec<u8> = [size, 1, 48, size].into_iter().flat_map(u32::to_le_bytes).collect();
    out.extend(guid(0));
    out.extend(counter.to_le_bytes());
    out.extend(u32::from(method).to_le_bytes());
    out.extend(TIME.to_le_bytes());
    out.extend(entries);
    out
}

/// The key of the volume, as long as the method keeps it.
fn volume_key(method: u16) -> Vec<u8> {
    let len = [64, 64, 16, 32, 32, 64][usize::from(method - 0x8000)];
    (0..len).map(|n| 0x10 + n).collect()
}

/// Encrypts a sector that begins at byte `offset` of the volume.
fn encrypt(method: u16, sector: &mut [u8], offset: u64) {
    let key = volume_key(method);
    let byte: [u8; 16] = u128::from(offset).to_le_bytes();
    let number: [u8; 16] = u128::from(offset / sector.len() as u64).to_le_bytes();
    match method {
        0x8004 => {
            let (one, two) = key.split_at(16);
            let keys = [one, two].map(|k| Aes128::new_from_slice(k).unwrap());
            let [one, two] = keys;
            Xts128::new(one, two).encrypt_sector(sector, Array(number));
        }
        0x8005 => {
            let [one, two] = [&key[..32], &key[32..]].map(|k| Aes256::new_from_slice(k).unwrap());
            Xts128::new(one, two).encrypt_sector(sector, Array(number));
        }
        _ => {
            let len = if method.is_multiple_of(2) { 16 } else { 32 };
            if method < 0x8002 {
                diffuse(&key[32..32 + len], byte, sector);
            }
            let mut last = ecb(&key[..len], byte);
            for block in sector.chunks_exact_mut(16) {
                block.iter_mut().zip(last).for_each(|(b, l)| *b ^= l);
                last = ecb(&key[..len], (&*block).try_into().unwrap());
                block.copy_from_slice(&last);
            }
        }
    }
}
fn ecb(key: &[u8], block: [u8; 16]) -> [u8; 16] {
    let mut block = Array(block);
    match key.len() {
        16 => Aes128::new_from_slice(key).unwrap().encrypt_block(&mut block),
        _ => Aes256::new_from_slice(key).unwrap().encrypt_block(&mut block),
    }
    block.0
}
fn diffuse(tweak: &[u8], byte: [u8; 16], sector: &mut [u8]) {
    let mut high = byte;
    high[15] = 0x80;
    let key = [ecb(tweak, byte), ecb(tweak, high)].concat();
    let mixed = sector.iter().zip(key.iter().cycle()).map(|(b, k)| b ^ k).collect::<Vec<u8>>();
    let mut d: Vec<u32> = mixed.chunks_exact(4).map(|c| u32::from_le_bytes(c.try_into().unwrap())).collect();
    let n = d.len();
    for (cycles, turns, one, two) in [(5, [9, 0, 13, 0], n - 2, n - 5), (3, [0, 10, 0, 25], 2, 5)] {
        for i in (0..n * cycles).rev().map(|i| i % n) {
            let sum = d[(i + one) % n] ^ d[(i + two) % n].rotate_left(turns[i % 4]);
            d[i] = d[i].wrapping_sub(sum);
        }
    }
    sector.copy_from_slice(&d.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<_>>());
}

/// Makes a volume of these bytes with room for the metadata behind them.
pub(super) fn make(plain: &[u8], recipe: &Recipe) -> Made {
    let mut shown = plain.to_vec();
    let base = shown.len().next_multiple_of(64 << 10);
    shown.resize(base + TAIL, 0x5a);
    // Three copies of 64 KiB, the moved start, the maps of what is encrypted.
    let copies = [base, base + (128 << 10), base + (256 << 10)];
    let reserved = if recipe.kind == Kind::Vista { 16 << 10 } else { 64 << 10 };
    let moved = (base + (64 << 10), if recipe.kind == Kind::ToGo { 40 << 10 } else { 8 << 10 });
    let maps = (base + (384 << 10), 4096);
    for at in copies {
        shown[at..at + reserved].fill(0);
    }
    if recipe.kind != Kind::Vista {
        shown[moved.0..moved.0 + moved.1].fill(0);
    }
    if recipe.kind == Kind::OnWrite {
        shown[maps.0..maps.0 + 5 * maps.1].fill(0);
    }
    // What is encrypted: the moved start is, where it was moved to.
    let mut bytes = shown.clone();
    if recipe.kind != Kind::Vista {
        let (start, end) = (shown[..moved.1].to_vec(), moved.0 + moved.1);
        bytes[moved.0..end].copy_from_slice(&start);
    }
    let is_encrypted = |at: usize| match (recipe.kind, recipe.encrypted) {
        (Kind::OnWrite, _) => at / CHUNK % 3 != 1,
        (_, Some(end)) => at < end,
        _ => true,
    };
    if recipe.state.0 != 1 {
        for at in (0..bytes.len()).step_by(recipe.sector) {
            let is_start = recipe.kind == Kind::Vista && at < 8192;
            if is_encrypted(at) && !is_start {
                encrypt(recipe.method, &mut bytes[at..at + recipe.sector], at as u64);
            }
        }
    }
    boot_sector(recipe, &mut bytes, copies, maps);
    let block = metadata(recipe, bytes.len(), copies, moved);
    for at in copies {
        bytes[at..at + block.len()].copy_from_slice(&block);
    }
    if recipe.kind == Kind::OnWrite {
        on_write(&mut bytes, maps);
    }
    let startup = recipe.protectors.iter().position(|p| *p == Protector::Startup).unwrap_or(0);
    Made { bytes, shown, copies, key_file: key_file(u8::try_from(startup).unwrap()) }
}

fn boot_sector(recipe: &Recipe, bytes: &mut [u8], copies: [usize; 3], maps: (usize, usize)) {
    let at = |offsets: &[usize]| offsets.iter().flat_map(|at| (*at as u64).to_le_bytes()).collect::<Vec<_>>();
    if recipe.kind == Kind::Vista {
        bytes[3..11].copy_from_slice(b"-FVE-FS-");
        bytes[56..64].copy_from_slice(&at(&[copies[0] / 4096]));
        return;
    }
    // What stands before the moved start tells nothing.
    let start = if recipe.kind == Kind::ToGo { 40 << 10 } else { 8 << 10 };
    bytes[..start].fill(0xf6);
    let boot = &mut bytes[..512];
    boot.fill(0);
    boot[..3].copy_from_slice(b"\xeb\x58\x90");
    boot[3..11].copy_from_slice(if recipe.kind == Kind::ToGo { b"MSWIN4.1" } else { b"-FVE-FS-" });
    boot[11..13].copy_from_slice(&u16::try_from(recipe.sector).unwrap().to_le_bytes());
    boot[13] = 8;
    boot[21] = 0xf8;
    boot[82..90].copy_from_slice(b"FAT32   ");
    boot[510..].copy_from_slice(b"\x55\xaa");
    let place = if recipe.kind == Kind::ToGo { 424 } else { 160 };
    let id: [u8; 16] = match recipe.kind {
        Kind::OnWrite => *b"\x3b\x4d\xa8\x92\x80\xdd\x0e\x4d\x9e\x4e\xb1\xe3\x28\x4e\xae\xd8",
        _ => *b"\x3b\xd6\x67\x49\x29\x2e\xd8\x4a\x83\x99\xf6\xa3\x39\xe3\xd0\x01",
    };
    boot[place..place + 16].copy_from_slice(&id);
    boot[place + 16..place + 40].copy_from_slice(&at(&copies));
    if recipe.kind == Kind::OnWrite {
        boot[place + 40..place + 56].copy_from_slice(&at(&[maps.0, maps.0 + maps.1]));
    }
}

fn metadata(recipe: &Recipe, len: usize, copies: [usize; 3], moved: (usize, usize)) -> Vec<u8> {
    let mut entries = text_entry(7, "CRANE-7 C: 7/4/2019");
    for (number, protector) in (0..).zip(&recipe.protectors) {
        entries.extend(protected(number, *protector));
    }
    let key = entry(0, 1, &[&recipe.method.to_le_bytes()[..], &[0, 0], &volume_key(recipe.method)].concat());
    entries.extend(wrap(3, &MASTER, 0x40, &key));
    let is_old = recipe.kind == Kind::Vista;
    if !is_old {
        let value = [moved.0 as u64, moved.1 as u64].into_iter().flat_map(u64::to_le_bytes).collect::<Vec<_>>();
        entries.extend(entry(15, 15, &value));
    }
    let set = dataset(recipe.method, recipe.counter, &entries);
    let size = (64 + set.len()).next_multiple_of(16);
    let mut block = b"-FVE-FS-".to_vec();
    let units = if is_old { size } else { size / 16 };
    for n in [u16::try_from(units).unwrap(), if is_old { 1 } else { 2 }, recipe.state.0, recipe.state.1] {
        block.extend(n.to_le_bytes());
    }
    block.extend(if is_old { 0 } else { recipe.encrypted.unwrap_or(len) as u64 }.to_le_bytes());
    let sectors = if is_old { 0 } else { moved.1 / recipe.sector };
    block.extend([0, u32::try_from(sectors).unwrap()].into_iter().flat_map(u32::to_le_bytes));
    block.extend(copies.iter().flat_map(|at| (*at as u64).to_le_bytes()));
    // The cluster of NTFS's mirror in `ntfs_boot`.
    block.extend(if is_old { 2_u64 } else { moved.0 as u64 }.to_le_bytes());
    block.extend(set);
    block.resize(size, 0);
    let seal = wrap(0, &MASTER, 0x50, &key_entry(0x2005, &Sha256::digest(&block)));
    let mut check = u16::try_from(8 + seal.len()).unwrap().to_le_bytes().to_vec();
    check.extend(if is_old { 1_u16 } else { 2 }.to_le_bytes());
    check.extend(crc32fast::hash(&block).to_le_bytes());
    check.extend(seal);
    [block, check].concat()
}

/// Two copies of the description, one bitmap with two records, a log.
fn on_write(bytes: &mut [u8], (at, step): (usize, usize)) {
    let sum = |block: &mut [u8], at: usize| {
        let sum = crc32fast::hash(block);
        block[at..at + 4].copy_from_slice(&sum.to_le_bytes());
    };
    let short = |n: usize| u16::try_from(n).unwrap().to_le_bytes();
    let word = |n: usize| u32::try_from(n).unwrap().to_le_bytes();
    let long = |n: usize| (n as u64).to_le_bytes();
    let count = bytes.len().div_ceil(CHUNK);
    let mut head =
        [&b"FVE-EOW\0"[..], &short(56), &short(64), &word(512), &word(0), &word(CHUNK), &word(step)].concat();
    head.extend([&word(0)[..], &word(1), &word(0), &long(at), &long(at + step), &long(at + 2 * step)].concat());
    sum(&mut head, 36);
    bytes[at..at + 64].copy_from_slice(&head);
    bytes[at + step..at + step + 64].copy_from_slice(&head);
    let records = [512, 2048];
    let mut map = [&b"FVE-EOWBM\0"[..], &short(60), &word(2 * step), &word(0), &long(0), &long(bytes.len())].concat();
    map.extend([&long(at + 4 * step)[..], &word(records[0]), &word(records[1]), &word(1024), &word(0)].concat());
    map.resize(512, 0);
    sum(&mut map, 56);
    map.resize(2 * step, 0);
    for (number, record) in (7..).zip(records) {
        let mut bits = vec![0_u8; count.div_ceil(8)];
        // The older record says that nothing is encrypted.
        for n in (0..count).filter(|n| number == 8 && n % 3 != 1) {
            bits[n / 8] |= 1 << (n % 8);
        }
        let size = 36 + bits.len();
        let mut one =
            [&b"FVE-EOWBR\0"[..], &short(36), &word(size), &word(count), &long(number), &[0; 8], &bits].concat();
        sum(&mut one, 32);
        map[record..record + size].copy_from_slice(&one);
    }
    bytes[at + 2 * step..at + 4 * step].copy_from_slice(&map);
}

/// Bytes without a pattern that begin like NTFS.
pub(super) fn ntfs_like(len: usize) -> Vec<u8> {
    let mut random = 88_172_645_463_325_252_u64;
    let next = |_| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random.to_le_bytes()
    };
    let mut bytes: Vec<u8> = (0..len / 8).flat_map(next).collect();
    bytes[..16].copy_from_slice(b"\xeb\x52\x90NTFS    \0\x02\x08\0\0");
    bytes[16..84].fill(0);
    bytes[21] = 0xf8;
    bytes[40..48].copy_from_slice(&((len + TAIL) as u64 / 512).to_le_bytes());
    bytes[48..56].copy_from_slice(&4_u64.to_le_bytes());
    bytes[56..64].copy_from_slice(&2_u64.to_le_bytes());
    bytes[64] = 0xf6;
    bytes[68] = 1;
    bytes[510..512].copy_from_slice(b"\x55\xaa");
    bytes
}
