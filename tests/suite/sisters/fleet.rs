//! Five machines of one delivery: packages are built and installed by dpkg itself into a root, which is copied, made
//! each machine's own, and given to mke2fs.
use crate::common::{cranescope, ext4, have, plant, run};
use serde_json::Value;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

pub(super) fn quiet(program: &str, arguments: &[&str]) {
    let out = Command::new("timeout").arg("60").arg(program).args(arguments).output().unwrap();
    assert!(out.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
}

pub(super) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

pub(super) fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Builds a package: its files with their modes.
pub(super) fn package(folder: &Path, name: &str, version: &str, files: &[(&str, &[u8], u32)]) -> PathBuf {
    let tree = folder.join(format!("{name}-{version}"));
    let control = format!(
        "Package: {name}\nVersion: {version}\nArchitecture: amd64\nMaintainer: Test <t@example.org>\nDescription: {name}\n"
    );
    plant(&tree, &[("DEBIAN/control", &control)]);
    let mut sums = String::new();
    let mut conffiles = String::new();
    for (path, content, bits) in files {
        let at = tree.join(path.trim_start_matches('/'));
        std::fs::create_dir_all(at.parent().unwrap()).unwrap();
        std::fs::write(&at, content).unwrap();
        mode(&at, *bits);
        if path.starts_with("/etc/") {
            conffiles.push_str(&format!("{path}\n"));
        } else {
            let sum = Command::new("md5sum").arg(&at).output().unwrap().stdout;
            sums.push_str(&format!("{}  {}\n", &String::from_utf8_lossy(&sum)[..32], path.trim_start_matches('/')));
        }
    }
    plant(&tree, &[("DEBIAN/md5sums", &sums)]);
    if !conffiles.is_empty() {
        plant(&tree, &[("DEBIAN/conffiles", &conffiles)]);
    }
    let deb = folder.join(format!("{name}_{version}_amd64.deb"));
    quiet("dpkg-deb", &["--root-owner-group", "-b", text(&tree), text(&deb)]);
    deb
}

/// Installs packages into a root as dpkg does, with its log.
pub(super) fn install(root: &Path, debs: &[PathBuf]) {
    plant(root, &[]);
    std::fs::create_dir_all(root.join("var/log")).unwrap();
    for folder in ["var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers"] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    let status = root.join("var/lib/dpkg/status");
    if !status.exists() {
        std::fs::write(&status, "").unwrap();
    }
    let (flag, log) = (format!("--root={}", text(root)), format!("--log={}/var/log/dpkg.log", text(root)));
    let mut arguments = vec![&*flag, &log, "--force-not-root", "--force-bad-path", "--force-confold", "-i"];
    arguments.extend(debs.iter().map(|d| text(d)));
    quiet("dpkg", &arguments);
}

pub(super) const UNIT: &str =
    "[Unit]\nDescription=Spreader\n[Service]\nExecStart=/usr/bin/spreader\n[Install]\nWantedBy=multi-user.target\n";

/// The programs of this machine: real ELF files.
pub(super) fn program(name: &str) -> Vec<u8> {
    std::fs::read(format!("/usr/bin/{name}")).unwrap()
}

pub(super) fn base_packages(folder: &Path) -> Vec<PathBuf> {
    let (spreader, helper) = (program("true"), program("false"));
    vec![
        package(
            folder,
            "spreader",
            "1.0",
            &[
                ("/usr/bin/spreader", &spreader, 0o755),
                ("/usr/bin/spreader-helper", &helper, 0o755),
                ("/usr/lib/systemd/system/spreader.service", UNIT.as_bytes(), 0o644),
                ("/etc/spreader.conf", b"speed = 1\n", 0o644),
            ],
        ),
        package(
            folder,
            "openssh-server",
            "1:9.2p1-2",
            &[("/usr/sbin/sshd", &spreader, 0o755), ("/etc/ssh/sshd_config", b"PermitRootLogin no\n", 0o644)],
        ),
        package(folder, "login", "1:4.13", &[("/etc/pam.d/login", b"auth required pam_unix.so\n", 0o644)]),
    ]
}

/// What is no package's on every machine.
pub(super) const COMMON: &[(&str, &str)] = &[
    ("/etc/os-release", "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n"),
    ("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\noperator:x:1000:1000::/home/operator:/bin/sh\n"),
    ("/etc/group", "root:x:0:\noperator:x:1000:\n"),
    ("/etc/shadow", "root:*:19000:0:99999:7:::\noperator:*:19000:0:99999:7:::\n"),
    (
        "/etc/nftables.conf",
        "table inet filter {\n chain input {\n  type filter hook input priority 0; policy drop;\n  tcp dport 22 accept\n }\n}\n",
    ),
];

pub(super) struct Fleet {
    pub(super) folder: PathBuf,
    pub(super) roots: Vec<PathBuf>,
    pub(super) cases: Vec<PathBuf>,
}

pub(super) const SISTERS: usize = 5;
/// The one that is given the plants.
pub(super) const ODD: usize = 2;

/// Five machines of one delivery, each with its own names, keys, addresses and logs.
pub(super) fn fleet() -> Option<&'static Fleet> {
    static MADE: OnceLock<Option<Fleet>> = OnceLock::new();
    MADE.get_or_init(|| {
        if !["dpkg", "dpkg-deb", "mke2fs", "ssh-keygen", "md5sum"].into_iter().all(have) {
            return None;
        }
        // Of a static nothing is dropped: one place, made anew by each run.
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sisters");
        drop(std::fs::remove_dir_all(&folder));
        std::fs::create_dir_all(&folder).unwrap();
        let master = folder.join("master");
        plant(&master, COMMON);
        install(&master, &base_packages(&folder));
        std::fs::create_dir_all(master.join("etc/systemd/system/multi-user.target.wants")).unwrap();
        symlink(
            "/usr/lib/systemd/system/spreader.service",
            master.join("etc/systemd/system/multi-user.target.wants/spreader.service"),
        )
        .unwrap();
        let (mut roots, mut cases) = (Vec::new(), Vec::new());
        for number in 0..SISTERS {
            let root = folder.join(format!("root-{number}"));
            quiet("cp", &["-a", text(&master), text(&root)]);
            make_own(&root, number);
            cases.push(examined(&folder, &root, &format!("crane-{number}")));
            roots.push(root);
        }
        Some(Fleet { folder, roots, cases })
    })
    .as_ref()
}

pub(super) fn make_own(root: &Path, number: usize) {
    let name = format!("sts-{}", 4100 + number);
    plant(
        root,
        &[
            ("/etc/hostname", &format!("{name}\n")),
            ("/etc/hosts", &format!("127.0.0.1 localhost\n127.0.1.1 {name}.port.example {name}\n")),
            ("/etc/machine-id", &format!("{:032x}\n", 0x5eed_0000_1234 + number)),
            (
                "/etc/network/interfaces",
                &format!(
                    "auto eth0\niface eth0 inet static\n    address 10.20.3.{}/24\n    gateway 10.20.3.1\n",
                    11 + number
                ),
            ),
            ("/var/log/syslog", &format!("{}\n", "Jan  1 00:00:00 host kernel: tick\n".repeat(number + 1))),
            ("/var/lib/systemd/random-seed", &format!("{number}{number}")),
        ],
    );
    if number % 2 == 1 {
        plant(root, &[("/var/log/syslog.1", "Jan  1 00:00:00 host kernel: tock\n")]);
    }
    let key = root.join("etc/ssh/ssh_host_ed25519_key");
    quiet("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", &format!("root@{name}"), "-f", text(&key)]);
}

/// Makes an image of a root, and a case of the image.
pub(super) fn examined(folder: &Path, root: &Path, name: &str) -> PathBuf {
    let image = format!("{name}.img");
    ext4(folder, root, &image);
    let case = format!("{name}.cranecase");
    let arguments = ["examine", &image, "--case", &case, "--overwrite", "--quiet", "--as-of", "2026-01-01"];
    let (code, _, error) = run(folder, &arguments);
    assert_eq!(code, 0, "{error}");
    folder.join(case)
}

pub(super) fn compared(cases: &[&Path], more: &[&str]) -> Value {
    let mut command = cranescope();
    command.arg("compare").args(cases).args(["--format", "json", "--as-of", "2026-01-01"]).args(more);
    let out = command.output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

pub(super) fn list<'a>(json: &'a Value, key: &str) -> &'a [Value] {
    json[key].as_array().unwrap()
}

/// Everything a difference says of itself and of what stands below it.
pub(super) fn words(difference: &Value) -> String {
    let one = |d: &Value| format!("{} {} {} {}", d["table"], d["label"], d["source"], d["columns"]);
    let below: Vec<String> = list(difference, "below").iter().map(one).collect();
    format!("{} {}", one(difference), below.join(" "))
}
