//! Packet filters as written.
use super::run;
use crate::artifact::linux::net::{firewalld, iptables, listeners, nftables};

#[test]
fn nftables_chains_rules_and_includes() {
    let (inv, gaps) = run(
        r#"
/etc/nftables.conf
    #!/usr/sbin/nft -f
    flush ruleset
    include "/etc/nftables.d/*.nft"
    table inet filter {
    	set allowed {
    		type ipv4_addr
    		elements = { 10.0.0.1,
    			10.0.0.2 }
    	}
    	chain input {
    		type filter hook input priority 0; policy drop;
    		ct state { established, related } accept
    		tcp dport { 22,
    			80 } accept
    		iifname "ppp0" tcp dport 22 accept # comment
    	}
    }

/etc/nftables.d/nat.nft
    include "/etc/nftables.conf"
    table ip nat { chain post { type nat hook postrouting priority 100; oifname "wwan0" masquerade; } }
    add rule inet filter forward iifname wg0 accept
"#,
        &[&nftables::ARTIFACT],
    );
    assert!(gaps.is_empty(), "{gaps:?}");
    let shown: Vec<String> =
        inv.firewall.iter().map(|f| format!("{}|{}|{}|{}", f.table, f.chain, f.rule, f.action)).collect();
    assert_eq!(
        shown,
        [
            "inet filter|forward|iifname wg0 accept|accept",
            "inet filter|input|ct state { established, related } accept|accept",
            "inet filter|input|iifname \"ppp0\" tcp dport 22 accept|accept",
            "inet filter|input|policy drop|policy",
            "inet filter|input|tcp dport { 22, 80 } accept|accept",
            "inet filter|input|type filter hook input priority 0|policy",
            "ip nat|post|oifname \"wwan0\" masquerade|masquerade",
            "ip nat|post|type nat hook postrouting priority 100|policy",
        ]
    );
}

#[test]
fn iptables_ufw_and_firewalld() {
    let (inv, gaps) = run(
        r#"
/etc/iptables/rules.v4
    # Generated
    *filter
    :INPUT DROP [0:0]
    -A INPUT -i wwan0 -p tcp --dport 22 -j ACCEPT
    COMMIT
    *nat
    -A PREROUTING -p tcp --dport 102 -j DNAT --to-destination 192.168.0.10:102
    COMMIT

/etc/iptables/rules.v6
    *filter
    :FORWARD ACCEPT [0:0]
    COMMIT

/etc/ufw/ufw.conf
    ENABLED=yes

/etc/ufw/user.rules
    *filter
    ### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in
    -A ufw-user-input -p tcp --dport 22 -j ACCEPT
    COMMIT

/etc/firewalld/zones/public.xml
    <?xml version="1.0" encoding="utf-8"?>
    <zone target="DROP">
      <interface name="wwan0"/>
      <port protocol="tcp" port="5900"/>
      <masquerade/>
      <forward-port port="80" protocol="tcp" to-port="8080" to-addr="10.0.0.5"/>
      <rule family="ipv4"><source address="10.0.0.0/8"/><accept/></rule>
    </zone>

/etc/firewalld/direct.xml
    <direct>
      <rule ipv="ipv4" table="filter" chain="INPUT" priority="0">-p tcp --dport 9 -j ACCEPT</rule>
    </direct>
"#,
        &[&iptables::ARTIFACT, &firewalld::ARTIFACT],
    );
    assert!(gaps.is_empty(), "{gaps:?}");
    let shown: Vec<String> =
        inv.firewall.iter().map(|f| format!("{}|{}|{}|{}|{}", f.manager, f.table, f.chain, f.rule, f.action)).collect();
    assert_eq!(
        shown,
        [
            "firewalld||public|forward-port port=80 protocol=tcp to-port=8080 to-addr=10.0.0.5|dnat",
            "firewalld||public|interface name=wwan0|accept",
            "firewalld||public|masquerade|masquerade",
            "firewalld||public|port protocol=tcp port=5900|accept",
            "firewalld||public|rule source address=10.0.0.0/8 accept|accept",
            "firewalld||public|zone target=DROP|policy",
            "firewalld|filter|INPUT|rule ipv=ipv4 table=filter chain=INPUT priority=0 -p tcp --dport 9 -j ACCEPT|accept",
            "iptables|filter|INPUT|-A INPUT -i wwan0 -p tcp --dport 22 -j ACCEPT|accept",
            "iptables|filter|INPUT|:INPUT DROP [0:0]|policy",
            "iptables|filter (ip6)|FORWARD|:FORWARD ACCEPT [0:0]|policy",
            "iptables|nat|PREROUTING|-A PREROUTING -p tcp --dport 102 -j DNAT --to-destination 192.168.0.10:102|dnat",
            "ufw|||ENABLED=yes|policy",
            "ufw|filter|ufw-user-input|-A ufw-user-input -p tcp --dport 22 -j ACCEPT|accept",
        ]
    );
    assert_eq!(inv.firewall[7].evidence.line, Some(4));
}

#[test]
fn listening_servers() {
    let (inv, gaps) = run(
        r"
/etc/ssh/sshd_config
    Include /etc/ssh/sshd_config.d/*.conf
    #Port 22
    Port 2222
    ListenAddress 0.0.0.0
    ListenAddress [::]:2200
    Match User x
      ListenAddress 9.9.9.9

/etc/inetd.conf
    #ftp stream tcp nowait root /usr/sbin/ftpd
    telnet	stream	tcp	nowait	root	/usr/sbin/tcpd	/usr/sbin/in.telnetd
    31337 stream tcp nowait root /bin/sh sh -i

/etc/xinetd.d/rsync
    service rsync
    {
    	disable = yes
    	server = /usr/bin/rsync
    }

/etc/xinetd.d/shell
    service shell2
    {
    	port = 2323
    	socket_type = stream
    	server = /bin/bash
    	disable = no
    }

/etc/nginx/sites-enabled/default
    server {
        listen 80 default_server;
        listen [::]:443 ssl;
        listen unix:/run/x.sock;
    }

/etc/xrdp/xrdp.ini
    [Globals]
    port=3389
    [Xorg]
    port=-1

/etc/snmp/snmpd.conf
    agentaddress  127.0.0.1,[::1],udp:0.0.0.0:1161

/etc/mosquitto/mosquitto.conf
    listener 1883 0.0.0.0

/etc/CODESYSControl.cfg
    [SysTarget]
    a=b

/root/.node-red/settings.js
    module.exports = {
        uiPort: process.env.PORT || 1880,

/etc/tigervnc/vncserver.users
    # x
    :2=op

/etc/ser2net.yaml
    connection: &con1
      accepter: tcp,0.0.0.0,2001
      connector: serialdev,/dev/ttyS0,9600n81
",
        &[&listeners::ARTIFACT],
    );
    assert!(gaps.is_empty(), "{gaps:?}");
    let shown: Vec<String> =
        inv.listeners.iter().map(|l| format!("{} {} {} {}", l.protocol, l.address, l.port, l.program)).collect();
    assert_eq!(
        shown,
        [
            "tcp * 11740 codesyscontrol",
            "tcp * 1880 node-red",
            "tcp 0.0.0.0 1883 mosquitto",
            "tcp 0.0.0.0 2001 ser2net",
            "tcp :: 2200 sshd",
            "tcp * 2222 sshd",
            "tcp 0.0.0.0 2222 sshd",
            "tcp * 2323 /bin/bash",
            "tcp * 31337 /bin/sh",
            "tcp * 3389 xrdp",
            "tcp :: 443 nginx",
            "tcp * 5902 vncserver",
            "tcp * 80 nginx",
            "tcp * telnet /usr/sbin/in.telnetd",
            "udp 0.0.0.0 1161 snmpd",
            "udp 127.0.0.1 161 snmpd",
            "udp ::1 161 snmpd",
            "unix /run/x.sock  nginx",
        ]
    );
}

#[test]
fn garbage_of_every_kind_ends() {
    // The time is written for who looks; only a stall fails, whatever the load.
    use crate::fs::MemFs;
    let paths = [
        "/etc/network/interfaces",
        "/etc/nftables.conf",
        "/etc/iptables/rules.v4",
        "/etc/firewalld/zones/a.xml",
        "/etc/netplan/a.yaml",
        "/etc/openvpn/a.conf",
        "/etc/ipsec.conf",
        "/etc/swanctl/swanctl.conf",
        "/etc/wireguard/a.conf",
        "/etc/frp/frpc.toml",
        "/etc/config/network",
        "/etc/wvdial.conf",
        "/etc/ppp/peers/a",
        "/etc/wpa_supplicant/a.conf",
        "/etc/hosts",
        "/etc/xray/config.json",
        "/etc/nebula/a.yml",
        "/etc/xinetd.d/a",
        "/etc/nginx/nginx.conf",
        "/etc/ssh/sshd_config",
        "/etc/systemd/network/a.netdev",
        "/etc/rc.local",
        "/root/.ssh/config",
        "/etc/vpn_client.config",
        "/etc/teamviewer/global.conf",
        "/etc/stunnel/a.conf",
        "/var/lib/NetworkManager/timestamps",
        "/etc/sysconfig/network-scripts/ifcfg-a",
        "/etc/netctl/a",
        "/etc/dhcpcd.conf",
        "/etc/shorewall/rules",
        "/etc/ferm/ferm.conf",
        "/etc/dnsmasq.conf",
        "/etc/rsyslog.conf",
        "/opt/a/docker-compose.yml",
        "/var/lib/dhcp/dhclient.leases",
        "/var/lib/dhcpcd/eth0.lease",
        "/var/lib/kea/kea-leases4.csv",
        "/var/lib/bluetooth/a/b/info",
    ];
    let mut noise = 0x2545_f491_u32;
    let mut random = Vec::new();
    for _ in 0..60_000 {
        noise ^= noise << 13;
        noise ^= noise >> 17;
        noise ^= noise << 5;
        random.push(b"{}[]\"'=:;#\n\t ab<>/-\\*\xb0\xff"[(noise % 23) as usize]);
    }
    let mut line = vec![b'a'; 1 << 20];
    line.extend_from_slice(b"\nserver_addr = x\nvkey\n[Interface]\n");
    let deep = "{ [ <a> table x { chain y { network={\n".repeat(3000).into_bytes();
    let open_set = ["table inet x {\nchain y {\ntcp dport {\n".to_owned(), "a,\n".repeat(40_000)].concat().into_bytes();
    let many = [
        "[common]\nserver_addr = h\nserver_port = 1\n".to_owned(),
        (0..4000).map(|i| format!("[p{i}]\nremote_port = {i}\n")).collect(),
    ]
    .concat()
    .into_bytes();
    let includes =
        "include \"/etc/**\"\nsource /etc/**\ncall a\nfile /etc/hosts\nInclude /etc/*\n".repeat(2000).into_bytes();
    let started = std::time::Instant::now();
    for body in [random, line, deep, open_set, many, includes] {
        let mut fs = MemFs::default();
        paths.iter().for_each(|p| {
            fs.add(p, body.clone());
        });
        let system = super::system(fs);
        for artifact in super::real::net() {
            let began = std::time::Instant::now();
            let out = crate::artifact::Out::new(Some(0), artifact.name);
            (artifact.extract)(&system, &out);
            let (rows, gaps) = out.take();
            eprintln!(
                "{} {} bytes: {} rows, {} gaps, {:?}",
                artifact.name,
                body.len(),
                rows.len(),
                gaps.len(),
                began.elapsed()
            );
            assert!(rows.len() < 300_000 && gaps.len() < 300_000);
        }
    }
    assert!(started.elapsed().as_secs() < 300, "{:?}", started.elapsed());
}
