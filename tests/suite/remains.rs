//! What is left where no file has it: found with its place, and nothing made up. Oracles: the image's own bytes at the
//! offsets that rows name, and what `strings -td | grep` finds of the same numbers.
use crate::common::{ext4, have, plant, report, run};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

fn timeout(program: &str, arguments: &[&str]) -> std::process::Output {
    Command::new("timeout").arg("60").arg(program).args(arguments).output().unwrap()
}

fn traces(folder: &Path, image: &str) -> (Vec<Value>, Value) {
    let (code, _, err) = run(folder, &["examine", image, "--json", "r.json", "--overwrite", "--quiet"]);
    assert_eq!(code, 0, "{err}");
    let report = report(&folder.join("r.json"));
    let rows = report["inventory"]["traces"].as_array().unwrap().clone();
    (rows, report)
}

/// The first free block of the file system, at or behind a block.
fn free_block(image: &Path, from: u64) -> u64 {
    let out = timeout("debugfs", &["-R", &format!("ffb 1 {from}"), image.to_str().unwrap()]);
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    text.rsplit(|c: char| !c.is_ascii_digit()).find(|w| !w.is_empty()).unwrap().parse().unwrap()
}

const LINE: &str = "Nov  3 04:06:02 crane pppd[812]: local  IP address 10.64.12.7\n";

#[test]
fn free_blocks_swap_and_gaps_are_searched_and_rows_lead_to_their_bytes() {
    if !["mke2fs", "debugfs", "sfdisk", "mkswap", "strings"].into_iter().all(have) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    plant(&root, &[("/etc/os-release", "ID=debian\n"), ("/etc/keep.conf", "IMEI: 490154203237518 stays in a file\n")]);
    let part = ext4(dir.path(), &root, "part.img");
    let mut bytes = std::fs::read(&part).unwrap();
    let block = 4096_usize;
    // A log line, a number whose check digit fits, one whose does not, and a line that ends at a fragment's border.
    let free = usize::try_from(free_block(&part, 100)).unwrap();
    let at = free * block;
    let text = format!("{LINE}IMEI: 356938035643809\nIMEI: 356938035643808\nusepeerdns\n");
    bytes[at..at + text.len()].copy_from_slice(text.as_bytes());
    std::fs::write(&part, &bytes).unwrap();
    // The disk: a table, a gap before the partition, the file system, swap.
    let gap = 2048 * 512;
    let size = bytes.len();
    let swap_at = gap + size;
    let mut disk = vec![0_u8; swap_at + (4 << 20)];
    disk[gap..gap + size].copy_from_slice(&bytes);
    let setting = b"\nEndpoint = vpn.example.org:51820\n";
    disk[0x8000..0x8000 + setting.len()].copy_from_slice(setting);
    std::fs::write(dir.path().join("swap.img"), vec![0_u8; 4 << 20]).unwrap();
    assert!(timeout("mkswap", &[dir.path().join("swap.img").to_str().unwrap()]).status.success());
    let mut swap = std::fs::read(dir.path().join("swap.img")).unwrap();
    let in_swap = b"AT+CGDCONT=1,\"IP\",\"cmnet\"\n";
    swap[1 << 20..(1 << 20) + in_swap.len()].copy_from_slice(in_swap);
    disk[swap_at..].copy_from_slice(&swap);
    let image = dir.path().join("disk.img");
    std::fs::write(&image, &disk).unwrap();
    let table = format!("start=2048,size={},type=83\nstart={},size=8192,type=82\n", size / 512, swap_at / 512);
    std::fs::write(dir.path().join("table"), &table).unwrap();
    let made = Command::new("timeout")
        .args(["60", "sfdisk", "-q", image.to_str().unwrap()])
        .stdin(std::fs::File::open(dir.path().join("table")).unwrap())
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let disk = std::fs::read(&image).unwrap();

    let (rows, report) = traces(dir.path(), "disk.img");
    let mut shown: Vec<String> = rows
        .iter()
        .map(|r| {
            format!("{} {} {}", r["area"].as_str().unwrap(), r["kind"].as_str().unwrap(), r["value"].as_str().unwrap())
        })
        .collect();
    shown.sort();
    assert_eq!(
        shown,
        [
            "swap at-context apn=cmnet",
            "unallocated imei 356938035643809",
            "unallocated pppd-address address=10.64.12.7",
            "unallocated pppd-options ",
            "unclaimed wireguard-settings endpoint=vpn.example.org:51820",
        ]
    );
    // The place is that of the bytes, and of what strings(1) finds there.
    let listed = timeout("strings", &["-a", "-td", image.to_str().unwrap()]);
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    for row in &rows {
        let text = row["text"].as_str().unwrap();
        let from = usize::try_from(row["image_offset"].as_u64().unwrap()).unwrap();
        assert_eq!(&disk[from..from + text.len()], text.as_bytes());
        let evidence = if row["evidence"].is_array() { &row["evidence"][0] } else { &row["evidence"] };
        assert_eq!(evidence["image_runs"][0]["offset"], row["image_offset"]);
        assert_eq!(evidence["deleted"], true);
        let same = |l: &&str| l.trim_start().split_once(' ').is_some_and(|(at, t)| at == from.to_string() && t == text);
        assert!(listed.lines().any(|l| same(&l)), "{from} {text}");
    }
    let severe = report["findings"].as_array().unwrap().iter().filter(|f| f["rule"] == "trace-of-modem-use");
    assert!(severe.clone().count() > 0 && severe.clone().all(|f| f["severity"] == "low"));
    let raw: Value = serde_json::from_slice(&std::fs::read(dir.path().join("r.json")).unwrap()).unwrap();
    assert!(raw["run"]["timings"].as_object().unwrap().keys().any(|k| k.contains("no file has")), "{}", raw["run"]);
}

#[test]
fn lines_over_window_borders_are_found_once_and_fragments_stay_apart() {
    if !["mke2fs", "debugfs"].into_iter().all(have) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    plant(&root, &[("/etc/os-release", "ID=debian\n")]);
    let part = ext4(dir.path(), &root, "disk.img");
    let block = 4096_usize;
    let free = usize::try_from(free_block(&part, 200)).unwrap();
    let mut bytes = std::fs::read(&part).unwrap();
    // Every block behind, as long as the run goes: a number across each border of blocks.
    let many = 1200;
    let mut expected = std::collections::BTreeSet::new();
    for n in 1..many {
        let base = format!("35693803{n:06}");
        let digit = (0..10).find(|d| luhn(&format!("{base}{d}"))).unwrap();
        let line = format!("\nIMEI: {base}{digit}\n");
        let at = (free + n) * block - 12;
        if bytes[at - 64..at + 64].iter().all(|b| *b == 0) && is_free(&part, free + n - 1) && is_free(&part, free + n) {
            bytes[at..at + line.len()].copy_from_slice(line.as_bytes());
            expected.insert(format!("{base}{digit}"));
        }
        if expected.len() >= 150 {
            break;
        }
    }
    assert!(expected.len() > 100, "{}", expected.len());
    std::fs::write(&part, &bytes).unwrap();
    let (rows, _) = traces(dir.path(), "disk.img");
    let found: Vec<String> = rows.iter().map(|r| r["value"].as_str().unwrap().to_owned()).collect();
    assert_eq!(found.len(), expected.len());
    assert_eq!(found.into_iter().collect::<std::collections::BTreeSet<_>>(), expected);
    assert!(rows.iter().all(|r| r["count"] == 1));
}

fn is_free(image: &Path, block: usize) -> bool {
    let out = timeout("debugfs", &["-R", &format!("testb {block}"), image.to_str().unwrap()]);
    String::from_utf8_lossy(&out.stdout).contains("not in use")
}

fn luhn(digits: &str) -> bool {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(at, b)| {
            let d = u32::from(b - b'0') * if at % 2 == 1 { 2 } else { 1 };
            d / 10 + d % 10
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Settings that were deleted, as rows of their own; and one finding of each.
fn removed(folder: &Path, image: &str) -> (Vec<String>, Vec<String>) {
    let report = traces(folder, image).1;
    let of = |row: &Value, keys: &[&str]| {
        keys.iter().map(|k| row[*k].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>().join(" ")
    };
    let mut rows: Vec<String> = report["inventory"]["removed"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|r| r["table"] == "connections")
        .map(|r| of(r, &["kind", "name", "path", "told_by"]))
        .collect();
    let mut told: Vec<String> =
        report["findings"].as_array().unwrap().iter().map(|f| of(f, &["severity", "rule", "rung"])).collect();
    rows.sort();
    told.sort();
    (rows, told)
}

const WIREGUARD: &str = "[Interface]\nPrivateKey=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa=\nAddress=10.0.0.2/24\n[Peer]\n\
    PublicKey=bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb=\nEndpoint=vpn.example.org:51820\nAllowedIPs=0.0.0.0/0\n";
const MODEM: &str = "[connection]\nid=wwan\ntype=gsm\n[gsm]\napn=m2m.example\nnumber=*99#\n";
const DELETED: [&str; 2] = ["etc/wireguard/wg0.conf", "etc/NetworkManager/system-connections/wwan.nmconnection"];

fn root_with_settings(root: &Path) {
    plant(
        root,
        &[
            ("/etc/os-release", "ID=debian\n"),
            ("/etc/wireguard/wg0.conf", WIREGUARD),
            ("/etc/NetworkManager/system-connections/wwan.nmconnection", MODEM),
        ],
    );
}

fn hold_deleted_settings(folder: &Path, image: &str) {
    let (rows, told) = removed(folder, image);
    assert_eq!(
        rows,
        [
            "gsm wwan /etc/NetworkManager/system-connections/wwan.nmconnection path",
            "wireguard wg0 /etc/wireguard/wg0.conf path"
        ]
    );
    // Each file is told once, whatever of it can still be read.
    assert_eq!(told, ["medium cellular-link configured", "medium deleted-file-with-access-settings "]);
}

#[test]
fn settings_deleted_from_fat_are_rows() {
    if !["mkfs.fat", "mcopy", "mdel"].into_iter().all(have) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    root_with_settings(&root);
    let image = dir.path().join("fat.img");
    std::fs::File::create(&image).unwrap().set_len(40 << 20).unwrap();
    let at = image.to_str().unwrap();
    let done = timeout("mkfs.fat", &["-F", "32", at]);
    assert!(done.status.success(), "{done:?}");
    let etc = root.join("etc");
    let done = timeout("mcopy", &["-s", "-m", "-Q", "-i", at, etc.to_str().unwrap(), "::/"]);
    assert!(done.status.success(), "{done:?}");
    for file in DELETED {
        let done = timeout("mdel", &["-i", at, &format!("::/{file}")]);
        assert!(done.status.success(), "{done:?}");
    }
    hold_deleted_settings(dir.path(), "fat.img");
}

#[test]
fn settings_deleted_from_ntfs_are_rows() {
    if !["mkntfs", "ntfs-3g", "umount"].into_iter().all(have) || !Path::new("/dev/fuse").exists() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("ntfs.img");
    std::fs::File::create(&image).unwrap().set_len(40 << 20).unwrap();
    let (at, mount) = (image.to_str().unwrap().to_owned(), dir.path().join("mount"));
    std::fs::create_dir(&mount).unwrap();
    let done = timeout("mkntfs", &["-q", "-F", "-f", &at]);
    assert!(done.status.success(), "{done:?}");
    // Two mounts: what is written and deleted within one may never reach the disk.
    for change in [root_with_settings as fn(&Path), |root| {
        DELETED.iter().for_each(|file| std::fs::remove_file(root.join(file)).unwrap());
    }] {
        let done = timeout("ntfs-3g", &[&at, mount.to_str().unwrap()]);
        assert!(done.status.success(), "{done:?}");
        let changed = std::panic::catch_unwind(|| change(&mount));
        let done = timeout("umount", &[mount.to_str().unwrap()]);
        if !done.status.success() {
            timeout("umount", &["-l", mount.to_str().unwrap()]);
        }
        assert!(changed.is_ok() && done.status.success(), "{done:?}");
    }
    hold_deleted_settings(dir.path(), "ntfs.img");
}
