//! Cells and evidence in the outside form: what the report JSON and the case share.
//!
//! File systems and images are named by their ids there, by their index here; [`Ids`] leads from one
//! to the other. Key order is fixed: same value, same bytes.
use super::{Scene, portable_text};
use crate::base::{Digest, Evidence, FsId, ImageRun, Name, NodeId, PieceKind, Run};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use std::collections::HashMap;

/// Ids by index, and back.
#[derive(Clone, Debug, Default)]
pub struct Ids {
    pub images: Vec<String>,
    pub filesystems: Vec<String>,
    pub systems: Vec<String>,
    by_id: HashMap<String, u32>,
}
impl Ids {
    pub fn of(scene: &Scene) -> Self {
        let images: Vec<String> = scene.images.iter().map(|i| i.id.clone()).collect();
        let filesystems: Vec<String> = scene.filesystems.iter().map(|f| f.id.clone()).collect();
        let systems: Vec<String> = scene.systems.iter().map(|s| s.id.clone()).collect();
        let mut by_id = HashMap::new();
        for list in [&images, &filesystems, &systems] {
            for (index, id) in list.iter().enumerate() {
                by_id.insert(id.clone(), u32::try_from(index).unwrap_or(u32::MAX));
            }
        }
        Self { images, filesystems, systems, by_id }
    }
    pub fn image(&self, index: u32) -> &str {
        self.images.get(index as usize).map_or("", String::as_str)
    }
    pub fn filesystem(&self, id: FsId) -> &str {
        self.filesystems.get(id.0 as usize).map_or("", String::as_str)
    }
    pub fn system(&self, index: Option<u32>) -> Option<&str> {
        self.systems.get(index? as usize).map(String::as_str)
    }
    /// The index behind an id of any kind.
    pub fn index(&self, id: &str) -> Option<u32> {
        self.by_id.get(id).copied()
    }
}

/// Evidence as it stands in reports.
pub struct PortableEvidence<'a> {
    pub evidence: &'a Evidence,
    pub ids: &'a Ids,
}
impl PortableEvidence<'_> {
    /// As JSON text.
    pub fn text(&self) -> String {
        let mut out = Vec::new();
        portable_text::evidence(&mut out, self.evidence, self.ids);
        // Made of texts and ASCII only.
        String::from_utf8(out).unwrap_or_default()
    }
}
impl Serialize for PortableEvidence<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.text()).map_err(serde::ser::Error::custom)?.serialize(s)
    }
}

/// A name as `key`, and as `key_bytes` (base64) where text cannot carry it.
pub fn name<M: SerializeMap>(map: &mut M, key: &'static str, name: &Name) -> Result<(), M::Error> {
    if let Some(text) = name.plain() {
        map.serialize_entry(key, text)
    } else {
        map.serialize_entry(key, &name.display())?;
        map.serialize_entry(&format!("{key}_bytes"), &STANDARD.encode(name.bytes()))
    }
}

#[derive(Deserialize)]
struct Stored {
    filesystem: String,
    path: String,
    path_bytes: Option<String>,
    inode: u64,
    #[serde(default)]
    generation: u64,
    deleted: bool,
    sha256: Option<String>,
    file_offset: Option<u64>,
    length: Option<u64>,
    image_runs: Vec<StoredRun>,
    line: Option<u32>,
    key: Option<String>,
    excerpt: Option<String>,
}
#[derive(Deserialize)]
struct StoredRun {
    /// With its offset; nothing of what no image holds.
    image: Option<String>,
    file_offset: u64,
    offset: Option<u64>,
    length: u64,
    kind: PieceKind,
}

/// Reads what [`PortableEvidence`] wrote; an error says what does not fit.
pub fn parse_evidence(json: &str, ids: &Ids) -> Result<Evidence, String> {
    let stored: Stored = serde_json::from_str(json).map_err(|e| e.to_string())?;
    let index = |id: &str| {
        if id.is_empty() {
            Ok(u32::MAX)
        } else {
            ids.index(id).ok_or_else(|| format!("nothing in the case has the id {id}"))
        }
    };
    let path = match stored.path_bytes {
        Some(bytes) => Name::from(STANDARD.decode(bytes).map_err(|e| e.to_string())?),
        None => Name::from(stored.path),
    };
    let mut image_runs = Vec::with_capacity(stored.image_runs.len());
    for run in stored.image_runs {
        let image = run.image.as_deref().map_or(Ok(0), index)?;
        image_runs.push(ImageRun {
            image,
            file_offset: run.file_offset,
            offset: run.offset.unwrap_or(0),
            len: run.length,
            kind: run.kind,
        });
    }
    let sha256 = stored.sha256.map(|hex| Digest::parse(&hex).ok_or("sha256 is no SHA-256")).transpose()?;
    Ok(Evidence {
        filesystem: FsId(index(&stored.filesystem)?),
        path,
        node: NodeId { number: stored.inode, generation: stored.generation },
        deleted: stored.deleted,
        sha256,
        range: stored.file_offset.zip(stored.length).map(|(o, l)| Run::new(o, l)),
        image_runs,
        line: stored.line,
        key: stored.key,
        excerpt: stored.excerpt,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::inventory::{FilesystemInfo, ImageInfo};

    #[test]
    fn evidence_round_trips() {
        let scene = Scene {
            images: vec![ImageInfo { id: "img-1".into(), ..ImageInfo::default() }],
            filesystems: vec![FilesystemInfo { id: "fs-1".into(), ..FilesystemInfo::default() }],
            ..Scene::default()
        };
        let ids = Ids::of(&scene);
        let evidence = Evidence {
            path: Name::new(b"/etc/\xb0\xb6"),
            sha256: Digest::parse(&"ab".repeat(32)),
            range: Some(Run::new(3, 4)),
            image_runs: vec![ImageRun { image: 0, file_offset: 3, offset: 4099, len: 4, kind: PieceKind::Stored }],
            line: Some(2),
            excerpt: Some("x\"y".into()),
            ..Evidence::default()
        };
        let json = serde_json::to_string(&PortableEvidence { evidence: &evidence, ids: &ids }).unwrap();
        assert!(json.contains(r#""path":"/etc/\\xb0\\xb6","path_bytes":"L2V0Yy+wtg==""#), "{json}");
        assert_eq!(parse_evidence(&json, &ids).unwrap(), evidence);
        assert!(parse_evidence(&json.replace("fs-1", "fs-9"), &ids).is_err());
    }
}
