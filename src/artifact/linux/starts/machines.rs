//! What the machine itself brings about: first boots of cloud-init, formats of programs that the kernel hands to an
//! interpreter, keys and power by acpid, U-Boot's and GRUB's own commands are elsewhere. cloud-init's module reference,
//! binfmt.d(5) and update-binfmts(8), acpid(8), udev's hardware database is data only.
use super::{Way, bounded, cut, glob, has};
use crate::artifact::{Artifact, Os, Out};
use crate::base::{Evidence, Name};
use crate::evidence::{System, Text};
use crate::format::tree::{Leaf, Tree};
use crate::inventory::Start;
use std::collections::BTreeMap;

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.machine-events",
    about: "Commands of cloud-init, interpreters by binfmt, actions of acpid, thd and triggerhappy",
    os: Os::Linux,
    reads: &[
        "/etc/cloud/cloud.cfg",
        "/etc/cloud/cloud.cfg.d/*.cfg",
        "/var/lib/cloud/instances/*/{user-data.txt,vendor-data.txt,cloud-config.txt}",
        "/var/lib/cloud/seed/**",
        "/boot/{firmware/,}user-data",
        "/{etc,run,usr/local/lib,usr/lib}/binfmt.d/*.conf",
        "/var/lib/binfmts/*",
        "/etc/acpi/events/*",
        "/etc/triggerhappy/triggers.d/*.conf",
    ],
    references: &["cloud-init modules", "binfmt.d(5)", "update-binfmts(8)", "acpid(8)", "thd(1)"],
    extract,
};

/// Commands of one file that become rows.
const MAX_COMMANDS: usize = 10_000;

fn extract(system: &System, out: &Out) {
    let runs = has(system, &["cloud-init"]);
    for pattern in [
        "/etc/cloud/cloud.cfg",
        "/etc/cloud/cloud.cfg.d/*.cfg",
        "/var/lib/cloud/instances/*/{user-data,vendor-data,cloud-config}.txt",
        "/var/lib/cloud/seed/**/{user-data,vendor-data}",
        "/boot/{firmware/,}user-data",
    ] {
        for entry in glob(system, pattern) {
            if let Some(text) = out.read(system, entry) {
                cloud(system, &text, runs, out);
            }
        }
    }
    binfmt(system, out);
    let runs = has(system, &["acpid"]);
    out.each(system, &["/etc/acpi/events/*"], |text| {
        let mut event = String::new();
        for line in bounded(text, out) {
            match line.text.split_once('=').map(|(k, v)| (k.trim(), v.trim())) {
                Some(("event", value)) => event = cut(value),
                Some(("action", value)) => {
                    let way = Way::root("acpid", "event").only(runs, "no acpid on this disk");
                    let name = Name::new(text.entry.path.file_name()).display();
                    out.push(way.shell(system, &name, &event, value, text.line_at(line.number, line.run)));
                }
                _ => {}
            }
        }
    });
    let runs = has(system, &["thd"]);
    out.each(system, &["/etc/triggerhappy/triggers.d/*.conf"], |text| {
        for line in bounded(text, out).iter().filter(|l| !l.text.trim_start().starts_with('#')) {
            let mut words = line.text.trim().splitn(3, char::is_whitespace);
            if let (Some(key), Some(_), Some(command)) = (words.next(), words.next(), words.next()) {
                let way = Way::root("triggerhappy", "device").user("").only(runs, "no triggerhappy on this disk");
                out.push(way.shell(system, key, key, command.trim(), text.line_at(line.number, line.run)));
            }
        }
    });
}

/// `bootcmd`, `runcmd`, `write_files` are lists; a user-data file may be a script itself.
fn cloud(system: &System, text: &Text<'_>, runs: bool, out: &Out) {
    let file = text.entry.path.display();
    let way = |when| Way::root("cloud-init", when).only(runs, "no cloud-init on this disk");
    if text.bytes.starts_with(b"#!") {
        out.extend(way("boot").file(system, text.entry, "first boot of an instance"));
        return;
    }
    let tree = Tree::yaml(&text.bytes);
    if let Some((line, what)) = tree.problems.first() {
        out.gap_line(text.entry, *line, what);
    }
    // Each item is a line for a shell, or a list of words.
    let mut items: BTreeMap<(String, usize), Vec<&Leaf>> = BTreeMap::new();
    for leaf in &tree.leaves {
        let list = leaf.path.first().filter(|p| matches!(p.as_str(), "bootcmd" | "runcmd"));
        let number = leaf.path.get(1).and_then(|n| n.parse().ok());
        if let (Some(list), Some(number)) = (list, number) {
            items.entry((list.clone(), number)).or_default().push(leaf);
        }
    }
    if items.len() > MAX_COMMANDS {
        out.gap(text.entry, "budget: commands; the rest was not listed");
    }
    for ((list, number), leaves) in items.into_iter().take(MAX_COMMANDS) {
        let Some(first) = leaves.first() else { continue };
        let evidence = Evidence { key: Some(format!("{list}.{number}")), ..text.line_at(first.line, first.run) };
        let trigger = if list == "bootcmd" { "bootcmd: every boot" } else { "runcmd: first boot of an instance" };
        let words: Vec<String> = leaves.iter().map(|l| l.value.clone()).collect();
        let row = if first.path.len() > 2 {
            let found = super::program::of_words(system, &words, super::PATH);
            found.fill(Start { command: cut(&words.join(" ")), ..way("boot").start(&file, trigger, evidence) })
        } else {
            way("boot").shell(system, &file, trigger, &first.value, evidence)
        };
        out.push(row);
    }
}

/// `:name:type:offset:magic:mask:interpreter:flags`, and update-binfmts' own files, a value a line.
fn binfmt(system: &System, out: &Out) {
    for part in super::super::dropins::folder(system, "binfmt.d") {
        let Some(entry) = system.resolve(part.entry.path.bytes()).filter(|e| e.is_file()) else { continue };
        let Some(text) = out.read(system, entry) else { continue };
        for line in bounded(&text, out) {
            let body = line.text.trim();
            let Some(mark) = body.chars().next().filter(|c| !matches!(c, '#' | ';')) else { continue };
            let fields: Vec<&str> = body.split(mark).collect();
            let [_, name, kind, _, magic, _, interpreter, ..] = fields.as_slice() else {
                out.gap_line(text.entry, line.number, "not a line of binfmt.d(5)");
                continue;
            };
            let way =
                Way::root("binfmt", "program").user("").only(!part.masked, "a file of the same name has its place");
            let trigger = format!("programs with {} {magic}", if *kind == "E" { "extension" } else { "magic" });
            out.push(way.words(system, name, &trigger, interpreter, text.line_at(line.number, line.run)));
        }
    }
    out.each(system, &["/var/lib/binfmts/*"], |text| {
        let all = bounded(text, out);
        let get = |at: usize| all.get(at).map_or("", |l| l.text.trim());
        if let Some(line) = all.get(5).filter(|l| l.text.starts_with('/')) {
            let name = Name::new(text.entry.path.file_name()).display();
            let trigger = format!("programs with {} {}", get(1), get(3));
            let way = Way::root("binfmt", "program").user("");
            out.push(way.words(system, &name, &trigger, line.text.trim(), text.line_at(line.number, line.run)));
        }
    });
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::super::testing::{line, starts};
    use super::*;

    #[test]
    fn each_event() {
        let tree = r#"/opt/w mode=755
    x
/usr/bin/cloud-init mode=755
    x
/usr/sbin/acpid mode=755
    x
/etc/cloud/cloud.cfg.d/99-x.cfg
    bootcmd:
      - /opt/w boot
    runcmd:
      - [ /opt/w, "a b" ]
      - sh -c '/opt/w once'
/var/lib/cloud/instances/i-1/user-data.txt mode=755
    #!/bin/sh
/etc/binfmt.d/x.conf
    # comment
    :own:M::\x7fOWN::/opt/w:OC
/var/lib/binfmts/java
    openjdk
    magic
    0
    \xca\xfe
    
    /opt/w
    
/etc/acpi/events/power
    event=button/power.*
    action=/opt/w power %e
/etc/triggerhappy/triggers.d/x.conf
    KEY_POWER 1 /opt/w key
"#;
        let (rows, gaps) = starts(tree, &ARTIFACT);
        let told: Vec<String> = rows.iter().map(line).collect();
        assert_eq!(
            told,
            [
                "cloud-init boot root /opt/w boot",
                "cloud-init boot root /opt/w 'a b'",
                "cloud-init boot root /opt/w once",
                "cloud-init boot root /var/lib/cloud/instances/i-1/user-data.txt",
                "binfmt program  /opt/w",
                "binfmt program  /opt/w",
                "acpid event root /opt/w power %e",
                "triggerhappy device  /opt/w key - no triggerhappy on this disk",
            ]
        );
        assert_eq!(rows[0].evidence.line, Some(2));
        assert!(gaps.is_empty(), "{gaps:?}");
    }
}
