//! Tests of the init.d, inittab, rc.local, inetd and xinetd readers.
#![allow(clippy::indexing_slicing)]
use super::*;
use crate::artifact::linux::testing::{rows, system, system_of};
use crate::fs::MemFs;
use crate::inventory::Row;

fn services(text: &str) -> BTreeMap<String, Service> {
    let (rows, gaps) = rows(&system(text), &ARTIFACT);
    assert!(gaps.is_empty(), "{gaps:?}");
    let all = rows.into_iter().filter_map(|r| if let Row::Service(s) = r { Some((s.name.clone(), *s)) } else { None });
    all.collect()
}

const SCRIPTS: &str = "/etc/init.d/ssh mode=755
    ### BEGIN INIT INFO
    # Provides: ssh
    # Short-Description: secure shell
    ### END INIT INFO
    DAEMON=/usr/sbin/sshd
/etc/init.d/tunnel.sh mode=755
    #!/bin/sh
/etc/init.d/off mode=755
    #!/bin/sh
/etc/init.d/not-executable
    #!/bin/sh
/etc/rc2.d/S20ssh -> ../init.d/ssh
/etc/rc3.d/S99odd -> ../init.d/tunnel.sh
/etc/rc2.d/S01not-executable -> ../init.d/not-executable
/etc/rc2.d/K01off -> ../init.d/off
/etc/rc6.d/S01off -> ../init.d/off
/etc/insserv/overrides/ssh
    # x
/usr/sbin/frpc mode=755
    x
/etc/rc.local mode=755
    #!/bin/sh
    cd /
    nohup /usr/sbin/frpc -c /etc/x &
    exit 0
";

#[test]
fn scripts_under_systemd_and_alone() {
    let alone = services(SCRIPTS);
    let said = |all: &BTreeMap<String, Service>, name: &str| (all[name].state.to_string(), all[name].enabled);
    assert_eq!(said(&alone, "ssh"), ("enabled".into(), true));
    assert_eq!(alone["ssh"].enabled_by, ["/etc/rc2.d/S20ssh"]);
    assert_eq!((alone["ssh"].description.as_str(), alone["ssh"].evidence.line), ("secure shell", Some(5)));
    assert_eq!(alone["ssh"].dropins, ["/etc/insserv/overrides/ssh"]);
    assert_eq!(said(&alone, "tunnel.sh"), ("enabled".into(), true));
    assert_eq!(said(&alone, "off"), ("disabled".into(), false));
    assert!(!alone["not-executable"].enabled);
    let local = &alone["rc.local"];
    assert_eq!(local.program, Some(Name::from("/usr/sbin/frpc")));
    assert_eq!((local.enabled, local.evidence.line, local.commands.len()), (true, Some(3), 3));

    let with = services(&format!(
        "{SCRIPTS}/lib/systemd/systemd mode=755\n    x\n/sbin/init -> /lib/systemd/systemd\n/lib/systemd/system/ssh.service\n    [Service]\n"
    ));
    assert_eq!(said(&with, "ssh"), ("shadowed".into(), false));
    assert_eq!(with["ssh"].aliases, ["ssh.service"]);
    assert_eq!(said(&with, "tunnel.sh"), ("generated".into(), true));
    assert!(!with["rc.local"].enabled, "no rc-local.service starts it");
}

#[test]
fn inittab_of_both_kinds() {
    let all = services(
        "/etc/inittab
    # c
    id:3:initdefault:
    si::sysinit:/etc/init.d/rcS
    1:2345:respawn:/sbin/getty 38400 tty1
    x1:5:respawn:/usr/bin/x
    T0:23:off:/bin/x
    ::respawn:-/bin/sh -c 'exec /usr/bin/tunnel'
/usr/bin/tunnel mode=755
    x
/bin/sh mode=755
    x
",
    );
    let enabled: Vec<_> = all.values().filter(|s| s.enabled).map(|s| s.name.as_str()).collect();
    assert_eq!(enabled, ["inittab:1:4", "inittab::7", "inittab:si:3"]);
    assert_eq!(all["inittab::7"].program, Some(Name::from("/usr/bin/tunnel")));
    assert_eq!(all["inittab::7"].commands[1], "wrapper=/bin/sh");
}

#[test]
fn super_servers() {
    let system = system(
        "/usr/sbin/inetd mode=755
    x
/usr/sbin/xinetd mode=755
    x
/usr/sbin/in.telnetd mode=755
    x
/usr/sbin/tcpd mode=755
    x
/etc/inetd.conf
    #ftp stream tcp nowait root /usr/sbin/ftpd ftpd
    telnet stream tcp nowait root.tty /usr/sbin/in.telnetd in.telnetd -L
    time stream tcp nowait root internal
/etc/xinetd.d/shell
    service shell
    {
        disable = no
        port = 514
        user = nobody
        server = /usr/sbin/in.telnetd
        server_args = -a -b
    }
    service off
    {
        disable = yes
        server = /bin/x
    }
",
    );
    let (rows, gaps) = rows(&system, &ARTIFACT);
    assert!(gaps.is_empty(), "{gaps:?}");
    let all: BTreeMap<_, _> =
        rows.iter().filter_map(|r| if let Row::Service(s) = r { Some((s.name.as_str(), s)) } else { None }).collect();
    assert_eq!(all.keys().copied().collect::<Vec<_>>(), ["514/tcp", "off/tcp", "telnet/tcp", "time/tcp"]);
    assert_eq!((all["telnet/tcp"].user.as_str(), all["telnet/tcp"].enabled), ("root", true));
    assert_eq!(all["514/tcp"].commands, ["/usr/sbin/in.telnetd -a -b"]);
    assert!(!all["off/tcp"].enabled);
    let ports: Vec<_> =
        rows.iter().filter_map(|r| if let Row::Listener(l) = r { Some(l.port.as_str()) } else { None }).collect();
    assert_eq!(ports, ["telnet", "time", "514"]);
}

#[test]
fn hostile_files_end() {
    let mut fs = MemFs::parse("/etc/rc2.d/S01loop -> S01loop\n/etc/init.d/a -> b\n/etc/init.d/b -> a\n");
    fs.add("/etc/inittab", vec![b':'; 10 << 20]);
    fs.add("/etc/inetd.conf", vec![0xff; 1 << 20]);
    fs.add("/etc/rc.local", b"/x\n".repeat(1 << 20));
    fs.add("/etc/init.d/garbage", (0..=255).cycle().take(1 << 20).collect());
    let (rows, gaps) = rows(&system_of(fs), &ARTIFACT);
    assert!(rows.len() < 10 + 200, "{}", rows.len());
    assert!(gaps.len() >= 2, "{gaps:?}");
}

#[test]
fn commands_that_scripts_hand_to_procd() {
    let tree = "\
/etc/rc.common
    x
/etc/init.d/sync mode=755
    #!/bin/sh /etc/rc.common
    START=95
    USE_PROCD=1
    PROG=/usr/sbin/pppd
    start_service() {
    \tprocd_open_instance
    \tprocd_set_param command $PROG call office nodetach
    \tprocd_close_instance
    }
/etc/rc.d/S95sync -> ../init.d/sync
/etc/init.d/off mode=755
    #!/bin/sh /etc/rc.common
    start_service() {
    \tprocd_set_param command /usr/sbin/pppd call other
    }
/usr/sbin/pppd mode=755
    x
";
    let starts: Vec<Start> = rows(&system(tree), &ARTIFACT)
        .0
        .into_iter()
        .filter_map(|r| if let Row::Start(s) = r { Some(*s) } else { None })
        .collect();
    let shown: Vec<_> = starts
        .iter()
        .filter(|s| &*s.by == "procd")
        .map(|s| {
            (s.name.as_str(), s.command.as_str(), s.program.as_ref().map(Name::display), s.enabled, s.evidence.line)
        })
        .collect();
    let pppd = Some("/usr/sbin/pppd".to_owned());
    assert_eq!(
        shown,
        [
            ("off", "/usr/sbin/pppd call other", pppd.clone(), false, Some(3)),
            ("sync", "/usr/sbin/pppd call office nodetach", pppd, true, Some(7)),
        ]
    );
}
