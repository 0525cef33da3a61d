//! Subvolumes of Btrfs as roots and mounts, on a file system that the kernel made.
use super::kernel::{Mounted, done, timed};
use super::layouts::{at, examined, gaps, text};
use crate::common::have;
use std::path::Path;

const UUID: &str = "6a1ee7a0-7b1c-4f8e-9f43-0d1c5c8f1f77";

/// A file system with a root, homes and a snapshot of the root as subvolumes; `None` where one cannot mount here.
fn make(folder: &Path, default: bool) -> Option<()> {
    let image = folder.join("disk.img");
    std::fs::File::create(&image).unwrap().set_len(160 << 20).unwrap();
    assert!(done(timed("mkfs.btrfs").args(["-q", "-U", UUID]).arg(&image)));
    let disk = Mounted::new(&folder.join("mnt"), &["-o", "loop", image.to_str().unwrap()])?;
    let root = if default { "btrfs subvolume set-default @" } else { "" };
    let options = if default { "defaults" } else { "rw,subvol=/@" };
    let script = format!(
        "btrfs -q subvolume create @; btrfs -q subvolume create @home; mkdir snap
mkdir -p @/etc @/home @/bin @home/u; printf 'ID=debian\\n' > @/etc/os-release; echo live > @/etc/hostname
id=$(btrfs inspect-internal rootid @home)
printf 'UUID={UUID} / btrfs {options} 0 0\\nUUID={UUID} /home btrfs subvolid=%s 0 0\\n' $id > @/etc/fstab
echo home > @home/u/f; echo below > @/home/below
btrfs -q subvolume snapshot -r @ snap/1
echo changed > @/etc/hostname; {root}"
    );
    assert!(done(timed("sh").args(["-eu", "-c", &script]).current_dir(&disk.0)));
    Some(())
}

#[test]
fn a_root_in_a_subvolume_is_one_system() {
    if std::fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) != 0) {
        eprintln!("skipped: only root can mount");
        return;
    }
    if !have("mkfs.btrfs") || !have("btrfs") {
        return;
    }
    for default in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        if make(folder.path(), default).is_none() {
            eprintln!("skipped: this machine does not mount Btrfs");
            return;
        }
        let report = examined(folder.path(), "disk.img");
        let systems = report["systems"].as_array().unwrap();
        assert_eq!(systems.len(), 1, "{systems:?}");
        assert_eq!(systems[0]["hostname"], "changed");
        let mounts: Vec<(&str, &str)> =
            systems[0]["mounts"].as_array().unwrap().iter().map(|m| (text(&m["at"]), text(&m["path"]))).collect();
        assert_eq!(mounts, [("/", "/@"), ("/home", "/@home")]);
        assert_eq!(at(&report, "/home/u/f"), [("", "", "")]);
        assert_eq!(at(&report, "/home/below"), [("", "mount", "")]);
        // The snapshot is no system: its files stand at their place in the file system.
        let files = report["inventory"]["files"].as_array().unwrap();
        let old: Vec<_> = files.iter().filter(|f| f["path"] == "/snap/1/etc/hostname").collect();
        assert!(old.len() == 1 && old[0]["system"].is_null(), "{old:?}");
        assert!(!files.iter().any(|f| text(&f["path"]).starts_with("/@/")), "the root stands at the root only");
        assert_eq!(gaps(&report), Vec::<String>::new());
    }
}
