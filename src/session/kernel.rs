//! A FUSE mount of the kernel: made, and gone again however this process ends.
//!
//! By fusermount3(1) (or fusermount of FUSE 2), which any user may call, and which unmounts when this process is
//! gone; where it is not installed, by mount(2) as root, with a process of this program that waits for the same.
//! Specification: fuse(4), mount.fuse3(8), and the convention of `_FUSE_COMMFD`.
use super::Failure;
use super::open::shown;
use crate::worker::protocol::{receive_files, refuse};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The mount's name and type in the list of mounts.
const NAME: &str = "cranescope";
/// Longest read the kernel asks for, in bytes.
const MAX_READ: &str = "1048576";
/// How long a helper may take; it has nothing to do that could last.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(10);

/// Mounted until dropped.
pub(super) struct Mounted {
    /// `/dev/fuse`: what the kernel asks is read from it.
    device: Option<File>,
    at: PathBuf,
    helper: Option<String>,
    /// Unmounts when the other end of its socket is gone.
    guard: Option<Child>,
    socket: Option<UnixStream>,
}

/// Mounts at an empty folder. What is run or opened as a device there is refused by the kernel.
pub(super) fn mount(at: &Path) -> Result<Mounted, Failure> {
    let at = place(at)?;
    let environment = |what: String| Failure::environment(format!("{}: {what}", shown(&at)));
    if !Path::new("/dev/fuse").exists() {
        return Err(environment("this system has no /dev/fuse; load the kernel's module `fuse`".into()));
    }
    for helper in ["fusermount3", "fusermount"] {
        match by_helper(helper, &at) {
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(environment(format!("not mounted: {e}"))),
            Ok(mounted) => return Ok(mounted),
        }
    }
    if !rustix::process::geteuid().is_root() {
        return Err(environment("mounting needs fusermount3; install the package fuse3".into()));
    }
    by_kernel(&at).map_err(|e| environment(format!("not mounted: {e}")))
}

/// The folder by its real path, if it can be covered without hiding anything.
fn place(at: &Path) -> Result<PathBuf, Failure> {
    let usage = |what: &str| Failure::usage(format!("{}: {what}", shown(at)));
    let real = at.canonicalize().map_err(|e| usage(&format!("{e}; name an empty folder to mount at")))?;
    let mut entries = std::fs::read_dir(&real).map_err(|e| usage(&format!("{e}; name an empty folder to mount at")))?;
    if entries.next().is_some() {
        return Err(usage("the folder is not empty; what it holds would be hidden"));
    }
    Ok(real)
}

/// `NotFound` where the program is not installed.
fn by_helper(program: &str, at: &Path) -> io::Result<Mounted> {
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_read_timeout(Some(PATIENCE))?;
    let options = format!("ro,nosuid,nodev,noexec,auto_unmount,fsname={NAME},subtype={NAME},max_read={MAX_READ}");
    let mut guard = Command::new(program)
        .args(["-o", &options, "--"])
        .arg(at)
        .env("_FUSE_COMMFD", "0")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let Some(device) = receive_files(&ours, 1).ok().and_then(|mut files| files.pop()) else {
        drop(ours);
        ended(&mut guard);
        let mut said = String::new();
        if let Some(stderr) = guard.stderr.take() {
            drop(stderr.take(1 << 12).read_to_string(&mut said));
        }
        let said = said.lines().next().unwrap_or("it gave no reason").to_owned();
        return Err(io::Error::other(format!("{program} failed: {said}")));
    };
    Ok(Mounted {
        device: Some(device),
        at: at.to_owned(),
        helper: Some(program.to_owned()),
        guard: Some(guard),
        socket: Some(ours),
    })
}

#[cfg(target_os = "linux")]
fn by_kernel(at: &Path) -> io::Result<Mounted> {
    use rustix::mount::MountFlags;
    let device = File::options().read(true).write(true).open("/dev/fuse")?;
    // Before the mount, so that there is none without it.
    let (ours, theirs) = UnixStream::pair()?;
    let guard = Command::new(std::env::current_exe()?)
        .arg("unmount-when-over")
        .arg(at)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let data = format!("fd={},rootmode=40000,user_id=0,group_id=0,max_read={MAX_READ}", device.as_raw_fd());
    let data = std::ffi::CString::new(data).map_err(io::Error::other)?;
    let mounted =
        Mounted { device: Some(device), at: at.to_owned(), helper: None, guard: Some(guard), socket: Some(ours) };
    rustix::mount::mount(NAME, at, "fuse.cranescope", flags, Some(data.as_c_str()))?;
    Ok(mounted)
}
#[cfg(not(target_os = "linux"))]
fn by_kernel(_at: &Path) -> io::Result<Mounted> {
    Err(io::Error::other("this system mounts by fusermount only"))
}

/// The verb of the process that waits on its standard input for the end of the one that mounted, and unmounts.
pub(super) fn unmount_when_over(at: &Path) {
    // Ctrl-C in a terminal reaches this process as well.
    let flag = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGHUP, signal_hook::consts::SIGTERM] {
        drop(signal_hook::flag::register(signal, flag.clone()));
    }
    while io::stdin().read(&mut [0]).is_ok_and(|n| n > 0) {}
    unmount_by_kernel(at);
}
#[cfg(target_os = "linux")]
fn unmount_by_kernel(at: &Path) {
    if is_mounted(at) {
        // Where this fails, so does every other way; the next mount there says so.
        let _ = rustix::mount::unmount(at, rustix::mount::UnmountFlags::DETACH);
    }
}
#[cfg(not(target_os = "linux"))]
fn unmount_by_kernel(_at: &Path) {}

/// Whether a mount of ours is there.
fn is_mounted(at: &Path) -> bool {
    let mounts = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
    // Blanks and kin stand escaped in octal.
    let escaped: Vec<u8> = at
        .as_os_str()
        .as_encoded_bytes()
        .iter()
        .flat_map(|b| match b {
            b' ' | b'\t' | b'\n' | b'\\' => format!("\\{b:03o}").into_bytes(),
            b => vec![*b],
        })
        .collect();
    let ours = |line: &[u8]| {
        line.split(|b| *b == b' ').nth(4) == Some(&escaped) && line.windows(15).any(|w| w == b"fuse.cranescope")
    };
    mounts.split(|b| *b == b'\n').any(ours)
}

/// Waits for a process that ends on its own; one that does not is ended.
fn ended(child: &mut Child) {
    let since = Instant::now();
    while matches!(child.try_wait(), Ok(None)) {
        if since.elapsed() > PATIENCE {
            drop(child.kill());
            drop(child.wait());
            return;
        }
        std::thread::sleep(PAUSE);
    }
}

impl Mounted {
    /// The way to the kernel, for a worker.
    pub(super) fn device(&self) -> io::Result<File> {
        self.device.as_ref().ok_or(ErrorKind::NotConnected)?.try_clone()
    }
    /// What the guard waits for the end of. A worker holds it as well: the helper leaves a mount alone that is still
    /// answered when it looks, so it must not look before the worker is gone too.
    pub(super) fn hold(&self) -> io::Result<File> {
        let socket = self.socket.as_ref().ok_or(ErrorKind::NotConnected)?.try_clone()?;
        Ok(File::from(OwnedFd::from(socket)))
    }
    /// Answers a request with an error, if the kernel still waits for it.
    pub(super) fn refuse(&self, unique: u64) {
        // It refuses an answer that it does not wait for; then nobody needs one.
        self.device.iter().for_each(|device| drop(refuse(device, unique)));
    }
    pub(super) fn at(&self) -> &Path {
        &self.at
    }
}
impl Drop for Mounted {
    fn drop(&mut self) {
        // Unmounting asks the file system: either a worker still answers, or the kernel learns that nobody will.
        self.device = None;
        // The guard unmounts when it hears nothing more; whoever still has files open there gets errors.
        if let Some(socket) = self.socket.take() {
            // A worker may hold it still.
            let _ = socket.shutdown(std::net::Shutdown::Both);
        }
        if let Some(mut guard) = self.guard.take() {
            ended(&mut guard);
        }
        if !is_mounted(&self.at) {
            return;
        }
        let Some(helper) = &self.helper else { return unmount_by_kernel(&self.at) };
        let unmounting = Command::new(helper)
            .args(["-u", "-z", "-q", "--"])
            .arg(&self.at)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        if let Ok(mut unmounting) = unmounting {
            ended(&mut unmounting);
        }
    }
}
