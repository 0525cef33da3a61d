//! Whole systems on layers, examined: disks as OpenWrt, Debian live and Yocto lay them out, made by the usual tools.
use super::kernel::{done, timed};
use crate::common::{have, report, run};
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

fn shell(folder: &Path, script: &str) -> bool {
    std::fs::create_dir_all(folder).unwrap();
    done(timed("sh").args(["-eu", "-c", script]).current_dir(folder))
}
fn squashfs(root: &Path, to: &Path) {
    let mut pack = timed("mksquashfs");
    assert!(done(pack.arg(root).arg(to).args(["-quiet", "-no-progress", "-noappend", "-all-root"])));
}
fn ext4(root: &Path, to: &Path, label: &str, mib: u64) {
    let mut make = timed("mke2fs");
    make.args(["-q", "-F", "-t", "ext4", "-L", label, "-d"]).arg(root).arg(to).arg(format!("{mib}M"));
    assert!(done(&mut make));
}

/// A GPT disk of these parts: label and content.
fn disk(to: &Path, parts: &[(&str, PathBuf)]) {
    let mut script = "label: gpt\n".to_owned();
    let mut at = 2048_u64;
    let mut places = Vec::new();
    for (label, file) in parts {
        let sectors = std::fs::metadata(file).unwrap().len().div_ceil(1 << 20) * 2048;
        script.push_str(&format!("start={at},size={sectors},name=\"{label}\"\n"));
        places.push((at * 512, file));
        at += sectors;
    }
    let mut bytes = vec![0; usize::try_from((at + 2048) * 512).unwrap()];
    for (offset, file) in places {
        let content = std::fs::read(file).unwrap();
        bytes[usize::try_from(offset).unwrap()..][..content.len()].copy_from_slice(&content);
    }
    std::fs::write(to, bytes).unwrap();
    let mut child = timed("sfdisk")
        .args(["-q", "-w", "never"])
        .arg(to)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

pub(super) fn examined(at: &Path, image: &str) -> Value {
    let (code, _, err) = run(at, &["examine", image, "--json", "r.json", "--overwrite", "--as-of", "2026-01-01"]);
    assert_eq!(code, 0, "{err}");
    report(&at.join("r.json"))
}
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
/// The files of a report at a path: layer, why it is covered, how it stands to the layers below.
pub(super) fn at<'r>(report: &'r Value, path: &str) -> Vec<(&'r str, &'r str, &'r str)> {
    let files = report["inventory"]["files"].as_array().unwrap().iter().filter(|f| f["path"] == path);
    let mut all: Vec<_> = files.map(|f| (text(&f["layer"]), text(&f["covered"]), text(&f["against_lower"]))).collect();
    all.sort_unstable();
    all
}
pub(super) fn gaps(report: &Value) -> Vec<String> {
    report["gaps"].as_array().unwrap().iter().map(|g| text(&g["what"]).to_owned()).collect()
}
/// Whether the tools are here, and whether device nodes can be made.
fn able(folder: &Path) -> bool {
    if !["mksquashfs", "mke2fs", "sfdisk"].iter().all(|t| have(t)) {
        return false;
    }
    let able = shell(folder, "mknod probe c 0 0 && setfattr -n trusted.overlay.opaque -v y . ");
    if !able {
        eprintln!("skipped: whiteouts cannot be made here");
    }
    able
}

/// A small OpenWrt: the root as delivered.
const OPENWRT: &str = r#"
mkdir -p bin sbin etc/config etc/dropbear etc/init.d overlay rom lib usr/lib/opkg
printf "DISTRIB_ID='OpenWrt'\nDISTRIB_RELEASE='23.05.2'\n" > etc/openwrt_release
cp /bin/true bin/busybox; ln -s busybox bin/sh; echo x > sbin/mount_root
printf "config system\n option hostname 'OpenWrt'\n" > etc/config/system
echo 'root::0:0:root:/root:/bin/ash' > etc/passwd; echo gone > etc/banner; echo kept > etc/shells
mkdir -p etc/removed/inside www; echo x > etc/removed/inside/x; echo index > www/index.html
"#;
const OPENWRT_DATA: &str = r#"
mkdir -p upper/etc/config upper/etc/dropbear upper/bin upper/www work/work
ln -s 2 .fs_state
printf "config system\n option hostname 'crane-9'\n" > upper/etc/config/system
echo 'root:$1$a$b:0:0:root:/root:/bin/ash' > upper/etc/passwd
echo 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGbM7qZ3k1x1x1x1x1x1x1x1x1x1x1x1x1x1x1x1 a@b' > upper/etc/dropbear/authorized_keys
mknod upper/etc/banner c 0 0; mknod upper/etc/removed c 0 0
cp /bin/false upper/bin/busybox; cp /bin/true upper/bin/added
setfattr -n trusted.overlay.opaque -v y upper/www; echo new > upper/www/new.html
echo kept > upper/etc/shells
"#;

fn check_openwrt(report: &Value, what: &str) {
    let systems = report["systems"].as_array().unwrap();
    assert_eq!(systems.len(), 1, "{what}");
    let system = &systems[0];
    assert_eq!((&system["os"]["id"], &system["hostname"]), (&"openwrt".into(), &"crane-9".into()), "{what}");
    let layers = &system["layers"][0];
    assert_eq!(
        (text(&layers["at"]), text(&layers["by"]), text(&layers["upper_state"])),
        ("/", "OpenWrt", "disk"),
        "{what}"
    );
    let (up, low) = (text(&layers["upper"]["name"]).to_owned(), text(&layers["lowers"][0]["name"]).to_owned());
    assert!(up.starts_with("upper ") && up.contains("rootfs_data") && low.starts_with("lower "), "{up} {low}");
    assert_eq!(at(report, "/bin/busybox"), [(low.as_str(), "replaced", ""), (&up, "", "changed")], "{what}");
    assert_eq!(at(report, "/bin/added"), [(up.as_str(), "", "added")]);
    assert_eq!(at(report, "/etc/shells"), [(low.as_str(), "replaced", ""), (&up, "", "same")]);
    assert_eq!(at(report, "/etc/banner"), [(low.as_str(), "removed", ""), (&up, "mark", "")]);
    assert_eq!(at(report, "/etc/removed/inside/x"), [(low.as_str(), "removed", "")]);
    assert_eq!(at(report, "/www/index.html"), [(low.as_str(), "opaque", "")]);
    assert_eq!(at(report, "/etc/openwrt_release"), [(low.as_str(), "", "")]);
    assert_eq!(at(report, "/overlay/.fs_state"), [("", "", "")]);
    assert!(at(report, "/overlay/upper/etc/passwd").is_empty(), "the layer stands at the root only");
    let accounts = report["inventory"]["accounts"].as_array().unwrap();
    assert_eq!(accounts.iter().filter(|a| a["name"] == "root").count(), 1);
    // What is shown has its bytes where the report says.
    let files = report["inventory"]["files"].as_array().unwrap();
    let seen = files.iter().find(|f| f["path"] == "/etc/passwd" && f["covered"] == "").unwrap();
    assert_eq!(seen["evidence"]["image_runs"][0]["kind"], "stored");
    assert!(!files.iter().any(|f| f["system"].is_null() && text(&f["path"]) != "/"), "{what}: files of no system");
}

#[test]
fn openwrt_on_a_disk() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    if !able(&here.join("probe")) {
        return;
    }
    assert!(shell(&here.join("rom"), OPENWRT) && shell(&here.join("data"), OPENWRT_DATA));
    squashfs(&here.join("rom"), &here.join("rom.sqfs"));
    ext4(&here.join("data"), &here.join("data.ext4"), "rootfs_data", 16);
    // Beside the root, in a partition of its own.
    disk(&here.join("two.img"), &[("rootfs", here.join("rom.sqfs")), ("rootfs_data", here.join("data.ext4"))]);
    check_openwrt(&examined(here, "two.img"), "two partitions");
    // Behind the root, in the same partition.
    let mut both = std::fs::read(here.join("rom.sqfs")).unwrap();
    both.resize(both.len().next_multiple_of(65_536), 0);
    both.extend(std::fs::read(here.join("data.ext4")).unwrap());
    std::fs::write(here.join("both"), both).unwrap();
    disk(&here.join("one.img"), &[("rootfs", here.join("both"))]);
    let report = examined(here, "one.img");
    check_openwrt(&report, "one partition");
    // The bytes of the layer behind lead into the image.
    let files = report["inventory"]["files"].as_array().unwrap();
    let seen = files.iter().find(|f| f["path"] == "/etc/config/system" && f["covered"] == "").unwrap();
    let image = std::fs::read(here.join("one.img")).unwrap();
    let run = &seen["evidence"]["image_runs"][0];
    let (from, len) = (run["offset"].as_u64().unwrap(), run["length"].as_u64().unwrap());
    let bytes = &image[usize::try_from(from).unwrap()..][..usize::try_from(len).unwrap()];
    assert_eq!(bytes, std::fs::read(here.join("data/upper/etc/config/system")).unwrap());
    // Without its data only the delivered root is there, and that is told.
    disk(&here.join("rom.img"), &[("rootfs", here.join("rom.sqfs"))]);
    let alone = examined(here, "rom.img");
    assert_eq!(alone["systems"][0]["layers"][0]["upper_state"], "missing");
    assert_eq!(alone["systems"][0]["hostname"], "OpenWrt");
    assert!(gaps(&alone).iter().any(|g| g.contains("rootfs_data")), "{:?}", gaps(&alone));
    // `ls` and `cat` show the merged tree.
    let (code, out, err) = run_cat(here, "two.img", "/etc/config/system");
    assert!(code == 0 && out.contains("crane-9"), "{err}");
    let (code, ..) = run_cat(here, "two.img", "/etc/banner");
    assert_ne!(code, 0);
}

fn run_cat(folder: &Path, image: &str, path: &str) -> (i32, String, String) {
    run(folder, &["cat", image, path])
}

/// A small Debian with a package database.
const DEBIAN: &str = r#"
mkdir -p bin etc usr/bin var/lib/dpkg/info home root
printf 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian 12"\n' > etc/os-release
echo root:x:0:0::/root:/bin/sh > etc/passwd; echo debian > etc/hostname
cp /bin/true usr/bin/tool; cp /bin/true usr/bin/other; chmod 755 usr/bin/*
printf 'Package: tools\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n' > var/lib/dpkg/status
printf '/.\n/usr\n/usr/bin\n/usr/bin/tool\n/usr/bin/other\n' > var/lib/dpkg/info/tools.list
(cd . && md5sum usr/bin/tool usr/bin/other) > var/lib/dpkg/info/tools.md5sums
"#;

#[test]
fn debian_live_with_persistence() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    if !able(&here.join("probe")) {
        return;
    }
    assert!(shell(&here.join("root"), DEBIAN));
    assert!(shell(&here.join("more"), "mkdir -p usr/bin etc; cp /bin/true usr/bin/module; echo module > etc/hostname"));
    let keep = "printf '/ union\\n/home bind\\n' > persistence.conf
mkdir -p rw/etc rw/usr/bin work home/op/.ssh
echo live-crane > rw/etc/hostname; cp /bin/false rw/usr/bin/tool; mknod rw/usr/bin/other c 0 0
echo x > home/op/.ssh/config";
    assert!(shell(&here.join("keep"), keep));
    std::fs::create_dir_all(here.join("medium/live")).unwrap();
    squashfs(&here.join("root"), &here.join("medium/live/filesystem.squashfs"));
    squashfs(&here.join("more"), &here.join("medium/live/zz-module.squashfs"));
    let menu = "menuentry 'Live' {\n linux /live/vmlinuz boot=live components persistence\n}\n";
    crate::common::plant(&here.join("medium"), &[("/boot/grub/grub.cfg", menu)]);
    ext4(&here.join("medium"), &here.join("medium.ext4"), "LIVE", 32);
    ext4(&here.join("keep"), &here.join("keep.ext4"), "persistence", 16);
    disk(&here.join("live.img"), &[("medium", here.join("medium.ext4")), ("keep", here.join("keep.ext4"))]);
    let report = examined(here, "live.img");
    let systems = report["systems"].as_array().unwrap();
    assert_eq!(systems.len(), 1);
    assert_eq!(systems[0]["hostname"], "live-crane");
    let layers = &systems[0]["layers"][0];
    assert_eq!((text(&layers["by"]), layers["lowers"].as_array().unwrap().len()), ("live-boot", 2));
    assert!(text(&layers["lowers"][0]["name"]).contains("zz-module"), "{layers}");
    let names: Vec<&str> = at(&report, "/etc/hostname").iter().map(|r| r.1).collect();
    assert_eq!(names.iter().filter(|c| c.is_empty()).count(), 1);
    assert_eq!(names.iter().filter(|c| **c == "replaced").count(), 2, "{names:?}");
    assert!(at(&report, "/usr/bin/tool").iter().any(|r| r.2 == "changed"));
    assert_eq!(at(&report, "/home/op/.ssh/config").len(), 1);
    // The package's files are checked in the merged tree.
    let package = report["inventory"]["packages"].as_array().unwrap().iter().find(|p| p["name"] == "tools").unwrap();
    assert_eq!(package["differing"], serde_json::json!(["/usr/bin/tool"]));
    assert_eq!(package["missing"], serde_json::json!(["/usr/bin/other"]));
    let findings = report["findings"].as_array().unwrap();
    assert!(findings.iter().any(|f| f["rule"] == "packaged-program-differs"), "{findings:?}");
    // Without persistence what was written lay in memory.
    disk(&here.join("ram.img"), &[("medium", here.join("medium.ext4"))]);
    let ram = examined(here, "ram.img");
    assert_eq!(ram["systems"][0]["layers"][0]["upper_state"], "missing");
    assert!(gaps(&ram).iter().any(|g| g.contains("persistence")), "{:?}", gaps(&ram));
    assert_eq!(ram["systems"][0]["hostname"], "module");
}

#[test]
fn yocto_with_two_slots_and_a_layer_over_etc() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    if !able(&here.join("probe")) {
        return;
    }
    let root = |version: &str| {
        format!(
            r#"mkdir -p bin sbin etc/rauc etc/systemd/system/local-fs.target.wants usr/lib/systemd/system var/lib data opt
printf 'ID=poky\nVERSION_ID="{version}"\n' > etc/os-release
cp /bin/true bin/sh; echo crane-gw > etc/hostname; echo root:x:0:0::/root:/bin/sh > etc/passwd
printf '[slot.rootfs.0]\ndevice=/dev/disk/by-partlabel/rootfs_a\nbootname=A\n[slot.rootfs.1]\ndevice=/dev/disk/by-partlabel/rootfs_b\nbootname=B\n' > etc/rauc/system.conf
printf 'PARTLABEL=data /data ext4 defaults 0 2\ntmpfs /run tmpfs mode=0755 0 0\n/data/srv /srv none bind 0 0\n' > etc/fstab
mkdir srv; echo delivered > var/lib/state; echo opt > opt/delivered
cat > sbin/preinit <<'X'
#!/bin/sh
MOUNT=/data
mount -n -o defaults -t ext4 PARTLABEL=data $MOUNT
mount -n -t overlay -o upperdir=$MOUNT/overlay-etc/upper,lowerdir=/etc,workdir=$MOUNT/overlay-etc/work overlay /etc
exec /sbin/init.orig
X
printf '[Mount]\nWhat=overlay\nWhere=/var/lib\nType=overlay\nOptions=lowerdir=/var/lib,upperdir=/data/overlay/upper/var/lib,workdir=/data/overlay/work/var/lib\n' > usr/lib/systemd/system/var-lib.mount
ln -s /usr/lib/systemd/system/var-lib.mount etc/systemd/system/local-fs.target.wants/var-lib.mount
printf '[Mount]\nWhat=overlay\nWhere=/opt\nType=overlay\nOptions=lowerdir=/opt,upperdir=/run/opt/upper,workdir=/run/opt/work\n' > usr/lib/systemd/system/opt.mount
ln -s /usr/lib/systemd/system/opt.mount etc/systemd/system/local-fs.target.wants/opt.mount
"#
        )
    };
    let data = "mkdir -p overlay-etc/upper overlay-etc/work overlay/upper/var/lib overlay/work/var/lib srv
echo crane-changed > overlay-etc/upper/hostname; mknod overlay-etc/upper/passwd c 0 0
echo written > overlay/upper/var/lib/state; echo s > srv/file";
    assert!(
        shell(&here.join("a"), &root("1")) && shell(&here.join("b"), &root("2")) && shell(&here.join("data"), data)
    );
    squashfs(&here.join("a"), &here.join("a.sqfs"));
    squashfs(&here.join("b"), &here.join("b.sqfs"));
    ext4(&here.join("data"), &here.join("data.ext4"), "", 16);
    std::fs::create_dir(here.join("boot")).unwrap();
    std::fs::write(here.join("boot/uboot.env"), b"\x01\x02\x03\x04BOOT_ORDER=B A\0BOOT_A_LEFT=3\0BOOT_B_LEFT=3\0\0")
        .unwrap();
    ext4(&here.join("boot"), &here.join("boot.ext4"), "boot", 8);
    let parts = [
        ("boot", here.join("boot.ext4")),
        ("rootfs_a", here.join("a.sqfs")),
        ("rootfs_b", here.join("b.sqfs")),
        ("data", here.join("data.ext4")),
    ];
    disk(&here.join("gw.img"), &parts);
    let report = examined(here, "gw.img");
    let systems = report["systems"].as_array().unwrap();
    assert_eq!(systems.len(), 2, "{systems:?}");
    let slots: Vec<(&str, &Value, &str)> =
        systems.iter().map(|s| (text(&s["slot"]["name"]), &s["slot"]["active"], text(&s["os"]["version"]))).collect();
    assert_eq!(slots, [("rootfs.0", &false.into(), "1"), ("rootfs.1", &true.into(), "2")]);
    assert!(
        text(&systems[1]["slot"]["by"]).contains("BOOT_ORDER")
            || text(&systems[1]["slot"]["by"]).contains("order is B A")
    );
    for system in systems {
        assert_eq!(system["hostname"], "crane-changed");
        let told: Vec<(&str, &str)> =
            system["layers"].as_array().unwrap().iter().map(|l| (text(&l["at"]), text(&l["upper_state"]))).collect();
        assert_eq!(told, [("/etc", "disk"), ("/opt", "memory"), ("/var/lib", "disk")]);
    }
    // Both slots show the one layer.
    let hostname = at(&report, "/etc/hostname");
    assert_eq!(hostname.iter().filter(|r| r.1.is_empty() && r.2 == "changed").count(), 2, "{hostname:?}");
    assert_eq!(hostname.iter().filter(|r| r.1 == "replaced").count(), 2);
    assert_eq!(at(&report, "/etc/passwd").iter().filter(|r| r.1 == "removed").count(), 2);
    assert!(at(&report, "/var/lib/state").iter().any(|r| r.2 == "changed"));
    assert!(at(&report, "/opt/delivered").iter().all(|r| r.1.is_empty() && r.0.starts_with("lower ")));
    assert!(at(&report, "/data/overlay-etc/upper/hostname").is_empty());
    assert_eq!(at(&report, "/srv/file").len(), 2);
    assert_eq!(at(&report, "/data/srv/file").len(), 2);
}
