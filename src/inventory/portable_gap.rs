//! Gaps in the outside form: the place by ids, readable, with raw bytes where text cannot carry a path.
use super::portable::{Ids, name};
use crate::base::{FsId, Gap, Name, Place};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

/// A gap with the ids that its place is written with; volumes have ids of their own.
pub struct PortableGap<'a> {
    pub gap: &'a Gap,
    pub ids: &'a Ids,
    pub volumes: &'a [String],
}
impl Serialize for PortableGap<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(None)?;
        map.serialize_entry("where", &PlaceOf(self))?;
        map.serialize_entry("by", &self.gap.by)?;
        map.serialize_entry("what", &self.gap.what)?;
        map.serialize_entry("bytes", &self.gap.bytes)?;
        map.end()
    }
}

struct PlaceOf<'a>(&'a PortableGap<'a>);
impl Serialize for PlaceOf<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let PortableGap { gap, ids, volumes } = self.0;
        let at = &gap.at;
        let mut map = s.serialize_map(None)?;
        if let Some(image) = at.image {
            map.serialize_entry("image", ids.image(image))?;
        }
        if let Some(volume) = at.volume.and_then(|v| volumes.get(v as usize)) {
            map.serialize_entry("volume", volume)?;
        }
        if let Some(fs) = at.filesystem {
            map.serialize_entry("filesystem", ids.filesystem(fs))?;
        }
        if let Some(path) = &at.path {
            name(&mut map, "path", path)?;
        }
        if let Some(inode) = at.inode {
            map.serialize_entry("inode", &inode)?;
        }
        if let Some((space, offset)) = &at.offset {
            map.serialize_entry("space", space)?;
            map.serialize_entry("offset", offset)?;
        }
        map.end()
    }
}

#[derive(Deserialize)]
struct Stored {
    #[serde(rename = "where")]
    at: StoredPlace,
    by: String,
    what: String,
    bytes: u64,
}
#[derive(Deserialize)]
struct StoredPlace {
    image: Option<String>,
    volume: Option<String>,
    filesystem: Option<String>,
    path: Option<String>,
    path_bytes: Option<String>,
    inode: Option<u64>,
    space: Option<String>,
    offset: Option<u64>,
}

/// Reads what [`PortableGap`] wrote; an error says what does not fit.
pub fn parse_gap(json: &str, ids: &Ids, volumes: &[String]) -> Result<Gap, String> {
    let Stored { at, by, what, bytes } = serde_json::from_str(json).map_err(|e| e.to_string())?;
    let path = match at.path_bytes {
        Some(bytes) => Some(Name::from(STANDARD.decode(bytes).map_err(|e| e.to_string())?)),
        None => at.path.map(Name::from),
    };
    let volume = at.volume.and_then(|id| volumes.iter().position(|v| *v == id));
    let place = Place {
        image: at.image.and_then(|id| ids.index(&id)),
        volume: volume.and_then(|v| u32::try_from(v).ok()),
        filesystem: at.filesystem.and_then(|id| ids.index(&id)).map(FsId),
        path,
        inode: at.inode,
        offset: at.space.zip(at.offset),
    };
    Ok(Gap { at: place, by, what, bytes })
}
