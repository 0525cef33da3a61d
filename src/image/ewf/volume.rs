//! The `volume` section of an EWF set: how large the disk, its sectors and its chunks are.
use super::segment::Section;
use crate::base::{Gaps, hex};
use crate::image::inflate::adler32;
use crate::image::{Segment, read_exact};

/// Largest chunk: EnCase goes up to 32,768 sectors of 512 bytes; larger sectors are allowed for.
pub(super) const MAX_CHUNK: u64 = 32 << 20;
/// A disk said to be more than this many times larger than its chunks together is not believed.
const BELIEVED: u64 = 1024;
const BELIEVED_BYTES: u64 = 1 << 40;

pub(super) struct Volume {
    /// The form of SMART and the oldest writers.
    pub is_smart: bool,
    /// Bytes of a sector.
    pub sector: u32,
    /// Bytes of a chunk.
    pub chunk: usize,
    declared_chunks: u32,
    sectors: u64,
    media: u8,
    flags: u8,
    compression: u8,
    set: Vec<u8>,
    /// Bytes of all files, where the chunks hold files and no disk.
    files: Option<u64>,
}

impl Volume {
    pub(super) fn read(segment: &Segment, section: &Section) -> Result<Self, String> {
        let len = section.end.saturating_sub(section.start).min(1052);
        let bytes = read_exact(&*segment.source, section.start, usize::try_from(len).unwrap_or(0))
            .map_err(|e| e.to_string())?
            .unwrap_or_default();
        let is_smart = bytes.len() < 1052;
        let covered = if is_smart { 90 } else { 1048 };
        let word = |at: usize| {
            let bytes = bytes.get(at..at.saturating_add(4)).and_then(|b| b.try_into().ok());
            bytes.map(u32::from_le_bytes).ok_or_else(|| format!("only {len} bytes are there"))
        };
        if word(covered)? != adler32(bytes.get(..covered).unwrap_or_default()) {
            return Err("its checksum does not fit".into());
        }
        let byte = |at: usize| if is_smart { 0 } else { bytes.get(at).copied().unwrap_or(0) };
        let (per_chunk, sector) = (word(8)?, word(12)?);
        let chunk = u64::from(per_chunk).saturating_mul(u64::from(sector));
        if chunk == 0 || chunk > MAX_CHUNK {
            return Err(format!("chunks of {per_chunk} sectors of {sector} bytes"));
        }
        let low = u64::from(word(16)?);
        let sectors = if is_smart { low } else { low | u64::from(word(20)?) << 32 };
        Ok(Self {
            is_smart,
            sector,
            chunk: usize::try_from(chunk).map_err(|e| e.to_string())?,
            declared_chunks: word(4)?,
            sectors,
            media: byte(0),
            flags: byte(36),
            compression: byte(52),
            set: if is_smart { Vec::new() } else { bytes.get(64..80).unwrap_or_default().to_vec() },
            files: None,
        })
    }
    /// Of version 2, which says the same in other sections.
    pub(super) fn of(sector: u64, per_chunk: u64, sectors: u64, chunks: u64) -> Result<Self, String> {
        let chunk = per_chunk.saturating_mul(sector);
        let is_possible = (1..=MAX_CHUNK).contains(&chunk);
        let narrow = |n: u64| u32::try_from(n).ok().filter(|_| is_possible);
        let sector_bytes = narrow(sector).ok_or_else(|| format!("chunks of {per_chunk} sectors of {sector} bytes"))?;
        Ok(Self {
            is_smart: true,
            sector: sector_bytes,
            chunk: usize::try_from(chunk).map_err(|e| e.to_string())?,
            declared_chunks: u32::try_from(chunks).unwrap_or(0),
            sectors,
            media: 0,
            flags: 0,
            compression: 0,
            set: Vec::new(),
            files: None,
        })
    }
    /// Whether two segments say that they are of different sets.
    pub(super) fn is_other_set(&self, other: &Self) -> bool {
        let known = |v: &Self| v.set.iter().any(|b| *b != 0);
        self.chunk != other.chunk || (known(self) && known(other) && self.set != other.set)
    }
    /// Of logical evidence, whose chunks have this size and hold so many bytes together.
    pub(super) fn of_files(self, chunk: usize, total: u64) -> Self {
        Self { chunk, files: Some(total), ..self }
    }
    fn bytes(&self) -> u64 {
        if let Some(total) = self.files {
            return total;
        }
        self.sectors.saturating_mul(u64::from(self.sector))
    }
    /// Chunks of the whole disk; 0 if the writer did not know.
    pub(super) fn chunks(&self) -> u64 {
        match self.bytes().div_ceil(self.chunk as u64) {
            0 => u64::from(self.declared_chunks),
            n => n,
        }
    }
    /// Bytes of the last chunk if it is shorter, else 0.
    pub(super) fn last(&self) -> usize {
        usize::try_from(self.bytes().checked_rem(self.chunk as u64).unwrap_or(0)).unwrap_or(0)
    }
    /// Bytes of the disk, where the chunks that are there reach up to number `reach`.
    pub(super) fn len(&self, reach: u64, gaps: &Gaps) -> u64 {
        let there = reach.saturating_mul(self.chunk as u64);
        let declared = match self.bytes() {
            0 => u64::from(self.declared_chunks).saturating_mul(self.chunk as u64),
            n => n,
        };
        if declared == 0 {
            // A writer that was interrupted did not come back to enter the size.
            gaps.add(super::BY, "the size of the disk was not entered; it is taken from the chunks", 0);
            return there;
        }
        if declared > BELIEVED_BYTES && declared > there.saturating_mul(BELIEVED) {
            let what = format!("the disk is said to have {declared} bytes; chunks are there for {there} only");
            gaps.add(super::BY, what, 0);
            return there;
        }
        if there > declared.saturating_add(self.chunk as u64) {
            let what = format!("the disk is said to have {declared} bytes, but there are chunks for {there}");
            gaps.add_at(super::BY, "image_offset", declared, what, there.saturating_sub(declared));
        }
        declared
    }
    /// In words for the examiner.
    pub(super) fn tell(&self, to: &mut Vec<(String, String)>) {
        let mut add = |field: &str, value: String| to.push((field.into(), value));
        add("bytes per sector", self.sector.to_string());
        add("bytes per chunk", self.chunk.to_string());
        if self.is_smart {
            return;
        }
        let media = match self.media {
            0 => "removable disk",
            1 => "fixed disk",
            3 => "optical disc",
            14 => "logical evidence",
            16 => "memory",
            _ => "unknown",
        };
        add("media type", media.into());
        add("acquired as", if self.flags & 2 == 0 { "logical volume" } else { "physical disk" }.into());
        if self.flags & 4 != 0 {
            add("write blocker", "FastBloc".into());
        }
        if self.flags & 8 != 0 {
            add("write blocker", "Tableau".into());
        }
        let compression = match self.compression {
            0 => "none",
            1 => "fast",
            2 => "best",
            _ => "unknown",
        };
        add("compression", compression.into());
        if self.set.iter().any(|b| *b != 0) {
            add("set identifier", hex(&self.set));
        }
    }
}
