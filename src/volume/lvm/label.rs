//! The label in one of the first four sectors, and the metadata areas that it names.
use super::super::Member;
use super::BY;
use super::group::Group;
use crate::base::{Budget, Run};
use crate::image::{Source, read_exact};

const SECTOR: u64 = 512;
/// CRC-32 as lvm2 starts it, without the final inversion.
const CRC_START: u32 = 0xf597_a6cf;
const AREA_MAGIC: &[u8] = b" LVM2 x[5A%r0N*>";
/// Metadata areas a label may name; lvm2 makes two at most.
const MAX_AREAS: usize = 16;
/// Longest metadata text that is read. A group of thousands of volumes has some megabytes.
const MAX_TEXT: u64 = 64 << 20;
/// Metadata of this flag is out of use.
const IGNORED: u32 = 1;

pub(super) fn crc(bytes: &[u8]) -> u32 {
    let mut hash = crc32fast::Hasher::new_with_initial(!CRC_START);
    hash.update(bytes);
    !hash.finalize()
}

/// A physical volume's label.
pub(super) struct Label {
    pub uuid: String,
    areas: Vec<Run>,
}

fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    super::super::signs::le32(bytes, at)
}
fn le64(bytes: &[u8], at: usize) -> Option<u64> {
    super::super::signs::le64(bytes, at)
}

impl Label {
    /// The first label whose checksum holds.
    pub(super) fn find(source: &Source) -> Option<Self> {
        (0..4_u64).find_map(|sector| {
            let at = sector.checked_mul(SECTOR)?;
            let bytes = read_exact(&**source, at, 512).ok().flatten()?;
            if bytes.get(..8)? != b"LABELONE" || bytes.get(24..32)? != b"LVM2 001" || le64(&bytes, 8)? != sector {
                return None;
            }
            (le32(&bytes, 16)? == crc(bytes.get(20..)?)).then(|| Self::parse(&bytes))?
        })
    }
    fn parse(label: &[u8]) -> Option<Self> {
        let header = label.get(usize::try_from(le32(label, 20)?).ok()?..)?;
        let uuid = dashed(header.get(..32)?);
        let mut at = 40_usize;
        let mut list = || {
            let mut runs = Vec::new();
            while runs.len() < MAX_AREAS {
                let run = Run::new(le64(header, at)?, le64(header, at.checked_add(8)?)?);
                at = at.checked_add(16)?;
                if run.offset == 0 {
                    break;
                }
                runs.push(run);
            }
            Some(runs)
        };
        list()?;
        Some(Self { uuid, areas: list()? })
    }

    /// The volume groups that the metadata areas describe: at most one each.
    pub(super) fn groups(&self, member: &Member, budget: &mut Budget) -> Vec<Group> {
        let mut groups = Vec::new();
        for area in &self.areas {
            let say = |what: String| member.gaps.add_at(BY, "volume_offset", area.offset, what, area.len);
            match text(&member.source, *area, budget) {
                Ok(Some(text)) => match Group::parse(&text) {
                    Ok(group) => groups.push(group),
                    Err(what) => say(format!("metadata not understood: {what}")),
                },
                Ok(None) => {}
                Err(what) => say(what),
            }
        }
        groups
    }
}

/// The current text of a metadata area; `None` where the area is not in use.
fn text(source: &Source, area: Run, budget: &mut Budget) -> Result<Option<Vec<u8>>, String> {
    let read = |offset: u64, len: usize| match read_exact(&**source, offset, len) {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err("metadata area lies beyond the end of the volume".to_owned()),
        Err(e) => Err(format!("metadata area: {e}")),
    };
    let header = read(area.offset, 512)?;
    if header.get(4..20) != Some(AREA_MAGIC) {
        return Err("no metadata area where the label says".to_owned());
    }
    if le32(&header, 0) != header.get(4..).map(crc) {
        return Err("checksum of the metadata area's header differs".to_owned());
    }
    let field = |at: usize| le64(&header, at).unwrap_or(0);
    let (offset, len, sum) = (field(40), field(48), le32(&header, 56).unwrap_or(0));
    let size = field(32);
    if offset == 0 || len == 0 || le32(&header, 60).unwrap_or(0) & IGNORED != 0 {
        return Ok(None);
    }
    if len > MAX_TEXT || len >= size || offset >= size || offset < SECTOR {
        return Err(format!("metadata of {len} bytes at {offset} does not fit its area of {size} bytes"));
    }
    budget.take(len).map_err(|e| e.0.to_owned())?;
    // The text goes round: what does not fit before the end of the area follows its header.
    let first = len.min(size.saturating_sub(offset));
    let mut text = read(area.offset.saturating_add(offset), usize::try_from(first).unwrap_or(0))?;
    let rest = usize::try_from(len.saturating_sub(first)).unwrap_or(0);
    if rest > 0 {
        text.extend(read(area.offset.saturating_add(SECTOR), rest)?);
    }
    if crc(&text) != sum {
        return Err("checksum of the metadata differs; it was not used".to_owned());
    }
    Ok(Some(text))
}

/// An id of 32 characters as LVM writes it.
fn dashed(id: &[u8]) -> String {
    let text = String::from_utf8_lossy(id).into_owned();
    if text.len() != 32 {
        return text;
    }
    let mut parts = Vec::new();
    let mut at = 0_usize;
    for len in [6_usize, 4, 4, 4, 4, 4, 6] {
        let end = at.saturating_add(len);
        parts.push(text.get(at..end).unwrap_or_default());
        at = end;
    }
    parts.join("-")
}
