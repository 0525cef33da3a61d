//! Files that every shell of some kind reads, for all and for each account, and variables in them and in files of the
//! environment that decide which code runs. bash(1), zsh(1), csh(1), fish(1), pam_env(7), environment.d(5),
//! systemd-system.conf(5).
use super::{Way, bounded, glob};
use crate::artifact::{Artifact, Os, Out};
use crate::base::Name;
use crate::evidence::{Entry, System, Text};
use crate::format::lines::words;
use crate::inventory::Start;
use std::collections::BTreeSet;

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.shells",
    about: "Files that shells read when they start or end, and variables that load code into programs",
    os: Os::Linux,
    reads: &[
        "/etc/{profile,bash.bashrc,bashrc,bash.bash_logout,zshenv,zprofile,zshrc,zlogin,zlogout,kshrc,suid_profile}",
        "/etc/{csh.login,csh.cshrc,csh.logout,inputrc}",
        "/etc/profile.d/*",
        "/etc/zsh/*",
        "/etc/fish/**",
        "/etc/{xonshrc,powershell/profile.ps1,elvish/rc.elv}",
        "/opt/microsoft/powershell/*/profile.ps1",
        "/{root,home/*,etc/skel}/{.profile,.bash_profile,.bash_login,.bash_logout,.bashrc,.bash_aliases,.zshenv,.zprofile,.zshrc,.zlogin,.zlogout}",
        "/{root,home/*,etc/skel}/{.cshrc,.tcshrc,.login,.logout,.kshrc,.mkshrc,.shrc,.inputrc,.xonshrc,.elvish/rc.elv}",
        "/{root,home/*,etc/skel}/.config/{fish/config.fish,fish/conf.d/*.fish,xonsh/rc.xsh,elvish/rc.elv,ion/initrc,oils/oshrc,powershell/profile.ps1}",
        "/{root,home/*,etc/skel}/.ssh/{rc,environment}",
        "/{root,home/*,etc/skel}/{.pam_environment,.config/environment.d/*}",
        "/etc/{environment,environment.d/*,default/locale,security/pam_env.conf}",
        "/usr/lib/environment.d/*",
        "/etc/{default,conf.d,sysconfig}/*",
        "/etc/systemd/{system,user}.conf{,.d/*.conf}",
    ],
    references: &["bash(1)", "zsh(1)", "csh(1)", "fish(1)", "pam_env(7)", "environment.d(5)", "systemd-system.conf(5)"],
    extract,
};

/// Place, shell, when, and whether it is for logins only.
const SYSTEM: &[(&str, &str, &str)] = &[
    ("/etc/profile", "sh", "login"),
    ("/etc/profile.d/*", "sh", "login"),
    ("/etc/suid_profile", "ksh", "login"),
    ("/etc/{bash.bashrc,bashrc}", "bash", "shell"),
    ("/etc/bash.bash_logout", "bash", "stop"),
    ("/etc/{zsh/,}{zprofile,zlogin}", "zsh", "login"),
    ("/etc/{zsh/,}{zshenv,zshrc,newuser.zshrc.recommended}", "zsh", "shell"),
    ("/etc/{zsh/,}zlogout", "zsh", "stop"),
    ("/etc/csh.login", "csh", "login"),
    ("/etc/csh.cshrc", "csh", "shell"),
    ("/etc/csh.logout", "csh", "stop"),
    ("/etc/kshrc", "ksh", "shell"),
    ("/etc/inputrc", "readline", "shell"),
    ("/etc/fish/**", "fish", "shell"),
    ("/etc/xonshrc", "xonsh", "shell"),
    ("/etc/elvish/rc.elv", "elvish", "shell"),
    ("/etc/powershell/profile.ps1", "pwsh", "shell"),
    ("/opt/microsoft/powershell/*/profile.ps1", "pwsh", "shell"),
];
/// File below a home, shell, when.
const HOME: &[(&str, &str, &str)] = &[
    (".profile", "sh", "login"),
    (".bash_profile", "bash", "login"),
    (".bash_login", "bash", "login"),
    (".bash_logout", "bash", "stop"),
    (".bashrc", "bash", "shell"),
    (".bash_aliases", "bash", "shell"),
    (".zshenv", "zsh", "shell"),
    (".zprofile", "zsh", "login"),
    (".zshrc", "zsh", "shell"),
    (".zlogin", "zsh", "login"),
    (".zlogout", "zsh", "stop"),
    (".cshrc", "csh", "shell"),
    (".tcshrc", "csh", "shell"),
    (".login", "csh", "login"),
    (".logout", "csh", "stop"),
    (".kshrc", "ksh", "shell"),
    (".mkshrc", "ksh", "shell"),
    (".shrc", "sh", "shell"),
    (".inputrc", "readline", "shell"),
    (".config/fish/config.fish", "fish", "shell"),
    (".xonshrc", "xonsh", "shell"),
    (".config/xonsh/rc.xsh", "xonsh", "shell"),
    (".elvish/rc.elv", "elvish", "shell"),
    (".config/elvish/rc.elv", "elvish", "shell"),
    (".config/ion/initrc", "ion", "shell"),
    (".config/oils/oshrc", "osh", "shell"),
    (".config/powershell/profile.ps1", "pwsh", "shell"),
    (".ssh/rc", "sshd", "login"),
];
/// Places of files that shells read for everyone, and which shell.
pub(super) fn of_system() -> impl Iterator<Item = (&'static str, &'static str)> {
    SYSTEM.iter().map(|(at, shell, _)| (*at, *shell))
}
/// The shell that reads a file at this place below a home.
pub(super) fn of_home(path: &[u8]) -> Option<&'static str> {
    HOME.iter()
        .find(|(below, ..)| path.strip_suffix(below.as_bytes()).is_some_and(|p| p.ends_with(b"/")))
        .map(|(_, shell, _)| *shell)
}

/// Files of assignments, for all and below a home.
const ENVIRONMENT: &[&str] = &[
    "/etc/environment",
    "/etc/environment.d/*",
    "/usr/lib/environment.d/*",
    "/etc/default/*",
    "/etc/conf.d/*",
    "/etc/sysconfig/*",
    "/etc/security/pam_env.conf",
    "/etc/systemd/{system,user}.conf",
    "/etc/systemd/{system,user}.conf.d/*.conf",
    "/etc/profile",
    "/etc/profile.d/*.sh",
    "/etc/{bash.bashrc,bashrc}",
];
const HOME_ENVIRONMENT: &[&str] = &[".pam_environment", ".ssh/environment", ".profile", ".bashrc", ".bash_profile"];
/// Variables whose value names code: a library, a script, or options with one in them.
const TELLING: &[(&str, &str)] = &[
    ("LD_PRELOAD", "library"),
    ("LD_AUDIT", "library"),
    ("GCONV_PATH", "library"),
    ("GTK_MODULES", "library"),
    ("BASH_ENV", "script"),
    ("ENV", "script"),
    ("PROMPT_COMMAND", "command"),
    ("PYTHONSTARTUP", "hook"),
    ("PYTHONPATH", "hook"),
    ("PERL5OPT", "hook"),
    ("PERL5LIB", "hook"),
    ("RUBYOPT", "hook"),
    ("NODE_OPTIONS", "hook"),
    ("JAVA_TOOL_OPTIONS", "hook"),
    ("_JAVA_OPTIONS", "hook"),
    ("DOTNET_STARTUP_HOOKS", "library"),
    ("CORECLR_PROFILER_PATH", "library"),
];
/// A file of assignments is small.
const MAX_FILE: u64 = 1 << 20;

fn extract(system: &System, out: &Out) {
    let mut seen = BTreeSet::new();
    for (pattern, by, when) in SYSTEM {
        for entry in glob(system, pattern) {
            if seen.insert(entry.path.clone()) && !super::hooks::is_note(entry.path.file_name()) {
                out.extend(script(system, entry, by, when, ""));
            }
        }
    }
    for user in homes(system) {
        let skel = user.1.is_empty();
        for (file, by, when) in HOME {
            let Some(entry) = system.get(user.0.join(file.as_bytes()).bytes()) else { continue };
            let row = script(system, entry, by, when, &user.1);
            let copy = vec!["only copied into new homes".to_owned()];
            out.extend(row.map(|s| if skel { Start { enabled: false, why: copy, ..s } } else { s }));
        }
        let folders = user.0.join(b".config/fish/conf.d");
        if let Some(dir) = folders.plain() {
            for entry in system.glob(&format!("{dir}/*.fish")) {
                out.extend(script(system, entry, "fish", "shell", &user.1));
            }
        }
        if !skel {
            let own = HOME_ENVIRONMENT.iter().filter_map(|f| system.get(user.0.join(f.as_bytes()).bytes()));
            let own: Vec<&Entry> = own.collect();
            let dir = user.0.join(b".config/environment.d");
            let more = dir.plain().map(|d| system.glob(&format!("{d}/*"))).unwrap_or_default();
            own.into_iter().chain(more).for_each(|e| environment(system, e, &user.1, &mut seen, out));
        }
    }
    let mut read = BTreeSet::new();
    for pattern in ENVIRONMENT {
        for entry in glob(system, pattern) {
            environment(system, entry, "", &mut read, out);
        }
    }
}

/// Home folders with whose they are; the template for new ones with nobody.
pub(crate) fn homes(system: &System) -> Vec<(Name, String)> {
    let mut all: Vec<(Name, String)> = Vec::new();
    let listed = super::super::accounts::users(system).into_iter();
    let mut add = |home: &[u8], user: String| {
        let Some(real) = system.canonical(home).filter(|h| !matches!(h.bytes(), b"" | b"/")) else { return };
        // Several accounts may share one, as / of daemons; the first has it.
        if !all.iter().any(|(known, _)| *known == real) {
            all.push((real, user));
        }
    };
    listed.take(10_000).for_each(|u| add(u.home.bytes(), u.name));
    add(b"/root", "root".to_owned());
    for entry in system.glob("/home/*").into_iter().filter(|e| e.is_dir()) {
        add(entry.path.bytes(), Name::new(entry.path.file_name()).display());
    }
    add(b"/etc/skel", String::new());
    all
}

fn script(system: &System, entry: &Entry, by: &str, when: &str, user: &str) -> Option<Start> {
    let trigger = match when {
        "login" => "a login",
        "stop" => "the end of a shell",
        _ => "each shell",
    };
    let empty = system.resolve(entry.path.bytes()).is_some_and(Entry::is_empty);
    Way::root(by, when).user(user).only(!empty, "empty").file(system, entry, trigger)
}

/// Assignments of telling variables.
fn environment(system: &System, entry: &Entry, user: &str, seen: &mut BTreeSet<Name>, out: &Out) {
    let Some(target) = system.resolve(entry.path.bytes()).filter(|t| t.is_file()) else { return };
    if !seen.insert(Name::from([b"env ", target.path.bytes()].concat())) {
        return;
    }
    if target.len() > MAX_FILE {
        return out.gap(target, "budget: a file of the environment over 1 MiB; not read");
    }
    if let Some(text) = out.read(system, target) {
        assignments(system, &text, user, out);
    }
}

fn assignments(system: &System, text: &Text<'_>, user: &str, out: &Out) {
    // Most files have none of the names.
    if !TELLING.iter().any(|(name, _)| contains(&text.bytes, name.as_bytes())) {
        return;
    }
    for line in bounded(text, out) {
        let body = line.text.trim();
        let body = ["export ", "setenv ", "DefaultEnvironment=", "ManagerEnvironment="]
            .iter()
            .fold(body, |b, head| b.strip_prefix(head).unwrap_or(b));
        if body.starts_with('#') {
            continue;
        }
        // `NAME=value`; of pam_env.conf `NAME DEFAULT=value`.
        let all = words(body);
        let pam = match all.as_slice() {
            [name, value, ..] => value.strip_prefix("DEFAULT=").map(|v| format!("{name}={v}")),
            _ => None,
        };
        for word in all.iter().cloned().chain(pam) {
            let Some((name, value)) = word.split_once('=') else { continue };
            let Some((_, kind)) = TELLING.iter().find(|(n, _)| *n == name).filter(|_| !value.is_empty()) else {
                continue;
            };
            let way = Way::root("environment", "program").user(user);
            let evidence = text.line_at(line.number, line.run);
            let row = if *kind == "command" {
                way.shell(system, name, "each prompt", value, evidence)
            } else {
                let parts = value.split([':', ' ']).map(|p| p.split_once('=').map_or(p, |(_, v)| v));
                let first = parts.into_iter().find(|p| p.starts_with('/')).unwrap_or(value);
                let found = system.canonical(first.as_bytes());
                let row = way.library(name, "programs that have this variable", first, found, evidence);
                Start { kind: (*kind).into(), command: super::cut(&word), ..row }
            };
            out.push(row);
        }
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(bytes, part).is_some()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::super::testing::{line, starts};
    use super::*;

    #[test]
    fn files_of_shells_and_variables() {
        let tree = r#"/etc/passwd
    root:x:0:0::/root:/bin/bash
    crane:x:1000:1000::/home/crane:/bin/sh
/etc/profile
    export LD_PRELOAD=/opt/p.so
/etc/profile.d/z.sh
    x
/etc/skel/.bashrc
    x
/root/.bashrc
    PROMPT_COMMAND="/opt/w prompt; true"
/home/crane/.config/fish/conf.d/a.fish
    x
/home/crane/.ssh/rc
    x
/home/crane/.bash_logout
/etc/environment
    LD_AUDIT="/opt/a.so"
    # LD_PRELOAD=/no
/etc/security/pam_env.conf
    BASH_ENV DEFAULT=/opt/e.sh
/etc/systemd/system.conf.d/x.conf
    [Manager]
    DefaultEnvironment="LD_PRELOAD=/opt/s.so" "A=b"
/etc/default/cron
    NODE_OPTIONS='--require=/opt/h.js'
/opt/p.so
    x
"#;
        let (rows, gaps) = starts(tree, &ARTIFACT);
        let told: Vec<String> = rows.iter().map(|s| format!("{} {}", s.kind, line(s))).collect();
        assert_eq!(
            told,
            [
                "script sh login  /etc/profile",
                "script sh login  /etc/profile.d/z.sh",
                "script bash shell root /root/.bashrc",
                "command environment program root /opt/w prompt",
                "script bash stop crane /home/crane/.bash_logout - empty",
                "script sshd login crane /home/crane/.ssh/rc",
                "script fish shell crane /home/crane/.config/fish/conf.d/a.fish",
                "script bash shell  /etc/skel/.bashrc - only copied into new homes",
                "library environment program  /opt/a.so",
                "hook environment program  /opt/h.js",
                "script environment program  /opt/e.sh",
                "library environment program  /opt/s.so",
                "library environment program  /opt/p.so",
            ]
        );
        assert!(gaps.is_empty(), "{gaps:?}");
    }
}
