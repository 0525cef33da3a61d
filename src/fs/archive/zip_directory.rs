//! The central directory of a zip archive, and where it stands.
//! Format: PKWARE's APPNOTE.TXT, sections 4.3 to 4.5; the extra fields of Info-ZIP by its proginfo/extrafld.txt.
use crate::base::{Digits, Name, Time};
use crate::fs::raw::{size, u16_at, u32_at, u64_at};
use crate::image::{Source, read_exact};

/// Bytes of the record at the archive's end, and of the longest comment behind it.
const END: u64 = 22;
const COMMENT: u64 = 0xffff;
/// Longest directory that is read.
const MAX_DIRECTORY: u64 = 512 << 20;

pub(super) struct Directory {
    pub(super) bytes: Vec<u8>,
    /// Where it stands.
    pub(super) at: u64,
    /// What is added to the offsets in it: a program may stand before the archive.
    pub(super) shift: u64,
    pub(super) entries: u64,
    /// Byte behind the archive.
    pub(super) end: u64,
    pub(super) has_zip64: bool,
}

/// Finds and reads the directory; an error says why there is none.
pub(super) fn find(source: &Source) -> Result<Directory, (u64, String)> {
    let len = source.len();
    let tail_at = len.saturating_sub(END.saturating_add(COMMENT));
    let tail = read_exact(&**source, tail_at, size(len.saturating_sub(tail_at))).map_err(|e| (e.offset, e.what))?;
    let tail = tail.unwrap_or_default();
    let fits = |at: &usize| {
        let record = tail.get(*at..).unwrap_or_default();
        let comment = u16_at(record, 20).map_or(usize::MAX, usize::from);
        record.starts_with(b"PK\x05\x06") && record.len() >= comment.saturating_add(22)
    };
    let last = tail.len().saturating_sub(22);
    let at =
        (0..=last).rev().find(fits).ok_or((len, "its directory is not found: it is cut, or damaged".to_owned()))?;
    let record = tail.get(at..).unwrap_or_default();
    let end_at = tail_at.saturating_add(at as u64);
    let cut = || (end_at, "its last record is cut".to_owned());
    let mut entries = u64::from(u16_at(record, 10).ok_or_else(cut)?);
    let mut bytes = u64::from(u32_at(record, 12).ok_or_else(cut)?);
    let mut offset = u64::from(u32_at(record, 16).ok_or_else(cut)?);
    let comment = u64::from(u16_at(record, 20).ok_or_else(cut)?);
    let end = end_at.saturating_add(END).saturating_add(comment);
    let mut behind = end_at;
    let mut has_zip64 = false;
    if entries == 0xffff || bytes == 0xffff_ffff || offset == 0xffff_ffff {
        let locator = end_at.checked_sub(20).and_then(|at| read_exact(&**source, at, 20).ok().flatten());
        let wide_at = locator.filter(|l| l.starts_with(b"PK\x06\x07")).and_then(|l| u64_at(&l, 8));
        // A program before the archive moves the record as well: it stands right before its locator then.
        let near = end_at.checked_sub(76);
        for at in [wide_at, near].into_iter().flatten() {
            let wide = read_exact(&**source, at, 56).ok().flatten().unwrap_or_default();
            if wide.starts_with(b"PK\x06\x06")
                && let (Some(n), Some(len), Some(from)) = (u64_at(&wide, 32), u64_at(&wide, 40), u64_at(&wide, 48))
            {
                (entries, bytes, offset, behind, has_zip64) = (n, len, from, at, true);
                break;
            }
        }
    }
    if bytes > MAX_DIRECTORY {
        return Err((end_at, format!("budget: a directory of {bytes} bytes")));
    }
    // The directory stands right before the records at the end; where its own offset says otherwise, all do.
    let stands =
        behind.checked_sub(bytes).ok_or_else(|| (end_at, "its directory is longer than the archive".to_owned()))?;
    let starts = |at: u64| read_exact(&**source, at, 4).ok().flatten().is_some_and(|b| b == b"PK\x01\x02");
    let at = if starts(stands) || bytes == 0 { stands } else { offset };
    let read = read_exact(&**source, at, size(bytes)).map_err(|e| (e.offset, e.what))?;
    let read = read.ok_or_else(|| (end_at, "its directory lies beyond the archive".to_owned()))?;
    Ok(Directory { bytes: read, at, shift: at.saturating_sub(offset), entries, end, has_zip64 })
}

/// An entry of the directory.
pub(super) struct Entry {
    pub(super) flags: u16,
    pub(super) method: u16,
    pub(super) sum: u32,
    pub(super) packed: u64,
    pub(super) len: u64,
    /// Where its own header stands.
    pub(super) header: u64,
    pub(super) name: Vec<u8>,
    /// Type and permissions as Unix has them, where a Unix wrote it.
    pub(super) mode: Option<u32>,
    /// The attribute of DOS for a folder.
    pub(super) is_folder: bool,
    pub(super) modified: Option<Time>,
    pub(super) accessed: Option<Time>,
    pub(super) created: Option<Time>,
    pub(super) owner: Option<(u32, u32)>,
    /// Bytes of the entry.
    pub(super) size: usize,
}

pub(super) fn entry(bytes: &[u8]) -> Option<Entry> {
    if !bytes.starts_with(b"PK\x01\x02") {
        return None;
    }
    let word = |at| u16_at(bytes, at);
    let (name, extra, comment) = (usize::from(word(28)?), usize::from(word(30)?), usize::from(word(32)?));
    let name_end = 46_usize.checked_add(name)?;
    let extra_end = name_end.checked_add(extra)?;
    let external = u32_at(bytes, 38)?;
    let host = word(4)? >> 8;
    let mut found = Entry {
        flags: word(8)?,
        method: word(10)?,
        sum: u32_at(bytes, 16)?,
        packed: u64::from(u32_at(bytes, 20)?),
        len: u64::from(u32_at(bytes, 24)?),
        header: u64::from(u32_at(bytes, 42)?),
        name: bytes.get(46..name_end)?.to_vec(),
        mode: (matches!(host, 3 | 19) && external >> 16 != 0).then_some(external >> 16),
        is_folder: external & 0x10 != 0,
        modified: dos_time(word(14)?, word(12)?),
        accessed: None,
        created: None,
        owner: None,
        size: extra_end.checked_add(comment)?,
    };
    extras(bytes.get(name_end..extra_end)?, &mut found);
    Some(found)
}

fn extras(mut bytes: &[u8], entry: &mut Entry) {
    while let (Some(id), Some(len)) = (u16_at(bytes, 0), u16_at(bytes, 2)) {
        let end = usize::from(len).saturating_add(4);
        let Some(field) = bytes.get(4..end) else { return };
        extra(id, field, entry);
        bytes = bytes.get(end..).unwrap_or_default();
    }
}

fn extra(id: u16, field: &[u8], entry: &mut Entry) {
    let unix = |at: usize| u32_at(field, at).map(|n| Time::seconds(i64::from(n.cast_signed())));
    match id {
        // Only what does not fit above stands here, in this order.
        0x0001 => {
            let mut at = 0_usize;
            for value in [&mut entry.len, &mut entry.packed, &mut entry.header] {
                if *value == 0xffff_ffff
                    && let Some(wide) = u64_at(field, at)
                {
                    *value = wide;
                    at = at.saturating_add(8);
                }
            }
        }
        0x000a if u16_at(field, 4) == Some(1) => {
            let time = |at: usize| u64_at(field, at).filter(|n| *n != 0).and_then(windows_time);
            entry.modified = time(8).or(entry.modified);
            (entry.accessed, entry.created) = (time(16), time(24));
        }
        0x5455 if field.first().is_some_and(|flags| flags & 1 != 0) => entry.modified = unix(1).or(entry.modified),
        0x5855 => {
            entry.accessed = unix(0);
            entry.modified = unix(4).or(entry.modified);
        }
        0x7875 if field.first() == Some(&1) => {
            let number = |at: usize| -> Option<(u32, usize)> {
                let len = usize::from(*field.get(at)?);
                let bytes = field.get(at.checked_add(1)?..at.checked_add(1)?.checked_add(len)?)?;
                let n = bytes.iter().rev().try_fold(0_u32, |n, b| n.checked_mul(256)?.checked_add(u32::from(*b)))?;
                Some((n, at.checked_add(1)?.checked_add(len)?))
            };
            entry.owner = number(1).and_then(|(uid, next)| Some((uid, number(next)?.0)));
        }
        // The name in UTF-8, if it belongs to the name in the header.
        0x7075 if field.first() == Some(&1) && u32_at(field, 1) == Some(crc32fast::hash(&entry.name)) => {
            entry.name = field.get(5..).unwrap_or_default().to_vec();
        }
        _ => {}
    }
}

/// 100 ns since 1601.
fn windows_time(n: u64) -> Option<Time> {
    let seconds = i64::try_from(n / 10_000_000).ok()?.checked_sub(11_644_473_600)?;
    let nanos = u32::try_from(n % 10_000_000).ok()?.checked_mul(100)?;
    Some(Time { seconds, nanos, digits: Digits::Seven })
}

/// Date and time as DOS has them: two seconds exact, in the zone of whoever wrote it.
fn dos_time(date: u16, time: u16) -> Option<Time> {
    let (year, month, day) = (1980 + (date >> 9), date >> 5 & 15, date & 31);
    let (hour, minute, second) = (time >> 11, time >> 5 & 63, (time & 31) * 2);
    Time::parse(&format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"))
}

/// Where a member's bytes begin, by its own header, and whether that has the name of the directory.
pub(super) fn local(source: &Source, at: u64) -> Result<(u64, Vec<u8>), String> {
    let head = read_exact(&**source, at, 30).map_err(|e| e.to_string())?.unwrap_or_default();
    let (Some(name), Some(extra)) = (u16_at(&head, 26), u16_at(&head, 28)) else {
        return Err("its header lies beyond the archive".into());
    };
    if !head.starts_with(b"PK\x03\x04") {
        return Err(format!("no header of a member at byte {at}"));
    }
    let bytes = read_exact(&**source, at.saturating_add(30), usize::from(name)).map_err(|e| e.to_string())?;
    let bytes = bytes.ok_or("its header lies beyond the archive")?;
    Ok((at.saturating_add(30).saturating_add(u64::from(name)).saturating_add(u64::from(extra)), bytes))
}

pub(super) fn shown(name: &[u8]) -> String {
    Name::new(name).display()
}
