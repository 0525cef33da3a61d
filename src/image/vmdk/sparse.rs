//! A sparse extent of a VMDK: grains that are found through two levels of tables, compressed or not.
use super::{BY, head};
use crate::base::Run;
use crate::image::cache::Cache;
use crate::image::decoded::{Blocks, Decoded};
use crate::image::fields::Fields;
use crate::image::inflate::zlib;
use crate::image::{Extent, OpenError, Opening, Source, read_exact};
use std::sync::Arc;

const COMPRESSED: u32 = 1 << 16;
const ZEROED: u32 = 1 << 2;
const REDUNDANT: u32 = 1 << 1;
/// The directory stands behind everything else; a copy of the header at the end says where.
const AT_END: u64 = u64::MAX;
/// Largest grain and longest directory that are believed.
const MAX_GRAIN: u64 = 16 << 20;
const MAX_DIRECTORY: u64 = 16 << 20;
/// Entries of a table in the older form.
const COWD_ENTRIES: u64 = 4096;
/// Bytes of tables that are kept.
const KEPT: u64 = 16 << 20;

pub(super) struct Sparse {
    /// Bytes of the extent.
    pub len: u64,
    tables: Arc<Tables>,
    /// Grains that are compressed, at the places of the extent they stand for.
    packed: Option<Source>,
    /// Byte and length of the descriptor in the file.
    descriptor: Option<(u64, u64)>,
    is_unclean: bool,
}

struct Tables {
    file: Source,
    /// Sector of each table.
    directory: Vec<u32>,
    /// The copies of the tables, where there are any.
    spare: Vec<u32>,
    entries: u64,
    /// Bytes of a grain.
    grain: u64,
    has_zeroed: bool,
    len: u64,
    kept: Cache<Vec<u32>>,
}

/// What an entry says of a grain.
enum Grain {
    At(u64),
    Zero,
    Below,
}

impl Sparse {
    pub(super) fn open(file: &Source) -> Result<Self, OpenError> {
        let cut = || OpenError::Corrupt { at: 0, what: "the header is cut".into() };
        let first = head(file, 0)?.ok_or_else(cut)?;
        if first.le64(0) == Some(super::SESPARSE) {
            return Err(OpenError::Unsupported("seSparse extent of ESX".into()));
        }
        if first.0.starts_with(b"COWD") {
            return Self::cowd(file, &first).ok_or_else(cut)?;
        }
        if !first.0.starts_with(b"KDMV") {
            return Err(OpenError::Corrupt { at: 0, what: "no sparse extent begins here".into() });
        }
        let is_late = first.le64(56) == Some(AT_END);
        let (field, at) = if is_late {
            let at = file.len().saturating_sub(1024);
            (head(file, at)?.filter(|f| f.0.starts_with(b"KDMV")), at)
        } else {
            (Some(first), 0)
        };
        let Some(field) = field else {
            return Err(OpenError::Corrupt { at, what: "the footer with the grain directory is missing".into() });
        };
        Self::kdmv(file, &field, at).ok_or_else(cut)?
    }

    /// The header of hosted products and streams; `None` where it is cut.
    fn kdmv(file: &Source, field: &Fields, at: u64) -> Option<Result<Self, OpenError>> {
        let flags = field.le32(8)?;
        let (len, grain) = (field.le64(12)?.checked_mul(512), field.le64(20)?.checked_mul(512));
        let (spare, main) = (field.le64(48)?, field.le64(56)?);
        let compression = field.le16(77)?;
        if flags & COMPRESSED != 0 && compression != 1 {
            return Some(Err(OpenError::Unsupported(format!("compression of kind {compression}"))));
        }
        let parsed = Shape {
            len: len?,
            grain: grain?,
            entries: u64::from(field.le32(44)?),
            main,
            spare: (flags & REDUNDANT != 0).then_some(spare),
            has_zeroed: flags & ZEROED != 0,
            at,
        };
        let (from, count) = (field.le64(28)?.saturating_mul(512), field.le64(36)?.saturating_mul(512));
        let descriptor = (from > 0 && count > 0).then_some((from, count));
        Some(parsed.open(file, flags & COMPRESSED != 0).map(|s| Self {
            descriptor,
            is_unclean: field.0.get(72) == Some(&1),
            ..s
        }))
    }

    /// The header of ESX Server's copy-on-write disks.
    fn cowd(file: &Source, field: &Fields) -> Option<Result<Self, OpenError>> {
        let shape = Shape {
            len: u64::from(field.le32(12)?).saturating_mul(512),
            grain: u64::from(field.le32(16)?).saturating_mul(512),
            entries: COWD_ENTRIES,
            main: u64::from(field.le32(20)?),
            spare: None,
            has_zeroed: false,
            at: 0,
        };
        Some(shape.open(file, false))
    }

    /// The descriptor that stands in the file itself.
    pub(super) fn descriptor(&self, file: &Source) -> Result<Option<Vec<u8>>, OpenError> {
        let Some((at, len)) = self.descriptor else { return Ok(None) };
        let len = len.min(super::MAX_TEXT).min(file.len().saturating_sub(at));
        let text = read_exact(&**file, at, usize::try_from(len).unwrap_or(0))?;
        Ok(text.filter(|t| t.iter().any(|b| !matches!(b, 0 | b'\n'))))
    }

    /// Tells what is odd about it.
    pub(super) fn note(&self, opening: &Opening<'_>) {
        if self.is_unclean {
            opening.gaps.add(BY, "the extent was in use when it was copied; what was not written yet is missing", 0);
        }
    }

    /// Where the bytes from `offset` of the extent on lie, and how many; `None`: in the parent, if there is one.
    pub(super) fn at(&self, offset: u64) -> Result<(Option<Extent>, u64), String> {
        let tables = &self.tables;
        let inside = offset.rem_euclid(tables.grain);
        let len = tables.grain.saturating_sub(inside);
        Ok(match tables.grain(offset.div_euclid(tables.grain))? {
            Grain::Below => (None, len),
            Grain::Zero => (Some(Extent::Hole { len }), len),
            Grain::At(at) => {
                let (source, offset) = match &self.packed {
                    Some(packed) => (packed.clone(), offset),
                    None => (tables.file.clone(), at.saturating_add(inside)),
                };
                (Some(Extent::Stored { source, offset, len }), len)
            }
        })
    }
}

/// What both forms of the header say.
struct Shape {
    len: u64,
    grain: u64,
    entries: u64,
    /// Sectors of the directory and of its copy.
    main: u64,
    spare: Option<u64>,
    has_zeroed: bool,
    /// Byte of the header.
    at: u64,
}

impl Shape {
    fn open(self, file: &Source, is_compressed: bool) -> Result<Sparse, OpenError> {
        let corrupt = |what: String| OpenError::Corrupt { at: self.at, what };
        if !self.grain.is_power_of_two() || !(512..=MAX_GRAIN).contains(&self.grain) || self.entries == 0 {
            return Err(corrupt(format!("grains of {} bytes, {} of them in a table", self.grain, self.entries)));
        }
        let count = self.len.div_ceil(self.grain).div_ceil(self.entries);
        if count > MAX_DIRECTORY.div_euclid(4) || self.entries > 1 << 20 {
            return Err(OpenError::Unsupported(format!("an extent of {} bytes in grains of {}", self.len, self.grain)));
        }
        let read = |sector: u64| {
            let at = sector.saturating_mul(512);
            let len = usize::try_from(count.saturating_mul(4)).unwrap_or(usize::MAX);
            let bytes = read_exact(&**file, at, len).ok()??;
            Some(bytes.chunks_exact(4).filter_map(|c| c.try_into().ok().map(u32::from_le_bytes)).collect::<Vec<u32>>())
        };
        let (main, spare) = (read(self.main), self.spare.and_then(read));
        let Some(directory) = main.or_else(|| spare.clone()) else {
            let at = self.main.saturating_mul(512);
            return Err(OpenError::Corrupt { at, what: "the grain directory lies beyond the file's end".into() });
        };
        let tables = Arc::new(Tables {
            file: file.clone(),
            directory,
            spare: spare.unwrap_or_default(),
            entries: self.entries,
            grain: self.grain,
            has_zeroed: self.has_zeroed,
            len: self.len,
            kept: Cache::of_bytes(KEPT, self.entries.saturating_mul(4)),
        });
        let packed = is_compressed.then(|| Arc::new(Decoded::new(Packed(tables.clone()))) as Source);
        Ok(Sparse { len: self.len, tables, packed, descriptor: None, is_unclean: false })
    }
}

impl Tables {
    fn grain(&self, number: u64) -> Result<Grain, String> {
        let index = number.div_euclid(self.entries);
        let at = usize::try_from(index).map_err(|e| e.to_string())?;
        let main = self.directory.get(at).copied().unwrap_or(0);
        let spare = self.spare.get(at).copied().unwrap_or(0);
        if main == 0 && spare == 0 {
            return Ok(Grain::Below);
        }
        let table = self.kept.get(index, || {
            let read = |sector: u32| {
                let len = usize::try_from(self.entries.saturating_mul(4)).ok().filter(|_| sector > 0)?;
                let bytes = read_exact(&*self.file, u64::from(sector).saturating_mul(512), len).ok()??;
                Some(bytes.chunks_exact(4).filter_map(|c| c.try_into().ok().map(u32::from_le_bytes)).collect())
            };
            let lost = || format!("the grain table at sector {main} lies beyond the file's end");
            let (first, second): (Option<Vec<u32>>, Option<Vec<u32>>) = (read(main), read(spare));
            match (first, second) {
                (Some(first), Some(second)) => first.iter().zip(&second).map(|(a, b)| agreed(*a, *b)).collect(),
                (first, second) => first.or(second).ok_or_else(lost),
            }
        })?;
        let entry = usize::try_from(number.rem_euclid(self.entries)).ok().and_then(|n| table.get(n)).copied();
        Ok(match entry.ok_or("the grain table is cut")? {
            0 => Grain::Below,
            1 if self.has_zeroed => Grain::Zero,
            sector => Grain::At(u64::from(sector).saturating_mul(512)),
        })
    }
}

/// What both copies of a table say of a grain: an entry that one of them lacks was lost, or not yet written there.
fn agreed(one: u32, other: u32) -> Result<u32, String> {
    match (one, other) {
        (0, sector) | (sector, 0) => Ok(sector),
        (one, other) if one == other => Ok(one),
        (one, other) => Err(format!("the two copies of its grain table lead to sectors {one} and {other}")),
    }
}

struct Packed(Arc<Tables>);

impl Blocks for Packed {
    fn len(&self) -> u64 {
        self.0.len
    }
    fn size(&self) -> usize {
        usize::try_from(self.0.grain).unwrap_or(1)
    }
    fn decode(&self, number: u64, out: &mut [u8]) -> Result<(), String> {
        let Grain::At(at) = self.0.grain(number)? else { return Err("it is not compressed".into()) };
        let place = |e: String| format!("grain {number} at byte {at}: {e}");
        // The sector it stands for, the length, then the stream.
        let head = read_exact(&*self.0.file, at, 12).map_err(|e| e.to_string())?;
        let head = Fields(head.ok_or_else(|| place("it lies beyond the file's end".into()))?);
        let (Some(sector), Some(len)) = (head.le64(0), head.le32(8).map(u64::from)) else {
            return Err(place("its marker is cut".into()));
        };
        if sector != number.saturating_mul(self.0.grain.div_euclid(512)) {
            return Err(place(format!("its marker says that it stands for sector {sector}")));
        }
        // What cannot be compressed grows by little.
        let limit = self.0.grain.saturating_mul(2).saturating_add(4096);
        let stored = read_exact(&*self.0.file, at.saturating_add(12), usize::try_from(len.min(limit)).unwrap_or(0));
        let stored = stored.map_err(|e| e.to_string())?.ok_or_else(|| place("the file ends within it".into()))?;
        let whole = self.size();
        let mut full = Vec::new();
        let target = if out.len() == whole {
            &mut *out
        } else {
            full.resize(whole, 0);
            full.as_mut_slice()
        };
        let n = zlib(&stored, target).map_err(place)?;
        let len = out.len();
        if n < len {
            return Err(place(format!("it decodes to {n} bytes only")));
        }
        if !full.is_empty() {
            out.copy_from_slice(full.get(..len).unwrap_or_default());
        }
        Ok(())
    }
    fn input(&self, number: u64) -> Option<(u32, u64)> {
        let Ok(Grain::At(at)) = self.0.grain(number) else { return None };
        self.0.file.locate(Run::new(at, 512)).first().map(|p| (p.image, p.offset))
    }
}
