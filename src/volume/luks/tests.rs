//! Volumes that real cryptsetup made, against what the kernel read from them; then with damage.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::super::testing::{disk, hash, image, oracle};
use super::super::{Keys, Locked, Sealed};
use super::ENCRYPTION;
use crate::base::{Budget, Gap, Gaps, Key, PieceKind, Run, Secret};
use crate::image::Source;
use std::cell::RefCell;
use std::time::{Duration, Instant};

const NAMES: [&str; 4] = ["luks1-xts", "luks1-cbc", "luks2-argon2id", "luks2-4k"];

fn open(source: &Source, keys: &[(&str, &[u8])]) -> (Result<Sealed, String>, Vec<Gap>) {
    let keys: Vec<Key> =
        keys.iter().map(|(v, k)| Key { volume: (*v).to_owned(), secret: Secret(k.to_vec()) }).collect();
    let (meant, gaps) = (RefCell::default(), Gaps::default());
    let sealed = (ENCRYPTION.open)(source, &Keys::new(&keys, "vol-1", &meant), &gaps, Budget::default());
    (sealed.map_err(|e| e.to_string()), gaps.take())
}
fn packed(name: &str) -> Vec<u8> {
    disk(&format!("luks/{name}.img.zst"))
}

#[test]
fn volumes_read_as_the_kernel_reads_them() {
    let oracle = oracle("luks/oracle.txt");
    for (number, name) in NAMES.iter().enumerate() {
        let source = image(packed(name), 0);
        assert!((ENCRYPTION.probe)(&source), "{name}");
        let uuid = format!("6A1EE7A0-7B1C-4F8E-9F43-0D1C5C8F1F0{}", number + 1);
        for key in [("vol-1", &b"crane secret"[..]), ("vol-1", b"crane secret\r\n"), (uuid.as_str(), b"crane secret\n")]
        {
            let (sealed, gaps) = open(&source, &[("vol-9", b"x"), ("vol-1", b"wrong"), key]);
            let sealed = sealed.unwrap();
            assert_eq!(sealed.uuid, uuid.to_lowercase());
            let content = sealed.content.map_err(|e| format!("{e:?}")).unwrap();
            let (len, sha256) = &oracle[*name];
            assert_eq!((content.source.len(), hash(&*content.source).as_ref()), (*len, Some(sha256)), "{name}");
            assert_eq!(gaps, []);
            let pieces = content.source.locate(Run::new(700, 5000));
            assert_eq!(pieces.len(), 1);
            let piece = pieces[0];
            assert_eq!((piece.offset, piece.len, piece.kind), (content.offset + 700, 5000, PieceKind::Decoded));
        }
    }
}

#[test]
fn the_second_slot_opens_as_well() {
    let (sealed, _) = open(&image(packed("luks2-argon2id"), 0), &[("vol-1", b"second key")]);
    let sealed = sealed.unwrap();
    assert_eq!(sealed.label, "crane-data");
    assert_eq!(sealed.about, "aes-xts-plain64, 2 key slots in use (argon2id, pbkdf2)");
    assert!(sealed.content.is_ok());
}

#[test]
fn without_its_key_a_volume_stays_closed_and_tells_what_it_is() {
    for name in NAMES {
        let source = image(packed(name), 0);
        let of = |keys: &[(&str, &[u8])]| open(&source, keys).0.unwrap().content.err();
        assert_eq!(of(&[]), Some(Locked::NoKey), "{name}");
        assert_eq!(of(&[("vol-2", b"crane secret")]), Some(Locked::NoKey), "{name}");
        assert_eq!(of(&[("vol-1", b"Crane secret"), ("vol-1", b"\n")]), Some(Locked::WrongKey(2)), "{name}");
    }
    let (sealed, _) = open(&image(packed("luks1-xts"), 0), &[]);
    assert_eq!(sealed.unwrap().about, "aes-xts-plain64, key of 512 bits, 1 of 8 key slots in use, sha256");
}

#[test]
fn the_second_header_stands_in() {
    let mut bytes = packed("luks2-argon2id");
    for (at, what) in [(5000, "checksum"), (2, "no LUKS2 header")] {
        bytes[at] ^= 0xff;
        let source = image(bytes.clone(), 0);
        assert!((ENCRYPTION.probe)(&source));
        let (sealed, gaps) = open(&source, &[("vol-1", b"crane secret")]);
        assert!(sealed.unwrap().content.is_ok());
        assert_eq!(gaps.len(), 1);
        assert!(gaps[0].what.contains(what) && gaps[0].what.contains("the one at byte 16384 was used"), "{gaps:?}");
    }
}

#[test]
fn what_is_cut_or_altered_is_survived() {
    let started = Instant::now();
    let key: (&str, &[u8]) = ("vol-1", b"crane secret");
    for name in NAMES {
        let whole = packed(name);
        for end in
            [0, 6, 8, 208, 300, 591, 592, 4095, 4096, 4200, 16384, 32768, 40_000, 1 << 20, 16 << 20, (16 << 20) + 100]
        {
            let source = image(whole[..end.min(whole.len())].to_vec(), 0);
            if let Ok(Sealed { content: Ok(content), .. }) = open(&source, &[key]).0 {
                assert!(content.source.len() <= source.len());
                assert!(content.source.read_at(0, &mut [0; 700]).is_ok(), "{name} cut at {end}");
            }
        }
        let mut seed = 3_usize;
        for _ in 0..60 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let mut bytes = whole[..1 << 20].to_vec();
            let area = if name.starts_with("luks1") { 592 } else { 6000 };
            bytes[(seed >> 33) % area] ^= 1 << ((seed >> 20) % 8);
            drop(open(&image(bytes, 0), &[key]));
        }
    }
    assert!(started.elapsed() < Duration::from_mins(2), "{:?}", started.elapsed());
}

#[test]
fn headers_that_ask_for_too_much_are_refused() {
    let mut bytes = packed("luks1-xts");
    // Iterations of the first slot.
    bytes[212..216].copy_from_slice(&u32::MAX.to_be_bytes());
    let (sealed, _) = open(&image(bytes, 0), &[("vol-1", b"crane secret")]);
    let locked = sealed.unwrap().content.err();
    assert!(matches!(&locked, Some(Locked::Unsupported(why)) if why.contains("budget")), "{locked:?}");
    let cost = super::slot::Cost { passes: 4, memory: 1 << 30, lanes: 4 };
    assert!(super::slot::argon2("argon2id", b"x", b"12345678", &cost, 64).unwrap_err().contains("budget"));
}
