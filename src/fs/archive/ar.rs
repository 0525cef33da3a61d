//! ar: the archive of static libraries, and of Debian and older opkg packages.
//! Format: ar(5) of FreeBSD, with the long names of GNU and BSD.
use super::format;
use super::member::{Body, Member};
use super::tree::{Archive, Builder};
use crate::base::Time;
use crate::fs::raw::corrupt;
use crate::fs::{Format, FsError, FsInfo, NodeKind, Options};
use crate::image::{Source, read_exact};
use std::sync::Arc;

const BY: &str = "fs.ar";
const MAGIC: &[u8] = b"!<arch>\n";
/// Longest table of names that is read.
const MAX_NAMES: u64 = 64 << 20;

pub(in crate::fs) const FORMAT: Format = format(
    "ar",
    "ar archives: Debian and opkg packages, static libraries",
    "thin archives are not read",
    probe,
    |source, options| Ok(Arc::new(open(source, options)?)),
);

fn probe(source: &Source) -> bool {
    read_exact(&**source, 0, MAGIC.len()).is_ok_and(|b| b.as_deref() == Some(MAGIC))
}

/// A number in digits, filled up with blanks.
fn number(field: &[u8], base: u32) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?.trim();
    if text.is_empty() { Some(0) } else { u64::from_str_radix(text, base).ok() }
}

fn open(source: &Source, options: &Options) -> Result<Archive, FsError> {
    if !probe(source) {
        return Err(corrupt(0, "no header of ar"));
    }
    let mut builder = Builder::new(BY, source.clone(), options.gaps.clone());
    let len = source.len();
    let mut names = Vec::new();
    let mut at = MAGIC.len() as u64;
    let mut steps = options.budget.steps;
    while at < len && !builder.is_full(at, len.saturating_sub(at)) {
        let Some(left) = steps.checked_sub(1) else {
            builder.gap(at, "budget: steps; the rest is not listed", len.saturating_sub(at));
            break;
        };
        steps = left;
        let head = match read_exact(&**source, at, 60) {
            Ok(Some(head)) => head,
            Ok(None) => {
                builder.gap(at, "the archive ends within a header", len.saturating_sub(at));
                break;
            }
            Err(e) => {
                builder.gap(at, e, len.saturating_sub(at));
                break;
            }
        };
        let field = |from: usize, to: usize| head.get(from..to).unwrap_or_default();
        let size = number(field(48, 58), 10).filter(|_| field(58, 60) == b"`\n");
        let Some(size) = size else {
            builder.gap(at, "damaged header; the rest is not listed", len.saturating_sub(at));
            break;
        };
        let data = at.saturating_add(60);
        let next = data.saturating_add(size).checked_next_multiple_of(2).unwrap_or(u64::MAX);
        if data.saturating_add(size) > len {
            builder.gap(at, "the archive ends within a member", data.saturating_add(size).saturating_sub(len));
        }
        let raw = field(0, 16).trim_ascii_end();
        if raw == b"//" {
            names = read_exact(&**source, data, usize::try_from(size.min(MAX_NAMES)).unwrap_or(0))?.unwrap_or_default();
        } else if raw != b"/" && raw != b"/SYM64/" {
            let (name, skip) = name(source, raw, &names, data, size);
            let mut member = Member::new(name, NodeKind::File);
            let small = |from, to, base| number(field(from, to), base).and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
            member.mode = small(40, 48, 8) & 0o7777;
            (member.uid, member.gid) = (small(28, 34, 10), small(34, 40, 10));
            let modified = number(field(16, 28), 10).and_then(|n| i64::try_from(n).ok());
            member.times.modified = modified.map(Time::seconds);
            member.len = size.saturating_sub(skip);
            member.body = Body::At(data.saturating_add(skip));
            builder.add(member);
        }
        at = next;
    }
    let info = FsInfo { kind: "ar".into(), block_size: 1, clean: true, ..FsInfo::default() };
    Ok(builder.finish(info))
}

/// The name, and how many bytes of the member it takes.
fn name(source: &Source, raw: &[u8], names: &[u8], data: u64, size: u64) -> (Vec<u8>, u64) {
    let digits = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<usize>().ok();
    if let Some(len) = raw.strip_prefix(b"#1/").and_then(digits).filter(|len| *len as u64 <= size && *len <= 1 << 16)
        && let Ok(Some(name)) = read_exact(&**source, data, len)
    {
        let name = name.split(|b| *b == 0).next().unwrap_or_default();
        return (name.to_vec(), len as u64);
    }
    if let Some(rest) = raw.strip_prefix(b"/").and_then(digits).and_then(|at| names.get(at..)) {
        let name = rest.split(|b| *b == b'\n').next().unwrap_or_default();
        return (name.strip_suffix(b"/").unwrap_or(name).to_vec(), 0);
    }
    (raw.strip_suffix(b"/").unwrap_or(raw).to_vec(), 0)
}
