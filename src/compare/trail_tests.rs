//! What follows from packages stands under them, and what could have been changed beside them does not: each kind both ways.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::trail::of_database;
use super::*;
use crate::base::{Digest, Evidence, Time};
use crate::inventory::{
    Account, Certificate, File, Group, Inventory, Mode as Bits, Package, Scene, Setting, Start, SystemInfo,
};

/// When packages changed on the later machine, and when nothing did.
const RUN: i64 = 1_000_000;
const QUIET: i64 = 5_000_000;

/// One machine as it was and as it is.
#[derive(Default)]
struct Pair {
    sides: [Inventory; 2],
}

fn at(path: &str) -> Evidence {
    Evidence { path: path.into(), ..Evidence::default() }
}

impl Pair {
    /// A package in its earlier and later version; none of one where it is empty.
    fn package(mut self, name: &str, versions: [&str; 2]) -> Self {
        for (side, version) in self.sides.iter_mut().zip(versions).filter(|(_, v)| !v.is_empty()) {
            let package = Package {
                system: Some(0),
                name: name.into(),
                version: version.into(),
                manager: "dpkg".into(),
                automatic: Some(true),
                evidence: at("/var/lib/dpkg/status"),
                ..Package::default()
            };
            Arc::make_mut(&mut side.packages).push(package);
        }
        if versions[0] != versions[1] && !versions[1].is_empty() {
            self = self.file(&format!("/var/lib/dpkg/info/{name}.list"), [1, 2], RUN);
        }
        self
    }
    fn add(mut self, file: impl Fn(u8) -> File, contents: [u8; 2]) -> Self {
        for (side, content) in self.sides.iter_mut().zip(contents).filter(|(_, c)| *c > 0) {
            Arc::make_mut(&mut side.files).push(file(content));
        }
        self
    }
    /// A file of no package, with a content on each side (0: it is not there), last changed at a time.
    fn file(self, path: &str, contents: [u8; 2], when: i64) -> Self {
        self.add(|content| plain(path, content, when), contents)
    }
    /// A file as its package ships it.
    fn owned(self, path: &str, contents: [u8; 2], package: &str) -> Self {
        let own =
            |content| File { package: Some(package.into()), package_check: "ok".into(), ..plain(path, content, QUIET) };
        self.add(own, contents)
    }
    fn link(self, path: &str, there: [u8; 2], target: &str, when: i64) -> Self {
        let link = |_| File {
            kind: "symlink".into(),
            target: Some(target.into()),
            sha256: None,
            mode: Bits(0o777),
            ..plain(path, 0, when)
        };
        self.add(link, there)
    }
    fn compared(mut self) -> Comparison {
        let machines = self.sides.each_mut().map(|side| {
            side.sort();
            let scene = Scene { systems: vec![SystemInfo::default()], ..Scene::default() };
            Machine {
                name: "crane".into(),
                source: "crane".into(),
                data: Arc::new(CaseData { scene, inventory: side.clone(), ..CaseData::default() }),
                notes: vec![],
                declared: BTreeSet::new(),
            }
        });
        let variation = Variation::built_in().unwrap();
        let means = Means { variation: &variation, baselines: &Baselines::default(), mode: Mode::Time, policy: "" };
        compare(machines.into(), means)
    }
}

fn plain(path: &str, content: u8, when: i64) -> File {
    File {
        system: Some(0),
        path: path.into(),
        kind: "file".into(),
        mode: Bits(0o644),
        sha256: Some(Digest([content; 32])),
        changed: Some(Time::seconds(when)),
        package_check: "unowned".into(),
        evidence: at(path),
        ..File::default()
    }
}

/// What stands under packages, by why; and what does not, by class. The packages' own lists, of which a run is known by, aside.
fn stands(c: &Comparison) -> (Vec<(String, &'static str)>, Vec<(Class, String)>) {
    let told = |d: &Difference| of_database(&d.source).is_none_or(|(_, kind)| kind != "list");
    let below = c.differences.iter().filter(|d| d.table == "packages").flat_map(|d| &d.below);
    let below = below.filter(|d| told(d)).map(|d| (write::key(d), d.follows)).collect();
    let alone = c.differences.iter().filter(|d| d.table != "packages" && told(d));
    (below, alone.map(|d| (d.class, write::key(d))).collect())
}
/// All of it follows, by this kind.
fn follows(pair: Pair, kind: &str) {
    let (below, alone) = stands(&pair.compared());
    assert!(below.iter().any(|(_, why)| *why == kind), "{kind}: {below:?}");
    assert_eq!(alone, [], "{below:?}");
}
/// These are told by themselves, as such.
fn told(pair: Pair, expected: &[(Class, &str)]) {
    let (below, alone) = stands(&pair.compared());
    let expected: Vec<(Class, String)> = expected.iter().map(|(class, key)| (*class, (*key).to_owned())).collect();
    assert_eq!(alone, expected, "below: {below:?}");
}

#[test]
fn what_moves_from_one_package_to_another_follows() {
    let moved = |later: &str| {
        let pair = Pair::default().package("util", ["1", "2"]).package("util-extra", ["", "2"]);
        let old = pair.owned("/usr/sbin/fsck", [1, 0], "util");
        old.owned("/usr/sbin/fsck", [0, 2], later)
    };
    follows(moved("util-extra"), "shipped");
    // Of packages that did not change one of the two databases is not right.
    let still = Pair::default().package("a", ["1", "1"]).package("b", ["1", "1"]).owned("/usr/sbin/fsck", [1, 0], "a");
    told(still.owned("/usr/sbin/fsck", [0, 2], "b"), &[(Class::Altered, "/usr/sbin/fsck")]);
    let start = |pair: Pair, programs: [&str; 2]| {
        let mut pair = pair;
        for (side, program) in pair.sides.iter_mut().zip(programs) {
            let start = Start {
                system: Some(0),
                by: "nss".into(),
                name: "dns".into(),
                command: "libnss_dns.so.2".into(),
                program: Some(program.into()),
                evidence: at("/etc/nsswitch.conf"),
                ..Start::default()
            };
            Arc::make_mut(&mut side.starts).push(start);
        }
        pair
    };
    let libc = || Pair::default().package("libc6", ["1", "2"]).owned("/lib/a.so", [1, 0], "libc6");
    follows(start(libc().owned("/lib/b.so", [0, 2], "libc6"), ["/lib/a.so", "/lib/b.so"]), "program-moved");
    let other = start(libc().file("/opt/b.so", [2, 2], QUIET), ["/lib/a.so", "/opt/b.so"]);
    told(other, &[(Class::Starts, "nss | dns | libnss_dns.so.2")]);
}

#[test]
fn what_dpkg_keeps_of_a_package_follows_from_its_change_alone() {
    for kind in ["postinst", "prerm", "md5sums", "templates", "list"] {
        let path = format!("/var/lib/dpkg/info/sshd.{kind}");
        let with = |versions: [&str; 2], when: i64| {
            let pair = Pair::default().package("other", ["1", "2"]);
            // Its list is there in both: only then does `list` differ by itself.
            let mut pair = pair.file(&path, [3, 4], when);
            for (side, version) in pair.sides.iter_mut().zip(versions) {
                let package =
                    Package { system: Some(0), name: "sshd".into(), version: version.into(), ..Package::default() };
                Arc::make_mut(&mut side.packages).push(package);
            }
            pair.compared()
        };
        let of = |c: &Comparison| {
            let alone = c.differences.iter().find(|d| d.source == path).map(|d| d.class);
            let below = c.differences.iter().flat_map(|d| &d.below).find(|d| d.source == path).map(|d| d.follows);
            (alone, below)
        };
        assert_eq!(of(&with(["1", "2"], RUN)), (None, Some("installation-files")), "{kind}");
        // Its package is as it was; or it was written when no package changed.
        assert_eq!(of(&with(["1", "1"], RUN)), (Some(Class::Altered), None), "{kind}");
        if kind != "list" {
            assert_eq!(of(&with(["1", "2"], QUIET)), (Some(Class::Altered), None), "{kind}");
        }
    }
    // A list that was made to fit stands under the file that it was made to fit.
    let pair = Pair::default().package("sshd", ["1", "1"]).package("x", ["1", "2"]);
    let pair = pair.owned("/usr/sbin/sshd", [1, 2], "sshd").file("/var/lib/dpkg/info/sshd.md5sums", [1, 2], RUN);
    told(pair, &[(Class::Altered, "/usr/sbin/sshd")]);
    // What is no file of dpkg's is none of a package.
    let pair = Pair::default().package("sshd", ["1", "2"]).file("/var/lib/dpkg/info/sshd.sh", [1, 2], RUN);
    told(pair, &[(Class::Rest, "/var/lib/dpkg/info/sshd.sh")]);
}

#[test]
fn bytecode_follows_from_its_source_or_its_interpreter() {
    let of = |versions: [&str; 2], python: [&str; 2], when: i64| {
        let pair = Pair::default().package("tool", versions).package("python3.13-minimal", python);
        let pair = pair.owned("/usr/lib/python3/tool.py", [1, 1], "tool");
        pair.file("/usr/lib/python3/__pycache__/tool.cpython-313.pyc", [3, 4], when)
    };
    let pyc = &[(Class::Programs, "/usr/lib/python3/__pycache__/tool.cpython-313.pyc")];
    follows(of(["1", "2"], ["1", "1"], RUN), "bytecode");
    follows(of(["1", "1"], ["1", "2"], RUN), "bytecode");
    told(of(["1", "1"], ["1", "1"], RUN), pyc);
    told(of(["1", "2"], ["1", "1"], QUIET), pyc);
    // A source that is not as shipped, or none.
    let pair = Pair::default().package("tool", ["1", "2"]).file("/opt/x.py", [1, 1], QUIET);
    let path = "/opt/__pycache__/x.cpython-313.pyc";
    told(pair.file(path, [3, 4], RUN), &[(Class::Programs, path)]);
}

#[test]
fn links_follow_from_what_they_lead_to() {
    let of = |path: &str, target: &str, vim: [&str; 2], when: i64| {
        let pair = Pair::default().package("vim", vim).owned("/usr/bin/vim.basic", [1, 1], "vim");
        let pair = pair.file("/tmp/vi", [1, 1], QUIET).link("/etc/alternatives/vi", [0, 1], "/usr/bin/vim.basic", RUN);
        pair.link(path, [0, 1], target, when)
    };
    let vi = "/usr/bin/vi";
    follows(of(vi, "/etc/alternatives/vi", ["1", "2"], RUN), "links");
    told(of(vi, "/etc/alternatives/vi", ["1", "2"], QUIET), &[(Class::Rest, vi)]);
    told(of("/usr/bin/x", "/usr/bin/vim.basic", ["1", "2"], RUN), &[(Class::Rest, "/usr/bin/x")]);
    // One that leads to what no package ships; and a packaged program that was there all the time.
    let foreign = Pair::default().package("vim", ["1", "2"]).file("/tmp/vi", [1, 1], QUIET);
    told(
        foreign.link("/etc/alternatives/vi", [0, 1], "/tmp/vi", RUN),
        &[(Class::Configuration, "/etc/alternatives/vi")],
    );
    let still = Pair::default().package("x", ["1", "2"]).package("vim", ["1", "1"]);
    let still = still.owned("/usr/bin/vim.basic", [1, 1], "vim");
    let still = still.link("/etc/alternatives/vi", [0, 1], "/usr/bin/vim.basic", RUN);
    told(still, &[(Class::Configuration, "/etc/alternatives/vi")]);
    // Links that go in a circle lead nowhere.
    let circle = Pair::default().package("vim", ["1", "2"]).link("/etc/alternatives/a", [0, 1], "b", RUN);
    let circle = circle.link("/etc/alternatives/b", [0, 1], "a", RUN);
    told(circle, &[(Class::Configuration, "/etc/alternatives/a"), (Class::Configuration, "/etc/alternatives/b")]);
    let list = |vim: [&str; 2]| {
        let pair = Pair::default().package("vim", vim).owned("/usr/bin/vim.basic", [1, 1], "vim");
        let pair = pair.package("x", ["1", "2"]).link("/etc/alternatives/vi", [1, 1], "/usr/bin/vim.basic", QUIET);
        pair.file("/var/lib/dpkg/alternatives/vi", [1, 2], RUN)
    };
    follows(list(["1", "2"]), "alternatives");
    told(list(["1", "1"]), &[(Class::Rest, "/var/lib/dpkg/alternatives/vi")]);
}

#[test]
fn a_unit_is_enabled_by_its_package_only_where_the_helper_has_a_record() {
    let of = |record: bool, when: i64| {
        let pair = Pair::default().package("chrony", ["1", "2"]);
        let pair = pair.owned("/usr/lib/systemd/system/chrony.service", [1, 1], "chrony");
        let there = [0, u8::from(record)];
        let record = "/var/lib/systemd/deb-systemd-helper-enabled/multi-user.target.wants/chrony.service";
        let link = "/etc/systemd/system/multi-user.target.wants/chrony.service";
        let pair = pair.file(record, there, RUN);
        pair.link(link, [0, 1], "/usr/lib/systemd/system/chrony.service", when)
    };
    let link = &[(Class::Configuration, "/etc/systemd/system/multi-user.target.wants/chrony.service")];
    follows(of(true, RUN), "enabled-units");
    told(of(false, RUN), link);
    told(of(true, QUIET), link);
}

#[test]
fn the_store_of_certificates_follows_where_a_package_ships_each() {
    let of = |versions: [&str; 2], packaged: bool| {
        let mut pair = Pair::default().package("ca-certificates", versions).package("x", ["1", "2"]);
        pair = pair.file("/etc/ssl/certs/ca-certificates.crt", [1, 2], RUN);
        for (number, side) in (1..).zip(&mut pair.sides) {
            let certificate = Certificate {
                system: Some(0),
                path: "/etc/ssl/certs/ca-certificates.crt".into(),
                number: 1,
                subject: format!("CN={number}"),
                store: "system".into(),
                packaged: packaged || number == 1,
                evidence: at("/etc/ssl/certs/ca-certificates.crt"),
                ..Certificate::default()
            };
            Arc::make_mut(&mut side.certificates).push(certificate);
        }
        pair
    };
    follows(of(["1", "2"], true), "authorities");
    told(of(["1", "2"], false), &[(Class::Accounts, "/etc/ssl/certs/ca-certificates.crt | 1")]);
    let still = stands(&of(["1", "1"], true).compared()).1;
    assert_eq!(still.len(), 1, "{still:?}");
}

#[test]
fn what_is_made_of_a_kernel_or_by_a_trigger_follows_from_these() {
    let of = |versions: [&str; 2], when: i64| {
        let name = "linux-image-6.1";
        let pair = Pair::default().package(name, versions).package("x", ["1", "2"]);
        let pair = pair.owned("/boot/vmlinuz-6.1", [1, 1], name);
        pair.file("/usr/lib/modules/6.1/modules.dep", [1, 2], when).file("/boot/initrd.img-6.1", [1, 2], when)
    };
    let all = &[(Class::Programs, "/boot/initrd.img-6.1"), (Class::Rest, "/usr/lib/modules/6.1/modules.dep")];
    follows(of(["1", "2"], RUN), "kernel");
    told(of(["1", "2"], QUIET), all);
    told(of(["1", "1"], RUN), all);
    let mime = |package: &str, versions: [&str; 2], mode: u32| {
        let pair = Pair::default().package(package, versions).package("x", ["1", "2"]);
        let pair = pair.owned("/usr/share/mime/packages/a.xml", [1, 1], package);
        pair.add(|content| File { mode: Bits(mode), ..plain("/usr/share/mime/text/a.xml", content, RUN) }, [1, 2])
    };
    let path = "/usr/share/mime/text/a.xml";
    follows(mime("shared-mime-info", ["1", "2"], 0o644), "made");
    follows(mime("editor", ["1", "2"], 0o644), "made");
    told(mime("editor", ["1", "1"], 0o644), &[(Class::Rest, path)]);
    told(mime("editor", ["1", "2"], 0o755), &[(Class::Programs, path)]);
}

#[test]
fn a_diversion_is_of_the_package_that_asked_for_it() {
    let of = |by: &str, versions: [&str; 2]| {
        let mut pair = Pair::default().package("dash", versions).package("x", ["1", "2"]);
        pair = pair.file("/var/lib/dpkg/diversions", [1, 1], RUN);
        let setting = Setting {
            system: Some(0),
            program: "dpkg".into(),
            scope: "diversion".into(),
            name: "/bin/sh".into(),
            value: format!("/bin/sh.distrib by {by}"),
            evidence: at("/var/lib/dpkg/diversions"),
            ..Setting::default()
        };
        Arc::make_mut(&mut pair.sides[1].settings).push(setting);
        pair
    };
    follows(of("dash", ["1", "2"]), "diversions");
    told(of("dash", ["1", "1"]), &[(Class::Configuration, "dpkg | diversion | /bin/sh")]);
    told(of(":", ["1", "2"]), &[(Class::Configuration, "dpkg | diversion | /bin/sh")]);
}

#[test]
fn folders_go_with_what_is_in_them() {
    let of = |foreign: bool| {
        let folder = |_| File {
            kind: "directory".into(),
            sha256: None,
            mode: Bits(0o755),
            ..plain("/usr/lib/python3/__pycache__", 0, RUN)
        };
        let pair = Pair::default().package("tool", ["", "1"]).owned("/usr/lib/python3/tool.py", [0, 1], "tool");
        let pair = pair.add(folder, [0, 1]).file("/usr/lib/python3/__pycache__/tool.cpython-313.pyc", [0, 1], RUN);
        pair.file("/usr/lib/python3/__pycache__/own.bin", [0, u8::from(foreign)], QUIET)
    };
    follows(of(false), "folders");
    told(of(true), &[(Class::Rest, "/usr/lib/python3/__pycache__/own.bin")]);
}

#[test]
fn a_package_is_as_telling_as_what_came_with_it_where_it_was_asked_for() {
    let of = |automatic: bool, path: &str| {
        let mut pair = Pair::default().package("tool", ["", "1"]);
        for package in Arc::make_mut(&mut pair.sides[1].packages).iter_mut() {
            package.automatic = Some(automatic);
        }
        let start = Start { system: Some(0), by: "cron".into(), evidence: at(path), ..Start::default() };
        Arc::make_mut(&mut pair.sides[1].starts).push(start);
        let pair =
            if path.starts_with("/var") { pair.file(path, [0, 1], RUN) } else { pair.owned(path, [0, 1], "tool") };
        pair.compared().differences[0].class
    };
    assert_eq!(of(false, "/etc/cron.d/tool"), Class::Starts);
    assert_eq!(of(true, "/etc/cron.d/tool"), Class::Packages);
    assert_eq!(of(false, "/var/lib/dpkg/info/tool.postinst"), Class::Packages);
}

#[test]
fn who_is_let_in_stands_before_accounts_of_services() {
    let mut pair = Pair::default();
    let account = |name: &str, uid, login| Account {
        system: Some(0),
        name: name.into(),
        uid,
        login,
        evidence: at("/etc/passwd"),
        ..Account::default()
    };
    pair.sides[1].accounts =
        vec![account("_chrony", 110, false), account("op", 1000, true), account("toor", 0, false)].into();
    pair.sides[1].groups =
        vec![Group { system: Some(0), name: "_ssh".into(), gid: 111, evidence: at("/etc/group"), ..Group::default() }]
            .into();
    let setting = |name: &str| Setting {
        system: Some(0),
        program: "sshd".into(),
        name: name.into(),
        value: "yes".into(),
        evidence: at("/etc/ssh/sshd_config"),
        ..Setting::default()
    };
    pair.sides[1].settings = vec![setting("PermitRootLogin"), setting("Banner")].into();
    let c = pair.compared();
    let order: Vec<(Class, String)> = c.differences.iter().map(|d| (d.class, write::key(d))).collect();
    let names: Vec<&str> = order.iter().map(|(_, key)| key.split(" | ").last().unwrap()).collect();
    assert_eq!(names, ["op", "toor", "PermitRootLogin", "_chrony", "_ssh", "Banner"]);
    assert_eq!(order[2].0, Class::Accounts);
}

#[test]
fn the_manual_has_each_kind() {
    let manual = include_str!("../../docs/compare.md");
    for (id, why) in following() {
        assert!(manual.contains(&format!("| `{id}` | {why} |")), "docs/compare.md lacks: | `{id}` | {why} |");
    }
}
