//! What starts with the machine, at a login or with every program, by SOFTWARE and by the users' hives: Run and RunOnce,
//! Winlogon, libraries loaded into every program, and what is started in place of a program.
//! Keys: "Run and RunOnce Registry Keys", "Winlogon", "AppInit DLLs" and "Image File Execution Options" of the Windows
//! documentation.
use super::command;
use crate::artifact::Out;
use crate::evidence::{Holds, Registry};
use crate::format::hive::{Key, Value};
use crate::inventory::Start;

/// Keys of which every value is a command.
const RUNS: &[&str] = &[
    r"Microsoft\Windows\CurrentVersion\Run",
    r"Microsoft\Windows\CurrentVersion\RunOnce",
    r"Microsoft\Windows\CurrentVersion\RunServices",
    r"Microsoft\Windows\CurrentVersion\RunServicesOnce",
    r"Microsoft\Windows\CurrentVersion\Policies\Explorer\Run",
];
const WINLOGON: &str = r"Microsoft\Windows NT\CurrentVersion\Winlogon";
const WINDOWS: &str = r"Microsoft\Windows NT\CurrentVersion\Windows";
const OPTIONS: &str = r"Microsoft\Windows NT\CurrentVersion\Image File Execution Options";
/// Where a system of 64 bits keeps the settings of programs of 32.
const NARROW: &[&str] = &["", r"Wow6432Node\"];

pub(super) fn of_machine(registry: &Registry<'_>, out: &Out) {
    for below in NARROW {
        runs(registry, below, out);
        let at = |path: &str| format!("{below}{path}");
        if let Some(key) = registry.key(&at(WINLOGON)) {
            for name in ["Shell", "Userinit", "Taskman"] {
                each(registry, &at(WINLOGON), &key, name, "winlogon", "login", "command", out);
            }
        }
        if let Some(key) = registry.key(&at(WINDOWS)) {
            libraries(registry, &at(WINDOWS), &key, out);
        }
        options(registry, &at(OPTIONS), out);
    }
}

pub(super) fn of_user(registry: &Registry<'_>, out: &Out) {
    for below in NARROW {
        runs(registry, &format!(r"Software\{below}"), out);
    }
    let at = |path: &str| format!(r"Software\{path}");
    if let Some(key) = registry.key(&at(WINLOGON)) {
        each(registry, &at(WINLOGON), &key, "Shell", "winlogon", "login", "command", out);
    }
    if let Some(key) = registry.key(&at(WINDOWS)) {
        for name in ["Load", "Run"] {
            each(registry, &at(WINDOWS), &key, name, "windows-run", "login", "command", out);
        }
    }
    if let Some(key) = registry.key("Environment") {
        each(registry, "Environment", &key, "UserInitMprLogonScript", "winlogon", "login", "command", out);
    }
}

fn user(registry: &Registry<'_>) -> String {
    match &registry.holds {
        Holds::User(name) => name.clone(),
        _ => String::new(),
    }
}

fn row(registry: &Registry<'_>, path: &str, value: &Value, command: String) -> Start {
    let found = command::of(registry.system(), &command);
    Start {
        kind: "command".into(),
        user: user(registry),
        program: found.program,
        arguments: found.arguments,
        command,
        enabled: true,
        why: vec![format!(r"{}\{path}", registry.holds.at())],
        evidence: registry.of_value(path, value),
        ..Start::default()
    }
}

/// Every value of the keys that are lists of commands.
fn runs(registry: &Registry<'_>, below: &str, out: &Out) {
    for run in RUNS {
        let path = format!("{below}{run}");
        let Some(key) = registry.key(&path) else { continue };
        let last = run.rsplit('\\').next().unwrap_or_default();
        for value in registry.hive.values(&key) {
            let Some(command) = registry.shown(&value).filter(|t| !t.trim().is_empty()) else { continue };
            let is_once = last.contains("Once");
            out.push(Start {
                by: "windows-run".into(),
                name: value.name.lossy().into_owned(),
                when: if last.starts_with("RunServices") { "boot" } else { "login" }.into(),
                trigger: if is_once { format!("{last}: the next time only") } else { last.to_owned() },
                ..row(registry, &path, &value, command)
            });
        }
    }
}

/// The commands of one value, with commas between.
#[allow(clippy::too_many_arguments)] // what a row needs
fn each(registry: &Registry<'_>, path: &str, key: &Key, name: &str, by: &str, when: &str, kind: &str, out: &Out) {
    let Some(value) = registry.hive.value(key, name) else { return };
    let Some(text) = registry.shown(&value) else { return };
    for command in text.split(',').map(str::trim).filter(|c| !c.is_empty()) {
        out.push(Start {
            by: by.into(),
            name: name.to_owned(),
            when: when.into(),
            trigger: name.to_owned(),
            kind: kind.into(),
            ..row(registry, path, &value, command.to_owned())
        });
    }
}

/// Libraries that every program with a window loads, where that is turned on.
fn libraries(registry: &Registry<'_>, path: &str, key: &Key, out: &Out) {
    let Some(value) = registry.hive.value(key, "AppInit_DLLs") else { return };
    let Some(text) = registry.shown(&value) else { return };
    // Before Windows Vista there is no switch.
    let is_on = registry.number(key, "LoadAppInit_DLLs").is_none_or(|n| n != 0);
    for library in text.split([',', ' ']).filter(|l| !l.is_empty()) {
        let file = command::file(registry.system(), library);
        let why = if is_on { "LoadAppInit_DLLs is on" } else { "LoadAppInit_DLLs is 0" };
        out.push(Start {
            by: "appinit".into(),
            name: "AppInit_DLLs".into(),
            when: "program".into(),
            trigger: "any program with a window".into(),
            kind: "library".into(),
            program: file,
            arguments: String::new(),
            enabled: is_on,
            why: vec![why.into()],
            ..row(registry, path, &value, library.to_owned())
        });
    }
}

/// What is started in place of a program, or with it.
fn options(registry: &Registry<'_>, path: &str, out: &Out) {
    let Some(all) = registry.key(path) else { return };
    for key in registry.hive.subkeys(&all) {
        let name = key.name.lossy().into_owned();
        let path = format!(r"{path}\{name}");
        for (value, kind) in [("Debugger", "command"), ("VerifierDlls", "library")] {
            let Some(value) = registry.hive.value(&key, value) else { continue };
            let Some(command) = registry.shown(&value).filter(|t| !t.trim().is_empty()) else { continue };
            out.push(Start {
                by: "image-options".into(),
                name: name.clone(),
                when: "program".into(),
                trigger: format!("{name} is started"),
                kind: kind.into(),
                ..row(registry, &path, &value, command)
            });
        }
    }
}
