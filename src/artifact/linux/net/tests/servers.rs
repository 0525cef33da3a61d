//! Listening servers of monitoring, logs, names, containers, mail and field buses, as their packages' files write it.
use super::run;
use crate::artifact::linux::net::{iptables, listeners, scripts};

fn shown(tree: &str) -> Vec<String> {
    let (inv, gaps) = run(tree, &[&listeners::ARTIFACT]);
    assert!(gaps.is_empty(), "{gaps:?}");
    inv.listeners.iter().map(|l| format!("{} {} {} {}", l.protocol, l.address, l.port, l.program)).collect()
}

#[test]
fn servers_that_are_on() {
    let all = shown(
        r#"
/etc/grafana/grafana.ini
    [server]
    ;http_addr =
    http_port = 3001

/etc/zabbix/zabbix_agentd.conf
    # ListenPort=10050
    Server=10.0.0.1

/etc/webmin/miniserv.conf
    port=10000
    root=/usr/share/webmin

/etc/mbusd/mbusd-ttyS0.conf
    device = /dev/ttyS0
    address = 0.0.0.0
    port = 1502

/etc/influxdb/influxdb.conf
    bind-address = "127.0.0.1:8088"
    [http]
      bind-address = ":8086"
    [[graphite]]
      enabled = false
      bind-address = ":2003"
    [[udp]]
      enabled = true
      bind-address = ":8089"

/etc/rsyslog.conf
    #module(load="imudp")
    #input(type="imudp" port="514")
    input(type="imtcp" port="1514" address="10.0.0.2")
    $UDPServerRun 515

/etc/syslog-ng/syslog-ng.conf
    source s_src { system(); internal(); };
    source s_net { udp(ip(10.0.0.2) port(5514)); };
    destination d_net { tcp("10.0.0.9" port(1999)); };

/etc/dnsmasq.conf
    #port=5353
    dhcp-range=192.168.0.50,192.168.0.150,12h
    listen-address=127.0.0.1,192.168.0.1

/etc/bind/named.conf.options
    options {
    	listen-on-v6 { any; };
    	listen-on port 5300 { 127.0.0.1; 10.0.0.2; };
    };

/etc/unbound/unbound.conf
    server:
        interface: 0.0.0.0@5353

/etc/chrony/chrony.conf
    pool 2.debian.pool.ntp.org iburst
    allow 10.0.0.0/8

/etc/exports
    # /srv/homes hostname1(rw)
    /srv/data 10.0.0.0/8(rw,no_root_squash)

/opt/crane/docker-compose.yml
    services:
      web:
        image: nginx
        ports:
          - "8080:80"
          - 127.0.0.1:8443:443/tcp
          - "53:53/udp"
          - "9000"
        labels: [a]

/var/lib/docker/containers/0123456789abcdef/hostconfig.json
    {"Binds":null,"PortBindings":{"1883/tcp":[{"HostIp":"10.0.0.2","HostPort":"1884"}]}}

/etc/containers/systemd/app.container
    [Container]
    Image=x
    PublishPort=0.0.0.0:8081:80

/etc/postfix/main.cf
    inet_interfaces = loopback-only

/etc/postfix/master.cf
    smtp      inet  n       -       y       -       -       smtpd
    #submission inet n       -       y       -       -       smtpd
      -o syslog_name=x
    pickup    unix  n       -       y       60      1       pickup

/etc/haproxy/haproxy.cfg
    frontend a
        bind *:8090 ssl crt /x.pem

/etc/3proxy/3proxy.cfg
    socks -p1081 -i10.0.0.2

/etc/tomcat9/server.xml
    <Server port="8005" shutdown="SHUTDOWN"><Connector port="8085" protocol="HTTP/1.1"/>
    <!-- <Connector port="8009" protocol="AJP/1.3"/> --></Server>

/opt/gateway/Plc.Config.xml
    <ApplicationConfiguration><ServerConfiguration><BaseAddresses>
    <ua:String>opc.tcp://localhost:62541/Plc</ua:String></BaseAddresses></ServerConfiguration>
    <Other><ua:String>opc.tcp://10.0.0.9:4840</ua:String></Other></ApplicationConfiguration>
"#,
    );
    let mut expected = vec![
        "tcp * 3001 grafana",
        "tcp * 10050 zabbix_agentd",
        "tcp * 10000 webmin",
        "tcp 0.0.0.0 1502 mbusd",
        "tcp 127.0.0.1 8088 influxd",
        "tcp * 8086 influxd",
        "tcp * 8089 influxd",
        "tcp 10.0.0.2 1514 rsyslogd",
        "udp * 515 rsyslogd",
        "udp 10.0.0.2 5514 syslog-ng",
        "udp * 67 dnsmasq",
        "udp 127.0.0.1 53 dnsmasq",
        "udp 192.168.0.1 53 dnsmasq",
        "udp * 53 named",
        "udp 127.0.0.1 5300 named",
        "udp 10.0.0.2 5300 named",
        "udp 0.0.0.0 5353 unbound",
        "udp * 123 chronyd",
        "tcp * 2049 nfsd",
        "tcp * 8080 container web",
        "tcp 127.0.0.1 8443 container web",
        "udp * 53 container web",
        "tcp 10.0.0.2 1884 container 0123456789ab",
        "tcp 0.0.0.0 8081 container app.container",
        "tcp 127.0.0.1 25 postfix",
        "tcp * 8090 haproxy",
        "tcp 10.0.0.2 1081 3proxy",
        "tcp * 8085 tomcat",
        "tcp * 62541 opc-ua",
    ];
    let mut all: Vec<&str> = all.iter().map(String::as_str).collect();
    all.sort_unstable();
    expected.sort_unstable();
    assert_eq!(all, expected);
}

/// What Debian's packages ship, as far as it is no comment (rsyslog, chrony, snmpd, dnsmasq, exim4, unbound, bind9).
#[test]
fn servers_as_debian_ships_them() {
    let all = shown(
        r#"
/etc/rsyslog.conf
    module(load="imuxsock") # provides support for local system logging
    module(load="imklog")   # provides kernel logging support
    #module(load="imudp")
    #input(type="imudp" port="514")
    $FileOwner root
    auth,authpriv.*			/var/log/auth.log
    *.emerg				:omusrmsg:*

/etc/chrony/chrony.conf
    confdir /etc/chrony/conf.d
    pool 2.debian.pool.ntp.org iburst
    makestep 1 3

/etc/unbound/unbound.conf
    include-toplevel: "/etc/unbound/unbound.conf.d/*.conf"

/etc/exports
    # /etc/exports: the access control list for filesystems which may be exported

/etc/exim4/update-exim4.conf.conf
    dc_local_interfaces='127.0.0.1 ; ::1'
"#,
    );
    assert_eq!(all, ["tcp 127.0.0.1 25 exim4", "tcp ::1 25 exim4"]);
}

#[test]
fn filters_of_scripts_and_of_bridges() {
    let (inv, gaps) = run(
        r"
/etc/rc.local
    #!/bin/sh
    # iptables -F
    echo 1 > /proc/sys/net/ipv4/ip_forward
    iptables -t nat -A POSTROUTING -o ppp0 -j MASQUERADE

/etc/ebtables.conf
    *filter
    :INPUT ACCEPT
    -A INPUT -p ARP -j DROP
    COMMIT
",
        &[&scripts::ARTIFACT, &iptables::ARTIFACT],
    );
    assert!(gaps.is_empty(), "{gaps:?}");
    let shown: Vec<String> =
        inv.firewall.iter().map(|f| format!("{} {} {} {}", f.manager, f.table, f.rule, f.action)).collect();
    assert_eq!(
        shown,
        [
            "ebtables filter -A INPUT -p ARP -j DROP drop",
            "ebtables filter :INPUT ACCEPT policy",
            "iptables nat -A POSTROUTING -o ppp0 -j MASQUERADE masquerade",
        ]
    );
    assert_eq!(inv.firewall[2].evidence.line, Some(4));
    let s = &inv.settings[0];
    assert_eq!(
        (&*s.program, s.name.as_str(), s.value.as_str(), s.effective),
        ("sysctl", "net.ipv4.ip_forward", "1", true)
    );
}
