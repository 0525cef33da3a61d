//! A filled case without any image behind it: two systems, thousands of rows, findings of every severity,
//! gaps, reviews, and names that are Chinese, broken, or made to mislead.
#![allow(clippy::needless_update)] // a table may gain columns
#![allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, clippy::cast_sign_loss)] // small counts
mod network;
mod tables;

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
        details: Vec::new(),
        changed: Vec::new(),
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
            ..BytesRead::default()
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
        inventory: tables::inventory(),
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
        verdict: Verdict { result: Outcome::NotAssessed, policy: String::new(), reasons: Vec::new(), assessment: None },
    }
}

/// The same, judged by a policy that one thing breaches.
pub(crate) fn breached() -> CaseData {
    let mut data = rich();
    let mut own = finding(Severity::High, Category::Policy, None, "Not declared in the delivery policy", "tcp * 3389");
    own.conformity = Conformity::Breach;
    let sentence = "crane.toml:7: listening port tcp * 3389 is not declared".to_owned();
    let told = Told { finding: own.id.clone(), breach: true, sentence };
    let unread = vec!["crane.toml:7: 2 gaps bear on what the section listeners needs".to_owned()];
    data.findings.insert(0, own);
    let assessment = Assessment {
        name: "Quay crane 7".to_owned(),
        file: "crane.toml".to_owned(),
        sha256: "ab".repeat(32),
        text: "schema = \"cranescope-policy/1\"\n# <岸桥>\n".to_owned(),
        max_severity: Severity::Low,
        max_line: "crane.toml:4".to_owned(),
        told: vec![told],
        unread,
        ..Assessment::default()
    };
    data.verdict = Verdict::of(&data, vec!["judged as of 2026-01-01".to_owned()], Some(assessment));
    data
}

/// Bytes as a preview would bring them.
pub(crate) fn bytes(offset: u64, len: usize) -> Vec<u8> {
    let text =
        b"[Unit]\nDescription=network daemon\n[Service]\nExecStart=/usr/local/bin/netd -c /etc/netd.toml\n\0\0\0\0";
    (0..len).map(|i| text[(offset as usize + i) % text.len()]).collect()
}
