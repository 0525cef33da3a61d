//! The boot loader's environments: those that a system's `fw_env.config` leads to become volumes, and the variables of
//! all copies, in flash and in files, become rows. Format: fw_env.config of U-Boot's `tools/env` and libubootenv.
use super::bulk::Kinds;
use super::layout::{Layout, Means};
use super::scan::{Role, Spot};
use super::search::SCHEME as SEARCH;
use super::{Request, Sink, item_key};
use crate::artifact::Out;
use crate::artifact::boot_environment::{self, BY, Copy};
use crate::base::{Evidence, FsId, Gaps, Run};
use crate::evidence::{ENVIRONMENT, ENVIRONMENT_FILES, Entry, System, Tree, image_runs};
use crate::image::{Slice, Source};
use crate::inventory::{Scene, VolumeInfo, VolumeState};
use crate::volume::flash::environment::{self, Copied, Environment};
use std::sync::Arc;

/// The scheme of volumes that a system's settings lead to.
const SCHEME: &str = "fw_env.config";
/// Lines of such a file, and its longest.
const MAX_LINES: usize = 16;
const LONGEST: u64 = 64 << 10;
/// How far into an image the areas that no partition claims are searched for environments, and where they may begin.
const SEARCHED: u64 = 64 << 20;
const STEP: usize = 512;
const CHUNK: usize = 1 << 20;
/// How far behind a copy another one is looked for, and where it may begin.
const BEHIND: u64 = 2 << 20;
const SECTOR: u64 = 4096;
/// Copies of all systems together.
const MOST: usize = 256;

/// A line of `fw_env.config`.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    device: String,
    /// From the end where negative.
    offset: i64,
    size: u64,
}

fn number(text: &str) -> Option<i64> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let value = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) => i64::from_str_radix(hex, 16).ok()?,
        None => digits.parse().ok()?,
    };
    value.checked_mul(sign)
}

/// The lines that name a place, and the numbers of those that cannot be understood.
fn places(text: &str) -> (Vec<Place>, Vec<usize>) {
    let (mut all, mut wrong) = (Vec::new(), Vec::new());
    for (line, text) in (1..).zip(text.lines()) {
        let text = text.split('#').next().unwrap_or_default();
        let words: Vec<&str> = text.split_whitespace().collect();
        let [device, offset, size, ..] = words.as_slice() else {
            if !words.is_empty() {
                wrong.push(line);
            }
            continue;
        };
        let size = number(size).and_then(|n| u64::try_from(n).ok());
        match (number(offset), size) {
            (Some(offset), Some(size)) if all.len() < MAX_LINES => {
                all.push(Place { device: (*device).to_owned(), offset, size });
            }
            _ => wrong.push(line),
        }
    }
    (all, wrong)
}

impl Layout {
    /// Opens what the systems' own settings lead to. `true`: something was added.
    pub(super) fn open_environments(&mut self, trees: &[Arc<Tree>], means: &Means<'_>, gaps: &Gaps) -> bool {
        let before = self.filesystems.len();
        let own: Vec<&Arc<Tree>> = trees.iter().filter(|t| !self.archived.contains(&(t.id.0 as usize))).collect();
        for tree in own {
            let named = |e: &&Entry| !e.deleted && e.is_file() && e.path.bytes().ends_with(b"/etc/fw_env.config");
            for entry in tree.entries.iter().filter(named) {
                let here = gaps.at(|p| {
                    p.filesystem = Some(tree.id);
                    p.path = Some(entry.path.clone());
                    p.inode = Some(entry.node.number);
                });
                let len = entry.len().min(LONGEST);
                let read = tree.open(entry).map_err(|e| e.to_string()).and_then(|source| {
                    let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
                    let n = source.read_at(0, &mut bytes).map_err(|e| e.to_string())?;
                    bytes.truncate(n);
                    Ok(bytes)
                });
                let bytes = match read {
                    Ok(bytes) => bytes,
                    Err(e) => {
                        here.add(BY, format!("not read: {e}"), entry.len());
                        continue;
                    }
                };
                let (places, wrong) = places(&String::from_utf8_lossy(&bytes));
                for line in wrong {
                    here.add(BY, format!("line {line}: no device, offset and size of an environment"), 0);
                }
                for place in places {
                    self.open_place(tree, &place, means, &here);
                }
            }
        }
        self.filesystems.len() > before
    }

    fn open_place(&mut self, tree: &Tree, place: &Place, means: &Means<'_>, gaps: &Gaps) {
        let Place { device, offset, size } = place;
        // A file on a file system is found by its name.
        if !device.starts_with("/dev/") {
            return;
        }
        let Some((image, above, source)) = self.device(tree, device) else {
            gaps.add(BY, format!("an environment lies on {device}, which the evidence does not have"), *size);
            return;
        };
        let start = match u64::try_from(*offset) {
            Ok(offset) => Some(offset),
            Err(_) => source.len().checked_sub(offset.unsigned_abs()),
        };
        let run = start.map(|start| Run::new(start, *size));
        let Some(run) = run.filter(|r| r.len > 0 && r.offset.checked_add(r.len).is_some_and(|e| e <= source.len()))
        else {
            gaps.add(
                BY,
                format!("an environment of {size} bytes is to lie at {offset} of {device}, beyond its end"),
                0,
            );
            return;
        };
        let part: Source = Arc::new(Slice::new(source, run));
        if self.has_environment(&part) {
            return;
        }
        let id = above.map_or_else(
            || self.scene.images.get(image as usize).map(|i| i.id.clone()).unwrap_or_default(),
            |v| self.volume_id(v),
        );
        let info = VolumeInfo {
            image,
            parent: above,
            scheme: SCHEME.to_owned(),
            offset: run.offset,
            size: run.len,
            label: format!("environment at {offset} of {device}"),
            ..VolumeInfo::default()
        };
        let of: [&[u8]; 3] = [id.as_bytes(), SCHEME.as_bytes(), &run.offset.to_le_bytes()];
        let Some(volume) = self.add_volume(info, &of, part.clone(), gaps) else { return };
        let number = tree.id.0 as usize;
        let (depth, in_file) = (self.depths.get(number).copied().unwrap_or(0), self.file_of(number).is_some());
        let here =
            gaps.at(|p| *p = crate::base::Place { image: Some(image), volume: Some(volume), ..Default::default() });
        let role = Role::Part;
        self.scan(&Spot { volume, image, depth: depth.saturating_add(1), in_file, role, gaps: here }, &part, means);
        let info = self.scene.volumes.get(volume as usize);
        if info.is_some_and(|v| v.filesystem.is_none() && v.state == VolumeState::Read) {
            gaps.add(BY, format!("where an environment is to lie, at {offset} of {device}, nothing is written"), 0);
        }
    }

    fn image_of(&self, tree: &Tree) -> Option<u32> {
        let volume = self.scene.filesystems.get(tree.id.0 as usize)?.volume;
        self.scene.volumes.get(volume as usize).map(|v| v.image)
    }

    /// Whether an environment was opened already that begins at the same byte.
    fn has_environment(&self, part: &Source) -> bool {
        let first = |source: &Source| source.locate(Run::new(0, 1)).first().map(|p| (p.image, p.offset));
        let wanted = first(part);
        let all = self.scene.filesystems.iter().filter(|f| f.kind == ENVIRONMENT);
        let mut sources = all.filter_map(|f| self.sources.get(f.volume as usize));
        wanted.is_some() && sources.any(|source| first(source) == wanted)
    }

    /// What a kernel's name of a device means: the volume, or the whole image.
    fn device(&self, tree: &Tree, device: &str) -> Option<(u32, Option<u32>, Source)> {
        let image = self.image_of(tree)?;
        let name = device.strip_prefix("/dev/")?;
        let volumes = || (0_u32..).zip(&self.scene.volumes).filter(|(_, v)| v.image == image);
        let found = |position: Option<u32>| {
            let position = position?;
            Some((image, Some(position), self.sources.get(position as usize)?.clone()))
        };
        if let Some(by) = name.strip_prefix("disk/by-") {
            let (tag, value) = by.split_once('/')?;
            let same = |text: &str| !text.is_empty() && text.eq_ignore_ascii_case(value);
            let fits = |v: &VolumeInfo| match tag {
                "partlabel" => same(&v.label),
                "partuuid" => same(&v.uuid),
                _ => false,
            };
            return found(volumes().find(|(_, v)| fits(v)).map(|(n, _)| n));
        }
        let digits = |text: &str| text.parse::<u32>().ok();
        let is_flash = |v: &VolumeInfo| ["mtdparts", "fixed-partitions"].contains(&v.scheme.as_str());
        if let Some(rest) = name.strip_prefix("mtd") {
            let wanted = digits(rest.trim_start_matches("block").trim_start_matches('/'))?.checked_add(1)?;
            let fits = |v: &VolumeInfo| is_flash(v) && v.index == wanted && !v.label.is_empty();
            return found(volumes().find(|(_, v)| fits(v)).map(|(n, _)| n));
        }
        if let Some(rest) = name.strip_prefix("ubi") {
            let by_name = rest.split_once(':').map(|(_, name)| name);
            let by_number = rest.split_once('_').and_then(|(_, n)| digits(n)?.checked_add(1));
            let fits =
                |v: &VolumeInfo| v.scheme == "ubi" && (by_name == Some(v.label.as_str()) || by_number == Some(v.index));
            return found(volumes().find(|(_, v)| fits(v)).map(|(n, _)| n));
        }
        // An area of an eMMC chip that is acquired as an image of its own.
        if let Some(area) = ["boot0", "boot1"].into_iter().find(|a| name.ends_with(a)) {
            let own = (0_u32..).zip(&self.scene.images).find(|(_, i)| i.path.contains(area)).map(|(n, _)| n)?;
            return Some((own, None, self.images.get(own as usize)?.clone()));
        }
        let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let last = name.get(stem.len()..).and_then(digits);
        let of_table = |v: &VolumeInfo| matches!(v.scheme.as_str(), "gpt" | "mbr") && v.parent.is_none();
        let part = match stem.strip_suffix('p') {
            Some(disk) if disk.ends_with(|c: char| c.is_ascii_digit()) => last,
            _ if stem.starts_with("mmcblk") || stem.starts_with("nvme") => None,
            _ => last,
        };
        match part {
            Some(part) => found(volumes().find(|(_, v)| of_table(v) && v.index == part).map(|(n, _)| n)),
            None => Some((image, None, self.images.get(image as usize)?.clone())),
        }
    }

    /// An area that no partition claims may hold the environment of a loader that counts from the disk's start.
    pub(super) fn environments_in(&mut self, spot: &Spot, source: &Source, offset: u64, means: &Means<'_>) {
        let end = source.len().min(SEARCHED.saturating_sub(offset.min(SEARCHED)));
        let id = self.volume_id(spot.volume);
        if end < STEP as u64 || !(means.enter)(&format!("search for environments in {id}")) {
            return;
        }
        let mut buf = vec![0; CHUNK];
        let (mut at, mut free, mut found) = (0_u64, 0_u64, 0_usize);
        while at < end && found < MOST {
            // What cannot be read is told by those who count what the area is filled with.
            let n = source.read_at(at, &mut buf).unwrap_or(0);
            for (step, head) in (0_u64..).zip(buf.get(..n).unwrap_or_default().chunks(STEP)) {
                let start = at.saturating_add(step.saturating_mul(STEP as u64));
                if start < free || !environment::looks(head) {
                    continue;
                }
                let Some(one) = environment::read(source, start) else { continue };
                free = start.saturating_add(one.size);
                found = found.saturating_add(1);
                self.add_environment(spot, SEARCH, source, Run::new(start, one.size), means);
            }
            at = at.saturating_add(CHUNK as u64);
        }
    }

    /// Further copies behind one, in its own volume.
    pub(super) fn environments_behind(&mut self, spot: &Spot, source: &Source, size: u64, means: &Means<'_>) {
        let end = source.len().min(BEHIND);
        let mut at = size.next_multiple_of(SECTOR);
        let mut found = 0_usize;
        while at < end && found < MOST {
            match environment::read(source, at) {
                Some(one) => {
                    self.add_environment(spot, "behind", source, Run::new(at, one.size), means);
                    found = found.saturating_add(1);
                    at = at.saturating_add(one.size).next_multiple_of(SECTOR);
                }
                None => at = at.saturating_add(SECTOR),
            }
        }
    }

    fn add_environment(&mut self, spot: &Spot, scheme: &str, source: &Source, run: Run, means: &Means<'_>) {
        let inner = VolumeInfo {
            image: spot.image,
            parent: Some(spot.volume),
            scheme: scheme.to_owned(),
            offset: run.offset,
            size: run.len,
            ..VolumeInfo::default()
        };
        let part: Source = Arc::new(Slice::new(source.clone(), run));
        self.go_on(spot, inner, &part, Role::Part, means);
    }
}

/// A copy as it was found.
struct Found<'a> {
    tree: &'a Tree,
    entry: &'a Entry,
    is_flash: bool,
    /// The bytes of the environment.
    source: Source,
    read: Environment,
    copied: Copied,
}

/// Where they are looked for.
pub(super) struct Ground<'a> {
    pub scene: &'a Scene,
    /// The bytes of each volume.
    pub sources: &'a [Source],
    pub kinds: &'a Kinds,
}

/// Rows of all environments.
pub(super) fn run(ground: &Ground<'_>, trees: &[Arc<Tree>], systems: &[System], request: &Request, sink: &dyn Sink) {
    let key = item_key(&"environments");
    if !sink.enter(key, "environments of boot loaders") {
        return;
    }
    let found = find(ground, trees);
    let list: Vec<Copied> = found.iter().map(|f| f.copied).collect();
    let (mut rows, mut gaps) = (Vec::new(), Vec::new());
    for group in environment::groups(&list) {
        let own: Vec<Copied> = group.iter().filter_map(|n| list.get(*n).copied()).collect();
        let used = environment::used(&own);
        let members: Vec<&Found<'_>> = group.iter().filter_map(|n| found.get(*n)).collect();
        let two = members.len() > 1;
        let copies: Vec<Copy> = members
            .iter()
            .enumerate()
            .map(|(n, member)| Copy {
                place: place(ground, member),
                number: if two { u32::try_from(n).unwrap_or(0).saturating_add(1) } else { 0 },
                used: Some(used == Some(n)),
                checksum: if member.read.fits { "ok" } else { "differs" },
                flag: member.read.flag,
                variables: variables(member, systems),
            })
            .collect();
        let system = members.first().and_then(|m| owner(ground, m, systems));
        let out = Out::new(system, BY).showing_secrets(request.show_secrets);
        boot_environment::rows(&copies, &out);
        let (more, lost) = out.take();
        rows.extend(more);
        gaps.extend(lost);
        if used.is_none()
            && let Some(member) = members.first()
        {
            let ledger = Gaps::default();
            let here = ledger.at(|p| {
                p.filesystem = Some(member.tree.id);
                p.path = Some(member.entry.path.clone());
            });
            here.add(BY, "no copy of this environment fits its checksum: the boot loader would use the values that are built into it, which are not read", 0);
            gaps.extend(ledger.take());
        }
    }
    sink.commit(&[key], rows, gaps);
}

fn find<'a>(ground: &Ground<'_>, trees: &'a [Arc<Tree>]) -> Vec<Found<'a>> {
    let mut all = Vec::new();
    for tree in trees.iter().filter(|t| !ground.kinds.archived.contains(&t.id)) {
        let info = ground.scene.filesystems.get(tree.id.0 as usize);
        let is_flash = info.is_some_and(|f| f.kind == ENVIRONMENT);
        let named = |e: &&Entry| !e.deleted && ENVIRONMENT_FILES.iter().any(|n| e.path.bytes().ends_with(n));
        for entry in tree.entries.iter().filter(|e| e.is_file()).filter(named) {
            // A file that cannot be opened is a gap of the pass over all contents.
            let Ok(file) = tree.open(entry) else { continue };
            let volume = info.and_then(|f| ground.sources.get(f.volume as usize));
            let source = if is_flash { volume.cloned() } else { Some(file) };
            let Some(source) = source.filter(|_| all.len() < MOST) else { continue };
            let first = is_flash.then(|| environment::read(&source, 0)).flatten();
            let Some(read) = first.or_else(|| environment::sized(&source, 0, source.len())) else { continue };
            // A text of that name is none.
            if !is_flash && !read.fits && read.flag.is_none() {
                continue;
            }
            let at = source.locate(Run::new(0, 1)).first().map_or((0, 0), |p| (p.image, p.offset));
            let copied = Copied { image: at.0, offset: at.1, size: read.size, flag: read.flag, fits: read.fits };
            all.push(Found { tree, entry, is_flash, source, read, copied });
        }
    }
    all
}

/// How a copy's place is told.
fn place(ground: &Ground<'_>, found: &Found<'_>) -> String {
    let volume = ground.scene.filesystems.get(found.tree.id.0 as usize).map_or(0, |f| f.volume);
    let volume = ground.scene.volumes.get(volume as usize);
    if !found.is_flash {
        let id = ground.scene.filesystems.get(found.tree.id.0 as usize).map(|f| f.id.as_str()).unwrap_or_default();
        return format!("{} in {id}", found.entry.path.display());
    }
    let label = volume.map(|v| v.label.as_str()).filter(|l| !l.is_empty()).unwrap_or("environment");
    format!("{label}, image {} at {:#x}", found.copied.image, found.copied.offset)
}

fn variables(found: &Found<'_>, systems: &[System]) -> Vec<(Vec<u8>, Vec<u8>, Evidence)> {
    let path = systems.iter().flat_map(System::entries).find(|e| e.fs == found.tree.id && e.node == found.entry.node);
    let path = path.unwrap_or(found.entry).path.clone();
    let (mut line, mut at) = (0_u32, 0_u64);
    let one = |(name, value, run): &(Vec<u8>, Vec<u8>, Run)| {
        line = line.saturating_add(1);
        // The file of an environment in flash is its text, one line a variable.
        let shown = Run::new(at, run.len);
        at = shown.end().saturating_add(1);
        let evidence = Evidence {
            filesystem: found.tree.id,
            path: path.clone(),
            node: found.entry.node,
            range: Some(if found.is_flash { shown } else { *run }),
            line: found.is_flash.then_some(line),
            image_runs: image_runs(&found.source, Some(*run)),
            ..Evidence::default()
        };
        (name.clone(), value.clone(), evidence)
    };
    found.read.variables.iter().map(one).collect()
}

/// The system that an environment starts: the only one of its image.
fn owner(ground: &Ground<'_>, found: &Found<'_>, systems: &[System]) -> Option<u32> {
    let image = |fs: FsId| {
        let volume = ground.scene.filesystems.get(fs.0 as usize)?.volume;
        ground.scene.volumes.get(volume as usize).map(|v| v.image)
    };
    let own = image(found.tree.id)?;
    let of_image = |s: &&System| s.trees().first().and_then(|t| image(t.id)) == Some(own);
    let mut all = systems.iter().filter(of_image);
    match (all.next(), all.next()) {
        (Some(one), None) => Some(one.index),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_fw_printenv_are_read() {
        let text = "# comment\n/dev/mtd1\t\t0x0000\t0x4000 0x4000 # first\n/dev/mmcblk0 -0x22000 8192\n\nbroken\n/dev/mtd2 x 1\n";
        let place = |device: &str, offset, size| Place { device: device.to_owned(), offset, size };
        let (all, wrong) = places(text);
        assert_eq!(all, [place("/dev/mtd1", 0, 0x4000), place("/dev/mmcblk0", -0x22000, 8192)]);
        assert_eq!(wrong, [5, 6]);
    }
}
