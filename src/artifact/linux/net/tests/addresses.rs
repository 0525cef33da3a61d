//! Addresses, interfaces and names, manager by manager.
use super::run;
use crate::artifact::linux::net::{ifupdown, names, netplan, networkd, wifi};

#[test]
fn ifupdown_with_includes_and_dial_up() {
    let (inv, gaps) = run(
        r#"
/etc/network/interfaces
    # loopback
    auto lo eth0
    iface lo inet loopback
    iface eth0 inet static
    	address 192.168.1.5
    	netmask 255.255.255.0
    	gateway 192.168.1.1
    	dns-nameservers 114.114.114.114 8.8.8.8
    	up ip route add 10.8.0.0/16 via 192.168.1.254
    	post-up /usr/local/bin/tun.sh --token SECRET
    source-directory interfaces.d
    source /etc/network/extra/*.cfg

/etc/network/interfaces.d/br0
    auto br0
    iface br0 inet manual
        bridge_ports eth1 \
          eth2

/etc/network/interfaces.d/ignored.dpkg-old
    auto bad

/etc/network/extra/ppp.cfg
    allow-hotplug ppp0
    iface ppp0 inet ppp
        provider 4g
    iface ppp1 inet ppp
        provider gone
    iface wlan0 inet dhcp
        wpa-ssid 码头
        wpa-psk SECRET
    source /etc/network/interfaces

/etc/ppp/peers/4g
    /dev/ttyUSB2
    connect "chat '' ATD*99#"
"#,
        &[&ifupdown::ARTIFACT],
    );
    assert!(gaps.iter().any(|g| g.what.contains("more than once")), "{gaps:?}");
    let of = |name: &str| inv.interfaces.iter().find(|i| i.name == name).unwrap();
    assert_eq!(of("eth0").addresses, ["192.168.1.5/24"]);
    assert!(of("eth0").auto && of("br0").auto && !of("wlan0").auto);
    assert_eq!((&*of("br0").kind, of("br0").details[1].as_str()), ("bridge", "bridge_ports=eth1  eth2"));
    assert!(inv.interfaces.iter().all(|i| i.name != "bad"));
    let row = |name: &str| inv.connections.iter().find(|c| c.name == name).unwrap();
    assert_eq!((&*row("4g").kind, &*row("4g").manager, row("4g").number.as_str()), ("ppp-modem", "ifupdown", "*99#"));
    assert!(row("4g").enabled && !row("gone").enabled);
    assert_eq!(row("4g").enabled_by, ["allow-hotplug ppp0"]);
    assert_eq!(row("4g").evidence.line, Some(3));
    assert_eq!((&*row("码头").kind, &row("码头").secrets[..]), ("wifi", &["wpa-psk".to_owned()][..]));
    assert_eq!((inv.routes[0].destination.as_str(), inv.routes[0].gateway.as_str()), ("10.8.0.0/16", "192.168.1.254"));
    assert_eq!(inv.names.len(), 2);
    assert!(!format!("{inv:?}").contains("SECRET"));
}

#[test]
fn networkd_files_drop_ins_and_masks() {
    let (inv, gaps) = run(
        "
/etc/systemd/network/10-wwan.network
    [Match]
    Name=wwan*
    [Network]
    DHCP=yes
    DNS=8.8.8.8
    [Route]
    Destination=10.0.0.0/8
    Gateway=10.1.1.1

/etc/systemd/network/10-wwan.network.d/x.conf
    [Network]
    IPForward=yes

/etc/systemd/network/wg.netdev
    [NetDev]
    Name=wg9
    Kind=wireguard
    [WireGuard]
    PrivateKey=SECRET=
    ListenPort=51999
    [WireGuardPeer]
    PublicKey=x=
    Endpoint=198.51.100.3:51820
    AllowedIPs=10.9.0.0/24

/etc/systemd/network/80-off.network -> /dev/null

/usr/lib/systemd/network/80-off.network
    [Match]
    Name=off0

/usr/lib/systemd/network/10-wwan.network
    [Match]
    Name=shadowed
",
        &[&networkd::ARTIFACT],
    );
    assert!(gaps.is_empty(), "{gaps:?}");
    let shown: Vec<(&str, &str)> = inv.interfaces.iter().map(|i| (i.name.as_str(), &*i.kind)).collect();
    assert_eq!(shown, [("wg9", "tunnel"), ("wwan*", "wwan")]);
    assert!(inv.interfaces[1].details.contains(&"IPForward=yes".to_owned()));
    let c = &inv.connections[0];
    assert_eq!(
        (c.name.as_str(), &*c.kind, &c.endpoints[..]),
        ("wg9", "wireguard", &["198.51.100.3:51820".to_owned()][..])
    );
    assert_eq!(c.secrets, ["PrivateKey"]);
    assert_eq!(inv.listeners[0].port, "51999");
    assert_eq!(inv.routes[0].gateway, "10.1.1.1");
    assert!(!format!("{inv:?}").contains("SECRET"));
}

#[test]
fn netplan_modems_wifi_and_tunnels() {
    let (inv, gaps) = run(
        r#"
/etc/netplan/50-crane.yaml
    network:
      version: 2
      renderer: NetworkManager
      ethernets:
        eth0.100:
          addresses: [192.168.5.2/24]
          routes:
            - to: default
              via: 192.168.5.1
            - to: 10.0.0.0/8
              via: 192.168.5.9
          nameservers:
            addresses: [223.5.5.5, 8.8.8.8]
      modems:
        cdc-wdm0:
          apn: cmiot
          username: u
          password: SECRET
          pin: 0815
          sim-id: "8986"
      wifis:
        wlan0:
          dhcp4: true
          access-points:
            "港口 AP":
              password: "SECRET"
              mode: ap
      tunnels:
        wg0:
          mode: wireguard
          port: 51820
          key: SECRETKEY=
          peers:
            - keys: {public: PUB=, shared: SECRET2=}
              allowed-ips: [0.0.0.0/0]
              endpoint: 203.0.113.9:51820
"#,
        &[&netplan::ARTIFACT],
    );
    assert!(gaps.is_empty(), "{gaps:?}");
    let of = |kind: &str| inv.connections.iter().find(|c| &*c.kind == kind).unwrap();
    assert_eq!((of("gsm").apn.as_str(), of("gsm").name.as_str()), ("cmiot", "cdc-wdm0"));
    assert!(of("gsm").enabled);
    assert_eq!(of("gsm").secrets, ["password", "pin"]);
    assert_eq!(of("gsm").evidence.line, Some(16));
    assert_eq!(of("wifi-ap").name, "港口 AP");
    assert_eq!((of("wireguard").endpoints[0].as_str(), of("wireguard").default_route), ("203.0.113.9:51820", true));
    assert_eq!(of("wireguard").secrets, ["key", "shared"]);
    let eth = inv.interfaces.iter().find(|i| i.name == "eth0.100").unwrap();
    assert_eq!(
        (&eth.addresses[..], &eth.gateway[..]),
        (&["192.168.5.2/24".to_owned()][..], &["192.168.5.1".to_owned()][..])
    );
    assert_eq!(inv.routes.len(), 1);
    assert_eq!(inv.names.len(), 2);
    assert!(!format!("{inv:?}").contains("SECRET"));
    assert!(!format!("{inv:?}").contains("0815"));
}

#[test]
fn wireless_clients_and_access_points() {
    let (inv, gaps) = run(
        r#"
/etc/wpa_supplicant/wpa_supplicant-wlan0.conf
    ctrl_interface=/run/wpa_supplicant
    network={
    	ssid="Yard"
    	#psk="SECRET1"
    	psk=SECRET2
    }
    network={
    	ssid=e5b2b8
    	mode=2
    	disabled=1
    	key_mgmt=NONE
    }

/var/lib/iwd/=e5b2b8.psk
    [Security]
    Passphrase=SECRET3
    [Settings]
    AutoConnect=false

/etc/hostapd/hostapd.conf
    interface=wlan1
    ssid=Crane-Service
    wpa_passphrase=SECRET4
    ignore_broadcast_ssid=1
"#,
        &[&wifi::ARTIFACT],
    );
    assert!(gaps.is_empty(), "{gaps:?}");
    let shown: Vec<String> =
        inv.connections.iter().map(|c| format!("{} {} {} {:?}", c.manager, c.kind, c.name, c.secrets)).collect();
    assert_eq!(
        shown,
        [
            r#"wpa_supplicant wifi Yard ["psk"]"#.to_owned(),
            "iwd wifi \u{5cb8} [\"Passphrase\"]".to_owned(),
            r#"hostapd wifi-ap Crane-Service ["wpa_passphrase"]"#.to_owned(),
            "wpa_supplicant wifi-ap \u{5cb8} []".to_owned(),
        ]
    );
    assert!(!format!("{inv:?}").contains("SECRET"));
}

#[test]
fn names_servers_and_proxies() {
    let (inv, gaps) = run(
        r#"
/etc/resolv.conf -> ../run/systemd/resolve/stub-resolv.conf

/run/systemd/resolve/stub-resolv.conf
    nameserver 127.0.0.53
    search crane.local port.local # x

/etc/hosts
    127.0.0.1	localhost
    # comment
    203.0.113.50 update.example.com update # pinned

/etc/nsswitch.conf
    hosts:          files mdns4_minimal [NOTFOUND=return] dns

/etc/systemd/resolved.conf
    [Resolve]
    #DNS=1.1.1.1
    DNS=114.114.114.114 223.5.5.5
    FallbackDNS=9.9.9.9

/etc/chrony/chrony.conf
    pool ntp.aliyun.com iburst
    ! comment

/etc/environment
    PATH="/usr/bin"
    https_proxy="http://user:SECRET@proxy.example.com:3128"

/etc/apt/apt.conf.d/95proxy
    Acquire::http::Proxy "http://10.0.0.9:3142";
"#,
        &[&names::ARTIFACT],
    );
    assert!(gaps.is_empty(), "{gaps:?}");
    let shown: Vec<String> = inv.names.iter().map(|n| format!("{} {} {}", n.kind, n.value, n.scope)).collect();
    assert_eq!(
        shown,
        [
            "host 127.0.0.1 localhost ",
            "host 203.0.113.50 update.example.com update ",
            "nameserver 114.114.114.114 systemd-resolved",
            "nameserver 127.0.0.53 ",
            "nameserver 223.5.5.5 systemd-resolved",
            "nameserver 9.9.9.9 systemd-resolved (fallback)",
            "ntp ntp.aliyun.com chrony",
            "proxy acquire::http::proxy=http://10.0.0.9:3142 apt",
            "proxy https_proxy=http://user:***@proxy.example.com:3128 environment",
            "search crane.local ",
            "search port.local ",
        ]
    );
    assert_eq!(inv.settings[0].value, "files mdns4_minimal [NOTFOUND=return] dns");
    assert_eq!(inv.names[1].evidence.line, Some(3));
    assert!(!format!("{inv:?}").contains("SECRET"));
}
