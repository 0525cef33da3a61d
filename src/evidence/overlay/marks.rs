//! What the folders and files of a layer say about the layers below: overlayfs as Linux 6.x reads it
//! (`Documentation/filesystems/overlayfs.rst`), its first form before Linux 3.18, and aufs(5).
use crate::base::Name;
use crate::evidence::tree::Entry;
use crate::evidence::view::Folder;
use crate::fs::{NodeKind, Stat};
use std::sync::Arc;

/// Which marks count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// `user.overlay.` instead of `trusted.overlay.`: the mount option `userxattr`.
    pub user: bool,
    /// Whiteouts of overlayfs before Linux 3.18: links to `(overlay-whiteout)`.
    pub early: bool,
    /// Whiteouts of aufs: files named `.wh.NAME`.
    pub aufs: bool,
}

/// Target of a whiteout link of early overlayfs.
const EARLY: &[u8] = b"(overlay-whiteout)";
/// What aufs puts before the name that is removed, and before names of its own.
const AUFS: &[u8] = b".wh.";
const AUFS_OPAQUE: &[u8] = b".wh..wh..opq";
/// Longest redirect: a path.
const MAX_REDIRECT: usize = 4096;

impl Marks {
    fn prefix(self) -> &'static [u8] {
        if self.user { b"user.overlay." } else { b"trusted.overlay." }
    }
    fn value<'a>(self, entry: &'a Entry, name: &[u8]) -> Option<&'a [u8]> {
        let stat = entry.stat.as_ref()?;
        let is = |n: &Name| n.bytes().strip_prefix(self.prefix()) == Some(name);
        stat.xattrs.iter().find(|(n, _)| is(n)).map(|(_, v)| v.as_slice())
    }
    /// Whether an entry says that its name is removed. `marked`: the layer has folders whose whiteouts are
    /// empty files with an attribute.
    pub(super) fn is_whiteout(self, entry: &Entry, of: &Folder, marked: bool) -> bool {
        match entry.kind() {
            NodeKind::CharDevice => entry.stat.as_ref().and_then(|s| s.device) == Some((0, 0)),
            NodeKind::File => marked && entry.is_empty() && self.value(entry, b"whiteout").is_some(),
            NodeKind::Symlink => {
                self.early
                    && entry.len() == EARLY.len() as u64
                    && of.view.link_target(entry).is_some_and(|t| t.bytes() == EARLY)
            }
            _ => false,
        }
    }
    /// Whether a folder shows nothing of the layers below.
    pub(super) fn is_opaque(self, folder: &Entry, of: &Folder) -> bool {
        let own = self.value(folder, b"opaque") == Some(b"y");
        own || (self.aufs && of.view.get(folder.path.join(AUFS_OPAQUE).bytes()).is_some())
    }
    /// Whether a folder's whiteouts are empty files with an attribute.
    pub(super) fn has_file_whiteouts(self, folder: &Entry) -> bool {
        folder.is_dir() && self.value(folder, b"opaque") == Some(b"x")
    }
    /// Whether a file holds attributes only, for a content in a layer below.
    pub(super) fn is_metacopy(self, entry: &Entry) -> bool {
        entry.is_file() && self.value(entry, b"metacopy").is_some()
    }
    /// Under which name or path the layers below have an entry; an error if what it says is none.
    pub(super) fn redirect(self, entry: &Entry) -> Result<Option<&[u8]>, &'static str> {
        let Some(value) = self.value(entry, b"redirect") else { return Ok(None) };
        let value = value.strip_suffix(b"\0").unwrap_or(value);
        let mut parts = value.split(|b| *b == b'/');
        let absolute = value.starts_with(b"/");
        if absolute {
            parts.next();
        }
        let whole = !value.is_empty() && value.len() <= MAX_REDIRECT && !value.contains(&0);
        let plain = parts.clone().all(|p| !p.is_empty() && p != b"." && p != b"..");
        let one = absolute || parts.count() == 1;
        if whole && plain && one { Ok(Some(value)) } else { Err("its redirect is no path") }
    }
    /// The whiteout of a name, in the manner of aufs.
    pub(super) fn whiteout_of(self, name: &[u8]) -> Option<Vec<u8>> {
        self.aufs.then(|| [AUFS, name].concat())
    }
    /// Whether a name is a mark and no file.
    pub(super) fn is_mark(self, name: &[u8]) -> bool {
        self.aufs && name.starts_with(AUFS)
    }
    /// The inode as the merged tree shows it: without the marks, escaped ones unwrapped, and with the flags
    /// that the upper layer keeps in an attribute.
    pub(super) fn shown(self, stat: &Arc<Stat>) -> Arc<Stat> {
        let prefix = self.prefix();
        if !stat.xattrs.iter().any(|(n, _)| n.bytes().starts_with(prefix)) {
            return stat.clone();
        }
        let mut shown = Stat::clone(stat);
        shown.xattrs = Vec::new();
        for (name, value) in &stat.xattrs {
            match name.bytes().strip_prefix(prefix) {
                None => shown.xattrs.push((name.clone(), value.clone())),
                Some(b"protattr") => {
                    for (letter, flag) in [(b'i', "immutable"), (b'a', "append")] {
                        if value.contains(&letter) && !shown.flags.contains(&flag) {
                            shown.flags.push(flag);
                        }
                    }
                }
                Some(own) => {
                    if let Some(escaped) = own.strip_prefix(b"overlay.") {
                        shown.xattrs.push((Name::from([prefix, escaped].concat()), value.clone()));
                    }
                }
            }
        }
        Arc::new(shown)
    }
}
