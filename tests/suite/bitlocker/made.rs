//! Volumes made here: every kind and method, keys of every sort, damage.
use super::builder::{CHUNK, Kind, Made, Protector, Recipe, TAIL, VOLUME_ID, make, ntfs_like, recovery};
use super::{open, plain, source};
use crate::common::{SMALL_SYSTEM, ext4, have, plant, report, run};
use cranescope::base::{PieceKind, Run};
use cranescope::volume::{Locked, Sealed};
use std::process::Command;

const NUMBERS: [u16; 8] = [1, 2222, 65_535, 0, 777, 12_345, 54_321, 9];
const LEN: usize = 400 << 10;

fn opened(made: &Made, keys: &[&[u8]]) -> (Sealed, Vec<String>) {
    let (sealed, gaps) = open(&source(made.bytes.clone()), keys);
    (sealed.unwrap(), gaps.into_iter().map(|g| g.what).collect())
}

/// The recipes of all kinds and methods, opened by a startup key as that is quick.
fn recipes() -> Vec<(&'static str, Recipe)> {
    let of = |kind, method| Recipe::new(kind, method, &[Protector::Startup, Protector::Tpm]);
    let large = |method| Recipe { sector: 4096, ..of(Kind::Fixed, method) };
    vec![
        ("vista 128", of(Kind::Vista, 0x8000)),
        ("vista 256", of(Kind::Vista, 0x8001)),
        ("seven diffuser 128", of(Kind::Fixed, 0x8000)),
        ("seven diffuser 256", of(Kind::Fixed, 0x8001)),
        ("eight 128", of(Kind::Fixed, 0x8002)),
        ("eight 256", of(Kind::Fixed, 0x8003)),
        ("ten 128", of(Kind::Fixed, 0x8004)),
        ("ten 256", of(Kind::Fixed, 0x8005)),
        ("to go", of(Kind::ToGo, 0x8002)),
        ("to go xts", of(Kind::ToGo, 0x8004)),
        ("on write", of(Kind::OnWrite, 0x8004)),
        ("4k cbc", large(0x8002)),
        ("4k xts", large(0x8004)),
        ("in conversion", Recipe { encrypted: Some(256 << 10), state: (5, 4), ..of(Kind::Fixed, 0x8004) }),
        ("newer version of half", Recipe { encrypted: Some(640 << 10), ..of(Kind::Fixed, 0x8002) }),
    ]
}

#[test]
fn every_kind_and_method_reads_as_it_was() {
    for (name, recipe) in recipes() {
        let made = make(&ntfs_like(LEN), &recipe);
        let (sealed, gaps) = opened(&made, &[b"x", &made.key_file]);
        let content = sealed.content.map_err(|e| format!("{name}: {e:?}")).unwrap().source;
        let ours = plain(&content);
        let differ = ours.iter().zip(&made.shown).position(|(a, b)| a != b);
        assert_eq!((differ, ours.len()), (None, made.shown.len()), "{name}");
        assert_eq!(gaps.len(), usize::from(name == "in conversion"), "{name}: {gaps:?}");
        // What is zero by definition, what is decrypted, and what is stored as it is are told apart.
        let pieces = content.locate(Run::new(0, content.len()));
        assert_eq!(pieces.iter().map(|p| p.len).sum::<u64>(), content.len(), "{name}");
        assert!(pieces.iter().any(|p| p.kind == PieceKind::Hole), "{name}");
        assert_eq!(sealed.type_name, if name.starts_with("to go") { "BitLocker To Go" } else { "BitLocker" });
        assert_eq!((sealed.uuid.as_str(), sealed.label.as_str()), (VOLUME_ID, "CRANE-7 C: 7/4/2019"));
        assert!(
            sealed.about.contains("startup key “ExternalKey” 6a1ee7a0-7b1c-4f8e-9f43-0d1c5c8f1fe0"),
            "{}",
            sealed.about
        );
        assert!(sealed.about.contains("created 2019-07-04T11:03:35Z"), "{}", sealed.about);
    }
}

/// Another reader opens what the builder makes, and reads the same.
#[test]
fn dislocker_reads_the_same() {
    if !have("dislocker-file") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mut compared = 0;
    for (name, recipe) in recipes() {
        // Of the first it does not find the size; of the others it reads what is not encrypted as if it were.
        if recipe.kind == Kind::Vista || matches!(name, "on write" | "in conversion" | "newer version of half") {
            continue;
        }
        let made = make(&ntfs_like(LEN), &recipe);
        std::fs::write(at("volume"), &made.bytes).unwrap();
        std::fs::write(at("key.bek"), &made.key_file).unwrap();
        let out = Command::new("timeout")
            .args(["60", "dislocker-file", "-q", "-V"])
            .args([at("volume"), "-f".into(), at("key.bek"), "--".into(), at("plain")])
            .output()
            .unwrap();
        let said = [out.stdout, out.stderr].concat();
        assert!(out.status.success(), "{name}: {}", String::from_utf8_lossy(&said));
        let theirs = std::fs::read(at("plain")).unwrap();
        let differ = theirs.iter().zip(&made.shown).position(|(a, b)| a != b);
        assert_eq!(differ, None, "{name}");
        assert!(theirs.len() >= LEN, "{name}: {}", theirs.len());
        compared += 1;
        std::fs::remove_file(at("plain")).unwrap();
    }
    assert!(compared >= 8);
}

#[test]
fn passwords_and_recovery_passwords_open() {
    let protectors = [Protector::Tpm, Protector::Recovery(NUMBERS), Protector::Password("港口 crane £")];
    let made = make(&ntfs_like(LEN), &Recipe::new(Kind::Fixed, 0x8004, &protectors));
    let text = recovery(NUMBERS);
    let told: Vec<u8> = [0xfeff]
        .into_iter()
        .chain(format!("Key:\r\n\r\n\t{text}\r\n").encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    for key in [text.as_bytes(), &told, "港口 crane £\n".as_bytes()] {
        let (sealed, gaps) = opened(&made, &[key]);
        assert!(plain(&sealed.content.unwrap().source) == made.shown);
        assert_eq!(gaps, Vec::<String>::new());
    }
    let closed = |key: &[u8]| opened(&made, &[key]).0.content.err();
    assert_eq!(closed(b"crane"), Some(Locked::WrongKey(1)));
    let other = recovery([9; 8]);
    assert_eq!(closed(other.as_bytes()), Some(Locked::WrongKey(1)));
    let mistyped = text.replacen("11", "12", 1);
    let why = closed(mistyped.as_bytes());
    assert!(matches!(&why, Some(Locked::Unsupported(w)) if w.contains("group 1 of the recovery password")), "{why:?}");
    let (sealed, _) = opened(&made, &[]);
    assert_eq!(sealed.content.err(), Some(Locked::NoKey));
    for word in ["TPM 6a1ee7a0", "recovery password “DiskPassword” 6a1ee7a0", "password 6a1ee7a0", "AES-XTS 128"] {
        assert!(sealed.about.contains(word), "{}", sealed.about);
    }
}

#[test]
fn without_a_key_what_can_be_opened_is() {
    let with = |protectors: &[Protector]| make(&ntfs_like(LEN), &Recipe::new(Kind::Fixed, 0x8004, protectors));
    // Protection that is suspended leaves its key in the clear.
    let (sealed, _) = opened(&with(&[Protector::Clear, Protector::Tpm]), &[]);
    assert!(sealed.about.contains("protectors: clear key"), "{}", sealed.about);
    assert!(plain(&sealed.content.unwrap().source) == with(&[Protector::Clear, Protector::Tpm]).shown);
    let (sealed, _) = opened(&with(&[Protector::Tpm, Protector::TpmPin]), &[b"x"]);
    let why = sealed.content.err();
    assert!(matches!(&why, Some(Locked::Unsupported(w)) if w.contains("only the TPM")), "{why:?}");
    // A volume that was decrypted again.
    let recipe = Recipe { state: (1, 1), ..Recipe::new(Kind::Fixed, 0x8004, &[]) };
    let made = make(&ntfs_like(LEN), &recipe);
    let (sealed, gaps) = opened(&made, &[]);
    assert!(plain(&sealed.content.unwrap().source) == made.shown);
    assert_eq!(gaps, Vec::<String>::new());
}

#[test]
fn damaged_and_older_copies_are_told_and_the_newest_whole_one_counts() {
    let recipe = |counter| Recipe { counter, ..Recipe::new(Kind::Fixed, 0x8004, &[Protector::Startup]) };
    let (old, new) = (make(&ntfs_like(LEN), &recipe(9)), make(&ntfs_like(LEN), &recipe(12)));
    let key: &[u8] = &new.key_file;
    // The second copy is newer than the others, and then damaged.
    let mut bytes = old.bytes.clone();
    bytes[new.copies[1]..new.copies[1] + 4096].copy_from_slice(&new.bytes[new.copies[1]..new.copies[1] + 4096]);
    let (sealed, gaps) = open(&source(bytes.clone()), &[key]);
    assert!(sealed.unwrap().content.is_ok());
    let places: Vec<_> = gaps.iter().map(|g| (g.at.offset.as_ref().unwrap().1, g.what.contains("older"))).collect();
    assert_eq!(places, [(new.copies[0] as u64, true), (new.copies[2] as u64, true)]);
    bytes[new.copies[1] + 200] ^= 1;
    let (sealed, gaps) = open(&source(bytes.clone()), &[key]);
    assert!(sealed.unwrap().content.is_ok());
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    // All damaged, where the checksum alone is; then where the boot sector leads to nothing.
    for at in new.copies {
        bytes[at + 70] ^= 1;
    }
    let (_, gaps) = open(&source(bytes.clone()), &[key]);
    assert!(gaps.iter().any(|g| g.what.contains("no copy has a checksum that fits")), "{gaps:?}");
    for at in new.copies {
        bytes[at] ^= 1;
    }
    assert!(open(&source(bytes), &[key]).0.err().unwrap().contains("none of the copies"));
    // The checksum made to fit what was altered: the seal tells.
    let mut bytes = old.bytes.clone();
    for at in old.copies {
        bytes[at + 64 + 48 + 20] ^= 1;
        let size = usize::from(u16::from_le_bytes([bytes[at + 8], bytes[at + 9]])) * 16;
        let sum = crc32fast::hash(&bytes[at..at + size]);
        bytes[at + size + 4..at + size + 8].copy_from_slice(&sum.to_le_bytes());
    }
    let (sealed, gaps) = open(&source(bytes), &[key]);
    assert!(sealed.unwrap().content.is_ok());
    assert!(gaps.iter().any(|g| g.what.contains("differs from what was sealed")), "{gaps:?}");
}

#[test]
fn a_damaged_map_costs_what_it_hits() {
    let made = make(&ntfs_like(LEN), &Recipe::new(Kind::OnWrite, 0x8004, &[Protector::Startup]));
    let maps = made.copies[2] + (128 << 10);
    let with = |changes: &[usize]| {
        let mut bytes = made.bytes.clone();
        for at in changes {
            bytes[*at] ^= 0x55;
        }
        let (sealed, gaps) = open(&source(bytes), &[&made.key_file]);
        let gaps: Vec<_> = gaps.into_iter().map(|g| g.what).collect();
        (plain(&sealed.unwrap().content.unwrap().source), gaps)
    };
    // The first copy of the description; then both; then the later record, and both records.
    let (bytes, gaps) = with(&[maps + 20]);
    assert!(bytes == made.shown && gaps.is_empty(), "{gaps:?}");
    let (bytes, gaps) = with(&[maps + 20, maps + 4096 + 20]);
    assert!(bytes != made.shown && gaps.iter().any(|g| g.contains("all is taken to be encrypted")), "{gaps:?}");
    let (bytes, gaps) = with(&[maps + 8192 + 512 + 36, maps + 8192 + 2048 + 36]);
    let lost = bytes.iter().zip(&made.shown).filter(|(a, b)| a != b).count();
    assert!(lost > CHUNK && gaps.iter().any(|g| g.contains("both of its records are damaged")), "{gaps:?}");
}

#[test]
fn what_is_cut_or_altered_is_survived() {
    let started = std::time::Instant::now();
    for kind in [Kind::Vista, Kind::Fixed, Kind::ToGo, Kind::OnWrite] {
        let made = make(&ntfs_like(64 << 10), &Recipe::new(kind, 0x8004, &[Protector::Startup, Protector::Clear]));
        let whole = &made.bytes;
        let read = |bytes: Vec<u8>| {
            let source = source(bytes);
            if cranescope::volume::encrypted(&source).is_none() {
                return;
            }
            if let Ok(Sealed { content: Ok(content), .. }) = open(&source, &[&made.key_file]).0 {
                assert!(content.source.len() <= source.len());
                let pieces = content.source.locate(Run::new(0, content.source.len()));
                assert_eq!(pieces.iter().map(|p| p.len).sum::<u64>(), content.source.len());
                for at in [0, 4096, 70_000, made.copies[0] as u64, made.copies[2] as u64 + 140_000] {
                    let _ = content.source.read_at(at, &mut [0; 9000]);
                }
            }
        };
        let mut ends = vec![0, 3, 11, 84, 176, 200, 511, 512, 8192];
        for at in made.copies {
            ends.extend([0, 8, 63, 64, 111, 112, 113, 300, 700, 16 << 10, 64 << 10].map(|n| at + n));
        }
        let maps = made.copies[2] + (128 << 10);
        ends.extend([0, 35, 56, 64, 4096, 8192, 8200, 8704, 8740, 10_240, 12_288, 20_480].map(|n| maps + n));
        for end in ends.into_iter().filter(|end| *end < whole.len()) {
            read(whole[..end].to_vec());
        }
        // Numbers that lead anywhere: with checksums that fit again, as an attacker would make them.
        let mut seed = 5_u64;
        let mut next = |n: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(seed >> 33).unwrap() % n
        };
        for _ in 0..150 {
            let mut bytes = whole.clone();
            let at = made.copies[0];
            let size = usize::from(u16::from_le_bytes([bytes[at + 8], bytes[at + 9]]));
            let size = if kind == Kind::Vista { size } else { size * 16 };
            let place = 12 + next(size - 20);
            let value = [0, 1, 0xff, 0x7f, 0x80][next(5)];
            let width = 1 + next(8);
            for at in made.copies {
                bytes[at + place..at + place + width].fill(value);
                let sum = crc32fast::hash(&bytes[at..at + size]);
                bytes[at + size + 4..at + size + 8].copy_from_slice(&sum.to_le_bytes());
            }
            read(bytes);
            let mut bytes = whole.clone();
            bytes[next(512)] ^= 1 << next(8);
            bytes[maps + next(12_000)] ^= 1 << next(8);
            read(bytes);
        }
    }
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}

/// The whole way: an encrypted disk with a system, examined without and with its key.
#[test]
fn a_system_behind_bitlocker_is_examined() {
    if !have("mke2fs") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    plant(&at.join("root"), SMALL_SYSTEM);
    let inner = std::fs::read(ext4(at, &at.join("root"), "inner.img")).unwrap();
    let made = make(&inner, &Recipe::new(Kind::Fixed, 0x8004, &[Protector::Tpm, Protector::Recovery(NUMBERS)]));
    assert_eq!(made.bytes.len(), inner.len() + TAIL);
    std::fs::write(at.join("disk.img"), &made.bytes).unwrap();
    std::fs::write(at.join("key.txt"), recovery(NUMBERS)).unwrap();
    let examine = |more: &[&str]| {
        let fixed = ["examine", "disk.img", "--case", "x.cranecase", "--overwrite", "--json", "r.json", "--quiet"];
        let (code, _, err) = run(at, &[&fixed[..], more].concat());
        assert_eq!(code, 0, "{err}");
        report(&at.join("r.json"))
    };
    let closed = examine(&[]);
    assert_eq!(closed["volumes"][0]["state"], "encrypted");
    let gaps = closed["gaps"].to_string();
    assert!(gaps.contains("recovery password “DiskPassword”") && gaps.contains(VOLUME_ID), "{gaps}");
    assert!(!gaps.contains(&recovery(NUMBERS)));
    let open = examine(&["--key", &format!("{VOLUME_ID}=key.txt")]);
    assert_eq!(open["volumes"][1]["scheme"], "bitlocker");
    assert_eq!(open["systems"][0]["hostname"], "crane-7");
    assert!(!open.to_string().contains(&recovery(NUMBERS)));
    let (code, out, err) = run(at, &["cat", "disk.img", "/etc/hostname", "--key", &format!("{VOLUME_ID}=key.txt")]);
    assert_eq!((code, out.as_str()), (0, "crane-7\n"), "{err}");
}
