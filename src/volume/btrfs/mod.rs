//! Btrfs over several devices. The file system spreads its blocks itself (`fs/btrfs`); all that is done here
//! is to find its devices, of all images, and to lay them one after the other: the volume that the file system
//! is then read from. One that has a single device is no member of anything, and is opened where it lies.
mod sums;
mod superblock;

use super::{Assembled, Manager, Member};
use crate::base::{Budget, Gaps};
use crate::image::magic::{self, Class};
use crate::image::{Extent, Map, Mapped, ReadError, Source};
use std::collections::BTreeMap;
use std::sync::Arc;
pub(crate) use sums::Sum;
pub(crate) use superblock::{DeviceItem, LEN, MAX_LEVEL, PLACES, Root, Superblock, Uuid, uuid_text};

pub(super) const MANAGER: Manager = Manager {
    name: "btrfs",
    about: "Btrfs over several devices: put together by file system and device, also with devices missing and with seed devices",
    limits: "a device whose first superblock is lost is not put together with the others",
    probe: |source| member(source).is_some(),
    size: |_| None,
    assemble,
};

/// The reader's name in gaps.
const BY: &str = "btrfs";

/// What a device says of itself, if its file system has further ones.
fn member(source: &Source) -> Option<Superblock> {
    let sb = Superblock::at(&**source, PLACES[0]).filter(|sb| sb.whole && (sb.devices > 1 || sb.is_seed()))?;
    // A superblock may be left of what stood here before.
    let other =
        |m: &magic::Magic| matches!(m.class, Class::FileSystem | Class::Encrypted | Class::Volume) && m.name != "Btrfs";
    (magic::find(&**source, 0, other).is_none() && super::recognise(source).is_none()).then_some(sb)
}

struct Device {
    member: usize,
    sb: Superblock,
}

fn assemble(members: &[Member], gaps: &Gaps, mut budget: Budget) -> Vec<Assembled> {
    let mut sets: BTreeMap<Uuid, Vec<Device>> = BTreeMap::new();
    let mut seeds = Vec::new();
    for (number, found) in members.iter().enumerate() {
        if budget.step(1).is_err() {
            gaps.add(BY, "budget: devices of Btrfs; the rest was not put together", 0);
            break;
        }
        let Some(sb) = Superblock::newest(&*found.source) else { continue };
        if sb.is_seed() {
            seeds.push(number);
        }
        sets.entry(sb.tree_uuid).or_default().push(Device { member: number, sb });
    }
    let mut made = Vec::new();
    for devices in sets.values() {
        for copy in copies(devices, gaps) {
            made.extend(volume(copy, &seeds, members));
        }
    }
    made
}

/// Disks that were cloned from one master carry the same ids: the copies go together in the order given.
fn copies<'a>(devices: &'a [Device], gaps: &Gaps) -> Vec<Vec<&'a Device>> {
    let mut turns: BTreeMap<u64, usize> = BTreeMap::new();
    let mut sets: Vec<Vec<&Device>> = Vec::new();
    for device in devices {
        let turn = turns.entry(device.sb.device.id).or_default();
        if *turn >= sets.len() {
            sets.push(Vec::new());
        }
        if let Some(set) = sets.get_mut(*turn) {
            set.push(device);
        }
        *turn = turn.saturating_add(1);
    }
    if let (Some(first), true) = (devices.first(), sets.len() > 1) {
        let what = format!(
            "file system {}: its devices stand {} times in the evidence (copies of one master?); put together in the order of the images",
            uuid_text(&first.sb.fsid),
            sets.len()
        );
        gaps.add(BY, what, 0);
    }
    sets
}

/// The devices one after the other, in the order of their numbers; then those of file systems that this one may
/// have grown from.
fn volume(mut devices: Vec<&Device>, seeds: &[usize], members: &[Member]) -> Option<Assembled> {
    devices.sort_by_key(|d| (d.sb.device.id, d.member));
    let newest = devices.iter().max_by_key(|d| (d.sb.generation, std::cmp::Reverse(d.sb.device.id)))?;
    let mut used: Vec<usize> = devices.iter().map(|d| d.member).collect();
    if (used.len() as u64) < newest.sb.devices {
        used.extend(seeds.iter().filter(|s| !devices.iter().any(|d| d.member == **s)));
    }
    let mut parts = Parts { list: Vec::new(), len: 0 };
    for member in used.iter().filter_map(|number| members.get(*number)) {
        let Some(sb) = Superblock::newest(&*member.source) else { continue };
        let held = member.source.len();
        let len = sb.device_len(held);
        if len > held {
            let what = format!("device {} has {len} bytes, {held} of them exist", sb.device.id);
            member.gaps.add(BY, what, len.saturating_sub(held));
        }
        parts.add(sb.device.id, member.source.clone(), len);
    }
    let source: Source = Arc::new(Mapped(parts));
    Some(Assembled {
        members: used,
        index: 0,
        type_name: format!("Btrfs over {} devices", newest.sb.devices),
        label: String::from_utf8_lossy(&newest.sb.label).into_owned(),
        uuid: uuid_text(&newest.sb.fsid),
        source: Some(source),
        internal: false,
        is_filesystem: true,
    })
}

/// Devices one after the other, each as long as the file system uses it.
struct Parts {
    /// First byte in the whole, number of the device, its bytes.
    list: Vec<(u64, u64, Source)>,
    len: u64,
}
impl Parts {
    fn add(&mut self, id: u64, source: Source, len: u64) {
        if let Some(end) = self.len.checked_add(len).filter(|_| len > 0) {
            self.list.push((self.len, id, source));
            self.len = end;
        }
    }
}
impl Map for Parts {
    fn len(&self) -> u64 {
        self.len
    }
    fn at(&self, offset: u64) -> Result<Extent, ReadError> {
        let next = self.list.partition_point(|(start, ..)| *start <= offset);
        let end = self.list.get(next).map_or(self.len, |(start, ..)| *start);
        let Some((start, id, source)) = next.checked_sub(1).and_then(|n| self.list.get(n)) else {
            return Err(ReadError { offset, what: "no device here".to_owned() });
        };
        let inside = offset.saturating_sub(*start);
        let (len, held) = (end.saturating_sub(offset), source.len().saturating_sub(inside));
        Ok(if held == 0 {
            Extent::Absent { len, what: format!("device {id} ends before") }
        } else {
            Extent::Stored { source: source.clone(), offset: inside, len: len.min(held) }
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::testing::{assembled, image};
    use super::*;
    use crate::base::{PieceKind, Run};

    /// A device of 2 MiB that says that it is number `id` of `count`.
    fn device(id: u8, count: u8, generation: u8, uuid: u8) -> Vec<u8> {
        let mut bytes = vec![id; 2 << 20];
        let sb = bytes.get_mut(65_536..65_536 + LEN).unwrap();
        sb.fill(0);
        let mut put = |at: usize, value: &[u8]| {
            sb.get_mut(at..at + value.len()).unwrap().copy_from_slice(value);
        };
        put(0x20, &[uuid; 16]);
        put(0x30, &65_536_u64.to_le_bytes());
        put(0x40, b"_BHRfS_M");
        put(0x48, &[generation]);
        put(0x88, &[count]);
        put(0x90, &4096_u32.to_le_bytes());
        put(0x94, &16_384_u32.to_le_bytes());
        put(0xc9, &[id]);
        put(0xd1, &(2_u64 << 20).to_le_bytes());
        put(0x10b, &[id; 16]);
        let sum = crc32c::crc32c(sb.get(32..).unwrap());
        sb.get_mut(..4).unwrap().copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    #[test]
    fn devices_of_one_file_system_follow_each_other() {
        let mut cut = device(1, 2, 5, 9);
        cut.truncate(1 << 20);
        let sources = [image(device(2, 2, 5, 9), 0), image(cut, 1), image(device(1, 1, 5, 7), 2)];
        let (made, gaps) = assembled(&MANAGER, &sources);
        // The one that is alone is no member.
        assert_eq!(made.len(), 1);
        let volume = made.first().unwrap();
        assert_eq!((volume.members.as_slice(), volume.uuid.get(..8).unwrap()), (&[1, 0][..], "09090909"));
        let source = volume.source.clone().unwrap();
        assert_eq!(source.len(), 4 << 20);
        assert_eq!(Superblock::at(&*source, 65_536).unwrap().device.id, 1);
        let mut byte = [0];
        assert_eq!((source.read_at((2 << 20) + 7, &mut byte), byte), (Ok(1), [2]));
        assert!(source.read_at((1 << 20) + 7, &mut byte).unwrap_err().what.contains("device 1 ends"));
        let kinds: Vec<_> = source.locate(Run::new(0, 4 << 20)).iter().map(|p| (p.image, p.kind)).collect();
        assert_eq!(kinds, [(1, PieceKind::Stored), (0, PieceKind::Absent), (0, PieceKind::Stored)]);
        assert_eq!(gaps.len(), 1, "{gaps:?}");
        assert_eq!(gaps.first().unwrap().bytes, 1 << 20);
    }

    #[test]
    fn copies_of_one_master_are_two_file_systems() {
        let sources: Vec<Source> = [1, 2, 1, 2].iter().zip(0..).map(|(id, n)| image(device(*id, 2, 5, 9), n)).collect();
        let (made, gaps) = assembled(&MANAGER, &sources);
        let members: Vec<_> = made.iter().map(|m| m.members.clone()).collect();
        assert_eq!(members, [vec![0, 1], vec![2, 3]]);
        assert!(gaps.iter().any(|g| g.what.contains("stand 2 times")), "{gaps:?}");
    }
}
