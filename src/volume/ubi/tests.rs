//! Devices written by hand: which copy of a block counts, what damage costs.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::super::Assembled;
use super::super::testing::{assembled, image, leads_back};
use super::MANAGER;
use super::headers::{LAYOUT, crc};
use crate::base::Gap;
use crate::image::Source;
use std::sync::Arc;

const BLOCK: usize = 16 << 10;
const VID: usize = 512;
const DATA: usize = 1024;
const LOGICAL: usize = BLOCK - DATA;

#[derive(Clone, Default)]
struct Vid {
    is_static: bool,
    is_copy: bool,
    volume: u32,
    number: u32,
    used: u32,
    sequence: u64,
    data: Vec<u8>,
    /// The data do not fit.
    wrong: bool,
}

fn put(bytes: &mut [u8], at: usize, number: u32) {
    bytes[at..at + 4].copy_from_slice(&number.to_be_bytes());
}
fn close(bytes: &mut [u8]) {
    let sum = crc(&bytes[..bytes.len() - 4]);
    let at = bytes.len() - 4;
    put(bytes, at, sum);
}

fn block(vid: Option<&Vid>) -> Vec<u8> {
    let mut out = vec![0xff; BLOCK];
    out[..64].fill(0);
    out[..5].copy_from_slice(b"UBI#\x01");
    put(&mut out, 16, u32::try_from(VID).unwrap());
    put(&mut out, 20, u32::try_from(DATA).unwrap());
    put(&mut out, 24, 0x1234_5678);
    close(&mut out[..64]);
    let Some(vid) = vid else { return out };
    let head = &mut out[VID..VID + 64];
    head.fill(0);
    head[..5].copy_from_slice(b"UBI!\x01");
    head[5] = if vid.is_static { 2 } else { 1 };
    head[6] = u8::from(vid.is_copy);
    put(head, 8, vid.volume);
    put(head, 12, vid.number);
    put(head, 20, u32::try_from(vid.data.len()).unwrap());
    put(head, 24, vid.used);
    put(head, 32, crc(&vid.data) ^ u32::from(vid.wrong));
    head[40..48].copy_from_slice(&vid.sequence.to_be_bytes());
    close(head);
    out[DATA..DATA + vid.data.len()].copy_from_slice(&vid.data);
    out
}

fn record(reserved: u32, kind: u8, name: &[u8], flags: u8) -> Vec<u8> {
    let mut out = vec![0; 172];
    put(&mut out, 0, reserved);
    put(&mut out, 4, 1);
    out[12] = kind;
    out[15] = u8::try_from(name.len()).unwrap();
    out[16..16 + name.len()].copy_from_slice(name);
    out[144] = flags;
    close(&mut out);
    out
}
/// Records that a block of this size has room for.
fn table(records: &[Vec<u8>]) -> Vec<u8> {
    let mut out = records.concat();
    while out.len() + 172 <= LOGICAL {
        out.extend(record(0, 0, b"", 0));
    }
    out
}
fn layout(number: u32, data: Vec<u8>) -> Vec<u8> {
    block(Some(&Vid { volume: LAYOUT, number, data, ..Vid::default() }))
}
fn piece(volume: u32, number: u32, sequence: u64, fill: u8) -> Vid {
    Vid { volume, number, sequence, data: vec![fill; LOGICAL], ..Vid::default() }
}
fn made(bytes: &[u8]) -> (Vec<Assembled>, Vec<Gap>) {
    let source: Source = image(bytes.to_vec(), 0);
    let (made, gaps) = assembled(&MANAGER, &[source]);
    for volume in &made {
        leads_back(&**volume.source.as_ref().unwrap(), &[bytes.to_vec()]);
    }
    (made, gaps)
}
fn all(volume: &Assembled) -> Vec<u8> {
    let source = volume.source.as_ref().unwrap();
    let mut bytes = vec![0; usize::try_from(source.len()).unwrap()];
    assert_eq!(source.read_at(0, &mut bytes), Ok(bytes.len()));
    bytes
}
fn said(gaps: &[Gap], what: &str) -> bool {
    gaps.iter().any(|g| g.what.contains(what))
}

#[test]
fn the_newest_block_counts_but_an_unfinished_copy() {
    let two = table(&[record(3, 1, b"rootfs", 0), record(2, 1, b"data", 1)]);
    let bytes = [
        layout(0, two.clone()),
        block(Some(&piece(0, 0, 5, b'a'))),
        block(Some(&piece(0, 0, 9, b'b'))),
        block(None),
        block(Some(&piece(1, 1, 3, b'c'))),
        block(Some(&Vid { is_copy: true, wrong: true, ..piece(1, 1, 8, b'd') })),
        block(Some(&Vid { is_copy: true, ..piece(0, 2, 8, b'e') })),
        block(Some(&piece(0, 2, 7, b'f'))),
        layout(1, two),
    ]
    .concat();
    let (made, gaps) = made(&bytes);
    let names: Vec<_> = made.iter().map(|v| (v.index, v.label.as_str(), v.type_name.as_str())).collect();
    assert_eq!(names, [(1, "rootfs", "dynamic"), (2, "data", "dynamic, autoresize")]);
    assert_eq!(made[0].uuid, "12345678");
    let expected = [vec![b'b'; LOGICAL], vec![0xff; LOGICAL], vec![b'e'; LOGICAL]].concat();
    assert!(all(&made[0]) == expected);
    assert!(all(&made[1]) == [vec![0xff; LOGICAL], vec![b'c'; LOGICAL]].concat());
    assert_eq!(gaps.len(), 2, "{gaps:?}");
    assert!(said(&gaps, "copy of logical block 1 of volume 1 was not finished"));
    assert!(said(&gaps, "3 erase blocks hold older copies of logical blocks"));
    assert_eq!((MANAGER.size)(&image(bytes.clone(), 0)), Some(bytes.len() as u64));
}

#[test]
fn static_volumes_end_where_their_data_end_and_are_checked() {
    let list = table(&[record(5, 2, b"kernel", 0)]);
    let part = |number: u32, len: usize| Vid {
        is_static: true,
        number,
        used: 3,
        data: vec![u8::try_from(number).unwrap(); len],
        ..Vid::default()
    };
    let first = part(0, LOGICAL);
    let wrong = Vid { wrong: true, ..part(1, LOGICAL) };
    let bytes =
        [layout(0, list.clone()), layout(1, list), block(Some(&first)), block(Some(&wrong)), block(Some(&part(2, 77)))];
    let (whole, gaps) = made(&bytes.concat());
    assert_eq!(whole[0].source.as_ref().unwrap().len(), (2 * LOGICAL + 77) as u64);
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert!(said(&gaps, "data of 1 logical blocks do not fit their checksum: 1"));
    let (cut, gaps) = made(&[&bytes[..3], &bytes[4..]].concat().concat());
    assert!(said(&gaps, "no erase block holds 1 logical blocks: 1"), "{gaps:?}");
    let source = cut[0].source.as_ref().unwrap();
    let error = source.read_at(LOGICAL as u64 - 10, &mut [0; 20]).unwrap_err();
    assert_eq!((error.offset, error.what.as_str()), (LOGICAL as u64, "no erase block holds logical block 1"));
}

#[test]
fn a_lost_table_leaves_the_volumes() {
    let good = table(&[record(1, 1, b"a", 0), record(1, 1, b"b", 0)]);
    let mut half = good.clone();
    half[20] ^= 1;
    let content = [block(Some(&piece(0, 0, 1, b'x'))), block(Some(&piece(1, 0, 2, b'y')))];
    let run = |first: Vec<u8>, second: Vec<u8>| {
        made(&[vec![layout(0, first), layout(1, second)], content.to_vec()].concat().concat())
    };
    let (one, gaps) = run(half.clone(), good.clone());
    assert_eq!(one.iter().map(|v| v.label.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert!(said(&gaps, "copy 0 of the volume table: 1 of"), "{gaps:?}");
    let (both, _) = run(half.clone(), half);
    assert_eq!(both.iter().map(|v| v.label.as_str()).collect::<Vec<_>>(), ["", "b"]);
    assert_eq!(both[0].type_name, "dynamic, not in the volume table");
    let (none, gaps) = made(&content.concat());
    assert_eq!(none.iter().map(|v| (v.index, all(v)[0])).collect::<Vec<_>>(), [(1, b'x'), (2, b'y')]);
    assert!(said(&gaps, "both copies of the volume table are lost"));
}

#[test]
fn damaged_blocks_are_told() {
    let list = table(&[record(3, 1, b"v", 0)]);
    let mut headless = block(Some(&piece(0, 1, 2, b'b')));
    headless[VID + 9] ^= 0x40;
    let mut counterless = block(Some(&piece(0, 2, 3, b'c')));
    counterless[3] = 0;
    let mut foreign = block(Some(&piece(0, 1, 99, b'z')));
    put(&mut foreign, 24, 7);
    close(&mut foreign[..64]);
    let bytes = [
        layout(0, list.clone()),
        layout(1, list),
        block(Some(&piece(0, 0, 1, b'a'))),
        headless,
        counterless,
        vec![0; BLOCK],
        foreign,
        block(Some(&piece(0, 9, 4, b'd'))),
        vec![0xff; 100],
    ]
    .concat();
    let (volumes, gaps) = made(&bytes);
    assert!(all(&volumes[0]) == [vec![b'a'; LOGICAL], vec![0xff; LOGICAL], vec![b'c'; LOGICAL]].concat());
    for what in [
        "1 erase blocks hold something, but no header that says which logical block; a logical block that none holds reads as erased (at 49152)",
        "1 erase blocks have a damaged header of erasures; what they hold is read by their other header (at 65536)",
        "1 erase blocks belong to another UBI image, which was there before; not read (at 98304)",
        "1 erase blocks are cut off by the end of the dump (at 131072)",
        "volume 0: 1 erase blocks hold logical blocks beyond its end; not read",
    ] {
        assert!(said(&gaps, what), "{what}: {gaps:?}");
    }
    assert_eq!(gaps.len(), 5, "{gaps:?}");
    // A dump that ends anywhere: no panic, no silence.
    for cut in (0..bytes.len()).step_by(509).chain([63, 64, 65, VID, VID + 64, DATA, BLOCK - 1, BLOCK]) {
        let source: Source = Arc::new(bytes[..cut].to_vec());
        assembled(&MANAGER, &[source]);
    }
}

#[test]
fn flipped_bytes_neither_panic_nor_hang() {
    let list = table(&[record(3, 1, b"v", 0), record(2, 2, b"s", 0)]);
    let vid = Vid { is_static: true, volume: 1, used: 1, data: vec![7; 50], ..Vid::default() };
    let whole =
        [layout(0, list.clone()), layout(1, list), block(Some(&piece(0, 0, 1, b'a'))), block(Some(&vid))].concat();
    let mut state = 0x9e37_79b9_u64;
    for _ in 0..300 {
        let mut bytes = whole.clone();
        for _ in 0..4 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let place = usize::try_from(state >> 33).unwrap();
            let number = place % (bytes.len() / BLOCK);
            let at = number * BLOCK + [place / 7 % 60, VID + place / 7 % 60, DATA + place / 7 % 344][place % 3];
            bytes[at] = u8::try_from(state >> 56).unwrap();
            // Most with checksums that fit.
            close(&mut bytes[number * BLOCK..number * BLOCK + 64]);
            close(&mut bytes[number * BLOCK + VID..number * BLOCK + VID + 64]);
            close(&mut bytes[number * BLOCK + DATA..number * BLOCK + DATA + 172]);
        }
        let source: Source = Arc::new(bytes);
        let (made, _) = assembled(&MANAGER, &[source]);
        for source in made.iter().filter_map(|v| v.source.as_ref()) {
            let mut buf = [0; 4096];
            for at in [0, source.len() / 2, source.len().saturating_sub(100)] {
                let _ = source.read_at(at, &mut buf);
            }
        }
    }
}
