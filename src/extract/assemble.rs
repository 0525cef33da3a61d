//! What several volumes make together: managers are asked when all images were scanned, lower layers first,
//! and what they make is scanned like any other volume. Members that appear there are put together in turn.
use super::layout::{Layout, Means};
use super::scan::{Role, Spot};
use crate::base::{Budget, Gaps};
use crate::inventory::{VolumeInfo, VolumeState};
use crate::volume::{Assembled, MANAGERS, Manager, Member};

/// Layers of managers upon managers.
const MAX_ROUNDS: usize = 16;

impl Layout {
    /// Puts together what can be, until nothing new appears.
    pub(super) fn assemble(&mut self, means: &Means<'_>, gaps: &Gaps) {
        for _ in 0..MAX_ROUNDS {
            let Some(lowest) = self.members.iter().map(|(manager, ..)| *manager).min() else { return };
            let (now, later) = std::mem::take(&mut self.members).into_iter().partition(|(m, ..)| *m == lowest);
            self.members = later;
            if let Some(manager) = MANAGERS.get(lowest) {
                self.put_together(manager, now, means, gaps);
            }
        }
        for (_, _, _, member) in std::mem::take(&mut self.members) {
            let what = format!("budget: {MAX_ROUNDS} layers of volume managers; not put together");
            member.gaps.add("volume", what, member.source.len());
        }
    }

    fn put_together(
        &mut self,
        manager: &Manager,
        found: Vec<(usize, u32, u32, Member)>,
        means: &Means<'_>,
        gaps: &Gaps,
    ) {
        let places: Vec<(u32, u32)> = found.iter().map(|(_, volume, depth, _)| (*volume, *depth)).collect();
        let members: Vec<Member> = found.into_iter().map(|(.., member)| member).collect();
        let ids: Vec<String> = places.iter().map(|(v, _)| self.volume_id(*v)).collect();
        let made = if (means.enter)(&format!("{}: {}", manager.name, ids.join(", "))) {
            (manager.assemble)(&members, gaps, Budget::default())
        } else {
            Vec::new()
        };
        let unused = |n: &usize| !made.iter().any(|a| a.members.contains(n));
        for n in (0..members.len()).filter(unused) {
            let (Some((volume, _)), Some(member)) = (places.get(n), members.get(n)) else { continue };
            // The manager, or whoever skipped it, said why.
            if let Some(info) = self.scene.volumes.get_mut(*volume as usize) {
                info.state = VolumeState::Unsupported;
            }
            self.claim_unparsed(*volume, member);
        }
        for volume in made {
            self.enter_assembled(manager, &volume, &places, &members, means, gaps);
        }
    }

    fn claim_unparsed(&mut self, volume: u32, member: &Member) {
        if !self.in_file(volume) {
            let all = crate::base::Run::new(0, member.source.len());
            self.claims.add(&member.source, all, super::bytes::Class::Unparsed);
        }
    }

    /// Whether a volume lies, at any depth, in a file of a file system.
    fn in_file(&self, volume: u32) -> bool {
        let mut at = Some(volume);
        while let Some(info) = at.and_then(|v| self.scene.volumes.get(v as usize)) {
            if info.scheme == super::embedded::SCHEME {
                return true;
            }
            // A parent stands before its child, so this ends.
            at = info.parent.filter(|parent| at.is_some_and(|v| *parent < v));
        }
        false
    }

    fn enter_assembled(
        &mut self,
        manager: &Manager,
        made: &Assembled,
        places: &[(u32, u32)],
        members: &[Member],
        means: &Means<'_>,
        gaps: &Gaps,
    ) {
        let of: Vec<(u32, u32)> = made.members.iter().filter_map(|m| places.get(*m).copied()).collect();
        let Some((first, _)) = of.first().copied() else { return };
        let Some(ledger) = made.members.first().and_then(|m| members.get(*m)).map(|m| &m.gaps) else { return };
        let image = self.scene.volumes.get(first as usize).map_or(0, |v| v.image);
        let depth = of.iter().map(|(_, depth)| *depth).max().unwrap_or(0).saturating_add(1);
        let source = made.source.clone();
        let info = VolumeInfo {
            image,
            parent: Some(first),
            members: if of.len() > 1 { of.iter().map(|(volume, _)| *volume).collect() } else { Vec::new() },
            scheme: manager.name.to_owned(),
            index: made.index,
            size: source.as_ref().map_or(0, |s| s.len()),
            type_name: made.type_name.clone(),
            label: made.label.clone(),
            uuid: made.uuid.clone(),
            state: if made.internal { VolumeState::Read } else { VolumeState::Damaged },
            ..VolumeInfo::default()
        };
        let id: [&[u8]; 4] =
            [manager.name.as_bytes(), made.uuid.as_bytes(), made.label.as_bytes(), &made.index.to_le_bytes()];
        let shown = source.clone().unwrap_or_else(|| std::sync::Arc::new(Vec::new()));
        let Some(volume) = self.add_volume(info, &id, shown, gaps) else { return };
        let (Some(source), false) = (source, made.internal) else { return };
        let gaps = ledger.at(|p| p.volume = Some(volume));
        let in_file = self.in_file(first);
        let role = if made.is_filesystem { Role::Devices } else { Role::Disk };
        self.scan(&Spot { volume, image, depth, in_file, role, gaps }, &source, means);
    }
}
