//! First bytes that tell that something known lies over a whole run: to weigh tables against what they
//! would cover. The readers themselves decide what is there; this only asks.
use crate::image::{Source, read_exact};

/// Name, byte inside the run, bytes found there.
const KNOWN: &[(&str, u64, &[u8])] = &[
    ("XFS", 0, b"XFSB"),
    ("Btrfs", 0x1_0040, b"_BHRfS_M"),
    ("F2FS", 1024, &[0x10, 0x20, 0xf5, 0xf2]),
    ("SquashFS", 0, b"hsqs"),
    ("LUKS", 0, b"LUKS\xba\xbe"),
    ("LVM2", 512, b"LABELONE"),
    ("Linux swap", 4086, b"SWAPSPACE2"),
    ("NTFS", 3, b"NTFS    "),
    ("exFAT", 3, b"EXFAT   "),
    ("BitLocker", 3, b"-FVE-FS-"),
];

pub(super) fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}
pub(super) fn le64(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

/// What begins at byte `at` of the source, if it is something known.
pub(super) fn starts(source: &Source, at: u64) -> Option<&'static str> {
    let read = |inside: u64, len: usize| read_exact(&**source, at.checked_add(inside)?, len).ok().flatten();
    // The magic of ext is two bytes: ask for sane counts and block size too.
    let ext = read(1024, 64).is_some_and(|sb| {
        let counts = le32(&sb, 0).unwrap_or(0) > 0 && le32(&sb, 4).unwrap_or(0) > 0;
        counts && sb.get(56..58) == Some(&[0x53, 0xef]) && le32(&sb, 24).is_some_and(|n| n <= 6)
    });
    if ext {
        return Some("ext");
    }
    if let Some((name, ..)) =
        KNOWN.iter().find(|(_, inside, magic)| read(*inside, magic.len()).as_deref() == Some(*magic))
    {
        return Some(name);
    }
    read(0, 512).is_some_and(|sector| is_fat(&sector)).then_some("FAT")
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

/// Whether a boot sector (0x55AA) or something known begins at this byte.
pub(super) fn looks_used(source: &Source, at: u64) -> bool {
    let boot = at.checked_add(510).map(|end| read_exact(&**source, end, 2));
    matches!(boot, Some(Ok(Some(bytes))) if bytes == [0x55, 0xaa]) || starts(source, at).is_some()
}
