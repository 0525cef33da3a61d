//! What the configuration says about drivers → `driver_settings`, and what is built in → `drivers`.
//!
//! Formats: modprobe.d(5), modules-load.d(5), modules(5), kernel-command-line(7),
//! `Documentation/kbuild/kbuild.rst` (modules.builtin), dracut.conf(5), initramfs-tools(7).
use super::modules::canonical;
use super::starts::Way;
use crate::artifact::{Artifact, Os, Out};
use crate::base::{FsId, NodeId, Run};
use crate::evidence::{Entry, System, Text};
use crate::inventory::{Driver, DriverSetting};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.driver-settings",
    about: "Drivers that are built in, loaded at boot, kept out, replaced by commands, or given options.",
    os: Os::Linux,
    reads: &[
        "/lib/modules/*/modules.builtin",
        "/lib/modules/*/modules.builtin.modinfo",
        "/lib/modules/*/modules.order",
        "/lib/modules/*/modules.alias",
        "/etc/modules",
        "/{etc,run,usr/local/lib,usr/lib,lib}/modules-load.d/*.conf",
        "/etc/modprobe.conf",
        "/{etc,run,usr/local/lib,usr/lib,lib}/modprobe.d/*.conf",
        "/{etc,usr/share}/initramfs-tools/modules",
        "/etc/dracut.conf",
        "/{etc,usr/lib}/dracut.conf.d/*.conf",
        "/etc/mkinitcpio.conf",
        "/etc/default/grub",
        "/etc/default/grub.d/*.cfg",
        "/etc/kernel/cmdline",
        "/boot/{,efi/,firmware/}{grub,grub2,loader,extlinux}/**.{cfg,conf}",
        "/boot/{,firmware/}cmdline.txt",
    ],
    references: &["man 5 modprobe.d", "man 5 modules-load.d", "man 7 kernel-command-line", "man 5 dracut.conf"],
    extract,
};

fn extract(system: &System, out: &Out) {
    builtin(system, out);
    super::module_index::read(system, out);
    let seen = &mut BTreeSet::new();
    for (text, effective) in layered(system, out, "modprobe.d", seen) {
        modprobe(&text, effective, out);
    }
    out.each(system, &["/etc/modprobe.conf"], |text| modprobe(text, true, out));
    // /etc/modules-load.d/modules.conf is usually a link to /etc/modules: read once, whichever comes first.
    for (text, effective) in layered(system, out, "modules-load.d", seen) {
        load_list(&text, "", effective, out);
    }
    for (path, value) in [
        ("/etc/modules", ""),
        ("/etc/initramfs-tools/modules", "initramfs"),
        ("/usr/share/initramfs-tools/modules", "initramfs"),
    ] {
        if let Some(entry) = system.resolve(path)
            && seen.insert((entry.fs, entry.node))
            && let Some(text) = out.read(system, entry)
        {
            load_list(&text, value, true, out);
        }
    }
    out.each(
        system,
        &["/etc/dracut.conf", "/etc/dracut.conf.d/*.conf", "/usr/lib/dracut.conf.d/*.conf", "/etc/mkinitcpio.conf"],
        |text| initramfs(text, out),
    );
    out.each(
        system,
        &[
            "/etc/default/grub",
            "/etc/default/grub.d/*.cfg",
            "/etc/kernel/cmdline",
            "/boot/{,efi/,firmware/}{grub,grub2,loader,extlinux}/**.{cfg,conf}",
            "/boot/efi/EFI/*/grub.cfg",
            "/boot/{,firmware/}cmdline.txt",
        ],
        |text| command_lines(text, out),
    );
}

/// The `*.conf` files of one name's folders, those first that override others of the same file name.
fn layered<'a>(
    system: &'a System,
    out: &Out,
    folder: &str,
    seen: &mut BTreeSet<(FsId, NodeId)>,
) -> Vec<(Text<'a>, bool)> {
    let mut names = BTreeSet::new();
    let mut found = Vec::new();
    for root in ["/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib"] {
        let mut here: Vec<&Entry> = system.glob(&format!("{root}/{folder}/*.conf"));
        here.sort_by(|a, b| a.path.cmp(&b.path));
        for entry in here {
            // A link to /dev/null holds nothing, and still hides what comes after it.
            let effective = names.insert(entry.path.file_name().to_vec());
            let Some(target) = system.resolve(entry.path.bytes()) else {
                continue;
            };
            if seen.insert((target.fs, target.node))
                && let Some(text) = out.read(system, target)
            {
                found.push((text, effective));
            }
        }
    }
    found
}

/// `modules.builtin` names them, `modules.builtin.modinfo` says more.
fn builtin(system: &System, out: &Out) {
    out.each(system, &["/lib/modules/*/modules.builtin"], |text| {
        let path = text.entry.path.lossy();
        let folder = path.strip_suffix("/modules.builtin").unwrap_or_default();
        let kernel = folder.rsplit('/').next().unwrap_or_default();
        let info = system
            .get(format!("{folder}/modules.builtin.modinfo"))
            .and_then(|e| out.read(system, e))
            .map(|t| builtin_info(&t.bytes))
            .unwrap_or_default();
        for (number, line, run) in text.lines().filter(|(_, line, _)| !line.trim().is_empty()) {
            let name = canonical(line.trim());
            let said = info.get(&name);
            let all = |key: &str| -> Vec<&str> {
                let pairs = said.into_iter().flatten();
                pairs.filter(|(k, _)| k == key).map(|(_, v)| v.as_str()).collect()
            };
            let first = |key: &str| all(key).first().copied().unwrap_or_default();
            let (modem_ids, modems) = super::modules::modems(&name, all("alias").into_iter());
            out.push(Driver {
                modem_ids,
                modems,
                license: first("license").into(),
                description: all("description").join(", "),
                author: all("author").join(", "),
                version: first("version").into(),
                aliases: u32::try_from(all("alias").len()).unwrap_or(u32::MAX),
                name: name.as_str().into(),
                kernel: kernel.into(),
                builtin: true,
                evidence: text.line_at(number, run),
                ..Driver::default()
            });
        }
    });
}

/// `name.key=value`, each ended by NUL.
fn builtin_info(bytes: &[u8]) -> BTreeMap<String, Vec<(String, String)>> {
    let mut all: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for pair in bytes.split(|b| *b == 0) {
        let pair = String::from_utf8_lossy(pair);
        if let Some((name, rest)) = pair.split_once('.')
            && let Some((key, value)) = rest.split_once('=')
        {
            all.entry(canonical(name)).or_default().push((key.to_owned(), value.to_owned()));
        }
    }
    all
}

/// One setting at one line.
struct Setting<'a> {
    name: &'a str,
    action: &'static str,
    value: &'a str,
    effective: bool,
}

fn push(setting: &Setting<'_>, text: &Text<'_>, line: u32, run: Run, out: &Out) {
    // An alias pattern is no module name: it stays as written.
    out.push(DriverSetting {
        name: canonical(setting.name),
        action: setting.action.into(),
        value: setting.value.trim().to_owned(),
        effective: setting.effective,
        evidence: text.line_at(line, run),
        ..DriverSetting::default()
    });
}

fn modprobe(text: &Text<'_>, effective: bool, out: &Out) {
    for (number, line, run) in joined(text) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (command, rest) = word(line);
        let (first, tail) = word(rest);
        let (action, name, value) = match command {
            "blacklist" => ("blacklist", first, tail),
            "install" => ("install", first, tail),
            "remove" => ("remove", first, tail),
            "options" => ("options", first, tail),
            "softdep" => ("softdep", first, tail),
            "weakdep" => ("weakdep", first, tail),
            // `alias PATTERN MODULE`: the module is the name, the pattern the value.
            "alias" => ("alias", tail, first),
            // Folders of further configuration, of very old systems.
            "config" | "include" => {
                out.gap_line(text.entry, number, format!("`{command}` leads to further files, which are not followed"));
                continue;
            }
            _ => {
                out.gap_line(text.entry, number, "not a modprobe command");
                continue;
            }
        };
        if matches!(action, "install" | "remove") && !value.is_empty() {
            let way = Way::root("modprobe", "device").only(effective, "a file of the same name has its place");
            let evidence = text.line_at(number, run);
            out.push(way.shell(text.system(), name, &format!("{action} {name}"), value, evidence));
        }
        push(&Setting { name, action, value, effective }, text, number, run, out);
    }
}

/// One module a line, options behind it.
fn load_list(text: &Text<'_>, value: &str, effective: bool, out: &Out) {
    for (number, line, run) in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() || line.starts_with(';') {
            continue;
        }
        let (name, options) = word(line);
        let value = if options.is_empty() { value } else { options };
        push(&Setting { name, action: "load", value, effective }, text, number, run, out);
    }
}

/// dracut's `add_drivers+=" a b "` and mkinitcpio's `MODULES=(a b)`.
fn initramfs(text: &Text<'_>, out: &Out) {
    for (number, line, run) in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let Some((key, list)) = line.split_once('=') else {
            continue;
        };
        let action = match key.trim().trim_end_matches('+') {
            "add_drivers" | "force_drivers" | "drivers" | "filesystems" | "MODULES" => "load",
            "omit_drivers" => "blacklist",
            _ => continue,
        };
        for name in list.split(|c: char| c.is_whitespace() || "\"'()".contains(c)).filter(|n| !n.is_empty()) {
            push(&Setting { name, action, value: "initramfs", effective: true }, text, number, run, out);
        }
    }
}

/// Every line of a boot loader's configuration that hands parameters to the kernel.
fn command_lines(text: &Text<'_>, out: &Out) {
    let mut seen = BTreeSet::new();
    let bare = matches!(text.entry.path.file_name(), b"cmdline" | b"cmdline.txt");
    for (number, line, run) in text.lines() {
        let line = line.trim();
        let key = line.split(|c: char| c.is_whitespace() || c == '=').next().unwrap_or_default();
        let kernel =
            bare || matches!(
                key,
                "linux" | "linux16" | "linuxefi" | "options" | "append" | "APPEND" | "multiboot" | "kernel"
            ) || key.starts_with("GRUB_CMDLINE_LINUX");
        if line.starts_with('#') || !kernel {
            continue;
        }
        for parameter in line.split(|c: char| c.is_whitespace() || "\"'".contains(c)) {
            for (name, action, value) in parameters(parameter) {
                if seen.insert((name.clone(), action, value.clone())) {
                    push(&Setting { name: &name, action, value: &value, effective: true }, text, number, run, out);
                }
            }
        }
    }
}

/// What one kernel parameter says about modules.
fn parameters(parameter: &str) -> Vec<(String, &'static str, String)> {
    const PLACE: &str = "kernel command line";
    let Some((key, value)) = parameter.split_once('=') else {
        return Vec::new();
    };
    let action = match key {
        "modprobe.blacklist" | "module_blacklist" | "rd.driver.blacklist" | "rdblacklist" => "blacklist",
        "modules-load" | "modules_load" | "rd.modules-load" | "rd.modules_load" | "rd.driver.pre"
        | "rd.driver.post" | "rdloaddriver" => "load",
        _ => {
            // `module.parameter=value`; other programs use dots too.
            let others = [
                "rd",
                "systemd",
                "luks",
                "plymouth",
                "net",
                "fsck",
                "locale",
                "vconsole",
                "udev",
                "sysctl",
                "snapd",
                "cgroup",
                "printk",
                "GRUB_CMDLINE_LINUX",
                "ip",
                "root",
                "console",
            ];
            return match key.split_once('.') {
                Some((module, option)) if !others.contains(&module) && is_word(module) && is_word(option) => {
                    vec![(module.to_owned(), "options", format!("{option}={value} ({PLACE})"))]
                }
                _ => Vec::new(),
            };
        }
    };
    value.split(',').filter(|n| !n.is_empty()).map(|n| (n.to_owned(), action, PLACE.to_owned())).collect()
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

/// The first word, and what follows it.
fn word(line: &str) -> (&str, &str) {
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    (word, rest.trim_start())
}

/// Lines with a backslash at their end joined to the next; number and bytes are those of the first.
fn joined(text: &Text<'_>) -> Vec<(u32, String, Run)> {
    let mut all: Vec<(u32, String, Run)> = Vec::new();
    let mut open = false;
    for (number, line, run) in text.lines() {
        let (part, more) = match line.strip_suffix('\\') {
            Some(part) => (part, true),
            None => (&*line, false),
        };
        match all.last_mut().filter(|_| open) {
            Some(last) => {
                last.1.push_str(part);
                last.2.len = run.end().saturating_sub(last.2.offset);
            }
            None => all.push((number, part.to_owned(), run)),
        }
        open = more;
    }
    all
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::testing;
    use super::*;
    use crate::inventory::Row;

    fn settings(tree: &str) -> Vec<(String, String, String, bool)> {
        let system = testing::system(tree);
        let (rows, _) = testing::rows(&system, &ARTIFACT);
        let mut all: Vec<_> = rows
            .into_iter()
            .filter_map(|r| match r {
                Row::DriverSetting(s) => Some((s.name, s.action.to_string(), s.value, s.effective)),
                _ => None,
            })
            .collect();
        all.sort();
        all
    }
    fn row(name: &str, action: &str, value: &str, effective: bool) -> (String, String, String, bool) {
        (name.into(), action.into(), value.into(), effective)
    }

    #[test]
    fn reads_every_place_that_loads_or_blocks() {
        let tree = "\
/etc/modules
    # comment
    lp
    qmi-wwan  debug=1
/etc/modules-load.d/modules.conf -> ../modules
/usr/lib/modules-load.d/wwan.conf
    ; comment
    cdc_mbim
/etc/initramfs-tools/modules
    usb-storage
/etc/dracut.conf.d/x.conf
    add_drivers+=\" option qcserial \"
    omit_drivers+=\" nouveau \"
/etc/default/grub
    GRUB_CMDLINE_LINUX=\"quiet modprobe.blacklist=cdc_ether,rndis_host usbcore.autosuspend=-1 net.ifnames=0\"
    #GRUB_CMDLINE_LINUX=\"modprobe.blacklist=no\"
/boot/grub/grub.cfg
    menuentry 'a' {
      linux /vmlinuz root=UUID=1 ro modules-load=rk
      linux /vmlinuz root=UUID=1 ro modules-load=rk single
    }
";
        assert_eq!(
            settings(tree),
            [
                row("cdc_ether", "blacklist", "kernel command line", true),
                row("cdc_mbim", "load", "", true),
                row("lp", "load", "", true),
                row("nouveau", "blacklist", "initramfs", true),
                row("option", "load", "initramfs", true),
                row("qcserial", "load", "initramfs", true),
                row("qmi_wwan", "load", "debug=1", true),
                row("rk", "load", "kernel command line", true),
                row("rndis_host", "blacklist", "kernel command line", true),
                row("usb_storage", "load", "initramfs", true),
                row("usbcore", "options", "autosuspend=-1 (kernel command line)", true),
            ]
        );
    }

    #[test]
    fn a_file_in_etc_hides_one_of_the_same_name() {
        let tree = "\
/etc/modprobe.d/a.conf
    install  usb-storage  /bin/true
    alias char-major-10-* \\
      tun
    options cdc_ncm prefer_mbim=N
    nonsense
/usr/lib/modprobe.d/a.conf
    blacklist option
/usr/lib/modprobe.d/b.conf
    softdep uhci-hcd pre: ehci-hcd
/etc/modprobe.d/c.conf -> /dev/null
/lib/modprobe.d/c.conf
    blacklist qmi_wwan
";
        assert_eq!(
            settings(tree),
            [
                row("cdc_ncm", "options", "prefer_mbim=N", true),
                row("option", "blacklist", "", false),
                row("qmi_wwan", "blacklist", "", false),
                row("tun", "alias", "char-major-10-*", true),
                row("uhci_hcd", "softdep", "pre: ehci-hcd", true),
                row("usb_storage", "install", "/bin/true", true),
            ]
        );
        let system = testing::system(tree);
        let (rows, gaps) = testing::rows(&system, &ARTIFACT);
        assert!(gaps.iter().any(|g| g.what.contains("line 5")), "{gaps:?}");
        let alias = rows.iter().find(|r| matches!(r, Row::DriverSetting(s) if &*s.action == "alias")).unwrap();
        assert_eq!(alias.evidence().line, Some(2));
    }

    #[test]
    fn built_in_drivers_come_with_what_they_say() {
        let tree = "\
/lib/modules/6.1.0/modules.builtin
    kernel/drivers/usb/serial/usb-serial.ko
    kernel/drivers/net/loopback.ko
/lib/modules/6.1.0/modules.builtin.modinfo @7573625f73657269616c2e6c6963656e73653d47504c00
";
        let system = testing::system(tree);
        let (rows, _) = testing::rows(&system, &ARTIFACT);
        let drivers: Vec<_> = rows.iter().filter_map(|r| if let Row::Driver(d) = r { Some(d) } else { None }).collect();
        let [serial, loopback] = drivers.as_slice() else { panic!("{drivers:?}") };
        assert_eq!(
            (&*serial.name, &*serial.kernel, &*serial.license, serial.builtin),
            ("usb_serial", "6.1.0", "GPL", true)
        );
        assert_eq!((&*loopback.name, &*loopback.license), ("loopback", ""));
    }
}
