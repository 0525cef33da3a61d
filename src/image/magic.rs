//! First bytes that tell what something is: the one table of signatures. It names; it decides nothing.
//! The readers look for themselves. Sources: each format's own specification, and file(1)'s documentation.
use super::{ReadAt, read_exact};

/// What kind of thing begins with a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A tree of files over the whole run.
    FileSystem,
    /// Part of a volume manager, or an area that holds no files (swap).
    Volume,
    Encrypted,
    /// A disk image in a format of its own.
    Container,
    /// What a boot loader loads, found in flash without a file system around it.
    Boot,
    /// A file's content.
    File,
}

/// A signature.
pub struct Magic {
    /// As a gap names it.
    pub name: &'static str,
    /// The word of the `content` column; empty where these bytes are too weak to name a file.
    pub word: &'static str,
    pub class: Class,
    /// Byte at which it stands, from where the thing begins.
    pub at: usize,
    pub bytes: &'static [u8],
    /// Further conditions on the first [`HEAD`] bytes.
    pub fits: fn(&[u8]) -> bool,
}

/// The name of what has no signature but a checksum.
pub const ENVIRONMENT: &str = "U-Boot environment";

/// Bytes that [`Magic::fits`] is shown.
pub const HEAD: usize = 2048;

const fn file(word: &'static str, at: usize, bytes: &'static [u8]) -> Magic {
    Magic { name: word, word, class: Class::File, at, bytes, fits: |_| true }
}
const fn whole(class: Class, name: &'static str, word: &'static str, at: usize, bytes: &'static [u8]) -> Magic {
    Magic { name, word, class, at, bytes, fits: |_| true }
}

use Class::{Boot, Container, Encrypted, FileSystem, Volume};

/// Every signature; of several that fit, the first counts.
pub const ALL: &[Magic] = &[
    file("elf", 0, b"\x7fELF"),
    file("kernel-image", 0x202, b"HdrS"),
    file("kernel-image", 56, b"ARM\x64"),
    file("kernel-image", 36, &[0x18, 0x28, 0x6f, 0x01]),
    whole(Boot, "U-Boot image", "kernel-image", 0, &[0x27, 0x05, 0x19, 0x56]),
    whole(Boot, "TRX firmware", "", 0, b"HDR0"),
    whole(Boot, "device tree or FIT image", "device-tree", 0, &[0xd0, 0x0d, 0xfe, 0xed]),
    whole(Boot, "Android boot image", "android-boot", 0, b"ANDROID!"),
    whole(Boot, "SEAMA firmware", "router-firmware", 0, &[0x5e, 0xa3, 0xa4, 0x17]),
    whole(Boot, "Netgear CHK firmware", "router-firmware", 0, b"*#$^"),
    whole(Boot, "D-Link SHRS firmware (encrypted)", "router-firmware", 0, b"SHRS"),
    whole(Boot, "TP-Link firmware", "router-firmware", 4, b"TP-LINK Technologies"),
    whole(Boot, "Broadcom image tag", "router-firmware", 4, b"Broadcom Corporatio"),
    file("gzip", 0, &[0x1f, 0x8b]),
    file("xz", 0, b"\xfd7zXZ\0"),
    file("zstd", 0, &[0x28, 0xb5, 0x2f, 0xfd]),
    file("bzip2", 0, b"BZh"),
    file("lz4", 0, &[0x04, 0x22, 0x4d, 0x18]),
    file("7z", 0, b"7z\xbc\xaf\x27\x1c"),
    file("rar", 0, b"Rar!\x1a\x07"),
    file("zip", 0, b"PK\x03\x04"),
    file("zip", 0, b"PK\x05\x06"),
    file("png", 0, b"\x89PNG\r\n\x1a\n"),
    file("jpeg", 0, &[0xff, 0xd8, 0xff]),
    file("gif", 0, b"GIF8"),
    file("pdf", 0, b"%PDF-"),
    file("sqlite", 0, b"SQLite format 3\0"),
    file("deb", 0, b"!<arch>\ndebian-binary"),
    file("ar", 0, b"!<arch>\n"),
    file("ar", 0, b"!<thin>\n"),
    file("rpm", 0, &[0xed, 0xab, 0xee, 0xdb]),
    file("tar", 257, b"ustar"),
    file("cpio", 0, b"070701"),
    file("cpio", 0, b"070702"),
    file("cpio", 0, b"070707"),
    file("cpio", 0, &[0xc7, 0x71]),
    file("journal", 0, b"LPKSHHRH"),
    file("java-class", 0, &[0xca, 0xfe, 0xba, 0xbe]),
    file("wasm", 0, b"\0asm"),
    file("font", 0, &[0, 1, 0, 0, 0]),
    file("font", 0, b"OTTO"),
    file("font", 0, b"wOF"),
    file("gettext", 0, &[0xde, 0x12, 0x04, 0x95]),
    file("evtx", 0, b"ElfFile\0"),
    file("registry", 0, b"regf"),
    file("pcap", 0, &[0xd4, 0xc3, 0xb2, 0xa1]),
    file("pcap", 0, &[0x0a, 0x0d, 0x0d, 0x0a]),
    file("ole", 0, &[0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1]),
    whole(Encrypted, "LUKS", "luks", 0, b"LUKS\xba\xbe"),
    whole(Encrypted, "BitLocker", "bitlocker", 3, b"-FVE-FS-"),
    whole(Volume, "LVM2 physical volume", "lvm2", 536, b"LVM2 001"),
    whole(Volume, "LVM2 physical volume", "lvm2", 512, b"LABELONE"),
    whole(Volume, "Linux swap", "swap", 4086, b"SWAPSPACE2"),
    whole(Volume, "Linux swap", "swap", 4086, b"SWAP-SPACE"),
    whole(Volume, "md RAID", "", 4096, &[0xfc, 0x4e, 0x2b, 0xa9]),
    whole(Volume, "UBI", "ubi", 0, b"UBI#"),
    whole(FileSystem, "XFS", "xfs", 0, b"XFSB"),
    whole(FileSystem, "Btrfs", "btrfs", 0x1_0040, b"_BHRfS_M"),
    whole(FileSystem, "F2FS", "f2fs", 1024, &[0x10, 0x20, 0xf5, 0xf2]),
    whole(FileSystem, "EROFS", "erofs", 1024, &[0xe2, 0xe1, 0xf5, 0xe0]),
    whole(FileSystem, "SquashFS", "squashfs", 0, b"hsqs"),
    whole(FileSystem, "SquashFS (big-endian)", "squashfs", 0, b"sqsh"),
    Magic { fits: is_squashfs, ..whole(FileSystem, "SquashFS (a maker's signature)", "squashfs", 0, b"shsq") },
    Magic { fits: is_squashfs, ..whole(FileSystem, "SquashFS (a maker's signature)", "squashfs", 0, b"qshs") },
    Magic { fits: is_squashfs, ..whole(FileSystem, "SquashFS (a maker's signature)", "squashfs", 0, b"hsqt") },
    Magic { fits: is_squashfs, ..whole(FileSystem, "SquashFS (a maker's signature)", "squashfs", 0, b"tqsh") },
    Magic { fits: is_squashfs, ..whole(FileSystem, "SquashFS (a maker's signature)", "squashfs", 0, b"sqlz") },
    whole(FileSystem, "NTFS", "ntfs", 3, b"NTFS    "),
    whole(FileSystem, "exFAT", "exfat", 3, b"EXFAT   "),
    whole(FileSystem, "ISO 9660", "iso9660", 0x8001, b"CD001"),
    whole(FileSystem, "UDF", "udf", 0x8001, b"BEA01"),
    whole(FileSystem, "romfs", "romfs", 0, b"-rom1fs-"),
    whole(FileSystem, "cramfs", "cramfs", 0, &[0x45, 0x3d, 0xcd, 0x28]),
    whole(FileSystem, "cramfs (big-endian)", "cramfs", 0, &[0x28, 0xcd, 0x3d, 0x45]),
    whole(FileSystem, "ReFS", "refs", 3, b"ReFS\0\0\0\0"),
    whole(FileSystem, "APFS", "apfs", 32, b"NXSB"),
    whole(FileSystem, "HFS+", "hfsplus", 1024, b"H+\0\x04"),
    whole(FileSystem, "HFSX", "hfsplus", 1024, b"HX\0\x05"),
    whole(FileSystem, "ZFS", "zfs", 0x4014, b"\0\0\0\x07version\0"),
    whole(FileSystem, "bcachefs", "bcachefs", 4120, &BCACHEFS),
    whole(Volume, "bcache", "bcache", 4120, &BCACHE),
    whole(FileSystem, "JFS", "jfs", 0x8000, b"JFS1"),
    whole(FileSystem, "ReiserFS", "reiserfs", 0x1_0034, b"ReIsEr"),
    whole(FileSystem, "Reiser4", "reiser4", 0x1_0000, b"ReIsEr4"),
    whole(FileSystem, "UFS1", "ufs", 9564, &[0x54, 0x19, 0x01, 0x00]),
    whole(FileSystem, "UFS2", "ufs", 0x1_055c, &[0x19, 0x01, 0x54, 0x19]),
    whole(FileSystem, "VxFS", "vxfs", 8192, &[0xf5, 0xfc, 0x01, 0xa5]),
    whole(FileSystem, "QNX6", "qnx6", 8192, &[0x22, 0x11, 0x19, 0x68]),
    whole(FileSystem, "HPFS", "hpfs", 8192, &[0x49, 0xe8, 0x95, 0xf9]),
    whole(FileSystem, "OCFS2", "ocfs2", 8192, b"OCFSV2"),
    whole(FileSystem, "GFS2", "gfs2", 0x1_0000, &[0x01, 0x16, 0x19, 0x70, 0, 0, 0, 1]),
    whole(FileSystem, "VMFS", "vmfs", 0x10_0000, &[0x0d, 0xd0, 0x01, 0xc0]),
    whole(FileSystem, "BeFS", "befs", 544, b"1SFB"),
    Magic { fits: is_nilfs, ..whole(FileSystem, "NILFS2", "nilfs2", 1030, &[0x34, 0x34]) },
    Magic { fits: is_minix, ..whole(FileSystem, "Minix", "minix", 1040, &[0x7f, 0x13]) },
    Magic { fits: is_minix, ..whole(FileSystem, "Minix", "minix", 1040, &[0x8f, 0x13]) },
    Magic { fits: is_minix, ..whole(FileSystem, "Minix 2", "minix", 1040, &[0x68, 0x24]) },
    Magic { fits: is_minix, ..whole(FileSystem, "Minix 2", "minix", 1040, &[0x78, 0x24]) },
    Magic { fits: is_minix3, ..whole(FileSystem, "Minix 3", "minix", 1048, &[0x5a, 0x4d]) },
    whole(Volume, "dm-verity hash device", "verity", 0, b"verity\0\0"),
    whole(Volume, "dm-integrity device", "integrity", 0, b"integrt\0"),
    whole(Volume, "dm-vdo device", "vdo", 0, b"dmvdo001"),
    whole(Volume, "Stratis pool member", "stratis", 516, b"!Stra0tis\x86\xff\x02^\x41rh"),
    whole(Volume, "Android verified boot metadata (vbmeta)", "vbmeta", 0, b"AVB0"),
    whole(Volume, "Android logical partitions (super)", "android-super", 4096, b"gDla"),
    whole(Volume, "Windows dynamic disk (LDM database)", "ldm", 3072, b"PRIVHEAD"),
    whole(Volume, "Storage Spaces member", "storage-spaces", 4096, b"SPACEDB "),
    whole(Encrypted, "encrypted Apple disk image", "dmg", 0, b"encrcdsa"),
    Magic { fits: is_core_storage, ..whole(Encrypted, "Apple Core Storage (FileVault)", "core-storage", 88, b"CS") },
    whole(Container, "AFF", "aff", 0, b"AFF10\r\n\0"),
    Magic { fits: is_aff4, ..whole(Container, "AFF4", "", 0, b"PK\x03\x04") },
    whole(Container, "AD1", "ad1", 0, b"ADSEGMENTEDFILE"),
    whole(Container, "Parallels", "parallels", 0, b"WithoutFreeSpace"),
    whole(Container, "Parallels", "parallels", 0, b"WithouFreSpacExt"),
    whole(Container, "Apple sparse image", "sparseimage", 0, b"sprs"),
    whole(Container, "EWF (Lx01)", "ewf", 0, b"LEF2\x0d\x0a\x81\x00"),
    whole(FileSystem, "UBIFS", "ubifs", 0, &[0x31, 0x18, 0x10, 0x06]),
    whole(FileSystem, "JFFS2", "", 0, &[0x85, 0x19]),
    whole(FileSystem, "JFFS2 (big-endian)", "", 0, &[0x19, 0x85]),
    whole(Container, "EWF (E01)", "ewf", 0, b"EVF\x09\x0d\x0a\xff\x00"),
    whole(Container, "EWF (Ex01)", "ewf", 0, b"EVF2\x0d\x0a\x81\x00"),
    whole(Container, "EWF (L01)", "ewf", 0, b"LVF\x09\x0d\x0a\xff\x00"),
    whole(Container, "QCOW2", "qcow2", 0, b"QFI\xfb"),
    whole(Container, "VMDK", "vmdk", 0, b"KDMV"),
    whole(Container, "VMDK", "vmdk", 0, b"COWD"),
    whole(Container, "VMDK", "vmdk", 0, b"# Disk DescriptorFile"),
    whole(Container, "VHD", "vhd", 0, b"conectix"),
    whole(Container, "VHDX", "vhdx", 0, b"vhdxfile"),
    whole(Container, "VDI", "vdi", 0x40, &[0x7f, 0x10, 0xda, 0xbe]),
    Magic { fits: is_ext, ..whole(FileSystem, "ext", "ext", 1080, &[0x53, 0xef]) },
    Magic { fits: is_fat, ..whole(FileSystem, "FAT", "fat", 0, &[]) },
    Magic { fits: is_environment, ..whole(Boot, ENVIRONMENT, "", 0, &[]) },
];

/// What begins at byte `at` of the source, among the signatures that `wanted` lets through.
pub fn find(source: &dyn ReadAt, at: u64, wanted: impl Fn(&Magic) -> bool) -> Option<&'static Magic> {
    let mut head = vec![0; 4096];
    let n = source.read_at(at, &mut head).ok()?;
    head.truncate(n);
    ALL.iter().filter(|m| wanted(m)).find(|m| {
        let here = head.get(m.at..m.at.saturating_add(m.bytes.len()));
        let there = || read_exact(source, at.checked_add(m.at as u64)?, m.bytes.len()).ok().flatten();
        let stands = here.map_or_else(|| there().as_deref() == Some(m.bytes), |bytes| bytes == m.bytes);
        stands && (m.fits)(head.get(..HEAD).unwrap_or(&head))
    })
}

/// What a volume begins like; a mere file's content is no answer.
pub fn name(source: &dyn ReadAt) -> Option<&'static Magic> {
    find(source, 0, |m| m.class != Class::File)
}

/// The word for a file that begins with `head`.
pub fn word(head: &[u8]) -> Option<&'static str> {
    let named = ALL.iter().filter(|m| !m.word.is_empty());
    let mut fitting = named.filter(|m| head.get(m.at..).is_some_and(|h| h.starts_with(m.bytes)));
    fitting.find(|m| (m.fits)(head.get(..HEAD).unwrap_or(head))).map(|m| m.word)
}

const BCACHEFS: [u8; 16] =
    [0xc6, 0x85, 0x73, 0xf6, 0x66, 0xce, 0x90, 0xa9, 0xd9, 0x6a, 0x60, 0xcf, 0x80, 0x3d, 0xf7, 0xef];
const BCACHE: [u8; 16] =
    [0xc6, 0x85, 0x73, 0xf6, 0x4e, 0x1a, 0x45, 0xca, 0x82, 0x65, 0xf5, 0x7f, 0x48, 0xba, 0x6d, 0x81];

fn short(head: &[u8], at: usize) -> u16 {
    let bytes = head.get(at..at.saturating_add(2)).and_then(|b| b.try_into().ok());
    bytes.map_or(0, u16::from_le_bytes)
}
/// Two bytes of magic: ask for inodes, maps of them and of zones, and a size of zones that can be.
fn is_minix(head: &[u8]) -> bool {
    let counted = [1024, 1028, 1030, 1032].iter().all(|at| short(head, *at) > 0);
    counted && short(head, 1034) <= 8
}
/// A version that exists, in either order of bytes.
fn is_squashfs(head: &[u8]) -> bool {
    let version = short(head, 28);
    (1..=4).contains(&version) || (1..=4).contains(&version.swap_bytes())
}
fn is_minix3(head: &[u8]) -> bool {
    short(head, 1024) > 0 && short(head, 1030) > 0 && matches!(short(head, 1052), 1024 | 2048 | 4096)
}
/// Its revision, and a superblock of a size that can be.
fn is_nilfs(head: &[u8]) -> bool {
    short(head, 1024) == 2 && (64..=1024).contains(&short(head, 1032))
}
/// Two bytes of magic: ask for the version and the kind of checksum in front.
fn is_core_storage(head: &[u8]) -> bool {
    short(head, 8) == 1 && short(head, 10) == 16
}
/// A zip file that begins with what the AFF4 standard lays first.
fn is_aff4(head: &[u8]) -> bool {
    head.get(30..).is_some_and(|name| name.starts_with(b"container.description"))
}

/// What stands at the end of a file, and tells what it is: its name, and bytes from the end.
pub(crate) fn at_end(source: &dyn ReadAt) -> Option<&'static str> {
    const ENDS: &[(&str, u64, &[u8])] = &[
        ("Apple disk image (DMG)", 512, b"koly"),
        ("footer of Android verified boot", 64, b"AVBf"),
        ("member of a firmware RAID (Intel Matrix)", 1024, b"Intel Raid ISM Cfg Sig. "),
        ("member of a firmware RAID (DDF)", 512, &[0xde, 0x11, 0xde, 0x11]),
    ];
    let stands = |(_, back, bytes): &&(&str, u64, &[u8])| {
        let at = source.len().checked_sub(*back);
        at.is_some_and(|at| matches!(read_exact(source, at, bytes.len()), Ok(Some(b)) if b == *bytes))
    };
    ENDS.iter().find(stands).map(|(name, ..)| *name)
}

/// The magic of ext is two bytes: ask for counts and a block size that can be.
fn is_ext(head: &[u8]) -> bool {
    let word = |at: usize| Some(u32::from_le_bytes(head.get(at..at.checked_add(4)?)?.try_into().ok()?));
    let counted = |at| word(at).is_some_and(|n| n > 0);
    counted(1024) && counted(1028) && word(1048).is_some_and(|n| n <= 6)
}

/// Whether a name and `=` stand behind a checksum, or behind that and a flag. Weak: the reader compares the checksum.
fn is_environment(head: &[u8]) -> bool {
    let named = |at: usize| {
        let rest = head.get(at..).unwrap_or_default();
        let len = rest.iter().take(64).position(|b| *b == b'=').unwrap_or(0);
        len > 0 && rest.iter().take(len).all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
    };
    named(4) || named(5)
}

/// Whether a sector is a boot sector of FAT, by its parameter block.
fn is_fat(sector: &[u8]) -> bool {
    let byte = |at: usize| sector.get(at).copied().unwrap_or(0);
    let word = |at: usize| u16::from_le_bytes([byte(at), byte(at.saturating_add(1))]);
    let jump = byte(0) == 0xe9 || (byte(0) == 0xeb && byte(2) == 0x90);
    jump && matches!(word(11), 512 | 1024 | 2048 | 4096)
        && byte(13).is_power_of_two()
        && word(14) > 0
        && matches!(byte(16), 1 | 2)
        && (byte(21) == 0xf0 || byte(21) >= 0xf8)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Each signature, laid where it stands, is found there and nothing else is; a byte less and it is not.
    #[test]
    fn every_signature_names_itself() {
        for magic in ALL.iter().filter(|m| !m.bytes.is_empty() && m.class != Class::File) {
            let mut bytes = vec![0; magic.at.saturating_add(4096)];
            bytes.splice(magic.at..magic.at + magic.bytes.len(), magic.bytes.iter().copied());
            match magic.name {
                "ext" => drop(bytes.splice(1024..1032, [1; 8])),
                "NILFS2" => {
                    bytes.splice(1024..1025, [2]);
                    bytes.splice(1033..1034, [1]);
                }
                name if name.starts_with("SquashFS (a") => drop(bytes.splice(28..29, [3])),
                "Minix 3" => {
                    bytes.splice(1024..1032, [1; 8]);
                    bytes.splice(1053..1054, [4]);
                }
                name if name.starts_with("Minix") => drop(bytes.splice(1024..1034, [1; 10])),
                "AFF4" => drop(bytes.splice(30..51, *b"container.description")),
                name if name.starts_with("Apple Core Storage") => drop(bytes.splice(8..12, [1, 0, 16, 0])),
                _ => {}
            }
            let found = find(&bytes, 0, |m| m.class != Class::File).unwrap();
            assert_eq!(found.name, magic.name);
            if !magic.word.is_empty() && magic.at < 4096 {
                assert_eq!(word(bytes.get(..4096).unwrap()), Some(magic.word), "{}", magic.name);
            }
            bytes.truncate(magic.at + magic.bytes.len() - 1);
            assert!(name(&bytes).is_none_or(|m| m.name != magic.name), "{}", magic.name);
        }
    }

    #[test]
    fn zeros_and_text_are_nothing() {
        assert!(name(&vec![0; 1 << 17]).is_none());
        assert!(name(&b"hello\n".to_vec()).is_none());
        assert!(word(b"hello\n").is_none());
    }
}
