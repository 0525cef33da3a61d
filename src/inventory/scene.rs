//! The scene: images, volumes, file systems and installed systems, as they are found and reported.
use crate::base::{FsId, Name, Time};
use serde::{Deserialize, Serialize};

/// Everything about the evidence that is not a row of a table. Indices are positions in these lists.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scene {
    pub images: Vec<ImageInfo>,
    pub volumes: Vec<VolumeInfo>,
    pub filesystems: Vec<FilesystemInfo>,
    pub systems: Vec<SystemInfo>,
}

/// A hash that the acquisition tool stored or logged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredHash {
    pub algorithm: String,
    pub stored: String,
    /// Ours, where it was computed.
    pub computed: Option<String>,
    pub matches: Option<bool>,
}

impl StoredHash {
    /// Enters our hash beside the stored one: hex of either case, `None` where it was not computed.
    pub fn compare(&mut self, ours: Option<String>) {
        self.matches = ours.as_ref().map(|c| c.eq_ignore_ascii_case(&self.stored));
        self.computed = ours;
    }
}

/// Where the bytes of an image went. The sum of all but `erased` and `dense` is the size of the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BytesRead {
    /// Read as file content or metadata.
    pub read: u64,
    /// Within a known file system's unallocated or hole areas, or outside it, and all zero.
    pub zero: u64,
    pub encrypted: u64,
    pub unreadable: u64,
    /// Known to be in no file and no structure.
    pub unallocated: u64,
    /// In a volume or structure that nobody here can interpret.
    pub unparsed: u64,
    /// Of `unallocated` and `unparsed`, as far as it was looked at: erased flash (0xFF).
    #[serde(default)]
    pub erased: u64,
    /// Likewise: as dense as encrypted or compressed data, and without a signature.
    #[serde(default)]
    pub dense: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ImageInfo {
    pub id: String,
    /// As the examiner named it (the first segment).
    pub path: String,
    pub container: String,
    /// Bytes of the decoded disk.
    pub size: u64,
    pub segments: Vec<String>,
    pub sha256: Option<String>,
    pub stored_hashes: Vec<StoredHash>,
    /// What the container says of the acquisition or of itself: field and value.
    #[serde(default)]
    pub details: Vec<(String, String)>,
    pub bytes: BytesRead,
    /// In what the evidence was no longer what it was when it was opened; what was read may be of either state.
    #[serde(default)]
    pub changed: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VolumeState {
    Read,
    Encrypted,
    #[default]
    Unsupported,
    Damaged,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct VolumeInfo {
    pub id: String,
    pub image: u32,
    /// The volume it lies in: the partition that a volume group uses, the file system's that holds a disk image.
    pub parent: Option<u32>,
    /// All volumes that it was put together from, if there are several.
    #[serde(default)]
    pub members: Vec<u32>,
    /// What made it: `gpt`, `mbr`, `lvm2`, `luks`; `none` for a whole image without a table, `search` for
    /// what was found by its own first bytes, `file` for a disk image in a file, `behind` for a file system behind
    /// a squashfs in one volume.
    pub scheme: String,
    /// Number as the running system would count it.
    pub index: u32,
    /// Bytes into the image, or into the parent volume; 0 where it is put together from pieces.
    pub offset: u64,
    pub size: u64,
    pub type_name: String,
    pub label: String,
    pub uuid: String,
    pub state: VolumeState,
    pub filesystem: Option<FsId>,
}

/// What two independent readers say of one file system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecondReading {
    pub compared: u64,
    pub agree: u64,
    pub differ: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FilesystemInfo {
    pub id: String,
    pub volume: u32,
    pub kind: String,
    pub label: String,
    pub uuid: String,
    pub block_size: u32,
    pub files: u64,
    pub directories: u64,
    pub deleted: u64,
    /// Mount point by the superblock's own record.
    pub last_mounted: String,
    pub last_mount_time: Option<Time>,
    pub last_write_time: Option<Time>,
    pub created: Option<Time>,
    pub clean: bool,
    pub features: Vec<String>,
    /// What else it says of itself, field and value: devices, subvolumes and snapshots.
    #[serde(default)]
    pub details: Vec<(String, String)>,
    pub second_reader: Option<SecondReading>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OsInfo {
    /// `linux`, `windows`, `unknown`.
    pub family: String,
    pub id: String,
    pub version: String,
    pub name: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Mount {
    pub at: String,
    pub filesystem: Option<FsId>,
    /// The fstab's own word for the device.
    pub device: String,
    /// The folder of the file system that is mounted; empty for its root.
    #[serde(default)]
    pub path: String,
    /// `bind`, `overlay`; empty for a file system.
    #[serde(default)]
    pub kind: String,
}

/// One layer of a merged tree.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LayerInfo {
    /// As the column `layer` of files has it.
    pub name: String,
    pub filesystem: Option<FsId>,
    /// The folder of the file system that it is; empty for its root.
    pub path: String,
}

/// A tree merged of layers, at a mount point.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LayeringInfo {
    pub at: String,
    /// Who says so: a line of fstab, a unit, the boot loader's file, a scheme as `OpenWrt`.
    pub by: String,
    pub upper: Option<LayerInfo>,
    /// disk; memory (what was written there is gone); missing (named, and not in the evidence); none (read-only).
    pub upper_state: String,
    /// What the source calls the writable layer.
    pub upper_named: String,
    /// Topmost first.
    pub lowers: Vec<LayerInfo>,
}

/// One of several installations of the same system, of which one is started.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SlotInfo {
    /// `A`, `rootfs.0`; empty where the system is the only one.
    pub name: String,
    /// Whether it is the one that is started; `None` where nothing tells.
    pub active: Option<bool>,
    /// What says so.
    pub by: String,
}

/// An archive that a kernel unpacks at boot.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Initramfs {
    /// In the running system.
    pub path: Name,
    /// Its members.
    pub filesystem: FsId,
}

/// How far back the logs of a system go, and where they are silent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LogWindow {
    pub first: Option<Time>,
    pub last: Option<Time>,
    /// Days between two entries, where more than a day lies between them: (from, to).
    pub gaps: Vec<(Time, Time)>,
    /// The journal is kept in memory only.
    pub volatile: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SystemInfo {
    pub id: String,
    pub os: OsInfo,
    /// What of it is there, where only a part is: `configuration of Linux`; empty for an installed system.
    #[serde(default)]
    pub partial: String,
    pub hostname: String,
    pub machine_id: String,
    pub architecture: String,
    pub kernels: Vec<String>,
    pub installed: Option<Time>,
    pub timezone: String,
    pub mounts: Vec<Mount>,
    /// What its kernels unpack and run before anything of the disk.
    #[serde(default)]
    pub initramfs: Vec<Initramfs>,
    /// Trees merged of layers: the root, and folders.
    #[serde(default)]
    pub layers: Vec<LayeringInfo>,
    /// Further facts about mounts and layers.
    #[serde(default)]
    pub mount_notes: Vec<String>,
    #[serde(default)]
    pub slot: SlotInfo,
    /// Traces of another machine: the disk may have been cloned from a master.
    pub clone_signs: Vec<String>,
    pub logs: LogWindow,
    /// Which package database vouches for files: `dpkg`, `rpm` …; empty if none was found.
    pub package_database: String,
    /// Files that gave rows and that no package owns, sorted: known before the contents are read, and
    /// empty once every file has its row.
    #[serde(default)]
    pub unowned: Vec<Name>,
}
