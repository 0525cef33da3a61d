//! Volume descriptors: where the trees begin, what the disc is called, where the boot catalog stands; and the
//! sessions that were appended to it.
//! Format: ECMA-119, chapter 8 ("Volume Descriptors"); Joliet (Microsoft, 1995); "El Torito" (Phoenix and IBM, 1995).
use super::fields::{both16, both32, long_time, text, wide};
use super::record::{self, Record};
use crate::base::Time;
use crate::fs::raw::{u8_at, u32_at};
use crate::image::{Source, read_exact};

/// Bytes of a sector; descriptors begin in sector 16.
pub(super) const SECTOR: u64 = 2048;
pub(super) const FIRST: u64 = 16;
/// Descriptors of one set.
const MAX_DESCRIPTORS: u64 = 64;
const SIGNATURE: &[u8] = b"CD001";

/// How names of a tree are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// Bytes as they are.
    Plain,
    /// UCS-2, big-endian.
    Joliet,
}

/// One descriptor with a tree of its own.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    pub(super) names: Names,
    /// Version 2: names of up to 207 bytes.
    pub(super) enhanced: bool,
    /// Bytes of a logical block.
    pub(super) block: u64,
    /// Blocks of the volume.
    pub(super) blocks: u32,
    pub(super) root: Record,
    pub(super) label: String,
    pub(super) system: String,
    pub(super) created: Option<Time>,
    pub(super) modified: Option<Time>,
    /// As recorded, to tell the same disc again.
    pub(super) stamp: Vec<u8>,
    /// Byte of the volume where the descriptor stands.
    pub(super) at: u64,
    /// Place and length of a path table.
    pub(super) paths: Option<(u64, u64)>,
}

/// A set of descriptors.
#[derive(Clone, Debug, Default)]
pub(super) struct Set {
    /// Sector of the session's first byte.
    pub(super) start: u64,
    pub(super) trees: Vec<Tree>,
    /// Byte of the volume of the boot catalog.
    pub(super) catalog: Option<u64>,
    /// What else stands there, in words.
    pub(super) others: Vec<String>,
    /// Damaged descriptors: byte of the volume, and what is wrong.
    pub(super) damaged: Vec<(u64, String)>,
    /// Sectors.
    pub(super) count: u64,
    /// Whether a terminator closes the set.
    pub(super) closed: bool,
}

impl Set {
    pub(super) fn primary(&self) -> Option<&Tree> {
        self.trees.iter().find(|t| t.names == Names::Plain && !t.enhanced)
    }
    /// Byte behind the volume, by its own word.
    pub(super) fn end(&self) -> u64 {
        self.trees.iter().map(|t| u64::from(t.blocks).saturating_mul(t.block)).max().unwrap_or(0)
    }
}

fn sector(source: &Source, number: u64) -> Option<Vec<u8>> {
    read_exact(&**source, number.checked_mul(SECTOR)?, 2048).ok().flatten()
}

/// What a volume without a readable descriptor begins with.
pub(super) fn other_name(source: &Source) -> Option<String> {
    let raw = read_exact(&**source, 0, 16).ok().flatten();
    let sync = [0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0];
    if raw.is_some_and(|b| b.starts_with(&sync)) {
        return Some("raw CD sectors of 2352 bytes: unpack the 2048 bytes of data of each sector first".to_owned());
    }
    let first = sector(source, FIRST)?;
    (first.get(9..14) == Some(b"CDROM")).then(|| "High Sierra, the format before ISO 9660".to_owned())
}

/// Whether descriptors begin where they have to.
pub(super) fn probe(source: &Source) -> bool {
    other_name(source).is_some() || (FIRST..FIRST.saturating_add(4)).any(|n| is_descriptor(source, n))
}
fn is_descriptor(source: &Source, number: u64) -> bool {
    let head = number.checked_mul(SECTOR).and_then(|at| read_exact(&**source, at, 8).ok().flatten());
    head.is_some_and(|b| b.get(1..6) == Some(SIGNATURE) && matches!(b.first(), Some(0..=3 | 255)))
}

/// Reads the set of a session.
pub(super) fn read(source: &Source, start: u64) -> Set {
    let mut set = Set { start, ..Set::default() };
    let mut missed = 0_u64;
    for n in 0..MAX_DESCRIPTORS {
        let number = start.saturating_add(FIRST).saturating_add(n);
        let at = number.saturating_mul(SECTOR);
        let Some(bytes) = sector(source, number) else { break };
        if bytes.get(1..6) != Some(SIGNATURE) {
            // The first ones may be damaged and those behind them not.
            missed = missed.saturating_add(1);
            if missed > 3 || !set.trees.is_empty() {
                break;
            }
            continue;
        }
        set.count = n.saturating_add(1);
        match bytes.first() {
            Some(0) => set.catalog = set.catalog.or_else(|| catalog(&bytes)),
            Some(1 | 2) => match tree(&bytes, at, source.len()) {
                Ok(tree) => set.trees.push(tree),
                Err(what) => set.damaged.push((at, what)),
            },
            Some(3) => set.others.push(format!("volume partition \"{}\"", text(&bytes, 40, 32))),
            Some(255) => {
                set.closed = true;
                break;
            }
            _ => set.damaged.push((at, "volume descriptor of an unknown type".to_owned())),
        }
    }
    if missed > 0 && !set.trees.is_empty() {
        let at = start.saturating_add(FIRST).saturating_mul(SECTOR);
        set.damaged.push((at, "the first volume descriptor is not readable; others were followed".to_owned()));
    }
    set
}

fn catalog(bytes: &[u8]) -> Option<u64> {
    bytes.get(7..30)?.starts_with(b"EL TORITO SPECIFICATION").then_some(())?;
    Some(u64::from(u32_at(bytes, 71)?).saturating_mul(SECTOR))
}

fn tree(bytes: &[u8], at: u64, len: u64) -> Result<Tree, String> {
    let short = || "volume descriptor cut off".to_owned();
    let supplementary = u8_at(bytes, 0) == Some(2);
    let escapes = bytes.get(88..120).ok_or_else(short)?;
    let joliet = supplementary && [b"%/@", b"%/C", b"%/E"].iter().any(|e| escapes.starts_with(*e));
    let block = u64::from(both16(bytes, 128).ok_or_else(short)?);
    if !matches!(block, 512 | 1024 | 2048) {
        return Err(format!("logical blocks of {block} bytes"));
    }
    let (blocks, _) = both32(bytes, 80, u32::MAX).ok_or_else(short)?;
    let most = u32::try_from(len / block).unwrap_or(u32::MAX);
    let root = record::parse(bytes.get(156..190).ok_or_else(short)?, at.saturating_add(156), most);
    let root = root.map_err(|e| format!("record of the root directory: {e}"))?;
    if !root.is_dir() {
        return Err("the root's record is not a directory's".to_owned());
    }
    let label = bytes.get(40..72).unwrap_or_default();
    let label = if joliet {
        String::from_utf8_lossy(&wide(label)).trim_end_matches([' ', '\0']).to_owned()
    } else {
        text(label, 0, 32)
    };
    let (paths, _) = both32(bytes, 132, u32::MAX).ok_or_else(short)?;
    let path_at = u64::from(u32_at(bytes, 140).ok_or_else(short)?).saturating_mul(block);
    Ok(Tree {
        names: if joliet { Names::Joliet } else { Names::Plain },
        enhanced: supplementary && u8_at(bytes, 6) == Some(2),
        block,
        blocks,
        root,
        label,
        system: text(bytes, 8, 32),
        created: long_time(bytes, 813),
        modified: long_time(bytes, 830),
        stamp: [bytes.get(40..72), bytes.get(190..318), bytes.get(813..847)].concat_some(),
        at,
        paths: (paths > 0).then_some((path_at, u64::from(paths))),
    })
}

trait ConcatSome {
    fn concat_some(self) -> Vec<u8>;
}
impl<const N: usize> ConcatSome for [Option<&[u8]>; N] {
    fn concat_some(self) -> Vec<u8> {
        self.into_iter().flatten().flatten().copied().collect()
    }
}

/// The record at a byte of the volume.
pub(super) fn record_at(source: &Source, at: u64) -> Option<Record> {
    let left = source.len().saturating_sub(at).min(255);
    let bytes = read_exact(&**source, at, usize::try_from(left).ok()?).ok().flatten()?;
    record::parse(&bytes, at, u32::MAX).ok()
}
/// Whether the tree's root can be read: its first record describes the root itself.
pub(super) fn root_holds(source: &Source, tree: &Tree) -> bool {
    let at = tree.root.first().saturating_mul(tree.block);
    record_at(source, at).is_some_and(|r| r.is_dir() && r.extent == tree.root.extent)
}

/// Sectors behind the end of a session in which the next one is looked for: on a CD 11,400 lie between them.
const WINDOW: u64 = 16_384;
/// Sessions of one disc.
const MAX_SESSIONS: usize = 100;

/// Further sets of descriptors: of sessions that were appended, and of the first one where a writer on a disk replaced
/// the descriptors in sector 16. Sorted by place.
pub(super) fn sessions(source: &Source, first: &Set) -> Vec<Set> {
    let mut found: Vec<Set> = Vec::new();
    let end = source.len() / SECTOR;
    // Where a writer on overwritable media puts its first session.
    let mut from = 32_u64;
    let mut to = from.saturating_add(1);
    if session_at(source, 32).is_none() {
        from = first.end() / SECTOR;
        to = from.saturating_add(WINDOW);
    }
    while from < end && found.len() < MAX_SESSIONS {
        let Some(set) = (from..to.min(end)).find_map(|n| session_at(source, n)) else { break };
        // A session counts its blocks from its own start or from the disc's.
        let own = set.end() / SECTOR;
        let behind = if own > set.start { own } else { own.saturating_add(set.start) };
        from = behind.max(set.start.saturating_add(FIRST).saturating_add(1));
        to = from.saturating_add(WINDOW);
        found.push(set);
    }
    found
}
/// A session's descriptors lead to blocks behind its own start; an image that lies in a file counts from itself.
fn session_at(source: &Source, start: u64) -> Option<Set> {
    if !is_descriptor(source, start.checked_add(FIRST)?) {
        return None;
    }
    let set = read(source, start);
    let tree = set.primary()?;
    let begins = u64::from(tree.root.extent).saturating_mul(tree.block);
    (begins > start.saturating_mul(SECTOR) && root_holds(source, tree)).then_some(set)
}
