//! Systems over several file systems written as text: each scheme and each kind of mount.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::{Candidate, Cover, System, Tree, find_systems};
use crate::base::{FsId, Gaps, Progress};
use crate::fs::MemFs;
use crate::inventory::{FilesystemInfo, VolumeInfo};
use std::sync::Arc;

/// A file system: kind, label of its volume, tree. A label that begins with `file:` stands for a file of the
/// file system with number 0.
type Part<'a> = (&'a str, &'a str, &'a str);

fn systems(parts: &[Part<'_>]) -> (Vec<System>, Vec<String>) {
    let gaps = Gaps::default();
    let made: Vec<(Arc<Tree>, FilesystemInfo, VolumeInfo)> = (0_u32..)
        .zip(parts)
        .map(|(n, (kind, label, text))| {
            let tree = Tree::index(Arc::new(MemFs::parse(text)), FsId(n), &gaps, &Progress::default()).unwrap();
            let file = label.strip_prefix("file:");
            let volume = VolumeInfo {
                scheme: if file.is_some() { "file" } else { "gpt" }.into(),
                index: n + 1,
                label: file.unwrap_or(label).into(),
                parent: file.map(|_| 0),
                uuid: format!("part-{n}"),
                ..VolumeInfo::default()
            };
            let filesystem = FilesystemInfo {
                id: format!("fs-{n}"),
                volume: n,
                kind: (*kind).into(),
                uuid: format!("uuid-{n}"),
                ..FilesystemInfo::default()
            };
            (Arc::new(tree), filesystem, volume)
        })
        .collect();
    let candidates: Vec<Candidate<'_>> =
        made.iter().map(|(tree, filesystem, volume)| Candidate { tree: tree.clone(), filesystem, volume }).collect();
    let found = find_systems(&candidates, &gaps);
    (found, gaps.take().into_iter().map(|g| g.what).collect())
}
/// A file's first line, as the system shows it.
fn line(system: &System, path: &str) -> String {
    let Some(entry) = system.resolve(path) else { return "-".to_owned() };
    let text = system.read(entry, 4096).unwrap();
    text.text().lines().next().unwrap_or_default().to_owned()
}
fn layers(system: &System) -> Vec<String> {
    let told = |l: &crate::inventory::LayeringInfo| {
        let lowers: Vec<&str> = l.lowers.iter().map(|l| l.name.as_str()).collect();
        let upper = l.upper.as_ref().map_or(l.upper_state.as_str(), |u| u.name.as_str());
        format!("{} {upper} | {}", l.at, lowers.join(", "))
    };
    system.info.layers.iter().map(told).collect()
}
fn covered(system: &System, path: &str) -> Vec<(String, Cover)> {
    let of = system.covered().iter().filter(|e| e.path.bytes() == path.as_bytes());
    of.map(|e| (e.layer.as_deref().unwrap_or_default().to_owned(), e.covered)).collect()
}

const ROOT: &str = "/etc/os-release\n    ID=debian\n/etc/fstab\n    UUID=uuid-0 / ext4 defaults 0 1\n";

#[test]
fn what_lies_below_a_mount_is_covered() {
    let root = format!("{ROOT}    UUID=uuid-1 /data ext4 defaults 0 2\n/data/below\n    b\n/etc/x\n    x\n");
    let (found, gaps) = systems(&[("ext4", "", &root), ("ext4", "", "/above\n    a\n/gone deleted\n    g\n")]);
    assert_eq!((found.len(), gaps), (1, Vec::new()));
    assert_eq!(line(&found[0], "/data/above"), "a");
    assert_eq!(line(&found[0], "/data/below"), "-");
    assert_eq!(covered(&found[0], "/data/below"), [(String::new(), Cover::Mount)]);
    let tree = &found[0].trees()[1];
    let gone = tree.entries.iter().find(|e| e.deleted).unwrap();
    assert_eq!(found[0].deleted(gone).unwrap().path.display(), "/data/gone");
}

#[test]
fn a_mount_that_is_told_twice_is_one() {
    let root = format!(
        "{ROOT}    UUID=uuid-1 /data ext4 defaults 0 2\n/sbin/preinit mode=755\n    #!/bin/sh\n    D=/data\n    mount -t ext4 UUID=uuid-1 $D\n"
    );
    let (found, gaps) = systems(&[("ext4", "", &root), ("ext4", "", "/above\n    a\n")]);
    assert_eq!((line(&found[0], "/data/above"), gaps), ("a".into(), Vec::new()));
    assert!(covered(&found[0], "/data/above").is_empty());
}

#[test]
fn a_thousand_bind_mounts_of_the_root_end() {
    use std::fmt::Write as _;
    let mut root = ROOT.to_owned();
    for n in 0..1000 {
        let _ = writeln!(root, "    / /m{n} none bind 0 0");
    }
    for n in 0..9000 {
        let _ = write!(root, "/files/{n}\n    x\n");
    }
    let (found, gaps) = systems(&[("ext4", "", &root)]);
    assert!(found[0].entries().len() < 2_100_000);
    assert!(gaps.len() > 700 && gaps.iter().all(|g| g.contains("budget")), "{}", gaps.len());
}

#[test]
fn bind_mounts_show_a_folder_twice() {
    let root = format!(
        "{ROOT}    /opt/home /home none bind 0 0\n    /nowhere /x none bind 0 0\n/opt/home/u\n    u\n/home/below\n    b\n"
    );
    let (found, gaps) = systems(&[("ext4", "", &root)]);
    assert_eq!((line(&found[0], "/home/u"), line(&found[0], "/opt/home/u")), ("u".into(), "u".into()));
    assert_eq!(covered(&found[0], "/home/below"), [(String::new(), Cover::Mount)]);
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert!(gaps[0].contains("/nowhere") && gaps[0].contains("nothing is there"));
    assert_eq!(found[0].glob("/home/*").len(), 1);
}

#[test]
fn overlays_of_fstab_over_folders() {
    let root = format!(
        "{ROOT}    UUID=uuid-1 /data ext4 defaults 0 2
    overlay /etc overlay lowerdir=/etc,upperdir=/data/etc/upper,workdir=/data/etc/work 0 0
    overlay /var overlay lowerdir=/var,upperdir=/run/var,workdir=/run/work 0 0
    overlay /opt overlay lowerdir=/opt:/usr/share/opt,upperdir=/data/none,workdir=/data/w 0 0
    UUID=absent /srv ext4 defaults 0 2
    overlay /lib overlay x-initrd.mount,lowerdir=/sysroot/lib,upperdir=/sysroot/srv/lib,workdir=/sysroot/srv/w 0 0
/etc/a
    delivered
/etc/b
    delivered
/var/v
    v
/opt/o
    o
/usr/share/opt/p
    p
/lib/l
    l
"
    );
    let data = "/etc/upper/a\n    changed\n/etc/upper/b char=0:0\n/etc/work/work/\n";
    let (found, gaps) = systems(&[("ext4", "root", &root), ("ext4", "data", data)]);
    let system = &found[0];
    assert_eq!(
        layers(system),
        [
            "/etc upper data:/etc/upper | lower root:/etc",
            "/lib missing | lower root:/lib",
            "/opt missing | lower root:/opt, lower root:/usr/share/opt",
            "/var memory | lower root:/var"
        ]
    );
    assert_eq!((line(system, "/etc/a"), line(system, "/etc/b")), ("changed".into(), "-".into()));
    assert_eq!(
        (line(system, "/var/v"), line(system, "/opt/p"), line(system, "/lib/l")),
        ("v".into(), "p".into(), "l".into())
    );
    // Each file stands once: in its merged place; the layer's own path leads there.
    assert_eq!(system.entries().iter().filter(|e| e.path.bytes().ends_with(b"/a")).count(), 1);
    assert_eq!(covered(system, "/etc/a"), [("lower root:/etc".to_owned(), Cover::Replaced)]);
    assert_eq!(line(system, "/data/etc/upper/a"), "changed");
    assert!(system.get("/data/etc/work").is_some());
    assert_eq!(gaps.len(), 3, "{gaps:?}");
    assert!(
        gaps.iter().any(|g| g.contains("/data/none is not there"))
            && gaps.iter().any(|g| g.contains("lies on a device"))
    );
}

#[test]
fn mount_units_count_where_something_starts_them() {
    let unit = |at: &str| {
        format!(
            "    [Mount]\n    What=overlay\n    Where={at}\n    Type=overlay\n    Options=lowerdir={at},upperdir=/up{at},workdir=/w{at}\n"
        )
    };
    let root = format!(
        "{ROOT}/usr/lib/systemd/system/opt.mount\n{}/usr/lib/systemd/system/srv.mount\n{}/etc/systemd/system/local-fs.target.wants/opt.mount -> /usr/lib/systemd/system/opt.mount\n/opt/x\n    low\n/up/opt/x\n    up\n/srv/y\n    low\n/up/srv/y\n    up\n",
        unit("/opt"),
        unit("/srv")
    );
    let (found, gaps) = systems(&[("ext4", "", &root)]);
    assert_eq!((line(&found[0], "/opt/x"), line(&found[0], "/srv/y")), ("up".into(), "low".into()));
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert!(gaps[0].contains("nothing starts at boot"));
}

#[test]
fn subvolumes_are_roots_and_mounts() {
    let own = |root: &str| {
        format!(
            "    UUID=uuid-0 / btrfs subvol={root} 0 0\n    UUID=uuid-0 /home btrfs subvol=/@home 0 0\n    UUID=uuid-0 /top btrfs subvol=/ 0 0\n    UUID=uuid-0 /no btrfs subvol=@none 0 0\n"
        )
    };
    let text = format!(
        "/@/ flags=subvolume\n/@/etc/os-release\n    ID=debian\n/@/etc/fstab\n{}/@/etc/which\n    live\n/@home/ flags=subvolume\n/@home/u/f\n    home\n/snap/1/ flags=snapshot\n/snap/1/etc/os-release\n    ID=debian\n/snap/1/etc/fstab\n{}/snap/1/etc/which\n    old\n",
        own("@"),
        own("@")
    );
    let (found, gaps) = systems(&[("btrfs", "", &text)]);
    assert_eq!(found.len(), 1);
    let system = &found[0];
    assert_eq!((line(system, "/etc/which"), line(system, "/home/u/f")), ("live".into(), "home".into()));
    // The file system as a whole is mounted too: parts that have places of their own stand there.
    assert!(system.get("/top/@home/u/f").is_none() && system.get("/top/@").is_none());
    assert_eq!(line(system, "/top/@home/u/f"), "home");
    assert_eq!(line(system, "/top/snap/1/etc/which"), "old");
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert!(gaps[0].contains("subvolume /@none is not there"));
    let mount = system.info.mounts.iter().find(|m| m.at == "/home").unwrap();
    assert_eq!((mount.path.as_str(), mount.filesystem), ("/@home", Some(FsId(0))));
    // Nobody names one: the default one is the root.
    let text = "/@/ flags=subvolume\n/@/etc/os-release\n    ID=a\n/@b/ flags=subvolume,default-subvolume\n/@b/etc/os-release\n    ID=b\n";
    let (found, _) = systems(&[("btrfs", "", text)]);
    assert_eq!(found.iter().map(|s| s.info.os.id.as_str()).collect::<Vec<_>>(), ["b"]);
}

#[test]
fn the_boot_loader_names_a_subvolume() {
    let boot =
        "/grub/grub.cfg\n    menuentry 'x' {\n     linux /vmlinuz root=UUID=uuid-1 rootflags=subvol=@two\n    }\n";
    let text = "/@one/ flags=subvolume\n/@one/etc/os-release\n    ID=one\n/@two/ flags=subvolume\n/@two/etc/os-release\n    ID=two\n";
    let (found, _) = systems(&[("ext4", "", boot), ("btrfs", "", text)]);
    assert_eq!(found.iter().map(|s| s.info.os.id.as_str()).collect::<Vec<_>>(), ["two"]);
}

const OPENWRT: &str = "/etc/openwrt_release\n    DISTRIB_ID='OpenWrt'\n/etc/config/system\n    option hostname 'rom'\n/etc/a\n    rom\n/overlay/\n/etc/gone\n    g\n";

#[test]
fn openwrt_old_and_new_and_extroot() {
    let data = "/upper/etc/a\n    data\n/upper/etc/gone char=0:0\n/work/\n/.fs_state -> 2\n";
    let (found, gaps) = systems(&[("squashfs", "rootfs", OPENWRT), ("ext4", "rootfs_data", data)]);
    assert_eq!((found.len(), gaps), (1, Vec::new()));
    assert_eq!((line(&found[0], "/etc/a"), line(&found[0], "/etc/gone")), ("data".into(), "-".into()));
    assert_eq!(layers(&found[0]), ["/ upper rootfs_data:/upper | lower rootfs"]);
    assert!(found[0].get("/overlay/work").is_some() && found[0].get("/overlay/upper").is_none());
    // Before overlayfs had a work folder.
    let early = "/etc/a\n    data\n/etc/gone -> (overlay-whiteout)\n";
    let (found, gaps) = systems(&[("squashfs", "rootfs", OPENWRT), ("jffs2", "rootfs_data", early)]);
    assert_eq!((found.len(), gaps), (1, Vec::new()));
    assert_eq!((line(&found[0], "/etc/a"), line(&found[0], "/etc/gone")), ("data".into(), "-".into()));
    // A layer that was not ready, and one on a further device.
    let data = "/upper/etc/config/fstab\n    config mount\n     option target '/overlay'\n     option uuid 'uuid-2'\n/upper/etc/a\n    data\n/work/\n/.fs_state -> 1\n";
    let stick = "/upper/etc/a\n    stick\n/work/\n";
    let (found, gaps) =
        systems(&[("squashfs", "rootfs", OPENWRT), ("ext4", "rootfs_data", data), ("ext4", "stick", stick)]);
    assert_eq!(line(&found[0], "/etc/a"), "stick");
    assert!(gaps.len() == 1 && gaps[0].contains("not ready"), "{gaps:?}");
    let (found, gaps) = systems(&[("squashfs", "rootfs", OPENWRT), ("ext4", "rootfs_data", data)]);
    assert_eq!(line(&found[0], "/etc/a"), "data");
    assert!(gaps.iter().any(|g| g.contains("further device (uuid uuid-2)")), "{gaps:?}");
    // A writable root has no layers.
    let (found, gaps) = systems(&[("ext4", "rootfs", OPENWRT)]);
    assert_eq!((found[0].info.layers.len(), gaps), (0, Vec::new()));
}

#[test]
fn casper_in_layers_with_and_without_persistence() {
    let menu = |more: &str| {
        format!("/boot/grub/grub.cfg\n    menuentry 'Try' {{\n     linux /casper/vmlinuz {more} ---\n    }}\n")
    };
    let base = "/etc/os-release\n    ID=ubuntu\n/etc/hostname\n    base\n/bin/sh\n    x\n/etc/passwd\n    root:x:0:0::/:/bin/sh\n";
    let parts = |menu| {
        [
            ("iso9660", "medium", menu),
            ("squashfs", "file:/casper/minimal.squashfs", base),
            ("squashfs", "file:/casper/minimal.standard.squashfs", "/etc/hostname\n    standard\n/usr/s\n    s\n"),
            ("squashfs", "file:/casper/minimal.standard.live.squashfs", "/usr/l\n    l\n"),
            ("squashfs", "file:/casper/minimal.de.squashfs", "/usr/de\n    d\n"),
            ("ext4", "writable", "/upper/etc/hostname\n    written\n/work/\n"),
        ]
    };
    let menu_text = menu("persistent");
    let (found, gaps) = systems(&parts(&menu_text));
    assert_eq!((found.len(), gaps.len()), (1, 0), "{gaps:?}");
    assert_eq!(line(&found[0], "/etc/hostname"), "written");
    assert_eq!(
        (line(&found[0], "/usr/l"), line(&found[0], "/usr/s"), line(&found[0], "/usr/de")),
        ("l".into(), "s".into(), "-".into())
    );
    assert_eq!(found[0].info.layers[0].lowers.len(), 3);
    let told = menu("layerfs-path=minimal.standard.squashfs");
    let (found, gaps) = systems(&parts(&told)[..5]);
    assert_eq!((line(&found[0], "/etc/hostname"), line(&found[0], "/usr/l")), ("standard".into(), "-".into()));
    assert_eq!((found[0].info.layers[0].upper_state.as_str(), gaps.len()), ("memory", 0));
}

#[test]
fn overlayroot_on_a_device_and_in_memory() {
    let conf = |value: &str| {
        format!(
            "{ROOT}    UUID=uuid-2 /srv ext4 defaults 0 2\n    UUID=uuid-3 /boot vfat defaults 0 2\n/etc/overlayroot.conf\n    # comment\n    overlayroot=\"{value}\"\n/etc/a\n    root\n"
        )
    };
    let data = "/overlay/etc/a\n    written\n/overlay/srv/s\n    written\n/overlay-workdir/_/\n";
    let parts = |conf| {
        [
            ("ext4", "root", conf),
            ("ext4", "data", data),
            ("ext4", "srv", "/s\n    own\n/t\n    t\n"),
            ("vfat", "esp", "/k\n    k\n"),
        ]
    };
    let text = conf("device:dev=UUID=uuid-1,timeout=20");
    let (found, gaps) = systems(&parts(&text));
    assert_eq!((found.len(), gaps), (1, Vec::new()));
    assert_eq!(
        (line(&found[0], "/etc/a"), line(&found[0], "/srv/s"), line(&found[0], "/srv/t")),
        ("written".into(), "written".into(), "t".into())
    );
    assert_eq!(layers(&found[0]), ["/ upper data:/overlay | lower root", "/srv upper data:/overlay/srv | lower srv"]);
    assert!(found[0].info.mount_notes.len() == 1 && found[0].info.mount_notes[0].contains("/boot gets no layer"));
    let text = conf("device:dev=UUID=uuid-1,recurse=0");
    let (found, _) = systems(&parts(&text));
    assert_eq!((line(&found[0], "/etc/a"), line(&found[0], "/srv/s")), ("written".into(), "own".into()));
    let text = conf("tmpfs");
    let (found, gaps) = systems(&parts(&text));
    assert_eq!((line(&found[0], "/etc/a"), gaps), ("root".into(), Vec::new()));
    assert_eq!(layers(&found[0]), ["/ memory | lower root", "/srv memory | lower srv"]);
    let text = conf("/dev/sdz9");
    let (found, gaps) = systems(&parts(&text));
    assert_eq!(found[0].info.layers[0].upper_state, "missing");
    assert!(gaps.iter().any(|g| g.contains("/dev/sdz9")), "{gaps:?}");
    let text = conf("disabled");
    assert!(systems(&parts(&text)).0[0].info.layers.is_empty());
}

#[test]
fn the_command_line_asks_for_a_layer() {
    let boot = |line: &str| format!("/cmdline.txt\n    root=PARTUUID=part-1 {line} quiet\n");
    let run = |line: &str| {
        let text = boot(line);
        let (found, gaps) =
            systems(&[("vfat", "boot", &text), ("ext4", "root", ROOT), ("ext4", "rw", "/upperdir/etc/new\n    n\n")]);
        (layers(&found[0]), gaps.len())
    };
    assert_eq!(run("boot=overlay"), (vec!["/ memory | lower root".to_owned()], 0));
    assert_eq!(run("overlayroot=tmpfs:recurse=0"), (vec!["/ memory | lower root".to_owned()], 0));
    assert_eq!(run("rootrw=UUID=uuid-2"), (vec!["/ upper rw:/upperdir | lower root".to_owned()], 0));
    assert_eq!(run("overlayrootrwdev=LABEL=none"), (vec!["/ missing | lower root".to_owned()], 1));
    assert_eq!(run("ro"), (Vec::new(), 0));
}

#[test]
fn slots_are_named_and_the_active_one_where_something_tells() {
    let root = |v: u32| format!("/etc/os-release\n    ID=poky\n    VERSION_ID={v}\n");
    let (a, b) = (root(1), root(2));
    let slots = |boot: &str| {
        let parts = [("vfat", "boot", boot), ("ext4", "system_a", a.as_str()), ("ext4", "system_b", b.as_str())];
        systems(&parts).0.iter().map(|s| (s.info.slot.name.clone(), s.info.slot.active)).collect::<Vec<_>>()
    };
    let told = |a, b| vec![("A".to_owned(), a), ("B".to_owned(), b)];
    assert_eq!(slots("/x\n    y\n"), told(None, None));
    assert_eq!(slots("/cmdline.txt\n    root=PARTLABEL=system_b ro\n"), told(Some(false), Some(true)));
    assert_eq!(slots("/grubenv\n    ORDER=A B\n    A_OK=1\n    A_TRY=0\n"), told(Some(true), Some(false)));
    assert_eq!(
        slots("/uboot.env\n    BOOT_ORDER=A B\n    BOOT_A_LEFT=0\n    BOOT_B_LEFT=3\n"),
        told(Some(false), Some(true))
    );
    assert_eq!(slots("/uboot.env\n    mender_boot_part=3\n"), told(Some(false), Some(true)));
}
