//! Which file of the disk a command line of Windows runs. Rules: CreateProcess (a path without quotes is tried at every
//! blank, with `.exe` behind it where it has no extension), and how the service manager reads ImagePath.
use crate::base::Name;
use crate::evidence::System;

/// A command comes down to this.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The file, if it lies on this disk; its path as it is there.
    pub(super) program: Option<Name>,
    pub(super) arguments: String,
}

/// Variables that stand for folders in every system, and where those lie.
const FOLDERS: &[(&str, &str)] = &[
    ("%systemroot%", "/Windows"),
    ("%windir%", "/Windows"),
    ("%systemdrive%", ""),
    ("%programfiles%", "/Program Files"),
    ("%programfiles(x86)%", "/Program Files (x86)"),
    ("%programw6432%", "/Program Files"),
    ("%commonprogramfiles%", "/Program Files/Common Files"),
    ("%commonprogramfiles(x86)%", "/Program Files (x86)/Common Files"),
    ("%programdata%", "/ProgramData"),
    ("%allusersprofile%", "/ProgramData"),
    ("%public%", "/Users/Public"),
];
/// Where a bare name is looked for.
const SEARCHED: &[&str] = &["/Windows/System32", "/Windows", "/Windows/System32/drivers", "/Windows/SysWOW64"];
/// Blanks at which a path without quotes is tried.
const MAX_BLANKS: usize = 10;

/// The program of a command line, and what it is given.
pub(super) fn of(system: &System, command: &str) -> Found {
    let command = command.trim();
    if let Some(rest) = command.strip_prefix('"') {
        let (path, arguments) = rest.split_once('"').unwrap_or((rest, ""));
        return Found { program: file(system, path), arguments: arguments.trim().to_owned() };
    }
    let blanks = command.match_indices([' ', ',']).map(|(at, _)| at).take(MAX_BLANKS).chain([command.len()]);
    for at in blanks {
        let (path, arguments) = command.split_at_checked(at).unwrap_or((command, ""));
        if let Some(program) = file(system, path) {
            let arguments = arguments.trim_start_matches([' ', ',']);
            return Found { program: Some(program), arguments: arguments.to_owned() };
        }
    }
    Found::default()
}

/// The file at a path of Windows.
pub(super) fn file(system: &System, path: &str) -> Option<Name> {
    let path = plain(path)?;
    let candidates = if path.starts_with('/') {
        vec![path]
    } else if path.contains('/') {
        // The service manager reads a path without a drive from the folder of Windows on.
        vec![format!("/Windows/{path}"), format!("/{path}")]
    } else {
        SEARCHED.iter().map(|folder| format!("{folder}/{path}")).collect()
    };
    let is_named = |p: &String| p.rsplit('/').next().is_some_and(|name| name.contains('.'));
    candidates.iter().find_map(|path| {
        let names = if is_named(path) { vec![path.clone()] } else { vec![format!("{path}.exe"), path.clone()] };
        names.iter().find_map(|n| in_windows(system, n))
    })
}

/// A file, also where the folder of Windows has another name.
fn in_windows(system: &System, path: &str) -> Option<Name> {
    let at = |path: &str| system.folded(path).filter(|e| e.is_file()).map(|e| e.path.clone());
    at(path).or_else(|| at(&format!("/WINNT/{}", path.strip_prefix("/Windows/")?)))
}

/// A path with slashes, without its drive; `None` for another drive than the system's.
fn plain(path: &str) -> Option<String> {
    let mut path = path.trim().trim_matches('"').replace('\\', "/");
    for prefix in ["/??/", "//?/"] {
        if let Some(rest) = path.strip_prefix(prefix) {
            path = rest.to_owned();
        }
    }
    let lower = path.to_ascii_lowercase();
    if let Some(rest) = lower.strip_prefix("/systemroot/") {
        path = format!("/Windows/{}", path.get(path.len().saturating_sub(rest.len())..)?);
    }
    if let Some((variable, folder)) = FOLDERS.iter().find(|(v, _)| lower.starts_with(v)) {
        path = format!("{folder}{}", path.get(variable.len()..)?);
    }
    match path.as_bytes() {
        [drive, b':', ..] if drive.eq_ignore_ascii_case(&b'c') => path = path.get(2..)?.to_owned(),
        // Another drive, and another machine's folder.
        [_, b':', ..] | [b'/', b'/', ..] => return None,
        _ => {}
    }
    (!path.is_empty() && path.len() < 4096 && !path.contains('%')).then_some(path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn paths_of_windows_are_read_as_windows_reads_them() {
        for (path, expected) in [
            (r"C:\Program Files\A\a.exe", Some("/Program Files/A/a.exe")),
            (r"\SystemRoot\System32\drivers\a.sys", Some("/Windows/System32/drivers/a.sys")),
            (r"\??\C:\Windows\a.sys", Some("/Windows/a.sys")),
            (r"%SystemRoot%\system32\svchost.exe", Some("/Windows/system32/svchost.exe")),
            (r"%ProgramFiles(x86)%\A\a.exe", Some("/Program Files (x86)/A/a.exe")),
            (r"system32\drivers\a.sys", Some("system32/drivers/a.sys")),
            (r"D:\a.exe", None),
            (r"\\host\share\a.exe", None),
            ("%APPDATA%\\a.exe", None),
            ("", None),
        ] {
            assert_eq!(plain(path).as_deref(), expected, "{path}");
        }
    }
}
