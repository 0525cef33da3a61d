//! What a case is a case of: the evidence, the tool and the rules it was begun with. An examination goes on in
//! a case only where all of it is the same.
use super::data::SHOW_SECRETS;
use crate::base::MoreHashes;
use serde::{Deserialize, Serialize};

/// Written when a case is made, never changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub version: String,
    /// SHA-256 of the case's own layout: builds of one version may still differ in their tables.
    pub layout: String,
    pub rules_sha256: String,
    pub knowledge_sha256: String,
    /// Rows hold secrets as they are.
    pub show_secrets: bool,
    /// Segments of each image, in order.
    pub images: Vec<Vec<SegmentIdentity>>,
    /// Each key: the volume, and path, size and time of its file. Never anything made from its content.
    #[serde(default)]
    pub keys: Vec<String>,
    /// `PAGE+SPARE` of a NAND dump, as the examiner gave it; empty if not.
    #[serde(default)]
    pub nand: String,
}

/// One file of the evidence, as it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentIdentity {
    /// Whole path, readable.
    pub path: String,
    /// Bytes.
    pub len: u64,
    /// RFC 3339; empty for a device.
    pub modified: String,
    /// SHA-256 of its first and last bytes; empty where they cannot be read.
    pub ends: String,
}

/// What the examiner asked to be read. A later examination that asks for more goes on in the same case, but for
/// further hashes: what was read is not read again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    pub hash_images: bool,
    pub second_reader: bool,
    /// SHA-256 of what the intake said.
    pub intake: String,
    /// Hashes of all contents beside SHA-256: those that the case was begun with, so that all of its files have them.
    #[serde(default)]
    pub hashes: MoreHashes,
}

impl Identity {
    /// In what `now` differs, in words; empty if in nothing.
    pub fn differences(&self, now: &Self) -> Vec<String> {
        let mut all = Vec::new();
        if let Some(what) = evidence(&self.images, &now.images) {
            all.push(format!("evidence ({what})"));
        }
        if self.version != now.version {
            all.push(format!("tool version ({} then, {} now)", self.version, now.version));
        } else if self.layout != now.layout {
            all.push(format!("tool version (another build of {})", self.version));
        }
        for (name, then, now) in [
            ("rules", &self.rules_sha256, &now.rules_sha256),
            ("knowledge", &self.knowledge_sha256, &now.knowledge_sha256),
        ] {
            if then != now {
                all.push(format!("{name} (SHA-256 {}… then, {}… now)", short(then), short(now)));
            }
        }
        if self.nand != now.nand {
            let word = |given: &str| if given.is_empty() { "not given".to_owned() } else { given.to_owned() };
            all.push(format!("--nand ({} then, {} now)", word(&self.nand), word(&now.nand)));
        }
        if self.keys != now.keys {
            all.push("keys (--key)".to_owned());
        }
        if self.show_secrets != now.show_secrets {
            let word = |given| if given { "given" } else { "not given" };
            all.push(format!("{SHOW_SECRETS} ({} then, {} now)", word(self.show_secrets), word(now.show_secrets)));
        }
        all
    }
}

fn short(hex: &str) -> &str {
    hex.get(..12).unwrap_or(hex)
}

/// The first difference.
fn evidence(then: &[Vec<SegmentIdentity>], now: &[Vec<SegmentIdentity>]) -> Option<String> {
    if then.len() != now.len() {
        return Some(format!("{} images then, {} now", then.len(), now.len()));
    }
    for (then, now) in then.iter().zip(now) {
        for (a, b) in then.iter().zip(now) {
            let path = &b.path;
            if a.path != b.path {
                return Some(format!("{} then, {path} now", a.path));
            }
            if a.len != b.len {
                return Some(format!("{path}: {} bytes then, {} now", a.len, b.len));
            }
            if a.modified != b.modified {
                return Some(format!("{path}: modified {} then, {} now", a.modified, b.modified));
            }
            if a.ends != b.ends {
                return Some(format!("{path}: its first or last bytes differ"));
            }
        }
        if then.len() != now.len() {
            let path = now.first().map_or("", |s| s.path.as_str());
            return Some(format!("{path}: {} segments then, {} now", then.len(), now.len()));
        }
    }
    None
}

impl Asked {
    /// Both together: what was asked once stays asked.
    #[must_use]
    pub fn with(&self, more: &Self) -> Self {
        Self {
            hash_images: self.hash_images || more.hash_images,
            second_reader: self.second_reader || more.second_reader,
            intake: more.intake.clone(),
            hashes: self.hashes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(segments: &[(&str, u64)]) -> Identity {
        let segment =
            |(path, len): &(&str, u64)| SegmentIdentity { path: (*path).into(), len: *len, ..Default::default() };
        let images = vec![segments.iter().map(segment).collect()];
        Identity { version: "1".into(), images, ..Identity::default() }
    }

    #[test]
    fn each_difference_is_named() {
        let case = of(&[("/a.001", 5), ("/a.002", 5)]);
        assert!(case.differences(&case.clone()).is_empty());
        let words = |now: &Identity| case.differences(now).join(", ");
        assert!(words(&of(&[("/a.001", 5), ("/a.002", 6)])).contains("evidence (/a.002: 5 bytes then, 6 now)"));
        assert!(words(&of(&[("/a.001", 5)])).contains("2 segments then, 1 now"));
        assert!(words(&of(&[("/b.001", 5), ("/a.002", 5)])).contains("/a.001 then, /b.001 now"));
        let all = Identity { version: "2".into(), rules_sha256: "ab".into(), images: Vec::new(), ..case.clone() };
        let words = words(&all);
        assert!(words.contains("evidence (1 images then, 0 now), tool version (1 then, 2 now), rules"), "{words}");
    }
}
