//! RAID: how blocks are spread over devices (`layout.rs`), and Linux md, which writes that down (`superblock.rs`).
pub(super) mod layout;
mod superblock;
#[cfg(test)]
mod tests;

use super::{Assembled, Manager, Member};
use crate::base::{Budget, Gaps, Run};
use crate::image::{Joined, Slice, Source};
use layout::{Array, Level, Parity};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use superblock::Superblock;

pub(super) const MANAGER: Manager = Manager {
    name: "md",
    about: "Linux md RAID, metadata 0.90 and 1.0 to 1.2: linear, 0, 1, 4, 5, 6, 10, also with devices missing",
    limits: "arrays whose shape was being changed are listed but not read; of RAID 0 over devices of several sizes only the area that all have; no big-endian 0.90",
    probe: |source| Superblock::find(source).is_some(),
    size: |_| None,
    assemble,
};

/// The reader's name in gaps.
const BY: &str = "md";

/// A member and what its superblock says.
struct Device {
    member: usize,
    sb: Superblock,
}

fn assemble(members: &[Member], gaps: &Gaps, mut budget: Budget) -> Vec<Assembled> {
    let mut sets: BTreeMap<String, Vec<Device>> = BTreeMap::new();
    for (number, member) in members.iter().enumerate() {
        if budget.step(1).is_err() {
            break;
        }
        if let Some(sb) = Superblock::find(&member.source) {
            sets.entry(sb.uuid.clone()).or_default().push(Device { member: number, sb });
        }
    }
    let mut made = Vec::new();
    for devices in sets.values() {
        for copy in copies(devices, gaps) {
            made.extend(array(&copy, members));
        }
    }
    made
}

/// Disks that were cloned from one master carry the same ids: each role's copies go together in the order given.
fn copies<'a>(devices: &'a [Device], gaps: &Gaps) -> Vec<Vec<&'a Device>> {
    let mut turns: BTreeMap<u32, usize> = BTreeMap::new();
    let mut sets: Vec<Vec<&Device>> = Vec::new();
    for device in devices {
        // By its number, which spares have too.
        let turn = turns.entry(device.sb.number).or_default();
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
            "array {}: its devices stand {} times in the evidence (copies of one master?); put together in the order of the images",
            first.sb.shown(),
            sets.len()
        );
        gaps.add(BY, what, 0);
    }
    sets
}

/// The array that these devices make.
fn array(devices: &[&Device], members: &[Member]) -> Option<Assembled> {
    let newest = devices.iter().max_by_key(|d| (d.sb.events, std::cmp::Reverse(d.member)))?;
    let sb = &newest.sb;
    let ledger = &members.get(newest.member)?.gaps;
    let say = |what: String, bytes| ledger.add(BY, format!("array {}: {what}", sb.shown()), bytes);
    let mut roles: BTreeMap<u64, &Device> = BTreeMap::new();
    for device in devices {
        let Some(role) = device.sb.role else { continue };
        // A device that fell out keeps the count of events of that day.
        if device.sb.events.saturating_add(1) < sb.events {
            say(format!("device {role} is out of date ({} events of {}); left out", device.sb.events, sb.events), 0);
        } else if device.sb.rebuilding {
            say(format!("device {role} was being rebuilt; left out"), 0);
        } else {
            roles.entry(role).or_insert(device);
        }
    }
    let missing: Vec<String> =
        (0..sb.disks).filter(|r| !roles.contains_key(r)).map(|r| r.to_string()).take(40).collect();
    if !missing.is_empty() {
        let what = format!(
            "{} of {} devices are not part of the evidence or not in use: {}",
            missing.len(),
            sb.disks,
            missing.join(", ")
        );
        say(what, 0);
    }
    let source = build(sb, &roles, members, &say).map_err(|what| say(format!("not put together: {what}"), 0)).ok();
    let used: BTreeSet<usize> = devices.iter().map(|d| d.member).collect();
    Some(Assembled {
        members: used.into_iter().collect(),
        index: 0,
        type_name: sb.level_name(),
        label: sb.name.clone(),
        uuid: sb.uuid.clone(),
        source,
        internal: false,
        is_filesystem: false,
    })
}

fn build(
    sb: &Superblock,
    roles: &BTreeMap<u64, &Device>,
    members: &[Member],
    say: &dyn Fn(String, u64),
) -> Result<Source, String> {
    if sb.reshaping {
        return Err("its shape was being changed".to_owned());
    }
    if sb.disks == 0 || sb.disks > 4096 {
        return Err(format!("{} devices", sb.disks));
    }
    let data = |role: u64| {
        let device = roles.get(&role)?;
        let run = Run::new(device.sb.data_offset, device.sb.data_size);
        Some(Arc::new(Slice::new(members.get(device.member)?.source.clone(), run)) as Source)
    };
    let whole = |len: u64| len.saturating_sub(len.checked_rem(sb.chunk.max(1)).unwrap_or(0));
    if sb.level == superblock::LINEAR {
        let mut parts: Vec<Source> = Vec::new();
        for role in 0..sb.disks {
            let Some(part) = data(role) else {
                say(format!("what follows device {role} cannot be placed, as its size is not known"), 0);
                break;
            };
            let len = whole(part.len());
            parts.push(Arc::new(Slice::new(part, Run::new(0, len))));
        }
        return Ok(Arc::new(Joined::new(parts)));
    }
    let level = level(sb)?;
    let used = if sb.level == 0 {
        let sizes: BTreeSet<u64> = roles.values().map(|d| whole(d.sb.data_size)).collect();
        if sizes.len() > 1 {
            say("its devices differ in size; only the area that all have is read".to_owned(), 0);
        }
        sizes.first().copied().unwrap_or(0)
    } else {
        sb.used
    };
    let len = Array::capacity(level, sb.disks, sb.chunk, used).ok_or("its geometry is impossible")?;
    let devices: Vec<Option<Source>> = (0..sb.disks).map(data).collect();
    if devices.iter().all(Option::is_none) {
        return Err("none of its devices can be used".to_owned());
    }
    Ok(Arc::new(Array { level, devices, chunk: sb.chunk, len }))
}

fn level(sb: &Superblock) -> Result<Level, String> {
    use Parity::{First, Last, LeftAsymmetric, LeftSymmetric, RightAsymmetric, RightSymmetric};
    let unknown = || format!("{} with layout {:#x} is not read", sb.level_name(), sb.layout);
    let parity = || {
        Ok(match sb.layout {
            0 => LeftAsymmetric,
            1 => RightAsymmetric,
            2 => LeftSymmetric,
            3 => RightSymmetric,
            4 => First,
            5 => Last,
            _ => return Err(unknown()),
        })
    };
    Ok(match sb.level {
        0 => Level::Striped,
        1 => Level::Mirrored,
        4 => Level::Single(Last),
        5 => Level::Single(parity()?),
        6 if sb.layout == 8 => Level::Double { parity: RightAsymmetric, by_device: true },
        6 => Level::Double { parity: parity()?, by_device: false },
        10 => {
            // Bits from 17 on change where the copies go.
            if sb.layout >> 17 != 0 {
                return Err(unknown());
            }
            let (near, far) = (u64::from(sb.layout & 0xff), u64::from(sb.layout >> 8 & 0xff));
            Level::Copies { near, far, offset: sb.layout & 1 << 16 != 0 }
        }
        _ => return Err(unknown()),
    })
}
