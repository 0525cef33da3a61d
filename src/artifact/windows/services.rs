//! Services and drivers: what the service manager or the kernel starts, with its account, and the library that a shared
//! host loads. Keys: `Services` of the control set. Values: winnt.h (SERVICE_*), "HKLM\SYSTEM\CurrentControlSet\Services
//! Registry Tree" of the driver documentation.
use super::command;
use crate::artifact::Out;
use crate::evidence::Registry;
use crate::format::hive::{Key, Value};
use crate::inventory::{Service, Start};

/// Bits of `Type` that make a driver, and a service.
const DRIVER: u32 = 0x1 | 0x2 | 0x4 | 0x8;
const SERVICE: u32 = 0x10 | 0x20;

pub(super) fn read(registry: &Registry<'_>, set: &str, out: &Out) {
    let at = format!(r"{set}\Services");
    let Some(services) = registry.key(&at) else { return };
    for key in registry.hive.subkeys(&services) {
        one(registry, &format!(r"{at}\{}", key.name.lossy()), &key, out);
    }
}

/// When it starts, as the manager's tools word it, and whether anything does start it.
fn state(start: u32, is_delayed: bool) -> (&'static str, bool) {
    match start {
        0 => ("boot", true),
        1 => ("system", true),
        2 if is_delayed => ("automatic (delayed)", true),
        2 => ("automatic", true),
        3 => ("manual", false),
        4 => ("disabled", false),
        _ => ("bad", false),
    }
}

fn one(registry: &Registry<'_>, path: &str, key: &Key, out: &Out) {
    let values = registry.hive.values(key);
    let value = |name: &str| values.iter().find(|v| v.name.bytes().eq_ignore_ascii_case(name.as_bytes()));
    let text = |name: &str| value(name).and_then(|v| registry.shown(v)).unwrap_or_default();
    let number = |name: &str| text(name).parse::<u32>().ok();
    // What has no type is no service: settings that a program keeps here.
    let Some(kind) = number("Type").filter(|k| k & (DRIVER | SERVICE) != 0) else { return };
    let is_driver = kind & DRIVER != 0;
    let name = key.name.lossy().into_owned();
    let Some(start) = number("Start") else { return };
    let (state, by_itself) = state(start, number("DelayedAutostart") == Some(1));
    let triggers: Vec<String> = registry
        .hive
        .subkey(key, "TriggerInfo")
        .filter(|_| start != 4)
        .map(|t| registry.hive.subkeys(&t).iter().filter_map(|t| registry.number(t, "Type")).map(trigger).collect())
        .unwrap_or_default();
    let enabled = by_itself || !triggers.is_empty();
    let image = value("ImagePath");
    let mut command = image.and_then(|v| registry.shown(v)).unwrap_or_default();
    // Without one, a driver is the file of its own name.
    if command.is_empty() && is_driver {
        command = format!(r"\SystemRoot\System32\drivers\{name}.sys");
    }
    let found = command::of(registry.system(), &command);
    let parameters = registry.hive.subkey(key, "Parameters");
    let inner = parameters.as_ref().and_then(|p| registry.hive.value(p, "ServiceDll"));
    let library: Option<(Value, String)> = match inner {
        Some(value) => Some((value, format!(r"{path}\Parameters"))),
        None => value("ServiceDll").map(|v| (v.clone(), path.to_owned())),
    };
    let mut commands = vec![format!("ImagePath={command}")];
    let mut program = found.program.clone();
    let way = |command: String, evidence| Start {
        by: "windows-service".into(),
        name: name.clone(),
        when: if by_itself {
            "boot"
        } else if enabled {
            "event"
        } else {
            "manual"
        }
        .into(),
        trigger: if triggers.is_empty() { format!("Start={start}") } else { triggers.join(", ") },
        user: text("ObjectName"),
        command,
        enabled,
        why: vec![format!("Start={start} ({state})")],
        evidence,
        ..Start::default()
    };
    let evidence = |v: Option<&Value>| v.map_or_else(|| registry.of_key(path, key), |v| registry.of_value(path, v));
    if !command.is_empty() {
        let kind = if is_driver { "library" } else { "command" }.into();
        let arguments = found.arguments;
        out.push(Start { kind, program: found.program, arguments, ..way(command, evidence(image)) });
    }
    if let Some((value, at)) = library
        && let Some(dll) = registry.shown(&value).filter(|t| !t.is_empty())
    {
        commands.push(format!("ServiceDll={dll}"));
        let file = command::file(registry.system(), &dll);
        program = file.clone().or(program);
        let row = way(dll, registry.of_value(&at, &value));
        out.push(Start { kind: "library".into(), program: file, ..row });
    }
    // What runs when it fails counts only where the actions say so; a service that is not started does not fail.
    if let Some(value) = value("FailureCommand")
        && let Some(failure) = registry.shown(value).filter(|t| !t.is_empty())
    {
        commands.push(format!("FailureCommand={failure}"));
        let found = command::of(registry.system(), &failure);
        let row = way(failure, registry.of_value(path, value));
        let trigger = "the service fails".to_owned();
        let kind = "command".into();
        out.push(Start {
            kind,
            when: "event".into(),
            trigger,
            program: found.program,
            arguments: found.arguments,
            ..row
        });
    }
    out.push(Service {
        name,
        manager: "windows".into(),
        kind: if is_driver { "driver" } else { "service" }.into(),
        description: text("DisplayName"),
        state: state.into(),
        enabled,
        enabled_by: if enabled { vec![format!("Start={start} ({state})")] } else { Vec::new() },
        user: text("ObjectName"),
        commands,
        program,
        triggers,
        evidence: evidence(image),
        ..Service::default()
    });
}

/// What a trigger waits for (SERVICE_TRIGGER_TYPE).
fn trigger(kind: u32) -> String {
    match kind {
        1 => "device-arrival".to_owned(),
        2 => "ip-address".to_owned(),
        3 => "domain-join".to_owned(),
        4 => "firewall-port".to_owned(),
        5 => "group-policy".to_owned(),
        6 => "network-endpoint".to_owned(),
        20 => "custom-event".to_owned(),
        n => format!("trigger {n}"),
    }
}
