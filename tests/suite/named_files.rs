//! An image that names other files of the examiner's computer: the reference is told, the file is never opened.
#![cfg(target_os = "linux")]
use crate::common::{ext4, have, plant};
use std::path::{Path, PathBuf};
use std::process::Command;

const SECRET: &str = "this is the examiner's own secret, on the examiner's own disk";

fn be<const N: usize>(to: &mut [u8], at: usize, value: [u8; N]) {
    to[at..at + N].copy_from_slice(&value);
}

/// A QCOW2 disk of 1 MiB that names a backing file.
fn qcow2(backing: &str) -> Vec<u8> {
    let mut image = vec![0; 4 << 16];
    be(&mut image, 0, *b"QFI\xfb");
    be(&mut image, 4, 2_u32.to_be_bytes());
    be(&mut image, 8, 512_u64.to_be_bytes());
    be(&mut image, 16, u32::try_from(backing.len()).unwrap().to_be_bytes());
    be(&mut image, 20, 16_u32.to_be_bytes());
    be(&mut image, 24, (1_u64 << 20).to_be_bytes());
    be(&mut image, 36, 1_u32.to_be_bytes());
    be(&mut image, 40, (1_u64 << 16).to_be_bytes());
    be(&mut image, 48, (2_u64 << 16).to_be_bytes());
    be(&mut image, 56, 1_u32.to_be_bytes());
    image[512..512 + backing.len()].copy_from_slice(backing.as_bytes());
    image
}

fn vmdk(extent: &str) -> Vec<u8> {
    format!(
        "# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\ncreateType=\"monolithicFlat\"\n\n\
         RW 2048 FLAT \"{extent}\" 0\n\nddb.virtualHWVersion = \"4\"\n"
    )
    .into_bytes()
}

/// A differencing VHD of 2 MiB whose parent is named in its header.
fn vhd(parent: &str) -> Vec<u8> {
    let mut image = vec![0; 4096];
    let mut footer = [0; 512];
    be(&mut footer, 0, *b"conectix");
    be(&mut footer, 8, 2_u32.to_be_bytes());
    be(&mut footer, 12, 0x1_0000_u32.to_be_bytes());
    be(&mut footer, 16, 512_u64.to_be_bytes());
    be(&mut footer, 40, (2_u64 << 20).to_be_bytes());
    be(&mut footer, 48, (2_u64 << 20).to_be_bytes());
    be(&mut footer, 60, 4_u32.to_be_bytes());
    let sum = |bytes: &[u8]| (!bytes.iter().fold(0_u32, |s, b| s.wrapping_add(u32::from(*b)))).to_be_bytes();
    let checksum = sum(&footer);
    be(&mut footer, 64, checksum);
    let mut header = [0; 1024];
    be(&mut header, 0, *b"cxsparse");
    be(&mut header, 8, u64::MAX.to_be_bytes());
    be(&mut header, 16, 1536_u64.to_be_bytes());
    be(&mut header, 24, 0x1_0000_u32.to_be_bytes());
    be(&mut header, 28, 1_u32.to_be_bytes());
    be(&mut header, 32, (2_u32 << 20).to_be_bytes());
    header[64..].iter_mut().zip(parent.encode_utf16().flat_map(u16::to_be_bytes)).for_each(|(to, b)| *to = b);
    let checksum = sum(&header);
    be(&mut header, 36, checksum);
    image[..512].copy_from_slice(&footer);
    image[512..1536].copy_from_slice(&header);
    image[1536..1540].copy_from_slice(&u32::MAX.to_be_bytes());
    image.extend_from_slice(&footer);
    image
}

/// Examines under a tracer: what was said (report and messages), and every file that was opened or tried to be.
fn traced(at: &Path, image: &str) -> Option<(String, Vec<String>)> {
    let trace = at.join("trace");
    let out = Command::new("timeout")
        .args([
            "120",
            "strace",
            "-f",
            "-qq",
            "-s",
            "4096",
            "-e",
            "trace=open,openat,openat2,creat,readlink,readlinkat",
            "-o",
        ])
        .arg(&trace)
        .arg(env!("CARGO_BIN_EXE_cranescope"))
        .args(["examine", image, "--case", "traced.cranecase", "--overwrite", "--json", "-", "--quiet"])
        .current_dir(at)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    if said.contains("ptrace") || said.contains("PTRACE") {
        eprintln!("skipped: processes cannot be traced here");
        return None;
    }
    assert!(matches!(out.status.code(), Some(0 | 3)), "{image}: {said}");
    // Where nothing could be read at all, the case says why.
    let kept = crate::common::run(at, &["report", "traced.cranecase", "--format", "json", "-o", "-"]);
    assert_eq!(kept.0, 0, "{}", kept.2);
    let said = said + &kept.1;
    let opened =
        std::fs::read_to_string(&trace).unwrap().lines().filter(|l| l.contains("open")).map(String::from).collect();
    std::fs::remove_file(trace).unwrap();
    Some((said, opened))
}

#[test]
fn a_file_that_an_image_names_is_told_and_never_opened() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    if !have("strace") {
        return;
    }
    let canary = at.join("elsewhere/canary-secret");
    plant(at, &[("elsewhere/canary-secret", &SECRET.repeat(20_000))]);
    let evidence = at.join("evidence");
    std::fs::create_dir(&evidence).unwrap();
    // A link in the folder of the evidence that leads out of it.
    std::os::unix::fs::symlink(&canary, evidence.join("beside.img")).unwrap();
    let path = canary.to_str().unwrap();
    let (file, json) = (format!("file://{path}"), format!("json:{{\"driver\":\"raw\",\"file.filename\":\"{path}\"}}"));
    let names = [
        "/etc/shadow",
        path,
        "../elsewhere/canary-secret",
        "./../elsewhere/../elsewhere/canary-secret",
        "beside.img",
        file.as_str(),
        json.as_str(),
        "nbd:localhost:10809",
        "http://127.0.0.1/disk.img",
        "..\\elsewhere\\canary-secret",
        "C:\\Windows\\System32\\config\\SAM",
        "",
        "..",
    ];
    let makers: [(&str, fn(&str) -> Vec<u8>); 3] = [("qcow2", qcow2), ("vmdk", vmdk), ("vhd", vhd)];
    let mut told = 0;
    for name in names {
        for (kind, make) in makers {
            let image = format!("disk.{kind}");
            std::fs::write(evidence.join(&image), make(name)).unwrap();
            let Some((said, opened)) = traced(&evidence, &image) else { return };
            for call in &opened {
                assert!(!call.contains("canary-secret") && !call.contains("/etc/shadow"), "{kind} {name}: {call}");
                assert!(!call.contains("beside.img"), "{kind} {name}: {call}");
            }
            assert!(!said.contains(SECRET), "{kind} {name}");
            // In a VMDK a name ends at a quotation mark.
            let name = if kind == "vmdk" { name.split('"').next().unwrap() } else { name };
            let last = name.rsplit(['/', '\\']).next().unwrap().trim_end_matches(['"', '}']);
            if !matches!(last, "" | "..") {
                assert!(said.contains(last), "{kind}: {name} is not told: {said}");
                told += 1;
            }
        }
    }
    println!("{told} references to files elsewhere: each told, none opened");
}

/// Links and mount tables of the image are followed in the image only.
#[test]
fn links_of_an_image_never_lead_to_this_computer() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    if !have("strace") || !have("mke2fs") {
        return;
    }
    let canary: PathBuf = at.join("canary-secret");
    std::fs::write(&canary, SECRET).unwrap();
    let root = at.join("root");
    plant(
        &root,
        &[("/etc/os-release", "ID=debian\n"), ("/etc/fstab", "/dev/sda1 / ext4 defaults 0 1\n"), ("/bin/sh", "x\n")],
    );
    let up = format!("../../../../../../../../../../..{}", canary.display());
    for (link, target) in [
        ("etc/hostname", canary.to_str().unwrap()),
        ("etc/passwd", &up),
        ("etc/shadow", "/etc/shadow"),
        ("etc/systemd", at.to_str().unwrap()),
        ("var", "/proc/self/root"),
        ("etc/crontab", "/proc/self/fd/0"),
    ] {
        std::os::unix::fs::symlink(target, root.join(link)).unwrap();
    }
    ext4(at, &root, "disk.img");
    let Some((said, opened)) = traced(at, "disk.img") else { return };
    for call in &opened {
        assert!(!call.contains("canary-secret") && !call.contains("/etc/shadow"), "{call}");
    }
    assert!(!said.contains(SECRET) && said.contains("canary-secret"), "the link's target is told, not read");
    // What `cat` is asked for is looked up in the image as well.
    let (code, out, _) = crate::common::run(at, &["cat", "disk.img", "/etc/hostname"]);
    assert!(code != 0 && !out.contains(SECRET), "{code}: {out}");
}
