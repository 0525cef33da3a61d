//! The temporary file for what is decoded and finds no room in memory: made by the parent where the examiner said, or
//! beside the case, handed to the worker, told to the examiner. It has no name, so that it ends with its worker
//! whatever happens.
use crate::base::Name;
use crate::worker::protocol::SegmentSpec;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of it, at most.
const MOST: u64 = 1 << 40;
/// Bytes that are left free on its disk, at least: the case and its reports may lie there.
const LEFT: u64 = 1 << 30;

/// Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Scratch(Arc<Mutex<Inner>>);
#[derive(Debug, Default)]
struct Inner {
    place: Place,
    promised: u64,
    /// The one that a worker has.
    file: Option<File>,
    /// Bytes that earlier ones had.
    before: u64,
    /// Where it was made.
    folder: Option<PathBuf>,
    /// Why there was none, or why there is no more of it.
    refused: Option<String>,
    is_full: bool,
}
#[derive(Debug, Default)]
enum Place {
    /// The system's folder for temporary files.
    #[default]
    System,
    /// Beside the case.
    Beside(PathBuf),
    /// As the examiner said.
    At(PathBuf),
    Nowhere,
}

impl Scratch {
    /// In this folder; none at all if it is called `none`.
    #[must_use]
    pub fn at(folder: &Path) -> Self {
        let place = if folder.as_os_str() == "none" { Place::Nowhere } else { Place::At(folder.to_owned()) };
        Self(Arc::new(Mutex::new(Inner { place, ..Inner::default() })))
    }
    /// In the folder of this file, unless the examiner named another.
    pub(super) fn beside(&self, case: &Path) {
        let folder = case.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(inner.place, Place::System) {
            inner.place = Place::Beside(folder.to_owned());
        }
    }
    /// The folder that the examiner named.
    pub(super) fn named(&self) -> Option<PathBuf> {
        match &self.0.lock().unwrap_or_else(PoisonError::into_inner).place {
            Place::At(folder) => Some(folder.clone()),
            _ => None,
        }
    }
    /// Bytes that the next worker's file may have: the worker is held to it by the kernel.
    pub(super) fn most(&self) -> u64 {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.promised = inner.most().unwrap_or(0);
        inner.promised
    }
    /// A new file for a worker, or why there is none; `is_full`: the last one cannot be written any more.
    pub(super) fn give(&self, is_full: bool) -> Result<(SegmentSpec, File), String> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if is_full {
            inner.is_full = true;
            return Err("there is no other".into());
        }
        let given = inner.make();
        if let Err(why) = &given {
            inner.refused = Some(why.clone());
        }
        given
    }
    /// Its worker is gone.
    pub(super) fn over(&self) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.before = inner.before.saturating_add(inner.file.take().as_ref().map_or(0, len));
    }
    /// For the examiner: what was unpacked where, or why not; `None` if nothing asked for it.
    #[must_use]
    pub fn told(&self) -> Option<String> {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(why) = &inner.refused {
            return Some(format!("packed images are unpacked again wherever they are read back, as {why}"));
        }
        let bytes = inner.before.saturating_add(inner.file.as_ref().map_or(0, len));
        let folder = shown(inner.folder.as_ref()?);
        let full = if inner.is_full {
            "; it could not hold more (is its disk full?), the rest was unpacked again wherever it was read back"
        } else {
            ""
        };
        Some(format!(
            "{bytes} bytes of packed images were unpacked into a temporary file in {folder}, gone by now{full}"
        ))
    }
}

impl Inner {
    fn folder(&self) -> Result<PathBuf, String> {
        match &self.place {
            Place::Nowhere => Err("the examiner wants no temporary file".into()),
            Place::At(folder) | Place::Beside(folder) => Ok(folder.clone()),
            Place::System => {
                // What is named by nobody should not lie in memory, as /tmp often does.
                let disk = Some(PathBuf::from("/var/tmp")).filter(|p| p.is_dir());
                Ok(disk.filter(|_| std::env::var_os("TMPDIR").is_none()).unwrap_or_else(std::env::temp_dir))
            }
        }
    }
    fn most(&self) -> Result<u64, String> {
        let folder = self.folder()?;
        let disk = rustix::fs::statvfs(&folder).map_err(|e| format!("{}: {e}", shown(&folder)))?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        let most = free.saturating_sub(LEFT.max(free / 10)).min(MOST);
        if most > 0 { Ok(most) } else { Err(format!("the disk of {} has {free} bytes free", shown(&folder))) }
    }
    fn make(&mut self) -> Result<(SegmentSpec, File), String> {
        let (folder, most) = (self.folder()?, self.most()?.min(self.promised));
        let cannot = |e: std::io::Error| format!("no file can be made in {}: {e}", shown(&folder));
        let file = tempfile::tempfile_in(&folder).map_err(cannot)?;
        let theirs = file.try_clone().map_err(cannot)?;
        self.before = self.before.saturating_add(self.file.take().as_ref().map_or(0, len));
        (self.file, self.folder) = (Some(file), Some(folder));
        Ok((SegmentSpec { name: "temporary file".into(), len: most }, theirs))
    }
}

fn len(file: &File) -> u64 {
    file.metadata().map_or(0, |m| m.len())
}
fn shown(path: &Path) -> String {
    Name::new(path.as_os_str().as_encoded_bytes()).display_text()
}
