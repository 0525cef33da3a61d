//! Whether something known lies over a whole run: to weigh tables against what they would cover.
use crate::image::magic::{self, Class, Magic};
use crate::image::{Source, read_exact};

pub(super) fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}
pub(super) fn le64(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

/// What begins at byte `at` of the source, if it is something that takes the whole run for itself. ISO 9660
/// does not: hybrid images carry a partition table in the area it leaves free.
pub(super) fn starts(source: &Source, at: u64) -> Option<&'static str> {
    let covers =
        |m: &Magic| matches!(m.class, Class::FileSystem | Class::Volume | Class::Encrypted) && m.name != "ISO 9660";
    magic::find(&**source, at, covers).map(|m| m.name)
}

/// Whether a boot sector (0x55AA) or something known begins at this byte.
pub(super) fn looks_used(source: &Source, at: u64) -> bool {
    let boot = at.checked_add(510).map(|end| read_exact(&**source, end, 2));
    matches!(boot, Some(Ok(Some(bytes))) if bytes == [0x55, 0xaa]) || starts(source, at).is_some()
}
