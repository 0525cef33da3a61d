//! BitLocker: volumes that Windows made (the corpus of cryptsetup's tests, where it is laid out), and volumes of
//! every kind made here, which dislocker reads as we do.
mod builder;
mod made;
mod windows;

use cranescope::base::{Budget, Gap, Gaps, Key, Secret};
use cranescope::image::Source;
use cranescope::volume::{self, Keys, Sealed};
use std::cell::RefCell;
use std::sync::Arc;

/// Opens a volume with these keys.
fn open(source: &Source, keys: &[&[u8]]) -> (Result<Sealed, String>, Vec<Gap>) {
    let keys: Vec<Key> = keys.iter().map(|k| Key { volume: "vol-1".into(), secret: Secret(k.to_vec()) }).collect();
    let (meant, gaps) = (RefCell::default(), Gaps::default());
    let encryption = volume::encrypted(source).expect("not recognized");
    assert_eq!(encryption.name, "bitlocker");
    let sealed = (encryption.open)(source, &Keys::new(&keys, "vol-1", &meant), &gaps, Budget::default());
    (sealed.map_err(|e| e.to_string()), gaps.take())
}

/// A volume without content.
pub(crate) fn sample() -> Vec<u8> {
    let recipe = builder::Recipe::new(builder::Kind::Fixed, 0x8004, &[builder::Protector::Startup]);
    builder::make(&builder::ntfs_like(64 << 10), &recipe).bytes
}

/// A volume that opens without a key, of little content.
pub(crate) fn clear() -> Vec<u8> {
    let recipe = builder::Recipe::new(builder::Kind::Fixed, 0x8004, &[builder::Protector::Clear]);
    let recipe = builder::Recipe { encrypted: Some(8 << 10), state: (5, 4), ..recipe };
    builder::make(&builder::ntfs_like(64 << 10), &recipe).bytes
}

fn source(bytes: Vec<u8>) -> Source {
    Arc::new(bytes)
}

/// The plain volume, read in pieces that fit no sector; what cannot be read is 0xee.
fn plain(source: &Source) -> Vec<u8> {
    let mut out = vec![0; usize::try_from(source.len()).unwrap()];
    let mut at = 0;
    for (number, step) in (0_usize..).zip([700, 100_003, 4096, 65_536, 1_000_001].into_iter().cycle()) {
        let end = (at + step + number).min(out.len());
        if source.read_at(at as u64, &mut out[at..end]).is_err() {
            for at in at..end {
                if source.read_at(at as u64, &mut out[at..=at]).is_err() {
                    out[at] = 0xee;
                }
            }
        }
        at = end;
        if at == out.len() {
            break;
        }
    }
    out
}
