//! Programs that start others and keep them alive: supervisord, monit, pm2, keepalived.
//! supervisord's configuration reference, monit(1), pm2's `dump.pm2`, keepalived.conf(5).
use super::{Way, bounded, glob, has};
use crate::artifact::{Artifact, Os, Out};
use crate::evidence::{System, Text};
use crate::format::lines::words;
use crate::inventory::Start;
use serde_json::Value;

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.supervisors",
    about: "Commands of supervisord, monit, pm2 and keepalived",
    os: Os::Linux,
    reads: &[
        "/etc/supervisord.conf",
        "/etc/supervisord.d/*",
        "/etc/supervisor/**.{conf,ini}",
        "/etc/monit{rc,.conf}",
        "/etc/monit/**",
        "/etc/monit.d/*",
        "/home/*/.pm2/dump.pm2",
        "/root/.pm2/dump.pm2",
        "/etc/keepalived/**.conf",
    ],
    references: &["supervisord configuration", "monit(1)", "pm2 resurrect", "keepalived.conf(5)"],
    extract,
};

const MAX_APPS: usize = 1000;

fn extract(system: &System, out: &Out) {
    let runs = has(system, &["supervisord"]);
    let files = ["/etc/supervisord.conf", "/etc/supervisord.d/*", "/etc/supervisor/**"];
    out.each(system, &files, |text| supervisord(system, text, runs, out));
    let runs = has(system, &["monit"]);
    let files = ["/etc/monitrc", "/etc/monit.conf", "/etc/monit/**", "/etc/monit.d/*"];
    out.each(system, &files, |text| monit(system, text, runs, out));
    for entry in glob(system, "/{root,home/*}/.pm2/dump.pm2") {
        if let Some(text) = out.read(system, entry) {
            pm2(system, &text, out);
        }
    }
    let runs = has(system, &["keepalived"]);
    out.each(system, &["/etc/keepalived/**"], |text| {
        for line in bounded(text, out) {
            let body = line.text.trim();
            let (key, value) = body.split_once(char::is_whitespace).unwrap_or((body, ""));
            if key == "script" || key.starts_with("notify") {
                let way = Way::root("keepalived", "network").only(runs, "no keepalived on this disk");
                let command = crate::format::lines::unquote(value);
                out.push(way.shell(system, key, key, command, text.line_at(line.number, line.run)));
            }
        }
    });
}

/// `[program:x] command=… autostart=… user=…`; a line that begins with a blank goes on.
fn supervisord(system: &System, text: &Text<'_>, runs: bool, out: &Out) {
    let mut section = String::new();
    let mut open: Vec<Start> = Vec::new();
    let flush = |rows: &mut Vec<Start>| out.extend(std::mem::take(rows));
    for line in bounded(text, out) {
        let body = line.text.split(" ;").next().unwrap_or_default().trim();
        if body.is_empty() || body.starts_with([';', '#']) {
            continue;
        }
        if let Some(name) = body.strip_prefix('[').and_then(|b| b.split(']').next()) {
            flush(&mut open);
            name.clone_into(&mut section);
            continue;
        }
        let Some((key, value)) = body.split_once('=').map(|(k, v)| (k.trim(), v.trim())) else { continue };
        let kind = section.split(':').next().unwrap_or_default();
        match (kind, key) {
            ("program" | "eventlistener" | "fcgi-program", "command") => {
                let way = Way::root("supervisord", "boot").only(runs, "no supervisord on this disk");
                open.push(way.words(system, &section, "autostart", value, text.line_at(line.number, line.run)));
            }
            (_, "user") => open.iter_mut().for_each(|s| value.clone_into(&mut s.user)),
            (_, "autostart") if value.eq_ignore_ascii_case("false") => {
                for row in &mut open {
                    (row.enabled, row.when, row.why) = (false, "manual".into(), vec!["autostart=false".to_owned()]);
                }
            }
            _ => {}
        }
    }
    flush(&mut open);
}

/// `start program = "…"`, `if … then exec "…"`, `check program x with path "…"`.
fn monit(system: &System, text: &Text<'_>, runs: bool, out: &Out) {
    let mut name = String::new();
    for line in bounded(text, out) {
        let all = words(&line.text);
        let lower: Vec<String> = all.iter().map(|w| w.to_ascii_lowercase()).collect();
        let first = lower.first().map_or("", String::as_str);
        if first == "check" {
            name = all.get(2).cloned().unwrap_or_default();
        }
        let program = ["program", "script"].contains(&lower.get(1).map_or("", String::as_str));
        let after = |word: &str| lower.iter().position(|w| w == word).map(|at| at.saturating_add(1));
        let command = match first {
            "start" | "stop" | "restart" => after("program").or_else(|| after("=")),
            "check" if program => after("path"),
            _ => after("exec"),
        };
        let mut rest = command.and_then(|at| all.get(at..)).unwrap_or_default().iter().skip_while(|w| *w == "=");
        let Some(command) = rest.next() else { continue };
        let when = if first == "stop" { "stop" } else { "event" };
        let way = Way::root("monit", when).only(runs, "no monit on this disk");
        let trigger = if first == "check" { "each check" } else { first };
        out.push(way.words(system, &name, trigger, command, text.line_at(line.number, line.run)));
    }
}

/// What `pm2 resurrect` starts: an array of applications.
fn pm2(system: &System, text: &Text<'_>, out: &Out) {
    let parsed: Value = match serde_json::from_slice(&text.bytes) {
        Ok(value) => value,
        Err(e) => return out.gap(text.entry, format!("no JSON: {e}")),
    };
    let home = text.entry.path.lossy();
    let user = home.strip_prefix("/home/").and_then(|h| h.split('/').next()).unwrap_or("root").to_owned();
    if parsed.as_array().is_some_and(|a| a.len() > MAX_APPS) {
        out.gap(text.entry, "budget: applications; the rest was not listed");
    }
    for (at, app) in parsed.as_array().into_iter().flatten().take(MAX_APPS).enumerate() {
        let get = |key: &str| app.get(key).and_then(Value::as_str).unwrap_or_default();
        let path = get("pm_exec_path");
        if path.is_empty() {
            continue;
        }
        let way = Way::root("pm2", "boot").user(&user);
        let args = app.get("args").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let line = std::iter::once(path).chain(args).collect::<Vec<_>>().join(" ");
        let row =
            way.words(system, get("name"), "pm2 resurrect", &line, text.key(None, &format!("/{at}/pm_exec_path")));
        out.push(row);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::super::testing::{line, starts};
    use super::*;

    #[test]
    fn each_supervisor() {
        let tree = r#"/usr/bin/supervisord mode=755
    x
/usr/bin/monit mode=755
    x
/opt/w mode=755
    x
/etc/supervisor/conf.d/a.conf
    [program:agent]
    command=/opt/w "a b" -x
    user=crane
    [program:off]
    command=/opt/w off
    autostart=false
/etc/monit/conf.d/b
    check process tun with pidfile /run/tun.pid
      start program = "/opt/w up" as uid root
      if failed port 22 then exec "/bin/sh -c '/opt/w fail'"
    check program probe with path "/opt/w probe" every 5 cycles
/home/crane/.pm2/dump.pm2
    [{"name":"dash","pm_exec_path":"/opt/w","args":["--port","1880"]}]
/etc/keepalived/keepalived.conf
    vrrp_instance x {
      notify_master "/opt/w master"
    }
"#;
        let (rows, gaps) = starts(tree, &ARTIFACT);
        let told: Vec<String> = rows.iter().map(line).collect();
        assert_eq!(
            told,
            [
                "supervisord boot crane /opt/w 'a b' -x",
                "supervisord manual root /opt/w off - autostart=false",
                "monit event root /opt/w up",
                "monit event root /opt/w fail",
                "monit event root /opt/w probe",
                "pm2 boot crane /opt/w --port 1880",
                "keepalived network root /opt/w master - no keepalived on this disk",
            ]
        );
        assert_eq!((rows[0].evidence.line, rows[2].name.as_str()), (Some(2), "tun"));
        assert!(gaps.is_empty(), "{gaps:?}");
    }

    #[test]
    fn broken_files_are_gaps() {
        let (rows, gaps) = starts("/root/.pm2/dump.pm2\n    [{\n/etc/monitrc @000102\n", &ARTIFACT);
        assert!(rows.is_empty());
        assert_eq!(gaps.len(), 2, "{gaps:?}");
    }
}
