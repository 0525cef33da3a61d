//! What boot loaders load, as U-Boot's own tools make it; and flash dumps cut by the layout that they name themselves.
use crate::common::{report, run as cranescope};
use crate::look::{Look, exercise, pattern, run, tool, tools};
use cranescope::image::Source;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;

fn look(bytes: &[u8], format: &str) -> Look {
    let source: Source = Arc::new(bytes.to_vec());
    assert!((crate::look::format(format).probe)(&source), "{format}");
    assert_eq!((crate::look::format(format).size)(&source), Some(bytes.len() as u64), "{format}");
    Look::at(&source, format).unwrap()
}
pub(super) fn made(folder: &Path, program: &str, arguments: &[&str]) -> Vec<u8> {
    let out = folder.join("made");
    let _ = std::fs::remove_file(&out);
    run(tool(program).current_dir(folder).args(arguments));
    std::fs::read(&out).unwrap()
}
/// Every border cut off: no panic, no silence.
fn cut(bytes: &[u8], format: &str) {
    for len in (0..bytes.len().min(400)).chain((400..bytes.len()).step_by(997)) {
        exercise(&(Arc::new(bytes[..len].to_vec()) as Source), format);
    }
}

const ENVIRONMENT: &str = "bootcmd=nand read 0x80000 kernel; bootm\nbootargs=console=ttyS0 root=/dev/mtdblock3 \
    mtdparts=spi0.0:256k(u-boot)ro,64k(env),448k(kernel),-(rootfs)\nserverip=192.0.2.7\n";

#[test]
fn environments_of_both_kinds_and_orders() {
    if !tools(&["mkenvimage"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("env.txt"), ENVIRONMENT).unwrap();
    for (size, options, flag) in [("0x4000", &[][..], false), ("0x20000", &["-b"], false), ("0x1000", &["-r"], true)] {
        let bytes = made(folder.path(), "mkenvimage", &[&["-s", size, "-o", "made"], options, &["env.txt"]].concat());
        let look = look(&bytes, "u-boot-env");
        assert_eq!(String::from_utf8(look.read("/uboot.env")).unwrap(), ENVIRONMENT);
        let features = &look.fs().info().features;
        assert!(features.iter().any(|f| f == "bootcmd=nand read 0x80000 kernel; bootm"), "{features:?}");
        assert_eq!(features.iter().any(|f| f.starts_with("flag-")), flag, "{features:?}");
        assert!(look.gaps().is_empty());
        let mut wrong = bytes.clone();
        wrong[100] ^= 1;
        let source: Source = Arc::new(wrong);
        assert!(!(crate::look::format("u-boot-env").probe)(&source));
        cut(&bytes, "u-boot-env");
    }
}

#[test]
fn legacy_images_give_their_parts() {
    if !tools(&["mkimage"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (kernel, ramdisk) = (pattern(1, 70_003), pattern(2, 5001));
    std::fs::write(folder.path().join("kernel"), &kernel).unwrap();
    std::fs::write(folder.path().join("ramdisk"), &ramdisk).unwrap();
    let common = ["-A", "arm", "-O", "linux", "-C", "none", "-a", "0x8000", "-e", "0x8000", "-n", "crane kernel"];
    let one = made(folder.path(), "mkimage", &[&common[..], &["-T", "kernel", "-d", "kernel", "made"]].concat());
    let found = look(&one, "uimage");
    assert_eq!(found.read("/kernel"), kernel);
    assert_eq!(found.fs().info().label, "crane kernel");
    assert!(found.fs().info().created.is_some() && found.gaps().is_empty());
    let mut wrong = one.clone();
    wrong[5000] ^= 1;
    let gaps = look(&wrong, "uimage").gaps();
    assert!(gaps.len() == 1 && gaps[0].what.contains("do not fit their checksum"), "{gaps:?}");
    cut(&one, "uimage");
    let two = made(folder.path(), "mkimage", &[&common[..], &["-T", "multi", "-d", "kernel:ramdisk", "made"]].concat());
    let found = look(&two, "uimage");
    assert_eq!((found.read("/multi-1"), found.read("/multi-2")), (kernel, ramdisk));
    cut(&two, "uimage");
}

#[test]
fn fit_images_are_checked_and_device_trees_name_the_device() {
    if !tools(&["mkimage", "dtc"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let kernel = pattern(3, 30_000);
    std::fs::write(folder.path().join("kernel"), &kernel).unwrap();
    std::fs::write(
        folder.path().join("a.its"),
        "/dts-v1/; / { description = \"crane gateway\"; images { kernel-1 { description = \"k\"; data = /incbin/(\"kernel\"); \
         type = \"kernel\"; arch = \"arm\"; os = \"linux\"; compression = \"none\"; load = <0x8000>; entry = <0x8000>; \
         hash-1 { algo = \"sha256\"; }; hash-2 { algo = \"crc32\"; }; hash-3 { algo = \"sha1\"; }; }; }; \
         configurations { default = \"conf-1\"; conf-1 { kernel = \"kernel-1\"; }; }; };",
    )
    .unwrap();
    for options in [&["-f", "a.its", "made"][..], &["-E", "-f", "a.its", "made"]] {
        let bytes = made(folder.path(), "mkimage", options);
        let found = look(&bytes, "fit");
        assert_eq!(found.read("/kernel-1"), kernel, "{options:?}");
        let info = found.fs().info();
        assert_eq!((info.kind.as_str(), info.label.as_str()), ("fit", "crane gateway"));
        assert!(info.features.contains(&"kernel-1: kernel arm linux none".to_owned()), "{:?}", info.features);
        let gaps = found.gaps();
        assert!(gaps.is_empty(), "{gaps:?}");
        let at = bytes.windows(64).position(|w| w == &kernel[100..164]).unwrap();
        let mut wrong = bytes.clone();
        wrong[at] ^= 1;
        let gaps = look(&wrong, "fit").gaps();
        assert_eq!(gaps.iter().filter(|g| g.what.contains("stored is")).count(), 3, "{gaps:?}");
        cut(&bytes, "fit");
    }
    // Several configurations: every image, and what is loaded with what.
    let image = |name: &str, kind: &str, file: &str| {
        format!(
            "{name} {{ description = \"x\"; data = /incbin/(\"{file}\"); type = \"{kind}\"; arch = \"arm\"; \
             os = \"linux\"; compression = \"none\"; load = <0>; entry = <0>; hash-1 {{ algo = \"crc32\"; }}; }};"
        )
    };
    std::fs::write(folder.path().join("other"), pattern(4, 5000)).unwrap();
    let images = [
        image("k-a", "kernel", "kernel"),
        image("k-b", "kernel", "other"),
        image("fdt-1", "flat_dt", "other"),
        image("rd", "ramdisk", "other"),
    ];
    let text = format!(
        "/dts-v1/; / {{ description = \"two\"; images {{ {} }}; configurations {{ default = \"b\"; \
         a {{ kernel = \"k-a\"; }}; b {{ kernel = \"k-b\"; fdt = \"fdt-1\"; ramdisk = \"rd\"; \
         loadables = \"k-a\", \"rd\"; }}; }}; }};",
        images.join(" ")
    );
    std::fs::write(folder.path().join("two.its"), text).unwrap();
    let bytes = made(folder.path(), "mkimage", &["-f", "two.its", "made"]);
    let found = look(&bytes, "fit");
    let told: Vec<&String> =
        found.fs().info().features.iter().filter(|f| f.contains("onfiguration") || f.contains("default")).collect();
    assert_eq!(
        told,
        [
            "configuration a: kernel=k-a",
            "configuration b: kernel=k-b fdt=fdt-1 ramdisk=rd loadables=k-a+rd",
            "default=b"
        ]
    );
    assert_eq!((found.read("/k-a"), found.read("/k-b")), (kernel.clone(), pattern(4, 5000)));
    for name in ["/fdt-1", "/rd"] {
        assert_eq!(found.read(name), pattern(4, 5000), "{name}");
    }
    std::fs::write(
        folder.path().join("board.dts"),
        "/dts-v1/; / { model = \"Crane Gateway 7\"; compatible = \"crane,gw7\", \"vendor,soc\"; };",
    )
    .unwrap();
    let bytes = made(folder.path(), "dtc", &["-I", "dts", "-O", "dtb", "-o", "made", "board.dts"]);
    let found = look(&bytes, "fit");
    let info = found.fs().info();
    assert_eq!((info.kind.as_str(), info.label.as_str()), ("device-tree", "Crane Gateway 7"));
    assert_eq!(info.features, ["compatible=crane,gw7", "compatible=vendor,soc"]);
    assert_eq!(found.read("/device-tree.dtb"), bytes);
    cut(&bytes, "fit");
}

#[test]
fn trx_and_android_images_give_their_parts() {
    let (loader, kernel, root) = (pattern(1, 2000), pattern(2, 9000), pattern(3, 5000));
    let mut trx = b"HDR0".to_vec();
    let starts = [28_usize, 28 + 2000, 28 + 11_000];
    for n in [16_028_usize, 0, 0x1_0000].iter().chain(&starts) {
        trx.extend(u32::try_from(*n).unwrap().to_le_bytes());
    }
    trx.extend([loader.as_slice(), &kernel, &root].concat());
    let sum = !crc32fast::hash(&trx[12..]);
    trx[8..12].copy_from_slice(&sum.to_le_bytes());
    let found = look(&trx, "trx");
    assert_eq!((found.read("/partition-2"), found.read("/partition-3")), (kernel.clone(), root.clone()));
    assert!(found.gaps().is_empty());
    trx[9000] ^= 1;
    assert_eq!(look(&trx, "trx").gaps().len(), 1);
    cut(&trx, "trx");

    let mut android = b"ANDROID!".to_vec();
    for n in [9000_u32, 0x8000, 5000, 0x9000, 0, 0, 0, 2048, 0, 0] {
        android.extend(n.to_le_bytes());
    }
    android.extend(b"crane\0");
    android.resize(64, 0);
    android.extend(b"console=ttyS0 root=/dev/mmcblk0p2\0");
    for part in [&kernel, &root] {
        android.resize(android.len().next_multiple_of(2048), 0);
        android.extend(part);
    }
    android.resize(android.len().next_multiple_of(2048), 0);
    let found = look(&android, "android-boot");
    assert_eq!((found.read("/kernel"), found.read("/ramdisk")), (kernel, root));
    let info = found.fs().info();
    assert!(info.label == "crane" && info.features.iter().any(|f| f == "cmdline=console=ttyS0 root=/dev/mmcblk0p2"));
    cut(&android, "android-boot");
}

fn examined(at: &Path, more: &[&str]) -> Value {
    examined_as(at, "flash.bin", more)
}
pub(super) fn examined_as(at: &Path, image: &str, more: &[&str]) -> Value {
    let all = [&["examine", image, "--json", "r.json", "--overwrite", "--as-of", "2026-01-01"], more].concat();
    let (code, _, err) = cranescope(at, &all);
    assert_eq!(code, 0, "{err}");
    report(&at.join("r.json"))
}
fn labels(report: &Value, scheme: &str) -> Vec<(String, u64, u64, String)> {
    let all = report["volumes"].as_array().unwrap().iter().filter(|v| v["scheme"] == scheme);
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    all.map(|v| (text(&v["label"]), v["offset"].as_u64().unwrap(), v["size"].as_u64().unwrap(), text(&v["state"])))
        .collect()
}

/// A dump of 4 MiB: boot loader, environment, kernel, root.
pub(super) fn dump(folder: &Path) -> Vec<u8> {
    std::fs::write(folder.join("env.txt"), ENVIRONMENT).unwrap();
    std::fs::write(folder.join("kernel"), pattern(5, 200_000)).unwrap();
    std::fs::create_dir_all(folder.join("root/etc")).unwrap();
    std::fs::write(folder.join("root/etc/hostname"), "gateway-7\n").unwrap();
    let env = made(folder, "mkenvimage", &["-s", "0x10000", "-o", "made", "env.txt"]);
    let kernel =
        made(folder, "mkimage", &["-A", "mips", "-T", "kernel", "-C", "none", "-n", "k", "-d", "kernel", "made"]);
    run(tool("mkfs.jffs2").current_dir(folder).args(["-r", "root", "-e", "64KiB", "-l", "-o", "made"]));
    let root = std::fs::read(folder.join("made")).unwrap();
    let mut flash = b"U-Boot 2016.01 loader ".repeat(8000);
    for (at, part) in [(256 << 10, env), (320 << 10, kernel), (768 << 10, root)] {
        flash.resize(at, 0xff);
        flash.extend(part);
    }
    flash.resize(4 << 20, 0xff);
    flash
}

#[test]
fn a_dump_is_cut_by_the_layout_that_its_environment_names() {
    if !tools(&["mkenvimage", "mkimage", "mkfs.jffs2"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let flash = dump(folder.path());
    std::fs::write(folder.path().join("flash.bin"), &flash).unwrap();
    let report = examined(folder.path(), &[]);
    let names: Vec<_> = labels(&report, "mtdparts").into_iter().map(|(name, at, len, _)| (name, at, len)).collect();
    let expected = [("u-boot", 0, 256), ("env", 256, 64), ("kernel", 320, 448), ("rootfs", 768, 3328)];
    assert_eq!(names, expected.map(|(n, at, len)| (n.to_owned(), at << 10, len << 10)));
    let kinds: Vec<_> = report["filesystems"].as_array().unwrap().iter().map(|f| f["type"].as_str().unwrap()).collect();
    assert!(["u-boot-env", "uimage", "jffs2"].iter().all(|k| kinds.contains(k)), "{kinds:?}");
    let files = report["inventory"]["files"].as_array().unwrap();
    let row = files.iter().find(|f| f["path"] == "/etc/hostname").unwrap();
    assert_eq!(row["size"], 10);
    let erased = report["images"][0]["bytes"]["erased"].as_u64().unwrap();
    assert!((100_000..3 << 20).contains(&erased), "{erased}");
}

#[test]
fn a_dump_with_spare_areas_is_taken_apart() {
    if !tools(&["mkenvimage", "mkimage", "mkfs.jffs2"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let flash = dump(folder.path());
    let spare: Vec<u8> = pattern(9, 64);
    let raw: Vec<u8> = flash.chunks(2048).flat_map(|page| [page, &spare].concat()).collect();
    std::fs::write(folder.path().join("flash.bin"), &raw).unwrap();
    let report = examined(folder.path(), &["--nand", "2048+64"]);
    let details = report["images"][0]["details"].to_string();
    assert!(details.contains("2048+64 (given by the examiner)"), "{details}");
    let files = report["inventory"]["files"].as_array().unwrap();
    let row = files.iter().find(|f| f["path"] == "/etc/hostname").unwrap();
    // The name is stored as it is: its bytes stand in the dump where the report says.
    let runs = row["evidence"]["image_runs"].as_array().unwrap();
    assert_eq!(runs.len(), 1, "{runs:?}");
    let at = usize::try_from(runs[0]["offset"].as_u64().unwrap()).unwrap();
    assert_eq!((runs[0]["kind"].as_str(), &raw[at..at + 9]), (Some("stored"), &b"gateway-7"[..]));
    let gaps = report["gaps"].to_string();
    assert!(gaps.contains("bit errors are not put right"), "{gaps}");
    // In a case that was begun without the shape the examination does not go on.
    let (code, _, err) = cranescope(folder.path(), &["examine", "flash.bin"]);
    assert!(code == 2 && err.contains("--nand (2048+64 then, not given now)"), "{code} {err}");
    let (code, _, err) = cranescope(folder.path(), &["ls", "flash.bin", "--nand", "2048"]);
    assert!(code == 2 && err.contains("PAGE+SPARE"), "{err}");
}
