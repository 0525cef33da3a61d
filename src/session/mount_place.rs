//! Where a mount stands: a folder made for it and taken away after it, and who still uses what is mounted there.
use super::Failure;
use super::open::shown;
use crate::base::Name;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Programs that are named.
const MOST: usize = 20;

/// A folder that is proposed: the user's own, gone with the session where the system has such.
pub fn default_mount_place() -> PathBuf {
    let base = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|p| p.is_dir());
    base.unwrap_or_else(std::env::temp_dir).join(format!("cranescope-{}", std::process::id()))
}

/// Makes the folder, for this user alone, if nothing is there; `true` if it was made.
///
/// # Errors
/// [`Failure`] code 4 where it cannot be made.
pub fn make_mount_place(at: &Path) -> Result<bool, Failure> {
    use std::os::unix::fs::DirBuilderExt;
    match std::fs::DirBuilder::new().mode(0o700).create(at) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(Failure::environment(format!("{}: {e}; name an empty folder to mount at", shown(at)))),
    }
}

/// Takes away a folder that was made for a mount; one that holds anything stays.
pub fn remove_mount_place(at: &Path) {
    // What is still mounted or not empty refuses, and it must.
    let _ = std::fs::remove_dir(at);
}

/// Programs that stand in the folder, run from it or have files open below it, as far as this user may see them:
/// `name (process number)`.
pub fn mount_users(at: &Path) -> Vec<String> {
    let mut users: Vec<(u32, String)> = Vec::new();
    let own = std::process::id();
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    for process in processes.flatten() {
        let Some(number) = process.file_name().to_str().and_then(|n| n.parse::<u32>().ok()).filter(|n| *n != own)
        else {
            continue;
        };
        let folder = process.path();
        let links = ["cwd", "root", "exe"].map(|name| folder.join(name)).into_iter();
        let open = std::fs::read_dir(folder.join("fd")).into_iter().flatten().flatten().map(|fd| fd.path());
        // The links are read, not followed: the mount itself is not asked.
        if links.chain(open).any(|link| std::fs::read_link(link).is_ok_and(|to| to.starts_with(at))) {
            let name = std::fs::read(folder.join("comm")).unwrap_or_default();
            users.push((number, format!("{} ({number})", Name::new(name.trim_ascii_end()).display_text())));
        }
    }
    users.sort();
    let more = users.len().saturating_sub(MOST);
    let mut users: Vec<String> = users.into_iter().take(MOST).map(|(_, name)| name).collect();
    users.extend((more > 0).then(|| format!("and {more} more")));
    users
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn whoever_has_a_file_open_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().canonicalize().unwrap().join("place");
        assert_eq!((make_mount_place(&at), make_mount_place(&at)), (Ok(true), Ok(false)));
        assert!(make_mount_place(&at.join("no/such")).is_err());
        assert_eq!(mount_users(&at), Vec::<String>::new());
        let mut child = Command::new("sleep").arg("60").current_dir(&at).stdin(Stdio::null()).spawn().unwrap();
        let users = mount_users(&at);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(users, [format!("sleep ({})", child.id())]);
        std::fs::write(at.join("x"), "").unwrap();
        remove_mount_place(&at);
        assert!(at.exists(), "what holds something stays");
        std::fs::remove_file(at.join("x")).unwrap();
        remove_mount_place(&at);
        assert!(!at.exists());
    }
}
