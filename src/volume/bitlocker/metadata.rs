//! The metadata of a BitLocker volume, kept three times: a header, entries, and a checksum behind them.
use super::BY;
use super::boot::{Boot, COPIES};
use super::entry::{Entries, Entry, MASTER, MASTER_KEY, RELOCATED, RUN, guid, long, short, word};
use crate::base::{Gaps, Run};
use crate::image::{Source, read_exact};

const SIGNATURE: &[u8] = b"-FVE-FS-";
/// Bytes of the header, and of the one of the entries behind it.
const HEADER: usize = 64;
const ENTRIES_HEADER: usize = 48;
/// Largest copy: its size is a number of two bytes, counted in 16 bytes.
const MAX_LEN: usize = 1 << 20;
/// More than the largest checksum with its entry.
const CHECK: usize = 512;

/// States of a volume.
pub(super) const DECRYPTED: u16 = 1;
const CONVERTING_LOGGED: u16 = 2;
pub(super) const ENCRYPTED: u16 = 4;

pub(super) struct Metadata {
    /// Byte of the volume.
    pub at: u64,
    /// All that the checksum covers.
    pub bytes: Vec<u8>,
    /// 1 for Vista, 2 for all later.
    pub version: u16,
    pub state: u16,
    pub next_state: u16,
    /// Bytes of the volume that are encrypted, from its start; 0 where all are.
    pub encrypted: u64,
    /// Bytes behind these that were being converted, and are kept in a log.
    pub logged: u32,
    /// Where the copies lie.
    pub copies: Vec<u64>,
    /// Vista: the cluster that the boot sector of NTFS names in place of the metadata.
    pub mirror: u64,
    /// The start of the volume, as it was moved elsewhere; empty for Vista.
    pub moved: Run,
    pub id: String,
    /// Grows with each change.
    pub nonce: u32,
    pub method: u16,
    /// 100 nanoseconds since 1601.
    pub created: u64,
    /// The checksum fits.
    pub is_whole: bool,
    /// SHA-256 of `bytes`, wrapped by the master key.
    pub seal: Option<Vec<u8>>,
    /// Bytes of the entries within `bytes`.
    entries: std::ops::Range<usize>,
}

impl Metadata {
    /// The newest of the copies that are whole, else one that can be read at all. Damaged and older ones are told.
    pub(super) fn read(source: &Source, boot: &Boot, gaps: &Gaps) -> Result<Self, String> {
        let say = |at: u64, what: String| gaps.add_at(BY, "volume_offset", at, format!("metadata copy: {what}"), 0);
        let mut wanted = boot.metadata.clone();
        let mut found: Vec<Self> = Vec::new();
        let mut seen = 0;
        // A copy names all three: the boot sector of Vista names one only.
        while let Some(at) = wanted.get(seen).copied() {
            seen = seen.saturating_add(1);
            match Self::at(source, at, boot) {
                Ok(copy) => {
                    if !copy.is_whole {
                        say(at, "its checksum does not fit".into());
                    }
                    let new: Vec<u64> = copy.copies.iter().copied().filter(|c| !wanted.contains(c)).collect();
                    if copy.is_whole && wanted.len() < COPIES.saturating_mul(2) {
                        wanted.extend(new);
                    }
                    found.push(copy);
                }
                Err(what) => say(at, what),
            }
        }
        let newest = found.iter().map(|c| (c.is_whole, c.nonce)).max();
        for old in found.iter().filter(|c| c.is_whole && Some((true, c.nonce)) < newest) {
            say(
                old.at,
                format!("older than another ({} writes of keys, not {})", old.nonce, newest.map_or(0, |n| n.1)),
            );
        }
        let best = found.into_iter().find(|c| Some((c.is_whole, c.nonce)) == newest);
        let best = best.ok_or("none of the copies of its metadata can be read")?;
        if !best.is_whole {
            say(best.at, "no copy has a checksum that fits; this one is used".into());
        }
        let rest = best.entries().rest();
        if rest.iter().any(|b| *b != 0) {
            let end = best.entries.end.saturating_sub(rest.len()) as u64;
            say(best.at.saturating_add(end), format!("the last {} bytes are no entries", rest.len()));
        }
        Ok(best)
    }

    fn at(source: &Source, at: u64, boot: &Boot) -> Result<Self, String> {
        let read = |len: usize| {
            let left = usize::try_from(source.len().saturating_sub(at)).unwrap_or(usize::MAX);
            let bytes = read_exact(&**source, at, len.min(left)).map_err(|e| e.to_string())?;
            Ok::<_, String>(bytes.unwrap_or_default())
        };
        let head = read(HEADER)?;
        if !head.starts_with(SIGNATURE) {
            return Err("nothing of the kind stands there".into());
        }
        let cut = || "it is cut short".to_owned();
        let version = short(&head, 10).filter(|v| matches!(v, 1..=3)).ok_or("its version is unknown")?;
        let size = usize::from(short(&head, 8).ok_or_else(cut)?);
        let size = if version >= 2 { size.saturating_mul(16) } else { size };
        if size < HEADER.saturating_add(ENTRIES_HEADER) || size > MAX_LEN {
            return Err(format!("it cannot have {size} bytes"));
        }
        let mut bytes = read(size.saturating_add(CHECK))?;
        if bytes.len() < size.saturating_add(8) {
            return Err(cut());
        }
        let check = bytes.split_off(size);
        let is_whole = word(&check, 4) == Some(crc32fast::hash(&bytes));
        let seal = Entries(check.get(8..).unwrap_or_default()).next();
        let seal = seal.filter(|e| e.kind == super::entry::WRAPPED).map(|e| e.value.to_vec());
        Self::parse(at, bytes, version, boot, is_whole, seal).ok_or_else(cut)
    }

    fn parse(at: u64, b: Vec<u8>, version: u16, boot: &Boot, is_whole: bool, seal: Option<Vec<u8>>) -> Option<Self> {
        let of = |at: usize| usize::try_from(word(&b, at)?).ok()?.checked_add(HEADER);
        let (start, end) = (of(72)?, of(76)?.min(b.len()));
        let mut metadata = Self {
            at,
            version,
            state: short(&b, 12)?,
            next_state: short(&b, 14)?,
            encrypted: long(&b, 16)?,
            logged: word(&b, 24)?,
            copies: [32, 40, 48].into_iter().filter_map(|at| long(&b, at)).collect(),
            mirror: long(&b, 56)?,
            moved: Run::new(0, 0),
            id: guid(&b, 80),
            nonce: word(&b, 96)?,
            method: short(&b, 100)?,
            created: long(&b, 104)?,
            is_whole,
            seal,
            entries: start.min(end)..end,
            bytes: b,
        };
        if version >= 2 {
            // The header counts sectors; before it did, an entry gave the run.
            let run = metadata.entries().find(|e| e.role == RELOCATED && e.kind == RUN);
            let sectors = u64::from(word(&metadata.bytes, 28)?);
            let len = match sectors.checked_mul(boot.sector as u64)? {
                0 => run.and_then(|r| r.long(8)).unwrap_or(0),
                len => len,
            };
            metadata.moved = Run::new(metadata.mirror, len);
        }
        Some(metadata)
    }

    pub(super) fn entries(&self) -> Entries<'_> {
        Entries(self.bytes.get(self.entries.clone()).unwrap_or_default())
    }
    pub(super) fn protectors(&self) -> impl Iterator<Item = Protector<'_>> {
        self.entries().filter(|e| e.role == MASTER_KEY && e.kind == MASTER).filter_map(Protector::of)
    }
    /// Bytes that each copy has for itself.
    pub(super) fn reserved(&self, boot: &Boot) -> u64 {
        match self.version {
            1 => 0x4000_u64.next_multiple_of(boot.cluster.max(512)),
            _ => 0x1_0000_u64.next_multiple_of(boot.sector as u64),
        }
    }
    /// The run that was being converted when the volume was last used.
    pub(super) fn in_work(&self) -> Option<Run> {
        let run = Run::new(self.encrypted, u64::from(self.logged));
        (self.state == CONVERTING_LOGGED && run.len > 0).then_some(run)
    }
}

/// The master key, as one of the ways to open the volume protects it.
#[derive(Clone)]
pub(super) struct Protector<'a> {
    pub id: String,
    /// 100 nanoseconds since 1601.
    pub changed: u64,
    pub kind: u16,
    pub parts: Entries<'a>,
}

pub(super) const CLEAR: u16 = 0;
pub(super) const STARTUP_KEY: u16 = 0x0200;
pub(super) const RECOVERY: u16 = 0x0800;
pub(super) const PASSWORD: u16 = 0x2000;
const TPM: u16 = 0x0100;
const PIN: u16 = 0x0400;

impl<'a> Protector<'a> {
    fn of(entry: Entry<'a>) -> Option<Self> {
        let kind = entry.short(26)? & 0xff00;
        Some(Self { id: guid(entry.value, 0), changed: entry.long(16)?, kind, parts: entry.inner(28) })
    }
    /// Whether nothing opens it but the computer's own chip.
    pub(super) fn needs_chip(&self) -> bool {
        self.kind & (TPM | PIN) != 0
    }
    pub(super) fn name(&self) -> String {
        match self.kind {
            CLEAR => "clear key".into(),
            TPM => "TPM".into(),
            STARTUP_KEY => "startup key".into(),
            0x0300 => "TPM and startup key".into(),
            0x0400 | 0x0500 => "TPM and PIN".into(),
            0x0600 | 0x0700 => "TPM, PIN and startup key".into(),
            RECOVERY => "recovery password".into(),
            0x1000 => "smart card or certificate".into(),
            PASSWORD => "password".into(),
            other => format!("of unknown kind {other:#06x}"),
        }
    }
}
