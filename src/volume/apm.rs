//! Apple partition map: one block of 512 bytes (or of the device's size) for each partition, big-endian.
//! Format: "Inside Macintosh: Devices", chapter 3; block sizes as the Linux kernel reads them (`block/partitions/mac.c`).
use super::layout::{Report, cover, table};
use super::{Part, PartKind, Scheme};
use crate::base::{Budget, Gaps, Run};
use crate::image::{ReadError, Source, read_exact};

pub(super) const SCHEME: Scheme = Scheme {
    name: "apm",
    about: "Apple partition map, with blocks of 512 to 4096 bytes",
    limits: "drivers are listed, not read",
    probe: |source| matches!(block_size(source), Ok(Some(_))),
    read,
};

/// Entries that a map may have.
const MAX_ENTRIES: u32 = 4096;

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// Bytes of a block: the driver descriptor tells them, and where it is wrong or absent, where the map stands.
fn block_size(source: &Source) -> Result<Option<u64>, ReadError> {
    let Some(first) = read_exact(&**source, 0, 512)? else { return Ok(None) };
    let said = first.get(2..4).filter(|_| first.starts_with(b"ER")).and_then(|b| b.try_into().ok());
    let said = said.map(u16::from_be_bytes).map(u64::from);
    for size in said.into_iter().chain([512, 2048, 4096]).filter(|n| (512..=4096).contains(n) && n.is_multiple_of(512))
    {
        let Some(entry) = read_exact(&**source, size, 512)? else { continue };
        let is_map = entry.starts_with(b"PM") && word(&entry, 4).is_some_and(|n| n > 0 && n <= MAX_ENTRIES);
        if is_map && (said.is_some() || entry.get(48..).is_some_and(|e| e.starts_with(b"Apple_"))) {
            return Ok(Some(size));
        }
    }
    Ok(None)
}

fn text(bytes: &[u8], at: usize) -> String {
    let text = bytes.get(at..at.saturating_add(32)).unwrap_or_default();
    text.iter().take_while(|b| **b != 0).map(|b| char::from(*b)).collect()
}

fn read(source: &Source, gaps: &Gaps, mut budget: Budget) -> Result<Vec<Part>, ReadError> {
    let report = Report { gaps, by: "apm" };
    let Some(size) = block_size(source)? else {
        return Ok(cover(Vec::new(), source.len(), &report));
    };
    let mut claims = vec![table(0, size, "driver descriptor")];
    let mut count = 1;
    let mut number = 0_u32;
    while number < count {
        number = number.saturating_add(1);
        let at = u64::from(number).saturating_mul(size);
        if budget.step(1).is_err() {
            report.at(at, "budget: entries of the map; what follows was not read", 0);
            break;
        }
        let entry = match read_exact(&**source, at, 512) {
            Ok(Some(entry)) if entry.starts_with(b"PM") => entry,
            Ok(Some(_)) => {
                report.at(at, format!("entry {number} of {count} of the map is none"), size);
                continue;
            }
            Ok(None) => {
                report.at(at, format!("the map of {count} entries is cut short"), 0);
                break;
            }
            Err(e) => {
                report.at(at, format!("entry {number} of the map: {e}"), size);
                continue;
            }
        };
        let field = |at| word(&entry, at).unwrap_or(0);
        if number == 1 {
            count = field(4).min(MAX_ENTRIES);
        }
        let (start, blocks, kind) = (u64::from(field(8)), u64::from(field(12)), text(&entry, 48));
        let run = Run::new(start.saturating_mul(size), blocks.saturating_mul(size));
        let part = match kind.as_str() {
            "Apple_partition_map" => table(run.offset, run.len, "Apple partition map"),
            "Apple_Free" | "Apple_Void" | "Apple_Scratch" => continue,
            _ => Part {
                index: number,
                run,
                kind: PartKind::Partition,
                type_name: kind.escape_debug().to_string(),
                label: text(&entry, 16).escape_debug().to_string(),
                uuid: String::new(),
            },
        };
        claims.push(part);
    }
    Ok(cover(claims, source.len(), &report))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::Arc;

    fn map(size: usize) -> Vec<u8> {
        let mut bytes = vec![0; 400 * size];
        bytes.splice(0..4, [b'E', b'R', u8::try_from(size >> 8).unwrap(), 0]);
        let list =
            [("map", "Apple_partition_map", 1, 63), ("disk", "Apple_HFS", 64, 200), ("", "Apple_Free", 264, 136)];
        for (number, (name, kind, start, blocks)) in (1_usize..).zip(list) {
            let at = number * size;
            let numbers = [3_u32, start, blocks].into_iter().flat_map(u32::to_be_bytes);
            let entry: Vec<u8> = [b'P', b'M', 0, 0].into_iter().chain(numbers).collect();
            bytes.splice(at..at + 16, entry);
            bytes.splice(at + 16..at + 16 + name.len(), name.bytes());
            bytes.splice(at + 48..at + 48 + kind.len(), kind.bytes());
        }
        bytes
    }
    fn parts(bytes: Vec<u8>) -> (Vec<Part>, Vec<String>) {
        let source: Source = Arc::new(bytes);
        let gaps = Gaps::default();
        let parts = read(&source, &gaps, Budget::default()).unwrap();
        assert_eq!(parts.iter().map(|p| p.run.len).sum::<u64>(), source.len());
        (parts, gaps.take().into_iter().map(|g| g.what).collect())
    }

    #[test]
    fn maps_are_read_with_every_block_size() {
        for size in [512, 2048, 4096] {
            let mut bytes = map(size);
            for has_descriptor in [true, false] {
                assert!((SCHEME.probe)(&(Arc::new(bytes.clone()) as Source)), "{size} {has_descriptor}");
                let (found, gaps) = parts(bytes.clone());
                assert!(gaps.is_empty(), "{gaps:?}");
                let disk = found.iter().find(|p| p.kind == PartKind::Partition).unwrap();
                let unit = size as u64;
                assert_eq!((disk.index, disk.run), (2, Run::new(64 * unit, 200 * unit)));
                assert_eq!((disk.type_name.as_str(), disk.label.as_str()), ("Apple_HFS", "disk"));
                bytes.splice(0..2, [0; 2]);
            }
        }
    }

    #[test]
    fn damage_is_told_and_cuts_are_survived() {
        let whole = map(512);
        let mut bytes = whole.clone();
        bytes.splice(1024..1026, [0; 2]);
        assert!(parts(bytes).1.iter().any(|g| g.contains("entry 2 of 3 of the map is none")));
        for end in [0, 4, 511, 512, 600, 1023, 1024, 1536, 2000, 40_000] {
            parts(whole.get(..end).unwrap().to_vec());
        }
        for (at, value) in [(516, u32::MAX), (516, 4096), (1032, u32::MAX), (1036, u32::MAX)] {
            let mut bytes = whole.clone();
            bytes.splice(at..at + 4, value.to_be_bytes());
            parts(bytes);
        }
    }
}
