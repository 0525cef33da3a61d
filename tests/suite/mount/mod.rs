//! Evidence mounted for other tools gives them what the kernel's own mount of it gives. Every mount here is
//! unmounted when its test ends, whatever happened, and nothing waits longer than a minute.
mod lives;
mod same;

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Whether this machine can mount; says so where it cannot.
pub(crate) fn usable() -> bool {
    let can = Path::new("/dev/fuse").exists() && rustix::process::geteuid().is_root();
    if !can {
        eprintln!("skipped: no /dev/fuse, or not root");
    }
    can && crate::common::have("fusermount3")
}

/// An external program that may not take longer than a minute.
pub(crate) fn timed(program: &str) -> Command {
    let mut command = Command::new("timeout");
    command.args(["-k", "5", "60", program]).env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
    command
}

/// `cranescope mount`, running.
pub(crate) struct Mounting {
    pub(crate) child: Child,
    pub(crate) at: PathBuf,
    _dir: tempfile::TempDir,
}
impl Mounting {
    pub(crate) fn start(image: &Path, options: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("a folder");
        std::fs::create_dir(&at).unwrap();
        let mut child = crate::common::cranescope()
            .arg("mount")
            .arg(image)
            .arg(&at)
            .args(options)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let out = child.stdout.take().unwrap();
        let mounting = Self { child, at, _dir: dir };
        let mut line = String::new();
        // Ends with the process; a mount that never comes is ended by the drop below.
        BufReader::new(out).read_line(&mut line).unwrap();
        let mut mounting = mounting;
        if !line.contains("mounted read-only") {
            let mut said = String::new();
            mounting.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            panic!("not mounted: {line}{said}");
        }
        mounting
    }
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(timed("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }
    pub(crate) fn wait(&mut self) -> Option<ExitStatus> {
        for_a_while(|| self.child.try_wait().unwrap())
    }
    pub(crate) fn is_mounted(&self) -> bool {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        mounts.contains(&self.at.display().to_string().replace(' ', "\\040"))
    }
}
impl Drop for Mounting {
    fn drop(&mut self) {
        drop(timed("kill").args(["-TERM", &self.child.id().to_string()]).stderr(Stdio::null()).status());
        if self.wait().is_none() {
            drop(self.child.kill());
            drop(self.child.wait());
        }
        if self.is_mounted() {
            drop(timed("umount").arg("-l").arg(&self.at).status());
        }
    }
}

/// Asks until there is an answer, for twenty seconds.
pub(crate) fn for_a_while<T>(mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(20) {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    None
}

/// The kernel's own mount, or that of a driver.
pub(crate) struct Theirs {
    pub(crate) at: PathBuf,
    _dir: tempfile::TempDir,
}
impl Theirs {
    /// `None`, and a word, where this kernel does not mount it.
    pub(crate) fn mount(image: &Path, kind: &str, options: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("theirs");
        std::fs::create_dir(&at).unwrap();
        let out = timed("mount").args(["-t", kind, "-o", options]).arg(image).arg(&at).output().unwrap();
        if !out.status.success() {
            eprintln!("skipped: {}", String::from_utf8_lossy(&out.stderr).trim());
            return None;
        }
        Some(Self { at, _dir: dir })
    }
}
impl Drop for Theirs {
    fn drop(&mut self) {
        if !timed("umount").arg(&self.at).status().is_ok_and(|s| s.success()) {
            drop(timed("umount").arg("-l").arg(&self.at).status());
        }
    }
}
