//! Opening: devices, the newest superblock, chunks, the tree of trees, and what the file system says of itself.
use super::block::Blocks;
use super::chunk::{Chunk, Chunks};
use super::log::Replay;
use super::raw::{CHUNK_ITEM, CSUM_TREE, DEV_ITEM, EXTENT_TREE, FS_TREE, Key, corrupt};
use super::roots::Roots;
use super::space::{Device, Space};
use super::{BY, BtrfsFs, Volume, dir, tree};
use crate::base::Run;
use crate::fs::damage::Damage;
use crate::fs::{FsError, FsInfo, Options};
use crate::image::cache::Cache;
use crate::image::{Slice, Source};
use crate::volume::btrfs::{DeviceItem, PLACES, Root, Superblock, uuid_text};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock};

/// Inodes whose equal faults are one gap.
const STRETCH: u64 = 4096;
/// Decoded extents that are kept, of 128 KiB each at most as a rule.
const DECODED: usize = 256;
/// Devices of one file system, and chunks.
const MAX_DEVICES: usize = 4096;
const MAX_CHUNKS: usize = 1 << 20;
/// Bytes of a stripe, in every file system that there is.
const STRIPE_LEN: u64 = 64 << 10;

const INCOMPAT: &[(u64, &str)] = &[
    (1, "mixed-backref"),
    (2, "default-subvol"),
    (4, "mixed-bg"),
    (8, "compress-lzo"),
    (0x10, "compress-zstd"),
    (0x20, "big-metadata"),
    (0x40, "extref"),
    (0x80, "raid56"),
    (0x100, "skinny-metadata"),
    (0x200, "no-holes"),
    (0x400, "metadata-uuid"),
    (0x800, "raid1c34"),
    (0x1000, "zoned"),
    (0x2000, "extent-tree-v2"),
    (0x4000, "raid-stripe-tree"),
    (0x1_0000, "simple-quota"),
    (0x2_0000, "remap-tree"),
];
/// Features that change what is read, and are not: the bit and what it costs.
const UNSUPPORTED: &[(u64, &str)] = &[
    (0x1000, "zoned: where the newest superblock stands in its zones is not looked for"),
    (0x2000, "extent-tree-v2: not supported; what is free is not known, checksums of contents are not compared"),
    (0x4000, "raid-stripe-tree: not supported; contents that it spreads over devices are not read"),
    (0x2_0000, "remap-tree: not supported; what was moved by it is read at its old place or not at all"),
];
const NO_HOLES: u64 = 0x200;
const EXTENT_TREE_V2: u64 = 0x2000;
const STRIPED: u64 = 0x4000;
const COMPAT_RO: &[(u64, &str)] =
    &[(1, "free-space-tree"), (2, "free-space-tree-valid"), (4, "verity"), (8, "block-group-tree")];
/// States that a superblock can be in, beside being written.
const STATES: &[(u64, &str)] = &[
    (4, "the file system noted an error"),
    (1 << 33, "made by btrfs-image: it holds metadata only, and contents are not what they were"),
    (1 << 34, "made by btrfs-image: it holds metadata only, and contents are not what they were"),
    (1 << 35, "its identifier was being changed"),
    (1 << 36, "its identifier was being changed"),
    (1 << 38, "its tree of block groups was being made"),
    (1 << 39, "its checksums of contents were being changed"),
    (1 << 40, "its checksums of metadata were being changed"),
];

/// The superblocks of all devices, each with the first byte of its device in the volume.
fn superblocks(source: &Source) -> Vec<(u64, Superblock)> {
    let mut found: Vec<(u64, Superblock)> = Vec::new();
    let mut at = 0_u64;
    while at < source.len() && found.len() < MAX_DEVICES {
        let rest: Source = Arc::new(Slice::new(source.clone(), Run::new(at, source.len().saturating_sub(at))));
        let first = Superblock::at(&*rest, PLACES[0]).filter(|sb| sb.whole);
        // The mirrors of a device lie within it.
        let len = first.map_or(rest.len(), |sb| sb.device_len(rest.len()));
        let device: Source = Arc::new(Slice::new(rest, Run::new(0, len)));
        let Some(sb) = Superblock::newest(&*device) else { break };
        let total = sb.device_len(device.len());
        let several = sb.devices > 1 || sb.is_seed() || !found.is_empty();
        found.push((at, sb));
        if !several {
            break;
        }
        at = at.saturating_add(total);
    }
    found
}

pub(super) fn open(source: &Source, options: &Options) -> Result<BtrfsFs, FsError> {
    let gaps = &options.gaps;
    let say = |at: u64, what: String, bytes: u64| gaps.add_at(BY, "volume_offset", at, what, bytes);
    let found = superblocks(source);
    let none = || corrupt(PLACES[0], "no superblock of Btrfs");
    let id = found.first().ok_or_else(none)?.1.tree_uuid;
    let own = found.iter().filter(|(_, sb)| sb.tree_uuid == id);
    let (main_at, sb) =
        own.max_by_key(|(at, sb)| (sb.whole, sb.generation, std::cmp::Reverse(*at))).ok_or_else(none)?;
    let (main_at, sb) = (*main_at, sb.clone());
    let devices = devices(source, &found, &sb, &say);
    complain(&sb, main_at, &say);

    let (system, whole) = Chunks::of_superblock(&sb.system_chunks);
    if !whole {
        say(main_at.saturating_add(sb.at), "the list of system chunks in the superblock is damaged".to_owned(), 0);
    }
    for chunk in system.0.values().filter(|c| c.stripe_len != STRIPE_LEN) {
        let what = format!("a system chunk has stripes of {} bytes; all have {STRIPE_LEN}", chunk.stripe_len);
        say(main_at.saturating_add(sb.at), what, 0);
    }
    let space = |chunks| Space { source: source.clone(), devices: devices.clone(), chunks };
    let mut ids = vec![sb.fsid, sb.tree_uuid];
    ids.extend(found.iter().flat_map(|(_, sb)| [sb.fsid, sb.tree_uuid]));
    let blocks = |chunks, ids| Blocks::new(space(chunks), sb.sum, sb.node, ids, gaps.clone(), options.budget);
    let first = blocks(system.clone(), ids.clone());
    let (chunks, items) = chunk_tree(&first, &sb, system, main_at, &say);
    ids.extend(items.iter().map(|item| item.fsid));
    missing(&items, &devices, &sb, main_at, &say);
    let mut chunks = chunks;
    if sb.incompat & STRIPED != 0 {
        // What the stripe tree places stands elsewhere than its chunk says.
        chunks.0.retain(|_, chunk| !chunk.is_data() || chunk.stripes.len() == 1);
    }
    let mut blocks = blocks(chunks, ids);
    blocks.keep_told(first);

    let (root, roots) = roots(&blocks, &sb, &say)?;
    let ready = |id: u64| roots.other.get(&id).copied().filter(|_| sb.incompat & EXTENT_TREE_V2 == 0);
    if sb.incompat & EXTENT_TREE_V2 == 0 {
        for (id, name, cost) in [
            (CSUM_TREE, "checksums of contents", "they are not compared"),
            (EXTENT_TREE, "extents", "what is free is not known"),
        ] {
            if !roots.other.contains_key(&id) {
                let at = blocks.space.volume_offset(root.logical);
                say(at, format!("the tree of {name} was not found; {cost}"), 0);
            }
        }
    }
    for (what, logical) in &roots.odd {
        say(blocks.space.volume_offset(*logical), (*what).to_owned(), 0);
    }
    if roots.too_many {
        say(blocks.space.volume_offset(root.logical), "budget: subvolumes; the rest is not listed".to_owned(), 0);
    }
    let mut volume = Volume {
        csum_root: ready(CSUM_TREE),
        extent_root: ready(EXTENT_TREE),
        overlays: BTreeMap::new(),
        log_sums: tree::Overlay::new(),
        stale: OnceLock::new(),
        unreachable: Vec::new(),
        damage: Damage::new(gaps.clone(), BY, "inodes", STRETCH),
        budget: options.budget,
        decoded: Cache::new(DECODED),
        healed: Mutex::default(),
        listed: Mutex::new(dir::Listed::new(source.len(), options.budget.steps)),
        free: OnceLock::new(),
        roots,
        blocks,
        sb,
    };
    log(&mut volume, options);
    volume.unreachable = volume.find_unreachable();
    let info = info(&volume, &items, &found);
    Ok(BtrfsFs { volume: Arc::new(volume), info })
}

/// Lays over each subvolume what its log says.
fn log(volume: &mut Volume, options: &Options) {
    let root = volume.sb.log_root;
    if root.logical == 0 {
        return;
    }
    let at = volume.blocks.space.volume_offset(root.logical);
    if !options.replay_journal {
        let what = "what was synchronised since the last transaction stands in a log; left out as asked";
        volume.damage.once(at, what, 0);
        return;
    }
    let (logs, whole) = Roots::logs(&volume.blocks, root);
    if !whole {
        volume.damage.once(at, "the list of logs is damaged; what it names no more was not replayed", 0);
    }
    let no_holes = volume.sb.incompat & NO_HOLES != 0;
    for (id, log) in logs {
        let at = volume.blocks.space.volume_offset(log.logical);
        let Some(root) = volume.roots.subvolumes.get(&id).map(|s| s.root) else {
            volume.damage.once(at, format!("the log of subvolume {id}, which is not there, was not replayed"), 0);
            continue;
        };
        match Replay::read(volume, root, log, no_holes).and_then(Replay::run) {
            Ok((overlay, sums)) => {
                volume.overlays.insert(id, overlay);
                volume.log_sums.extend(sums);
            }
            Err(why) => volume.damage.once(at, format!("the log of subvolume {id} was not replayed: {why}"), 0),
        }
    }
}

fn devices(
    source: &Source,
    found: &[(u64, Superblock)],
    sb: &Superblock,
    say: &dyn Fn(u64, String, u64),
) -> Vec<Device> {
    let mut devices = Vec::new();
    for (n, (at, own)) in found.iter().enumerate() {
        let end = found.get(n.saturating_add(1)).map_or(source.len(), |(next, _)| *next);
        let held = end.saturating_sub(*at);
        let place = at.saturating_add(PLACES[0]);
        let name = if found.len() > 1 { format!("device {}: ", own.device.id) } else { String::new() };
        if own.device.total > held {
            let what = format!("{name}the file system has {} bytes of it, {held} of them exist", own.device.total);
            say(end, what, own.device.total.saturating_sub(held));
        }
        if !own.whole {
            say(place, format!("{name}the checksum of the superblock fits in no copy; read as it stands"), 0);
        } else if own.at != PLACES[0] {
            let device: Source = Arc::new(Slice::new(source.clone(), Run::new(*at, held)));
            let why = match Superblock::at(&*device, PLACES[0]) {
                Some(primary) if primary.whole => "is older than",
                Some(_) => "has a checksum that does not fit, unlike",
                None => "is lost, unlike",
            };
            say(place, format!("{name}the first superblock {why} its mirror at byte {}, which is used", own.at), 4096);
        }
        if own.tree_uuid == sb.tree_uuid && own.generation < sb.generation {
            let what = format!(
                "{name}it is out of date (generation {} of {}): what changed since is taken from other copies where there are any",
                own.generation, sb.generation
            );
            say(place, what, 0);
        }
        let run = Run::new(*at, own.device_len(held).min(held));
        devices.push(Device { id: own.device.id, uuid: own.device.uuid, run });
    }
    devices
}

/// What limits the whole file system, said once.
fn complain(sb: &Superblock, at: u64, say: &dyn Fn(u64, String, u64)) {
    let at = at.saturating_add(sb.at);
    let known = INCOMPAT.iter().fold(0, |all, (bit, _)| all | bit);
    if sb.incompat & !known != 0 {
        let what = format!(
            "incompatible features that are not known here ({:#x}); what is read may be wrong",
            sb.incompat & !known
        );
        say(at, what, 0);
    }
    for (_, what) in UNSUPPORTED.iter().filter(|(bit, _)| sb.incompat & bit != 0) {
        say(at, (*what).to_owned(), 0);
    }
    for (field, what) in &sb.odd {
        say(at.saturating_add(*field), format!("superblock: {what}"), 0);
    }
    let states: BTreeSet<&str> = STATES.iter().filter(|(bit, _)| sb.flags & bit != 0).map(|(_, what)| *what).collect();
    for what in states {
        say(at, what.to_owned(), 0);
    }
}

/// All chunks and devices that the chunk tree tells of.
fn chunk_tree(
    blocks: &Blocks,
    sb: &Superblock,
    system: Chunks,
    at: u64,
    say: &dyn Fn(u64, String, u64),
) -> (Chunks, Vec<DeviceItem>) {
    let mut chunks = system;
    let mut items: Vec<DeviceItem> = Vec::new();
    let note = |logical: u64, what: String| say(blocks.space.volume_offset(logical), what, 0);
    let whole = blocks.each(sb.chunk_root, Key::default(), Key::LAST, &mut |item| {
        match item.key.kind {
            CHUNK_ITEM if chunks.0.len() >= MAX_CHUNKS => {
                note(item.logical, "budget: chunks; the rest is not known".to_owned());
                return false;
            }
            CHUNK_ITEM => match Chunk::parse(item.key.offset, item.data) {
                Some(chunk) => _ = chunks.0.insert(chunk.start, chunk),
                None => {
                    note(
                        item.logical,
                        format!("the chunk at logical {} contradicts itself; not read", item.key.offset),
                    );
                }
            },
            DEV_ITEM if items.len() < MAX_DEVICES => match DeviceItem::parse(item.data) {
                Some(device) => items.push(device),
                None => note(item.logical, format!("the item of device {} is cut short", item.key.offset)),
            },
            _ => {}
        }
        true
    });
    if !whole {
        let what = "part of the chunk tree is lost; what lies in chunks that it alone names cannot be read";
        say(at.saturating_add(sb.at), what.to_owned(), 0);
    }
    (chunks, items)
}

/// Names the devices that are not part of the evidence.
fn missing(items: &[DeviceItem], devices: &[Device], sb: &Superblock, at: u64, say: &dyn Fn(u64, String, u64)) {
    let at = at.saturating_add(sb.at);
    let mut count = 0_u64;
    for item in items.iter().filter(|item| !devices.iter().any(|d| d.uuid == item.uuid)) {
        count = count.saturating_add(1);
        let seed = if item.fsid == sb.fsid {
            String::new()
        } else {
            format!(", a seed of file system {}", uuid_text(&item.fsid))
        };
        let what = format!(
            "device {} (uuid {}{seed}) is not part of the evidence; what only it holds cannot be read",
            item.id,
            uuid_text(&item.uuid)
        );
        say(at, what, item.total);
    }
    let all = items.iter().fold(0_u64, |sum, item| sum.saturating_add(item.total));
    if sb.total != 0 && sb.total < all {
        let what = format!("superblock: it says that all devices have {} bytes together; they say {all}", sb.total);
        say(at.saturating_add(0x70), what, 0);
    }
    let known = (devices.len() as u64).saturating_add(count);
    if known < sb.devices {
        say(at, format!("the file system has {} devices, {known} of them are known", sb.devices), 0);
    }
}

/// The tree of trees; where it cannot be read, an older one that can.
fn roots(blocks: &Blocks, sb: &Superblock, say: &dyn Fn(u64, String, u64)) -> Result<(Root, Roots), FsError> {
    let mut backups = sb.backups.clone();
    backups.sort_by_key(|r| std::cmp::Reverse(r.generation));
    backups.retain(|r| r.logical != sb.root.logical);
    for root in std::iter::once(sb.root).chain(backups) {
        if blocks.get(root.logical, root.generation).is_err() && root.logical != sb.root.logical {
            continue;
        }
        let found = Roots::read(blocks, root);
        if found.subvolumes.contains_key(&FS_TREE) || (found.whole && !found.subvolumes.is_empty()) {
            if root.logical != sb.root.logical {
                let what =
                    format!("the tree of trees cannot be read; an older one, of generation {}, is", root.generation);
                say(blocks.space.volume_offset(root.logical), what, 0);
            }
            return Ok((root, found));
        }
    }
    let at = blocks.space.volume_offset(sb.root.logical);
    Err(corrupt(at, format!("the tree of trees at logical {} holds no subvolume", sb.root.logical)))
}

fn info(volume: &Volume, items: &[DeviceItem], found: &[(u64, Superblock)]) -> FsInfo {
    let sb = &volume.sb;
    let named = |bits: u64, table: &[(u64, &str)]| {
        table.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| (*name).to_owned()).collect::<Vec<_>>()
    };
    let mut features = named(sb.incompat, INCOMPAT);
    features.extend(named(sb.compat_ro, COMPAT_RO));
    features.push(format!("checksum-{}", sb.sum.name()));
    let mut profiles = BTreeSet::new();
    for chunk in volume.blocks.space.chunks.0.values() {
        let kind = if chunk.is_data() { "data" } else { "metadata" };
        profiles.insert(format!("{kind}-{}", chunk.profile_name()));
    }
    features.extend(profiles);
    features.sort();
    let mut details = Vec::new();
    if sb.tree_uuid != sb.fsid {
        details.push(("metadata uuid".to_owned(), uuid_text(&sb.tree_uuid)));
    }
    for item in items {
        let here = found.iter().find(|(_, sb)| sb.device.uuid == item.uuid);
        let mut text = format!("uuid {}; {} bytes", uuid_text(&item.uuid), item.total);
        if item.fsid != sb.fsid {
            text += &format!("; a seed of file system {}", uuid_text(&item.fsid));
        }
        text += &match here {
            Some((at, own)) => format!("; at byte {at}; generation {}", own.generation),
            None => "; not part of the evidence".to_owned(),
        };
        details.push((format!("device {}", item.id), text));
    }
    if let Some(patches) = Some(volume.overlays.values().map(tree::Overlay::len).sum::<usize>()).filter(|n| *n > 0) {
        details.push(("log".to_owned(), format!("replayed in memory: {patches} items")));
    }
    volume.describe(&mut details);
    FsInfo {
        kind: "btrfs".to_owned(),
        label: String::from_utf8_lossy(&sb.label).into_owned(),
        uuid: uuid_text(&sb.fsid),
        block_size: sb.sector,
        created: volume.roots.subvolumes.get(&FS_TREE).and_then(|s| s.created),
        clean: sb.log_root.logical == 0,
        features,
        details,
        ..FsInfo::default()
    }
}
