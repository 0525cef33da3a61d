//! NetworkManager's profiles, state and secrets.
use super::run;
use crate::artifact::linux::net::network_manager::ARTIFACT;

const GSM: &str = r"
/etc/NetworkManager/system-connections/4G.nmconnection mode=600
    [connection]
    id=岸桥4G
    uuid=11111111-2222-3333-4444-555555555555
    type=gsm
    autoconnect-priority=10

    [gsm]
    apn=cmnet
    number=*99#
    username=card
    password=geheim
    pin=1234
    sim-id=8986001234
    device-id=2c7c

    [serial]
    baud=115200

    [ipv4]
    method=auto
    route1=10.20.0.0/16,10.0.0.1,50
    dns=114.114.114.114;

/var/lib/NetworkManager/timestamps
    [timestamps]
    11111111-2222-3333-4444-555555555555=1700000000
    99999999-2222-3333-4444-555555555555=1600000000
";

#[test]
fn gsm_profile_with_last_use() {
    let (inv, gaps) = run(GSM, &[&ARTIFACT]);
    assert!(gaps.is_empty(), "{gaps:?}");
    let c = inv.connections.iter().find(|c| &*c.kind == "gsm").unwrap();
    assert_eq!((c.name.as_str(), c.apn.as_str(), c.number.as_str()), ("岸桥4G", "cmnet", "*99#"));
    assert_eq!((c.username.as_str(), c.device.as_str()), ("card", "2c7c"));
    assert!(c.enabled && c.default_route);
    assert_eq!(c.secrets, ["password", "pin"]);
    assert_eq!(c.last_used.unwrap().seconds, 1_700_000_000);
    assert!(c.details.contains(&"sim-id=8986001234".to_owned()));
    assert_eq!((c.evidence.line, c.evidence.key.as_deref()), (Some(8), Some("gsm.apn")));
    assert_eq!(c.evidence.excerpt.as_deref(), Some("apn=cmnet"));
    assert_eq!(inv.routes[0].destination, "10.20.0.0/16");
    assert_eq!(inv.names[0].value, "114.114.114.114");
    // A profile that is gone left the time of its last use.
    let gone = inv.connections.iter().find(|c| &*c.kind == "removed").unwrap();
    assert_eq!(gone.last_used.unwrap().seconds, 1_600_000_000);
    let all = format!("{inv:?}");
    assert!(!all.contains("geheim") && !all.contains("pin=1234") && !all.contains("\"1234\""));
}

#[test]
fn types_are_told_apart() {
    let (inv, _) = run(
        r"
/etc/NetworkManager/system-connections/office mode=600
    [connection]
    id=office
    uuid=a
    type=802-3-ethernet
    interface-name=enp3s0
    autoconnect=false
    [ipv4]
    method=manual
    address1=192.168.1.5/24,192.168.1.1

/etc/NetworkManager/system-connections/vpn.nmconnection mode=600
    [connection]
    id=home
    uuid=b
    type=vpn
    [vpn]
    service-type=org.freedesktop.NetworkManager.openvpn
    remote=vpn.example.com:1194
    username=u
    password-flags=0
    [vpn-secrets]
    password=topsecret

/etc/NetworkManager/system-connections/wg.nmconnection mode=600
    [connection]
    id=wg
    uuid=c
    type=wireguard
    interface-name=wg0
    [wireguard]
    private-key=AAAAsecretAAAA=
    [wireguard-peer.BBBB=]
    endpoint=203.0.113.7:51820
    allowed-ips=0.0.0.0/0;
    preshared-key=CCCsecret=

/etc/NetworkManager/system-connections/hot.nmconnection mode=600
    [connection]
    id=hot
    uuid=d
    type=wifi
    [wifi]
    mode=ap
    ssid=67;114;97;110;101;
    [wifi-security]
    key-mgmt=wpa-psk
    psk=wifisecret

/etc/NetworkManager/system-connections/dsl.nmconnection mode=600
    [connection]
    id=dsl
    uuid=e
    type=pppoe
    [pppoe]
    username=isp
    parent=eth1
    password=dslsecret

/usr/lib/NetworkManager/system-connections/vpn2.nmconnection mode=600
    [connection]
    id=home-old
    uuid=b
    type=vpn
    [vpn]
    service-type=x

/etc/NetworkManager/system-connections/old.nmconnection~ mode=600
    [connection]
    id=old
    uuid=f
    type=gsm
    [gsm]
    apn=x
",
        &[&ARTIFACT],
    );
    let of = |name: &str| inv.connections.iter().find(|c| c.name == name).unwrap();
    assert_eq!(&*of("office").kind, "ethernet");
    assert!(!of("office").enabled && of("office").default_route);
    assert_eq!(of("home").endpoints, ["vpn.example.com:1194"]);
    assert_eq!(of("home").secrets, ["password"]);
    assert_eq!(of("home").evidence.key.as_deref(), Some("vpn.remote"));
    assert_eq!(of("wg").endpoints, ["203.0.113.7:51820"]);
    assert_eq!(of("wg").secrets, ["private-key", "preshared-key"]);
    assert_eq!((&*of("hot").kind, of("hot").endpoints[0].as_str()), ("wifi-ap", "Crane"));
    assert_eq!(&*of("dsl").kind, "pppoe");
    assert!(!of("home-old").enabled);
    assert!(!of("old").enabled);
    let i = inv.interfaces.iter().find(|i| i.name == "enp3s0").unwrap();
    assert_eq!(
        (i.method.as_str(), &i.addresses[..], &i.gateway[..]),
        ("static", &["192.168.1.5/24".to_owned()][..], &["192.168.1.1".to_owned()][..])
    );
    let all = format!("{inv:?}");
    for secret in ["topsecret", "AAAAsecret", "CCCsecret", "wifisecret", "dslsecret"] {
        assert!(!all.contains(secret), "{secret}");
    }
}

#[test]
fn gbk_and_garbage_lose_nothing_in_silence() {
    let mut fs = crate::fs::MemFs::default();
    fs.add(
        "/etc/NetworkManager/system-connections/g.nmconnection",
        b"[connection]\nid=\xb0\xb6\xc7\xc5\ntype=gsm\n[gsm]\napn=3gnet\n".to_vec(),
    );
    fs.add("/etc/NetworkManager/system-connections/junk", vec![0xa5; 4000]);
    fs.add(
        "/etc/NetworkManager/system-connections/long",
        [b"[connection]\ntype=gsm\nid=".to_vec(), vec![b'x'; 10 << 20]].concat(),
    );
    let (inv, gaps) = super::run_on(fs, &[&ARTIFACT]);
    let c = inv.connections.iter().find(|c| c.apn == "3gnet").unwrap();
    assert_eq!(c.name, "\\xb0\\xb6\\xc7\\xc5");
    assert_eq!(inv.connections.len(), 2);
    assert!(inv.connections.iter().all(|c| c.name.len() < 70_000));
    assert!(gaps.iter().any(|g| g.at.path.as_ref().unwrap().bytes().ends_with(b"/junk")));
    assert!(gaps.iter().any(|g| g.what.contains("longer than 64 KiB")));
}
