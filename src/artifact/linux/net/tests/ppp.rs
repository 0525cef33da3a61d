//! pppd peers and chat scripts.
use super::run;
use crate::artifact::linux::net::ppp::ARTIFACT;

#[test]
fn modem_and_its_dial_script() {
    let (inv, gaps) = run(
        r#"
/etc/ppp/options
    lock
    noauth

/etc/ppp/peers/4g
    # 四代
    /dev/ttyUSB3
    115200
    connect "/usr/sbin/chat -v -f /etc/chatscripts/quectel -T cmnet"
    user card
    call common

/etc/ppp/peers/common
    defaultroute
    usepeerdns persist

/etc/chatscripts/quectel
    ABORT BUSY
    '' AT
    OK AT+CPIN=4711
    OK AT+CGDCONT=1,"IP","\T"
    OK ATD*99***1#
    CONNECT ''

/etc/ppp/chap-secrets
    card	*	hush
"#,
        &[&ARTIFACT],
    );
    assert!(gaps.is_empty(), "{gaps:?}");
    // The included file carries no line and is no connection of its own.
    assert_eq!(inv.connections.len(), 1);
    let c = &inv.connections[0];
    assert_eq!((c.name.as_str(), &*c.kind, c.device.as_str()), ("4g", "ppp-modem", "/dev/ttyUSB3"));
    assert_eq!((c.number.as_str(), c.apn.as_str(), c.username.as_str()), ("*99***1#", "cmnet", "card"));
    assert!(c.default_route && !c.enabled);
    assert_eq!(c.secrets, ["pin", "chap-secrets"]);
    assert!(c.details.contains(&"usepeerdns".to_owned()) && c.details.contains(&"persist".to_owned()));
    assert_eq!((c.evidence.line, c.evidence.excerpt.as_deref()), (Some(2), Some("/dev/ttyUSB3")));
    assert_eq!(inv.settings[0].value, "card *");
    assert!(!format!("{inv:?}").contains("hush") && !format!("{inv:?}").contains("4711"));
}

#[test]
fn pppoe_pptp_l2tp_and_plain_lines_are_no_modem() {
    let (inv, _) = run(
        r#"
/etc/ppp/peers/dsl-provider
    plugin rp-pppoe.so eth0
    user "isp@dsl"
    defaultroute

/etc/ppp/peers/dsl2
    pty "/usr/sbin/pppoe -I eth1 -T 80"

/etc/ppp/peers/office
    pty "pptp vpn.example.com --nolaunchpppd"
    name u
    remotename PPTP

/etc/ppp/peers/lns
    plugin pppol2tp.so

/etc/ppp/peers/cable
    /dev/ttyS1
    19200
    10.0.0.1:10.0.0.2
    local

/etc/ppp/peers/overssh
    pty "ssh -t host pppd"

/etc/ppp/peers/inline
    ttyS0
    connect "chat -v '' ATZ OK ATDT0086215551234 CONNECT ''"

/etc/ppp/peers/defaults-only
    noauth
    name wvdial
    usepeerdns

/etc/ppp/options.ttyUSB0
    connect /etc/ppp/dial.sh

/etc/ppp/dial.sh
    #!/bin/sh
    exec chat -s "" 'AT+CGDCONT=1,"IP","3gnet"' OK ATD*99# CONNECT
"#,
        &[&ARTIFACT],
    );
    let kinds: Vec<(&str, &str)> = inv.connections.iter().map(|c| (c.name.as_str(), &*c.kind)).collect();
    assert_eq!(
        kinds,
        [
            ("lns", "l2tp"),
            ("inline", "ppp-modem"),
            ("options.ttyUSB0", "ppp-modem"),
            ("cable", "ppp-serial"),
            ("dsl-provider", "pppoe"),
            ("dsl2", "pppoe"),
            ("office", "pptp"),
            ("overssh", "tunnel"),
        ]
    );
    let of = |name: &str| inv.connections.iter().find(|c| c.name == name).unwrap();
    assert_eq!(of("office").endpoints, ["vpn.example.com"]);
    assert_eq!(of("inline").number, "0086215551234");
    assert_eq!(of("dsl-provider").device, "eth0");
    assert_eq!((of("options.ttyUSB0").apn.as_str(), of("options.ttyUSB0").device.as_str()), ("3gnet", "/dev/ttyUSB0"));
}

#[test]
fn loops_and_floods_end_as_gaps() {
    let mut fs = crate::fs::MemFs::parse(
        "
/etc/ppp/peers/a
    call b
    /dev/ttyUSB0

/etc/ppp/peers/b
    call a
",
    );
    fs.add("/etc/ppp/peers/flood", "x ".repeat(5 << 20).into_bytes());
    let (inv, gaps) = super::run_on(fs, &[&ARTIFACT]);
    assert_eq!(inv.connections.iter().filter(|c| c.device == "/dev/ttyUSB0").count(), 2);
    assert!(gaps.iter().any(|g| g.what.contains("included by itself")));
    assert!(gaps.iter().any(|g| g.what.contains("64 KiB") || g.what.contains("budget")));
}

#[test]
fn what_a_peer_starts_is_told_once_though_an_interface_names_it() {
    let tree = "/etc/ppp/peers/wan
    /dev/ttyUSB3
    connect '/usr/sbin/chat -f /etc/chatscripts/wan'
/etc/network/interfaces
    auto wan
    iface wan inet ppp
        provider wan
";
    let (inventory, _) = run(tree, &[&super::super::ppp::ARTIFACT, &super::super::ifupdown::ARTIFACT]);
    let starts: Vec<&str> = inventory.starts.iter().filter(|s| &*s.by == "pppd").map(|s| s.trigger.as_str()).collect();
    assert_eq!(starts, ["connect"]);
}
