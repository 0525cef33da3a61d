//! Readers of configuration and logs against the programs that read them in earnest: nft(8), iptables-restore(8), sshd(8),
//! sudo's cvtsudoers(1) and visudo(8), lastb(1), blkls(1), lsinitramfs(8). Programs that would touch the kernel's tables run
//! in a network namespace of their own.
use crate::common::{ext4, have, plant};
use crate::host_fs::{HostFs, system, text};
use crate::systemd::Dice;
use cranescope::artifact::Out;
use cranescope::base::{Gap, Gaps};
use cranescope::evidence::System;
use cranescope::image::{Alone, Source};
use cranescope::inventory::Row;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Output};
use std::sync::Arc;

/// `None`, with a message, where this machine does not let the program do its work.
fn run(arguments: &[&str]) -> Option<Output> {
    let out = Command::new("timeout").arg("60").args(arguments).output().unwrap();
    if out.status.code() == Some(125) || out.status.code() == Some(127) {
        eprintln!("skipped: {arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
        return None;
    }
    Some(out)
}
fn text_of(out: &Output) -> String {
    String::from_utf8_lossy(&out.stdout).into_owned()
}
/// Whether a network namespace can be had, which needs root or its likes.
fn apart() -> bool {
    let fits = run(&["unshare", "-n", "true"]).is_some_and(|o| o.status.success());
    if !fits {
        eprintln!("skipped: no network namespace here");
    }
    fits
}
fn rows(system: &System, name: &str) -> (Vec<Row>, Vec<Gap>) {
    let artifact = cranescope::artifact::ALL.iter().find(|a| a.name == name).unwrap();
    let out = Out::new(Some(0), artifact.name);
    (artifact.extract)(system, &out);
    out.take()
}

/// `table chain` and the action of each rule, by manager; policies are not among them.
fn firewall(system: &System, artifact: &str) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in rows(system, artifact).0 {
        if let Row::FirewallRule(r) = row
            && &*r.action != "policy"
        {
            all.entry(format!("{} {}", r.table, r.chain)).or_default().push(r.action.to_string());
        }
    }
    all
}

/// Sets, maps, counters, comments, one-line chains, includes of definitions, rules by command.
const RULESET: &str = r#"#!/usr/sbin/nft -f
flush ruleset
define lan = { 10.0.0.0/8, 192.168.0.0/16 }
table inet filter {
	set blocked { type ipv4_addr; flags interval; elements = { 203.0.113.0/24, 198.51.100.7 } }
	map ports { type inet_service : verdict; elements = { 22 : accept, 23 : drop } }
	counter seen { packets 0 bytes 0 }
	chain input {
		type filter hook input priority 0; policy drop;
		iif lo accept comment "own { } ; words"
		ct state { established, related } accept
		ip saddr @blocked drop
		tcp dport vmap @ports
		ip saddr $lan tcp dport { 80,
			443, 8080 } accept
		counter name "seen" log prefix "in: " reject
	}
	chain forward { type filter hook forward priority 0; policy accept; ip saddr 10.0.0.0/8 jump helper; }
	chain helper { return }
}
table ip nat {
	chain post { type nat hook postrouting priority 100; oifname "wwan0" masquerade; }
	chain pre {
		type nat hook prerouting priority -100
		tcp dport 2222 dnat to 10.0.0.5:22 ; tcp dport 8443 redirect to :443
	}
}
add rule inet filter input udp dport 51820 accept
"#;

#[test]
fn nft_has_the_same_rules() {
    if !have("nft") || !apart() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("nftables.conf");
    std::fs::write(&path, RULESET).unwrap();
    let line = format!("nft -f {0} && nft -j list ruleset", path.display());
    let Some(out) = run(&["unshare", "-n", "sh", "-c", &line]) else { return };
    if !out.status.success() {
        eprintln!("skipped: nft: {}", String::from_utf8_lossy(&out.stderr));
        return;
    }
    let listed: Value = serde_json::from_slice(&out.stdout).unwrap();
    let mut theirs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for rule in listed["nftables"].as_array().unwrap().iter().filter_map(|r| r.get("rule")) {
        let word = |key: &str| rule[key].as_str().unwrap().to_owned();
        let names: BTreeSet<&str> = rule["expr"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|e| e.as_object().unwrap().keys().map(String::as_str))
            .collect();
        let action = ["masquerade", "dnat", "snat", "redirect", "accept", "drop", "reject", "jump", "return"]
            .into_iter()
            .find(|a| names.contains(a));
        let action = action.map_or("other", |a| if a == "redirect" { "dnat" } else { a }).to_owned();
        theirs.entry(format!("{} {} {}", word("family"), word("table"), word("chain"))).or_default().push(action);
    }
    let indented: String = RULESET.lines().map(|l| format!("    {l}\n")).collect();
    let ours = firewall(&text(&format!("/etc/nftables.conf\n{indented}")), "linux.nftables");
    assert_eq!(ours, theirs);
    assert!(theirs.values().map(Vec::len).sum::<usize>() > 10, "{theirs:?}");
}

const SAVED: &str = "# Generated
*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A PREROUTING -i eth0 -p tcp -m tcp --dport 2222 -j DNAT --to-destination 10.0.0.5:22
-A POSTROUTING -o wwan0 -j MASQUERADE
COMMIT
*filter
:INPUT DROP [1:2]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:helper - [0:0]
[12:345] -A INPUT -i lo -j ACCEPT
-A INPUT -p tcp -m comment --comment \"a -j DROP in words\" -m tcp --dport 22 -j helper
-A INPUT -p udp -m udp --dport 500 -j REJECT --reject-with icmp-port-unreachable
-A helper -s 10.0.0.0/8 -g helper2
-A helper -j RETURN
:helper2 - [0:0]
-A helper2 -j ACCEPT
COMMIT
";

#[test]
fn iptables_restore_takes_the_same_rules() {
    if !have("iptables-nft-restore") || !have("iptables-nft-save") || !apart() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    // A chain must be declared before rules name it.
    let saved =
        SAVED.replace(":helper2 - [0:0]\n", "").replace(":helper - [0:0]\n", ":helper - [0:0]\n:helper2 - [0:0]\n");
    std::fs::write(dir.path().join("rules.v4"), &saved).unwrap();
    let line = format!(
        "iptables-nft-restore --test {0}/rules.v4 && iptables-nft-restore {0}/rules.v4 && iptables-nft-save",
        dir.path().display()
    );
    let Some(out) = run(&["unshare", "-n", "sh", "-c", &line]) else { return };
    if !out.status.success() {
        eprintln!("skipped: iptables: {}", String::from_utf8_lossy(&out.stderr));
        return;
    }
    let mut theirs: BTreeMap<String, usize> = BTreeMap::new();
    let mut table = String::new();
    for line in text_of(&out).lines() {
        if let Some(name) = line.strip_prefix('*') {
            name.clone_into(&mut table);
        } else if let Some(rule) = line.strip_prefix("-A ") {
            *theirs.entry(format!("{table} {}", rule.split(' ').next().unwrap())).or_default() += 1;
        }
    }
    let indented: String = saved.lines().map(|l| format!("    {l}\n")).collect();
    let ours = firewall(&text(&format!("/etc/iptables/rules.v4\n{indented}")), "linux.iptables");
    assert_eq!(ours.iter().map(|(k, v)| (k.clone(), v.len())).collect::<BTreeMap<_, _>>(), theirs);
    assert_eq!(ours["filter INPUT"], ["accept", "jump", "reject"]);
    assert_eq!(ours["nat POSTROUTING"], ["masquerade"]);
}

/// Directives in any order, twice and in included files: which one counts is what `sshd -T` says.
#[test]
fn sshd_is_set_as_it_says_itself() {
    if !have("sshd") || !have("ssh-keygen") {
        return;
    }
    let pool = [
        "PermitRootLogin yes",
        "PermitRootLogin no",
        "permitrootlogin=prohibit-password",
        "PasswordAuthentication no",
        "PasswordAuthentication yes",
        "PermitEmptyPasswords \"yes\"",
        "X11Forwarding yes",
        "GatewayPorts clientspecified",
        "AllowTcpForwarding local",
        "MaxAuthTries 3",
        "MaxAuthTries 4 # of words",
        "AuthorizedKeysFile /etc/keys/%u .ssh/authorized_keys",
        "PermitTunnel point-to-point",
        "Banner none",
        "Port 22",
        "Port 2222",
        "AllowUsers op",
        "AllowUsers root@10.0.0.1",
        "Include /etc/ssh/sshd_config.d/*.conf",
        "Include more.conf",
    ];
    let mut compared = 0;
    for round in 1..=12_u64 {
        let mut dice = Dice(round.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut file = |lines: usize, includes: bool| -> String {
            let pick = |dice: &mut Dice| pool[dice.roll(if includes { pool.len() } else { pool.len() - 2 })];
            (0..lines).map(|_| format!("{}\n", pick(&mut dice))).collect()
        };
        let files = [
            ("/etc/ssh/sshd_config", file(8, true)),
            ("/etc/ssh/sshd_config.d/10-a.conf", file(3, false)),
            ("/etc/ssh/sshd_config.d/20-b.conf", file(3, false)),
            ("/etc/ssh/more.conf", file(2, false)),
        ];
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in &files {
            plant(dir.path(), &[(path, text)]);
        }
        let key = dir.path().join("key");
        let made = run(&["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key.to_str().unwrap()]).unwrap();
        assert!(made.status.success());
        // Its own /etc/ssh and /run, in a mount namespace of its own.
        let line = format!(
            "mount --bind {0}/etc/ssh /etc/ssh && mount -t tmpfs tmpfs /run && mkdir /run/sshd && exec {1} -T -f /etc/ssh/sshd_config -h {2}",
            dir.path().display(),
            "$(command -v sshd)",
            key.display()
        );
        let Some(out) = run(&["unshare", "-m", "sh", "-c", &line]) else { return };
        if !out.status.success() {
            eprintln!("skipped: sshd -T: {}", String::from_utf8_lossy(&out.stderr));
            return;
        }
        let mut theirs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for line in text_of(&out).lines() {
            let (name, value) = line.split_once(' ').unwrap_or((line, ""));
            theirs.entry(name.to_owned()).or_default().insert(value.to_ascii_lowercase());
        }
        let (found, gaps) = rows(&system(Arc::new(HostFs::new(dir.path().to_str().unwrap()))), "linux.sshd");
        assert!(gaps.is_empty(), "{gaps:?}");
        let mut ours: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for row in found {
            let Row::Setting(s) = row else { continue };
            let name = s.name.to_ascii_lowercase();
            if s.effective && s.scope.is_empty() && name != "include" {
                // Of one that adds up each word is one.
                let words: Vec<String> = match name.as_str() {
                    "allowusers" => s.value.split_whitespace().map(str::to_owned).collect(),
                    _ => vec![s.value.clone()],
                };
                let plain = |v: &String| match v.to_ascii_lowercase().as_str() {
                    // sshd's own name of it.
                    "prohibit-password" => "without-password".to_owned(),
                    other => other.to_owned(),
                };
                ours.entry(name).or_default().extend(words.iter().map(plain));
            }
        }
        for (name, values) in &ours {
            assert_eq!(Some(values), theirs.get(name), "round {round}: {name}\n{files:#?}");
            compared += 1;
        }
    }
    assert!(compared > 40, "{compared}");
}

const SUDOERS: &str = r"Defaults env_reset, mail_badpass
User_Alias OPS = op, %crane : ALLOPS = OPS, !guest
Cmnd_Alias NET = /usr/sbin/pppd, /usr/bin/nmcli \
	connection up *
Runas_Alias AS = root, modem
Host_Alias CRANES = crane1, crane2
root ALL=(ALL:ALL) ALL
OPS CRANES = (AS) NOPASSWD: NET, PASSWD: /bin/ls
%wheel ALL=(ALL) NOPASSWD: ALL
op ALL = NOEXEC: /usr/bin/less /var/log/*, SETENV: /usr/bin/env : crane1 = NOPASSWD: /sbin/reboot
%wheel crane1 = sudoedit /etc/hosts
";

/// What sudo's own converter makes of it: every combination of who, as whom, what and without which question.
#[test]
fn sudo_reads_the_same_rules() {
    if !have("cvtsudoers") || !have("visudo") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("sudoers");
    std::fs::write(&file, SUDOERS).unwrap();
    let path = file.to_str().unwrap();
    let Some(valid) = run(&["visudo", "-c", "-f", path]) else { return };
    assert!(valid.status.success(), "{valid:?}");
    let Some(out) = run(&["cvtsudoers", "-e", "-f", "json", path]) else { return };
    let listed: Value = serde_json::from_slice(&out.stdout).unwrap();
    let names = |list: &Value| -> BTreeSet<String> {
        let named = |m: &Value| {
            let not = if m["negated"].as_bool() == Some(true) { "!" } else { "" };
            let of = |key: &str| m[key].as_str().map(str::to_owned);
            let name = of("username").or_else(|| of("usergroup").map(|g| format!("%{g}")));
            let name = name.or_else(|| of("hostname")).or_else(|| of("command")).or_else(|| of("useralias"));
            format!("{not}{}", name.unwrap_or_else(|| panic!("{m}")))
        };
        list.as_array().map(|l| l.iter().map(named).collect()).unwrap_or_default()
    };
    let mut theirs: BTreeSet<(BTreeSet<String>, BTreeSet<String>, String, bool)> = BTreeSet::new();
    for spec in listed["User_Specs"].as_array().unwrap() {
        for group in spec["Cmnd_Specs"].as_array().unwrap() {
            let options: Vec<&Value> = group["Options"].as_array().map(|o| o.iter().collect()).unwrap_or_default();
            let free = options.iter().any(|o| o["authenticate"].as_bool() == Some(false));
            for command in names(&group["Commands"]) {
                theirs.insert((names(&spec["User_List"]), names(&spec["Host_List"]), command, free));
            }
        }
    }
    let indented: String = SUDOERS.lines().map(|l| format!("    {l}\n")).collect();
    let (found, gaps) = rows(&text(&format!("/etc/sudoers\n{indented}")), "linux.sudoers");
    assert!(gaps.is_empty(), "{gaps:?}");
    let split = |list: &str| list.split(", ").map(str::to_owned).collect::<BTreeSet<_>>();
    let mut ours = BTreeSet::new();
    for row in found {
        if let Row::SudoRule(r) = row {
            for command in split(&r.commands) {
                ours.insert((split(&r.who), split(&r.hosts), command, r.nopasswd));
            }
        }
    }
    assert_eq!(ours, theirs);
    // What sudo refuses is no rule in silence.
    std::fs::write(&file, "op ALL=(ALL NOPASSWD: ALL\n").unwrap();
    let refused = run(&["visudo", "-c", "-f", path]).unwrap();
    assert!(!refused.status.success());
    let (found, gaps) = rows(&text("/etc/sudoers\n    op ALL=(ALL NOPASSWD: ALL\n"), "linux.sudoers");
    assert!(found.iter().all(|r| !matches!(r, Row::SudoRule(_))) && gaps.len() == 1, "{found:?} {gaps:?}");
}

/// Refused logins, by the hosts that `lastb` lists.
#[test]
fn lastb_lists_the_same_refusals() {
    if !have("lastb") {
        return;
    }
    let mut file = Vec::new();
    for (n, (user, line, host)) in [
        ("root", "ssh:notty", "10.0.0.9"),
        ("root", "ssh:notty", "10.0.0.9"),
        ("admin", "ssh:notty", "203.0.113.77"),
        ("op", "tty1", ""),
    ]
    .into_iter()
    .enumerate()
    {
        let mut record = vec![0_u8; 384];
        record[0] = 6;
        record[8..8 + line.len()].copy_from_slice(line.as_bytes());
        record[44..44 + user.len()].copy_from_slice(user.as_bytes());
        record[76..76 + host.len()].copy_from_slice(host.as_bytes());
        record[340..344].copy_from_slice(&(1_700_000_000 + 60 * i32::try_from(n).unwrap()).to_le_bytes());
        file.extend(record);
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("var/log/btmp");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, &file).unwrap();
    let Some(out) = run(&["lastb", "-w", "-f", path.to_str().unwrap()]) else { return };
    // Names that were tried are counted together, by where they came from.
    let mut theirs: BTreeMap<String, u32> = BTreeMap::new();
    for line in text_of(&out).lines().filter(|l| !l.is_empty() && !l.contains(" begins ")) {
        let host = line.split_whitespace().nth(2).filter(|w| w.contains('.')).unwrap_or_default();
        *theirs.entry(host.to_owned()).or_default() += 1;
    }
    let (found, gaps) = rows(&system(Arc::new(HostFs::new(dir.path().to_str().unwrap()))), "linux.logins");
    assert!(gaps.is_empty(), "{gaps:?}");
    let mut ours: BTreeMap<String, u32> = BTreeMap::new();
    for row in found {
        if let Row::Event(e) = row {
            assert_eq!(&*e.kind, "login-refused");
            let host = e.fields.iter().find_map(|f| f.strip_prefix("host=")).unwrap_or_default();
            *ours.entry(host.to_owned()).or_default() += e.count;
        }
    }
    assert_eq!(ours, theirs);
    assert_eq!(theirs.values().sum::<u32>(), 4);
}

/// What no file has: the same bytes that blkls(1) gives.
#[test]
fn blkls_gives_the_same_free_space() {
    if !["mke2fs", "debugfs", "blkls"].into_iter().all(have) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    plant(
        &root,
        &[
            ("/etc/os-release", "ID=debian\n"),
            ("/var/log/gone", &"IMEI: 490154203237518\n".repeat(3000)),
            ("/var/log/stays", "x\n"),
        ],
    );
    let image = ext4(dir.path(), &root, "part.img");
    let out = run(&["debugfs", "-w", "-R", "rm /var/log/gone", image.to_str().unwrap()]).unwrap();
    assert!(out.status.success());
    let bytes = std::fs::read(&image).unwrap();
    let theirs = run(&["blkls", image.to_str().unwrap()]).unwrap().stdout;
    let source: Source = Arc::new(bytes.clone());
    let look = crate::look::Look::at(&source, "ext").unwrap();
    let mut ours = Vec::new();
    for free in look.fs().unallocated() {
        ours.extend_from_slice(&bytes[usize::try_from(free.offset).unwrap()..usize::try_from(free.end()).unwrap()]);
    }
    assert_eq!(ours.len(), theirs.len());
    assert!(ours == theirs, "the free space is other bytes");
    assert!(memchr::memmem::find(&ours, b"IMEI: 490154203237518").is_some());
}

/// Members of an initramfs as lsinitramfs(8) lists them, with the early part before it.
#[test]
fn lsinitramfs_lists_the_same_members() {
    if !["lsinitramfs", "cpio", "gzip"].into_iter().all(have) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for (root, files) in [
        ("early", &[("/kernel/x86/microcode/GenuineIntel.bin", "code")][..]),
        (
            "main",
            &[
                ("/init", "#!/bin/sh\n"),
                ("/conf/arch.conf", "DPKG_ARCH=amd64\n"),
                ("/usr/bin/sh", "x"),
                ("/scripts/init-top/ORDER", ""),
            ][..],
        ),
    ] {
        plant(&dir.path().join(root), files);
    }
    let pack = |folder: &str| {
        let line =
            format!("cd {}/{folder} && find . | LC_ALL=C sort | cpio --quiet -R 0:0 -o -H newc", dir.path().display());
        run(&["sh", "-c", &line]).unwrap().stdout
    };
    let image = dir.path().join("initrd.img");
    let mut bytes = pack("early");
    std::fs::write(dir.path().join("main.cpio"), pack("main")).unwrap();
    bytes.extend(run(&["gzip", "-c", dir.path().join("main.cpio").to_str().unwrap()]).unwrap().stdout);
    std::fs::write(&image, &bytes).unwrap();
    let Some(out) = run(&["lsinitramfs", image.to_str().unwrap()]) else { return };
    let named = |path: &str| path.trim_start_matches("./").trim_start_matches('/').to_owned();
    let theirs: BTreeSet<String> = text_of(&out).lines().map(named).filter(|l| !l.is_empty() && l != ".").collect();
    let disk = cranescope::image::open(Arc::new(bytes), 0, &Alone, &Gaps::default()).unwrap().1.disk;
    let look = crate::look::Look::at(&disk, "cpio").unwrap();
    let ours: BTreeSet<String> =
        look.tree.entries.iter().map(|e| named(&e.path.display())).filter(|p| !p.is_empty()).collect();
    assert_eq!(ours, theirs);
    assert!(theirs.contains("init") && theirs.contains("kernel/x86/microcode/GenuineIntel.bin"), "{theirs:?}");
}
