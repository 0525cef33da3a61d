//! Images that build on others: a parent that is not the one they were made on is told.
use super::help::*;
use super::machines::convert;
use crate::common::have;
use std::path::Path;

fn unpacked(folder: &Path, name: &str) -> Option<Vec<u8>> {
    let file = std::fs::File::open(shared(&format!("dfvfs_big/{name}.zst"))?).unwrap();
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut ruzstd::decoding::StreamingDecoder::new(file).unwrap(), &mut bytes).unwrap();
    std::fs::write(folder.join(name), &bytes).unwrap();
    Some(bytes)
}

fn told(path: &Path) -> Vec<String> {
    let opened = open(path).unwrap();
    let (_, errors) = content(&opened.disk);
    assert_eq!(errors, Vec::<String>::new());
    opened.gaps.into_iter().map(|g| g.what).collect()
}

#[test]
fn a_vmdk_whose_parent_changed() {
    if !have("qemu-img") {
        return;
    }
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    convert(&sample(), &at("base.vmdk"), "vmdk", &[]);
    let (base, top) = (at("base.vmdk"), at("top.vmdk"));
    let names = ["-b", base.to_str().unwrap(), "-F", "vmdk", top.to_str().unwrap()];
    run("qemu-img", &[&["create", "-q", "-f", "vmdk"], &names[..]].concat());
    assert_eq!(told(&top), Vec::<String>::new());
    let mut bytes = std::fs::read(&base).unwrap();
    let cid = bytes.windows(5).position(|w| w == b"\nCID=").unwrap() + 5;
    bytes[cid] = if bytes[cid] == b'1' { b'2' } else { b'1' };
    std::fs::write(&base, bytes).unwrap();
    let gaps = told(&top);
    assert!(gaps.len() == 1 && gaps[0].contains("its content identifier is"), "{gaps:?}");
}

#[test]
fn disks_of_hyper_v_whose_parent_changed() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    if let (Some(vhd), Some(differential)) =
        (unpacked(folder.path(), "fat-parent.vhd"), shared("dfvfs/fat-differential.vhd"))
    {
        std::fs::copy(differential, at("fat-differential.vhd")).unwrap();
        assert_eq!(told(&at("fat-differential.vhd")), Vec::<String>::new());
        // The identifier in the footer and its copy, with checksums that fit.
        let mut bytes = vhd;
        for footer in [0, bytes.len() - 512] {
            if bytes[footer..].starts_with(b"conectix") {
                bytes[footer + 68] ^= 1;
                bytes[footer + 64..footer + 68].fill(0);
                let sum = bytes[footer..footer + 512].iter().fold(0_u32, |sum, b| sum + u32::from(*b));
                bytes[footer + 64..footer + 68].copy_from_slice(&(!sum).to_be_bytes());
            }
        }
        std::fs::write(at("fat-parent.vhd"), bytes).unwrap();
        let gaps = told(&at("fat-differential.vhd"));
        assert!(gaps.len() == 1 && gaps[0].contains("its identifier is"), "{gaps:?}");
    }
    if let (Some(vhdx), Some(_)) =
        (unpacked(folder.path(), "fat-parent.vhdx"), unpacked(folder.path(), "fat-differential.vhdx"))
    {
        assert_eq!(told(&at("fat-differential.vhdx")), Vec::<String>::new());
        let mut bytes = vhdx;
        for header in [0x1_0000, 0x2_0000] {
            bytes[header + 32] ^= 1;
            bytes[header + 4..header + 8].fill(0);
            let sum = crc32c::crc32c(&bytes[header..header + 4096]);
            bytes[header + 4..header + 8].copy_from_slice(&sum.to_le_bytes());
        }
        std::fs::write(at("fat-parent.vhdx"), bytes).unwrap();
        let gaps = told(&at("fat-differential.vhdx"));
        assert!(gaps.len() == 1 && gaps[0].contains("its data write identifier is"), "{gaps:?}");
    }
}
