//! zip archives, also with 64-bit sizes. Members are found by the directory at the archive's end; each is stored or
//! packed on its own.
//! Format: PKWARE's APPNOTE.TXT.
use super::format;
use super::member::{Body, Member, Packed};
use super::tree::{Archive, Builder};
use super::zip_directory::{Entry, entry, find, local, shown};
use crate::base::Run;
use crate::fs::{Format, FsError, FsInfo, NodeKind, Options, Times};
use crate::image::{Codec, Forward, ReadAt, Source, read_exact};
use std::sync::Arc;

const BY: &str = "fs.zip";
/// Members together may hold this many times the archive: no compressor of zip gets further, only members that
/// share their bytes do.
const RATIO: u64 = 1000;
const FREE: u64 = 64 << 20;
/// The member by which a zip archive is known as an image of the Advanced Forensic Format 4.
const AFF4: &[u8] = b"container.description";
/// Longest target of a link.
const MAX_TARGET: u64 = 1 << 16;

pub(in crate::fs) const FORMAT: Format = format(
    "zip",
    "zip archives (zip64, names in UTF-8 or as they are; stored, deflate, bzip2, zstd, xz members; extra fields of Unix and NTFS)",
    "of an AFF4 image the members are listed, the disk is not put together; encrypted members and the other methods (deflate64, lzma, ppmd …) are listed and named as gaps; archives over several files and without their directory are not read; times that only DOS fields give are in the zone of whoever wrote them, shown as UTC; a backslash in a name is a character",
    probe,
    |source, options| Ok(Arc::new(open(source, options)?)),
);

fn probe(source: &Source) -> bool {
    let head = read_exact(&**source, 0, 4).ok().flatten().unwrap_or_default();
    matches!(head.as_slice(), b"PK\x03\x04" | b"PK\x05\x06")
}

fn open(source: &Source, options: &Options) -> Result<Archive, FsError> {
    let directory = find(source).map_err(|(at, what)| FsError::Corrupt { at, what })?;
    let mut builder = Builder::new(BY, source.clone(), options.gaps.clone());
    builder.share(options.store.clone());
    let mut rest = directory.bytes.as_slice();
    let mut seen = 0_u64;
    let mut budget = FREE.max(source.len().saturating_mul(RATIO));
    let mut tally = Tally::default();
    while !rest.is_empty() {
        let at = directory.at.saturating_add(directory.bytes.len().saturating_sub(rest.len()) as u64);
        if builder.is_full(at, rest.len() as u64) {
            break;
        }
        let Some(found) = entry(rest) else {
            builder.gap(at, "damaged directory; the rest of it is not listed", rest.len() as u64);
            break;
        };
        rest = rest.get(found.size..).unwrap_or_default();
        seen = seen.saturating_add(1);
        if found.name == AFF4 {
            let what =
                "an AFF4 image: its members are listed as they lie there, the disk that they hold is not put together";
            builder.gap(found.header, what, source.len());
        }
        add(source, &mut builder, &found, directory.shift, &mut budget, &mut tally);
    }
    // Counts of 16 bits run over in archives of old programs.
    if seen != directory.entries && (directory.has_zip64 || seen & 0xffff != directory.entries) {
        builder.gap(
            directory.at,
            format!("{} members by its last record, {seen} in its directory", directory.entries),
            directory.end.saturating_sub(directory.at),
        );
    }
    tally.tell(&builder);
    if directory.end < source.len() {
        let behind = source.len().saturating_sub(directory.end);
        builder.gap(directory.end, format!("{behind} bytes behind the archive"), behind);
    }
    let mut features = Vec::new();
    if directory.has_zip64 {
        features.push("zip64".to_owned());
    }
    let info = FsInfo { kind: "zip".into(), block_size: 1, clean: true, features, ..FsInfo::default() };
    Ok(builder.finish(info))
}

/// Faults that many members share, told once each.
#[derive(Default)]
struct Tally {
    encrypted: (u64, u64, String),
    renamed: (u64, u64, String),
    over: (u64, u64, String),
}
impl Tally {
    fn note(of: &mut (u64, u64, String), bytes: u64, name: &[u8]) {
        if of.0 == 0 {
            of.2 = shown(name);
        }
        of.0 = of.0.saturating_add(1);
        of.1 = of.1.saturating_add(bytes);
    }
    fn tell(&self, builder: &Builder) {
        let all = [
            (&self.encrypted, "members are encrypted and not read"),
            (&self.renamed, "members have another name in their own header than in the directory, which counts"),
            (
                &self.over,
                "members are beyond what the archive can hold (budget: ratio): members share their bytes; not read",
            ),
        ];
        for ((count, bytes, first), what) in all {
            if *count > 0 {
                builder.gap(0, format!("{count} {what}; first: {first}"), *bytes);
            }
        }
    }
}

fn add(source: &Source, builder: &mut Builder, found: &Entry, shift: u64, budget: &mut u64, tally: &mut Tally) {
    let mode = found.mode.unwrap_or(0);
    let kind = match mode >> 12 {
        0o12 => NodeKind::Symlink,
        0o04 => NodeKind::Directory,
        0o01 => NodeKind::Fifo,
        0o02 => NodeKind::CharDevice,
        0o06 => NodeKind::BlockDevice,
        0o14 => NodeKind::Socket,
        _ if found.name.ends_with(b"/") || (found.is_folder && found.len == 0) => NodeKind::Directory,
        _ => NodeKind::File,
    };
    let mut member = Member::new(found.name.clone(), kind);
    if found.mode.is_some() {
        member.mode = mode & 0o7777;
    }
    if let Some((uid, gid)) = found.owner {
        (member.uid, member.gid) = (uid, gid);
    }
    member.times =
        Times { modified: found.modified, accessed: found.accessed, created: found.created, ..Times::default() };
    if matches!(kind, NodeKind::File | NodeKind::Symlink) {
        member.len = found.len;
        member.body = body(source, builder, found, shift, budget, tally);
        if kind == NodeKind::Symlink {
            member.body = link(source, &member);
        }
    }
    builder.add(member);
}

/// Where a member's bytes stand.
fn body(source: &Source, builder: &Builder, found: &Entry, shift: u64, budget: &mut u64, tally: &mut Tally) -> Body {
    let header = found.header.saturating_add(shift);
    let (from, own) = match local(source, header) {
        Ok(local) => local,
        Err(what) => {
            builder.gap(header, format!("{}: {what}", shown(&found.name)), found.packed);
            return Body::Lost(what.into());
        }
    };
    // A name in UTF-8 may stand in an extra field; flag 13 hides the own header.
    if own != found.name && own.is_ascii() && found.name.is_ascii() && found.flags & 0x2000 == 0 {
        Tally::note(&mut tally.renamed, 0, &found.name);
    }
    if found.flags & 1 != 0 || found.method == 99 {
        Tally::note(&mut tally.encrypted, found.len, &found.name);
        return Body::Lost("encrypted".into());
    }
    let Some(left) = budget.checked_sub(found.len) else {
        Tally::note(&mut tally.over, found.len, &found.name);
        return Body::Lost("budget: ratio".into());
    };
    *budget = left;
    let codec = match found.method {
        0 if found.packed == found.len => return Body::At(from),
        8 => Codec::Deflate,
        12 => Codec::Bzip2,
        93 => Codec::Zstd,
        95 => Codec::Xz,
        0 => {
            let what = format!("stored, but {} bytes are stated for {}", found.packed, found.len);
            builder.gap(header, format!("{}: {what}", shown(&found.name)), found.len);
            return Body::Lost(what.into());
        }
        method => {
            let what = format!("packed by method {method} ({}), which is not read", method_name(method));
            builder.gap(header, format!("{}: {what}", shown(&found.name)), found.len);
            return Body::Lost(what.into());
        }
    };
    Body::Packed(Box::new(Packed { input: Run::new(from, found.packed), codec, sum: found.sum }))
}

/// APPNOTE.TXT, 4.4.5.
fn method_name(method: u16) -> &'static str {
    match method {
        1 => "shrink",
        2..=5 => "reduce",
        6 => "implode",
        9 => "deflate64",
        14 => "lzma",
        97 => "wavpack",
        98 => "ppmd",
        _ => "unknown",
    }
}

/// The target of a link is its content.
fn link(source: &Source, member: &Member) -> Body {
    let lost = |what: String| Body::Lost(what.into());
    if member.len > MAX_TARGET {
        return lost(format!("link whose target has {} bytes", member.len));
    }
    let mut bytes = vec![0; usize::try_from(member.len).unwrap_or(0)];
    let read = match &member.body {
        Body::At(from) => source.read_at(*from, &mut bytes),
        Body::Packed(p) => {
            Forward::new(source.clone(), p.input, p.codec, member.len, Some(p.sum), None).read_at(0, &mut bytes)
        }
        other => return other.clone(),
    };
    match read {
        Ok(n) if n == bytes.len() => Body::Target(bytes.into()),
        Ok(_) => lost("the archive ends within this link's target".into()),
        Err(e) => lost(e.to_string()),
    }
}
