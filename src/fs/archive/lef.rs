//! Logical evidence of EnCase (`.L01`): the list of its files, and their contents, as `image::ewf` gives them one
//! behind the other.
//! Format: the ltree section in the libewf project's "Expert Witness Compression Format specification".
mod entry;
mod lines;

use super::format;
use super::member::{Body, Member};
use super::tree::{Archive, Builder};
use crate::fs::extents::{At, Extent};
use crate::fs::{Format, FsError, FsInfo, NodeKind, Options};
use crate::image::{Source, read_exact};
use entry::{Columns, Entry};
use libdeflater::adler32;
use lines::Lines;

const BY: &str = "fs.l01";
/// Bytes before the text of the list.
const HEAD: u64 = 48;
/// Folders within folders.
const MAX_DEPTH: usize = 4096;
/// Sources that are named one by one.
const MAX_SOURCES: usize = 100;

pub(in crate::fs) const FORMAT: Format = format(
    "l01",
    "logical evidence of EnCase 5 to 7 (L01): files with names, times, sizes and MD5, by the list that the container holds",
    "permissions and extended attributes of the list are not read; logical evidence of EnCase 7's own format (Lx01) is recognized only; a slash in a name is shown as %2F, since no file system has one",
    probe,
    |source, options| Ok(std::sync::Arc::new(open(source, options)?)),
);

/// The head's checksum, and text that begins like a list.
fn probe(source: &Source) -> bool {
    let Some(mut head) = read_exact(&**source, 0, 68).ok().flatten() else { return false };
    let told = head.get(24..28).and_then(|b| b.first_chunk().map(|b| u32::from_le_bytes(*b)));
    if let Some(sum) = head.get_mut(24..28) {
        sum.fill(0);
    }
    let text: Vec<u8> = head.get(48..).unwrap_or_default().chunks(2).filter_map(|c| c.first().copied()).collect();
    let begins = text.split(|b| *b == b'\n').nth(1).is_some_and(|l| l.starts_with(b"rec") || b"record".starts_with(l));
    told == head.get(..48).map(adler32) && text.first().is_some_and(u8::is_ascii_digit) && begins
}

fn open(source: &Source, options: &Options) -> Result<Archive, FsError> {
    let head = read_exact(&**source, 0, 48)?.unwrap_or_default();
    let len = head.get(16..24).and_then(|b| b.first_chunk().map(|b| u64::from_le_bytes(*b))).unwrap_or(0);
    let data = HEAD.saturating_add(len);
    let mut builder = Builder::new(BY, source.clone(), options.gaps.clone());
    let mut info = FsInfo { kind: "l01".into(), block_size: 1, clean: true, ..FsInfo::default() };
    let mut lines = Lines::new(source, HEAD, data.min(source.len()));
    // How many categories there are says nothing that the categories do not.
    lines.next()?;
    let mut found = false;
    while let Some((at, name)) = lines.next()? {
        match name.as_str() {
            "" => {}
            "entry" => {
                found = true;
                entries(source, &mut lines, &mut builder, data)?;
            }
            "rec" => {
                let (keys, values) = (lines.next()?, lines.next()?);
                let total = keys.zip(values).and_then(|(k, v)| Columns::new(&k.1).get(&v.1, "tb").parse::<u64>().ok());
                let there = source.len().saturating_sub(data);
                if let Some(total) = total.filter(|n| *n > there) {
                    let what = format!("the files are said to have {total} bytes together; {there} are there");
                    builder.gap(at, what, total.saturating_sub(there));
                }
                skip(&mut lines)?;
            }
            "srce" => sources(&mut lines, &mut info)?,
            // Permissions, subjects, and what later versions may add.
            _ => skip(&mut lines)?,
        }
    }
    if !found {
        builder.gap(HEAD, "the list of files has no category “entry”: it names no file", 0);
    }
    let sum = lines.digest()?;
    if head.get(..16).is_some_and(|told| told.iter().any(|b| *b != 0) && told != sum.as_slice()) {
        builder.gap(0, "the list of files differs from the MD5 that stands before it", len);
    }
    Ok(builder.finish(info))
}

/// To the empty line that ends a category.
fn skip(lines: &mut Lines<'_>) -> Result<(), FsError> {
    while lines.next()?.is_some_and(|(_, line)| !line.is_empty()) {}
    Ok(())
}

/// The two lines of an entry: how many entries are in it, and its values.
fn pair(lines: &mut Lines<'_>) -> Result<Option<(u64, u64, String)>, FsError> {
    let Some((at, counts)) = lines.next()?.filter(|(_, line)| !line.is_empty()) else { return Ok(None) };
    let Some((_, values)) = lines.next()? else { return Ok(None) };
    let below = counts.split('\t').nth(1).and_then(|n| n.trim().parse().ok()).unwrap_or(0);
    Ok(Some((at, below, values)))
}

/// The category's counts, which its entries repeat, and its columns.
fn columns(lines: &mut Lines<'_>) -> Result<Option<Columns>, FsError> {
    lines.next()?;
    Ok(lines.next()?.map(|(_, line)| Columns::new(&line)))
}

/// From which devices the files were taken.
fn sources(lines: &mut Lines<'_>, info: &mut FsInfo) -> Result<(), FsError> {
    const SHOWN: &[(&str, &str)] = &[
        ("n", "name"),
        ("ev", "evidence number"),
        ("loc", "location"),
        ("mfr", "manufacturer"),
        ("mo", "model"),
        ("se", "serial number"),
        ("tb", "bytes"),
        ("ah", "md5"),
        ("sh", "sha1"),
        ("ip", "address"),
        ("ma", "MAC"),
        ("aq", "acquired"),
    ];
    let Some(columns) = columns(lines)? else { return Ok(()) };
    let mut number = 0_usize;
    while let Some((_, _, values)) = pair(lines)? {
        number = number.saturating_add(1);
        let known = |v: &&str| !v.is_empty() && v.bytes().any(|b| b != b'0');
        let said: Vec<String> = SHOWN
            .iter()
            .filter_map(|(key, name)| Some((*name, Some(columns.get(&values, key)).filter(known)?)))
            .map(|(name, value)| match (name, value.parse()) {
                ("acquired", Ok(seconds)) => format!("{name} {}", crate::base::Time::seconds(seconds)),
                _ => format!("{name} {value}"),
            })
            .collect();
        if !said.is_empty() && number <= MAX_SOURCES {
            info.details.push(("source".into(), said.join(", ")));
        }
    }
    Ok(())
}

/// The tree of entries: each says how many follow that lie in it.
fn entries(source: &Source, lines: &mut Lines<'_>, builder: &mut Builder, data: u64) -> Result<(), FsError> {
    let Some(columns) = columns(lines)? else { return Ok(()) };
    // Entries that are still to come in each open folder, and the folder's path.
    let mut open: Vec<(u64, Vec<u8>)> = Vec::new();
    let mut is_root = true;
    while let Some((at, below, values)) = pair(lines)? {
        if builder.is_full(at, 0) {
            return skip(lines);
        }
        if !is_root && open.is_empty() {
            builder.gap(at, "more entries than the folders of the list say; they were left out", 0);
            return skip(lines);
        }
        let entry = Entry::read(&columns, &values);
        let mut path = open.last().map(|(_, path)| path.clone()).unwrap_or_default();
        if let Some(parent) = open.last_mut() {
            parent.0 = parent.0.saturating_sub(1);
        }
        // The root has no name, or one that is no part of any path.
        if !is_root {
            path.push(b'/');
            path.extend(entry.name());
            let member = member(source, &entry, &path, below, builder, data, at);
            builder.add(member);
        }
        is_root = false;
        while open.last().is_some_and(|(left, _)| *left == 0) {
            open.pop();
        }
        if below > 0 {
            if open.len() >= MAX_DEPTH {
                builder.gap(at, "budget: depth; the rest of the list was not read", 0);
                return skip(lines);
            }
            open.push((below, path));
        }
    }
    let missing = open.iter().map(|(left, _)| *left).fold(0, u64::saturating_add);
    if missing > 0 {
        builder.gap(data, format!("the list of files ends before its last {missing} entries"), 0);
    }
    Ok(())
}

fn member(
    source: &Source,
    entry: &Entry,
    path: &[u8],
    below: u64,
    builder: &mut Builder,
    data: u64,
    at: u64,
) -> Member {
    let kind = if entry.is_folder || below > 0 { NodeKind::Directory } else { NodeKind::File };
    let mut member = Member::new(path.to_vec(), kind);
    // The list knows of no permission bits.
    member.mode = 0;
    member.times = entry.times;
    member.flags = entry.flags();
    if kind == NodeKind::Directory {
        return member;
    }
    member.xattrs = entry.md5.iter().map(|sum| (crate::base::Name::new(crate::fs::STORED_MD5), sum.to_vec())).collect();
    member.len = entry.size;
    let there = source.len();
    let place = |offset: u64| data.checked_add(offset).filter(|at| *at <= there);
    let stored = entry.extents.iter().map(|(_, len)| *len).fold(0, u64::saturating_add);
    member.body = if entry.size == 0 {
        Body::Nothing
    } else if let Some(why) = entry.broken {
        builder.gap(at, format!("entry {}: {why}", crate::base::Name::new(path)), entry.size);
        Body::Lost(why.into())
    } else if let Some(at) = entry.duplicate.filter(|_| entry.is_sparse || stored < entry.size) {
        // The same bytes as those of another file.
        place(at).map_or_else(|| Body::Lost(BEYOND.into()), Body::At)
    } else if entry.is_sparse && stored < entry.size {
        fill(source, entry, data)
    } else if let [(offset, _)] = entry.extents.as_slice() {
        place(*offset).map_or_else(|| Body::Lost(BEYOND.into()), Body::At)
    } else {
        let mut start = 0_u64;
        let mut list = Vec::new();
        for (offset, len) in &entry.extents {
            let len = (*len).min(entry.size.saturating_sub(start));
            list.push(Extent { start, len, at: At::Volume(data.saturating_add(*offset)) });
            start = start.saturating_add(len);
        }
        Body::Sparse(list.into())
    };
    if entry.size > stored && !entry.is_sparse && entry.duplicate.is_none() && entry.broken.is_none() {
        let what = format!(
            "entry {}: {} of its bytes are not in the evidence",
            crate::base::Name::new(path),
            entry.size.saturating_sub(stored)
        );
        builder.gap(at, what, entry.size.saturating_sub(stored));
        if matches!(member.body, Body::At(_) | Body::Sparse(_)) {
            member.len = stored;
            member.flags.push("cut");
        }
    }
    if let Body::Lost(why) = &member.body
        && entry.broken.is_none()
    {
        builder.gap(at, format!("entry {}: {why}", crate::base::Name::new(path)), entry.size);
    }
    member
}

/// Why an entry's bytes cannot be read.
const BEYOND: &str = "its bytes lie behind the end of the evidence";

/// A file of one byte over and over: all zeros, in practice.
fn fill(source: &Source, entry: &Entry, data: u64) -> Body {
    let at = entry.extents.first().and_then(|(offset, _)| data.checked_add(*offset));
    match at.and_then(|at| read_exact(&**source, at, 1).ok().flatten()).as_deref() {
        Some([0]) => Body::Sparse(Box::default()),
        Some(_) => Body::Lost("a file of one byte over and over, which is not zero".into()),
        None => Body::Lost(BEYOND.into()),
    }
}
