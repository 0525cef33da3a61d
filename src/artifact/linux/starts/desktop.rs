//! Graphical sessions: entries of autostart folders, files of sessions and window managers, keys of display managers.
//! The desktop entry and autostart specifications, xinit(1), Xsession(5), lightdm.conf, gdm's custom.conf, sddm.conf(5).
use super::{Way, bounded, glob, sections};
use crate::artifact::{Artifact, Os, Out};
use crate::base::Name;
use crate::evidence::{System, Text};
use crate::inventory::Start;
use std::collections::BTreeSet;

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.desktop",
    about: "What graphical sessions start: autostart entries, session files, window managers, display managers",
    os: Os::Linux,
    reads: &[
        "/etc/xdg/autostart/*",
        "/usr/{local/,}share/autostart/*",
        "/usr/share/gnome/autostart/*",
        "/usr/share/gdm/greeter/autostart/*",
        "/{root,home/*}/.config/{autostart,plasma-workspace/autostart}/*",
        "/{root,home/*}/.local/share/autostart/*",
        "/{root,home/*}/.kde/{Autostart,share/autostart}/*",
        "/{root,home/*}/.config/{autostart-scripts,plasma-workspace/env,plasma-workspace/shutdown}/*",
        "/{root,home/*}/{.xinitrc,.xserverrc,.xsession,.xprofile,.xsessionrc,.Xsession,.dmrc}",
        "/{root,home/*}/.config/{openbox,labwc,i3,sway,lxsession,hypr,bspwm,awesome}/**",
        "/{root,home/*}/.{i3,fluxbox,icewm,vnc,config/tigervnc}/**",
        "/usr/share/{xsessions,wayland-sessions}/*.desktop",
        "/etc/lightdm/**.conf",
        "/usr/share/lightdm/lightdm.conf.d/*.conf",
        "/etc/{gdm,gdm3}/{custom,daemon}.conf",
        "/etc/sddm.conf",
        "/etc/sddm.conf.d/*.conf",
        "/etc/X11/default-display-manager",
    ],
    references: &["Desktop Application Autostart Specification", "xinit(1)", "sddm.conf(5)", "lightdm.conf"],
    extract,
};

/// Files below a home that a session reads or runs.
const SESSION: &[(&str, &str)] = &[
    (".xinitrc", "xinit"),
    (".xserverrc", "xinit"),
    (".xsession", "xsession"),
    (".Xsession", "xsession"),
    (".xprofile", "xsession"),
    (".xsessionrc", "xsession"),
    (".config/openbox/autostart", "window manager"),
    (".config/openbox/environment", "window manager"),
    (".config/labwc/autostart", "window manager"),
    (".config/lxsession/*/autostart", "window manager"),
    (".config/bspwm/bspwmrc", "window manager"),
    (".config/awesome/rc.lua", "window manager"),
    (".config/autostart-scripts/*", "plasma"),
    (".config/plasma-workspace/env/*", "plasma"),
    (".config/plasma-workspace/shutdown/*", "plasma"),
    (".kde/Autostart/*", "plasma"),
    (".fluxbox/startup", "window manager"),
    (".icewm/startup", "window manager"),
    (".vnc/xstartup", "vnc"),
    (".config/tigervnc/xstartup", "vnc"),
];
/// Files of window managers, of which lines `exec …` run something.
const EXEC: &[&str] = &[".config/i3/config", ".i3/config", ".config/sway/config", ".config/hypr/hyprland.conf"];

fn extract(system: &System, out: &Out) {
    for pattern in [
        "/etc/xdg/autostart/*.desktop",
        "/usr/{local/,}share/autostart/*.desktop",
        "/usr/share/gnome/autostart/*.desktop",
        "/usr/share/gdm/greeter/autostart/*.desktop",
    ] {
        entries(system, pattern, "", out);
    }
    let sessions = "/usr/share/{xsessions,wayland-sessions}/*.desktop";
    for entry in glob(system, sessions) {
        if let Some(text) = out.read(system, entry) {
            out.extend(desktop(system, &text, "display manager", "", out));
        }
    }
    let mut seen = BTreeSet::new();
    for (home, user) in super::shells::homes(system) {
        let Some(home) = home.plain().filter(|_| !user.is_empty()) else { continue };
        for folder in [
            ".config/autostart",
            ".config/plasma-workspace/autostart",
            ".local/share/autostart",
            ".kde/share/autostart",
        ] {
            entries(system, &format!("{home}/{folder}/*.desktop"), &user, out);
        }
        for (file, by) in SESSION {
            for entry in glob(system, &format!("{home}/{file}")) {
                if seen.insert(entry.path.clone()) && !entry.path.bytes().ends_with(b".desktop") {
                    out.extend(Way::root(by, "login").user(&user).file(system, entry, "a graphical session"));
                }
            }
        }
        for file in EXEC {
            if let Some(text) = system.get(format!("{home}/{file}").as_bytes()).and_then(|e| out.read(system, e)) {
                exec_lines(system, &text, &user, out);
            }
        }
    }
    out.each(system, &["/etc/i3/config", "/etc/sway/config"], |text| exec_lines(system, text, "", out));
    let managers = [
        "/etc/lightdm/**.conf",
        "/usr/share/lightdm/lightdm.conf.d/*.conf",
        "/etc/gdm/custom.conf",
        "/etc/gdm3/custom.conf",
        "/etc/gdm3/daemon.conf",
        "/etc/sddm.conf",
        "/etc/sddm.conf.d/*.conf",
    ];
    out.each(system, &managers, |text| manager(system, text, out));
    out.each(system, &["/etc/X11/default-display-manager"], |text| {
        if let Some(line) = bounded(text, out).first().filter(|l| !l.text.trim().is_empty()) {
            let way = Way::root("display manager", "boot");
            out.push(way.words(
                system,
                "default-display-manager",
                "",
                line.text.trim(),
                text.line_at(line.number, line.run),
            ));
        }
    });
}

fn entries(system: &System, pattern: &str, user: &str, out: &Out) {
    for entry in glob(system, pattern) {
        if let Some(text) = out.read(system, entry) {
            out.extend(desktop(system, &text, "xdg-autostart", user, out));
        }
    }
}

/// `Exec` of a desktop entry; field codes such as %u are left as they are.
fn desktop(system: &System, text: &Text<'_>, by: &str, user: &str, out: &Out) -> Option<Start> {
    let ini = sections(text, out);
    let section = ini.sections.iter().find(|s| s.name == "Desktop Entry")?;
    let exec = section.entry("Exec")?;
    let is = |key: &str, value: &str| section.get(key).is_some_and(|v| v.eq_ignore_ascii_case(value));
    let trigger = section.get("OnlyShowIn").map_or(String::new(), |only| format!("only in {only}"));
    let hidden = is("Hidden", "true") || is("X-GNOME-Autostart-enabled", "false");
    let way = Way::root(by, "login").user(user).only(!hidden, "hidden");
    // A session is started by whoever chooses it.
    let way = if by == "display manager" { Way { when: "request", ..way } } else { way };
    let name = Name::new(text.entry.path.file_name()).display();
    let mut evidence = text.line_at(exec.line, exec.run);
    evidence.key = Some("[Desktop Entry] Exec".to_owned());
    Some(way.words(system, &name, &trigger, &exec.value, evidence))
}

/// `exec COMMAND`, `exec_always COMMAND`, `exec-once = COMMAND`.
fn exec_lines(system: &System, text: &Text<'_>, user: &str, out: &Out) {
    for line in bounded(text, out) {
        let (key, rest) = line.text.trim().split_once(|c: char| c.is_whitespace() || c == '=').unwrap_or_default();
        if !matches!(key, "exec" | "exec_always" | "exec-once") {
            continue;
        }
        let command =
            rest.trim_start_matches(|c: char| c.is_whitespace() || c == '=').trim_start_matches("--no-startup-id");
        let way = Way::root("window manager", "login").user(user);
        out.push(way.shell(
            system,
            &text.entry.path.display(),
            key,
            command.trim(),
            text.line_at(line.number, line.run),
        ));
    }
}

/// Keys of a display manager that name a program.
fn manager(system: &System, text: &Text<'_>, out: &Out) {
    let path = text.entry.path.lossy();
    let by = ["lightdm", "gdm", "sddm"].iter().find(|n| path.contains(*n)).copied().unwrap_or("display manager");
    for section in &sections(text, out).sections {
        for e in &section.entries {
            let key = e.key.to_ascii_lowercase();
            let command = key.ends_with("-script")
                || key.ends_with("-command")
                || key.ends_with("-wrapper")
                || key.ends_with("command") && by == "sddm"
                || matches!(key.as_str(), "setupscript" | "displaystopcommand");
            if !command || e.value.trim().is_empty() || e.key.starts_with('#') {
                continue;
            }
            let way = Way::root(by, "login");
            out.push(way.words(system, &e.key, &format!("[{}]", section.name), &e.value, text.line_at(e.line, e.run)));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::super::testing::{line, starts};
    use super::*;

    #[test]
    fn sessions() {
        let tree = "/etc/passwd
    crane:x:1000:1000::/home/crane:/bin/sh
/opt/w mode=755
    x
/etc/xdg/autostart/a.desktop
    [Desktop Entry]
    Type=Application
    Exec=/opt/w --xdg %u
/home/crane/.config/autostart/b.desktop
    [Desktop Entry]
    Exec=sh -c '/opt/w own'
    Hidden=true
/home/crane/.xsessionrc
    x
/home/crane/.config/i3/config
    exec --no-startup-id /opt/w i3
/home/crane/.config/lxsession/LXDE/autostart
    @x
/etc/lightdm/lightdm.conf.d/x.conf
    [Seat:*]
    greeter-setup-script=/opt/w greet
    #session-setup-script=/no
/etc/sddm.conf
    [X11]
    DisplayCommand=/opt/w sddm
/usr/share/xsessions/k.desktop
    [Desktop Entry]
    Exec=/opt/w session
";
        let (rows, gaps) = starts(tree, &ARTIFACT);
        let told: Vec<String> = rows.iter().map(line).collect();
        assert_eq!(
            told,
            [
                "xdg-autostart login  /opt/w --xdg %u",
                "display manager request  /opt/w session",
                "xdg-autostart login crane /opt/w own - hidden",
                "xsession login crane /home/crane/.xsessionrc",
                "window manager login crane /home/crane/.config/lxsession/LXDE/autostart",
                "window manager login crane /opt/w i3",
                "lightdm login root /opt/w greet",
                "sddm login root /opt/w sddm",
            ]
        );
        assert_eq!(rows[0].evidence.line, Some(3));
        assert!(gaps.is_empty(), "{gaps:?}");
    }
}
