//! Discs that are disks as well, and what firmware starts from them, through the program itself.
use crate::common::{report, run as program};
use crate::look::{pattern, run, tool, tools};
use std::path::Path;

/// A FAT image with one file.
fn efi(at: &Path, folder: &Path) {
    std::fs::File::create(at).unwrap().set_len(2 << 20).unwrap();
    run(tool("mkfs.vfat").args(["-n", "EFIBOOT"]).arg(at));
    let file = folder.join("loader");
    std::fs::write(&file, b"the loader").unwrap();
    run(tool("mcopy").arg("-i").arg(at).arg(file).arg("::LOADER.TXT"));
}

/// Paths of all files with the scheme of their volume, sorted; and the gaps' words.
fn examined(folder: &Path, image: &Path) -> (Vec<(String, String)>, Vec<String>) {
    let image = image.to_str().unwrap();
    let arguments = ["examine", image, "--case", "x.cranecase", "--overwrite", "--json", "r.json", "--quiet"];
    let (code, _, err) = program(folder, &arguments);
    assert_eq!(code, 0, "{err}");
    let json = report(&folder.join("r.json"));
    let gaps = json["gaps"].as_array().unwrap().iter().map(|g| g["what"].as_str().unwrap().to_owned()).collect();
    let volumes = json["volumes"].as_array().unwrap();
    let mut found = Vec::new();
    for fs in json["filesystems"].as_array().unwrap() {
        let volume = volumes.iter().find(|v| v["id"] == fs["volume"]).unwrap();
        let text = |v: &serde_json::Value| v.as_str().unwrap_or_default().to_owned();
        found.push((text(&volume["scheme"]), format!("{} {}", text(&fs["type"]), text(&fs["label"]))));
    }
    found.sort();
    (found, gaps)
}

#[test]
fn a_hybrid_image_shows_its_tree_and_its_partition() {
    if !tools(&["xorriso", "mkfs.vfat", "mcopy"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (root, boot) = (folder.path().join("root"), folder.path().join("efi.img"));
    std::fs::create_dir_all(root.join("live")).unwrap();
    std::fs::write(root.join("live/file"), pattern(1, 30_000)).unwrap();
    std::fs::write(root.join("bios.bin"), pattern(2, 2048)).unwrap();
    efi(&boot, folder.path());
    std::fs::copy(&boot, root.join("efi.img")).unwrap();
    let make = |name: &str, options: &[&str]| {
        let image = folder.path().join(name);
        let mut command = tool("xorriso");
        command.args(["-as", "mkisofs", "-r", "-J", "-V", "LIVE", "-o"]).arg(&image);
        command.args(["-b", "bios.bin", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table"]);
        run(command.args(options).arg(&root));
        image
    };
    let appended = boot.to_str().unwrap();
    let of = |scheme: &str| (scheme.to_owned(), "vfat EFIBOOT".to_owned());
    let disc = ("none".to_owned(), "iso9660 LIVE".to_owned());
    // The tree of the whole; the EFI image as a partition; the same bytes as the file that the catalog names.
    let gpt: &[&str] = &["-eltorito-alt-boot", "-e", "efi.img", "-no-emul-boot", "-isohybrid-gpt-basdat"];
    for (name, options, scheme) in [
        ("mbr.iso", &["-append_partition", "2", "0xef", appended, "-partition_offset", "16"] as &[&str], "mbr"),
        ("gpt.iso", &["-appended_part_as_gpt", "-append_partition", "2", "0xef", appended], "gpt"),
        ("plain.iso", gpt, "gpt"),
    ] {
        let image = make(name, options);
        let (found, gaps) = examined(folder.path(), &image);
        let partition = name != "plain.iso";
        assert!(found.contains(&disc), "{name}: {found:?}");
        assert_eq!(found.iter().filter(|f| f.1 == disc.1).count(), 1, "{name}: {found:?}");
        assert!(found.contains(&of("file")), "{name}: {found:?}");
        assert!(!partition || found.contains(&of(scheme)), "{name}: {found:?} {gaps:?}");
        let (code, out, err) = program(folder.path(), &["ls", image.to_str().unwrap(), "/live"]);
        assert!(code == 0 && out.contains("file"), "{name}: {out}{err}");
    }
}

#[test]
fn boot_images_outside_the_tree_are_opened() {
    if !tools(&["xorriso", "mkfs.vfat", "mcopy"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (root, boot) = (folder.path().join("root"), folder.path().join("efi.img"));
    std::fs::create_dir_all(&root).unwrap();
    std::fs::write(root.join("file"), b"x").unwrap();
    efi(&boot, folder.path());
    let image = folder.path().join("disc.iso");
    let mut command = tool("xorriso");
    command.args(["-as", "mkisofs", "-r", "-V", "DISC", "-o"]).arg(&image);
    command.args(["-append_partition", "2", "0xef"]).arg(&boot);
    run(command.args(["-e", "--interval:appended_partition_2:all::", "-no-emul-boot"]).arg(&root));
    // Without the table in front of it, only the catalog leads there.
    let mut bytes = std::fs::read(&image).unwrap();
    bytes[..2048].fill(0);
    std::fs::write(&image, &bytes).unwrap();
    let (found, gaps) = examined(folder.path(), &image);
    assert!(found.contains(&("file".to_owned(), "vfat EFIBOOT".to_owned())), "{found:?} {gaps:?}");
    let (code, out, _) = program(folder.path(), &["ls", image.to_str().unwrap(), "/[BOOT]"]);
    assert!(code == 0 && out.contains("efi-no-emulation.img"), "{out}");
}
