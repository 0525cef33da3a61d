//! Kernel command lines: what the boot loader hands to the kernel, one row a parameter.
//! GRUB (/etc/default/grub, grub.cfg), systemd-boot and BLS entries, syslinux and extlinux, firmware files.
use super::dropins;
use super::starts::Way;
use crate::artifact::{Artifact, Os, Out};
use crate::base::{Evidence, Run};
use crate::evidence::{System, Text};
use crate::inventory::Setting;

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.kernel-cmdline",
    about: "Parameters on kernel command lines, by boot entry; the default entry's count.",
    os: Os::Linux,
    reads: &[
        "/etc/default/grub",
        "/etc/default/grub.d/*.cfg",
        "/boot/grub{,2}/grub.cfg",
        "/boot/{efi/,}EFI/*/grub.cfg",
        "/boot/loader/entries/*.conf",
        "/etc/kernel/cmdline",
        "/boot/{extlinux,syslinux,isolinux}/*.c*",
        "/boot/cmdline.txt",
        "/boot/firmware/cmdline.txt",
        "/boot/{armbianEnv,uEnv,orangepiEnv}.txt",
    ],
    references: &["bootparam(7)", "kernel-command-line(7)", "Boot Loader Specification", "GRUB manual"],
    extract,
};

/// Parameters of one file.
const MAX_ROWS: usize = 5_000;

fn row(scope: &str, parameter: &str, effective: bool, evidence: Evidence) -> Setting {
    let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
    Setting {
        program: "kernel-cmdline".into(),
        scope: scope.to_owned(),
        name: name.to_owned(),
        value: value.trim_matches('"').to_owned(),
        effective,
        evidence,
        ..Setting::default()
    }
}

/// Parameters of a command line: blanks separate, double quotes hold them together.
pub(crate) fn parameters(line: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut word = String::new();
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => {
                quoted = !quoted;
                word.push(c);
            }
            c if c.is_whitespace() && !quoted => {
                if !word.is_empty() {
                    all.push(std::mem::take(&mut word));
                }
            }
            c => word.push(c),
        }
    }
    if !word.is_empty() {
        all.push(word);
    }
    all
}

struct Sink<'a, 'o> {
    text: &'a Text<'a>,
    out: &'o Out,
    rows: usize,
}
impl Sink<'_, '_> {
    fn line(&mut self, scope: &str, line: &str, effective: bool, number: u32, run: Run) {
        for parameter in parameters(line) {
            self.rows = self.rows.saturating_add(1);
            if self.rows > MAX_ROWS {
                if self.rows == MAX_ROWS.saturating_add(1) {
                    self.out.gap_line(self.text.entry, number, "budget: parameters; the rest was not listed");
                }
                return;
            }
            let evidence = self.text.line_at(number, run);
            if let Some((name @ ("init" | "rdinit"), program)) = parameter.split_once('=') {
                let way = Way::root("kernel", "boot").only(effective, "not of the default entry");
                let system = self.text.system();
                self.out.push(way.words(system, scope, &format!("{name}="), program, evidence.clone()));
            }
            self.out.push(row(scope, &parameter, effective, evidence));
        }
    }
}

fn extract(system: &System, out: &Out) {
    out.each(system, &["/etc/default/grub", "/etc/default/grub.d/*.cfg"], |text| defaults(text, out));
    // A stub on the EFI partition names no kernel and gives no row.
    let configs = [
        "/boot/grub/grub.cfg",
        "/boot/grub2/grub.cfg",
        "/boot/efi/EFI/*/grub.cfg",
        "/boot/EFI/*/grub.cfg",
        "/efi/EFI/*/grub.cfg",
    ];
    out.each(system, &configs, |text| grub(system, text, out));
    let entries = ["/boot/loader/entries/*.conf", "/boot/efi/loader/entries/*.conf", "/efi/loader/entries/*.conf"];
    out.each(system, &entries, |text| {
        let name = String::from_utf8_lossy(text.entry.path.file_name()).into_owned();
        keyed(text, &["options"], &name, out);
    });
    out.each(
        system,
        &["/boot/extlinux/*.conf", "/boot/syslinux/*.cfg", "/boot/isolinux/*.cfg", "/boot/extlinux.conf"],
        |text| {
            syslinux(text, out);
        },
    );
    for path in ["/boot/armbianEnv.txt", "/boot/uEnv.txt", "/boot/orangepiEnv.txt", "/boot/extraEnv.txt"] {
        out.each(system, &[path], |text| environment(text, out));
    }
    for path in ["/etc/kernel/cmdline", "/usr/lib/kernel/cmdline", "/boot/cmdline.txt", "/boot/firmware/cmdline.txt"] {
        out.each(system, &[path], |text| {
            let mut sink = Sink { text, out, rows: 0 };
            for (number, line, run) in text.lines() {
                if !line.trim_start().starts_with('#') {
                    sink.line(path, &line, true, number, run);
                }
            }
        });
    }
    // Boot options of modules and of systemd itself stand in folders of their own; see their artifacts.
    for part in dropins::folder(system, "cmdline.d") {
        let Some(entry) = system.resolve(part.entry.path.bytes()) else { continue };
        if let Some(text) = out.read(system, entry) {
            let mut sink = Sink { text: &text, out, rows: 0 };
            for (number, line, run) in text.lines() {
                sink.line("cmdline.d", &line, !part.masked, number, run);
            }
        }
    }
}

/// What update-grub writes into the next grub.cfg: it counts from then on, not yet.
fn defaults(text: &Text<'_>, out: &Out) {
    let mut sink = Sink { text, out, rows: 0 };
    for (number, line, run) in text.lines() {
        let line = line.trim();
        let Some((name, value)) = line.split_once('=').filter(|(n, _)| n.starts_with("GRUB_CMDLINE_LINUX")) else {
            continue;
        };
        let value = value.trim();
        let inner = value.strip_prefix(['"', '\'']).and_then(|v| v.strip_suffix(['"', '\''])).unwrap_or(value);
        let name = name.trim_end_matches('+');
        sink.line(&format!("default {name}"), &inner.replace("\\\"", "\""), false, number, run);
    }
}

/// `menuentry 'title' … { … linux PATH ARGS … }`; the default is `set default=`, a number or a title.
fn grub(system: &System, text: &Text<'_>, out: &Out) {
    let saved = saved_entry(system, text);
    let mut default = "0".to_owned();
    for (_, line, _) in text.lines() {
        if let Some(value) = line.trim().strip_prefix("set default=") {
            let value = value.trim_matches(['"', '\'']);
            match (value.starts_with("${"), &saved) {
                (false, _) => value.clone_into(&mut default),
                (true, Some(saved)) if value.contains("saved_entry") => default.clone_from(saved),
                _ => {}
            }
        }
    }
    let wanted = default.split('>').next().unwrap_or_default().to_owned();
    let mut sink = Sink { text, out, rows: 0 };
    // Only entries outside a submenu have a number of the top level.
    let (mut index, mut depth, mut submenu) = (0_u32, 0_u32, None);
    let (mut title, mut current) = (String::new(), false);
    for (number, line, run) in text.lines() {
        let line = line.trim();
        let entry = line.starts_with("menuentry ");
        if entry || line.starts_with("submenu ") {
            title = quoted(line);
            if submenu.is_none() {
                current =
                    entry && (wanted == index.to_string() || wanted == title || id(line).is_some_and(|i| i == wanted));
                index = index.saturating_add(1);
            } else {
                current = false;
            }
            if !entry && submenu.is_none() {
                submenu = Some(depth);
            }
        }
        let word = line.split_whitespace().next().unwrap_or_default();
        if matches!(word, "linux" | "linux16" | "linuxefi") {
            let rest = line.get(word.len()..).unwrap_or_default().trim_start();
            let arguments = rest.split_once(char::is_whitespace).map_or("", |(_, a)| a);
            sink.line(&title, arguments, current, number, run);
        }
        if line.ends_with('{') {
            depth = depth.saturating_add(1);
        }
        if line.starts_with('}') {
            depth = depth.saturating_sub(1);
            if submenu == Some(depth) {
                submenu = None;
            }
        }
    }
}

fn quoted(line: &str) -> String {
    let Some(at) = line.find(['\'', '"']) else { return String::new() };
    let mark = line.get(at..).and_then(|l| l.chars().next()).unwrap_or('\'');
    line.get(at.saturating_add(1)..).and_then(|l| l.split(mark).next()).unwrap_or_default().to_owned()
}

/// The entry's id: `$menuentry_id_option 'id'` or `--id id`.
fn id(line: &str) -> Option<String> {
    let at = ["$menuentry_id_option ", "--id "].iter().find_map(|m| line.find(m).map(|a| a.saturating_add(m.len())))?;
    let rest = line.get(at..)?;
    if rest.starts_with(['\'', '"']) { Some(quoted(rest)) } else { rest.split_whitespace().next().map(str::to_owned) }
}

/// `saved_entry` of the environment block beside grub.cfg.
fn saved_entry(system: &System, text: &Text<'_>) -> Option<String> {
    let path = [text.entry.path.parent(), b"/grubenv"].concat();
    let block = system.read(system.resolve(path)?, 64 << 10).ok()?;
    let block = block.text();
    block.lines().find_map(|l| l.strip_prefix("saved_entry=")).map(str::to_owned).filter(|s| !s.is_empty())
}

fn keyed(text: &Text<'_>, keys: &[&str], scope: &str, out: &Out) {
    let mut sink = Sink { text, out, rows: 0 };
    for (number, line, run) in text.lines() {
        if let Some((key, value)) = line.trim().split_once(char::is_whitespace)
            && keys.contains(&key.to_ascii_lowercase().as_str())
        {
            sink.line(scope, value, true, number, run);
        }
    }
}

/// `LABEL name` … `APPEND args`; `DEFAULT name` picks one.
fn syslinux(text: &Text<'_>, out: &Out) {
    let word = |line: &str, key: &str| {
        let (first, rest) = line.trim().split_once(char::is_whitespace)?;
        first.eq_ignore_ascii_case(key).then(|| rest.trim().to_owned())
    };
    let default = text.lines().find_map(|(_, l, _)| word(&l, "default"));
    let mut label = String::new();
    let mut first = None;
    let mut sink = Sink { text, out, rows: 0 };
    for (number, line, run) in text.lines() {
        if let Some(name) = word(&line, "label") {
            first.get_or_insert_with(|| name.clone());
            label = name;
        } else if let Some(arguments) = word(&line, "append") {
            let chosen = default.as_ref().or(first.as_ref()).is_none_or(|d| *d == label);
            sink.line(&label, &arguments, chosen, number, run);
        }
    }
}

/// `extraargs=…` and `bootargs=…` of boot environments.
fn environment(text: &Text<'_>, out: &Out) {
    let mut sink = Sink { text, out, rows: 0 };
    for (number, line, run) in text.lines() {
        if let Some((key, value)) = line.trim().split_once('=')
            && matches!(key, "extraargs" | "bootargs" | "cmdline" | "optargs" | "extraboardargs")
        {
            sink.line(key, value, true, number, run);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
    use super::super::testing::{rows, system};
    use super::*;
    use crate::inventory::Row;

    fn seen(text: &str) -> Vec<String> {
        let (rows, gaps) = rows(&system(text), &ARTIFACT);
        assert!(gaps.is_empty(), "{gaps:?}");
        rows.iter()
            .filter_map(|r| match r {
                Row::Setting(s) => Some(format!("{}|{}={}|{}", s.scope, s.name, s.value, s.effective)),
                Row::Start(_) => None,
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn grub_entries_and_their_default() {
        let text = r#"/etc/default/grub
    GRUB_DEFAULT=0
    GRUB_CMDLINE_LINUX_DEFAULT="quiet init=/opt/x"

/boot/grub/grub.cfg
    if [ "${next_entry}" ] ; then
       set default="${next_entry}"
    else
       set default="DEFAULT"
    fi
    menuentry 'Debian' --class debian $menuentry_id_option 'gnulinux-simple' {
    	linux	/boot/vmlinuz root=UUID=1 ro quiet dyndbg="file x +p"
    }
    submenu 'Advanced' $menuentry_id_option 'adv' {
    	menuentry 'Recovery' $menuentry_id_option 'rec' {
    		linux	/boot/vmlinuz root=UUID=1 single
    	}
    }
    menuentry 'Other' $menuentry_id_option 'oth' {
    	linux	/boot/vmlinuz init=/bin/sh
    }
"#;
        let first = [
            "default GRUB_CMDLINE_LINUX_DEFAULT|quiet=|false",
            "default GRUB_CMDLINE_LINUX_DEFAULT|init=/opt/x|false",
            "Debian|root=UUID=1|true",
            "Debian|ro=|true",
            "Debian|quiet=|true",
            "Debian|dyndbg=file x +p|true",
            "Recovery|root=UUID=1|false",
            "Recovery|single=|false",
            "Other|init=/bin/sh|false",
        ];
        assert_eq!(seen(&text.replace("DEFAULT\"\n", "0\"\n")), first);
        for (default, counts) in [("2", true), ("oth", true), ("Other", true), ("1", false), ("${saved_entry}", false)]
        {
            let rows = seen(&text.replace("DEFAULT\"\n", &format!("{default}\"\n")));
            assert_eq!(rows.last().unwrap(), &format!("Other|init=/bin/sh|{counts}"), "{default}");
        }
        let saved =
            format!("{}\n/boot/grub/grubenv\n    saved_entry=oth\n", text.replace("DEFAULT\"\n", "${saved_entry}\"\n"));
        assert_eq!(seen(&saved).last().unwrap(), "Other|init=/bin/sh|true");
    }

    #[test]
    fn other_loaders() {
        let text = "/boot/loader/entries/a.conf
    title A
    options root=/dev/sda1 quiet

/boot/extlinux/extlinux.conf
    DEFAULT b
    LABEL a
      APPEND root=/dev/sda1
    LABEL b
      APPEND root=/dev/sda2

/boot/cmdline.txt
    console=ttyS0 rw
";
        assert_eq!(
            seen(text),
            [
                "a.conf|root=/dev/sda1|true",
                "a.conf|quiet=|true",
                "a|root=/dev/sda1|false",
                "b|root=/dev/sda2|true",
                "/boot/cmdline.txt|console=ttyS0|true",
                "/boot/cmdline.txt|rw=|true",
            ]
        );
    }
}
