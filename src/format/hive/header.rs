//! The base block of a hive, and of its logs, which begin with a copy of it.
use super::{BINS, MAX_HIVE, u32_at, u64_at};
use crate::base::Time;

/// Bytes that the checksum covers; it stands behind them.
const SUMMED: usize = 508;

/// What the base block says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Two numbers that are equal where nothing was being written.
    pub sequence: (u32, u32),
    pub written: Option<Time>,
    /// Major and minor number.
    pub version: (u32, u32),
    /// 0 for a hive; 1 and 2 for logs of the old format, 6 for those of the new one.
    pub kind: u32,
    /// Offset of the root's cell.
    pub root: u32,
    /// Bytes of all bins.
    pub bins: u32,
    /// The end of the path it was loaded from.
    pub name: String,
    /// Whether the checksum is that of the bytes.
    pub is_sound: bool,
    /// The time of the last change as it is stored, which a log of the old format repeats.
    pub(super) stamp: u64,
    /// Sectors that a log's copy of the base block takes.
    pub(super) cluster: u32,
}

/// Whether a file begins as a hive does.
pub fn is_hive(head: &[u8]) -> bool {
    head.starts_with(b"regf") && u32_at(head, 20) == Some(1)
}

impl Header {
    /// # Errors
    /// A text, where the bytes begin no hive, or one of a version whose cells are others.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let begins = bytes.starts_with(b"regf");
        if !begins && bytes.get(BINS..).is_none_or(|bins| !bins.starts_with(b"hbin")) {
            return Err("it begins as no registry hive does".to_owned());
        }
        let header = Self::read(bytes).ok_or_else(|| format!("the hive is cut off after {} bytes", bytes.len()))?;
        if !begins {
            // Bins without their base block: all of the file are bins.
            let bins = u32::try_from(bytes.len().saturating_sub(BINS)).unwrap_or(u32::MAX);
            return Ok(Self { is_sound: false, version: (1, 5), root: super::NOTHING, bins, ..header });
        }
        match header.version {
            (1, 3..=6) => {}
            (major, minor) if header.is_sound => {
                return Err(format!("a hive of version {major}.{minor}, which is not read"));
            }
            _ => return Ok(Self { version: (1, 5), ..header }.bounded(bytes.len())),
        }
        Ok(if header.is_sound { header } else { header.bounded(bytes.len()) })
    }
    /// What a base block without a fitting checksum says of the length is not believed beyond the file.
    fn bounded(self, len: usize) -> Self {
        let most = u32::try_from(len.saturating_sub(BINS)).unwrap_or(u32::MAX);
        let is_odd = self.bins == 0 || !self.bins.is_multiple_of(4096) || u64::from(self.bins) > MAX_HIVE;
        Self { bins: if is_odd { most } else { self.bins }, ..self }
    }
    /// The fields as they stand.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let stamp = u64_at(bytes, 12)?;
        Some(Self {
            sequence: (u32_at(bytes, 4)?, u32_at(bytes, 8)?),
            written: Time::from_filetime(stamp),
            version: (u32_at(bytes, 20)?, u32_at(bytes, 24)?),
            kind: u32_at(bytes, 28)?,
            root: u32_at(bytes, 36)?,
            bins: u32_at(bytes, 40)?,
            name: super::string(bytes.get(48..112)?),
            is_sound: bytes.starts_with(b"regf") && Some(sum(bytes)?) == u32_at(bytes, SUMMED),
            stamp,
            cluster: u32_at(bytes, 44)?,
        })
    }
    pub fn is_dirty(&self) -> bool {
        !self.is_sound || self.sequence.0 != self.sequence.1
    }
}

/// The checksum of a base block: its words, one over the other; two values stand for those that mean something else.
fn sum(bytes: &[u8]) -> Option<u32> {
    let words = bytes.get(..SUMMED)?.as_chunks::<4>().0;
    Some(match words.iter().fold(0, |sum, w| sum ^ u32::from_le_bytes(*w)) {
        0 => 1,
        u32::MAX => u32::MAX - 1,
        sum => sum,
    })
}
