//! Extended attributes of a folder's files, as its parent process lists them: on the file's own descriptor, with
//! bounds on what one file and all together may have.
use crate::base::{Item, ItemKind, Name};
use rustix::fs::{fgetxattr, flistxattr};
use rustix::io::Errno;
use std::os::fd::AsFd;

/// The kernel gives no longer list of names, and no longer value.
const MAX_LIST: usize = 64 << 10;
/// Bytes of names and values of all files together.
const MAX_ALL: usize = 32 << 20;

/// What is left of the room for all attributes, and how many files had to go without.
pub(super) struct Room {
    left: usize,
    list: Vec<u8>,
    value: Vec<u8>,
    pub(super) without: u64,
}

impl Room {
    pub(super) fn new() -> Self {
        Self { left: MAX_ALL, list: vec![0; MAX_LIST], value: vec![0; MAX_LIST], without: 0 }
    }
    /// Enters the attributes of an opened file or folder; an error says what was not read of them.
    pub(super) fn take(&mut self, of: impl AsFd, item: &mut Item) -> Result<(), String> {
        let of = of.as_fd();
        let len = match flistxattr(of, self.list.as_mut_slice()) {
            Ok(len) => len,
            // A file system without them.
            Err(Errno::NOTSUP | Errno::NOSYS) => return Ok(()),
            Err(e) => return Err(format!("extended attributes not listed: {e}")),
        };
        let mut failed = None;
        let mut found = Vec::new();
        for name in self.list.get(..len).unwrap_or_default().split(|b| *b == 0).filter(|n| !n.is_empty()) {
            let value = match fgetxattr(of, name, self.value.as_mut_slice()) {
                Ok(len) => self.value.get(..len).unwrap_or_default(),
                // It went meanwhile.
                Err(Errno::NODATA) => continue,
                Err(e) => {
                    failed = Some(format!("extended attribute {} not read: {e}", Name::new(name)));
                    continue;
                }
            };
            let Some(left) = self.left.checked_sub(name.len().saturating_add(value.len()).saturating_add(16)) else {
                self.without = self.without.saturating_add(1);
                return Ok(());
            };
            self.left = left;
            found.push((Name::new(name), value.to_vec()));
        }
        found.sort();
        item.xattrs = found;
        failed.map_or(Ok(()), Err)
    }
}

/// Whether an entry of this kind is opened for its attributes; a folder is opened anyway.
pub(super) fn has(kind: ItemKind) -> bool {
    kind == ItemKind::File
}
