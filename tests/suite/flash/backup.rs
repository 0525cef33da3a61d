//! What routers write of themselves: backups of their settings, firmware packages with what is appended to them.
use super::boot::examined_as;
use crate::common::plant;
use crate::look::{pattern, run, tool, tools};
use serde_json::Value;
use std::path::Path;

const NETWORK: &str = "config interface 'lan'\n\toption proto 'static'\n\toption ipaddr '192.168.7.1'\n\nconfig interface 'wwan'\n\toption proto 'qmi'\n\toption apn 'm2m.example'\n\toption password 'hunter2secret'\n";

fn settings(root: &Path) {
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1Q1Zbdfgf9Yx0JbZ0ZbJ1Q1Zbdfgf9Yx0JbZ0ZbJ1Q maintenance@vendor\n";
    plant(
        root,
        &[
            ("/etc/config/network", NETWORK),
            ("/etc/config/system", "config system\n\toption hostname 'gw-crane-7'\n"),
            ("/etc/config/dropbear", "config dropbear\n\toption Port '2222'\n\toption RootPasswordAuth 'on'\n"),
            ("/etc/passwd", "root:x:0:0:root:/root:/bin/ash\nvendor:x:1000:1000::/home/vendor:/bin/ash\n"),
            ("/etc/shadow", "root:$1$abcdefgh$0123456789012345678901:19000:0:99999:7:::\nvendor::19000:0:99999:7:::\n"),
            ("/etc/crontabs/root", "*/5 * * * * /usr/bin/report.sh\n"),
            ("/etc/dropbear/authorized_keys", key),
            ("/etc/backup/installed_packages.txt", "base-files\trom\nzerotier\toverlay\n"),
        ],
    );
}
fn rows<'r>(report: &'r Value, table: &str) -> &'r Vec<Value> {
    report["inventory"][table].as_array().unwrap()
}
fn has(report: &Value, table: &str, fields: &[(&str, &str)]) -> bool {
    rows(report, table).iter().any(|row| fields.iter().all(|(name, value)| row[*name].as_str() == Some(*value)))
}

#[test]
fn a_backup_is_a_system_of_which_the_configuration_is_there() {
    if !tools(&["tar"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    settings(&root);
    // With and without the dot that other tools lead with.
    for (name, what) in [("backup-gw-2026-01-02.tar.gz", "etc"), ("other.tar.gz", "./etc")] {
        run(tool("tar").current_dir(&root).arg("-czf").arg(folder.path().join(name)).arg(what));
        let report = examined_as(folder.path(), name, &[]);
        let systems = report["systems"].as_array().unwrap();
        assert_eq!(systems.len(), 1, "{systems:?}");
        assert_eq!(systems[0]["hostname"], "gw-crane-7");
        assert_eq!(systems[0]["partial"], "UCI configuration (OpenWrt or a relative)");
        assert_eq!(systems[0]["os"]["name"], "UCI configuration (OpenWrt or a relative) only");
        assert_eq!(systems[0]["installed"], Value::Null);
        let told: Vec<&Value> = report["gaps"].as_array().unwrap().iter().filter(|g| g["by"] == "identify").collect();
        assert!(told.len() == 1 && told[0].to_string().contains("may still be on the device"), "{told:?}");
        for (table, fields) in [
            ("connections", &[("name", "wwan"), ("kind", "gsm"), ("apn", "m2m.example")][..]),
            ("interfaces", &[("name", "lan"), ("method", "static")]),
            ("accounts", &[("name", "vendor"), ("password", "empty")]),
            ("tasks", &[("command", "/usr/bin/report.sh")]),
            ("keys", &[("kind", "authorized"), ("comment", "maintenance@vendor")]),
            ("listeners", &[("program", "dropbear"), ("port", "2222")]),
            ("packages", &[("name", "zerotier"), ("state", "added (overlay)")]),
        ] {
            assert!(has(&report, table, fields), "{table} {fields:?}: {:#?}", rows(&report, table));
        }
        assert!(!report.to_string().contains("hunter2secret"));
    }
}

/// What OpenWrt's `fwtool` appends: text, sum over all before it (not inverted at its end), trailer.
fn append(image: &mut Vec<u8>, kind: u8, data: &[u8]) {
    image.extend_from_slice(data);
    let sum = !crc32fast::hash(image);
    image.extend(b"FWx0");
    image.extend(sum.to_be_bytes());
    image.extend([kind, 0, 0, 0]);
    image.extend(u32::try_from(data.len() + 16).unwrap().to_be_bytes());
}

#[test]
fn a_firmware_package_is_opened_as_system_and_boot_image() {
    if !tools(&["tar", "mksquashfs", "mkimage"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    settings(&root);
    plant(
        &root,
        &[
            (
                "/etc/openwrt_release",
                "DISTRIB_ID='OpenWrt'\nDISTRIB_RELEASE='23.05.3'\nDISTRIB_DESCRIPTION='OpenWrt 23.05.3'\n",
            ),
            ("/bin/busybox", "program"),
            ("/sbin/mount_root", "program"),
        ],
    );
    let board = folder.path().join("sysupgrade-crane_gw7");
    std::fs::create_dir(&board).unwrap();
    std::fs::write(board.join("CONTROL"), "BOARD=crane_gw7\n").unwrap();
    std::fs::write(folder.path().join("vmlinux"), pattern(4, 50_000)).unwrap();
    run(tool("mksquashfs").arg(&root).arg(board.join("root")).args(["-quiet", "-no-progress", "-comp", "xz"]));
    run(tool("mkimage").current_dir(folder.path()).args([
        "-A",
        "mips",
        "-T",
        "kernel",
        "-C",
        "none",
        "-n",
        "k",
        "-d",
        "vmlinux",
        "sysupgrade-crane_gw7/kernel",
    ]));
    run(tool("tar").current_dir(folder.path()).args(["-cf", "sysupgrade.bin", "sysupgrade-crane_gw7"]));
    let path = folder.path().join("sysupgrade.bin");
    let mut image = std::fs::read(&path).unwrap();
    let json = r#"{"metadata_version":"1.1","supported_devices":["crane,gw7"],"version":{"dist":"OpenWrt","version":"23.05.3"}}"#;
    append(&mut image, 1, &[&[0; 8], json.as_bytes()].concat());
    append(&mut image, 0, b"untrusted comment");
    std::fs::write(&path, &image).unwrap();
    let report = examined_as(folder.path(), "sysupgrade.bin", &[]);
    let details = report["images"][0]["details"].to_string();
    for word in ["crane,gw7", "23.05.3", ", fits", "not checked"] {
        assert!(details.contains(word), "{word}: {details}");
    }
    let systems = report["systems"].as_array().unwrap();
    assert_eq!(systems.len(), 1, "{systems:?}");
    assert_eq!((&systems[0]["os"]["version"], &systems[0]["partial"]), (&"23.05.3".into(), &"".into()));
    assert!(has(&report, "connections", &[("name", "wwan"), ("apn", "m2m.example")]));
    assert!(has(&report, "settings", &[("program", "firmware"), ("name", "BOARD"), ("value", "crane_gw7")]));
    let kinds: Vec<_> = report["filesystems"].as_array().unwrap().iter().map(|f| f["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["tar", "uimage", "squashfs"]);
    let told = report["gaps"].to_string();
    assert!(!told.contains("not interpreted") && !told.contains("checksum"), "{told}");
    // One byte of the root is wrong: the package does not fit what was appended.
    image[30_000] ^= 1;
    std::fs::write(&path, &image).unwrap();
    let told = examined_as(folder.path(), "sysupgrade.bin", &[])["gaps"].to_string();
    assert!(told.contains("does not fit its checksum"), "{told}");
}
