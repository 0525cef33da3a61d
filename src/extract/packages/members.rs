//! The members of an archive that is a package, or a part of one.
use super::LONGEST;
use crate::base::{Digest, Md5, Name, NodeId};
use crate::fs::{FileSystem, NodeKind, Stat, Stream};
use crate::image::Source;
use crate::inventory::PackagedFile;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::sync::Arc;

/// More members than any package has.
const MOST: usize = 1_000_000;

pub(super) struct Member {
    /// From the root, with a leading slash.
    pub(super) path: Name,
    pub(super) node: NodeId,
    pub(super) stat: Stat,
}

pub(super) struct Members {
    fs: Arc<dyn FileSystem>,
    /// In the order of the archive; folders are left out.
    pub(super) all: Vec<Member>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) sha256: Digest,
    pub(super) md5: Md5,
}

impl Members {
    pub(super) fn new(fs: Arc<dyn FileSystem>) -> Result<Self, String> {
        let mut all = Vec::new();
        let mut folders = vec![(Vec::new(), fs.root())];
        while let Some((folder, node)) = folders.pop() {
            let mut inside = Vec::new();
            fs.read_dir(node, &mut |entry| inside.push(entry)).map_err(|e| e.to_string())?;
            for entry in inside {
                let path = [folder.as_slice(), b"/", entry.name.bytes()].concat();
                let stat = fs.stat(entry.node).map_err(|e| e.to_string())?;
                if stat.flags.contains(&"name-leads-up") {
                    return Err(format!("its member {} leads out of its folder", Name::new(&path)));
                }
                if stat.kind == NodeKind::Directory {
                    folders.push((path, entry.node));
                } else if all.len() < MOST {
                    all.push(Member { path: Name::new(&path), node: entry.node, stat });
                } else {
                    return Err(format!("more than {MOST} members"));
                }
            }
        }
        all.sort_by(|a, b| (a.node.number, &a.path).cmp(&(b.node.number, &b.path)));
        Ok(Self { fs, all })
    }
    /// A file at the archive's top.
    pub(super) fn find(&self, name: &str) -> Option<&Member> {
        self.all.iter().find(|m| m.path.bytes().strip_prefix(b"/") == Some(name.as_bytes()))
    }
    pub(super) fn open(&self, member: &Member) -> Result<Source, String> {
        self.fs.open(member.node, Stream::Data).map_err(|e| format!("{}: {e}", member.path))
    }
    /// A member as text.
    pub(super) fn text(&self, member: &Member) -> Result<String, String> {
        Ok(String::from_utf8_lossy(&self.bytes(member)?).into_owned())
    }
    /// A member as it stands.
    pub(super) fn bytes(&self, member: &Member) -> Result<Vec<u8>, String> {
        let source = self.open(member)?;
        let len = source.len();
        if len > LONGEST {
            return Err(format!("{}: {len} bytes are too long", member.path));
        }
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        let n = source.read_at(0, &mut bytes).map_err(|e| format!("{}: {e}", member.path))?;
        if n != bytes.len() {
            return Err(format!("{}: cut short", member.path));
        }
        Ok(bytes)
    }
    /// Files and symlinks as rows of a package, with the sums of their contents.
    pub(super) fn files(&self) -> Result<Vec<(PackagedFile, Option<Sums>)>, String> {
        let mut known: HashMap<u64, Sums> = HashMap::new();
        let mut files = Vec::new();
        for member in &self.all {
            let Stat { kind, mode, uid, gid, .. } = member.stat;
            let mut file = PackagedFile {
                path: member.path.clone(),
                mode: u16::try_from(mode & 0o7777).ok(),
                uid: Some(uid),
                gid: Some(gid),
                ..PackagedFile::default()
            };
            let mut sums = None;
            match kind {
                NodeKind::File => {
                    let found = match known.get(&member.node.number) {
                        Some(found) => *found,
                        None => self.sums(member)?,
                    };
                    known.insert(member.node.number, found);
                    file.kind = "file".into();
                    file.sha256 = Some(found.sha256);
                    sums = Some(found);
                }
                NodeKind::Symlink => {
                    let target = self.fs.read_link(member.node).map_err(|e| format!("{}: {e}", member.path))?;
                    file.kind = "symlink".into();
                    file.target = Some(Name::new(&target));
                    file.mode = None;
                }
                // Device nodes and pipes are not vouched for.
                _ => continue,
            }
            files.push((file, sums));
        }
        Ok(files)
    }
    fn sums(&self, member: &Member) -> Result<Sums, String> {
        let source = self.open(member)?;
        let (mut sha256, mut md5) = (Sha256::new(), md5::Md5::new());
        let mut buffer = vec![0; 1 << 20];
        let mut at = 0_u64;
        loop {
            let n = source.read_at(at, &mut buffer).map_err(|e| format!("{}: {e}", member.path))?;
            let part = buffer.get(..n).unwrap_or_default();
            if part.is_empty() {
                break;
            }
            sha256.update(part);
            md5.update(part);
            at = at.saturating_add(n as u64);
        }
        if at != member.stat.len {
            return Err(format!("{}: {at} bytes where its header says {}", member.path, member.stat.len));
        }
        Ok(Sums { sha256: Digest(sha256.finalize().into()), md5: Md5(md5.finalize().into()) })
    }
}
