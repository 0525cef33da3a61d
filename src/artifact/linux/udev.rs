//! Local device rules: udev(7) rules that name USB ids, run programs, give names, write `new_id`, or mark
//! modems for ModemManager; and the configuration of usb_modeswitch.
use super::program;
use super::starts::{Way, cut};
use crate::artifact::{Artifact, Os, Out};
use crate::base::Evidence;
use crate::evidence::{System, Text};
use crate::format::lines::words;
use crate::format::usbids;
use crate::inventory::{Device, DriverSetting, Start};
use std::collections::BTreeSet;
use std::sync::Arc;

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.udev",
    about: "Devices and programs that udev rules name, new_id writes, modem marks, usb_modeswitch settings.",
    os: Os::Linux,
    reads: &[
        "/etc/udev/rules.d/*.rules",
        "/run/udev/rules.d/*.rules",
        "/usr/local/lib/udev/rules.d/*.rules",
        "/{usr/lib,lib}/udev/rules.d/*.rules",
        "/etc/usb_modeswitch.{conf,d/*,setup}",
    ],
    references: &["udev(7)", "usb_modeswitch(1)"],
    extract,
};

/// Rules of one file that become rows.
const MAX_ROWS: usize = 5_000;

fn extract(system: &System, out: &Out) {
    let local = ["/etc/udev/rules.d/*.rules", "/run/udev/rules.d/*.rules", "/usr/local/lib/udev/rules.d/*.rules"];
    out.each_text(system, &local, |text| rules(text, true, out));
    // Shipped rules describe thousands of devices that were never here; what they do still counts.
    let shipped = ["/usr/lib/udev/rules.d/*.rules", "/lib/udev/rules.d/*.rules"];
    out.each_text(system, &shipped, |text| rules(text, false, out));
    out.each_text(system, &["/etc/usb_modeswitch.d/*"], |text| modeswitch(text, out));
    out.each_text(system, &["/etc/usb_modeswitch.conf", "/etc/usb_modeswitch.setup"], |text| {
        modeswitch_main(text, out);
    });
}

/// `key`, `operator`, `value` of one item of a rule.
struct Item<'a> {
    key: &'a str,
    operator: &'a str,
    value: &'a str,
}

/// The items of a rule: `KEY{attribute}=="value", …`; values may hold escaped quotes and commas.
fn items(line: &str) -> Vec<Item<'_>> {
    let mut all = Vec::new();
    let mut rest = line;
    while let Some(open) = rest.find('"') {
        let (head, tail) = rest.split_at(open);
        let head = head.trim_matches(|c: char| c == ',' || c.is_whitespace());
        // e"…" is a value with escapes.
        let head = head.strip_suffix('e').filter(|h| h.ends_with('=')).unwrap_or(head);
        let body = tail.get(1..).unwrap_or_default();
        let mut escaped = false;
        let end = body.char_indices().find_map(|(at, c)| match c {
            _ if escaped => {
                escaped = false;
                None
            }
            '\\' => {
                escaped = true;
                None
            }
            '"' => Some(at),
            _ => None,
        });
        let Some(end) = end else { break };
        let split = head.find(['=', '!', '+', '-', ':']).unwrap_or(head.len());
        let (key, operator) = head.split_at(split);
        if let Some(value) = body.get(..end) {
            all.push(Item { key: key.trim(), operator: operator.trim(), value });
        }
        rest = body.get(end.saturating_add(1)..).unwrap_or_default();
    }
    all
}

/// Four hex digits in lower case; `None` for patterns and anything else.
fn hex4(text: &str) -> Option<String> {
    (text.len() == 4 && text.chars().all(|c| c.is_ascii_hexdigit())).then(|| text.to_ascii_lowercase())
}

/// Logical lines: a backslash joins, `#` opens a comment line.
fn logical(text: &Text<'_>) -> Vec<(u32, crate::base::Run, String)> {
    let mut all: Vec<(u32, crate::base::Run, String)> = Vec::new();
    let mut open = false;
    for (number, line, run) in text.lines() {
        if !open && line.trim_start().starts_with('#') {
            continue;
        }
        let more = line.ends_with('\\');
        let part = line.strip_suffix('\\').unwrap_or(&line);
        match all.last_mut().filter(|_| open) {
            Some(last) => {
                last.1.len = run.end().saturating_sub(last.1.offset);
                last.2.push_str(part);
            }
            None => all.push((number, run, part.to_owned())),
        }
        open = more;
    }
    all.retain(|l| !l.2.trim().is_empty());
    all
}

fn rules(text: &Text<'_>, local: bool, out: &Out) {
    let file = String::from_utf8_lossy(text.entry.path.file_name()).into_owned();
    let mut rows = 0_usize;
    // Ids that a guard at the head of the file names for all rules: `GOTO` sections.
    let mut guard = String::new();
    for (number, run, line) in logical(text) {
        let items = items(&line);
        let value = |key: &str, operator: &str| {
            let names = |k: &str| {
                k == key || k.strip_suffix('}').and_then(|k| k.split_once('{')).is_some_and(|(_, a)| a == key)
            };
            items.iter().find(|i| names(i.key) && i.operator == operator).map(|i| i.value)
        };
        let vid = value("idVendor", "==").or_else(|| value("ID_VENDOR_ID", "==")).unwrap_or_default();
        let pid = value("idProduct", "==").or_else(|| value("ID_MODEL_ID", "==")).unwrap_or_default();
        let negated = value("idVendor", "!=").and_then(hex4);
        if let (Some(v), Some(_)) = (negated, value("GOTO", "=")) {
            guard = v;
        }
        if value("LABEL", "=").is_some_and(|l| l.ends_with("_end")) {
            guard.clear();
        }
        // `RUN{program}+=`, `PROGRAM==`, `IMPORT{program}=`.
        let (mut driver_rows, mut names, mut marks) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        let pair = format!("{vid}:{pid}");
        let about = if vid.is_empty() { String::new() } else { format!(" [{pair}]") };
        for item in &items {
            match (item.key, item.operator) {
                ("RUN" | "RUN{program}" | "RUN{builtin}" | "PROGRAM" | "IMPORT{program}", op) => {
                    let built_in = item.key == "RUN{builtin}";
                    let program = item.value.trim();
                    if program.contains("new_id") {
                        driver_rows.push((new_id_driver(program), "new-id", format!("{program}{about}")));
                    }
                    if !built_in && !program.is_empty() && op != "!=" {
                        out.push(start(text.system(), &file, &items, item, text.line_at(number, run)));
                    }
                    let word = if item.key.starts_with("RUN") { "RUN" } else { item.key };
                    if (local || op == "=") && !program.is_empty() || (!built_in && program.starts_with('/')) {
                        driver_rows.push((file.clone(), "udev", format!("{word}{op}{program}{about}")));
                    }
                }
                (key, "=") if key.starts_with("ATTR{") && key.contains("new_id") => {
                    driver_rows.push((new_id_driver(key), "new-id", format!("{}{about}", item.value)));
                }
                ("SYMLINK" | "NAME", _) if local => {
                    names.insert(item.value.to_owned());
                }
                (key, _) if key.starts_with("ENV{ID_MM_") => {
                    marks.insert(format!("{}={}", key.trim_start_matches("ENV{").trim_end_matches('}'), item.value));
                }
                _ => {}
            }
        }
        if local {
            driver_rows.extend(marks.iter().map(|m| (file.clone(), "udev", format!("{m}{about}"))));
        }
        for (name, action, value) in driver_rows {
            rows = rows.saturating_add(1);
            if rows > MAX_ROWS {
                out.gap_line(text.entry, number, "budget: rules; the rest was not listed");
                return;
            }
            out.push(DriverSetting {
                name,
                action: action.into(),
                value,
                evidence: text.line_at(number, run),
                ..DriverSetting::default()
            });
        }
        if !local {
            continue;
        }
        let vendor = if vid.is_empty() && !pid.is_empty() { guard.as_str() } else { vid };
        // A pattern such as `1bc7|1e0e` names several vendors.
        for vendor in vendor.split('|').filter_map(hex4) {
            for product in pid.split('|').map(|p| hex4(p).unwrap_or_default()) {
                rows = rows.saturating_add(1);
                if rows > MAX_ROWS {
                    out.gap_line(text.entry, number, "budget: rules; the rest was not listed");
                    return;
                }
                let known = usbids::usb(&vendor, &product);
                out.push(Device {
                    bus: "usb".into(),
                    vendor: vendor.clone(),
                    product: product.clone(),
                    name: known.name.to_owned(),
                    class: Arc::from(known.class),
                    serial: value("serial", "==").unwrap_or_default().to_owned(),
                    driver: value("DRIVERS", "==").or_else(|| value("DRIVER", "==")).unwrap_or_default().to_owned(),
                    node: names.iter().cloned().collect::<Vec<_>>().join(", "),
                    source: "udev-rule".into(),
                    count: 1,
                    evidence: text.line_at(number, run),
                    ..Device::default()
                });
            }
        }
    }
}

/// A program that a rule runs; a bare name lies beside udev's own.
fn start(system: &System, file: &str, items: &[Item<'_>], item: &Item<'_>, evidence: Evidence) -> Start {
    let conditions = items.iter().filter(|i| matches!(i.operator, "==" | "!=") && i.key != "PROGRAM");
    let trigger = conditions.map(|i| format!("{}{}\"{}\"", i.key, i.operator, i.value)).collect::<Vec<_>>().join(", ");
    let words: Vec<String> = words(item.value);
    let folders: Vec<&str> = ["/usr/lib/udev", "/lib/udev"].into_iter().chain(program::PATH.iter().copied()).collect();
    let found = program::of_words(system, &words, &folders);
    let row = Way::root("udev", "device").start(file, &trigger, evidence);
    found.fill(Start { command: cut(item.value), ..row })
}

/// The driver in `/sys/bus/usb-serial/drivers/option1/new_id`; the serial bus numbers its drivers.
fn new_id_driver(text: &str) -> String {
    let Some(at) = text.find("drivers/") else { return String::new() };
    let name = text.get(at.saturating_add(8)..).unwrap_or_default();
    let name = name.split('/').next().unwrap_or_default();
    let name = if text.contains("usb-serial") { name.trim_end_matches('1') } else { name };
    name.replace('-', "_")
}

/// A file named `vid:pid` with `Key=value` lines.
fn modeswitch(text: &Text<'_>, out: &Out) {
    let name = String::from_utf8_lossy(text.entry.path.file_name()).into_owned();
    let Some((vid, rest)) = name.split_once(':') else {
        return modeswitch_main(text, out);
    };
    let pid = rest.get(..4).unwrap_or_default();
    let (Some(vid), Some(pid)) = (hex4(vid), hex4(pid)) else { return };
    let settings: Vec<String> = text
        .lines()
        .map(|(_, l, _)| l.trim().to_owned())
        .filter(|l| l.contains('=') && !l.starts_with('#'))
        .take(32)
        .collect();
    let known = usbids::usb(&vid, &pid);
    out.push(Device {
        bus: "usb".into(),
        vendor: vid.clone(),
        product: pid.clone(),
        name: known.name.to_owned(),
        class: Arc::from(known.class),
        source: "usb-modeswitch".into(),
        count: 1,
        evidence: text.evidence(),
        ..Device::default()
    });
    out.push(DriverSetting {
        name: "usb_modeswitch".to_owned(),
        action: "udev".into(),
        value: format!("{vid}:{pid} {}", settings.join(" ")),
        evidence: text.evidence(),
        ..DriverSetting::default()
    });
}

fn modeswitch_main(text: &Text<'_>, out: &Out) {
    for (number, line, run) in text.lines() {
        let line = line.trim();
        if line.starts_with('#') || !line.contains('=') {
            continue;
        }
        out.push(DriverSetting {
            name: "usb_modeswitch".to_owned(),
            action: "udev".into(),
            value: line.to_owned(),
            evidence: text.line_at(number, run),
            ..DriverSetting::default()
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
    use super::super::starts::testing::line;
    use super::super::testing::{rows, system};
    use super::*;
    use crate::inventory::Row;

    #[test]
    fn rules_name_devices_programs_and_drivers() {
        let s = system(
            r#"/etc/udev/rules.d/99-crane.rules
    # a comment \
    ACTION=="add", SUBSYSTEM=="usb", ATTR{idVendor}=="2C7C", ATTR{idProduct}=="0125", \
      RUN+="/opt/x/up.sh %k", SYMLINK+="modem"
    ATTRS{idVendor}=="1bc7|2c7c", ENV{ID_MM_DEVICE_PROCESS}="1"
    ATTRS{idVendor}!="19d2", GOTO="zte_end"
    ATTRS{idProduct}=="0117", SYMLINK+="zte"
    LABEL="zte_end"
    SUBSYSTEM=="usb", ATTRS{idVendor}=="dead", ATTRS{idProduct}=="beef", RUN+="/bin/sh -c 'echo dead beef > /sys/bus/usb-serial/drivers/option1/new_id'"

/usr/lib/udev/rules.d/77-stock.rules
    ATTRS{idVendor}=="1e0e", ENV{ID_MM_PORT_IGNORE}="1"
    ENV{ID_X}=="y", RUN+="/usr/sbin/tool"

/etc/usb_modeswitch.d/12d1:1446
    # Huawei
    TargetVendor=0x12d1
    HuaweiNewMode=1

/etc/usb_modeswitch.conf
    DisableSwitching=0
"#,
        );
        let (rows, gaps) = rows(&s, &ARTIFACT);
        let mut devices = Vec::new();
        let mut settings = Vec::new();
        let mut runs = Vec::new();
        for row in &rows {
            match row {
                Row::Device(d) => {
                    devices.push(format!("{}:{} {} {} {}", d.vendor, d.product, d.class, d.node, d.source));
                }
                Row::DriverSetting(s) => settings.push(format!("{}|{}|{}", s.name, s.action, s.value)),
                Row::Start(s) => runs.push(line(s)),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(
            devices,
            [
                "2c7c:0125 cellular modem udev-rule",
                "1bc7: maybe-cellular  udev-rule",
                "2c7c: cellular-vendor  udev-rule",
                "19d2:0117 cellular zte udev-rule",
                "dead:beef   udev-rule",
                "12d1:1446 cellular  usb-modeswitch",
            ]
        );
        let shell = "/bin/sh -c 'echo dead beef > /sys/bus/usb-serial/drivers/option1/new_id' [dead:beef]";
        assert_eq!(
            settings,
            [
                "99-crane.rules|udev|RUN+=/opt/x/up.sh %k [2C7C:0125]".to_owned(),
                "99-crane.rules|udev|ID_MM_DEVICE_PROCESS=1 [1bc7|2c7c:]".to_owned(),
                format!("option|new-id|{shell}"),
                format!("99-crane.rules|udev|RUN+={shell}"),
                "77-stock.rules|udev|RUN+=/usr/sbin/tool".to_owned(),
                "usb_modeswitch|udev|12d1:1446 TargetVendor=0x12d1 HuaweiNewMode=1".to_owned(),
                "usb_modeswitch|udev|DisableSwitching=0".to_owned(),
            ]
        );
        assert_eq!(
            runs,
            [
                "udev device root /opt/x/up.sh %k",
                "udev device root /bin/sh -c 'echo dead beef > /sys/bus/usb-serial/drivers/option1/new_id'",
                "udev device root /usr/sbin/tool",
            ]
        );
        assert!(gaps.is_empty(), "{gaps:?}");
    }
}
