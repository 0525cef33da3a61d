//! The ladder on systems of other kinds: without a package database, with lists of starts, with another SSH server.
#![allow(clippy::unwrap_used)]
use super::tests::{at, driver, file, findings, findings_without_database, one, service};
use crate::inventory::{Binary, Connection, Driver, File, Interface, Package, Row, Service};
use crate::judge::{Finding, Rung, Severity};

fn program(path: &str, imports: &[&str]) -> Row {
    Binary {
        system: Some(0),
        path: path.into(),
        format: "elf".into(),
        kind: "executable".into(),
        imports: imports.iter().map(|i| (*i).to_owned()).collect(),
        evidence: at(path, 0),
        ..Binary::default()
    }
    .into()
}
fn link(path: &str, target: &str) -> Row {
    let target = Some(target.into());
    File { system: Some(0), path: path.into(), kind: "symlink".into(), target, ..File::default() }.into()
}
/// Line 9 of inittab.
fn respawn(command: &str, program: &str) -> Row {
    Service {
        name: "inittab::9".into(),
        enabled_by: vec!["/etc/inittab".into()],
        commands: vec![command.into()],
        evidence: at("/etc/inittab", 9),
        ..service("", command, program, true)
    }
    .into()
}
fn told(all: &[Finding]) -> Vec<(Option<Rung>, Severity, &str)> {
    all.iter().map(|f| (f.rung, f.severity, f.subject.as_str())).collect()
}

const SHELL: &[&str] = &["accept", "bind", "execl", "forkpty", "listen", "socket"];

#[test]
fn a_program_that_could_give_a_shell_to_callers() {
    let all = |path: &str, imports: &[&str]| vec![program(path, imports), file(path, ""), respawn(path, path)];
    let found = findings_without_database(all("/usr/sbin/healthd", SHELL));
    assert_eq!(told(&found), [(Some(Rung::Enabled), Severity::High, "program /usr/sbin/healthd")]);
    assert!(found.iter().all(|f| f.observed.contains("listen, accept, forkpty, execl")), "{found:#?}");
    // One of the abilities lacks; an interpreter loads its parts while it runs.
    for imports in [&["accept", "execl", "listen"][..], &["accept", "dlopen", "execl", "forkpty", "listen"]] {
        assert!(findings_without_database(all("/usr/sbin/healthd", imports)).is_empty(), "{imports:?}");
    }
    // Of a package; and of none, started by nothing.
    assert!(findings(vec![program("/usr/bin/tmux", SHELL), file("/usr/bin/tmux", "ok")]).is_empty());
    let alone = one(vec![program("/usr/sbin/healthd", SHELL), file("/usr/sbin/healthd", "unowned")]);
    assert_eq!(alone.rung, Some(Rung::Altered));
}

#[test]
fn a_program_of_many_names_has_many_uses() {
    let mut rows =
        vec![program("/bin/busybox", SHELL), file("/bin/busybox", ""), respawn("/sbin/getty", "/bin/busybox")];
    for name in ["sh", "ls", "cat", "ps", "vi", "mount", "login"] {
        rows.push(link(&format!("/bin/{name}"), "busybox"));
    }
    assert_eq!(findings_without_database(rows.clone()).len(), 1, "seven names are few");
    rows.push(link("/sbin/getty", "/bin/busybox"));
    assert!(findings_without_database(rows).is_empty());
}

#[test]
fn a_link_and_the_line_of_inittab_that_brings_it_up_are_one() {
    let connection = Connection {
        system: Some(0),
        name: "/etc/inittab:9".into(),
        manager: "dialer".into(),
        kind: "gsm".into(),
        device: "/dev/cdc-wdm0".into(),
        evidence: at("/etc/inittab", 9),
        ..Connection::default()
    };
    let found =
        one(vec![connection.into(), respawn("/usr/bin/mbim-network /dev/cdc-wdm0 start", "/usr/bin/mbim-network")]);
    assert_eq!(found.rung, Some(Rung::Enabled));
}

#[test]
fn the_one_link_of_a_script_is_the_script() {
    let path = "/etc/NetworkManager/dispatcher.d/50-up";
    let connection = |line: u32| Connection {
        system: Some(0),
        name: format!("{path}:{line}"),
        manager: "command".into(),
        kind: "gsm".into(),
        apn: "m2m.example".into(),
        evidence: at(path, line),
        ..Connection::default()
    };
    let script = Binary {
        system: Some(0),
        path: path.into(),
        format: "script".into(),
        kind: "sh".into(),
        imports: vec!["modem manager".into()],
        evidence: at(path, 0),
        ..Binary::default()
    };
    let found = one(vec![connection(2).into(), script.into(), file(path, "unowned")]);
    assert_eq!((found.rung, found.subject.as_str()), (Some(Rung::Configured), format!("program {path}").as_str()));
}

#[test]
fn a_modem_driver_out_of_tree_needs_no_database_to_be_told() {
    let own = |kernel: &str| Driver {
        kernel: kernel.into(),
        outside: true,
        intree: None,
        depends: vec!["cdc-wdm".into()],
        ..driver("qmi_wwaq", "/lib/modules/6.1/updates/qmi_wwan_q.ko")
    };
    let stock = Driver { kernel: "6.1".into(), ..driver("ext4", "/lib/modules/6.1/kernel/fs/ext4.ko") };
    let found = findings_without_database(vec![own("6.1").into(), stock.clone().into()]);
    assert!(found.iter().any(|f| f.rung == Some(Rung::Altered) && f.severity == Severity::High), "{found:#?}");
    // A kernel none of whose modules has the mark.
    let found = findings_without_database(vec![own("5.4").into(), stock.into()]);
    assert!(found.iter().all(|f| f.rung == Some(Rung::Installed)), "{found:#?}");
}

#[test]
fn the_only_ssh_server_is_as_ordinary_as_the_usual_one() {
    let dropbear = || -> Vec<Row> {
        let package = Package {
            system: Some(0),
            name: "dropbear".into(),
            state: "install ok installed".into(),
            ..Package::default()
        };
        vec![program("/usr/sbin/dropbear", &[]), file("/usr/sbin/dropbear", "ok"), package.into()]
    };
    let found = one(dropbear());
    assert_eq!((found.rung, found.subject.as_str()), (Some(Rung::Capable), "stock remote access"));
    let both = [dropbear(), vec![file("/usr/sbin/sshd", "ok")]].concat();
    assert_eq!(told(&findings(both)), [(Some(Rung::Installed), Severity::Low, "Dropbear")]);
    let changed = vec![program("/usr/sbin/dropbear", &[]), file("/usr/sbin/dropbear", "unowned")];
    assert_eq!(one(changed).rung, Some(Rung::Altered));
}

/// What one file of ifcfg gives: the interface and the connection over it.
fn ifcfg(file: &str, interface: &str, name: &str, kind: &str, details: &[&str]) -> Vec<Row> {
    let path = format!("/etc/sysconfig/network-scripts/{file}");
    let row = Interface {
        system: Some(0),
        name: interface.into(),
        manager: "ifcfg".into(),
        kind: "ppp".into(),
        method: "dialup".into(),
        auto: true,
        details: details.iter().map(|d| (*d).to_owned()).collect(),
        evidence: at(&path, 1),
        ..Interface::default()
    };
    let connection = Connection {
        system: Some(0),
        name: name.into(),
        manager: "ifcfg".into(),
        kind: kind.into(),
        interface: interface.into(),
        enabled: true,
        enabled_by: vec!["brought up at boot".into()],
        evidence: at(&path, 6),
        ..Connection::default()
    };
    vec![row.into(), connection.into()]
}

#[test]
fn an_interface_and_the_connection_of_its_file_are_one() {
    let found = one(ifcfg("ifcfg-ppp0", "ppp0", "GPRS", "ppp-modem", &["modemport=/dev/ttyACM0", "wvdialsect=GPRS"]));
    assert_eq!((found.rung, found.subject.as_str()), (Some(Rung::Enabled), "connection GPRS"));
    assert!(found.observed.contains("interface ppp0"), "{}", found.observed);
    // A DSL line's interface is no modem's.
    let all = findings(ifcfg("ifcfg-dsl", "ppp1", "DSL line", "pppoe", &["type=xDSL", "eth=eth1"]));
    assert!(all.iter().all(|f| f.rule != "cellular-link"), "{:?}", told(&all));
}

#[test]
fn a_line_more_in_a_list_of_a_package_without_digests() {
    for (check, rung) in [("no-digest", Rung::Enabled), ("ok", Rung::Altered)] {
        let path = "/usr/sbin/healthd";
        let found =
            one(vec![program(path, SHELL), file(path, "unowned"), file("/etc/inittab", check), respawn(path, path)]);
        assert_eq!(found.rung, Some(rung), "{check}");
    }
}
