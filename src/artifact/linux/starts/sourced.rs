//! Files that a shell reads as they stand: no `#!` says that they are scripts, only their place does. Their content is
//! looked at like that of scripts (bash(1), profile(5), and the hooks that are sourced).
use super::{hooks, shells};
use crate::evidence::matches;

/// Longer files are no settings of a shell.
const MOST: u64 = 1 << 20;

/// The language in which the file at this place is read, if a shell reads it.
pub(crate) fn language(path: &[u8], len: u64, head: &[u8]) -> Option<&'static str> {
    let begins = |with: &[&[u8]]| with.iter().any(|w| path.starts_with(w));
    let shell = if begins(&[b"/root/", b"/home/", b"/etc/skel/"]) {
        shells::of_home(path)?
    } else if begins(&[b"/etc/", b"/lib/", b"/rom/etc/"]) {
        of_system(path)?
    } else {
        return None;
    };
    let name = path.rsplit(|b| *b == b'/').next().unwrap_or_default();
    let is_text = !head.is_empty() && !head.contains(&0);
    (len <= MOST && is_text && !hooks::is_note(name)).then_some(shell)
}

fn of_system(path: &[u8]) -> Option<&'static str> {
    let fits = |pattern: &str| {
        let fixed = pattern.find(['*', '{', '?']).and_then(|at| pattern.get(..at)).unwrap_or(pattern);
        path.starts_with(fixed.as_bytes()) && matches(pattern.as_bytes(), path)
    };
    let shell = shells::of_system().find(|(at, _)| fits(at)).map(|(_, shell)| shell);
    shell.or_else(|| hooks::sourced().any(fits).then_some("sh"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_say_which_shell_reads_a_file() {
        let of = |path: &str| language(path.as_bytes(), 3, b"a=b");
        assert_eq!(of("/etc/profile.d/locale.sh"), Some("sh"));
        assert_eq!(of("/etc/bash.bashrc"), Some("bash"));
        assert_eq!(of("/root/.bashrc"), Some("bash"));
        assert_eq!(of("/home/op/.config/fish/config.fish"), Some("fish"));
        assert_eq!(of("/etc/dhcp/dhclient-exit-hooks.d/x"), Some("sh"));
        assert_eq!(of("/etc/hotplug.d/usb/20-modem"), Some("sh"));
        assert_eq!(of("/lib/netifd/proto/own.sh"), Some("sh"));
        assert_eq!(of("/etc/profile.d/README"), None);
        assert_eq!(of("/etc/network/if-up.d/x"), None, "run, not read: it needs its #!");
        assert_eq!(of("/usr/share/doc/x/.bashrc"), None, "no home");
        assert_eq!(language(b"/etc/profile", 3, b"a\0b"), None, "no text");
        assert_eq!(language(b"/etc/profile", MOST + 1, b"a"), None);
    }
}
