//! Writing below one folder and nowhere else: every step is taken from the folder before it, by a single name, and no
//! link is followed (openat(2) with `O_NOFOLLOW`). What is there already is never opened for writing.
use rustix::fs::{Mode, OFlags, Timespec, Timestamps, futimens, mkdirat, openat};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

/// A folder that everything is written below.
pub(super) struct Beneath(OwnedFd);

/// Names tried where one is taken.
const TRIES: u32 = 100_000;

impl Beneath {
    /// The folder as the examiner named it; links in that name are the examiner's own.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::open(folder, flags, Mode::empty())?))
    }
    /// A folder below, made if it is not there.
    pub(super) fn folder(&self, name: &str) -> io::Result<Self> {
        match mkdirat(&self.0, name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(e.into()),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(Self(openat(&self.0, name, flags, Mode::empty())?))
    }
    /// The folder at the end of these names.
    pub(super) fn folders<'n>(&self, names: impl Iterator<Item = &'n str>) -> io::Result<Self> {
        let mut here = Self(self.0.try_clone()?);
        for name in names {
            here = here.folder(name)?;
        }
        Ok(here)
    }
    /// A new file, under this name or, where that is taken, with a count behind it.
    pub(super) fn file(&self, name: &str) -> io::Result<(File, String)> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        for count in 0..TRIES {
            let name = if count == 0 { name.to_owned() } else { format!("{name}%~{count}") };
            match openat(&self.0, name.as_str(), flags, Mode::RUSR | Mode::WUSR) {
                Ok(made) => return Ok((File::from(made), name)),
                Err(Errno::EXIST) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }
    pub(super) fn set_times(&self, accessed: (i64, u32), modified: (i64, u32)) -> io::Result<()> {
        set_times(&self.0, accessed, modified)
    }
}

/// Seconds and nanoseconds since 1970.
pub(super) fn set_times(of: impl std::os::fd::AsFd, accessed: (i64, u32), modified: (i64, u32)) -> io::Result<()> {
    let time = |(seconds, nanos): (i64, u32)| Timespec { tv_sec: seconds, tv_nsec: nanos.into() };
    Ok(futimens(of, &Timestamps { last_access: time(accessed), last_modification: time(modified) })?)
}
