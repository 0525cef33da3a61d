//! Whether the evidence is still what it was when it was opened: size, times, and what lies at its path.
//!
//! The time of the last change of status is the kernel's own and cannot be set back, so a write shows even where its
//! writer restored the time of modification. Block devices have no such times: with
//! `--hash-image` they are hashed before anything is read, and again at the end.
use super::folder::OpenedFolder;
use super::open::{OpenedImage, OpenedSegment};
use std::fs::Metadata;
use std::sync::PoisonError;
use std::time::SystemTime;

/// What of a file tells that it was changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamp {
    modified: Option<SystemTime>,
    /// Seconds and nanoseconds.
    status: Option<(i64, i64)>,
    /// Device and inode.
    file: Option<(u64, u64)>,
}
impl Stamp {
    #[cfg(unix)]
    pub(super) fn of(meta: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        let status = Some((meta.ctime(), meta.ctime_nsec()));
        Self { modified: meta.modified().ok(), status, file: Some((meta.dev(), meta.ino())) }
    }
    #[cfg(not(unix))]
    pub(super) fn of(meta: &Metadata) -> Self {
        Self { modified: meta.modified().ok(), ..Self::default() }
    }
}

impl OpenedImage {
    /// Whether a change shows in times: not in those of a block device.
    pub(super) fn has_times(&self) -> bool {
        self.segments.iter().all(|s| s.file.metadata().is_ok_and(|m| m.is_file()))
    }
    /// The segments that are no longer what they were at opening, each with the reason. Asked at the end of an
    /// examination.
    pub fn changed(&self) -> Vec<String> {
        let further = self.further.lock().unwrap_or_else(PoisonError::into_inner);
        let all = self.segments.iter().chain(further.iter());
        let mut changed: Vec<String> = all.filter_map(|s| differs(s).map(|why| format!("{}: {why}", s.name))).collect();
        changed.extend(self.folder.iter().flat_map(OpenedFolder::changed));
        changed
    }
}

fn differs(segment: &OpenedSegment) -> Option<String> {
    let now = match segment.file.metadata() {
        Err(e) => return Some(e.to_string()),
        Ok(now) => now,
    };
    if !now.is_file() {
        return None;
    }
    if now.len() != segment.len {
        return Some(format!("{} bytes when opened, {} now", segment.len, now.len()));
    }
    let (then, stamp) = (segment.stamp, Stamp::of(&now));
    if stamp.modified != then.modified {
        return Some("modified since it was opened".to_owned());
    }
    let at_path = std::fs::metadata(&segment.path).map(|m| Stamp::of(&m).file);
    match at_path {
        Err(e) => return Some(format!("no longer at its path ({e})")),
        Ok(file) if file != then.file => return Some("another file lies at its path now".to_owned()),
        Ok(_) => {}
    }
    (stamp.status != then.status).then(|| "its status (content, permissions, names or times) was changed".to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::session::open_evidence;
    use std::fs::File;
    use std::time::Duration;

    /// Every way in which a file changes, told apart; and reading it is none.
    #[test]
    fn every_change_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.img");
        let touch = |f: &File, by: u64| f.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(by)).unwrap();
        type Change = fn(&std::path::Path, &File);
        let ways: [(&str, Change); 7] = [
            ("", |p, _| drop(std::fs::read(p).unwrap())),
            ("9 now", |_, f| f.set_len(9).unwrap()),
            ("0 now", |_, f| f.set_len(0).unwrap()),
            ("modified", |_, f| f.set_modified(std::time::UNIX_EPOCH).unwrap()),
            ("no longer at its path", |p, _| std::fs::remove_file(p).unwrap()),
            ("another file", |p, _| {
                let other = p.with_extension("other");
                std::fs::write(&other, "12345678").unwrap();
                std::fs::rename(other, p).unwrap();
            }),
            ("status", |p, f| {
                std::thread::sleep(Duration::from_millis(20));
                std::fs::write(p, "other678").unwrap();
                f.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(5)).unwrap();
            }),
        ];
        for (word, change) in ways {
            std::fs::write(&path, "12345678").unwrap();
            let file = File::options().write(true).open(&path).unwrap();
            touch(&file, 5);
            let image = open_evidence(&path).unwrap();
            change(&path, &file);
            let told = image.changed();
            assert_eq!(told.len(), usize::from(!word.is_empty()), "{word}: {told:?}");
            assert!(told.iter().all(|t| t.contains(word) && t.contains("a.img")), "{word}: {told:?}");
        }
    }
}
