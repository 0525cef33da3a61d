//! Tables, managers, encryptions and containers.
use super::run::Subject;
use crate::kit::layouts::{containers, flash, tables};
use crate::kit::{Change, Disk, Layout, Look};
use crate::look::{Image, pattern, run, tool, tools};
use std::io::Read;
use std::path::Path;

const fn container(name: &'static str, layout: &'static Layout, make: fn() -> Option<Disk>) -> Subject {
    Subject { name, layout, look: Look::Container(name), make, is_whole: never, slow: 1 }
}

pub(super) const SUBJECTS: &[Subject] = &[
    Subject { name: "gpt", layout: &tables::GPT, look: Look::Table("gpt"), make: gpt, is_whole: never, slow: 1 },
    Subject { name: "mbr", layout: &tables::MBR, look: Look::Table("mbr"), make: mbr, is_whole: chained, slow: 1 },
    Subject { name: "lvm2", layout: &tables::LVM, look: Look::Manager("lvm2", 3), make: lvm, is_whole: never, slow: 1 },
    Subject {
        name: "luks",
        layout: &tables::LUKS,
        look: Look::Locked("luks", KEY),
        make: luks,
        is_whole: never,
        slow: 15,
    },
    Subject { name: "ubi", layout: &flash::UBI, look: Look::Manager("ubi", 1), make: ubi, is_whole: shorter, slow: 1 },
    container("E01", &containers::E01, ewf),
    container("VHDX", &containers::VHDX, || converted("vhdx", &[])),
    container("VHD", &containers::VHD, || converted("vpc", &["-o", "force_size=on"])),
    Subject { is_whole: unwritten, ..container("QCOW2", &containers::QCOW2, || converted("qcow2", &[])) },
    container("VMDK", &containers::SECTORS, || converted("vmdk", &[])),
    container("VDI", &containers::SECTORS, || converted("vdi", &[])),
];

/// Of the disks in `tests/data/volumes/luks`.
const KEY: &[u8] = b"crane secret";

fn never(_: &Change, _: &str) -> bool {
    false
}

/// What is not flashed yet ends with the last erase block in use: a dump that was cut at the border of one is such an
/// image, and nothing in it says how many there were.
fn shorter(change: &Change, how: &str) -> bool {
    change.how == "image cut" && how == "content"
}
/// Tables of logical partitions are a chain: one that lies over another of the chain, or was swapped with it, makes a
/// shorter chain that is as whole.
fn chained(change: &Change, _: &str) -> bool {
    matches!(change.how, "swapped with another" | "another in its place")
}
/// An entry of such a value says that nothing was written there, or that it is elsewhere in the file: these tables have
/// no checksum.
fn unwritten(change: &Change, _: &str) -> bool {
    let is_table = matches!(change.kind, "first table" | "second table" | "block table" | "sector");
    is_table && matches!(change.how, "erased" | "end erased" | "border value" | "pointer to nothing" | "noise")
}

/// Sixteen partitions need several lines.
fn partitioned(label: &str, kind: &str) -> Option<Disk> {
    if !tools(&["sfdisk"]) {
        return None;
    }
    let image = Image::empty(24);
    let mut script = format!("label: {label}\n{kind}");
    if label == "dos" {
        script += "start=2048, size=4096, type=83\nstart=8192, size=36864, type=5\n";
        script += "start=10240, size=2048, type=83\nstart=14336, size=4096, type=82\nstart=20480, size=2048, type=83\n";
    } else {
        for n in 0..6 {
            script += &format!("start={}, size=4096, name=part{n}\n", 2048 + n * 6144);
        }
    }
    let path = image.folder().join("script");
    std::fs::write(&path, script).unwrap();
    run(tool("sfdisk").arg("-q").arg(image.path()).stdin(std::fs::File::open(path).unwrap()));
    let mut disk = Disk::of(&image.bytes());
    for n in 0..20 {
        disk.put((1 << 20) * (n + 1), &pattern(n, 300));
    }
    Some(disk)
}
fn gpt() -> Option<Disk> {
    partitioned("gpt", "")
}
fn mbr() -> Option<Disk> {
    partitioned("dos", "")
}
/// A disk of `tests/data/volumes`.
fn packed(name: &str) -> Disk {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/volumes").join(name);
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).unwrap();
    ruzstd::decoding::StreamingDecoder::new(file).unwrap().read_to_end(&mut bytes).unwrap();
    Disk::of(&bytes)
}
fn lvm() -> Option<Disk> {
    // All members, one behind another.
    let members = ["lvm/pv1.img.zst", "lvm/pv2.img.zst", "lvm/pv3.img.zst"].map(packed);
    let size = members.iter().map(Disk::size).max()?;
    let mut all = Disk::empty(size * 3);
    for (n, member) in (0..).zip(&members) {
        for at in member.used(4096) {
            all.put(n * size + at, &member.get(at, 4096));
        }
    }
    Some(all)
}
#[expect(clippy::unnecessary_wraps, reason = "one of many makers; others need tools that may be missing")]
fn luks() -> Option<Disk> {
    Some(packed("luks/luks2-4k.img.zst"))
}
fn ubi() -> Option<Disk> {
    if !tools(&["ubinize"]) {
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let script = "printf '[a]\\nmode=ubi\\nvol_id=0\\nvol_type=static\\nvol_name=a\\nimage=a\\n\
                  [b]\\nmode=ubi\\nvol_id=1\\nvol_type=dynamic\\nvol_name=b\\nvol_size=256KiB\\nimage=b\\n' >ini && \
                  ubinize -p 32KiB -m 512 -o made ini";
    std::fs::write(folder.path().join("a"), pattern(3, 90_000)).unwrap();
    std::fs::write(folder.path().join("b"), pattern(4, 70_000)).unwrap();
    run(tool("sh").args(["-c", script]).current_dir(folder.path()));
    Some(Disk::of(&std::fs::read(folder.path().join("made")).unwrap()))
}

/// A disk with bytes here and there.
fn plain() -> Image {
    let (count, len) =
        if super::systems::SMALL.load(std::sync::atomic::Ordering::Relaxed) { (3, 600) } else { (24, 9000) };
    let mut bytes = vec![0; count << 17];
    for n in 0..count {
        let at = n << 17;
        bytes[at..at + len].copy_from_slice(&pattern(n as u64, len));
    }
    Image::from_bytes(&bytes)
}
fn converted(format: &str, options: &[&str]) -> Option<Disk> {
    if !tools(&["qemu-img"]) {
        return None;
    }
    let image = plain();
    let out = image.folder().join("out");
    let mut command = tool("qemu-img");
    run(command.args(["convert", "-f", "raw", "-O", format]).args(options).arg(image.path()).arg(&out));
    Some(Disk::of(&std::fs::read(out).unwrap()))
}
fn ewf() -> Option<Disk> {
    if !tools(&["ewfacquire"]) {
        return None;
    }
    let image = plain();
    let out = image.folder().join("out");
    let mut command = tool("ewfacquire");
    command.args(["-u", "-q", "-c", "fast", "-b", "16", "-t"]).arg(&out).args(["-C", "7", "-D", "crane", "-e", "A"]);
    run(command.args(["-E", "3", "-N", "notes"]).arg(image.path()));
    Some(Disk::of(&std::fs::read(out.with_extension("E01")).unwrap()))
}
