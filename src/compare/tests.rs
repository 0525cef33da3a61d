//! Comparisons of small inventories: what is odd, in which order, what stands below what.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::*;
use crate::base::{Digest, Evidence, Time};
use crate::inventory::{
    Event, File, FirewallRule, Inventory, Mode as Bits, NameSetting, Package, Route, Scene, Service, Session, Setting,
    SystemInfo, TABLES,
};

fn at(path: &str) -> Evidence {
    Evidence { path: path.into(), ..Evidence::default() }
}
fn file(path: &str, content: u8, mode: u32) -> File {
    File {
        system: Some(0),
        path: path.into(),
        kind: "file".into(),
        mode: Bits(mode),
        sha256: Some(Digest([content; 32])),
        package_check: "unowned".into(),
        evidence: at(path),
        ..File::default()
    }
}
fn owned(path: &str, content: u8, package: &str, check: &str) -> File {
    File { package: Some(package.into()), package_check: check.into(), ..file(path, content, 0o755) }
}
fn setting(name: &str, value: &str) -> Setting {
    Setting {
        system: Some(0),
        program: "sshd".into(),
        name: name.into(),
        value: value.into(),
        evidence: at("/etc/ssh/sshd_config"),
        ..Setting::default()
    }
}
fn machine(name: &str, mut inventory: Inventory) -> Machine {
    inventory.sort();
    let system = SystemInfo { hostname: name.into(), machine_id: format!("{name}-id"), ..SystemInfo::default() };
    let scene = Scene { systems: vec![system], ..Scene::default() };
    Machine {
        name: name.into(),
        source: name.into(),
        data: Arc::new(CaseData { scene, inventory, ..CaseData::default() }),
        notes: vec![],
        declared: std::collections::BTreeSet::new(),
    }
}
fn sisters(machines: Vec<Machine>) -> Comparison {
    let means = Means {
        variation: &Variation::built_in().unwrap(),
        baselines: &Baselines::default(),
        mode: Mode::Sisters,
        policy: "",
    };
    compare(machines, means)
}
fn said(c: &Comparison) -> Vec<String> {
    let one = |d: &Difference| format!("{} {}: {}", d.table, write::key(d), write::odd(c, d));
    c.differences.iter().map(one).collect()
}

#[test]
fn a_changed_value_is_one_changed_row_and_repeated_keys_are_told_apart() {
    let with = |value: &str, second: &[&str]| {
        let mut settings = vec![setting("PermitRootLogin", value)];
        settings.extend(second.iter().map(|v| setting("AcceptEnv", v)));
        Inventory { settings: settings.into(), ..Inventory::default() }
    };
    let c = sisters(vec![
        machine("crane-1", with("no", &["LANG", "LC_*"])),
        machine("crane-2", with("no", &["LC_*", "LANG"])),
        machine("crane-3", with("yes", &["LANG", "LC_*", "FOO"])),
    ]);
    assert_eq!(
        said(&c),
        ["settings sshd |  | PermitRootLogin: other in crane-3", "settings sshd |  | AcceptEnv: only in crane-3"]
    );
    let changed = &c.differences[0];
    assert_eq!(changed.states, [Some(0), Some(0), Some(1)]);
    let value = &changed.columns.iter().find(|(c, _)| *c == "value").unwrap().1;
    assert_eq!(value.iter().flatten().map(String::as_str).collect::<Vec<_>>(), ["no", "no", "yes"]);
    assert_eq!(c.shared, 2);
}

#[test]
fn own_names_are_no_difference_and_a_foreign_one_is() {
    let of = |line: &str| Inventory {
        names: vec![NameSetting {
            system: Some(0),
            kind: "host".into(),
            value: line.into(),
            evidence: at("/etc/hosts"),
            ..NameSetting::default()
        }]
        .into(),
        files: vec![file("/etc/hosts", line.len().try_into().unwrap(), 0o644)].into(),
        ..Inventory::default()
    };
    let c = sisters(vec![
        machine("crane-1", of("127.0.1.1 crane-1")),
        machine("crane-22", of("127.0.1.1 crane-22")),
        machine("crane-333", of("127.0.1.1 crane-333")),
    ]);
    assert_eq!(said(&c), [] as [&str; 0]);
    assert_eq!(c.expected.iter().map(|d| d.table).collect::<Vec<_>>(), ["files", "names"]);
    assert_eq!(c.by_rule().into_iter().collect::<Vec<_>>(), [("hosts-file", 1), ("own-names", 1)]);
    let c = sisters(vec![
        machine("crane-1", of("127.0.1.1 crane-1")),
        machine("crane-22", of("127.0.1.1 crane-22")),
        machine("crane-333", of("127.0.1.1 crane-1")),
    ]);
    // What is read from the file differs in a way that nothing explains, so the file stands with it.
    let names: Vec<String> = said(&c).into_iter().filter(|s| s.starts_with("names")).collect();
    assert_eq!(
        names,
        ["names host | 127.0.1.1 crane-1: only in crane-333", "names host | 127.0.1.1 crane-1: not in crane-333"]
    );
    assert!(c.expected.is_empty());
}

#[test]
fn the_order_is_what_it_bears_on_then_vouching_then_rarity() {
    let base = Inventory { files: vec![owned("/usr/bin/ls", 1, "coreutils", "ok")].into(), ..Inventory::default() };
    let mut odd = base.clone();
    odd.files = vec![
        owned("/usr/bin/ls", 2, "coreutils", "differs"),
        file("/opt/tool", 3, 0o755),
        file("/srv/data", 4, 0o644),
        file("/etc/x.conf", 5, 0o644),
    ]
    .into();
    odd.routes = vec![Route { system: Some(0), destination: "0.0.0.0/0".into(), ..Route::default() }].into();
    odd.firewall = vec![FirewallRule { system: Some(0), rule: "accept".into(), ..FirewallRule::default() }].into();
    odd.services = vec![Service { system: Some(0), name: "x.service".into(), ..Service::default() }].into();
    odd.connections =
        vec![crate::inventory::Connection { system: Some(0), kind: "gsm".into(), ..Default::default() }].into();
    odd.accounts = vec![crate::inventory::Account { system: Some(0), name: "op".into(), ..Default::default() }].into();
    // One that two have is less telling than one that a single machine has.
    let mut two = base.clone();
    Arc::make_mut(&mut two.files).push(file("/aaa", 6, 0o644));
    let mut three = odd.clone();
    Arc::make_mut(&mut three.files).push(file("/aaa", 6, 0o644));
    let c = sisters(vec![
        machine("a", base.clone()),
        machine("b", base.clone()),
        machine("c", base),
        machine("d", two),
        machine("e", three),
    ]);
    let order: Vec<(Class, &str)> = c.differences.iter().map(|d| (d.class, d.table)).collect();
    assert_eq!(
        order,
        [
            (Class::Ways, "connections"),
            (Class::Starts, "services"),
            (Class::Programs, "files"),
            (Class::Accounts, "accounts"),
            (Class::Altered, "files"),
            (Class::Traffic, "routes"),
            (Class::Traffic, "firewall"),
            (Class::Configuration, "files"),
            (Class::Rest, "files"),
            (Class::Rest, "files"),
        ]
    );
    assert_eq!(write::key(&c.differences[8]), "/srv/data");
    assert_eq!(write::odd(&c, &c.differences[9]), "only in d, e");
}

#[test]
fn what_follows_from_a_package_stands_under_it_and_what_does_not_stays() {
    let with = |version: &str, content: u8, check: &str| Inventory {
        packages: vec![Package {
            system: Some(0),
            name: "tool".into(),
            version: version.into(),
            architecture: "amd64".into(),
            evidence: at("/var/lib/dpkg/status"),
            ..Package::default()
        }]
        .into(),
        files: vec![
            owned("/usr/bin/tool", content, "tool", "ok"),
            owned("/usr/bin/tool-2", content, "tool", check),
            file("/etc/tool.local", content, 0o644),
        ]
        .into(),
        ..Inventory::default()
    };
    let c = sisters(vec![
        machine("a", with("1", 1, "ok")),
        machine("b", with("1", 1, "ok")),
        machine("c", with("2", 2, "differs")),
    ]);
    let found: Vec<(&str, Class, Vec<String>)> =
        c.differences.iter().map(|d| (d.table, d.class, d.below.iter().map(write::key).collect())).collect();
    assert_eq!(
        found,
        [
            ("files", Class::Altered, vec![]),
            ("files", Class::Configuration, vec![]),
            ("packages", Class::Packages, vec!["/usr/bin/tool".to_owned()]),
        ]
    );
    assert_eq!(c.count(), 4);
}

#[test]
fn in_time_a_hand_is_named_only_where_something_names_it() {
    let time = |s| Some(Time::seconds(s));
    let package = |version: &str| Package {
        system: Some(0),
        name: "tool".into(),
        version: version.into(),
        evidence: at("/var/lib/dpkg/status"),
        ..Package::default()
    };
    let quiet = Package { name: "quiet".into(), ..package("1") };
    // Its last line in the log is that of its installation.
    let marked = Package { name: "marked".into(), ..package("5") };
    let kept = Package { automatic: Some(true), ..marked.clone() };
    let before = Inventory { packages: vec![marked, package("1"), quiet.clone()].into(), ..Inventory::default() };
    let changed = |path: &str, at| File { changed: time(at), ..file(path, 1, 0o644) };
    let after = Inventory {
        packages: vec![kept, package("2"), Package { version: "9".into(), ..quiet }].into(),
        files: vec![changed("/etc/by-login", 1500), changed("/etc/by-nobody", 9_000_000)].into(),
        events: vec![Event {
            system: Some(0),
            class: "package".into(),
            time: time(100),
            program: "dpkg".into(),
            fields: vec!["action=upgrade".into(), "changed=tool 2".into(), "changed=marked 5".into()],
            evidence: at("/var/log/dpkg.log"),
            ..Event::default()
        }]
        .into(),
        sessions: vec![Session {
            system: Some(0),
            kind: "login".into(),
            program: "sshd".into(),
            user: "op".into(),
            peer: vec!["10.0.0.9".into()],
            start: time(1000),
            end: time(2000),
            ..Session::default()
        }]
        .into(),
        ..Inventory::default()
    };
    let means =
        Means { variation: &Variation::default(), baselines: &Baselines::default(), mode: Mode::Time, policy: "" };
    let c = compare(vec![machine("crane", before), machine("crane", after)], means);
    let hands: BTreeMap<String, Whose> =
        c.differences.iter().map(|d| (write::key(d), d.hand.as_ref().unwrap().whose)).collect();
    assert_eq!(
        hands.into_iter().collect::<Vec<_>>(),
        [
            ("/etc/by-login".to_owned(), Whose::Login),
            ("/etc/by-nobody".to_owned(), Whose::Unknown),
            ("marked | ".to_owned(), Whose::Unknown),
            ("quiet | ".to_owned(), Whose::PackageUnlogged),
            ("tool | ".to_owned(), Whose::PackageManager),
        ]
    );
    let login = c.differences.iter().find(|d| write::key(d).contains("by-login")).unwrap();
    assert_eq!(login.hand.as_ref().unwrap().by, ["op from 10.0.0.9 since 1970-01-01T00:16:40Z (sshd)"]);
}

#[test]
fn every_state_table_is_in_it() {
    let documented: Vec<&str> = documented().into_iter().map(|(name, ..)| name).collect();
    for table in TABLES {
        let is_record =
            ["events", "sessions", "traces", "removed", "file_events", "content_matches"].contains(&table.name);
        assert_eq!(documented.contains(&table.name), !is_record, "{}", table.name);
    }
    // The manual has the same keys.
    let manual = include_str!("../../docs/compare.md");
    for (name, key, why) in super::documented() {
        let row = format!("| `{name}` | {key} | {why} |");
        assert!(manual.contains(&row), "docs/compare.md lacks: {row}");
    }
    for (at, class) in (1..).zip(Class::ALL) {
        assert!(manual.contains(&format!("{at}. {}", class.words())), "{class:?}");
    }
}

#[test]
fn the_same_machines_give_the_same_bytes() {
    let odd = Inventory { files: vec![file("/opt/=cmd|x", 3, 0o755)].into(), ..Inventory::default() };
    let make = || sisters(vec![machine("a", Inventory::default()), machine("b", odd.clone())]);
    let bytes = |write: fn(&Comparison, bool, &mut dyn std::io::Write) -> std::io::Result<()>| {
        let mut out = Vec::new();
        write(&make(), true, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    for write in [write::text, write::csv, write::json] {
        assert_eq!(bytes(write), bytes(write));
    }
    let json: serde_json::Value = serde_json::from_str(&bytes(write::json)).unwrap();
    assert_eq!(json["schema"], "cranescope-compare/1");
    assert_eq!(json["differences"][0]["says"], "only in b");
    assert!(bytes(write::text).contains("  + /opt/=cmd|x"));
}
