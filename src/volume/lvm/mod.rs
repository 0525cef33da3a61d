//! LVM2: volume groups over one or several disks.
//! Format: lvm2's own source tree, `lib/format_text/layout.h` (label, metadata area) and the text that
//! `vgcfgbackup` writes; thin pools and snapshots by the kernel's `Documentation/admin-guide/device-mapper`.
mod build;
mod group;
mod label;
mod snapshot;
#[cfg(test)]
mod tests;
mod text;
mod thin;

use super::{Assembled, Manager, Member};
use crate::base::{Budget, Gaps};
use group::Group;
use label::Label;
use std::collections::BTreeMap;

pub(super) const MANAGER: Manager = Manager {
    name: "lvm2",
    about: "LVM2 volume groups on one or several disks: linear, striped, mirror, RAID, thin volumes, snapshots",
    limits: "a cache or write cache is not laid over its volume; VDO volumes are listed but not read",
    probe: |source| Label::find(source).is_some(),
    size: |_| None,
    assemble,
};

/// The reader's name in gaps.
const BY: &str = "lvm2";

/// A physical volume: its label, the metadata it carries, and where it is.
struct Physical {
    member: usize,
    image: Option<u32>,
    uuid: String,
    groups: Vec<Group>,
}

fn assemble(members: &[Member], gaps: &Gaps, mut budget: Budget) -> Vec<Assembled> {
    let mut all = Vec::new();
    for (number, member) in members.iter().enumerate() {
        let Some(label) = Label::find(&member.source) else { continue };
        let groups = label.groups(member, &mut budget);
        all.push(Physical { member: number, image: member.gaps.here().image, uuid: label.uuid, groups });
    }
    // Of each group the newest copy of its metadata counts, whichever disk it is on.
    let mut newest: BTreeMap<String, Group> = BTreeMap::new();
    for group in all.iter_mut().flat_map(|p| std::mem::take(&mut p.groups)) {
        let known = newest.get(&group.id);
        if known.is_none_or(|k| (group.seqno, &group.name) > (k.seqno, &k.name)) {
            newest.insert(group.id.clone(), group);
        }
    }
    let mut made = Vec::new();
    for group in newest.values() {
        for set in sets(group, &all, gaps) {
            made.extend(build::volumes(group, &set, members, gaps, &mut budget));
        }
    }
    for physical in &all {
        if !newest.values().any(|g| g.physical.iter().any(|p| p.uuid == physical.uuid))
            && let Some(member) = members.get(physical.member)
        {
            let what = format!("physical volume {}: no metadata of its volume group was found", physical.uuid);
            member.gaps.add(BY, what, member.source.len());
        }
    }
    made
}

/// Which members hold a group: the member for each of its physical volumes. Disks that were cloned from one
/// master carry the same ids: then they are put together in the order in which they were given.
fn sets(group: &Group, all: &[Physical], gaps: &Gaps) -> Vec<BTreeMap<String, usize>> {
    let of = |uuid: &str| all.iter().filter(|p| p.uuid == uuid).collect::<Vec<_>>();
    let copies: Vec<(&str, Vec<&Physical>)> = group.physical.iter().map(|p| (p.uuid.as_str(), of(&p.uuid))).collect();
    let most = copies.iter().map(|(_, found)| found.len()).max().unwrap_or(0);
    if most > 1 {
        let what = format!(
            "volume group {}: its physical volumes stand {most} times in the evidence (copies of one master?); \
             put together in the order of the images",
            group.name
        );
        gaps.add(BY, what, 0);
    }
    let set = |n: usize| {
        let lead = copies.iter().find(|(_, found)| found.len() == most).and_then(|(_, found)| found.get(n));
        let pick = |found: &[&Physical]| match found {
            [one] => Some(one.member),
            several if several.len() == most => several.get(n).map(|p| p.member),
            several => several.iter().find(|p| lead.is_some_and(|l| l.image == p.image)).map(|p| p.member),
        };
        copies.iter().filter_map(|(uuid, found)| Some(((*uuid).to_owned(), pick(found)?))).collect()
    };
    (0..most).map(set).collect()
}
