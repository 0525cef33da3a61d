//! Arrays that real mdadm made on partitions of four disks, against what the kernel read from them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::super::testing::{assembled, disk, hash, image, leads_back, oracle};
use super::super::{ALL, Assembled, PartKind};
use super::{MANAGER, Superblock};
use crate::base::{Budget, Gaps};
use crate::image::{Slice, Source};
use std::sync::Arc;
use std::time::{Duration, Instant};

const ARRAYS: [(&str, &str); 10] = [
    ("linear", "linear"),
    ("raid0", "raid0"),
    ("raid1", "raid1"),
    ("raid10", "raid10"),
    ("raid5", "raid5"),
    ("raid6", "raid6"),
    ("raid4", "raid4"),
    ("far", "raid10"),
    ("offset", "raid10"),
    ("raid5ra", "raid5"),
];

fn disks() -> Vec<Vec<u8>> {
    (1..=4).map(|n| disk(&format!("md/disk{n}.img.zst"))).collect()
}
/// The partitions of each disk: `parts[disk][number]`.
fn partitions(disks: &[Vec<u8>]) -> Vec<Vec<Source>> {
    let of = |(n, bytes): (u32, &Vec<u8>)| {
        let disk = image(bytes.clone(), n);
        let parts = (ALL[0].read)(&disk, &Gaps::default(), Budget::default()).unwrap();
        let parts = parts.into_iter().filter(|p| p.kind == PartKind::Partition);
        parts.map(|p| Arc::new(Slice::new(disk.clone(), p.run)) as Source).collect()
    };
    (0..).zip(disks).map(of).collect()
}
/// The array in partition `number` of all disks but `without`.
fn array(parts: &[Vec<Source>], number: usize, without: &[usize]) -> (Option<Assembled>, usize) {
    let of = parts.iter().enumerate().filter(|(n, _)| !without.contains(n));
    let sources: Vec<Source> = of.map(|(_, disk)| disk[number].clone()).collect();
    let (mut made, gaps) = assembled(&MANAGER, &sources);
    assert!(made.len() <= 1);
    (made.pop(), gaps.len())
}

#[test]
fn every_array_reads_as_the_kernel_reads_it() {
    let disks = disks();
    let parts = partitions(&disks);
    let oracle = oracle("md/oracle.txt");
    for (number, (name, kind)) in ARRAYS.into_iter().enumerate() {
        let (made, gaps) = array(&parts, number, &[]);
        let made = made.unwrap();
        let source = made.source.as_ref().unwrap();
        let (len, sha256) = &oracle[name];
        assert_eq!((source.len(), hash(&**source).as_ref(), gaps), (*len, Some(sha256), 0), "{name}");
        assert_eq!(made.type_name, kind);
        leads_back(&**source, &disks);
    }
}

#[test]
fn what_copies_and_parity_give_is_read_without_a_disk() {
    let parts = partitions(&disks());
    let oracle = oracle("md/oracle.txt");
    for (number, (name, _)) in ARRAYS.into_iter().enumerate() {
        let members = parts.iter().filter(|disk| Superblock::find(&disk[number]).is_some()).count();
        for without in 0..members {
            let (made, gaps) = array(&parts, number, &[without]);
            let read = made.unwrap().source.and_then(|s| hash(&*s));
            let whole = !matches!(name, "linear" | "raid0");
            assert_eq!(read.as_ref() == Some(&oracle[name].1), whole, "{name} without {without}");
            assert!(gaps > 0, "{name} without {without}");
        }
    }
    // RAID 6 stands the loss of any two.
    for a in 0..4 {
        for b in 0..a {
            let (made, _) = array(&parts, 5, &[a, b]);
            assert_eq!(made.unwrap().source.and_then(|s| hash(&*s)).as_ref(), Some(&oracle["raid6"].1), "{a} {b}");
        }
    }
    let (made, _) = array(&parts, 4, &[0, 1]);
    let lost = made.unwrap().source.unwrap();
    assert!((0..lost.len()).step_by(16 << 10).any(|at| lost.read_at(at, &mut [0; 16]).is_err()));
}

#[test]
fn a_disk_is_no_member_for_its_last_partition() {
    // The last partition's superblock (0.90) may lie where the whole disk's would be.
    for bytes in disks() {
        let part = &partitions(std::slice::from_ref(&bytes))[0][9];
        let end = part.locate(crate::base::Run::new(0, part.len()))[0];
        let whole = image(bytes[..usize::try_from(end.offset + end.len).unwrap()].to_vec(), 0);
        assert!(Superblock::find(part).is_some() && Superblock::find(&whole).is_none());
    }
}

#[test]
fn damage_is_survived() {
    let disks = disks();
    let parts = partitions(&disks);
    let started = Instant::now();
    for (number, (name, _)) in ARRAYS.into_iter().enumerate() {
        for end in [0, 511, 4096, 4351, 5000, 65_536, 1 << 20, (2 << 20) + 5, (4 << 20) - 1] {
            let cut: Source = Arc::new(Slice::new(parts[0][number].clone(), crate::base::Run::new(0, end)));
            let (made, _) = assembled(&MANAGER, &[cut, parts[1][number].clone()]);
            for source in made.iter().filter_map(|v| v.source.as_ref()) {
                for at in [0, source.len() / 2, source.len().saturating_sub(100)] {
                    drop(source.read_at(at, &mut [0; 4096]));
                }
            }
        }
        assert!(started.elapsed() < Duration::from_mins(1), "{name}");
    }
}
