//! RPM's databases: made here, byte for byte, and by others.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]
use super::*;
use crate::format::bytes::Bytes;
use sha2::Digest as _;

type Found = (u32, Vec<u8>, Option<Run>);

fn read(all: &[u8]) -> (Result<(), String>, Vec<Found>, Vec<(u64, String)>) {
    let own = |at: u64, to: &mut [u8]| {
        let rest = all.get(usize::try_from(at).unwrap_or(usize::MAX)..).unwrap_or_default();
        let n = rest.len().min(to.len());
        to[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    };
    let (mut found, mut gaps) = (Vec::new(), Vec::new());
    let file = Bytes { len: all.len() as u64, read: &own };
    let done = headers(file, None, &mut |at, what| gaps.push((at, what)), &mut |s| {
        found.push((s.number, s.blob, s.place));
        true
    });
    (done, found, gaps)
}

/// A header as rpm builds it: a sealed part, and tags that installing added.
fn header(name: &str, files: &[(&str, &str)]) -> Vec<u8> {
    let mut data = Vec::new();
    let mut index = Vec::new();
    let add = |index: &mut Vec<u8>, data: &mut Vec<u8>, tag: u32, kind: u32, count: u32, bytes: &[u8]| {
        if kind == 4 {
            data.resize(data.len().next_multiple_of(4), 0);
        }
        for word in [tag, kind, data.len() as u32, count] {
            index.extend(word.to_be_bytes());
        }
        data.extend(bytes);
    };
    let texts = |all: Vec<&str>| all.iter().flat_map(|t| [t.as_bytes(), b"\0"].concat()).collect::<Vec<u8>>();
    add(&mut index, &mut data, tag::NAME, 6, 1, &texts(vec![name]));
    add(&mut index, &mut data, tag::VERSION, 6, 1, &texts(vec!["1.2"]));
    let count = files.len() as u32;
    add(&mut index, &mut data, tag::FILE_DIGESTS, 8, count, &texts(files.iter().map(|f| f.1).collect()));
    add(&mut index, &mut data, tag::DIR_INDEXES, 4, count, &vec![0; files.len() * 4]);
    add(&mut index, &mut data, tag::BASE_NAMES, 8, count, &texts(files.iter().map(|f| f.0).collect()));
    add(&mut index, &mut data, tag::DIR_NAMES, 8, 1, &texts(vec!["/usr/bin/"]));
    let sealed = index.len() / 16 + 1;
    let region = data.len() as u32;
    for word in [tag::IMMUTABLE, 7, (sealed as u32 * 16).wrapping_neg(), 16] {
        data.extend(word.to_be_bytes());
    }
    let first: Vec<u8> = [tag::IMMUTABLE, 7, region, 16].iter().flat_map(|w| w.to_be_bytes()).collect();
    let mut index = [first, index].concat();
    let lens = [(sealed as u32).to_be_bytes(), (data.len() as u32).to_be_bytes()].concat();
    let digest = sha2::Sha256::digest([b"\x8e\xad\xe8\x01\0\0\0\0", lens.as_slice(), &index, &data].concat());
    add(&mut index, &mut data, tag::SHA256_HEADER, 6, 1, &texts(vec![&crate::base::hex(&digest)]));
    add(&mut index, &mut data, tag::INSTALL_TIME, 4, 1, &1_700_000_000_u32.to_be_bytes());
    [(index.len() as u32 / 16).to_be_bytes().to_vec(), (data.len() as u32).to_be_bytes().to_vec(), index, data].concat()
}

#[test]
fn a_header_gives_its_tags_and_tells_whether_it_was_changed() {
    let blob = header("frobd", &[("frobd", "aa"), ("frob", "")]);
    let parsed = Header::parse(&blob).unwrap();
    assert_eq!((parsed.text(tag::NAME), parsed.text(tag::VERSION)), ("frobd".into(), "1.2".into()));
    assert_eq!(parsed.texts(tag::BASE_NAMES), [b"frobd".as_slice(), b"frob"]);
    assert_eq!(parsed.texts(tag::FILE_DIGESTS), [b"aa".as_slice(), b""]);
    assert_eq!((parsed.numbers(tag::DIR_INDEXES), parsed.number(tag::INSTALL_TIME)), (vec![0, 0], Some(1_700_000_000)));
    assert_eq!(parsed.seal(), Seal::Fits);
    // A digest of a file that somebody put right by hand.
    let at = blob.windows(3).position(|w| w == b"aa\0").unwrap();
    let mut forged = blob.clone();
    forged[at] = b'b';
    assert_eq!(Header::parse(&forged).unwrap().seal(), Seal::Differs);
    for len in 0..blob.len() {
        let _ = Header::parse(&blob[..len]).map(|h| (h.seal(), h.texts(tag::BASE_NAMES)));
    }
    for seed in 0..5000_usize {
        let mut bad = blob.clone();
        let at = seed.wrapping_mul(0x9e37_79b9) % bad.len();
        bad[at] = (seed % 255) as u8;
        let _ = Header::parse(&bad).map(|h| (h.seal(), h.texts(tag::BASE_NAMES), h.numbers(tag::DIR_INDEXES)));
    }
}

/// rpm's own database with these blobs.
fn own_database(blobs: &[Vec<u8>]) -> Vec<u8> {
    let le = |word: u32| word.to_le_bytes();
    let mut out = [b"RpmP".to_vec(), le(0).to_vec(), le(1).to_vec(), le(1).to_vec(), vec![0; 16]].concat();
    let mut bodies: Vec<u8> = Vec::new();
    for (n, blob) in blobs.iter().enumerate() {
        let number = n as u32 + 1;
        let units = (blob.len() + 28).div_ceil(16);
        let start = (4096 + bodies.len()) / 16;
        out.extend(
            [b"Slot".to_vec(), le(number).to_vec(), le(start as u32).to_vec(), le(units as u32).to_vec()].concat(),
        );
        let mut body = [b"BlbS".to_vec(), le(number).to_vec(), le(1).to_vec(), le(blob.len() as u32).to_vec()].concat();
        body.extend(blob);
        body.resize(units * 16 - 12, 0);
        let (mut a, mut b) = (1_u64, 0_u64);
        for byte in &body {
            a = (a + u64::from(*byte)) % 65_521;
            b = (b + a) % 65_521;
        }
        body.extend([le((b << 16 | a) as u32).to_vec(), le(blob.len() as u32).to_vec(), b"BlbE".to_vec()].concat());
        bodies.extend(body);
    }
    while out.len() < 4096 {
        out.extend([b"Slot".to_vec(), vec![0; 12]].concat());
    }
    [out, bodies].concat()
}

#[test]
fn rpms_own_database_gives_its_blobs_and_tells_damage() {
    let blobs = [header("a", &[("a", "x")]), vec![7; 5000], header("b", &[])];
    let file = own_database(&blobs);
    let (done, found, gaps) = read(&file);
    assert_eq!((done, gaps), (Ok(()), vec![]));
    assert_eq!(found.iter().map(|f| f.1.clone()).collect::<Vec<_>>(), blobs);
    for (_, blob, place) in &found {
        let place = place.unwrap();
        assert_eq!(&file[place.offset as usize..place.end() as usize], blob);
    }
    // Every byte that is flipped is told, or nothing depends on it.
    for at in (0..file.len()).step_by(7) {
        let mut bad = file.clone();
        bad[at] ^= 0x40;
        let (done, now, gaps) = read(&bad);
        let same = now.len() == found.len() && now.iter().zip(&found).all(|(a, b)| a.1 == b.1);
        assert!(same || done.is_err() || !gaps.is_empty(), "byte {at}");
    }
    for len in (0..file.len()).step_by(101) {
        let (done, now, gaps) = read(&file[..len]);
        assert!(done.is_err() || !gaps.is_empty() || now.len() == found.len(), "{len} bytes");
    }
}

/// A database that others made; `None`, with a message, where it is not at hand.
fn corpus(name: &str) -> Option<Vec<u8>> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus/go_rpmdb").join(name);
    let read = std::fs::read(&path).ok();
    if read.is_none() {
        eprintln!("skipped: {} is not there", path.display());
    }
    read
}
fn names(found: &[Found]) -> Vec<String> {
    let name = |blob: &[u8]| {
        let h = Header::parse(blob).unwrap();
        format!("{} {}-{}", h.text(tag::NAME), h.text(tag::VERSION), h.text(tag::RELEASE))
    };
    let mut all: Vec<String> = found.iter().map(|f| name(&f.1)).collect();
    all.sort();
    all
}

#[test]
fn a_hash_table_of_berkeley_db_gives_its_package() {
    let Some(file) = corpus("libuuid/Packages") else { return };
    let (done, found, gaps) = read(&file);
    assert_eq!((done, gaps), (Ok(()), vec![]));
    assert_eq!(names(&found), ["libuuid 2.32.1-42.el8_8"]);
    assert_eq!(Header::parse(&found[0].1).unwrap().seal(), Seal::Fits);
    let place = found[0].2.unwrap();
    assert_eq!(file[place.offset as usize..place.end() as usize], found[0].1[..place.len as usize]);
    for at in (0..file.len()).step_by(61) {
        let mut bad = file.clone();
        bad[at] ^= 0x21;
        let (done, now, gaps) = read(&bad);
        // Content itself is sealed by the header.
        let told = done.is_err() || !gaps.is_empty();
        let changed = now.iter().any(|f| Header::parse(&f.1).map_or(true, |h| h.seal() != Seal::Fits));
        assert!(told || changed || names(&now) == names(&found), "byte {at}");
    }
}

#[test]
fn the_database_of_a_suse_container_gives_its_packages() {
    let Some(file) = corpus("sle15-bci/Packages.db") else { return };
    let (done, found, gaps) = read(&file);
    assert_eq!((done, gaps), (Ok(()), vec![]));
    let all = names(&found);
    assert_eq!(all.len(), 35, "{all:?}");
    assert!(all.contains(&"libstdc++6 11.2.1+git610-1.3.9".to_owned()), "{all:?}");
    assert!(found.iter().all(|f| Header::parse(&f.1).unwrap().seal() == Seal::Fits));
}

/// Its makers changed a header of a real package, so that a file's folder leads nowhere.
#[test]
fn a_header_that_was_changed_is_read_and_told() {
    let Some(blob) = corpus("blob.bin") else { return };
    let header = Header::parse(&blob).unwrap();
    assert_eq!((header.text(tag::NAME).as_str(), header.seal()), ("publicsuffix-list-dafsa", Seal::Differs));
    let folders = header.texts(tag::DIR_NAMES).len() as u64;
    assert!(header.numbers(tag::DIR_INDEXES).iter().any(|n| *n >= folders));
    assert_eq!(header.texts(tag::BASE_NAMES).len(), header.texts(tag::FILE_DIGESTS).len());
}
