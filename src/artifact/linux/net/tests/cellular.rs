//! Modem managers and dialers.
use super::run;
use crate::artifact::linux::net::{cellular, scripts, uci};

#[test]
fn dialers_sms_and_subscribers() {
    let (inv, gaps) = run(
        r#"
/etc/wvdial.conf
    [Dialer Defaults]
    Modem = /dev/ttyUSB0
    Init1 = ATZ
    [Dialer cmcc]
    Init2 = AT+CGDCONT=1,"IP","cmnet"
    Init3 = AT+CPIN=SECRET
    Phone = *99#
    Username = card
    Password = SECRET

/etc/smsd.conf
    devices = GSM1, GSM2
    eventhandler = /usr/local/bin/sms.sh
    [GSM1]
    device = /dev/ttyUSB2
    pin = SECRET
    incoming = yes

/etc/gammu-smsdrc
    [gammu]
    port = /dev/ttyUSB1
    connection = at
    [smsd]
    PIN = SECRET
    RunOnReceive = /opt/run.sh

/var/lib/ofono/460001234567890/gprs
    [Settings]
    Powered=true
    [primarycontext1]
    AccessPointName=3gnet
    Password=SECRET
    Type=internet

/etc/qmi-network.conf
    # Settings
    APN=cmiot
    APN_PASS=SECRET
    PROXY=yes

/etc/ModemManager/fcc-unlock.d/2c7c -> /usr/share/ModemManager/x
"#,
        &[&cellular::ARTIFACT],
    );
    assert!(gaps.is_empty(), "{gaps:?}");
    let shown: Vec<String> = inv
        .connections
        .iter()
        .map(|c| {
            format!(
                "{} {} {} {} {} {:?}",
                c.kind,
                c.manager,
                c.name,
                c.device,
                [c.apn.as_str(), c.number.as_str()].concat(),
                c.secrets
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            r#"gsm ofono 460001234567890/primarycontext1  3gnet ["Password"]"#,
            r#"gsm dialer qmi-network  cmiot ["APN_PASS"]"#,
            r#"ppp-modem wvdial cmcc /dev/ttyUSB0 cmnet*99# ["Password", "pin"]"#,
            r#"sms gammu /etc/gammu-smsdrc /dev/ttyUSB1  ["PIN"]"#,
            r#"sms smstools GSM1 /dev/ttyUSB2  ["pin"]"#,
        ]
    );
    assert!(inv.connections[0].details.contains(&"sim-network=China Mobile (cn)".to_owned()));
    assert!(inv.connections[4].details.contains(&"eventhandler=/usr/local/bin/sms.sh".to_owned()));
    assert!(inv.connections[3].details.contains(&"RunOnReceive=/opt/run.sh".to_owned()));
    assert!(inv.settings.iter().any(|s| s.scope == "fcc-unlock.d" && s.name == "2c7c"));
    assert!(!format!("{inv:?}").contains("SECRET"));
}

#[test]
fn commands_in_scripts_and_units() {
    let (inv, gaps) = run(
        r#"
/etc/rc.local
    #!/bin/sh
    # quectel-CM -s old
    /opt/bin/quectel-CM -s cmnet -p SECRET &
    exit 0

/etc/systemd/system/update.service
    [Service]
    ExecStart=/usr/bin/ssh -NT -R 6022:localhost:22 tun@relay.example.com

/etc/cron.d/x
    @reboot root /usr/local/bin/mmcli -m any --simple-connect="apn=ctnet"

/opt/tools/dial
    #!/bin/sh
    echo 'AT+CGDCONT=1,"IP","cmiot"' > /dev/ttyUSB2

/opt/tools/readme
    Run quectel-CM -s apn to dial.

/usr/local/bin/log.sh
    #!/bin/sh
    ssh host uptime
"#,
        &[&scripts::ARTIFACT],
    );
    assert!(gaps.is_empty(), "{gaps:?}");
    let shown: Vec<String> = inv
        .connections
        .iter()
        .map(|c| format!("{} {} {} {}{}", c.kind, c.manager, c.name, c.apn, c.endpoints.join(",")))
        .collect();
    assert_eq!(
        shown,
        [
            "gsm dialer /etc/cron.d/x:1 ctnet",
            "gsm dialer /etc/rc.local:3 cmnet",
            "gsm dialer /opt/tools/dial:2 cmiot",
            "tunnel command /etc/systemd/system/update.service:2 relay.example.com",
        ]
    );
    assert_eq!(inv.connections[1].evidence.line, Some(3));
    assert_eq!(inv.connections[1].secrets, ["pin"]);
    assert!(!format!("{inv:?}").contains("SECRET"), "{inv:?}");
}

#[test]
fn openwrt() {
    let (inv, gaps) = run(
        r"
/etc/config/network
    config interface 'lan'
    	option type 'bridge'
    	option ifname 'eth0'
    	option proto 'static'
    	option ipaddr '192.168.8.1'
    config interface 'wwan'
    	option proto 'qmi'
    	option device '/dev/cdc-wdm0'
    	option apn 'cmnet'
    	option pincode 'SECRET'
    config interface 'spare'
    	option proto '3g'
    	option device '/dev/ttyUSB0'
    	option auto '0'
    config interface 'wan'
    	option proto 'pppoe'
    	option username 'u'
    	option password 'SECRET'
    config interface 'wg0'
    	option proto 'wireguard'
    	option private_key 'SECRET='
    	option listen_port '51820'
    config wireguard_wg0
    	option endpoint_host 'vpn.example.com'
    	list allowed_ips '10.0.0.0/8'
    config route
    	option interface 'lan'
    	option target '10.9.0.0/16'
    	option gateway '192.168.8.9'

/etc/config/wireless
    config wifi-device 'radio0'
    	option disabled '0'
    config wifi-iface
    	option device 'radio0'
    	option mode 'ap'
    	option ssid 'Crane'
    	option key 'SECRET'

/etc/config/firewall
    config redirect
    	option src 'wan'
    	option dest_port '22'
    	option target 'DNAT'

/etc/config/dropbear
    config dropbear
    	option Port '22'

/etc/config/qmodem
    config modem-device 'm1'
    	option enable_dial '1'
    	option apn 'cmiot'
    	option at_port '/dev/ttyUSB2'
",
        &[&uci::ARTIFACT],
    );
    assert!(gaps.is_empty(), "{gaps:?}");
    let shown: Vec<String> = inv
        .connections
        .iter()
        .map(|c| {
            format!(
                "{} {} {} {} {:?} {}",
                c.kind,
                c.name,
                c.device,
                [c.apn.as_str(), &c.endpoints.join(",")].concat(),
                c.secrets,
                c.enabled
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            "gsm qmodem.m1 /dev/ttyUSB2 cmiot [] true",
            "gsm spare /dev/ttyUSB0  [] false",
            r#"gsm wwan /dev/cdc-wdm0 cmnet ["pincode"] true"#,
            r#"pppoe wan   ["password"] true"#,
            r#"wifi-ap Crane radio0 Crane ["key"] true"#,
            r#"wireguard wg0  vpn.example.com:51820 ["private_key"] true"#,
        ]
    );
    assert_eq!(inv.firewall[0].rule, "src=wan dest_port=22 target=DNAT");
    assert_eq!(inv.routes[0].destination, "10.9.0.0/16");
    assert_eq!(inv.listeners.iter().map(|l| l.port.as_str()).collect::<Vec<_>>(), ["22", "51820"]);
    assert!(!format!("{inv:?}").contains("SECRET"));
}
