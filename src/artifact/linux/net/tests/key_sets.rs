//! Tunnel configurations known by their keys, wherever they lie.
use super::run;
use crate::artifact::linux::net::key_sets::ARTIFACT;

#[test]
fn tunnels_whatever_the_file_is_called() {
    let (inv, gaps) = run(
        r#"
/etc/wireguard/wg0.conf
    [Interface]
    Address = 10.9.0.2/32
    PrivateKey = SECRETSECRET=
    ListenPort = 51820
    DNS = 10.9.0.1
    PostUp = iptables -A FORWARD -i wg0 -j ACCEPT
    [Peer]
    PublicKey = pub=
    PresharedKey = SECRET2=
    AllowedIPs = 0.0.0.0/0, ::/0
    Endpoint = vpn.example.com:51820
    PersistentKeepalive = 25

/opt/crane/lib/.cache/state
    [common]
    server_addr = 203.0.113.5
    server_port = 7000
    token = SECRET3
    [ssh]
    type = tcp
    local_ip = 127.0.0.1
    local_port = 22
    remote_port = 6022

/usr/local/etc/time.toml
    serverAddr = "frp.example.com"
    serverPort = 443
    auth.token = "SECRET4"
    [[proxies]]
    name = "rdp"
    type = "tcp"
    localPort = 3389
    remotePort = 13389
    [[proxies]]
    name = "socks"
    type = "tcp"
    remotePort = 1080
    [proxies.plugin]
    type = "socks5"

/etc/monitor.yaml
    serverAddr: frp2.example.com
    auth:
      token: SECRET5
    proxies:
      - name: web
        type: http
        localPort: 80
        customDomains:
          - a.example.com

/srv/frps.json
    {"bindPort": 7000, "auth": {"token": "SECRET6"}, "webServer": {"port": 7500}}

/opt/np/conf.conf
    [common]
    server_addr=198.51.100.1:8024
    vkey=SECRET7
    conn_type=tcp
    [plc]
    mode=tcp
    target_addr=192.168.0.10:102
    server_port=1102

/root/r.toml
    [client]
    remote_addr = "r.example.com:2333"
    default_token = "SECRET8"
    [client.services.ssh]
    local_addr = "127.0.0.1:22"

/var/lib/x/edge
    # edge
    -d=n2n0
    -c=cranes
    -k=SECRET9
    -l=sn.example.com:7654

/home/op/et.toml
    instance_name = "x"
    listeners = ["tcp://0.0.0.0:11010", "udp://0.0.0.0:11010"]
    [network_identity]
    network_name = "cranes"
    network_secret = "SECRETa"
    [[peer]]
    uri = "tcp://public.example.com:11010"
"#,
        &[&ARTIFACT],
    );
    assert!(gaps.is_empty(), "{gaps:?}");
    let shown: Vec<String> = inv
        .connections
        .iter()
        .map(|c| format!("{} {} {} {}", c.manager, c.name, c.endpoints.join(","), c.secrets.join(",")))
        .collect();
    assert_eq!(
        shown,
        [
            "frp /etc/monitor.yaml frp2.example.com:7000 token",
            "easytier /home/op/et.toml tcp://public.example.com:11010 network_secret",
            "frp /opt/crane/lib/.cache/state 203.0.113.5:7000 token",
            "nps /opt/np/conf.conf 198.51.100.1:8024 vkey",
            "rathole /root/r.toml r.example.com:2333 default_token",
            "frp /srv/frps.json  token",
            "frp /usr/local/etc/time.toml frp.example.com:443 token",
            "n2n /var/lib/x/edge sn.example.com:7654 key",
            "wireguard wg0 vpn.example.com:51820 PrivateKey,PresharedKey",
        ]
    );
    let of = |name: &str| inv.connections.iter().find(|c| c.name == name).unwrap();
    assert!(of("wg0").default_route && !of("wg0").enabled);
    assert!(of("wg0").details.iter().any(|d| d.starts_with("PostUp=")));
    assert!(of("/opt/crane/lib/.cache/state").details.contains(&"proxy=ssh tcp 127.0.0.1:22 -> 6022".to_owned()));
    assert!(of("/usr/local/etc/time.toml").details.contains(&"proxy=rdp tcp 127.0.0.1:3389 -> 13389".to_owned()));
    assert!(of("/usr/local/etc/time.toml").details.contains(&"proxy=socks tcp plugin socks5 -> 1080".to_owned()));
    assert!(of("/etc/monitor.yaml").details.contains(&"proxy=web http 127.0.0.1:80 -> a.example.com".to_owned()));
    assert_eq!(of("/srv/frps.json").details, ["role=server"]);
    assert_eq!(of("/etc/monitor.yaml").evidence.line, Some(1));
    let ports: Vec<String> = inv.listeners.iter().map(|l| format!("{}/{} {}", l.protocol, l.port, l.program)).collect();
    assert_eq!(
        ports,
        ["tcp/11010 easytier", "tcp/7000 frps", "tcp/7500 frps", "udp/11010 easytier", "udp/51820 wireguard"]
    );
    assert!(!format!("{inv:?}").contains("SECRET"), "{inv:?}");
}

#[test]
fn look_alikes_are_nothing() {
    let (inv, _) = run(
        r#"
/etc/app/clash.yaml
    proxies:
      - name: a
        server: h

/etc/app/client.ini
    [db]
    server_addr = 10.0.0.1
    user = x

/etc/app/ansible.yml
    services:
      remote_addr: x

/etc/app/notes.conf
    the supernode community -l -c

/etc/app/tls.conf
    [Interface]
    PrivateKey = /etc/ssl/key.pem

/usr/share/doc/frp/frpc.toml
    serverAddr = "x"
    serverPort = 7000
"#,
        &[&ARTIFACT],
    );
    assert!(inv.connections.is_empty(), "{:?}", inv.connections);
}
