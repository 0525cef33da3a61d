//! Code that interpreters and tools read by themselves, wherever it lies: Python's start files, hooks and settings of
//! git, start files of editors and interpreters, Node's and Perl's. site(1) of Python, githooks(5), git-config(1),
//! vim(1), emacs(1), perlrun(1).
use super::{Way, bounded, is_executable, sections};
use crate::artifact::{Artifact, Os, Out};
use crate::base::Name;
use crate::evidence::{Entry, System, Text};
use crate::inventory::Start;

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.interpreter-hooks",
    about: "Start files of Python, git hooks and commands in git settings, start files of editors and of Perl",
    os: Os::Linux,
    reads: &[
        "/**/{sitecustomize,usercustomize}.py",
        "/**.pth",
        "/**/.git/hooks/*",
        "/**/.git/config",
        "/usr/share/git-core/templates/hooks/*",
        "/etc/gitconfig",
        "/{root,home/*}/{.gitconfig,.config/git/config}",
        "/{root,home/*}/{.vimrc,.exrc,.emacs,.nanorc,.vim/plugin/*,.vim/autoload/*,.emacs.d/init.el}",
        "/{root,home/*}/.config/nvim/{init.vim,init.lua,plugin/*}",
        "/etc/vim/vimrc{,.local}",
        "/usr/share/vim/vimfiles/plugin/*",
        "/etc/emacs/site-start.d/*",
        "/etc/emacs/site-start.el",
        "/etc/nanorc",
        "/etc/perl/sitecustomize.pl",
        "/usr/{local/,}{lib,share}/**/sitecustomize.pl",
        "/{root,home/*}/{.pythonrc,.pythonrc.py,.gdbinit,.screenrc,.tmux.conf,.lesskey,.npmrc,.wgetrc,.curlrc,.psqlrc,.sqliterc,.irbrc,.Rprofile}",
        "/etc/{screenrc,tmux.conf,npmrc}",
        "/usr/{local/,}lib/node_modules/npm/npmrc",
    ],
    references: &[
        "https://docs.python.org/3/library/site.html",
        "githooks(5)",
        "git-config(1)",
        "vim(1)",
        "perlrun(1)",
    ],
    extract,
};

/// Rows of one kind on a system; beyond that it is a store of repositories or environments.
const MAX_ROWS: usize = 20_000;
/// A `.pth` file is a few lines.
const MAX_PTH: u64 = 1 << 20;

/// Files below a home that a tool reads when it starts.
const OWN: &[(&str, &str)] = &[
    (".vimrc", "vim"),
    (".exrc", "vim"),
    (".vim/plugin/*", "vim"),
    (".vim/autoload/*", "vim"),
    (".config/nvim/init.vim", "nvim"),
    (".config/nvim/init.lua", "nvim"),
    (".config/nvim/plugin/*", "nvim"),
    (".emacs", "emacs"),
    (".emacs.d/init.el", "emacs"),
    (".nanorc", "nano"),
    (".pythonrc", "python"),
    (".pythonrc.py", "python"),
    (".gdbinit", "gdb"),
    (".screenrc", "screen"),
    (".tmux.conf", "tmux"),
    (".irbrc", "ruby"),
    (".Rprofile", "r"),
    (".psqlrc", "psql"),
    (".sqliterc", "sqlite"),
    (".npmrc", "npm"),
];
const ALL: &[(&str, &str)] = &[
    ("/etc/vim/vimrc", "vim"),
    ("/etc/vim/vimrc.local", "vim"),
    ("/usr/share/vim/vimfiles/plugin/*", "vim"),
    ("/etc/emacs/site-start.el", "emacs"),
    ("/etc/emacs/site-start.d/*", "emacs"),
    ("/etc/nanorc", "nano"),
    ("/etc/screenrc", "screen"),
    ("/etc/tmux.conf", "tmux"),
    ("/etc/npmrc", "npm"),
    ("/etc/perl/sitecustomize.pl", "perl"),
];

fn extract(system: &System, out: &Out) {
    let mut rows = 0_usize;
    for entry in system.entries().iter().filter(|e| !e.is_dir()) {
        let Some(found) = kind(entry.path.bytes()) else { continue };
        rows = rows.saturating_add(1);
        if rows > MAX_ROWS {
            out.gap(entry, "budget: start files of interpreters; the rest was not listed");
            break;
        }
        match found {
            Kind::Python => out.extend(hook("python", "program", "each Python program", system, entry)),
            Kind::Perl => out.extend(hook("perl", "program", "each Perl program", system, entry)),
            Kind::Pth => pth(system, entry, out),
            Kind::GitHook => {
                let name = entry.path.file_name();
                let way = Way::root("git", "event").user("").only(is_executable(system, entry), "not executable");
                let way = way.only(!name.ends_with(b".sample"), "an example");
                out.extend(way.file(system, entry, &format!("git {}", Name::new(name).display())));
            }
            Kind::GitConfig => {
                out.extend(out.read(system, entry).map(|t| settings(system, &t, out)).unwrap_or_default());
            }
        }
    }
    for (pattern, by) in ALL {
        for entry in system.glob(pattern) {
            out.extend(hook(by, "program", "each start", system, entry));
        }
    }
    for (home, user) in super::shells::homes(system) {
        let Some(home) = home.plain().filter(|_| !user.is_empty()) else { continue };
        for (file, by) in OWN {
            for entry in system.glob(&format!("{home}/{file}")) {
                out.extend(hook(by, "program", "each start", system, entry).map(|s| Start { user: user.clone(), ..s }));
            }
        }
    }
}

enum Kind {
    Python,
    Perl,
    Pth,
    GitHook,
    GitConfig,
}

/// By the path alone; almost every path is none of these.
fn kind(path: &[u8]) -> Option<Kind> {
    if path.ends_with(b".pth") {
        return Some(Kind::Pth);
    }
    if path.ends_with(b"customize.py") {
        let name = path.rsplit(|b| *b == b'/').next()?;
        return matches!(name, b"sitecustomize.py" | b"usercustomize.py").then_some(Kind::Python);
    }
    if path.ends_with(b"/sitecustomize.pl") {
        return (path != b"/etc/perl/sitecustomize.pl").then_some(Kind::Perl);
    }
    if path.ends_with(b"/.git/config")
        || path.ends_with(b"/.gitconfig")
        || path.ends_with(b"/git/config")
        || path == b"/etc/gitconfig"
    {
        return Some(Kind::GitConfig);
    }
    let parent = path.get(..path.iter().rposition(|b| *b == b'/')?)?;
    let hooks = parent.ends_with(b"/.git/hooks")
        || parent == b"/usr/share/git-core/templates/hooks"
        || parent.ends_with(b".git/hooks");
    hooks.then_some(Kind::GitHook)
}

fn hook(by: &str, when: &str, trigger: &str, system: &System, entry: &Entry) -> Option<Start> {
    let row = Way::root(by, when).user("").file(system, entry, trigger)?;
    Some(Start { kind: "hook".into(), ..row })
}

/// Only lines that begin with `import` run code; the others add folders.
fn pth(system: &System, entry: &Entry, out: &Out) {
    if entry.len() > MAX_PTH {
        return out.gap(entry, "budget: a .pth file over 1 MiB; not read");
    }
    let Some(text) = out.read(system, entry) else { return };
    for line in bounded(&text, out).iter().filter(|l| l.text.starts_with("import ") || l.text.starts_with("import\t")) {
        let way = Way::root("python", "program").user("");
        let evidence = text.line_at(line.number, line.run);
        let row = way.library(
            &entry.path.display(),
            "each Python program",
            &line.text,
            Some(text.entry.path.clone()),
            evidence,
        );
        out.push(Start { kind: "hook".into(), ..row });
    }
}

/// Settings of git that name a program, or a folder of hooks.
fn settings(system: &System, text: &Text<'_>, out: &Out) -> Vec<Start> {
    let ini = sections(text, out);
    let mut rows = Vec::new();
    for section in &ini.sections {
        let name = section.name.split([' ', '"']).next().unwrap_or_default().to_ascii_lowercase();
        for e in &section.entries {
            let key = e.key.to_ascii_lowercase();
            let value = e.value.trim().trim_matches('"');
            let command = match (name.as_str(), key.as_str()) {
                ("core", "pager" | "editor" | "sshcommand" | "askpass" | "gitproxy" | "alternaterefscommand")
                | ("credential", "helper")
                | ("pager" | "browser" | "man" | "mergetool" | "difftool", _)
                | ("diff", "external" | "textconv" | "command")
                | ("filter", "clean" | "smudge" | "process")
                | ("merge", "driver")
                | ("gpg", "program")
                | ("sequence", "editor")
                | ("uploadpack", "packobjectshook")
                | ("interactive", "difffilter") => value,
                ("core", "fsmonitor" | "hookspath") if !matches!(value, "true" | "false") => value,
                ("alias", _) => match value.strip_prefix('!') {
                    Some(command) => command,
                    None => continue,
                },
                _ => continue,
            };
            if matches!(command, "" | "true" | "false" | "cat" | "less") {
                continue;
            }
            let command = command.trim_start_matches('!');
            let way = Way::root("git", "event").user("");
            let evidence = text.line_at(e.line, e.run);
            let row = way.shell(system, &format!("{name}.{key}"), &section.name, command, evidence);
            // Hooks below a folder: each of its executables.
            if key == "hookspath" {
                let folder = system.canonical(command.as_bytes());
                let inside =
                    folder.as_ref().and_then(Name::plain).map(|f| system.glob(&format!("{f}/*"))).unwrap_or_default();
                let inside: Vec<&Entry> = inside.into_iter().filter(|h| is_executable(system, h)).collect();
                let inside = super::at_most(inside, 1000, "hooks of git", out).into_iter();
                rows.extend(inside.filter_map(|h| way.file(system, h, "core.hooksPath")));
            }
            rows.push(row);
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::super::testing::{line, starts};
    use super::*;

    #[test]
    fn each_interpreter() {
        let tree = r#"/etc/passwd
    crane:x:1000:1000::/home/crane:/bin/sh
/opt/w mode=755
    x
/usr/lib/python3/dist-packages/a.pth
    /some/folder
    import os; os.system("/opt/w")
/usr/lib/python3.11/sitecustomize.py
    x
/home/crane/.local/lib/python3.11/site-packages/usercustomize.py
    x
/srv/repo/.git/hooks/post-merge mode=755
    #!/bin/sh
/srv/repo/.git/hooks/pre-push.sample mode=755
    #!/bin/sh
/srv/repo/.git/config
    [core]
    	fsmonitor = "/opt/w monitor"
    	hooksPath = /opt/hooks
    [alias]
    	up = !/opt/w up
    	st = status
/opt/hooks/post-commit mode=755
    x
/home/crane/.vimrc
    x
/etc/perl/sitecustomize.pl
    x
"#;
        let (rows, gaps) = starts(tree, &ARTIFACT);
        let told: Vec<String> = rows.iter().map(line).collect();
        assert_eq!(
            told,
            [
                "python program  /home/crane/.local/lib/python3.11/site-packages/usercustomize.py",
                "git event  /opt/w monitor",
                "git event  /opt/hooks/post-commit",
                "git event  /opt/hooks",
                "git event  /opt/w up",
                "git event  /srv/repo/.git/hooks/post-merge",
                "git event  /srv/repo/.git/hooks/pre-push.sample - an example",
                "python program  /usr/lib/python3.11/sitecustomize.py",
                "python program  /usr/lib/python3/dist-packages/a.pth",
                "perl program  /etc/perl/sitecustomize.pl",
                "vim program crane /home/crane/.vimrc",
            ]
        );
        assert!(gaps.is_empty(), "{gaps:?}");
    }
}
