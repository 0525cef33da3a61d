//! tar: v7, ustar, GNU (long names and links, sparse files) and pax (also global headers, extended attributes, its
//! sparse forms). Member numbers count in the order of the archive.
//! Formats: POSIX.1-2017 "pax" (ustar and pax interchange format), tar(5) of libarchive, and "Basic Tar Format",
//! "GNU Extensions" and "Storing Sparse Files" of the GNU tar manual.
use super::format;
use super::member::{Body, Member};
use super::pax::Records;
use super::sparse;
use super::tree::{Archive, Builder};
use crate::base::{Name, Time, is_zero};
use crate::fs::raw::{corrupt, size};
use crate::fs::{Format, FsError, FsInfo, NodeKind, Options};
use crate::image::{Source, read_exact};
use std::sync::Arc;

const BY: &str = "fs.tar";
pub(super) const BLOCK: u64 = 512;
/// Longest extended header or long name that is read.
const MAX_HEADER: u64 = 16 << 20;
/// How far behind the archive's end a further member is looked for, and damage is searched for the next header.
const BEHIND: u64 = 1 << 20;
const RESYNC: u64 = 1 << 30;

pub(in crate::fs) const FORMAT: Format = format(
    "tar",
    "tar archives: v7, ustar, GNU and pax, with sparse files, extended attributes and links",
    "names of owners are not kept, their numbers are; continued members of multi-volume archives and incremental dumps are listed as what they hold; a member that a later one of the same name replaces is listed as deleted",
    probe,
    |source, options| Ok(Arc::new(open(source, options)?)),
);

/// A number in octal digits, or in base 256 where its first bit is set; `None` where it is neither.
pub(super) fn number(field: &[u8]) -> Option<i64> {
    if let [first @ (0x80 | 0xff), rest @ ..] = field {
        let start = if *first == 0xff { -1_i64 } else { 0 };
        return rest.iter().try_fold(start, |n, b| n.checked_mul(256)?.checked_add(i64::from(*b)));
    }
    let text = field.trim_ascii_start();
    let end = text.iter().position(|b| matches!(b, 0 | b' ')).unwrap_or(text.len());
    let digits = text.get(..end).unwrap_or_default();
    let digit = |n: i64, b: &u8| {
        let digit = b.checked_sub(b'0').filter(|d| *d < 8)?;
        n.checked_mul(8)?.checked_add(i64::from(digit))
    };
    digits.iter().try_fold(0, digit)
}

/// Bytes up to the first zero.
fn text(field: &[u8]) -> &[u8] {
    field.split(|b| *b == 0).next().unwrap_or_default()
}

struct Header<'a>(&'a [u8]);
impl<'a> Header<'a> {
    fn field(&self, at: usize, len: usize) -> &'a [u8] {
        self.0.get(at..at.saturating_add(len)).unwrap_or_default()
    }
    fn is_zero(&self) -> bool {
        is_zero(self.0)
    }
    /// The sum of all bytes, its own field counted as blanks; some old programs added signed bytes.
    fn holds(&self) -> bool {
        let Some(stated) = number(self.field(148, 8)) else { return false };
        let bytes = || self.0.iter().enumerate().map(|(at, b)| if (148..156).contains(&at) { b' ' } else { *b });
        let plain: i64 = bytes().map(i64::from).sum();
        let signed: i64 = bytes().map(|b| i64::from(b.cast_signed())).sum();
        stated == plain || stated == signed
    }
    fn is_ustar(&self) -> bool {
        self.field(257, 5) == b"ustar"
    }
    fn is_gnu(&self) -> bool {
        self.field(257, 8) == b"ustar  \0"
    }
    fn kind(&self) -> u8 {
        self.0.get(156).copied().unwrap_or(0)
    }
    /// What v7 has no magic for: fields that hold numbers, and a name.
    fn is_plausible(&self) -> bool {
        let numbers = [(100, 8), (108, 8), (116, 8), (124, 12), (136, 12)];
        self.holds()
            && self.field(0, 1) != [0]
            && numbers.iter().all(|(at, len)| number(self.field(*at, *len)).is_some())
            && matches!(self.kind(), 0 | b'0'..=b'7' | b'A'..=b'Z' | b'g' | b'x')
    }
    fn name(&self) -> Vec<u8> {
        let name = text(self.field(0, 100));
        let prefix = text(self.field(345, 155));
        if self.is_ustar() && !self.is_gnu() && !prefix.is_empty() {
            [prefix, b"/", name].concat()
        } else {
            name.to_vec()
        }
    }
}

fn probe(source: &Source) -> bool {
    let Ok(Some(head)) = read_exact(&**source, 0, 512) else { return false };
    let header = Header(&head);
    header.is_ustar() && header.holds() || header.is_plausible()
}

/// What extended headers say of the member that follows.
#[derive(Default)]
struct Ahead {
    name: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    records: Records,
}

struct Reader<'a> {
    source: &'a Source,
    builder: Builder,
    global: Records,
    ahead: Ahead,
    info: FsInfo,
    steps: u64,
    behind: bool,
    missing_links: u64,
    odd: u64,
}

fn open(source: &Source, options: &Options) -> Result<Archive, FsError> {
    if !probe(source) {
        return Err(corrupt(0, "no header of tar"));
    }
    let mut reader = Reader {
        source,
        builder: Builder::new(BY, source.clone(), options.gaps.clone()),
        global: Records::default(),
        ahead: Ahead::default(),
        info: FsInfo { kind: "tar".into(), block_size: 512, clean: true, ..FsInfo::default() },
        steps: options.budget.steps,
        behind: false,
        missing_links: 0,
        odd: 0,
    };
    reader.run();
    let Reader { builder, mut info, missing_links, odd, .. } = reader;
    if missing_links > 0 {
        builder.gap(0, format!("{missing_links} hard links to members that are not in the archive"), 0);
    }
    if odd > 0 {
        builder.gap(0, format!("{odd} members of a type that only some programs know; taken as files"), 0);
    }
    info.features.sort();
    info.features.dedup();
    Ok(builder.finish(info))
}

impl Reader<'_> {
    fn run(&mut self) {
        let len = self.source.len();
        let mut at = 0_u64;
        loop {
            if at >= len {
                self.builder.gap(len, "the archive ends without the mark of its end: members may be missing", 0);
                break;
            }
            let Some(steps) = self.steps.checked_sub(1) else {
                self.builder.gap(at, "budget: steps; the rest is not listed", len.saturating_sub(at));
                break;
            };
            self.steps = steps;
            if self.builder.is_full(at, len.saturating_sub(at)) {
                break;
            }
            let block = match read_exact(&**self.source, at, 512) {
                Ok(Some(block)) => block,
                Ok(None) => {
                    let rest = len.saturating_sub(at);
                    self.builder.gap(at, "the archive ends within a header", rest);
                    break;
                }
                Err(e) => {
                    self.builder.gap(at, format!("{e}; the rest is not listed"), len.saturating_sub(at));
                    break;
                }
            };
            let header = Header(&block);
            if header.is_zero() {
                match self.behind_end(at) {
                    Some(next) => at = next,
                    None => break,
                }
                continue;
            }
            if !header.holds() {
                match self.resync(at) {
                    Some(next) => at = next,
                    None => break,
                }
                continue;
            }
            at = self.member(at, &header);
        }
    }
    /// Where, behind two blocks of zeros, a further archive begins: some programs leave one there, most never look.
    fn behind_end(&mut self, from: u64) -> Option<u64> {
        let limit = from.saturating_add(BEHIND).min(self.source.len());
        let mut at = from;
        while at < limit {
            let block = read_exact(&**self.source, at, 512).ok().flatten()?;
            let header = Header(&block);
            if header.is_ustar() && header.holds() {
                if at.saturating_sub(from) == BLOCK {
                    let what = "a lone block of zeros among the members: no end, a header was erased";
                    self.builder.gap(from, what, BLOCK);
                }
                if at.saturating_sub(from) > BLOCK && !self.behind {
                    self.behind = true;
                    self.builder.gap(
                        at,
                        "members stand behind the end of the archive; most programs do not show them",
                        0,
                    );
                }
                return Some(at);
            }
            if !header.is_zero() {
                let rest = self.source.len().saturating_sub(at);
                self.builder.gap(at, format!("{rest} bytes of something else behind the archive"), rest);
                return None;
            }
            at = at.saturating_add(BLOCK);
        }
        let rest = self.source.len().saturating_sub(at);
        if rest > 0 {
            self.builder.gap(at, "not looked at: further behind the end of the archive", rest);
        }
        None
    }
    /// The next header behind damage.
    fn resync(&mut self, from: u64) -> Option<u64> {
        let limit = from.saturating_add(RESYNC).min(self.source.len());
        let mut at = from.saturating_add(BLOCK);
        let mut buffer = vec![0; 1 << 16];
        while at < limit {
            let n = self.source.read_at(at, &mut buffer).unwrap_or(0);
            let blocks = buffer.get(..n).unwrap_or_default().chunks_exact(512);
            for (number, block) in (0_u64..).zip(blocks) {
                let header = Header(block);
                if header.is_ustar() && header.holds() {
                    let next = at.saturating_add(number.saturating_mul(BLOCK));
                    let lost = next.saturating_sub(from);
                    self.builder.gap(from, "damaged header; the next one behind it is taken", lost);
                    return Some(next);
                }
            }
            if n < 512 {
                break;
            }
            at = at.saturating_add((n as u64) / BLOCK * BLOCK);
        }
        let rest = self.source.len().saturating_sub(from);
        self.builder.gap(from, "damaged header, and none found behind it; the rest is not listed", rest);
        None
    }
    /// The bytes of an extended header.
    fn body(&self, at: u64, len: u64) -> Option<Vec<u8>> {
        if len > MAX_HEADER {
            self.builder.gap(at, format!("budget: an extended header of {len} bytes; not read"), len);
            return None;
        }
        match read_exact(&**self.source, at, size(len)) {
            Ok(Some(bytes)) => Some(bytes),
            Ok(None) => {
                self.builder.gap(at, "the archive ends within an extended header", len);
                None
            }
            Err(e) => {
                self.builder.gap(at, e, len);
                None
            }
        }
    }
    /// Reads one header and what belongs to it; where the next one stands.
    fn member(&mut self, at: u64, header: &Header<'_>) -> u64 {
        let data = at.saturating_add(BLOCK);
        let stated = number(header.field(124, 12)).and_then(|n| u64::try_from(n).ok());
        let Some(stated) = stated else {
            self.builder.gap(at, "a header whose size is no number", BLOCK);
            return data;
        };
        let after = |len: u64| {
            let blocks = len.checked_next_multiple_of(BLOCK).unwrap_or(u64::MAX);
            data.saturating_add(blocks)
        };
        match header.kind() {
            b'x' | b'X' => {
                if let Some(bytes) = self.body(data, stated) {
                    self.note("pax");
                    let whole = self.ahead.records.read(&bytes);
                    self.check_records(data, whole);
                }
                after(stated)
            }
            b'g' => {
                if let Some(bytes) = self.body(data, stated) {
                    self.note("pax");
                    let whole = self.global.read(&bytes);
                    self.check_records(data, whole);
                }
                after(stated)
            }
            b'L' | b'K' => {
                if let Some(bytes) = self.body(data, stated) {
                    self.note("gnu");
                    let name = Some(text(&bytes).to_vec());
                    if header.kind() == b'L' { self.ahead.name = name } else { self.ahead.target = name }
                }
                after(stated)
            }
            b'V' => {
                self.info.label = Name::from(header.name()).display();
                after(stated)
            }
            _ => self.entry(at, header, stated),
        }
    }
    fn note(&mut self, feature: &str) {
        if !self.info.features.iter().any(|f| f == feature) {
            self.info.features.push(feature.to_owned());
        }
    }
    fn check_records(&self, at: u64, whole: bool) {
        if !whole {
            self.builder.gap(at, "a damaged pax header; its records are read up to the damage", 0);
        }
    }
    fn entry(&mut self, at: u64, header: &Header<'_>, stated: u64) -> u64 {
        let ahead = std::mem::take(&mut self.ahead);
        let records = ahead.records.over(&self.global);
        let data = at.saturating_add(BLOCK);
        let name = records.path().or(ahead.name).unwrap_or_else(|| header.name());
        let target = records.target().or(ahead.target).unwrap_or_else(|| text(header.field(157, 100)).to_vec());
        let len = records.size().unwrap_or(stated);
        let kind = match header.kind() {
            b'2' => NodeKind::Symlink,
            b'3' => NodeKind::CharDevice,
            b'4' => NodeKind::BlockDevice,
            b'5' | b'D' => NodeKind::Directory,
            b'6' => NodeKind::Fifo,
            // Before POSIX a folder was a file whose name ends with a slash.
            0 | b'0' if name.ends_with(b"/") => NodeKind::Directory,
            _ => NodeKind::File,
        };
        let small = |at, len| number(header.field(at, len)).map_or(0, |n| u32::try_from(n).unwrap_or(u32::MAX));
        let mut member = Member::new(name, kind);
        member.mode = small(100, 8);
        member.uid = records.uid().unwrap_or_else(|| small(108, 8));
        member.gid = records.gid().unwrap_or_else(|| small(116, 8));
        member.times = records.times();
        if member.times.modified.is_none() {
            member.times.modified = number(header.field(136, 12)).map(Time::seconds);
        }
        member.xattrs = records.xattrs();
        if matches!(kind, NodeKind::CharDevice | NodeKind::BlockDevice) {
            member.device = Some((small(329, 8), small(337, 8)));
        }
        // A folder or device has no bytes, whatever its size says; an incremental dump's folder has its listing.
        let has_bytes = kind == NodeKind::File && header.kind() != b'1' || header.kind() == b'D';
        let stored = if has_bytes || (header.kind() == b'1' && records.size().is_some()) { len } else { 0 };
        let mut next = data.saturating_add(stored.checked_next_multiple_of(BLOCK).unwrap_or(u64::MAX));
        if kind == NodeKind::Symlink {
            member.len = target.len() as u64;
            member.body = Body::Target(target.into());
        } else if header.kind() == b'1' {
            self.hard_link(&mut member, &target, data, stored);
            if member.name.is_empty() {
                return next;
            }
        } else if kind == NodeKind::File {
            member.len = len;
            member.body = Body::At(data);
            if let Some(end) = self.sparse(&mut member, header, &records, data, len) {
                next = end;
            }
            match header.kind() {
                0 | b'0' | b'7' | b'S' => {}
                b'M' => member.flags.push("continued"),
                _ => self.odd = self.odd.saturating_add(1),
            }
        }
        if self.behind {
            member.flags.push("behind-the-end");
        }
        if next > self.source.len() {
            let lost = next.saturating_sub(self.source.len()).min(stored);
            self.builder.gap(at, format!("the archive ends within the member {}", Name::new(&member.name)), lost);
        }
        self.builder.add(member);
        next
    }
    /// A further name of an earlier member; a member of its own where that is not there, or brings bytes.
    fn hard_link(&mut self, member: &mut Member, target: &[u8], data: u64, stored: u64) {
        match self.builder.find(target) {
            Some(node) => {
                if stored > 0
                    && let Some(first) = self.builder.member_mut(node).filter(|m| m.len == 0)
                {
                    (first.len, first.body) = (stored, Body::At(data));
                }
                let name = std::mem::take(&mut member.name);
                self.builder.add_link(&name, node);
            }
            None if stored > 0 => (member.len, member.body) = (stored, Body::At(data)),
            None => {
                self.missing_links = self.missing_links.saturating_add(1);
                let target = Name::new(target).display();
                member.flags.push("link-without-target");
                member.body = Body::Lost(format!("hard link to {target}, which is not in the archive").into());
            }
        }
    }
    /// Where the file is sparse: its parts. Gives the place of the next header if it is not where the size says.
    fn sparse(
        &mut self,
        member: &mut Member,
        header: &Header<'_>,
        records: &Records,
        data: u64,
        len: u64,
    ) -> Option<u64> {
        let found = if header.kind() == b'S' {
            sparse::gnu(&**self.source, header.0, data)
        } else if records.is_sparse() {
            sparse::pax(&**self.source, records, data, len)
        } else {
            return None;
        };
        self.note("sparse");
        match found {
            Ok(map) => {
                // The old map stands in blocks of its own that the size does not count, the newest one is counted.
                let old = map.data.saturating_add(len).checked_next_multiple_of(BLOCK);
                let next = if header.kind() == b'S' { old } else { None };
                member.len = map.len;
                if let Some(name) = records.sparse_name() {
                    member.name = name;
                }
                member.body = Body::Sparse(map.extents().into());
                next
            }
            Err(what) => {
                self.builder.gap(data, format!("{}: {what}", Name::new(&member.name)), len);
                member.body = Body::Lost(what.into());
                None
            }
        }
    }
}
