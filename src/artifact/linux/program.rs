//! Which program a command line really runs: found along PATH, links followed, and through the
//! wrappers that only start another one (`sh -c`, `env`, `nohup`, interpreters with a script …).
//! Shell text is read as far as its first simple command that is no builtin (POSIX sh, section 2).
use crate::base::Name;
use crate::evidence::System;
use crate::fs::NodeKind;

/// The folders systemd, cron and login shells search, in their order.
pub(crate) const PATH: &[&str] = &["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// What a command line comes down to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// The program or script that does the work. As written, if the file is not there; `None` if
    /// no file is named (a bare name that PATH does not lead to).
    pub(crate) program: Option<Name>,
    /// The programs that only start it, outermost first.
    pub(crate) wrappers: Vec<Name>,
    /// What it is given, quotes removed.
    pub(crate) arguments: Vec<String>,
    /// The command as written names a program that is not on this disk.
    pub(crate) missing: bool,
}

const MAX_DEPTH: usize = 8;
/// Longer shell text is read up to here.
const MAX_SHELL: usize = 64 << 10;

const SHELLS: &[&str] = &["sh", "bash", "dash", "ash", "ksh", "mksh", "zsh", "rbash"];
const INTERPRETERS: &[&str] = &[
    "python", "perl", "ruby", "node", "nodejs", "php", "lua", "tclsh", "wish", "expect", "awk", "gawk", "mawk", "java",
    "mono", "qemu",
];
/// Wrappers that take only options before the command, with those options that take a word of their own.
const WRAPPERS: &[(&str, &str)] = &[
    ("nohup", ""),
    ("setsid", ""),
    ("exec", "a"),
    ("ionice", "cnpPu"),
    ("nice", "n"),
    ("stdbuf", "ioe"),
    ("time", "fo"),
    ("sudo", "ugpCcrthDRT"),
    ("doas", "uC"),
    ("unshare", "SGRw"),
    ("nsenter", "tSGrw"),
    ("setpriv", ""),
    ("systemd-cat", "tpn"),
    ("systemd-inhibit", ""),
    ("systemd-run", "upEHM"),
    ("strace", "eopsuEOSaIbPX"),
    ("prlimit", "p"),
    ("dbus-run-session", ""),
    ("tini", "p"),
    ("dumb-init", "r"),
    ("catchsegv", ""),
    ("fakeroot", "lfsbi"),
    ("proxychains", "f"),
    ("proxychains4", "f"),
    ("torsocks", "apuPi"),
    ("busybox", ""),
    ("toybox", ""),
    ("command", ""),
];
/// Wrappers with that many words of their own before the command.
const WITH_WORDS: &[(&str, &str, usize)] = &[
    ("timeout", "sk", 1),
    ("flock", "wE", 1),
    ("taskset", "", 1),
    ("chrt", "TPD", 1),
    ("chroot", "", 1),
    ("runuser", "ugG", 0),
    ("setuidgid", "", 1),
    ("chpst", "uUbemdnoprftc", 0),
    ("softlimit", "", 0),
    ("ld-linux-x86-64.so.2", "", 0),
];
/// What a shell does itself, or what only prepares.
const BUILTINS: &[&str] = &[
    ":", ".", "[", "[[", "alias", "break", "case", "cd", "continue", "do", "done", "echo", "elif", "else", "esac",
    "eval", "exit", "export", "false", "fi", "for", "function", "if", "in", "let", "local", "mkdir", "printf", "pwd",
    "read", "readonly", "return", "rm", "select", "set", "shift", "sleep", "source", "test", "then", "touch", "trap",
    "true", "type", "ulimit", "umask", "unset", "until", "wait", "while", "{", "}", "!", "(", ")",
];

/// Resolves the words of a command that is run without a shell.
pub(crate) fn of_words(system: &System, words: &[String], path: &[&str]) -> Found {
    let mut found = Found::default();
    resolve(system, words, path, MAX_DEPTH, &mut found);
    found
}

/// Resolves a command line that a shell runs, as cron and `sh -c` do.
pub(crate) fn of_shell(system: &System, text: &str, path: &[&str]) -> Found {
    let mut found = Found::default();
    let commands = simple_commands(text);
    let first = commands.iter().find(|c| !is_builtin(c)).or_else(|| commands.first());
    if let Some(words) = first {
        resolve(system, words, path, MAX_DEPTH, &mut found);
    }
    found
}

fn is_builtin(words: &[String]) -> bool {
    words.first().is_none_or(|w| BUILTINS.contains(&w.as_str()))
}

/// Looks a program up as a starter would: a path as it is, a bare name along PATH.
pub(crate) fn lookup(system: &System, program: &str, path: &[&str]) -> Option<Name> {
    if program.contains('/') {
        return system.canonical(program.as_bytes()).filter(|p| is_program(system, p));
    }
    path.iter().find_map(|dir| {
        let real = system.canonical(format!("{dir}/{program}").as_bytes())?;
        is_program(system, &real).then_some(real)
    })
}
fn is_program(system: &System, path: &Name) -> bool {
    system.get(path.bytes()).is_some_and(|e| !matches!(e.kind(), NodeKind::Directory))
}

fn resolve(system: &System, words: &[String], path: &[&str], depth: usize, found: &mut Found) {
    let Some(first) = words.first() else { return };
    let real = lookup(system, first, path);
    found.missing = real.is_none();
    let named = real.clone().or_else(|| first.starts_with('/').then(|| Name::from(first.as_str())));
    let own = first.rsplit('/').next().unwrap_or(first);
    if let Some(inner) = depth.checked_sub(1).and_then(|d| inner(own, words).map(|i| (d, i))) {
        let before = found.wrappers.len();
        found.wrappers.extend(named.clone());
        let (depth, inner) = inner;
        let mut deeper = Found { wrappers: std::mem::take(&mut found.wrappers), ..Found::default() };
        match inner {
            Inner::Words(words) => resolve(system, &words, path, depth, &mut deeper),
            Inner::Shell(text) => {
                let commands = simple_commands(&text);
                if let Some(words) = commands.iter().find(|c| !is_builtin(c)) {
                    resolve(system, words, path, depth, &mut deeper);
                }
            }
            Inner::Script(script, arguments) => {
                deeper.arguments = arguments;
                deeper.program = system.canonical(script.as_bytes()).or_else(|| Some(Name::from(script.as_str())));
                deeper.missing = system.resolve(script.as_bytes()).is_none();
            }
        }
        if deeper.program.is_some() {
            *found = deeper;
            return;
        }
        // Nothing behind it that has a name: the wrapper itself is what runs.
        found.wrappers = deeper.wrappers;
        found.wrappers.truncate(before);
    }
    found.program = named;
    found.arguments = words.get(1..).unwrap_or_default().to_vec();
}

enum Inner {
    Words(Vec<String>),
    Shell(String),
    /// A file, and what follows it.
    Script(String, Vec<String>),
}
impl Inner {
    fn script(words: &[String], at: usize) -> Option<Self> {
        Some(Self::Script(words.get(at)?.clone(), words.get(at.saturating_add(1)..).unwrap_or_default().to_vec()))
    }
}

/// What a wrapper goes on to run; `None` if this is no wrapper or it runs nothing else.
fn inner(own: &str, words: &[String]) -> Option<Inner> {
    let rest = words.get(1..)?;
    if SHELLS.contains(&own) {
        return shell(rest);
    }
    if own == "su" {
        let at = rest.iter().position(|w| w == "-c" || w == "--command")?;
        return Some(Inner::Shell(rest.get(at.saturating_add(1))?.clone()));
    }
    let base = own.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    if INTERPRETERS.contains(&base) || INTERPRETERS.contains(&own) {
        return script(base, rest);
    }
    if own == "env" {
        let at = rest.iter().position(|w| !w.starts_with('-') && !w.contains('='))?;
        // `env -u NAME`, `env -C DIR` and `env -S "words"` take the next word.
        let at = match at.checked_sub(1).and_then(|i| rest.get(i)).map(String::as_str) {
            Some("-u" | "-C") => rest
                .iter()
                .skip(at.saturating_add(1))
                .position(|w| !w.contains('='))?
                .saturating_add(at)
                .saturating_add(1),
            Some("-S") => return Some(Inner::Shell(rest.get(at)?.clone())),
            _ => at,
        };
        return Some(Inner::Words(rest.get(at..)?.to_vec()));
    }
    if let Some((_, options)) = WRAPPERS.iter().find(|(n, _)| *n == own) {
        let at = skip_options(rest, options);
        let words = rest.get(at..).filter(|w| !w.is_empty())?.to_vec();
        // An applet of busybox is busybox itself, unless it goes on to start something.
        if matches!(own, "busybox" | "toybox") {
            let applet = words.first()?.as_str();
            return inner(applet, &words);
        }
        return Some(Inner::Words(words));
    }
    if own.starts_with("ld-linux") || own.starts_with("ld-musl") {
        return Some(Inner::Words(rest.get(skip_options(rest, "")..).filter(|w| !w.is_empty())?.to_vec()));
    }
    let (_, options, own_words) = WITH_WORDS.iter().find(|(n, ..)| *n == own)?;
    let at = skip_options(rest, options).saturating_add(*own_words);
    let words = rest.get(at..).filter(|w| !w.is_empty())?;
    // `flock FILE -c "text"`
    if words.first().is_some_and(|w| w == "-c" || w == "--command") {
        return Some(Inner::Shell(words.get(1)?.clone()));
    }
    Some(Inner::Words(words.to_vec()))
}

/// Index of the first word that is no option; `taking` are the letters of those that take the next word.
fn skip_options(words: &[String], taking: &str) -> usize {
    let mut at = 0_usize;
    while let Some(word) = words.get(at).filter(|w| w.starts_with('-') && w.len() > 1) {
        at = at.saturating_add(1);
        if word == "--" {
            break;
        }
        let takes = word.len() == 2 && word.chars().nth(1).is_some_and(|c| taking.contains(c));
        at = at.saturating_add(usize::from(takes));
    }
    at
}

fn shell(words: &[String]) -> Option<Inner> {
    let mut command = false;
    let mut at = 0_usize;
    while let Some(word) = words.get(at).filter(|w| w.starts_with(['-', '+'])) {
        at = at.saturating_add(1);
        if word == "--" {
            break;
        }
        if !word.starts_with("--") {
            command |= word.starts_with('-') && word.contains('c');
            at = at.saturating_add(usize::from(word.ends_with('o')));
        } else if matches!(word.as_str(), "--rcfile" | "--init-file") {
            at = at.saturating_add(1);
        }
    }
    if command { words.get(at).cloned().map(Inner::Shell) } else { Inner::script(words, at) }
}

fn script(interpreter: &str, words: &[String]) -> Option<Inner> {
    let mut at = 0_usize;
    while let Some(word) = words.get(at).filter(|w| w.starts_with('-')) {
        at = at.saturating_add(1);
        match (interpreter, word.as_str()) {
            ("java", "-jar") | ("awk" | "gawk" | "mawk" | "php", "-f") => {
                return Inner::script(words, at);
            }
            // Text or a module by name: the interpreter itself is all there is to point at.
            ("python", "-c" | "-m") | ("perl" | "ruby" | "lua" | "node" | "nodejs", "-e") | ("php", "-r") => {
                return None;
            }
            ("python", "-W" | "-X")
            | ("perl" | "ruby", "-I")
            | ("node" | "nodejs", "-r")
            | ("java", "-cp" | "-classpath") => {
                at = at.saturating_add(1);
            }
            _ => {}
        }
    }
    // awk's program and java's class are no files.
    if matches!(interpreter, "awk" | "gawk" | "mawk" | "java") { None } else { Inner::script(words, at) }
}

/// The simple commands of shell text, in order, assignments and redirections left out.
fn simple_commands(text: &str) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    let mut now: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut skip_word = false;
    let end = text.char_indices().nth(MAX_SHELL).map_or(text.len(), |(at, _)| at);
    let mut chars = text.get(..end).unwrap_or_default().chars().chain(['\n']).peekable();
    while let Some(c) = chars.next() {
        match (c, quote) {
            (c, Some(q)) if c == q => quote = None,
            ('\\', None | Some('"')) => {
                if let Some(next) = chars.next().filter(|n| *n != '\n') {
                    word.get_or_insert_default().push(next);
                }
            }
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            ('#', None) if word.is_none() => while chars.next_if(|c| *c != '\n').is_some() {},
            (' ' | '\t' | '\n' | ';' | '&' | '|' | '(' | ')' | '<' | '>', None) => {
                let redirection = matches!(c, '<' | '>');
                if let Some(done) = word.take() {
                    let number = redirection && done.chars().all(|c| c.is_ascii_digit());
                    let assignment = now.is_empty() && is_assignment(&done);
                    // A keyword only opens the command that follows it.
                    let keyword = now.is_empty()
                        && matches!(
                            done.as_str(),
                            "do" | "then" | "else" | "if" | "while" | "until" | "{" | "!" | "elif"
                        );
                    if !std::mem::take(&mut skip_word) && !number && !assignment && !keyword {
                        now.push(done);
                    }
                }
                if redirection {
                    while chars.next_if(|c| matches!(c, '<' | '>' | '&' | '|')).is_some() {}
                    skip_word = true;
                } else if !matches!(c, ' ' | '\t') {
                    skip_word = false;
                    if !now.is_empty() {
                        all.push(std::mem::take(&mut now));
                    }
                }
            }
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    all
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::linux::testing::system;

    fn tree() -> System {
        let files = [
            "usr/bin/dash",
            "usr/bin/env",
            "usr/bin/python3.11",
            "usr/bin/nohup",
            "usr/bin/ssh",
            "usr/sbin/frpc",
            "usr/bin/flock",
            "usr/bin/busybox",
            "opt/a/run.py",
            "opt/b.sh",
            "usr/bin/su",
            "usr/bin/timeout",
            "usr/bin/tee",
        ];
        let mut text = files.map(|f| format!("/{f} mode=755\n    x\n")).concat();
        text.push_str("/bin -> usr/bin\n/usr/bin/sh -> dash\n/usr/bin/python3 -> python3.11\n/opt/link -> /opt/a\n");
        system(&text)
    }
    fn shown(found: &Found) -> (String, String) {
        let wrappers: Vec<_> = found.wrappers.iter().map(Name::display).collect();
        (found.program.as_ref().map(Name::display).unwrap_or_default(), wrappers.join(" "))
    }

    #[test]
    fn through_wrappers() {
        let system = tree();
        for (line, program, wrappers) in [
            ("/usr/sbin/frpc -c x", "/usr/sbin/frpc", ""),
            ("frpc", "/usr/sbin/frpc", ""),
            ("/bin/sh -c 'exec /usr/sbin/frpc -c /etc/x >/dev/null 2>&1 &'", "/usr/sbin/frpc", "/usr/bin/dash"),
            ("/bin/sh -c 'sleep 30; cd /; A=b while true; do ssh -R 1:2:3 h; done'", "/usr/bin/ssh", "/usr/bin/dash"),
            ("/bin/sh -ec \"echo a | tee /x\"", "/usr/bin/tee", "/usr/bin/dash"),
            ("/bin/sh /opt/b.sh -x", "/opt/b.sh", "/usr/bin/dash"),
            ("/usr/bin/env -u A B=c python3 -u /opt/link/run.py", "/opt/a/run.py", "/usr/bin/env /usr/bin/python3.11"),
            ("/usr/bin/env python3 -m http.server", "/usr/bin/python3.11", "/usr/bin/env"),
            ("nohup setsid ionice -c 3 nice -n 19 frpc", "/usr/sbin/frpc", "/usr/bin/nohup"),
            ("flock -n /run/x /bin/sh -c frpc", "/usr/sbin/frpc", "/usr/bin/flock /usr/bin/dash"),
            ("flock -n /run/x -c 'frpc -a'", "/usr/sbin/frpc", "/usr/bin/flock"),
            ("busybox sh -c 'nohup frpc &'", "/usr/sbin/frpc", "/usr/bin/busybox /usr/bin/nohup"),
            ("busybox telnetd -l /bin/sh", "/usr/bin/busybox", ""),
            ("timeout -s KILL 5 frpc", "/usr/sbin/frpc", "/usr/bin/timeout"),
            ("su - user -c '/opt/b.sh'", "/opt/b.sh", "/usr/bin/su"),
            ("/bin/sh -c 'cd /; exit 0'", "/usr/bin/dash", ""),
            ("/opt/gone -x", "/opt/gone", ""),
            ("/bin/sh /opt/gone.sh", "/opt/gone.sh", "/usr/bin/dash"),
        ] {
            let words: Vec<String> = crate::format::unitfile::words(line).into_iter().map(|w| w.0).collect();
            let (p, w) = shown(&of_words(&system, &words, PATH));
            assert_eq!((p.as_str(), w.as_str()), (program, wrappers), "{line}");
        }
        assert!(of_words(&system, &["/opt/gone".to_owned()], PATH).missing);
        assert_eq!(of_words(&system, &["nowhere".to_owned()], PATH).program, None);
    }

    #[test]
    fn shell_lines() {
        let system = tree();
        for (line, program) in [
            ("[ -x /usr/sbin/frpc ] && /usr/sbin/frpc", "/usr/sbin/frpc"),
            ("A=1 B=\"x y\" ssh -N h # c", "/usr/bin/ssh"),
            ("test -e /run/x || (cd / ; frpc --x)", "/usr/sbin/frpc"),
            (">/dev/null 2>&1 frpc", "/usr/sbin/frpc"),
            ("if [ -d /x ]; then frpc; fi", "/usr/sbin/frpc"),
        ] {
            assert_eq!(shown(&of_shell(&system, line, PATH)).0, program, "{line}");
        }
        let deep = "sh -c ".repeat(10_000);
        assert!(of_shell(&system, &deep, PATH).program.is_some());
        assert!(of_shell(&system, &"((((".repeat(100_000), PATH).program.is_none());
    }
}
