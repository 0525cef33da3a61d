//! The metadata of a VHDX: sizes, identifiers, and where the parent lies.
use crate::base::{Name, Wanted};
use crate::image::fields::{Fields, guid, utf16};
use crate::image::parent::Below;
use crate::image::{OpenError, Opening, ReadAt, read_exact};

const MAX_ITEMS: u16 = 2047;
/// Longest item that is read; the parent locator is the only long one.
const MAX_ITEM: u32 = 1 << 20;
/// Largest disk that the format allows.
const MAX_DISK: u64 = 64 << 40;

const FILE_PARAMETERS: &str = "caa16737-fa36-4d43-b3b6-33f0aa44e76b";
const DISK_SIZE: &str = "2fa54224-cd1b-4876-b211-5dbed83bf4b8";
const DISK_ID: &str = "beca12ab-b2e6-4523-93ef-c309e000c746";
const SECTOR: &str = "8141bf1d-a96f-4709-ba47-f233a8faab5f";
/// The detail that tells of the last change to the disk's contents.
pub(super) const DATA_WRITE: &str = "data write identifier";
const PARENT: &str = "a8d35f2d-b30b-454d-abf7-d3d84834ab0c";

pub(super) struct Metadata {
    pub block: u64,
    /// Bytes of the disk.
    pub len: u64,
    pub sector: u64,
    pub has_parent: bool,
    is_fixed: bool,
    id: String,
    /// Keys and values of the locator, in its own order.
    locator: Vec<(String, String)>,
}

impl Metadata {
    pub(super) fn read(file: &dyn ReadAt, region: (u64, u64)) -> Result<Self, OpenError> {
        let corrupt = |what: &str| OpenError::Corrupt { at: region.0, what: what.into() };
        let table =
            read_exact(file, region.0, 1 << 16)?.ok_or_else(|| corrupt("the metadata lie beyond the file's end"))?;
        if !table.starts_with(b"metadata") {
            return Err(corrupt("no metadata begin here"));
        }
        let table = Fields(table);
        let count = table.le16(10).unwrap_or(0).min(MAX_ITEMS);
        let item = |id: &str| {
            let entries = (0..usize::from(count)).map(|n| n.saturating_mul(32).saturating_add(32));
            let mut fitting = entries.filter(|at| guid(table.bytes(*at, 16)) == id);
            let at = fitting.next()?;
            let offset = u64::from(table.le32(at.saturating_add(16))?);
            let len = table.le32(at.saturating_add(20))?.min(MAX_ITEM);
            read_exact(file, region.0.checked_add(offset)?, len as usize).ok()?.map(Fields)
        };
        let number = |id, what: &str| item(id).ok_or_else(|| corrupt(&format!("they lack the {what}")));
        let parameters = number(FILE_PARAMETERS, "size of a block")?;
        let (block, flags) = (parameters.le32(0).map(u64::from), parameters.le32(4).unwrap_or(0));
        let block = block.filter(|b| b.is_power_of_two() && (1 << 20..=256 << 20).contains(b));
        let len = number(DISK_SIZE, "size of the disk")?.le64(0).filter(|l| *l <= MAX_DISK);
        let sector = number(SECTOR, "size of a sector")?.le32(0).map(u64::from).filter(|s| matches!(s, 512 | 4096));
        let (Some(block), Some(len), Some(sector)) = (block, len, sector) else {
            return Err(corrupt("sizes of block, disk or sector that the format does not allow"));
        };
        let id = item(DISK_ID).map(|i| guid(i.bytes(0, 16))).unwrap_or_default();
        let locator = item(PARENT).map(|l| locator(&l)).unwrap_or_default();
        Ok(Self { block, len, sector, has_parent: flags & 2 != 0, is_fixed: flags & 1 != 0, id, locator })
    }

    pub(super) fn tell(&self, to: &mut Vec<(String, String)>) {
        let kind = match (self.has_parent, self.is_fixed) {
            (true, _) => "differencing",
            (false, true) => "fixed",
            (false, false) => "dynamic",
        };
        to.push(("kind".into(), kind.into()));
        to.push(("identifier".into(), self.id.clone()));
    }

    /// The parent, by the paths of the locator; the relative one first, as Hyper-V does.
    pub(super) fn parent(&self, opening: &Opening<'_>, to: &mut Vec<(String, String)>) -> Below {
        if !self.has_parent {
            return Below::Nothing;
        }
        let keys = ["relative_path", "volume_path", "absolute_win32_path"];
        let values = keys.iter().flat_map(|k| self.locator.iter().filter(move |(key, _)| key == k));
        let names: Vec<&String> = values.map(|(_, value)| value).filter(|v| !v.is_empty()).collect();
        to.extend(names.first().map(|n| ("parent".to_owned(), Name::new(n.as_bytes()).display())));
        let wanted: Vec<Wanted> = names.into_iter().map(|n| Wanted::Named(n.clone().into_bytes())).collect();
        // In braces, as registries write it.
        let linkage = self.locator.iter().find(|(key, _)| key == "parent_linkage");
        let linkage = linkage.map(|(_, id)| id.trim_matches(['{', '}'].as_slice()).to_owned());
        Below::known(opening, &wanted, false, linkage.as_deref().map(|id| (DATA_WRITE, id)))
    }
}

/// Pairs of text, each found by offset and length.
fn locator(item: &Fields) -> Vec<(String, String)> {
    let count = item.le16(18).unwrap_or(0).min(64);
    let pair = |n: usize| {
        let at = n.saturating_mul(12).saturating_add(20);
        let text = |offset: usize, len: usize| {
            let (offset, len) = (item.le32(at.checked_add(offset)?)?, item.le16(at.checked_add(len)?)?);
            Some(utf16(item.bytes(usize::try_from(offset).ok()?, usize::from(len)), false))
        };
        Some((text(0, 8)?, text(4, 10)?))
    };
    (0..usize::from(count)).filter_map(pair).collect()
}
