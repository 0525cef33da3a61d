//! What runs because something is logged, or a log is turned over: logrotate's scripts, programs of rsyslog and
//! syslog-ng, plugins of the audit daemon. logrotate(8), rsyslog.conf(5), syslog-ng.conf(5), auditd-plugins(5).
use super::{Way, bounded, cut, has};
use crate::artifact::{Artifact, Os, Out};
use crate::base::{Name, Run};
use crate::evidence::{System, Text};
use crate::inventory::Start;

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.log-programs",
    about: "Scripts of logrotate, programs of rsyslog and syslog-ng, plugins of the audit daemon",
    os: Os::Linux,
    reads: &[
        "/etc/logrotate.conf",
        "/etc/logrotate.d/*",
        "/etc/rsyslog.conf",
        "/etc/rsyslog.d/*",
        "/etc/syslog-ng/**.conf",
        "/etc/syslog.conf",
        "/etc/audit/plugins.d/*",
        "/etc/audisp/plugins.d/*",
        "/etc/audisp/audispd.conf",
    ],
    references: &["logrotate(8)", "rsyslog.conf(5)", "syslog-ng.conf(5)", "auditd-plugins(5)"],
    extract,
};

/// Commands of one script that go into rows.
const MAX_COMMANDS: usize = 200;

fn extract(system: &System, out: &Out) {
    let runs = has(system, &["logrotate"]);
    out.each(system, &["/etc/logrotate.conf", "/etc/logrotate.d/*"], |text| logrotate(system, text, runs, out));
    let runs = has(system, &["rsyslogd", "syslogd"]);
    let files = ["/etc/rsyslog.conf", "/etc/rsyslog.d/*", "/etc/syslog.conf"];
    out.each(system, &files, |text| {
        let name = text.entry.path.file_name();
        let takes = text.entry.path.parent() != b"/etc/rsyslog.d" || name.ends_with(b".conf");
        rsyslog(system, text, runs && takes, out);
    });
    let runs = has(system, &["syslog-ng"]);
    out.each(system, &["/etc/syslog-ng/**.conf"], |text| {
        for line in bounded(text, out).iter().filter(|l| !l.text.trim_start().starts_with('#')) {
            for after in line.text.split("program(").skip(1) {
                let Some(command) = after.trim_start().strip_prefix('"').and_then(|a| a.split('"').next()) else {
                    continue;
                };
                let way = Way::root("syslog-ng", "log").only(runs, "no syslog-ng on this disk");
                out.push(way.shell(system, "program", "messages", command, text.line_at(line.number, line.run)));
            }
        }
    });
    let runs = has(system, &["auditd"]);
    out.each(system, &["/etc/audit/plugins.d/*", "/etc/audisp/plugins.d/*"], |text| audit(system, text, runs, out));
}

/// `postrotate … endscript` and its kin: a shell script, of which each line that runs something is a row.
fn logrotate(system: &System, text: &Text<'_>, runs: bool, out: &Out) {
    const SCRIPTS: &[&str] = &["postrotate", "prerotate", "firstaction", "lastaction", "preremove"];
    let file = text.entry.path.display();
    let mut open: Option<(String, u32, Run, String)> = None;
    let (mut of, mut rows) = (String::new(), 0_usize);
    for line in bounded(text, out) {
        let body = line.text.trim();
        if let Some((word, number, run, mut script)) = open.take() {
            if body == "endscript" || body == "endscript}" {
                rows = rows.saturating_add(1);
                if rows <= MAX_COMMANDS {
                    let way = Way::root("logrotate", "log").only(runs, "no logrotate on this disk");
                    let evidence = text.line_at(number, run);
                    let row = way.shell(system, &file, &format!("{word} of {of}"), &script, evidence);
                    out.push(Start { command: cut(script.trim()), ..row });
                }
                continue;
            }
            let (number, run) = if script.is_empty() { (line.number, line.run) } else { (number, run) };
            if script.len() < 1 << 16 && !body.starts_with('#') {
                script.push_str(body);
                script.push('\n');
            }
            open = Some((word, number, run, script));
        } else if SCRIPTS.contains(&body) {
            open = Some((body.to_owned(), line.number, line.run, String::new()));
        } else if let Some(head) = body.strip_suffix('{') {
            of = cut(head.trim());
        } else if let Some((key @ ("mail" | "compresscmd" | "uncompresscmd" | "shredcmd"), value)) =
            body.split_once(char::is_whitespace)
            && key != "mail"
        {
            let way = Way::root("logrotate", "log").only(runs, "no logrotate on this disk");
            out.push(way.words(system, &file, key, value.trim(), text.line_at(line.number, line.run)));
        }
    }
    if let Some((word, number, ..)) = open {
        out.gap_line(text.entry, number, format!("{word} without endscript"));
    }
    if rows > MAX_COMMANDS {
        out.gap(text.entry, "budget: scripts of one file; the rest was not listed");
    }
}

/// `action(type="omprog" binary="…")`, `^program;template` and `|program`, `$ActionOMProgBinary …`.
fn rsyslog(system: &System, text: &Text<'_>, runs: bool, out: &Out) {
    let way = Way::root("rsyslog", "log").only(runs, "no rsyslog on this disk, or a name that it leaves out");
    let mut object: Option<String> = None;
    for line in bounded(text, out) {
        let body = line.text.split(" #").next().unwrap_or_default().trim();
        if body.starts_with('#') {
            continue;
        }
        let evidence = || text.line_at(line.number, line.run);
        if let Some(program) = body.strip_prefix("$ActionOMProgBinary") {
            out.push(way.words(system, "omprog", "messages", program.trim(), evidence()));
            continue;
        }
        if body.contains("action(") || body.contains("module(") || body.contains("input(") {
            object = Some(String::new());
        }
        if let Some(seen) = &mut object {
            if seen.len() < 1 << 14 {
                seen.push_str(body);
                seen.push(' ');
            }
            let program = ["omprog", "mmexternal", "improg"].iter().find(|m| seen.contains(&format!("\"{m}\"")));
            let binary = body.split("binary=\"").nth(1).and_then(|b| b.split('"').next());
            if let (Some(module), Some(binary)) = (program, binary) {
                out.push(way.words(system, module, "messages", binary, evidence()));
            }
            if body.ends_with(')') {
                object = None;
            }
            continue;
        }
        // `selector ^program;template`: the action is what follows the selector.
        let action = body.split_once([' ', '\t']).map_or("", |(_, a)| a.trim());
        if let Some(program) = action.strip_prefix('^') {
            let command = program.split(';').next().unwrap_or_default();
            let selector = body.split_whitespace().next().unwrap_or_default();
            out.push(way.words(system, "^program", selector, command, evidence()));
        }
    }
}

/// `active = yes`, `path = /sbin/x`, `args = …`, `type = always`.
fn audit(system: &System, text: &Text<'_>, runs: bool, out: &Out) {
    let (mut active, mut path, mut args) = (false, None, String::new());
    for line in bounded(text, out) {
        let Some((key, value)) = line.text.split('#').next().unwrap_or_default().split_once('=') else { continue };
        match key.trim() {
            "active" => active = value.trim() == "yes",
            "path" => path = Some((value.trim().to_owned(), text.line_at(line.number, line.run))),
            "args" => value.trim().clone_into(&mut args),
            _ => {}
        }
    }
    if let Some((path, evidence)) = path.filter(|(p, _)| !p.starts_with("builtin")) {
        let way = Way::root("auditd", "log").only(active, "active = no").only(runs, "no audit daemon on this disk");
        let name = Name::new(text.entry.path.file_name()).display();
        out.push(way.words(system, &name, "audit records", &format!("{path} {args}"), evidence));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::super::testing::{line, starts};
    use super::*;

    #[test]
    fn each_program() {
        let tree = r#"/opt/w mode=755
    x
/usr/sbin/logrotate mode=755
    x
/usr/sbin/rsyslogd mode=755
    x
/usr/sbin/auditd mode=755
    x
/etc/logrotate.d/a
    /var/log/a.log {
      daily
      postrotate
        # comment
        [ -e /run/x ] || exit 0
        /opt/w rotate
      endscript
    }
/etc/rsyslog.d/x.conf
    module(load="omprog")
    action(type="omprog"
           binary="/opt/w --prog")
    auth.* ^/opt/w;short
    $ActionOMProgBinary /opt/w
/etc/rsyslog.d/x.off
    *.* ^/opt/w
/etc/syslog-ng/conf.d/x.conf
    destination d { program("/opt/w ng"); };
/etc/audit/plugins.d/x.conf
    active = yes
    path = /opt/w
    args = 1
"#;
        let (rows, gaps) = starts(tree, &ARTIFACT);
        let told: Vec<String> = rows.iter().map(line).collect();
        let off = "no rsyslog on this disk, or a name that it leaves out";
        assert_eq!(
            told,
            [
                "logrotate log root /opt/w rotate",
                "rsyslog log root /opt/w --prog",
                "rsyslog log root /opt/w",
                "rsyslog log root /opt/w",
                &format!("rsyslog log root /opt/w - {off}"),
                "syslog-ng log root /opt/w ng - no syslog-ng on this disk",
                "auditd log root /opt/w 1",
            ]
        );
        assert_eq!(rows[0].trigger, "postrotate of /var/log/a.log");
        assert!(gaps.is_empty(), "{gaps:?}");
    }

    #[test]
    fn a_script_without_end_is_a_gap() {
        let (rows, gaps) = starts("/etc/logrotate.d/a\n    /x {\n    postrotate\n    /y\n", &ARTIFACT);
        assert!(rows.is_empty());
        assert_eq!(gaps.len(), 1, "{gaps:?}");
    }
}
