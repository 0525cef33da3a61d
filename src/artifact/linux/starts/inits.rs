//! Other inits than systemd and System V: OpenRC, runit, s6, daemontools, dinit, Upstart, BusyBox's mdev, and what the
//! kernel itself starts first. openrc-run(8), runsvdir(8), s6-svscan, dinit-service(5), init(5) of Upstart, mdev's
//! own description, kernel-command-line(7).
use super::{Way, bounded, cut, described, glob, has, is_executable};
use crate::artifact::{Artifact, Os, Out};
use crate::base::Name;
use crate::evidence::{System, Text};
use crate::inventory::Start;
use std::collections::BTreeSet;

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.inits",
    about: "What OpenRC, runit, s6, daemontools, dinit, Upstart, mdev and the kernel itself start",
    os: Os::Linux,
    reads: &[
        "/{sbin,usr/sbin,etc,bin}/init",
        "/init",
        "/linuxrc",
        "/etc/runlevels/*/*",
        "/etc/user/runlevels/*/*",
        "/{etc,var}/service/*/{run,finish}",
        "/{service,run/service}/*/{run,finish}",
        "/etc/runit/runsvdir/*/*/{run,finish}",
        "/etc/{sv,service}/*/{run,finish,log/run}",
        "/etc/s6*/**/{run,up,finish}",
        "/etc/dinit.d/**",
        "/{usr/,}lib/dinit.d/**",
        "/etc/{init,event.d,xdg/upstart}/*",
        "/usr/share/upstart/sessions/*.conf",
        "/home/*/{.init,.config/upstart}/*",
        "/etc/mdev.conf",
        "/etc/hotplug2.rules",
    ],
    references: &["openrc-run(8)", "runsvdir(8)", "s6-svscan", "dinit-service(5)", "upstart init(5)", "mdev"],
    extract,
};

fn extract(system: &System, out: &Out) {
    kernel(system, out);
    openrc(system, out);
    supervised(system, out);
    out.each(system, &["/etc/dinit.d/**", "/usr/lib/dinit.d/**", "/lib/dinit.d/**"], |text| dinit(system, text, out));
    let jobs = ["/etc/init/*.{conf,override}", "/etc/event.d/*", "/etc/xdg/upstart/*", "/usr/share/upstart/sessions/*"];
    let runs = system.resolve("/sbin/upstart").is_some()
        || system.resolve("/sbin/initctl").is_some() && !super::super::systemd::is_init(system);
    out.each(system, &jobs, |text| upstart(system, text, runs, "root", out));
    for user in super::super::accounts::users(system) {
        for folder in [".init", ".config/upstart"] {
            let dir = user.home.join(folder.as_bytes());
            let Some(dir) = dir.plain().filter(|d| d.len() > folder.len().saturating_add(2)) else { continue };
            out.each(system, &[&format!("{dir}/*")], |text| upstart(system, text, runs, &user.name, out));
        }
    }
    out.each(system, &["/etc/mdev.conf"], |text| mdev(system, text, out));
    out.each(system, &["/etc/hotplug2.rules"], |text| hotplug2(system, text, out));
}

/// The first program: the kernel tries these in turn, unless its command line says otherwise.
fn kernel(system: &System, out: &Out) {
    let first = ["/sbin/init", "/etc/init", "/bin/init", "/linuxrc"].iter().find(|p| system.resolve(p).is_some());
    for path in first.into_iter().copied().chain(["/init"]) {
        let Some(target) = system.resolve(path).filter(|e| e.is_file()) else { continue };
        let row = Way::root("kernel", "boot").start(path, "first program of the system", system.evidence(target));
        out.push(Start { command: path.to_owned(), program: Some(target.path.clone()), ..row });
    }
}

/// Links of a runlevel to init scripts.
fn openrc(system: &System, out: &Out) {
    let runs = has(system, &["openrc", "openrc-init", "rc-update"]);
    for entry in glob(system, "/etc/{,user/}runlevels/*/*") {
        let level = Name::new(Name::new(entry.path.parent()).file_name()).display();
        let when = match level.as_str() {
            "shutdown" => "stop",
            "nonetwork" => "manual",
            _ => "boot",
        };
        let way = Way::root("openrc", when)
            .only(is_executable(system, entry), "not executable")
            .only(runs, "no OpenRC on this disk");
        let trigger = format!("runlevel {level}");
        let row = way.file(system, entry, &trigger);
        out.extend(row.map(|s| Start { arguments: "start".to_owned(), ..s }));
        let script = system.resolve(entry.path.bytes()).filter(|e| e.is_file());
        let Some(text) = script.and_then(|script| out.text(system, script)) else { continue };
        if let Some(set) = described::of_openrc(&text.bytes) {
            let name = Name::new(entry.path.file_name()).display();
            out.push(way.words(system, &name, &trigger, &set.command, text.line_at(set.line, set.run)));
        }
    }
}

/// `run` scripts below a folder that a supervisor watches.
fn supervised(system: &System, out: &Out) {
    let mut seen = BTreeSet::new();
    for (by, programs, pattern, watched) in [
        ("runit", ["runsvdir", "runsv"], "/{etc/service,var/service,service,run/service}/*", true),
        ("runit", ["runsvdir", "runsv"], "/etc/runit/runsvdir/*/*", true),
        ("runit", ["runsvdir", "runsv"], "/etc/sv/*", false),
        ("s6", ["s6-svscan", "s6-rc"], "/etc/s6*/{,*/,*/*/}*", true),
    ] {
        let runs = has(system, &programs) || has(system, &["svscan", "s6-svscan"]);
        for folder in glob(system, pattern) {
            // Services are folders, or links to folders.
            let Some(dir) = system.resolve(folder.path.bytes()).filter(|d| d.is_dir()) else { continue };
            let down = system.get(dir.path.join(b"down").bytes()).is_some();
            for (file, when) in
                [("run", "boot"), ("up", "boot"), ("log/run", "boot"), ("finish", "stop"), ("down", "stop")]
            {
                let Some(entry) = system.get(dir.path.join(file.as_bytes()).bytes()) else { continue };
                // Of runit, `down` is a mark; of s6-rc, a script of its own.
                let mark = file == "down" && by != "s6";
                if mark || entry.is_empty() || !seen.insert(entry.path.clone()) {
                    continue;
                }
                let way = Way::root(by, when)
                    .only(by == "s6" || is_executable(system, entry), "not executable")
                    .only(by == "s6" || !down, "a file `down` beside it")
                    .only(watched, "in no folder that is watched")
                    .only(runs, "no such supervisor on this disk");
                let trigger = folder.path.display();
                let name = Name::new(folder.path.file_name()).display();
                out.extend(way.file(system, entry, &trigger).map(|s| Start { name, ..s }));
            }
        }
    }
}

/// `command = …` and its kin; a service counts once something it is waited for by is started.
fn dinit(system: &System, text: &Text<'_>, out: &Out) {
    let runs = has(system, &["dinit"]);
    let name = Name::new(text.entry.path.file_name()).display();
    let mut user = "root".to_owned();
    let mut rows = Vec::new();
    for line in bounded(text, out) {
        let Some((key, value)) = line.text.split_once(['=', ':']).map(|(k, v)| (k.trim(), v.trim())) else { continue };
        match key {
            "run-as" => value.clone_into(&mut user),
            "command" | "stop-command" | "finish-command" => {
                let when = if key == "command" { "boot" } else { "stop" };
                let way = Way::root("dinit", when).only(runs, "no dinit on this disk");
                rows.push(way.words(system, &name, key, value, text.line_at(line.number, line.run)));
            }
            _ => {}
        }
    }
    out.extend(rows.into_iter().map(|s| Start { user: user.clone(), ..s }));
}

/// Jobs: `exec …` and `script … end script`, with what `start on` says.
fn upstart(system: &System, text: &Text<'_>, runs: bool, user: &str, out: &Out) {
    let name = Name::new(text.entry.path.file_name()).display();
    let (mut on, mut as_user, mut manual) = (String::new(), user.to_owned(), false);
    let mut script: Option<(u32, crate::base::Run, Vec<String>, String)> = None;
    let mut found: Vec<(String, crate::base::Evidence, String)> = Vec::new();
    for line in bounded(text, out) {
        let body = line.text.trim();
        if let Some((number, run, mut commands, part)) = script.take() {
            if body == "end script" {
                found.push((commands.join("\n"), text.line_at(number, run), part));
            } else {
                if !body.is_empty() && !body.starts_with('#') && commands.len() < 1000 {
                    commands.push(body.to_owned());
                }
                script = Some((number, run, commands, part));
            }
            continue;
        }
        let (word, rest) = body.split_once(char::is_whitespace).unwrap_or((body, ""));
        let (part, word, rest) = match word {
            "pre-start" | "post-start" | "pre-stop" | "post-stop" => {
                let (second, rest) = rest.trim().split_once(char::is_whitespace).unwrap_or((rest.trim(), ""));
                (word, second, rest)
            }
            _ => ("main", word, rest),
        };
        match word {
            "exec" => found.push((rest.trim().to_owned(), text.line_at(line.number, line.run), part.to_owned())),
            "script" => script = Some((line.number, line.run, Vec::new(), part.to_owned())),
            "start" => on = cut(rest.trim()),
            "setuid" => rest.trim().clone_into(&mut as_user),
            "manual" => manual = true,
            _ => {}
        }
    }
    if let Some((number, ..)) = script {
        out.gap_line(text.entry, number, "a script without its end");
    }
    for (command, evidence, part) in found {
        let way = Way::root("upstart", if part.ends_with("stop") { "stop" } else { "boot" })
            .user(&as_user)
            .only(!on.is_empty() && !manual, "nothing starts the job")
            .only(runs, "no Upstart on this disk");
        out.push(way.shell(system, &name, &format!("{part}; start {on}"), &command, evidence));
    }
}

/// `DEVICE UID:GID MODE [=PATH] [@|$|*COMMAND]`.
fn mdev(system: &System, text: &Text<'_>, out: &Out) {
    let way = Way::root("mdev", "device").only(has(system, &["mdev", "busybox"]), "no mdev on this disk");
    for line in bounded(text, out) {
        let body = line.text.trim();
        let mut rest = body;
        // Device, owner and mode come first; then where the node goes, then the command behind its mark.
        for _ in 0..3 {
            rest = rest.split_once(char::is_whitespace).map_or("", |(_, r)| r.trim_start());
        }
        if rest.starts_with(['=', '>', '!']) {
            rest = rest.split_once(char::is_whitespace).map_or("", |(_, r)| r.trim_start());
        }
        let Some(command) = rest.strip_prefix(['@', '$', '*']).map(str::trim).filter(|_| !body.starts_with('#')) else {
            continue;
        };
        let trigger = body.split_whitespace().next().unwrap_or_default();
        out.push(way.shell(system, "/etc/mdev.conf", trigger, command, text.line_at(line.number, line.run)));
    }
}

/// `condition { exec COMMAND; … }` of OpenWrt's hotplug2.
fn hotplug2(system: &System, text: &Text<'_>, out: &Out) {
    let way = Way::root("hotplug2", "device").only(has(system, &["hotplug2"]), "no hotplug2 on this disk");
    for line in bounded(text, out) {
        let Some((condition, rest)) = line.text.split_once("exec ") else { continue };
        let command = rest.split([';', '}']).next().unwrap_or_default().trim();
        if !condition.trim_start().starts_with('#') && !command.is_empty() {
            let evidence = text.line_at(line.number, line.run);
            out.push(way.shell(system, "/etc/hotplug2.rules", condition.trim(), command, evidence));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::super::testing::{line, starts};
    use super::*;

    #[test]
    fn each_init() {
        let tree = "/sbin/openrc mode=755
    x
/sbin/init -> openrc
/usr/bin/runsvdir mode=755
    x
/usr/bin/s6-svscan mode=755
    x
/usr/sbin/dinit mode=755
    x
/sbin/upstart mode=755
    x
/sbin/mdev mode=755
    x
/opt/w mode=755
    x
/etc/passwd
    crane:x:1000:1000::/home/crane:/bin/sh
/etc/init.d/web mode=755
    #!/sbin/openrc-run
/etc/runlevels/default/web -> /etc/init.d/web
/etc/sv/agent/run mode=755
    #!/bin/sh
/etc/service/agent -> ../sv/agent
/etc/sv/idle/run mode=755
    #!/bin/sh
/etc/s6-rc/source/net/up
    /opt/w
/etc/dinit.d/meter
    type = process
    command = /opt/w --meter
    run-as = crane
/etc/init/tun.conf
    start on runlevel [2345]
    pre-start script
      mkdir -p /run/x
      /opt/w prepare
    end script
    exec /opt/w -d
/home/crane/.config/upstart/s.conf
    exec /opt/w session
/etc/mdev.conf
    ttyUSB[0-9]* root:root 660 @/opt/w modem
    # comment
/etc/hotplug2.rules
    DEVICENAME == ttyUSB { exec /opt/w hot; }
";
        let (rows, gaps) = starts(tree, &ARTIFACT);
        let told: Vec<String> = rows.iter().map(line).collect();
        assert_eq!(
            told,
            [
                "kernel boot root /sbin/openrc",
                "openrc boot root /etc/init.d/web start",
                "runit boot root /etc/sv/agent/run",
                "runit boot root /etc/sv/idle/run - in no folder that is watched",
                "s6 boot root /etc/s6-rc/source/net/up",
                "dinit boot crane /opt/w --meter",
                "upstart boot root /opt/w prepare",
                "upstart boot root /opt/w -d",
                "upstart boot crane /opt/w session - nothing starts the job",
                "mdev device root /opt/w modem",
                "hotplug2 device root /opt/w hot - no hotplug2 on this disk",
            ]
        );
        assert_eq!(rows[6].evidence.line, Some(2));
        assert!(gaps.is_empty(), "{gaps:?}");
    }

    #[test]
    fn binaries_and_scripts_without_end_are_gaps() {
        let (rows, gaps) = starts("/etc/init/a.conf\n    script\n    x\n/etc/mdev.conf @00ff00ff\n", &ARTIFACT);
        assert!(rows.is_empty());
        let told: Vec<&str> = gaps.iter().map(|g| g.what.as_str()).collect();
        assert_eq!(told, ["line 1: a script without its end", "a binary in place of a text; not read"]);
    }
}
