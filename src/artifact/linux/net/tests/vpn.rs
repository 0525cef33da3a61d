//! VPN and overlay configurations.
use super::run;
use crate::artifact::linux::net::{ipsec, openvpn, overlays, remote_control, tunnels};
use crate::inventory::Inventory;

fn shown(inv: &Inventory) -> Vec<String> {
    inv.connections
        .iter()
        .map(|c| {
            format!(
                "{} {} {} {} [{}] {}",
                c.kind,
                c.manager,
                c.name,
                c.endpoints.join(","),
                c.secrets.join(","),
                if c.enabled { "on" } else { "off" }
            )
        })
        .collect()
}

#[test]
fn openvpn_clients_servers_and_what_starts_them() {
    let (inv, gaps) = run(
        r"
/etc/default/openvpn
    #AUTOSTART=all
    AUTOSTART='home'

/etc/openvpn/home.conf
    client
    dev tun0
    proto tcp
    remote vpn.example.com 443
    remote backup.example.com
    auth-user-pass /etc/openvpn/login
    redirect-gateway def1
    <key>
    SECRETKEY remote evil 1
    </key>

/etc/openvpn/other.conf
    remote o.example.com
    dev tap
    secret static.key

/etc/openvpn/server/s.conf
    port 1195
    proto udp
    dev tun
    server 10.8.0.0 255.255.255.0
    key server.key

/home/op/x.ovpn
    client
    <connection>
    remote c.example.com 1194 udp
    </connection>

/etc/openvpn/update.conf
    #!/bin/sh
    echo
",
        &[&openvpn::ARTIFACT],
    );
    assert!(gaps.is_empty(), "{gaps:?}");
    assert_eq!(
        shown(&inv),
        [
            "vpn openvpn /etc/openvpn/home.conf vpn.example.com:443,backup.example.com:1194 [auth-user-pass,key] on",
            "vpn openvpn /etc/openvpn/other.conf o.example.com:1194 [secret] off",
            "vpn openvpn /etc/openvpn/server/s.conf  [key] off",
            "vpn openvpn /home/op/x.ovpn c.example.com:1194 [] off",
        ]
    );
    let home = &inv.connections[0];
    assert!(home.default_route && home.details[0] == "role=client");
    assert_eq!((home.evidence.line, home.evidence.key.as_deref()), (Some(4), Some("remote")));
    assert_eq!(inv.connections[2].details[0], "role=server");
    assert!(inv.connections[2].enabled_by[0].contains("openvpn-server@s"));
    assert_eq!((&*inv.listeners[0].protocol, inv.listeners[0].port.as_str()), ("udp", "1195"));
    assert!(!format!("{inv:?}").contains("SECRET"));
}

#[test]
fn ipsec_l2tp_pptp() {
    let (inv, gaps) = run(
        r#"
/etc/ipsec.conf
    config setup
    	uniqueids=no
    conn %default
    	keyexchange=ikev2
    conn site
    	left=%defaultroute
    	right=203.0.113.1
    	rightsubnet=10.0.0.0/8
    	auto=start
    conn road
    	right=%any

/etc/ipsec.secrets
    : PSK "SECRET"

/etc/swanctl/conf.d/a.conf
    connections {
      hq {
        remote_addrs = hq.example.com
        local { auth = psk
          id = crane }
        children {
          net {
            remote_ts = 0.0.0.0/0
            start_action = trap
          }
        }
      }
    }
    secrets {
      ike-1 {
        secret = "SECRET"
      }
    }

/etc/xl2tpd/xl2tpd.conf
    [global]
    ; port = 1701
    [lac office]
    lns = l2tp.example.com
    autodial = yes
    pppoptfile = /etc/ppp/options.l2tpd

/etc/pptpd.conf
    option /etc/ppp/pptpd-options
    #localip 1.2.3.4
    localip 192.168.0.1
"#,
        &[&ipsec::ARTIFACT],
    );
    assert!(gaps.is_empty(), "{gaps:?}");
    assert_eq!(
        shown(&inv),
        [
            "l2tp xl2tpd office l2tp.example.com [] on",
            "pptp pptpd pptpd  [] off",
            "vpn swanctl hq hq.example.com [secret] on",
            "vpn ipsec road  [ipsec.secrets] off",
            "vpn ipsec site 203.0.113.1 [ipsec.secrets] on",
        ]
    );
    assert!(inv.connections[2].default_route);
    assert_eq!(inv.connections[4].evidence.line, Some(7));
    assert!(!format!("{inv:?}").contains("SECRET"));
}

#[test]
fn overlays_with_their_own_files() {
    let (inv, gaps) = run(
        r#"
/etc/tinc/yard/tinc.conf
    Name = crane7
    ConnectTo = hub
    Interface = tun9

/etc/tinc/yard/hosts/hub
    Address = hub.example.com 655
    -----BEGIN RSA PUBLIC KEY-----

/etc/tinc/nets.boot
    # comment
    yard

/var/lib/zerotier-one/networks.d/8056c2e21c000001.conf
    x

/var/lib/zerotier-one/networks.d/8056c2e21c000001.local.conf
    allowManaged=1

/var/lib/tailscale/tailscaled.state
    {"_machinekey":"SECRET","_current-profile":"x","profile-1a2b":"SECRET"}

/etc/nebula/config.yml
    pki:
      ca: /etc/nebula/ca.crt
      key: /etc/nebula/host.key
    static_host_map:
      "192.168.100.1": ["lh.example.com:4242"]
    listen:
      host: 0.0.0.0
      port: 4242
"#,
        &[&overlays::ARTIFACT],
    );
    assert!(gaps.is_empty(), "{gaps:?}");
    assert_eq!(
        shown(&inv),
        [
            "vpn nebula /etc/nebula/config.yml lh.example.com:4242 [] off",
            "vpn zerotier 8056c2e21c000001  [] on",
            "vpn tailscale tailscale  [machine-key] on",
            "vpn tinc yard hub.example.com:655 [] on",
        ]
    );
    assert_eq!(inv.listeners[0].port, "4242");
    assert!(!format!("{inv:?}").contains("SECRET"));
}

#[test]
fn tunnels_proxies_and_bridges() {
    let (inv, gaps) = run(
        r#"
/root/.config/ngrok/ngrok.yml
    version: "2"
    authtoken: SECRET
    tunnels:
      ssh:
        proto: tcp
        addr: 22

/etc/cloudflared/config.yml
    tunnel: 6ff42ae2-765d-4adf-8112-31c55c1551ef
    credentials-file: /root/.cloudflared/x.json
    ingress:
      - hostname: crane.example.com
        service: ssh://localhost:22

/etc/stunnel/s.conf
    client = yes
    [out]
    accept = 127.0.0.1:8443
    connect = h.example.com:443
    PSKsecrets = /etc/stunnel/psk
    [shell]
    client = no
    accept = 2222
    exec = /bin/sh
    pty = yes

/root/.ssh/config
    Host relay
      HostName relay.example.com
      Port 443
      User tun
      RemoteForward 6022 localhost:22
    Host plain
      HostName x

/etc/xray/config.json
    {"inbounds":[{"port":1080,"protocol":"socks"}],
     "outbounds":[{"protocol":"vless","settings":{"vnext":[{"address":"v.example.com","port":443,"users":[{"id":"SECRET-uuid"}]}]}}]}

/etc/shadowsocks-libev/config.json
    {"server":["127.0.0.1"],"server_port":8388,"local_port":1080,"password":"SECRET","method":"x"}

/etc/shadowsocks-libev/out.json
    {
      "server": "ss.example.com",
      "server_port": 8388,
      "password": "SECRET"
    }

/etc/tor/torrc
    #HiddenServiceDir /x
    HiddenServiceDir /var/lib/tor/ssh/
    HiddenServicePort 22 127.0.0.1:22

/etc/mosquitto/conf.d/b.conf
    connection cloud
    address mqtt.example.com:8883
    remote_username u
    remote_password SECRET
    topic # both
"#,
        &[&tunnels::ARTIFACT],
    );
    assert!(gaps.is_empty(), "{gaps:?}");
    assert_eq!(
        shown(&inv),
        [
            "mqtt-bridge mosquitto cloud mqtt.example.com:8883 [remote_password] off",
            "tunnel cloudflared /etc/cloudflared/config.yml  [credentials-file] off",
            "tunnel shadowsocks /etc/shadowsocks-libev/out.json ss.example.com:8388 [password] off",
            "tunnel stunnel /etc/stunnel/s.conf [out] h.example.com:443 [key file /etc/stunnel/psk] off",
            "tunnel stunnel /etc/stunnel/s.conf [shell]  [] off",
            "tunnel tor /etc/tor/torrc  [] off",
            "tunnel xray /etc/xray/config.json v.example.com:443 [id] off",
            "tunnel ngrok /root/.config/ngrok/ngrok.yml  [authtoken] off",
            "tunnel ssh /root/.ssh/config [relay] relay.example.com:443 [] off",
        ]
    );
    let ports: Vec<&str> = inv.listeners.iter().map(|l| l.port.as_str()).collect();
    assert_eq!(ports, ["1080", "2222", "8443"]);
    assert!(!format!("{inv:?}").contains("SECRET"));
}

#[test]
fn remote_control_that_was_set_up() {
    let (inv, gaps) = run(
        r#"
/etc/teamviewer/global.conf
    TeamViewer User Settings
    # comment
    [int32] ClientID = 123456789
    [strng] OwningManagerAccountName = "ops"
    [bin  ] SecurityPasswordAES = 53454352

/etc/anydesk/system.conf
    ad.anynet.pwd_hash=SECRET
    ad.anynet.id=987654321

/root/.config/rustdesk/RustDesk2.toml
    rendezvous_server = 'rs.example.com:21116'
    [options]
    custom-rendezvous-server = 'rs.example.com'
    key = 'SECRET='
"#,
        &[&remote_control::ARTIFACT],
    );
    assert!(gaps.is_empty(), "{gaps:?}");
    assert_eq!(
        shown(&inv),
        [
            "remote-control anydesk /etc/anydesk/system.conf  [ad.anynet.pwd_hash] off",
            "remote-control teamviewer /etc/teamviewer/global.conf  [SecurityPasswordAES] off",
            "remote-control rustdesk /root/.config/rustdesk/RustDesk2.toml rs.example.com:21116,rs.example.com [key] off",
        ]
    );
    assert_eq!(inv.connections[1].evidence.line, Some(3));
    assert_eq!(inv.connections[1].username, "ops");
    assert!(!format!("{inv:?}").contains("SECRET") && !format!("{inv:?}").contains("53454352"));
}
