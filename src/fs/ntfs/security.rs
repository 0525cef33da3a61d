//! Owners: `$STANDARD_INFORMATION` names a security descriptor by number, `$Secure:$SDS` holds the descriptors; before
//! NTFS 3.0, and on its own files, a file has a `$SECURITY_DESCRIPTOR` itself.
//! Format: "$Secure" in the Linux-NTFS project's documentation; SECURITY_DESCRIPTOR and SID in MS-DTYP 2.4.6, 2.4.2.
use super::list::{Node, gather};
use super::raw::{size, u8_at, u16_at, u32_at, u64_at};
use super::record::{DATA, SECURITY_DESCRIPTOR, STANDARD_INFORMATION};
use super::value::value;
use super::{OWNERS, Volume};
use crate::base::Name;
use crate::fs::extents::{At, Placed as _};
use crate::image::Source;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

/// Number of `$Secure`.
const SECURE: u64 = 9;
/// `$SDS` in UTF-16.
const SDS: &[u8] = b"$\0S\0D\0S\0";
/// Descriptors are kept in blocks of this length; a copy of each block follows it.
const BLOCK: usize = 256 << 10;
const PAIR: u64 = 2 * BLOCK as u64;
/// Bytes before a descriptor: hash, number, place, length.
const HEAD: usize = 20;
/// Bytes of the stream that are read; Windows uses a few MiB.
const MAX_STREAM: u64 = 128 << 20;
/// Windows keeps descriptors of at most 64 KiB.
const MAX_DESCRIPTOR: u64 = 64 << 10;

/// The SIDs of owner and group, one behind the other, as they are stored; none of them, where the descriptor names none.
type Sids = Arc<[u8]>;

/// Every descriptor's number, and whom it names.
pub(super) struct Owners(HashMap<u32, Sids>);

/// The name under which [`of`] tells owners; cloned, not made anew for every file.
static NAME: LazyLock<Name> = LazyLock::new(|| Name::new(OWNERS));

/// Owner and group of a file, as an attribute that only this reader gives.
pub(super) fn of(volume: &Volume, node: &Node) -> Option<(Name, Vec<u8>)> {
    let mut number = None;
    node.attributes(|_, a| {
        if a.kind == STANDARD_INFORMATION {
            number = number.or(a.value().and_then(|v| u32_at(v, 0x34)).filter(|n| *n != 0));
        }
    });
    let note = |what| {
        if node.base.is_used() {
            volume.damage.note(what, node.base.number, volume.mft.volume_offset(node.base.number), 0);
        }
    };
    let sids = match number {
        Some(number) => {
            let found = volume.owners.get_or_init(|| Owners::read(volume)).0.get(&number).cloned();
            if found.is_none() {
                note("number of a security descriptor that $Secure does not hold: the owner is not known");
            }
            found
        }
        None => own(volume, node).map(|descriptor| {
            sids(&descriptor).unwrap_or_else(|| {
                note("security descriptor of a file is broken: the owner is not known");
                Arc::default()
            })
        }),
    };
    sids.filter(|s| !s.is_empty()).map(|s| (NAME.clone(), s.to_vec()))
}

/// The descriptor that a file has itself.
fn own(volume: &Volume, node: &Node) -> Option<Vec<u8>> {
    let source = value(volume, node, SECURITY_DESCRIPTOR, b"").filter(|v| v.len <= MAX_DESCRIPTOR)?.stored(volume);
    let mut bytes = vec![0; size(source.len())];
    let n = source.read_at(0, &mut bytes).unwrap_or(0);
    bytes.truncate(n);
    Some(bytes)
}

impl Owners {
    fn read(volume: &Volume) -> Self {
        let mut owners = Self(HashMap::new());
        let here = volume.mft.volume_offset(SECURE);
        // A volume without $Secure names no descriptor either, or a gap at the file says so.
        let Ok(node) = gather(SECURE, &volume.mft, &volume.damage) else { return owners };
        let Some(stream) = value(volume, &node, DATA, SDS) else { return owners };
        let Some(content) = stream.content(volume) else { return owners };
        let content = Arc::new(content);
        let len = content.len.min(MAX_STREAM);
        if content.len > len {
            let what = "budget: $Secure holds more descriptors than were read; some owners are not known";
            volume.damage.once(here, what, content.len.saturating_sub(len));
        }
        let source: Source = content.clone();
        for pair in 0..len.div_ceil(PAIR) {
            let at = pair.saturating_mul(PAIR);
            let (first, second) = (block(&source, at), block(&source, at.saturating_add(BLOCK as u64)));
            let mut broken = Vec::new();
            owners.take(first.as_deref().unwrap_or_default(), at, &mut broken);
            let copied = owners.take(second.as_deref().unwrap_or_default(), at, &mut Vec::new());
            let place = if let At::Volume(place) = content.place(at).0 { place } else { here };
            if first.is_none() {
                let what = "block of $Secure could not be read; its copy was used where there is one";
                volume.damage.note(what, SECURE, place, BLOCK as u64);
            } else if broken.iter().any(|b| !copied.contains(b)) {
                let what = "descriptors in $Secure are damaged, and so are their copies; some owners may not be known";
                volume.damage.note(what, SECURE, place, 0);
            } else if !broken.is_empty() {
                volume.damage.note("descriptors in $Secure are damaged; their copies were used", SECURE, place, 0);
            }
        }
        owners
    }
    /// Takes all descriptors of a block whose first byte has this place in the stream; gives their places. Those
    /// of descriptors that are not what was written go to `broken`.
    fn take(&mut self, block: &[u8], from: u64, broken: &mut Vec<u64>) -> Vec<u64> {
        let (mut at, mut good) = (0_usize, Vec::new());
        while let Some(entry) = block.get(at..).filter(|e| e.len() >= HEAD) {
            let place = from.saturating_add(at as u64);
            match descriptor(entry, place) {
                Descriptor::Is(number, sids, len) => {
                    good.push(place);
                    if let Entry::Vacant(free) = self.0.entry(number) {
                        free.insert(sids);
                    }
                    at = at.saturating_add(len.next_multiple_of(16));
                }
                Descriptor::Broken => {
                    broken.push(place);
                    at = at.saturating_add(16);
                }
                Descriptor::None => at = at.saturating_add(16),
            }
        }
        good
    }
}

fn block(source: &Source, at: u64) -> Option<Vec<u8>> {
    let mut bytes = vec![0; BLOCK.min(size(source.len().saturating_sub(at)))];
    let n = source.read_at(at, &mut bytes).ok()?;
    bytes.truncate(n);
    Some(bytes)
}

enum Descriptor {
    /// Its number, whom it names, and its length with what stands before it.
    Is(u32, Sids, usize),
    /// It says that it stands here, and is not what was written.
    Broken,
    None,
}

fn descriptor(entry: &[u8], place: u64) -> Descriptor {
    let fields = || Some((u32_at(entry, 0)?, u32_at(entry, 4)?, u64_at(entry, 8)?, u32_at(entry, 16)? as usize));
    let Some((sum, number, stands, len)) = fields() else { return Descriptor::None };
    if stands != place || number == 0 || len < HEAD {
        return Descriptor::None;
    }
    match entry.get(HEAD..len).filter(|body| hash(body) == sum).and_then(sids) {
        Some(sids) => Descriptor::Is(number, sids, len),
        None => Descriptor::Broken,
    }
}

/// The sum that stands before each descriptor.
fn hash(body: &[u8]) -> u32 {
    body.chunks_exact(4).fold(0_u32, |sum, word| {
        let word = u32_at(word, 0).unwrap_or(0);
        word.wrapping_add(sum.rotate_left(3))
    })
}

/// The SIDs of owner and group in a descriptor; `None` if it is none.
fn sids(descriptor: &[u8]) -> Option<Sids> {
    let one = |at: u32| match at {
        0 => Some(&[][..]),
        at => sid(descriptor.get(at as usize..)?),
    };
    let (owner, group) = (one(u32_at(descriptor, 4)?)?, one(u32_at(descriptor, 8)?)?);
    // A group alone could be taken for an owner.
    let both = if owner.is_empty() { Vec::new() } else { [owner, group].concat() };
    (u8_at(descriptor, 0) == Some(1) && u16_at(descriptor, 2).is_some()).then(|| both.into())
}

/// The bytes of the SID at the start of some.
fn sid(bytes: &[u8]) -> Option<&[u8]> {
    let parts = usize::from(u8_at(bytes, 1)?);
    (u8_at(bytes, 0) == Some(1) && parts <= 15).then(|| bytes.get(..parts.checked_mul(4)?.checked_add(8)?)).flatten()
}

/// A SID as MS-DTYP writes it: `S-1-5-32-544`.
fn text(sid: &[u8]) -> String {
    let authority = sid.get(2..8).unwrap_or_default().iter().fold(0_u64, |n, b| n << 8 | u64::from(*b));
    let mut out = if authority >> 32 == 0 { format!("S-1-{authority}") } else { format!("S-1-0x{authority:012x}") };
    for part in sid.get(8..).unwrap_or_default().chunks_exact(4) {
        let _ = write!(out, "-{}", u32_at(part, 0).unwrap_or(0));
    }
    out
}

/// Owner and group as text; empty where there is none.
pub(super) fn texts(value: &[u8]) -> (String, String) {
    let Some(owner) = sid(value) else { return <(String, String)>::default() };
    let group = value.get(owner.len()..).and_then(sid);
    (text(owner), group.map(text).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, clippy::unwrap_used)]
    use super::*;

    /// S-1-5-32-544 and S-1-5-18.
    const ADMINS: [u8; 16] = [1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0];
    const SYSTEM: [u8; 12] = [1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0];

    fn body(owner: &[u8], group: &[u8]) -> Vec<u8> {
        let mut out = vec![1, 0, 0, 0x80];
        out.extend_from_slice(&20_u32.to_le_bytes());
        out.extend_from_slice(&u32::try_from(20 + owner.len()).unwrap().to_le_bytes());
        out.extend_from_slice(&[0; 8]);
        [out, owner.to_vec(), group.to_vec()].concat()
    }
    fn entry(number: u32, place: u64, body: &[u8]) -> Vec<u8> {
        let len = u32::try_from(HEAD + body.len()).unwrap();
        let mut out = hash(body).to_le_bytes().to_vec();
        out.extend_from_slice(&number.to_le_bytes());
        out.extend_from_slice(&place.to_le_bytes());
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(body);
        out.resize(out.len().next_multiple_of(16), 0);
        out
    }

    #[test]
    fn descriptors_tell_owner_and_group() {
        let both = sids(&body(&ADMINS, &SYSTEM)).unwrap();
        assert_eq!(texts(&both), ("S-1-5-32-544".to_owned(), "S-1-5-18".to_owned()));
        let wide = [1, 1, 1, 0, 0, 0, 0, 5, 255, 255, 255, 255];
        assert_eq!(texts(&wide), ("S-1-0x010000000005-4294967295".to_owned(), String::new()));
        let whole = body(&ADMINS, &SYSTEM);
        for len in 0..whole.len() {
            assert!(sids(&whole[..len]).is_none(), "{len}");
        }
        assert_eq!(texts(&[]), <(String, String)>::default());
    }
    #[test]
    fn damaged_descriptors_are_told_and_the_rest_is_taken() {
        let one = entry(256, 0, &body(&ADMINS, &SYSTEM));
        let two = entry(257, one.len() as u64, &body(&SYSTEM, &SYSTEM));
        let whole = [one.clone(), two].concat();
        let take = |block: &[u8]| {
            let (mut owners, mut broken) = (Owners(HashMap::new()), Vec::new());
            let good = owners.take(block, 0, &mut broken);
            (good.len(), owners.0.len(), broken)
        };
        assert_eq!(take(&whole), (2, 2, vec![]));
        for at in 0..one.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x20;
            // The padding belongs to no descriptor; a damaged head may not look like one at all.
            let (good, known, broken) = take(&damaged);
            assert!(good == known && good >= 1 && broken.len() <= 1, "{at}: {good} {broken:?}");
            assert!((20..20 + 48).contains(&at) == (broken == [0]) || at < 20, "{at}: {broken:?}");
        }
        for len in 0..whole.len() {
            take(&whole[..len]);
        }
    }
}
