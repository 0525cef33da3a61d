//! A volume group, as its metadata describes it.
use super::text::{self, Section, Value};
use std::collections::BTreeMap;

/// Bytes of LVM's unit.
const SECTOR: u64 = 512;
/// Larger than any disk: keeps products of extents within 64 bits.
const MAX_BYTES: u64 = 1 << 60;

pub(super) struct Group {
    pub id: String,
    pub name: String,
    /// Counts the changes: of two copies the higher is newer.
    pub seqno: u64,
    /// Bytes.
    pub extent: u64,
    pub physical: Vec<PhysicalVolume>,
    pub logical: BTreeMap<String, LogicalVolume>,
}

pub(super) struct PhysicalVolume {
    /// `pv0`: how segments call it.
    pub name: String,
    pub uuid: String,
    /// The device it was last seen as.
    pub device: String,
    /// Byte of the first extent.
    pub start: u64,
    /// Extents.
    pub count: u64,
}

pub(super) struct LogicalVolume {
    pub uuid: String,
    pub visible: bool,
    /// In order; without holes or overlaps.
    pub segments: Vec<Segment>,
}
impl LogicalVolume {
    /// Bytes.
    pub(super) fn len(&self) -> u64 {
        self.segments.last().map_or(0, |s| s.start.saturating_add(s.len))
    }
}

/// Consecutive extents of a logical volume.
pub(super) struct Segment {
    /// Bytes of the logical volume.
    pub start: u64,
    pub len: u64,
    pub kind: String,
    fields: Section,
}

/// What a segment lies on.
pub(super) struct Area {
    /// A physical or a logical volume.
    pub name: String,
    /// First extent, of a physical volume; of a logical one always its first byte.
    pub extent: u64,
}

impl Segment {
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.fields.text(name)
    }
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.fields.number(name)
    }
    /// A count of sectors, in bytes.
    pub(super) fn bytes(&self, name: &str) -> Option<u64> {
        self.number(name)?.checked_mul(SECTOR).filter(|n| *n > 0 && *n < MAX_BYTES)
    }
    /// Pairs of name and extent: `stripes`, `mirrors`.
    pub(super) fn areas(&self, name: &str) -> Vec<Area> {
        let pair = |pair: &[Value]| match pair {
            [Value::Text(name), Value::Number(n)] => Some(Area { name: name.clone(), extent: u64::try_from(*n).ok()? }),
            _ => None,
        };
        self.fields.list(name).chunks(2).filter_map(pair).collect()
    }
    /// Every volume, physical or logical, that it lies on.
    pub(super) fn below(&self) -> Vec<&str> {
        let named = ["metadata", "pool", "thin_pool", "origin", "cache_pool", "external_origin"];
        let mut all: Vec<&str> = named.iter().filter_map(|field| self.text(field)).collect();
        for list in ["stripes", "mirrors", "raids"] {
            all.extend(self.names(list));
        }
        all
    }
    /// Names alone: `raids`.
    pub(super) fn names(&self, name: &str) -> Vec<&str> {
        let list = self.fields.list(name).iter();
        list.filter_map(|v| if let Value::Text(text) = v { Some(text.as_str()) } else { None }).collect()
    }
}

impl Group {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let all = text::parse(bytes)?;
        let group = all.sections().find(|(_, s)| s.text("id").is_some() && s.number("extent_size").is_some());
        let (name, group) = group.ok_or("it describes no volume group")?;
        let extent = group.number("extent_size").and_then(|n| n.checked_mul(SECTOR)).filter(|n| *n > 0);
        let extent = extent.filter(|n| *n < MAX_BYTES).ok_or("it states no size of extents")?;
        let physical = group.section("physical_volumes").into_iter().flat_map(Section::sections);
        let logical = group.section("logical_volumes").into_iter().flat_map(Section::sections);
        Ok(Self {
            id: group.text("id").unwrap_or_default().to_owned(),
            name: name.clone(),
            seqno: group.number("seqno").unwrap_or(0),
            extent,
            physical: physical.map(|(name, s)| physical_volume(name, s)).collect::<Result<_, _>>()?,
            logical: logical
                .map(|(name, s)| Ok((name.clone(), logical_volume(name, s, extent)?)))
                .collect::<Result<_, String>>()?,
        })
    }
}

fn physical_volume(name: &str, section: &Section) -> Result<PhysicalVolume, String> {
    let start = section.number("pe_start").and_then(|n| n.checked_mul(SECTOR)).filter(|n| *n < MAX_BYTES);
    Ok(PhysicalVolume {
        name: name.to_owned(),
        uuid: section.text("id").unwrap_or_default().to_owned(),
        device: section.text("device").unwrap_or_default().to_owned(),
        start: start.ok_or_else(|| format!("{name} states no start of its extents"))?,
        count: section.number("pe_count").unwrap_or(0),
    })
}

fn logical_volume(name: &str, section: &Section, extent: u64) -> Result<LogicalVolume, String> {
    let mut segments = Vec::new();
    for (_, fields) in section.sections().filter(|(name, _)| name.starts_with("segment")) {
        let bytes = |field: &str| fields.number(field)?.checked_mul(extent).filter(|n| *n < MAX_BYTES);
        let (Some(start), Some(len)) = (bytes("start_extent"), bytes("extent_count")) else {
            return Err(format!("a segment of {name} states no extents"));
        };
        let kind = fields.text("type").unwrap_or_default();
        // The kind may be followed by features after a `+`.
        let kind = kind.split('+').next().unwrap_or_default().to_owned();
        segments.push(Segment { start, len, kind, fields: fields.clone() });
    }
    segments.sort_by_key(|s| s.start);
    let mut at = 0;
    for segment in &segments {
        if segment.start != at || segment.len == 0 {
            return Err(format!("the segments of {name} do not follow each other at byte {at}"));
        }
        at = segment.start.saturating_add(segment.len);
    }
    let visible = section.list("status").contains(&Value::Text("VISIBLE".into()));
    Ok(LogicalVolume { uuid: section.text("id").unwrap_or_default().to_owned(), visible, segments })
}
