//! What stands behind a record's name: Rock Ridge (names, owners, modes, times, links, devices, relocated
//! directories), zisofs, attributes; with the areas in which it goes on.
//! Format: IEEE P1281 (SUSP 1.12), IEEE P1282 (RRIP 1.12), AAIP 2.0 and zisofs2 of the libburnia project.
use super::fields::{both32, long_time, short_time};
use crate::base::{Name, Run, Time};
use crate::fs::Times;
use crate::fs::raw::{size, u8_at, u32_at, u64_at};
use crate::image::{Source, read_exact};
use std::collections::HashSet;

/// Continuation areas of one record, and bytes of each.
const MAX_AREAS: usize = 128;
const MAX_AREA: u32 = 64 << 10;
/// Bytes of a name, of a link's target, of all attributes.
const MAX_TEXT: usize = 64 << 10;
const MAX_ATTRIBUTES: usize = 1 << 20;
/// Bytes in front of the first entry on a disc with CD-ROM XA.
const XA: usize = 14;

/// A file that is stored compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packed {
    /// Second version: longer header, 64-bit pointers.
    pub(super) second: bool,
    pub(super) header: usize,
    pub(super) log: u8,
    /// Bytes of the decoded file.
    pub(super) len: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    /// With the bits of the kind.
    pub(super) mode: u32,
    pub(super) links: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

#[derive(Debug, Default)]
pub(super) struct Rock {
    pub(super) owner: Option<Owner>,
    pub(super) device: Option<(u32, u32)>,
    pub(super) name: Option<Vec<u8>>,
    pub(super) target: Option<Vec<u8>>,
    pub(super) times: Times,
    /// Block of the directory that this entry stands for.
    pub(super) child: Option<u32>,
    /// Stands here only because it was moved away from where it belongs.
    pub(super) moved: bool,
    pub(super) packed: Option<Packed>,
    /// Bytes of a file that is stored without its holes, in a form that is not read.
    pub(super) sparse: Option<u64>,
    pub(super) xattrs: Vec<(Name, Vec<u8>)>,
    /// Extensions by their own names.
    pub(super) extensions: Vec<String>,
    /// Where it goes on.
    pub(super) areas: Vec<Run>,
    /// Why not all could be read.
    pub(super) fault: Option<&'static str>,
}

/// How many bytes stand before the entries of every record, if the root's record says that entries are used.
pub(super) fn skipped(root: &[u8]) -> Option<usize> {
    [0, XA].into_iter().find_map(|at| {
        let entry = root.get(at..)?;
        entry.starts_with(b"SP\x07\x01\xbe\xef").then(|| entry.get(6).map(|n| usize::from(*n)))?
    })
}
/// Where the root's own entries begin.
pub(super) fn root_begins(root: &[u8]) -> usize {
    if root.starts_with(b"SP") { 0 } else { XA }
}

/// Reads the entries of one record from `system`, in a volume with blocks of `block` bytes.
pub(super) fn read(source: &Source, block: u64, system: &[u8]) -> Rock {
    let mut rock = Rock::default();
    let mut state = State::default();
    let mut seen = HashSet::new();
    let mut area = system.to_vec();
    loop {
        let mut next = None;
        let mut rest = area.as_slice();
        while let Some(len) = u8_at(rest, 2).map(usize::from).filter(|n| *n >= 4) {
            let Some(entry) = rest.get(..len) else {
                rock.fault = Some("an entry of the system use field reaches out of it");
                break;
            };
            let sign = entry.first_chunk::<2>().copied().unwrap_or_default();
            match &sign {
                b"ST" => break,
                b"CE" => next = continuation(entry, block),
                _ => take(&mut rock, &mut state, sign, entry),
            }
            rest = rest.get(len..).unwrap_or_default();
        }
        let Some(run) = next else { break };
        if rock.areas.len() >= MAX_AREAS || !seen.insert(run.offset) || run.len > u64::from(MAX_AREA) {
            rock.fault = Some("the continuation areas of a record go on without end");
            break;
        }
        rock.areas.push(run);
        let Ok(Some(bytes)) = read_exact(&**source, run.offset, size(run.len)) else {
            rock.fault = Some("a continuation area of a record cannot be read");
            break;
        };
        area = bytes;
    }
    attributes(&mut rock, &state.attributes);
    if state.attributes_cut {
        rock.fault = Some("attributes of too many bytes");
    }
    rock
}

fn continuation(entry: &[u8], block: u64) -> Option<Run> {
    let (at, _) = both32(entry, 4, u32::MAX)?;
    let (offset, _) = both32(entry, 12, u32::MAX)?;
    let (len, _) = both32(entry, 20, u32::MAX)?;
    Some(Run::new(u64::from(at).saturating_mul(block).saturating_add(offset.into()), len.into()))
}

/// What one entry leaves to the next.
#[derive(Default)]
struct State {
    /// The last name goes on.
    name_goes_on: bool,
    /// The last component of a link goes on.
    part_goes_on: bool,
    attributes: Vec<u8>,
    attributes_cut: bool,
}

fn take(rock: &mut Rock, state: &mut State, sign: [u8; 2], entry: &[u8]) {
    let number = |at| both32(entry, at, u32::MAX).map(|(n, _)| n);
    match &sign {
        b"PX" => {
            if let (Some(mode), Some(links), Some(uid), Some(gid)) = (number(4), number(12), number(20), number(28)) {
                rock.owner = Some(Owner { mode, links, uid, gid });
            }
        }
        b"PN" => {
            if let (Some(high), Some(low)) = (number(4), number(12)) {
                // Writers that know 16 bits only put all into the second number.
                let small = high == 0 && low > 0xff;
                rock.device = Some(if small { (low >> 8, low & 0xff) } else { (high, low) });
            }
        }
        b"NM" => {
            let flags = u8_at(entry, 4).unwrap_or(0);
            let part = match flags & 6 {
                2 => b".".as_slice(),
                4 => b"..",
                _ => entry.get(5..).unwrap_or_default(),
            };
            let name = rock.name.get_or_insert_default();
            if !state.name_goes_on {
                name.clear();
            }
            if name.len().saturating_add(part.len()) <= MAX_TEXT {
                name.extend_from_slice(part);
            }
            state.name_goes_on = flags & 1 != 0;
        }
        b"SL" => link(rock, state, entry),
        b"TF" => times(&mut rock.times, entry),
        b"CL" => rock.child = number(4),
        b"RE" => rock.moved = true,
        b"SF" => {
            let long = entry.len() >= 21;
            rock.sparse = match (number(4), number(12)) {
                (Some(high), Some(low)) if long => Some(u64::from(high) << 32 | u64::from(low)),
                (Some(low), _) => Some(low.into()),
                _ => None,
            };
        }
        b"ZF" | b"Z2" => rock.packed = packed(entry),
        b"AL" => {
            let part = entry.get(5..).unwrap_or_default();
            state.attributes_cut |= state.attributes.len().saturating_add(part.len()) > MAX_ATTRIBUTES;
            if !state.attributes_cut {
                state.attributes.extend_from_slice(part);
            }
        }
        b"ER" => {
            let len = usize::from(u8_at(entry, 4).unwrap_or(0));
            let name = entry.get(8..len.saturating_add(8)).unwrap_or_default();
            rock.extensions.push(String::from_utf8_lossy(name).into_owned());
        }
        _ => {}
    }
}

fn link(rock: &mut Rock, state: &mut State, entry: &[u8]) {
    let target = rock.target.get_or_insert_default();
    let mut rest = entry.get(5..).unwrap_or_default();
    while let (Some(flags), Some(len)) = (u8_at(rest, 0), u8_at(rest, 1).map(usize::from)) {
        let Some(text) = rest.get(2..len.saturating_add(2)) else {
            rock.fault = Some("a component of a link reaches out of its entry");
            return;
        };
        let (text, root) = match flags & 0xe {
            2 => (b".".as_slice(), false),
            4 => (b"..".as_slice(), false),
            8 => (b"".as_slice(), true),
            _ => (text, false),
        };
        if target.len().saturating_add(text.len()) > MAX_TEXT {
            rock.fault = Some("a link's target is too long");
            return;
        }
        if root {
            target.clear();
            target.push(b'/');
        } else {
            if !state.part_goes_on && !target.is_empty() && target.last() != Some(&b'/') {
                target.push(b'/');
            }
            target.extend_from_slice(text);
        }
        state.part_goes_on = flags & 1 != 0;
        rest = rest.get(len.saturating_add(2)..).unwrap_or_default();
    }
}

fn times(times: &mut Times, entry: &[u8]) {
    let flags = u8_at(entry, 4).unwrap_or(0);
    let long = flags & 0x80 != 0;
    let mut at = 5_usize;
    for bit in 0..7 {
        if flags & (1 << bit) == 0 {
            continue;
        }
        let time: Option<Time> = if long { long_time(entry, at) } else { short_time(entry, at) };
        at = at.saturating_add(if long { 17 } else { 7 });
        match bit {
            0 => times.created = time,
            1 => times.modified = time,
            2 => times.accessed = time,
            3 => times.changed = time,
            // Backup, expiration, effect: nothing that happened to the file.
            _ => {}
        }
    }
}

fn packed(entry: &[u8]) -> Option<Packed> {
    let second = match entry.get(4..6)? {
        b"pz" => false,
        b"PZ" => true,
        _ => return None,
    };
    let len = if second { u64_at(entry, 8)? } else { u32_at(entry, 8)?.into() };
    Some(Packed { second, header: usize::from(u8_at(entry, 6)?).saturating_mul(4), log: u8_at(entry, 7)?, len })
}

/// Names and values stand in turn, each in parts with a flag and a length.
fn attributes(rock: &mut Rock, bytes: &[u8]) {
    let mut parts: Vec<Vec<u8>> = Vec::new();
    let mut rest = bytes;
    let mut goes_on = false;
    while let (Some(flags), Some(len)) = (u8_at(rest, 0), u8_at(rest, 1).map(usize::from)) {
        let Some(text) = rest.get(2..len.saturating_add(2)) else {
            rock.fault = Some("attributes are cut off");
            break;
        };
        match parts.last_mut() {
            Some(last) if goes_on => last.extend_from_slice(text),
            _ => parts.push(text.to_vec()),
        }
        goes_on = flags & 1 != 0;
        rest = rest.get(len.saturating_add(2)..).unwrap_or_default();
    }
    for [name, value] in parts.as_chunks::<2>().0 {
        let (prefix, own): (&[u8], &[u8]) = match name.split_first() {
            // The access control lists, in a form of their own.
            None => (b"isofs.acl", b""),
            Some((1, own)) => (b"", own),
            Some((2, own)) => (b"system.", own),
            Some((3, own)) => (b"user.", own),
            Some((4, own)) => (b"isofs.", own),
            Some((5, own)) => (b"trusted.", own),
            Some((6, own)) => (b"security.", own),
            _ => (b"", name),
        };
        rock.xattrs.push((Name::from([prefix, own].concat()), value.clone()));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::Arc;

    fn nothing() -> Source {
        Arc::new(Vec::new())
    }
    #[test]
    fn names_and_links_are_put_together() {
        let system = [
            b"NM\x09\x01\x01long".as_slice(),
            b"NM\x09\x01\x00name",
            b"SL\x10\x01\x01\x08\x00\x01\x03usr\x00\x02xx",
            b"SL\x0b\x01\x00\x04\x00\x00\x02ab",
        ]
        .concat();
        let rock = read(&nothing(), 2048, &system);
        assert_eq!(rock.name.unwrap(), b"longname");
        assert_eq!(rock.target.unwrap(), b"/usrxx/../ab");
        assert_eq!(rock.fault, None);
    }
    #[test]
    fn a_continuation_that_leads_to_itself_ends() {
        let mut bytes = vec![0; 4096];
        let entry =
            [b"CE\x1c\x01".as_slice(), &[1, 0, 0, 0, 0, 0, 0, 1], &[0; 8], &[28, 0, 0, 0, 0, 0, 0, 28]].concat();
        bytes.splice(2048..2076, entry.iter().copied());
        let rock = read(&(Arc::new(bytes) as Source), 2048, &entry);
        assert_eq!(rock.areas.len(), 1);
        assert!(rock.fault.is_some());
    }
    #[test]
    fn entries_cut_anywhere_are_no_panic() {
        let system = [
            b"PX\x24\x01".as_slice(),
            &[7; 32],
            b"TF\x0c\x01\x01abcdefg",
            b"ZF\x10\x01pz\x04\x0f12345678AL\x0c\x01\x00\x00\x02\x03a\x00\x01bSF\x0c\x0112345678ER\x0a\x01\x02\0\0\x01RR",
        ]
        .concat();
        let whole = read(&nothing(), 2048, &system);
        assert_eq!(whole.xattrs, [(Name::from("user.a"), b"b".to_vec())]);
        assert_eq!((whole.packed.unwrap().header, whole.extensions.len()), (16, 1));
        for len in 0..system.len() {
            read(&nothing(), 2048, system.get(..len).unwrap());
        }
    }
}
