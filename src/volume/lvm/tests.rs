//! A group that real LVM made on three disks, against what the kernel read from it; then with damage.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::super::testing::{assembled, disk, hash, image, leads_back, oracle};
use super::super::{Assembled, Manager};
use super::{Label, MANAGER};
use crate::image::Source;
use std::time::{Duration, Instant};

fn disks() -> Vec<Vec<u8>> {
    (1..=3).map(|n| disk(&format!("lvm/pv{n}.img.zst"))).collect()
}
fn sources(disks: &[Vec<u8>]) -> Vec<Source> {
    (0..).zip(disks).map(|(n, bytes)| image(bytes.clone(), n)).collect()
}
fn named<'a>(made: &'a [Assembled], name: &str) -> &'a Assembled {
    made.iter().find(|v| v.label == format!("crane-vg/{name}")).unwrap()
}

#[test]
fn every_volume_reads_as_the_kernel_reads_it() {
    let disks = disks();
    let (made, gaps) = assembled(&MANAGER, &sources(&disks));
    assert_eq!(gaps, []);
    let oracle = oracle("lvm/oracle.txt");
    let listed: Vec<&str> = made.iter().filter(|v| !v.internal).map(|v| v.label.as_str()).collect();
    assert_eq!(listed.len(), oracle.len(), "{listed:?}");
    for (name, (len, sha256)) in &oracle {
        let volume = made.iter().find(|v| v.label == *name).unwrap();
        let source = volume.source.as_ref().unwrap();
        assert_eq!((source.len(), hash(&**source).as_ref()), (*len, Some(sha256)), "{name}");
        leads_back(&**source, &disks);
    }
    let kinds = |name| named(&made, name).type_name.as_str();
    assert_eq!((kinds("long"), kinds("striped"), kinds("mir"), kinds("r5")), ("linear", "striped", "raid1", "raid5"));
    assert_eq!((kinds("thinsnap"), kinds("oldsnap")), ("thin", "snapshot"));
    assert_eq!(named(&made, "r5").members.len(), 3);
}

#[test]
fn a_missing_disk_is_named_and_the_rest_is_read() {
    let disks = disks();
    let oracle = oracle("lvm/oracle.txt");
    let all = sources(&disks);
    // What is left without each disk: mirrors and parity give what one disk held.
    for (missing, whole) in [
        (0, &["mir", "oldmir", "r5"][..]),
        (1, &["long", "mir", "oldmir", "orig", "oldsnap", "r5", "thin1", "thinsnap"]),
        (2, &["mir", "oldmir", "orig", "oldsnap", "r5", "striped"]),
    ] {
        let left: Vec<Source> = all.iter().enumerate().filter(|(n, _)| *n != missing).map(|(_, s)| s.clone()).collect();
        let (made, gaps) = assembled(&MANAGER, &left);
        let said = gaps.iter().filter(|g| g.what.contains(&format!("physical volume pv{missing} ")));
        assert_eq!(said.count(), 1, "{gaps:?}");
        for (name, (_, sha256)) in &oracle {
            let source = made.iter().find(|v| v.label == *name).and_then(|v| v.source.clone());
            let read = source.and_then(|s| hash(&*s));
            let expected = whole.contains(&name.trim_start_matches("crane-vg/")).then_some(sha256);
            assert_eq!(read.as_ref(), expected, "{name} without disk {missing}");
        }
    }
}

#[test]
fn cloned_disks_make_two_groups() {
    let disks = disks();
    let (made, gaps) = assembled(&MANAGER, &sources(&[disks.clone(), disks].concat()));
    assert_eq!(gaps.len(), 1);
    assert!(gaps[0].what.contains("stand 2 times"), "{gaps:?}");
    let expected = &oracle("lvm/oracle.txt")["crane-vg/long"].1;
    let long = made.iter().filter(|v| v.label == "crane-vg/long").map(|v| hash(&**v.source.as_ref().unwrap()));
    assert_eq!(long.collect::<Vec<_>>(), [Some(expected.clone()), Some(expected.clone())]);
}

/// Everything may be read, nothing may panic or hang.
fn survives(manager: &Manager, sources: &[Source], what: &str) {
    let started = Instant::now();
    let (made, _) = assembled(manager, sources);
    for volume in made.iter().filter_map(|v| v.source.as_ref()) {
        let mut buf = vec![0; 4096];
        for at in [0, 65_536, volume.len() / 2, volume.len().saturating_sub(100)] {
            drop(volume.read_at(at, &mut buf));
        }
    }
    assert!(started.elapsed() < Duration::from_secs(10), "{what}");
}

#[test]
fn disks_that_end_at_any_structure_are_survived() {
    let disks = disks();
    let whole = sources(&disks);
    for end in [0, 511, 512, 540, 1023, 1024, 4095, 4096, 4500, 4608, 8192, 1 << 20, (1 << 20) + 1, 5 << 20, 12 << 20] {
        for cut in 0..3 {
            let mut sources = whole.clone();
            sources[cut] = image(disks[cut][..end].to_vec(), u32::try_from(cut).unwrap());
            survives(&MANAGER, &sources, &format!("disk {cut} ends at {end}"));
        }
    }
}

#[test]
fn any_byte_may_be_wrong() {
    let mut disks = disks();
    let whole = sources(&disks);
    let blind = image(vec![0; 1 << 20], 9);
    // The label, the area's header, its text; metadata of the thin pool and the store of the snapshot.
    let thin = (6656_usize * 512, 1 << 16);
    let store = (29696_usize * 512, 1 << 14);
    let mut seed = 7_usize;
    for (disk, (start, len)) in [(0, (512, 512)), (0, (4096, 1 << 14)), (2, thin), (0, store)] {
        let mut sources = whole.clone();
        // The other disks' copies are left out, so that the damaged one counts.
        if start == 4096 {
            sources[1] = blind.clone();
            sources[2] = blind.clone();
        }
        for _ in 0..60 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = start + (seed >> 33) % len;
            let (bit, number) = (1 << ((seed >> 20) % 8), u32::try_from(disk).unwrap());
            let mut bytes = std::mem::take(&mut disks[disk]);
            bytes[at] ^= bit;
            sources[disk] = image(bytes.clone(), number);
            survives(&MANAGER, &sources, &format!("disk {disk} byte {at}"));
            bytes[at] ^= bit;
            disks[disk] = bytes;
        }
    }
}

#[test]
fn metadata_that_lies_costs_nothing() {
    use super::group::Group;
    let text = |lvs: &str| {
        format!(
            "vg {{ id = \"a\" seqno = 1 extent_size = 512 physical_volumes {{ pv0 {{ id = \"p\" pe_start = 2048 pe_count = 9 }} }} logical_volumes {{ {lvs} }} }}"
        )
    };
    let lv = |name: &str, segments: &str| format!("{name} {{ id = \"{name}\" status = [\"VISIBLE\"] {segments} }} ");
    let on = |name: &str, other: &str| {
        lv(
            name,
            &format!("segment1 {{ start_extent = 0 extent_count = 4 type = \"striped\" stripes = [\"{other}\", 0] }}"),
        )
    };
    for wrong in [
        lv("x", "segment1 { start_extent = 9223372036854775807 extent_count = 1 type = \"striped\" }"),
        lv(
            "x",
            "segment1 { start_extent = 0 extent_count = 1 type = \"striped\" } segment2 { start_extent = 5 extent_count = 1 }",
        ),
    ] {
        assert!(Group::parse(text(&wrong).as_bytes()).is_err());
    }
    // Volumes on themselves, in a ring, and in a lattice with a number of ways that nobody can walk.
    let mut lattice = String::new();
    for layer in 0..40 {
        for n in 0..8 {
            let below: Vec<String> = (0..8).map(|m| format!("\"l{}_{m}\", 0", layer + 1)).collect();
            let stripes = below.join(", ");
            let body = format!(
                "segment1 {{ start_extent = 0 extent_count = 8 type = \"striped\" stripe_size = 8 stripes = [{stripes}] }}"
            );
            lattice += &lv(&format!("l{layer}_{n}"), &body);
        }
    }
    for lvs in [on("x", "x"), on("x", "y") + &on("y", "x"), lattice, on("x", "pv7"), on("x", "pv0")] {
        let group = Group::parse(text(&lvs).as_bytes()).unwrap();
        let gaps = crate::base::Gaps::default();
        let started = Instant::now();
        let set = std::collections::BTreeMap::from([("p".to_owned(), 0)]);
        let member = super::Member { source: image(vec![1; 3 << 20], 0), gaps: gaps.clone() };
        let made = super::build::volumes(&group, &set, &[member], &gaps, &mut crate::base::Budget::default());
        for source in made.iter().filter_map(|v| v.source.as_ref()) {
            drop(source.read_at(0, &mut [0; 4096]));
        }
        assert!(started.elapsed() < Duration::from_secs(10), "{}", lvs.len());
    }
}

#[test]
fn a_label_is_its_checksum() {
    let mut disk = disks().remove(0);
    assert!(Label::find(&image(disk.clone(), 0)).is_some());
    disk[600] ^= 1;
    assert!(Label::find(&image(disk, 0)).is_none());
}
