//! What boot loaders load, as small trees of files: the parts of U-Boot images, FIT images, TRX firmware and Android
//! boot images, the makers' wrappings of routers' firmware, the environment of U-Boot, device trees. What lies in the parts is opened like any file.
mod android;
mod environment;
mod fit;
mod legacy;
mod trx;
mod vendor;

use crate::base::{Gaps, Name, NodeId, Piece, PieceKind, Run, Time};
use crate::fs::{DirEntry, FileSystem, Format, FsError, FsInfo, NodeKind, Options, Stat, Stream, Times};
use crate::image::magic;
use crate::image::{ReadAt, ReadError, Slice, Source};
use std::sync::Arc;

pub(super) const ENVIRONMENT: Format = Format {
    name: "u-boot-env",
    about: "the environment of U-Boot, alone or one of two copies: its variables as text",
    limits: "sizes from 2 to 256 KiB, others where fw_env.config tells them; a copy whose checksum does not fit is read where a volume or fw_env.config says that one lies there; text files of the same kind are files",
    probe: |s| environment::size(s).is_some(),
    probe_damaged: environment::is_damaged,
    size: environment::size,
    open: |s, o| opened(s, o, environment::open),
};
pub(super) const UIMAGE: Format = Format {
    name: "uimage",
    about: "U-Boot's legacy image: its parts as files, both checksums checked",
    limits: "",
    probe: |s| legacy::size(s).is_some(),
    probe_damaged: |_| false,
    size: legacy::size,
    open: |s, o| opened(s, o, legacy::open),
};
pub(super) const FIT: Format = Format {
    name: "fit",
    about: "FIT images and device trees: each image as a file, its hashes checked; every configuration and which is the default; model and compatible of the device",
    limits: "signatures are not checked; hashes other than crc32, md5, sha1, sha256, sha384 and sha512 are named",
    probe: |s| fit::size(s).is_some(),
    probe_damaged: |_| false,
    size: fit::size,
    open: |s, o| opened(s, o, fit::open),
};
pub(super) const TRX: Format = Format {
    name: "trx",
    about: "TRX firmware: its partitions as files, the checksum checked",
    limits: "",
    probe: |s| trx::size(s).is_some(),
    probe_damaged: |_| false,
    size: trx::size,
    open: |s, o| opened(s, o, trx::open),
};
pub(super) const ANDROID: Format = Format {
    name: "android-boot",
    about: "Android boot images, header versions 0 to 4: kernel, ramdisk, second stage, device tree as files",
    limits: "vendor boot images and signatures are not read",
    probe: |s| android::size(s).is_some(),
    probe_damaged: |_| false,
    size: android::size,
    open: |s, o| opened(s, o, android::open),
};

pub(super) const VENDOR: Format = Format {
    name: "router-firmware",
    about: "firmware of routers in its maker's wrapping: SEAMA (D-Link and others), Broadcom's image tag, TP-Link (header versions 1 and 2), Netgear CHK; kernel and root as files, checksums compared",
    limits: "TP-Link's checksum has a secret in it and is not checked; D-Link's SHRS and Buffalo's wrapping are encrypted and named only",
    probe: |s| vendor::size(s).is_some(),
    probe_damaged: |_| false,
    size: vendor::size,
    open: |s, o| opened(s, o, vendor::open),
};

/// Whether a format is one of those whose images lie in a volume among other things.
pub(super) fn is_piece(format: &Format) -> bool {
    [ENVIRONMENT.name, UIMAGE.name, FIT.name, TRX.name, ANDROID.name, VENDOR.name].contains(&format.name)
}

/// The reader's name in gaps.
const BY: &str = "fs.boot";
const ROOT: NodeId = NodeId { number: 1, generation: 0 };

enum Body {
    /// Bytes of the volume.
    Run(Run),
    /// Text made from this run.
    Text(Vec<u8>, Run),
}
struct File {
    name: String,
    body: Body,
}

/// What the reader of a format found.
struct Parts {
    files: Vec<File>,
    info: FsInfo,
    /// Bytes of the image.
    size: u64,
}

struct Pieces {
    source: Source,
    parts: Parts,
}

type Opener = fn(&Source, &Gaps) -> Result<Parts, FsError>;

fn opened(source: &Source, options: &Options, open: Opener) -> Result<Arc<dyn FileSystem>, FsError> {
    let mut parts = open(source, &options.gaps)?;
    for file in &mut parts.files {
        if let Body::Run(run) = &mut file.body {
            if run.end() > source.len() {
                let lost = run.end().saturating_sub(source.len());
                let what = format!("{}: its last {lost} bytes lie beyond the end of the volume", file.name);
                options.gaps.add_at(BY, "volume_offset", run.offset, what, lost);
                run.len = source.len().saturating_sub(run.offset);
            }
            file.name.push_str(extension(&part(source, *run)));
        }
    }
    Ok(Arc::new(Pieces { source: source.clone(), parts }))
}

fn part(source: &Source, run: Run) -> Source {
    Arc::new(Slice::new(source.clone(), run))
}

/// The extension of a part, by what it begins like.
fn extension(source: &Source) -> &'static str {
    if let Some(format) = crate::fs::recognise(source).filter(|f| !is_piece(f)) {
        return match format.name {
            "squashfs" => ".squashfs",
            "ubifs" => ".ubifs",
            "jffs2" => ".jffs2",
            _ => ".img",
        };
    }
    match magic::find(&**source, 0, |m| !m.word.is_empty()).map(|m| m.word) {
        Some("gzip") => ".gz",
        Some("xz") => ".xz",
        Some("zstd") => ".zst",
        Some("bzip2") => ".bz2",
        Some("lz4") => ".lz4",
        Some("cpio") => ".cpio",
        Some("ubi") => ".ubi",
        Some("device-tree") => ".dtb",
        _ => "",
    }
}

impl Pieces {
    fn file(&self, node: NodeId) -> Result<&File, FsError> {
        let at = node.number.checked_sub(2).and_then(|n| usize::try_from(n).ok());
        at.and_then(|at| self.parts.files.get(at)).ok_or(FsError::NotFound(node))
    }
}

impl FileSystem for Pieces {
    fn info(&self) -> &FsInfo {
        &self.parts.info
    }
    fn root(&self) -> NodeId {
        ROOT
    }
    fn read_dir(&self, dir: NodeId, each: &mut dyn FnMut(DirEntry)) -> Result<(), FsError> {
        if dir != ROOT {
            return Err(FsError::NotFound(dir));
        }
        for (number, file) in (2..).zip(&self.parts.files) {
            let node = NodeId { number, generation: 0 };
            each(DirEntry { name: Name::from(file.name.as_str()), node, kind: NodeKind::File });
        }
        Ok(())
    }
    fn stat(&self, node: NodeId) -> Result<Stat, FsError> {
        let (kind, len, mode) = if node == ROOT {
            (NodeKind::Directory, 0, 0o555)
        } else {
            let len = match &self.file(node)?.body {
                Body::Run(run) => run.len,
                Body::Text(text, _) => text.len() as u64,
            };
            (NodeKind::File, len, 0o444)
        };
        let times = Times { modified: self.parts.info.created, ..Times::default() };
        Ok(Stat {
            kind,
            len,
            allocated: len,
            mode,
            uid: 0,
            gid: 0,
            links: 1,
            times,
            flags: Vec::new(),
            xattrs: Vec::new(),
            device: None,
        })
    }
    fn read_link(&self, node: NodeId) -> Result<Vec<u8>, FsError> {
        Err(FsError::NotFound(node))
    }
    fn open(&self, node: NodeId, stream: Stream<'_>) -> Result<Source, FsError> {
        if stream != Stream::Data {
            return Err(FsError::NotFound(node));
        }
        if node == ROOT {
            return Ok(Arc::new(Vec::new()));
        }
        Ok(match &self.file(node)?.body {
            Body::Run(run) => part(&self.source, *run),
            Body::Text(text, run) => Arc::new(Text { bytes: text.clone(), source: self.source.clone(), run: *run }),
        })
    }
    fn unallocated(&self) -> Vec<Run> {
        let rest = self.source.len().saturating_sub(self.parts.size);
        if rest == 0 { Vec::new() } else { vec![Run::new(self.parts.size, rest)] }
    }
}

/// Text that was made from a run of the volume.
struct Text {
    bytes: Vec<u8>,
    source: Source,
    run: Run,
}
impl ReadAt for Text {
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, ReadError> {
        self.bytes.read_at(offset, buf)
    }
    fn locate(&self, bytes: Run) -> Vec<Piece> {
        let len = bytes.len.min(ReadAt::len(self).saturating_sub(bytes.offset));
        let first = self.source.locate(self.run).first().map_or((0, self.run.offset), |p| (p.image, p.offset));
        if len == 0 {
            Vec::new()
        } else {
            vec![Piece { image: first.0, offset: first.1, len, kind: PieceKind::Decoded }]
        }
    }
}

fn info(kind: &str, label: String, created: Option<u32>, mut features: Vec<String>) -> FsInfo {
    features.sort();
    let created = created.filter(|s| *s > 0).map(|s| Time::seconds(i64::from(s)));
    FsInfo { kind: kind.to_owned(), label, created, clean: true, features, ..FsInfo::default() }
}
/// Text of a fixed field, up to its first zero; escaped, as it comes from the image.
fn label(bytes: &[u8]) -> String {
    let len = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    Name::new(bytes.get(..len).unwrap_or_default()).display()
}
