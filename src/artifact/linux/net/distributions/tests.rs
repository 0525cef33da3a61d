//! Interfaces of other distributions, as their manuals write them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::ARTIFACT;
use crate::artifact::linux::net::tests::{run, run_on};
use crate::fs::MemFs;
use crate::inventory::Inventory;

fn interfaces(inv: &Inventory) -> Vec<String> {
    let shown = inv.interfaces.iter().map(|i| {
        format!(
            "{} {} {} {} {} {} {}",
            i.manager,
            i.name,
            i.kind,
            i.method,
            i.addresses.join(","),
            i.gateway.join(","),
            i.auto
        )
    });
    shown.collect()
}
fn routes(inv: &Inventory) -> Vec<String> {
    inv.routes.iter().map(|r| format!("{} {} {} {}", r.manager, r.destination, r.gateway, r.interface)).collect()
}
fn names(inv: &Inventory) -> Vec<String> {
    inv.names.iter().map(|n| format!("{} {} {}", n.kind, n.value, n.scope)).collect()
}
fn connections(inv: &Inventory) -> Vec<String> {
    inv.connections
        .iter()
        .map(|c| {
            format!(
                "{} {} {} {} {} {}",
                c.manager,
                c.kind,
                c.name,
                c.enabled,
                c.endpoints.join(","),
                c.secrets.join(",")
            )
        })
        .collect()
}

#[test]
fn ifcfg_of_red_hat_and_suse() {
    let (inv, gaps) = run(
        r#"
/etc/sysconfig/network-scripts/ifcfg-eth0
    # Generated
    TYPE="Ethernet"
    DEVICE=eth0
    BOOTPROTO=none
    ONBOOT=yes
    IPADDR=10.0.0.5
    PREFIX=24
    IPADDR1=10.1.0.5
    NETMASK1=255.255.0.0
    GATEWAY=10.0.0.1
    DNS1=10.0.0.2
    HWADDR=00:11:22:33:44:55

/etc/sysconfig/network-scripts/ifcfg-gre1
    DEVICE=gre1
    TYPE=GRE
    ONBOOT=no
    PEER_OUTER_IPADDR=47.1.2.3

/etc/sysconfig/network-scripts/ifcfg-eth0.bak
    DEVICE=old

/etc/sysconfig/network-scripts/route-eth0
    ADDRESS0=10.9.0.0
    NETMASK0=255.255.0.0
    GATEWAY0=10.0.0.9
    172.16.0.0/12 via 10.0.0.8

/etc/sysconfig/network/ifcfg-wlan0
    BOOTPROTO='dhcp'
    STARTMODE='auto'
    WIRELESS_ESSID='office net'
    WIRELESS_WPA_PSK='0123456789'
    POST_UP_SCRIPT='/opt/up.sh'

/etc/sysconfig/network/ifcfg-br0
    BOOTPROTO='static'
    BRIDGE='yes'
    BRIDGE_PORTS='eth1 wwan0'
    STARTMODE='manual'
    IPADDR='192.168.0.1/24'

/etc/sysconfig/network/routes
    default 192.168.0.254 - -
    10.7.0.0 192.168.0.9 255.255.0.0 br0

/etc/sysconfig/proxy
    PROXY_ENABLED="yes"
    HTTP_PROXY="http://10.0.0.7:3128"
    NO_PROXY="localhost"
"#,
        &[&ARTIFACT],
    );
    assert!(gaps.is_empty(), "{gaps:?}");
    assert_eq!(
        interfaces(&inv),
        [
            "ifcfg br0 bridge static 192.168.0.1/24  false",
            "ifcfg eth0 ethernet none 10.0.0.5/24,10.1.0.5/16 10.0.0.1 true",
            "ifcfg gre1 tunnel none   false",
            "ifcfg wlan0 wifi dhcp   true",
        ]
    );
    assert_eq!(
        routes(&inv),
        [
            "ifcfg 10.7.0.0/16 192.168.0.9 br0",
            "ifcfg 10.9.0.0/16 10.0.0.9 eth0",
            "ifcfg 172.16.0.0/12 10.0.0.8 eth0",
            "ifcfg default 192.168.0.254 ",
        ]
    );
    assert_eq!(names(&inv), ["nameserver 10.0.0.2 eth0", "proxy http_proxy=http://10.0.0.7:3128 sysconfig"]);
    assert_eq!(
        connections(&inv),
        ["ifcfg tunnel 47.1.2.3 false 47.1.2.3 ", "ifcfg wifi office net true office net WIRELESS_WPA_PSK"]
    );
    assert_eq!(inv.starts[0].command, "/opt/up.sh");
    let bridge = &inv.interfaces[0];
    assert!(bridge.details.contains(&"bridge_ports=eth1 wwan0".to_owned()), "{:?}", bridge.details);
    assert_eq!(inv.interfaces[1].evidence.line, Some(3));
    // Red Hat has a file where SUSE has a folder.
    let (red_hat, _) = run("/etc/sysconfig/network\n    GATEWAY=10.0.0.254\n", &[&ARTIFACT]);
    assert_eq!(routes(&red_hat), ["ifcfg default 10.0.0.254 "]);
    let all = format!("{inv:?}");
    assert!(!all.contains("0123456789"), "a key is shown");
}

#[test]
fn the_other_managers() {
    let (inv, gaps) = run(
        r#"
/etc/netctl/wan
    Description='modem'
    Interface=ttyUSB2
    Connection=mobile_ppp
    AccessPointName=m2m.vendor
    PhoneNumber=*99#
    Password='x'

/etc/netctl/lan
    Interface=eth0
    Connection=ethernet
    IP=static
    Address=('10.0.0.5/24' '10.0.1.5/24')
    Gateway='10.0.0.1'
    DNS=('10.0.0.2')
    Routes=('10.8.0.0/16 via 10.0.0.8')

/etc/systemd/system/multi-user.target.wants/netctl@lan.service -> /x

/etc/conf.d/net
    config_eth0="10.0.0.6 netmask 255.255.255.0
    10.0.2.6/24"
    routes_eth0="default via 10.0.0.1"
    dns_servers_eth0="10.0.0.2"
    config_eth1="dhcp"

/etc/runlevels/default/net.eth0 -> /etc/init.d/net.lo

/etc/wicked/ifconfig/eth3.xml
    <interface><name>eth3</name><control><mode>boot</mode></control>
    <ipv4:static><address><local>10.3.0.5/24</local></address>
    <route><nexthop><gateway>10.3.0.1</gateway></nexthop></route></ipv4:static></interface>

/etc/dhcpcd.conf
    hostname
    persistent
    interface eth4
    static ip_address=192.168.4.5/24
    static routers=192.168.4.1
    static domain_name_servers=192.168.4.2 8.8.8.8

/var/lib/connman/plant.config
    [service_plant]
    Type=wifi
    Name=plant
    Passphrase=abc
    IPv4=10.6.0.5/255.255.255.0/10.6.0.1

/var/lib/connman/settings
    [WiFi]
    Enable=true
    Tethering=true
    Tethering.Identifier=crane7

/etc/iproute2/rt_tables
    255	local
    254	main
    0	unspec
    #1	inr.ruhep
    100 wan
"#,
        &[&ARTIFACT],
    );
    assert!(gaps.is_empty(), "{gaps:?}");
    assert_eq!(
        interfaces(&inv),
        [
            "netctl eth0 ethernet static 10.0.0.5/24,10.0.1.5/24 10.0.0.1 true",
            "netifrc eth0 ethernet static 10.0.0.6/24,10.0.2.6/24  true",
            "netifrc eth1 ethernet dhcp   false",
            "wicked eth3 ethernet static 10.3.0.5/24 10.3.0.1 true",
            "dhcpcd eth4 ethernet static 192.168.4.5/24 192.168.4.1 true",
            "connman service_plant wifi static 10.6.0.5/24 10.6.0.1 true",
            "netctl ttyUSB2 wwan    false",
        ]
    );
    assert_eq!(routes(&inv), ["netctl 10.8.0.0/16 10.0.0.8 eth0", "netifrc default 10.0.0.1 eth0"]);
    assert_eq!(
        names(&inv),
        [
            "nameserver 10.0.0.2 eth0",
            "nameserver 10.0.0.2 eth0",
            "nameserver 192.168.4.2 eth4",
            "nameserver 8.8.8.8 eth4"
        ]
    );
    assert_eq!(
        connections(&inv),
        [
            "netctl gsm wan false  Password",
            "connman wifi plant true plant Passphrase",
            "connman wifi-ap crane7 true crane7 "
        ]
    );
    let settings: Vec<String> = inv.settings.iter().map(|s| format!("{} {} {}", s.program, s.name, s.value)).collect();
    assert!(settings.contains(&"iproute2 wan 100".to_owned()), "{settings:?}");
    assert_eq!(settings.iter().filter(|s| s.starts_with("iproute2")).count(), 1);
}

#[test]
fn a_binary_in_place_of_a_configuration_is_a_gap() {
    let mut fs = MemFs::default();
    fs.add("/etc/sysconfig/network-scripts/ifcfg-eth0", b"\x7fELF\0\0\0DEVICE=eth0\n".to_vec());
    fs.add("/etc/dhcpcd.conf", vec![0; 100]);
    fs.add("/etc/netctl/open", b"Connection=ethernet\nAddress=('10.0.0.1\n10.0.0.2\n".to_vec());
    let (inv, gaps) = run_on(fs, &[&ARTIFACT]);
    assert_eq!(gaps.len(), 2, "{gaps:?}");
    assert_eq!(inv.interfaces.len(), 1);
}
