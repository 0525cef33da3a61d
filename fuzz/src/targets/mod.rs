//! What is fuzzed: a target for each member of each table, and for each parser that is none. A target takes any bytes
//! and must come to an end without a panic, in bounded memory.
//!
//! Disks may be packed (see `kit::disk`): a seed of some kilobytes is then a disk of any size, and one that begins with
//! `CSM1` instead of `CSD1` gets the checksums of all its structures mended first.
mod formats;
mod keys;
mod parent;

use crate::kit::{Disk, Layout, Look, Reach, Seen, engine, layouts, mutant};
use cranescope::image::Source;
use std::sync::Arc;

pub struct Target {
    pub name: &'static str,
    what: What,
}
enum What {
    /// Opens, walks and reads all of it.
    Look(Look, Option<&'static Layout>),
    /// A file that is mostly zeros, packed like a disk.
    Packed(fn(Disk)),
    Bytes(fn(&[u8])),
}
use What::{Bytes, Look as Reader, Packed};

const fn files(name: &'static str, format: &'static str, layout: Option<&'static Layout>) -> Target {
    Target { name, what: Reader(Look::Files(format), layout) }
}
const fn container(name: &'static str, format: &'static str, layout: Option<&'static Layout>) -> Target {
    Target { name, what: Reader(Look::Container(format), layout) }
}
const fn volume(name: &'static str, look: Look, layout: Option<&'static Layout>) -> Target {
    Target { name, what: Reader(look, layout) }
}
const fn packed(name: &'static str, run: fn(Disk)) -> Target {
    Target { name, what: Packed(run) }
}
const fn bytes(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, what: Bytes(run) }
}

pub const ALL: &[Target] = &[
    container("e01", "E01", Some(&layouts::containers::E01)),
    container("ex01", "Ex01", Some(&layouts::containers::SECTORS)),
    container("qcow2", "QCOW2", Some(&layouts::containers::QCOW2)),
    container("vmdk", "VMDK", Some(&layouts::containers::SECTORS)),
    container("vhdx", "VHDX", Some(&layouts::containers::VHDX)),
    container("vhd", "VHD", Some(&layouts::containers::VHD)),
    container("vdi", "VDI", Some(&layouts::containers::SECTORS)),
    container("gzip", "gzip", None),
    container("xz", "xz", None),
    container("zstd", "zstd", None),
    container("bzip2", "bzip2", None),
    container("lz4", "lz4", None),
    container("lz4-legacy", "lz4-legacy", None),
    container("lzop", "lzop", None),
    container("lzma", "lzma", None),
    container("raw", "raw", None),
    volume("gpt", Look::Table("gpt"), Some(&layouts::tables::GPT)),
    volume("mbr", Look::Table("mbr"), Some(&layouts::tables::MBR)),
    volume("apm", Look::Table("apm"), Some(&layouts::containers::SECTORS)),
    volume("bsd", Look::Table("bsd"), Some(&layouts::containers::SECTORS)),
    volume("md", Look::Manager("md", 2), Some(&layouts::containers::SECTORS)),
    volume("lvm2", Look::Manager("lvm2", 3), Some(&layouts::tables::LVM)),
    volume("btrfs-devices", Look::Manager("btrfs", 2), Some(&layouts::linux::BTRFS)),
    volume("ubi", Look::Manager("ubi", 1), Some(&layouts::flash::UBI)),
    volume("luks", Look::Locked("luks", b"key"), Some(&layouts::tables::LUKS)),
    volume("bitlocker", Look::Locked("bitlocker", b"key"), Some(&layouts::containers::SECTORS)),
    files("ext", "ext", Some(&layouts::ext::EXT)),
    files("ntfs", "ntfs", Some(&layouts::windows::NTFS)),
    files("xfs", "xfs", Some(&layouts::linux::XFS)),
    files("btrfs", "btrfs", Some(&layouts::linux::BTRFS)),
    files("squashfs", "squashfs", Some(&layouts::linux::SQUASHFS)),
    files("ubifs", "ubifs", Some(&layouts::flash::UBIFS)),
    files("jffs2", "jffs2", Some(&layouts::flash::JFFS2)),
    files("exfat", "exfat", Some(&layouts::windows::EXFAT)),
    files("fat", "fat", Some(&layouts::windows::FAT)),
    files("erofs", "erofs", Some(&layouts::linux::EROFS)),
    files("f2fs", "f2fs", Some(&layouts::linux::F2FS)),
    files("iso9660", "iso9660", Some(&layouts::containers::SECTORS)),
    files("uimage", "uimage", None),
    files("fit", "fit", None),
    files("trx", "trx", None),
    files("android-boot", "android-boot", None),
    files("u-boot-env", "u-boot-env", None),
    files("cpio", "cpio", None),
    files("zip", "zip", None),
    files("ar", "ar", None),
    files("tar", "tar", None),
    files("l01", "l01", None),
    files("router-firmware", "router-firmware", None),
    volume("registry", Look::Hive, Some(&layouts::registry::REGISTRY)),
    bytes("elf", formats::elf),
    bytes("pe", formats::pe),
    bytes("kmod", formats::kmod),
    bytes("gobuild", formats::gobuild),
    bytes("rustcrates", formats::rustcrates),
    bytes("deb822", formats::deb822),
    bytes("ini", formats::ini),
    bytes("uci", formats::uci),
    bytes("unitfile", formats::unitfile),
    bytes("syslog", formats::syslog),
    bytes("utmp", formats::utmp),
    bytes("sshkey", formats::sshkey),
    bytes("der", formats::der),
    bytes("decompress", formats::decompress),
    bytes("script", formats::script),
    bytes("tree", formats::tree),
    bytes("at", formats::at),
    bytes("tags", formats::tags),
    bytes("usn", formats::usn),
    bytes("euicc", formats::euicc),
    packed("journal", formats::journal),
    bytes("acl", formats::acl),
    bytes("sqlite", formats::sqlite),
    bytes("rpm", formats::rpm),
    bytes("jar", formats::jar),
    bytes("kernel-image", formats::kernel_image),
    bytes("modem-alias", formats::modem_alias),
    bytes("jks", keys::jks),
    bytes("pkcs12", keys::pkcs12),
    bytes("keytab", keys::keytab),
    bytes("putty", keys::putty),
    bytes("x509", keys::x509),
    bytes("artifacts", formats::artifacts),
    bytes("report", parent::report),
    bytes("order", parent::order),
    bytes("case", parent::case),
    bytes("baseline", parent::baseline),
    bytes("rule", parent::rule),
    bytes("intake", parent::intake),
];

pub fn find(name: &str) -> Option<&'static Target> {
    ALL.iter().find(|t| t.name == name)
}

impl Target {
    /// The members of the tables of image, volume and file-system formats that a target stands for.
    pub fn member(&self) -> Option<&'static str> {
        match &self.what {
            Reader(
                Look::Files(n) | Look::Table(n) | Look::Manager(n, _) | Look::Locked(n, _) | Look::Container(n),
                _,
            ) => Some(*n),
            Reader(Look::Hive, _) | Packed(_) | Bytes(_) => None,
        }
    }
    pub fn run(&self, data: &[u8], reach: Reach) {
        match &self.what {
            Bytes(run) => run(data),
            Packed(run) => {
                let mut disk = Disk::unpack(data);
                disk.len = disk.len.min(reach.container);
                run(disk);
            }
            Reader(look, layout) => {
                let (mut disk, mend) = unpacked(data);
                disk.len = disk.len.min(match look {
                    Look::Container(_) => reach.container,
                    Look::Hive => reach.hive,
                    _ => reach.disk,
                });
                if let (true, Some(layout)) = (mend, layout) {
                    layouts::mend_all(layout, &mut disk);
                }
                // What a reader may read of an input of some kilobytes before it counts as endless: a few gigabytes of a
                // disk that says it has them are gone through once.
                let allowance = (2 << 30) + disk.len.min(4 << 30);
                let disk = Arc::new(disk.with_allowance(allowance));
                let source: Source = disk.clone();
                Seen::within(*look, &source, reach);
                assert!(!disk.is_exhausted(), "more than {allowance} bytes were read of {} bytes", data.len());
            }
        }
    }
    /// The input with one of its structures changed, or several, as the tests' mutants are; `None` where its structures
    /// are not known or the result is longer than `most` bytes.
    pub fn mutant(&self, data: &[u8], most: usize, seed: u64) -> Option<Vec<u8>> {
        let Reader(_, Some(layout)) = &self.what else { return None };
        let (disk, mend) = unpacked(data);
        let parts = Some((layout.parts)(&disk)).filter(|p| !p.is_empty())?;
        let (changed, _) = mutant(&disk, &parts, &engine::names(&parts), layout, seed);
        let mut packed = changed.pack();
        if mend {
            packed.splice(..MENDED.len(), *MENDED);
        }
        Some(packed).filter(|p| p.len() <= most)
    }
}

/// How a packed disk begins whose checksums are made to fit before it is read.
const MENDED: &[u8; 4] = b"CSM1";

/// The disk of an input, and whether its checksums are to be mended.
fn unpacked(data: &[u8]) -> (Disk, bool) {
    match data.strip_prefix(MENDED) {
        Some(rest) => (Disk::unpack(&[b"CSD1", rest].concat()), true),
        None => (Disk::unpack(data), false),
    }
}
