//! A file of over 4 GiB in those formats whose tools write every byte of it: minutes of writing and 14 GB of scratch space,
//! so only with `CRANESCOPE_LONG=1`. The other formats have theirs in `files`.
use super::content::fill_big;
use crate::look::{Image, tools};
use std::process::Command;

/// The member, what it needs, the image's MiB, and how it is made of the folder `root`, with `image` as what it makes.
const BIG: &[(&str, &[&str], u64, &str)] = &[
    (
        "exfat",
        &["mkfs.exfat", "mount.exfat-fuse", "mount"],
        7168,
        "mkfs.exfat image >&2 && mkdir at && mount -t exfat-fuse -o rw,loop image at && \
         { cp --sparse=always root/* at/; made=$?; timeout 60 umount at || umount -l at; exit $made; }",
    ),
    ("f2fs", &["mkfs.f2fs", "sload.f2fs"], 7168, "mkfs.f2fs -q -f image >&2 && sload.f2fs -P -f root image >&2"),
    ("ubifs", &["mkfs.ubifs"], 0, "mkfs.ubifs -r root -m 2048 -e 126976 -c 8000 -o image"),
    (
        "iso9660",
        &["xorriso"],
        0,
        "rm image && xorriso -abort_on FAILURE -outdev image -compliance iso_9660_level=3 -map root / >&2",
    ),
    // Packed, zeros would be more than a thousand times their bytes, which a budget cuts.
    ("zip", &["zip"], 0, "cd root && zip -0 -q ../made.zip * && mv ../made.zip ../image"),
];

#[test]
fn files_over_4_gib_come_back_from_formats_that_write_them_out() {
    if std::env::var_os("CRANESCOPE_LONG").is_none() || !rustix::process::geteuid().is_root() {
        eprintln!("skipped: takes minutes and 14 GB; with CRANESCOPE_LONG=1, as root");
        return;
    }
    for (name, _, mib, script) in BIG.iter().filter(|b| tools(b.1)) {
        let image = Image::empty(*mib);
        let root = image.folder().join("root");
        std::fs::create_dir(&root).unwrap();
        fill_big(&root);
        let mut command = Command::new("timeout");
        command.args(["-k", "5", "900", "sh", "-c", script]).current_dir(image.folder());
        crate::look::run(&mut command);
        let look = image.look(name);
        let start = std::time::Instant::now();
        super::big(&look, format!("/{}", super::BIG_NAME).as_bytes());
        let gaps = look.gaps();
        assert!(gaps.is_empty(), "{name}: {gaps:#?}");
        eprintln!("{name}: equal, {:?}", start.elapsed());
    }
}
