//! From images to file systems: which parts each disk has, and what lies on them.
use crate::base::{Budget, FsId, Gaps, Run, short_id};
use crate::fs::{self, FileSystem, Options};
use crate::image::magic::{self, Class};
use crate::image::{self, Segment, Slice, Source};
use crate::inventory::{FilesystemInfo, ImageInfo, Scene, VolumeInfo, VolumeState};
use crate::volume::{self, Part, PartKind};
use std::sync::Arc;

/// One acquired image, as the parent handed it over.
pub struct Input {
    /// As the examiner named it.
    pub name: String,
    pub segments: Vec<Segment>,
}

/// An opened image and file systems, beside their descriptions in the scene (same indices).
#[derive(Default)]
pub struct Layout {
    pub scene: Scene,
    pub images: Vec<Source>,
    /// Those that could be opened; of the others a gap says why not.
    pub filesystems: Vec<Arc<dyn FileSystem>>,
}

/// Longest unclaimed area that is read to see whether it is empty.
const ZERO_CHECK: u64 = 256 << 20;

/// How a run of items that may fail is guarded; see `Sink`. Returns `None` if the item is to be skipped.
pub(super) type Guard<'a> = dyn Fn(&str) -> bool + 'a;

impl Layout {
    /// Opens every image, reads its tables, opens its file systems. `enter` is asked before each
    /// structure is parsed; where it says no, the structure is skipped (a gap already says why).
    pub(super) fn open(inputs: Vec<Input>, replay_journal: bool, gaps: &Gaps, enter: &Guard<'_>) -> Self {
        let mut layout = Self::default();
        for input in inputs {
            layout.add_image(input, replay_journal, gaps, enter);
        }
        layout
    }

    fn add_image(&mut self, input: Input, replay_journal: bool, gaps: &Gaps, enter: &Guard<'_>) {
        let index = u32::try_from(self.images.len()).unwrap_or(u32::MAX);
        let gaps = gaps.at(|p| p.image = Some(index));
        let segments: Vec<String> = input.segments.iter().map(|s| s.name.clone()).collect();
        let mut info = ImageInfo { path: input.name, segments, ..ImageInfo::default() };
        let empty: Source = Arc::new(Vec::new());
        let source = match image::open(input.segments, index, &gaps) {
            Ok((format, source)) => {
                format.name.clone_into(&mut info.container);
                source
            }
            Err(e) => {
                gaps.add("image", format!("not opened: {e}"), 0);
                empty
            }
        };
        info.size = source.len();
        info.id = self.image_id(&source);
        let image_id = info.id.clone();
        self.scene.images.push(info);
        self.images.push(source.clone());
        if source.is_empty() {
            return;
        }
        let (scheme, parts) = parts(&source, &gaps, enter);
        for part in parts {
            let id = short_id("vol", &[image_id.as_bytes(), scheme.as_bytes(), &part.run.offset.to_le_bytes()]);
            self.add_part(index, id, scheme, &part, &source, replay_journal, &gaps, enter);
        }
    }

    /// From what the disk says of itself at its start and end, and its size; equal disks are counted up.
    fn image_id(&self, source: &Source) -> String {
        let ends = [0, source.len().saturating_sub(1 << 16)].map(|at| {
            let mut buf = vec![0; 1 << 16];
            let n = source.read_at(at, &mut buf).unwrap_or(0);
            buf.truncate(n);
            buf
        });
        let [head, tail] = &ends;
        let id = short_id("img", &[&source.len().to_le_bytes(), head, tail]);
        let same = self.scene.images.iter().filter(|i| i.id.starts_with(&id)).count();
        if same == 0 { id } else { format!("{id}.{}", same.saturating_add(1)) }
    }

    #[allow(clippy::too_many_arguments)] // one caller; a struct would only rename the same values
    fn add_part(
        &mut self,
        image: u32,
        id: String,
        scheme: &str,
        part: &Part,
        disk: &Source,
        replay_journal: bool,
        gaps: &Gaps,
        enter: &Guard<'_>,
    ) {
        let index = u32::try_from(self.scene.volumes.len()).unwrap_or(u32::MAX);
        let gaps = gaps.at(|p| p.volume = Some(index));
        let source: Source = Arc::new(Slice::new(disk.clone(), part.run));
        let mut bytes = self.scene.images.get(image as usize).map(|i| i.bytes).unwrap_or_default();
        let mut volume = VolumeInfo {
            id,
            image,
            parent: None,
            scheme: scheme.to_owned(),
            index: part.index,
            offset: part.run.offset,
            size: part.run.len,
            type_name: part.type_name.clone(),
            label: part.label.clone(),
            uuid: part.uuid.clone(),
            state: VolumeState::Unsupported,
            filesystem: None,
        };
        match part.kind {
            PartKind::Table => {
                bytes.read = bytes.read.saturating_add(part.run.len);
                volume.state = VolumeState::Read;
            }
            PartKind::Unallocated if is_zero(&source) => {
                bytes.zero = bytes.zero.saturating_add(part.run.len);
                volume.state = VolumeState::Read;
            }
            PartKind::Unallocated => {
                bytes.unallocated = bytes.unallocated.saturating_add(part.run.len);
                if let Some(name) =
                    fs::recognise(&source).map(|f| f.name).or_else(|| magic::name(&*source).map(|m| m.name))
                {
                    gaps.add(
                        "volume",
                        format!("no table entry claims this area, and it begins like {name}"),
                        part.run.len,
                    );
                }
            }
            PartKind::Partition => {
                let (state, filesystem) = self.add_filesystem(index, &volume.id, &source, replay_journal, &gaps, enter);
                volume.state = state;
                volume.filesystem = filesystem;
                let free = self.free_bytes(filesystem).min(part.run.len);
                match state {
                    VolumeState::Read => {
                        bytes.unallocated = bytes.unallocated.saturating_add(free);
                        bytes.read = bytes.read.saturating_add(part.run.len.saturating_sub(free));
                    }
                    VolumeState::Encrypted => bytes.encrypted = bytes.encrypted.saturating_add(part.run.len),
                    _ => bytes.unparsed = bytes.unparsed.saturating_add(part.run.len),
                }
            }
        }
        if let Some(info) = self.scene.images.get_mut(image as usize) {
            info.bytes = bytes;
        }
        self.scene.volumes.push(volume);
    }

    fn free_bytes(&self, filesystem: Option<FsId>) -> u64 {
        let fs = filesystem.and_then(|f| self.filesystems.get(f.0 as usize));
        fs.map_or(0, |fs| fs.unallocated().iter().map(|r| r.len).fold(0, u64::saturating_add))
    }

    fn add_filesystem(
        &mut self,
        volume: u32,
        volume_id: &str,
        source: &Source,
        replay_journal: bool,
        gaps: &Gaps,
        enter: &Guard<'_>,
    ) -> (VolumeState, Option<FsId>) {
        let known = fs::recognise(source).or_else(|| match magic::name(&**source) {
            // Something else begins here: what older structures may lie further on no longer counts.
            Some(_) => None,
            None => fs::recognise_damaged(source),
        });
        let Some(format) = known else {
            let (state, what) = match magic::name(&**source).map(|m| (m.class, m.name)) {
                Some((Class::Encrypted, name)) => (VolumeState::Encrypted, format!("encrypted: {name}")),
                Some((_, "Linux swap")) => (VolumeState::Unsupported, "swap area: not read".to_owned()),
                Some((_, name)) => (VolumeState::Unsupported, format!("{name} is not read by this version")),
                None if is_zero(source) => (VolumeState::Read, String::new()),
                None => (VolumeState::Unsupported, "no known file system".to_owned()),
            };
            if !what.is_empty() {
                gaps.add("volume", what, source.len());
            }
            return (state, None);
        };
        let id = FsId(u32::try_from(self.filesystems.len()).unwrap_or(u32::MAX));
        let gaps = gaps.at(|p| p.filesystem = Some(id));
        if !enter(&format!("file system {}: {} in {volume_id}", id.0, format.name)) {
            return (VolumeState::Damaged, None);
        }
        let options = Options { gaps: gaps.clone(), budget: Budget::default(), replay_journal };
        match (format.open)(source, &options) {
            Ok(fs) => {
                let info = fs.info();
                self.scene.filesystems.push(FilesystemInfo {
                    id: short_id("fs", &[volume_id.as_bytes()]),
                    volume,
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
                    ..FilesystemInfo::default()
                });
                self.filesystems.push(fs);
                (VolumeState::Read, Some(id))
            }
            Err(e) => {
                gaps.add(format.name, format!("not opened: {e}"), source.len());
                (VolumeState::Damaged, None)
            }
        }
    }
}

/// The parts of a disk that cover it; a disk without a table is one part.
fn parts(source: &Source, gaps: &Gaps, enter: &Guard<'_>) -> (&'static str, Vec<Part>) {
    let whole = || {
        let run = Run::new(0, source.len());
        vec![Part {
            index: 0,
            run,
            kind: PartKind::Partition,
            type_name: String::new(),
            label: String::new(),
            uuid: String::new(),
        }]
    };
    let Some(scheme) = volume::recognise(source) else { return ("none", whole()) };
    if !enter(&format!("partition table: {}", scheme.name)) {
        return ("none", whole());
    }
    match (scheme.read)(source, gaps, Budget::default()) {
        Ok(parts) => (scheme.name, parts),
        Err(e) => {
            gaps.add(scheme.name, format!("not read: {e}"), 0);
            ("none", whole())
        }
    }
}

/// Whether every byte is zero; `false` as well where it is too long to look or cannot be read.
fn is_zero(source: &Source) -> bool {
    if source.len() > ZERO_CHECK {
        return false;
    }
    let mut buf = vec![0; 1 << 20];
    let mut at = 0;
    while at < source.len() {
        match source.read_at(at, &mut buf) {
            Ok(0) | Err(_) => return false,
            Ok(n) if buf.iter().take(n).any(|b| *b != 0) => return false,
            Ok(n) => at = at.saturating_add(n as u64),
        }
    }
    true
}
