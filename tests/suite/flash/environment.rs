//! U-Boot's environment in two copies, on an eMMC disk and in flash: which is used, against libubootenv's
//! `fw_printenv`; what it starts.
use super::boot::{examined_as, made};
use crate::common::plant;
use crate::look::{run, tool, tools};
use serde_json::Value;
use std::path::Path;

const FIRST: u64 = 0x10_0000;
const SIZE: usize = 0x4000;
const PARTITIONS: [(u64, &str); 2] = [(4, "a"), (20, "b")];

/// One copy, with its flag: the checksum does not cover that.
fn copy(folder: &Path, text: &str, flag: u8) -> Vec<u8> {
    std::fs::write(folder.join("env.txt"), text).unwrap();
    let mut bytes = made(folder, "mkenvimage", &["-r", "-s", "0x4000", "-o", "made", "env.txt"]);
    assert_eq!(bytes.len(), SIZE);
    bytes[4] = flag;
    bytes
}

/// A disk with two systems in slots, and the two copies in front of them.
fn disk(folder: &Path, copies: [&[u8]; 2], named: bool) {
    let image = folder.join("emmc.img");
    let mut disk = vec![0; 40 << 20];
    for (mib, name) in PARTITIONS {
        let root = folder.join(name);
        plant(
            &root,
            &[
                ("/etc/os-release", "ID=yocto\nPRETTY_NAME=Gateway\n"),
                ("/etc/hostname", &format!("gateway-{name}\n")),
                ("/bin/sh", "program"),
                (
                    "/etc/rauc/system.conf",
                    "[slot.rootfs.0]\ndevice=/dev/mmcblk0p1\nbootname=A\n[slot.rootfs.1]\ndevice=/dev/mmcblk0p2\nbootname=B\n",
                ),
            ],
        );
        if named {
            plant(&root, &[("/etc/fw_env.config", "/dev/mmcblk0 0x100000 0x4000\n/dev/mmcblk0 0x104000 0x4000\n")]);
        }
        let part = folder.join("part");
        let _ = std::fs::remove_file(&part);
        run(tool("mke2fs").args(["-q", "-F", "-t", "ext4", "-d"]).arg(&root).arg(&part).arg("16M"));
        let at = usize::try_from(mib << 20).unwrap();
        disk[at..at + (16 << 20)].copy_from_slice(&std::fs::read(&part).unwrap());
    }
    std::fs::write(&image, disk).unwrap();
    std::fs::write(folder.join("table"), "label: dos\nstart=8192,size=32768\nstart=40960,size=32768\n").unwrap();
    run(tool("sh").current_dir(folder).args(["-c", "sfdisk -q emmc.img < table"]));
    let mut disk = std::fs::read(&image).unwrap();
    for (n, bytes) in copies.into_iter().enumerate() {
        let at = usize::try_from(FIRST).unwrap() + n * SIZE;
        disk[at..at + bytes.len()].copy_from_slice(bytes);
    }
    std::fs::write(&image, disk).unwrap();
}

fn rows(report: &Value) -> &Vec<Value> {
    report["inventory"]["boot_environment"].as_array().unwrap()
}
/// Names and values of the copy that is used.
fn used(report: &Value) -> Vec<String> {
    let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    let in_use = rows(report).iter().filter(|r| r["used"] == true);
    let mut all: Vec<String> = in_use.map(|r| format!("{}={}", text(r, "name"), text(r, "value"))).collect();
    all.sort();
    all
}
/// The same by libubootenv.
fn printed(folder: &Path) -> Vec<String> {
    let image = folder.join("emmc.img");
    let line = |at: u64| format!("{} {at:#x} 0x4000\n", image.display());
    std::fs::write(folder.join("fw.config"), [line(FIRST), line(FIRST + SIZE as u64)].concat()).unwrap();
    let out = run(tool("fw_printenv").current_dir(folder).args(["-c", "fw.config", "-f", "/dev/null"]));
    let mut all: Vec<String> = String::from_utf8(out.stdout).unwrap().lines().map(str::to_owned).collect();
    all.sort();
    all
}
fn active(report: &Value) -> Vec<(String, Value)> {
    let all = report["systems"].as_array().unwrap();
    all.iter().map(|s| (s["hostname"].as_str().unwrap().to_owned(), s["slot"]["active"].clone())).collect()
}

const OLD: &str = "BOOT_ORDER=A B\nBOOT_A_LEFT=3\nBOOT_B_LEFT=3\nbootcmd=run load; bootz\nload=ext4load mmc 0:1 ${loadaddr} zImage\nbootargs=root=/dev/mmcblk0p1 console=ttyS0\nserverip=192.0.2.7\nbootdelay=2\n";
const NEW: &str = "BOOT_ORDER=B A\nBOOT_A_LEFT=3\nBOOT_B_LEFT=3\nbootcmd=run load; bootz\nload=tftpboot ${loadaddr} zImage\nbootargs=root=/dev/mmcblk0p2 init=/bin/sh wifi_password=geheim123\nserverip=192.0.2.7\nbootdelay=2\n";

#[test]
fn of_two_copies_the_one_in_use_is_told_and_what_it_starts() {
    if !tools(&["mkenvimage", "mke2fs", "sfdisk"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let oracle = tools(&["fw_printenv"]);
    // Flags as both schemes use them; with and without the system's own word of where they lie.
    for (flags, named, newer) in [([5, 6], true, true), ([255, 0], false, true), ([1, 0], true, false)] {
        disk(at, [&copy(at, OLD, flags[0]), &copy(at, NEW, flags[1])], named);
        let report = examined_as(at, "emmc.img", &[]);
        assert_eq!(rows(&report).len(), 16, "{:#?}", rows(&report));
        let text = if newer { NEW } else { OLD };
        let mut wanted: Vec<String> = text.lines().map(str::to_owned).collect();
        wanted.sort();
        if oracle {
            assert_eq!(printed(at), wanted);
        }
        let masked: Vec<String> = used(&report).into_iter().filter(|l| !l.contains("wifi_password")).collect();
        assert_eq!(masked, wanted.into_iter().filter(|l| !l.contains("wifi_password")).collect::<Vec<_>>());
        assert!(!report.to_string().contains("geheim123"));
        let expected = [("gateway-a", !newer), ("gateway-b", newer)].map(|(n, a)| (n.to_owned(), Value::from(a)));
        assert_eq!(active(&report), expected, "{:#?}", report["systems"]);
        let load = rows(&report).iter().find(|r| r["name"] == "load" && r["used"] == true).unwrap();
        assert_eq!(load["role"], "command");
        assert_ne!(load["other"], "");
        // The bytes stand in the image where the row says.
        let run = &load["evidence"]["image_runs"][0];
        let from = usize::try_from(run["offset"].as_u64().unwrap()).unwrap();
        assert_eq!(&std::fs::read(at.join("emmc.img")).unwrap()[from..from + 5], b"load=");
        let found = report["findings"].to_string();
        for rule in ["boot-from-network", "kernel-starts-other-program"] {
            assert_eq!(found.contains(rule), newer, "{rule}: {found}");
        }
        assert!(found.contains("boot-environment-copies-differ"), "{found}");
    }
}

#[test]
fn a_copy_that_does_not_hold_is_not_used() {
    if !tools(&["mkenvimage", "mke2fs", "sfdisk"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let (old, mut new) = (copy(at, OLD, 5), copy(at, NEW, 6));
    new[3000] ^= 1;
    disk(at, [&old, &new], true);
    let report = examined_as(at, "emmc.img", &[]);
    if tools(&["fw_printenv"]) {
        assert_eq!(used(&report), printed(at));
    }
    assert_eq!(active(&report)[0], ("gateway-a".to_owned(), Value::from(true)));
    let lost: Vec<&Value> = rows(&report).iter().filter(|r| r["checksum"] == "differs").collect();
    assert!(lost.len() == 8 && lost.iter().all(|r| r["used"] == false), "{lost:#?}");
    assert!(report["gaps"].to_string().contains("does not fit its checksum"));
    // Neither holds.
    let mut older = old;
    older[3000] ^= 1;
    disk(at, [&older, &new], true);
    let report = examined_as(at, "emmc.img", &[]);
    assert!(used(&report).is_empty());
    assert!(report["gaps"].to_string().contains("values that are built into it"), "{}", report["gaps"]);
    assert!(!report["findings"].to_string().contains("boot-from-network"));
    // Nothing is where the settings lead.
    disk(at, [&[], &[]], true);
    let told = examined_as(at, "emmc.img", &[])["gaps"].to_string();
    assert!(told.contains("nothing is written"), "{told}");
}

#[test]
fn copies_in_one_partition_of_flash_are_both_read() {
    if !tools(&["mkenvimage", "mkimage", "mkfs.jffs2"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let layout = "mtdparts=spi0.0:256k(u-boot)ro,64k(env),448k(kernel),-(rootfs)";
    let mut flash = super::boot::dump(at);
    let own = format!("{OLD}mtdparts={layout}\n");
    for (offset, bytes) in
        [(256 << 10, copy(at, &own, 1)), ((256 << 10) + 0x8000, copy(at, &format!("{NEW}mtdparts={layout}\n"), 2))]
    {
        flash[offset..offset + bytes.len()].copy_from_slice(&bytes);
    }
    // What was there before is erased.
    for hole in [(256 << 10) + SIZE..(256 << 10) + 0x8000, (256 << 10) + 0x8000 + SIZE..320 << 10] {
        flash[hole].fill(0xff);
    }
    std::fs::write(at.join("flash.bin"), &flash).unwrap();
    let report = examined_as(at, "flash.bin", &[]);
    assert_eq!(rows(&report).len(), 18, "{:#?}", rows(&report));
    assert!(used(&report).iter().any(|l| l == "BOOT_ORDER=B A"));
    let places: std::collections::BTreeSet<&str> = rows(&report).iter().map(|r| r["place"].as_str().unwrap()).collect();
    assert_eq!(places.into_iter().collect::<Vec<_>>(), ["env, image 0 at 0x40000", "environment, image 0 at 0x48000"]);
}
