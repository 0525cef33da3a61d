//! What a volume holds: a member of a volume manager, something encrypted, a table, a file system, a disk
//! image; and what lies within that, by the same steps, down to a depth.
use super::bytes::{Class as Bytes, without};
use super::layout::{Layout, Means};
use crate::base::{Budget, FsId, Gaps, Run, short_id};
use crate::fs::{self, FileSystem, Format, Options};
use crate::image::magic::{self, Class};
use crate::image::{self, Alone, Opening, Slice, Source};
use crate::inventory::{FilesystemInfo, VolumeInfo, VolumeState};
use crate::volume::{self, Keys, Locked, Member, Part, PartKind};
use std::sync::Arc;

/// Volumes within volumes; a real system stacks five (disk image, partition, array, volume group, encryption).
const MAX_DEPTH: u32 = 10;

/// When a table is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A disk of its own: before file systems, as hybrid media have both.
    Disk,
    /// A part of a disk: only if no file system is there, whose boot code may look like a table.
    Part,
    /// An image whose table was looked for already.
    Whole,
    /// The devices of one file system, one after the other.
    Devices,
}

/// A volume that is being scanned.
#[derive(Clone)]
pub(super) struct Spot {
    /// Positions in the scene.
    pub volume: u32,
    pub image: u32,
    /// How many volumes it lies within.
    pub depth: u32,
    /// Its bytes were counted already: it lies in a file.
    pub in_file: bool,
    pub role: Role,
    /// At this volume's place.
    pub gaps: Gaps,
}

impl Layout {
    /// A whole image: its table's parts, or one volume over all of it.
    pub(super) fn scan_image(&mut self, image: u32, id: &str, disk: &Source, means: &Means<'_>, gaps: &Gaps) {
        if let Some(parts) = self.pages(image, disk, means, gaps) {
            self.add_nand(image, id, disk, &parts, means, gaps);
            return;
        }
        let stacked = volume::member_of(disk).is_some() || volume::encrypted(disk).is_some();
        let hybrid = !stacked && hybrid(disk).is_some();
        if !stacked
            && !hybrid
            && let Some((scheme, parts)) = table(disk, &format!("image {image}"), means, gaps)
        {
            let above = Above { image, id, parent: None, depth: 0, in_file: false };
            self.add_parts(&above, scheme, parts, disk, means, gaps);
            return;
        }
        let whole = VolumeInfo { image, scheme: "none".into(), size: disk.len(), ..VolumeInfo::default() };
        let of: [&[u8]; 3] = [id.as_bytes(), b"none", &0_u64.to_le_bytes()];
        let Some(volume) = self.add_volume(whole, &of, disk.clone(), gaps) else { return };
        let gaps = gaps.at(|p| p.volume = Some(volume));
        let role = if hybrid { Role::Disk } else { Role::Whole };
        self.scan(&Spot { volume, image, depth: 0, in_file: false, role, gaps }, disk, means);
    }

    /// A folder that is evidence: one volume over all its bytes, with its tree.
    pub(super) fn add_folder(&mut self, image: u32, id: &str, fs: Arc<dyn FileSystem>, disk: &Source, gaps: &Gaps) {
        let state = VolumeState::Read;
        let whole = VolumeInfo { image, scheme: "folder".into(), size: disk.len(), state, ..VolumeInfo::default() };
        let of: [&[u8]; 3] = [id.as_bytes(), b"folder", &0_u64.to_le_bytes()];
        let Some(volume) = self.add_volume(whole, &of, disk.clone(), gaps) else { return };
        let spot = Spot { volume, image, depth: 0, in_file: false, role: Role::Whole, gaps: gaps.clone() };
        self.claim(&spot, disk, Run::new(0, disk.len()), Bytes::Read);
        let filesystem = FsId(u32::try_from(self.filesystems.len()).unwrap_or(u32::MAX));
        let volume_id = self.volume_id(volume);
        self.enter_filesystem(&spot, &volume_id, fs);
        if let Some(info) = self.scene.volumes.get_mut(volume as usize) {
            info.filesystem = Some(filesystem);
        }
    }

    /// Finds out what a volume holds, goes on within it, and enters its state and its bytes.
    pub(super) fn scan(&mut self, spot: &Spot, source: &Source, means: &Means<'_>) {
        let state = if spot.depth > MAX_DEPTH {
            spot.gaps.add("volume", format!("budget: {MAX_DEPTH} volumes within each other; not opened"), source.len());
            VolumeState::Unsupported
        } else {
            self.contents(spot, source, means)
        };
        if let Some(info) = self.scene.volumes.get_mut(spot.volume as usize) {
            info.state = state;
        }
        let class = match state {
            VolumeState::Read => return,
            VolumeState::Encrypted => Bytes::Encrypted,
            VolumeState::Unsupported | VolumeState::Damaged => Bytes::Unparsed,
        };
        self.claim(spot, source, Run::new(0, source.len()), class);
    }

    /// Counts a run of a volume, unless it was counted as a file's content.
    pub(super) fn claim(&mut self, spot: &Spot, source: &Source, run: Run, class: Bytes) {
        if !spot.in_file {
            self.claims.add(source, run, class);
        }
    }

    fn contents(&mut self, spot: &Spot, source: &Source, means: &Means<'_>) -> VolumeState {
        if let Some(name) = magic::at_end(&**source) {
            let what = format!("its last bytes are those of a {name}, of which nothing is read or checked");
            spot.gaps.add("volume", what, 0);
        }
        let joined = spot.role == Role::Devices;
        if let Some((number, manager)) = volume::member_of(source).filter(|_| !joined) {
            let member = Member { source: source.clone(), gaps: spot.gaps.clone() };
            self.set_type(spot, &format!("{} member", manager.name));
            self.members.push((number, spot.volume, spot.depth, member));
            return VolumeState::Read;
        }
        if let Some(encryption) = volume::encrypted(source).filter(|_| !joined) {
            return self.unlock(spot, encryption, source, means);
        }
        if spot.role == Role::Disk
            && let Some(format) = hybrid(source)
        {
            return self.hybrid(spot, format, source, means);
        }
        if spot.role == Role::Disk
            && let Some(state) = self.divided(spot, source, means)
        {
            return state;
        }
        if let Some(format) = fs::recognise(source).filter(|f| !fs::is_piece(f, source)) {
            return self.add_filesystem(spot, format, source, means);
        }
        if spot.role == Role::Part
            && let Some(state) = self.divided(spot, source, means)
        {
            return state;
        }
        if let Some(format) = image::recognise(source) {
            return self.contained(spot, format, source, means);
        }
        let known = magic::name(&**source).filter(|m| m.class != Class::Boot);
        if let Some(known) = known {
            // Something else begins here: what older structures may lie further on no longer counts.
            let (state, what) = match (known.class, known.name) {
                (Class::Encrypted, name) => (VolumeState::Encrypted, format!("encrypted: {name}")),
                (_, "Linux swap") => (VolumeState::Unsupported, "swap area: not read".to_owned()),
                (_, name) => {
                    let about = volume::described(source, name);
                    let about = if about.is_empty() { about } else { format!(" ({about})") };
                    (VolumeState::Unsupported, format!("{name} is not read by this version{about}"))
                }
            };
            spot.gaps.add("volume", what, source.len());
            return state;
        }
        if self.is_empty(spot, source) {
            return VolumeState::Read;
        }
        if let Some(state) = self.laid_out(spot, source, means) {
            return state;
        }
        if let Some(format) = fs::recognise_damaged(source) {
            return self.add_filesystem(spot, format, source, means);
        }
        self.search(spot, source, means)
    }

    /// What a volume is, where its table did not say.
    fn set_type(&mut self, spot: &Spot, name: &str) {
        if let Some(info) = self.scene.volumes.get_mut(spot.volume as usize)
            && info.type_name.is_empty()
        {
            name.clone_into(&mut info.type_name);
        }
    }

    pub(super) fn volume_id(&self, volume: u32) -> String {
        self.scene.volumes.get(volume as usize).map(|v| v.id.clone()).unwrap_or_default()
    }

    /// A table within the volume.
    fn divided(&mut self, spot: &Spot, source: &Source, means: &Means<'_>) -> Option<VolumeState> {
        let id = self.volume_id(spot.volume);
        let (scheme, parts) = table(source, &id, means, &spot.gaps)?;
        let above = Above::parts_of(spot, &id);
        self.add_parts(&above, scheme, parts, source, means, &spot.gaps);
        Some(VolumeState::Read)
    }

    /// A disc that is a disk as well: its files are those of the whole, and a table in the area that discs leave free
    /// gives parts that lie within it (the EFI system partition, a partition for data behind the disc).
    fn hybrid(&mut self, spot: &Spot, format: &Format, source: &Source, means: &Means<'_>) -> VolumeState {
        let state = self.add_filesystem(spot, format, source, means);
        let id = self.volume_id(spot.volume);
        let Some((scheme, parts)) = table(source, &id, means, &spot.gaps) else { return state };
        let above = Above::parts_of(spot, &id);
        // What no entry claims is the disc's own.
        let parts = parts.into_iter().filter(|p| p.kind == PartKind::Partition).collect();
        self.add_parts(&above, scheme, parts, source, means, &spot.gaps);
        state
    }

    /// Opens an encrypted volume if a key was given, and goes on within.
    fn unlock(
        &mut self,
        spot: &Spot,
        encryption: &volume::Encryption,
        source: &Source,
        means: &Means<'_>,
    ) -> VolumeState {
        let id = self.volume_id(spot.volume);
        if !(means.enter)(&format!("{} in {id}", encryption.name)) {
            return VolumeState::Encrypted;
        }
        let keys = Keys::new(means.keys, &id, &means.meant);
        let sealed = match (encryption.open)(source, &keys, &spot.gaps, Budget::default()) {
            Ok(sealed) => sealed,
            Err(e) => {
                spot.gaps.add(encryption.name, format!("encrypted; its header cannot be read: {e}"), source.len());
                return VolumeState::Encrypted;
            }
        };
        self.set_type(spot, &sealed.type_name);
        let content = match sealed.content {
            Ok(content) => content,
            Err(locked) => {
                let why = match locked {
                    Locked::NoKey => format!("no key was given for it (--key {id}=FILE)"),
                    Locked::WrongKey(1) => "the key given for it does not open it".to_owned(),
                    Locked::WrongKey(n) => format!("none of the {n} keys given for it opens it"),
                    Locked::Unsupported(why) => why,
                };
                let what = format!("encrypted: {} ({}); {why}", sealed.type_name, sealed.about);
                spot.gaps.add(encryption.name, what, source.len());
                return VolumeState::Encrypted;
            }
        };
        let inner = VolumeInfo {
            image: spot.image,
            parent: Some(spot.volume),
            scheme: encryption.name.to_owned(),
            offset: content.offset,
            size: content.source.len(),
            type_name: sealed.type_name,
            label: sealed.label,
            uuid: sealed.uuid,
            ..VolumeInfo::default()
        };
        self.go_on(spot, inner, &content.source, Role::Disk, means);
        VolumeState::Read
    }

    /// A disk image that fills the volume.
    fn contained(&mut self, spot: &Spot, format: &image::Format, source: &Source, means: &Means<'_>) -> VolumeState {
        let id = self.volume_id(spot.volume);
        if !(means.enter)(&format!("{} in {id}", format.name)) {
            return VolumeState::Damaged;
        }
        let opening = Opening {
            source: source.clone(),
            files: &Alone,
            gaps: &spot.gaps,
            budget: Budget::default(),
            store: self.store.clone(),
        };
        match (format.open)(&opening) {
            Ok(container) => {
                let inner = VolumeInfo {
                    image: spot.image,
                    parent: Some(spot.volume),
                    scheme: format.name.to_owned(),
                    size: container.disk.len(),
                    ..VolumeInfo::default()
                };
                self.go_on(spot, inner, &container.disk, Role::Disk, means);
                VolumeState::Read
            }
            Err(e) => {
                spot.gaps.add(format.name, format!("not opened: {e}"), source.len());
                VolumeState::Damaged
            }
        }
    }

    /// Lists a volume that lies within `spot`, and scans it.
    pub(super) fn go_on(
        &mut self,
        spot: &Spot,
        inner: VolumeInfo,
        source: &Source,
        role: Role,
        means: &Means<'_>,
    ) -> Option<u32> {
        let above = self.volume_id(spot.volume);
        let (scheme, offset) = (inner.scheme.clone(), inner.offset.to_le_bytes());
        let of: [&[u8]; 3] = [above.as_bytes(), scheme.as_bytes(), &offset];
        let volume = self.add_volume(inner, &of, source.clone(), &spot.gaps)?;
        let depth = spot.depth.saturating_add(1);
        let gaps = spot.gaps.at(|p| p.volume = Some(volume));
        self.scan(&Spot { volume, depth, role, gaps, ..spot.clone() }, source, means);
        Some(volume)
    }
}

/// What parts belong to: an image, or the volume that the table lies in.
pub(super) struct Above<'a> {
    pub image: u32,
    /// Id of the image or volume.
    pub id: &'a str,
    pub parent: Option<u32>,
    /// Of the parts.
    pub depth: u32,
    pub in_file: bool,
}
impl<'a> Above<'a> {
    /// For the parts of a volume that is being scanned; `id` is the volume's.
    pub(super) fn parts_of(spot: &Spot, id: &'a str) -> Self {
        let depth = spot.depth.saturating_add(1);
        Self { image: spot.image, id, parent: Some(spot.volume), depth, in_file: spot.in_file }
    }
}

impl Layout {
    pub(super) fn add_parts(
        &mut self,
        above: &Above<'_>,
        scheme: &str,
        parts: Vec<Part>,
        disk: &Source,
        means: &Means<'_>,
        gaps: &Gaps,
    ) {
        for part in parts {
            let source: Source = Arc::new(Slice::new(disk.clone(), part.run));
            let info = VolumeInfo {
                image: above.image,
                parent: above.parent,
                scheme: scheme.to_owned(),
                index: part.index,
                offset: part.run.offset,
                size: part.run.len,
                type_name: part.type_name,
                label: part.label,
                uuid: part.uuid,
                state: VolumeState::Read,
                ..VolumeInfo::default()
            };
            let of: [&[u8]; 3] = [above.id.as_bytes(), scheme.as_bytes(), &part.run.offset.to_le_bytes()];
            let Some(volume) = self.add_volume(info, &of, source.clone(), gaps) else { return };
            let gaps = gaps.at(|p| p.volume = Some(volume));
            let spot =
                Spot { volume, image: above.image, depth: above.depth, in_file: above.in_file, role: Role::Part, gaps };
            match part.kind {
                PartKind::Table => self.claim(&spot, &source, Run::new(0, source.len()), Bytes::Read),
                PartKind::Unallocated => {
                    self.unclaimed(&spot, &source);
                    self.environments_in(&spot, &source, part.run.offset, means);
                }
                // The table of a hybrid names the disc itself as a partition; its files are listed once.
                PartKind::Partition if hybrid(disk).is_some() && fs::same_disc(disk, &source) => {}
                PartKind::Partition => self.scan(&spot, &source, means),
            }
        }
    }

    fn add_filesystem(&mut self, spot: &Spot, format: &Format, source: &Source, means: &Means<'_>) -> VolumeState {
        let id = FsId(u32::try_from(self.filesystems.len()).unwrap_or(u32::MAX));
        let volume_id = self.volume_id(spot.volume);
        let gaps = spot.gaps.at(|p| p.filesystem = Some(id));
        if !(means.enter)(&format!("file system {}: {} in {volume_id}", id.0, format.name)) {
            return VolumeState::Damaged;
        }
        let mut budget = Budget::default();
        if spot.in_file {
            budget.bytes = self.archive_left;
        }
        let replay_journal = means.replay_journal;
        let options = Options { gaps: gaps.clone(), budget, replay_journal, store: self.store.clone() };
        let fs = match (format.open)(source, &options) {
            Ok(fs) => fs,
            Err(e) => {
                gaps.at(|p| p.filesystem = None).add(format.name, format!("not opened: {e}"), source.len());
                return VolumeState::Damaged;
            }
        };
        for run in without(source.len(), fs.unallocated()) {
            self.claim(spot, source, run, Bytes::Read);
        }
        self.enter_filesystem(spot, &volume_id, fs);
        if let Some(info) = self.scene.volumes.get_mut(spot.volume as usize) {
            info.filesystem = Some(id);
        }
        self.behind(spot, format, source, means);
        VolumeState::Read
    }

    /// A writable file system behind a squashfs in one volume: OpenWrt keeps its `rootfs_data` there, at the next
    /// multiple of 64 KiB.
    fn behind(&mut self, spot: &Spot, format: &Format, source: &Source, means: &Means<'_>) {
        const ALIGNMENT: u64 = 64 << 10;
        if format.name == crate::evidence::ENVIRONMENT {
            let size = (format.size)(source).unwrap_or(ALIGNMENT);
            self.environments_behind(spot, source, size, means);
            return;
        }
        let end = (format.size)(source).filter(|_| format.name == "squashfs");
        let Some(at) = end.and_then(|e| e.checked_next_multiple_of(ALIGNMENT)).filter(|at| *at < source.len()) else {
            return;
        };
        let rest: Source = Arc::new(Slice::new(source.clone(), Run::new(at, source.len().saturating_sub(at))));
        if fs::recognise(&rest).is_some() {
            let inner = VolumeInfo {
                image: spot.image,
                parent: Some(spot.volume),
                scheme: "behind".to_owned(),
                offset: at,
                size: rest.len(),
                ..VolumeInfo::default()
            };
            self.go_on(spot, inner, &rest, Role::Whole, means);
        }
    }

    fn enter_filesystem(&mut self, spot: &Spot, volume_id: &str, fs: Arc<dyn FileSystem>) {
        let info = fs.info();
        self.scene.filesystems.push(FilesystemInfo {
            id: short_id("fs", &[volume_id.as_bytes()]),
            volume: spot.volume,
            kind: info.kind.clone(),
            label: info.label.clone(),
            uuid: info.uuid.clone(),
            block_size: info.block_size,
            last_mounted: info.last_mounted.clone(),
            last_mount_time: info.last_mount_time,
            last_write_time: info.last_write_time,
            created: info.created,
            clean: info.clean,
            features: info.features.clone(),
            details: info.details.clone(),
            ..FilesystemInfo::default()
        });
        self.filesystems.push(fs);
        self.depths.push(spot.depth);
    }
}

/// The disc's format, where a partition table stands in front of its descriptors and both can be followed.
fn hybrid(source: &Source) -> Option<&'static Format> {
    volume::recognise(source)?;
    fs::ALL.iter().find(|f| (f.probe)(source)).copied().filter(|f| f.name == fs::DISC && fs::holds_disc(source))
}

/// The parts of a disk that cover it, if it begins with a table that can be read. `name` is the disk's.
fn table(source: &Source, name: &str, means: &Means<'_>, gaps: &Gaps) -> Option<(&'static str, Vec<Part>)> {
    let scheme = volume::recognise(source)?;
    if !(means.enter)(&format!("partition table of {name}: {}", scheme.name)) {
        return None;
    }
    match (scheme.read)(source, gaps, Budget::default()) {
        Ok(parts) => Some((scheme.name, parts)),
        Err(e) => {
            gaps.add(scheme.name, format!("not read: {e}"), 0);
            None
        }
    }
}
