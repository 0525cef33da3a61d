//! Hosts in texts of many kinds, and what is none.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::ARTIFACT;
use crate::artifact::linux::net::tests::{run, run_on};
use crate::fs::MemFs;

fn shown(tree: &str) -> Vec<String> {
    let (inv, gaps) = run(tree, &[&ARTIFACT]);
    assert!(gaps.is_empty(), "{gaps:?}");
    inv.endpoints.iter().map(|e| format!("{}|{}|{}|{}|{}", e.host, e.port, e.scheme, e.class, e.by)).collect()
}

#[test]
fn settings_of_many_forms() {
    let all = shown(
        r#"
/etc/apt/sources.list
    # deb http://old.debian.org/debian x main
    deb [arch=amd64 signed-by=/x.gpg] https://mirrors.aliyun.com/debian bookworm main

/etc/rsyslog.d/90-out.conf
    *.* @@log.vendor.cn:6514
    auth.* @10.0.0.5
    *.warn @[2001:4860::8]:514
    action(type="omfwd" target="47.100.1.2" port="515" protocol="tcp")

/etc/syslog-ng/syslog-ng.conf
    source s_net { network(ip("0.0.0.0") port(514)); };
    destination d { udp("10.0.0.6" port(1514)); };

/etc/postfix/main.cf
    myhostname = crane7.port.example
    relayhost = [smtp.163.com]:587
    mynetworks = 127.0.0.0/8 10.0.0.0/8
    inet_interfaces = 10.0.0.7

/opt/scada/config/plc.json
    {"plcs":[{"name":"gantry","tcpHost":"192.168.1.10","tcpPort":"502","unitId":1},
     {"name":"hoist","tcpHost":"192.168.1.11","tcpPort":503}],
     "broker":"mqtt.zpmc.com","port":1883,"version":"1.2.3.4",
     "opcua":{"endpoint":"opc.tcp://192.168.1.20:4840/UA"}}

/opt/scada/db.ini
    [db]
    ; host = 9.9.9.9
    DB_HOST = db.internal
    DB_PORT = 3306
    url = jdbc:mysql://10.1.1.1:3307/crane?user=a&password=b
    [web]
    listen = 10.0.0.7
    allow = 10.9.9.9

/opt/scada/app.config
    <configuration><!-- <add key="X" value="http://no.where.com"/> -->
      <add key="MqttHost" value="iot.vendor.cn"/>
      <service xmlns="http://schemas.vendor.com/x"><url>http://10.1.1.2:8080/api</url></service>
    </configuration>

/root/proj/.git/config
    [remote "origin"]
    	url = git@gitee.com:crane/app.git
    	fetch = +refs/heads/*:refs/remotes/origin/*

/usr/local/bin/up
    #!/bin/sh
    # curl http://comment.vendor.cn
    curl -s http://update.vendor.cn/$1 -o /tmp/x
    rsync -a /data op@47.100.3.4:/backup
    mosquitto_pub -h hub.vendor.cn -t a
    mail -s done admin@vendor.cn </dev/null

/opt/岸桥/设置.ini
    [通信]
    服务器地址=mqtt.crane.cn
    服务器端口=8884
    本机地址=10.0.0.7
    备用IP=10.7.8.9

/opt/tool/push.py
    HOST = "push.vendor.cn"
    client.connect(host=self.host, port=1883)

/home/op/.pgpass
    pg.vendor.cn:5432:db:op:secret

/etc/yum.repos.d/a.repo
    [a]
    baseurl=http://$host/x
    mirrorlist=https://mirrors.fedora.org/metalink?repo=a&token=b
"#,
    );
    assert_eq!(
        all,
        [
            "10.0.0.5||syslog|private|rsyslog",
            "10.0.0.6|1514|syslog|private|syslog-ng",
            "10.1.1.1|3307|mysql|private|scada",
            "10.1.1.2|8080|http|private|scada",
            "10.7.8.9|||private|岸桥",
            "192.168.1.10|502||private|scada",
            "192.168.1.11|503||private|scada",
            "192.168.1.20|4840|opc.tcp|private|scada",
            "2001:4860::8|514|syslog|public|rsyslog",
            "47.100.1.2|515|syslog|public|rsyslog",
            "47.100.3.4||ssh|public|up",
            "db.internal|3306||local-name|scada",
            "gitee.com||ssh|name|git",
            "hub.vendor.cn|||name|up",
            "iot.vendor.cn||mqtt|name|scada",
            "log.vendor.cn|6514|syslog|name|rsyslog",
            "mirrors.aliyun.com||https|name|apt",
            "mirrors.fedora.org||https|name|yum",
            "mqtt.crane.cn|8884||name|岸桥",
            "mqtt.zpmc.com|1883|mqtt|name|scada",
            "push.vendor.cn|1883||name|tool",
            "smtp.163.com|587|smtp|name|postfix",
            "update.vendor.cn||http|name|up",
        ]
    );
}

#[test]
fn what_is_no_endpoint() {
    let none = shown(
        r#"
/etc/dbus-1/system.conf
    <!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
     "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
    <busconfig/>

/etc/systemd/system/a.service
    [Unit]
    Documentation=man:a(8) https://a.vendor.cn/docs
    [Service]
    ExecStart=/usr/bin/a.sh --config a.conf --bind 10.0.0.1

/etc/os-release
    HOME_URL="https://www.debian.org/"

/etc/x/x.conf
    version = 1.2.3.4
    netmask 255.255.255.0
    subnet 10.1.0.0
    path=lib.so server=main.py
    listen 10.0.0.2:80
    oid = 1.3.6.1.4.1
    --dest=org.freedesktop.DBus
    time = 12:30:45

/opt/x/README.md
    http://x.vendor.cn

/opt/x/lib/node_modules/y/a.json
    {"url":"http://y.vendor.cn"}

/opt/x/a.py
    """ see
    http://docstring.vendor.cn
    """
    x = 1 # http://comment.vendor.cn
    host = self.server
    server = socket.gethostname()

/etc/snmp/snmpd.conf
    agentaddress  127.0.0.1,[::1]

/opt/x/program
    http://no.script.cn
"#,
    );
    assert_eq!(none, Vec::<String>::new());
}

#[test]
fn texts_of_windows_and_of_china_have_the_right_lines() {
    let mut fs = MemFs::default();
    let text = "[设备]\r\n服务器=岸桥\r\nServerIP=10.7.8.9\r\nPort=4001\r\n";
    let wide: Vec<u8> = [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    fs.add("/opt/a/wide.ini", wide.clone());
    fs.add("/opt/a/gbk.ini", encoding_rs::GBK.encode(text).0.into_owned());
    fs.add("/opt/a/binary.ini", b"\x7fELF\0\0\0\0host=10.9.9.9\n".to_vec());
    let (inv, gaps) = run_on(fs, &[&ARTIFACT]);
    assert!(gaps.is_empty(), "{gaps:?}");
    let rows: Vec<_> =
        inv.endpoints.iter().map(|e| (e.evidence.path.display(), e.host.clone(), e.port.clone())).collect();
    let row = |path: &str| (path.to_owned(), "10.7.8.9".to_owned(), "4001".to_owned());
    assert_eq!(rows, [row("/opt/a/gbk.ini"), row("/opt/a/wide.ini")]);
    for e in inv.endpoints.iter() {
        assert_eq!((e.evidence.line, e.evidence.key.as_deref()), (Some(3), Some("ServerIP")));
        assert_eq!(e.evidence.excerpt.as_deref(), Some("ServerIP=10.7.8.9"));
    }
    // The bytes of the line, in the file's own encoding.
    let run = inv.endpoints[1].evidence.range.unwrap();
    let at = |n: u64| usize::try_from(n).unwrap();
    let bytes = &wide[at(run.offset)..at(run.end())];
    let units: Vec<u16> = bytes.chunks(2).map(|u| u16::from_le_bytes([u[0], u[1]])).collect();
    assert_eq!(String::from_utf16(&units).unwrap(), "ServerIP=10.7.8.9\r");
}

#[test]
fn large_and_endless_files_are_bounded() {
    let mut fs = MemFs::default();
    fs.add("/etc/many.conf", (0..500).map(|n| format!("server h{n}.vendor.cn\n")).collect::<String>().into_bytes());
    fs.add("/etc/long.conf", [vec![b'x'; 2 << 20], b"\nserver late.vendor.cn\n".to_vec()].concat());
    fs.add("/etc/line.conf", ["host=a.vendor.cn,\"{[".repeat(40_000).as_bytes(), b"\n"].concat());
    fs.add("/etc/marks.xml", "<!--a--><! b /* \"\"\" ".repeat(40_000).into_bytes());
    let started = std::time::Instant::now();
    let (inv, gaps) = run_on(fs, &[&ARTIFACT]);
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    assert_eq!(inv.endpoints.len(), 201);
    let told: Vec<String> = gaps.iter().map(|g| g.what.clone()).collect();
    assert_eq!(told.iter().filter(|t| t.contains("budget: rows")).count(), 1, "{told:?}");
    assert_eq!(told.iter().filter(|t| t.contains("first MiB")).count(), 1, "{told:?}");
}
